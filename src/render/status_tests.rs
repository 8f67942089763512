//! How a status looks.

use schema::Severity;
use serde_json::json;

use super::*;
use crate::render::{
    list::tests::{destination, few, snapshot},
    page::assert_fits,
};

fn facts(found: &DestinationState) -> Facts<'_> {
    Facts {
        host: "atlas",
        now: "2025-01-16T05:00:00+01:00".parse().unwrap(),
        destination: Some(found),
        last_report: None,
        unfinished: None,
        running: false,
        next_run_at: Some("2025-01-17T02:00:00+01:00".parse().unwrap()),
        late_since: None,
        findings: Vec::new(),
    }
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
        snapshot: None,
        findings: Vec::new(),
        steps: Vec::new(),
    }
}

fn first_line(view: &StatusView) -> String {
    let text = render(view, &Style::PLAIN);
    assert_fits(&text);
    text.lines().next().unwrap().to_owned()
}

#[test]
fn a_status_tells_the_verdict_first() {
    let found = few();
    let last = report_of(RunResult::Success);
    let view = StatusView::new(Facts {
        last_report: Some(&last),
        unfinished: Some(Unfinished {
            run_id: "2025-01-16_14-00-00-77aa".to_owned(),
            step: Some("snapshot".to_owned()),
        }),
        late_since: Some("2025-01-16T04:00:00+01:00".parse().unwrap()),
        findings: vec![
            Finding::new(
                Severity::Warning,
                "source-missing",
                "/srv/photos (local.sources) is not there; the backup will be incomplete",
            )
            .hint("mount it, or remove it from local.sources"),
        ],
        ..facts(&found)
    });
    let text = render(&view, &Style::PLAIN);
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
        id: "2025-01-16_02-00-00".parse().unwrap(),
        complete: true,
        suspect: Vec::new(),
        totals: Default::default(),
    });
    for (facts, verdict, line) in [
        (facts(&good), Verdict::Ok, "ok: last backup 3 hours ago"),
        (
            Facts {
                running: true,
                ..facts(&good)
            },
            Verdict::Ok,
            "ok: a backup is running; last backup 3 hours ago",
        ),
        (facts(&empty), Verdict::NoBackup, "no backup yet"),
        (facts(&absent), Verdict::NoBackup, "no backup yet"),
        (
            Facts {
                last_report: Some(&sealed),
                ..facts(&absent)
            },
            Verdict::Warning,
            "warning: /mnt/backup is not there; last backup 3 hours ago",
        ),
        (
            Facts {
                last_report: Some(&failed),
                ..facts(&good)
            },
            Verdict::Warning,
            "warning: the last run failed; last backup 3 hours ago",
        ),
        (
            facts(&few),
            Verdict::Warning,
            "warning: 1 suspect snapshot; last backup 3 hours ago",
        ),
    ] {
        let view = StatusView::new(facts);
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
    let view = StatusView::new(facts(&found));
    let good = view.last_good.unwrap();
    assert_eq!(good.id.to_string(), "2025-01-14_02-00-00");
    let json = serde_json::to_value(view.suspect).unwrap();
    assert_eq!(json[0]["id"], "2025-01-15_02-00-00");
}
