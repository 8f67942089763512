//! Processes that outlived the run that started them, and would still write to its destination.
//!
//! The kernel ends rsync's first process together with ours, and its others when they notice. Who
//! continues a tree waits for that, and does not rely on it: every rsync of ours carries the
//! destination's id in its environment, which its children inherit.

use std::{
    fs,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use super::proc;
use crate::error::{Error, Result};

/// The variable that marks the processes of a destination.
pub(crate) const MARK: &str = "BACKUP_DESTINATION";

/// How long a killed process may take to go.
const PATIENCE: Duration = Duration::from_secs(30);

/// Ends every process with the destination's mark. Only for who holds the destination's lock.
///
/// One in a call that is never answered stays for as long, but does nothing after that call any more.
///
/// # Errors
/// Fails if one does not go and can go on.
pub(crate) fn end_marked(destination: &str) -> Result<()> {
    let mark = format!("{MARK}={destination}");
    let started = Instant::now();
    loop {
        let left = marked_processes(&mark);
        if left.is_empty() {
            return Ok(());
        }
        if started.elapsed() > PATIENCE {
            if left.iter().all(|pid| is_killed(*pid)) {
                return Ok(());
            }
            return Err(Error::failed(format!(
                "an rsync of an earlier run still writes to the unfinished snapshot: process {}",
                left[0]
            ))
            .hint("see what it waits for with `ps`; the next run continues"));
        }
        for pid in left {
            let _ = kill(pid, Signal::SIGKILL);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Whether a process ends with the call that it is in (proc_pid_status(5), `SigPnd`, `ShdPnd`).
fn is_killed(pid: Pid) -> bool {
    const KILL: u64 = 1 << (Signal::SIGKILL as u64 - 1);
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let pending = |line: &str| {
        let line = line
            .strip_prefix("SigPnd:")
            .or(line.strip_prefix("ShdPnd:"));
        line.and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok())
    };
    text.lines()
        .filter_map(pending)
        .any(|bits| bits & KILL != 0)
}

/// The processes with a mark in their environment; dead ones have none.
fn marked_processes(mark: &str) -> Vec<Pid> {
    let own = std::process::id();
    let all = proc::all_processes().into_iter().flatten();
    all.filter(|pid| *pid != own)
        .filter(|pid| {
            fs::read(format!("/proc/{pid}/environ")).is_ok_and(|environment| {
                let mut variables = environment.split(|byte| *byte == 0);
                variables.any(|variable| variable == mark.as_bytes())
            })
        })
        .filter_map(|pid| i32::try_from(pid).ok().map(Pid::from_raw))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::{os::unix::process::ExitStatusExt as _, process::Command};

    use super::*;

    #[test]
    fn processes_of_the_destination_are_ended_and_no_others() {
        let sleep = |id: &str| {
            let mut command = Command::new("sleep");
            let child = command.arg("3600").env(MARK, id).spawn().unwrap();
            // The kernel shows a new program's environment a moment after it let us go on.
            let environment = format!("/proc/{}/environ", child.id());
            while fs::read(&environment).is_ok_and(|all| all.is_empty()) {
                std::thread::sleep(Duration::from_millis(1));
            }
            child
        };
        // Of this process: another one may run the same test.
        let id = format!("a-test-of-orphans-{}", std::process::id());
        let (mine, mut other) = (sleep(&id), sleep("another-test"));
        // One that is not waited for counts as gone.
        end_marked(&id).unwrap();
        let ended = { mine }.wait().unwrap();
        assert_eq!(ended.signal(), Some(9));
        assert!(other.try_wait().unwrap().is_none());
        other.kill().unwrap();
        other.wait().unwrap();
    }
}
