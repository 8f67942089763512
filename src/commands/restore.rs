//! `restore`: copies files and folders out of a snapshot.

use std::{
    collections::BTreeSet,
    io::{BufRead as _, IsTerminal as _},
    os::unix::ffi::OsStrExt as _,
    path::{Component, Path, PathBuf},
};

use anyhow::Result;
use chrono::{DateTime, FixedOffset, Local};
use executor::{
    Error,
    event::Context,
    restore::{self, Choice, Request},
    store::Store,
};
use schema::{
    Config, Report, StoredPathBuf,
    inventory::DestinationState,
    journal::Status,
    output::restore::RestorePreview,
    plan::{Action, Owner, RestoreStep},
};

use crate::{
    cli::{At, Origin, Restore},
    commands::{
        apply::Worker,
        from_cloud::{self, Asked},
        list::{self, present},
    },
    exit::{self, invalid},
    out::Out,
    render,
    settings::Settings,
    snapshots::{self, Named},
    take, typed, when,
};

/// What a person asks for.
struct Wanted<'a> {
    /// The snapshot's name; none with `--as-of`.
    snapshot: Option<&'a str>,
    /// What is restored.
    paths: Vec<PathBuf>,
    /// What becomes its content; none with `--in-place`.
    target: Option<PathBuf>,
}

/// Copies files and folders out of a snapshot, or lists the snapshots.
pub(crate) fn run(arguments: &Restore, settings: &Settings, out: &Out) -> Result<u8> {
    if arguments.list && arguments.from == Some(Origin::Cloud) {
        return from_cloud::list(&settings.config(out)?, settings, out);
    }
    if arguments.list {
        return list::run(&At { now: None }, settings, out);
    }
    let wanted = wanted(arguments)?;
    let config = settings.config(out)?;
    if arguments.from != Some(Origin::Cloud) {
        return restore(arguments, &wanted, &config, settings, out);
    }
    // What the remote has is not known yet: the sources tell what a relative path means.
    let paths = wanted.paths.iter();
    let wanted = Wanted {
        paths: paths.map(|path| typed::meant(path, &config)).collect(),
        ..wanted
    };
    let now = Local::now().fixed_offset();
    let asked = Asked {
        snapshot: wanted.snapshot.unwrap_or_default(),
        as_of: as_of(arguments, now)?.map(|(_, time)| time),
        paths: &wanted.paths,
        staging: arguments.staging.as_deref(),
    };
    let (brought, id) = from_cloud::bring(&asked, &config, settings, out)?;
    let id = id.to_string();
    let wanted = Wanted {
        snapshot: Some(&id),
        ..wanted
    };
    let code = restore(arguments, &wanted, &brought, settings, out)?;
    if code == exit::DONE && !arguments.dry_run {
        from_cloud::clear(&brought, settings)?;
    }
    Ok(code)
}

/// Restores from the destination of a configuration.
fn restore(
    arguments: &Restore,
    wanted: &Wanted<'_>,
    config: &Config,
    settings: &Settings,
    out: &Out,
) -> Result<u8> {
    let now = Local::now().fixed_offset();
    let destination = present(settings, config)?;
    let named = snapshot(arguments, wanted, &destination, now, out).map_err(|error| {
        let name = wanted.snapshot.unwrap_or_default();
        let elsewhere = from_cloud::elsewhere(name, config, settings, now);
        elsewhere.map_or(error, Into::into)
    })?;
    let worker = Worker::new(settings, out, config, now);
    let report = worker.with(|context| {
        let steps = look(arguments, wanted, config, &named, now, context)?;
        worker.clear();
        if !agreed(arguments, &steps, settings, out)? {
            return Ok(None);
        }
        let inventory = take::inventory_of(settings, now, Some(destination))?;
        let actions = steps.into_iter().map(Action::Restore).collect();
        let plan = planner::small_all(config, &inventory, actions);
        worker.small(&plan, &inventory, context).map(Some)
    })?;
    let Some(report) = report else {
        return Ok(exit::DONE);
    };
    show(&report, "restore", settings, out);
    Ok(exit::of_result(report.result))
}

/// Takes the words apart: snapshot, paths, target.
fn wanted(arguments: &Restore) -> Result<Wanted<'_>> {
    let usage = |message: &str| invalid(message, "`backup restore --help` shows how it is used");
    let mut paths: Vec<PathBuf> = arguments.paths.clone();
    let first = arguments.snapshot.as_ref();
    let snapshot = match (first, &arguments.as_of) {
        (None, _) => return Err(usage("nothing is named that is to be restored")),
        (Some(first), Some(_)) => {
            paths.insert(0, PathBuf::from(first));
            None
        }
        (Some(first), None) => Some(
            first
                .to_str()
                .ok_or_else(|| usage("the snapshot's name is no text"))?,
        ),
    };
    let target = if arguments.in_place {
        None
    } else {
        paths.pop()
    };
    if paths.is_empty() {
        return Err(usage(if arguments.in_place {
            "a snapshot and a path are needed"
        } else {
            "a snapshot, a path and a target are needed"
        }));
    }
    Ok(Wanted {
        snapshot,
        paths,
        target,
    })
}

/// The snapshot that is meant.
fn snapshot(
    arguments: &Restore,
    wanted: &Wanted<'_>,
    destination: &DestinationState,
    now: DateTime<FixedOffset>,
    out: &Out,
) -> Result<Named> {
    if let Some(name) = wanted.snapshot {
        let named = snapshots::find(name, destination, now)?;
        out.say(&format!(
            "from {}/{}{}",
            named.home,
            named.folder,
            made(&named, destination)
        ));
        if let Some(warning) = snapshots::passed_over(name, &named, destination, None) {
            out.note(&warning);
        }
        return Ok(named);
    }
    let Some((text, time)) = as_of(arguments, now)? else {
        return snapshots::find("", destination, now);
    };
    let named = snapshots::as_of(time, destination)?;
    out.say(&format!(
        "as of {text}: {}/{}{}",
        named.home,
        named.folder,
        made(&named, destination)
    ));
    if let Some(warning) = snapshots::passed_over("", &named, destination, Some(time)) {
        out.note(&warning);
    }
    Ok(named)
}

/// The time that is meant with `--as-of`, with its words.
fn as_of(
    arguments: &Restore,
    now: DateTime<FixedOffset>,
) -> Result<Option<(&str, DateTime<FixedOffset>)>> {
    let Some(text) = &arguments.as_of else {
        return Ok(None);
    };
    let hint = "say it as '2 weeks ago', yesterday, 2025-01-16 or '2025-01-16 14:00'";
    let time = when::parse(text, now, &Local)
        .ok_or_else(|| invalid(format!("--as-of {text}: that is no time"), hint))?;
    if time > now {
        return Err(invalid(
            format!("--as-of {text}: that is yet to come"),
            hint,
        ));
    }
    Ok(Some((text, time)))
}

/// When a snapshot was made, as the end of a sentence.
fn made(named: &Named, destination: &DestinationState) -> String {
    let mut all = destination.snapshots.iter();
    let found = all.find(|one| named.managed && Some(one.record.id) == named.id);
    found.map_or_else(String::new, |one| {
        let at = one.record.started_at.format("%Y-%m-%d %H:%M");
        match &one.manifest_fault {
            None => format!(", made {at}"),
            Some(_) => format!(", made {at}, whose manifest is damaged"),
        }
    })
}

/// Compares what is to be restored with what is there.
fn look(
    arguments: &Restore,
    wanted: &Wanted<'_>,
    config: &Config,
    named: &Named,
    now: DateTime<FixedOffset>,
    context: Context<'_>,
) -> Result<Vec<RestoreStep>> {
    let store = take::store(config)?
        .ok_or_else(|| Error::refused("nothing was ever backed up to this destination"))?;
    let home_folder = format!("{}/{}", named.home, named.folder);
    let tree = || store.folder(&[named.home.folder(), &named.folder]);
    let one = |path: &Path, target: &Path, only: Vec<Vec<u8>>| -> Result<RestoreStep> {
        let target = std::path::absolute(target)?;
        let through = through(config, path, &target);
        let request = Request {
            store: &store,
            snapshot: named.id,
            home_folder: &home_folder,
            tree: tree()?,
            path,
            target: &target,
            overwrite: arguments.overwrite || arguments.in_place,
            aside_suffix: format!(".before-{}", now.format("%Y-%m-%d_%H-%M-%S")),
            choice: Choice {
                only,
                owner: arguments.as_me.then(me),
                numeric_ids: arguments.numeric_ids,
                read_back: !arguments.no_read_back,
            },
            through,
        };
        Ok(restore::plan(&request, &context)?)
    };
    let there = tree()?;
    let paths = wanted.paths.iter();
    let paths: Vec<PathBuf> = paths
        .map(|path| {
            located(path, config, |path| {
                restore::has(&store, named.id, &home_folder, &there, path)
            })
        })
        .collect();
    let steps = if is_one(&paths, &store, named)? {
        let path = &paths[0];
        let target = wanted.target.clone().unwrap_or_else(|| original(path));
        vec![one(path, &target, Vec::new())?]
    } else {
        let selections = restore::select(
            &store,
            named.id,
            &home_folder,
            &there,
            &paths,
            wanted.target.is_some(),
            &context,
        )?;
        let steps = selections.into_iter().map(|selection| {
            let target = wanted.target.clone();
            let target = target.unwrap_or_else(|| original(&selection.folder));
            one(&selection.folder, &target, selection.names)
        });
        steps.collect::<Result<Vec<_>>>()?
    };
    // Each step looks for itself; here nothing begins unless all of it can be done.
    if steps.len() > 1
        && let Some(step) = steps.iter().find(|step| differs(step) && !step.overwrite)
    {
        let put_right = step.put_right.iter();
        let put_right = put_right.map(|one| format!("{} ({})", one.path, one.what));
        let named: Vec<String> = step.conflicts.iter().cloned().chain(put_right).collect();
        return Err(Error::refused(format!(
            "would replace what is there and differs from the snapshot: {} in {}",
            named.join(", "),
            step.target
        ))
        .hint("--overwrite takes the snapshot's and keeps the old ones aside")
        .into());
    }
    if !arguments.dry_run {
        restore::check_room(&store, &steps)?;
    }
    Ok(steps)
}

/// Where a path is that a person typed: as it is written where the snapshot has that, else as a
/// pattern below a folder that it has.
fn located(path: &Path, config: &Config, has: impl Fn(&Path) -> bool) -> PathBuf {
    let meanings = typed::meanings(path);
    let plain = |meaning: &Path| -> PathBuf {
        let special = |part: &Component<'_>| {
            let name = part.as_os_str().as_bytes();
            name.iter().any(|byte| b"*?[\\".contains(byte))
        };
        meaning
            .components()
            .take_while(|part| !special(part))
            .collect()
    };
    let found = meanings.iter().find(|meaning| has(meaning));
    let is_pattern = plain(path).as_path() != path;
    let found = found.or_else(|| {
        let mut below = meanings.iter();
        below.find(|meaning| is_pattern && has(&plain(meaning)))
    });
    found.map_or_else(|| typed::meant(path, config), Clone::clone)
}

/// Whether something is there that is not as the snapshot has it.
fn differs(step: &RestoreStep) -> bool {
    step.conflict_count + step.put_right_count > 0
}

/// Where a path of the machine was.
fn original(path: &Path) -> PathBuf {
    Path::new("/").join(path.strip_prefix("/").unwrap_or(path))
}

/// The folders on the way to sources, relative to a path that is restored to where it was: a symlink
/// that stands there now is what the source was read through.
fn through(config: &Config, path: &Path, target: &Path) -> Vec<Vec<u8>> {
    let path: PathBuf = original(path).components().collect();
    if path != target {
        return Vec::new();
    }
    let mut through = BTreeSet::new();
    for source in &config.local.sources {
        let above = source.as_path().ancestors();
        let below = above.filter_map(|one| one.strip_prefix(&path).ok());
        through.extend(below.map(|one| one.as_os_str().as_bytes().to_vec()));
    }
    through.into_iter().collect()
}

/// Whether it is one path, which the target becomes, and neither several nor a pattern.
fn is_one(paths: &[PathBuf], store: &Store, named: &Named) -> Result<bool> {
    let [path] = paths else {
        return Ok(false);
    };
    let text = path.as_os_str().as_bytes();
    if !text.iter().any(|byte| b"*?[".contains(byte)) {
        return Ok(true);
    }
    // What is there as it is written is no pattern.
    let tree = store.folder(&[named.home.folder(), &named.folder])?;
    Ok(tree
        .descend(&StoredPathBuf::of_typed(text))
        .is_ok_and(|(dir, name)| dir.look(name).is_ok_and(|there| there.is_some())))
}

/// Who runs this.
fn me() -> Owner {
    Owner {
        uid: nix::unistd::geteuid().as_raw(),
        gid: nix::unistd::getegid().as_raw(),
    }
}

/// Shows what would be done where a person is to see it, and asks where a person is to agree.
fn agreed(
    arguments: &Restore,
    steps: &[RestoreStep],
    settings: &Settings,
    out: &Out,
) -> Result<bool> {
    if arguments.dry_run {
        if settings.json {
            out.data_json(&RestorePreview::from(steps));
        } else {
            out.data(&render::restore::restore_preview(steps));
        }
        return Ok(false);
    }
    let differs = steps.iter().any(differs);
    if !arguments.in_place {
        // As JSON there is one document, the report, and it names the first of them.
        if differs && !arguments.overwrite && !settings.json {
            out.data(&render::restore::restore_preview(steps));
        }
        return Ok(true);
    }
    if !settings.json {
        out.say(&render::restore::restore_preview(steps));
    }
    if arguments.yes {
        return Ok(true);
    }
    let refused = |message: &str| {
        Error::refused(message.to_owned()).hint("look at it with --dry-run, then run it with --yes")
    };
    if settings.json || !std::io::stdin().is_terminal() {
        return Err(refused(
            "--in-place changes files where they are, and there is nobody to ask here",
        )
        .into());
    }
    out.note("Restore this in place? [y/N] ");
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    if matches!(answer.trim().to_lowercase().as_str(), "y" | "yes") {
        return Ok(true);
    }
    Err(refused("nothing was changed").into())
}

/// Shows how each step of this kind ended, and what went wrong.
pub(crate) fn show(report: &Report, kind: &str, settings: &Settings, out: &Out) {
    if settings.json {
        out.data_json(report);
        return;
    }
    for done in report
        .steps
        .iter()
        .filter(|done| !done.outcome.message.is_empty())
    {
        let outcome = &done.outcome;
        match outcome.status {
            Status::Succeeded if done.step.starts_with(kind) => out.say(&outcome.message),
            Status::Succeeded => {}
            _ => out.note(&render::report::error_lines(
                &outcome.message,
                outcome.hint.as_deref(),
                &settings.error_style,
            )),
        }
        for problem in &outcome.problems {
            out.note(&format!("  {}: {}", problem.path, problem.message));
        }
    }
}
