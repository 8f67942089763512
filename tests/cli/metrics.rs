//! The metrics file: its form, what it says, and that it is never more than a warning.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Write as _,
    os::unix::fs::{PermissionsExt as _, symlink},
    process::Stdio,
};

use crate::lab::{Lab, entry_names, id_of, is_installed};

const NIGHT: &str = "2025-03-05T02:00:00+01:00";
const NEXT: &str = "2025-03-06T02:00:00+01:00";

fn is_name(text: &str) -> bool {
    let mut letters = text.chars();
    letters
        .next()
        .is_some_and(|first| first.is_ascii_lowercase() || first == '_')
        && letters.all(|one| one.is_ascii_lowercase() || one.is_ascii_digit() || one == '_')
}

/// Labels as `name="text"`, with the escapes that the format has and no others; what follows them.
fn labels(text: &str) -> (BTreeMap<String, String>, &str) {
    let mut found = BTreeMap::new();
    let Some(mut rest) = text.strip_prefix('{') else {
        return (found, text);
    };
    loop {
        let (name, after) = rest.split_once("=\"").unwrap();
        assert!(is_name(name) && !name.starts_with("__"), "{name}");
        let mut value = String::new();
        let mut letters = after.char_indices();
        let end = loop {
            match letters.next().unwrap() {
                (at, '"') => break at + 1,
                (_, '\\') => value.push(match letters.next().unwrap().1 {
                    'n' => '\n',
                    same @ ('\\' | '"') => same,
                    other => panic!("no escape: {other}"),
                }),
                (_, one) => value.push(one),
            }
        };
        assert!(
            found.insert(name.to_owned(), value).is_none(),
            "{name} twice"
        );
        rest = &after[end..];
        match rest.split_at(1) {
            (",", more) => rest = more,
            ("}", more) => return (found, more),
            other => panic!("{other:?}"),
        }
    }
}

/// Reads Prometheus' text format 0.0.4 as strictly as its description allows, and with the rules of
/// its naming: HELP and TYPE once before the samples, samples of one metric together, none twice.
fn parse(text: &str) -> BTreeMap<String, f64> {
    assert!(text.ends_with('\n') && !text.contains("\n\n"), "{text}");
    let mut seen = BTreeSet::new();
    let mut samples = BTreeMap::new();
    let mut current = String::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, help) = help.split_once(' ').unwrap();
            assert!(seen.insert(name.to_owned()), "{name} twice");
            assert!(is_name(name) && name.starts_with("backup_"), "{name}");
            for ending in [
                "_total", "_count", "_sum", "_bucket", "_ms", "_minutes", "_mib",
            ] {
                assert!(!name.ends_with(ending), "{name} is a gauge in base units");
            }
            assert!(help.ends_with('.'), "{help}");
            let kind = lines.next().unwrap();
            assert_eq!(kind, format!("# TYPE {name} gauge"));
            current = name.to_owned();
            assert!(
                lines.peek().is_some_and(|next| !next.starts_with('#')),
                "{name}"
            );
            continue;
        }
        let rest = line
            .strip_prefix(&current)
            .unwrap_or_else(|| panic!("{line} in {current}"));
        let (labels, value) = labels(rest);
        let value = value.strip_prefix(' ').unwrap();
        let value: f64 = value.parse().unwrap();
        assert!(value.is_finite());
        let texts: Vec<&str> = labels.values().map(String::as_str).collect();
        let key = format!("{current} {}", texts.join(" "));
        assert!(
            samples.insert(key.trim_end().to_owned(), value).is_none(),
            "{line} twice"
        );
    }
    samples
}

/// What Prometheus' own tool says of it, where that is installed.
fn promtool(lab: &Lab, text: &str) {
    if !is_installed("promtool") {
        return;
    }
    let mut promtool = lab.bare("promtool");
    promtool.args(["check", "metrics"]).stdin(Stdio::piped());
    let mut child = promtool.spawn().unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    let told = crate::lab::wait_for_child(child, &["promtool"]).expect(0);
    assert_eq!(told.all(), "");
}

fn written(lab: &Lab) -> BTreeMap<String, f64> {
    let text = fs::read_to_string(lab.path("metrics/backup.prom")).unwrap();
    promtool(lab, &text);
    parse(&text)
}

fn lab() -> Lab {
    let mut lab = Lab::new();
    fs::create_dir(lab.path("metrics")).unwrap();
    lab.set("monitoring.prometheusFile", lab.text("metrics/backup.prom"));
    lab.run(&["check"]).expect(0);
    lab
}

#[test]
fn each_run_and_each_check_writes_what_is_known() {
    let lab = lab();
    lab.backup(NIGHT);
    lab.backup(NEXT);
    let of_run = written(&lab);
    let moment = |text: &str| {
        let at: chrono::DateTime<chrono::FixedOffset> = text.parse().unwrap();
        #[expect(clippy::cast_precision_loss, reason = "seconds since 1970")]
        let seconds = at.timestamp() as f64;
        seconds
    };
    let path = lab.text("mnt");
    let success = of_run["backup_last_success_timestamp_seconds"];
    assert!((success - moment(NEXT)).abs() < 600.0, "{success}");
    for (key, value) in [
        ("backup_info atlas 0.1.0", 1.0),
        ("backup_snapshots daily", 2.0),
        ("backup_snapshots weekly", 1.0),
        ("backup_snapshots monthly", 1.0),
        ("backup_suspect_snapshots", 0.0),
        ("backup_damaged_files", 0.0),
        ("backup_damaged_records", 0.0),
        ("backup_snapshot_files", 3.0),
        ("backup_last_run_result success", 1.0),
        ("backup_last_run_result failed", 0.0),
        ("backup_run_copied_files", 0.0),
        (&format!("backup_destination_present {path}"), 1.0),
    ] {
        assert_eq!(of_run.get(key), Some(&value), "{key} in {of_run:#?}");
    }
    assert!(of_run[&format!("backup_destination_free_bytes {path}")] > 0.0);
    assert!(of_run.contains_key("backup_run_step_duration_seconds snapshot"));
    assert!(!of_run.keys().any(|key| key.starts_with("backup_health")));

    // The last backup is years old by the clock of this machine.
    let mut lab = lab;
    lab.set("monitoring.maxAge", "7d");
    lab.run(&["health"]).expect(1);
    let checked = written(&lab);
    assert_eq!(checked["backup_health_findings error"], 1.0);
    assert!(checked["backup_health_check_timestamp_seconds"] > moment(NEXT));
    assert_eq!(checked["backup_verified_ratio"], 1.0 / 30.0);
    // What is only supposed is not told to anyone; here it is a time before the last check.
    let before = fs::read(lab.path("metrics/backup.prom")).unwrap();
    lab.at(NEXT, &["health"]).expect(3);
    assert_eq!(fs::read(lab.path("metrics/backup.prom")).unwrap(), before);

    // A failed run tells so, and what was good stays so; an absent drive has no room.
    lab.set("preBackupScript", lab.script("pre", "exit 9"));
    lab.at("2025-03-07T02:00:00+01:00", &["apply"]).expect(1);
    let failed = written(&lab);
    assert_eq!(failed["backup_last_run_result failed"], 1.0);
    assert_eq!(failed["backup_last_success_timestamp_seconds"], success);
    assert_eq!(failed["backup_health_findings error"], 1.0);
    fs::rename(lab.path("mnt"), lab.path("away")).unwrap();
    lab.run(&["health"]).expect(1);
    let away = written(&lab);
    assert_eq!(away[&format!("backup_destination_present {path}")], 0.0);
    assert!(!away.contains_key(&format!("backup_destination_free_bytes {path}")));
    let reported = away["backup_last_success_timestamp_seconds"];
    assert!((reported - success).abs() < 600.0);
}

#[test]
fn the_file_is_replaced_readable_for_all_and_nothing_is_left_beside_it() {
    let lab = lab();
    let path = lab.path("metrics/backup.prom");
    // Neither what stands there nor the umask counts.
    lab.write("precious", "mine");
    symlink(lab.path("precious"), &path).unwrap();
    let mut command = lab.bare("sh");
    let program = lab.command(&["apply", "--now", NIGHT]);
    command.args(["-c", "umask 077; exec \"$@\"", "sh"]);
    command.arg(program.get_program()).args(program.get_args());
    crate::lab::run_command(command, &["apply"]).expect(0);
    let of = fs::symlink_metadata(&path).unwrap();
    assert!(of.is_file());
    assert_eq!(of.permissions().mode() & 0o777, 0o644);
    assert_eq!(fs::read_to_string(lab.path("precious")).unwrap(), "mine");
    assert_eq!(entry_names(&lab.path("metrics")), ["backup.prom"]);
    written(&lab);
}

#[test]
fn names_with_quotes_and_backslashes_are_read_back_as_they_are() {
    let mut lab = lab();
    let odd = "mnt \"odd\"\\ nx";
    fs::create_dir(lab.path(odd)).unwrap();
    lab.set("local.mountPoint", lab.text(odd));
    lab.backup(NIGHT);
    let key = format!("backup_destination_present {}", lab.text(odd));
    assert_eq!(written(&lab)[&key], 1.0);
}

#[test]
fn a_file_that_cannot_be_written_is_a_warning_and_changes_no_result() {
    let mut lab = lab();
    for (path, says) in [
        ("metrics/missing/backup.prom", "prometheusFile"),
        ("metrics", "prometheusFile"),
        ("config.json/backup.prom", "prometheusFile"),
    ] {
        lab.set("monitoring.prometheusFile", lab.text(path));
        let ran = lab.at(NIGHT, &["apply", "--fresh"]).expect(0);
        ran.says("warning: no metrics are written").hints(says);
    }
    assert!(lab.ids().contains(&id_of(NIGHT)));
    assert_eq!(entry_names(&lab.path("metrics")), [""; 0]);
    let quiet = lab.at(NEXT, &["apply", "--json"]).expect(0);
    assert_eq!(quiet.json()["result"], "success");
}

#[test]
fn each_of_several_destinations_has_samples_of_its_own() {
    let mut lab = lab();
    for name in ["nas", "usb"] {
        fs::create_dir(lab.path(name)).unwrap();
        let disk = serde_json::json!({ "type": "disk", "mountPoint": lab.path(name),
            "requireMount": false, "useRsync": false, "minSpaceGB": 0, "ifAbsent": "defer" });
        lab.set(&format!("destinations.{name}"), disk);
    }
    lab.backup(NIGHT);
    fs::rename(lab.path("usb"), lab.path("away")).unwrap();
    lab.at(NEXT, &["apply"]).expect(75);
    let of_run = written(&lab);
    let path = |name: &str| lab.text(if name == "local" { "mnt" } else { name });
    for (name, there, result) in [
        ("local", 1.0, "success"),
        ("nas", 1.0, "success"),
        ("usb", 0.0, "deferred"),
    ] {
        for (key, value) in [
            (
                format!("backup_destination_present {name} {}", path(name)),
                there,
            ),
            (
                format!("backup_destination_last_run_result {name} {result}"),
                1.0,
            ),
        ] {
            assert_eq!(of_run.get(&key), Some(&value), "{key} in {of_run:#?}");
        }
    }
    let success = |name: &str| of_run[&format!("backup_last_success_timestamp_seconds {name}")];
    assert!(success("local") - success("usb") > 80_000.0);
    assert!((success("local") - success("nas")).abs() < 600.0);
    assert_eq!(of_run["backup_snapshots nas daily"], 2.0);
    assert_eq!(of_run["backup_last_run_result deferred"], 1.0);
    assert_eq!(of_run["backup_last_run_result success"], 0.0);
    let copied = |name: &str| of_run.get(&format!("backup_run_copied_files {name}"));
    assert_eq!((copied("nas"), copied("usb")), (Some(&0.0), None));
    assert!(of_run.contains_key("backup_run_step_duration_seconds snapshot:nas"));

    // A run for one of them is the last one for that one alone.
    fs::rename(lab.path("away"), lab.path("usb")).unwrap();
    lab.at("2025-03-07T02:00:00+01:00", &["apply", "--only", "usb"])
        .expect(0);
    let later = written(&lab);
    assert_eq!(later["backup_last_run_result success"], 1.0);
    let at = |name: &str| later[&format!("backup_destination_last_run_timestamp_seconds {name}")];
    assert!(at("usb") - at("nas") > 80_000.0);
    lab.run(&["health", "--quick"]);
    let checked = written(&lab);
    for name in ["local", "nas", "usb"] {
        let key = format!("backup_health_check_timestamp_seconds {name}");
        assert!(checked.contains_key(&key), "{checked:#?}");
    }
}
