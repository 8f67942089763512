//! Trial restores under a real systemd: by their unit, in its sandbox.

use serde_json::{Value, json};

use crate::{
    machine::{Machine, config, machine},
    skipped,
};

/// A machine with a snapshot, whose drills run these checks.
fn drilled(test: &str, checks: &Value) -> Option<Machine> {
    drilled_after(test, checks, "mkdir -p /var/lib/garden")
}

/// The same, of what a script puts into `/var/lib/garden` and among the units.
fn drilled_after(test: &str, checks: &Value, script: &str) -> Option<Machine> {
    let mut machine = machine(test)?;
    let mut config = config();
    config["local"]["sources"] = json!([
        "/home",
        "/var/lib/shop",
        "/var/lib/garden",
        "/etc/systemd/system"
    ]);
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
    machine.sh(script).ok();
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

/// Gives the machine what makes containers; false where it does not run there, which is said.
fn has_containers(machine: &Machine, test: &str) -> bool {
    // Debian has it in another package; this machine's own one is what made the container.
    std::fs::copy(
        "/usr/bin/systemd-nspawn",
        machine.path("usr/bin/systemd-nspawn"),
    )
    .unwrap();
    let runs = machine.sh("systemd-nspawn --version").code == Some(0);
    if !runs {
        skipped(test, "this machine's systemd-nspawn does not run there");
    }
    runs
}

#[test]
fn a_drill_by_its_unit_starts_a_service_in_a_container() {
    let test = "a_drill_by_its_unit_starts_a_service";
    let Some(machine) = drilled(test, &json!(["service:shop", "/etc/backup/letters"])) else {
        return;
    };
    if !has_containers(&machine, test) {
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

#[test]
fn postgresql_starts_from_a_snapshot_that_is_whole_only() {
    let test = "postgresql_starts_from_a_snapshot_that_is_whole_only";
    let script = "install -d -o postgres -g postgres -m 700 /var/lib/garden
        bin=$(echo /usr/lib/postgresql/*/bin)
        runuser -u postgres -- $bin/initdb --no-sync -D /var/lib/garden >/dev/null
        printf '[Service]\\nType=notify\\nUser=postgres\\nExecStart=%s/postgres -D /var/lib/garden \\
            -c unix_socket_directories=/tmp\\n' $bin > /etc/systemd/system/garden.service";
    let Some(machine) = drilled_after(test, &json!(["service:garden"]), script) else {
        return;
    };
    if !has_containers(&machine, test) {
        return;
    }
    let passed = start(&machine, "passed");
    assert_eq!(passed["checks"][0]["status"], "passed", "{passed:#}");
    machine
        .sh("truncate -s 100 /mnt/backup/lab/latest/var/lib/garden/global/pg_control")
        .ok();
    let failed = start(&machine, "failed");
    let failed = &failed["checks"][0];
    assert_eq!(failed["status"], "failed", "{failed:#}");
    let output = failed["output"].as_str().unwrap();
    assert!(output.contains("pg_control"), "{failed:#}");
}
