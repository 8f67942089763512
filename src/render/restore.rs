//! What a restore would do, in lines.
//!
//! Owns the words only.

use schema::{escape, plan::RestoreStep};

use super::amount;
use crate::style::printable;

/// Names that are listed.
const LISTED: usize = 10;

/// What some restores would do, one after the other.
pub(crate) fn restore_preview(steps: &[RestoreStep]) -> String {
    steps.iter().map(describe_step).collect()
}

fn describe_step(step: &RestoreStep) -> String {
    let mut text = format!(
        "restore /{} from {}\n     to {}\n",
        readable(&step.path),
        printable(&step.folder),
        readable(&step.target),
    );
    if !step.only.is_empty() {
        let names: Vec<String> = step.only.iter().map(|name| readable(name)).collect();
        text.push_str(&format!(
            "  only {}\n",
            super::page::first_few(&names, LISTED)
        ));
    }
    if let Some(owner) = step.owner {
        text.push_str(&format!("  all for {}:{}\n", owner.uid, owner.gid));
    }
    text.push_str(&format!(
        "  create {} ({}), {} already there\n",
        amount::plural(step.creates, "entry", "entries"),
        amount::bytes(step.bytes),
        amount::count(step.already_there),
    ));
    text + &describe_put_right(step) + &describe_conflicts(step) + &describe_unlisted(step)
}

/// What has the snapshot's content and other metadata.
fn describe_put_right(step: &RestoreStep) -> String {
    if step.put_right_count == 0 {
        return String::new();
    }
    let what = if step.overwrite {
        "put right the metadata of"
    } else {
        "other metadata than the snapshot's has"
    };
    let count = amount::plural(step.put_right_count, "entry", "entries");
    let listed = step.put_right.iter();
    let listed = listed.map(|one| format!("{} ({})", readable(&one.path), printable(&one.what)));
    format!("  {what} {count}:\n") + &list_first(listed, step.put_right_count)
}

/// What is there and differs.
fn describe_conflicts(step: &RestoreStep) -> String {
    if step.conflict_count == 0 {
        return String::new();
    }
    let what = if step.overwrite {
        format!(
            "keep {} aside as NAME{}",
            amount::count(step.conflict_count),
            step.aside_suffix
        )
    } else {
        let count = amount::plural(
            step.conflict_count,
            "entry that differs is",
            "entries that differ are",
        );
        format!("{count} in the way")
    };
    let listed = step.conflicts.iter().map(|path| readable(path));
    format!("  {what}:\n") + &list_first(listed, step.conflict_count)
}

/// What stands in the snapshot and is not of it.
fn describe_unlisted(step: &RestoreStep) -> String {
    if step.unlisted_count == 0 {
        return String::new();
    }
    let count = amount::plural(step.unlisted_count, "entry", "entries");
    let listed = step.unlisted.iter().map(|path| readable(path));
    format!("  leave {count} that the manifest does not list:\n")
        + &list_first(listed, step.unlisted_count)
}

/// The first of some, each on a line, and how many more there are.
fn list_first(lines: impl Iterator<Item = String>, all: u64) -> String {
    let mut text: String = lines
        .take(LISTED)
        .map(|line| format!("    {line}\n"))
        .collect();
    let more = all.saturating_sub(LISTED as u64);
    if more > 0 {
        let others = amount::plural(more, "other", "others");
        text.push_str(&format!("    and {others}\n"));
    }
    text
}

/// A path as people read it.
fn readable(text: &str) -> String {
    escape::display(&escape::unescape(text).unwrap_or_default())
}
