//! `try`: backs a folder up twice and restores a file, without any configuration.
//!
//! It uses the same plan, executor and formats as any other backup; only the configuration is made
//! up. Everything it writes is in one folder, which it names.

use std::{
    ffi::OsString,
    os::unix::{
        ffi::OsStringExt as _,
        fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _},
    },
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::Result;
use chrono::Local;
use executor::{
    Error,
    restore::{self, Request},
    sys::Kind,
};
use planner::check;
use schema::{
    Config, Report, RunResult, SnapshotId,
    config::{AbsolutePath, Local as LocalConfig},
    journal::Sealed,
    plan::{Action, MarkStep},
};

use crate::{
    cli::Try,
    commands::apply::Worker,
    exit::{self, Explained},
    out::Out,
    render::{self, amount},
    settings::{Settings, home, xdg},
    take,
};

/// Backs a folder up twice and restores a file.
pub(crate) fn run(arguments: &Try, settings: &Settings, out: &Out) -> Result<u8> {
    let source = source(arguments)?;
    let folder = folder(arguments, &source)?;
    let settings = &settings.below(&folder);
    let config = config(&source, &folder, settings)?;
    wrapper(&folder, settings)?;
    let style = &settings.style;

    out.say(&format!(
        "Backing up {} to {}\n",
        style.bold(short(&source)),
        style.bold(short(&folder))
    ));
    let (first, took) = backup(settings, out, &config, true)?;
    out.say(&format!(
        "{} {} ({}) copied in {took}\n",
        style.green("First snapshot:"),
        amount::plural(first.totals.files_copied, "file", "files"),
        amount::bytes(first.totals.bytes_copied),
    ));
    // By the retention the newer of two on one day stands for the day. Both are to be looked at.
    pin(settings, out, &config, first.id)?;
    let (second, took) = backup(settings, out, &config, false)?;
    out.say(&format!(
        "{} {} hard-linked, {} copied in {took}",
        style.green("Second snapshot:"),
        amount::plural(second.totals.files_linked, "file", "files"),
        amount::count(second.totals.files_copied),
    ));
    out.say(&format!(
        "  a whole folder again, {} of it without taking space again\n",
        amount::bytes(second.totals.bytes_linked)
    ));
    let restored = restore_one(settings, out, &config, second.id)?;
    ending(settings, out, &config, &first, &second, restored.as_deref());
    let whole = first.complete && second.complete;
    Ok(if whole { exit::DONE } else { exit::INCOMPLETE })
}

/// What to back up.
fn source(arguments: &Try) -> Result<PathBuf> {
    let hint = "name a folder: backup try DIR";
    if let Some(given) = &arguments.dir {
        return given.canonicalize().map_err(|error| {
            Error::io("open", given.as_os_str().as_encoded_bytes(), error)
                .hint(hint)
                .into()
        });
    }
    let has_files = |folder: &Path| folder.read_dir().is_ok_and(|mut all| all.next().is_some());
    ["Documents", "Pictures", "Desktop"]
        .iter()
        .map(|name| home().join(name))
        .chain(std::env::current_dir())
        .find(|folder| has_files(folder))
        .and_then(|folder| folder.canonicalize().ok())
        .ok_or_else(|| {
            Error::refused("there is nothing to back up here")
                .hint(hint)
                .into()
        })
}

/// Where to: a folder that is the user's own and not inside the source.
fn folder(arguments: &Try, source: &Path) -> Result<PathBuf> {
    let uid = nix::unistd::geteuid();
    let folder = match &arguments.to {
        Some(given) => std::path::absolute(given)?,
        None => {
            let own = xdg("XDG_DATA_HOME", ".local/share").join("backup/try");
            let inside = own.ancestors().any(|above| {
                above
                    .canonicalize()
                    .is_ok_and(|above| above.starts_with(source))
            });
            if inside {
                PathBuf::from(format!("/var/tmp/backup-try-{uid}"))
            } else {
                own
            }
        }
    };
    let named = folder.as_os_str().as_encoded_bytes();
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&folder)
        .and_then(|()| folder.symlink_metadata())
        .map_err(|error| Error::io("make", named, error).hint("name another with --to FOLDER"))
        .and_then(|found| {
            // In /var/tmp somebody else may have made it first.
            if found.is_dir() && found.uid() == uid.as_raw() {
                return Ok(());
            }
            let message = format!("{} is not a folder of yours", folder.display());
            Err(Error::refused(message).hint("name another with --to FOLDER"))
        })?;
    Ok(folder.canonicalize()?)
}

/// The configuration of the trial, saved so that every other verb can go on from it.
fn config(source: &Path, folder: &Path, settings: &Settings) -> Result<Config> {
    let absolute = |path: &Path| -> Result<AbsolutePath> {
        let text = path.to_str().ok_or_else(|| {
            Error::refused(format!("{} is not UTF-8", path.display()))
                .hint("configurations name paths in UTF-8; name another folder")
        })?;
        Ok(AbsolutePath::new(text))
    };
    let mut local = LocalConfig {
        enable: true,
        mount_point: absolute(folder)?,
        require_mount: false,
        use_rsync: false,
        min_space_gb: 1,
        sources: vec![absolute(source)?],
        ..LocalConfig::default()
    };
    // A source given by name is backed up whole; only the user's own patterns leave things out.
    local.exclude_patterns.retain(|pattern| pattern == ".cache");
    let config = Config {
        local,
        ..Config::default()
    };
    let mut json = serde_json::to_vec_pretty(&serde_json::json!({
        "version": 1,
        "local": {
            "enable": true,
            "mountPoint": config.local.mount_point,
            "requireMount": false,
            "useRsync": false,
            "minSpaceGB": config.local.min_space_gb,
            "sources": config.local.sources,
            "excludePatterns": config.local.exclude_patterns,
        }
    }))?;
    json.push(b'\n');
    let checked = check::check(&json).map_err(|faults| {
        Error::refused(check::render(&faults))
            .hint("name another folder: backup try DIR --to FOLDER")
    })?;
    std::fs::write(&settings.config_path, &json).map_err(|error| {
        Error::io(
            "write",
            settings.config_path.as_os_str().as_encoded_bytes(),
            error,
        )
    })?;
    Ok(checked.config)
}

/// Makes a snapshot, showing the plan if asked to.
fn backup(settings: &Settings, out: &Out, config: &Config, show: bool) -> Result<(Sealed, String)> {
    let started = Instant::now();
    let worker = Worker::new(settings, out, config, Local::now().fixed_offset()).calm();
    let report: Option<Report> = worker.with(|context| {
        worker.run(context, |plan, inventory| {
            if show && !settings.quiet {
                out.data(&render::plan::plan_page(plan, inventory, &settings.style));
                out.say("");
            }
        })
    })?;
    let Some(report) = report else {
        return Err(Explained(exit::DEFERRED).into());
    };
    let took = amount::span(started.elapsed());
    match (&report.snapshot, report.result) {
        (Some(sealed), RunResult::Success) => Ok((sealed.clone(), took)),
        (sealed, result) => {
            let folder = settings.state_dir.join("runs").join(&report.run_id);
            let folder = folder.to_string_lossy();
            out.note(&render::report::report_page(
                &report,
                &folder,
                &settings.error_style,
            ));
            match sealed {
                Some(sealed) => Ok((sealed.clone(), took)),
                None => Err(Explained(exit::of_result(result)).into()),
            }
        }
    }
}

/// Keeps a snapshot whatever the retention says.
fn pin(settings: &Settings, out: &Out, config: &Config, id: SnapshotId) -> Result<()> {
    let now = Local::now().fixed_offset();
    let worker = Worker::new(settings, out, config, now).calm();
    worker.with(|context| {
        let destination = take::destination(settings, config, context)?;
        let inventory = take::inventory_of(settings, now, Some(destination))?;
        let plan = planner::small(config, &inventory, Some(Action::Mark(MarkStep::Pin { id })));
        worker.small(&plan, &inventory, context)
    })?;
    Ok(())
}

/// Restores one file and compares it with the original.
fn restore_one(
    settings: &Settings,
    out: &Out,
    config: &Config,
    id: SnapshotId,
) -> Result<Option<PathBuf>> {
    let Some(store) = take::store(config)? else {
        return Ok(None);
    };
    // The first file of some size is more telling than an empty one.
    let mut chosen = None;
    for entry in store.manifest(id)? {
        let Ok(entry) = entry else { break };
        if entry.kind == Kind::File && !entry.torn {
            let telling = entry.size >= 1024;
            chosen = Some(entry);
            if telling {
                break;
            }
        }
    }
    let Some(entry) = chosen else {
        return Ok(None);
    };
    let now = Local::now().fixed_offset();
    let original = PathBuf::from(OsString::from_vec(entry.path.to_absolute()));
    let folder = config
        .local
        .mount_point
        .as_path()
        .join(format!("restored-{id}"));
    std::fs::create_dir_all(&folder)?;
    let target = folder.join(original.file_name().unwrap_or_default());
    let worker = Worker::new(settings, out, config, now).calm();
    let report = worker.with(|context| {
        let Some(home) = store.home_of(id)? else {
            return Err(Error::failed(format!("snapshot {id} is gone")).into());
        };
        let request = Request {
            store: &store,
            snapshot: Some(id),
            home_folder: &format!("{home}/{id}"),
            tree: store.snapshot(home, id)?,
            path: &original,
            target: &target,
            overwrite: false,
            aside_suffix: ".before".to_owned(),
            choice: restore::Choice::default(),
            through: Vec::new(),
        };
        let step = restore::plan(&request, &context)?;
        let destination = take::destination(settings, config, context)?;
        let inventory = take::inventory_of(settings, now, Some(destination))?;
        let plan = planner::small(config, &inventory, Some(Action::Restore(step)));
        worker.small(&plan, &inventory, context)
    })?;
    if report.result != RunResult::Success {
        crate::commands::mark::show(&report, settings, out);
        return Ok(None);
    }
    let same = same_content(&original, &target);
    out.say(&format!(
        "{} {}\n  {}\n",
        settings.style.green("Restored:"),
        short(&target),
        if same {
            format!("the same as {}, byte for byte", short(&original))
        } else {
            format!("as it was; {} has changed since", short(&original))
        }
    ));
    Ok(Some(target))
}

/// Whether two files hold the same, read piece by piece.
fn same_content(a: &Path, b: &Path) -> bool {
    let digest = |path: &Path| {
        let file = std::fs::File::open(path).ok()?;
        executor::copy::Copier::default()
            .digest(&file, false, &mut |_| Ok(()))
            .ok()
    };
    let (a, b) = (digest(a), digest(b));
    a.is_some() && a == b
}

/// Says what there is now and what to do next.
fn ending(
    settings: &Settings,
    out: &Out,
    config: &Config,
    first: &Sealed,
    second: &Sealed,
    restored: Option<&Path>,
) {
    let style = &settings.style;
    let folder = config.local.mount_point.as_path();
    let base = folder.join(take::host_folder(config));
    let command = folder.join("backup");
    let command = short(&command);
    let home = |id: SnapshotId| {
        let store = take::store(config).ok().flatten();
        let home = store.and_then(|store| store.home_of(id).ok().flatten());
        home.map_or_else(|| id.to_string(), |home| format!("{home}/{id}"))
    };
    let mut text = format!(
        "{}\n  {}/\n    {}\n    {}\n    latest -> the newer one\n",
        style.bold("Two plain folders, to look at with any program:"),
        short(&base),
        home(first.id),
        home(second.id),
    );
    if restored.is_none() {
        text.push_str("  (there was no file to restore)\n");
    }
    text.push_str(&format!(
        "\n{}\n  {command} list       all snapshots\n  {command} plan       what a run would do\n  \
         {command} now        another snapshot\n\n\
         To back up for good, copy {}\nto /etc/backup/config.json, set mountPoint and sources, \
         then: backup check\n\
         To forget all this: rm -rf {}\n",
        style.bold("Next:"),
        short(&settings.config_path),
        short(folder),
    ));
    out.say(&text);
}

/// A path as a shell's user would write it, with `~` for the home folder.
fn short(path: &Path) -> String {
    let own = home();
    match path.strip_prefix(&own) {
        Ok(below) if own != Path::new("/") => format!("~/{}", below.display()),
        _ => path.display().to_string(),
    }
}

/// Makes this program reachable with the trial's own settings, for whoever wants to go on.
fn wrapper(folder: &Path, settings: &Settings) -> Result<()> {
    let quote = |path: &Path| format!("'{}'", path.to_string_lossy().replace('\'', "'\\''"));
    let script = format!(
        "#!/bin/sh\n# The backup program with the settings of this trial.\n\
         exec {} --config {} --state-dir {} --log-dir {} \"$@\"\n",
        quote(&std::env::current_exe()?),
        quote(&settings.config_path),
        quote(&settings.state_dir),
        quote(&folder.join("log")),
    );
    let path = folder.join("backup");
    let io = |error| Error::io("write", path.as_os_str().as_encoded_bytes(), error);
    std::fs::write(&path, script).map_err(io)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).map_err(io)?;
    Ok(())
}
