//! The state directory: what this machine remembers between runs.
//!
//! `runs/<run-id>/` explains each run by itself; `destinations.json` lists the disks that were
//! used; `verified.json` what was found of each, `sealed.json` the digests of manifests that were
//! sealed there; `record-index/` spares reading records again; `drill.json` and `health.json` what the last drill and the last health check
//! came to;
//! `destinations/<name>/` has what is remembered of one named destination alone;
//! `deferrals.json` since when runs are deferred; `tries.json` how often timers tried; `progress.json` how far a run is; `lock` lets one run at a time, `work.lock` one
//! process of it.

pub(crate) mod aside;
mod destinations;
mod files;
mod history;
mod kept_digests;
mod notified;
mod of_destination;
mod open;
mod part_journal;
mod progress;
mod record_index;
pub(crate) mod remotes;
mod run_lock;
mod run_summary;
mod runs;
mod small_files;
mod verified;

pub use kept_digests::{
    KeptDigest, KeptDigests, KeptElsewhere, knows_sealed, learn_sealed, note_changed,
    room_to_take_over,
};
pub use open::StateDir;
pub use progress::NotedProgress;
pub use record_index::{Beside, RecordIndex};
pub use run_lock::RunLock;
pub use runs::Unfinished;
pub use verified::{ManifestFault, Remembered, Shares};
