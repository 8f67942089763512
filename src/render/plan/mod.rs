//! A plan as people read it before it runs.
//!
//! Owns the frame: header, numbered steps, findings, totals. What a step says of itself is in
//! `steps`. It must not leave out anything that is deleted, nor why.

mod cloud;
mod lines;
mod rotation;
mod short;
mod steps;

use schema::{
    Finding, Inventory, Plan, Severity,
    config::DestinationName,
    inventory::DestinationState,
    plan::{Action, Deletion, ExpireStep},
};

use super::{
    amount, messages,
    page::{Page, configured_path, unbroken},
    picture::bar,
    several,
};
use crate::style::{Style, printable};

/// The plan of a backup as it is shown before it runs: what matters of it, or all of it. Other plans are
/// shown whole.
pub(crate) fn backup_plan(
    plan: &Plan,
    inventory: &Inventory,
    is_whole: bool,
    style: &Style,
) -> String {
    if !plan.chains.is_empty() {
        several::plan_page(plan, inventory, is_whole, style)
    } else if is_whole || !short::is_of_backup(plan) {
        plan_page(plan, inventory, style)
    } else {
        short::short_page(plan, inventory, style)
    }
}

/// The plan of deletions that a person asks for: what goes and why, or all of it. Where there are several
/// destinations, `place` is the name of this one and the folder there.
pub(crate) fn deletion_plan(
    plan: &Plan,
    inventory: &Inventory,
    place: Option<&(DestinationName, String)>,
    is_whole: bool,
    style: &Style,
) -> String {
    let mut page = Page::default();
    if let Some((name, folder)) = place {
        let folder = unbroken(&printable(folder));
        page.line(0, &format!("On {} ({folder}):", style.bold(name.as_str())));
    }
    page.tell_of(place.map(|(name, _)| name));
    match is_whole {
        true => add_plan(&mut page, plan, inventory, style),
        false => short::add_deletions(&mut page, plan, inventory, style),
    }
    page.into_string()
}

/// The whole plan, made from this inventory.
fn plan_page(plan: &Plan, inventory: &Inventory, style: &Style) -> String {
    let mut page = Page::default();
    add_plan(&mut page, plan, inventory, style);
    page.into_string()
}

fn add_plan(page: &mut Page, plan: &Plan, inventory: &Inventory, style: &Style) {
    add_header(page, plan, inventory, style);
    add_steps(page, plan, inventory, style);
    add_findings(page, &plan.findings, style);
    page.blank();
    page.line(0, &describe_total(plan, style));
}

/// The part of a plan for several destinations that is about one.
pub(super) fn add_section(
    page: &mut Page,
    plan: &Plan,
    inventory: &Inventory,
    is_whole: bool,
    style: &Style,
) {
    add_place(page, plan, inventory, style);
    if is_whole {
        add_steps(page, plan, inventory, style);
    } else {
        short::add_steps(page, plan, inventory, style);
    }
    add_findings(page, &plan.findings, style);
    if let Some(nothing) = describe_nothing(plan, Where::There, style) {
        page.line(0, &nothing);
    } else if is_whole {
        page.blank();
        page.line(0, &describe_total(plan, style));
    }
}

/// The steps of a plan for several destinations that are about none of them.
pub(super) fn add_frame(
    page: &mut Page,
    plan: &Plan,
    inventory: &Inventory,
    is_whole: bool,
    style: &Style,
) {
    if is_whole {
        add_steps(page, plan, inventory, style);
    } else {
        short::add_steps(page, plan, inventory, style);
    }
}

pub(super) use short::describe_rest;

/// Each step of a plan.
fn add_steps(page: &mut Page, plan: &Plan, inventory: &Inventory, style: &Style) {
    for (at, step) in plan.steps.iter().enumerate() {
        page.blank();
        let kind = step.action.kind();
        // Steps are named after their kind, unless there are several of one.
        let name = if step.id == kind {
            style.bold(kind)
        } else {
            format!("{} ({kind})", style.bold(&step.id))
        };
        page.line(0, &format!("{}. {name}", at + 1));
        steps::add_action(page, &step.action, plan, inventory, style);
    }
}

/// Adds what was noticed, from notes to refusals, so that what stops the run stands where reading ends.
pub(super) fn add_findings(page: &mut Page, findings: &[Finding], style: &Style) {
    for severity in [
        Severity::Note,
        Severity::Warning,
        Severity::Deferral,
        Severity::Refusal,
    ] {
        let of_it = |finding: &&Finding| finding.severity == severity;
        page.blank();
        for told in findings.iter().filter(of_it) {
            page.raw(&messages::finding_lines(told, style));
        }
    }
}

fn add_header(page: &mut Page, plan: &Plan, inventory: &Inventory, style: &Style) {
    page.line(0, &title(plan, style));
    add_place(page, plan, inventory, style);
}

/// For whom and when it is.
pub(super) fn title(plan: &Plan, style: &Style) -> String {
    format!(
        "{}, {} {}",
        style.bold(format!("Plan for {}", plan.host)),
        plan.created_at.format("%Y-%m-%d %H:%M:%S"),
        plan.created_at.format("%:z"),
    )
}

fn add_place(page: &mut Page, plan: &Plan, inventory: &Inventory, style: &Style) {
    let Some(destination) = &inventory.destination else {
        return;
    };
    page.line(0, &describe_destination(destination, &plan.host));
    if style.draws() && destination.present && destination.total_bytes > 0 {
        draw_room(page, destination, plan);
    }
    let told = |code: &str| plan.findings.iter().any(|finding| finding.code == code);
    if destination.present
        && !told("kept-in-manifest-only")
        && let Some(can) = destination.capabilities()
        && let lacks = can.gaps(inventory.privileged)
        && !lacks.is_empty()
    {
        page.line(
            0,
            &format!("It cannot hold {}; the manifest does.", lacks.join(", ")),
        );
    }
}

/// What of the room is used, and what the run takes of it at most.
fn draw_room(page: &mut Page, destination: &DestinationState, plan: &Plan) {
    let whole = destination.total_bytes;
    let used = whole.saturating_sub(destination.free_bytes);
    let needed = plan.steps.iter().find_map(|step| match &step.action {
        Action::SpaceCheck(check) => Some(check.needed_bytes),
        _ => None,
    });
    let copied = needed.unwrap_or(0);
    let drawn = bar(&[(used, '█'), (copied, '▓')], whole, ROOM);
    let percent = |part: u64| u128::from(part) * 100 / u128::from(whole);
    let more = match copied {
        0 => String::new(),
        _ => format!(", ▓ at most {} more", unbroken(&amount::bytes(copied))),
    };
    page.line(0, &format!("{drawn} {} % used{more}", percent(used)));
}

/// Where the snapshots are, with the room there.
fn describe_destination(destination: &DestinationState, host: &str) -> String {
    let path = configured_path(&destination.mount_point);
    if !destination.present {
        let why = destination.absent_because.as_deref();
        return format!(
            "to {path}, which is not there ({})",
            why.unwrap_or("no reason given")
        );
    }
    let kind = destination.file_system.as_deref();
    let mounted = if destination.mounted {
        ""
    } else {
        ", not a mount point"
    };
    format!(
        "to {path}/{host} ({}{mounted}), {} free of {}",
        kind.unwrap_or("unknown file system"),
        unbroken(&amount::bytes(destination.free_bytes)),
        unbroken(&amount::bytes(destination.total_bytes)),
    )
}

/// Columns of the picture of a destination's room.
const ROOM: usize = 32;

/// Where a plan changes something.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Where {
    /// Nowhere else than where it says.
    Anywhere,
    /// At one of several destinations.
    There,
}

/// That nothing will change, if so.
fn describe_nothing(plan: &Plan, place: Where, style: &Style) -> Option<String> {
    let there = match place {
        Where::Anywhere => "",
        Where::There => " there",
    };
    match plan.severity() {
        Some(Severity::Refusal) => {
            let refused = style.red(style.bold("Refused:"));
            Some(format!("{refused} nothing will change{there}."))
        }
        Some(Severity::Deferral) => {
            let deferred = style.yellow(style.bold("Deferred:"));
            Some(format!("{deferred} nothing will change{there} now."))
        }
        _ => (!plan.does_something()).then(|| style.bold("Nothing to do.")),
    }
}

/// The last line: what it comes to, or that nothing will change.
fn describe_total(plan: &Plan, style: &Style) -> String {
    if let Some(nothing) = describe_nothing(plan, Where::Anywhere, style) {
        return nothing;
    }
    let mut parts = Vec::new();
    if plan.snapshot().is_some() {
        parts.push(format!(
            "copy {} ({})",
            amount::plural(plan.totals.copy_files, "file", "files"),
            unbroken(&amount::bytes(plan.totals.copy_bytes))
        ));
        parts.push(format!("link {}", amount::count(plan.totals.link_files)));
    }
    parts.extend(describe_deletions(plan));
    for step in &plan.steps {
        match &step.action {
            Action::Restore(restore) => parts.push(format!(
                "restore {} ({})",
                amount::plural(restore.creates, "entry", "entries"),
                unbroken(&amount::bytes(restore.bytes))
            )),
            Action::CloudSync(_) => parts.push("copy to the cloud".to_owned()),
            Action::Upload(_) => parts.push("upload".to_owned()),
            Action::Expire(step) => parts.extend(describe_expiry(step)),
            _ => {}
        }
    }
    if parts.is_empty() {
        let steps = plan.steps.len() as u64;
        parts.push(amount::plural(steps, "step", "steps"));
    }
    // A line too long breaks between the parts only.
    let parts: Vec<String> = parts.iter().map(|part| unbroken(part)).collect();
    format!("{} {}", style.bold("Total:"), parts.join(", "))
}

/// How many a remote lets go, and how many are taken away there.
fn describe_expiry(step: &ExpireStep) -> Vec<String> {
    let mut parts = Vec::new();
    if !step.expire.is_empty() {
        let count = amount::plural(step.expire.len() as u64, "snapshot", "snapshots");
        parts.push(format!("let {count} go on the remote"));
    }
    if !step.sweep.is_empty() {
        let swept = step.swept();
        let least = if swept.at_least { "at least " } else { "" };
        parts.push(format!(
            "delete {} there (frees {least}{})",
            amount::count(step.sweep.len() as u64),
            unbroken(&amount::bytes(swept.bytes))
        ));
    }
    parts
}

/// What all deletions come to and what stays, where a step deletes.
fn describe_deletions(plan: &Plan) -> Vec<String> {
    let deletions: Vec<&[Deletion]> = plan
        .steps
        .iter()
        .filter_map(|step| match &step.action {
            Action::Rotate(step) => Some(step.on_complete.deletions.as_slice()),
            Action::Delete(step) => Some(step.rotation.deletions.as_slice()),
            _ => None,
        })
        .collect();
    if deletions.is_empty() {
        return Vec::new();
    }
    let mut lost = deletions.concat().into_iter().filter_map(|one| one.lost);
    let least = if lost.any(|lost| lost.at_least) {
        "at least "
    } else {
        ""
    };
    let totals = &plan.totals;
    let deleted = match totals.deletions {
        0 => "delete nothing".to_owned(),
        count => format!(
            "delete {} (frees {least}{})",
            amount::count(count),
            unbroken(&amount::bytes(totals.freed_bytes))
        ),
    };
    vec![deleted, format!("keep {}", amount::count(totals.kept))]
}

#[cfg(test)]
mod tests;
