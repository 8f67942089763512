//! What is deleted, what is not, and who decides when it is doubtful.

use std::fs;

use crate::lab::{Lab, contents_below, finding_codes, id_of, plan_action, step_outcome};

/// The night before the tenth, the tenth, and so on.
fn night(day: u32) -> String {
    format!("2025-03-{day:02}T02:00:00+01:00")
}

fn id(day: u32) -> String {
    id_of(&night(day))
}

/// A lab that keeps so many dailies and nothing else.
fn dailies(count: u32) -> Lab {
    let mut lab = Lab::new();
    lab.set("local.keepDaily", count);
    lab.set("local.keepWeekly", 0);
    lab.set("local.keepMonthly", 0);
    lab
}

#[test]
fn when_most_files_are_gone_nothing_is_deleted_until_a_person_accepts_it() {
    let lab = dailies(1);
    for index in 0..40 {
        lab.write(&format!("home/ann/file{index}"), "content\n");
    }
    lab.backup(&night(3));
    let good = contents_below(&lab.inside("latest", "home"));
    for index in 0..35 {
        fs::remove_file(lab.path(format!("home/ann/file{index}"))).unwrap();
    }
    let told = lab.at(&night(4), &["apply"]).expect(3);
    told.says("suspect")
        .hints(&format!("backup accept {}", id(4)));
    assert_eq!(lab.ids(), [id(3), id(4)]);
    assert_eq!(lab.latest(), format!("daily/{}", id(3)));
    assert_eq!(contents_below(&lab.inside("latest", "home")), good);
    assert!(!lab.record(&id(4))["suspect"].as_array().unwrap().is_empty());

    // Nobody looked: the next one is measured with the last good one, and nothing goes either.
    let report = lab.at(&night(5), &["apply", "--json"]).expect(3).json();
    assert_eq!(finding_codes(&report["findings"]), ["suspect-snapshot"]);
    assert_eq!(lab.ids(), [id(3), id(4), id(5)]);
    assert_eq!(lab.latest(), format!("daily/{}", id(3)));

    for day in [4, 5] {
        lab.run(&["accept", &id(day)]).expect(0).says(&id(day));
    }
    let report = lab.backup(&night(6));
    assert_eq!(finding_codes(&report["findings"]), [""; 0]);
    assert_eq!(lab.ids(), [id(6)]);
    assert_eq!(lab.latest(), format!("daily/{}", id(6)));
}

#[test]
fn a_source_that_is_suddenly_empty_is_suspect() {
    let mut lab = dailies(1);
    lab.set(
        "local.sources",
        vec![lab.text("home/ann"), lab.text("home/bob")],
    );
    lab.backup(&night(3));
    fs::remove_dir_all(lab.path("home/bob/notes")).unwrap();
    let report = lab.at(&night(4), &["apply", "--json"]).expect(3).json();
    assert_eq!(finding_codes(&report["findings"]), ["source-empty"]);
    assert_eq!(lab.ids(), [id(3), id(4)]);
    assert_eq!(lab.latest(), format!("daily/{}", id(3)));
    lab.run(&["accept", &id(4)]).expect(0);
    lab.backup(&night(5));
    assert_eq!(lab.ids(), [id(5)]);
}

#[test]
fn many_deletions_at_once_need_a_persons_approval() {
    let mut lab = dailies(10);
    for day in 1..=8 {
        lab.write("home/ann/letter.txt", &format!("day {day}\n"));
        lab.backup(&night(day));
    }
    lab.set("local.keepDaily", 2);
    let plan = lab.at(&night(9), &["plan", "--json"]).expect(0).json();
    let rotation = &plan_action(&plan, "rotate")["on_complete"];
    assert_eq!(rotation["deletions"].as_array().unwrap().len(), 0);
    assert_eq!(rotation["withheld"].as_array().unwrap().len(), 7);

    lab.at(&night(9), &["apply"])
        .expect(3)
        .says("7 deletions")
        .says(&id(1))
        .hints("backup apply --approve-deletions");
    assert_eq!(lab.ids().len(), 9);
    assert_eq!(lab.latest(), format!("daily/{}", id(9)));

    let approved = ["apply", "--approve-deletions", "--json"];
    let report = lab.at(&night(10), &approved).expect(0).json();
    assert_eq!(step_outcome(&report, "rotate")["status"], "succeeded");
    assert_eq!(lab.ids(), [id(9), id(10)]);
}

#[test]
fn a_pinned_snapshot_stays_until_it_is_unpinned() {
    let mut lab = dailies(1);
    // Two rules: what is unpinned goes with the one that goes anyway.
    lab.set("local.keepLast", 1);
    lab.backup(&night(3));
    let told = lab.run(&["pin", "latest"]).expect(0);
    told.says(&id(3));
    lab.backup(&night(4));
    lab.backup(&night(5));
    assert_eq!(lab.ids(), [id(3), id(5)]);
    lab.run(&["unpin", &format!("daily/{}", id(3))]).expect(0);
    lab.backup(&night(6));
    assert_eq!(lab.ids(), [id(6)]);
}

#[test]
fn what_others_put_into_a_tier_survives_and_is_listed() {
    let lab = dailies(1);
    lab.backup(&night(3));
    for name in ["2024-01-01_02-00-00", "my own folder"] {
        fs::create_dir(lab.stored("daily").join(name)).unwrap();
        fs::write(lab.stored("daily").join(name).join("kept"), name).unwrap();
    }
    fs::write(lab.stored("daily/a file"), "kept").unwrap();
    let report = lab.backup(&night(4));
    assert_eq!(finding_codes(&report["findings"]), ["unmanaged-folders"]);
    lab.backup(&night(5));
    assert_eq!(
        lab.tiers(),
        [
            "daily/2024-01-01_02-00-00".to_owned(),
            format!("daily/{}", id(5)),
            "daily/a file".to_owned(),
            "daily/my own folder".to_owned(),
        ]
    );
    let text = fs::read_to_string(lab.stored("daily/my own folder/kept")).unwrap();
    assert_eq!(text, "my own folder");
    lab.run(&["list"])
        .expect(0)
        .says("my own folder")
        .says("2024-01-01_02-00-00");
    let refusal = "was not made by this program";
    lab.run(&["pin", "2024-01-01_02-00-00"])
        .expect(4)
        .says(refusal);
}

#[test]
fn a_mark_on_a_snapshot_that_is_not_there_is_refused() {
    let lab = Lab::new();
    lab.backup(&night(3));
    for verb in ["pin", "unpin", "accept"] {
        for name in [
            "2025-01-01_00-00-00",
            "weekly/nonsense",
            "yearly/x",
            "latest-ish",
        ] {
            lab.run(&[verb, name]).expect(4).hints("backup list");
        }
    }
}

#[test]
fn the_last_good_snapshot_is_never_deleted_by_a_failing_run() {
    let lab = dailies(1);
    lab.backup(&night(3));
    let lab = {
        let mut lab = lab;
        lab.set("preBackupScript", lab.script("pre", "exit 9"));
        lab
    };
    for day in 4..8 {
        lab.at(&night(day), &["apply"]).expect(1);
    }
    assert_eq!(lab.ids(), [id(3)]);
    assert_eq!(lab.latest(), format!("daily/{}", id(3)));
}

#[test]
fn a_snapshot_from_the_future_is_kept_and_reported() {
    let lab = dailies(1);
    lab.backup("2031-01-01T02:00:00+01:00");
    let report = lab.at(&night(3), &["apply", "--json"]).expect(0).json();
    let found = finding_codes(&report["findings"]);
    assert!(found.contains(&"snapshot-in-the-future"), "{found:?}");
    assert_eq!(lab.ids(), [id(3), "2031-01-01_02-00-00".to_owned()]);
    assert_eq!(lab.latest(), format!("daily/{}", id(3)));
}
