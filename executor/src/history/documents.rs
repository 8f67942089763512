//! Turns what was found into the documents that verbs print.
//!
//! Owns how each finding is put, and no judgement.

use chrono::{DateTime, FixedOffset, Offset as _, TimeZone};
use schema::{
    SnapshotId, StoredPath, StoredPathBuf, escape,
    inventory::DestinationState,
    output::{
        EntryKind,
        diff::{
            self, ChangeKind, DiffTotals, EntryState, NotCompared, PathDifference, SnapshotDiff,
        },
        find::{self, FoundPath, FoundPaths, NotSearched, PathVersion},
    },
};

use super::{Change, Diff, Difference, FoundVersions, Now, Side, Unread, Version};
use crate::{manifest::Entry, sys::Kind};

/// The document of a search that has found nothing yet.
#[must_use]
pub fn begin_search(
    pattern: &str,
    searched: &[SnapshotId],
    destination: &DestinationState,
) -> FoundPaths {
    let unmanaged = destination.unmanaged.iter().map(|folder| NotSearched {
        snapshot: format!("{}/{}", folder.tier, folder.name),
        because: folder
            .record_fault
            .as_ref()
            .or(destination.record_fault.as_ref())
            .cloned()
            .unwrap_or_else(|| "it has no manifest; `backup adopt` makes one".to_owned()),
    });
    FoundPaths {
        format_version: find::FORMAT_VERSION,
        pattern: pattern.to_owned(),
        searched: searched.to_vec(),
        not_searched: unmanaged.collect(),
        paths: Vec::new(),
    }
}

/// Adds the snapshots that could not be read.
pub fn add_unread(found: &mut FoundPaths, unread: &[Unread]) {
    let unread = unread.iter().map(|unread| NotSearched {
        snapshot: unread.id.to_string(),
        because: unread.because.clone(),
    });
    found.not_searched.extend(unread);
}

/// A path and its versions; `ids` are the snapshots that were searched, times are of this zone.
#[must_use]
pub fn found_path(found: FoundVersions, ids: &[SnapshotId], zone: &impl TimeZone) -> FoundPath {
    let versions = found.versions.iter();
    FoundPath {
        path: format!("/{}", escape::escape(&found.path)),
        versions: versions
            .filter_map(|version| path_version(version, ids, zone))
            .collect(),
    }
}

fn path_version(
    version: &Version,
    ids: &[SnapshotId],
    zone: &impl TimeZone,
) -> Option<PathVersion> {
    let entry = version.entry.as_ref();
    Some(PathVersion {
        first: *ids.get(version.first)?,
        last: *ids.get(version.last)?,
        snapshots: version.snapshots as u64,
        kind: entry.map_or(EntryKind::Absent, |entry| entry_kind(entry.kind)),
        size: entry
            .filter(|entry| entry.kind == Kind::File)
            .map(|entry| entry.size),
        mtime: entry.and_then(|entry| time_in_zone(entry, zone)),
        sha256: entry.and_then(|entry| entry.digest),
        target: entry.and_then(|entry| Some(escape::escape(entry.target.as_ref()?))),
    })
}

/// An entry's time in a zone; none if that cannot be said in years.
fn time_in_zone(entry: &Entry, zone: &impl TimeZone) -> Option<DateTime<FixedOffset>> {
    const SECOND: i128 = 1_000_000_000;
    let mtime = entry.mtime;
    let seconds = i64::try_from(mtime.div_euclid(SECOND)).ok()?;
    let nanos = u32::try_from(mtime.rem_euclid(SECOND)).ok()?;
    let time = DateTime::from_timestamp(seconds, nanos)?;
    let time = time.with_timezone(zone);
    Some(time.with_timezone(&time.offset().fix()))
}

/// The word for the sources as they are.
pub const NOW: &str = "now";

/// The document of a comparison of two snapshots.
#[must_use]
pub fn snapshot_diff(
    before: SnapshotId,
    after: String,
    path: &StoredPath,
    diff: &Diff,
) -> SnapshotDiff {
    let differences: Vec<PathDifference> = diff.differences.iter().map(path_difference).collect();
    SnapshotDiff {
        format_version: diff::FORMAT_VERSION,
        before,
        after,
        path: format!("/{}", StoredPathBuf::of_names(path.names()).escaped()),
        totals: diff_totals(&differences),
        same: diff.same,
        differences,
        not_compared: Vec::new(),
    }
}

/// The document of a comparison with the sources as they are.
#[must_use]
pub fn live_diff(before: SnapshotId, path: &StoredPath, now: &Now) -> SnapshotDiff {
    let unread = now.unread.iter();
    SnapshotDiff {
        not_compared: unread
            .map(|(path, because)| NotCompared {
                path: format!("/{}", path.escaped()),
                because: because.clone(),
            })
            .collect(),
        ..snapshot_diff(before, NOW.to_owned(), path, &now.diff)
    }
}

fn path_difference(one: &Difference) -> PathDifference {
    let path = |path: &StoredPath| format!("/{}", path.escaped());
    let from = match &one.change {
        Change::Renamed { from } => Some(path(from)),
        _ => None,
    };
    PathDifference {
        change: match one.change {
            Change::Added => ChangeKind::Added,
            Change::Removed => ChangeKind::Removed,
            Change::Content => ChangeKind::Changed,
            Change::Metadata => ChangeKind::Metadata,
            Change::Renamed { .. } => ChangeKind::Renamed,
            Change::Touched => ChangeKind::Touched,
        },
        path: path(&one.path),
        from,
        before: one.before.as_ref().map(entry_state),
        after: one.after.as_ref().map(entry_state),
    }
}

fn entry_state(side: &Side) -> EntryState {
    EntryState {
        kind: entry_kind(side.kind),
        size: side.size,
        mode: format!("{:04o}", side.mode),
        uid: side.owner.0,
        gid: side.owner.1,
        mtime_ns: side.mtime.to_string(),
        target: side.target.as_deref().map(escape::escape),
    }
}

fn diff_totals(differences: &[PathDifference]) -> DiffTotals {
    let mut totals = DiffTotals::default();
    for one in differences {
        let side = one.after.as_ref().or(one.before.as_ref());
        let total = totals.total_mut(one.change);
        total.count += 1;
        total.bytes += side.map_or(0, |side| side.size);
    }
    totals
}

/// An entry's kind as documents have it.
#[must_use]
pub fn entry_kind(kind: Kind) -> EntryKind {
    match kind {
        Kind::File => EntryKind::File,
        Kind::Folder => EntryKind::Folder,
        Kind::Symlink => EntryKind::Symlink,
        Kind::Fifo => EntryKind::Fifo,
        Kind::Socket => EntryKind::Socket,
        Kind::CharDevice => EntryKind::CharacterDevice,
        Kind::BlockDevice => EntryKind::BlockDevice,
    }
}

#[cfg(test)]
mod tests {
    use chrono::Utc;

    use super::*;

    #[test]
    fn a_time_that_no_calendar_has_is_left_out() {
        let far = Entry::from_line("./x type=file time=99999999999999999.000000000").unwrap();
        assert_eq!(time_in_zone(&far, &Utc), None);
        let early = Entry::from_line("./x type=file time=-1.500000000").unwrap();
        let early = time_in_zone(&early, &Utc).unwrap();
        assert_eq!(early.to_rfc3339(), "1969-12-31T23:59:59.500+00:00");
    }
}
