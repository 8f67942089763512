//! What a restore would do, in lines.
//!
//! Owns the words only.

use schema::{escape, plan::RestoreStep};

use super::amount;

/// Names that are listed.
const LISTED: usize = 10;

/// What some restores would do, one after the other.
pub(crate) fn restore_preview(steps: &[RestoreStep]) -> String {
    steps.iter().map(describe_step).collect()
}

fn describe_step(step: &RestoreStep) -> String {
    let readable = |text: &str| escape::display(&escape::unescape(text).unwrap_or_default());
    let mut text = format!(
        "restore /{} from {}\n     to {}\n",
        readable(&step.path),
        step.folder,
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
    if step.put_right_count > 0 {
        let what = if step.overwrite {
            "put right the metadata of"
        } else {
            "other metadata than the snapshot's has"
        };
        text.push_str(&format!(
            "  {what} {}:\n",
            amount::plural(step.put_right_count, "entry", "entries")
        ));
        for one in step.put_right.iter().take(LISTED) {
            text.push_str(&format!("    {} ({})\n", readable(&one.path), one.what));
        }
        let more = step.put_right_count.saturating_sub(LISTED as u64);
        if more > 0 {
            text.push_str(&format!(
                "    and {}\n",
                amount::plural(more, "other", "others")
            ));
        }
    }
    if step.conflict_count > 0 {
        let what = if step.overwrite {
            format!(
                "keep {} aside as NAME{}",
                amount::count(step.conflict_count),
                step.aside_suffix
            )
        } else {
            format!(
                "{} in the way",
                amount::plural(
                    step.conflict_count,
                    "entry that differs is",
                    "entries that differ are"
                )
            )
        };
        text.push_str(&format!("  {what}:\n"));
        for conflict in step.conflicts.iter().take(LISTED) {
            text.push_str(&format!("    {}\n", readable(conflict)));
        }
        let more = step.conflict_count.saturating_sub(LISTED as u64);
        if more > 0 {
            text.push_str(&format!(
                "    and {}\n",
                amount::plural(more, "other", "others")
            ));
        }
    }
    text
}
