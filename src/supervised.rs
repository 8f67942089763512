//! What a process tells the one around it, if there is one (see [`crate::supervisor`]).

use std::{
    ffi::OsString,
    fs::{File, OpenOptions},
    io::Write as _,
    os::unix::ffi::OsStrExt as _,
    path::Path,
    sync::{Mutex, OnceLock, PoisonError},
    thread,
};

use executor::{journal, lock};

/// The first argument of the process inside; the number of the pipe to the one around it follows.
pub(crate) const INSIDE: &[u8] = b"--inside=";

/// What goes on, for systemd. The process inside tells one letter and the rest of the line.
pub(crate) const STATUS: u8 = b's';
/// How it is about to end.
pub(crate) const ENDS: u8 = b'e';
/// Which mount does not answer any more.
pub(crate) const SILENT: u8 = b'n';
/// The same in a run that has begun, so that something is owed.
pub(crate) const SILENT_IN_A_RUN: u8 = b'r';

/// The way to the process around this one.
static AROUND: OnceLock<Mutex<File>> = OnceLock::new();

/// Takes the argument of the process inside away, if it is this one.
pub(crate) fn take_worker_argument(arguments: &mut Vec<OsString>) {
    let first = arguments.get(1).map(|first| first.as_bytes());
    let Some(number) = first.and_then(|first| first.strip_prefix(INSIDE)) else {
        return;
    };
    let number = std::str::from_utf8(number)
        .ok()
        .and_then(|text| text.parse::<i32>().ok());
    arguments.remove(1);
    let Some(number) = number else {
        return;
    };
    // Opened anew, since what was inherited would be inherited by every child as well.
    let pipe = OpenOptions::new()
        .write(true)
        .open(format!("/proc/self/fd/{number}"));
    let _ = nix::unistd::close(number);
    if let Ok(pipe) = pipe {
        let _ = AROUND.set(Mutex::new(pipe));
    }
}

/// Whether there is a process around this one.
pub(crate) fn is_supervised() -> bool {
    AROUND.get().is_some()
}

/// Tells systemd what goes on by way of the process around this one; false where there is none.
pub(crate) fn forward_status(status: &str) -> bool {
    write_line(STATUS, status.as_bytes())
}

/// Says that a mount does not answer any more, lets go of all locks, and waits to be killed; comes back
/// where there is no process around this one.
pub(crate) fn report_stall(mount_point: &Path) {
    if !is_supervised() {
        return;
    }
    lock::release_all_locks();
    let word = if journal::was_written() {
        SILENT_IN_A_RUN
    } else {
        SILENT
    };
    if write_line(word, mount_point.as_os_str().as_bytes()) {
        loop {
            thread::park();
        }
    }
}

/// Says how this process is about to end, in case that it cannot.
pub(crate) fn report_exit(code: u8) {
    write_line(ENDS, code.to_string().as_bytes());
}

/// Writes a line to the process around this one, if there is one.
fn write_line(word: u8, rest: &[u8]) -> bool {
    let Some(around) = AROUND.get() else {
        return false;
    };
    let mut line = vec![word];
    line.extend(rest);
    line.push(0);
    let mut around = around.lock().unwrap_or_else(PoisonError::into_inner);
    around.write_all(&line).is_ok()
}
