//! Killed processes under a real systemd: what is owed is done once, and everything is continued.

use std::{thread, time::Duration};

use serde_json::json;

use crate::machine::{Machine, config, machine};

/// Whether the journal of the unfinished run says that a step began.
fn is_in(machine: &Machine, step: &str) -> bool {
    let journals = machine.sh("cat /var/lib/backup/runs/*/journal.jsonl").text;
    journals.contains(&format!("\"event\":\"step-started\",\"step\":\"{step}\""))
}

/// Boots the machine and starts a backup.
fn start(machine: &mut Machine) {
    machine.boot();
    machine.sh("systemctl start mnt-backup.mount").ok();
    machine.sh("systemctl start --no-block backup.service").ok();
}

/// The same, up to the local part, which is held before its first step.
fn start_up_to_the_part(machine: &mut Machine) {
    start(machine);
    machine.wait_for("the part", || {
        machine.property("backup-local.service", "ActiveState") == "activating"
    });
}

/// Waits until the backup's unit has failed.
fn wait_for_failure(machine: &Machine) {
    machine.wait_for("the unit's end", || {
        machine.property("backup.service", "ActiveState") == "failed"
    });
}

/// Lets what is held go on, and starts the backup anew, which must succeed.
fn let_it_go_on(machine: &Machine) {
    machine.write("lab/go", "");
    machine.sh("systemctl start backup.service").ok();
    assert_eq!(machine.report()["result"], "success");
}

#[test]
fn after_a_killed_run_the_post_script_and_the_notification_come_once() {
    let Some(mut machine) = machine("after_a_killed_run_the_post_script_comes_once") else {
        return;
    };
    machine.configure(&config());
    machine.script("lab/pre", "until [ -e /lab/go ]; do sleep 0.1; done");
    start(&mut machine);
    machine.wait_for("the pre-script", || is_in(&machine, "pre-script"));
    machine
        .sh("systemctl kill --kill-who=main -s KILL backup.service")
        .ok();
    wait_for_failure(&machine);
    let post = machine.read("lab/post.log");
    assert_eq!(post.lines().count(), 1, "{post}");
    assert!(post.starts_with("failed 20"), "{post}");
    let told = machine.read("lab/told.log");
    assert_eq!(told.matches("result failed").count(), 1, "{told}");
    assert!(told.contains("ended by signal KILL"), "{told}");
    // Once for each interruption: asking again does nothing.
    machine.sh("backup settle").ok();
    assert_eq!(machine.read("lab/post.log"), post);

    machine.write("lab/go", "");
    machine.sh("systemctl start backup.service").ok();
    let post = machine.read("lab/post.log");
    let lines: Vec<&str> = post.lines().collect();
    assert_eq!(lines.len(), 2, "{post}");
    let run = |line: &str| line.split(' ').nth(1).unwrap().to_owned();
    assert_eq!(run(lines[0]), run(lines[1]), "one run, continued");
    assert!(lines[1].starts_with("success "), "{post}");
    assert_eq!(machine.snapshots().len(), 1);
}

#[test]
fn who_stops_the_coordinator_stops_its_part_and_nobody_is_told() {
    let Some(mut machine) = machine("who_stops_the_coordinator_stops_its_part") else {
        return;
    };
    machine.configure(&config());
    // Holds the local part before its first step.
    machine.drop_in(
        "backup-local.service",
        "[Service]\nExecStartPre=/bin/sh -c 'until [ -e /lab/go ]; do sleep 0.1; done'\n",
    );
    start_up_to_the_part(&mut machine);
    machine.sh("systemctl stop backup.service").ok();
    assert_ne!(
        machine.property("backup-local.service", "ActiveState"),
        "activating"
    );
    let post = machine.read("lab/post.log");
    assert!(post.starts_with("interrupted "), "{post}");
    assert!(!machine.read("lab/told.log").contains("result"));
    let_it_go_on(&machine);
}

#[test]
fn a_part_ends_before_the_post_script_of_a_killed_coordinator_runs() {
    let Some(mut machine) = machine("a_part_ends_before_the_post_script_runs") else {
        return;
    };
    machine.configure(&config());
    let state = "systemctl show --value -p ActiveState backup-local.service";
    machine.script(
        "lab/post",
        &format!("echo \"$BACKUP_RESULT $({state})\" >> /lab/post.log"),
    );
    // The part, held before its first step, takes a moment to stop.
    machine.script(
        "lab/hold",
        "trap 'sleep 1; exit 1' TERM\nuntil [ -e /lab/go ]; do sleep 0.1; done",
    );
    machine.drop_in(
        "backup-local.service",
        "[Service]\nExecStartPre=/lab/hold\n",
    );
    start_up_to_the_part(&mut machine);
    machine
        .sh("systemctl kill --kill-who=main -s KILL backup.service")
        .ok();
    wait_for_failure(&machine);
    let post = machine.read("lab/post.log");
    assert!(
        ["failed failed\n", "failed inactive\n"].contains(&post.as_str()),
        "{post}"
    );
    let_it_go_on(&machine);
}

#[test]
fn a_killed_part_is_told_of_once_and_continued() {
    let Some(mut machine) = machine("a_killed_part_is_told_of_once_and_continued") else {
        return;
    };
    machine.configure(&config());
    machine.drop_in(
        "backup-local.service",
        "[Service]\nExecStartPre=/bin/sh -c 'until [ -e /lab/go ]; do sleep 0.1; done'\n",
    );
    start_up_to_the_part(&mut machine);
    machine
        .sh("systemctl kill -s KILL backup-local.service")
        .ok();
    wait_for_failure(&machine);
    let post = machine.read("lab/post.log");
    assert_eq!(post.lines().count(), 1, "{post}");
    assert!(post.starts_with("failed "), "{post}");
    let told = machine.read("lab/told.log");
    assert_eq!(told.matches("\nresult ").count(), 0, "{told}");
    assert!(told.starts_with("result failed"), "{told}");
    let_it_go_on(&machine);
    assert_eq!(machine.sh("ls /var/lib/backup/runs | wc -l").ok(), "1");
}

#[test]
fn whichever_process_is_killed_at_whatever_instant_the_run_is_continued() {
    let test = "whichever_process_is_killed_at_whatever_instant_the_run_is_continued";
    let Some(mut machine) = machine(test) else {
        return;
    };
    let mut config = config();
    config["schedule"]["enable"] = json!(false);
    machine.configure(&config);
    for number in 0..3000 {
        machine.write(
            &format!("home/bob/{}/{number}", number % 40),
            "some content\n",
        );
    }
    machine.boot();
    machine.sh("systemctl start mnt-backup.mount").ok();
    let tries = std::env::var("KILLS").map_or(12, |text| text.parse::<u64>().unwrap() / 4);
    let mut killed = 0;
    for number in 0..tries {
        let units = ["backup.service", "backup-local.service"];
        let unit = units[usize::try_from(number).unwrap() % 2];
        machine.sh("systemctl reset-failed 'backup*'; true").ok();
        machine.sh("systemctl start --no-block backup.service").ok();
        // Later each time, from the first instants on to the last.
        thread::sleep(Duration::from_millis(number * 600 / tries));
        machine
            .sh(&format!("systemctl kill -s KILL {unit}; true"))
            .ok();
        machine.wait_for("both units' end", || {
            units.iter().all(|unit| {
                let state = machine.property(unit, "ActiveState");
                state == "failed" || state == "inactive"
            })
        });
        killed += usize::from(machine.property(unit, "Result") == "signal");
    }
    assert!(killed > 0, "no kill hit anything");
    machine.sh("systemctl start backup.service").ok();
    assert_eq!(machine.report()["result"], "success");
    machine.sh("backup verify --all --quiet").ok();
    assert_eq!(machine.sh("ls -A /mnt/backup/lab/.backup/partial").ok(), "");
    // Every run that was begun has ended or was given up, and none was lost.
    let unfinished = machine.sh("backup status --json").ok();
    let status: serde_json::Value = serde_json::from_str(&unfinished).unwrap();
    assert!(status["unfinished"].is_null(), "{unfinished}");
}

#[test]
fn the_machine_stays_awake_while_a_snapshot_is_written_and_no_longer() {
    let Some(mut machine) = machine("the_machine_stays_awake_while_a_snapshot_is_written") else {
        return;
    };
    machine.configure(&config());
    for number in 0..3000 {
        machine.write(
            &format!("home/bob/{}/{number}", number % 40),
            "some content\n",
        );
    }
    start(&mut machine);
    machine.wait_for("the snapshot", || is_in(&machine, "snapshot"));
    machine
        .sh("systemctl kill --kill-who=main -s STOP backup-local.service")
        .ok();
    machine.wait_for("the lock", || {
        let list = machine.sh("systemd-inhibit --list").text;
        list.contains("a snapshot is being written")
    });
    let status = machine.property("backup-local.service", "StatusText");
    assert_ne!(status, "");
    // However the process ends, the lock goes with it.
    machine
        .sh("systemctl kill --kill-who=main -s KILL backup-local.service")
        .ok();
    machine.wait_for("the end of the lock", || {
        let list = machine.sh("systemd-inhibit --list").text;
        !list.contains("a snapshot is being written")
    });
    machine.sh("systemctl start backup.service; true").ok();
    machine.sh("systemctl start backup.service").ok();
    assert_eq!(machine.report()["result"], "success");
}
