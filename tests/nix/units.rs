//! The units that NixOS renders are those that `backup systemd-units` prints.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process::Command,
};

use planner::{
    calendar::Calendar,
    units::{Facts, Layout, POWER_RULE, mount_unit, render_units, templates_as_json},
};
use schema::{Config, Span};
use serde_json::{Value, json};

use crate::{
    golden::{evaluated, lines},
    lab::{Nix, PROGRAM, ROOT, examples, skip},
};

/// Where the program is, once hashes are gone.
const IN_STORE: &str = "/nix/store/backup-0/bin/backup";

/// Lines as `[Section] key=value`, in one spelling and in no order.
type Lines = BTreeSet<String>;

/// Lines with their values as they are to be compared.
fn spell_lines(lines: impl IntoIterator<Item = String>) -> Lines {
    let lines = lines.into_iter().flat_map(|line| {
        let (place, value) = line.split_once('=').unwrap();
        let key = place.split_once(' ').unwrap().1;
        let values = spell_value(key, value).into_iter();
        values
            .map(|value| format!("{place}={value}"))
            .collect::<Vec<_>>()
    });
    lines.filter(|line| !line.starts_with("[NixOS]")).collect()
}

/// The lines of one unit of a system.
fn unit_lines(unit: &Value) -> Vec<String> {
    serde_json::from_value(unit["lines"].clone()).unwrap()
}

/// A value in one spelling of several that systemd reads alike; a list as its members.
fn spell_value(key: &str, value: &str) -> Vec<String> {
    let one = match key {
        "OnCalendar" => value.parse::<Calendar>().unwrap().normalized(),
        // A delay of nothing is none.
        "RandomizedDelaySec" => match value.parse::<Span>().unwrap().as_micros() {
            0 => return Vec::new(),
            delay => format!("{delay}us"),
        },
        "After" | "Wants" | "PropagatesStopTo" => {
            return value.split(' ').map(str::to_owned).collect();
        }
        _ => match value {
            "true" => "yes".to_owned(),
            "false" => "no".to_owned(),
            _ => value.to_owned(),
        },
    };
    vec![one]
}

/// The units of one system as NixOS has them, by name.
fn nixos_units(system: &Value) -> Vec<(String, Lines)> {
    let units = system["units"].as_object().unwrap().iter();
    let mut units: Vec<(String, Lines)> = units
        .map(|(name, unit)| {
            let mut found = spell_lines(unit_lines(unit));
            // NixOS makes the links itself that `systemctl enable` would make.
            for wanted in unit["wantedBy"].as_array().unwrap() {
                found.insert(format!("[Install] WantedBy={}", wanted.as_str().unwrap()));
            }
            (name.clone(), found)
        })
        .collect();
    units.sort();
    units
}

/// And as the program prints them for the same configuration.
fn program_units(config: &Config) -> Vec<(String, Lines)> {
    let mut units: Vec<(String, Lines)> = render_units(config, &Layout::of_root(IN_STORE))
        .into_iter()
        .filter(|unit| unit.name != POWER_RULE)
        .map(|unit| (unit.name.to_owned(), spell_lines(lines(&unit.text))))
        .collect();
    units.sort();
    units
}

fn config(system: &Value) -> Config {
    serde_json::from_value(system["config"].clone()).unwrap()
}

/// The data that the module reads is the program's; `BLESS=1` writes it.
#[test]
fn the_module_reads_the_programs_units() {
    let path = Path::new(ROOT).join("nixos/units.json");
    let text = templates_as_json();
    if std::env::var_os("BLESS").is_some() {
        fs::write(&path, &text).unwrap();
    }
    let there = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        there == text,
        "{} is stale\nhint: BLESS=1 cargo test --test nix units, then look at the difference",
        path.display()
    );
}

/// Configurations with all that units depend on, in each way.
fn configs() -> Vec<Value> {
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
            json!({"logPath": "/srv/log of 100% of \"backups\"", "prometheusFile": "/a b/c.prom"}),
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
            json!({"healthCheckInterval": "Mon..Fri 07:00", "logPath": "/var/log/a b/'c'"}),
        ),
        (
            json!({"enable": true, "sources": ["/home", "/"], "mountPoint": "/"}),
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
    // As the options are: each key has a value.
    let whole = |config: Value| {
        let config: Config = serde_json::from_value(config).unwrap();
        serde_json::to_value(config).unwrap()
    };
    configs.into_iter().map(whole).collect()
}

/// The facts and units that the module makes of each, without NixOS.
fn made_by_the_module(nix: &Nix, configs: &[Value]) -> Vec<Value> {
    let program = format!("{IN_STORE} --config /etc/backup/config.json");
    let data: Vec<Value> = configs
        .iter()
        .map(|cfg| {
            let mount_point = cfg["local"]["mountPoint"].as_str().unwrap();
            json!({ "cfg": cfg, "mountUnit": mount_unit(mount_point), "program": program })
        })
        .collect();
    let made = nix.eval(
        "map (one: let
           facts = import ./nixos/unit-facts.nix (one // { inherit (one.cfg.cloud) configFile; });
         in { inherit facts; units = import ./nixos/units.nix { inherit facts; }; }) data",
        &Value::Array(data),
    );
    made.as_array().unwrap().clone()
}

#[test]
fn the_module_knows_the_facts_that_the_program_knows() {
    let Some(nix) = Nix::find("the_module_knows_the_facts_that_the_program_knows") else {
        return;
    };
    let micros = |text: &str| text.parse::<Span>().unwrap().as_micros();
    let configs = configs();
    let mut seen: BTreeMap<String, BTreeSet<bool>> = BTreeMap::new();
    for (json, made) in configs.iter().zip(made_by_the_module(&nix, &configs)) {
        let config: Config = serde_json::from_value(json.clone()).unwrap();
        let facts = Facts::from_config(&config, &Layout::of_root(IN_STORE));
        let module = &made["facts"];
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
    }
    for (name, ways) in seen {
        // The module never has it otherwise.
        let expected = if name == "state.isInItsDefault" { 1 } else { 2 };
        assert_eq!(ways.len(), expected, "{name}");
    }
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

#[test]
fn what_the_module_makes_of_the_programs_units_is_what_the_program_makes() {
    let test = "what_the_module_makes_of_the_programs_units_is_what_the_program_makes";
    let Some(nix) = Nix::find(test) else {
        return;
    };
    let configs = configs();
    for (json, made) in configs.iter().zip(made_by_the_module(&nix, &configs)) {
        let config: Config = serde_json::from_value(json.clone()).unwrap();
        let mut module: Vec<(String, Lines)> = Vec::new();
        for (kind, suffix) in [("services", "service"), ("timers", "timer")] {
            let there = made["units"][kind].as_object().unwrap().iter();
            for (name, found) in there.filter(|(_, found)| found["exists"] == true) {
                let name = format!("{name}.{suffix}");
                let lines = module_lines(&name, &found["unit"]);
                module.push((name, lines));
            }
        }
        module.sort();
        compare_units("", &module, &program_units(&config));
        let units = render_units(&config, &Layout::of_root(IN_STORE));
        let rule = units.iter().find(|unit| unit.name == POWER_RULE);
        let rule = rule.map_or("", |rule| rule.text.lines().last().unwrap_or_default());
        assert_eq!(made["units"]["udevRule"].as_str().unwrap().trim_end(), rule);
    }
}

/// Fails where the module's units are not the program's.
fn compare_units(system: &str, module: &[(String, Lines)], program: &[(String, Lines)]) {
    let names = |units: &[(String, Lines)]| -> Vec<String> {
        units.iter().map(|(name, _)| name.clone()).collect()
    };
    assert_eq!(names(module), names(program), "{system}");
    for ((unit, module), (_, program)) in module.iter().zip(program) {
        let module_only: Vec<_> = module.difference(program).collect();
        let program_only: Vec<_> = program.difference(module).collect();
        assert!(
            module_only.is_empty() && program_only.is_empty(),
            "{system}, {unit}: only in the module {module_only:#?}, only in the program {program_only:#?}"
        );
    }
}

#[test]
fn the_module_has_the_units_that_the_program_prints() {
    let Some(systems) = evaluated("the_module_has_the_units_that_the_program_prints") else {
        return;
    };
    assert!(systems.len() >= 9, "{:?}", systems.keys());
    for (name, system) in systems {
        let (nixos, program) = (nixos_units(&system), program_units(&config(&system)));
        compare_units(&name, &nixos, &program);
    }
}

#[test]
fn the_rule_that_notices_power_is_the_same() {
    let Some(systems) = evaluated("the_rule_that_notices_power_is_the_same") else {
        return;
    };
    let mut seen = BTreeSet::new();
    for (name, system) in systems {
        let units = render_units(&config(&system), &Layout::of_root(IN_STORE));
        let rule = units.iter().find(|unit| unit.name == POWER_RULE);
        let rule = rule.map(|rule| rule.text.lines().filter(|line| !line.starts_with('#')));
        let program: Vec<&str> = rule.into_iter().flatten().collect();
        let nixos: Vec<&str> = system["udev"].as_str().unwrap().lines().collect();
        assert_eq!(nixos, program, "{name}");
        seen.insert(nixos.len());
    }
    assert_eq!(seen, BTreeSet::from([0, 1]), "with and without");
}

#[test]
fn a_rebuild_neither_starts_nor_ends_a_backup() {
    let Some(systems) = evaluated("a_rebuild_neither_starts_nor_ends_a_backup") else {
        return;
    };
    for (name, system) in &systems {
        for (unit, of) in system["units"].as_object().unwrap() {
            let lines = unit_lines(of);
            for key in ["X-RestartIfChanged", "X-StopIfChanged"] {
                let line = format!("[NixOS] {key}=false");
                let is_there = lines.contains(&line) || !unit.ends_with(".service");
                assert!(is_there, "{name}, {unit}: {line}");
            }
        }
    }
    // Without a schedule nothing starts anything, at boot or when the disk appears.
    let by_hand = &systems["by-hand"]["units"];
    assert!(by_hand.as_object().unwrap().contains_key("backup.service"));
    for (unit, of) in by_hand.as_object().unwrap() {
        assert!(unit.ends_with(".service"), "{unit}");
        assert_eq!(of["wantedBy"], Value::Array(vec![]), "{unit}");
    }
}

/// A unit file of its lines.
fn text(lines: &[String]) -> String {
    let mut text = String::new();
    for line in lines.iter().filter(|line| !line.starts_with("[NixOS]")) {
        let (section, line) = line.split_once("] ").unwrap();
        text.push_str(&format!("{section}]\n{line}\n"));
    }
    text
}

#[test]
fn systemd_accepts_the_modules_units() {
    let Some(systems) = evaluated("systemd_accepts_the_modules_units") else {
        return;
    };
    let path = std::env::var_os("PATH").unwrap_or_default();
    if !std::env::split_paths(&path).any(|folder| folder.join("systemd-analyze").exists()) {
        assert!(
            std::env::var_os("CI").is_none(),
            "systemd-analyze is not installed"
        );
        skip(
            "systemd_accepts_the_modules_units",
            "systemd-analyze is not installed",
        );
        return;
    }
    for (name, system) in systems {
        let folder = tempfile::tempdir().unwrap();
        let mut files = Vec::new();
        for (unit, of) in system["units"].as_object().unwrap() {
            // It looks whether what a unit starts is there.
            let text = text(&unit_lines(of)).replace(IN_STORE, PROGRAM);
            let file = folder.path().join(unit);
            fs::write(&file, text).unwrap();
            files.push(file);
        }
        let out = Command::new("systemd-analyze")
            .args(["verify", "--man=no", "--recursive-errors=no"])
            .args(&files)
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.success(), "{name}: {told}");
        let about = |line: &&str| line.contains(Path::new(folder.path()).to_str().unwrap());
        let ours: Vec<&str> = told.lines().filter(about).collect();
        assert_eq!(ours, [""; 0], "{name}");
    }
}

#[test]
fn a_system_overrides_values_and_adds_to_lists() {
    let Some((nix, nixpkgs)) = Nix::with_nixos("a_system_overrides_values_and_adds_to_lists")
    else {
        return;
    };
    let system = nixpkgs.import(
        "system",
        "modules = [ ./examples/laptop/config.nix {
           systemd.services.backup-local.serviceConfig = {
             Nice = 0;
             IOSchedulingClass = \"best-effort\";
             ReadWritePaths = [ \"/srv/more\" ];
           };
           systemd.services.backup-local.after = [ \"docker.service\" ];
           systemd.timers.backup.timerConfig.AccuracySec = \"1h\";
         } ];",
    );
    let units = nix.eval(&format!("{system}.report.units"), &Value::Null);
    let of = |name: &str| lines(units[name]["text"].as_str().unwrap());
    let local = of("backup-local.service");
    let has = |line: &str| local.iter().any(|one| one == line);
    assert!(
        has("[Service] Nice=0") && !has("[Service] Nice=10"),
        "{local:#?}"
    );
    assert!(has("[Service] IOSchedulingClass=best-effort"), "{local:#?}");
    assert!(has("[Service] ReadWritePaths=/srv/more"), "{local:#?}");
    assert!(has("[Service] ReadWritePaths=-/mnt/backup"), "{local:#?}");
    let after = local.iter().find(|line| line.starts_with("[Unit] After="));
    assert!(after.is_some_and(|after| after.contains("docker.service")));
    assert!(of("backup.timer").contains(&"[Timer] AccuracySec=1h".to_owned()));
}
