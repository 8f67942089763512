//! One test a rule, each on the smallest config that breaks it, and one config that breaks most.

use serde_json::{Value, json};

use super::*;

/// A config that is valid and backs up something, with `changes` laid over it.
pub(super) fn config(changes: Value) -> Vec<u8> {
    fn lay(over: Value, base: &mut Value) {
        match (over, base) {
            (Value::Object(over), Value::Object(base)) => {
                for (key, value) in over {
                    lay(value, base.entry(key).or_insert(Value::Null));
                }
            }
            (over, base) => *base = over,
        }
    }
    let mut base = json!({ "local": { "enable": true, "useRsync": false } });
    lay(changes, &mut base);
    serde_json::to_vec(&base).unwrap()
}

pub(super) fn faults(changes: Value) -> Vec<Fault> {
    check_config(&config(changes)).err().unwrap_or_default()
}

/// The one fault of the config, rendered on one line.
#[track_caller]
pub(super) fn only_fault(changes: Value) -> String {
    let faults = faults(changes);
    assert_eq!(faults.len(), 1, "{}", render(&faults));
    assert!(faults[0].hint.is_some() || !faults[0].expected.is_empty());
    let text = faults[0].to_string();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[track_caller]
pub(super) fn refused(changes: Value, words: &str) {
    let fault = only_fault(changes);
    assert!(fault.contains(words), "{words:?} not in {fault:?}");
}

#[track_caller]
pub(super) fn accepted(changes: Value) {
    let faults = faults(changes);
    assert!(faults.is_empty(), "{}", render(&faults));
}

pub(super) fn paths(faults: &[Fault]) -> Vec<&str> {
    faults.iter().map(|fault| fault.path.as_str()).collect()
}

#[test]
fn a_good_config_is_accepted_without_a_word() {
    let checked = check_config(&config(json!({}))).unwrap();
    assert!(checked.config.local.enable);
    assert_eq!(checked.warnings, []);
}

#[test]
fn an_empty_object_is_the_defaults_and_a_warning_that_nothing_is_backed_up() {
    let checked = check_config(b"{}").unwrap();
    assert_eq!(checked.config, Config::default());
    assert_eq!(paths(&checked.warnings), ["local.enable"]);
}

#[test]
fn the_defaults_written_out_are_valid() {
    let text = serde_json::to_vec(&Config::default()).unwrap();
    assert_eq!(check_config(&text).unwrap().config, Config::default());
}

#[test]
fn the_host_name_is_one_folder() {
    let long = "x".repeat(256);
    for bad in ["", "a/b", ".", "..", ".backup", "a\0", &long] {
        refused(json!({ "hostname": bad }), "hostname: ");
    }
    accepted(json!({ "hostname": "laptop-2.example.org" }));
}

#[test]
fn keeping_nothing() {
    let none = json!({ "keepDaily": 0, "keepWeekly": 0, "keepMonthly": 0 });
    refused(json!({ "local": none }), "no snapshot would be kept");
    accepted(
        json!({ "local": { "enable": false, "keepDaily": 0, "keepWeekly": 0, "keepMonthly": 0 } }),
    );
}

#[test]
fn sources_against_each_other_and_the_destination() {
    let local = |sources: Value| json!({ "local": { "sources": sources } });
    refused(local(json!([])), "although `local.enable` is true");
    refused(
        local(json!(["/a", "/b", "/a/"])),
        "local.sources[2]: the same as `local.sources[0]`",
    );
    refused(local(json!(["/mnt/backup"])), "is the destination");
    refused(local(json!(["/mnt/backup/x"])), "inside the destination");
    accepted(local(json!(["/mnt/backups", "/ab", "/a", "/a\nb"])));
    accepted(json!({ "local": { "enable": false, "sources": ["/mnt"] } }));
    // Which of them are on one file system only the machine can say.
    accepted(local(json!(["/a/b", "/a"])));
    accepted(local(json!(["/", "/mnt"])));
}

#[test]
fn sources_on_one_file_system_must_not_contain_each_other() {
    let config = json!({ "version": 1, "local": { "sources": ["/a/b/c", "/a", "/a/d", "/ab"] } });
    let config = check_config(config.to_string().as_bytes()).unwrap().config;
    let faults = nested(&config, &|one, _| one.as_str() == "/a/b/c");
    let [fault] = &faults[..] else {
        panic!("{faults:?}");
    };
    assert_eq!(fault.path, "local.sources[0]");
    assert!(
        fault
            .problem
            .starts_with("inside `local.sources[1]`, which is \"/a\"")
    );
    assert_eq!(fault.found.as_deref(), Some("\"/a/b/c\""));
    assert_eq!(nested(&config, &|_, _| true).len(), 2);
    assert!(nested(&config, &|_, _| false).is_empty());
}

#[test]
fn cloud_options_that_need_each_other() {
    let cloud = |changes: Value| json!({ "cloud": changes });
    let custom = json!({ "enable": true, "syncMode": "copy", "provider": "custom" });
    refused(
        cloud(custom),
        "cloud.remote: not set although `cloud.provider` is \"custom\"",
    );
    refused(
        cloud(json!({ "remote": "s3:" })),
        "set although `cloud.provider` is not \"custom\"",
    );
    for bad in [
        "s3",
        ":s3",
        "-v:",
        "a/b:c",
        "",
        "nas,pass=secret:x",
        ":ftp,host=h:x",
    ] {
        let remote = json!({ "provider": "custom", "remote": bad });
        refused(cloud(remote), "cloud.remote: not an rclone remote");
    }
    accepted(cloud(
        json!({ "enable": true, "syncMode": "copy", "provider": "custom", "remote": "s3:bucket/x" }),
    ));
    refused(cloud(json!({ "remotePath": "../x" })), "cloud.remotePath: ");
    let moving = json!({
        "local": { "enable": false },
        "cloud": { "enable": true, "syncMode": "move" }
    });
    refused(moving, "cloud.syncMode: ");
}

#[test]
fn bandwidth_limits() {
    let limit = |text: &str| json!({ "cloud": { "bandwidthLimit": text } });
    for good in ["10M", "512k", "1.5MiB", "off", "10M:1M", "10M:off", "0"] {
        accepted(limit(good));
    }
    accepted(limit("08:00,512k 12:00,10M:1M Sun-23:00,off"));
    for bad in [
        "",
        "  ",
        "10M\n",
        "ten",
        "--dry-run",
        "M",
        "1:2:3",
        "8,1M",
        "10 M",
    ] {
        refused(limit(bad), "cloud.bandwidthLimit: ");
    }
}

#[test]
fn spans_of_nothing() {
    refused(
        json!({ "preBackupTimeout": "0s" }),
        "preBackupTimeout: zero",
    );
    refused(
        json!({ "postBackupTimeout": "0s" }),
        "postBackupTimeout: zero",
    );
    refused(
        json!({ "cloud": { "timeout": "0s" } }),
        "cloud.timeout: zero",
    );
    refused(
        json!({ "monitoring": { "maxAge": "0s" } }),
        "monitoring.maxAge: zero",
    );
    accepted(json!({ "schedule": { "randomDelay": "0s" } }));
}

#[test]
fn file_system_uuids() {
    let uuid = |text: &str| json!({ "local": { "fileSystemUUID": text } });
    for good in ["4b1e6a2c-0d1f-4c58-9a53-2f6f6f1d7e10", "1A2B-3C4D"] {
        accepted(uuid(good));
    }
    for bad in ["", "--", "/dev/sda1", "UUID=12"] {
        refused(uuid(bad), "local.fileSystemUUID: not a UUID");
    }
}

#[test]
fn exclude_patterns() {
    let patterns = json!({ "local": { "excludePatterns": ["*.tmp", "!"] } });
    refused(patterns, "local.excludePatterns[1]: ");
}

#[test]
fn calendars() {
    refused(
        json!({ "schedule": { "frequency": "Mon,Wed,Fry" } }),
        "schedule.frequency: `Fry` in the calendar expression",
    );
    refused(
        json!({ "monitoring": { "healthCheckInterval": "" } }),
        "monitoring.healthCheckInterval: the calendar expression is empty",
    );
    // Long past; whether it elapses again is not this check's to know.
    accepted(json!({ "schedule": { "frequency": "1999-01-01" } }));
}

#[test]
fn both_engines_serve_and_rsync_is_the_default() {
    let checked = check_config(br#"{"local": {"enable": true}}"#).unwrap();
    assert!(checked.config.local.use_rsync);
    accepted(json!({ "local": { "useRsync": true } }));
    accepted(json!({ "local": { "useRsync": false } }));
}

#[test]
fn warnings() {
    let proton = json!({ "protonDrive": { "enable": true } });
    let checked = check_config(&config(proton)).unwrap();
    assert_eq!(paths(&checked.warnings), ["protonDrive.enable"]);
    for (file, count) in [
        ("/run/backup.prom", 0),
        ("/run/backup.txt", 1),
        ("/run/prom", 1),
    ] {
        let config =
            json!({ "local": { "enable": true }, "monitoring": { "prometheusFile": file } });
        let checked = check_config(config.to_string().as_bytes()).unwrap();
        assert_eq!(checked.warnings.len(), count, "{file}");
    }
}

#[test]
fn patterns_that_look_like_something_else_are_warned_of() {
    let warned = |patterns: &[&str]| -> Vec<String> {
        let local = json!({ "enable": true, "sources": ["/home", "/srv/www"], "excludePatterns": patterns });
        let checked = check_config(&config(json!({ "local": local }))).unwrap();
        assert_eq!(checked.warnings, []);
        paths(&checked.remarks)
            .into_iter()
            .map(str::to_owned)
            .collect()
    };
    let odd = [
        "~/Downloads",
        "~",
        "$HOME/x",
        "${XDG_CACHE_HOME}",
        "*.{iso,img}",
        " x",
        "x ",
        "# caches",
        "!keep",
        "./x",
        "a/../b",
        "/home//x",
        // Sources, and what is above them.
        "/home",
        "/srv/",
        "/srv/www/",
    ];
    for pattern in odd {
        assert_eq!(
            warned(&[".cache", pattern]),
            ["local.excludePatterns[1]"],
            "{pattern}"
        );
    }
    let plain = [
        "file~",
        "~lock.*#",
        "a#",
        "US$",
        "{guid}",
        "a b",
        "...",
        "/home/*/x",
        "/homes",
        "/*",
    ];
    assert!(warned(&plain).is_empty());
}

#[test]
fn rules_run_beside_other_faults_and_are_silent_about_faulty_options() {
    let both = faults(json!({ "local": { "mountPoint": 1, "sources": ["/mnt", "/mnt"] } }));
    assert_eq!(paths(&both), ["local.mountPoint", "local.sources[1]"]);
    // The misspelt key was probably meant to be the one that the rule would complain about.
    let misspelt = faults(json!({
        "local": { "enable": false },
        "cloud": { "syncMode": "move", "enable": true, "provider": "custom", "remot": "s3:" }
    }));
    assert_eq!(paths(&misspelt), ["cloud.syncMode", "cloud.remot"]);
}

#[test]
fn cloud_copies_need_local_snapshots_only_to_give_their_space_back() {
    accepted(
        json!({ "local": { "enable": true }, "cloud": { "enable": true, "syncMode": "move" } }),
    );
    accepted(json!({ "local": { "enable": true }, "cloud": { "enable": true } }));
    for mode in ["copy", "sync"] {
        accepted(
            json!({ "local": { "enable": false }, "cloud": { "enable": true, "syncMode": mode } }),
        );
    }
}

#[test]
fn faults_come_in_the_order_of_the_document() {
    let text = br#"{"monitoring": {"maxAge": "0s"}, "x": 1, "local": {"keepDaily": -1,
        "enable": true, "sources": ["/a", "b"]}, "cloud": {"timeout": "0s"}}"#;
    assert_eq!(
        paths(&check_config(text).unwrap_err()),
        [
            "monitoring.maxAge",
            "x",
            "local.keepDaily",
            "local.sources[1]",
            "cloud.timeout"
        ]
    );
}

#[test]
fn a_hostile_file_has_an_end() {
    let items = vec!["[]"; 200_000].join(",");
    let faults =
        check_config(format!(r#"{{"local": {{"sources": [{items}]}}}}"#).as_bytes()).unwrap_err();
    assert_eq!(faults.len(), walk::MOST_FAULTS + 1);
    assert_eq!(faults[walk::MOST_FAULTS].path, "");
    let items = vec![r#""/home/ann""#; 100_000].join(",");
    let faults =
        check_config(format!(r#"{{"local": {{"sources": [{items}]}}}}"#).as_bytes()).unwrap_err();
    assert_eq!(faults.len(), walk::MOST_FAULTS + 1);
    for text in ["null", "[]", "3", "\"x\"", "true"] {
        let faults = check_config(text.as_bytes()).unwrap_err();
        assert_eq!(faults[0].problem, "wrong type", "{text}");
    }
}

#[test]
fn a_very_faulty_config_reads_well() {
    let text = r#"{
  "version": 1,
  "enable": true,
  "hostname": "../etc",
  "local": {
    "enable": true,
    "mount_point": "/mnt/usb",
    "keepDialy": 7,
    "keepWeekly": -4,
    "keepMonthly": 6.0,
    "weekStartsOn": "Sun",
    "minSpaceGB": "10",
    "minSpaceGB": 10,
    "sources": ["/home", "etc/nixos", "/home/ann"],
    "excludePatterns": ["*.tmp", ""]
  },
  "cloud": {
    "enable": "yes",
    "provider": "dropbox",
    "syncMode": "move",
    "maxDelete": "500%",
    "bandwidthLimit": "fast"
  },
  "protonDrive": { "secretName": "rclone-proton-config" },
  "schedule": { "frequency": "2025-13-*", "timeOfDay": "2:00", "randomDelay": "soon" },
  "notifications": {
    "enable": true,
    "email": { "to": "root" },
    "webhook": { "url": "hooks.example.org/\u001b[31m" }
  },
  "compression": "zstd"
}"#;
    insta::assert_snapshot!(render(&check_config(text.as_bytes()).unwrap_err()));
}

#[test]
fn paths_of_units_are_of_one_line() {
    for bad in [
        "/mnt/my\ndrive",
        "/mnt/my\tdrive",
        "/mnt/drive ",
        "/mnt/drive\\",
    ] {
        refused(
            json!({ "local": { "mountPoint": bad } }),
            "local.mountPoint: ",
        );
        refused(
            json!({ "monitoring": { "logPath": bad } }),
            "monitoring.logPath: ",
        );
    }
    refused(
        json!({ "hostname": "ash\nroot" }),
        "hostname: contains a control character",
    );
    accepted(json!({ "local": { "mountPoint": "/mnt/my drive; %i $x \"y\"" } }));
}
