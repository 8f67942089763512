//! One file per verb.

pub(crate) mod adopt;
pub(crate) mod apply;
pub(crate) mod check;
pub(crate) mod diff;
pub(crate) mod find;
pub(crate) mod init;
pub(crate) mod list;
pub(crate) mod mark;
pub(crate) mod now;
pub(crate) mod plan;
pub(crate) mod restore;
pub(crate) mod schema;
pub(crate) mod simulate;
pub(crate) mod status;
pub(crate) mod trial;
pub(crate) mod verify;
