//! The units that NixOS renders are those that `backup systemd-units` prints: in whole systems, which
//! need nixpkgs. [`crate::bare_units`] has what needs none.

use std::{collections::BTreeSet, fs, path::Path, process::Command};

use planner::{
    calendar::Calendar,
    units::{Layout, POWER_RULE, render_units, templates_as_json},
};
use schema::{Config, Span};
use serde_json::Value;
use test_support::is_missing;

use crate::{
    golden::{evaluated, lines},
    lab::{Nix, PROGRAM, ROOT},
};

/// Where the program is, once hashes are gone.
pub(crate) const IN_STORE: &str = "/nix/store/backup-0/bin/backup";

/// Lines as `[Section] key=value`, in one spelling and in no order.
pub(crate) type Lines = BTreeSet<String>;

/// Lines with their values as they are to be compared.
pub(crate) fn spell_lines(lines: impl IntoIterator<Item = String>) -> Lines {
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
        "After" | "PropagatesReloadTo" | "WantedBy" | "Wants" => {
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
pub(crate) fn program_units(config: &Config) -> Vec<(String, Lines)> {
    let mut units: Vec<(String, Lines)> = render_units(config, &Layout::of_root(IN_STORE))
        .into_iter()
        .filter(|unit| unit.name != POWER_RULE)
        .map(|unit| (unit.name.clone(), spell_lines(lines(&unit.text))))
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

/// Fails where the module's units are not the program's.
pub(crate) fn compare_units(system: &str, module: &[(String, Lines)], program: &[(String, Lines)]) {
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

/// Fails where systemd has anything to say of units, which are names with their lines.
pub(crate) fn verify_units(system: &str, units: impl IntoIterator<Item = (String, Vec<String>)>) {
    verify_units_of(&[], system, units);
}

/// The same with options that say whose systemd it is.
pub(crate) fn verify_units_of(
    manager: &[&str],
    system: &str,
    units: impl IntoIterator<Item = (String, Vec<String>)>,
) {
    let folder = tempfile::tempdir().unwrap();
    let mut files = Vec::new();
    for (unit, lines) in units {
        // It looks whether what a unit starts is there.
        let text = text(&lines).replace(IN_STORE, PROGRAM);
        let file = folder.path().join(unit);
        fs::write(&file, text).unwrap();
        files.push(file);
    }
    assert!(!files.is_empty(), "{system}");
    let out = Command::new("systemd-analyze")
        .args(manager)
        // A user's systemd has one.
        .env("XDG_RUNTIME_DIR", folder.path())
        .args(["verify", "--man=no", "--recursive-errors=no"])
        .args(&files)
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{system}: {told}");
    let about = |line: &&str| line.contains(Path::new(folder.path()).to_str().unwrap());
    let ours: Vec<&str> = told.lines().filter(about).collect();
    assert_eq!(ours, [""; 0], "{system}");
}

#[test]
fn systemd_accepts_the_modules_units() {
    let test = "systemd_accepts_the_modules_units";
    let Some(systems) = evaluated(test) else {
        return;
    };
    if is_missing(test, &["systemd-analyze"], false) {
        return;
    }
    for (name, system) in systems {
        let units = system["units"].as_object().unwrap().iter();
        let units = units.map(|(unit, of)| (unit.clone(), unit_lines(of)));
        verify_units(&name, units);
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
