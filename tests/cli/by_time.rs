//! `by-time/ID`: a link to each snapshot, for programs that show previous versions.

use std::{fs, os::unix::fs::symlink, path::Path};

use crate::lab::{Lab, contents_below, entry_names, id_of, wait_for, wait_for_child};

// A Wednesday.
const FIRST: &str = "2025-03-05T02:00:00+01:00";
const SECOND: &str = "2025-03-06T02:00:00+01:00";

fn night(day: u32) -> String {
    format!("2025-03-{day:02}T02:00:00+01:00")
}

/// Each snapshot has one link, which leads to the folder that holds it and through no other link.
#[track_caller]
fn assert_linked(lab: &Lab) {
    assert_eq!(entry_names(&lab.stored("by-time")), lab.ids());
    for id in lab.ids() {
        let link = lab.stored("by-time").join(&id);
        let target = fs::read_link(&link).unwrap();
        let target = target.to_str().unwrap();
        let home = target.strip_prefix("../").unwrap();
        assert!(home.ends_with(&format!("/{id}")), "{target}");
        assert!(lab.tiers().contains(&home.to_owned()), "{target}");
        assert!(link.join(".").is_dir());
    }
}

#[test]
fn each_snapshot_has_a_link_that_follows_it_from_tier_to_tier_and_goes_with_it() {
    let mut lab = Lab::new();
    lab.set("local.keepDaily", 2);
    lab.set("local.keepWeekly", 1);
    lab.set("local.keepMonthly", 1);
    let mut gone = 0;
    for day in 5..=14 {
        let before = lab.ids().len();
        lab.backup(&night(day));
        gone += before + 1 - lab.ids().len();
        assert_linked(&lab);
    }
    assert!(gone > 4, "{gone}");
    let newest = contents_below(&lab.inside(&format!("by-time/{}", id_of(&night(14))), "home"));
    assert_eq!(newest, contents_below(&lab.path("home")));

    let deleted = lab.ids()[0].clone();
    lab.run(&["delete", &deleted, "--yes"]).expect(0);
    assert!(!lab.ids().contains(&deleted));
    assert_linked(&lab);
    // Nobody but who owns the snapshots gets there.
    use std::os::unix::fs::MetadataExt as _;
    let mode = |folder: &str| fs::metadata(lab.stored(folder)).unwrap().mode();
    assert_eq!(mode("by-time"), mode("daily"));
}

#[test]
fn what_is_missing_or_leads_nowhere_is_made_up_and_what_is_anothers_stays() {
    let lab = Lab::new();
    lab.backup(FIRST);
    lab.backup(SECOND);
    let at = |name: &str| lab.stored("by-time").join(name);
    fs::remove_file(at(&id_of(FIRST))).unwrap();
    fs::remove_file(at(&id_of(SECOND))).unwrap();
    symlink("../nowhere", at(&id_of(SECOND))).unwrap();
    symlink("../daily/2024-01-01_02-00-00", at("2024-01-01_02-00-00")).unwrap();
    symlink("../..", at("mine")).unwrap();
    fs::write(at("notes.txt"), "mine").unwrap();
    fs::create_dir(at("2023-01-01_00-00-00")).unwrap();
    lab.backup(&night(7));
    let mut there = entry_names(&lab.stored("by-time"));
    for own in ["mine", "notes.txt", "2023-01-01_00-00-00"] {
        assert!(there.contains(&own.to_owned()), "{there:?}");
        there.retain(|name| name != own);
    }
    assert_eq!(there, lab.ids());
    for name in ["mine", "notes.txt"] {
        fs::remove_file(at(name)).unwrap();
    }
    fs::remove_dir(at("2023-01-01_00-00-00")).unwrap();
    assert_linked(&lab);
    lab.run(&["verify", "--quick"]).expect(0);
    lab.run(&["list"]).expect(0);
}

#[test]
fn something_else_of_the_name_stays_and_nothing_waits_for_it() {
    for is_link in [false, true] {
        let lab = Lab::new();
        lab.backup(FIRST);
        let place = lab.stored("by-time");
        fs::remove_dir_all(&place).unwrap();
        fs::create_dir(lab.path("mine")).unwrap();
        match is_link {
            true => symlink(lab.path("mine"), &place).unwrap(),
            false => fs::write(&place, "mine").unwrap(),
        }
        lab.backup(SECOND);
        lab.run(&["delete", &id_of(SECOND), "--yes"]);
        assert_eq!(entry_names(&lab.path("mine")), [""; 0]);
        assert!(!place.is_dir() || is_link);
        lab.at(&night(7), &["apply"]).expect(0);
    }
}

#[test]
fn what_another_tool_made_gets_a_link_when_it_is_adopted() {
    let lab = Lab::new();
    lab.backup(FIRST);
    let made = lab.inside("daily/2025-02-20_02-00-00", "home/ann");
    fs::create_dir_all(&made).unwrap();
    fs::write(made.join("letter.txt"), "older\n").unwrap();
    lab.run(&["adopt", "--yes"]).expect(0);
    assert_eq!(lab.ids().len(), 2);
    assert_linked(&lab);
}

#[test]
fn after_a_kill_each_link_leads_to_its_snapshot() {
    // The script that comes last is met with the layout as it is then.
    let mut lab = Lab::new();
    lab.set("local.keepDaily", 1);
    lab.backup(FIRST);
    let waits = lab.script(
        "wait",
        "touch begun; while [ ! -e go ]; do sleep 0.02; done",
    );
    lab.set("postBackupScript", waits);
    let arguments = ["apply", "--now", SECOND];
    let mut child = lab.command(&arguments).spawn().unwrap();
    wait_for("the script", || lab.path("begun").exists());
    child.kill().unwrap();
    wait_for_child(child, &arguments);
    assert_linked(&lab);
    lab.write("go", "");
    lab.at("2025-03-06T02:10:00+01:00", &["apply"]).expect(0);
    assert_linked(&lab);
    assert!(Path::new(&lab.stored("by-time")).is_dir());
}
