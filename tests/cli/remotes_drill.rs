//! Trial restores of remotes with history.

use std::fs;

use serde_json::{Value, json};

use crate::{
    lab::{Ran, everything_below, finding_codes, id_of, read_json},
    remotes::{FIRST, SECOND, back_up, cut_off, lab, lose_machine, objects},
};

#[test]
fn a_sample_of_a_remote_is_restored_and_nothing_of_it_stays() {
    let Some(mut lab) = lab("a_sample_of_a_remote") else {
        return;
    };
    // Names that are the same in two folders, and one that looks like a pattern.
    lab.write("home/bob/letter.txt", "dear ann\n");
    lab.write("home/bob/a[1].txt", "one\n");
    back_up(&lab, FIRST);
    lose_machine(&lab);
    let far = everything_below(&lab.path("far"));
    let drill = ["drill", "--destination", "b2"];
    let plan = lab.run(&[&drill[..], &["--dry-run"]].concat()).expect(0);
    plan.says(&id_of(FIRST)).says("a sample of files");
    let done = lab
        .run(&[&drill[..], &["--json"]].concat())
        .expect(0)
        .json();
    assert_eq!(done["verdict"], "passed", "{done}");
    assert_eq!(done["snapshot"]["id"], id_of(FIRST));
    let of_files = done["sample"]["of_files"].as_u64().unwrap();
    assert_eq!(
        done["sample"]["files"],
        of_files - 1,
        "one of two of the same name: {done}"
    );
    assert_eq!(everything_below(&lab.path("far")), far, "only read");
    let left = everything_below(&lab.path("state"));
    let left: Vec<_> = left
        .iter()
        .filter(|one| format!("{one:?}").contains("download-"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
    let kept = read_json(&lab.path("state/destinations/b2/drill.json"));
    assert_eq!(kept["verdict"], "passed");
    lab.run(&["status", "-v"])
        .says("trial restore: local never, b2 just now");

    // A content that is lost is a restore that fails, and stays one until a later one passes.
    lab.set("destinations.b2.keepLast", 3);
    let lost = objects(&lab);
    let before: Vec<Vec<u8>> = lost.iter().map(|path| fs::read(path).unwrap()).collect();
    lost.iter().for_each(|path| fs::remove_file(path).unwrap());
    let failed = lab.run(&drill).expect(1);
    failed.says("failed").hints("backup verify");
    let health = |lab: &crate::lab::Lab| {
        let told = lab.run(&["health", "--quick", "--json"]).json();
        let found = told["destinations"]["b2"]["findings"].clone();
        finding_codes(&found)
            .into_iter()
            .filter(|code| *code == "drill-failed")
            .count()
    };
    assert_eq!(health(&lab), 1);
    for (path, content) in lost.iter().zip(&before) {
        fs::write(path, content).unwrap();
    }
    lab.run(&drill).expect(0);
    assert_eq!(health(&lab), 0);
    // Nobody who is not reached has failed: what is there is as good as it was.
    cut_off(&lab);
    lab.run(&drill).expect(1).says("connection failed");
    let kept = read_json(&lab.path("state/destinations/b2/drill.json"));
    assert_eq!(kept["verdict"], "passed");
}

/// The documents that were printed, one after the other.
fn documents(ran: &Ran) -> Vec<Value> {
    let all = serde_json::Deserializer::from_str(&ran.stdout).into_iter();
    all.map(Result::unwrap).collect()
}

#[test]
fn all_of_which_a_restore_can_be_tried_are_tried() {
    let Some(mut lab) = lab("all_of_which_a_restore_can_be_tried") else {
        return;
    };
    back_up(&lab, FIRST);
    lab.write("home/new.txt", "new\n");
    back_up(&lab, SECOND);
    let plans = documents(
        &lab.run(&["drill", "--all", "--dry-run", "--json"])
            .expect(0),
    );
    assert_eq!(plans.len(), 2);
    let newest = |plan: &Value| plan["snapshot"]["id"] == id_of(SECOND);
    assert!(plans.iter().all(newest), "{plans:?}");
    assert_eq!(plans[0]["remote"], Value::Null);
    assert_eq!(plans[1]["mounts"], json!([]));
    // The disk is away, and the remote is tried all the same; what could not be tried is no success.
    fs::rename(lab.path("mnt"), lab.path("away")).unwrap();
    let tried = lab.run(&["drill", "--all", "--json"]).expect(4);
    let told = documents(&tried);
    assert_eq!(told.len(), 1, "{tried}");
    assert_eq!(told[0]["verdict"], "passed", "{tried}");
    lab.set("local", json!({}));
    lab.run(&["drill", "--all"]).expect(0).says("b2");
    lab.run(&["drill", "--all", "latest"]).expect(2);
}
