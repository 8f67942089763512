//! What a health check measures: earlier runs, room over time, what is lost, the next share of the
//! stored data, the tools. Writes nothing to sources or destination and works without the lock.
//!
//! Judging is the planner's. What cannot be measured is left out rather than an error: health is
//! asked when something is wrong.

mod cloud;
mod share;

use std::collections::HashSet;

use schema::{
    Config,
    health::{Measured, ToolFound, UnfinishedRun},
};

use crate::{
    cloud::rclone::find_rclone, error::Result, event::Context, scan::lost::lost_snapshots,
    state_dir::StateDir, store::Store,
};

pub use share::read_share;

/// Measures all but the share of the stored data, which [`read_share`] reads before. `remote` is the
/// host's folder in the cloud.
///
/// # Errors
/// An interruption.
pub fn measure_health(
    config: &Config,
    state: Option<&StateDir>,
    store: Option<&Store>,
    remote: &str,
    context: Context<'_>,
) -> Result<Measured> {
    let mut measured = Measured::default();
    if let Some(state) = state {
        measured.running = state.is_busy();
        measured.runs = state.ended_runs().unwrap_or_default();
        measured.last_check_at = state.health().map(|last| last.checked_at);
        measured.report_unsent = state.mailed_report().and_then(|mailed| mailed.failed);
        measured.drill = state.drill();
        measured.read_back = state.read_back(config, remote);
        measured.unfinished = state.unfinished().ok().flatten().map(|run| UnfinishedRun {
            interruptions: run.all(),
            run_id: run.plan.run_id,
            step: run.step,
            planned_at: run.plan.created_at,
        });
    }
    if let Some(store) = store {
        let record = store.destination().ok().flatten();
        if let (Some(state), Some(record)) = (state, record) {
            measured.space = state.free_space(&record.id).unwrap_or_default();
        }
        // While a run works, snapshots are on their way.
        if !measured.running {
            measured.lost = lost_snapshots(store, &HashSet::new()).unwrap_or_default();
        }
    }
    if config.cloud.enable {
        let found = find_rclone("rclone");
        if found.version.is_some() {
            measured.cloud_unreachable =
                cloud::why_unreachable(&config.cloud, (state, remote), context)?;
        }
        measured.rclone = Some(ToolFound {
            version: found.version,
            fault: found.fault,
        });
    }
    Ok(measured)
}
