//! Trial restores under a real systemd: by their unit, in its sandbox.

use serde_json::{Value, json};

use crate::{
    machine::{Machine, config, machine},
    skipped,
};

/// A machine with a snapshot, whose drills run these checks.
fn drilled(test: &str, checks: &Value) -> Option<Machine> {
    let mut machine = machine(test)?;
    let mut config = config();
    config["local"]["sources"] = json!(["/home", "/var/lib/shop", "/etc/systemd/system"]);
    config["monitoring"] = json!({"drill": {"enable": true, "checks": checks, "timeout": "60s"}});
    machine.script(
        "etc/backup/letters",
        "grep -qx 'letter 7' /home/ann/7 && ! touch /usr/drilled && test ! -e /mnt/backup/lab",
    );
    machine.write("var/lib/shop/orders", "whole\n");
    let shop = "[Service]\nStateDirectory=shop\nExecStartPre=/bin/grep -x whole /var/lib/shop/orders\n\
                ExecStart=/bin/sleep 1000\n";
    machine.write("etc/systemd/system/shop.service", shop);
    machine.configure(&config);
    machine.boot();
    machine.sh("systemctl start mnt-backup.mount").ok();
    machine.sh("systemctl start backup.service").ok();
    Some(machine)
}

fn drill(machine: &Machine) -> Value {
    serde_json::from_str(&machine.read("var/lib/backup/drill.json")).unwrap()
}

/// Starts the unit, which must end so.
#[track_caller]
fn start(machine: &Machine, verdict: &str) -> Value {
    let started = machine.sh("systemctl start backup-drill.service");
    let drill = drill(machine);
    let journal = || machine.journal("backup-drill.service");
    assert_eq!(drill["verdict"], verdict, "{drill:#}\n{}", journal());
    let is_success = started.code == Some(0);
    assert_eq!(
        is_success,
        verdict == "passed",
        "{started:?}\n{}",
        journal()
    );
    let status = machine.sh("backup status --json").text;
    let status: Value = serde_json::from_str(&status).unwrap();
    assert_eq!(status["drill"]["verdict"], verdict, "{status:#}");
    drill
}

#[test]
fn a_drill_by_its_unit_passes_and_finds_damage() {
    let checks = json!(["/etc/backup/letters"]);
    let Some(machine) = drilled("a_drill_by_its_unit_passes", &checks) else {
        return;
    };
    start(&machine, "passed");
    machine
        .sh("echo torn > /mnt/backup/lab/latest/home/ann/7")
        .ok();
    let failed = start(&machine, "failed");
    assert_eq!(failed["checks"][0]["status"], "failed", "{failed:#}");
    assert_eq!(failed["sample"]["damage_count"], 1, "{failed:#}");
    let health = machine.sh("backup health --quick");
    assert_eq!(health.code, Some(1), "{health:?}");
    assert!(health.text.contains("a trial restore of"), "{health:?}");
}

#[test]
fn a_drill_by_its_unit_starts_a_service_in_a_container() {
    let test = "a_drill_by_its_unit_starts_a_service";
    let Some(machine) = drilled(test, &json!(["service:shop", "/etc/backup/letters"])) else {
        return;
    };
    // Debian has it in another package; this machine's own one is what made the container.
    std::fs::copy(
        "/usr/bin/systemd-nspawn",
        machine.path("usr/bin/systemd-nspawn"),
    )
    .unwrap();
    if machine.sh("systemd-nspawn --version").code != Some(0) {
        skipped(test, "this machine's systemd-nspawn does not run there");
        return;
    }
    let passed = start(&machine, "passed");
    assert_eq!(passed["checks"][0]["status"], "passed", "{passed:#}");
    machine
        .sh("echo torn > /mnt/backup/lab/latest/var/lib/shop/orders")
        .ok();
    let failed = start(&machine, "failed");
    let message = failed["checks"][0]["message"].as_str().unwrap();
    assert!(message.starts_with("does not start"), "{failed:#}");
    let units = machine
        .sh("systemctl list-units --all --plain --no-legend")
        .ok();
    let is_of_a_container =
        |line: &&str| line.contains("backup-drill-") || line.starts_with("machine-");
    assert_eq!(units.lines().find(is_of_a_container), None);
    assert_eq!(machine.property("shop.service", "ActiveState"), "inactive");
    let left =
        "find /sys/fs/cgroup -name 'backup-drill-*'; ls /run/systemd/nspawn /run/systemd/machines";
    assert!(!machine.sh(left).text.contains("backup-drill-"));
}
