//! `try`: backs a folder up twice and restores a file, without any configuration.
//!
//! It uses the same plan, executor and formats as any other backup; only the configuration is made
//! up. Everything it writes is in one folder, which it names.

use std::{
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::Result;
use backup::{
    Engine,
    engine::{ApplyOutcome, ApplyRequest, Mark, RestoreRequest, RunOutcome},
};
use executor::Error;
use planner::check::{self, TRIAL};
use schema::{
    Config, RunResult, SnapshotId,
    config::{AbsolutePath, Local as LocalConfig},
    journal::Sealed,
    shell,
};

use crate::{
    called,
    cli::Try,
    commands::outcome,
    exit::{self, Explained},
    out::Out,
    render::{self, amount},
    screen::Screen,
    settings::{Settings, home_folder, xdg_folder},
    style::{Style, shown},
    typed,
};

/// Backs a folder up twice and restores a file.
pub(crate) fn try_backup(arguments: &Try, settings: &Settings, out: &Out) -> Result<u8> {
    let source = find_source(arguments)?;
    let folder = choose_folder(arguments, &source)?;
    let backing_up = |style: &Style| {
        format!(
            "Backing up {} to {}",
            style.bold(short_path(&source)),
            style.bold(short_path(&folder))
        )
    };
    if arguments.dry_run {
        check_owner(&folder)?;
        outcome::show_dry_run(&[backing_up(&Style::default())], out);
        return Ok(exit::DONE);
    }
    let folder = make_folder(&folder)?;
    let settings = &settings.for_trial(&folder);
    let engine = &settings.engine_for(make_config(&source, &folder, settings)?);
    write_wrapper(&folder, settings)?;
    let style = &settings.style;

    out.print_unless_quiet(&format!("{}\n", backing_up(style)));
    let (first, took) = back_up(engine, settings, out, true)?;
    out.print_unless_quiet(&format!(
        "{} {} ({}) copied in {took}\n",
        style.green("First snapshot:"),
        amount::plural(first.totals.files_copied, "file", "files"),
        amount::bytes(first.totals.bytes_copied),
    ));
    // By the retention the newer of two on one day stands for the day. Both are to be looked at.
    pin_snapshot(engine, settings, out, first.id)?;
    let (second, took) = back_up(engine, settings, out, false)?;
    out.print_unless_quiet(&format!(
        "{} {} hard-linked, {} copied in {took}",
        style.green("Second snapshot:"),
        amount::plural(second.totals.files_linked, "file", "files"),
        amount::count(second.totals.files_copied),
    ));
    out.print_unless_quiet(&format!(
        "  a whole folder again, {} of it without taking space again\n",
        amount::bytes(second.totals.bytes_linked)
    ));
    let restored = restore_one(engine, settings, out, second.id)?;
    show_ending(engine, settings, out, &first, &second, restored.as_deref());
    let whole = first.complete && second.complete;
    Ok(if whole { exit::DONE } else { exit::INCOMPLETE })
}

/// What to back up.
fn find_source(arguments: &Try) -> Result<PathBuf> {
    let hint = "name a folder that is there";
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
        .map(|name| home_folder().join(name))
        .chain(std::env::current_dir())
        .find(|folder| has_files(folder))
        .and_then(|folder| folder.canonicalize().ok())
        .ok_or_else(|| {
            Error::refused("there is nothing to back up here")
                .hint(hint)
                .into()
        })
}

/// Where to: a folder that is not inside the source.
fn choose_folder(arguments: &Try, source: &Path) -> Result<PathBuf> {
    let uid = nix::unistd::geteuid();
    Ok(match &arguments.to {
        Some(given) => typed::whole_path(given)?,
        None => {
            let own = xdg_folder("XDG_DATA_HOME", ".local/share").join("backup/try");
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
    })
}

/// Makes the folder, which is the user's own.
fn make_folder(folder: &Path) -> Result<PathBuf> {
    let named = folder.as_os_str().as_encoded_bytes();
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(|error| Error::io("make", named, error).hint("name another with --to FOLDER"))?;
    check_owner(folder)?;
    Ok(folder.canonicalize()?)
}

/// Refuses what is there and is not a folder of the user's own: in /var/tmp somebody else may have made
/// it first.
fn check_owner(folder: &Path) -> Result<()> {
    let uid = nix::unistd::geteuid();
    let is_own = folder
        .symlink_metadata()
        .map_or(true, |found| found.is_dir() && found.uid() == uid.as_raw());
    if is_own {
        return Ok(());
    }
    let message = format!("{} is not a folder of yours", shown(folder));
    Err(Error::refused(message)
        .hint("name another with --to FOLDER")
        .into())
}

/// The configuration of the trial, saved so that every other verb can go on from it, in this folder alone.
fn make_config(source: &Path, folder: &Path, settings: &Settings) -> Result<Config> {
    let absolute = |path: &Path| -> Result<AbsolutePath> {
        let text = path.to_str().ok_or_else(|| {
            Error::refused(format!("{} is not UTF-8", shown(path)))
                .hint("configurations name paths in UTF-8; name another folder")
        })?;
        Ok(AbsolutePath::new(text))
    };
    // A source given by name is backed up whole; only the user's own patterns leave things out.
    let mut exclude_patterns = LocalConfig::default().exclude_patterns;
    exclude_patterns.retain(|pattern| pattern == ".cache");
    let place = absolute(folder)?;
    let mut json = serde_json::to_vec_pretty(&serde_json::json!({
        "version": 1,
        TRIAL: place,
        "local": {
            "enable": true,
            "mountPoint": place,
            "useRsync": false,
            "minSpaceGB": 1,
            "sources": [absolute(source)?],
            "excludePatterns": exclude_patterns,
        }
    }))?;
    json.push(b'\n');
    let checked = check::check_config_in(place.as_str(), &json).map_err(|faults| {
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
fn back_up(
    engine: &Engine,
    settings: &Settings,
    out: &Out,
    shows_plan: bool,
) -> Result<(Sealed, String)> {
    let started = Instant::now();
    let screen = Screen::new(settings, out).for_trial(shows_plan);
    let applied = engine.apply(&ApplyRequest::default(), &screen);
    screen.clear();
    let report = match applied? {
        ApplyOutcome::Run(RunOutcome::Ended(report)) => report,
        ApplyOutcome::Run(outcome) => {
            return Err(Explained(outcome::show_not_begun(&outcome, settings, out)).into());
        }
        // Nobody asked whether it is due.
        ApplyOutcome::NothingDue { .. } => return Err(Explained(exit::DEFERRED).into()),
    };
    let took = amount::span(started.elapsed());
    match (&report.snapshot, report.result) {
        (Some(sealed), RunResult::Success) => Ok((sealed.clone(), took)),
        (sealed, result) => {
            let folder = engine.run_folder(&report.run_id);
            let folder = shown(&folder);
            out.print_message(&render::report::report_page(
                &report,
                &folder,
                render::report::Telling::WHOLE,
                &settings.error_style,
            ));
            match sealed {
                Some(sealed) => Ok((sealed.clone(), took)),
                None => Err(Explained(exit::code_of_result(result)).into()),
            }
        }
    }
}

/// Keeps a snapshot whatever the retention says.
fn pin_snapshot(engine: &Engine, settings: &Settings, out: &Out, id: SnapshotId) -> Result<()> {
    let screen = Screen::new(settings, out).for_trial(false);
    let pinned = engine.mark(&id.to_string(), Mark::Pin, &screen);
    screen.clear();
    explain_not_begun(&pinned?, settings, out)
}

/// Ends the trial where a step of it was not begun.
fn explain_not_begun(outcome: &RunOutcome, settings: &Settings, out: &Out) -> Result<()> {
    match outcome {
        RunOutcome::Ended(_) => Ok(()),
        RunOutcome::NotBegun { .. } => {
            Err(Explained(outcome::show_not_begun(outcome, settings, out)).into())
        }
    }
}

/// Restores one file and compares it with the original.
fn restore_one(
    engine: &Engine,
    settings: &Settings,
    out: &Out,
    id: SnapshotId,
) -> Result<Option<PathBuf>> {
    let Some(original) = engine.pick_file(id)? else {
        return Ok(None);
    };
    let mount_point = engine.config().local.mount_point.as_path();
    let folder = mount_point.join(format!("restored-{id}"));
    std::fs::create_dir_all(&folder)?;
    let target = folder.join(original.file_name().unwrap_or_default());
    let request = RestoreRequest::new(id.to_string(), &original, &target);
    let screen = Screen::new(settings, out).for_trial(false);
    let quiet = executor::event::Silent;
    let restored = engine
        .prepare_restore(&request, &quiet)
        .and_then(|prepared| engine.restore(prepared, &screen));
    screen.clear();
    let restored = restored?;
    explain_not_begun(&restored, settings, out)?;
    if restored.report().result != RunResult::Success {
        outcome::show_last_step(&restored, settings, out);
        return Ok(None);
    }
    let same = same_content(&original, &target);
    out.print_unless_quiet(&format!(
        "{} {}\n  {}\n",
        settings.style.green("Restored:"),
        short_path(&target),
        if same {
            format!("the same as {}, byte for byte", short_path(&original))
        } else {
            format!("as it was; {} has changed since", short_path(&original))
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
fn show_ending(
    engine: &Engine,
    settings: &Settings,
    out: &Out,
    first: &Sealed,
    second: &Sealed,
    restored: Option<&Path>,
) {
    let style = &settings.style;
    let folder = engine.config().local.mount_point.as_path();
    let base = folder.join(engine.host_folder());
    let command = folder.join("backup");
    let command = short_path(&command);
    let home = |id: SnapshotId| {
        let home = engine.home_of(id);
        home.map_or_else(|| id.to_string(), |home| format!("{home}/{id}"))
    };
    let mut text = format!(
        "{}\n  {}/\n    {}\n    {}\n    latest -> the newer one\n",
        style.bold("Two plain folders, to look at with any program:"),
        short_path(&base),
        home(first.id),
        home(second.id),
    );
    if restored.is_none() {
        text.push_str("  (there was no file to restore)\n");
    }
    text.push_str(&format!(
        "\n{}\n  {command} list       all snapshots\n  {command} plan       what a run would do\n  \
         {command} now        another snapshot\n\n\
         To back up for good, to a drive:\n  {} setup\n\
         To forget all this:\n  rm -rf {}\n",
        style.bold("Next:"),
        called::program_word(),
        short_path(folder),
    ));
    out.print_unless_quiet(&text);
}

/// A path as a shell's user would write it, with `~` for the home folder.
fn short_path(path: &Path) -> String {
    let own = home_folder();
    match path.strip_prefix(&own) {
        Ok(below) if own != Path::new("/") => {
            format!("~/{}", shell::word(below.as_os_str().as_encoded_bytes()))
        }
        _ => shell::word(path.as_os_str().as_encoded_bytes()),
    }
}

/// Makes this program reachable with the trial's own settings, for whoever wants to go on.
fn write_wrapper(folder: &Path, settings: &Settings) -> Result<()> {
    let quote = |path: &Path| shell::word(path.as_os_str().as_encoded_bytes());
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
