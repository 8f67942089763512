//! What is let go and taken away, wherever that is interrupted, and whatever cannot be read.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    path::Path,
    process::Command,
    thread,
    time::Duration,
};

use executor::{
    cloud::{remote_history::object_file, verify::Share},
    event::Stop,
    manifest::Reader,
};
use schema::remote_history::{ExpiredSnapshot, HistoryMemory};

use crate::lab::{Lab, id};

/// Four days: each has a content of its own, one that all have, one that the second shares with the third, and
/// one that only every other day has.
fn four_days(test: &str) -> Option<Lab> {
    let lab = Lab::new(test)?;
    for day in 1..=4 {
        lab.write(day, "home/all", "all\n");
        lab.write(day, "home/own", format!("own {day}\n"));
        lab.write(day, "home/shared", format!("shared {}\n", day / 2));
        lab.write(day, "home/other", format!("other {}\n", day % 2));
        lab.upload(day);
    }
    // The first two are let go; three clocks have seen it of the first.
    lab.expire(&[1, 2], &[]).unwrap();
    see_three_times(&lab, 1);
    Some(lab)
}

pub(crate) fn see_three_times(lab: &Lab, day: u32) {
    let file = lab.path(&lab.cache).join("history.json");
    let mut memory: HistoryMemory = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    let at = |day: u32| format!("2025-01-{day:02}T02:00:00Z").parse().unwrap();
    for one in &mut memory.expired {
        if one.id == id(day) {
            *one = ExpiredSnapshot {
                id: one.id,
                seen: vec![at(1), at(2), at(3)],
            };
        }
    }
    fs::write(file, serde_json::to_vec(&memory).unwrap()).unwrap();
}

/// Objects that are there, and those that the manifests of these days list.
fn objects(lab: &Lab, days: &[u32]) -> (BTreeSet<String>, BTreeSet<String>) {
    let mut needed = BTreeSet::new();
    for day in days {
        let file = lab.far(&format!("manifests/{}.mtree.zst", id(*day)));
        for entry in Reader::new(File::open(file).unwrap()).unwrap() {
            needed.extend(entry.unwrap().digest.map(object_file));
        }
    }
    let root = lab.far("objects");
    let files = walkdir::WalkDir::new(&root).into_iter();
    let files = files.map(|entry| entry.unwrap());
    let files = files.filter(|entry| entry.file_type().is_file());
    let name = |path: &Path| {
        path.strip_prefix(&root)
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned()
    };
    (files.map(|entry| name(entry.path())).collect(), needed)
}

fn names(lab: &Lab, folder: &str) -> Vec<String> {
    let all = fs::read_dir(lab.far(folder)).unwrap();
    let mut names: Vec<String> = all
        .map(|one| one.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("2025"))
        .collect();
    names.sort();
    names
}

/// Whether all is as it is once the first day is taken away.
fn check_first_is_gone(lab: &Lab) {
    let (there, needed) = objects(lab, &[2, 3, 4]);
    assert_eq!(there, needed);
    let (two, three, four) = (id(2), id(3), id(4));
    assert_eq!(
        names(lab, "records"),
        [
            format!("{two}.expired.json"),
            format!("{two}.json"),
            format!("{three}.json"),
            format!("{four}.json")
        ]
    );
    assert_eq!(names(lab, "manifests").len(), 3);
    assert_eq!(lab.verify(Share::All).damage_count, 0);
}

#[test]
fn what_nothing_else_has_is_taken_away_and_nothing_else() {
    let Some(lab) = four_days("expire") else {
        return;
    };
    assert_eq!(objects(&lab, &[1, 2, 3, 4]).0.len(), 10);
    let done = lab.expire(&[], &[1]).unwrap();
    assert!(
        done.message.ends_with("had is deleted: 2 contents (15 B)"),
        "{}",
        done.message
    );
    check_first_is_gone(&lab);
    // What was let go can still be had: without the mark it is there.
    fs::remove_file(lab.far(&format!("records/{}.expired.json", id(2)))).unwrap();
    let (brought, _) = lab.fetch(Some(2), &[""]);
    assert_eq!((brought.files, brought.missing), (4, 0));
}

#[test]
fn a_sweep_that_is_killed_after_any_file_loses_nothing_and_is_gone_on_with() {
    let Some(template) = four_days("expire") else {
        return;
    };
    let mut last = false;
    let mut budget = 0;
    while !last {
        let mut lab = Lab::new("expire").unwrap();
        for folder in ["far", "cache"] {
            let status = Command::new("cp")
                .arg("-a")
                .arg(template.path(folder))
                .arg(lab.path(""))
                .status();
            assert!(status.unwrap().success());
        }
        fs::write(lab.path("bin/budget"), budget.to_string()).unwrap();
        let (exhausted, stop) = (lab.path("bin/exhausted"), lab.stop.clone());
        let watch = thread::spawn(move || {
            while !exhausted.exists() && !stop.is_asked() {
                thread::sleep(Duration::from_millis(5));
            }
            stop.ask(15);
        });
        let done = lab.expire(&[3], &[1]);
        last = done.is_ok() && !lab.path("bin/exhausted").exists();
        lab.stop.ask(15);
        watch.join().unwrap();
        let (there, needed) = objects(&lab, &[2, 3, 4]);
        assert!(there.is_superset(&needed), "killed after {budget} files");
        let _ = fs::remove_file(lab.path("bin/budget"));
        lab.stop = Stop::default();
        lab.expire(&[3], &[1]).unwrap();
        // The third may be let go by now, and is there all the same.
        let (there, needed) = objects(&lab, &[2, 3, 4]);
        assert_eq!(there, needed, "killed after {budget} files");
        assert!(
            !names(&lab, "records")
                .iter()
                .any(|name| name.contains(&id(1).to_string()))
        );
        assert!(lab.far(&format!("records/{}.expired.json", id(3))).exists());
        let mut intents = fs::read_dir(lab.far("records")).unwrap();
        assert!(!intents.any(|one| {
            one.unwrap()
                .file_name()
                .to_str()
                .unwrap()
                .starts_with("expiry")
        }));
        budget += 1;
    }
    assert!(budget > 6, "{budget}");
}

#[test]
fn where_a_manifest_cannot_be_read_nothing_is_taken_away() {
    for day in [2, 3] {
        for damaged in [false, true] {
            let Some(lab) = four_days("expire") else {
                return;
            };
            let file = lab.far(&format!("manifests/{}.mtree.zst", id(day)));
            let whole = fs::read(&file).unwrap();
            let cached = format!("cache/destination/atlas/.backup/snapshots/{}", id(day));
            let _ = fs::remove_file(lab.path(&cached).join("manifest.mtree.zst"));
            let aside = format!("cache/expired/{}.mtree.zst", id(day));
            let _ = fs::remove_file(lab.path(&aside));
            match damaged {
                true => fs::write(&file, &whole[..whole.len() / 2]).unwrap(),
                false => fs::remove_file(&file).unwrap(),
            }
            let (before, _) = objects(&lab, &[1]);
            let done = lab.expire(&[], &[1]).unwrap();
            assert!(
                done.message.contains(&format!(
                    "nothing is deleted, because {} there is damaged",
                    id(day)
                )),
                "{}",
                done.message
            );
            assert_eq!(objects(&lab, &[1]).0, before);
            // Once it can be read it goes on, whatever is kept of it here.
            fs::write(&file, &whole).unwrap();
            let _ = fs::remove_dir_all(lab.path("cache/expired"));
            lab.expire(&[], &[1]).unwrap();
            check_first_is_gone(&lab);
        }
    }
}

#[test]
fn what_the_machine_has_not_seen_three_times_or_somebody_had_back_stays() {
    let Some(lab) = four_days("expire") else {
        return;
    };
    let (before, _) = objects(&lab, &[1, 2, 3, 4]);
    lab.expire(&[], &[2, 3]).unwrap();
    assert_eq!(objects(&lab, &[1, 2, 3, 4]).0, before);
    fs::remove_file(lab.far(&format!("records/{}.expired.json", id(1)))).unwrap();
    lab.expire(&[], &[1]).unwrap();
    assert_eq!(objects(&lab, &[1, 2, 3, 4]).0, before);
    // The newest is never let go, whatever a step says.
    let done = lab.expire(&[4], &[]).unwrap();
    assert!(
        done.message.contains("the newest there"),
        "{}",
        done.message
    );
    assert!(!lab.far(&format!("records/{}.expired.json", id(4))).exists());
}

#[test]
fn while_a_suspect_snapshot_waits_for_a_person_nothing_is_let_go_or_taken_away() {
    let Some(lab) = four_days("expire") else {
        return;
    };
    // It came there after the step was planned.
    lab.write(5, "home/all", "encrypted\n");
    let mut sealed = lab.seal(5);
    sealed.record.suspect = vec!["most files are gone".to_owned()];
    lab.upload_sealed(5, &sealed).unwrap();
    let before = lab.all_far();
    let done = lab.expire(&[3], &[1]).unwrap();
    let because = format!("because {} there is suspect", id(5));
    assert!(done.message.contains(&because), "{}", done.message);
    assert_eq!(lab.all_far(), before);
}
