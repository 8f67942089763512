//! The module for home-manager, evaluated with a stand-in for home-manager's options (home.nix): a user's
//! configuration is one that the program takes, and the units are those of `backup systemd-units --user`.

use std::{fs, process::Command};

use planner::units::{Layout, render_user_units};
use schema::Config;
use serde_json::{Value, json};
use test_support::is_missing;

use crate::{
    bare_units::configs,
    golden::lines,
    lab::{Nix, Nixpkgs, PROGRAM},
    units::{IN_STORE, Lines, compare_units, spell_lines, verify_units_of},
};

/// What each of these options makes.
fn reports(nix: &Nix, nixpkgs: &Nixpkgs, backups: &[Value]) -> Vec<Value> {
    // As agenix has a user's secrets, unless he says where they are.
    let secrets = "modules = [ { age.secrets.rclone-proton-config.path = \"\\${XDG_RUNTIME_DIR}/agenix/rclone\"; } ];";
    let home = nixpkgs.import("home", &format!("inherit backup; {secrets}"));
    let found = nix.eval(
        &format!("map (backup: {home}.report) data"),
        &json!(backups),
    );
    found.as_array().unwrap().clone()
}

/// A configuration as options: what only the file has is gone, and scripts are lines.
fn as_options(config: &Value) -> Value {
    let mut options = config.clone();
    options.as_object_mut().unwrap().remove("version");
    options["enable"] = json!(true);
    options["local"]["readableByUsers"] = json!(false);
    let named = options.get_mut("destinations");
    let named = named.and_then(Value::as_object_mut).into_iter().flatten();
    for (_, destination) in named {
        destination["readableByUsers"] = json!(false);
    }
    // A user has no sendmail of the system's to be asked for, and no cloud is without credentials here.
    if options["cloud"]["configFile"].is_null() {
        options["cloud"]["configFile"] = json!("/home/ann/.config/rclone/rclone.conf");
    }
    options
}

fn layout() -> Layout {
    Layout {
        program: IN_STORE.to_owned(),
        config: "/home/ann/.config/backup/config.json".to_owned(),
        state_dir: "/home/ann/.local/state/backup".to_owned(),
    }
}

/// The lines of a unit, less the PATH and what only a switch reads.
fn unit_lines(unit: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    for (section, keys) in unit.as_object().unwrap() {
        for (key, value) in keys.as_object().unwrap() {
            for value in value.as_array().unwrap_or(&vec![value.clone()]) {
                let value = value
                    .as_str()
                    .map_or_else(|| value.to_string(), str::to_owned);
                if !key.starts_with("X-") && !value.starts_with("PATH=") {
                    lines.push(format!("[{section}] {key}={value}"));
                }
            }
        }
    }
    lines
}

fn module_units(report: &Value) -> Vec<(String, Vec<String>)> {
    let mut units = Vec::new();
    for (kind, suffix) in [("services", "service"), ("timers", "timer")] {
        for (name, unit) in report[kind].as_object().unwrap() {
            units.push((format!("{name}.{suffix}"), unit_lines(unit)));
        }
    }
    units.sort();
    units
}

fn program_units(config: &Config) -> Vec<(String, Lines)> {
    let units = render_user_units(config, &layout());
    let units = units.into_iter();
    let mut units: Vec<_> = units
        .map(|unit| (unit.name.clone(), spell_lines(lines(&unit.text))))
        .collect();
    units.sort();
    units
}

#[test]
fn a_users_units_are_those_that_the_program_prints() {
    let test = "a_users_units_are_those_that_the_program_prints";
    let Some((nix, nixpkgs)) = Nix::with_lib(test) else {
        return;
    };
    let has_systemd = !is_missing(test, &["systemd-analyze"], false);
    let options: Vec<Value> = configs().iter().map(as_options).collect();
    for (given, report) in options.iter().zip(reports(&nix, &nixpkgs, &options)) {
        assert_eq!(report["failed"], json!([]), "{given:#}");
        let text = report["config"].as_str().unwrap();
        let config: Config = serde_json::from_str(text).unwrap();
        let units = module_units(&report);
        let spelled: Vec<_> = units
            .iter()
            .map(|(name, lines)| (name.clone(), spell_lines(lines.clone())))
            .collect();
        compare_units(text, &spelled, &program_units(&config));
        if has_systemd {
            verify_units_of(&["--user"], test, units);
        }
        for service in report["services"].as_object().unwrap().values() {
            assert_eq!(service["Unit"]["X-SwitchMethod"], "keep-old");
            let path = service["Service"]["Environment"][0].as_str().unwrap();
            let has = |tool: &str| path.contains(&format!("/nix/store/{tool}/bin"));
            let names = config.chains().into_iter();
            let views = names.filter_map(|name| config.view(&name));
            let views: Vec<Config> = views.chain([config.base()]).collect();
            let copies = |config: &Config| config.local.enable && config.local.use_rsync;
            assert_eq!(has("rsync"), views.iter().any(copies));
            assert_eq!(has("rclone"), views.iter().any(|view| view.cloud.enable));
        }
    }
}

#[test]
fn a_user_backs_up_his_home_and_sets_what_he_likes() {
    let Some((nix, nixpkgs)) = Nix::with_lib("a_user_backs_up_his_home_and_sets_what_he_likes")
    else {
        return;
    };
    let home = nixpkgs.import(
        "home",
        r#"
          backup = {
            enable = true;
            local = { enable = true; mountPoint = "/run/media/ann/my disk"; };
            schedule.enable = true;
            preBackupScript = "true";
            extraArgs = [ "--threads=1" ];
            timerConfig = { OnCalendar = "12:00"; AccuracySec = "1s"; };
          };
          modules = [ {
            xdg.configHome = "/home/ann/my settings";
            systemd.user.services.backup = {
              Service = { Nice = 15; Environment = [ "A=b" ]; };
              Unit.After = [ "network.target" ];
            };
          } ];
        "#,
    );
    let report = nix.eval(&format!("{home}.report"), &Value::Null);
    assert_eq!(report["failed"], json!([]));
    assert_eq!(report["warnings"], json!([]));
    let config: Value = serde_json::from_str(report["config"].as_str().unwrap()).unwrap();
    assert_eq!(config["local"]["sources"], json!(["/home/ann"]));
    assert_eq!(config["schedule"]["frequency"], "12:00");
    assert_eq!(config["preBackupScript"], "/nix/store/pre-backup");
    assert_eq!(config["hostname"], Value::Null);

    let service = &report["services"]["backup"];
    assert_eq!(service["Service"]["Nice"], 15);
    let start = service["Service"]["ExecStart"].as_str().unwrap();
    assert!(
        start.starts_with(r#"/nix/store/backup-0/bin/backup --config "/home/ann/my settings/"#),
        "{start}"
    );
    assert!(start.contains(" --threads=1 apply --if-due"), "{start}");
    let environment = service["Service"]["Environment"].as_array().unwrap();
    assert_eq!(environment.len(), 2, "{environment:?}");
    let after = json!(["network.target", r"run-media-ann-my\x20disk.mount"]);
    let mut found = service["Unit"]["After"].as_array().unwrap().clone();
    found.sort_by_key(ToString::to_string);
    assert_eq!(json!(found), after);
    let timer = &report["timers"]["backup"]["Timer"];
    assert_eq!(timer["AccuracySec"], "1s");
    assert_eq!(timer["OnCalendar"], "12:00");

    assert_eq!(report["packages"], json!(["backup-0", "rsync"]));
    // The configuration is judged by the program when the generation is built.
    let commands = report["extraBuilderCommands"].as_str().unwrap();
    assert!(
        commands.contains("/nix/store/backup-0/bin/backup check /nix/store/source-of-config.json"),
        "{commands}"
    );
}

#[test]
fn without_enable_a_user_gets_nothing_and_a_fault_names_his_option() {
    let test = "without_enable_a_user_gets_nothing_and_a_fault_names_his_option";
    let Some((nix, nixpkgs)) = Nix::with_lib(test) else {
        return;
    };
    let backups = [
        json!({ "local": { "enable": true }, "schedule": { "enable": true } }),
        json!({ "enable": true, "cloud": { "enable": true } }),
        json!({ "enable": true, "local": { "enable": true, "readableByUsers": true } }),
        json!({ "enable": true, "cloud": { "enable": true }, "protonDrive": { "enable": true } }),
    ];
    let [nothing, cloud, view, secret] = &reports(&nix, &nixpkgs, &backups)[..] else {
        panic!();
    };
    assert_eq!(nothing["config"], Value::Null);
    assert_eq!(nothing["packages"], json!([]));
    assert_eq!(
        (&nothing["services"], &nothing["timers"]),
        (&json!({}), &json!({}))
    );
    for (report, option) in [
        (cloud, "cloud.configFile"),
        (view, "local.readableByUsers"),
        (secret, "protonDrive.secretName"),
    ] {
        let [message] = report["failed"].as_array().unwrap().as_slice() else {
            panic!("{report:#}");
        };
        let message = message.as_str().unwrap();
        assert!(
            message.starts_with(&format!("services.backup.{option}: ")),
            "{message}"
        );
        assert!(message.contains("\nhint: "), "{message}");
    }
}

/// The program itself, as the user's own: what home-manager links is what it reads and backs up.
#[test]
fn the_program_runs_with_what_a_user_has_configured() {
    let test = "the_program_runs_with_what_a_user_has_configured";
    let Some((nix, nixpkgs)) = Nix::with_lib(test) else {
        return;
    };
    let home = tempfile::tempdir().unwrap();
    let path = |name: &str| home.path().join(name);
    for folder in ["files", "disk", "config/backup"] {
        fs::create_dir_all(path(folder)).unwrap();
    }
    fs::write(path("files/letter"), "dear").unwrap();
    let backup = json!({
        "enable": true,
        "local": {
            "enable": true,
            "mountPoint": path("disk"),
            "requireMount": false,
            "minSpaceGB": 0,
            "useRsync": false,
            "sources": [path("files")],
        },
    });
    let report = reports(&nix, &nixpkgs, &[backup]).remove(0);
    assert_eq!(report["failed"], json!([]));
    // A link to where everybody may read and nobody else may write, as into the store.
    fs::create_dir(path("store")).unwrap();
    fs::write(
        path("store/config.json"),
        report["config"].as_str().unwrap(),
    )
    .unwrap();
    std::os::unix::fs::symlink(path("store/config.json"), path("config/backup/config.json"))
        .unwrap();
    let run = |verb: &[&str]| {
        let out = Command::new(PROGRAM)
            .args([
                "--config".as_ref(),
                path("config/backup/config.json").as_os_str(),
            ])
            .args(["--state-dir".as_ref(), path("state/backup").as_os_str()])
            .args(["--log-dir".as_ref(), path("log").as_os_str()])
            .args(verb)
            .output()
            .unwrap();
        assert!(out.status.success(), "{verb:?}: {out:?}");
    };
    run(&["apply"]);
    run(&[
        "restore",
        "latest",
        path("files/letter").to_str().unwrap(),
        path("again").to_str().unwrap(),
    ]);
    assert_eq!(fs::read_to_string(path("again")).unwrap(), "dear");
}
