//! Named remotes that are mirrors: all that `cloud` does, for each of them apart.

use std::{fs, path::PathBuf};

use serde_json::{Value, json};

use crate::{
    lab::{
        HOST, Lab, contents_below, entry_names, finding_codes, id_of, plan_action, step_outcome,
    },
    remotes::{FIRST, SECOND, THIRD, cut_off, lab as remote_lab, lose_machine, point_to},
    uploads::{apply_with_rclone, results},
};

const FOURTH: &str = "2025-03-08T02:00:00+01:00";
const FIFTH: &str = "2025-03-09T02:00:00+01:00";

/// A lab with the mirror `m` beside `local`, in the folder `far`.
fn lab(test: &str) -> Option<Lab> {
    let mut lab = remote_lab(test)?;
    let config = lab.text("rclone.conf");
    lab.set("destinations", json!({}));
    lab.set("destinations.m", mirror(&config));
    for n in 0..40 {
        lab.write(&format!("home/ann/{n:02}"), &format!("number {n}"));
    }
    Some(lab)
}

fn mirror(config: &str) -> Value {
    json!({ "type": "remote", "layout": "mirror", "remote": "far:", "configFile": config })
}

/// Adds a disk with the same sources.
fn add_disk(lab: &mut Lab, name: &str) {
    fs::create_dir(lab.path(name)).unwrap();
    lab.set(
        &format!("destinations.{name}"),
        json!({ "type": "disk", "mountPoint": lab.path(name), "requireMount": false,
            "useRsync": false, "minSpaceGB": 0, "ifAbsent": "defer" }),
    );
}

/// A path in the host's folder behind the remote.
fn there(lab: &Lab, relative: &str) -> PathBuf {
    lab.path("far/Backups").join(HOST).join(relative)
}

/// The sources as `current` has them.
fn current(lab: &Lab) -> PathBuf {
    there(lab, "current").join(lab.path("home").strip_prefix("/").unwrap())
}

/// What can be restored there, the newest first.
fn copies(lab: &Lab) -> Vec<String> {
    let listed = lab.run(&["list", "--destination", "m"]).expect(0);
    listed.stdout.lines().map(str::to_owned).collect()
}

/// Compares what the mirror gives back of a snapshot with a folder.
#[track_caller]
fn gives_back(lab: &Lab, snapshot: &str, source: &str) {
    let _ = fs::remove_dir_all(lab.path("back"));
    let (from, to) = (lab.text("home"), lab.text("back"));
    lab.run(&["restore", "--destination", "m", snapshot, &from, &to])
        .expect(0);
    assert_eq!(
        contents_below(&lab.path(source)),
        contents_below(&lab.path("back")),
        "{snapshot}"
    );
}

fn keep_copy(lab: &Lab, name: &str) {
    let mut command = std::process::Command::new("cp");
    command.arg("-a").arg(lab.path("home")).arg(lab.path(name));
    assert!(command.status().unwrap().success());
}

#[test]
fn a_mirror_of_its_own_name_is_made_listed_read_and_restored_as_the_cloud_is() {
    let Some(lab) = lab("a_mirror_of_its_own_name") else {
        return;
    };
    lab.run(&["check"]).expect(0);
    let plan = lab.at(FIRST, &["plan", "--json"]).expect(0).json();
    let ids: Vec<&str> = plan["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| step["id"].as_str().unwrap())
        .collect();
    assert_eq!(ids.last(), Some(&"cloud-sync:m"), "{ids:?}");
    let sync = plan_action(&plan, "cloud-sync");
    assert_eq!(sync["from"][0]["snapshot"], "2025-03-05_02-00-00");
    assert_eq!(sync["expected"]["upload_files"], sync_files(&lab));
    lab.at(FIRST, &["plan", "-v"])
        .expect(0)
        .says("2025-03-05_02-00-00 of local to far:Backups/atlas")
        .says("destinations.m.maxDelete");
    let report = lab.at(FIRST, &["apply", "--json"]).expect(0).json();
    assert_eq!(results(&report), [("local", "success"), ("m", "success")]);
    let sealed = &report["destinations"]["m"]["snapshot"];
    assert_eq!(sealed["id"], id_of(FIRST));
    assert_eq!(
        contents_below(&current(&lab)).len(),
        contents_below(&lab.path("home")).len()
    );
    keep_copy(&lab, "first");

    lab.write("home/ann/20", "changed");
    fs::rename(lab.path("home/ann/21"), lab.path("home/moved")).unwrap();
    fs::remove_file(lab.path("home/ann/22")).unwrap();
    let plan = lab.at(SECOND, &["plan", "--json"]).expect(0).json();
    let sync = plan_action(&plan, "cloud-sync");
    assert_eq!(sync["last"], id_of(FIRST));
    assert_eq!(sync["expected"]["upload_files"], 2);
    lab.at(SECOND, &["apply"])
        .expect(0)
        .says("1 file (7 B) uploaded, 1 moved there");
    assert!(!current(&lab).join("ann/22").exists());
    assert_eq!(entry_names(&there(&lab, "history")), [id_of(SECOND)]);
    assert_eq!(copies(&lab), [id_of(SECOND), id_of(FIRST)]);
    gives_back(&lab, "latest", "home");
    gives_back(&lab, &id_of(FIRST), "first");

    let status = lab.at(SECOND, &["status", "--json"]).expect(0).json();
    assert_eq!(status["destinations"]["m"]["cloud"]["id"], id_of(SECOND));
    lab.at(SECOND, &["status"]).expect(0).says("m: ok");
    lab.at(SECOND, &["health"]).expect(0);
    // Nothing is new: nothing is done.
    lab.at(THIRD, &["apply", "--only", "m"])
        .expect(0)
        .says("is at far:Backups/atlas already");
    let plan = lab.at(THIRD, &["plan", "--only", "m", "--json"]).expect(0);
    let plan = plan.json();
    let expected = &plan_action(&plan, "cloud-sync")["expected"];
    assert_eq!(expected["upload_files"], 0);
    assert_eq!(expected["gone_files"], 0);

    // What rots there is found, and made good.
    lab.run(&["verify", "--destination", "m"])
        .expect(0)
        .says("compared by size");
    fs::write(current(&lab).join("ann/30"), "numbex 30").unwrap();
    lab.run(&["verify", "--destination", "m", "--full"])
        .expect(3)
        .says("ann/30")
        .says("1 file is not whole");
    lab.at(THIRD, &["apply", "--only", "m"]).expect(0);
    lab.run(&["verify", "--destination", "m", "--full"])
        .expect(0);
    // Where the disk is away a person is told of it.
    fs::rename(lab.path("mnt"), lab.path("away")).unwrap();
    lab.run(&["restore", "latest", &lab.text("home"), &lab.text("back")])
        .expect(4)
        .hints("restore --destination m");
}

/// The files of the sources.
fn sync_files(lab: &Lab) -> usize {
    let all = walkdir::WalkDir::new(lab.path("home")).into_iter();
    let files = all.map(Result::unwrap);
    files.filter(|one| one.file_type().is_file()).count()
}

#[test]
fn what_only_snapshots_have_is_refused_in_words_that_help() {
    let Some(mut lab) = lab("what_only_snapshots_have") else {
        return;
    };
    lab.at(FIRST, &["apply"]).expect(0);
    for words in [
        &["find", "--destination", "m", "ann"][..],
        &["pin", "--destination", "m", "latest"],
        &["prune", "--destination", "m"],
        &["diff", "--destination", "m", "latest~1", "latest"],
    ] {
        lab.run(words)
            .expect(4)
            .says("m is a mirror")
            .hints("restore and verify");
    }
    lab.run(&["verify", "--destination", "m", "--repair"])
        .expect(2)
        .says("--repair");
    lab.run(&["simulate", "--destination", "m", "--days", "3"])
        .expect(2)
        .says("a mirror keeps no snapshots by rules");
    lab.set("destinations.m.expire", "never");
    lab.run(&["check"])
        .expect(2)
        .says("destinations.m.expire: a mirror moves what it replaces");
    lab.set("destinations.m.expire", "here");
    lab.set("destinations.m.syncMode", "move");
    lab.run(&["check"])
        .expect(2)
        .says("destinations.m.syncMode: unknown key");
}

#[test]
fn two_mirrors_the_cloud_and_a_history_stand_beside_each_other_on_one_remote() {
    let Some(mut lab) = lab("two_mirrors_the_cloud_and_a_history") else {
        return;
    };
    let config = lab.text("rclone.conf");
    lab.set("cloud.enable", true);
    lab.set("cloud.provider", "custom");
    lab.set("cloud.remote", "far:");
    lab.set("cloud.configFile", config.as_str());
    lab.run(&["check"])
        .expect(2)
        .says("destinations.m.remotePath: the same folder as that of `cloud.remotePath`");
    lab.set("destinations.m.remotePath", "M");
    lab.set("destinations.n", mirror(&config));
    lab.set("destinations.n.remotePath", "N");
    lab.set("destinations.n.keepHistoryDays", 3);
    lab.set(
        "destinations.h",
        json!({ "type": "remote", "remote": "far:", "configFile": config, "remotePath": "H" }),
    );
    lab.run(&["check"]).expect(0);
    lab.at(FIRST, &["apply"]).expect(0);
    lab.write("home/ann/20", "changed");
    let report = lab.at(SECOND, &["apply", "--json"]).expect(0).json();
    let steps = report["steps"].as_array().unwrap();
    let steps: Vec<&str> = steps
        .iter()
        .map(|one| one["step"].as_str().unwrap())
        .collect();
    for step in ["cloud-sync", "cloud-sync:m", "cloud-sync:n", "upload:h"] {
        assert!(steps.contains(&step), "{steps:?}");
    }
    let all = lab.path("far");
    for folder in ["Backups", "M", "N"] {
        let history = all.join(folder).join(HOST).join("history");
        assert_eq!(entry_names(&history), [id_of(SECOND)], "{folder}");
    }
    assert!(all.join("H").join(HOST).join("objects").exists());
    // Each remembers its own.
    let remembered = entry_names(&lab.path("state/cloud"));
    let remotes = remembered.iter().filter(|name| name.len() == 8);
    assert_eq!(remotes.count(), 4, "{remembered:?}");
    for name in ["m", "n"] {
        lab.run(&["list", "--destination", name])
            .expect(0)
            .says(&id_of(FIRST));
    }
    // One that is lost is nothing to the others, and is made anew.
    fs::remove_dir_all(all.join("N")).unwrap();
    let report = lab.at(THIRD, &["apply", "--json"]).expect(3).json();
    assert_eq!(
        results(&report),
        [
            ("cloud", "success"),
            ("h", "success"),
            ("local", "success"),
            ("m", "success"),
            ("n", "incomplete")
        ]
    );
    let outcome = step_outcome(&report, "cloud-sync:n");
    let hint = outcome["hint"].as_str().unwrap();
    assert!(hint.contains("destinations.n.remotePath"), "{hint}");
    lab.at(FOURTH, &["apply"]).expect(0);
}

#[test]
fn what_is_held_back_of_a_mirror_waits_for_a_person() {
    let Some(lab) = lab("what_is_held_back_of_a_mirror") else {
        return;
    };
    lab.at(FIRST, &["apply"]).expect(0);
    for n in 0..8 {
        fs::remove_file(lab.path(format!("home/ann/{n:02}"))).unwrap();
    }
    lab.write("home/new", "new");
    lab.at(SECOND, &["apply"])
        .expect(3)
        .says("8 files that are gone or left out here are not taken away")
        .says("destinations.m.maxDelete")
        .hints("--approve-deletions");
    assert!(current(&lab).join("new").exists());
    assert!(current(&lab).join("ann/00").exists());
    let health = lab.at(SECOND, &["health", "--json"]).expect(3).json();
    let codes = finding_codes(&health["destinations"]["m"]["findings"]);
    assert!(codes.contains(&"cloud-deletions-withheld"), "{codes:?}");
    lab.at(THIRD, &["apply", "--approve-deletions"]).expect(0);
    assert!(!current(&lab).join("ann/00").exists());
    // A suspect snapshot is not copied; what a person accepts is.
    for n in 8..39 {
        fs::remove_file(lab.path(format!("home/ann/{n:02}"))).unwrap();
    }
    let report = lab.at(FOURTH, &["apply", "--json"]).expect(3).json();
    let outcome = step_outcome(&report, "cloud-sync:m");
    assert_eq!(outcome["status"], "incomplete");
    assert!(current(&lab).join("ann/20").exists());
    lab.run(&["accept", &id_of(FOURTH)]).expect(0);
    // By the number of files it is held back all the same, and by nothing else.
    let report = lab.at(FIFTH, &["apply", "--json"]).expect(3).json();
    let said = step_outcome(&report, "cloud-sync:m")["message"].to_string();
    assert!(said.contains("maxDelete"), "{said}");
    lab.at(
        "2025-03-10T02:00:00+01:00",
        &["apply", "--approve-deletions"],
    )
    .expect(0);
    gives_back(&lab, "latest", "home");
}

#[test]
fn a_mirror_that_is_killed_or_cut_off_is_caught_up() {
    let Some(mut lab) = lab("a_mirror_that_is_killed_or_cut_off") else {
        return;
    };
    let kill = "kill -9 $PPID; exit 1";
    apply_with_rclone(&lab, FIRST, "*uploaded-*|*shelf.list*", kill).expect(137);
    let report = lab.at(FIRST, &["apply", "--json"]).expect(0).json();
    assert_eq!(results(&report), [("local", "success"), ("m", "success")]);
    assert_eq!(lab.runs().len(), 1);
    lab.write("home/ann/20", "changed");
    apply_with_rclone(&lab, SECOND, "*' copy '*current*", kill).expect(137);
    lab.at(SECOND, &["apply", "--only", "m", "--fresh"])
        .expect(0);
    gives_back(&lab, "latest", "home");
    lab.set("schedule.enable", true);
    lab.set("schedule.onlyOnAC", false);
    cut_off(&lab);
    lab.write("home/ann/20", "changed again");
    let early = "2025-03-07T03:30:00+01:00";
    let report = lab
        .at(early, &["apply", "--if-due", "--json"])
        .expect(1)
        .json();
    assert_eq!(results(&report), [("local", "success"), ("m", "failed")]);
    let said = step_outcome(&report, "cloud-sync:m")["message"].to_string();
    assert!(said.contains("connection failed"), "{said}");
    point_to(&lab, &lab.path("far"));
    let report = lab
        .at(
            "2025-03-07T05:30:00+01:00",
            &["apply", "--if-due", "--json"],
        )
        .expect(0)
        .json();
    assert_eq!(results(&report), [("m", "success")]);
    lab.at("2025-03-07T06:30:00+01:00", &["apply", "--if-due"])
        .expect(0)
        .says("nothing is due");
    gives_back(&lab, "latest", "home");
}

#[test]
fn a_mirror_is_never_set_back_by_a_disk_that_is_older() {
    let Some(mut lab) = lab("a_mirror_is_never_set_back") else {
        return;
    };
    add_disk(&mut lab, "usb");
    lab.at(FIRST, &["apply"]).expect(0);
    lab.write("home/ann/20", "changed");
    lab.at(SECOND, &["apply", "--only", "local", "m"]).expect(0);
    // Only the older one is there: what is new comes from the sources.
    fs::rename(lab.path("mnt"), lab.path("away")).unwrap();
    lab.write("home/ann/21", "live");
    let plan = lab.at(THIRD, &["plan", "--only", "m", "--json"]).expect(0);
    let sync = plan_action(&plan.json(), "cloud-sync").clone();
    assert!(sync["live"].is_object() && sync["from"].is_null(), "{sync}");
    lab.at(THIRD, &["apply", "--only", "m"]).expect(0);
    assert_eq!(
        fs::read_to_string(current(&lab).join("ann/20")).unwrap(),
        "changed"
    );
    assert_eq!(
        fs::read_to_string(current(&lab).join("ann/21")).unwrap(),
        "live"
    );
    // In a run that makes one on the other disk it comes from there.
    lab.write("home/ann/22", "on usb");
    lab.at(FOURTH, &["apply"]).expect_one_of(&[3, 4]);
    assert_eq!(copies(&lab)[0], id_of(FOURTH));
    gives_back(&lab, "latest", "home");
    // And on its return the first one takes nothing back.
    fs::rename(lab.path("away"), lab.path("mnt")).unwrap();
    lab.at(FIFTH, &["apply", "--only", "m"])
        .expect(0)
        .says("is at far:Backups/atlas already");
    gives_back(&lab, "latest", "home");
}

#[test]
fn snapshots_of_two_disks_that_have_one_name_are_two_copies() {
    let Some(mut lab) = lab("snapshots_of_two_disks") else {
        return;
    };
    add_disk(&mut lab, "usb");
    lab.at(FIRST, &["apply", "--only", "local", "m"]).expect(0);
    lab.write("home/ann/20", "later on that day");
    lab.at(FIRST, &["apply", "--only", "usb"]).expect(0);
    fs::rename(lab.path("mnt"), lab.path("away")).unwrap();
    lab.at(SECOND, &["apply", "--only", "m"]).expect(0);
    let all = copies(&lab);
    assert_eq!(all, ["2025-03-05_02-00-01", "2025-03-05_02-00-00"]);
    gives_back(&lab, "latest", "home");
    // It is known again.
    lab.at(SECOND, &["apply", "--only", "m"])
        .expect(0)
        .says("2025-03-05_02-00-01 is at far:Backups/atlas already");
    assert_eq!(copies(&lab), all);
}

#[test]
fn without_any_disk_the_sources_are_mirrored_and_a_new_machine_has_all_of_it() {
    let Some(mut lab) = lab("without_any_disk") else {
        return;
    };
    lab.set("local", json!({ "sources": [lab.path("home")] }));
    lab.run(&["check"]).expect(0);
    lab.at(FIRST, &["apply"]).expect(0);
    keep_copy(&lab, "first");
    lab.write("home/ann/20", "changed");
    let plan = lab.at(SECOND, &["plan", "--json"]).expect(0).json();
    assert_eq!(
        plan_action(&plan, "cloud-sync")["expected"]["upload_files"],
        1
    );
    lab.at(SECOND, &["apply"])
        .expect(0)
        .says("1 file (7 B) uploaded");
    lab.at(SECOND, &["status"]).expect(0).says("ok");
    lab.run(&["list"]).expect(4).hints("--destination m");
    fs::create_dir_all(lab.path("mnt")).unwrap();
    lose_machine(&lab);
    assert_eq!(copies(&lab), [id_of(SECOND), id_of(FIRST)]);
    gives_back(&lab, "latest", "home");
    gives_back(&lab, &id_of(FIRST), "first");
    let listed = lab
        .run(&["restore", "--destination", "m", "--list"])
        .expect(0);
    assert_eq!(listed.stdout.lines().count(), 2);
    // What is there is known again, and nothing is uploaded twice.
    lab.at(THIRD, &["apply"]).expect(0).says("0 files");
}

#[test]
fn a_folder_of_the_other_layout_is_left_alone() {
    let Some(mut lab) = lab("a_folder_of_the_other_layout") else {
        return;
    };
    lab.set("destinations.m.layout", "history");
    lab.at(FIRST, &["apply"]).expect(0);
    lab.set("destinations.m.layout", "mirror");
    let report = lab.at(SECOND, &["apply", "--json"]).expect(3).json();
    let outcome = step_outcome(&report, "cloud-sync:m");
    assert_eq!(outcome["status"], "refused");
    let hint = outcome["hint"].as_str().unwrap();
    assert!(hint.contains("destinations.m.remotePath"), "{hint}");
    assert!(!there(&lab, "current").exists());
    lab.set("destinations.m.remotePath", "Own");
    lab.at(THIRD, &["apply"]).expect(0);
}

#[test]
fn a_saved_plan_mirrors_what_it_says() {
    let Some(mut lab) = lab("a_saved_plan_mirrors") else {
        return;
    };
    let plan = lab.text("plan.json");
    lab.at(FIRST, &["plan", "--out", &plan]).expect(0);
    lab.at(FIRST, &["apply", &plan]).expect(0);
    assert_eq!(copies(&lab), [id_of(FIRST)]);
    lab.at(SECOND, &["plan", "--out", &plan]).expect(0);
    lab.set("destinations.m.maxDelete", "90%");
    lab.at(SECOND, &["apply", &plan])
        .expect(4)
        .says("maxDelete");
}
