//! `setup --enable` under a real systemd: from nothing to timers, of root and of a user.

use crate::machine::{Machine, machine};

const ENABLED: [&str; 4] = [
    "backup.service",
    "backup.timer",
    "backup-retry.timer",
    "backup-health-check.timer",
];

/// Whether these units are enabled, asked with this command, and the timers at work.
fn are_enabled(machine: &Machine, systemctl: &str) {
    for unit in ENABLED {
        let enabled = machine.sh(&format!("{systemctl} is-enabled {unit}"));
        assert_eq!(enabled.ok(), "enabled", "{unit}");
    }
    for timer in &ENABLED[1..] {
        let active = machine.sh(&format!("{systemctl} is-active {timer}"));
        assert_eq!(active.ok(), "active", "{timer}");
    }
}

#[test]
fn one_command_makes_configuration_and_timers_and_the_second_the_backup() {
    let Some(mut machine) = machine("one_command_makes_configuration_and_timers") else {
        return;
    };
    machine.boot();
    machine.sh("systemctl start mnt-backup.mount").ok();
    // Root starts no program of somebody else's.
    let setup = "setup --mount-point /mnt/backup --source /home --schedule daily --init --enable";
    machine
        .sh("useradd --create-home --home-dir /home/bob bob && install -o bob /usr/bin/backup /home/bob/")
        .ok();
    let refused = machine.sh(&format!("/home/bob/backup {setup}"));
    assert_eq!(refused.code, Some(4), "{}", refused.text);
    assert!(refused.text.contains("--install"), "{}", refused.text);
    assert_eq!(machine.read("etc/backup/config.json"), "");

    let told = machine
        .sh(&format!("/home/bob/backup {setup} --install"))
        .ok();
    assert!(told.contains("set up /mnt/backup"), "{told}");
    are_enabled(&machine, "systemctl");
    let unit = machine.read("etc/systemd/system/backup.service");
    assert!(unit.contains("ExecStart=/usr/local/bin/backup "), "{unit}");
    let rule = machine.read("etc/udev/rules.d/60-backup.rules");
    assert!(rule.contains("SYSTEMD_WANTS"), "{rule}");
    assert!(!machine.path("etc/systemd/system/60-backup.rules").exists());

    // What was changed since is in the units after the same command. The drive has 96 MB, and `setup` knows it.
    machine
        .sh("sed -i 's/\"daily\"/\"weekly\", \"onlyOnAC\": false/' \
             /etc/backup/config.json && rm /home/bob/backup && backup setup --enable")
        .ok();
    assert!(
        machine
            .read("etc/systemd/system/backup.timer")
            .contains("OnCalendar=Mon ")
    );
    assert!(!machine.path("etc/udev/rules.d/60-backup.rules").exists());
    machine.sh("backup now").ok();
    assert_eq!(machine.snapshots().len(), 1);
}

#[test]
fn a_user_has_timers_of_the_own_systemd() {
    let Some(mut machine) = machine("a_user_has_timers_of_the_own_systemd") else {
        return;
    };
    machine.boot();
    machine
        .sh(
            "useradd --create-home --home-dir /home/bob bob && echo letter > /home/bob/letter && \
             mkdir /mnt/bob && mount -t tmpfs -o uid=bob,mode=700,size=12g bobs /mnt/bob && \
             loginctl enable-linger bob",
        )
        .ok();
    machine.wait_for("the user's systemd", || {
        machine
            .sh("test -S /run/user/$(id -u bob)/systemd/private")
            .code
            == Some(0)
    });
    let as_bob = |line: &str| {
        machine.sh(&format!(
            "runuser -u bob -- env HOME=/home/bob XDG_RUNTIME_DIR=/run/user/$(id -u bob) {line}"
        ))
    };
    let setup = "backup setup --mount-point /mnt/bob --source /home/bob --schedule daily --enable";
    let told = as_bob(setup).ok();
    assert!(told.contains("enable-linger"), "{told}");
    for unit in ENABLED {
        let enabled = as_bob(&format!("systemctl --user is-enabled {unit}"));
        assert_eq!(enabled.ok(), "enabled", "{unit}");
    }
    as_bob("systemctl --user start backup.service").ok();
    machine.wait_for("the snapshot", || {
        machine
            .sh("test -e /mnt/bob/lab/latest/home/bob/letter")
            .code
            == Some(0)
    });
    let files = as_bob("stat -c %a /home/bob/.config/backup/config.json").ok();
    assert_eq!(files, "600");
}
