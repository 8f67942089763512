//! Each kind of step is done by one file here. The decisions are in the plan.

pub(crate) mod by_time;
pub mod cloud_sync;
pub mod destination_check;
pub mod feed;
pub mod mark;
pub(crate) mod moving;
pub mod notify;
pub(crate) mod pre_script;
mod remote;
pub mod remote_expiry;
pub mod remote_mark;
pub mod repair;
mod repaired_clones;
pub mod rotate;
pub mod script;
pub mod space_check;
pub mod upload;
