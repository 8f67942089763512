//! What a bare Nix can tell: calendars, the names and defaults of options, config.json.

use std::collections::BTreeSet;

use planner::{
    calendar::{Calendar, schedule_expression},
    check,
    copies::{copies_lines, count_copies, find_gaps},
};
use schema::Config;
use serde_json::{Value, json};

use crate::lab::{Nix, schema};

/// Frequencies with all that can be in them.
const FREQUENCIES: [&str; 26] = [
    "daily",
    "weekly",
    "WEEKLY",
    "monthly",
    "quarterly",
    "semiannually",
    "semi-annually",
    "biannually",
    "yearly",
    "annually",
    "hourly",
    "minutely",
    "Mon,Wed,Fri",
    "Mon..Fri",
    "mon,sat,sun",
    "2025-*-1/2",
    "*-*-1/2",
    "*-*~3",
    "Sun 10:00",
    "10:00",
    "*:0/30",
    "Mon *-*-* 04:05:06",
    "daily Europe/Berlin",
    "Mon,Fri UTC",
    "*-*-1 Asia/Tokyo",
    "@1700000000",
];

#[test]
fn a_timer_elapses_when_the_program_thinks_that_a_backup_is_due() {
    let Some(nix) = Nix::find("a_timer_elapses_when_the_program_thinks_that_a_backup_is_due")
    else {
        return;
    };
    for time in ["02:00", "23:59"] {
        let expressions = nix.eval(
            "map (frequency: import ./nixos/calendar.nix {
               inherit frequency;
               inherit (data) timeOfDay;
             }) data.frequencies",
            &json!({ "frequencies": FREQUENCIES, "timeOfDay": time }),
        );
        let of_day = time.parse::<schema::config::TimeOfDay>().unwrap().time();
        for (frequency, expression) in FREQUENCIES.iter().zip(expressions.as_array().unwrap()) {
            let expected = schedule_expression(frequency, of_day).unwrap();
            let timer: Calendar = expression.as_str().unwrap().parse().unwrap();
            assert_eq!(timer, expected, "{frequency} at {time}: {expression}");
        }
    }
}

/// Options that only Nix knows, and keys that only JSON knows.
const NIX_ONLY: [&str; 8] = [
    "copies",
    "enable",
    "package",
    "extraArgs",
    "extraTools",
    "protonDrive.secretName",
    "timerConfig",
    "user",
];
const JSON_ONLY: [&str; 1] = ["version"];

/// The paths of all keys of the schema, a channel's included.
fn keys(at: &Value, path: &str, found: &mut BTreeSet<String>) {
    let root = schema();
    let at = match at["$ref"]
        .as_str()
        .or_else(|| at["anyOf"][0]["$ref"].as_str())
    {
        Some(target) => root.pointer(target.trim_start_matches('#')).unwrap(),
        None => at,
    };
    if let Some(target) = at["additionalProperties"]["$ref"].as_str() {
        let value = root.pointer(target.trim_start_matches('#')).unwrap();
        return keys(value, &format!("{path}.<name>"), found);
    }
    match at["properties"].as_object() {
        Some(properties) => {
            for (key, below) in properties {
                keys(
                    below,
                    format!("{path}.{key}").trim_start_matches('.'),
                    found,
                );
            }
        }
        None => {
            found.insert(path.to_owned());
        }
    }
}

/// The options as the recorder sees them: path to what was declared.
fn recorded(nix: &Nix) -> Value {
    nix.eval("import ./tests/nix/recorder.nix", &Value::Null)
}

#[test]
fn options_and_keys_have_the_same_names() {
    let Some(nix) = Nix::find("options_and_keys_have_the_same_names") else {
        return;
    };
    let options: BTreeSet<String> = recorded(&nix)
        .as_object()
        .unwrap()
        .keys()
        .cloned()
        .collect();
    let mut expected = BTreeSet::new();
    keys(&schema(), "", &mut expected);
    assert!(expected.len() > 50);
    for key in JSON_ONLY {
        assert!(expected.remove(key), "{key}");
    }
    expected.extend(NIX_ONLY.map(str::to_owned));
    assert_eq!(options, expected);
}

#[test]
fn every_option_is_described_and_has_an_example() {
    let Some(nix) = Nix::find("every_option_is_described_and_has_an_example") else {
        return;
    };
    for (path, option) in recorded(&nix).as_object().unwrap() {
        let text = option["description"].as_str().unwrap_or_default();
        assert!(text.len() > 10, "{path}: {text:?}");
        if path == "package" {
            continue;
        }
        assert_eq!(option["hasExample"], true, "{path} has no example");
        assert_ne!(Some(&option["example"]), option.get("default"), "{path}");
    }
}

#[test]
fn enums_are_those_of_the_schema() {
    let Some(nix) = Nix::find("enums_are_those_of_the_schema") else {
        return;
    };
    let root = schema();
    let options = recorded(&nix);
    let mut seen = 0;
    for (path, option) in options.as_object().unwrap() {
        let Some(values) = option["enum"].as_array() else {
            continue;
        };
        let (section, key) = path.rsplit_once('.').unwrap_or(("", path));
        let at = match root["properties"][section]["$ref"].as_str() {
            Some(target) => root.pointer(target.trim_start_matches('#')).unwrap(),
            None if section == "destinations.<name>" => &root["$defs"]["Destination"],
            None => &root,
        };
        let property = &at["properties"][key];
        // One that may be null is one of two.
        let target = property["$ref"].as_str();
        let target = target.or(property["anyOf"][0]["$ref"].as_str()).unwrap();
        let target = root.pointer(target.trim_start_matches('#')).unwrap();
        let allowed: Vec<Value> = match (target["enum"].as_array(), target["oneOf"].as_array()) {
            (Some(values), _) => values.clone(),
            (_, Some(values)) => values.iter().map(|value| value["const"].clone()).collect(),
            _ => panic!("{path}: {target}"),
        };
        assert_eq!(values, &allowed, "{path}");
        seen += 1;
    }
    assert_eq!(seen, 14);
}

#[test]
fn the_defaults_are_the_programs() {
    let Some(nix) = Nix::find("the_defaults_are_the_programs") else {
        return;
    };
    let mut cfg = json!({});
    // A channel's options stand below it; without them it is off.
    for channel in ["email", "ntfy", "webhook", "healthcheck"] {
        cfg["notifications"][channel] = Value::Null;
    }
    for (path, option) in recorded(&nix).as_object().unwrap() {
        let Some(default) = option.get("default") else {
            continue;
        };
        let (section, key) = path.split_once('.').unwrap_or(("", path));
        match section {
            // There is none by default.
            "destinations" => {}
            "" => cfg[key] = default.clone(),
            _ if key.contains('.') => {
                // Always there, as channels are not.
                if let Some(below) = key.strip_prefix("drill.") {
                    cfg[section]["drill"][below] = default.clone();
                }
            }
            _ => cfg[section][key] = default.clone(),
        }
    }
    let made = nix.eval("import ./nixos/config-json.nix { cfg = data; }", &cfg);
    assert_eq!(as_config(&made), Config::default());
    // Each key is written, none is left to a default that a later version might change.
    assert_eq!(made, serde_json::to_value(Config::default()).unwrap());
}

/// The configuration that the program makes of it.
fn as_config(value: &Value) -> Config {
    match check::check_config(value.to_string().as_bytes()) {
        Ok(checked) => checked.config,
        Err(faults) => panic!("{}", check::render(&faults)),
    }
}

#[test]
fn a_config_is_the_options_less_what_only_nix_knows() {
    let Some(nix) = Nix::find("a_config_is_the_options_less_what_only_nix_knows") else {
        return;
    };
    let cfg = json!({
        "enable": true,
        "package": "p",
        "extraArgs": ["-v"],
        "extraTools": ["t"],
        "timerConfig": { "AccuracySec": "1s" },
        "user": "backup",
        "hostname": "atlas",
        "preBackupScript": "lines",
        "postBackupScript": null,
        "cloud": { "enable": true, "configFile": null },
        "protonDrive": { "enable": true, "secretName": "s" },
    });
    let made = nix.eval(
        "import ./nixos/config-json.nix {
           cfg = data;
           preBackupScript = \"/nix/store/x-pre-backup\";
           configFile = \"/run/agenix/s\";
         }",
        &cfg,
    );
    assert_eq!(
        made,
        json!({
            "version": 1,
            "hostname": "atlas",
            "preBackupScript": "/nix/store/x-pre-backup",
            "postBackupScript": null,
            "cloud": { "enable": true, "configFile": "/run/agenix/s" },
            "protonDrive": { "enable": true },
        })
    );
}

#[test]
fn an_expression_that_the_module_refuses_never_elapses() {
    let Some(nix) = Nix::find("an_expression_that_the_module_refuses_never_elapses") else {
        return;
    };
    let never = [
        "*-02-30",
        "02-30 10:00",
        "Mon 2024-*-*",
        "2019,2021-*-1/2 02:00",
        "2020..2023-01-01",
        "2020..2023/2-*-*",
        "24-05-01 UTC",
        "*-2,4-31 Europe/Berlin",
        "@1600000000",
    ];
    let may = [
        "*-02-29",
        "2020/2-*-*",
        "2020,2200-01-01",
        "2020..2200-01-01",
        "*-2,3-31",
        "*-02~01",
        "*-*-31",
        "Mon..Fri America/Port-au-Prince",
        "*:0/30",
        "99999999999",
    ];
    let judged = |expressions: &[&str]| {
        nix.eval(
            "map (expression: import ./nixos/elapses.nix { inherit expression; year = 2025; }) data",
            &json!(expressions),
        )
    };
    assert_eq!(judged(&never), json!(vec![false; never.len()]));
    assert_eq!(judged(&may), json!(vec![true; may.len()]));
    assert_eq!(judged(&FREQUENCIES[..25]), json!(vec![true; 25]));
    let from = chrono::NaiveDate::from_ymd_opt(2025, 1, 1).unwrap();
    let from = from.and_hms_opt(0, 0, 0).unwrap();
    for expression in never {
        let calendar: Calendar = expression.parse().unwrap();
        assert_eq!(calendar.next_after(from), None, "{expression}");
    }
}

/// Configurations whose copies are counted, with every way to lack one.
fn counted() -> Vec<Value> {
    let remote = |expire: &str| json!({ "type": "remote", "remote": "b2:x", "expire": expire });
    let cloud = |mode: &str| json!({ "enable": true, "provider": "custom", "remote": "b2:y", "syncMode": mode });
    let disk = |more: Value| {
        let mut disk = json!({ "type": "disk", "mountPoint": "/mnt/usb" });
        disk.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        disk
    };
    let mut all = Vec::new();
    for policy in ["none", "3-2-1", "3-2-1-1-0"] {
        for whole in [
            json!({ "local": { "sources": [] } }),
            json!({ "local": { "enable": true, "sources": ["/home", "/etc"] } }),
            json!({ "local": { "enable": true }, "cloud": cloud("sync") }),
            json!({ "local": { "enable": true }, "cloud": cloud("move") }),
            json!({ "local": { "enable": true }, "destinations": { "b2": remote("here") } }),
            json!({ "local": { "enable": true }, "destinations": { "b2": remote("never") },
                "monitoring": { "drill": { "enable": true } } }),
            json!({ "local": { "enable": true }, "monitoring": { "enable": false }, "destinations": {
                "usb": disk(json!({ "offSite": true })), "off": disk(json!({ "enable": false })) } }),
            json!({ "local": { "enable": true }, "monitoring": { "verifySubset": null }, "destinations": {
                "photos": disk(json!({ "sources": ["/srv/photos", "/srv/films"] })),
                "letters": disk(json!({ "sources": ["/home/ann/letters"] })),
                "less": disk(json!({ "excludePatterns": ["*.mkv"] })),
                "b2": remote("never") } }),
        ] {
            let mut whole = whole;
            whole["policy"] = policy.into();
            all.push(whole);
        }
    }
    all
}

#[test]
fn copies_are_counted_as_the_program_counts_them() {
    let Some(nix) = Nix::find("copies_are_counted_as_the_program_counts_them") else {
        return;
    };
    let read = |whole: Value| serde_json::from_value::<Config>(whole).unwrap();
    let configs: Vec<Config> = counted().into_iter().map(read).collect();
    let said = nix.eval("map (import ./nixos/copies.nix) data", &json!(configs));
    for (config, said) in configs.iter().zip(said.as_array().unwrap()) {
        let lines = copies_lines(&count_copies(config), Default::default());
        assert_eq!(said["lines"], json!(lines), "{config:#?}");
        let problems = |gap: &Value| gap["problem"].clone();
        let said: Vec<Value> = said["gaps"]
            .as_array()
            .unwrap()
            .iter()
            .map(problems)
            .collect();
        let gaps: Vec<String> = find_gaps(config)
            .into_iter()
            .map(|gap| gap.problem)
            .collect();
        assert_eq!(json!(said), json!(gaps), "{config:#?}");
    }
}
