//! What a person lets go on a remote with history: shown and asked for before, and never what others need.

use std::{collections::BTreeSet, fs};

use serde_json::{Value, json};

use crate::{
    lab::{Lab, id_of, plan_action},
    remotes::far,
    remotes_expire::{content_of, days, night, on, two_days, verify},
};

/// A lab whose remote keeps a week, with a snapshot of each of these nights.
fn nights(test: &str, nights: std::ops::RangeInclusive<u32>) -> Option<Lab> {
    let mut lab = two_days(test)?;
    lab.set("destinations.b2.keepDaily", json!(7));
    for day in nights {
        night(&lab, day).expect(0);
    }
    Some(lab)
}

/// All names of files behind the remote.
fn all_far(lab: &Lab) -> BTreeSet<String> {
    let all = walkdir::WalkDir::new(far(lab, "")).into_iter();
    let files = all.map(Result::unwrap);
    files
        .map(|one| one.path().to_str().unwrap().to_owned())
        .collect()
}

fn delete(lab: &Lab, day: u32, more: &[&str]) -> crate::lab::Ran {
    let id = id_of(&on(day));
    let mut arguments = vec!["delete", "--destination", "b2", &id];
    arguments.extend(more);
    lab.at(&on(4), &arguments)
}

#[test]
fn what_a_person_deletes_is_let_go_and_taken_away_days_later() {
    let Some(lab) = nights("what_a_person_deletes", 1..=4) else {
        return;
    };
    let before = all_far(&lab);
    let shown = delete(&lab, 2, &["--dry-run"]).expect(0);
    shown
        .says("On b2 (far:Backups/atlas):")
        .says("let go")
        .says("1 snapshot; all of it stays there for 2 days")
        .says("1 file (17 B) that no other snapshot has")
        .says("let 1 snapshot go on the remote");
    let plan: Value = delete(&lab, 2, &["--dry-run", "--json"]).expect(0).json();
    let step = plan_action(&plan, "expire");
    assert_eq!(step["asked"], "delete");
    assert_eq!(step["expire"][0]["lost"]["bytes"], 17);
    // Nobody is there to agree.
    delete(&lab, 2, &[]).expect(4).says("--yes");
    assert_eq!(all_far(&lab), before);
    delete(&lab, 2, &["--yes"])
        .expect(0)
        .says("1 snapshot is let go, and kept for 2 days");
    assert_eq!(days(&lab), (vec![1, 3, 4], vec![2]));
    let mark = far(&lab, &format!("records/{}.expired.json", id_of(&on(2))));
    let mark: Value = serde_json::from_slice(&fs::read(mark).unwrap()).unwrap();
    assert_eq!(mark["reason"]["kind"], "by-hand");
    assert!(content_of(&lab, 2));
    let list = lab
        .run(&["list", "--destination", "b2", "--json"])
        .expect(0)
        .json();
    assert_eq!(list["snapshots"].as_array().unwrap().len(), 3);
    // It is not there any more, for those who name it.
    delete(&lab, 2, &["--yes"]).expect(4);
    for day in 5..=9 {
        night(&lab, day).expect(0);
        verify(&lab);
    }
    assert!(!content_of(&lab, 2) && content_of(&lab, 3));
    assert_eq!(days(&lab), (vec![1, 3, 4, 5, 6, 7, 8, 9], vec![]));
}

#[test]
fn what_must_stay_is_not_deleted_by_hand() {
    let Some(mut lab) = nights("what_must_stay", 1..=4) else {
        return;
    };
    lab.run(&["pin", "--destination", "b2", &id_of(&on(1))])
        .expect(0);
    let before = all_far(&lab);
    delete(&lab, 4, &["--yes"])
        .expect(4)
        .says("it is the newest good one");
    delete(&lab, 1, &["--yes"])
        .expect(4)
        .says("it is pinned")
        .says(&format!("unpin --destination b2 {}", id_of(&on(1))));
    let machine = "feedfeedfeedfeed";
    // Another machine that uploads may be about to rely on it.
    let intent = json!({ "format_version": 1, "machine": machine, "begun_at": on(4) });
    let note = far(&lab, &format!("records/upload-{machine}-1.json"));
    fs::write(&note, intent.to_string()).unwrap();
    delete(&lab, 2, &["--yes"])
        .expect(75)
        .says("another machine (feedfeedfeedfeed) uploads there");
    fs::remove_file(&note).unwrap();
    assert_eq!(all_far(&lab), before);
    // A key that may not delete does not try.
    lab.set("destinations.b2.expire", json!("never"));
    for verb in [&["delete", "2025-03-02"][..], &["prune"]] {
        let arguments = [verb, &["--destination", "b2", "--yes"]].concat();
        lab.at(&on(4), &arguments)
            .expect(4)
            .says("destinations.b2.expire is \"never\"")
            .says("hint: do it from a machine whose key may");
    }
    assert_eq!(all_far(&lab), before);
}

#[test]
fn prune_on_a_remote_shows_all_that_waits_and_lets_it_go() {
    let Some(mut lab) = nights("prune_on_a_remote", 1..=5) else {
        return;
    };
    let prune = |lab: &Lab, more: &[&str]| {
        let arguments = [&["prune", "--destination", "b2"], more].concat();
        lab.at(&on(6), &arguments)
    };
    prune(&lab, &["--yes"]).expect(0).says("nothing to delete");
    lab.set("destinations.b2.keepDaily", json!(1));
    lab.set("destinations.b2.maxDelete", json!(1));
    lab.at(&on(6), &["plan"])
        .says("4 snapshots there until a person agrees")
        .says("in all 4 files (68 B) that no other snapshot has")
        .says("backup prune --destination b2");
    let shown = prune(&lab, &["--dry-run"]).expect(0);
    shown
        .says("in all 4 files (68 B) that no other snapshot has")
        .says("let 4 snapshots go on the remote");
    assert_eq!(days(&lab).1, Vec::<u32>::new());
    prune(&lab, &["--yes"])
        .expect(0)
        .says("4 snapshots are let go, and kept for 2 days");
    assert_eq!(days(&lab), (vec![5], vec![1, 2, 3, 4]));
    prune(&lab, &["--yes"]).expect(0).says("nothing to delete");
    night(&lab, 6).expect(0);
    verify(&lab);
}
