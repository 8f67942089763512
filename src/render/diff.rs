//! What changed between two snapshots, or since one, as lines.
//!
//! Owns the words. What differs is found elsewhere.

use schema::output::{
    EntryKind,
    diff::{ChangeKind, EntryState, PathDifference, SnapshotDiff},
};

use super::{
    amount,
    moved::{self, MovedFolder, Place},
    page::{Page, readable_path, unbroken},
};
use crate::style::Style;

/// A line for each path, and what it comes to.
pub(crate) fn diff_lines(diff: &SnapshotDiff, style: &Style) -> String {
    let mut page = Page::default();
    let moves = moved::find_moved_folders(&diff.differences);
    for one in &diff.differences {
        match moves.of(one) {
            Place::Alone => add_difference(&mut page, one, style),
            Place::Head(folder) => add_moved_folder(&mut page, folder, style),
            Place::Within => {}
        }
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

/// A folder that moved as a whole, in a line.
fn add_moved_folder(page: &mut Page, folder: &MovedFolder, style: &Style) {
    let text = format!(
        "{} -> {} (folder, {})",
        readable_path(&folder.from),
        readable_path(&folder.to),
        unbroken(&format!(
            "{}, {}",
            amount::plural(folder.files, "file", "files"),
            amount::bytes(folder.bytes)
        ))
    );
    page.entry(0, &style.yellow("moved"), 10, &text);
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
            (Some(before), Some(after)) => {
                let (before, after) = (readable_path(before), readable_path(after));
                Some(format!("{before} -> {after}"))
            }
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
