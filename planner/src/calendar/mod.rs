//! Calendar expressions of systemd.time(7), "Calendar events": when a schedule elapses.
//!
//! Owns their meaning in civil time (a date and a time of day). It must not ask what the time is
//! or where on earth the machine stands: moments come in, and mapping them to real time is the
//! caller's.

mod fields;
mod next;
mod parse;
mod spec;
#[cfg(test)]
mod tests;
mod zone;

pub use parse::{InvalidCalendar, schedule_expression};
pub use spec::Calendar;
