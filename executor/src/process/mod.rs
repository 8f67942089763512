//! Child processes: how each is started, listened to, watched and ended.
//!
//! Owns the process and its output; what an end means is said by whoever started the program.
//! Everything here works by process groups, so that what a program starts in turn ends with it.

mod capture;
mod child;
mod exit;
mod lines;
pub(crate) mod orphans;
pub mod parent;
pub(crate) mod proc;
mod stall;
mod supervise;
mod version;

pub(crate) use capture::{Captured, capture_output};
pub(crate) use child::{ChildGroup, isolate_environment, wait_within, with_piped_output};
pub(crate) use exit::ProcessExit;
pub(crate) use lines::{LineEnd, OutputLine, Stream};
pub(crate) use stall::{ReadingStall, WaitingStall};
pub(crate) use supervise::{Limits, Listener, run_to_end, supervise};
pub(crate) use version::ask_version;
