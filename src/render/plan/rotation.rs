//! What a rotation keeps, moves, links and deletes, and why.
//!
//! Each deletion stands on its own line with its reason and the bytes it frees; none is summed up.

use schema::{
    KeepReason, Plan, Severity,
    plan::{DeletePurpose, DeleteStep, Deletion, Keep, RotateStep, Rotation},
};

use super::lines::{INDENT, VERB, add_snapshot_verb, add_verb};
use crate::{
    render::{
        amount,
        deletion::{describe_deletion, describe_group},
        page::{Page, first_few, unbroken},
    },
    style::{Style, printable},
};

/// Adds what the step does after a complete snapshot, and in one line what differs after another.
pub(super) fn add_rotation(page: &mut Page, step: &RotateStep, plan: &Plan, style: &Style) {
    let rotation = &step.on_complete;
    for kept in rotation.keep.iter().rev() {
        add_keep(page, kept);
    }
    for change in &rotation.moves {
        let text = format!("{} from {} to {}", change.id, change.from, change.to);
        add_verb(page, "move", &text);
    }
    for link in &rotation.unlinks {
        let text = format!("{}/{}: {}", link.tier, link.id, printable(&link.reason));
        add_verb(page, "unlink", &text);
    }
    for link in &rotation.links {
        let text = format!("{}/{} to {}", link.tier, link.id, unbroken(&link.target));
        add_verb(page, "link", &text);
    }
    if let Some(target) = &rotation.latest {
        add_verb(page, "link", &format!("latest to {}", unbroken(target)));
    }
    for deletion in &rotation.deletions {
        add_deletion(page, &style.red("delete"), deletion);
    }
    for deletion in &rotation.withheld {
        add_deletion(page, &style.yellow("spare"), deletion);
    }
    add_why_withheld(page, rotation, plan);
    if let Some(other) = &step.on_incomplete {
        let differs = describe_difference(rotation, other);
        page.line(INDENT, &format!("if some files cannot be read: {differs}"));
    }
}

/// Adds what the step deletes, and what it spares: all of it, many of one reason in one line.
pub(super) fn add_what_goes(page: &mut Page, step: &RotateStep, plan: &Plan, style: &Style) {
    let rotation = &step.on_complete;
    add_together(page, &style.red("delete"), &rotation.deletions);
    add_together(page, &style.yellow("spare"), &rotation.withheld);
    add_why_withheld(page, rotation, plan);
    if let Some(other) = &step.on_incomplete {
        let mut others = other.deletions.iter();
        let known = |one: &Deletion| rotation.deletions.iter().any(|it| it.id == one.id);
        // Where something is amiss, the other may well be what happens.
        let mut findings = plan.findings.iter();
        let is_warned = findings.any(|finding| finding.severity == Severity::Warning);
        let is_fewer = other.deletions.len() != rotation.deletions.len();
        if others.any(|one| !known(one)) || (is_warned && is_fewer) {
            let differs = describe_difference(rotation, other);
            page.line(INDENT, &format!("if some files cannot be read: {differs}"));
        }
    }
    let moves = match rotation.moves.len() as u64 {
        0 => String::new(),
        1 => ", 1 of them in a longer-lived tier from now on".to_owned(),
        many => format!(", {many} of them in longer-lived tiers from now on"),
    };
    let kept = amount::plural(rotation.keep.len() as u64, "snapshot", "snapshots");
    add_verb(page, "keep", &format!("{kept}{moves}"));
}

/// Adds deletions: each by itself, or many by their reasons.
pub(super) fn add_together(page: &mut Page, verb: &str, deletions: &[Deletion]) {
    let Some(groups) = planner::group_deletions(deletions) else {
        for deletion in deletions {
            let Deletion { id, home, .. } = deletion;
            let text = format!("{id} ({home}): {}", describe_deletion(deletion));
            add_verb(page, verb, &text);
        }
        return;
    };
    for group in &groups {
        let count = amount::plural(group.count, "snapshot", "snapshots");
        add_verb(page, verb, &format!("{count} {}", describe_group(group)));
    }
}

fn add_why_withheld(page: &mut Page, rotation: &Rotation, plan: &Plan) {
    if let Some(finding) = &rotation.withheld_because {
        // The whole finding stands at the end, with what to do about it.
        let listed = plan.findings.contains(finding);
        let why = if listed {
            "the warning below says why nothing is deleted".to_owned()
        } else {
            printable(&finding.message)
        };
        page.line(INDENT + VERB, &why);
    }
}

fn add_keep(page: &mut Page, kept: &Keep) {
    let reasons: Vec<String> = kept
        .reasons
        .iter()
        .map(|reason| keep_reason(kept, reason))
        .collect();
    add_snapshot_verb(page, "keep", (kept.id, kept.home), &reasons.join(", "));
}

/// A reason in a word: the day, and the month, are those of the id beside it.
fn keep_reason(kept: &Keep, reason: &KeepReason) -> String {
    match reason {
        KeepReason::Last { of: 1 } => "last".to_owned(),
        KeepReason::Last { of } => unbroken(&format!("last {of}")),
        KeepReason::Hourly { hour } => unbroken(&format!("hourly of {}", hour.format("%H:%M"))),
        KeepReason::Daily { day } if *day == kept.id.local().date() => "daily".to_owned(),
        KeepReason::Weekly { week_start } => {
            unbroken(&format!("weekly of {}", week_start.format("%m-%d")))
        }
        KeepReason::Monthly { .. } => "monthly".to_owned(),
        KeepReason::Yearly { year } => unbroken(&format!("yearly of {year:04}")),
        KeepReason::Newest => "newest".to_owned(),
        KeepReason::NewestComplete => unbroken("newest complete"),
        KeepReason::NewestVerified => unbroken("newest verified"),
        KeepReason::Daily { .. }
        | KeepReason::Pinned
        | KeepReason::Future
        | KeepReason::Suspect => unbroken(&reason.to_string()),
    }
}

fn add_deletion(page: &mut Page, verb: &str, deletion: &Deletion) {
    let snapshot = (deletion.id, deletion.home);
    add_snapshot_verb(page, verb, snapshot, &describe_deletion(deletion));
}

/// Adds what is deleted without a new snapshot, and what changes with it.
pub(super) fn add_deletions(page: &mut Page, step: &DeleteStep, style: &Style) {
    let rotation = &step.rotation;
    for change in &rotation.moves {
        let text = format!("{} from {} to {}", change.id, change.from, change.to);
        add_verb(page, "move", &text);
    }
    for deletion in &rotation.deletions {
        add_deletion(page, &style.red("delete"), deletion);
    }
    add_purpose(page, step);
}

/// Adds that deletions make room, if they do.
pub(super) fn add_purpose(page: &mut Page, step: &DeleteStep) {
    if step.purpose == DeletePurpose::MakeRoom {
        let text = "to make room for the snapshot, which would not fit (local.makeRoom)";
        page.line(INDENT + VERB, text);
    }
}

/// What another rotation does otherwise.
fn describe_difference(usual: &Rotation, other: &Rotation) -> String {
    let ids = |deletions: &[Deletion]| -> Vec<String> {
        deletions.iter().map(|one| one.id.to_string()).collect()
    };
    let mut parts = Vec::new();
    let (gone, instead) = (ids(&usual.deletions), ids(&other.deletions));
    if gone != instead {
        parts.push(match instead.as_slice() {
            [] => "delete nothing".to_owned(),
            some => format!("delete {}", first_few(some, 3)),
        });
    }
    if usual.withheld != other.withheld && !other.withheld.is_empty() {
        parts.push(format!(
            "spare {}",
            amount::count(other.withheld.len() as u64)
        ));
    }
    if usual.keep.len() != other.keep.len() {
        parts.push(format!("keep {}", amount::count(other.keep.len() as u64)));
    }
    if usual.moves != other.moves {
        parts.push(match other.moves.len() as u64 {
            0 => "move nothing".to_owned(),
            count => format!("move {}", amount::plural(count, "snapshot", "snapshots")),
        });
    }
    if parts.is_empty() {
        parts.push("other links between the tiers".to_owned());
    }
    parts.join(", ")
}
