//! What a run does whose basis cannot be used: the manifest that says what of the sources is
//! unchanged is damaged, or it or the tree cannot be read just now.

use anyhow::Result;
use executor::{event::Context, state_dir::StateDir, verify::memory};
use schema::{
    Config, Inventory, Plan, Report, SnapshotId,
    plan::{Action, SnapshotStep},
};

use crate::take;

/// The basis of a plan whose run failed because it could not be read, with the reason.
pub(crate) fn unusable(plan: &Plan, report: &Report) -> Option<(SnapshotId, String)> {
    let mut steps = report.steps.iter();
    let because = steps.find_map(|step| step.outcome.unusable_basis.clone())?;
    Some((snapshot(plan)?.basis.as_ref()?.id, because))
}

/// What is said of such a run.
pub(crate) fn note(report: &Report, basis: SnapshotId) -> String {
    format!(
        "run {} ended early: {basis}, which it was to be linked to, cannot be read; a new one, which \
         does without it, takes its place",
        report.run_id
    )
}

/// Why the basis of an unfinished run cannot be used any more; none if it can, or if the snapshot
/// was sealed already.
pub(crate) fn fault(config: &Config, plan: &Plan, context: Context<'_>) -> Result<Option<String>> {
    let Some((step, basis)) = snapshot(plan).and_then(|step| Some((step, step.basis.as_ref()?)))
    else {
        return Ok(None);
    };
    let Some(store) = take::store(config)? else {
        return Ok(None);
    };
    if matches!(store.record(step.id), Ok(Some(_))) {
        return Ok(None);
    }
    let fault = match store.record(basis.id) {
        Ok(Some(record)) => store.manifest_fault(&record, context.stop)?,
        Ok(None) => Some("its record is missing".to_owned()),
        Err(error) => Some(error.message),
    };
    Ok(fault.map(|fault| format!("its basis {} cannot be used: {fault}", basis.id)))
}

/// Remembers which manifests cannot be used, so that whoever only looks knows it, too.
pub(crate) fn remember(state: &StateDir, config: &Config, inventory: &Inventory) -> Result<()> {
    if let (Some(destination), Some(store)) = (&inventory.destination, take::store(config)?) {
        memory::learn_manifests(state, &store, destination)?;
    }
    Ok(())
}

fn snapshot(plan: &Plan) -> Option<&SnapshotStep> {
    plan.steps.iter().find_map(|step| match &step.action {
        Action::Snapshot(step) => Some(step),
        _ => None,
    })
}
