//! Scripts before and after, and whoever is told of the result.

use std::{fs, time::Instant};

use crate::lab::{Lab, PATIENCE, id_of, is_alive, read_json, step_outcome, wait_for};

const FIRST: &str = "2025-03-05T02:00:00+01:00";
const SECOND: &str = "2025-03-06T02:00:00+01:00";

/// A script that writes down, as `NAME=value` lines, what its environment has beyond the lab's own.
fn noting(lab: &Lab, name: &str) -> String {
    let body = format!(
        "env | grep '^BACKUP_' | grep -v '^BACKUP_COLUMNS=' | sort > '{}'",
        lab.text(&format!("{name}.env"))
    );
    lab.script(name, &body)
}

fn read(lab: &Lab, name: &str) -> String {
    fs::read_to_string(lab.path(name)).unwrap()
}

#[test]
fn scripts_run_before_and_after_and_know_what_came_of_it() {
    let mut lab = Lab::new();
    lab.set("preBackupScript", noting(&lab, "pre"));
    lab.set("postBackupScript", noting(&lab, "post"));
    let report = lab.backup(FIRST);
    let run = report["run_id"].as_str().unwrap();
    let pre = read(&lab, "pre.env");
    let file = lab.text(&format!("state/runs/{run}/incomplete"));
    assert_eq!(
        pre,
        format!("BACKUP_INCOMPLETE={file}\nBACKUP_RUN_ID={run}\nBACKUP_TIMEOUT_SECONDS=3600\n")
    );
    assert_eq!(
        read(&lab, "post.env"),
        format!(
            "BACKUP_RESULT=success\nBACKUP_RUN_ID={run}\nBACKUP_SNAPSHOT={}\n",
            id_of(FIRST)
        )
    );
}

#[test]
fn what_the_script_before_makes_is_in_the_snapshot() {
    let mut lab = Lab::new();
    let dump = format!("echo dump > '{}'", lab.text("home/dump.sql"));
    lab.set("preBackupScript", lab.script("pre", &dump));
    lab.backup(FIRST);
    assert!(lab.inside("latest", "home/dump.sql").exists());
}

#[test]
fn a_failing_script_before_ends_the_run_and_the_one_after_still_runs() {
    let mut lab = Lab::new();
    lab.set(
        "preBackupScript",
        lab.script("pre", "echo no disk today; exit 9"),
    );
    lab.set("postBackupScript", noting(&lab, "post"));
    let told = lab.script("tell", &format!("cat > '{}'", lab.text("told.json")));
    lab.set("notifications.enable", true);
    lab.set("notifications.desktop", false);
    lab.set("notifications.command", told);
    lab.at(FIRST, &["apply"])
        .expect(1)
        .says("failed with exit code 9")
        .hints("by hand");
    assert_eq!(lab.ids(), [""; 0]);
    let post = read(&lab, "post.env");
    assert!(post.contains("BACKUP_RESULT=failed\n"), "{post}");
    assert!(post.contains("BACKUP_SNAPSHOT=\n"), "{post}");
    let log = read(&lab, "log/backup-coordinator.log");
    assert!(log.contains("no disk today"), "{log}");

    let told = read_json(&lab.path("told.json"));
    assert_eq!(told["result"], "failed");
    assert_eq!(step_outcome(&told, "pre-script")["status"], "failed");
    assert_eq!(step_outcome(&told, "snapshot")["status"], "skipped");
    assert_eq!(told["run_id"], *lab.runs()[0]);
}

#[test]
fn a_failing_script_before_may_be_only_a_warning() {
    let mut lab = Lab::new();
    lab.set("preBackupScript", lab.script("pre", "exit 9"));
    lab.set("onPreBackupFailure", "warn");
    let report = lab.at(FIRST, &["apply", "--json"]).expect(3).json();
    assert_eq!(report["result"], "incomplete");
    assert_eq!(step_outcome(&report, "pre-script")["status"], "incomplete");
    assert_eq!(report["snapshot"]["complete"], true);
    assert_eq!(lab.ids(), [id_of(FIRST)]);
}

#[test]
fn a_script_says_what_it_could_not_do_and_the_run_is_incomplete() {
    let mut lab = Lab::new();
    let body = "echo 'app.db is not dumped: disk full' >> \"$BACKUP_INCOMPLETE\"; \
                echo >> \"$BACKUP_INCOMPLETE\"";
    lab.set("preBackupScript", lab.script("pre", body));
    let report = lab.at(FIRST, &["apply", "--json"]).expect(3).json();
    assert_eq!(report["result"], "incomplete");
    let outcome = step_outcome(&report, "pre-script");
    assert_eq!(outcome["status"], "incomplete");
    assert_eq!(outcome["message"], "app.db is not dumped: disk full");
    assert_eq!(lab.ids(), [id_of(FIRST)]);
    let run = report["run_id"].as_str().unwrap();
    assert!(!lab.path(format!("state/runs/{run}/incomplete")).exists());

    // The next one that says nothing is as good as ever.
    lab.set("preBackupScript", lab.script("pre", "true"));
    assert_eq!(lab.backup(SECOND)["result"], "success");
}

#[test]
fn a_failing_script_after_fails_the_run_and_the_snapshot_stays() {
    let mut lab = Lab::new();
    lab.set("postBackupScript", lab.script("post", "kill -9 $$"));
    lab.at(FIRST, &["apply"])
        .expect(1)
        .says("was ended by signal 9");
    assert_eq!(lab.ids(), [id_of(FIRST)]);
}

#[test]
fn a_script_that_cannot_be_run_is_named() {
    let mut lab = Lab::new();
    let absent = lab.text("absent");
    lab.set("preBackupScript", absent.clone());
    lab.at(FIRST, &["apply"])
        .expect(1)
        .says(&absent)
        .says("cannot be run");
}

#[test]
fn a_script_that_takes_too_long_ends_with_all_that_it_started() {
    let mut lab = Lab::new();
    let body = format!("sleep 600 & echo $! > '{}'\nwait", lab.text("child.pid"));
    lab.set("preBackupScript", lab.script("pre", &body));
    lab.set("preBackupTimeout", "1s");
    lab.set("postBackupScript", noting(&lab, "post"));
    let started = Instant::now();
    lab.at(FIRST, &["apply"])
        .expect(1)
        .says("did not end within 1s");
    assert!(started.elapsed() < PATIENCE);
    let child = read(&lab, "child.pid").trim().parse().unwrap();
    wait_for("the script's child to end", || !is_alive(child));
    assert!(read(&lab, "post.env").contains("BACKUP_RESULT=failed\n"));
    assert_eq!(lab.ids(), [""; 0]);
}

#[test]
fn a_script_that_ignores_the_request_to_end_is_killed() {
    let mut lab = Lab::new();
    let body = format!(
        "trap '' TERM\n(trap '' TERM; sleep 600) & echo $! > '{}'\nwhile :; do sleep 1; done",
        lab.text("child.pid")
    );
    lab.set("postBackupScript", lab.script("post", &body));
    lab.set("postBackupTimeout", "1s");
    lab.at(FIRST, &["apply"])
        .expect(1)
        .says("did not end within 1s");
    let child = read(&lab, "child.pid").trim().parse().unwrap();
    wait_for("the script's child to end", || !is_alive(child));
    assert_eq!(lab.ids(), [id_of(FIRST)]);
}

#[test]
fn a_refused_run_still_runs_the_script_after_and_tells() {
    let mut lab = Lab::new();
    // A disk that is there, and another one than the script could be meant to bring.
    lab.set(
        "local.fileSystemUUID",
        "0b7d6e3c-0000-4000-8000-000000000000",
    );
    lab.set("preBackupScript", noting(&lab, "pre"));
    lab.set("postBackupScript", noting(&lab, "post"));
    let told = lab.script("tell", &format!("cat > '{}'", lab.text("told.json")));
    lab.set("notifications.enable", true);
    lab.set("notifications.desktop", false);
    lab.set("notifications.command", told);
    lab.at(FIRST, &["apply"]).expect(4);
    assert!(!lab.path("pre.env").exists());
    assert!(read(&lab, "post.env").contains("BACKUP_RESULT=refused\n"));
    let told = read_json(&lab.path("told.json"));
    assert_eq!(told["result"], "refused");
    assert_eq!(told["findings"][0]["code"], "wrong-file-system");
}

#[test]
fn a_success_is_told_only_where_that_is_asked_for() {
    let mut lab = Lab::new();
    let told = lab.script("tell", &format!("cat > '{}'", lab.text("told.json")));
    lab.set("notifications.enable", true);
    lab.set("notifications.desktop", false);
    lab.set("notifications.command", told);
    lab.backup(FIRST);
    assert!(!lab.path("told.json").exists());
    lab.set("notifications.onSuccess", true);
    let report = lab.backup(SECOND);
    let told = read_json(&lab.path("told.json"));
    assert_eq!(told["result"], "success");
    assert_eq!(told["run_id"], report["run_id"]);
    assert_eq!(told["snapshot"], report["snapshot"]);
}

#[test]
fn a_notification_that_fails_changes_no_result() {
    let mut lab = Lab::new();
    lab.set("notifications.enable", true);
    lab.set("notifications.desktop", false);
    lab.set("notifications.onSuccess", true);
    lab.set("notifications.command", lab.script("tell", "exit 3"));
    let report = lab.backup(FIRST);
    assert_eq!(report["result"], "success");
    assert_eq!(step_outcome(&report, "notify")["status"], "incomplete");
}
