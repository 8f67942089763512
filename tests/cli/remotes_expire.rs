//! What a remote with history lets go, and what of it is taken away: never what any other snapshot needs.

use std::{collections::BTreeSet, fs};

use serde_json::{Value, json};
use test_support::check_with_example;

use crate::{
    lab::{Lab, id_of, plan_action},
    remotes::{far, lab},
};

/// A lab whose remote keeps two days, and what it let go for two more.
pub(crate) fn two_days(test: &str) -> Option<Lab> {
    let mut lab = lab(test)?;
    for (key, value) in [
        ("keepDaily", json!(2)),
        ("keepWeekly", json!(0)),
        ("keepMonthly", json!(0)),
        ("keepHistoryDays", json!(2)),
    ] {
        lab.set(&format!("destinations.b2.{key}"), value);
    }
    Some(lab)
}

/// The time of a night; later ones begin an hour later, so that whole days have passed by all clocks.
pub(crate) fn on(day: u32) -> String {
    format!("2025-03-{day:02}T{:02}:00:00+01:00", 2 + day / 7)
}

/// A night on which one file has another content than on every other.
pub(crate) fn night(lab: &Lab, day: u32) -> crate::lab::Ran {
    lab.write("home/daily.txt", &format!("written on day {day}\n"));
    lab.at(&on(day), &["apply"])
}

fn names(lab: &Lab, folder: &str) -> BTreeSet<String> {
    let all = fs::read_dir(far(lab, folder)).unwrap();
    all.map(|one| one.unwrap().file_name().into_string().unwrap())
        .collect()
}

/// The days whose snapshots are there, and those that are let go.
pub(crate) fn days(lab: &Lab) -> (Vec<u32>, Vec<u32>) {
    let day = |name: &str| name.get(8..10)?.parse().ok();
    let all = names(lab, "records");
    let expired: Vec<u32> = all
        .iter()
        .filter(|name| name.ends_with(".expired.json"))
        .filter_map(|name| day(name))
        .collect();
    let records = all
        .iter()
        .filter(|name| name.len() == "2025-03-01_02-00-00.json".len());
    let there = records.filter_map(|name| day(name));
    (
        there.filter(|day| !expired.contains(day)).collect(),
        expired,
    )
}

pub(crate) fn content_of(lab: &Lab, day: u32) -> bool {
    object(lab, day).exists()
}

fn object(lab: &Lab, day: u32) -> std::path::PathBuf {
    let digest = schema::Digest::of(format!("written on day {day}\n").as_bytes()).to_string();
    far(lab, &format!("objects/{}/{digest}", &digest[..2]))
}

/// All that is there is whole: every content of every snapshot is read.
pub(crate) fn verify(lab: &Lab) {
    lab.run(&["verify", "--destination", "b2", "--full"])
        .expect(0);
    if let Some(read) = check_with_example("what a remote lets go", &far(lab, ""), None) {
        read.expect(0);
    }
}

#[test]
fn what_the_rules_let_go_is_taken_away_days_later_and_nothing_else() {
    let Some(lab) = two_days("what_the_rules_let_go") else {
        return;
    };
    for day in 1..=3 {
        night(&lab, day).expect(0);
    }
    assert_eq!(days(&lab), (vec![1, 2, 3], vec![]));
    let ran = night(&lab, 4).expect(0);
    ran.says("1 snapshot is let go, and kept for 2 days");
    assert_eq!(days(&lab), (vec![2, 3, 4], vec![1]));
    let list = lab
        .run(&["list", "--destination", "b2", "--json"])
        .expect(0);
    let list = list.json();
    let listed = list["snapshots"].as_array().unwrap().iter();
    let listed: Vec<&str> = listed.map(|one| one["id"].as_str().unwrap()).collect();
    assert_eq!(listed, [id_of(&on(4)), id_of(&on(3)), id_of(&on(2))]);
    let plan = lab.at(&on(5), &["plan"]).expect(0);
    plan.says("let go")
        .says("1 snapshot; all of it stays there for 2 days")
        .says("1 file (17 B) that no other snapshot has");
    let mut swept = None;
    for day in 5..=11 {
        if day == 9 {
            // What is taken away for good is told before, with what only it has.
            let plan = lab.at(&on(day), &["plan"]).expect(0);
            plan.says("for good, let go over 2 days ago: 1 snapshot")
                .says("2025-03-01_02-00-00: 1 file (17 B) that no other snapshot has");
            let plan: Value = lab.at(&on(day), &["plan", "--json"]).expect(0).json();
            let step = plan_action(&plan, "expire");
            let lost = json!({ "files": 1, "bytes": 17, "at_least": false });
            assert_eq!(step["expire"][0]["lost"], lost);
            assert_eq!(
                step["sweep"],
                json!([{ "id": id_of(&on(1)), "lost": lost }])
            );
        }
        night(&lab, day).expect(0);
        if [9, 11].contains(&day) {
            verify(&lab);
        }
        let (there, expired) = days(&lab);
        assert_eq!(there, [day - 2, day - 1, day], "day {day}");
        assert!(
            content_of(&lab, day - 3),
            "let go, and still to be had on day {day}"
        );
        if swept.is_none() && !content_of(&lab, 1) {
            swept = Some(day);
            assert!(!expired.contains(&1));
            assert!(!names(&lab, "manifests").contains(&format!("{}.mtree.zst", id_of(&on(1)))));
        }
        for day in expired {
            assert!(
                content_of(&lab, day),
                "{day} is let go, and not yet taken away"
            );
        }
    }
    // Let go on the 4th, seen by the clocks of three days, and two days after the middle one by
    // the clocks of three days again.
    assert_eq!(swept, Some(9));
    let lost = lab.text("lost.txt");
    let daily = lab.text("home/daily.txt");
    lab.run(&[
        "restore",
        "--destination",
        "b2",
        "2025-03-09",
        &daily,
        &lost,
    ])
    .expect(0);
    assert_eq!(fs::read_to_string(lost).unwrap(), "written on day 9\n");
}

#[test]
fn what_is_pinned_or_needed_again_stays() {
    let Some(lab) = two_days("what_is_pinned_or_needed_again") else {
        return;
    };
    for day in 1..=3 {
        night(&lab, day).expect(0);
    }
    lab.run(&["pin", "--destination", "b2", &id_of(&on(1))])
        .expect(0);
    for day in 4..=12 {
        // From the 6th on, what the 2nd had is in all snapshots again.
        if day >= 6 {
            lab.write("home/again.txt", "written on day 2\n");
        }
        night(&lab, day).expect(0);
    }
    verify(&lab);
    let (there, expired) = days(&lab);
    assert_eq!(there, [1, 10, 11, 12]);
    assert!(!expired.contains(&2), "{expired:?}");
    assert!(content_of(&lab, 1) && content_of(&lab, 2) && !content_of(&lab, 3));
}

#[test]
fn what_was_interrupted_while_it_was_taken_away_is_gone_on_with() {
    let Some(lab) = two_days("what_was_interrupted") else {
        return;
    };
    for day in 1..=8 {
        night(&lab, day).expect(0);
    }
    // As a run leaves it that was ended after its first, and one after its last but one deletion.
    for (day, is_first) in [(1, true), (2, false)] {
        assert!(days(&lab).1.contains(&day));
        let id = id_of(&on(day));
        fs::remove_file(far(&lab, &format!("records/{id}.json"))).unwrap();
        if !is_first {
            fs::remove_file(object(&lab, day)).unwrap();
            fs::remove_file(far(&lab, &format!("manifests/{id}.mtree.zst"))).unwrap();
        }
        let next = 8 + day;
        night(&lab, next).expect(0);
        verify(&lab);
        assert!(!days(&lab).1.contains(&day), "{day}");
        assert_eq!(days(&lab).0, [next - 2, next - 1, next]);
        assert!(!content_of(&lab, day));
    }
}

#[test]
fn another_machine_that_uploads_is_given_way_to_for_a_week() {
    let Some(lab) = two_days("another_machine_that_uploads") else {
        return;
    };
    for day in 1..=3 {
        night(&lab, day).expect(0);
    }
    let intent = json!({ "format_version": 1, "machine": "feedfeedfeedfeed", "begun_at": on(3) });
    let file = far(&lab, "records/upload-feedfeedfeedfeed-1.json");
    fs::write(&file, intent.to_string()).unwrap();
    let ran = night(&lab, 4).expect(75);
    ran.says("another machine (feedfeedfeedfeed) uploads there");
    assert_eq!(days(&lab), (vec![1, 2, 3, 4], vec![]));
    let left = names(&lab, "records");
    assert!(
        !left.iter().any(|name| name.starts_with("expiry-")),
        "{left:?}"
    );
    // What that left behind counts no more.
    night(&lab, 11).expect(0);
    assert_eq!(days(&lab).1, [1, 2]);
}

#[test]
fn a_key_that_may_not_delete_deletes_nothing_and_other_rules_ask_a_person_first() {
    let Some(mut lab) = two_days("a_key_that_may_not_delete") else {
        return;
    };
    lab.set("destinations.b2.expire", json!("never"));
    for day in 1..=5 {
        night(&lab, day).expect(0);
    }
    assert_eq!(days(&lab), (vec![1, 2, 3, 4, 5], vec![]));
    let plan: Value = lab.at(&on(6), &["plan", "--json"]).expect(0).json();
    let steps = plan["steps"].as_array().unwrap();
    assert!(steps.iter().all(|step| step["action"]["kind"] != "expire"));
    // The rules count again, and others: that is more than the nights account for, and a person is asked.
    lab.set("destinations.b2.keepDaily", json!(1));
    lab.set("destinations.b2.expire", json!("here"));
    lab.set("destinations.b2.maxDelete", json!(1));
    let ran = night(&lab, 6);
    ran.says("4 deletions wait for approval");
    assert_eq!(days(&lab).1, Vec::<u32>::new());
    night(&lab, 7);
    lab.write("home/daily.txt", "written on day 8\n");
    lab.at(&on(8), &["apply", "--approve-deletions"]).expect(0);
    assert_eq!(days(&lab).1, [1, 2, 3, 4, 5, 6]);
}
