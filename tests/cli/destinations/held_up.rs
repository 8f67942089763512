//! What is wrong with one destination, and a run that is killed between two, hold up no other.

use std::fs;

use serde_json::{Value, json};
use test_support::{Mounted, is_missing, make_ext4};

use super::{
    FIRST, SECOND, THIRD,
    continued::{kill_in, write_many},
    days, ends, is_stored, lab,
};
use crate::{
    lab::{finding_codes, skip, step_outcome},
    notify::repeated::{Locked, lacks_namespaces, run_on_battery},
};

#[test]
fn an_absent_one_holds_up_no_other() {
    let mut lab = lab();
    lab.at(FIRST, &["apply"]).expect(0);
    fs::rename(lab.path("usb"), lab.path("away")).unwrap();
    let report = lab.at(SECOND, &["apply", "--json"]).expect(3).json();
    assert_eq!(
        ends(&report),
        [("local", "success"), ("nas", "success"), ("usb", "refused")]
    );
    assert_eq!(report["result"], "incomplete");
    assert_eq!((days(&lab, "mnt").len(), days(&lab, "nas").len()), (2, 2));
    // One that may be away is waited for, and the run is never a success meanwhile.
    lab.set("destinations.usb.ifAbsent", "defer");
    let ran = lab.at(THIRD, &["apply"]).expect(75);
    ran.says("usb").says("the next run tries again");
    assert_eq!((days(&lab, "mnt").len(), days(&lab, "nas").len()), (3, 3));
    let status = lab.at(THIRD, &["status", "--json"]).expect(0).json();
    assert_eq!(status["destinations"]["usb"]["destination"]["ready"], false);
    assert_eq!(status["destinations"]["nas"]["snapshots"], 3);
    // It is back, and what it missed is caught up by the next run.
    fs::rename(lab.path("away"), lab.path("usb")).unwrap();
    lab.at("2025-03-08T02:00:00+01:00", &["apply"]).expect(0);
    assert_eq!(days(&lab, "usb").len(), 2);
    is_stored(&lab, "usb");
}

#[test]
fn all_of_them_absent_is_a_run_that_is_not_begun() {
    let mut lab = lab();
    for name in ["nas", "usb"] {
        lab.set(&format!("destinations.{name}.ifAbsent"), "defer");
        fs::remove_dir(lab.path(name)).unwrap();
    }
    lab.set("local.ifAbsent", "defer");
    fs::remove_dir(lab.path("mnt")).unwrap();
    lab.at(FIRST, &["apply"]).expect(75);
    assert!(lab.runs().is_empty());
}

#[test]
fn one_without_room_holds_up_no_other() {
    let mut lab = lab();
    lab.set("destinations.usb.minSpaceGB", 1 << 30);
    let report = lab.at(FIRST, &["apply", "--json"]).expect(3).json();
    assert_eq!(
        ends(&report),
        [("local", "success"), ("nas", "success"), ("usb", "refused")]
    );
    lab.at(SECOND, &["apply"])
        .expect(3)
        .says("usb: insufficient space");
    is_stored(&lab, "nas");
    assert!(days(&lab, "usb").is_empty());
}

#[test]
fn a_small_disk_that_is_full_holds_up_no_other() {
    let name = "a_small_disk_that_is_full_holds_up_no_other";
    if is_missing(name, &["mkfs.ext4", "losetup", "blkid"], true) {
        return;
    }
    let lab = lab();
    make_ext4(&lab.path("small"), 8, &[]);
    let mounted = Mounted::image(&lab.path("small"), "rw", &lab.path("usb"));
    lab.write("home/large", &"0123456789abcdef".repeat(1 << 20));
    let report = lab.at(FIRST, &["apply", "--json"]).expect(3).json();
    assert_eq!(ends(&report)[2], ("usb", "refused"));
    for disk in ["mnt", "nas"] {
        is_stored(&lab, disk);
    }
    mounted.end();
}

#[test]
fn the_disk_of_another_machine_is_left_alone_and_holds_up_no_other() {
    let lab = lab();
    lab.at(FIRST, &["apply"]).expect(0);
    // As another machine has left it that has the same name.
    let record = lab
        .path("usb")
        .join(crate::lab::HOST)
        .join(".backup/destination.json");
    let mut other: Value = serde_json::from_slice(&fs::read(&record).unwrap()).unwrap();
    other["id"] = json!("0123456789abcdef0123456789abcdef");
    other["machine"] = json!("ab".repeat(32));
    fs::write(&record, other.to_string()).unwrap();
    let before = days(&lab, "usb");
    let report = lab.at(SECOND, &["apply", "--json"]).expect(3).json();
    assert_eq!(
        ends(&report),
        [("local", "success"), ("nas", "success"), ("usb", "refused")]
    );
    assert_eq!(days(&lab, "usb"), before);
    assert_eq!(days(&lab, "nas").len(), 2);
}

#[test]
fn one_that_fails_holds_up_no_other() {
    let lab = lab();
    lab.at(FIRST, &["apply"]).expect(0);
    // What is in the way of its next snapshot.
    let tier = lab.path("nas").join(crate::lab::HOST).join("daily");
    fs::rename(&tier, lab.path("saved")).unwrap();
    fs::write(&tier, "no folder").unwrap();
    let report = lab.at(SECOND, &["apply", "--json"]);
    assert_ne!(report.code, 0);
    let report = report.json();
    let of = |name: &str| report["destinations"][name]["result"].as_str().unwrap();
    assert_ne!(of("nas"), "success");
    assert_eq!((of("local"), of("usb")), ("success", "success"));
    is_stored(&lab, "usb");
}

#[test]
fn a_run_that_is_killed_between_two_of_them_goes_on_where_it_was() {
    let lab = lab();
    write_many(&lab, "many");
    let sealed = kill_in(&lab, FIRST, "snapshot:nas", &[]);
    assert!(!sealed.contains("snapshot:usb"));
    assert_eq!((days(&lab, "mnt").len(), days(&lab, "usb").len()), (1, 0));
    // Meanwhile the one that it was at is taken away, and the others go on.
    fs::rename(lab.path("nas"), lab.path("away")).unwrap();
    let report = lab
        .at("2025-03-05T03:00:00+01:00", &["apply", "--json"])
        .expect(3)
        .json();
    assert_eq!(
        ends(&report),
        [("local", "success"), ("nas", "refused"), ("usb", "success")]
    );
    assert_eq!(lab.runs().len(), 1, "one run, continued");
    assert_eq!(step_outcome(&report, "snapshot:usb")["status"], "succeeded");
    is_stored(&lab, "usb");
    is_stored(&lab, "mnt");
    fs::rename(lab.path("away"), lab.path("nas")).unwrap();
    lab.at(SECOND, &["apply"]).expect(0);
    is_stored(&lab, "nas");
}

#[test]
fn one_that_cannot_be_written_holds_up_no_other() {
    let lab = lab();
    lab.at(FIRST, &["apply"]).expect(0);
    let own = lab.path("nas").join(crate::lab::HOST).join(".backup");
    let Some(locked) = Locked::new(&own) else {
        return skip("nothing can be made immutable here");
    };
    let report = lab.at(SECOND, &["apply", "--json"]).expect(1).json();
    let all = [("local", "success"), ("nas", "failed"), ("usb", "success")];
    assert_eq!(ends(&report), all);
    assert_eq!(report["result"], "failed");
    for disk in ["mnt", "usb"] {
        assert_eq!(days(&lab, disk).len(), 2);
        is_stored(&lab, disk);
    }
    drop(locked);
    lab.at(THIRD, &["apply"]).expect(0);
    is_stored(&lab, "nas");
}

#[test]
fn one_that_waits_for_power_holds_up_no_other() {
    if lacks_namespaces("one_that_waits_for_power_holds_up_no_other") {
        return;
    }
    let mut lab = lab();
    lab.set("schedule", json!({ "enable": true, "onlyOnAC": false }));
    lab.set("destinations.usb.schedule", json!({ "onlyOnAC": true }));
    let due = |now: &str| run_on_battery(&lab, &["apply", "--if-due", "--json", "--now", now]);
    let all = [
        ("local", "success"),
        ("nas", "success"),
        ("usb", "deferred"),
    ];
    let report = due("2025-03-05T03:30:00+01:00").expect(75).json();
    assert_eq!(ends(&report), all);
    let findings = &report["destinations"]["usb"]["findings"];
    let codes = finding_codes(findings);
    assert!(codes.contains(&"on-battery"), "{codes:?}");
    // Also what is left of a run that was begun with power.
    write_many(&lab, "many");
    kill_in(&lab, SECOND, "snapshot:usb", &[]);
    let report = due("2025-03-06T03:30:00+01:00").expect(75).json();
    assert_eq!(ends(&report), all);
    assert_eq!((days(&lab, "mnt").len(), days(&lab, "usb").len()), (2, 0));
    // Whoever types it means now.
    let now = ["apply", "--now", THIRD];
    run_on_battery(&lab, &now).expect(0);
    is_stored(&lab, "usb");
}
