//! Who is told of what: whole runs against servers, a mail system and a desktop.

mod desktop;
mod mail;
#[path = "../../../executor/tests/notify/server.rs"]
mod server;
mod tls;

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use nix::unistd::geteuid;
use serde_json::{Value, json};

use self::server::{Answer, Server};
use crate::lab::{Lab, Ran, read_json, run_command, skip, step_outcome};

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
fn keep_reports(lab: &mut Lab) {
    let body = format!(
        "tr -d '\\n' >> '{0}'; echo >> '{0}'",
        lab.text("told.jsonl")
    );
    let told = lab.script("tell", &body);
    lab.set("notifications.command", told);
}

/// The reports that were told.
fn reports(lab: &Lab) -> Vec<Value> {
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

    // What is refused has not started.
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

/// A file of the lab that only its owner can read.
fn secret_file(lab: &Lab, name: &str, text: &str) -> PathBuf {
    lab.write(name, text);
    fs::set_permissions(lab.path(name), fs::Permissions::from_mode(0o600)).unwrap();
    lab.path(name)
}

#[test]
fn secrets_are_in_no_plan_journal_log_or_output() {
    let mut lab = lab();
    let server = Server::new(&[Answer::Status(500)]);
    let token = secret_file(&lab, "token", "tk_s3cret");
    let headers = secret_file(&lab, "headers", "X: tk_s3cret");
    let topic = secret_file(&lab, "topic", "topic_s3cret\n");
    let hook = secret_file(&lab, "hook", &server.url("/hook_s3cret"));
    let ping = secret_file(&lab, "ping", &server.url("/ping_s3cret"));
    lab.set(
        "notifications.ntfy",
        json!({ "url": server.url("/"), "topicFile": topic, "tokenFile": token }),
    );
    lab.set(
        "notifications.webhook",
        json!({ "urlFile": hook, "headersFile": headers }),
    );
    lab.set("notifications.healthcheck", json!({ "urlFile": ping }));
    lab.set("notifications.onSuccess", true);
    keep_reports(&mut lab);
    lab.run(&["check"]).expect(0);
    let saved = lab.text("saved.plan");
    for looks in [
        &["plan"][..],
        &["plan", "--json"],
        &["plan", "--graph", "dot"],
        &["plan", "--out", &saved],
    ] {
        let looked = lab.at(FIRST, looks).expect(0);
        assert!(!looked.all().contains("s3cret"), "{looked}");
    }
    let ended = lab.at(FIRST, &["apply", "--verbose"]).expect(0);
    let paths = server.paths();
    assert!(paths.len() >= 12, "{paths:?}");
    for asked in [
        "POST /",
        "POST /hook_s3cret",
        "POST /ping_s3cret/start",
        "POST /ping_s3cret",
    ] {
        assert!(paths.iter().any(|path| path == asked), "{asked}: {paths:?}");
    }
    assert!(!ended.all().contains("s3cret"), "{ended}");
    let tested = lab.run(&["notify-test", "--json"]).expect(1);
    assert!(!tested.all().contains("s3cret"), "{tested}");
    let mut files = 0;
    for folder in ["state", "log", "mnt", "saved.plan", "told.jsonl"] {
        for entry in walkdir::WalkDir::new(lab.path(folder)) {
            let entry = entry.unwrap();
            if entry.file_type().is_file() {
                files += 1;
                let text = fs::read(entry.path()).unwrap();
                let text = String::from_utf8_lossy(&text);
                assert!(!text.contains("s3cret"), "{}", entry.path().display());
            }
        }
    }
    assert!(files > 10);
}

#[test]
fn a_topic_that_stands_in_the_configuration_is_shown_to_nobody() {
    let mut lab = lab();
    let server = Server::new(&[Answer::Status(500)]);
    lab.set(
        "notifications.ntfy",
        json!({ "url": server.url("/"), "topic": "topic_s3cret" }),
    );
    lab.set("notifications.onSuccess", true);
    keep_reports(&mut lab);
    let shown = lab.at(FIRST, &["plan"]).expect(0);
    let ended = lab.at(FIRST, &["apply", "--verbose"]).expect(0);
    let tested = lab.run(&["notify-test"]).expect(1);
    for ended in [shown, ended, tested] {
        assert!(!ended.all().contains("s3cret"), "{ended}");
    }
    let told = fs::read_to_string(lab.path("told.jsonl")).unwrap();
    let log = fs::read_to_string(lab.path("log/backup-coordinator.log")).unwrap();
    assert!(log.contains("notifications.ntfy"), "{log}");
    for text in [told, log] {
        assert!(!text.contains("s3cret"), "{text}");
    }
}

#[test]
fn a_secret_that_others_could_read_or_change_is_named_and_not_used() {
    let mut lab = lab();
    let server = Server::new(&[Answer::Status(200)]);
    let hook = secret_file(&lab, "hook", &server.url("/hook"));
    lab.set("notifications.webhook", json!({ "urlFile": hook }));
    lab.set("notifications.onSuccess", true);
    let quiet = lab.run(&["check"]).expect(0);
    assert!(!quiet.all().contains("not used"), "{quiet}");
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o644)).unwrap();
    let hint = format!("`chmod 600 {}`", hook.display());
    let said = "can be read by others";
    lab.run(&["check"]).expect(0).says(said).hints(&hint);
    lab.at(FIRST, &["plan"]).expect(0).says(said).hints(&hint);
    lab.at(FIRST, &["apply"]).expect(3).says(said).hints(&hint);
    let health = lab.at(FIRST, &["health", "--quick"]);
    assert!(health.in_one_line().contains(said), "{health}");
    if geteuid().is_root() {
        fs::set_permissions(&hook, fs::Permissions::from_mode(0o600)).unwrap();
        std::os::unix::fs::chown(&hook, Some(64_001), None).unwrap();
        let said = "belongs to another user (uid 64001)";
        lab.run(&["check"]).expect(0).says(said);
        lab.at(SECOND, &["apply"]).expect(3).says(said);
    }
    assert_eq!(server.paths(), Vec::<String>::new());
    fs::remove_file(&hook).unwrap();
    let quiet = lab.run(&["check"]).expect(0);
    assert!(!quiet.all().contains("not used"), "{quiet}");
    lab.at(SECOND, &["plan"]).expect(0).says("cannot read");
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

/// A folder in which nothing can be made, not even by root.
struct Locked(PathBuf);

impl Locked {
    fn new(folder: &Path) -> Option<Self> {
        let this = Self(folder.to_owned());
        if !geteuid().is_root() {
            fs::set_permissions(folder, fs::Permissions::from_mode(0o500)).unwrap();
            return Some(this);
        }
        let mut chattr = Command::new("chattr");
        let made = chattr.arg("+i").arg(folder).status();
        made.is_ok_and(|status| status.success()).then_some(this)
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        if geteuid().is_root() {
            let _ = Command::new("chattr").arg("-i").arg(&self.0).status();
        } else {
            let _ = fs::set_permissions(&self.0, fs::Permissions::from_mode(0o700));
        }
    }
}

#[test]
fn an_error_that_a_timer_meets_again_and_again_is_told_once_a_day() {
    let mut lab = lab();
    keep_reports(&mut lab);
    lab.set(
        "schedule",
        json!({ "enable": true, "frequency": "daily", "timeOfDay": "01:00" }),
    );
    lab.backup(FIRST);
    // No run can be begun any more.
    let Some(_locked) = Locked::new(&lab.path("state/runs")) else {
        return skip("nothing can be made immutable here");
    };
    let due = |now: &str| lab.at(now, &["apply", "--if-due"]).expect(1);
    due(SECOND);
    assert_eq!(reports(&lab).len(), 1);
    due("2025-03-06T02:15:00+01:00");
    due("2025-03-06T12:15:00+01:00");
    assert_eq!(reports(&lab).len(), 1);
    due("2025-03-07T02:15:00+01:00");
    assert_eq!(reports(&lab).len(), 2);
    // A person is told each time.
    lab.at("2025-03-07T02:20:00+01:00", &["apply"]).expect(1);
    assert_eq!(reports(&lab).len(), 3);
    let message = step_outcome(&reports(&lab)[0], "prepare")["message"].to_string();
    assert!(message.contains("state/runs"), "{message}");
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
fn runs_that_are_deferred_for_too_long_are_told_once_a_day() {
    let mut lab = lab();
    keep_reports(&mut lab);
    lab.set("monitoring.maxAge", "2d");
    lab.set("local.ifAbsent", "defer");
    lab.backup("2025-03-01T02:00:00+01:00");
    lab.set("local.requireMount", true);
    let deferred_at = |lab: &Lab, now: &str| lab.at(now, &["apply"]).expect(75);
    let told = |lab: &Lab| reports(lab).len();
    // Not yet too old.
    deferred_at(&lab, "2025-03-02T02:00:00+01:00");
    assert_eq!(told(&lab), 0);
    deferred_at(&lab, "2025-03-03T03:00:00+01:00");
    assert_eq!(told(&lab), 1);
    for retry in ["2025-03-03T03:15:00+01:00", "2025-03-03T23:59:00+01:00"] {
        deferred_at(&lab, retry);
    }
    assert_eq!(told(&lab), 1);
    deferred_at(&lab, "2025-03-04T03:00:00+01:00");
    assert_eq!(told(&lab), 2);
    let last = reports(&lab).pop().unwrap();
    assert_eq!(last["result"], "deferred");
    assert_eq!(last["findings"][0]["code"], "destination-not-mounted");
    let log = fs::read_to_string(lab.path("log/backup-coordinator.log")).unwrap();
    assert!(log.contains(" notify: told "), "{log}");

    // A backup ends it.
    lab.set("local.requireMount", false);
    lab.backup("2025-03-04T04:00:00+01:00");
    assert!(!lab.path("state/deferrals.json").exists());
    lab.set("notifications.onFailure", false);
    lab.set("local.requireMount", true);
    deferred_at(&lab, "2025-04-04T03:00:00+01:00");
    assert_eq!(told(&lab), 2);
}

#[test]
fn an_unfinished_run_that_waits_for_power_for_too_long_is_told() {
    let test = "an_unfinished_run_that_waits_for_power_for_too_long_is_told";
    let mut alone = Command::new("unshare");
    alone.args(["--mount", "--propagation", "private", "true"]);
    if !alone
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
    {
        skip(&format!("{test} because there is no mount namespace"));
        return;
    }
    let mut lab = lab();
    keep_reports(&mut lab);
    lab.set("schedule", json!({ "enable": true }));
    lab.set("monitoring.maxAge", "2d");
    lab.backup("2025-03-01T02:00:00+01:00");
    lab.set("preBackupScript", lab.script("pre", "kill -9 $PPID"));
    lab.at("2025-03-02T02:00:00+01:00", &["apply"])
        .expect(128 + 9);
    // A battery instead of what this machine has.
    let battery = "mount -t tmpfs tmpfs /sys/class && mkdir -p /sys/class/power_supply/BAT0 && \
                   cd /sys/class/power_supply/BAT0 && echo Battery > type && \
                   echo Discharging > status && cd / && exec \"$@\"";
    let on_battery = |now: &str| {
        let arguments = ["apply", "--if-due", "--now", now];
        let inner = lab.command(&arguments);
        let mut command = lab.bare("unshare");
        command
            .args([
                "--mount",
                "--propagation",
                "private",
                "sh",
                "-c",
                battery,
                "sh",
            ])
            .arg(inner.get_program())
            .args(inner.get_args());
        run_command(command, &arguments)
            .expect(75)
            .says("on battery")
    };
    on_battery("2025-03-02T02:15:00+01:00");
    assert_eq!(reports(&lab).len(), 0);
    on_battery("2025-03-03T03:15:00+01:00");
    on_battery("2025-03-03T03:30:00+01:00");
    let told = reports(&lab);
    assert_eq!(told.len(), 1);
    assert_eq!(told[0]["findings"][0]["code"], "on-battery");
}

#[test]
fn without_any_backup_the_first_deferred_run_counts() {
    let mut lab = lab();
    keep_reports(&mut lab);
    lab.set("monitoring.maxAge", "2d");
    lab.set("local.ifAbsent", "defer");
    lab.set("local.requireMount", true);
    for (now, told) in [
        ("2025-03-01T02:00:00+01:00", 0),
        ("2025-03-02T02:00:00+01:00", 0),
        ("2025-03-03T03:00:00+01:00", 1),
    ] {
        lab.at(now, &["apply"]).expect(75);
        assert_eq!(reports(&lab).len(), told, "{now}");
    }
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
    let shown = lab.at(FIRST, &["plan"]).expect(0);
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
