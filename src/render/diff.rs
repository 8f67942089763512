//! What changed between two snapshots, or since one: as the document that `--json` prints, and as
//! lines.
//!
//! Owns the words. What differs is found elsewhere.

use executor::history::{Change, Diff, Difference, Now, Side};
use schema::{
    SnapshotId, StoredPath, StoredPathBuf, escape,
    output::{
        EntryKind,
        diff::{
            ChangeKind, DiffTotals, EntryState, FORMAT_VERSION, NotCompared, PathDifference,
            SnapshotDiff,
        },
    },
};

use super::{
    amount,
    find::entry_kind,
    page::{Page, readable_path, unbroken},
};
use crate::style::Style;

/// The word for the sources as they are.
pub(crate) const NOW: &str = "now";

/// The document of a comparison of two snapshots.
pub(crate) fn snapshot_diff(
    before: SnapshotId,
    after: String,
    path: &StoredPath,
    diff: &Diff,
) -> SnapshotDiff {
    let differences: Vec<PathDifference> = diff.differences.iter().map(path_difference).collect();
    SnapshotDiff {
        format_version: FORMAT_VERSION,
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
pub(crate) fn live_diff(before: SnapshotId, path: &StoredPath, now: &Now) -> SnapshotDiff {
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
        let total = totals.of_mut(one.change);
        total.count += 1;
        total.bytes += side.map_or(0, |side| side.size);
    }
    totals
}

/// A line for each path, and what it comes to.
pub(crate) fn diff_lines(diff: &SnapshotDiff, style: &Style) -> String {
    let mut page = Page::default();
    for one in &diff.differences {
        add_difference(&mut page, one, style);
    }
    page.blank();
    let totals = &diff.totals;
    let parts: Vec<String> = [
        ("added", totals.added),
        ("removed", totals.removed),
        ("changed", totals.changed),
        ("renamed", totals.renamed),
        ("with other metadata", totals.metadata),
        ("touched", totals.touched),
    ]
    .into_iter()
    .filter(|(_, total)| total.count > 0)
    .map(|(word, total)| {
        unbroken(&format!(
            "{} {word} ({})",
            amount::count(total.count),
            amount::bytes(total.bytes)
        ))
    })
    .collect();
    let what = if parts.is_empty() {
        "nothing differs".to_owned()
    } else {
        parts.join(", ")
    };
    page.line(
        0,
        &format!(
            "From {} to {}: {what}; {} the same",
            diff.before,
            diff.after,
            amount::plural(diff.same, "entry", "entries")
        ),
    );
    page.into_string()
}

fn add_difference(page: &mut Page, difference: &PathDifference, style: &Style) {
    let word = match difference.change {
        ChangeKind::Added => style.green("added"),
        ChangeKind::Removed => style.red("removed"),
        change => style.yellow(change.word()),
    };
    let mut text = String::new();
    if let Some(from) = &difference.from {
        text = format!("{} -> ", readable_path(from));
    }
    text += &readable_path(&difference.path);
    if let Some(more) = details(difference) {
        text += &format!(" ({})", unbroken(&more));
    }
    page.entry(0, &word, 10, &text);
}

/// What there is to say besides the path.
fn details(difference: &PathDifference) -> Option<String> {
    let size = |side: &EntryState| match side.kind {
        EntryKind::File => amount::bytes(side.size),
        kind => kind.word().to_owned(),
    };
    match (difference.change, &difference.before, &difference.after) {
        (ChangeKind::Changed, Some(before), Some(after)) => match (&before.target, &after.target) {
            (Some(before), Some(after)) => Some(format!("{before} -> {after}")),
            _ => Some(format!("{} -> {}", size(before), size(after))),
        },
        (ChangeKind::Metadata, Some(before), Some(after)) => Some(changed_metadata(before, after)),
        (_, Some(side), None) | (_, _, Some(side)) => Some(size(side)),
        _ => None,
    }
}

/// Which metadata differs.
fn changed_metadata(before: &EntryState, after: &EntryState) -> String {
    let mut parts = Vec::new();
    if before.mode != after.mode {
        parts.push(format!("mode {} -> {}", before.mode, after.mode));
    }
    if (before.uid, before.gid) != (after.uid, after.gid) {
        parts.push(format!(
            "owner {}:{} -> {}:{}",
            before.uid, before.gid, after.uid, after.gid
        ));
    }
    if before.mtime_ns != after.mtime_ns && before.kind != EntryKind::Folder {
        parts.push("time".to_owned());
    }
    if parts.is_empty() {
        parts.push("attributes".to_owned());
    }
    parts.join(", ")
}

#[cfg(test)]
#[path = "diff_tests.rs"]
mod tests;
