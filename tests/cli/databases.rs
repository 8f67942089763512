//! Databases below a source: one note that says how, and nothing that anybody is alarmed by.

use std::fs;

use serde_json::Value;

use crate::{
    cloud,
    lab::{Lab, finding_codes},
};

const FIRST: &str = "2025-03-05T02:00:00+01:00";
const SECOND: &str = "2025-03-06T02:00:00+01:00";
const NOTE: &str = "databases-as-files";

fn note(findings: &Value) -> Vec<&Value> {
    let findings = findings.as_array().unwrap().iter();
    findings.filter(|one| one["code"] == NOTE).collect()
}

#[test]
fn databases_that_are_copied_as_files_are_told_once_and_alarm_nobody() {
    let mut lab = Lab::new();
    for file in [
        "home/ann/app/data.db",
        "home/ann/app/data.db-shm",
        "home/ann/app/data.db-wal",
        "home/ann/app/data.old",
        "home/bob/todo",
        "home/bob/todo-journal",
        "home/pg/PG_VERSION",
        "home/pg/base/1/PG_VERSION",
        "home/pg/global/pg_control",
        "home/mysql/ibdata1",
        // No database: nothing stands beside it, or it is left out.
        "home/bob/other.db",
        "home/bob/.cache/web.db",
        "home/bob/.cache/web.db-wal",
        "home/bob/PG_VERSION",
    ] {
        lab.write(file, "as it is\n");
    }
    lab.set("notifications.enable", true);
    lab.set("notifications.onSuccess", true);
    lab.set("notifications.desktop", false);
    let mail = format!("cat >> '{}'", lab.text("mail"));
    let path = std::env::var("PATH").unwrap_or_default();
    lab.script("bin/sendmail", &mail);
    let to = serde_json::json!({"to": "ann@example.org", "from": "backup@example.org"});
    lab.set("notifications.email", to);

    // Before the first run there is nothing that `check` could know it from.
    let checked = lab.run(&["check"]).expect(0);
    assert!(!checked.all().contains("database"), "{checked}");
    let plan = lab.at(FIRST, &["plan"]).expect(0);
    assert_eq!(plan.stdout.matches("copied as files").count(), 1, "{plan}");
    plan.says(&format!(
        "4 databases below local.sources are copied as files, and a copy that is torn between them \
         looks like any other: 2 of SQLite ({}), 1 of PostgreSQL ({}), 1 of MySQL or MariaDB ({})",
        lab.text("home/ann/app/data.db"),
        lab.text("home/pg"),
        lab.text("home/mysql"),
    ))
    .hints("preBackupScript");

    for now in [FIRST, SECOND] {
        let mut command = lab.command(&["apply", "--now", now]);
        command.env("PATH", format!("{}:{path}", lab.text("bin")));
        crate::lab::run_command(command, &["apply"]).expect(0);
    }
    let mail = fs::read_to_string(lab.path("mail")).unwrap();
    assert_eq!(mail.matches("Subject:").count(), 2, "{mail}");
    assert!(!mail.contains("database"), "{mail}");
    let status = lab.at(SECOND, &["status"]).expect(0);
    assert!(!status.all().contains("database"), "{status}");
    let health = lab.at(SECOND, &["health"]);
    assert!(!health.all().contains("database"), "{health}");

    // From now on the last run tells it.
    lab.run(&["check"])
        .expect(0)
        .says("note: 4 databases below");
    lab.set("preBackupScript", lab.script("dump", "true"));
    let checked = lab.run(&["check"]).expect(0);
    assert!(!checked.all().contains("database"), "{checked}");
    let plan = lab.at(SECOND, &["plan", "--json"]).expect(0).json();
    assert!(!finding_codes(&plan["findings"]).contains(&NOTE));
}

#[test]
fn the_log_beside_a_source_that_is_one_file_is_seen() {
    let mut lab = Lab::new();
    lab.write("app.db", "as it is\n");
    lab.set("local.sources", vec![lab.text("app.db")]);
    let plan = lab.at(FIRST, &["plan", "--json"]).expect(0).json();
    assert_eq!(note(&plan["findings"]), [&Value::Null; 0]);
    lab.write("app.db-wal", "what came last\n");
    let plan = lab.at(FIRST, &["plan", "--json"]).expect(0).json();
    let told = note(&plan["findings"]);
    assert_eq!(told.len(), 1, "{plan:#}");
    assert_eq!(told[0]["severity"], "note");
    let message = told[0]["message"].as_str().unwrap();
    let expected = format!("1 of SQLite ({})", lab.text("app.db"));
    assert!(
        message.starts_with("1 database below local.sources is") && message.ends_with(&expected)
    );
}

#[test]
fn check_knows_what_a_copy_of_the_live_sources_saw() {
    let Some((mut lab, _)) = cloud::lab("check_knows_what_a_live_copy_saw") else {
        return;
    };
    lab.set("local.enable", false);
    lab.write("home/ann/data.db", "as it is\n");
    lab.write("home/ann/data.db-journal", "what is done just now\n");
    lab.backup(FIRST);
    lab.run(&["check"])
        .expect(0)
        .says("note: 1 database below local.sources is copied as files");
}

#[test]
fn an_entry_named_like_a_log_that_is_left_out_changes_nothing() {
    let mut lab = Lab::new();
    lab.write("home/ann/data.db", "as it is\n");
    lab.write("home/ann/data.db-wal", "what came last\n");
    lab.set("local.excludePatterns", vec!["*-wal".to_owned()]);
    let plan = lab.at(FIRST, &["plan", "--json"]).expect(0).json();
    assert_eq!(note(&plan["findings"]).len(), 1, "{plan:#}");
    lab.set("local.excludePatterns", vec!["data.*".to_owned()]);
    let plan = lab.at(FIRST, &["plan", "--json"]).expect(0).json();
    assert_eq!(note(&plan["findings"]), [&Value::Null; 0]);
}
