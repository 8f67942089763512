//! Whether each step has what it needs before it.

use std::collections::{BTreeMap, BTreeSet};

use schema::{
    Plan, Severity,
    config::OnPreBackupFailure,
    plan::{Action, DeletePurpose, Step},
};

use super::{Broken, OUT_OF_ORDER};

/// The kinds of steps that must have succeeded before a step begins.
type Served<'a> = BTreeSet<&'a str>;

pub(super) fn check(plan: &Plan, broken: &mut Broken) {
    refused_plans_do_nothing(plan, broken);
    let mut before: BTreeMap<&str, Served<'_>> = BTreeMap::new();
    for (at, step) in plan.steps.iter().enumerate() {
        if let Some(only) = plan.only
            && step.action.part() != only
        {
            let word = only.word();
            broken.step(OUT_OF_ORDER, step, format!("is no step of the part {word}"));
        }
        let mut served = Served::new();
        for name in step.needs.iter().chain(&step.after) {
            if before.contains_key(name.as_str()) {
                continue;
            }
            let known = plan.steps.iter().any(|other| other.id == *name);
            let why = if known {
                "does not stand before it"
            } else {
                "is no step of the plan"
            };
            broken.step(
                OUT_OF_ORDER,
                step,
                format!("waits for `{name}`, which {why}"),
            );
        }
        for need in plan.steps[..at]
            .iter()
            .filter(|one| step.needs.contains(&one.id))
        {
            served.insert(need.action.kind());
            served.extend(before.get(need.id.as_str()).into_iter().flatten());
        }
        kinds(plan, at, &served, broken);
        if before.insert(&step.id, served).is_some() {
            broken.step(OUT_OF_ORDER, step, "has the name of another step");
        }
    }
}

/// A plan that is refused runs no step but those that tell of it; one that is deferred because the disk
/// is away serves the cloud from the live sources.
fn refused_plans_do_nothing(plan: &Plan, broken: &mut Broken) {
    let severity = plan.severity().filter(|it| *it >= Severity::Deferral);
    let Some(severity) = severity else { return };
    for step in &plan.steps {
        let runs = match &step.action {
            Action::PostScript(_) | Action::Notify(_) => true,
            // It had run when the plan was made.
            Action::PreScript(_) | Action::PlanAgain if plan.is_made_in_two() => true,
            Action::Announce(_) | Action::PreScript(_) => severity == Severity::Deferral,
            Action::CloudSync(sync) => severity == Severity::Deferral && sync.live.is_some(),
            _ => false,
        };
        if !runs {
            broken.step(OUT_OF_ORDER, step, "is in a plan that is refused");
        }
    }
}

/// What a step of this kind needs, besides being named by it.
fn kinds(plan: &Plan, at: usize, served: &Served<'_>, broken: &mut Broken) {
    let step = &plan.steps[at];
    let mut need = |kind: &str, why: &str| {
        if !served.contains(kind) {
            let what = format!("does not need a {kind} step, {why}");
            broken.step(OUT_OF_ORDER, step, what);
        }
    };
    let checked = "which makes sure that it is the right destination";
    match &step.action {
        Action::Announce(_) | Action::PreScript(_) | Action::RemoteMark(_) => {}
        Action::Expire(step) if step.asked.is_some() => {}
        Action::PlanAgain | Action::DestinationCheck(_) => {
            if must_succeed(plan) {
                need("pre-script", "although a failure of that one ends the run");
            }
        }
        Action::SpaceCheck(_)
        | Action::Delete(_)
        | Action::Restore(_)
        | Action::Mark(_)
        | Action::Repair(_)
        | Action::Adopt(_) => need("destination-check", checked),
        Action::Snapshot(_) => {
            need("destination-check", checked);
            need("space-check", "which makes sure that there is room");
        }
        Action::Rotate(_) => need("snapshot", "without which nothing may be deleted"),
        Action::CloudSync(sync) => {
            let is_fed = !sync.from.is_empty();
            if (sync.live.is_some() || (is_fed && must_succeed(plan))) && has(plan, "pre-script") {
                need("pre-script", "which may make the sources");
            } else if sync.live.is_none() && sync.destination.is_none() && !is_fed {
                need("snapshot", "which it is to copy");
            }
            if is_fed && (sync.live.is_some() || sync.destination.is_some()) {
                let what = "does not say whether it copies a snapshot or the live sources";
                broken.step(OUT_OF_ORDER, step, what);
            }
        }
        Action::Expire(_) => need("upload", "without which nothing may be deleted"),
        Action::Upload(upload) => {
            if (upload.from.is_empty() || must_succeed(plan)) && has(plan, "pre-script") {
                need("pre-script", "which may make the sources");
            }
            if upload.live.is_none() && upload.from.is_empty() {
                let what = "does not say what it uploads";
                broken.step(OUT_OF_ORDER, step, what);
            }
        }
        Action::PostScript(_) | Action::Notify(_) => waits_for_all(&plan.steps[..at], step, broken),
    }
    let makes_room = |action: &Action| matches!(action, Action::Delete(step) if step.purpose == DeletePurpose::MakeRoom);
    let snapshot = |step: &Step| matches!(step.action, Action::Snapshot(_));
    if makes_room(&step.action) && !plan.steps[at..].iter().any(snapshot) {
        broken.step(OUT_OF_ORDER, step, "makes room, and no snapshot follows");
    }
}

/// Whether there is a pre-backup script whose failure ends the run.
fn must_succeed(plan: &Plan) -> bool {
    plan.steps.iter().any(|step| match &step.action {
        Action::PreScript(script) => script.on_failure == OnPreBackupFailure::Abort,
        _ => false,
    })
}

fn has(plan: &Plan, kind: &str) -> bool {
    plan.steps.iter().any(|step| step.action.kind() == kind)
}

/// What tells of the result comes when there is one.
fn waits_for_all(before: &[Step], step: &Step, broken: &mut Broken) {
    let waits = |other: &&Step| step.needs.contains(&other.id) || step.after.contains(&other.id);
    if let Some(other) = before.iter().find(|other| !waits(other)) {
        let what = format!("does not wait for `{}`, whose result it tells", other.id);
        broken.step(OUT_OF_ORDER, step, what);
    }
}
