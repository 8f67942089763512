//! `restore`: copies files and folders out of a snapshot.

use std::path::PathBuf;

use anyhow::Result;
use backup::engine::{PreparedRestore, RestoreFrom, RestoreRequest, RestoreSnapshot, TypedPath};
use chrono::{DateTime, FixedOffset, Local};
use executor::restore::without_foretold;
use schema::{journal::Outcome, output::restore::RestorePreview, plan::Owner};

use crate::{
    cli::{At, List, Origin, Restore},
    commands::{agree, list, outcome},
    exit::{self, invalid_input},
    out::Out,
    render,
    screen::Screen,
    settings::Settings,
    typed, when,
};

/// The words of the command line, taken apart.
struct Words<'a> {
    /// The snapshot's name; none with `--as-of`.
    snapshot: Option<&'a str>,
    /// What is restored.
    paths: Vec<PathBuf>,
    /// What becomes its content; none with `--in-place`.
    target: Option<PathBuf>,
}

/// Copies files and folders out of a snapshot, or lists the snapshots.
pub(crate) fn restore_files(arguments: &Restore, settings: &Settings, out: &Out) -> Result<u8> {
    let from_cloud = arguments.from == Some(Origin::Cloud);
    if arguments.list && from_cloud {
        return list::list_copies(&settings.open_engine(out)?, settings, out);
    }
    if arguments.list {
        let every = List {
            at: At { now: None },
            destination: None,
        };
        return list::list_snapshots(&every, settings, out);
    }
    let words = split_words(arguments)?;
    let engine = settings.open_engine(out)?;
    let has_remote = from_cloud || !engine.config().destinations.is_empty();
    if arguments.staging.is_some() && !has_remote {
        return Err(invalid_input(
            "--staging is for what is downloaded from a remote",
            "add `--from cloud`, or leave it out",
        ));
    }
    let request = restore_request(arguments, words, from_cloud)?;
    let screen = Screen::new(settings, out)
        .told_at_end()
        .with_as_of(arguments.as_of.as_deref());
    let prepared = engine.prepare_restore(&request, &screen);
    screen.clear();
    let prepared = prepared?;
    if arguments.dry_run {
        show_dry_run(&prepared, settings, out);
        return Ok(exit::DONE);
    }
    show_and_ask(arguments, &prepared, settings, out)?;
    let steps = prepared.steps.clone();
    let restored = engine.restore(prepared, &screen);
    screen.clear();
    let is_shown = arguments.in_place;
    let said = |number: usize, outcome: &Outcome| match steps.get(number).filter(|_| is_shown) {
        Some(step) => without_foretold(&outcome.message, step),
        None => outcome.message.clone(),
    };
    Ok(outcome::show_steps(
        &restored?, "restore", &said, settings, out,
    ))
}

/// Takes the words apart: snapshot, paths, target.
fn split_words(arguments: &Restore) -> Result<Words<'_>> {
    let usage =
        |message: &str| invalid_input(message, "`backup restore --help` shows how it is used");
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
    Ok(Words {
        snapshot,
        paths,
        target,
    })
}

fn restore_request(
    arguments: &Restore,
    words: Words<'_>,
    from_cloud: bool,
) -> Result<RestoreRequest> {
    let snapshot = match words.snapshot {
        Some(name) => RestoreSnapshot::Named(name.to_owned()),
        None => RestoreSnapshot::AsOf(parse_as_of(arguments, Local::now().fixed_offset())?),
    };
    let meanings = |path: &PathBuf| TypedPath::with_meanings(typed::path_meanings(path));
    Ok(RestoreRequest {
        snapshot,
        paths: words.paths.iter().map(meanings).collect(),
        target: words.target,
        from: match from_cloud {
            true => RestoreFrom::Cloud,
            false => RestoreFrom::Destination,
        },
        staging: arguments.staging.clone(),
        overwrite: arguments.overwrite,
        owner: arguments.as_me.then(current_owner),
        numeric_ids: arguments.numeric_ids,
        read_back: !arguments.no_read_back,
        special: arguments.special,
        needs_room: !arguments.dry_run,
    })
}

/// The time that is meant with `--as-of`.
fn parse_as_of(arguments: &Restore, now: DateTime<FixedOffset>) -> Result<DateTime<FixedOffset>> {
    let text = arguments.as_of.as_deref().unwrap_or_default();
    let hint = "say it as '2 weeks ago', yesterday, 2025-01-16 or '2025-01-16 14:00'";
    let time = when::parse_time(text, now, &Local)
        .ok_or_else(|| invalid_input(format!("--as-of {text}: that is no time"), hint))?;
    if time > now {
        return Err(invalid_input(
            format!("--as-of {text}: that is yet to come"),
            hint,
        ));
    }
    Ok(time)
}

/// Who runs this.
fn current_owner() -> Owner {
    Owner {
        uid: nix::unistd::geteuid().as_raw(),
        gid: nix::unistd::getegid().as_raw(),
    }
}

fn show_dry_run(prepared: &PreparedRestore, settings: &Settings, out: &Out) {
    let steps = prepared.steps.as_slice();
    if !settings.json {
        out.print_data(&render::restore::restore_preview(steps));
        return;
    }
    out.print_json(&RestorePreview::from(steps));
}

/// Shows what would be done where a person is to see it, and asks where a person is to agree.
fn show_and_ask(
    arguments: &Restore,
    prepared: &PreparedRestore,
    settings: &Settings,
    out: &Out,
) -> Result<()> {
    let steps = &prepared.steps;
    if !arguments.in_place {
        return Ok(());
    }
    if !settings.json {
        out.print_unless_quiet(&render::restore::restore_preview(steps));
    }
    if arguments.yes {
        return Ok(());
    }
    let alone = "--in-place changes files where they are, and there is nobody to ask here";
    agree::ask_person("Restore this in place?", alone, settings, out)
}
