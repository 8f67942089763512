//! `verify`: compares snapshots with their manifests, and heals what is damaged.

use anyhow::Result;
use backup::engine::{CloudDepth, VerifyOutcome, VerifyRequest, damage_left};
use schema::{output::cloud::CloudVerification, verify::Depth};

use crate::{
    cli::Verify,
    commands::outcome,
    exit::{self, invalid_input},
    out::Out,
    render::amount,
    render::{hint, verify::AGAIN},
    screen::Screen,
    settings::Settings,
    style::printable,
};

/// Compares snapshots with their manifests; the exit code says whether they are whole.
pub(crate) fn verify_snapshots(arguments: &Verify, settings: &Settings, out: &Out) -> Result<u8> {
    let engine = settings.open_engine(out)?;
    let screen = Screen::new(settings, out)
        .told_at_end()
        .repairing(arguments.repair);
    let is_remote = engine.is_of_remote() || engine.is_of_mirror();
    if is_remote {
        refuse_for_remote(arguments, engine.is_of_mirror())?;
    }
    let is_far = arguments.cloud || is_remote;
    if is_far && !arguments.against_state {
        let named = arguments.snapshot.as_deref();
        let verified = engine.verify_cloud(named, cloud_depth(arguments), &screen);
        screen.clear();
        let remote = engine.cloud_remote();
        let place = match (engine.is_of_remote(), named) {
            (true, None) => Place::History(&remote),
            (true, Some(_)) => Place::Snapshot(&remote),
            (false, _) => Place::Mirror(&remote),
        };
        return Ok(show_cloud_verification(&verified?, place, settings, out));
    }
    let verified = engine.verify(&verify_request(arguments), &screen);
    screen.clear();
    let verified = verified?;
    match &verified {
        VerifyOutcome::Verified(found) if arguments.dry_run && !settings.json => {
            let left = damage_left(found);
            let would = found.damage_count - left;
            let line = match (would, left) {
                (0, 0) => "there is nothing to repair".to_owned(),
                (_, 0) => "all of it would be repaired".to_owned(),
                (0, _) => "none of it can be repaired".to_owned(),
                (would, left) => format!(
                    "{} of it would be repaired, {} not",
                    amount::count(would),
                    amount::count(left)
                ),
            };
            outcome::show_dry_run(&[line], out);
            exit::DONE
        }
        VerifyOutcome::RepairNotBegun(run) => outcome::show_not_begun(run, settings, out),
        VerifyOutcome::Verified(found) if settings.json => {
            out.print_json(found);
            exit::DONE
        }
        // It was shown as it came.
        VerifyOutcome::Verified(found) => {
            let none_repaired = damage_left(found) == found.damage_count;
            if arguments.repair && none_repaired && !verified.is_whole() {
                out.print_message(&hint::line(2, AGAIN));
            }
            exit::DONE
        }
    };
    Ok(match verified.failed_repair() {
        Some(report) => exit::code_of_result(report.result),
        None if verified.is_whole() => exit::DONE,
        None => exit::INCOMPLETE,
    })
}

/// Refuses what a named remote is not asked for.
fn refuse_for_remote(arguments: &Verify, is_mirror: bool) -> Result<()> {
    let (option, hint) = if is_mirror && arguments.snapshot.is_some() {
        (
            "a snapshot: it is a mirror",
            "leave it out: a mirror has the files of the newest one",
        )
    } else if arguments.against_state {
        ("--against-state", "it is for disks")
    } else if arguments.repair {
        (
            "--repair",
            "the next `backup apply` uploads damaged contents again, as far as they are still here",
        )
    } else {
        return Ok(());
    };
    Err(invalid_input(
        format!("a remote is not verified with {option}"),
        hint,
    ))
}

fn verify_request(arguments: &Verify) -> VerifyRequest {
    let all = arguments.all || arguments.against_state || arguments.subset.is_some();
    let named = arguments.snapshot.clone();
    VerifyRequest {
        snapshot: named.or_else(|| (!all).then(|| "latest".to_owned())),
        depth: match (arguments.quick, arguments.subset) {
            (true, _) => Depth::Quick,
            (false, Some((part, of))) => Depth::Subset { part, of },
            (false, None) => Depth::Full,
        },
        repair: arguments.repair,
        dry_run: arguments.dry_run,
        against_state: arguments.against_state,
        ask_cloud: arguments.cloud,
    }
}

fn cloud_depth(arguments: &Verify) -> CloudDepth {
    match (arguments.quick, arguments.subset, arguments.full) {
        (true, _, _) => CloudDepth::SizesOnly,
        (_, Some((part, of)), _) => CloudDepth::Part { part, of },
        (_, _, true) => CloudDepth::Full,
        _ => CloudDepth::OfTheDay,
    }
}

/// Where what was compared stands.
#[derive(Clone, Copy)]
enum Place<'a> {
    /// The newest snapshot as files.
    Mirror(&'a str),
    /// The contents of all snapshots.
    History(&'a str),
    /// The contents of one.
    Snapshot(&'a str),
}

/// Shows what a comparison with the copy in the cloud found; gives the exit code.
fn show_cloud_verification(
    found: &CloudVerification,
    place: Place<'_>,
    settings: &Settings,
    out: &Out,
) -> u8 {
    if settings.json {
        out.print_json(found);
    } else {
        out.print_data(&cloud_text(found, place));
    }
    if found.damage_count > 0 {
        exit::INCOMPLETE
    } else {
        exit::DONE
    }
}

fn cloud_text(found: &CloudVerification, place: Place<'_>) -> String {
    let bytes = amount::bytes(found.bytes);
    let mut text = match place {
        Place::Mirror(remote) => format!(
            "{} at {}: {} ({bytes}) compared by size",
            found.id,
            printable(remote),
            amount::plural(found.files, "file", "files"),
        ),
        Place::History(remote) => format!(
            "snapshots at {} up to {}: {} ({bytes}) compared by size",
            printable(remote),
            found.id,
            amount::plural(found.files, "content", "contents"),
        ),
        Place::Snapshot(remote) => format!(
            "{} at {}: {} ({bytes}) compared by size",
            found.id,
            printable(remote),
            amount::plural(found.files, "content", "contents"),
        ),
    };
    if let Some(hash) = &found.hash {
        text.push_str(&format!(
            ", {} ({}) by {hash}",
            amount::count(found.hashed_files),
            amount::bytes(found.hashed_bytes)
        ));
    }
    text.push_str(&format!(
        ", {} ({}) downloaded and read",
        amount::count(found.read_files),
        amount::bytes(found.read_bytes)
    ));
    for damage in &found.damage {
        let line = format!("{}: {}", damage.path, damage.message);
        text.push_str(&format!("\n  {}", printable(&line)));
    }
    if found.damage_count > 0 {
        text.push_str(&format!(
            "\n{}\n{}",
            match place {
                Place::Mirror(_) => amount::plural(
                    found.damage_count,
                    "file is not whole",
                    "files are not whole"
                ),
                Place::History(_) | Place::Snapshot(_) => amount::plural(
                    found.damage_count,
                    "content is not whole",
                    "contents are not whole"
                ),
            },
            hint::line(
                0,
                "the next `backup apply` uploads them again, as far as they are still here"
            )
        ));
    }
    text
}
