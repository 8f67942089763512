//! What `systemd-analyze` says of the printed units.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{is_installed, skipped};

/// A program that only root can replace, wherever the built one is.
const PROGRAM: &str = "/bin/sh";

/// Whether there is a systemd-analyze to ask.
fn lacks_systemd(test: &str) -> bool {
    let lacks = !is_installed("systemd-analyze");
    if lacks {
        skipped(test, "systemd-analyze is not installed");
    }
    lacks
}

fn backup(folder: &Path, config: &Value, arguments: &[&str]) -> Output {
    let path = folder.join("config.json");
    fs::write(&path, config.to_string()).unwrap();
    Command::new(env!("CARGO_BIN_EXE_backup"))
        .env_clear()
        .arg("--config")
        .arg(path)
        .args(["--state-dir", "/var/lib/backup"])
        .args(arguments)
        .output()
        .unwrap()
}

/// The units of a configuration, written to a folder.
fn written(config: &Value) -> (TempDir, PathBuf) {
    let folder = TempDir::with_prefix("backup-units.").unwrap();
    let to = folder.path().join("units");
    let output = backup(
        folder.path(),
        config,
        &[
            "systemd-units",
            "--program",
            PROGRAM,
            "--to",
            to.to_str().unwrap(),
        ],
    );
    assert!(output.status.success(), "{output:?}");
    (folder, to)
}

fn names(folder: &Path) -> BTreeSet<String> {
    let files = fs::read_dir(folder).unwrap();
    files
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect()
}

/// Everything on, so that every unit is there.
fn full() -> Value {
    json!({
        "hostname": "atlas",
        "local": {
            "enable": true,
            "sources": ["/home", "/srv/a b"],
            "mountPoint": "/mnt/my-disk",
            "readableByUsers": true,
        },
        "cloud": {"enable": true, "syncMode": "copy"},
        "schedule": {"enable": true},
        "monitoring": {"drill": {"enable": true}},
    })
}

fn runs_scripts(config: &Value) -> bool {
    ["preBackupScript", "postBackupScript"]
        .iter()
        .any(|key| !config[key].is_null())
}

fn examples() -> Vec<(String, Value)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let mut examples: Vec<_> = fs::read_dir(root)
        .unwrap()
        .filter_map(|entry| {
            let path = entry.unwrap().path();
            let text = fs::read_to_string(path.join("config.json")).ok()?;
            let name = path.file_name()?.to_str()?.to_owned();
            Some((name, serde_json::from_str(&text).unwrap()))
        })
        .collect();
    let mut several = full();
    several["destinations"] = json!({"usb": {
        "type": "disk", "mountPoint": "/mnt/100% usb", "readableByUsers": true,
        "schedule": {"frequency": "Sat"},
    }});
    examples.push(("all parts".to_owned(), full()));
    examples.push(("several destinations".to_owned(), several));
    assert!(examples.len() > 2);
    examples
}

#[test]
fn systemd_accepts_every_unit_of_every_example() {
    if lacks_systemd("systemd_accepts_every_unit_of_every_example") {
        return;
    }
    for (name, config) in examples() {
        let (_keep, units) = written(&config);
        let files = names(&units)
            .into_iter()
            .filter(|file| !file.ends_with(".rules"));
        let output = Command::new("systemd-analyze")
            // Unknown keys are errors with this only.
            .args(["verify", "--man=no", "--recursive-errors=no"])
            .args(files.map(|file| units.join(file)))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{name}: {said}");
        let ours: Vec<&str> = said
            .lines()
            .filter(|line| line.contains(units.to_str().unwrap()) || line.contains("backup"))
            .collect();
        assert_eq!(ours, [""; 0], "{name}");
    }
}

#[test]
fn no_unit_is_more_exposed_than_its_job_asks_for() {
    if lacks_systemd("no_unit_is_more_exposed_than_its_job_asks_for") {
        return;
    }
    let mailed = {
        let mut config = full();
        config["notifications"] = json!({
            "enable": true, "desktop": false, "command": "/bin/true",
        });
        config
    };
    for (name, config) in examples().into_iter().chain([("told".to_owned(), mailed)]) {
        let (_keep, units) = written(&config);
        for file in names(&units)
            .iter()
            .filter(|file| file.ends_with(".service"))
        {
            // In tenths.
            let most = match file.as_str() {
                "backup-cloud.service" | "backup-health-check.service" => 25,
                // It makes namespaces and brings a loopback device up; its checks have fewer rights.
                "backup-drill.service" => 46,
                // Scripts mount, unlock and dump: theirs is what root may do.
                "backup.service" if runs_scripts(&config) => 85,
                _ => 40,
            };
            let output = Command::new("systemd-analyze")
                .args(["security", "--offline=true", "--no-pager"])
                .arg(format!("--threshold={most}"))
                .arg(units.join(file))
                .output()
                .unwrap();
            let table = String::from_utf8_lossy(&output.stdout);
            let last = table.lines().last().unwrap_or_default();
            assert!(output.status.success(), "{name}: {last}: {table}");
        }
    }
}

#[test]
fn every_schedule_becomes_one_that_systemd_counts_with() {
    if lacks_systemd("every_schedule_becomes_one_that_systemd_counts_with") {
        return;
    }
    for (frequency, time, expected) in [
        ("daily", "02:00", "*-*-* 02:00:00"),
        ("weekly", "23:15", "Mon *-*-* 23:15:00"),
        ("Mon,Wed,Fri", "02:00", "Mon,Wed,Fri *-*-* 02:00:00"),
        ("2025-*-1/2", "02:00", "2025-*-01/2 02:00:00"),
        ("*-*-1/2", "02:00", "*-*-01/2 02:00:00"),
        ("Sat *-*-* 10:00", "02:00", "Sat *-*-* 10:00:00"),
        ("hourly", "02:00", "*-*-* *:00:00"),
    ] {
        let mut config = full();
        config["schedule"]["frequency"] = frequency.into();
        config["schedule"]["timeOfDay"] = time.into();
        let (_keep, units) = written(&config);
        let timer = fs::read_to_string(units.join("backup.timer")).unwrap();
        let calendar = timer
            .lines()
            .find_map(|line| line.strip_prefix("OnCalendar="))
            .unwrap();
        let output = Command::new("systemd-analyze")
            .args(["calendar", calendar])
            .env("LC_ALL", "C")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{frequency}: {output:?}");
        let normalized = said
            .lines()
            .find_map(|line| line.trim().strip_prefix("Normalized form: "));
        // Where the form is the normal one already, systemd says it under another name or not.
        assert_eq!(normalized.unwrap_or(calendar), expected, "{frequency}");
    }
}

#[test]
fn a_schedule_that_never_elapses_again_is_a_warning_of_check() {
    let folder = TempDir::with_prefix("backup-units.").unwrap();
    let mut config = full();
    config["schedule"]["frequency"] = "2025-*-1/2".into();
    let output = backup(folder.path(), &config, &["check"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(said.contains("warning: schedule.frequency"), "{said}");
    assert!(said.contains("never elapses again"), "{said}");
}

#[test]
fn units_of_an_earlier_configuration_go_and_foreign_ones_stay() {
    let (folder, units) = written(&full());
    let to = units.to_str().unwrap();
    let all = planner::units::NAMES.map(str::to_owned);
    assert_eq!(names(&units), BTreeSet::from(all));
    let mut less = full();
    less["cloud"]["enable"] = false.into();
    less["local"]["readableByUsers"] = false.into();
    less["schedule"]["enable"] = false.into();
    less["monitoring"]["drill"]["enable"] = false.into();
    let output = backup(
        folder.path(),
        &less,
        &["systemd-units", "--program", PROGRAM, "--to", to],
    );
    assert!(output.status.success());
    let left: BTreeSet<String> = [
        "backup-health-check.service",
        "backup-health-check.timer",
        "backup-local.service",
        "backup.service",
    ]
    .map(str::to_owned)
    .into();
    assert_eq!(names(&units), left);
    fs::write(units.join("backup-cloud.service"), "[Service]\n").unwrap();
    let output = backup(
        folder.path(),
        &less,
        &["systemd-units", "--program", PROGRAM, "--to", to],
    );
    assert!(output.status.success());
    assert!(units.join("backup-cloud.service").exists());
    let output = backup(
        folder.path(),
        &full(),
        &["systemd-units", "--program", PROGRAM, "--to", to],
    );
    assert_eq!(output.status.code(), Some(4), "{output:?}");
    let text = fs::read_to_string(units.join("backup-cloud.service")).unwrap();
    assert_eq!(text, "[Service]\n");
}

#[test]
fn units_of_a_destination_that_is_gone_go_and_those_of_others_stay() {
    let mut config = full();
    let disk = |name: &str| {
        json!({
            "type": "disk",
            "mountPoint": format!("/mnt/{name}"),
            "readableByUsers": true,
            "schedule": {"frequency": "weekly"},
        })
    };
    config["destinations"] = json!({"usb": disk("usb"), "nas": disk("nas")});
    let (folder, units) = written(&config);
    let of = |name: &str| -> BTreeSet<String> {
        names(&units)
            .into_iter()
            .filter(|unit| unit.contains(name))
            .collect()
    };
    let own = |name: &str| -> BTreeSet<String> {
        [
            format!("backup-{name}.service"),
            format!("backup-{name}.timer"),
            format!("backup-view@{name}.service"),
        ]
        .into()
    };
    assert_eq!(of("usb"), own("usb"));
    assert_eq!(of("nas"), own("nas"));
    // Somebody else's of such a name.
    fs::write(units.join("backup-mine.service"), "[Service]\n").unwrap();
    config["destinations"] = json!({"nas": disk("nas")});
    let to = units.to_str().unwrap();
    let words = ["systemd-units", "--program", PROGRAM, "--to", to];
    let output = backup(folder.path(), &config, &words);
    assert!(output.status.success(), "{output:?}");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.contains("backup-usb.timer"), "{told}");
    assert_eq!(of("usb"), BTreeSet::new());
    assert_eq!(of("nas"), own("nas"));
    assert!(units.join("backup-mine.service").exists());
}
