//! The plan fixtures that are generated: each name is a fact that its plan shows.
//!
//! `BLESS=1 cargo test -p planner --test plans` writes them. A folder that is not listed here is as
//! good: it may come from a real run. Adding a scenario is one entry in one of the lists.

#[path = "scenarios/destination.rs"]
mod destination;
#[path = "scenarios/remotes.rs"]
mod remotes;
#[path = "scenarios/retention.rs"]
mod retention;
#[path = "scenarios/rsync.rs"]
mod rsync;
#[path = "scenarios/sources.rs"]
mod sources;
#[path = "scenarios/steps.rs"]
mod steps;

use super::world::World;

/// A folder's name and what is in it.
pub(crate) type Scenario = (&'static str, World);

/// All generated fixtures.
pub(crate) fn all() -> Vec<Scenario> {
    [
        destination::all(),
        remotes::all(),
        retention::all(),
        rsync::all(),
        sources::all(),
        steps::all(),
    ]
    .concat()
}
