//! systemd's units by systemctl(1): starting one, waiting for its end, and what it ended with.
//!
//! A unit that a condition keeps from starting is a success to `systemctl start`; so the unit's
//! properties are asked (systemd.unit(5), org.freedesktop.systemd1(5)).

use std::{
    collections::HashMap,
    process::{Command, Stdio},
    time::Duration,
};

use schema::{
    config::DestinationName,
    plan::{Part, Share},
};

use super::delegation::{UnitExit, Units};
use crate::{
    ErrorKind,
    error::Result,
    event::Context,
    process::{Limits, ProcessExit, capture_output},
};

/// Longest time for systemd's answer about a unit.
const ANSWERS: Duration = Duration::from_secs(60);

/// The units `backup-local.service`, `backup-cloud.service`, and `backup-<name>.service` of each named
/// destination.
#[derive(Debug, Clone, Copy)]
pub struct Systemd;

impl Units for Systemd {
    fn run(&self, share: &Share, context: Context<'_>) -> Result<UnitExit> {
        let unit = self.name(share);
        let unit = unit.as_str();
        let before = unit_properties(unit).remove("InvocationID");
        let limits = Limits::within(Duration::MAX).stopped_by(context.stop);
        let mut start = systemctl_command(&["start", "--wait", unit]);
        let ended = match capture_output(&mut start, Vec::new(), limits) {
            Err(error) if error.kind == ErrorKind::Interrupted => {
                // The unit is asked to stop as this process was, and leaves what can be continued.
                stop_units(&[unit]);
                return Err(error);
            }
            ended => ended?,
        };
        if let ProcessExit::NotStarted { because, .. } = &ended.exit {
            return Ok(UnitExit::NotStarted(format!(
                "{unit} was not started: cannot run systemctl: {because}"
            )));
        }
        Ok(unit_exit(
            unit,
            ended.exit.is_success(),
            &ended.stderr,
            before.as_deref(),
            &unit_properties(unit),
        ))
    }

    fn name(&self, share: &Share) -> String {
        match (&share.of, share.part) {
            (Some(name), _) => format!("backup-{name}.service"),
            (None, Part::Coordinator) => "backup.service".to_owned(),
            (None, part) => format!("backup-{}.service", part.word()),
        }
    }
}

impl Systemd {
    /// Stops the units of all parts and of these named destinations, if they run, and waits for their end.
    pub fn stop_parts<'n>(self, named: impl IntoIterator<Item = &'n DestinationName>) {
        let parts = [Part::Local, Part::Cloud].map(Share::of_part);
        let named = named.into_iter().map(|name| Share {
            part: Part::Local,
            of: Some(name.clone()),
        });
        let units: Vec<String> = parts
            .into_iter()
            .chain(named)
            .map(|share| self.name(&share))
            .collect();
        let units: Vec<&str> = units.iter().map(String::as_str).collect();
        stop_units(&units);
    }
}

/// Stops units and waits for their end.
fn stop_units(units: &[&str]) {
    let _ = systemctl_command(&[&["stop"], units].concat())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
}

pub(crate) fn systemctl_command(arguments: &[&str]) -> Command {
    let mut command = Command::new("systemctl");
    command
        .args(["--no-ask-password", "--no-pager", "--quiet"])
        .args(arguments)
        .env("LC_ALL", "C")
        .stdin(Stdio::null());
    command
}

/// What systemd knows of a unit.
fn unit_properties(unit: &str) -> HashMap<String, String> {
    const WANTED: &str = "LoadState,ConditionResult,ConditionTimestampMonotonic,AssertResult,\
Result,ExecMainCode,ExecMainStatus,InvocationID";
    let mut show = systemctl_command(&["show", "--property", WANTED, unit]);
    let told = capture_output(&mut show, Vec::new(), Limits::within(ANSWERS));
    let text = told.map_or_else(|_| String::new(), |told| told.stdout);
    text.lines()
        .filter_map(|line| line.split_once('='))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

/// Those of some units that are at work, each with what it says of that, in this order. None where systemd
/// does not answer.
#[must_use]
pub fn units_at_work(units: &[String]) -> Vec<(String, String)> {
    let mut words = vec!["show", "--property", "Id,ActiveState,StatusText"];
    words.extend(units.iter().map(String::as_str));
    let told = capture_output(
        &mut systemctl_command(&words),
        Vec::new(),
        Limits::within(ANSWERS),
    );
    told.map_or_else(|_| Vec::new(), |told| parse_at_work(&told.stdout))
}

/// The units of `systemctl show` that are at work; a blank line stands between two.
fn parse_at_work(text: &str) -> Vec<(String, String)> {
    let units = text.split("\n\n").filter_map(|unit| {
        let get = |key: &str| {
            let mut lines = unit.lines().filter_map(|line| line.split_once('='));
            lines.find_map(|(name, value)| (name == key).then_some(value))
        };
        let is_at_work = matches!(
            get("ActiveState")?,
            "activating" | "active" | "reloading" | "deactivating"
        );
        let says = get("StatusText").unwrap_or_default();
        is_at_work.then_some((get("Id")?.to_owned(), says.to_owned()))
    });
    units.collect()
}

/// The exit code of the last end of a unit's process, where that is known.
#[must_use]
pub fn exit_code_of(unit: &str) -> Option<i32> {
    let found = unit_properties(unit);
    let exited = found.get("ExecMainCode").is_some_and(|code| code == "1");
    found.get("ExecMainStatus").filter(|_| exited)?.parse().ok()
}

/// What became of a unit that was to be started; `before` is the invocation that ran last.
fn unit_exit(
    unit: &str,
    well: bool,
    said: &str,
    before: Option<&str>,
    found: &HashMap<String, String>,
) -> UnitExit {
    let get = |key: &str| found.get(key).map(String::as_str).unwrap_or_default();
    let said = said.lines().next().unwrap_or("systemctl said nothing");
    if get("LoadState") != "loaded" {
        return UnitExit::NotStarted(format!("{unit} was not started: {said}"));
    }
    // Both are also "no" where they were not asked: assertions after an unmet condition, and all
    // of them where something else kept the unit from starting.
    let asked = !matches!(get("ConditionTimestampMonotonic"), "" | "0");
    if well && asked && get("ConditionResult") == "no" {
        return UnitExit::Skipped(format!("{unit} was skipped by a condition"));
    }
    if !well && get("ConditionResult") == "yes" && get("AssertResult") == "no" {
        return UnitExit::NotStarted(format!(
            "{unit} was not started: it asserts that the destination is mounted"
        ));
    }
    if !well && before.is_none_or(|before| before == get("InvocationID")) {
        return UnitExit::NotStarted(format!("{unit} was not started: {said}"));
    }
    let status = get("ExecMainStatus");
    match (get("Result"), get("ExecMainCode"), status.parse::<i32>()) {
        // CLD_EXITED of waitid(2); `success` is also a result of codes in SuccessExitStatus.
        ("success" | "exit-code", "1", Ok(code)) => UnitExit::Ran(code),
        ("success" | "signal", "2" | "3", _) => {
            UnitExit::Broken(format!("was ended by signal {status}"))
        }
        (result, _, _) => UnitExit::Broken(format!("ended badly ({result})")),
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
    fn the_units_that_are_at_work_say_at_what() {
        let text = "Id=backup.service\nActiveState=activating\nStatusText=run x\n\n\
                    Id=backup-local.service\nActiveState=activating\nStatusText=copying: 3 %, a=b\n\n\
                    Id=backup-cloud.service\nActiveState=inactive\nStatusText=\n";
        let of = |name: &str, says: &str| (name.to_owned(), says.to_owned());
        assert_eq!(
            parse_at_work(text),
            [
                of("backup.service", "run x"),
                of("backup-local.service", "copying: 3 %, a=b")
            ]
        );
        assert_eq!(parse_at_work(""), []);
    }

    #[test]
    fn a_skipped_unit_is_no_success_and_one_that_did_not_start_says_why() {
        let ended =
            |well, said, properties: &str| unit_exit("u", well, said, Some("old"), &of(properties));
        assert_eq!(
            ended(
                true,
                "",
                "LoadState=loaded ConditionResult=no ConditionTimestampMonotonic=7 AssertResult=no"
            ),
            UnitExit::Skipped("u was skipped by a condition".to_owned())
        );
        // One that systemd has forgotten says nothing of itself.
        assert_eq!(
            ended(
                true,
                "",
                "LoadState=loaded ConditionResult=no ConditionTimestampMonotonic=0 Result=success"
            ),
            UnitExit::Broken("ended badly (success)".to_owned())
        );
        assert_eq!(
            ended(false, "Unit u not found.", "LoadState=not-found"),
            UnitExit::NotStarted("u was not started: Unit u not found.".to_owned())
        );
        let loaded = "LoadState=loaded ConditionResult=yes AssertResult=yes";
        assert_eq!(
            ended(false, "Job failed.", &format!("{loaded} InvocationID=old")),
            UnitExit::NotStarted("u was not started: Job failed.".to_owned())
        );
        let ran = format!("{loaded} InvocationID=new");
        let exited = format!("{ran} Result=success ExecMainCode=1 ExecMainStatus=3");
        assert_eq!(ended(true, "", &exited), UnitExit::Ran(3));
        let killed = format!("{ran} Result=signal ExecMainCode=2 ExecMainStatus=9");
        assert_eq!(
            ended(false, "", &killed),
            UnitExit::Broken("was ended by signal 9".to_owned())
        );
        let late = format!("{ran} Result=timeout ExecMainCode=1 ExecMainStatus=0");
        assert_eq!(
            ended(false, "", &late),
            UnitExit::Broken("ended badly (timeout)".to_owned())
        );
    }
}
