//! A first configuration: what is proposed of what a machine has, what an answer means, what is wrong
//! with a place, and the text that is written.
//!
//! Owns what is worth proposing. Whether the answers make a valid configuration is [`crate::check`]'s to
//! say.

mod answers;
mod idle;
mod judge;
mod places;
mod sources;

pub use self::{
    answers::{Answers, CopyEngine, Remote, Schedule, parse_choice, parse_folders},
    idle::{IdlePlace, idle_at, propose_idle},
    judge::{PlaceFault, judge_place, mount_above, propose_min_space},
    places::{ProposedPlace, propose_place, propose_places},
    sources::{propose_engine, propose_sources},
};
