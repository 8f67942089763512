//! What a health check measures: earlier runs, room over time, what is lost, the next share of the
//! stored data, the tools. Writes nothing to sources or destination and works without the lock.
//!
//! Judging is the planner's. What cannot be measured is left out rather than an error: health is
//! asked when something is wrong.

mod cloud;
mod share;

use std::ffi::OsStr;

use rustix::io::Errno;
use schema::{
    Config, SnapshotId,
    health::{Measured, UnfinishedRun},
};

use crate::{
    error::Result,
    event::Context,
    state_dir::StateDir,
    store::{PARTIAL, SNAPSHOT_FILE, SNAPSHOTS, Store, TRASH},
};

pub use share::{Shares, read_share};

/// Measures all but the share of the stored data, which [`read_share`] reads before.
///
/// # Errors
/// An interruption.
pub fn measure(
    config: &Config,
    state: Option<&StateDir>,
    store: Option<&Store>,
    context: Context<'_>,
) -> Result<Measured> {
    let mut measured = Measured::default();
    if let Some(state) = state {
        measured.running = state.is_busy();
        measured.runs = state.ended_runs().unwrap_or_default();
        measured.last_check_at = state.health().map(|last| last.checked_at);
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
            measured.lost = lost(store).unwrap_or_default();
        }
    }
    if config.cloud.enable {
        let rclone = cloud::rclone(context)?;
        if rclone.version.is_some() {
            measured.cloud_unreachable = cloud::unreachable(&config.cloud, context)?;
        }
        measured.rclone = Some(rclone);
    }
    Ok(measured)
}

/// Snapshots that were sealed and are neither in a tier nor on their way in or out.
fn lost(store: &Store) -> Result<Vec<SnapshotId>> {
    let io = |area: &str, error: Errno| store.io("list", area, error);
    let records = match store.backup.folder(OsStr::new(SNAPSHOTS)) {
        Ok(records) => records,
        Err(Errno::NOENT) => return Ok(Vec::new()),
        Err(error) => return Err(io(SNAPSHOTS, error)),
    };
    let mut lost = Vec::new();
    for name in records.names().map_err(|error| io(SNAPSHOTS, error))? {
        let Some(id) = name.to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        let is_sealed = records
            .folder(&name)
            .and_then(|folder| folder.look(OsStr::new(SNAPSHOT_FILE)))
            .is_ok_and(|there| there.is_some());
        let on_its_way = [PARTIAL, TRASH].iter().any(|area| {
            let area = store.backup.folder(OsStr::new(area));
            area.and_then(|area| area.look(&name))
                .is_ok_and(|there| there.is_some())
        });
        if is_sealed && !on_its_way && store.home_of(id)?.is_none() {
            lost.push(id);
        }
    }
    lost.sort_unstable();
    Ok(lost)
}
