//! Verbs that work on one destination, which they name: it alone is looked at, changed and remembered.

use std::{fs, path::PathBuf};

use serde_json::Value;
use test_support::flip_byte;

use super::{FIRST, SECOND, THIRD, lab};
use crate::lab::{Lab, contents_below, id_of};

#[test]
fn a_verb_works_on_the_destination_that_it_names() {
    let lab = lab();
    lab.at(FIRST, &["apply"]).expect(0);
    lab.at(SECOND, &["apply", "--only", "usb"]).expect(0);
    let count = |arguments: &[&str]| {
        let list = lab.at(SECOND, arguments).expect(0).json();
        list["snapshots"].as_array().unwrap().len()
    };
    assert_eq!(count(&["list", "--json", "--destination", "usb"]), 2);
    assert_eq!(count(&["list", "--json", "--destination", "nas"]), 1);
    assert_eq!(count(&["list", "--json", "--destination", "local"]), 1);

    let (home, target) = (lab.text("home"), lab.text("restored"));
    fs::remove_dir_all(lab.path("mnt")).unwrap();
    let arguments = [
        "restore",
        "--destination",
        "usb",
        "latest~1",
        &home,
        &target,
    ];
    lab.run(&arguments).expect(0);
    assert_eq!(
        contents_below(&lab.path("restored")),
        contents_below(&lab.path("home"))
    );
    lab.run(&["verify", "--destination", "usb", "--all"])
        .expect(0);
    lab.run(&["pin", "--destination", "usb", "latest~1"])
        .expect(0);
    let pinned = |name: &str| {
        let list = lab
            .run(&["list", "--json", "--destination", name])
            .expect(0);
        let list = list.json();
        let all = list["snapshots"].as_array().unwrap().iter();
        all.filter(|one| one["pinned"] == true).count()
    };
    assert_eq!((pinned("usb"), pinned("nas")), (1, 0));

    fs::rename(lab.path("nas"), lab.path("away")).unwrap();
    let refused = lab.run(&["verify", "--destination", "nas"]).expect(4);
    refused.says("destinations.nas.mountPoint");
    let unknown = lab
        .run(&["find", "--destination", "nsa", "letter.txt"])
        .expect(2);
    unknown.says("there is no destination nsa").hints("nas");
}

/// The folder of this host on a disk.
fn host_folder(lab: &Lab, disk: &str) -> PathBuf {
    lab.path(disk).join(crate::lab::HOST)
}

/// The id of a disk.
fn id_on(lab: &Lab, disk: &str) -> String {
    let record = fs::read(host_folder(lab, disk).join(".backup/destination.json")).unwrap();
    let record: Value = serde_json::from_slice(&record).unwrap();
    record["id"].as_str().unwrap().to_owned()
}

/// The disks that are known as one destination's.
fn known(lab: &Lab, of: Option<&str>) -> Vec<String> {
    let path = match of {
        None => "state/destinations.json".to_owned(),
        Some(name) => format!("state/destinations/{name}/destinations.json"),
    };
    let known = fs::read(lab.path(path)).unwrap_or_else(|_| br#"{"known":[]}"#.to_vec());
    let known: Value = serde_json::from_slice(&known).unwrap();
    let known = known["known"].as_array().unwrap().iter();
    known.map(|id| id.as_str().unwrap().to_owned()).collect()
}

#[test]
fn what_is_done_on_one_disk_makes_it_no_other_disk() {
    let lab = lab();
    lab.run(&["init", "--destination", "usb"]).expect(0);
    let usb = id_on(&lab, "usb");
    assert_eq!(known(&lab, Some("usb")), std::slice::from_ref(&usb));
    assert!(known(&lab, None).is_empty());

    // `local` is new yet, and is taken on first use.
    lab.at(FIRST, &["apply"]).expect(0);
    let local = id_on(&lab, "mnt");
    for verb in ["pin", "unpin", "accept"] {
        lab.run(&[verb, "--destination", "usb", "latest"]).expect(0);
    }
    lab.at(SECOND, &["apply"]).expect(0);
    let id = id_of(FIRST);
    lab.run(&["delete", "--destination", "usb", &id, "--yes"])
        .expect(0);
    assert_eq!(known(&lab, None), std::slice::from_ref(&local));
    assert_eq!(known(&lab, Some("usb")), std::slice::from_ref(&usb));

    // Where the lists are lost, the runs tell whose each disk is.
    for list in [
        "state/destinations.json",
        "state/destinations/usb/destinations.json",
    ] {
        fs::write(lab.path(list), "{").unwrap();
    }
    lab.at(THIRD, &["apply"]).expect(0);
    assert_eq!(known(&lab, None), [local]);
    assert_eq!(known(&lab, Some("usb")), [usb]);
}

#[test]
fn a_disk_that_was_only_set_up_is_known_by_that_run() {
    let lab = lab();
    lab.at(FIRST, &["apply", "--only", "local"]).expect(0);
    lab.run(&["init", "--destination", "usb"]).expect(0);
    let usb = id_on(&lab, "usb");
    fs::write(lab.path("state/destinations/usb/destinations.json"), "{").unwrap();
    lab.at(SECOND, &["apply", "--only", "nas"]).expect(0);
    assert_eq!(known(&lab, Some("usb")), [usb]);
    assert_eq!(known(&lab, None), [id_on(&lab, "mnt")]);
}

#[test]
fn damage_of_a_named_disk_is_known_to_runs_and_to_verbs_alike() {
    let lab = lab();
    lab.at(FIRST, &["apply"]).expect(0);
    lab.at(SECOND, &["apply"]).expect(0);
    let records = host_folder(&lab, "usb").join(".backup/snapshots");
    flip_byte(&records.join(id_of(SECOND)).join("manifest/SHA256SUMS"));
    // A run finds it, and whoever looks afterwards is told.
    lab.at(THIRD, &["apply"]).expect(0);
    lab.run(&["list", "--destination", "usb"])
        .expect(0)
        .says("manifest damaged");
    let other = lab.run(&["list", "--destination", "nas"]).expect(0);
    assert!(!other.stdout.contains("damaged"), "{}", other.stdout);
    // What is known of all disks is in one place.
    assert!(lab.path("state/verified.json").exists());
    assert!(!lab.path("state/destinations/usb/verified.json").exists());
}

#[test]
fn each_verb_of_one_looks_at_the_disk_that_is_named() {
    let lab = lab();
    lab.at(FIRST, &["apply"]).expect(0);
    let only_there = lab.text("home/ann/usb only.txt");
    lab.write("home/ann/usb only.txt", "x");
    lab.at(SECOND, &["apply", "--only", "usb"]).expect(0);
    let (first, second) = (id_of(FIRST), id_of(SECOND));
    let on = |name: &str, words: &[&str]| lab.run(&[words, &["--destination", name]].concat());
    on("usb", &["find", "usb only.txt"]).expect(0).says(&second);
    let none = on("nas", &["find", "usb only.txt"]);
    assert!(!none.all().contains(&second), "{none}");
    on("usb", &["diff", &first, "latest"])
        .expect(0)
        .says(&only_there);
    on("nas", &["diff", &second, "now"]).expect(4);
    on("nas", &["diff", "latest", "now"])
        .expect(0)
        .says(&only_there);
    for verb in ["pin", "unpin", "accept"] {
        on("usb", &[verb, &second]).expect(0);
        on("nas", &[verb, &second]).expect(4);
    }
    on("usb", &["simulate", "--days", "3"])
        .expect(0)
        .says("Keeping");
    on("usb", &["drill", "--dry-run"]).expect(0).says(&second);
    on("usb", &["view", "--dry-run"]).expect(0).says("/usb/");
    on("usb", &["prune", "--dry-run"]).expect(0).says("On usb");
    on("usb", &["restore", "--list"]).expect(0).says(&second);
    // What another tool left is adopted where it stands.
    lab.write(
        &format!(
            "nas/{}/weekly/2025-01-05{}",
            crate::lab::HOST,
            lab.text("home/old.txt")
        ),
        "old",
    );
    on("nas", &["adopt", "--dry-run"])
        .expect(0)
        .says("2025-01-05");
    on("usb", &["adopt", "--dry-run"]).expect_one_of(&[0, 4]);
}

#[test]
fn a_comparison_with_the_sources_enters_no_disk() {
    let mut lab = lab();
    for name in ["nas", "usb"] {
        let at = format!("home/{name}");
        fs::create_dir(lab.path(&at)).unwrap();
        lab.set(&format!("destinations.{name}.mountPoint"), lab.text(&at));
    }
    lab.at(FIRST, &["apply"]).expect(0);
    lab.write("home/ann/new.txt", "new\n");
    let diff = lab.run(&["diff", "--destination", "usb", "latest", "now"]);
    let diff = diff.expect(0).says("new.txt");
    assert!(!diff.stdout.contains(crate::lab::HOST), "{diff}");
}

#[test]
fn a_name_that_means_no_disk_is_refused() {
    let mut lab = lab();
    lab.at(FIRST, &["apply"]).expect(0);
    lab.run(&["list", "--destination", "cloud"])
        .expect(2)
        .hints("`backup restore --from cloud`");
    lab.run(&["verify", "--destination", "cloud"]).expect(2);
    for arguments in [
        &[
            "restore",
            "--from",
            "cloud",
            "--destination",
            "usb",
            "latest",
            "/a",
            "b",
        ][..],
        &["verify", "--cloud", "--destination", "usb"],
    ] {
        lab.run(arguments).expect(2).says("name two places");
    }
    lab.at(SECOND, &["apply", "--only", "cloud"])
        .expect(2)
        .says("cloud.enable is false");
    lab.set("local.enable", false);
    lab.at(SECOND, &["apply", "--only", "local"])
        .expect(2)
        .says("local.enable is false");
    lab.at(SECOND, &["plan", "--only", "local", "usb"])
        .expect(2);
    lab.run(&["pin", "latest"])
        .expect(4)
        .hints("--destination nas, or usb");
}

#[test]
fn the_only_disk_need_not_be_named() {
    let mut lab = lab();
    lab.at(FIRST, &["apply"]).expect(0);
    lab.set("local.enable", false);
    lab.set("destinations.nas.enable", false);
    lab.at(SECOND, &["apply"]).expect(0);
    let (home, target) = (lab.text("home"), lab.text("restored"));
    lab.run(&["restore", "latest", &home, &target]).expect(0);
    assert_eq!(
        contents_below(&lab.path("restored")),
        contents_below(&lab.path("home"))
    );
    lab.run(&["verify", "--all"]).expect(0);
    lab.run(&["pin", &id_of(FIRST)]).expect(0);
    lab.run(&["find", "letter.txt"])
        .expect(0)
        .says(&id_of(SECOND));
    // Its name is in what is said of it.
    fs::rename(lab.path("usb"), lab.path("away")).unwrap();
    lab.run(&["verify"])
        .expect(4)
        .says("destinations.usb.mountPoint");
}
