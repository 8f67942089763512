//! The plan of a backup in a few lines: what matters before it runs.
//!
//! Owns what is told of a usual plan: what is new, what is gone from the sources, and all that is deleted,
//! with its reason and what is lost by it. What happens at every run is counted; the whole plan tells it.

use schema::{
    Inventory, Plan,
    plan::{Action, CloudSyncStep, SnapshotStep, Step},
};

use super::{
    Where, add_findings, add_header, cloud, describe_nothing, describe_total, lines::add_verb,
    rotation, steps,
};
use crate::{
    render::{
        amount,
        page::{Page, configured_path, first_few, unbroken},
    },
    style::{Style, printable},
};

/// Whether it is the plan of a backup, and of nothing else.
pub(super) fn is_of_backup(plan: &Plan) -> bool {
    plan.steps.iter().all(|step| match step.action {
        Action::PreScript(_)
        | Action::PlanAgain
        | Action::PostScript(_)
        | Action::DestinationCheck(_)
        | Action::SpaceCheck(_)
        | Action::Snapshot(_)
        | Action::Delete(_)
        | Action::Rotate(_)
        | Action::CloudSync(_)
        | Action::Upload(_)
        | Action::Expire(_)
        | Action::Announce(_)
        | Action::Notify(_) => true,
        Action::Restore(_)
        | Action::Mark(_)
        | Action::RemoteMark(_)
        | Action::Repair(_)
        | Action::Adopt(_) => false,
    })
}

/// What matters of the plan, made from this inventory.
pub(super) fn short_page(plan: &Plan, inventory: &Inventory, style: &Style) -> String {
    let mut page = Page::default();
    add_header(&mut page, plan, inventory, style);
    page.blank();
    add_steps(&mut page, plan, inventory, style);
    page.blank();
    add_findings(&mut page, &plan.findings, style);
    page.blank();
    let end = describe_nothing(plan, Where::Anywhere, style).unwrap_or_else(|| describe_rest(plan));
    page.line(0, &end);
    page.into_string()
}

/// What matters of each step.
pub(super) fn add_steps(page: &mut Page, plan: &Plan, inventory: &Inventory, style: &Style) {
    for step in &plan.steps {
        add_what_matters(page, &step.action, plan, inventory, style);
    }
}

/// What goes by a plan that a person asks for and why, made from this inventory, and what stays.
pub(super) fn add_deletions(page: &mut Page, plan: &Plan, inventory: &Inventory, style: &Style) {
    for step in &plan.steps {
        add_what_matters(page, &step.action, plan, inventory, style);
    }
    page.blank();
    add_findings(page, &plan.findings, style);
    page.blank();
    let is_of_remote = |step: &Step| matches!(step.action, Action::Expire(_));
    let lets_go = plan.steps.iter().any(is_of_remote);
    let end = describe_nothing(plan, Where::Anywhere, style).unwrap_or_else(|| {
        match plan.totals.deletions {
            // What one comes to stands beside it.
            1 if !lets_go => {
                let kept = amount::plural(plan.totals.kept, "snapshot stays", "snapshots stay");
                format!("{kept}.")
            }
            _ => describe_total(plan, style),
        }
    });
    page.line(0, &end);
}

/// The last line: how much the whole plan tells besides.
pub(in crate::render) fn describe_rest(plan: &Plan) -> String {
    let steps = amount::plural(plan.steps.len() as u64, "step", "steps");
    format!("{steps}: -v shows each, what it leaves out and why each snapshot stays.")
}

fn add_what_matters(
    page: &mut Page,
    action: &Action,
    plan: &Plan,
    inventory: &Inventory,
    style: &Style,
) {
    match action {
        Action::PreScript(step) => steps::add_script(page, step, true),
        Action::PostScript(step) => steps::add_script(page, step, false),
        Action::DestinationCheck(step) => {
            steps::add_creation(page, step);
            steps::add_trust(page, step);
        }
        Action::SpaceCheck(step) => steps::add_removals(page, step, inventory, style),
        Action::Snapshot(step) => add_snapshot(page, step, inventory),
        Action::Delete(step) => {
            rotation::add_together(page, &style.red("delete"), &step.rotation.deletions);
            rotation::add_purpose(page, step);
        }
        Action::Rotate(step) => rotation::add_what_goes(page, step, plan, style),
        Action::CloudSync(step) => add_cloud_sync(page, step, inventory, style),
        Action::Upload(step) => {
            if step.from.is_empty() {
                steps::add_left_out(page, inventory);
            }
            cloud::add_upload(page, step);
        }
        Action::Expire(step) => cloud::add_expiry(page, step, false, style),
        Action::PlanAgain => steps::add_action(page, action, plan, inventory, style),
        // What happens in any case, or cannot be in the plan of a backup.
        Action::Announce(_)
        | Action::Notify(_)
        | Action::Restore(_)
        | Action::Mark(_)
        | Action::RemoteMark(_)
        | Action::Repair(_)
        | Action::Adopt(_) => {}
    }
}

fn add_snapshot(page: &mut Page, step: &SnapshotStep, inventory: &Inventory) {
    let sources: Vec<String> = step
        .sources
        .iter()
        .map(|source| {
            let path = configured_path(&source.path);
            match source.present {
                true => path,
                false => format!("{path} (not there)"),
            }
        })
        .collect();
    let text = format!("{} of {}", step.id, first_few(&sources, 5));
    add_verb(page, "make", &text);
    steps::add_resumed(page, step, inventory);
    let expected = &step.expected;
    let changed = expected.changed_files.min(expected.new_files);
    let new = amount::plural(expected.new_files - changed, "new file", "new files");
    let changed = match changed {
        0 => String::new(),
        1 => " and 1 that changed".to_owned(),
        many => format!(" and {} that changed", amount::count(many)),
    };
    let most = unbroken(&amount::bytes(expected.new_bytes));
    add_verb(page, "copy", &format!("{new}{changed}, at most {most}"));
    steps::add_gone(page, expected.gone.as_ref());
    add_verb(page, "link", &steps::describe_links(step, inventory));
    steps::add_left_out(page, inventory);
}

fn add_cloud_sync(page: &mut Page, step: &CloudSyncStep, inventory: &Inventory, style: &Style) {
    if step.live.is_some() {
        steps::add_gone(page, inventory.gone.as_ref());
        steps::add_left_out(page, inventory);
    }
    let expected = &step.expected;
    let text = format!(
        "{}, at most {}, to {}",
        amount::plural(expected.upload_files, "file", "files"),
        unbroken(&amount::bytes(expected.upload_bytes)),
        unbroken(&printable(&step.remote))
    );
    add_verb(page, "upload", &text);
    cloud::add_what_is_kept(page, step);
    if step.limits.max_delete.is_none() {
        cloud::add_guard(page, step);
    }
    cloud::add_what_goes_together(page, step, style);
}
