//! One file per verb.

pub(crate) mod adopt;
mod agree;
pub(crate) mod apply;
pub(crate) mod check;
pub(crate) mod completions;
pub(crate) mod delete;
pub(crate) mod diff;
pub(crate) mod find;
pub(crate) mod health;
pub(crate) mod init;
pub(crate) mod list;
pub(crate) mod man;
pub(crate) mod mark;
pub(crate) mod notify_test;
pub(crate) mod now;
mod outcome;
pub(crate) mod plan;
pub(crate) mod restore;
pub(crate) mod schema;
pub(crate) mod settle;
pub(crate) mod setup;
pub(crate) mod simulate;
pub(crate) mod status;
pub(crate) mod trial;
pub(crate) mod units;
pub(crate) mod verify;
pub(crate) mod view;
