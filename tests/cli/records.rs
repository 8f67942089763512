//! A damaged record costs the use of its snapshot as a basis, and nothing else: no other snapshot
//! is hidden, and nothing is deleted.

use std::fs;

use serde_json::Value;

use crate::{
    damage::{FIRST, FOURTH, SECOND, THIRD, nights},
    lab::{Lab, contents_below, finding_codes, id_of},
};

const FIFTH: &str = "2025-03-09T02:00:00+01:00";

fn record(lab: &Lab, night: &str, file: &str) -> std::path::PathBuf {
    lab.stored(&format!(".backup/snapshots/{}/{file}", id_of(night)))
}

fn basis(report: &Value, lab: &Lab) -> Value {
    let id = report["snapshot"]["id"].as_str().unwrap();
    lab.record(id)["basis"].clone()
}

#[test]
fn a_damaged_record_hides_no_other_snapshot_and_its_own_is_never_deleted_nor_linked_to() {
    for damage in ["{", "", "null", "missing"] {
        let mut lab = nights(&[FIRST, SECOND, THIRD]);
        // Without the damage the next run would delete it.
        lab.set("local.keepDaily", 1);
        lab.set("local.keepLast", 1);
        lab.set("local.keepWeekly", 0);
        lab.set("local.keepMonthly", 0);
        let path = record(&lab, THIRD, "snapshot.json");
        match damage {
            "missing" => fs::remove_file(&path).unwrap(),
            text => fs::write(&path, text).unwrap(),
        }
        let third = format!("daily/{}", id_of(THIRD));
        let before = contents_below(&lab.stored(&third));

        let list = lab.at(FOURTH, &["list"]).expect(0);
        assert!(list.stdout.contains(&id_of(FIRST)) && list.stdout.contains(&id_of(SECOND)));
        list.says("Record damaged, never deleted").says(&third);
        let json = lab.at(FOURTH, &["list", "--json"]).expect(0).json();
        assert_eq!(json["snapshots"].as_array().unwrap().len(), 2);
        assert_eq!(json["unmanaged"][0]["name"], *id_of(THIRD));
        assert!(json["unmanaged"][0]["record_fault"].is_string());

        lab.at(FOURTH, &["status"])
            .expect(0)
            .says("the record of 1 snapshot is damaged");
        let plan = lab.at(FOURTH, &["plan", "--json"]).expect(0).json();
        assert!(finding_codes(&plan["findings"]).contains(&"snapshot-record-damaged"));
        lab.at(FOURTH, &["plan"])
            .expect(0)
            .says(&third)
            .hints("backup verify");
        lab.at(FOURTH, &["health"])
            .says("is damaged")
            .hints("backup verify");
        lab.run(&["pin", &id_of(THIRD)])
            .expect(4)
            .says("is damaged")
            .hints("backup health");
        lab.run(&["verify", &id_of(THIRD), "--quick"]).expect(3);

        // Two more nights: it stays as it is, and the run is as good as any.
        let report = lab.backup(FOURTH);
        assert_eq!(report["result"], "success");
        assert_eq!(basis(&report, &lab), *id_of(SECOND));
        lab.backup(FIFTH);
        assert!(!lab.ids().contains(&id_of(SECOND)), "{:?}", lab.ids());
        assert!(lab.ids().contains(&id_of(THIRD)));
        assert_eq!(contents_below(&lab.stored(&third)), before);
        let letter = lab.text("home/ann/letter.txt");
        lab.run(&["restore", &third, &letter, "back.txt"]).expect(0);
        assert_eq!(fs::read(lab.path("back.txt")).unwrap(), b"dear all\n");
        // Whatever had been pinned before: a latest that leads to it would mislead.
        assert_eq!(lab.latest(), format!("daily/{}", id_of(FIFTH)));
    }
}

#[test]
fn a_damaged_record_is_made_anew_and_its_snapshot_serves_again() {
    for (fault, act) in crate::manifests::FAULTS {
        let lab = nights(&[FIRST, SECOND]);
        let path = record(&lab, SECOND, "snapshot.json");
        let manifest = fs::read(record(&lab, SECOND, "manifest/SHA256SUMS")).unwrap();
        let tree = contents_below(&lab.stored(&format!("daily/{}", id_of(SECOND))));
        let sealed = lab.record(&id_of(SECOND));
        act(&path);
        let id = id_of(SECOND);
        lab.at(THIRD, &["health"])
            .hints(&format!("backup verify {id} --repair"));
        lab.run(&["verify", &id, "--repair"])
            .expect(0)
            .says("Whole.");
        // The manifest was whole and stays, with all that it knows.
        let after = fs::read(record(&lab, SECOND, "manifest/SHA256SUMS")).unwrap();
        let mut kept = lab.record(&id);
        if kept["manifest_rebuilt_at"].is_null() {
            assert_eq!(after, manifest, "{fault}");
            assert!(kept["record_rebuilt_at"].is_string(), "{fault}: {kept}");
        }
        assert_eq!(
            contents_below(&lab.stored(&format!("daily/{id}"))),
            tree,
            "{fault}"
        );
        for key in ["entries", "files", "folders", "bytes"] {
            assert_eq!(kept["totals"][key], sealed["totals"][key], "{fault}");
        }
        assert_eq!(kept["stored_by"].take(), sealed["stored_by"], "{fault}");
        let json = lab.at(THIRD, &["list", "--json"]).expect(0).json();
        assert_eq!(json["snapshots"].as_array().unwrap().len(), 2, "{fault}");
        lab.at(THIRD, &["list"]).expect(0).says("rebuilt");
        let plan = lab.at(THIRD, &["plan", "--json"]).expect(0).json();
        let found = finding_codes(&plan["findings"]);
        assert!(!found.contains(&"snapshot-record-damaged"), "{fault}");
        let report = lab.backup(THIRD);
        assert_eq!(basis(&report, &lab), *id, "{fault}");
        lab.run(&["verify", "--all"]).expect(0);
    }
}

#[test]
fn where_record_and_manifest_are_gone_the_tree_tells_both() {
    let lab = nights(&[FIRST, SECOND]);
    for file in ["snapshot.json", "manifest/SHA256SUMS"] {
        fs::write(record(&lab, SECOND, file), "").unwrap();
    }
    let id = id_of(SECOND);
    let json = lab
        .run(&["verify", &id, "--repair", "--json"])
        .expect(0)
        .json();
    assert_eq!(json["rebuilt"]["result"], "success");
    assert_eq!(json["snapshots"][0]["verdict"], "whole");
    let kept = lab.record(&id);
    assert!(kept["manifest_rebuilt_at"].is_string() && kept["record_rebuilt_at"].is_string());
    assert_eq!(kept["complete"], true);
    assert_eq!(kept["day"], "2025-03-06");
    assert_eq!(basis(&lab.backup(THIRD), &lab), *id);
    assert_eq!(
        fs::read(record(&lab, SECOND, "snapshot.json.damaged")).unwrap(),
        b""
    );
    lab.run(&["verify", "--all"]).expect(0);
}

#[test]
fn damaged_marks_mean_pinned_until_a_person_says_otherwise() {
    let mut lab = nights(&[FIRST, SECOND]);
    lab.set("local.keepDaily", 1);
    lab.set("local.keepLast", 1);
    lab.set("local.keepWeekly", 0);
    lab.set("local.keepMonthly", 0);
    fs::write(record(&lab, FIRST, "marks.json"), "{").unwrap();
    lab.at(THIRD, &["plan"])
        .expect(0)
        .says("taken to be pinned")
        .hints("backup unpin");
    lab.backup(THIRD);
    assert_eq!(lab.ids(), [id_of(FIRST), id_of(THIRD)]);
    lab.run(&["unpin", &id_of(FIRST)])
        .expect(0)
        .says("written anew");
    lab.backup(FOURTH);
    assert_eq!(lab.ids(), [id_of(FOURTH)]);
}

#[test]
fn a_damaged_record_of_the_last_rotation_does_not_lift_the_limit_of_deletions() {
    let mut lab = nights(&[FIRST, SECOND, THIRD, FOURTH]);
    for night in 9..13 {
        lab.backup(&format!("2025-03-{night:02}T02:00:00+01:00"));
    }
    lab.set("local.keepDaily", 1);
    lab.set("local.keepWeekly", 0);
    lab.set("local.keepMonthly", 0);
    let rotation = lab.stored(".backup/rotation.json");
    fs::write(&rotation, "{").unwrap();
    let night = "2025-03-13T02:00:00+01:00";
    let plan = lab.at(night, &["plan", "--json"]).expect(0).json();
    let found = finding_codes(&plan["findings"]);
    assert!(found.contains(&"rotation-record-damaged"), "{found:?}");
    assert!(found.contains(&"deletions-need-approval"), "{found:?}");
    lab.at(night, &["apply"]).expect(3);
    assert_eq!(lab.ids().len(), 9);
    let night = "2025-03-14T02:00:00+01:00";
    lab.at(night, &["apply", "--approve-deletions"]).expect(0);
    assert_eq!(lab.ids(), [id_of(night)]);
    // The rotation wrote it anew.
    crate::lab::read_json(&rotation);
}
