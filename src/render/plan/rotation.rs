//! What a rotation keeps, moves, links and deletes, and why.
//!
//! Each deletion stands on its own line with its reason and the bytes it frees; none is summed up.

use schema::{
    ExpireReason, KeepReason, Plan, SnapshotId, Tier,
    plan::{DeletePurpose, DeleteStep, Deletion, Keep, RotateStep, Rotation},
};

use super::{
    INDENT,
    steps::{VERB, say},
};
use crate::{
    render::{
        amount,
        page::{Page, firm, first_few},
    },
    style::{Style, left, printable},
};

/// Columns of a word, an id and a tier.
const BESIDE: usize = VERB + 19 + 2 + 7 + 2;

/// What the step does after a complete snapshot, and in one line what differs after another.
pub(super) fn body(page: &mut Page, step: &RotateStep, plan: &Plan, style: &Style) {
    let rotation = &step.on_complete;
    for kept in rotation.keep.iter().rev() {
        keep(page, kept);
    }
    for change in &rotation.moves {
        let text = format!("{} from {} to {}", change.id, change.from, change.to);
        say(page, "move", &text);
    }
    for link in &rotation.unlinks {
        let text = format!("{}/{}: {}", link.tier, link.id, printable(&link.reason));
        say(page, "unlink", &text);
    }
    for link in &rotation.links {
        let text = format!("{}/{} to {}", link.tier, link.id, firm(&link.target));
        say(page, "link", &text);
    }
    if let Some(target) = &rotation.latest {
        say(page, "link", &format!("latest to {}", firm(target)));
    }
    for deletion in &rotation.deletions {
        delete(page, &style.red("delete"), deletion);
    }
    for deletion in &rotation.withheld {
        delete(page, &style.yellow("spare"), deletion);
    }
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
    if let Some(other) = &step.on_incomplete {
        let differs = difference(rotation, other);
        page.line(INDENT, &format!("if some files cannot be read: {differs}"));
    }
}

/// A word, a snapshot and the tier that holds it, in columns.
fn beside(verb: &str, id: SnapshotId, home: Tier) -> String {
    format!("{}{id}  {home}", left(verb, VERB))
}

fn keep(page: &mut Page, kept: &Keep) {
    let reasons: Vec<String> = kept
        .reasons
        .iter()
        .map(|reason| why(kept, reason))
        .collect();
    let label = beside("keep", kept.id, kept.home);
    page.entry(INDENT, &label, BESIDE, &reasons.join(", "));
}

/// A reason in a word: the day, and the month, are those of the id beside it.
fn why(kept: &Keep, reason: &KeepReason) -> String {
    match reason {
        KeepReason::Last { of: 1 } => "last".to_owned(),
        KeepReason::Last { of } => firm(&format!("last {of}")),
        KeepReason::Hourly { hour } => firm(&format!("hourly of {}", hour.format("%H:%M"))),
        KeepReason::Daily { day } if *day == kept.id.local().date() => "daily".to_owned(),
        KeepReason::Weekly { week_start } => {
            firm(&format!("weekly of {}", week_start.format("%m-%d")))
        }
        KeepReason::Monthly { .. } => "monthly".to_owned(),
        KeepReason::Yearly { year } => firm(&format!("yearly of {year:04}")),
        KeepReason::Newest => "newest".to_owned(),
        KeepReason::NewestComplete => firm("newest complete"),
        KeepReason::NewestVerified => firm("newest verified"),
        KeepReason::Daily { .. }
        | KeepReason::Pinned
        | KeepReason::Future
        | KeepReason::Suspect => firm(&reason.to_string()),
    }
}

fn delete(page: &mut Page, verb: &str, deletion: &Deletion) {
    let label = beside(verb, deletion.id, deletion.home);
    let text = format!("{}: {}", goes_for_good(deletion), deletion.reason);
    page.entry(INDENT, &label, BESIDE, &text);
}

/// A deletion that was made.
pub(in crate::render) fn deleted(page: &mut Page, verb: &str, deletion: &Deletion) {
    let label = format!("{}  {}  {}", left(verb, VERB), deletion.id, deletion.home);
    let text = format!("{}: {}", goes_for_good(deletion), deletion.reason);
    page.entry(0, &label, BESIDE + 2, &text);
}

/// The bytes that a deletion frees and the files that no other snapshot has.
fn goes_for_good(deletion: &Deletion) -> String {
    let least = match deletion.lost {
        Some(lost) if lost.at_least => "at least ",
        _ => "",
    };
    let frees = firm(&amount::bytes(deletion.frees));
    // Nothing is lost of what the cloud has.
    if deletion.reason == ExpireReason::InTheCloud {
        return format!("frees {least}{frees}");
    }
    let files = match deletion.lost.and_then(|lost| lost.files) {
        None => String::new(),
        Some(0) if least.is_empty() => ", and no file is only there".to_owned(),
        Some(0) => ", and perhaps files that no other has".to_owned(),
        Some(files) => format!(
            ", {least}{} that no other has",
            firm(&amount::plural(files, "file", "files"))
        ),
    };
    format!("frees {least}{frees}{files}")
}

/// What is deleted without a new snapshot, and what changes with it.
pub(super) fn deletes(page: &mut Page, step: &DeleteStep, style: &Style) {
    let rotation = &step.rotation;
    for change in &rotation.moves {
        let text = format!("{} from {} to {}", change.id, change.from, change.to);
        say(page, "move", &text);
    }
    for deletion in &rotation.deletions {
        delete(page, &style.red("delete"), deletion);
    }
    if step.purpose == DeletePurpose::MakeRoom {
        let text = "to make room for the snapshot, which would not fit (local.makeRoom)";
        page.line(INDENT + VERB, text);
    }
}

/// What another rotation does otherwise.
fn difference(usual: &Rotation, other: &Rotation) -> String {
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
