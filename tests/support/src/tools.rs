//! Tools of the system that tests need, and what is said where they are not there.

use std::{
    ffi::OsStr,
    process::{Command, Stdio},
};

use crate::{Ran, mounts::why_nothing_can_be_mounted};

/// Runs a tool that must succeed; gives what it printed.
#[track_caller]
pub fn run_tool<S: AsRef<OsStr>>(tool: &str, arguments: impl IntoIterator<Item = S>) -> String {
    let mut command = Command::new(tool);
    let output = command
        .args(arguments)
        .env("LC_ALL", "C")
        .output()
        .unwrap_or_else(|error| panic!("{tool}: {error}"));
    assert!(
        output.status.success(),
        "{}",
        Ran::from_output(&[tool], &output)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Whether a tool is on the `PATH`.
#[must_use]
pub fn is_installed(tool: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(tool).exists())
}

/// Whether strace is there and may trace.
#[must_use]
pub fn can_trace() -> bool {
    let mut strace = Command::new("strace");
    strace
        .args(["-f", "-qq", "-o", "/dev/null", "true"])
        .stderr(Stdio::null());
    strace.status().is_ok_and(|status| status.success())
}

/// Says loudly that a test could not be tried here; where that must not be (`CI`), fails.
#[track_caller]
pub fn skip(why: &str) {
    assert!(std::env::var_os("CI").is_none(), "cannot be skipped: {why}");
    eprintln!("SKIPPED: {why}");
}

/// Whether something is missing that a test needs: it is said loudly then, and where that must not be
/// (`CI`), the test fails.
#[track_caller]
pub fn is_missing(test: &str, tools: &[&str], as_root: bool) -> bool {
    let mut because = Vec::new();
    if as_root && !nix::unistd::geteuid().is_root() {
        because.push("this is not root".to_owned());
    }
    let missing = tools.iter().filter(|tool| !is_installed(tool));
    because.extend(missing.map(|tool| format!("{tool} is not installed")));
    if because.is_empty() && tools.contains(&"strace") && !can_trace() {
        because.push("strace may not trace here".to_owned());
    }
    if because.is_empty() && tools.contains(&"mkfs.ext4") {
        because.extend(why_nothing_can_be_mounted());
    }
    if because.is_empty() {
        return false;
    }
    skip(&format!("{test} because {}", because.join(", ")));
    true
}
