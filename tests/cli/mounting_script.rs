//! A script before the backup that brings the destination: it runs first, and the rest is planned once
//! it has.

use std::fs;

use crate::lab::{Lab, finding_codes, read_json, step_outcome};

const FIRST: &str = "2025-03-05T02:00:00+01:00";
const SECOND: &str = "2025-03-06T02:00:00+01:00";
const THIRD: &str = "2025-03-07T02:00:00+01:00";

/// A laboratory whose disk the scripts bring and take away, which write down the run that they are of.
fn lab() -> Lab {
    let mut lab = Lab::new();
    lab.backup(FIRST);
    fs::rename(lab.path("mnt"), lab.path("disk")).unwrap();
    let (disk, mnt) = (lab.text("disk"), lab.text("mnt"));
    let bring = format!(
        "echo pre $BACKUP_RUN_ID >> '{}'\n[ ! -e '{disk}' ] || mv '{disk}' '{mnt}'",
        lab.text("told")
    );
    lab.set("preBackupScript", lab.script("pre", &bring));
    let away = format!(
        "echo post $BACKUP_RUN_ID $BACKUP_RESULT >> '{}'\n[ ! -e '{mnt}' ] || mv '{mnt}' '{disk}'",
        lab.text("told")
    );
    lab.set("postBackupScript", lab.script("post", &away));
    lab
}

fn told(lab: &Lab) -> Vec<String> {
    let text = fs::read_to_string(lab.path("told")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

fn snapshots(lab: &Lab) -> usize {
    let host = lab.path("disk").read_dir().unwrap().next().unwrap();
    let folder = host.unwrap().path().join(".backup/snapshots");
    folder.read_dir().unwrap().count()
}

#[test]
fn the_script_runs_first_and_the_rest_is_planned_with_what_it_brings() {
    let lab = lab();
    let shown = lab.at(SECOND, &["-v", "plan"]).expect(0).stdout;
    assert!(shown.contains("plan-again"), "{shown}");
    assert!(shown.contains("destination not mounted"), "{shown}");
    assert_eq!(told(&lab), [""; 0]);
    lab.at(SECOND, &["apply"]).expect(0);
    let runs = lab.runs();
    assert_eq!(runs.len(), 2, "{runs:?}");
    let run = runs.last().unwrap();
    assert_eq!(
        told(&lab),
        [format!("pre {run}"), format!("post {run} success")]
    );
    assert_eq!(snapshots(&lab), 2);
    let report = read_json(&lab.path(format!("state/runs/{run}/report.json")));
    assert_eq!(step_outcome(&report, "plan-again")["status"], "succeeded");
    let steps = report["steps"].as_array().unwrap();
    assert!(steps.iter().all(|step| !step["started_at"].is_null()));
    // Sources are judged when it has run: one that is gone then is told.
    fs::rename(lab.path("home"), lab.path("gone")).unwrap();
    fs::create_dir(lab.path("home")).unwrap();
    lab.at(THIRD, &["apply"]).expect(3).says("suspect");
    assert_eq!(told(&lab).len(), 4);
}

#[test]
fn a_disk_that_the_script_does_not_bring_is_refused_after_it() {
    let mut lab = lab();
    fs::rename(lab.path("disk"), lab.path("elsewhere")).unwrap();
    let tell = format!("echo told >> '{}'", lab.text("people"));
    lab.set("notifications.enable", true);
    lab.set("notifications.desktop", false);
    lab.set("notifications.command", lab.script("tell", &tell));
    lab.set("schedule", serde_json::json!({"enable": true}));
    let ended = lab.at(SECOND, &["apply", "--if-due"]).expect(4);
    ended.says("destination not mounted");
    let runs = lab.runs();
    let run = runs.last().unwrap();
    assert_eq!(
        told(&lab),
        [format!("pre {run}"), format!("post {run} refused")]
    );
    let report = read_json(&lab.path(format!("state/runs/{run}/report.json")));
    assert_eq!(
        finding_codes(&report["findings"])[0],
        "destination-not-mounted"
    );
    let people = || fs::read_to_string(lab.path("people")).unwrap();
    assert_eq!(people(), "told\n");
    // Another try in the same period tells nobody; the script after it runs.
    lab.at("2025-03-06T08:00:00+01:00", &["apply", "--if-due"])
        .expect(4)
        .says("refused as before");
    assert_eq!(people(), "told\n");
    assert_eq!(told(&lab).len(), 4);
    // Where that is no failure, it is deferred after the script.
    lab.set("local.ifAbsent", "defer");
    lab.at(THIRD, &["apply"]).expect(75);
    assert!(told(&lab).last().unwrap().ends_with(" deferred"));
    // A plan that is made in two is nobody's to agree to.
    lab.set("local.ifAbsent", "fail");
    let plan = lab.text("saved.json");
    lab.at(THIRD, &["plan", "--out", &plan]).expect(0);
    let before = told(&lab);
    lab.at(THIRD, &["apply", &plan]).expect(4).says("beginning");
    assert_eq!(told(&lab), before);
}

#[test]
fn a_run_that_is_killed_in_its_script_is_gone_on_with_wherever_the_disk_is() {
    let mut lab = lab();
    let pre = lab.text("pre");
    let dies = format!(
        "'{pre}'\n[ -e '{0}' ] || {{ touch '{0}'; kill -9 $PPID; }}",
        lab.text("died")
    );
    lab.set("preBackupScript", lab.script("dies", &dies));
    lab.at(SECOND, &["apply"]).expect(128 + 9);
    // The machine is started anew: what was mounted is not.
    fs::rename(lab.path("mnt"), lab.path("disk")).unwrap();
    lab.at("2025-03-06T02:30:00+01:00", &["apply"])
        .expect(0)
        .says("is not continued");
    assert_eq!(snapshots(&lab), 2);
    assert!(told(&lab).last().unwrap().ends_with(" success"));
    // And where it stays mounted the run itself goes on.
    fs::remove_file(lab.path("died")).unwrap();
    lab.at(THIRD, &["apply"]).expect(128 + 9);
    let runs = lab.runs().len();
    lab.at("2025-03-07T02:30:00+01:00", &["apply"]).expect(0);
    assert_eq!(lab.runs().len(), runs);
    assert_eq!(snapshots(&lab), 3);
}
