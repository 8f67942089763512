//! What people set where an option of ours is not enough, or where NixOS has its own: `timerConfig`,
//! `extraArgs`, the name of the machine, single values of units; and the chapter of the manual.

use std::{collections::BTreeSet, fs, path::Path, process::Command};

use serde_json::{Value, json};

use crate::lab::{Nix, PROGRAM, ROOT};

/// The report of the quickstart example with more definitions.
fn report(test: &str, more: &str) -> Option<Value> {
    let (nix, nixpkgs) = Nix::with_nixos(test)?;
    let modules = format!("modules = [ ./examples/quickstart/config.nix {more} ];");
    let system = nixpkgs.import("system", &modules);
    Some(nix.eval(&format!("{system}.report"), &Value::Null))
}

fn has_line(unit: &Value, line: &str) -> bool {
    unit["text"]
        .as_str()
        .unwrap()
        .lines()
        .any(|found| found == line)
}

#[test]
fn a_definition_replaces_what_the_module_sets() {
    let test = "a_definition_replaces_what_the_module_sets";
    let Some(report) = report(
        test,
        r#"{
          networking.hostName = "atlas";
          hwc.system.services.backup = {
            schedule.randomDelay = "10m";
            timerConfig = {
              OnCalendar = [ "00:05" ];
              RandomizedDelaySec = 18000;
              Persistent = "no";
              FixedRandomDelay = true;
              AccuracySec = "1s";
            };
            extraArgs = [ "--threads=2" "--color" "a $b%" ];
          };
          systemd.services.backup.serviceConfig.Nice = 15;
          systemd.services.backup.restartIfChanged = true;
        }"#,
    ) else {
        return;
    };
    let config: Value = serde_json::from_str(report["config"].as_str().unwrap()).unwrap();
    assert_eq!(config["hostname"], "atlas");
    let schedule = &config["schedule"];
    assert_eq!(schedule["frequency"], "00:05");
    assert_eq!(schedule["randomDelay"], "18000");
    assert_eq!(schedule["persistent"], false);
    let config: schema::Config = serde_json::from_value(config).unwrap();
    assert_eq!(config.schedule.random_delay.as_micros(), 18_000_000_000);

    let timer = &report["units"]["backup.timer"];
    for line in [
        "OnCalendar=00:05",
        "RandomizedDelaySec=18000",
        "Persistent=false",
        "FixedRandomDelay=true",
        "AccuracySec=1s",
        "Unit=backup.service",
    ] {
        assert!(has_line(timer, line), "{line}: {timer:#}");
    }
    let service = &report["units"]["backup.service"];
    let text = service["text"].as_str().unwrap();
    let start = r#"--as-unit --threads=2 --color "a $$b%%" apply --if-due"#;
    assert!(text.contains(start), "{text}");
    assert!(has_line(service, "Nice=15"), "{text}");
    assert!(!text.contains("X-RestartIfChanged=false"), "{text}");
    let other = &report["units"]["backup-local.service"];
    assert!(has_line(other, "Nice=10"), "{other:#}");
    assert_eq!(report["failed"], json!([]));
}

#[test]
fn a_name_of_ones_own_is_the_folder_of_the_snapshots() {
    let test = "a_name_of_ones_own_is_the_folder_of_the_snapshots";
    let Some(report) = report(
        test,
        r#"{
          networking.hostName = "atlas";
          hwc.system.services.backup.hostname = "before-atlas";
        }"#,
    ) else {
        return;
    };
    let config: Value = serde_json::from_str(report["config"].as_str().unwrap()).unwrap();
    assert_eq!(config["hostname"], "before-atlas");
}

/// What evaluation cannot tell for want of a clock, the program does while the system is built.
#[test]
fn a_calendar_whose_time_has_passed_ends_the_build() {
    let test = "a_calendar_whose_time_has_passed_ends_the_build";
    let Some((nix, nixpkgs)) = Nix::with_nixos(test) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let program = Path::new(PROGRAM).parent().unwrap();
    let path = std::env::join_paths(
        std::iter::once(program.to_owned())
            .chain(std::env::split_paths(&std::env::var_os("PATH").unwrap())),
    );
    let path = path.unwrap();
    for (frequency, passes) in [("daily", true), ("2025-*-*", false)] {
        let system = nixpkgs.import(
            "system",
            &format!(
                "modules = [ ./examples/quickstart/config.nix {{
                   hwc.system.services.backup.schedule.frequency = \"{frequency}\";
                 }} ];"
            ),
        );
        let found = nix.eval(
            &format!(
                "let inherit ({system}) system report; in {{
                   inherit (report) config failed;
                   file = \"${{system.config.environment.etc.\"backup/config.json\".source}}\";
                   checks = map (check: check.drvAttrs.buildCommand) system.config.system.checks;
                 }}"
            ),
            &Value::Null,
        );
        assert_eq!(found["failed"], json!([]), "{frequency}");
        let here = folder.path().join("config.json");
        fs::write(&here, found["config"].as_str().unwrap()).unwrap();
        let checks = found["checks"].as_array().unwrap();
        let ours = checks.iter().filter_map(Value::as_str);
        let [check] = ours
            .filter(|text| text.contains("backup check"))
            .collect::<Vec<_>>()[..]
        else {
            panic!("{checks:?}");
        };
        let check = check.replace(found["file"].as_str().unwrap(), "config.json");
        let out = Command::new("bash")
            .args(["-euc", &check])
            .current_dir(folder.path())
            .env("out", "out")
            .env("PATH", &path)
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&out.stderr);
        assert_eq!(out.status.success(), passes, "{frequency}: {told}");
        assert_eq!(
            told.contains("hint: set schedule.frequency"),
            !passes,
            "{told}"
        );
    }
}

/// The manual's build refuses headings without a name, and names of others' modules, save those that
/// begin as an option's does (`nixos-render-docs`, redirects).
#[test]
fn the_chapter_of_the_manual_names_what_there_is() {
    let Some(nix) = Nix::find("the_chapter_of_the_manual_names_what_there_is") else {
        return;
    };
    let text = fs::read_to_string(Path::new(ROOT).join("nixos/manual.md")).unwrap();
    assert!(text.starts_with("# Backups {#opt-"), "{text}");
    let mut in_code = false;
    let mut names = BTreeSet::new();
    for line in text.lines() {
        in_code ^= line.starts_with("```");
        if !in_code && line.starts_with('#') {
            let name = line
                .split_once("{#opt-")
                .and_then(|(_, rest)| rest.strip_suffix('}'));
            let name = name.unwrap_or_else(|| panic!("{line}"));
            assert!(names.insert(name), "{line}");
        }
    }
    assert!(names.len() > 3, "{names:?}");

    let options = nix.eval("import ./tests/nix/recorder.nix", &Value::Null);
    let mut seen = 0;
    for part in text.split("{option}`hwc.system.services.backup.").skip(1) {
        let name = part.split('`').next().unwrap();
        assert!(options.get(name).is_some(), "{name}");
        seen += 1;
    }
    assert!(seen > 5, "{seen}");
    // A link to an option that the manual has not would end its build: its options are not those of
    // others' modules.
    assert!(!text.contains("](#"), "{text}");
}
