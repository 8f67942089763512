//! When nothing may be done, nothing is done, and it is said why and what to do.

use std::{
    fs,
    process::{Command, Stdio},
};

use serde_json::Value;

use crate::lab::{
    HOST, Lab, entry_names, everything_below, finding_codes, id_of, read_json, wait_for,
    wait_for_child,
};

const FIRST: &str = "2025-03-05T02:00:00+01:00";
const SECOND: &str = "2025-03-06T02:00:00+01:00";
const THIRD: &str = "2025-03-07T02:00:00+01:00";

/// The verbs that make a backup or say what one would do.
const BACKUPS: [&str; 3] = ["plan", "apply", "now"];

#[test]
fn a_folder_on_which_nothing_is_mounted_is_refused() {
    let mut lab = Lab::new();
    lab.set("local.requireMount", true);
    let before = everything_below(&lab.path("mnt"));
    for verb in BACKUPS {
        let told = lab.at(FIRST, &[verb]).expect(4);
        told.says("destination not mounted")
            .says(&lab.text("mnt"))
            .says("local.mountPoint")
            .hints("mount");
    }
    for verb in [&["list"][..], &["restore", "--list"], &["init"]] {
        lab.run(verb)
            .expect(4)
            .says("destination not mounted")
            .hints("mount");
    }
    assert_eq!(everything_below(&lab.path("mnt")), before);
    let report = lab.at(SECOND, &["apply", "--json"]).expect(4).json();
    assert_eq!(report["result"], "refused");
    assert_eq!(
        finding_codes(&report["findings"]),
        ["destination-not-mounted"]
    );
    assert_eq!(report["findings"][0]["severity"], "refusal");
}

#[test]
fn a_mount_point_that_does_not_exist_is_refused_and_not_made() {
    let mut lab = Lab::new();
    let absent = lab.text("drive/backup");
    for require in [true, false] {
        lab.set("local.requireMount", require);
        lab.set("local.mountPoint", absent.clone());
        for verb in BACKUPS {
            lab.at(FIRST, &[verb])
                .expect(4)
                .says("destination not mounted")
                .says(&absent)
                .hints("");
        }
    }
    assert!(!lab.path("drive").exists());
}

#[test]
fn an_absent_drive_can_be_configured_to_defer() {
    let mut lab = Lab::new();
    lab.set("local.requireMount", true);
    lab.set("local.ifAbsent", "defer");
    for verb in BACKUPS {
        lab.at(FIRST, &[verb])
            .expect(75)
            .says("destination not mounted");
    }
    let findings = lab.at(FIRST, &["apply", "--json"]).expect(75).json();
    assert_eq!(findings["result"], "deferred");
    let findings = &findings["findings"];
    assert_eq!(finding_codes(findings), ["destination-not-mounted"]);
    assert_eq!(findings[0]["severity"], "deferral");
    assert_eq!(entry_names(&lab.path("mnt")), [""; 0]);
}

/// Gives the destination in `mnt` the record of another one.
fn swap_id(lab: &Lab, id: &str) {
    let path = lab.stored(".backup/destination.json");
    let mut record = read_json(&path);
    record["id"] = id.into();
    fs::write(&path, serde_json::to_vec(&record).unwrap()).unwrap();
}

#[test]
fn another_destination_in_the_place_of_the_known_one_is_refused() {
    let lab = Lab::new();
    lab.backup(FIRST);
    let other = "0c8bd6b1-5f6a-4a53-9d63-000000000000";
    swap_id(&lab, other);
    let before = everything_below(&lab.path("mnt"));
    for verb in BACKUPS {
        lab.at(SECOND, &[verb])
            .expect(4)
            .says(other)
            .hints("backup init");
    }
    assert_eq!(everything_below(&lab.path("mnt")), before);
}

#[test]
fn a_destination_that_is_swapped_while_a_saved_plan_waits_is_refused() {
    let lab = Lab::new();
    lab.backup(FIRST);
    lab.at(SECOND, &["plan", "--out", "plan.json"]).expect(0);
    swap_id(&lab, "0c8bd6b1-5f6a-4a53-9d63-000000000000");
    let told = lab.at(SECOND, &["apply", "plan.json", "--json"]).expect(4);
    let told = told.json();
    assert_eq!(told["result"], "refused");
    assert_eq!(finding_codes(&told["findings"]), ["destination-changed"]);
}

#[test]
fn a_new_drive_is_refused_until_a_person_adds_it_and_then_drives_take_turns() {
    let mut lab = Lab::new();
    lab.backup(FIRST);
    fs::create_dir(lab.path("other")).unwrap();
    lab.set("local.mountPoint", lab.text("other"));
    for verb in BACKUPS {
        lab.at(SECOND, &[verb]).expect(4).hints("backup init");
    }
    assert_eq!(entry_names(&lab.path("other")), [""; 0]);

    lab.run(&["init"]).expect(0);
    let new = read_json(
        &lab.path("other")
            .join(HOST)
            .join(".backup/destination.json"),
    );
    let old = read_json(&lab.path("mnt").join(HOST).join(".backup/destination.json"));
    let known = read_json(&lab.path("state/destinations.json"));
    let mut ids = [new["id"].clone(), old["id"].clone()];
    ids.sort_by_key(Value::to_string);
    assert_eq!(known["known"], Value::from(ids.to_vec()));

    let report = lab.backup(SECOND);
    assert_eq!(report["snapshot"]["id"], *id_of(SECOND));
    assert!(lab.path("other").join(HOST).join("latest").exists());
    lab.set("local.mountPoint", lab.text("mnt"));
    lab.backup(THIRD);
    assert_eq!(lab.ids(), [id_of(FIRST), id_of(THIRD)]);
}

#[test]
fn a_machine_that_knows_no_destination_takes_the_one_that_is_there() {
    let lab = Lab::new();
    lab.backup(FIRST);
    let id = read_json(&lab.stored(".backup/destination.json"))["id"].clone();
    // A new installation finds the old drive.
    fs::remove_dir_all(lab.path("state")).unwrap();
    lab.backup(SECOND);
    let known = read_json(&lab.path("state/destinations.json"));
    assert_eq!(known["known"], Value::from(vec![id]));
}

#[test]
fn snapshots_of_another_host_are_not_continued() {
    let lab = Lab::new();
    lab.backup(FIRST);
    let path = lab.stored(".backup/destination.json");
    let mut record = read_json(&path);
    record["host"] = "zeus".into();
    fs::write(&path, serde_json::to_vec(&record).unwrap()).unwrap();
    lab.at(SECOND, &["apply"]).expect(4).says("zeus").hints("");
}

#[test]
fn a_damaged_destination_record_is_written_anew_where_the_snapshots_tell_which_it_is() {
    for (fault, act) in crate::manifests::FAULTS {
        if fault == "flipped" {
            continue;
        }
        let lab = Lab::new();
        lab.backup(FIRST);
        let path = lab.stored(".backup/destination.json");
        let before = read_json(&path);
        act(&path);
        let plan = lab.at(SECOND, &["plan", "--json"]).expect(0).json();
        assert!(
            finding_codes(&plan["findings"]).contains(&"destination-record-rebuilt"),
            "{fault}"
        );
        let report = lab.backup(SECOND);
        assert_eq!(report["result"], "success", "{fault}");
        let after = read_json(&path);
        for key in ["id", "host", "capabilities"] {
            assert_eq!(after[key], before[key], "{fault}");
        }
        let id = report["snapshot"]["id"].as_str().unwrap();
        assert_eq!(lab.record(id)["basis"], *id_of(FIRST), "{fault}");
        let kept = path.with_file_name("destination.json.damaged");
        assert_eq!(
            kept.symlink_metadata().is_ok(),
            fault != "missing",
            "{fault}"
        );
        lab.run(&["verify", "--all"]).expect(0);
    }
}

#[test]
fn a_damaged_destination_record_that_nobody_knows_is_refused_until_one_command() {
    for damage in ["{", "", "missing"] {
        let lab = Lab::new();
        lab.backup(FIRST);
        let path = lab.stored(".backup/destination.json");
        match damage {
            "missing" => fs::remove_file(&path).unwrap(),
            text => fs::write(&path, text).unwrap(),
        }
        // Of two disks it may be either.
        let known = lab.path("state/destinations.json");
        let mut list = read_json(&known);
        let other = Value::from("0c8bd6b1-5f6a-4a53-9d63-000000000000");
        list["known"].as_array_mut().unwrap().push(other);
        fs::write(&known, serde_json::to_vec(&list).unwrap()).unwrap();
        lab.at(SECOND, &["apply"]).expect(4).hints("backup init");
        assert_eq!(path.exists(), damage != "missing", "it is left as it is");
        lab.run(&["init"]).expect(0);
        if damage != "missing" {
            let kept = path.with_file_name("destination.json.damaged");
            assert_eq!(fs::read_to_string(kept).unwrap(), damage);
        }
        lab.backup(SECOND);
        assert_eq!(lab.ids(), [id_of(FIRST), id_of(SECOND)]);
    }
}

#[test]
fn a_destination_without_room_is_refused() {
    let mut lab = Lab::new();
    lab.set("local.minSpaceGB", 1_000_000);
    for verb in BACKUPS {
        lab.at(FIRST, &[verb])
            .expect(4)
            .says("insufficient space")
            .says("local.minSpaceGB")
            .hints("");
    }
    assert_eq!(entry_names(&lab.path("mnt")), [""; 0]);
}

#[test]
fn a_second_run_is_told_which_process_holds_the_lock() {
    let mut lab = Lab::new();
    let script = "touch begun; while [ ! -e go ]; do sleep 0.02; done";
    lab.set("preBackupScript", lab.script("pre", script));
    let arguments = ["apply", "--now", FIRST];
    let first = lab.command(&arguments).spawn().unwrap();
    wait_for("the script", || lab.path("begun").exists());

    for arguments in [&["apply"][..], &["now"], &["init"]] {
        lab.run(arguments)
            .expect(75)
            .says(&format!("process {}", first.id()))
            .says("lock")
            .hints("backup status");
    }
    // Looking needs no lock.
    lab.at(FIRST, &["plan"]).expect(0);
    lab.run(&["list"]).expect(0);
    let is_running = || lab.at(FIRST, &["status", "--json"]).json()["running"].clone();
    assert_eq!(is_running(), true);

    lab.write("go", "");
    wait_for_child(first, &arguments).expect(0);
    assert_eq!(is_running(), false);
    assert_eq!(lab.ids(), [id_of(FIRST)]);
    lab.at(SECOND, &["apply"]).expect(0);
}

#[test]
fn one_of_two_machines_waits_for_the_other_at_the_destination() {
    // With state directories of their own only the destination's lock stands between them.
    let lab = Lab::new();
    lab.backup(FIRST);
    let mut holder = Command::new("flock")
        .arg(lab.stored(".backup/lock"))
        .args(["sh", "-c", "touch held; read go"])
        .current_dir(lab.path(""))
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    wait_for("the lock", || lab.path("held").exists());
    let told = lab.at(SECOND, &["apply"]).expect(75);
    told.says(&lab.stored(".backup/lock").to_string_lossy());
    drop(holder.stdin.take());
    holder.wait().unwrap();
    // The run that waited goes on.
    let report = lab.at(SECOND, &["apply", "--json"]).expect(0).json();
    assert_eq!(report["snapshot"]["id"], *id_of(SECOND));
    assert_eq!(lab.runs().len(), 2);
}

#[test]
fn a_missing_source_makes_the_run_incomplete_and_is_listed() {
    let mut lab = Lab::new();
    let absent = lab.text("home/carla");
    lab.set(
        "local.sources",
        vec![lab.text("home/ann"), absent.clone(), lab.text("home/bob")],
    );
    lab.at(FIRST, &["apply"])
        .expect(3)
        .says(&absent)
        .says("local.sources")
        .hints("");
    let report = lab.at(SECOND, &["apply", "--json"]).expect(3).json();
    assert_eq!(report["result"], "incomplete");
    assert_eq!(finding_codes(&report["findings"]), ["source-missing"]);
    assert_eq!(report["snapshot"]["complete"], false);
    assert!(lab.inside("latest", "home/bob/notes/list.md").exists());
    assert_eq!(lab.record(&id_of(SECOND))["sources"][1]["present"], false);
}

#[test]
fn without_any_source_nothing_is_backed_up() {
    let mut lab = Lab::new();
    lab.set("local.sources", vec![lab.text("no"), lab.text("none")]);
    for verb in BACKUPS {
        lab.at(FIRST, &[verb])
            .expect(4)
            .says("nothing to back up")
            .says(&lab.text("none"))
            .hints("");
    }
    assert_eq!(entry_names(&lab.path("mnt")), [""; 0]);
}

#[test]
fn a_destination_inside_a_source_is_left_out_even_behind_a_symlink() {
    let mut lab = Lab::new();
    fs::create_dir(lab.path("home/drive")).unwrap();
    std::os::unix::fs::symlink(lab.path("home/drive"), lab.path("link")).unwrap();
    lab.set("local.mountPoint", lab.text("link"));
    // Its own folder is there only from the second time on.
    for now in [FIRST, SECOND] {
        lab.at(now, &["apply"]).expect(0).says("left out");
    }
    let drive = lab.path("home/drive").join(HOST);
    let stored = drive
        .join("latest")
        .join(lab.text("home").trim_start_matches('/'));
    assert!(stored.join("bob/notes/list.md").exists());
    assert_eq!(entry_names(&stored.join("drive")), [""; 0]);
}
