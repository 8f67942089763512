//! Several disks under a real systemd: each has a unit of its own, which holds up nobody else.

use serde_json::{Value, json};

use crate::machine::{Machine, config, machine};

/// A machine with a second drive, whose backup is never due by itself.
fn two_disks(test: &str) -> Option<Machine> {
    let mut machine = machine(test)?;
    let mount = "[Mount]\nWhat=tmpfs\nWhere=/mnt/usb\nType=tmpfs\nOptions=size=64M\n";
    machine.write("etc/systemd/system/mnt-usb.mount", mount);
    std::fs::create_dir_all(machine.path("mnt/usb")).unwrap();
    let mut config = config();
    config["schedule"]["enable"] = json!(false);
    config["destinations"] = json!({"usb": {
        "type": "disk", "mountPoint": "/mnt/usb", "useRsync": false, "minSpaceGB": 0,
        "ifAbsent": "defer",
    }});
    machine.configure(&config);
    machine.boot();
    machine
        .sh("systemctl start mnt-backup.mount mnt-usb.mount")
        .ok();
    Some(machine)
}

/// The numbers of snapshots on both disks.
fn snapshots(machine: &Machine) -> (usize, usize) {
    let list = "ls /mnt/usb/lab/.backup/snapshots 2>/dev/null | grep -c ^20";
    let usb = machine.sh(list).text;
    (machine.snapshots().len(), usb.parse().unwrap())
}

/// How the last run ended for both disks, and as a whole.
fn results(machine: &Machine) -> Value {
    let report = machine.report();
    let of = |name: &str| report["destinations"][name]["result"].clone();
    json!([of("local"), of("usb"), report["result"]])
}

#[test]
fn each_disk_is_served_by_its_unit_and_one_that_breaks_holds_up_no_other() {
    let test = "each_disk_is_served_by_its_unit_and_one_that_breaks_holds_up_no_other";
    let Some(machine) = two_disks(test) else {
        return;
    };
    machine.sh("systemctl start backup.service").ok();
    assert_eq!(snapshots(&machine), (1, 1), "{}", machine.report());
    assert_eq!(results(&machine), json!(["success", "success", "success"]));
    assert_eq!(machine.sh("ls /var/lib/backup/runs | wc -l").ok(), "1");
    assert_eq!(machine.read("lab/post.log").lines().count(), 1);
    for (unit, other) in [("local", "usb"), ("usb", "local")] {
        let journal = machine.journal(&format!("backup-{unit}.service"));
        assert!(journal.contains("snapshot"), "{journal}");
        // Each may write to its own disk alone.
        let paths = machine.property(&format!("backup-{unit}.service"), "ReadWritePaths");
        let place = |name: &str| paths.contains(&format!("/mnt/{name}"));
        let is_usb = |name: &str| if name == "usb" { "usb" } else { "backup" };
        assert!(place(is_usb(unit)) && !place(is_usb(other)), "{paths}");
    }

    // Killed, or kept from its work: whichever of the two it is, the other one is served.
    let kill = "[Service]\nExecStart=\nExecStart=/bin/sh -c 'kill -KILL $$$$'\n";
    machine.drop_in("backup-usb.service", kill);
    assert_ne!(machine.sh("systemctl start backup.service").code, Some(0));
    assert_eq!(snapshots(&machine), (2, 1));
    assert_eq!(results(&machine), json!(["success", "failed", "failed"]));
    machine.drop_in("backup-usb.service", "");
    machine.drop_in(
        "backup-local.service",
        "[Service]\nExecStartPre=/bin/false\n",
    );
    assert_ne!(machine.sh("systemctl start backup.service").code, Some(0));
    assert_eq!(snapshots(&machine), (2, 2), "{}", machine.why("failed"));
    assert_eq!(results(&machine), json!(["failed", "success", "failed"]));
    assert_eq!(machine.read("lab/post.log").lines().count(), 3);
    machine.drop_in("backup-local.service", "");

    // One that is away is deferred, and the run is no failed unit.
    machine.sh("systemctl stop mnt-usb.mount").ok();
    machine.sh("systemctl start backup.service").ok();
    assert_eq!(snapshots(&machine), (3, 0));
    assert_eq!(
        results(&machine),
        json!(["success", "deferred", "deferred"])
    );
    assert_eq!(machine.sh("ls -A /mnt/usb").ok(), "");
}

#[test]
fn the_unit_of_a_named_disk_started_alone_does_its_steps_and_no_others() {
    let test = "the_unit_of_a_named_disk_started_alone_does_its_steps_and_no_others";
    let Some(machine) = two_disks(test) else {
        return;
    };
    machine.sh("systemctl start backup-usb.service").ok();
    assert_eq!(snapshots(&machine), (0, 1), "{}", machine.report());
    assert_eq!(machine.read("lab/pre.log"), "");
    assert_eq!(machine.read("lab/told.log"), "");
    // The other has no backup yet, which is an error of its own.
    machine
        .sh("systemctl start backup-health-check.service || true")
        .ok();
    let seen = machine.journal("backup-health-check.service");
    assert!(!seen.contains("read-only"), "{seen}");
    assert!(seen.contains("there is no good backup yet"), "{seen}");
    let usb = "usb: checked: the backup can be relied on";
    assert!(seen.contains(usb), "{seen}");
}
