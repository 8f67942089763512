//! How a status looks.

use chrono::{DateTime, FixedOffset};
use planner::{
    standing::Known,
    status::{DayMark, StatusFacts, build_status},
};
use schema::{
    Config, Finding, Report, RunResult, Severity,
    health::{EndedRun, Health},
    inventory::DestinationState,
    output::status::UnfinishedRun,
    record::Capabilities,
};
use serde_json::json;

use super::*;
use crate::{
    render::{
        list::tests::{destination, few, snapshot},
        page::assert_fits,
    },
    style::{Drawing, Style},
};

fn now() -> DateTime<FixedOffset> {
    "2025-01-16T05:00:00+01:00".parse().unwrap()
}

fn local() -> Config {
    serde_json::from_value(json!({"local": {"enable": true}})).unwrap()
}

fn known<'a>(found: &'a DestinationState, runs: &'a [EndedRun]) -> Known<'a> {
    Known {
        destination: Some(found),
        is_ours: true,
        has_others: false,
        runs,
    }
}

/// What is known of these, of a machine on which nothing else was noticed.
fn facts<'a>(known: Known<'a>) -> StatusFacts<'a> {
    StatusFacts {
        host: "atlas",
        now: now(),
        known,
        unfinished: None,
        running: false,
        timer_is_active: true,
        cloud: None,
        health: None,
        findings: Vec::new(),
    }
}

fn view(found: &DestinationState, last: Option<Report>, running: bool) -> BackupStatus {
    let runs: Vec<EndedRun> = last.iter().map(EndedRun::of).collect();
    let facts = StatusFacts {
        running,
        ..facts(known(found, &runs))
    };
    build_status(&local(), facts)
}

fn good() -> DestinationState {
    let snapshots = json!([snapshot("daily", "2025-01-16_02-00-00", 0, &json!({}))]);
    destination(&snapshots)
}

fn report_of(result: RunResult) -> Report {
    Report {
        format_version: 1,
        run_id: "2025-01-16_02-00-00-8c1f".to_owned(),
        host: "atlas".to_owned(),
        started_at: "2025-01-16T02:00:00+01:00".parse().unwrap(),
        ended_at: "2025-01-16T02:03:10+01:00".parse().unwrap(),
        result,
        only: None,
        only_of: Vec::new(),
        snapshot: None,
        findings: Vec::new(),
        steps: Vec::new(),
        destinations: BTreeMap::new(),
    }
}

fn first_line(view: &BackupStatus) -> String {
    let text = status_page(view, &LastDays::default(), true, &Style::PLAIN);
    assert_fits(&text);
    text.lines().next().unwrap().to_owned()
}

#[test]
fn a_status_tells_the_verdict_first() {
    let mut config = local();
    config.schedule.enable = true;
    config.monitoring.max_age = Some("2h".parse().unwrap());
    let few = few();
    let runs = [EndedRun::of(&report_of(RunResult::Success))];
    let finding = Finding::new(
        Severity::Warning,
        "source-missing",
        "/srv/photos (local.sources) is not there; the backup will be incomplete",
    );
    let facts = StatusFacts {
        unfinished: Some(UnfinishedRun {
            run_id: "2025-01-16_14-00-00-77aa".to_owned(),
            step: Some("snapshot".to_owned()),
            interruptions: 3,
        }),
        findings: vec![finding.hint("mount it, or remove it from local.sources")],
        ..facts(known(&few, &runs))
    };
    let view = build_status(&config, facts);
    let text = status_page(&view, &LastDays::default(), true, &Style::PLAIN);
    assert_fits(&text);
    insta::assert_snapshot!(text);
}

#[test]
fn the_verdict_names_the_first_thing_to_look_at() {
    let (good, few) = (good(), few());
    let mut empty = good.clone();
    empty.snapshots.clear();
    let mut absent = empty.clone();
    absent.present = false;
    let failed = report_of(RunResult::Failed);
    let mut sealed = report_of(RunResult::Success);
    sealed.snapshot = Some(schema::journal::Sealed {
        costs_most: None,
        left_out: None,
        gone: None,
        id: "2025-01-16_02-00-00".parse().unwrap(),
        complete: true,
        suspect: Vec::new(),
        totals: Default::default(),
    });
    let mut unmounted = empty.clone();
    unmounted.mounted = false;
    for (view, verdict, line) in [
        (
            view(&good, None, false),
            StatusVerdict::Ok,
            "ok: last backup 3 hours ago",
        ),
        (
            view(&good, None, true),
            StatusVerdict::Ok,
            "ok: a backup is running; last backup 3 hours ago",
        ),
        (
            view(&empty, None, false),
            StatusVerdict::NoBackup,
            "no backup yet",
        ),
        (
            view(&empty, Some(sealed.clone()), false),
            StatusVerdict::NoBackup,
            "no backup yet",
        ),
        (
            view(&absent, None, false),
            StatusVerdict::NoBackup,
            "no backup yet",
        ),
        (
            view(&absent, Some(sealed.clone()), false),
            StatusVerdict::Warning,
            "warning: /mnt/backup is not there; last backup 3 hours ago",
        ),
        (
            view(&unmounted, Some(sealed), false),
            StatusVerdict::Warning,
            "warning: /mnt/backup is not mounted; last backup 3 hours ago",
        ),
        (
            view(&good, Some(failed), false),
            StatusVerdict::Warning,
            "warning: the last run failed; last backup 3 hours ago",
        ),
        (
            view(&few, None, false),
            StatusVerdict::Warning,
            "warning: 1 suspect snapshot; last backup 3 hours ago",
        ),
    ] {
        assert_eq!(first_line(&view), line);
        assert_eq!(view.verdict, verdict);
    }
}

#[test]
fn a_suspect_snapshot_and_one_of_the_future_are_not_the_last_good_one() {
    let found = destination(&json!([
        snapshot("daily", "2025-01-14_02-00-00", 0, &json!({})),
        snapshot("daily", "2025-01-15_02-00-00", 0, &json!({"suspect": true})),
        snapshot("daily", "2026-01-15_02-00-00", 0, &json!({})),
    ]));
    let view = view(&found, None, false);
    let good = view.last_good.unwrap();
    assert_eq!(good.id.to_string(), "2025-01-14_02-00-00");
    let json = serde_json::to_value(view.suspect).unwrap();
    assert_eq!(json[0]["id"], "2025-01-15_02-00-00");
}

#[test]
fn the_last_health_check_is_shown_and_counts_where_nothing_else_is_wrong() {
    let health = |verdict: &str, findings: serde_json::Value, at: &str| -> Health {
        serde_json::from_value(json!({
            "format_version": 1,
            "host": "atlas",
            "checked_at": at,
            "verdict": verdict,
            "last_good": null,
            "space": null,
            "verified": null,
            "cloud": null,
            "findings": findings,
        }))
        .unwrap()
    };
    let config = local();
    let shown = |found: &DestinationState, health: &Health| {
        let facts = StatusFacts {
            health: Some(health),
            ..facts(known(found, &[]))
        };
        let view = build_status(&config, facts);
        let text = status_page(&view, &LastDays::default(), true, &Style::PLAIN);
        assert_fits(&text);
        (first_line(&view), text)
    };
    let at = "2025-01-14T05:00:00+01:00";
    let well = health("ok", json!([]), at);
    let (first, text) = shown(&good(), &well);
    assert_eq!(first, "ok: last backup 3 hours ago");
    assert!(
        text.contains("Health        ok, checked 2 days ago\n"),
        "{text}"
    );
    let found = json!([
        {"severity": "error", "code": "verify-found-damage", "message": "x", "hint": null},
        {"severity": "warning", "code": "space-ends-soon", "message": "y", "hint": null},
        // Looked at anew each time.
        {"severity": "warning", "code": "clock-went-back", "message": "z", "hint": null},
    ]);
    let ill = health("error", found, "2024-12-14T05:00:00+01:00");
    let (first, text) = shown(&good(), &ill);
    let expected = "warning: the health check 33 days ago found 1 error, 1 warning; last backup 3";
    assert!(first.starts_with(expected), "{first}");
    assert!(text.contains("overdue"), "{text}");
    // What is known now goes before what was found then.
    let (first, _) = shown(&few(), &ill);
    assert!(first.starts_with("warning: 1 suspect snapshot;"), "{first}");
}

#[test]
fn what_a_drive_cannot_hold_is_shown_and_so_is_a_damaged_record() {
    let mut found = good();
    assert!(
        !status_page(
            &view(&found, None, false),
            &LastDays::default(),
            true,
            &Style::PLAIN
        )
        .contains("Cannot hold")
    );
    let mut can = Capabilities::all();
    (can.hard_links, can.symlinks) = (false, false);
    found.expected_capabilities = Some(can);
    found.unmanaged = serde_json::from_value(json!([
        {"tier": "daily", "name": "2025-01-15_02-00-00", "record_fault": "cannot read"},
        {"tier": "daily", "name": "mine"},
    ]))
    .unwrap();
    let view = view(&found, None, false);
    let text = status_page(&view, &LastDays::default(), true, &Style::PLAIN);
    assert_fits(&text);
    assert!(
        text.contains("Cannot hold   hard links, symlinks"),
        "{text}"
    );
    assert!(
        text.contains("damaged of daily/2025-01-15_02-00-00"),
        "{text}"
    );
    assert!(!text.contains("mine"));
    assert_eq!(view.verdict, StatusVerdict::Warning);
    let json = serde_json::to_value(&view).unwrap();
    assert_eq!(json["destination"]["lacks"][1], "symlinks");
    assert_eq!(
        json["damaged_records"],
        json!(["daily/2025-01-15_02-00-00"])
    );
}

#[test]
fn known_damage_is_a_warning_with_what_to_do() {
    let mut found = good();
    found.damaged = serde_json::from_value(json!([{
        "inode": 77,
        "names": [{"snapshot": "2025-01-16_02-00-00", "path": "home/ann/letter.txt"}],
        "expected": null,
        "found_at": "2025-01-16T12:00:00+01:00",
    }]))
    .unwrap();
    let view = view(&found, None, false);
    assert_eq!(view.verdict, StatusVerdict::Warning);
    assert!(first_line(&view).starts_with("warning: 1 stored file is damaged;"));
    for is_whole in [true, false] {
        let page = status_page(&view, &LastDays::default(), is_whole, &Style::PLAIN);
        let count = |words: &str| page.matches(words).count();
        assert_eq!(
            count("`backup verify 2025-01-16_02-00-00 --repair` heals"),
            1
        );
        assert_eq!(count("stored file is damaged"), 1, "{page}");
        assert_eq!(count("/home/ann/letter.txt"), 1, "{page}");
    }
}

#[test]
fn a_verdict_that_is_a_refusal_says_that_the_next_run_is_refused() {
    let (config, good) = (local(), good());
    let headline = |severity| {
        let finding = Finding::new(severity, "x", "the disk is too full").hint("make room");
        let facts = StatusFacts {
            findings: vec![finding],
            ..facts(known(&good, &[]))
        };
        first_line(&build_status(&config, facts))
    };
    let refused = headline(Severity::Refusal);
    let expected = "warning: the next run is refused: the disk is too full;";
    assert!(refused.starts_with(expected), "{refused}");
    let warned = headline(Severity::Warning);
    assert!(
        warned.starts_with("warning: the disk is too full;"),
        "{warned}"
    );
}

#[test]
fn the_last_days_are_marks_in_a_terminal_and_nothing_elsewhere() {
    let date = |day: u32| chrono::NaiveDate::from_ymd_opt(2025, 1, day).unwrap();
    let marks = [
        DayMark::Ok,
        DayMark::Warning,
        DayMark::None,
        DayMark::Failed,
        DayMark::Ok,
    ];
    let days = (12..).zip(marks);
    let days = days.map(|(day, mark)| Day {
        date: date(day),
        mark,
    });
    let days = LastDays::from([(None, days.collect())]);
    let found = good();
    let status = view(&found, None, false);
    let page = |style| status_page(&status, &days, false, &style);
    let plain = page(Style::PLAIN);
    assert_eq!(
        plain,
        status_page(&status, &LastDays::default(), false, &Style::PLAIN)
    );
    let letters = page(Style {
        drawing: Drawing::Letters,
        ..Style::PLAIN
    });
    let expected =
        "Last days     ow-Fo from 2025-01-12 to today: o ok, w warning, F failed, - none\n";
    assert!(letters.ends_with(expected), "{letters}");
    let signs = page(Style {
        drawing: Drawing::Signs,
        ..Style::PLAIN
    });
    assert!(signs.contains("✓!·✗✓ from"), "{signs}");
    assert_fits(&signs);
}
