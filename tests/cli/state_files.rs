//! What the state directory remembers is never a reason for no backup: a damaged file is done
//! without, told, set aside by the next run, and made anew.

use std::{fs, path::Path};

use executor::state_dir::StateDir;
use schema::record::append_digest;
use serde_json::Value;

use crate::{
    damage::{FIRST, FOURTH, SECOND, THIRD, nights},
    damage_table::in_turn,
    lab::{Lab, entry_names, finding_codes, id_of},
    manifests::FAULTS,
};

/// A lab with a file of this name in its state directory.
fn with(file: &str) -> Lab {
    let lab = nights(&[FIRST, SECOND]);
    lab.run(&["verify"]).expect(0);
    // At a supposed time nothing is remembered.
    lab.run(&["health"]);
    let path = lab.path("state").join(file);
    match file {
        "deferrals.json" => fs::write(
            &path,
            r#"{"since": "2025-03-06T02:00:00+01:00", "told_at": null}"#,
        )
        .unwrap(),
        "told-error.json" => fs::write(
            &path,
            r#"{"message": "no", "at": "2025-03-06T02:00:00+01:00"}"#,
        )
        .unwrap(),
        _ => {}
    }
    assert!(path.exists(), "{file}");
    lab
}

fn set_aside(lab: &Lab, file: &str) -> usize {
    let names = entry_names(&lab.path("state"));
    let prefix = format!("{file}.damaged-");
    names
        .iter()
        .filter(|name| name.starts_with(&prefix))
        .count()
}

#[test]
fn a_damaged_file_is_told_set_aside_and_made_anew() {
    for (file, (fault, act)) in in_turn(&[
        "verified.json",
        "sealed.json",
        "destinations.json",
        "health.json",
        "deferrals.json",
        "told-error.json",
    ]) {
        let lab = with(file);
        let path = lab.path("state").join(file);
        if fault == "flipped" {
            fs::write(&path, b"\xff\xfe{").unwrap();
        } else {
            act(&path);
        }
        let gone = fault == "missing";
        for verb in ["list", "status", "plan", "find letter"] {
            let arguments: Vec<&str> = verb.split(' ').collect();
            let arguments = match verb {
                "find letter" => arguments,
                _ => [arguments.as_slice(), &["--now", THIRD]].concat(),
            };
            lab.run(&arguments).expect(0);
        }
        let health = lab.at(THIRD, &["health"]);
        assert!([0, 3].contains(&health.code), "{file} {fault}: {health}");
        let plan = lab.at(THIRD, &["plan", "--json"]).expect(0).json();
        let told = finding_codes(&plan["findings"]).contains(&"state-file-damaged");
        // The health check above writes its own file anew.
        if !["health.json", "verified.json", "sealed.json"].contains(&file) {
            assert_eq!(told, !gone, "{file} {fault}");
        }
        let report = lab.backup(THIRD);
        assert_eq!(report["result"], "success", "{file} {fault}");
        assert_eq!(set_aside(&lab, file), usize::from(!gone), "{file} {fault}");
        lab.backup(FOURTH);
        lab.run(&["verify", "--all"]).expect(0);
        let plan = lab.at(FOURTH, &["plan", "--json"]).expect(0).json();
        assert!(!finding_codes(&plan["findings"]).contains(&"state-file-damaged"));
    }
}

#[test]
fn only_a_few_damaged_files_are_kept() {
    let lab = with("verified.json");
    for name in ["2024-01-01", "2024-01-02", "2024-01-03", "2024-01-04"] {
        lab.write(&format!("state/verified.json.damaged-{name}"), "{");
    }
    lab.write("state/verified.json", "{");
    lab.backup(THIRD);
    assert_eq!(set_aside(&lab, "verified.json"), 3);
    let oldest = lab.path("state/verified.json.damaged-2024-01-02");
    assert!(!oldest.exists());
}

#[test]
fn without_the_list_of_known_disks_another_disk_is_still_refused() {
    let lab = nights(&[FIRST, SECOND]);
    fs::write(lab.path("state/destinations.json"), "{").unwrap();
    // Another disk in the place of the known one.
    fs::rename(lab.path("mnt"), lab.path("known")).unwrap();
    fs::create_dir(lab.path("mnt")).unwrap();
    let other = lab.at(THIRD, &["plan", "--json"]).expect(4).json();
    assert!(finding_codes(&other["findings"]).contains(&"destination-unknown"));
    fs::remove_dir(lab.path("mnt")).unwrap();
    fs::rename(lab.path("known"), lab.path("mnt")).unwrap();
    lab.backup(THIRD);
    let known = crate::lab::read_json(&lab.path("state/destinations.json"));
    assert_eq!(known["known"].as_array().unwrap().len(), 1);
}

#[test]
fn an_unfinished_run_that_cannot_be_read_is_planned_anew() {
    for (file, (fault, act)) in in_turn(&[
        "plan.json",
        "journal.jsonl",
        "config.json",
        "inventory.json",
    ]) {
        let lab = nights(&[FIRST]);
        lab.at(SECOND, &["apply"]).expect(0);
        let run = lab.runs().pop().unwrap();
        let folder = lab.path(format!("state/runs/{run}"));
        fs::remove_file(folder.join("report.json")).unwrap();
        act(&folder.join(file));
        lab.at(SECOND, &["status"]).expect(0);
        let later = "2025-03-06T04:00:00+01:00";
        let ran = lab.at(later, &["apply"]);
        assert_eq!(ran.code, 0, "{file} {fault}: {ran}");
        lab.backup(THIRD);
        assert!(lab.ids().contains(&id_of(THIRD)), "{file} {fault}");
    }
}

/// The summary of a run, changed and with the digest that it has then.
fn change_summary(summary: &Path, change: impl FnOnce(&mut Value)) {
    let mut value = crate::lab::read_json(summary);
    value.as_object_mut().unwrap().remove("record_digest");
    change(&mut value);
    let mut json = serde_json::to_vec_pretty(&value).unwrap();
    json.push(b'\n');
    fs::write(summary, append_digest(json)).unwrap();
}

#[test]
fn a_wrong_summary_of_a_run_changes_nothing_that_is_said_of_it() {
    let lab = nights(&[FIRST, SECOND]);
    let runs = lab.runs();
    let [first, last] = runs.as_slice() else {
        panic!("{runs:?}");
    };
    let at = |run: &str, file: &str| lab.path(format!("state/runs/{run}/{file}"));
    let destination = crate::lab::read_json(&lab.stored(".backup/destination.json"));
    let destination = destination["id"].as_str().unwrap();
    let said = || {
        let state = StateDir::open(&lab.path("state")).unwrap().unwrap();
        let unfinished = state.unfinished().unwrap();
        assert!(unfinished.is_none_or(|run| run.plan.run_id == *last));
        (
            state.last_report().unwrap(),
            state.reports().unwrap(),
            state.ended_runs().unwrap(),
            state.free_space(destination).unwrap(),
            state.unfinished().unwrap().is_some(),
        )
    };
    let summary = at(last, "summary.json");
    let kept = fs::read(&summary).unwrap();
    let of_first = fs::read(at(first, "summary.json")).unwrap();
    let lie = |value: &mut Value| {
        for (key, is_it) in [("is_maintenance", true), ("backs_up", false)] {
            assert_eq!(value[key], !is_it);
            value[key] = is_it.into();
        }
    };
    let faults: [(&str, &dyn Fn()); 5] = [
        ("as it was", &|| ()),
        ("cut", &|| {
            fs::write(&summary, &kept[..kept.len() / 2]).unwrap()
        }),
        ("of another run", &|| {
            fs::write(&summary, &of_first).unwrap()
        }),
        ("of another inventory", &|| {
            change_summary(&summary, |value| {
                lie(value);
                value["inventory"][0] = 1.into();
            });
        }),
        ("without its digest being right", &|| {
            let text = String::from_utf8(kept.clone()).unwrap();
            let text = text.replace("\"is_maintenance\": false", "\"is_maintenance\": true");
            fs::write(&summary, text).unwrap();
        }),
    ];
    for is_ended in [true, false] {
        if !is_ended {
            fs::remove_file(at(last, "report.json")).unwrap();
            let journal = at(last, "journal.jsonl");
            let text = fs::read_to_string(&journal).unwrap();
            fs::write(&journal, text.split_inclusive('\n').next().unwrap()).unwrap();
        }
        fs::remove_file(&summary).unwrap();
        let expected = said();
        assert!(!expected.3.is_empty());
        assert_eq!(expected.4, !is_ended);
        for (fault, act) in faults {
            fs::write(&summary, &kept).unwrap();
            act();
            assert_eq!(said(), expected, "{fault}, ended: {is_ended}");
        }
        if is_ended {
            // One that is of this run is what is read.
            fs::write(&summary, &kept).unwrap();
            change_summary(&summary, lie);
            assert_ne!(said(), expected);
        }
    }
}

#[test]
fn old_runs_that_cannot_be_read_are_passed_over() {
    for (fault, act) in FAULTS {
        let lab = nights(&[FIRST, SECOND]);
        for file in ["report.json", "plan.json"] {
            let run = lab.runs().pop().unwrap();
            act(&lab.path(format!("state/runs/{run}/{file}")));
        }
        lab.at(THIRD, &["status"]).expect(0);
        let health = lab.at(THIRD, &["health", "--quick"]);
        assert!([0, 3].contains(&health.code), "{fault}: {health}");
        lab.backup(THIRD);
        let stands = |path: &Path| path.exists();
        assert!(stands(&lab.stored("latest")), "{fault}");
    }
}

#[test]
fn what_is_remembered_of_the_cloud_is_set_aside_and_found_out_anew() {
    type Act = fn(&Path);
    let damage: [(&str, Act); 6] = [
        ("memory.json", |path| fs::write(path, b"\xff{").unwrap()),
        ("memory.json", |path| fs::write(path, "").unwrap()),
        ("memory.json", |path| {
            fs::remove_file(path).unwrap();
            fs::create_dir(path).unwrap();
        }),
        ("shelf", |path| {
            fs::remove_dir_all(path).unwrap();
            fs::write(path, "no folder").unwrap();
        }),
        ("", |path| {
            fs::remove_dir_all(path).unwrap();
            fs::write(path, "no folder").unwrap();
        }),
        ("..", |path| {
            let area = path.parent().unwrap();
            fs::remove_dir_all(area).unwrap();
            fs::write(area, "no folder").unwrap();
        }),
    ];
    for (file, act) in damage {
        let Some((lab, current)) = crate::cloud::lab("what_is_remembered_of_the_cloud") else {
            return;
        };
        lab.backup(FIRST);
        let area = lab.path("state/cloud");
        let desk = area.join(&entry_names(&area)[0]);
        act(&match file {
            "" | ".." => desk.clone(),
            file => desk.join(file),
        });
        lab.run(&["list"]).expect(0);
        lab.at(SECOND, &["status"]).expect(0);
        let plan = lab.at(SECOND, &["plan", "--json"]).expect(0).json();
        assert!(
            finding_codes(&plan["findings"]).contains(&"state-file-damaged"),
            "{file}: {plan:#}"
        );
        lab.write("home/ann/second.txt", "2");
        let report = lab.backup(SECOND);
        assert_eq!(report["result"], "success", "{file}: {report:#}");
        let copied = current.join(lab.path("home/ann/second.txt").strip_prefix("/").unwrap());
        assert_eq!(fs::read_to_string(copied).unwrap(), "2");
        // What was there already was not brought again: the remote told.
        let message = crate::lab::step_outcome(&report, "cloud-sync")["message"].to_string();
        assert!(
            message.contains("1 file (1 B) uploaded"),
            "{file}: {message}"
        );
        let plan = lab.at(THIRD, &["plan", "--json"]).expect(0).json();
        assert!(!finding_codes(&plan["findings"]).contains(&"state-file-damaged"));
        let aside = walkdir::WalkDir::new(lab.path("state"))
            .into_iter()
            .filter(|one| {
                let name = one.as_ref().unwrap().file_name().to_string_lossy();
                name.contains(".damaged-")
            });
        assert_eq!(aside.count(), 1, "{file}");
        lab.run(&["verify", "--cloud", "--full"]).expect(0);
    }
}

#[test]
fn a_folder_where_a_list_for_the_cloud_is_written_is_set_aside() {
    let Some((lab, _)) = crate::cloud::lab("a_folder_where_a_list_is_written") else {
        return;
    };
    lab.backup(FIRST);
    let area = lab.path("state/cloud");
    let desk = area.join(&entry_names(&area)[0]);
    for list in ["upload.list", "listing.json"] {
        let _ = fs::remove_file(desk.join(list));
        fs::create_dir_all(desk.join(list).join("something")).unwrap();
    }
    lab.write("home/ann/second.txt", "2");
    let report = lab.backup(SECOND);
    assert_eq!(report["result"], "success", "{report:#}");
}
