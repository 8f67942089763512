//! Rules about `destinations.<name>.*`, each on the smallest config that breaks it.

use serde_json::{Value, json};

use super::{
    tests::{accepted, config, faults, only_fault, paths, refused},
    *,
};

fn usb(changes: Value) -> Value {
    let mut usb = json!({ "type": "disk", "mountPoint": "/mnt/usb" });
    for (key, value) in changes.as_object().unwrap() {
        usb[key] = value.clone();
    }
    json!({ "destinations": { "usb": usb } })
}

/// Two disks beside `local`, which is at `/mnt/backup`.
fn two(usb: &str, nas: &str) -> Value {
    json!({ "hostname": "atlas", "destinations": {
        "usb": { "type": "disk", "mountPoint": usb },
        "nas": { "type": "disk", "mountPoint": nas },
    } })
}

#[test]
fn disks_by_name_are_accepted_without_a_word() {
    for changes in [
        two("/mnt/usb", "/mnt/nas"),
        usb(json!({})),
        usb(json!({ "enable": false })),
    ] {
        let checked = check_config(&config(changes)).unwrap();
        assert_eq!(
            (checked.warnings, checked.remarks),
            (Vec::new(), Vec::new())
        );
    }
    // Without `local` there is something to back up as well.
    let alone = br#"{"destinations": {"usb": {"type": "disk", "mountPoint": "/mnt/usb"}}}"#;
    assert_eq!(check_config(alone).unwrap().warnings, []);
}

#[test]
fn names_have_a_form_and_some_are_taken() {
    let named =
        |name: &str| json!({ "destinations": { name: { "type": "disk", "mountPoint": "/x" } } });
    refused(
        named("USB"),
        "destinations.USB: not a valid name expected: a name of lower-case",
    );
    refused(
        named("my disk"),
        "destinations.\"my disk\": not a valid name",
    );
    refused(
        named("local"),
        "destinations.local: a name that has a section of its own, found",
    );
    assert!(only_fault(named("cloud")).contains("hint: set `cloud.*` instead"));
    refused(
        named("drill"),
        "destinations.drill: a name that a unit of this program has",
    );
}

#[test]
fn the_type_must_be_there_and_says_which_keys_there_are() {
    refused(
        json!({ "destinations": { "usb": { "mountPoint": "/x" } } }),
        "destinations.usb.type: missing key expected: one of \"disk\", \"remote\"",
    );
    refused(usb(json!({ "type": "Disk" })), "did you mean `disk`?");
    refused(
        usb(json!({ "remotePath": "x" })),
        "destinations.usb.remotePath: only for type \"remote\", found \"x\" hint: remove it, or set \
         `destinations.usb.type` to \"remote\"",
    );
    refused(
        json!({ "destinations": { "b2": { "type": "remote", "enable": false, "mountPoint": "/x" } } }),
        "destinations.b2.mountPoint: only for type \"disk\"",
    );
}

#[test]
fn the_nearest_name_is_one_of_the_same_destination() {
    let nearest = |key: &str, value: Value| faults(usb(json!({ key: value })))[0].nearest.clone();
    let named = |key: &str| nearest(key, json!(1)).unwrap();
    assert_eq!(named("keepDialy"), "destinations.usb.keepDaily");
    assert_eq!(named("mount-point"), "destinations.usb.mountPoint");
    assert_eq!(named("exclude"), "destinations.usb.excludePatterns");
    assert_eq!(named("uuid"), "destinations.usb.fileSystemUUID");
    assert_eq!(named("frequency"), "destinations.usb.schedule.frequency");
    // What it has not of its own.
    assert_eq!(named("oneFileSystem"), "local.oneFileSystem");
    assert_eq!(nearest("compression", json!(1)), None);
    refused(
        usb(json!({ "schedule": { "freqency": "daily" } })),
        "did you mean `destinations.usb.schedule.frequency`?",
    );
    // And what stands elsewhere does not become one of them.
    refused(
        json!({ "mountPint": "/x" }),
        "did you mean `local.mountPoint`?",
    );
}

#[test]
fn one_that_is_used_has_a_place() {
    refused(
        json!({ "destinations": { "usb": { "type": "disk" } } }),
        "destinations.usb.mountPoint: not set expected: the folder where the drive is mounted hint: set it \
         to a path such as \"/mnt/usb\", or set `destinations.usb.enable` to false",
    );
    accepted(json!({ "destinations": { "usb": { "type": "disk", "enable": false } } }));
}

#[test]
fn what_holds_of_local_holds_of_each_and_is_said_of_its_own_key() {
    for (changes, words) in [
        (
            json!({ "keepDaily": 0, "keepWeekly": 0, "keepMonthly": 0 }),
            "destinations.usb.keepDaily: no snapshot would be kept for a day, week or month: \
             `destinations.usb.keepDaily`, `destinations.usb.keepWeekly` and \
             `destinations.usb.keepMonthly` are all 0",
        ),
        (
            json!({ "sources": [] }),
            "destinations.usb.sources: nothing to back up although `destinations.usb.enable` is true",
        ),
        (
            json!({ "sources": ["/srv", "/srv"] }),
            "destinations.usb.sources[1]: the same as `destinations.usb.sources[0]`",
        ),
        (
            json!({ "sources": ["/mnt/usb/x"] }),
            "destinations.usb.sources[0]: inside the destination, `destinations.usb.mountPoint`",
        ),
        (
            json!({ "fileSystemUUID": "x!" }),
            "destinations.usb.fileSystemUUID: not a UUID",
        ),
        (
            json!({ "mountPoint": "/mnt/usb\n" }),
            "destinations.usb.mountPoint: contains a line break",
        ),
        (
            json!({ "excludePatterns": [""] }),
            "destinations.usb.excludePatterns[0]: ",
        ),
        (
            json!({ "schedule": { "frequency": "sometimes" } }),
            "destinations.usb.schedule.frequency: ",
        ),
    ] {
        refused(usb(changes), words);
    }
}

#[test]
fn what_is_wrong_with_what_all_share_is_said_once() {
    let mut shared = usb(json!({}));
    shared["local"] = json!({ "sources": ["/srv", "/srv"], "excludePatterns": [""] });
    shared["schedule"] = json!({ "frequency": "sometimes" });
    shared["preBackupTimeout"] = json!("0s");
    let faults = faults(shared);
    let mut found = paths(&faults);
    found.sort_unstable();
    assert_eq!(
        found,
        [
            "local.excludePatterns[0]",
            "local.sources[1]",
            "preBackupTimeout",
            "schedule.frequency"
        ]
    );
}

#[test]
fn each_has_a_folder_and_a_file_system_of_its_own() {
    refused(
        two("/mnt/backup", "/mnt/nas"),
        "destinations.usb.mountPoint: the same folder as `local.mountPoint` (\"/mnt/backup\")",
    );
    refused(
        two("/mnt/x", "/mnt/x"),
        "destinations.usb.mountPoint: the same folder as `destinations.nas.",
    );
    refused(
        two("/mnt/nas/atlas/daily", "/mnt/nas"),
        "destinations.usb.mountPoint: inside the host's folder of `destinations.nas.mountPoint`",
    );
    refused(
        two("/mnt/nas", "/mnt/nas/atlas/daily"),
        "destinations.usb.mountPoint: its host's folder contains `destinations.nas.mountPoint`",
    );
    accepted(two("/mnt/nas/other", "/mnt/nas"));
    let mut off = two("/mnt/x", "/mnt/x");
    off["destinations"]["nas"]["enable"] = json!(false);
    accepted(off);
    let mut uuids = two("/mnt/usb", "/mnt/nas");
    uuids["destinations"]["usb"]["fileSystemUUID"] = json!("AB-cd");
    uuids["destinations"]["nas"]["fileSystemUUID"] = json!("ab-cd");
    refused(
        uuids,
        "destinations.usb.fileSystemUUID: the same as `destinations.nas.fileSystemUUID`",
    );
}

#[test]
fn a_source_of_one_is_no_other_destination() {
    let source = |source: &str| {
        let mut both = two("/mnt/usb", "/mnt/nas");
        both["local"] = json!({ "sources": ["/home"] });
        both["destinations"]["usb"]["sources"] = json!([source]);
        both
    };
    refused(
        source("/mnt/nas"),
        "destinations.usb.sources[0]: is a destination, `destinations.nas.mountPoint` (\"/mnt/nas\")",
    );
    refused(
        source("/mnt/backup/atlas/daily"),
        "destinations.usb.sources[0]: inside the host's folder of a destination, `local.mountPoint`",
    );
    accepted(source("/mnt/nas/photos"));
    let mut common = usb(json!({ "sources": ["/srv"] }));
    common["local"] = json!({ "sources": ["/mnt/usb"] });
    refused(
        common,
        "local.sources[0]: is a destination, `destinations.usb.mountPoint`",
    );
    let mut shared = usb(json!({}));
    shared["local"] = json!({ "sources": ["/mnt/usb/photos"] });
    refused(
        shared,
        "local.sources[0]: inside the destination, `destinations.usb.mountPoint`",
    );
}

#[test]
fn remotes_by_name_have_history_or_are_mirrors() {
    let remote = |changes: Value| {
        let mut remote = json!({ "type": "remote", "remote": "b2:bucket" });
        for (key, value) in changes.as_object().unwrap() {
            remote[key] = value.clone();
        }
        json!({ "destinations": { "b2": remote } })
    };
    accepted(remote(json!({})));
    accepted(remote(
        json!({ "expire": "never", "sources": ["/srv"], "keepLast": 9 }),
    ));
    accepted(remote(
        json!({ "layout": "mirror", "maxDelete": "10%", "keepHistoryDays": 30 }),
    ));
    refused(
        remote(json!({ "layout": "mirror", "expire": "never" })),
        "destinations.b2.expire: a mirror moves what it replaces, which a key that may not delete cannot, \
         found \"never\"",
    );
    refused(
        remote(json!({ "lockDays": 30 })),
        "destinations.b2.lockDays: unknown key",
    );
    let off = |mut changes: Value| {
        changes["enable"] = json!(false);
        remote(changes)
    };
    accepted(off(json!({ "layout": "history", "expire": "never" })));
    refused(
        off(json!({ "remote": "-x:" })),
        "destinations.b2.remote: not an rclone remote",
    );
    refused(
        off(json!({ "remotePath": "../x" })),
        "destinations.b2.remotePath: not a folder",
    );
    refused(
        off(json!({ "bandwidthLimit": "fast" })),
        "destinations.b2.bandwidthLimit: ",
    );
    refused(
        off(json!({ "timeout": "0s" })),
        "destinations.b2.timeout: zero",
    );
    refused(
        off(json!({ "layout": "tar" })),
        "destinations.b2.layout: unknown value",
    );
    let mirror = check_config(&config(off(json!({ "layout": "mirror", "keepDaily": 3 })))).unwrap();
    assert_eq!(paths(&mirror.remarks), ["destinations.b2.layout"]);
}

#[test]
fn each_remote_has_a_folder_of_its_own() {
    let beside = |remote: &str, path: &str| {
        let changes = json!({
            "hostname": "atlas",
            "cloud": { "enable": true, "provider": "custom", "remote": "b2:bucket", "remotePath": "Backups" },
            "destinations": { "b2": { "type": "remote", "remote": remote, "remotePath": path } },
        });
        let found = faults(changes);
        let found = found
            .iter()
            .map(|fault| format!("{}: {}", fault.path, fault.problem));
        found.collect::<Vec<_>>().join("\n")
    };
    let path = "destinations.b2.remotePath: ";
    let same =
        format!("{path}the same folder as that of `cloud.remotePath` (\"b2:bucket/Backups\")");
    assert!(beside("b2:bucket", "Backups").contains(&same));
    assert!(beside("b2:", "bucket//Backups/").contains(&same));
    let inside = format!("{path}inside the host's folder of `cloud.remotePath`");
    assert!(beside("b2:bucket/Backups/atlas", "x").contains(&inside));
    for other in [
        ("b2:bucket", "Other"),
        ("b2:bucket/Backups", "bella"),
        ("s3:bucket", "Backups"),
    ] {
        assert!(!beside(other.0, other.1).contains(path), "{other:?}");
    }
}

#[test]
fn copies_that_the_policy_demands_and_nothing_makes_are_a_fault_of_each() {
    let mut two = usb(json!({}));
    two["policy"] = "3-2-1".into();
    assert_eq!(
        paths(&faults(two.clone())),
        ["policy", "policy"],
        "of the kinds of medium, and of what is off site"
    );
    two["policy"] = "2-1".into();
    refused(two.clone(), "policy: ");
    two["policy"] = "none".into();
    accepted(two);
}

#[test]
fn a_disk_that_is_named_and_not_used_is_told() {
    let expect = |local: Value, told: &[&str]| {
        let config = json!({
            "version": 1, "local": local,
            "destinations": { "usb": { "type": "disk", "mountPoint": "/mnt/usb" } },
        });
        let checked = check_config(config.to_string().as_bytes()).unwrap();
        assert!(checked.warnings.is_empty());
        assert_eq!(paths(&checked.remarks), told);
    };
    let sources = json!(["/home"]);
    let named = json!({ "sources": sources, "mountPoint": "/mnt/nas" });
    expect(named, &["local.mountPoint"]);
    let used = json!({ "sources": sources, "mountPoint": "/mnt/nas", "enable": true });
    expect(used, &[]);
    expect(json!({ "sources": sources }), &[]);
}
