//! What is worth knowing of a destination that serves: leftovers, marks, what it cannot hold.
//!
//! Nothing here stops a run.

use schema::{
    FailureCode, Finding, SnapshotId,
    amount::gib,
    config::AbsolutePath,
    escape,
    inventory::{DestinationState, Leftover, SnapshotState},
    record::Capabilities,
    verify::DamagedFile,
};

use super::{
    code,
    finding::{counted, first_few, note, warning},
    records,
};
use crate::facts::{self, Facts};

/// The longest name on Linux, in bytes.
const LONGEST_NAME: u32 = 255;

/// What a person should know of the destination, whether or not anything runs.
pub(crate) fn of_destination(
    facts: &Facts<'_>,
    destination: &DestinationState,
    findings: &mut Vec<Finding>,
) {
    let found = destination.snapshots.iter().map(facts::candidate);
    let future: Vec<_> = found.filter(|one| one.in_future(facts.now)).collect();
    if !future.is_empty() {
        let count = future.len() as u64;
        findings.push(
            note(
                code::SNAPSHOT_IN_THE_FUTURE,
                format!(
                    "{} dated in the future, by the clock of {}: {}",
                    counted(count, "snapshot"),
                    facts.inventory.taken_at.format("%Y-%m-%d %H:%M"),
                    first_few(future.iter().map(|one| one.id.to_string()), count),
                ),
            )
            .hint(format!(
                "they are kept, count for nothing and hold nothing back; if the clock was wrong \
                 then and is right now (`timedatectl`), `backup delete {}` clears them away",
                future[0].id
            )),
        );
    }
    findings.extend(suspect_finding(destination));
    findings.extend(damaged_files(destination));
    findings.extend(records::damaged_records(destination, facts.host));
    findings.extend(records::of_state(facts.inventory));
    if let Some(can) = facts.capabilities() {
        check_capabilities(facts, destination, can, findings);
    }
    let foreign = destination.unmanaged.iter();
    // Who may not read the records cannot say whose folders these are.
    let is_closed = destination.record_fault_code == Some(FailureCode::PermissionDenied);
    let foreign: Vec<_> = foreign
        .filter(|one| one.record_fault.is_none() && !is_closed)
        .collect();
    let count = foreign.len() as u64;
    if count > 0 {
        let names = foreign
            .iter()
            .map(|one| format!("{}/{}", one.tier, one.name));
        findings.push(
            note(
                code::UNMANAGED_FOLDERS,
                format!(
                    "{} in {} not made by this program and left alone: {}",
                    counted(count, "folder"),
                    destination.mount_point,
                    first_few(names, count)
                ),
            )
            .hint("they are never deleted; `backup restore` reads from them too"),
        );
    }
}

/// What a person should know of the run, where there is one.
pub(super) fn of_run(
    facts: &Facts<'_>,
    destination: &DestinationState,
    findings: &mut Vec<Finding>,
) {
    if facts.newest.is_none() {
        let why = if destination.snapshots.is_empty() {
            "the destination has no snapshot yet"
        } else {
            "no snapshot of the destination has a manifest that can be read"
        };
        let message = format!("{why}, so everything is copied");
        findings.push(note(code::FIRST_SNAPSHOT, message));
    }
    stuck_leftovers(facts, destination, findings);
}

/// That suspect snapshots stand there that nobody has accepted. Those that are like each other are
/// one event, which one command settles.
pub(crate) fn suspect_finding(destination: &DestinationState) -> Option<Finding> {
    let suspect: Vec<_> = destination
        .snapshots
        .iter()
        .filter(|snapshot| facts::candidate(snapshot).suspect)
        .collect();
    let count = suspect.len() as u64;
    let ids: Vec<String> = suspect
        .iter()
        .map(|one| one.record.id.to_string())
        .collect();
    let mut events: Vec<(SnapshotId, Vec<&SnapshotState>)> = Vec::new();
    for snapshot in suspect {
        let since = facts::suspect_since(snapshot);
        match events.iter_mut().find(|(event, _)| *event == since) {
            Some((_, like)) => like.push(snapshot),
            None => events.push((since, vec![snapshot])),
        }
    }
    events.first()?;
    let described = events.iter().filter_map(|(_, like)| {
        let first = like.first()?;
        let why = first.record.suspect.join("; ");
        Some(match like.len() - 1 {
            0 => format!("{} ({why})", first.record.id),
            1 => format!("{} and 1 later one like it ({why})", first.record.id),
            more => format!("{} and {more} later ones like it ({why})", first.record.id),
        })
    });
    let commands = events
        .iter()
        .filter_map(|(_, like)| Some(format!("`backup accept {}`", like.first()?.record.id)));
    Some(
        warning(
            code::SUSPECT_SNAPSHOT,
            format!(
                "{} {HOLDS_BACK}: {}",
                match count {
                    1 => "1 snapshot is".to_owned(),
                    _ => format!("{count} snapshots are"),
                },
                first_few(described, events.len() as u64)
            ),
        )
        .hint(format!(
            "{}; else put right what is wrong, and {} clears what is not worth keeping",
            match events.len() {
                1 => format!("{} if it is as it should be", first_few(commands, 1)),
                many => format!(
                    "{} if they are as they should be",
                    first_few(commands, many as u64)
                ),
            },
            match ids.as_slice() {
                few if few.len() <= 3 => format!("`backup delete {}`", few.join(" ")),
                _ => "`delete` with their ids, which `backup list` shows,".to_owned(),
            }
        )),
    )
}

/// What a suspect snapshot comes to, in the words of its finding, and so of what waits for it.
pub(crate) const HOLDS_BACK: &str = "suspect, and nothing is deleted until a person has looked";

/// The command that heals these files: of the one snapshot that has all of them, if there is one.
#[must_use]
pub fn repair_command(damaged: &[DamagedFile]) -> String {
    let has = |one: &DamagedFile, id| one.names.iter().any(|name| name.snapshot == id);
    let first = damaged.first().map_or(&[][..], |first| &first.names);
    let shared = first.iter().map(|name| name.snapshot);
    let shared = shared.filter(|id| damaged.iter().all(|one| has(one, *id)));
    match shared.max() {
        Some(id) => format!("`backup verify {id} --repair`"),
        None => "`backup verify --all --repair`".to_owned(),
    }
}

/// That stored files are known to be damaged.
fn damaged_files(destination: &DestinationState) -> Option<Finding> {
    let first = destination.damaged.first()?;
    let count = destination.damaged.len() as u64;
    let (are, them) = match count {
        1 => ("1 stored file is".to_owned(), "it"),
        _ => (format!("{count} stored files are"), "them"),
    };
    let path = first.names.first().map_or("", |name| name.path.as_str());
    let path = escape::unescape(path).unwrap_or_default();
    let path = format!("/{}", escape::display(&path));
    Some(
        note(
            code::DAMAGED_FILES,
            format!(
                "{are} known to be damaged, and no new snapshot is linked to {them}: {}",
                first_few([path], count)
            ),
        )
        .hint(format!(
            "heal what can be healed with {}",
            repair_command(&destination.damaged)
        )),
    )
}

/// What stays in the trash although its removal is tried by each run.
pub(super) fn stuck_trash(facts: &Facts<'_>, destination: &DestinationState) -> Option<Finding> {
    let trash = destination.trash.iter();
    let stuck: Vec<&Leftover> = trash.filter(|left| left.stuck > 0).collect();
    let count = stuck.len() as u64;
    let first = stuck.first()?.id;
    let (path, host) = (&destination.mount_point, facts.host);
    Some(
        note(
            code::TRASH_NOT_EMPTIED,
            format!(
                "{} cannot be removed wholly from the trash, as entries in {} are immutable \
                 (chattr): {}; what they hold does not count as free",
                counted(count, "snapshot"),
                if count == 1 { "it" } else { "them" },
                first_few(stuck.iter().map(|left| left.id.to_string()), count)
            ),
        )
        .hint(format!(
            "`chattr -R -ia {}` ends that",
            schema::shell::word(format!("{path}/{host}/.backup/trash/{first}"))
        )),
    )
}

fn stuck_leftovers(facts: &Facts<'_>, destination: &DestinationState, findings: &mut Vec<Finding>) {
    let whole = || destination.trash.iter().filter(|left| left.stuck == 0);
    let bytes: u64 = whole().map(|left| left.bytes).sum();
    let count = whole().count() as u64;
    if count > 0 {
        let ids = whole().map(|left| left.id.to_string());
        findings.push(note(
            code::REMOVAL_RESUMED,
            format!(
                "the interrupted removal of {} is ended first, which frees {}: {}",
                counted(count, "snapshot"),
                gib(bytes),
                first_few(ids, count)
            ),
        ));
    }
    let removed = facts::removed_by_hand(destination);
    if !removed.is_empty() {
        let count = removed.len() as u64;
        findings.push(note(
            code::RECORDS_CLEARED,
            format!(
                "{} {} removed by hand, and what is recorded of them is cleared: {}",
                counted(count, "snapshot"),
                if count == 1 { "was" } else { "were" },
                first_few(removed.iter().map(ToString::to_string), count)
            ),
        ));
    }
    if let Some(left) = facts.partials.continued {
        findings.push(note(
            code::PARTIAL_CONTINUED,
            format!(
                "the unfinished snapshot {} is continued: {} and {} are there",
                left.id,
                counted(left.entries, "entry"),
                gib(left.bytes),
            ),
        ));
    }
    for (left, reason) in &facts.partials.discarded {
        findings.push(note(
            code::PARTIAL_DISCARDED,
            format!(
                "the unfinished snapshot {} is thrown away, which frees {}: {reason}",
                left.id,
                gib(left.bytes)
            ),
        ));
    }
}

/// What the destination cannot hold, and what is done about it.
fn check_capabilities(
    facts: &Facts<'_>,
    destination: &DestinationState,
    can: &Capabilities,
    findings: &mut Vec<Finding>,
) {
    let path = &destination.mount_point;
    if !can.hard_links && facts.config.local.allow_full_copies {
        findings.push(note(
            code::FULL_COPIES,
            format!(
                "{path} has no hard links: each snapshot is a whole copy (local.allowFullCopies)"
            ),
        ));
    }
    let gaps = can.gaps(facts.inventory.privileged);
    if !gaps.is_empty() {
        findings.push(note(
            code::KEPT_IN_MANIFEST_ONLY,
            format!(
                "{path} cannot hold {}: the manifest does, and a restore puts them back",
                gaps.join(", ")
            ),
        ));
    }
    if !can.symlinks {
        findings.push(note(
            code::NO_TIER_LINKS,
            format!("{path} has no symlinks, so `latest` and the links between tiers are left out"),
        ));
    }
    findings.extend(describe_limited_names(path, can));
    if let Some(limit) = can.file_max {
        findings.push(note(
            code::FILES_LIMITED,
            format!(
                "{path} cannot hold files of more than {}: they are listed and not stored",
                gib(limit)
            ),
        ));
    }
    findings.extend(describe_folded_names(path, can));
}

/// That names with some characters, or of some length, are stored as others.
fn describe_limited_names(path: &AbsolutePath, can: &Capabilities) -> Option<Finding> {
    let mut in_names = can.names.in_words();
    if can.name_max < LONGEST_NAME {
        in_names.push(format!("more than {} bytes", can.name_max));
    }
    if in_names.is_empty() {
        return None;
    }
    Some(note(
        code::NAMES_LIMITED,
        format!(
            "{path} cannot hold names with {}: such files are stored under others, which the \
             manifest knows",
            in_names.join(", ")
        ),
    ))
}

/// That names which differ only a little are one name there.
fn describe_folded_names(path: &AbsolutePath, can: &Capabilities) -> Option<Finding> {
    if !can.folds_names() {
        return None;
    }
    let what = if can.case_sensitive {
        "in the way letters are written in Unicode"
    } else {
        "in case"
    };
    Some(note(
        code::NAMES_MAY_COLLIDE,
        format!(
            "{path} takes names that differ only {what} for one: of such files the first keeps its \
             name, and the others are stored under others, which the manifest knows"
        ),
    ))
}
