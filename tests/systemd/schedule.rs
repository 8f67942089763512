//! The schedule under a real systemd: timers, the disk that goes and comes, battery.

use serde_json::json;

use crate::machine::{config, machine};

/// Timers that do not wait for one another's minute.
const PROMPT: &str = "[Timer]\nAccuracySec=1us\n";

/// The timer that asks again, every second.
const IMPATIENT: &str = "[Timer]\nOnActiveSec=\nOnUnitInactiveSec=\nOnActiveSec=1s\n\
OnUnitInactiveSec=1s\nAccuracySec=1us\n";

#[test]
fn the_timer_fires_the_disk_goes_somebody_is_told_and_the_disk_comes_back() {
    let Some(mut machine) = machine("the_timer_fires_the_disk_goes") else {
        return;
    };
    let mut config = config();
    // A day of this schedule has a few seconds.
    config["schedule"]["frequency"] = json!("*-*-* *:*:0/4");
    machine.configure(&config);
    machine.drop_in("backup.timer", PROMPT);
    machine.boot();
    machine.sh("systemctl start mnt-backup.mount").ok();
    machine.sh("systemctl start backup.timer").ok();
    machine.wait_for("a first and a second snapshot", || {
        machine.snapshots().len() >= 2
    });
    assert_eq!(
        machine.told("refused"),
        [""; 0],
        "{}",
        machine.why("refused")
    );

    machine.wait_for("the disk to be free", || {
        machine.sh("systemctl stop mnt-backup.mount").code == Some(0)
            && machine.sh("mountpoint -q /mnt/backup").code != Some(0)
    });
    machine.wait_for("somebody to be told", || {
        !machine.told("refused").is_empty()
    });
    let told = machine.told("refused");
    let names_the_disk = told
        .iter()
        .all(|one| one.contains("destination not mounted"));
    assert!(names_the_disk, "{}", machine.why("refused"));
    assert!(machine.read("lab/post.log").contains("refused "));
    assert_eq!(machine.sh("ls -A /mnt/backup").ok(), "", "nothing below");

    machine.sh("systemctl start mnt-backup.mount").ok();
    let before = machine.snapshots().len();
    machine.wait_for("a snapshot on the disk that came back", || {
        machine.snapshots().len() > before
    });
    machine.sh("systemctl stop backup.timer").ok();
    machine.wait_for("the last run to end", || {
        machine.property("backup.service", "ActiveState") != "activating"
            && machine.property("backup-local.service", "ActiveState") != "activating"
    });
    machine.sh("backup verify --all --quiet").ok();
}

#[test]
fn the_disk_that_is_mounted_starts_the_run_that_is_due() {
    let Some(mut machine) = machine("the_disk_that_is_mounted_starts_the_run_that_is_due") else {
        return;
    };
    machine.configure(&config());
    machine.boot();
    machine.sh("systemctl enable backup.service").ok();
    assert_eq!(machine.snapshots(), [""; 0]);
    // By hand, as a desktop does it: no job of systemd's.
    machine
        .sh(&format!("mount {} /mnt/backup", machine.disk()))
        .ok();
    machine.wait_for("the snapshot", || machine.snapshots().len() == 1);
    machine.wait_for("the run to end", || {
        machine.read("lab/told.log").contains("result success")
    });
}

#[test]
fn a_refusal_is_told_once_in_a_period_however_often_it_is_tried_again() {
    let Some(mut machine) = machine("a_refusal_is_told_once_in_a_period") else {
        return;
    };
    let mut config = config();
    // Nothing that may bring the disk.
    config.as_object_mut().unwrap().remove("preBackupScript");
    machine.configure(&config);
    machine.drop_in("backup-retry.timer", IMPATIENT);
    machine.boot();
    machine.sh("systemctl start backup-retry.timer").ok();
    machine.wait_for("some tries", || {
        let journal = machine.journal("backup.service");
        journal.matches("refused as before").count() >= 3
    });
    assert_eq!(
        machine.told("refused").len(),
        1,
        "{}",
        machine.why("refused")
    );
    assert_eq!(machine.sh("ls /var/lib/backup/runs | wc -l").ok(), "1");
    assert_eq!(machine.read("lab/post.log").lines().count(), 1);
    // One failed unit, and after that one line each time.
    let journal = machine.journal("backup.service");
    let failures = journal.matches("Failed with result").count();
    assert_eq!(failures, 1, "{journal}");
    assert!(journal.contains("status=69/UNAVAILABLE"), "{journal}");
    assert_eq!(machine.property("backup.service", "Result"), "success");
    let (_, after) = journal.split_once("refused as before").unwrap();
    let ours = after.lines().skip(1);
    let more: Vec<&str> = ours.filter(|line| line.contains("not mounted")).collect();
    assert!(
        more.iter()
            .all(|line| line.starts_with("refused as before: ")),
        "{more:#?}"
    );
    assert!(!after.contains("hint"), "{after}");
    // Who looks for the snapshot looks at the unit that makes it.
    let local = machine.journal("backup-local.service");
    assert_eq!(local.matches("not mounted").count(), 1, "{local}");
    let local = machine.read("var/log/backup/backup-local.log");
    assert!(local.contains("destination not mounted"), "{local}");
    machine.sh("systemctl start mnt-backup.mount").ok();
    machine.wait_for("the snapshot", || machine.snapshots().len() == 1);
}

#[test]
fn on_battery_a_run_is_deferred_until_power_is_back() {
    let Some(mut machine) = machine("on_battery_a_run_is_deferred_until_power_is_back") else {
        return;
    };
    machine.configure(&config());
    machine.drop_in("backup-retry.timer", IMPATIENT);
    for (file, text) in [
        ("AC0/type", "Mains"),
        ("AC0/online", "0"),
        ("BAT0/type", "Battery"),
        ("BAT0/status", "Discharging"),
    ] {
        machine.write(&format!("lab/power/{file}"), &format!("{text}\n"));
    }
    machine.boot();
    // Made-up power supplies over those of the kernel, which has none here.
    machine
        .sh("mount --bind /lab/power /sys/class/power_supply")
        .ok();
    machine.sh("systemctl start mnt-backup.mount").ok();
    machine.sh("systemctl start backup.service").ok();
    assert_eq!(machine.property("backup.service", "ExecMainStatus"), "75");
    assert_eq!(machine.property("backup.service", "Result"), "success");
    machine.sh("systemctl start backup-retry.timer").ok();
    machine.wait_for("some tries on battery", || {
        let journal = machine.journal("backup.service");
        journal.matches("on battery").count() >= 3
    });
    assert_eq!(machine.snapshots(), [""; 0]);
    assert_eq!(machine.read("lab/pre.log"), "");
    // A part that is started by hand waits as well, and says what does not.
    machine.sh("systemctl start backup-local.service").ok();
    let status = machine.property("backup-local.service", "ExecMainStatus");
    assert_eq!(status, "75");
    let journal = machine.journal("backup-local.service");
    assert!(journal.contains("schedule.onlyOnAC"), "{journal}");
    // A run that was begun on AC power and interrupted does not go on without it either.
    machine.sh("systemctl stop backup-retry.timer").ok();
    machine.write("lab/power/AC0/online", "1\n");
    machine.script("lab/pre", "until [ -e /lab/go ]; do sleep 0.1; done");
    machine.sh("systemctl start --no-block backup.service").ok();
    machine.wait_for("the pre-script", || {
        let journals = machine.sh("cat /var/lib/backup/runs/*/journal.jsonl").text;
        journals.contains("pre-script")
    });
    machine.write("lab/power/AC0/online", "0\n");
    machine.sh("systemctl stop backup.service").ok();
    machine.write("lab/go", "");
    machine.sh("systemctl start backup.service").ok();
    assert_eq!(machine.property("backup.service", "ExecMainStatus"), "75");
    assert_eq!(machine.snapshots(), [""; 0]);
    // Power that comes back asks at once, as the rule of udev does; the timer waits a while after an
    // interruption.
    machine.write("lab/power/AC0/online", "1\n");
    machine.sh("systemctl start --no-block backup.service").ok();
    machine.wait_for("the snapshot on AC power", || {
        machine.snapshots().len() == 1
    });
}
