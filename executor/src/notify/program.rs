//! Running a program that notifies somebody: it gets its input, and has no time to ask for more.

use std::{process::Command, time::Duration};

use crate::process::{Captured, Limits, ProcessExit, capture_output};

/// Runs a program that is to end soon, and is killed with all that it started where it does not.
pub(super) fn run_notifier(command: &mut Command, input: Vec<u8>, limit: Duration) -> Captured {
    let limits = Limits::within(limit).without_grace();
    capture_output(command, input, limits).unwrap_or_else(|error| Captured {
        exit: ProcessExit::NotStarted {
            because: error.message,
            is_absent: false,
        },
        stdout: String::new(),
        stderr: String::new(),
    })
}
