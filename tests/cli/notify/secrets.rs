//! Addresses and topics that are secrets: where they may stand, and that they are told to nobody.

use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf};

use nix::unistd::geteuid;
use serde_json::json;

use super::{
    FIRST, SECOND, keep_reports, lab,
    server::{Answer, Server},
};
use crate::lab::Lab;

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
        &["-v", "plan"],
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
    let shown = lab.at(FIRST, &["-v", "plan"]).expect(0);
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
