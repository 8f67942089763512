//! The report by mail: once in a week, never twice, and not lost where it could not be sent.

use std::fs;

use super::mail::{mailing, with_sendmail};
use crate::lab::{Lab, finding_codes, read_json};

fn night(day: u32) -> String {
    format!("2025-03-{day:02}T02:00:00+01:00")
}

/// A lab that mails a report a week.
fn weekly() -> Lab {
    let mut lab = mailing();
    lab.set("hostname", "atlas");
    lab.set("notifications.report", "weekly");
    lab
}

/// What keeps each mail in a file of its own.
fn keep(lab: &Lab) -> String {
    format!("cat > \"$(mktemp '{}/mail.XXXXXX')\"", lab.text(""))
}

fn mails(lab: &Lab) -> Vec<String> {
    let entries = fs::read_dir(lab.path("")).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let is_mail = |path: &std::path::PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap();
        name.starts_with("mail.")
    };
    paths
        .filter(is_mail)
        .map(|path| fs::read_to_string(path).unwrap())
        .collect()
}

#[test]
fn the_first_backup_of_a_week_mails_one_report() {
    let lab = weekly();
    let body = keep(&lab);
    // Saturday, Sunday with which weeks begin, and Monday.
    for (day, expected) in [(8, 1), (9, 2), (10, 2), (15, 2), (16, 3)] {
        with_sendmail(&lab, &body, &["apply", "--now", &night(day)]).expect(0);
        assert_eq!(mails(&lab).len(), expected, "{day}");
    }
    let mails = mails(&lab);
    let mail = mails
        .iter()
        .find(|mail| mail.contains("report-2025-03-09"))
        .unwrap();
    assert!(
        mail.is_ascii() && mail.lines().all(|line| line.len() <= 78),
        "{mail}"
    );
    for part in [
        "Subject: Backups of atlas: ",
        "Auto-Submitted: auto-generated",
        "Content-Type: multipart/mixed",
        "Content-Type: multipart/alternative",
        "Content-Type: text/plain",
        "Content-Type: text/html",
        "filename=\"backup-report-2025-03-09.html\"",
    ] {
        assert!(mail.contains(part), "{part}: {mail}");
    }
    // The text stands before the HTML, which readers take that show it, and tells the same.
    let at = |text: &str| mail.find(text).unwrap_or_else(|| panic!("{text}: {mail}"));
    assert!(at("text/plain") < at("text/html"));
    assert!(at("Good runs:        2 of 2") < at("text/html"), "{mail}");
    let state = read_json(&lab.path("state/mailed-report.json"));
    assert_eq!(state["sent_at"], night(16));
}

#[test]
fn what_could_not_be_sent_is_told_and_sent_later() {
    let lab = weekly();
    let told = with_sendmail(
        &lab,
        "echo no route >&2; exit 69",
        &["apply", "--now", &night(8)],
    );
    // The backup is as good as ever.
    let told = told.expect(0);
    assert!(told.stderr.contains("no route"), "{told}");
    let state = read_json(&lab.path("state/mailed-report.json"));
    assert_eq!(state["failed"]["since"], night(8));
    let health = lab.at(&night(8), &["health", "--json"]);
    let health = health.expect_one_of(&[1, 3]).json();
    assert!(
        finding_codes(&health["findings"]).contains(&"report-unsent"),
        "{health:#}"
    );
    // Not at every retry, and the next night.
    let body = keep(&lab);
    with_sendmail(
        &lab,
        &body,
        &["apply", "--now", "2025-03-08T02:15:00+01:00"],
    )
    .expect(0);
    assert_eq!(mails(&lab).len(), 0);
    with_sendmail(&lab, &body, &["apply", "--now", &night(9)]).expect(0);
    assert_eq!(mails(&lab).len(), 1);
    let state = read_json(&lab.path("state/mailed-report.json"));
    assert_eq!(
        (&state["sent_at"], &state["failed"]),
        (&night(9).into(), &serde_json::Value::Null)
    );
    let health = lab
        .at(&night(9), &["health", "--json"])
        .expect_one_of(&[0, 1, 3])
        .json();
    assert!(
        !finding_codes(&health["findings"]).contains(&"report-unsent"),
        "{health:#}"
    );
}

#[test]
fn what_is_handed_over_by_a_process_that_is_killed_is_not_sent_at_every_retry() {
    let lab = weekly();
    let body = format!("{}; kill -9 $PPID", keep(&lab));
    let times = ["2025-03-08T02:00:00+01:00", "2025-03-08T02:15:00+01:00"];
    for now in times {
        with_sendmail(&lab, &body, &["apply", "--now", now]);
        assert_eq!(mails(&lab).len(), 1);
    }
    let state = read_json(&lab.path("state/mailed-report.json"));
    assert_eq!(state["failed"]["tried_at"], times[0]);
    let because = state["failed"]["because"].as_str().unwrap();
    assert!(because.contains("the process ended"), "{because}");
    // Nobody knows whether it arrived, and none is to be lost.
    let body = keep(&lab);
    with_sendmail(&lab, &body, &["apply", "--now", &night(9)]).expect(0);
    assert_eq!(mails(&lab).len(), 2);
}

#[test]
fn a_health_check_mails_it_where_no_backup_does() {
    let lab = weekly();
    let body = keep(&lab);
    for _ in 0..2 {
        with_sendmail(&lab, &body, &["health", "--quick"]).expect_one_of(&[1, 3]);
        let reports = mails(&lab);
        let reports = reports
            .iter()
            .filter(|mail| mail.contains("multipart/mixed"));
        assert_eq!(reports.count(), 1);
    }
    // A look that is to change nothing sends nothing.
    fs::remove_file(lab.path("state/mailed-report.json")).unwrap();
    let before = mails(&lab).len();
    with_sendmail(&lab, &body, &["health", "--dry-run"]).expect_one_of(&[1, 3]);
    assert_eq!(mails(&lab).len(), before);
}

#[test]
fn a_report_that_has_nobody_to_go_to_is_a_fault_of_the_configuration() {
    let mut lab = weekly();
    lab.set("notifications.email", serde_json::Value::Null);
    let told = lab.run(&["check"]).expect(2);
    told.says("notifications.report")
        .says("`notifications.email` is null");
}
