//! What comparing snapshots with their manifests found, as people read it.
//!
//! Owns its wording. It must leave no damage and no snapshot that shares it out.

use std::collections::{BTreeMap, BTreeSet};

use schema::{
    Report, RunResult, SnapshotId,
    journal::Outcome,
    verify::{AgainstState, Damage, DamageKind, Depth, Verdict, Verification},
};

use super::{
    amount, hint,
    page::{Page, readable_path, unbroken},
};
use crate::style::{Style, printable};

/// Columns of the word that says what kind of damage it is.
const KIND: usize = 12;

/// What was found; `repairs` says that a repair follows, which is not advised then.
pub(crate) fn verification_page(found: &Verification, repairs: bool, style: &Style) -> String {
    let mut page = Page::default();
    add_head(&mut page, found, style);
    for damage in &found.damage {
        page.blank();
        add_damage(&mut page, damage, style);
    }
    let listed = found.damage.len() as u64;
    if found.damage_count > listed {
        page.blank();
        let more = amount::count(found.damage_count - listed);
        page.line(0, &format!("and {more} more"));
    }
    if let Some(compared) = &found.against_state {
        page.blank();
        add_against_state(&mut page, compared, style);
    }
    if !found.not_looked_at.is_empty() {
        page.blank();
        page.line(
            0,
            "There may be more snapshots, which nobody could look at:",
        );
    }
    for because in &found.not_looked_at {
        page.line(2, &printable(because));
    }
    page.blank();
    add_verdict(&mut page, found, repairs, style);
    page.into_string()
}

/// What a repair came to; `remains` are the damages that none was planned for.
pub(crate) fn repair_lines(report: &Report, remains: u64, style: &Style) -> String {
    let mut page = Page::default();
    let told = told_outcome(report);
    if let Some(outcome) = told {
        let word = match (report.result, remains) {
            (RunResult::Success, 0) => style.green(style.bold("Repaired:")),
            (RunResult::Success | RunResult::Incomplete, _) => {
                style.yellow(style.bold("Repaired in part:"))
            }
            _ => style.red(style.bold("Not repaired:")),
        };
        page.line(0, &format!("{word} {}.", printable(&outcome.message)));
        for problem in &outcome.problems {
            let text = format!(
                "{}: {}",
                readable_path(&problem.path),
                printable(&problem.message)
            );
            page.line(2, &text);
        }
        if let Some(hint) = &outcome.hint {
            hint::add(&mut page, 2, hint);
        }
    }
    if remains > 0 {
        let damages = amount::plural(remains, "damage remains", "damages remain");
        page.line(0, &format!("{damages}: see above."));
    }
    let has_hint = told.is_some_and(|outcome| outcome.hint.is_some());
    if !has_hint && (remains > 0 || report.result != RunResult::Success) {
        hint::add(&mut page, 2, AGAIN);
    }
    page.into_string()
}

/// What to do where something could not be repaired.
pub(crate) const AGAIN: &str = "run the same again; where that changes nothing, restore these paths from \
                                another snapshot or copy, and look at `dmesg` and at the drive";

/// What is told of a repair: how its last step ended that has something to say.
fn told_outcome(report: &Report) -> Option<&Outcome> {
    let mut outcomes = report.steps.iter().rev().map(|step| &step.outcome);
    outcomes.find(|outcome| !outcome.message.is_empty())
}

fn add_head(page: &mut Page, found: &Verification, style: &Style) {
    let which = match found.snapshots.as_slice() {
        [one] => format!("{}/{}", one.home, one.id),
        many => amount::plural(many.len() as u64, "snapshot", "snapshots"),
    };
    let how = match found.depth {
        Depth::Quick => "quickly".to_owned(),
        Depth::Subset { part, of } => format!("with part {part} of {of} of all content"),
        Depth::Full => "in full".to_owned(),
    };
    let read = match found.depth {
        Depth::Quick => String::new(),
        _ => format!(
            ", {} read ({})",
            unbroken(&amount::plural(found.files_read, "file", "files")),
            unbroken(&amount::bytes(found.bytes_read))
        ),
    };
    let text = format!(
        "{} {how}: {}{read}, took {}",
        style.bold(format!("Verified {which}")),
        unbroken(&amount::plural(found.entries, "entry", "entries")),
        unbroken(&amount::between(found.ended_at - found.started_at)),
    );
    page.line(0, &text);
    for one in &found.snapshots {
        if one.verdict == Verdict::Removed {
            let text = format!("{} was removed meanwhile", one.id);
            page.line(2, &text);
        }
    }
}

/// What the digests tell that are kept in the state directory.
fn add_against_state(page: &mut Page, compared: &AgainstState, style: &Style) {
    let same = amount::plural(compared.same, "snapshot has", "snapshots have");
    page.line(0, &format!("{same} the manifest that this machine sealed."));
    if !compared.from_cloud.is_empty() {
        let count = compared.from_cloud.len() as u64;
        let text = amount::plural(count, "snapshot", "snapshots");
        page.line(
            0,
            &format!("Of {text} the copy in the cloud told which one that is."),
        );
    }
    let told = [
        (
            &compared.taken_over,
            "known only since it was found on the disk",
            style.yellow("not proved"),
        ),
        (
            &compared.changed,
            "its manifest is not the one that was sealed",
            style.red("changed"),
        ),
        (
            &compared.unknown,
            "on the disk, and nothing is known of it here",
            style.red("unknown"),
        ),
        (
            &compared.gone,
            "sealed by this machine, and gone from the disk though no run deleted it",
            style.red("gone"),
        ),
    ];
    for (ids, text, word) in told {
        for id in ids {
            page.entry(0, &word, KIND, &format!("{id}: {text}"));
        }
    }
}

fn add_damage(page: &mut Page, damage: &Damage, style: &Style) {
    let mut by_path: BTreeMap<&str, Vec<SnapshotId>> = BTreeMap::new();
    for name in &damage.names {
        by_path.entry(&name.path).or_default().push(name.snapshot);
    }
    let kind = damage.kind.word();
    let kind = match damage.kind {
        DamageKind::Metadata | DamageKind::Extra => style.yellow(kind),
        _ => style.red(kind),
    };
    let named = |name: &str| match (damage.kind, name) {
        (DamageKind::Record | DamageKind::Manifest | DamageKind::Changed, "") => {
            "of the snapshot".to_owned()
        }
        _ => unbroken(&format!("/{}", readable_path(name))),
    };
    let mut paths = by_path.iter();
    let message = printable(&damage.message);
    match paths.next() {
        None => page.entry(0, &kind, KIND, &message),
        Some((name, snapshots)) => {
            page.entry(0, &kind, KIND, &named(name));
            page.line(KIND, &message);
            page.line(KIND, &format!("in {}", join_ids(snapshots)));
        }
    }
    for (name, snapshots) in paths {
        page.line(
            KIND,
            &format!("also {} in {}", named(name), join_ids(snapshots)),
        );
    }
    if let Some(because) = &damage.not_repaired {
        page.line(KIND, &format!("not repaired: {}", printable(because)));
    }
}

fn join_ids(snapshots: &[SnapshotId]) -> String {
    let ids: Vec<String> = snapshots.iter().map(ToString::to_string).collect();
    ids.join(", ")
}

fn add_verdict(page: &mut Page, found: &Verification, repairs: bool, style: &Style) {
    let is_other = found
        .against_state
        .as_ref()
        .is_some_and(|one| !one.agrees());
    if found.damage_count == 0 && is_other {
        let text = "What is there is whole, and it is not what this machine left there.";
        page.line(0, &style.red(style.bold(text)));
        let hint = "of what is gone or unknown somebody else may know; what is unknown is taken over by \
                    the next run, unless its folder is moved away before";
        hint::add(page, 2, hint);
        return;
    }
    if found.damage_count == 0 && !found.not_looked_at.is_empty() {
        let text = "What could be looked at is whole.";
        page.line(0, &style.yellow(style.bold(text)));
        let hint =
            "run the same again; where that changes nothing, look at `dmesg` and at the drive";
        hint::add(page, 2, hint);
        return;
    }
    if found.damage_count == 0 {
        let whole = style.green(style.bold("Whole."));
        let text = match found.depth {
            Depth::Quick => format!("{whole} No content was read."),
            Depth::Subset { .. } => format!("{whole} The other parts were not read."),
            Depth::Full => whole,
        };
        page.line(0, &text);
        return;
    }
    let count = amount::plural(found.damage_count, "damage", "damages");
    let names = found.damage.iter().flat_map(|damage| &damage.names);
    let snapshots: BTreeSet<SnapshotId> = names.map(|name| name.snapshot).collect();
    let snapshots = snapshots.len() as u64;
    let text = format!(
        "{} {count} in {}.",
        style.red(style.bold("Damaged.")),
        amount::plural(snapshots, "snapshot", "snapshots")
    );
    page.line(0, &text);
    let is_changed = |one: &&Damage| one.kind == DamageKind::Changed;
    if let Some(changed) = found.damage.iter().find(is_changed) {
        let id = changed.names.first();
        let id = id.map_or_else(String::new, |name| name.snapshot.to_string());
        let hint = format!(
            "somebody changed a snapshot, its manifest and its record: `backup accept {id}` if you know \
             who and why, `backup delete {id}` removes it"
        );
        hint::add(page, 2, &hint);
        if found.damage.iter().all(|one| is_changed(&one)) {
            return;
        }
    }
    if !repairs {
        let hint = "`backup ... --repair` makes files anew whose content is still in their \
                    source or stored elsewhere, and damaged manifests and records";
        hint::add(page, 2, hint);
    }
}

#[cfg(test)]
#[path = "verify_tests.rs"]
mod tests;
