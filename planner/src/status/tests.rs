use serde_json::json;

use super::*;

fn config(json: &serde_json::Value) -> Config {
    serde_json::from_value(json.clone()).unwrap()
}

fn facts() -> StatusFacts<'static> {
    StatusFacts {
        host: "atlas",
        now: "2025-01-16T05:00:00+01:00".parse().unwrap(),
        known: Known {
            destination: None,
            is_ours: true,
            has_others: false,
            runs: &[],
        },
        unfinished: None,
        running: false,
        timer_is_active: false,
        cloud: None,
        health: None,
        findings: Vec::new(),
    }
}

fn copies() -> CloudMemory {
    serde_json::from_value(json!({
        "last": {
            "format_version": 1,
            "id": "2025-01-16_02-00-00",
            "attempt": 7,
            "uploaded_at": "2025-01-16T03:00:00+01:00",
            "files": 12,
            "bytes": 4096,
            "manifest_digest": schema::Digest([0; 32]),
            "made_by": "backup 0.1.0",
            "not_uploaded": [],
        },
        "uploaded": ["2025-01-15_02-00-00", "2025-01-16_02-00-00"],
        "history": [],
        "attempt": 7,
    }))
    .unwrap()
}

#[test]
fn without_local_snapshots_the_newest_copy_in_the_cloud_counts() {
    let memory = copies();
    let facts = StatusFacts {
        cloud: Some(&memory),
        ..facts()
    };
    let config = config(&json!({"cloud": {"enable": true}}));
    let status = build_status(&config, facts);
    assert_eq!(status.verdict, StatusVerdict::Ok);
    assert_eq!(status.summary, "last backup 2 hours ago");
    assert_eq!(status.last_good.unwrap().age_seconds, 7200);
    assert_eq!(status.cloud.unwrap().snapshots, 2);
}

#[test]
fn a_schedule_that_no_timer_starts_is_noted_and_has_no_next_run() {
    let config = config(&json!({"schedule": {"enable": true}}));
    let unstarted = build_status(&config, facts());
    assert!(unstarted.no_timer);
    assert_eq!(unstarted.next_run_at, None);
    assert_eq!(unstarted.findings[0].code, code::NO_TIMER);
    let started = StatusFacts {
        timer_is_active: true,
        ..facts()
    };
    let started = build_status(&config, started);
    assert!(!started.no_timer && started.findings.is_empty());
    let next = started.next_run_at.unwrap();
    assert_eq!(next.to_rfc3339(), "2025-01-17T02:00:00+01:00");
}

#[test]
fn a_run_that_is_at_work_is_not_an_unfinished_one() {
    let unfinished = |running| {
        let facts = StatusFacts {
            unfinished: Some(UnfinishedRun {
                run_id: "r".to_owned(),
                step: None,
                interruptions: 1,
            }),
            running,
            ..facts()
        };
        build_status(&Config::default(), facts)
    };
    assert!(unfinished(false).unfinished.is_some());
    let running = unfinished(true);
    assert_eq!(running.unfinished, None);
    assert_eq!(running.summary, "no backup yet, one is running now");
}

#[test]
fn without_a_backup_the_headline_says_what_the_last_run_lacked() {
    let run = serde_json::from_value(json!({
        "run_id": "r", "started_at": "2025-01-16T02:00:00+01:00",
        "ended_at": "2025-01-16T02:00:01+01:00", "result": "refused", "good": null,
        "undone": "insufficient space", "copied_at": null, "not_notified": null,
    }));
    let runs = [run.unwrap()];
    let mut facts = facts();
    facts.known.runs = &runs;
    let status = build_status(&config(&json!({"local": {"enable": true}})), facts);
    let (headline, because) = status.summary.split_once(": ").unwrap();
    assert_eq!(headline, "no backup yet");
    assert!(because.contains("refused: insufficient space"), "{because}");
}

#[test]
fn after_a_first_run_that_failed_what_is_known_to_be_in_the_way_goes_first() {
    let remedy_after = |result: &str| {
        let run = serde_json::from_value(json!({
            "run_id": "r", "started_at": "2025-01-16T02:00:00+01:00",
            "ended_at": "2025-01-16T02:00:01+01:00", "result": result, "good": null,
            "undone": "x can be read by others", "copied_at": null, "not_notified": null,
        }));
        let runs = [run.unwrap()];
        let unused = Finding::new(Severity::Warning, "x", "x can be read by others: not used");
        let mut facts = facts();
        facts.known.runs = &runs;
        facts.findings = vec![unused.hint("`chmod 600 x`")];
        let status = build_status(&config(&json!({"local": {"enable": true}})), facts);
        status.remedy.unwrap()
    };
    assert_eq!(
        remedy_after("failed"),
        "`chmod 600 x`; `backup now` then makes the first one"
    );
    assert_eq!(
        remedy_after("interrupted"),
        "`backup now` makes the first one"
    );
}

#[test]
fn what_waits_for_a_person_is_not_tried_again() {
    let run = serde_json::from_value(json!({
        "run_id": "r", "started_at": "2025-01-16T02:00:00+01:00",
        "ended_at": "2025-01-16T02:00:01+01:00", "result": "incomplete",
        "good": {
            "id": "2025-01-16_02-00-00", "started_at": "2025-01-16T02:00:00+01:00",
            "complete": true,
        },
        "undone": "14 deletions at once need approval", "copied_at": null, "not_notified": null,
    }));
    let runs = [run.unwrap()];
    let mut facts = facts();
    facts.known.runs = &runs;
    let status = build_status(&config(&json!({"local": {"enable": true}})), facts);
    assert!(
        status.summary.contains("14 deletions"),
        "{}",
        status.summary
    );
    let remedy = status.remedy.unwrap();
    assert!(remedy.starts_with("`backup plan` says"), "{remedy}");
}

#[test]
fn an_old_suspect_is_accepted_only_where_it_is_what_waits() {
    let remedy = |undone: &str, run_id: &str| {
        let run = serde_json::from_value(json!({
            "run_id": run_id, "started_at": "2025-01-16T02:00:00+01:00",
            "ended_at": "2025-01-16T02:00:01+01:00", "result": "incomplete",
            "good": {
                "id": "2025-01-15_02-00-00", "started_at": "2025-01-15T02:00:00+01:00",
                "complete": true,
            },
            "undone": undone, "copied_at": null, "not_notified": null,
        }));
        let runs = [run.unwrap()];
        let mut facts = facts();
        facts.known.runs = &runs;
        let mut status = build_status(&config(&json!({"local": {"enable": true}})), facts);
        status.suspect = vec![SuspectSnapshot {
            id: "2025-01-10_02-00-00".parse().unwrap(),
            because: vec!["few files".to_owned()],
        }];
        summary::summarize(&status).2.unwrap()
    };
    let other = remedy(
        "3 files are not in the copy",
        "2025-01-16_02-00-00-0a1b2c3d",
    );
    assert!(other.starts_with("`backup plan` says"), "{other}");
    let accept = "`backup accept 2025-01-10_02-00-00`";
    let withheld = "1 snapshot is suspect, and nothing is deleted until a person has looked: few";
    let waits = remedy(withheld, "2025-01-16_02-00-00-0a1b2c3d");
    assert!(waits.contains(accept), "{waits}");
    let own = remedy(
        "nothing is copied: this run made no good snapshot",
        "2025-01-10_02-00-00-0a1b2c3d",
    );
    assert!(own.contains(accept), "{own}");
}
