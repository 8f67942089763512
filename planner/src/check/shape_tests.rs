use serde_json::{Value, json};

use super::{
    tests::{accepted, faults, paths, refused},
    *,
};

#[test]
fn types() {
    let keep = |value: Value| json!({ "local": { "keepDaily": value } });
    refused(
        keep(json!("7")),
        "local.keepDaily: wrong type, found \"7\" expected: a whole number of 0 or more \
         hint: write 7 without quotes",
    );
    refused(
        keep(json!(7.0)),
        "found 7.0 expected: a whole number of 0 or more hint: write 7,",
    );
    refused(
        keep(json!(-1)),
        "out of range, found -1 expected: a whole number of 0 or more",
    );
    refused(
        keep(json!(1u64 << 32)),
        "expected: a whole number from 0 to 4294967295",
    );
    refused(
        keep(json!(null)),
        "hint: leave the key out for the default, 7",
    );
    refused(
        json!({ "local": { "enable": "true" } }),
        "hint: write true without quotes",
    );
    refused(
        json!({ "local": { "sources": "/x" } }),
        "hint: put it in brackets: [\"/x\"]",
    );
    refused(
        json!({ "local": { "sources": ["/x", 3] } }),
        "local.sources[1]: wrong type, found 3",
    );
    refused(
        json!({ "local": null }),
        "local: wrong type, found null expected: an object",
    );
    refused(
        json!({ "local": { "mountPoint": "~/b" } }),
        "`~` and variables are not replaced",
    );
    refused(
        json!({ "local": { "sources": ["x"] } }),
        "local.sources[0]: not valid",
    );
    refused(
        json!({ "schedule": { "timeOfDay": "25:00" } }),
        "from 00:00 to 23:59",
    );
    refused(
        json!({ "cloud": { "maxDelete": -5 } }),
        "cloud.maxDelete: out of range",
    );
    accepted(json!({ "cloud": { "maxDelete": 5 } }));
}

#[test]
fn a_number_with_an_exponent_is_not_a_whole_number() {
    let faults = check_config(br#"{"local": {"keepDaily": 1e1}}"#).unwrap_err();
    assert_eq!(
        faults[0].hint.as_deref(),
        Some("write 10, without a point or an exponent")
    );
}

#[test]
fn enum_values() {
    refused(
        json!({ "local": { "weekStartsOn": "Sunday" } }),
        "unknown value, found \"Sunday\" expected: one of \"sunday\", \"monday\",",
    );
    refused(
        json!({ "cloud": { "provider": "ProtonDrive" } }),
        "did you mean `proton-drive`?",
    );
    refused(
        json!({ "onPreBackupFailure": 1 }),
        "onPreBackupFailure: wrong type",
    );
}

#[test]
fn unknown_missing_and_repeated_keys() {
    refused(
        json!({ "local": { "keepDialy": 7 } }),
        "local.keepDialy: unknown key, found 7 expected: one of enable, mountPoint, \
         requireMount, fileSystemUUID, … did you mean `local.keepDaily`?",
    );
    refused(
        json!({ "keep_daily": 7 }),
        "did you mean `local.keepDaily`?",
    );
    let missing = faults(json!({ "notifications": { "email": { "to": "a@b" } } }));
    assert_eq!(paths(&missing), ["notifications.email.from"]);
    let text = br#"{"local": {"keepDaily": 7, "keepDaily": 8}, "x": [{"y": 1, "y": 1}]}"#;
    let faults = check_config(text).unwrap_err();
    assert_eq!(paths(&faults), ["local.keepDaily", "x", "x[0].y"]);
    assert_eq!(faults[0].problem, "key given twice");
}

#[test]
fn nixos_options_that_are_not_keys_of_the_file() {
    for key in ["enable", "package", "extraTools"] {
        refused(json!({ key: true }), "is a NixOS option only");
    }
    refused(
        json!({ "protonDrive": { "secretName": "x" } }),
        "set `cloud.configFile`",
    );
}

#[test]
fn the_version() {
    refused(
        json!({ "version": 2 }),
        "a newer program may have written this file",
    );
    refused(
        json!({ "version": "1" }),
        "version: not a known version, found \"1\"",
    );
    refused(
        json!({ "version": 0 }),
        "expected: 1, the only version that this program knows",
    );
}
