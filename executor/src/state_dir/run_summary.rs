//! What is asked of every kept run again and again, beside its plan and its inventory: these grow with
//! the snapshots there are, and a hundred runs are kept.
//!
//! Runs of earlier versions have no summary; one that is damaged, of another run or of another inventory
//! than the one beside it is none. Then plan and inventory are read.

use std::{collections::BTreeMap, ffi::OsStr};

use chrono::{DateTime, FixedOffset};
use schema::{
    Inventory, Plan, config::DestinationName, health::SpaceSample, inventory::DestinationState,
};
use serde::{Deserialize, Serialize};

use super::{
    files::{INVENTORY, PLAN, RUNS, SUMMARY},
    open::StateDir,
    runs::{backs_up, is_maintenance},
};
use crate::{
    store::{read_json, write_record},
    sys::Dir,
};

/// `summary.json` of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RunSummary {
    /// The run's id: that of its plan.
    pub(super) run_id: String,
    /// It is something else than a backup: a restore, a mark, a new destination.
    pub(super) is_maintenance: bool,
    /// It makes, moves or deletes snapshots.
    pub(super) backs_up: bool,
    /// The named destination that all of it is of; none of a run for several, or for the base.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) of: Option<DestinationName>,
    /// When its inventory was taken.
    taken_at: DateTime<FixedOffset>,
    /// Size and time of the inventory's file: what is said here holds as long as it has these.
    inventory: (u64, i64),
    /// The destination that it found; none where there was none with a record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    room: Option<RoomFound>,
    /// The same of the named destinations.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    rooms: Vec<RoomFound>,
}

/// How much room a run found on a destination.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct RoomFound {
    /// The destination's id.
    destination: String,
    free_bytes: u64,
}

/// The part of an inventory that says how much room there was.
#[derive(Deserialize)]
struct Room {
    taken_at: DateTime<FixedOffset>,
    destination: Option<Destination>,
    #[serde(default)]
    others: BTreeMap<DestinationName, Other>,
}

#[derive(Deserialize)]
struct Other {
    destination: Option<Destination>,
}

#[derive(Deserialize)]
struct Destination {
    free_bytes: u64,
    record: Option<Record>,
}

#[derive(Deserialize)]
struct Record {
    id: String,
}

impl RunSummary {
    fn new(
        of: Option<&DestinationName>,
        inventory: &Inventory,
        file: (u64, i64),
        plan: &Plan,
    ) -> Self {
        let room_of = |found: &DestinationState| {
            Some(RoomFound {
                destination: found.record.as_ref()?.id.clone(),
                free_bytes: found.free_bytes,
            })
        };
        let others = inventory.others.values();
        let others = others.filter_map(|other| other.destination.as_ref());
        Self {
            run_id: plan.run_id.clone(),
            is_maintenance: is_maintenance(plan),
            backs_up: backs_up(plan),
            of: of.cloned(),
            taken_at: inventory.taken_at,
            inventory: file,
            room: inventory.destination.as_ref().and_then(room_of),
            rooms: others.filter_map(room_of).collect(),
        }
    }
}

impl StateDir {
    /// Writes the summary of a run that begins. Where that fails, plan and inventory say it all.
    pub(super) fn summarize_run(&self, run: &Dir, inventory: &Inventory, plan: &Plan) {
        let path = self.named(&format!("{RUNS}/{}/{SUMMARY}", plan.run_id));
        if let Some(file) = inventory_file(run) {
            let summary = RunSummary::new(self.of.as_ref(), inventory, file, plan);
            let _ = write_record(run, SUMMARY, &path, &summary);
        }
    }

    /// The summary of a run, where it has one of its own. An earlier version that begins a run of this
    /// name anew leaves the old one beside another inventory.
    pub(super) fn run_summary(&self, run: &Dir, name: &str) -> Option<RunSummary> {
        let path = self.named(&format!("{RUNS}/{name}/{SUMMARY}"));
        let summary: Option<RunSummary> = read_json(run, SUMMARY, &path).unwrap_or_default();
        summary.filter(|summary| {
            summary.run_id == name && inventory_file(run) == Some(summary.inventory)
        })
    }

    /// Whether a run is a backup; not where its plan cannot be read.
    pub(super) fn is_backup(&self, run: &Dir, name: &str) -> bool {
        if let Some(summary) = self.run_summary(run, name) {
            return !summary.is_maintenance;
        }
        let path = self.named(&format!("{RUNS}/{name}/{PLAN}"));
        let plan: Option<Plan> = read_json(run, PLAN, &path).unwrap_or_default();
        plan.is_some_and(|plan| !is_maintenance(&plan))
    }

    /// The room that a run found on a destination before it began.
    pub(super) fn room_found(
        &self,
        run: &Dir,
        name: &str,
        destination: &str,
    ) -> Option<SpaceSample> {
        let (at, mut rooms) = match self.run_summary(run, name) {
            Some(summary) => {
                let rooms = summary.room.into_iter().chain(summary.rooms);
                (summary.taken_at, rooms.collect::<Vec<_>>())
            }
            None => {
                let path = self.named(&format!("{RUNS}/{name}/{INVENTORY}"));
                let room: Option<Room> = read_json(run, INVENTORY, &path).unwrap_or_default();
                let room = room?;
                let others = room.others.into_values().map(|other| other.destination);
                let found = [room.destination].into_iter().chain(others).flatten();
                let rooms = found.filter_map(|found| {
                    Some(RoomFound {
                        destination: found.record?.id,
                        free_bytes: found.free_bytes,
                    })
                });
                (room.taken_at, rooms.collect())
            }
        };
        rooms.retain(|room| room.destination == destination);
        let free_bytes = rooms.first()?.free_bytes;
        Some(SpaceSample { at, free_bytes })
    }
}

/// Size and time of the inventory in a run's folder.
fn inventory_file(run: &Dir) -> Option<(u64, i64)> {
    let stat = run.look(OsStr::new(INVENTORY)).ok()??;
    Some((stat.size, i64::try_from(stat.mtime).ok()?))
}
