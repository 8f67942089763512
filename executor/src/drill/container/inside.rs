//! A program in a container: this one, called anew, joins the container's namespaces and starts it there, as
//! nobody can join them with threads.

use std::{
    ffi::{OsStr, OsString},
    os::fd::AsFd as _,
    process::Command,
    time::Duration,
};

use rustix::{
    process::{DumpableBehavior, Pid, PidfdFlags, pidfd_open, set_dumpable_behavior},
    thread::{ThreadNameSpaceType, move_into_thread_name_spaces},
};

use super::super::{ARGUMENT, checks::PATH};
use crate::{
    error::{Error, Result, system_reason},
    process::{Captured, Limits, capture_output},
};

/// The argument that makes the program one that starts another in a container.
pub(in crate::drill) const INSIDE: &str = "inside";

/// Runs a program in the container of this first process, and gives what it said.
///
/// # Errors
/// An interruption.
pub(super) fn run(leader: i32, words: &[&str], limit: Duration) -> Result<Captured> {
    let mut command = Command::new("/proc/self/exe");
    command
        .args([ARGUMENT, INSIDE, &leader.to_string()])
        .args(words)
        .current_dir("/")
        .env_clear();
    let limits = Limits::within(limit).without_grace();
    capture_output(&mut command, Vec::new(), limits)
}

/// Joins the container of the process of the first argument and runs what the others say; gives the exit code.
///
/// # Errors
/// The arguments are others, the container is gone, or it has no such program.
pub(in crate::drill) fn join_and_run(arguments: &[OsString]) -> Result<u8> {
    let [leader, program, words @ ..] = arguments else {
        return Err(Error::failed("not a program in a container of a drill"));
    };
    join(leader)?;
    let program = program.to_string_lossy();
    let mut command = Command::new(&*program);
    command
        .args(words)
        .current_dir("/")
        .env_clear()
        .env("PATH", PATH)
        .env("LANG", "C.UTF-8")
        .env("SYSTEMD_COLORS", "0")
        .env("SYSTEMD_PAGER", "cat");
    let ended = command.status().map_err(|error| {
        Error::failed(format!(
            "{program} cannot be started in the container: {}",
            system_reason(&error)
        ))
    })?;
    let code = ended.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.unwrap_or(u8::MAX))
}

fn join(leader: &OsStr) -> Result<()> {
    let number = leader.to_str().and_then(|text| text.parse().ok());
    let leader = number.and_then(Pid::from_raw);
    let leader = leader.ok_or_else(|| Error::failed("no process of a container"))?;
    let all = ThreadNameSpaceType::CONTROL_GROUP
        | ThreadNameSpaceType::INTER_PROCESS_COMMUNICATION
        | ThreadNameSpaceType::MOUNT
        | ThreadNameSpaceType::NETWORK
        | ThreadNameSpaceType::PROCESS_ID
        | ThreadNameSpaceType::HOST_NAME_AND_NIS_DOMAIN_NAME
        | ThreadNameSpaceType::USER;
    let joined = pidfd_open(leader, PidfdFlags::empty())
        // The child is this program for a moment, and root of the container is not to come to it.
        .and_then(|leader| {
            move_into_thread_name_spaces(leader.as_fd(), all)?;
            set_dumpable_behavior(DumpableBehavior::NotDumpable)
        });
    joined.map_err(|error| {
        Error::failed(format!(
            "the container of the drill cannot be joined: {}",
            system_reason(&error.into())
        ))
    })
}
