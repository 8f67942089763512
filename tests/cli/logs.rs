//! The log files, and the journal of systemd.

use std::{
    fs,
    os::unix::fs::symlink,
    path::Path,
    process::{Command, Stdio},
};

use serde_json::json;

use crate::lab::{Lab, PROGRAM, entry_names, is_installed, skip};

const FIRST: &str = "2025-03-05T02:00:00+01:00";

fn read(lab: &Lab, name: &str) -> String {
    fs::read_to_string(lab.path("log").join(name)).unwrap_or_default()
}

#[test]
fn each_part_has_its_file_and_each_record_is_one_line() {
    let mut lab = Lab::new();
    let script = "printf 'odd\\033[31m\\rline\\nsecond\\n'";
    lab.set("preBackupScript", lab.script("pre", script));
    let report = lab.backup(FIRST);
    let run = report["run_id"].as_str().unwrap();
    assert_eq!(
        entry_names(&lab.path("log")),
        ["backup-coordinator.log", "backup-local.log"]
    );
    let (coordinator, local) = (
        read(&lab, "backup-coordinator.log"),
        read(&lab, "backup-local.log"),
    );
    for line in coordinator.lines().chain(local.lines()) {
        let mut words = line.split(' ');
        let time = words.next().unwrap();
        assert!(
            time.starts_with("2025-03-05T02:0") && time.ends_with("+01:00"),
            "{line}"
        );
        assert!(
            ["info", "warning", "error"].contains(&words.next().unwrap()),
            "{line}"
        );
        let of_run = words.next().unwrap();
        assert!(of_run == run || of_run == "-", "{line}");
        assert!(!line.contains(char::is_control), "{line:?}");
    }
    assert!(
        coordinator.contains(&format!("info {run} pre-script: odd\\033[31m\\015line\n")),
        "{coordinator}"
    );
    assert!(
        local.contains(&format!("info {run} snapshot: started\n")),
        "{local}"
    );
    assert!(!local.contains("pre-script") && !coordinator.contains(" snapshot: "));
}

#[test]
fn what_keeps_a_backup_from_being_made_stands_in_the_log_of_the_part_that_makes_it() {
    let mut lab = Lab::new();
    lab.set("local.requireMount", true);
    lab.at(FIRST, &["apply"]).expect(4);
    for name in ["backup-coordinator.log", "backup-local.log"] {
        let log = read(&lab, name);
        let told = log.lines().filter(|line| {
            line.contains(" error - destination not mounted: ") && line.contains("; hint: ")
        });
        assert_eq!(told.count(), 1, "{name}: {log}");
    }
    // A deferral is told by the first of them.
    lab.set("local.ifAbsent", "defer");
    for now in ["2025-03-05T03:00:00+01:00", "2025-03-05T03:15:00+01:00"] {
        lab.at(now, &["apply"]).expect(75);
    }
    let local = read(&lab, "backup-local.log");
    assert_eq!(
        local.matches(" warning - destination not").count(),
        1,
        "{local}"
    );
}

#[test]
fn the_cloud_and_health_checks_have_files_of_their_own() {
    let mut lab = Lab::new();
    lab.run(&["health", "--quick"]);
    let health = read(&lab, "backup-health.log");
    assert!(health.contains(" - "), "{health}");
    assert_eq!(entry_names(&lab.path("log")), ["backup-health.log"]);
    if !is_installed("rclone") {
        skip("the_cloud_has_a_file_of_its_own because there is no rclone");
        return;
    }
    let remote = format!("[vault]\ntype = alias\nremote = {}\n", lab.text("vault"));
    lab.write("rclone.conf", &remote);
    let closed = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    fs::set_permissions(lab.path("rclone.conf"), closed).unwrap();
    lab.set(
        "cloud",
        json!({
            "enable": true, "syncMode": "copy", "provider": "custom", "remote": "vault:",
            "configFile": lab.path("rclone.conf"),
        }),
    );
    lab.at(FIRST, &["apply"]);
    let cloud = read(&lab, "backup-cloud.log");
    assert!(cloud.contains(" cloud-sync: started\n"), "{cloud}");
    assert!(!read(&lab, "backup-coordinator.log").contains(" cloud-sync: "));
}

#[test]
fn a_log_that_cannot_be_written_fails_no_backup_and_is_told_once() {
    let lab = Lab::new();
    lab.write("log", "a file where the folder should be");
    let ended = lab
        .at(FIRST, &["apply"])
        .expect(0)
        .says("not everything is logged in");
    assert_eq!(ended.stderr.matches("not everything is logged").count(), 1);

    // Nor one that somebody led elsewhere.
    let lab = Lab::new();
    fs::create_dir(lab.path("log")).unwrap();
    lab.write("precious", "theirs");
    symlink(lab.path("precious"), lab.path("log/backup-local.log")).unwrap();
    let ended = lab
        .at(FIRST, &["apply"])
        .expect(0)
        .says("not everything is logged in");
    assert_eq!(ended.stderr.matches("not everything is logged").count(), 1);
    assert_eq!(fs::read_to_string(lab.path("precious")).unwrap(), "theirs");
    assert!(read(&lab, "backup-coordinator.log").contains("started"));
}

/// A script in a mount namespace with a real journal of its own; what the journal then holds, one
/// JSON object a record.
fn journal_of(lab: &Lab, script: &str) -> Vec<serde_json::Value> {
    let journald = [
        "/lib/systemd/systemd-journald",
        "/usr/lib/systemd/systemd-journald",
    ]
    .into_iter()
    .find(|path| Path::new(path).exists())
    .unwrap();
    // Standard error is connected to the journal by systemd-cat, and said to be in JOURNAL_STREAM, as
    // systemd does it for a service.
    let whole = format!(
        "set -e\n\
         mount -t tmpfs tmpfs /run\n\
         mkdir -p /run/systemd/journal /run/log/journal\n\
         [ -s /etc/machine-id ] || {{ systemd-id128 new > '{machine}'; \
            touch /run/machine-id; mount --bind '{machine}' /etc/machine-id; }}\n\
         {journald} &\n\
         until [ -S /run/systemd/journal/stdout ] && [ -S /run/systemd/journal/socket ]; do sleep 0.05; done\n\
         systemd-cat -t unit -- sh -c \
            'JOURNAL_STREAM=$(stat --dereference --format=%d:%i /dev/stderr) exec {script}' || true\n\
         journalctl --directory=/run/log/journal --sync 2>/dev/null || true\n\
         kill %1; wait %1 || true\n\
         journalctl --directory=/run/log/journal -o json --no-pager\n",
        machine = lab.text("machine-id"),
    );
    let output = Command::new("unshare")
        .args(["--mount", "--propagation", "private", "bash", "-c", &whole])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(!text.is_empty(), "no records: {errors}");
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn under_systemd_records_go_to_the_journal_with_their_fields() {
    let test = "under_systemd_records_go_to_the_journal";
    let alone = Command::new("unshare")
        .args(["--mount", "--propagation", "private", "true"])
        .stderr(Stdio::null())
        .status();
    if !is_installed("systemd-cat") || !alone.is_ok_and(|status| status.success()) {
        skip(&format!(
            "{test} because there is no systemd-cat or no mount namespace"
        ));
        return;
    }
    let mut lab = Lab::new();
    lab.set("preBackupScript", lab.script("pre", "echo from the script"));
    lab.set("postBackupScript", lab.script("post", "exit 9"));
    let inner = lab.command(&["apply", "--now", FIRST]);
    let words: Vec<&str> = std::iter::once(PROGRAM)
        .chain(inner.get_args().map(|word| word.to_str().unwrap()))
        .collect();
    let records = journal_of(&lab, &words.join(" "));
    let ours: Vec<_> = records
        .iter()
        .filter(|one| one["SYSLOG_IDENTIFIER"] == "backup")
        .collect();
    let with = |field: &str, value: &str| {
        let mut found = ours.iter().filter(|one| one[field] == value);
        found
            .next()
            .unwrap_or_else(|| panic!("no {field}={value} in {records:#?}"))
    };
    let snapshot = with("BACKUP_SNAPSHOT", "2025-03-05_02-00-00");
    assert_eq!(snapshot["BACKUP_STEP"], "snapshot");
    assert_eq!(snapshot["PRIORITY"], "6");
    assert_eq!(snapshot["MESSAGE_ID"], "fb3969b4cb7f4eadb049038959519445");
    assert_eq!(snapshot["BACKUP_RUN_ID"], *lab.runs()[0]);
    with("MESSAGE", "pre-script: from the script");
    let failed = ours
        .iter()
        .find(|one| one["BACKUP_STEP"] == "post-script" && one["PRIORITY"] == "3")
        .unwrap();
    assert!(failed["MESSAGE"].as_str().unwrap().contains("exit code 9"));
    // What is a record is not said on standard error once more.
    let said = records
        .iter()
        .filter(|one| one["SYSLOG_IDENTIFIER"] == "unit");
    for line in said {
        let text = line["MESSAGE"].as_str().unwrap_or_default();
        assert!(!text.contains("pre-script: started"), "{text}");
    }
    // The files are written all the same.
    assert!(read(&lab, "backup-local.log").contains("snapshot: started"));
}
