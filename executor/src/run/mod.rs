//! The run loop: each step once, journalled before and after, resumable in between.
//!
//! Invariant (law 6): a step's `started` record is on disk before its first effect and `finished`
//! after its last; a step that is only started runs again.
//!
//! [`runner`] goes through the steps, [`step`] writes the records, [`dispatch`] knows who does which
//! step, [`delegation`] hands parts over to units of their own, and [`part`] is what such a unit does.

pub mod delegation;
mod dispatch;
mod feeding;
pub mod finish_interrupted;
pub mod foretell;
pub mod part;
mod report;
mod runner;
mod session;
mod sessions;
mod step;
pub mod systemd;

pub use runner::{
    RunEnd, abandon_run, begin_delegated_run, begin_run, resume_delegated_run, resume_planned_run,
};
pub use sessions::Surveys;
pub use systemd::Systemd;
