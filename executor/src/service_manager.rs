//! systemd asked to know new units and to start them from now on.

use std::{path::Path, process::Command, time::Duration};

use nix::unistd::geteuid;

use crate::{
    error::{Error, Result},
    process::{Limits, capture_output},
    run::systemd::systemctl_command,
};

/// Longest time for an answer.
const ANSWERS: Duration = Duration::from_secs(60);

/// Whether systemd starts things on this machine, as sd_booted(3) finds out.
#[must_use]
pub fn is_there() -> bool {
    Path::new("/run/systemd/system").is_dir()
}

/// The systemd of the machine, or that of the user who runs this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServiceManager {
    /// Root's.
    OfSystem,
    /// The user's own.
    OfUser,
}

impl ServiceManager {
    /// Has it read its units again.
    ///
    /// # Errors
    /// Fails with what systemctl says.
    pub fn reload(self) -> Result<()> {
        self.ask(&["daemon-reload"])
    }

    /// Has these units started whenever they are wanted.
    ///
    /// # Errors
    /// As [`Self::reload`].
    pub fn enable(self, units: &[&str]) -> Result<()> {
        self.ask(&[&["enable"], units].concat())
    }

    /// The same, and now as well.
    ///
    /// # Errors
    /// As [`Self::reload`].
    pub fn enable_now(self, units: &[&str]) -> Result<()> {
        self.ask(&[&["enable", "--now"], units].concat())
    }

    fn ask(self, words: &[&str]) -> Result<()> {
        let mut all = Vec::new();
        if self == Self::OfUser {
            all.push("--user");
        }
        all.extend(words);
        let mut command = systemctl_command(&all);
        if self == Self::OfUser && std::env::var_os("XDG_RUNTIME_DIR").is_none() {
            // As after `su`; that of a user who is logged in is there (pam_systemd(8)).
            command.env("XDG_RUNTIME_DIR", format!("/run/user/{}", geteuid()));
        }
        run_tool(command, &format!("systemctl {}", all.join(" ")))
    }
}

/// Has udev read its rules again, where it runs.
///
/// # Errors
/// Fails with what udevadm says.
pub fn reload_udev_rules() -> Result<()> {
    if !Path::new("/run/udev/control").exists() {
        return Ok(());
    }
    let mut command = Command::new("udevadm");
    command.args(["control", "--reload"]);
    run_tool(command, "udevadm control --reload")
}

fn run_tool(mut command: Command, line: &str) -> Result<()> {
    let ended = capture_output(&mut command, Vec::new(), Limits::within(ANSWERS))?;
    if ended.exit.is_success() {
        return Ok(());
    }
    let because = ended.with_last_words();
    Err(Error::failed(format!("`{line}` {because}")).hint("run it by hand once that is mended"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_tool_says_last_is_why_it_failed() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo first >&2; echo no such unit >&2; exit 5"]);
        let error = run_tool(command, "systemctl enable x").unwrap_err();
        assert!(
            error.message.starts_with("`systemctl enable x` "),
            "{error}"
        );
        assert!(error.message.ends_with("no such unit"), "{error}");
        run_tool(Command::new("true"), "true").unwrap();
    }
}
