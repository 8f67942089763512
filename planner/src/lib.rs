//! The decisions of the backup system: pure functions from config and inventory to plan.

pub mod calendar;
pub mod check;
