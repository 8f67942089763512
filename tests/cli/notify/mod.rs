//! Who is told of what: whole runs against servers, a mail system and a desktop.

mod desktop;
mod mail;
pub(crate) mod repeated;
mod report;
mod secrets;
#[path = "../../../executor/tests/notify/server.rs"]
pub(crate) mod server;
mod tls;

use std::fs;

use serde_json::{Value, json};

use self::server::{Answer, Server};
use crate::lab::{Lab, Ran, read_json, step_outcome};

const FIRST: &str = "2025-03-05T02:00:00+01:00";
const SECOND: &str = "2025-03-06T02:00:00+01:00";

/// A lab in which nobody is told but over the channels that a test sets.
fn lab() -> Lab {
    let mut lab = Lab::new();
    lab.set("notifications.enable", true);
    lab.set("notifications.desktop", false);
    lab
}

/// A command channel that keeps the reports it gets, one a line.
pub(crate) fn keep_reports(lab: &mut Lab) {
    let body = format!(
        "tr -d '\\n' >> '{0}'; echo >> '{0}'",
        lab.text("told.jsonl")
    );
    let told = lab.script("tell", &body);
    lab.set("notifications.command", told);
}

/// The reports that were told.
pub(crate) fn reports(lab: &Lab) -> Vec<Value> {
    let text = fs::read_to_string(lab.path("told.jsonl")).unwrap_or_default();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn a_dead_mans_switch_hears_of_start_and_end_whoever_else_is_told() {
    let mut lab = lab();
    let server = Server::new(&[Answer::Status(200)]);
    lab.set(
        "notifications.healthcheck",
        json!({ "url": server.url("/ping") }),
    );
    lab.set("notifications.onFailure", false);
    let report = lab.backup(FIRST);
    assert_eq!(server.paths(), ["POST /ping/start", "POST /ping"]);
    assert_eq!(step_outcome(&report, "announce")["status"], "succeeded");
    assert_eq!(step_outcome(&report, "notify")["told"][0]["ok"], true);

    lab.set("preBackupScript", lab.script("pre", "exit 9"));
    lab.at(SECOND, &["apply"]).expect(1);
    assert_eq!(server.paths()[2..], ["POST /ping/start", "POST /ping/fail"]);

    // What is refused has not started. No script could bring the drive.
    lab.set("preBackupScript", Value::Null);
    lab.set("local.requireMount", true);
    lab.at(SECOND, &["apply"]).expect(4);
    assert_eq!(server.paths()[4..], ["POST /ping/fail"]);
    let note = server.asked().pop().unwrap().body;
    assert!(note.contains("Destination not mounted"), "{note}");
    assert!(
        note.contains("newest good snapshot is 2025-03-05_02-00-00"),
        "{note}"
    );
    assert!(
        note.contains("What to do: attach the drive and run `mount "),
        "{note}"
    );
}

#[test]
fn a_channel_that_fails_is_listed_and_changes_neither_result_nor_exit_code() {
    let mut lab = lab();
    let server = Server::new(&[Answer::Status(404)]);
    lab.set(
        "notifications.webhook",
        json!({ "url": server.url("/hook/s3cret") }),
    );
    lab.set(
        "notifications.healthcheck",
        json!({ "url": server.url("/ping") }),
    );
    lab.set("notifications.onSuccess", true);
    let report = lab.backup(FIRST);
    assert_eq!(report["result"], "success");
    assert_eq!(step_outcome(&report, "announce")["status"], "incomplete");
    let told = &step_outcome(&report, "notify")["told"];
    assert_eq!(told[0]["option"], "notifications.webhook");
    assert_eq!(told[0]["ok"], false);
    assert_eq!(told[0]["tries"], 1);
    let log = fs::read_to_string(lab.path("log/backup-coordinator.log")).unwrap();
    assert!(log.contains(" warning "), "{log}");
    assert!(
        log.contains("(notifications.webhook) answered 404"),
        "{log}"
    );

    // Nor does it hide what did decide the end.
    fs::remove_dir_all(lab.path("home/bob")).unwrap();
    lab.set("local.sources", json!([lab.path("home"), lab.path("gone")]));
    let ended = lab.at(SECOND, &["apply"]).expect(3);
    assert!(!ended.stdout.contains("in step notify"), "{ended}");
}

#[test]
fn an_error_before_there_is_a_plan_is_told() {
    let mut lab = lab();
    keep_reports(&mut lab);
    lab.write("state", "not a folder");
    lab.at(FIRST, &["apply"]).expect(1);
    let told = reports(&lab);
    assert_eq!(told.len(), 1);
    assert_eq!(told[0]["result"], "failed");
    let message = &step_outcome(&told[0], "prepare")["message"];
    assert!(
        message.as_str().unwrap().contains(&lab.text("state")),
        "{message}"
    );
}

#[test]
fn another_run_at_work_is_nothing_to_tell_of() {
    let mut lab = lab();
    keep_reports(&mut lab);
    let inner = lab.command(&["apply", "--now", SECOND]);
    let words: Vec<String> = std::iter::once(inner.get_program())
        .chain(inner.get_args())
        .map(|word| format!("'{}'", word.to_str().unwrap()))
        .collect();
    // While a run is at work, another is started.
    let body = format!("{}; echo $? > '{}'", words.join(" "), lab.text("inner"));
    lab.set("postBackupScript", lab.script("post", &body));
    lab.backup(FIRST);
    assert_eq!(fs::read_to_string(lab.path("inner")).unwrap(), "75\n");
    assert_eq!(reports(&lab), [0; 0]);
}

#[test]
fn a_stale_saved_plan_is_told() {
    let mut lab = lab();
    keep_reports(&mut lab);
    let plan = lab.text("plan.json");
    lab.at(FIRST, &["plan", "--out", &plan]).expect(0);
    lab.backup(FIRST);
    lab.at(SECOND, &["apply", &plan]).expect(4);
    let told = reports(&lab);
    assert_eq!(told.len(), 1);
    assert_eq!(told[0]["result"], "refused");
    assert!(!told[0]["findings"].as_array().unwrap().is_empty());
}

#[test]
fn a_test_message_goes_over_every_channel_and_shows_what_became_of_it() {
    let mut lab = lab();
    lab.run(&["notify-test"]).expect(2).hints("set a channel");
    let server = Server::new(&[Answer::Status(200)]);
    let refusing = Server::new(&[Answer::Status(403)]);
    lab.set("notifications.enable", false);
    lab.set(
        "notifications.ntfy",
        json!({ "url": server.url("/"), "topic": "atlas" }),
    );
    lab.set(
        "notifications.healthcheck",
        json!({ "url": server.url("/ping") }),
    );
    keep_reports(&mut lab);
    lab.run(&["notify-test"])
        .expect(0)
        .says("ok told ntfy topic at 127.0.0.1")
        .says("notifications.enable is false");
    let mut paths = server.paths();
    paths.sort();
    assert_eq!(paths, ["POST /", "POST /ping"]);
    let message = server.asked().into_iter().find(|one| one.what == "POST /");
    assert!(
        message
            .unwrap()
            .body
            .contains("Backup of atlas: test message")
    );
    assert_eq!(reports(&lab).len(), 1);

    lab.set(
        "notifications.webhook",
        json!({ "url": refusing.url("/hook") }),
    );
    let tested: Ran = lab.run(&["notify-test"]).expect(1);
    tested.fits();
    tested
        .says("FAILED")
        .says("answered 403 Forbidden")
        .hints("secret file");
    let told = lab.run(&["notify-test", "--json"]).expect(1).json();
    let ok: Vec<(&str, bool)> = told
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            (
                one["option"].as_str().unwrap(),
                one["ok"].as_bool().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        ok,
        [
            ("notifications.ntfy", true),
            ("notifications.webhook", false),
            ("notifications.healthcheck", true),
            ("notifications.command", true),
        ]
    );
    // A test is no run.
    assert!(!lab.path("state").exists());
}

#[test]
fn the_plan_lists_whom_it_will_tell() {
    let mut lab = lab();
    lab.set(
        "notifications.webhook",
        json!({ "url": "https://hooks.example.org/hook/s3cret" }),
    );
    lab.set(
        "notifications.healthcheck",
        json!({ "url": "https://hc.example.org/ping" }),
    );
    let shown = lab.at(FIRST, &["-v", "plan"]).expect(0);
    assert!(!shown.stdout.contains("s3cret"), "{shown}");
    shown
        .says("ping healthcheck at hc.example.org: started")
        .says("tell webhook at hooks.example.org of a failure")
        .says("tell healthcheck at hc.example.org of every result");
    lab.at(FIRST, &["plan", "--dry-run"]).expect(0);
    let saved = lab.text("plan.json");
    lab.at(FIRST, &["plan", "--out", &saved]).expect(0);
    let steps = read_json(&lab.path("plan.json"))["plan"]["steps"].take();
    let kinds: Vec<&str> = steps
        .as_array()
        .unwrap()
        .iter()
        .map(|step| step["id"].as_str().unwrap())
        .collect();
    assert_eq!(kinds.first(), Some(&"announce"));
    assert_eq!(kinds.last(), Some(&"notify"));
}
