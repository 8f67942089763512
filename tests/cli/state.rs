//! `state`: what a machine says that it keeps, and what of it is in no backup; sources that need not be
//! there yet.

use std::{fs, os::unix::fs::PermissionsExt as _};

use serde_json::{Value, json};

use crate::lab::{Lab, finding_codes, is_installed, skip};

const FIRST: &str = "2025-03-05T02:00:00+01:00";
const SECOND: &str = "2025-03-06T02:00:00+01:00";

/// Writes the table of a machine that keeps these paths.
fn keep(lab: &Lab, paths: &[Value]) {
    let table = json!({
        "version": 1, "enabled": true, "dumpFolder": lab.text("dumps"), "paths": paths,
    });
    let file = lab.path("state.json");
    fs::write(&file, table.to_string()).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
}

fn service(path: &str) -> Value {
    json!({"path": path, "kind": "service", "from": ["services.wiki.dataDir"]})
}

#[test]
fn the_table_says_of_each_path_how_it_is_backed_up() {
    let mut lab = Lab::new();
    let (home, dump) = (lab.text("home"), lab.text("dumps/postgresql.sql"));
    lab.write("dumps/postgresql.sql", "create table\n");
    lab.write("home/.cache/x", "");
    lab.set("local.sources", json!([home, lab.text("dumps")]));
    keep(
        &lab,
        &[
            service(&lab.text("home/ann")),
            service(&lab.text("home/.cache")),
            service(&lab.text("elsewhere")),
            json!({
                "path": lab.text("pg"), "kind": "database", "from": ["services.postgresql.dataDir"],
                "database": {"engine": "postgresql", "dump": dump},
            }),
            json!({
                "path": lab.text("tmp"), "kind": "service", "from": ["services.x.y"],
                "ignored": lab.text("tmp"),
            }),
        ],
    );
    let table = lab.run(&["state", "--json"]).expect(3).json();
    assert_eq!(table["missing"], 2);
    let rows = table["paths"].as_array().unwrap();
    let standings: Vec<&str> = rows
        .iter()
        .map(|row| row["standing"].as_str().unwrap())
        .collect();
    assert_eq!(
        standings,
        ["source", "excluded", "missing", "dumped", "ignored"]
    );
    assert_eq!(rows[0]["by"], json!(home));
    assert_eq!(rows[1]["by"], ".cache");
    assert_eq!(rows[2]["there"], false);
    assert_eq!(rows[3]["dump"]["bytes"], 13);

    let mut shown = lab.run(&["state"]).expect(3);
    assert!(!shown.stdout.contains("/home/annin"), "{shown}");
    for words in [
        "2 paths are in no backup",
        "in no backup: left out by .cache",
        "services.wiki.dataDir",
        "PostgreSQL, written to",
        "left out (state.ignore)",
        "hint: add what matters to local.sources",
    ] {
        shown = shown.says(words);
    }
    let lost = lab.run(&["state", "--missing"]).expect(3).stdout;
    assert!(
        !lost.contains("PostgreSQL") && lost.contains("elsewhere"),
        "{lost}"
    );

    keep(&lab, &[service(&lab.text("home/ann"))]);
    lab.run(&["state"])
        .expect(0)
        .says("1 path: all of it is in the backup");
}

#[test]
fn without_a_table_it_is_refused_with_what_writes_one() {
    let lab = Lab::new();
    lab.run(&["state"])
        .expect(4)
        .says("nothing says what this machine keeps")
        .hints("services.backup.state.enable = true");
    fs::write(lab.path("state.json"), "{}").unwrap();
    lab.run(&["state"])
        .expect(1)
        .says("says nothing: missing field");
    fs::write(
        lab.path("state.json"),
        r#"{"version": 9, "enabled": true, "dumpFolder": "/x", "paths": []}"#,
    )
    .unwrap();
    lab.run(&["state"]).expect(1).says("has format 9");
}

#[test]
fn a_source_that_need_not_be_there_is_left_out_until_it_is() {
    for rsync in [false, true] {
        if rsync && !is_installed("rsync") {
            return skip(
                "a_source_that_need_not_be_there_is_left_out because rsync is not installed",
            );
        }
        let mut lab = Lab::new();
        let (home, wiki) = (lab.text("home"), lab.text("wiki"));
        lab.set("local.useRsync", rsync);
        lab.set("local.sources", json!([home, wiki]));
        lab.set("local.optionalSources", json!([wiki]));
        let plan = lab.at(FIRST, &["plan", "--json"]).expect(0).json();
        let codes = finding_codes(&plan["findings"]);
        assert!(codes.contains(&"optional-source-not-there"), "{codes:?}");
        // Planned and run with one look at the sources, and with two.
        let saved = lab.text("saved.json");
        lab.at(FIRST, &["plan", "--out", &saved]).expect(0);
        lab.at(FIRST, &["apply", &saved]).expect(0);

        // It comes, and goes: what had files and is gone is told as of any source.
        lab.write("wiki/page", "text\n");
        lab.backup(SECOND);
        assert!(lab.inside("latest", "wiki/page").exists());
        fs::remove_dir_all(lab.path("wiki")).unwrap();
        let third = "2025-03-07T02:00:00+01:00";
        let plan = lab.at(third, &["plan", "--json"]).json();
        let codes = finding_codes(&plan["findings"]);
        assert!(codes.contains(&"source-missing"), "{codes:?}");
        lab.at(third, &["plan", "--out", &saved]);
        lab.at(third, &["apply", &saved]).expect(3);
    }
}

#[test]
fn an_optional_source_is_a_source() {
    let mut lab = Lab::new();
    lab.set("local.optionalSources", json!(["/var/lib/wiki"]));
    lab.run(&["check"])
        .expect(2)
        .says("local.optionalSources[0]")
        .says("not one of `local.sources`");
}
