//! The rules of health, one fact each, over inventories made by hand.

use schema::{Severity, health::Measured};
use serde_json::{Value, json};

use super::*;

pub(super) const NOW: &str = "2025-02-10T12:00:00+01:00";

/// A machine with a destination, and what was measured.
pub(super) struct Case {
    config: Value,
    pub(super) inventory: Value,
    measured: Measured,
}

impl Case {
    /// Nightly snapshots from January 30th to February 10th, rotated as they should be.
    pub(super) fn nightly() -> Self {
        let mut snapshots = Vec::new();
        let mut links = Vec::new();
        for (day, home) in [
            ("2025-02-01", "monthly"),
            ("2025-02-02", "weekly"),
            ("2025-02-04", "daily"),
            ("2025-02-05", "daily"),
            ("2025-02-06", "daily"),
            ("2025-02-07", "daily"),
            ("2025-02-08", "daily"),
            ("2025-02-09", "weekly"),
            ("2025-02-10", "daily"),
        ] {
            snapshots.push(snapshot(day, home));
            if day == "2025-02-09" {
                let id = format!("{day}_02-00-00");
                let target = format!("../weekly/{id}");
                links.push(json!({"tier": "daily", "id": id, "target": target}));
            }
        }
        // The first of February is a Saturday: of its week nothing is older.
        let id = "2025-02-01_02-00-00";
        let target = format!("../monthly/{id}");
        links.push(json!({"tier": "weekly", "id": id, "target": target}));
        Self {
            config: json!({
                "local": {"enable": true, "useRsync": false, "sources": ["/home"]},
                "schedule": {"enable": true},
            }),
            inventory: json!({
                "format_version": 1,
                "taken_at": NOW,
                "host": "atlas",
                "privileged": true,
                "power": "ac",
                "known_destinations": ["disk"],
                "sources": [],
                "destination": {
                    "mount_point": "/mnt/backup",
                    "present": true,
                    "absent_because": null,
                    "mounted": true,
                    "read_only": false,
                    "place": null,
                    "file_system": "ext4",
                    "file_system_uuid": null,
                    "free_bytes": 500_u64 << 30,
                    "total_bytes": 1000_u64 << 30,
                    "free_inodes": null,
                    "record": {
                        "format_version": 1,
                        "id": "disk",
                        "host": "atlas",
                        "created_at": "2024-01-01T12:00:00+01:00",
                        "capabilities": schema::record::Capabilities::all(),
                    },
                    "record_fault": null,
                    "expected_capabilities": null,
                    "snapshots": snapshots,
                    "unmanaged": [],
                    "links": links,
                    "latest": "daily/2025-02-10_02-00-00",
                    "partial": [],
                    "trash": [],
                    "rotation": null,
                },
            }),
            measured: Measured::default(),
        }
    }

    pub(super) fn set(mut self, key: &str, value: impl Into<Value>) -> Self {
        let mut at = &mut self.config;
        for part in key.split('.') {
            at = &mut at[part];
        }
        *at = value.into();
        self
    }

    pub(super) fn destination(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.inventory["destination"][key] = value.into();
        self
    }

    pub(super) fn measured(mut self, change: impl FnOnce(&mut Measured)) -> Self {
        change(&mut self.measured);
        self
    }

    pub(super) fn at(mut self, now: &str) -> Self {
        self.inventory["taken_at"] = now.into();
        self
    }

    pub(super) fn assess(&self) -> Health {
        let config = serde_json::from_value(self.config.clone()).unwrap();
        let inventory = serde_json::from_value(self.inventory.clone()).unwrap();
        let health = assess_health(&config, &inventory, &self.measured);
        for finding in &health.findings {
            let grave = finding.severity > Severity::Note;
            assert!(!grave || finding.hint.is_some(), "{finding:?}");
            assert!(!finding.message.ends_with('.'), "{finding:?}");
        }
        assert_eq!(health, assess_health(&config, &inventory, &self.measured));
        health
    }

    /// The codes that are found, gravest first, with their severity's first letter.
    pub(super) fn codes(&self) -> Vec<String> {
        let health = self.assess();
        let code = |one: &Finding| {
            let letter = format!("{:?}", one.severity).to_lowercase();
            format!("{} {}", &letter[..1], one.code)
        };
        health.findings.iter().map(code).collect()
    }
}

fn snapshot(day: &str, home: &str) -> Value {
    let id = format!("{day}_02-00-00");
    let at = format!("{day}T02:00:00+01:00");
    json!({
        "home": home,
        "marks": {},
        "record": {
            "format_version": 1,
            "id": id,
            "host": "atlas",
            "run_id": id,
            "started_at": at,
            "sealed_at": at,
            "day": day,
            "complete": true,
            "suspect": [],
            "basis": null,
            "engine": "built-in",
            "made_by": "backup",
            "sources": [],
            "exclude_patterns": [],
            "totals": schema::record::SnapshotTotals::default(),
            "stored_by": {id.clone(): 1_u64 << 30},
            "manifest": "m",
            "manifest_digest": "0".repeat(64),
            "problems": [],
        },
    })
}

fn run(started_at: &str, result: &str) -> schema::health::EndedRun {
    serde_json::from_value(json!({
        "run_id": "run",
        "started_at": started_at,
        "ended_at": started_at,
        "result": result,
        "good": null,
        "copied_at": null,
        "not_notified": null,
    }))
    .unwrap()
}

#[test]
fn a_sound_backup_gives_no_finding() {
    let health = Case::nightly().assess();
    assert_eq!(health.findings, []);
    assert_eq!(health.verdict, HealthVerdict::Ok);
    assert_eq!(
        health.last_good.unwrap().id.to_string(),
        "2025-02-10_02-00-00"
    );
}

#[test]
fn a_backup_is_too_old_by_the_schedule_or_by_the_given_age() {
    let late = || Case::nightly().at("2025-02-12T02:30:00+01:00");
    assert_eq!(late().codes(), ["e backup-too-old"]);
    assert_eq!(late().assess().verdict, HealthVerdict::Error);
    let week = late().set("monitoring", json!({"maxAge": "7d"}));
    assert_eq!(week.codes(), [""; 0]);
    // Whoever starts backups by hand says how old they may be, or is told that nobody knows.
    let by_hand = late().set("schedule.enable", false);
    assert_eq!(by_hand.codes(), ["n no-age-limit"]);
    let by_hand = by_hand.set("monitoring", json!({"maxAge": "1d"}));
    assert_eq!(by_hand.codes(), ["e backup-too-old"]);
    let none = Case::nightly()
        .destination("snapshots", json!([]))
        .destination("links", json!([]));
    assert_eq!(none.codes(), ["e no-good-backup"]);
}

#[test]
fn an_absent_drive_is_an_error_unless_it_may_be_absent_and_its_age_is_known_all_the_same() {
    let away = || {
        let good = json!({
            "id": "2025-02-10_02-00-00",
            "started_at": "2025-02-10T02:00:00+01:00",
            "complete": true,
        });
        let mut case = Case::nightly()
            .destination("present", false)
            .destination("snapshots", json!([]));
        let mut ended = run("2025-02-10T02:00:00+01:00", "success");
        ended.good = serde_json::from_value(good).unwrap();
        case.measured.runs = vec![ended, run("2025-02-10T03:00:00+01:00", "deferred")];
        case
    };
    assert_eq!(away().codes(), ["e destination-not-mounted"]);
    let defer = || away().set("local.ifAbsent", "defer");
    assert_eq!(defer().codes(), ["n destination-not-mounted"]);
    assert_eq!(defer().assess().verdict, HealthVerdict::Ok);
    let old = defer().at("2025-02-14T02:30:00+01:00");
    assert_eq!(
        old.codes(),
        ["e backup-too-old", "n destination-not-mounted"]
    );
}

#[test]
fn another_drive_is_an_error() {
    let mut case = Case::nightly();
    case.inventory["known_destinations"] = json!(["another"]);
    assert_eq!(case.codes(), ["e destination-unknown"]);
    let case = Case::nightly().set("local.fileSystemUUID", "1234-ABCD");
    assert_eq!(case.codes(), ["e wrong-file-system"]);
}

#[test]
fn snapshots_that_are_not_where_retention_wants_them_are_told() {
    let mut moved = Case::nightly();
    moved.inventory["destination"]["snapshots"][1]["home"] = "daily".into();
    assert_eq!(moved.codes(), ["w layout-not-as-wanted"]);
    let message = &moved.assess().findings[0].message;
    assert!(message.contains("2025-02-02_02-00-00 belongs into weekly"));
    let unlinked = Case::nightly().destination("links", json!([]));
    let message = &unlinked.assess().findings[0].message;
    assert!(message.contains("daily/2025-02-09_02-00-00 is missing"));
    // While a run works the tiers are on their way.
    let running = unlinked.measured(|of| of.running = true);
    assert_eq!(running.codes(), [""; 0]);
    let lost =
        Case::nightly().measured(|of| of.lost = vec!["2025-02-03_02-00-00".parse().unwrap()]);
    assert_eq!(lost.codes(), ["w snapshot-lost"]);
}

#[test]
fn a_damaged_record_and_damaged_files_are_told_with_what_to_do() {
    let fault = json!([{
        "tier": "daily",
        "name": "2025-02-03_02-00-00",
        "record_fault": "cannot read snapshot.json: EOF",
    }]);
    let case = Case::nightly().destination("unmanaged", fault);
    assert_eq!(case.codes(), ["w snapshot-record-damaged"]);
    let finding = &case.assess().findings[0];
    assert!(finding.message.contains("daily/2025-02-03_02-00-00"));
    let damaged = json!([{
        "inode": 12,
        "names": [{"snapshot": "2025-02-10_02-00-00", "path": "home/ann"}],
        "expected": null,
        "found_at": NOW,
    }]);
    let case = Case::nightly().destination("damaged", damaged);
    assert_eq!(case.codes(), ["e damaged-files"]);
    let case = Case::nightly().measured(|of| {
        of.verified = Some(schema::health::VerifiedShare {
            part: 3,
            of: 30,
            parts_read: 3,
            oldest_at: NOW.parse().unwrap(),
            files_read: 10,
            bytes_read: 1000,
            damage_count: 2,
            first_damage: Some("2025-02-10_02-00-00/home/ann: digest is".to_owned()),
        });
    });
    assert_eq!(case.codes(), ["e verify-found-damage"]);
}

#[test]
fn suspect_and_incomplete_snapshots_are_told() {
    let mut case = Case::nightly();
    case.inventory["destination"]["snapshots"][8]["record"]["complete"] = false.into();
    assert_eq!(case.codes()[0], "w last-backup-incomplete");
    let mut case = Case::nightly();
    case.inventory["destination"]["snapshots"][8]["record"]["suspect"] = json!(["few entries"]);
    assert!(case.codes().contains(&"w suspect-snapshot".to_owned()));
    // What is suspect does not count.
    assert_eq!(
        case.assess().last_good.unwrap().id.to_string(),
        "2025-02-09_02-00-00"
    );
}

#[test]
fn unfinished_and_failed_runs_are_told_and_so_is_silence() {
    let unfinished = |of: &mut Measured| {
        of.unfinished = Some(schema::health::UnfinishedRun {
            run_id: "run".to_owned(),
            step: Some("snapshot".to_owned()),
            planned_at: NOW.parse().unwrap(),
            interruptions: 5,
        });
    };
    let case = Case::nightly().measured(unfinished);
    assert_eq!(case.codes(), ["w run-unfinished"]);
    assert!(
        case.assess().findings[0]
            .message
            .contains("interrupted 5 times")
    );
    assert_eq!(case.measured(|of| of.running = true).codes(), [""; 0]);
    for (result, codes) in [
        ("success", &[][..]),
        ("incomplete", &["n last-run-failed"]),
        ("failed", &["w last-run-failed"]),
        ("refused", &["w last-run-failed"]),
        ("deferred", &[]),
    ] {
        let ended = run("2025-02-10T02:00:00+01:00", result);
        let case = Case::nightly().measured(|of| of.runs = vec![ended]);
        assert_eq!(case.codes(), codes, "{result}");
    }
    let mut silent = run("2025-02-10T02:00:00+01:00", "success");
    silent.not_notified = Some("notifications.command failed".to_owned());
    let case = Case::nightly().measured(|of| of.runs = vec![silent]);
    assert_eq!(case.codes(), ["w nobody-was-told"]);
}

#[test]
fn a_clock_that_jumped_is_told() {
    let ahead = run("2025-02-10T14:00:00+01:00", "success");
    let case = Case::nightly().measured(|of| of.runs = vec![ahead]);
    assert_eq!(case.codes(), ["w clock-went-back"]);
    let case =
        Case::nightly().measured(|of| of.last_check_at = "2026-01-01T00:00:00Z".parse().ok());
    assert_eq!(case.codes(), ["w clock-went-back"]);
    let mut case = Case::nightly();
    let future = snapshot("2031-01-01", "daily");
    let snapshots = case.inventory["destination"]["snapshots"].as_array_mut();
    snapshots.unwrap().push(future);
    assert_eq!(case.codes(), ["n snapshot-in-the-future"]);
}

#[test]
fn an_expression_that_never_elapses_again_is_told() {
    let case = Case::nightly().set("schedule.frequency", "2025-01-1/2");
    let codes = case.codes();
    assert!(codes.contains(&"e never-elapses".to_owned()), "{codes:?}");
    let off = case.set("schedule.enable", false);
    assert_eq!(off.codes(), ["n no-age-limit"]);
    let checks = json!({"healthCheckInterval": "2024-*-*"});
    let case = Case::nightly().set("monitoring", checks);
    assert_eq!(case.codes(), ["w never-elapses"]);
}

#[test]
fn tools_that_are_missing_or_known_to_fail_are_told() {
    let mut case = Case::nightly().set("local.useRsync", true);
    for (version, codes) in [
        ("3.1.3", &["e rsync-too-old"][..]),
        ("3.2.7", &["n rsync-has-known-faults"]),
        ("3.5.0", &[]),
    ] {
        case.inventory["rsync"] = json!({"version": version, "fault": null});
        assert_eq!(case.codes(), codes);
    }
    case.inventory["rsync"] = json!({"version": null, "fault": "there is none"});
    assert_eq!(case.codes(), ["e rsync-missing"]);
    // Over a network no run starts it.
    assert!(case.destination("file_system", "nfs4").codes().is_empty());
}

#[test]
fn the_cloud_copy_has_its_age_and_its_rclone() {
    let copied = |at: &str| {
        let mut ended = run("2025-02-10T02:00:00+01:00", "success");
        ended.copied_at = Some(at.parse().unwrap());
        ended
    };
    let cloud = || Case::nightly().set("cloud", json!({"enable": true}));
    let with = |at: &str, version: &str| {
        let (ended, version) = (copied(at), version.to_owned());
        cloud().measured(|of| {
            of.runs = vec![ended];
            of.rclone = Some(schema::health::ToolFound {
                version: Some(version),
                fault: None,
            });
        })
    };
    let fresh = "2025-02-10T03:00:00+01:00";
    assert_eq!(with(fresh, "1.75.2").codes(), [""; 0]);
    assert_eq!(with(fresh, "1.60.1-DEV").codes(), ["e rclone-too-old"]);
    assert_eq!(with(fresh, "1.75.0").codes(), ["w rclone-has-known-faults"]);
    let old = with("2025-02-07T03:00:00+01:00", "1.75.2");
    assert_eq!(old.codes(), ["e cloud-copy-too-old"]);
    assert_eq!(cloud().codes(), ["w cloud-never-copied"]);
    let away = with(fresh, "1.75.2").measured(|of| of.cloud_unreachable = Some("dial".to_owned()));
    assert_eq!(away.codes(), ["w cloud-unreachable"]);
    // Another remote is any version's.
    let custom = json!({"enable": true, "provider": "custom", "remote": "nas:"});
    let custom = with(fresh, "1.60.1-DEV").set("cloud", custom);
    assert_eq!(custom.codes(), [""; 0]);
}

#[test]
fn errors_are_told_each_day_and_warnings_once() {
    let told = |health: &Health| Health {
        told_at: Some(health.checked_at),
        ..health.clone()
    };
    let sound = Case::nightly().assess();
    let old = |at: &str| Case::nightly().at(at).assess();
    let first = old("2025-02-12T02:30:00+01:00");
    let lost = |of: &mut Measured| of.lost = vec!["2025-02-03_02-00-00".parse().unwrap()];
    let warned = Case::nightly().measured(lost).assess();
    assert!(!is_news(&sound, None) && !is_news(&sound, Some(&told(&first))));
    assert!(is_news(&first, None) && is_news(&first, Some(&sound)));
    assert!(!is_news(
        &old("2025-02-12T08:00:00+01:00"),
        Some(&told(&first))
    ));
    assert!(is_news(
        &old("2025-02-13T02:20:00+01:00"),
        Some(&told(&first))
    ));
    // Of what nobody could be told, people are told the next time.
    assert!(is_news(&warned, None) && is_news(&warned, Some(&warned)));
    let later = Case::nightly()
        .at("2025-02-11T20:00:00+01:00")
        .measured(lost);
    assert!(!is_news(&later.assess(), Some(&told(&warned))));
    // One more is news again, and so is one that came back.
    let more = later.destination("links", json!([])).assess();
    assert!(is_news(&more, Some(&told(&warned))));
    assert!(!is_news(&warned, Some(&told(&more))));
}

#[test]
fn a_failed_drill_is_an_error_and_one_that_is_overdue_a_warning() {
    let drill = |at: &str, verdict: &str| -> schema::drill::Drill {
        serde_json::from_value(json!({
            "format_version": 1,
            "host": "atlas",
            "started_at": at,
            "ended_at": at,
            "verdict": verdict,
            "summary": "/etc/check failed with exit code 1",
            "snapshot": {
                "id": "2025-02-09_02-00-00",
                "home": "weekly",
                "started_at": "2025-02-09T02:00:00+01:00",
                "complete": true,
            },
            "ready_millis": 20,
            "sample": null,
            "checks": [],
        }))
        .unwrap()
    };
    let with = |enable: bool, last: Option<schema::drill::Drill>| {
        Case::nightly()
            .set("monitoring", json!({"drill": {"enable": enable}}))
            .measured(|of| of.drill = last.clone())
    };
    let recent = "2025-02-04T05:00:00+01:00";
    assert_eq!(with(true, Some(drill(recent, "passed"))).codes(), [""; 0]);
    assert_eq!(
        with(false, Some(drill(recent, "failed"))).codes(),
        ["e drill-failed"]
    );
    // Twice a week.
    let old = Some(drill("2025-01-27T11:00:00+01:00", "passed"));
    assert_eq!(with(true, old.clone()).codes(), ["w drill-overdue"]);
    assert_eq!(with(false, old).codes(), [""; 0]);
    // What a later one disproved is gone.
    let failed = with(true, Some(drill(recent, "failed"))).assess();
    assert_eq!(failed.verdict, HealthVerdict::Error);
    let later = drill("2025-02-10T13:00:00+01:00", "passed");
    let left = without_disproved_drill(failed.clone(), Some(&later));
    assert_eq!(left.verdict, HealthVerdict::Ok);
    let still = drill("2025-02-10T13:00:00+01:00", "failed");
    assert_eq!(
        without_disproved_drill(failed.clone(), Some(&still)),
        failed
    );
}
