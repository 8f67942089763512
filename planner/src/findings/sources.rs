//! Refusals and warnings about the sources.
//!
//! Where a source really is was resolved by the scan: a bind mount or a symlink is found out here
//! although its path looks innocent. Paths as such are the config check's business.

use std::collections::BTreeMap;

use schema::{
    Finding,
    inventory::{DataPassedOver, DatabaseKind, DestinationState, Presence, SourceState},
};

use super::{
    code,
    finding::{counted, first_few, note, refusal, warning},
    overlaps::{self, is_below},
    patterns,
};
use crate::facts::Facts;

/// All findings about the sources.
pub(super) fn check_sources(facts: &Facts<'_>, findings: &mut Vec<Finding>) {
    let sources: Vec<&SourceState> = facts.sources().collect();
    let none_there = sources
        .iter()
        .all(|source| source.presence != Presence::Present);
    let scripted = facts.makes_sources();
    // The pre-script may make or mount them: whoever makes the snapshot looks again after it.
    if none_there && !scripted || sources.is_empty() {
        let paths = sources.iter().map(|source| source.path.to_string());
        let paths = first_few(paths, sources.len() as u64);
        findings.push(
            refusal(
                code::NOTHING_TO_BACK_UP,
                match sources.as_slice() {
                    [] => "nothing to back up: local.sources is empty".to_owned(),
                    _ => format!("nothing to back up: none of {paths} (local.sources) can be read"),
                },
            )
            .hint("mount or create the sources, or correct local.sources"),
        );
    }
    overlaps::check_overlaps(facts, &sources, findings);
    for source in sources {
        check_presence(facts, source, findings);
        check_content(facts, source, findings);
    }
    findings.extend(describe_spared(facts));
    findings.extend(patterns::without_effect(facts));
    findings.extend(databases_found(facts));
}

/// That databases are copied as files while they are written, where nothing runs before a backup
/// that could write them out: one note for all of them. That such a copy is torn cannot be seen.
fn databases_found(facts: &Facts<'_>) -> Option<Finding> {
    if facts.config.pre_backup_script.is_some() {
        return None;
    }
    let mut kinds: BTreeMap<DatabaseKind, (u64, String)> = BTreeMap::new();
    for source in facts.sources() {
        for found in &source.databases {
            let here = source.path.as_str();
            let (count, _) = kinds.entry(found.kind).or_insert_with(|| {
                let path = match found.example.as_str() {
                    "" => here.to_owned(),
                    below => format!("{}/{below}", here.trim_end_matches('/')),
                };
                (0, path)
            });
            *count += found.count;
        }
    }
    let total: u64 = kinds.values().map(|(count, _)| count).sum();
    let each: Vec<String> = kinds
        .iter()
        .map(|(kind, (count, example))| format!("{count} of {} ({example})", kind.name()))
        .collect();
    (total > 0).then(|| {
        note(
            code::DATABASES_AS_FILES,
            format!(
                "{} below local.sources {} copied as files, and a copy that is torn between them \
                 looks like any other: {}",
                counted(total, "database"),
                if total == 1 { "is" } else { "are" },
                each.join(", ")
            ),
        )
        .hint(
            "write each out before the backup with a preBackupScript (`sqlite3 FILE \".backup \
             COPY\"`, `pg_dumpall`, `mariadb-dump`), as docs/databases.md shows",
        )
    })
}

/// Which sources are not there and need not be: one note for all.
fn describe_spared(facts: &Facts<'_>) -> Option<Finding> {
    let spared: Vec<String> = facts
        .spared_sources()
        .map(|source| source.path.to_string())
        .collect();
    let count = spared.len() as u64;
    let are = if count == 1 {
        "is not there and need not be"
    } else {
        "are not there and need not be"
    };
    (count > 0).then(|| {
        note(
            code::OPTIONAL_SOURCE_NOT_THERE,
            format!(
                "{} {are} (local.optionalSources)",
                first_few(spared.into_iter(), count)
            ),
        )
    })
}

fn check_presence(facts: &Facts<'_>, source: &SourceState, findings: &mut Vec<Finding>) {
    if facts.makes_sources() {
        findings.extend(describe_not_yet_there(source));
        return;
    }
    findings.extend(describe_absence(facts, source));
    findings.extend(describe_unmounted(facts, source));
}

/// That a source is not there before the pre-script has run.
fn describe_not_yet_there(source: &SourceState) -> Option<Finding> {
    let path = &source.path;
    let how = match &source.presence {
        Presence::Present => return None,
        Presence::Missing => "is not there yet".to_owned(),
        Presence::Unreadable { because } => format!("cannot be read yet ({because})"),
    };
    Some(note(
        code::SOURCE_NOT_YET_THERE,
        format!("{path} (local.sources) {how}; the pre-script may make it"),
    ))
}

/// That a source, or what it had, is not there.
fn describe_absence(facts: &Facts<'_>, source: &SourceState) -> Option<Finding> {
    let path = &source.path;
    let emptied = facts.emptied.contains(&path);
    let had = describe_former(facts, source);
    let outcome = if emptied {
        format!("it had {had}, so the backup will be incomplete and suspect")
    } else {
        "the backup will be incomplete".to_owned()
    };
    let finding = match &source.presence {
        Presence::Missing => warning(
            code::SOURCE_MISSING,
            format!("{path} (local.sources) is not there; {outcome}"),
        )
        .hint("mount or create it, or remove it from local.sources"),
        Presence::Unreadable { because } => warning(
            code::SOURCE_UNREADABLE,
            format!("{path} (local.sources) cannot be read ({because}); {outcome}"),
        )
        .hint(reading_hint(facts)),
        Presence::Present if emptied => warning(
            code::SOURCE_EMPTY,
            format!("{path} (local.sources) is empty and had {had}; this one will be suspect"),
        )
        .hint(
            "check that it is mounted; if it is meant to be empty, accept the \
                 snapshot afterwards",
        ),
        Presence::Present => return None,
    };
    Some(finding)
}

/// That nothing is mounted on a source where something was.
fn describe_unmounted(facts: &Facts<'_>, source: &SourceState) -> Option<Finding> {
    let path = &source.path;
    let was_mounted = facts.reference.is_some_and(|before| {
        let mut then = before.record.sources.iter();
        then.any(|one| one.path == *path && one.mounted)
    });
    if source.presence != Presence::Present || !was_mounted || source.mounted {
        return None;
    }
    let unmounted = warning(
        code::SOURCE_NOT_MOUNTED,
        format!(
            "nothing is mounted on {path} (local.sources), where something was in the \
             last good snapshot"
        ),
    );
    Some(unmounted.hint(format!(
        "run `mount {}` if it should be",
        schema::shell::word(path.as_str())
    )))
}

/// What a source had in the snapshot that the new one is judged by.
fn describe_former(facts: &Facts<'_>, source: &SourceState) -> String {
    let Some(before) = facts.reference else {
        return "files".to_owned();
    };
    let mut sources = before.record.sources.iter();
    let files = sources
        .find(|one| one.path == source.path)
        .map_or(0, |one| one.files);
    match files {
        0 => "files in the last good snapshot".to_owned(),
        _ => format!(
            "{} in snapshot {}",
            counted(files, "file"),
            before.record.id
        ),
    }
}

fn check_content(facts: &Facts<'_>, source: &SourceState, findings: &mut Vec<Finding>) {
    check_passed_over(facts, source, findings);
    findings.extend(describe_immutable(source));
    findings.extend(describe_unreadable(facts, source));
    if let Some(destination) = facts.destination {
        findings.extend(describe_renamed(destination, source));
        findings.extend(describe_not_held(destination, source));
    }
}

/// The path of what a source has.
fn path_below(source: &SourceState, name: &str) -> String {
    format!("{}/{name}", source.path.as_str().trim_end_matches('/'))
}

/// That a source has entries that cannot be changed, which their copies can.
fn describe_immutable(source: &SourceState) -> Option<Finding> {
    let path = &source.path;
    let immutable = source.scan.immutable;
    (immutable > 0).then(|| {
        note(
            code::IMMUTABLE_ENTRIES,
            format!(
                "{} in {path} (local.sources) cannot be changed or only be appended to (chattr): \
                 the manifest says so, the snapshot does not, which could not be deleted else",
                counted(immutable, "entry")
            ),
        )
    })
}

/// That a source has entries that cannot be read.
fn describe_unreadable(facts: &Facts<'_>, source: &SourceState) -> Option<Finding> {
    let path = &source.path;
    let count = source.scan.unreadable;
    if count == 0 {
        return None;
    }
    let listed = source.unreadable.iter();
    let which = first_few(listed.map(|name| path_below(source, name)), count);
    let unreadable = warning(
        code::ENTRIES_UNREADABLE,
        format!(
            "{} in {path} (local.sources) cannot be read: {which}",
            counted(count, "entry")
        ),
    );
    Some(unreadable.hint(format!(
        "{}, or leave them out with local.excludePatterns",
        reading_hint(facts)
    )))
}

/// That the destination cannot hold the names of some entries.
fn describe_renamed(destination: &DestinationState, source: &SourceState) -> Option<Finding> {
    let path = &source.path;
    let count = source.scan.renamed;
    if count == 0 {
        return None;
    }
    let listed = source.renamed.iter();
    let listed = listed.map(|one| {
        let below = path_below(source, &one.path);
        format!("{below} (as {})", one.stored_as)
    });
    Some(note(
        code::NAMES_STORED_OTHERWISE,
        format!(
            "{} cannot hold the names of {} of {path} (local.sources): they are stored under \
             others, which the manifest knows, and come back under their own: {}",
            destination.mount_point,
            counted(count, "entry"),
            first_few(listed, count)
        ),
    ))
}

/// That the destination cannot hold some entries at all.
fn describe_not_held(destination: &DestinationState, source: &SourceState) -> Option<Finding> {
    let path = &source.path;
    let count = source.scan.not_held;
    if count == 0 {
        return None;
    }
    let listed = source.not_held.iter();
    let listed = listed.map(|one| {
        let below = path_below(source, &one.path);
        format!("{below} ({})", one.because)
    });
    let not_held = warning(
        code::ENTRIES_NOT_HELD,
        format!(
            "{} cannot hold {} of {path} (local.sources), so the backup will be \
             incomplete: {}",
            destination.mount_point,
            counted(count, "entry"),
            first_few(listed, count)
        ),
    );
    Some(not_held.hint(
        "rename them, leave them out with local.excludePatterns, or use a drive with \
         ext4, xfs or btrfs",
    ))
}

/// The file systems below a source that are not its own. Data of this machine in one of them is in
/// no snapshot, which stays a warning until somebody says that it is meant.
fn check_passed_over(facts: &Facts<'_>, source: &SourceState, findings: &mut Vec<Finding>) {
    let below = |name: &String| path_below(source, name);
    let destination = facts.destination;
    let is_destination =
        |path: &str| destination.is_some_and(|found| found.mount_point.as_str() == path);
    let data: Vec<String> = source
        .data_passed_over
        .iter()
        .filter(|one| !is_stored(facts, one) && !is_destinations(facts, one))
        .map(|one| below(&one.path))
        .filter(|path| !is_destination(path))
        .collect();
    let others: Vec<String> = source
        .mounts_passed_over
        .iter()
        .map(below)
        .filter(|path| !data.contains(path) && !is_destination(path))
        .collect();
    let are = |paths: &[String]| match paths {
        [path] => format!("{path} is another file system and is passed over"),
        _ => format!(
            "{} are other file systems and are passed over",
            first_few(paths.iter().cloned(), paths.len() as u64)
        ),
    };
    let it_holds = if data.len() == 1 {
        "it holds"
    } else {
        "they hold"
    };
    if !data.is_empty() {
        findings.push(
            warning(
                code::DATA_PASSED_OVER,
                format!(
                    "{} (local.oneFileSystem) although {it_holds} data of this machine, which is \
                     in no backup",
                    are(&data)
                ),
            )
            .hint(
                "add each to local.sources to back it up, or to local.excludePatterns if it need \
                 not be",
            ),
        );
    }
    if !others.is_empty() {
        findings.push(
            note(
                code::MOUNT_PASSED_OVER,
                format!("{} (local.oneFileSystem)", are(&others)),
            )
            .hint("add it to local.sources to back it up"),
        );
    }
}

/// Whether what is passed over at one place is stored from another, where a source has it.
fn is_stored(facts: &Facts<'_>, data: &DataPassedOver) -> bool {
    let Some(within) = &data.within else {
        return false;
    };
    let mut places = facts.sources().filter_map(|source| source.place.as_ref());
    places.any(|place| {
        place.device == data.device && (place.within == *within || is_below(within, &place.within))
    })
}

/// Whether it is on the destination's file system, which cannot back up itself.
fn is_destinations(facts: &Facts<'_>, data: &DataPassedOver) -> bool {
    let place = facts.destination.and_then(|found| found.place.as_ref());
    place.is_some_and(|place| place.device == data.device)
}

fn reading_hint(facts: &Facts<'_>) -> &'static str {
    if facts.inventory.privileged {
        "look for disk errors and for file systems that shut root out (fuse, nfs)"
    } else {
        "run it as root"
    }
}
