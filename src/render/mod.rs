//! How values look in a terminal: pure functions from values to text.
//!
//! Nothing here prints, asks for the time or decides anything. Everything reads well in 80 columns
//! and without colour; how many there are is told once ([`page::fit_lines_to`]).

pub(crate) mod adopt;
pub(crate) mod amount;
pub(crate) mod check;
mod days;
mod deletion;
pub(crate) mod diff;
pub(crate) mod drill;
pub(crate) mod find;
pub(crate) mod health;
pub(crate) mod hint;
pub(crate) mod left_out;
pub(crate) mod list;
pub(crate) mod messages;
mod moved;
pub(crate) mod notified;
pub(crate) mod page;
mod picture;
pub(crate) mod plan;
mod problems;
pub(crate) mod report;
pub(crate) mod restore;
pub(crate) mod several;
pub(crate) mod simulate;
pub(crate) mod state;
pub(crate) mod status;
pub(crate) mod verify;
