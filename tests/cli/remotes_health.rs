//! Remotes with history that health checks read back, and when each copy was.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    path::PathBuf,
};

use serde_json::{Value, json};
use test_support::flip_byte;

use crate::{
    lab::{Lab, contents_below, finding_codes},
    remotes::{FIRST, SECOND, back_up, cut_off, lab, objects, serve},
};

/// How many health checks read all of what is stored.
const SHARES: usize = 2;

/// A lab whose health checks read a share of what is stored.
fn checked(test: &str) -> Option<Lab> {
    let mut lab = lab(test)?;
    lab.set("monitoring.verifySubset", format!("1/{SHARES}"));
    lab.set("monitoring.maxAge", "9999d");
    for number in 0..40 {
        lab.write(
            &format!("home/many/{number}"),
            &format!("number {number}\n"),
        );
    }
    Some(lab)
}

/// What a health check finds of `b2`.
fn check(lab: &Lab) -> Value {
    let told = lab.run(&["health", "--json"]).expect_one_of(&[0, 1, 3]);
    told.json()["destinations"]["b2"].clone()
}

/// Checks until each share was read; gives what the last one found, and how many contents were read.
fn check_all_shares(lab: &Lab) -> (Value, u64) {
    let all: Vec<Value> = (0..SHARES).map(|_| check(lab)).collect();
    let read = |one: &Value| one["verified"]["files_read"].as_u64().unwrap();
    let parts = all
        .iter()
        .map(|one| one["verified"]["part"].as_u64().unwrap());
    let parts: BTreeSet<u64> = parts.collect();
    assert_eq!(parts, (1..=SHARES as u64).collect());
    let last = all[SHARES - 1].clone();
    assert_eq!(last["verified"]["parts_read"], SHARES);
    (last, all.iter().map(read).sum())
}

fn damage_is_found_told_and_healed(lab: &Lab) {
    back_up(lab, FIRST);
    let before: Vec<(PathBuf, Vec<u8>)> = objects(lab)
        .into_iter()
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .collect();
    let far = contents_below(&lab.path("far"));
    let (well, read) = check_all_shares(lab);
    assert_eq!(read, before.len() as u64, "each content once: {well}");
    assert_eq!(finding_codes(&well["findings"]), [""; 0], "{well}");
    assert_eq!(contents_below(&lab.path("far")), far, "only read");
    // The same length, so that only reading tells.
    flip_byte(&before[3].0);
    let (found, _) = check_all_shares(lab);
    // Also where another share has its turn: it is damaged until it is uploaded again.
    assert_eq!(found["verified"]["damage_count"], 1, "{found}");
    assert_eq!(finding_codes(&found["findings"]), ["verify-found-damage"]);
    let said = lab.run(&["health"]).expect(1);
    said.says("damage was found in part").hints("backup now");
    lab.run(&["verify", "--destination", "b2", "--quick"])
        .expect(3)
        .says("found damaged before");
    lab.at(SECOND, &["apply"]).expect(0);
    assert_eq!(fs::read(&before[3].0).unwrap(), before[3].1);
    let (healed, _) = check_all_shares(lab);
    assert_eq!(healed["verified"]["damage_count"], 0, "{healed}");
    // What is missing is seen whichever share has its turn, if the server does not list it for a while yet.
    for gone in [0, before.len() - 1] {
        fs::remove_file(&before[gone].0).unwrap();
    }
    let missing = check(lab);
    assert_ne!(missing["verified"]["damage_count"], 0, "{missing}");
    let first = missing["verified"]["first_damage"].as_str().unwrap();
    let is_said = ["missing", "cannot be read"].map(|said| first.contains(said));
    assert!(is_said.contains(&true), "{first}");
}

#[test]
fn a_remote_that_tells_digests_is_read_back_by_shares() {
    if let Some(lab) = checked("a_remote_that_tells_digests") {
        damage_is_found_told_and_healed(&lab);
    }
}

#[test]
fn a_remote_that_tells_none_is_downloaded_by_shares() {
    if let Some(lab) = checked("a_remote_that_tells_none") {
        let _server = serve(&lab);
        damage_is_found_told_and_healed(&lab);
    }
}

#[test]
fn a_remote_that_nobody_reaches_is_told_once_and_is_read_when_it_is_back() {
    let Some(mut lab) = checked("a_remote_that_nobody_reaches") else {
        return;
    };
    lab.set(
        "notifications",
        json!({ "enable": true, "desktop": false,
        "command": lab.script("tell", "cat >>told; echo >>told") }),
    );
    back_up(&lab, FIRST);
    let told = || {
        let told = fs::read_to_string(lab.path("told")).unwrap_or_default();
        told.matches("cannot be listed").count()
    };
    let rclone = fs::read_to_string(lab.path("rclone.conf")).unwrap();
    cut_off(&lab);
    for _ in 0..2 {
        let away = check(&lab);
        assert_eq!(finding_codes(&away["findings"]), ["cloud-unreachable"]);
        assert_eq!(away["verified"], Value::Null);
    }
    assert_eq!(told(), 1);
    crate::cloud::remote(&lab, &rclone);
    let back = check(&lab);
    assert_eq!(back["verdict"], "ok", "{back}");
    assert_eq!(back["verified"]["part"], 1);
}

#[test]
fn a_check_beside_a_run_leaves_the_remote_to_the_next_one() {
    let Some(lab) = checked("a_check_beside_a_run") else {
        return;
    };
    back_up(&lab, FIRST);
    let lock = File::open(lab.path("state/lock")).unwrap();
    lock.lock().unwrap();
    let put_off = check(&lab);
    assert_eq!(finding_codes(&put_off["findings"]), ["verify-put-off"]);
    assert_eq!(put_off["verdict"], "ok");
    drop(lock);
    assert_eq!(check(&lab)["verified"]["part"], 1);
}

#[test]
fn a_share_that_is_not_read_in_time_is_gone_on_with() {
    let Some(mut lab) = checked("a_share_that_is_not_read_in_time") else {
        return;
    };
    back_up(&lab, FIRST);
    lab.set("destinations.b2.timeout", "1ms");
    let begun = check(&lab);
    assert_eq!(finding_codes(&begun["findings"]), ["verify-put-off"]);
    assert_eq!(begun["verified"]["parts_read"], 0);
    let said = begun["findings"][0]["message"].as_str().unwrap();
    assert!(said.contains("destinations.b2.timeout"), "{said}");
    lab.set("destinations.b2.timeout", "1h");
    let whole = check(&lab);
    assert_eq!(whole["verified"]["part"], 1);
    assert_eq!(whole["verified"]["parts_read"], 1);
    assert_eq!(finding_codes(&whole["findings"]), [""; 0]);
}

#[test]
fn each_copy_says_when_it_was_read_back_and_a_policy_asks_for_it() {
    let Some(mut lab) = checked("each_copy_says_when_it_was_read_back") else {
        return;
    };
    fs::create_dir(lab.path("metrics")).unwrap();
    lab.set(
        "monitoring.prometheusFile",
        lab.path("metrics/backup.prom").to_str(),
    );
    back_up(&lab, FIRST);
    lab.run(&["check"])
        .expect(0)
        .says("verified: local never, b2 never");
    lab.run(&["verify", "--destination", "b2", "--subset", "1/7"])
        .expect(0);
    let checked = |lab: &Lab| lab.run(&["status", "--json"]).json()["copies"][0]["checked"].clone();
    let by_hand = checked(&lab);
    assert!(by_hand["b2"]["verified_at"].is_string(), "{by_hand}");
    assert_eq!(by_hand["local"]["verified_at"], Value::Null);
    lab.run(&["health"]).expect(0);
    let by_check = checked(&lab);
    assert!(by_check["local"]["verified_at"].is_string(), "{by_check}");
    assert_ne!(by_check["b2"], by_hand["b2"]);
    lab.run(&["status", "-v"])
        .says("verified: local just now, b2 just now; trial restore: never");
    let metrics = fs::read_to_string(lab.path("metrics/backup.prom")).unwrap();
    let of_b2 = "backup_verified_timestamp_seconds{destination=\"b2\"} ";
    assert!(metrics.contains(of_b2), "{metrics}");

    // What nobody read since is told where the policy demands that it is read.
    lab.set("destinations.b2.expire", "never");
    lab.set("monitoring.drill", json!({ "enable": true }));
    fs::remove_dir_all(lab.path("state/cloud")).unwrap();
    fs::remove_file(lab.path("state/verified.json")).unwrap();
    let later = "2025-04-20T12:00:00+01:00";
    let unread = |lab: &Lab| {
        let health = lab.at(later, &["health", "--json"]).json();
        let of = |found: &Value| {
            let codes = finding_codes(&found["findings"]).into_iter();
            codes.filter(|code| *code == "copy-not-read-back").count()
        };
        (of(&health), of(&health["destinations"]["b2"]))
    };
    assert_eq!(unread(&lab), (0, 0));
    lab.set("policy", "3-2-1-1-0");
    assert_eq!(unread(&lab), (1, 1));
    lab.at(later, &["status"]).says("was never read back");
}
