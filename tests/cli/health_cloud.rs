//! Health and the cloud, with a real rclone and a remote that is a folder of the lab.

use std::{fs, os::unix::fs::PermissionsExt as _, process::Command};

use serde_json::{Value, json};

use crate::lab::{Lab, contents_below, finding_codes, skip};

/// A lab whose remote `far` is a folder.
fn lab(test: &str) -> Option<Lab> {
    let rclone = Command::new("rclone").arg("version").output();
    if !rclone.is_ok_and(|output| output.status.success()) {
        skip(&format!("{test} because rclone is not installed"));
        return None;
    }
    let mut lab = Lab::new();
    fs::create_dir(lab.path("far")).unwrap();
    remote(
        &lab,
        &format!("type = alias\nremote = {}\n", lab.text("far")),
    );
    lab.set(
        "cloud",
        json!({
            "enable": true,
            "provider": "custom",
            "remote": "far:",
            "syncMode": "copy",
            "configFile": lab.text("rclone.conf"),
        }),
    );
    lab.set("monitoring.maxAge", "7d");
    Some(lab)
}

fn remote(lab: &Lab, config: &str) {
    let file = lab.path("rclone.conf");
    fs::write(&file, format!("[far]\n{config}")).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
}

fn found(told: &Value) -> Vec<&str> {
    let mut found = finding_codes(&told["findings"]);
    found.retain(|code| code.starts_with("cloud") || code.starts_with("rclone"));
    found
}

#[test]
fn a_fresh_copy_on_a_remote_that_answers_gives_no_finding() {
    let Some(lab) = lab("a_fresh_copy_on_a_remote_that_answers") else {
        return;
    };
    let told = lab.run(&["health", "--json"]).json();
    assert_eq!(found(&told), ["cloud-never-copied"]);
    lab.run(&["apply"]).expect(0);
    let before = contents_below(&lab.path("far"));
    let told = lab.run(&["health", "--json"]).expect(0).json();
    assert_eq!(found(&told), [""; 0]);
    assert!(told["cloud"]["copied_at"].is_string());
    assert_eq!(told["cloud"]["unreachable"], Value::Null);
    assert_eq!(contents_below(&lab.path("far")), before);
    lab.run(&["health"]).says("can be reached");
}

#[test]
fn a_remote_that_does_not_answer_is_told_with_what_rclone_says() {
    let Some(lab) = lab("a_remote_that_does_not_answer") else {
        return;
    };
    lab.run(&["apply"]).expect(0);
    remote(
        &lab,
        "type = webdav\nurl = http://127.0.0.1:9/\nvendor = other\n",
    );
    let told = lab.run(&["health", "--json"]).expect(3).json();
    assert_eq!(found(&told), ["cloud-unreachable"]);
    let because = told["cloud"]["unreachable"].as_str().unwrap();
    assert!(because.contains("refused"), "{because}");
    lab.run(&["health"])
        .says("connection failed")
        .hints("cloud.configFile");
}

#[test]
fn a_missing_rclone_is_an_error() {
    let Some(lab) = lab("a_missing_rclone") else {
        return;
    };
    lab.run(&["apply"]).expect(0);
    let mut command = lab.command(&["health", "--json"]);
    command.env("PATH", "/nonexistent");
    let told = crate::lab::run_command(command, &["health"])
        .expect(1)
        .json();
    assert_eq!(found(&told), ["rclone-missing"]);
}
