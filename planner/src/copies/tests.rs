//! Each case is a configuration and what is said of it.

use serde_json::{Value, json};

use super::*;

fn config(changes: Value) -> Config {
    let mut whole =
        json!({ "version": 1, "local": { "enable": true, "sources": ["/home", "/etc"] } });
    for (key, value) in changes.as_object().unwrap() {
        whole[key] = value.clone();
    }
    serde_json::from_value(whole).unwrap()
}

fn described(changes: Value) -> Vec<String> {
    let copies = count_copies(&config(changes));
    copies.iter().map(describe_copies).collect()
}

fn problems(changes: Value) -> Vec<String> {
    let gaps = find_gaps(&config(changes));
    gaps.into_iter().map(|gap| gap.problem).collect()
}

fn cloud() -> Value {
    json!({ "enable": true, "provider": "custom", "remote": "b2:bucket" })
}

#[test]
fn a_disk_alone_is_a_second_copy_at_the_same_place() {
    assert_eq!(
        described(json!({})),
        [
            "2 copies with the original, on one kind of medium, none off site, none that this machine cannot delete"
        ]
    );
    assert_eq!(
        problems(json!({ "policy": "3-2-1" })),
        [
            "2 copies with the original, and 3 are demanded",
            "all copies are on disks, and two kinds of medium are demanded",
            "no copy is off site",
        ]
    );
    assert_eq!(problems(json!({})), Vec::<String>::new());
}

#[test]
fn a_disk_and_the_cloud_are_three_two_one() {
    let both = json!({ "cloud": cloud(), "policy": "3-2-1" });
    assert_eq!(
        described(both.clone()),
        [
            "3 copies with the original, on 2 kinds of medium, 1 off site (cloud), none that this machine cannot delete"
        ]
    );
    assert_eq!(problems(both), Vec::<String>::new());
}

#[test]
fn a_move_leaves_no_copy_behind() {
    let mut moving = cloud();
    moving["syncMode"] = "move".into();
    assert_eq!(
        problems(json!({ "cloud": moving, "policy": "3-2-1" })),
        ["2 copies with the original, and 3 are demanded"]
    );
}

#[test]
fn a_remote_in_the_house_is_not_off_site_and_a_disk_elsewhere_is() {
    let config = |remote: Value, disk: Value| {
        json!({ "policy": "3-2-1", "destinations": {
            "box": { "type": "remote", "remote": "nas:", "offSite": remote },
            "usb": { "type": "disk", "mountPoint": "/mnt/usb", "offSite": disk },
        } })
    };
    assert_eq!(
        problems(config(json!(false), json!(null))),
        ["no copy is off site"]
    );
    assert_eq!(
        problems(config(json!(null), json!(null))),
        Vec::<String>::new()
    );
    assert_eq!(
        problems(config(json!(false), json!(true))),
        Vec::<String>::new()
    );
}

#[test]
fn a_key_that_may_not_delete_and_reading_back_are_the_last_two_figures() {
    let with = |expire: &str, monitoring: Value| {
        json!({ "policy": "3-2-1-1-0", "monitoring": monitoring, "destinations": {
            "b2": { "type": "remote", "remote": "b2:bucket", "expire": expire },
        } })
    };
    let drilled = json!({ "drill": { "enable": true } });
    assert_eq!(
        problems(with("never", drilled.clone())),
        Vec::<String>::new()
    );
    assert_eq!(
        problems(with("here", drilled)),
        ["this machine can delete every copy"]
    );
    assert_eq!(
        problems(with("never", json!({ "verifySubset": null }))),
        ["nothing reads the copies back", "no trial restore is made"]
    );
    let gaps = find_gaps(&config(with(
        "here",
        json!({ "drill": { "enable": true } }),
    )));
    assert!(
        gaps[0]
            .hint
            .ends_with("set destinations.b2.expire to \"never\"")
    );
}

#[test]
fn what_is_off_is_no_copy() {
    assert_eq!(
        described(json!({ "destinations": {
            "usb": { "type": "disk", "mountPoint": "/mnt/usb", "enable": false },
        } })),
        described(json!({}))
    );
    let nothing = json!({ "local": { "enable": false, "sources": ["/home"] }, "policy": "3-2-1" });
    assert_eq!(
        problems(nothing)[0],
        "1 copy with the original, and 3 are demanded"
    );
}

#[test]
fn each_list_of_sources_is_judged_by_itself_and_one_may_be_within_another() {
    let jobs = json!({ "cloud": cloud(), "policy": "3-2-1", "destinations": {
        "photos": { "type": "disk", "mountPoint": "/mnt/photos", "sources": ["/srv/photos"] },
        "letters": { "type": "disk", "mountPoint": "/mnt/letters", "sources": ["/home/ann/letters"] },
    } });
    let copies = count_copies(&config(jobs.clone()));
    let holders = copies.iter().map(|copies| {
        let names = copies.destinations.iter().map(DestinationName::as_str);
        names.collect::<Vec<_>>()
    });
    assert_eq!(
        Vec::from_iter(holders),
        [
            vec!["local", "cloud"],
            vec!["local", "letters", "cloud"],
            vec!["photos"]
        ]
    );
    assert_eq!(
        problems(jobs),
        [
            "2 copies of what `photos` backs up with the original, and 3 are demanded",
            "all copies of what `photos` backs up are on disks, and two kinds of medium are demanded",
            "no copy of what `photos` backs up is off site",
        ]
    );
}

#[test]
fn when_each_copy_was_last_read_back_stands_below_their_count() {
    let at = |day: u32| -> DateTime<FixedOffset> {
        format!("2025-03-{day:02}T04:00:00+01:00").parse().unwrap()
    };
    let copies = count_copies(&config(json!({ "cloud": cloud() })));
    let lines = |known| copies_lines(&with_checks(copies.clone(), &known), at(20));
    assert_eq!(lines(BTreeMap::new()).len(), 1);
    let name = DestinationName::new;
    let checked = |verified: Option<u32>, drilled: Option<u32>| CheckedCopy {
        verified_at: verified.map(at),
        drilled_at: drilled.map(at),
    };
    let mut known = BTreeMap::from([
        (name("local"), checked(Some(18), None)),
        (name("cloud"), checked(None, None)),
        (name("elsewhere"), checked(Some(1), Some(1))),
    ]);
    let told = "verified: local 2 days ago, cloud never; trial restore: never";
    assert_eq!(lines(known.clone())[1], told);
    known.insert(name("local"), checked(Some(18), Some(13)));
    let told =
        "verified: local 2 days ago, cloud never; trial restore: local 7 days ago, cloud never";
    assert_eq!(lines(known)[1], told);
}

#[test]
fn who_leaves_more_out_has_not_all_of_it() {
    let less = json!({ "local": { "enable": true, "sources": ["/home"], "excludePatterns": [] }, "destinations": {
        "usb": { "type": "disk", "mountPoint": "/mnt/usb", "excludePatterns": ["*.mkv"] },
    } });
    let copies = count_copies(&config(less));
    assert_eq!(copies.len(), 2);
    assert_eq!((copies[0].count, copies[1].count), (2, 3));
}
