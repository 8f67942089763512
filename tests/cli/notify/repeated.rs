//! What a timer meets again and again is told once a day.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use nix::unistd::geteuid;
use serde_json::json;

use super::{FIRST, SECOND, keep_reports, lab, reports};
use crate::lab::{Lab, Ran, run_command, skip, step_outcome};

/// A folder in which nothing can be made, not even by root.
pub(crate) struct Locked(PathBuf);

impl Locked {
    pub(crate) fn new(folder: &Path) -> Option<Self> {
        let this = Self(folder.to_owned());
        if !geteuid().is_root() {
            fs::set_permissions(folder, fs::Permissions::from_mode(0o500)).unwrap();
            return Some(this);
        }
        let mut chattr = Command::new("chattr");
        let made = chattr.arg("+i").arg(folder).status();
        made.is_ok_and(|status| status.success()).then_some(this)
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        if geteuid().is_root() {
            let _ = Command::new("chattr").arg("-i").arg(&self.0).status();
        } else {
            let _ = fs::set_permissions(&self.0, fs::Permissions::from_mode(0o700));
        }
    }
}

#[test]
fn an_error_that_a_timer_meets_again_and_again_is_told_once_a_day() {
    let mut lab = lab();
    keep_reports(&mut lab);
    lab.set(
        "schedule",
        json!({ "enable": true, "frequency": "daily", "timeOfDay": "01:00" }),
    );
    lab.backup(FIRST);
    // No run can be begun any more.
    let Some(_locked) = Locked::new(&lab.path("state/runs")) else {
        return skip("nothing can be made immutable here");
    };
    let due = |now: &str| lab.at(now, &["apply", "--if-due"]).expect(1);
    due(SECOND);
    assert_eq!(reports(&lab).len(), 1);
    due("2025-03-06T02:15:00+01:00");
    due("2025-03-06T12:15:00+01:00");
    assert_eq!(reports(&lab).len(), 1);
    due("2025-03-07T02:15:00+01:00");
    assert_eq!(reports(&lab).len(), 2);
    // A person is told each time.
    lab.at("2025-03-07T02:20:00+01:00", &["apply"]).expect(1);
    assert_eq!(reports(&lab).len(), 3);
    let message = step_outcome(&reports(&lab)[0], "prepare")["message"].to_string();
    assert!(message.contains("state/runs"), "{message}");
}

#[test]
fn runs_that_are_deferred_for_too_long_are_told_once_a_day() {
    let mut lab = lab();
    keep_reports(&mut lab);
    lab.set("monitoring.maxAge", "2d");
    lab.set("local.ifAbsent", "defer");
    lab.backup("2025-03-01T02:00:00+01:00");
    lab.set("local.requireMount", true);
    let deferred_at = |lab: &Lab, now: &str| lab.at(now, &["apply"]).expect(75);
    let told = |lab: &Lab| reports(lab).len();
    // Not yet too old.
    deferred_at(&lab, "2025-03-02T02:00:00+01:00");
    assert_eq!(told(&lab), 0);
    deferred_at(&lab, "2025-03-03T03:00:00+01:00");
    assert_eq!(told(&lab), 1);
    for retry in ["2025-03-03T03:15:00+01:00", "2025-03-03T23:59:00+01:00"] {
        deferred_at(&lab, retry);
    }
    assert_eq!(told(&lab), 1);
    deferred_at(&lab, "2025-03-04T03:00:00+01:00");
    assert_eq!(told(&lab), 2);
    let last = reports(&lab).pop().unwrap();
    assert_eq!(last["result"], "deferred");
    assert_eq!(last["findings"][0]["code"], "destination-not-mounted");
    let log = fs::read_to_string(lab.path("log/backup-coordinator.log")).unwrap();
    assert!(log.contains(" notify: told "), "{log}");

    // A backup ends it.
    lab.set("local.requireMount", false);
    lab.backup("2025-03-04T04:00:00+01:00");
    assert!(!lab.path("state/deferrals.json").exists());
    lab.set("notifications.onFailure", false);
    lab.set("local.requireMount", true);
    deferred_at(&lab, "2025-04-04T03:00:00+01:00");
    assert_eq!(told(&lab), 2);
}

/// Whether there are no mount namespaces here, so that this test is left out.
pub(crate) fn lacks_namespaces(test: &str) -> bool {
    let mut alone = Command::new("unshare");
    alone.args(["--mount", "--propagation", "private", "true"]);
    let ended = alone.stderr(Stdio::null()).status();
    let lacks = !ended.is_ok_and(|status| status.success());
    if lacks {
        skip(&format!("{test} because there is no mount namespace"));
    }
    lacks
}

/// Runs the program on a machine that is on battery, whatever this one has.
pub(crate) fn run_on_battery(lab: &Lab, arguments: &[&str]) -> Ran {
    let battery = "mount -t tmpfs tmpfs /sys/class && mkdir -p /sys/class/power_supply/BAT0 && \
                   cd /sys/class/power_supply/BAT0 && echo Battery > type && \
                   echo Discharging > status && cd / && exec \"$@\"";
    let inner = lab.command(arguments);
    let mut command = lab.bare("unshare");
    command
        .args(["--mount", "--propagation", "private"])
        .args(["sh", "-c", battery, "sh"])
        .arg(inner.get_program())
        .args(inner.get_args());
    run_command(command, arguments)
}

#[test]
fn an_unfinished_run_that_waits_for_power_for_too_long_is_told() {
    if lacks_namespaces("an_unfinished_run_that_waits_for_power_for_too_long_is_told") {
        return;
    }
    let mut lab = lab();
    keep_reports(&mut lab);
    lab.set("schedule", json!({ "enable": true }));
    lab.set("monitoring.maxAge", "2d");
    lab.backup("2025-03-01T02:00:00+01:00");
    lab.set("preBackupScript", lab.script("pre", "kill -9 $PPID"));
    lab.at("2025-03-02T02:00:00+01:00", &["apply"])
        .expect(128 + 9);
    let on_battery = |now: &str| {
        let arguments = ["apply", "--if-due", "--now", now];
        run_on_battery(&lab, &arguments)
            .expect(75)
            .says("on battery")
    };
    on_battery("2025-03-02T02:15:00+01:00");
    assert_eq!(reports(&lab).len(), 0);
    on_battery("2025-03-03T03:15:00+01:00");
    on_battery("2025-03-03T03:30:00+01:00");
    let told = reports(&lab);
    assert_eq!(told.len(), 1);
    assert_eq!(told[0]["findings"][0]["code"], "on-battery");
}

#[test]
fn without_any_backup_the_first_deferred_run_counts() {
    let mut lab = lab();
    keep_reports(&mut lab);
    lab.set("monitoring.maxAge", "2d");
    lab.set("local.ifAbsent", "defer");
    lab.set("local.requireMount", true);
    for (now, told) in [
        ("2025-03-01T02:00:00+01:00", 0),
        ("2025-03-02T02:00:00+01:00", 0),
        ("2025-03-03T03:00:00+01:00", 1),
    ] {
        lab.at(now, &["apply"]).expect(75);
        assert_eq!(reports(&lab).len(), told, "{now}");
    }
}
