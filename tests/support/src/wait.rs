//! Waiting for what must happen, with an end.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
    time::{Duration, Instant},
};

/// Longest wait for something that must happen. Only a broken program reaches it.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until something is so.
#[track_caller]
pub fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < PATIENCE, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Runs a command, both of whose outputs go to a file; fails if it does not end in this time.
#[track_caller]
pub fn wait_in_time(mut command: Command, limit: Duration, output: &Path) -> Output {
    let file = fs::File::create(output).unwrap();
    let mut child = command
        .stdout(file.try_clone().unwrap())
        .stderr(file)
        .spawn()
        .unwrap();
    let began = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return Output {
                status,
                stdout: fs::read(output).unwrap(),
                stderr: Vec::new(),
            };
        }
        if began.elapsed() > limit {
            let _ = child.kill();
            let _ = child.wait();
            let said = fs::read_to_string(output).unwrap_or_default();
            panic!("did not end in {limit:?}: {command:?}\n{said}");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Whether a process runs; one that ended and was not yet waited for does not.
#[must_use]
pub fn is_alive(pid: u32) -> bool {
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else {
        return false;
    };
    let state = stat.rsplit(')').next().unwrap_or_default().trim_start();
    !state.starts_with(['Z', 'X'])
}
