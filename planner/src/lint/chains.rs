//! Whether the chains of several destinations stand apart: none touches, names or waits for another's.

use std::collections::BTreeSet;

use schema::{
    Plan,
    config::DestinationName,
    plan::{Action, Part, Step, chain::split_id},
};

use super::{Broken, OUT_OF_ORDER};

pub(super) fn check(plan: &Plan, broken: &mut Broken) {
    let mut seen = BTreeSet::new();
    for step in &plan.steps {
        if !seen.insert(&step.id) {
            broken.step(OUT_OF_ORDER, step, "has the name of another step");
        }
        let (_, named) = split_id(&step.id);
        if named != step.of.as_ref().map(|of| of.as_str()) {
            let what = "does not have the name of its destination in its own";
            broken.step(OUT_OF_ORDER, step, what);
        }
        if let Some(of) = step.of.as_ref() {
            if !plan.chains.contains_key(of) {
                let what = format!("is of `{of}`, which is no destination of the plan");
                broken.step(OUT_OF_ORDER, step, what);
            }
            if step.action.part() == Part::Coordinator {
                broken.step(OUT_OF_ORDER, step, "is the run's, and no destination's own");
            }
        }
        waits_for_no_other(plan, step, broken);
        takes_from_what_is_made(plan, step, broken);
    }
}

/// What holds one destination up holds no other up.
fn waits_for_no_other(plan: &Plan, step: &Step, broken: &mut Broken) {
    let frame = |step: &Step| step.action.part() == Part::Coordinator;
    for other in &plan.steps {
        if frame(other) || other.id == step.id {
            continue;
        }
        let (needs, after) = (
            step.needs.contains(&other.id),
            step.after.contains(&other.id),
        );
        let foreign = match frame(step) {
            true => needs,
            false => {
                let foreign = other.of != step.of;
                foreign && (needs || (after && !feeds(other, step)))
            }
        };
        if foreign {
            let what = format!(
                "waits for `{}`, so that one destination would hold up another",
                other.id
            );
            broken.step(OUT_OF_ORDER, step, what);
        }
    }
}

/// Content comes from what the run has made by then, and from nowhere else.
fn takes_from_what_is_made(plan: &Plan, step: &Step, broken: &mut Broken) {
    let Action::Snapshot(snapshot) = &step.action else {
        return;
    };
    for from in &snapshot.content_from {
        let of = (!from.of.is_predefined()).then_some(&from.of);
        let mut before = plan.steps.iter().take_while(|other| other.id != step.id);
        let makes_it = |other: &Step| {
            let is_it = matches!(&other.action, Action::Snapshot(made) if made.id == from.snapshot);
            is_it && other.of.as_ref() == of
        };
        if !before.any(makes_it) {
            let what = format!(
                "takes content from {} on `{}`, which is not made before it",
                from.snapshot, from.of
            );
            broken.step(OUT_OF_ORDER, step, what);
        }
    }
}

/// Whether a step makes what another one uploads; that waits for its end, well or not.
fn feeds(other: &Step, step: &Step) -> bool {
    let is_made = matches!(other.action, Action::Snapshot(_) | Action::Rotate(_));
    let of = other
        .of
        .as_ref()
        .map_or(DestinationName::LOCAL, |of| of.as_str());
    is_made
        && step
            .action
            .feeds()
            .iter()
            .any(|feed| feed.of.as_str() == of)
}
