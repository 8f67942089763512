//! Records under a real systemd: in the journal with their fields, in the files of each part; and a
//! desktop that is told from inside the coordinator's sandbox.

use serde_json::Value;

use crate::machine::{config, machine};

#[test]
fn records_of_each_unit_are_in_the_journal_with_fields_and_in_its_file() {
    let Some(mut machine) = machine("records_of_each_unit_are_in_the_journal") else {
        return;
    };
    machine.configure(&config());
    machine.boot();
    machine.sh("systemctl start mnt-backup.mount").ok();
    machine.sh("systemctl start backup.service").ok();
    let run = machine.report()["run_id"].as_str().unwrap().to_owned();
    let records = |filter: &str| -> Vec<Value> {
        let text = machine
            .sh(&format!(
                "journalctl --sync; journalctl --no-pager -o json {filter} BACKUP_RUN_ID={run}"
            ))
            .ok();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    };
    let snapshot = records("BACKUP_STEP=snapshot");
    assert!(snapshot.len() >= 2, "{snapshot:?}");
    for record in &snapshot {
        assert_eq!(record["_SYSTEMD_UNIT"], "backup-local.service", "{record}");
        assert_eq!(record["PRIORITY"], "6", "{record}");
    }
    // The same step ended once, though the coordinator learns of it too.
    assert!(
        snapshot
            .iter()
            .any(|record| record["BACKUP_SNAPSHOT"].is_string()),
        "{snapshot:?}"
    );
    let post = records("BACKUP_STEP=post-script");
    assert!(!post.is_empty());
    for record in &post {
        assert_eq!(record["_SYSTEMD_UNIT"], "backup.service", "{record}");
    }

    let local = machine.read("var/log/backup/backup-local.log");
    let coordinator = machine.read("var/log/backup/backup-coordinator.log");
    assert!(
        local.contains(&format!(" info {run} snapshot: started\n")),
        "{local}"
    );
    assert!(coordinator.contains(" post-script: "), "{coordinator}");
    let modes = machine
        .sh("stat -c %a /var/log/backup/*.log | sort -u")
        .ok();
    assert_eq!(modes, "600");
}

#[test]
fn a_desktop_is_told_as_its_user_from_inside_the_sandbox() {
    let Some(mut machine) = machine("a_desktop_is_told_as_its_user_from_inside_the_sandbox") else {
        return;
    };
    let mut config = config();
    config["notifications"]["desktop"] = true.into();
    machine.configure(&config);
    // Stand-ins: a graphical login needs a screen. What they show is that the sandbox lets the
    // program become a user and reach that user's bus.
    machine.script(
        "usr/local/bin/loginctl",
        "case $1 in list-sessions) echo ' 1 1 daemon seat0' ;; \
         show-session) printf 'User=1\\nType=wayland\\nClass=user\\nState=active\\n' ;; esac",
    );
    machine.script(
        "usr/local/bin/notify-send",
        "for word; do last=$word; done\n\
         bus=${DBUS_SESSION_BUS_ADDRESS#unix:path=}\n\
         [ -S \"$bus\" ] && [ -w \"$bus\" ] && reached=yes\n\
         echo \"uid $(id -u) groups $(id -G) reached $reached $bus\" | systemd-cat -t desktop",
    );
    machine.boot();
    machine
        .sh("install -d -o daemon -m 700 /run/user/1 && \
             systemd-run --uid=daemon systemd-socket-activate -l /run/user/1/bus cat && \
             until [ -S /run/user/1/bus ]; do sleep 0.1; done")
        .ok();
    machine.sh("systemctl start mnt-backup.mount").ok();
    machine.sh("systemctl start backup.service").ok();
    let report = machine.report();
    assert_eq!(report["result"], "success");
    let said = machine
        .sh("journalctl --sync; journalctl --no-pager -o cat -t desktop")
        .ok();
    assert_eq!(
        said, "uid 1 groups 1 reached yes /run/user/1/bus",
        "{report:#}"
    );
}
