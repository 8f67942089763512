//! Whether systemd starts what the schedule asks for.

use std::{
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

/// Longest wait for an answer of systemd.
const PATIENCE: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_millis(10);

/// Whether the timer is active, of the system or of this user. What cannot be found out is taken for
/// so: nobody is told that nothing starts what may well be started.
pub(super) fn is_timer_active() -> bool {
    // sd_booted(3)
    if !Path::new("/run/systemd/system").exists() {
        return false;
    }
    let of_user = !nix::unistd::geteuid().is_root();
    is_active_in(&[]) || (of_user && is_active_in(&["--user"]))
}

fn is_active_in(manager: &[&str]) -> bool {
    let child = Command::new("systemctl")
        .args(manager)
        .args(["is-active", "--quiet", planner::units::TIMER])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let Ok(mut child) = child else {
        return true;
    };
    let asked = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return status.success(),
            Ok(None) if asked.elapsed() < PATIENCE => std::thread::sleep(LOOK),
            _ => {
                let _ = child.kill();
                let _ = child.wait();
                return true;
            }
        }
    }
}
