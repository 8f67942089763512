//! systemd's units by systemctl(1): starting one, waiting for its end, and what it ended with.
//!
//! A unit that a condition keeps from starting is a success to `systemctl start`; so the unit's
//! properties are asked (systemd.unit(5), org.freedesktop.systemd1(5)).

use std::{
    collections::HashMap,
    process::{Child, Command, Stdio},
    time::Duration,
};

use schema::plan::Part;

use super::{Ended, Units};
use crate::{
    error::{Error, Result, reason},
    event::Context,
};

/// How often the end and the request to stop are looked at.
const LOOK: Duration = Duration::from_millis(100);

/// The units `backup-local.service` and `backup-cloud.service`.
#[derive(Debug, Clone, Copy)]
pub struct Systemd;

impl Units for Systemd {
    fn run(&self, part: Part, context: Context<'_>) -> Result<Ended> {
        let unit = self.name(part);
        let before = properties(unit).remove("InvocationID");
        let child = systemctl(&["start", "--wait", unit])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn();
        let mut child = match child {
            Ok(child) => child,
            Err(error) => {
                let because = reason(&error);
                return Ok(Ended::NotStarted(format!(
                    "{unit} was not started: cannot run systemctl: {because}"
                )));
            }
        };
        let (well, said) = wait(&mut child, unit, context)?;
        Ok(ended(
            unit,
            well,
            &said,
            before.as_deref(),
            &properties(unit),
        ))
    }

    fn name(&self, part: Part) -> &'static str {
        match part {
            Part::Coordinator => "backup.service",
            Part::Local => "backup-local.service",
            Part::Cloud => "backup-cloud.service",
        }
    }
}

impl Systemd {
    /// Stops the units of all parts, if they run, and waits for their end.
    pub fn stop_parts(self) {
        let units = [Part::Local, Part::Cloud].map(|part| self.name(part));
        let _ = systemctl(&["stop", units[0], units[1]])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
    }
}

fn systemctl(arguments: &[&str]) -> Command {
    let mut command = Command::new("systemctl");
    command
        .args(["--no-ask-password", "--no-pager", "--quiet"])
        .args(arguments)
        .env("LC_ALL", "C")
        .stdin(Stdio::null());
    command
}

/// Waits for `systemctl start --wait`; gives whether it succeeded, and what it said.
fn wait(child: &mut Child, unit: &str, context: Context<'_>) -> Result<(bool, String)> {
    loop {
        let status = child
            .try_wait()
            .map_err(|error| Error::io("wait for", unit.as_bytes(), error))?;
        if let Some(status) = status {
            let said = child.stderr.take().map(std::io::read_to_string);
            let said = said.and_then(std::result::Result::ok).unwrap_or_default();
            return Ok((status.success(), said));
        }
        if context.stop.is_asked() {
            // The unit is asked to stop as this process was, and leaves what can be continued.
            let _ = systemctl(&["stop", unit])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status();
            let _ = child.kill();
            let _ = child.wait();
            return Err(Error::interrupted());
        }
        std::thread::sleep(LOOK);
    }
}

/// What systemd knows of a unit.
fn properties(unit: &str) -> HashMap<String, String> {
    const WANTED: &str = "LoadState,ConditionResult,ConditionTimestampMonotonic,AssertResult,\
Result,ExecMainCode,ExecMainStatus,InvocationID";
    let output = systemctl(&["show", "--property", WANTED, unit])
        .stderr(Stdio::null())
        .output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    text.unwrap_or_default()
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

/// What became of a unit that was to be started; `before` is the invocation that ran last.
fn ended(
    unit: &str,
    well: bool,
    said: &str,
    before: Option<&str>,
    found: &HashMap<String, String>,
) -> Ended {
    let get = |key: &str| found.get(key).map(String::as_str).unwrap_or_default();
    let said = said.lines().next().unwrap_or("systemctl said nothing");
    if get("LoadState") != "loaded" {
        return Ended::NotStarted(format!("{unit} was not started: {said}"));
    }
    // Both are also "no" where they were not asked: assertions after an unmet condition, and all
    // of them where something else kept the unit from starting.
    let asked = !matches!(get("ConditionTimestampMonotonic"), "" | "0");
    if well && asked && get("ConditionResult") == "no" {
        return Ended::Skipped(format!("{unit} was skipped by a condition"));
    }
    if !well && get("ConditionResult") == "yes" && get("AssertResult") == "no" {
        return Ended::NotStarted(format!(
            "{unit} was not started: it asserts that the destination is mounted"
        ));
    }
    if !well && before.is_none_or(|before| before == get("InvocationID")) {
        return Ended::NotStarted(format!("{unit} was not started: {said}"));
    }
    let status = get("ExecMainStatus");
    match (get("Result"), get("ExecMainCode"), status.parse::<i32>()) {
        // CLD_EXITED of waitid(2); `success` is also a result of codes in SuccessExitStatus.
        ("success" | "exit-code", "1", Ok(code)) => Ended::Ran(code),
        ("success" | "signal", "2" | "3", _) => {
            Ended::Broken(format!("was ended by signal {status}"))
        }
        (result, _, _) => Ended::Broken(format!("ended badly ({result})")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> HashMap<String, String> {
        text.split(' ')
            .filter_map(|pair| pair.split_once('='))
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect()
    }

    #[test]
    fn a_skipped_unit_is_no_success_and_one_that_did_not_start_says_why() {
        let ended =
            |well, said, properties: &str| ended("u", well, said, Some("old"), &of(properties));
        assert_eq!(
            ended(
                true,
                "",
                "LoadState=loaded ConditionResult=no ConditionTimestampMonotonic=7 AssertResult=no"
            ),
            Ended::Skipped("u was skipped by a condition".to_owned())
        );
        // One that systemd has forgotten says nothing of itself.
        assert_eq!(
            ended(
                true,
                "",
                "LoadState=loaded ConditionResult=no ConditionTimestampMonotonic=0 Result=success"
            ),
            Ended::Broken("ended badly (success)".to_owned())
        );
        assert_eq!(
            ended(false, "Unit u not found.", "LoadState=not-found"),
            Ended::NotStarted("u was not started: Unit u not found.".to_owned())
        );
        let loaded = "LoadState=loaded ConditionResult=yes AssertResult=yes";
        assert_eq!(
            ended(false, "Job failed.", &format!("{loaded} InvocationID=old")),
            Ended::NotStarted("u was not started: Job failed.".to_owned())
        );
        let ran = format!("{loaded} InvocationID=new");
        let exited = format!("{ran} Result=success ExecMainCode=1 ExecMainStatus=3");
        assert_eq!(ended(true, "", &exited), Ended::Ran(3));
        let killed = format!("{ran} Result=signal ExecMainCode=2 ExecMainStatus=9");
        assert_eq!(
            ended(false, "", &killed),
            Ended::Broken("was ended by signal 9".to_owned())
        );
        let late = format!("{ran} Result=timeout ExecMainCode=1 ExecMainStatus=0");
        assert_eq!(
            ended(false, "", &late),
            Ended::Broken("ended badly (timeout)".to_owned())
        );
    }
}
