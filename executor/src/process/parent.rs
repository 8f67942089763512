//! A child that ends when this process does.
//!
//! A child in a process group of its own outlives a killed parent, and would go on writing where
//! the next run writes. The second place with `unsafe`: std has no safe way to act in a child
//! before it becomes another program.

use std::{io, os::unix::process::CommandExt as _, process::Command};

use rustix::process::{Pid, Signal, getpid, getppid, set_parent_process_death_signal};

/// Makes the kernel end the child as soon as the thread that starts it ends, however that is.
///
/// Holds for the child only, not for what it starts in turn.
pub fn die_with_parent(command: &mut Command) {
    tie_to_parent(command, Some(getpid()));
}

/// The same for a child that is the first process of a PID namespace, which does not see its parent. It must not
/// do anything before the parent told it something after its start: the parent may have ended before.
pub(crate) fn die_with_unseen_parent(command: &mut Command) {
    tie_to_parent(command, None);
}

/// Ties a child to the thread that starts it, whose process is this one, where the child can see it.
fn tie_to_parent(command: &mut Command, parent: Option<Pid>) {
    let tie = move || {
        set_parent_process_death_signal(Some(Signal::KILL))?;
        // The parent may have ended before the kernel was asked.
        if parent.is_some() && getppid() != parent {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        Ok(())
    };
    #[expect(unsafe_code, reason = "no safe wrapper exists")]
    // SAFETY: between fork and exec `tie` makes two system calls and touches no memory but its
    // copy of `parent`: no allocation, no lock.
    unsafe {
        command.pre_exec(tie);
    }
}

#[cfg(test)]
mod tests {
    use std::{os::unix::process::ExitStatusExt as _, time::Duration};

    use super::*;

    #[test]
    fn a_child_ends_with_the_thread_that_started_it() {
        let started = crate::threads::start_thread("starts-a-child", || {
            let mut command = Command::new("sleep");
            command.arg("60");
            die_with_parent(&mut command);
            command.spawn().unwrap()
        })
        .unwrap();
        let mut child = started.join().unwrap();
        for _ in 0..500 {
            if let Some(status) = child.try_wait().unwrap() {
                assert_eq!(status.signal(), Some(9));
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        child.kill().unwrap();
        panic!("it lived on");
    }
}
