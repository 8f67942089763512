//! What the module makes of its options, held against the program by a bare Nix: the facts that units
//! depend on, and all that nixos/services.nix defines (bare-services.nix).

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use planner::{
    calendar::Calendar,
    units::{Facts, Layout, POWER_RULE, mount_unit, render_units},
};
use schema::{Config, Span};
use serde_json::{Value, json};
use test_support::is_missing;

use crate::{
    lab::{Nix, ROOT, examples},
    units::{IN_STORE, Lines, compare_units, program_units, spell_lines, verify_units},
};

/// Configurations with all that units depend on, in each way.
pub(crate) fn configs() -> Vec<Value> {
    let mut configs: Vec<Value> = examples()
        .iter()
        .map(|name| Path::new(ROOT).join("examples").join(name))
        .map(|folder| {
            serde_json::from_slice(&fs::read(folder.join("config.json")).unwrap()).unwrap()
        })
        .collect();
    for (local, cloud, schedule, monitoring) in [
        (
            json!({"enable": true, "mountPoint": "/mnt/my disk", "ifAbsent": "defer"}),
            json!({}),
            json!({"enable": true, "frequency": "Sat 12:00 Europe/Berlin", "randomDelay": "0"}),
            json!({"logPath": "/srv/log of 100% of \"backups\"", "prometheusFile": "/a b/c.prom", "drill": {"enable": true, "schedule": "Sat 03:00"}}),
        ),
        (
            json!({"enable": true, "requireMount": false, "sources": ["/var"]}),
            json!({"enable": true, "configFile": "/var/tmp/rclone.conf"}),
            json!({"enable": true, "onlyOnAC": false, "persistent": false}),
            json!({"enable": false, "logPath": "/tmp", "prometheusFile": "/backup.prom"}),
        ),
        (
            json!({"mountPoint": "/tmp/x", "requireMount": true}),
            json!({"enable": true}),
            json!({"frequency": "MONTHLY", "timeOfDay": "23:59"}),
            json!({"healthCheckInterval": "Mon..Fri 07:00", "logPath": "/var/log/a b/'c'", "drill": {"enable": true, "checks": ["/a", "service:b"]}}),
        ),
        (
            json!({"enable": true, "sources": ["/home", "/"], "mountPoint": "/", "readableByUsers": true}),
            json!({}),
            json!({"enable": true, "onlyOnAC": true}),
            json!({"logPath": "/var/log", "prometheusFile": null}),
        ),
    ] {
        configs.push(json!({
            "version": 1,
            "local": local,
            "cloud": cloud,
            "schedule": schedule,
            "monitoring": monitoring,
        }));
    }
    configs.push(json!({
        "version": 1,
        "local": {"sources": ["/home"], "optionalSources": ["/home"]},
        "schedule": {"enable": true, "randomDelay": "20m"},
        "monitoring": {},
        "destinations": {
            "nas": {"type": "disk", "mountPoint": "/mnt/the nas", "readableByUsers": true, "requireMount": false},
            "off": {"type": "disk", "mountPoint": "/mnt/off", "enable": false},
            "usb-2": {
                "type": "disk",
                "mountPoint": "/mnt/100% usb",
                "readableByUsers": true,
                "sources": ["/var/tmp/x"],
                "schedule": {"frequency": "Sat", "randomDelay": "5m", "onlyOnAC": false},
            },
            "b2": {
                "type": "remote",
                "remote": "b2:bucket",
                "configFile": "/tmp/rclone.conf",
                "schedule": {"frequency": "weekly"},
            },
            "away": {"type": "remote", "remote": "away:", "enable": false},
        },
    }));
    configs.push(json!({
        "version": 1,
        "local": {"enable": true},
        "schedule": {},
        "monitoring": {},
        "destinations": {"box": {"type": "remote", "remote": "box:"}},
    }));
    // As the options are: each key has a value.
    let whole = |config: Value| {
        let config: Config = serde_json::from_value(config).unwrap();
        serde_json::to_value(config).unwrap()
    };
    configs.into_iter().map(whole).collect()
}

/// What a Nix expression makes of each configuration, which it has as `one`.
pub(crate) fn made_of_each(nix: &Nix, configs: &[Value], expression: &str) -> Vec<Value> {
    let data: Vec<Value> = configs
        .iter()
        .map(|cfg| {
            let named = cfg["destinations"].as_object().into_iter().flatten();
            let named = named.map(|(_, one)| &one["mountPoint"]);
            let named = named.filter(|path| path.is_string());
            let paths = named.chain([&cfg["local"]["mountPoint"]]);
            let paths = paths.map(|path| path.as_str().unwrap().to_owned());
            let units: BTreeMap<String, String> = paths
                .map(|path| (path.clone(), mount_unit(&path)))
                .collect();
            json!({ "cfg": cfg, "mountUnits": units })
        })
        .collect();
    let made = nix.eval(&format!("map (one: {expression}) data"), &json!(data));
    made.as_array().unwrap().clone()
}

/// The facts that the module knows of each configuration.
fn nix_facts(nix: &Nix, configs: &[Value]) -> Vec<Value> {
    let expression = format!(
        "import ./nixos/unit-facts.nix {{
           inherit (one) cfg;
           mountUnit = path: one.mountUnits.${{path}};
           program = \"{IN_STORE} --config /etc/backup/config.json --as-unit\";
           inherit (one.cfg.cloud) configFile;
         }}"
    );
    made_of_each(nix, configs, &expression)
}

/// What the module defines for each configuration.
fn nix_definitions(nix: &Nix, configs: &[Value]) -> Vec<Value> {
    let package = IN_STORE.trim_end_matches("/bin/backup");
    let expression =
        format!("import ./tests/nix/bare-services.nix (one // {{ package = \"{package}\"; }})");
    made_of_each(nix, configs, &expression)
}

#[test]
fn the_module_knows_the_facts_that_the_program_knows() {
    let Some(nix) = Nix::find("the_module_knows_the_facts_that_the_program_knows") else {
        return;
    };
    let layout = Layout::of_root(IN_STORE);
    let configs = configs();
    let mut seen: BTreeMap<String, BTreeSet<bool>> = BTreeMap::new();
    for (json, module) in configs.iter().zip(nix_facts(&nix, &configs)) {
        let config: Config = serde_json::from_value(json.clone()).unwrap();
        let facts = Facts::from_config(&config, &layout);
        compare_facts(json, &facts, &module, &mut seen);
        let others = module["others"].as_object().unwrap();
        let mut names: Vec<String> = config.chains().iter().map(ToString::to_string).collect();
        names.sort();
        assert!(others.keys().eq(names.iter()), "{module:#}");
        for name in config.chains() {
            let facts = Facts::of_destination(&config, &name, &layout).unwrap();
            compare_facts(json, &facts, &others[name.as_str()], &mut seen);
        }
    }
    for (name, ways) in seen {
        // The module never has it otherwise.
        let expected = if name == "state.isInItsDefault" { 1 } else { 2 };
        assert_eq!(ways.len(), expected, "{name}");
    }
}

/// Fails where the module knows other facts than the program.
fn compare_facts(
    json: &Value,
    facts: &Facts,
    module: &Value,
    seen: &mut BTreeMap<String, BTreeSet<bool>>,
) {
    let micros = |text: &str| text.parse::<Span>().unwrap().as_micros();
    let names = module["conditions"].as_object().unwrap().keys();
    assert!(names.eq(facts.conditions.keys()), "{module:#}");
    for (name, holds) in &facts.conditions {
        seen.entry((*name).to_owned()).or_default().insert(*holds);
        // A delay of nothing is none.
        if *name != "schedule.isDelayed" {
            assert_eq!(module["conditions"][name], *holds, "{name}: {json:#}");
        }
    }
    for (name, text) in &facts.texts {
        let module = module["texts"][name].as_str().unwrap();
        let alike = match *name {
            "schedule" => module.parse::<Calendar>().unwrap() == text.parse().unwrap(),
            "randomDelay" => micros(module) == micros(text),
            _ => module == text,
        };
        assert!(alike, "{name}: {module} and {text}");
    }
    assert_eq!(module["lists"], json!(facts.lists), "{json:#}");
}

/// The lines of a unit as the module defines it.
fn module_lines(name: &str, unit: &Value) -> Lines {
    let kind = name.rsplit('.').next().unwrap();
    let about = [
        ("Unit", "Description", "description"),
        ("Unit", "Documentation", "documentation"),
        ("Unit", "Wants", "wants"),
        ("Unit", "After", "after"),
        ("Install", "WantedBy", "wantedBy"),
    ];
    let mut found: Vec<(String, &Value)> = about
        .iter()
        .map(|(section, key, option)| (format!("[{section}] {key}"), &unit[option]))
        .collect();
    let (section, option) = match kind {
        "service" => ("Service", "serviceConfig"),
        _ => ("Timer", "timerConfig"),
    };
    for (section, option) in [("Unit", "unitConfig"), (section, option)] {
        for (key, value) in unit[option].as_object().unwrap() {
            found.push((format!("[{section}] {key}"), value));
        }
    }
    let lines = found.into_iter().flat_map(|(place, value)| {
        let values = value
            .as_array()
            .cloned()
            .unwrap_or_else(|| vec![value.clone()]);
        values.into_iter().map(move |value| match value {
            Value::String(text) => format!("{place}={text}"),
            other => format!("{place}={other}"),
        })
    });
    spell_lines(lines)
}

/// The units that the module defines, by name.
pub(crate) fn module_units(defined: &Value) -> Vec<(String, Lines)> {
    let mut units: Vec<(String, Lines)> = Vec::new();
    for (kind, suffix) in [("services", "service"), ("timers", "timer")] {
        for (name, unit) in defined[kind].as_object().unwrap() {
            let name = format!("{name}.{suffix}");
            let lines = module_lines(&name, unit);
            units.push((name, lines));
        }
    }
    units.sort();
    units
}

#[test]
fn what_the_module_makes_of_the_programs_units_is_what_the_program_makes() {
    let test = "what_the_module_makes_of_the_programs_units_is_what_the_program_makes";
    let Some(nix) = Nix::find(test) else {
        return;
    };
    let configs = configs();
    for (json, defined) in configs.iter().zip(nix_definitions(&nix, &configs)) {
        let config: Config = serde_json::from_value(json.clone()).unwrap();
        compare_units("", &module_units(&defined), &program_units(&config));
        let units = render_units(&config, &Layout::of_root(IN_STORE));
        let rule = units.iter().find(|unit| unit.name == POWER_RULE);
        let rule = rule.map_or("", |rule| rule.text.lines().last().unwrap_or_default());
        assert_eq!(defined["udevRule"].as_str().unwrap().trim_end(), rule);
    }
}

#[test]
fn no_service_of_the_module_is_started_or_ended_by_a_rebuild() {
    let test = "no_service_of_the_module_is_started_or_ended_by_a_rebuild";
    let Some(nix) = Nix::find(test) else {
        return;
    };
    let configs = configs();
    for (json, defined) in configs.iter().zip(nix_definitions(&nix, &configs)) {
        let services = defined["services"].as_object().unwrap();
        assert!(services.contains_key("backup"), "{json:#}");
        let scheduled = json["schedule"]["enable"] == true;
        for (name, service) in services {
            for key in ["restartIfChanged", "stopIfChanged"] {
                assert_eq!(service[key], false, "{name}.{key}: {json:#}");
            }
            // Without a schedule nothing starts anything, at boot or when the disk appears.
            let wanted = service["wantedBy"].as_array().unwrap();
            assert!(scheduled || wanted.is_empty(), "{name}: {wanted:?}");
        }
        assert!(
            scheduled
                || !defined["timers"]
                    .as_object()
                    .unwrap()
                    .contains_key("backup"),
            "{json:#}"
        );
    }
}

#[test]
fn systemd_accepts_what_the_module_defines() {
    let test = "systemd_accepts_what_the_module_defines";
    let Some(nix) = Nix::find(test) else {
        return;
    };
    if is_missing(test, &["systemd-analyze"], false) {
        return;
    }
    let configs = configs();
    for (json, defined) in configs.iter().zip(nix_definitions(&nix, &configs)) {
        let units = module_units(&defined).into_iter();
        let units = units.map(|(name, lines)| (name, lines.into_iter().collect()));
        verify_units(&json.to_string(), units);
    }
}
