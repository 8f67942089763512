//! Types: what an option takes is what the program takes, and nothing else.

use planner::check;
use schema::Config;
use serde_json::{Value, json};

use crate::lab::Nix;

/// Values that are good, by option.
fn good() -> Vec<(&'static str, Value)> {
    let mut all = Vec::new();
    let mut add = |path, values: &[Value]| all.extend(values.iter().map(|v| (path, v.clone())));
    add("local.enable", &[json!(true)]);
    add(
        "local.mountPoint",
        &[
            json!("/mnt/a b"),
            json!("/mnt/x/"),
            json!("/mnt/.hidden"),
            json!("/a/..."),
        ],
    );
    add(
        "local.sources",
        &[json!(["/home", "/srv/ä"]), json!(["/home/ann/letter.txt"])],
    );
    add(
        "local.fileSystemUUID",
        &[
            json!(null),
            json!("0a3407de-014b-458b-b5c1-848e92a327a3"),
            json!("AB12-CD34"),
        ],
    );
    add("local.ifAbsent", &[json!("fail"), json!("defer")]);
    add("local.keepDaily", &[json!(0), json!(4_294_967_295_u32)]);
    add("local.weekStartsOn", &[json!("saturday")]);
    add(
        "local.excludePatterns",
        &[json!([]), json!(["/a/**/b", "*.[ch]"])],
    );
    add(
        "cloud.maxDelete",
        &[json!("100%"), json!("0%"), json!(7), json!("12")],
    );
    add(
        "cloud.bandwidthLimit",
        &[
            json!("10M"),
            json!("off"),
            json!("512k:1M"),
            json!("08:00,512k 19:00,off"),
            json!("Mon-08:00,1.5M"),
        ],
    );
    add("cloud.remotePath", &[json!(""), json!("a/b..c")]);
    add(
        "cloud.timeout",
        &[
            json!("90"),
            json!("1h 30min"),
            json!("1.5d"),
            json!("2weeks"),
            json!("500ms"),
            json!("+5 s"),
            json!("1h30m"),
            json!(".5h"),
            json!("1 2"),
            json!("1 month"),
        ],
    );
    add(
        "cloud.configFile",
        &[json!("/etc/rclone-proton.conf"), json!(null)],
    );
    add("schedule.timeOfDay", &[json!("00:00"), json!("23:59")]);
    add("schedule.randomDelay", &[json!("0"), json!("1h")]);
    add(
        "schedule.frequency",
        &[json!("daily"), json!("Mon,Wed,Fri"), json!("2025-*-1/2")],
    );
    add(
        "monitoring.verifySubset",
        &[json!("1/1"), json!("30/30"), json!(null), json!("007/30")],
    );
    add("monitoring.maxAge", &[json!(null), json!("3d")]);
    add("monitoring.logPath", &[json!("/var/log/backups")]);
    add(
        "monitoring.drill.checks",
        &[
            json!([]),
            json!([
                "/etc/check",
                "service:postgresql@15-main",
                "service:a.service"
            ]),
        ],
    );
    add("monitoring.drill.timeout", &[json!("1h")]);
    add(
        "notifications.email",
        &[json!({"to": "ann@example.org", "from": "a@b"})],
    );
    add(
        "notifications.ntfy",
        &[json!({"url": "https://ntfy.sh", "topic": "a_b-C9"})],
    );
    add(
        "notifications.webhook",
        &[
            json!({"url": "http://localhost:8080/x?y=z", "headersFile": "/run/h"}),
            json!({"url": "https://[::1]:443/a@b/[c]^_~{d}!$&'()*+,;=%20"}),
            json!({"url": "https://example.org?x"}),
        ],
    );
    add(
        "notifications.healthcheck",
        &[json!({"url": "https://hc-ping.com/x"})],
    );
    add("notifications.command", &[json!("/usr/bin/tell")]);
    add("onPreBackupFailure", &[json!("warn")]);
    add(
        "hostname",
        &[
            json!("atlas.example.org"),
            json!("the laptop"),
            json!("x".repeat(255)),
            json!(null),
        ],
    );
    add("preBackupTimeout", &[json!("10m")]);
    all
}

/// Values that are not.
fn bad() -> Vec<(&'static str, Value)> {
    let mut all = Vec::new();
    let mut add = |path, values: &[Value]| all.extend(values.iter().map(|v| (path, v.clone())));
    add("local.enable", &[json!("yes"), json!(1), json!(null)]);
    add(
        "local.mountPoint",
        &[
            json!("mnt"),
            json!(""),
            json!("/mnt/../etc"),
            json!("/mnt/."),
            json!("~/x"),
            json!(null),
        ],
    );
    add(
        "local.sources",
        &[json!(["home"]), json!("/home"), json!(["/home", "/a/./b"])],
    );
    add(
        "local.fileSystemUUID",
        &[json!("root"), json!("-"), json!("")],
    );
    add("local.ifAbsent", &[json!("ignore"), json!(null)]);
    add(
        "local.keepDaily",
        &[json!(-1), json!(4_294_967_296_u64), json!("7"), json!(1.5)],
    );
    add("local.weekStartsOn", &[json!("Sunday"), json!("sun")]);
    add("local.excludePatterns", &[json!("*.tmp"), json!([1])]);
    add("cloud.provider", &[json!("dropbox")]);
    add("cloud.syncMode", &[json!("mirror")]);
    add(
        "cloud.maxDelete",
        &[
            json!("101%"),
            json!("-1"),
            json!(-1),
            json!("5 %"),
            json!("%"),
        ],
    );
    add(
        "cloud.bandwidthLimit",
        &[json!("fast"), json!(""), json!("10M,5"), json!("1:2:3")],
    );
    add("cloud.remotePath", &[json!("../x"), json!("a/../b")]);
    add(
        "cloud.timeout",
        &[
            json!("infinity"),
            json!("-1h"),
            json!("1 fortnight"),
            json!(""),
            json!("1h nonsense"),
            json!("1..5h"),
        ],
    );
    add("cloud.configFile", &[json!("rclone.conf")]);
    add(
        "schedule.timeOfDay",
        &[
            json!("24:00"),
            json!("2:00"),
            json!("02:60"),
            json!("02:00:00"),
        ],
    );
    add("schedule.frequency", &[json!(""), json!(5)]);
    add(
        "monitoring.verifySubset",
        &[
            json!("0/3"),
            json!("4/3"),
            json!("1"),
            json!("1/0"),
            json!("a/b"),
        ],
    );
    add("monitoring.maxAge", &[json!("old")]);
    add(
        "monitoring.drill.checks",
        &[
            json!(["check"]),
            json!("/etc/check"),
            json!(["service:"]),
            json!(["service:a b"]),
            json!(["service:-a"]),
            json!(["service:a.timer"]),
            json!(["service:a@"]),
        ],
    );
    add(
        "notifications.email",
        &[
            json!("ann@example.org"),
            json!({"to": "ann@example.org"}),
            json!({"to": "-x@y", "from": "a@b"}),
            json!({"to": "a@b\nBcc: c@d", "from": "a@b"}),
            json!({"to": "ann", "from": "a@b"}),
            json!({"to": "a@b,c@d", "from": "a@b"}),
            json!({"to": "Ann <a@b>", "from": "a@b"}),
        ],
    );
    add(
        "notifications.ntfy",
        &[
            json!({"url": "https://ntfy.sh", "topic": "x".repeat(65)}),
            json!({"url": "ntfy.sh", "topic": "x"}),
            json!({"url": "https://ntfy.sh", "topic": "a/b"}),
        ],
    );
    add(
        "notifications.webhook",
        &[
            json!({"url": "ftp://x"}),
            json!({"url": "https://a b"}),
            json!({"url": "https://ann:secret@example.org/"}),
            json!({"url": "https://example.org/#part"}),
            json!({"url": "https://example.org:0/"}),
            json!({"url": "https://exämple.org/"}),
            json!({"url": "https://x", "secret": "y"}),
        ],
    );
    add("notifications.healthcheck", &[json!({"url": "https:///"})]);
    add("onPreBackupFailure", &[json!("ignore")]);
    add(
        "hostname",
        &[
            json!(""),
            json!("../etc"),
            json!(".hidden"),
            json!("a\nb"),
            json!("x".repeat(256)),
        ],
    );
    add("preBackupTimeout", &[json!("soon")]);
    all
}

/// Whether the program finds nothing wrong with the option itself.
fn program_takes(path: &str, value: &Value) -> bool {
    let mut config = json!({});
    let parts = path.split('.');
    *parts.fold(&mut config, |at, part| &mut at[part]) = value.clone();
    match check::check_config(config.to_string().as_bytes()) {
        Ok(_) => true,
        Err(faults) => !faults.iter().any(|fault| fault.path.starts_with(path)),
    }
}

#[test]
fn an_option_takes_what_the_program_takes_and_nothing_else() {
    let Some((nix, nixpkgs)) =
        Nix::with_lib("an_option_takes_what_the_program_takes_and_nothing_else")
    else {
        return;
    };
    let mut cases: Vec<(&str, Value, bool)> = Vec::new();
    cases.extend(good().into_iter().map(|(path, value)| (path, value, true)));
    cases.extend(bad().into_iter().map(|(path, value)| (path, value, false)));
    let data: Vec<Value> = cases
        .iter()
        .map(|(path, value, _)| json!({ "path": path.split('.').collect::<Vec<_>>(), "value": value }))
        .collect();
    // Outside of the list, so that a mistake in the harness does not look like a refusal.
    let taken = nix.eval(
        &format!(
            "let lib = import {lib}; evaluate = backup: {bare}; in
             builtins.seq (evaluate {{ }}).config.hwc.system.services.backup.local.enable (map (case:
               let found = lib.getAttrFromPath case.path
                 (evaluate (lib.setAttrByPath case.path case.value)).config.hwc.system.services.backup;
               in (builtins.tryEval (builtins.deepSeq found true)).success) data)",
            lib = nixpkgs.lib_literal(),
            bare = nixpkgs.import("bare", "inherit backup;"),
        ),
        &json!(data),
    );
    for ((path, value, expected), taken) in cases.iter().zip(taken.as_array().unwrap()) {
        assert_eq!(*taken, json!(expected), "the option {path} = {value}");
        assert_eq!(
            program_takes(path, value),
            *expected,
            "the program, {path}: {value}"
        );
    }
}

#[test]
fn a_secret_in_the_store_is_refused() {
    let Some((nix, nixpkgs)) = Nix::with_lib("a_secret_in_the_store_is_refused") else {
        return;
    };
    let evaluate = |backup: &str| {
        let bare = nixpkgs.import("bare", &format!("backup = {backup};"));
        nix.try_eval(
            &format!(
                "let backup = {bare}.config.hwc.system.services.backup; in
                 builtins.deepSeq backup.notifications backup.cloud.configFile"
            ),
            &Value::Null,
        )
    };
    let error = evaluate("{ cloud.configFile = \"/nix/store/abc-rclone.conf\"; }").unwrap_err();
    assert!(error.contains("cloud.configFile"), "{error}");
    assert!(error.contains("outside of the Nix store"), "{error}");
    for given in [
        "{ webhook.urlFile = file; }",
        "{ webhook = { url = \"https://a\"; headersFile = file; }; }",
        "{ healthcheck.urlFile = file; }",
        "{ ntfy = { url = \"https://ntfy.sh\"; topicFile = file; }; }",
    ] {
        let error = evaluate(&format!(
            "let file = \"/nix/store/abc-secret\"; in {{ notifications = {given}; }}"
        ));
        let error = error.unwrap_err();
        assert!(error.contains("outside of the Nix store"), "{error}");
    }
    // A path literal stays where it is, instead of being copied to the store.
    let path = evaluate("{ cloud.configFile = /etc/rclone-proton.conf; }").unwrap();
    assert_eq!(path, json!("/etc/rclone-proton.conf"));
}

#[test]
fn a_path_has_one_spelling() {
    let Some((nix, nixpkgs)) = Nix::with_lib("a_path_has_one_spelling") else {
        return;
    };
    let bare = nixpkgs.import(
        "bare",
        "backup.local = { mountPoint = \"/mnt//backup/\"; sources = [ \"/\" \"/home/\" /etc/nixos ]; };",
    );
    let found = nix.eval(
        &format!(
            "{{ inherit ({bare}.config.hwc.system.services.backup.local) mountPoint sources; }}"
        ),
        &Value::Null,
    );
    assert_eq!(
        found,
        json!({ "mountPoint": "/mnt/backup", "sources": ["/", "/home", "/etc/nixos"] })
    );
}

#[test]
fn the_defaults_under_a_real_lib_are_the_programs() {
    let Some((nix, nixpkgs)) = Nix::with_lib("the_defaults_under_a_real_lib_are_the_programs")
    else {
        return;
    };
    let bare = nixpkgs.import("bare", "");
    let made = nix.eval(
        &format!(
            "let cfg = {bare}.config.hwc.system.services.backup; in
             import ./nixos/config-json.nix {{ cfg = removeAttrs cfg [ \"package\" ]; }}"
        ),
        &Value::Null,
    );
    assert_eq!(made, serde_json::to_value(Config::default()).unwrap());
}

#[test]
fn a_misspelt_option_is_an_error() {
    let Some((nix, nixpkgs)) = Nix::with_lib("a_misspelt_option_is_an_error") else {
        return;
    };
    let bare = nixpkgs.import("bare", "backup = { local.keepDialy = 7; };");
    let error = nix
        .try_eval(
            &format!("{bare}.config.hwc.system.services.backup.local.enable"),
            &Value::Null,
        )
        .unwrap_err();
    assert!(error.contains("keepDialy"), "{error}");
}

#[test]
fn the_options_render_as_documentation() {
    let Some((nix, nixpkgs)) = Nix::with_lib("the_options_render_as_documentation") else {
        return;
    };
    let docs = nix.eval(
        &format!(
            "let
               lib = import {};
               inherit ({}) options;
               ours = builtins.filter (option: option.visible && !option.internal && lib.hasPrefix \"hwc.\" option.name)
                 (lib.optionAttrSetToDocList options);
             in map (option: removeAttrs option [ \"declarations\" \"loc\" ]) ours",
            nixpkgs.lib_literal(),
            nixpkgs.import("bare", "")
        ),
        &Value::Null,
    );
    let docs = docs.as_array().unwrap();
    assert!(docs.len() > 55, "{}", docs.len());
    for option in docs {
        let name = option["name"].as_str().unwrap();
        assert!(option["description"].as_str().unwrap().len() > 10, "{name}");
        // The words of an error message; without them it would be "unspecified".
        let of_type = option["type"].as_str().unwrap();
        assert!(
            !of_type.is_empty() && of_type != "unspecified",
            "{name}: {of_type}"
        );
    }
}
