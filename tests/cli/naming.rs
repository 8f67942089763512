//! Naming snapshots: what a person types is found wherever the snapshot stands by then.

use std::fs;

use crate::lab::{Lab, id_of};

/// A snapshot a day from the second of March on, with `v0`, `v1` and so on in the letter.
fn daily(days: usize) -> Lab {
    let mut lab = Lab::new();
    lab.set("local.keepDaily", 2);
    lab.set("local.keepWeekly", 0);
    for day in 0..days {
        lab.write("home/ann/letter.txt", &format!("v{day}"));
        lab.backup(&at(day));
    }
    lab
}

fn at(day: usize) -> String {
    format!("2026-03-{:02}T02:00:00+00:00", day + 2)
}

fn restored(lab: &Lab, snapshot: &str) -> String {
    let back = lab.path("back");
    if back.exists() {
        fs::remove_file(&back).unwrap();
    }
    let letter = lab.text("home/ann/letter.txt");
    lab.run(&["restore", snapshot, &letter, "back"]).expect(0);
    fs::read_to_string(back).unwrap()
}

#[test]
fn a_name_that_was_noted_goes_on_working_after_the_promotion() {
    let lab = daily(6);
    let first = id_of(&at(0));
    assert!(!lab.stored(&format!("daily/{first}")).exists());
    let noted = format!("daily/{first}");
    assert_eq!(restored(&lab, &noted), "v0");
    assert_eq!(restored(&lab, &format!("weekly/{first}/")), "v0");
    lab.run(&["verify", &noted]).expect(0);
    lab.run(&["diff", &noted, "latest"])
        .expect(0)
        .says("letter.txt");
    lab.run(&["pin", &noted]).expect(0).says(&first);
    lab.run(&["unpin", &noted]).expect(0).says(&first);
}

#[test]
fn a_beginning_a_day_and_a_place_before_the_latest_are_names() {
    let mut lab = daily(2);
    lab.set("local.keepDaily", 9);
    for day in 2..4 {
        lab.write("home/ann/letter.txt", &format!("v{day}"));
        lab.backup(&at(day));
    }
    for (name, expected) in [
        ("2026-03-04", "v2"),
        ("2026-03-05_02", "v3"),
        ("2026-03-05 02:00", "v3"),
        ("daily/2026-03-03", "v1"),
        ("latest~1", "v2"),
        ("latest~3", "v0"),
    ] {
        assert_eq!(restored(&lab, name), expected, "{name}");
    }
    lab.run(&["verify", "latest~1"])
        .expect(0)
        .says(&id_of(&at(2)));
    lab.run(&["pin", "2026-03-04"])
        .expect(0)
        .says(&id_of(&at(2)));
    let diff = lab.run(&["diff", "latest~1", "latest", "--json"]).expect(0);
    assert_eq!(diff.json()["before"], id_of(&at(2)).as_str());
    assert_eq!(diff.json()["after"], id_of(&at(3)).as_str());
}

#[test]
fn what_may_be_several_is_refused_with_their_names() {
    let lab = daily(2);
    let letter = lab.text("home/ann/letter.txt");
    for verb in [
        &["restore", "2026-03", &letter, "back"][..],
        &["verify", "2026-03"],
        &["pin", "2026-03"],
        &["diff", "2026-03", "latest"],
    ] {
        let told = lab.run(verb).expect(4);
        told.says(&id_of(&at(0)))
            .says(&id_of(&at(1)))
            .hints("backup list");
    }
    assert!(!lab.path("back").exists());
    lab.run(&["verify", "latest~2"])
        .expect(4)
        .says("latest~1")
        .says(&id_of(&at(0)));
}
