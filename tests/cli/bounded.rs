//! What others wrote takes bounded memory, however long it is: each run here may have 300 MB.

use std::{
    fs::{self, OpenOptions},
    path::Path,
};

use serde_json::Value;
use test_support::run_command;

use crate::{
    damage::{FIRST, FOURTH, SECOND, THIRD, nights},
    lab::{Lab, Ran, id_of, is_installed, skip},
    manifests::{records, write_whole},
    tampered::change_record,
};

/// Bytes that a program may write to in memory: with more it ends.
const MOST: &str = "--data=300000000";
/// A length that no memory has, and that takes no room on a disk.
const HUGE: u64 = 5 << 30;

/// Runs the program with little memory.
fn bounded(lab: &Lab, arguments: &[&str]) -> Ran {
    run_command(lab.command_below("prlimit", &[MOST], arguments), arguments)
}

/// Whether nothing here limits the memory of a program.
fn is_unbounded(test: &str) -> bool {
    let missing = !is_installed("prlimit");
    if missing {
        skip(&format!("{test}: no prlimit here"));
    }
    missing
}

fn make_huge(path: &Path) {
    let mut options = OpenOptions::new();
    let file = options.write(true).create(true).truncate(false);
    file.open(path).unwrap().set_len(HUGE).unwrap();
}

#[test]
fn a_record_of_any_length_hides_no_other_snapshot() {
    if is_unbounded("a_record_of_any_length") {
        return;
    }
    let lab = nights(&[FIRST, SECOND]);
    let id = id_of(SECOND);
    make_huge(&lab.stored(&format!(".backup/snapshots/{id}/snapshot.json")));
    bounded(&lab, &["list"]).expect(0).says(&id_of(FIRST));
    bounded(&lab, &["status"]).says("snapshot.json");
    bounded(&lab, &["verify", "--all"])
        .expect(3)
        .says("longer than");
    bounded(&lab, &["apply", "--now", THIRD]).expect_one_of(&[0, 3]);
    assert_eq!(lab.ids().len(), 3);
}

#[test]
fn many_long_records_are_not_in_memory_at_once() {
    if is_unbounded("many_long_records") {
        return;
    }
    let lab = nights(&[FIRST, SECOND, THIRD]);
    // Valid ones, of which each alone could be read.
    for night in [FIRST, SECOND, THIRD] {
        let path = lab.stored(&format!(".backup/snapshots/{}/snapshot.json", id_of(night)));
        change_record(&path, |record| {
            record["made_by"] = Value::from("x".repeat(30 << 20));
        });
    }
    bounded(&lab, &["list"]).expect(0).says(&id_of(FIRST));
    bounded(&lab, &["apply", "--now", FOURTH]).expect_one_of(&[0, 3]);
    assert_eq!(lab.ids().len(), 4);
    // Texts of no length take most memory for what they are on the disk.
    let path = lab.stored(&format!(".backup/snapshots/{}/snapshot.json", id_of(FIRST)));
    change_record(&path, |record| {
        record["made_by"] = Value::from("x");
        record["suspect"] = Value::from(vec![""; 5 << 20]);
    });
    bounded(&lab, &["list"]).expect(0).says(&id_of(FOURTH));
}

#[test]
fn a_manifest_of_one_line_is_no_basis() {
    if is_unbounded("a_manifest_of_one_line") {
        return;
    }
    let lab = nights(&[FIRST, SECOND]);
    let records = records(&lab, SECOND);
    let digest = write_whole(&records, |writer| {
        let piece = vec![b'a'; 1 << 20];
        writer.write_lines(b"./").unwrap();
        for _ in 0..700 {
            writer.write_lines(&piece).unwrap();
        }
    });
    change_record(&records.join("snapshot.json"), |record| {
        record["manifest_digest"] = serde_json::to_value(digest).unwrap();
    });
    // Also where nothing is kept that tells that it was changed.
    fs::remove_file(lab.path("state/sealed.json")).unwrap();
    let id = id_of(SECOND);
    bounded(&lab, &["find", "*a"]).expect_one_of(&[0, 1, 3]);
    bounded(&lab, &["verify", &id]).expect(3).says("longer");
    bounded(&lab, &["diff", &id_of(FIRST), &id]).expect_one_of(&[1, 4]);
    bounded(&lab, &["restore", &id, "/", &lab.text("out")]).expect_one_of(&[1, 3]);
    bounded(&lab, &["apply", "--now", THIRD]).expect_one_of(&[0, 3]);
    assert_eq!(lab.record(&id_of(THIRD))["basis"], *id_of(FIRST));
}

#[test]
fn configurations_and_plans_of_any_length_are_named() {
    if is_unbounded("configurations_and_plans") {
        return;
    }
    let lab = nights(&[FIRST]);
    let huge = lab.path("huge.json");
    make_huge(&huge);
    let text = lab.text("huge.json");
    bounded(&lab, &["check", &text]).expect(2).says("huge.json");
    bounded(&lab, &["apply", &text])
        .expect_one_of(&[2, 4])
        .says("huge.json");
    // Neither is what is nested without an end.
    fs::write(&huge, "[".repeat(3 << 20)).unwrap();
    bounded(&lab, &["check", &text]).expect(2);
    bounded(&lab, &["apply", &text]).expect_one_of(&[2, 4]);
}

#[test]
fn files_of_the_state_directory_of_any_length_stop_no_backup() {
    if is_unbounded("files_of_the_state_directory") {
        return;
    }
    let names = [
        "verified.json",
        "sealed.json",
        "health.json",
        "destinations.json",
        "tries.json",
    ];
    let lab = nights(&[FIRST]);
    lab.run(&["health", "--quick"]);
    for name in names {
        make_huge(&lab.path("state").join(name));
    }
    let run = lab.path("state/runs").join(&lab.runs()[0]);
    for name in ["report.json", "inventory.json", "journal.jsonl"] {
        make_huge(&run.join(name));
    }
    bounded(&lab, &["status"]).says("longer than");
    bounded(&lab, &["health", "--quick"]).says("longer than");
    bounded(&lab, &["apply", "--now", SECOND]).expect_one_of(&[0, 3]);
    assert_eq!(lab.ids().len(), 2);
    bounded(&lab, &["apply", "--now", THIRD]).expect(0);
}

#[test]
fn a_remote_that_lists_without_an_end_is_an_error() {
    if is_unbounded("a_remote_that_lists_without_an_end") {
        return;
    }
    let mut lab = nights(&[FIRST]);
    let folder = lab.path("bin");
    fs::create_dir(&folder).unwrap();
    let item = format!(
        "{{\"Path\":\"{}\",\"Size\":1,\"IsDir\":false}},",
        "x".repeat(200)
    );
    lab.script(
        "bin/rclone",
        &format!(
            "case \"$*\" in *lsjson*) exec yes '{item}';; version*) echo 'rclone v1.70.0';; esac"
        ),
    );
    lab.set("cloud.enable", true);
    lab.set("cloud.provider", "custom");
    lab.set("cloud.remote", "any:");
    let arguments = ["restore", "--from", "cloud", "--list"];
    let mut command = lab.command_below("prlimit", &[MOST], &arguments);
    let path = std::env::var("PATH").unwrap();
    command.env("PATH", format!("{}:{path}", folder.display()));
    run_command(command, &arguments)
        .expect(1)
        .says("is longer than 128.0 MiB");
}
