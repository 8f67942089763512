//! The decisions of the backup system: config and inventory in, plan out.
//!
//! Pure functions from values to values: no file, process, environment or clock. What happens to
//! a plan is the executor's business.

pub mod accord;
mod adopt;
pub mod assessment;
mod by_hand;
pub mod calendar;
pub mod check;
mod content;
pub mod copies;
mod deletion_groups;
mod differences;
pub mod drill;
pub mod due;
mod facts;
mod feeds;
pub mod findings;
pub mod folders;
pub mod graph;
pub mod health;
mod join;
pub mod lint;
mod listing;
mod maintenance;
pub mod naming;
pub mod nearest;
pub mod notices;
pub mod offers;
mod overview;
pub mod period;
mod pipeline;
mod remote_by_hand;
pub mod restore;
pub mod retention;
pub mod schedule;
pub mod scope;
pub mod setup;
mod sharing;
mod space;
mod stale;
pub mod standing;
pub mod state;
pub mod status;
mod steps;
pub mod stored_snapshot;
#[cfg(test)]
mod test_support;
pub mod unanswered;
pub mod unfinished;
pub mod units;
mod wanted;

pub use adopt::{begins_at_root, plan_adoption};
pub use by_hand::{plan_deletion, plan_prune};
pub use deletion_groups::{DeletionGroup, TOLD_ONE_BY_ONE, group_deletions};
pub use feeds::{feeds_of, mirrors_live, needs_sources, sources_of_feeds};
pub use findings::{
    cloud::held_back_upload,
    destination::destination_absence,
    records::damage_findings,
    trust::{deciding_files, untrusted_files},
};
pub use join::plan_all;
pub use listing::{list_remote_snapshots, list_snapshots};
pub use maintenance::{
    plan_adopting, plan_init, plan_maintenance, plan_maintenance_steps, plan_remote_marks,
};
pub use overview::{Standing, overview};
pub use pipeline::{
    Options, accepted_with, also_link, choose_basis, choose_reference, continue_plan, plan,
    refuse_unlawful,
};
pub use remote_by_hand::{plan_remote_deletion, plan_remote_prune};
pub use schema::clock::{self, FUTURE_TOLERANCE};
pub use stale::staleness;
pub use steps::{
    cloud_sync::{options as cloud_options, remote as cloud_remote},
    remote_expiry::going_on_remote,
};
pub use wanted::Wanted;
