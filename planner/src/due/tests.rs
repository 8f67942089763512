//! When a run is due, by reports and tries made by hand.

use schema::journal::{Outcome, REPORT_FORMAT_VERSION, Sealed, Status, StepReport};

use super::*;
use crate::test_support::destination;

fn at(text: &str) -> Time {
    text.parse().unwrap()
}

fn config(cloud: bool) -> Config {
    serde_json::from_value(serde_json::json!({
        "local": {"enable": true},
        "cloud": {"enable": cloud},
        "schedule": {"enable": true, "randomDelay": "0s"},
    }))
    .unwrap()
}

/// A whole run that was begun then: what of it ended well.
fn run(started_at: &str, snapshot: bool, copied: Option<bool>) -> Report {
    let started_at = at(started_at);
    let ended_at = started_at + TimeDelta::minutes(1);
    let ok = snapshot && copied != Some(false);
    Report {
        format_version: REPORT_FORMAT_VERSION,
        run_id: "r".to_owned(),
        host: "ash".to_owned(),
        started_at,
        ended_at,
        result: if ok {
            RunResult::Success
        } else {
            RunResult::Failed
        },
        only: None,
        only_of: Vec::new(),
        destinations: std::collections::BTreeMap::new(),
        snapshot: snapshot.then(|| Sealed {
            costs_most: None,
            left_out: None,
            gone: None,
            id: SnapshotId::from_local(started_at.naive_local()),
            complete: true,
            suspect: Vec::new(),
            totals: schema::record::SnapshotTotals::default(),
        }),
        findings: Vec::new(),
        steps: copied
            .map(|well| StepReport {
                step: "cloud-sync".to_owned(),
                started_at: Some(started_at),
                ended_at,
                outcome: Outcome {
                    status: if well {
                        Status::Succeeded
                    } else {
                        Status::Failed
                    },
                    ..Outcome::default()
                },
            })
            .into_iter()
            .collect(),
    }
}

fn only(part: Part, report: Report) -> Report {
    Report {
        only: Some(part),
        ..report
    }
}

fn asked(cloud: bool, newest_first: &[Report], now: &str) -> Asked {
    let past = Past {
        reports: newest_first,
        tries: None,
        again: true,
        booted: None,
    };
    decide(&config(cloud), &past, at(now))
}

fn is_due(asked: &Asked) -> bool {
    matches!(asked, Asked::Unless(_))
}

fn is_not(asked: &Asked, why: &str) -> bool {
    matches!(asked, Asked::Not(because) if because.contains(why))
}

#[test]
fn a_clock_that_was_ahead_serves_no_night_then_or_later() {
    let ahead = || run("2025-03-09T02:00:00Z", true, None);
    let now = "2025-03-06T02:30:00Z";
    assert!(is_due(&asked(false, &[ahead()], now)));
    // By the night that it claims to be of, another run came after it.
    let night = run("2025-03-08T02:30:00Z", true, None);
    let on_that_day = asked(false, &[night, ahead()], "2025-03-09T02:30:00Z");
    assert!(is_due(&on_that_day));
    let Asked::Unless(newer) = on_that_day else {
        panic!()
    };
    assert_eq!(newer.disbelieved.len(), 1);
    let tonight = run("2025-03-09T02:30:00Z", true, None);
    let served = asked(false, &[tonight, ahead()], "2025-03-09T03:00:00Z");
    assert!(is_not(&served, "as new as"));
}

#[test]
fn a_failure_of_the_future_delays_nothing() {
    let ahead = run("2026-03-09T02:00:00Z", false, None);
    assert!(is_due(&asked(false, &[ahead], "2025-03-06T02:01:00Z")));
}

#[test]
fn a_part_that_ran_alone_counts_for_itself() {
    let now = "2025-03-06T03:30:00Z";
    let copied = || only(Part::Cloud, run("2025-03-06T02:01:00Z", false, Some(true)));
    let copied = || Report {
        result: RunResult::Success,
        ..copied()
    };
    let saved = || only(Part::Local, run("2025-03-06T02:02:00Z", true, None));
    assert!(is_due(&asked(true, &[copied()], now)));
    assert_eq!(asked(true, &[saved()], now), Asked::Run(Some(Part::Cloud)));
    // What was copied before the backup does not have it.
    let before = asked(true, &[saved(), copied()], now);
    assert_eq!(before, Asked::Run(Some(Part::Cloud)));
    assert!(is_not(&asked(true, &[copied(), saved()], now), "as new as"));
    assert!(is_not(&asked(false, &[saved()], now), "as new as"));
}

#[test]
fn the_copy_alone_is_tried_again_where_it_alone_failed() {
    let failed = || run("2025-03-06T02:00:00Z", true, Some(false));
    let soon = asked(true, &[failed()], "2025-03-06T02:10:00Z");
    assert!(is_not(&soon, "tried again at 02:16"), "{soon:?}");
    let later = asked(true, &[failed()], "2025-03-06T02:20:00Z");
    assert_eq!(later, Asked::Run(Some(Part::Cloud)));
    let whole = run("2025-03-06T02:00:00Z", true, Some(true));
    assert!(is_not(
        &asked(true, &[whole], "2025-03-06T02:20:00Z"),
        "as new as"
    ));
}

#[test]
fn what_dies_without_a_report_or_is_refused_is_tried_at_growing_distances() {
    let tries = |count, last_at: &str| Tries {
        since: Some(at("2025-03-06T02:00:00Z")),
        count,
        last_at: at(last_at),
    };
    let ask = |again, tries, now: &str| {
        let past = Past {
            reports: &[],
            tries: Some(tries),
            again,
            booted: None,
        };
        decide(&config(false), &past, at(now))
    };
    let three = tries(3, "2025-03-06T04:00:00Z");
    let early = ask(true, three, "2025-03-06T04:59:00Z");
    assert!(is_not(
        &early,
        "did not come to its end; it is tried again at 05:00"
    ));
    assert!(is_due(&ask(true, three, "2025-03-06T05:00:00Z")));
    assert!(is_due(&ask(false, three, "2025-03-06T04:01:00Z")));
    assert!(
        is_due(&ask(true, three, "2025-03-07T02:00:00Z")),
        "another night"
    );
    let ahead = tries(3, "2026-03-06T04:00:00Z");
    assert!(is_due(&ask(true, ahead, "2025-03-06T04:59:00Z")));
    let past = Past {
        reports: &[],
        tries: Some(three),
        again: true,
        booted: None,
    };
    let until = |now: &str| decide_unfinished(&config(false), &past, at(now));
    assert_eq!(
        until("2025-03-06T04:59:00Z"),
        Some(at("2025-03-06T05:00:00Z"))
    );
    assert_eq!(until("2025-03-06T05:00:00Z"), None);
    assert_eq!(until("2025-03-07T02:01:00Z"), None);
}

fn finding(severity: Severity, code: &str) -> Finding {
    Finding::new(severity, code, "m")
}

#[test]
fn an_unfinished_run_is_gone_on_with_unless_power_or_many_deaths_say_later() {
    let waiting = WaitingRun {
        run_id: "r",
        interruptions: 3,
        is_busy: false,
        is_on_battery: false,
    };
    let tries = Tries {
        since: Some(at("2025-03-06T02:00:00Z")),
        count: 3,
        last_at: at("2025-03-06T04:00:00Z"),
    };
    let past = Past {
        reports: &[],
        tries: Some(tries),
        again: true,
        booted: None,
    };
    let decide = |waiting: &WaitingRun<'_>, now: &str| {
        decide_continuation(&config(false), &past, waiting, at(now))
    };
    let early = "2025-03-06T04:10:00Z";
    let expected = "run r was interrupted 3 times; it is continued at 05:00";
    assert_eq!(
        decide(&waiting, early),
        Some(Decision::Nothing(expected.to_owned()))
    );
    assert_eq!(decide(&waiting, "2025-03-06T05:00:00Z"), None);
    let busy = WaitingRun {
        is_busy: true,
        is_on_battery: true,
        ..waiting
    };
    assert_eq!(decide(&busy, early), Some(Decision::Run(None)));
    let on_battery = WaitingRun {
        is_on_battery: true,
        ..waiting
    };
    let deferred = decide(&on_battery, early);
    assert!(matches!(deferred, Some(Decision::Defer(one)) if one.code == code::ON_BATTERY));
}

#[test]
fn an_unfinished_run_waits_for_a_drive_that_may_be_away() {
    let away = finding(Severity::Deferral, code::DESTINATION_NOT_MOUNTED);
    assert_eq!(
        decide_by_absence(&config(false), Some(away.clone())),
        Decision::Defer(away)
    );
    let missing = finding(Severity::Refusal, code::DESTINATION_NOT_MOUNTED);
    assert_eq!(
        decide_by_absence(&config(false), Some(missing)),
        Decision::Run(None)
    );
    assert_eq!(decide_by_absence(&config(false), None), Decision::Run(None));
    // A script may bring it.
    let away = finding(Severity::Deferral, code::DESTINATION_NOT_MOUNTED);
    assert_eq!(
        decide_by_absence(&scripted(), Some(away)),
        Decision::Run(None)
    );
}

/// A configuration with a script before the backup.
fn scripted() -> Config {
    Config {
        pre_backup_script: Some("/bin/true".parse().unwrap()),
        ..config(false)
    }
}

#[test]
fn a_script_that_may_bring_the_drive_is_tried_again_at_growing_distances() {
    let away = destination(false, &serde_json::json!([]));
    let newer = Newer {
        since: at("2025-03-06T02:00:00Z"),
        disbelieved: Vec::new(),
    };
    let mut refused = run("2025-03-06T02:00:00Z", false, None);
    refused.result = RunResult::Refused;
    refused.findings = vec![finding(Severity::Refusal, code::DESTINATION_NOT_MOUNTED)];
    assert!(was_absent(&refused));
    let now = at("2025-03-06T02:20:00Z");
    let decide = |config: &Config| {
        let reports = [refused.clone()];
        decide_at_destination(config, &newer, &away, &reports, false, now)
    };
    assert!(matches!(
        decide(&config(false)),
        Decision::RefuseAsBefore(_)
    ));
    assert_eq!(decide(&scripted()), Decision::Run(None));
    refused.steps = vec![StepReport {
        step: "pre-script".to_owned(),
        started_at: Some(refused.started_at),
        ended_at: refused.ended_at,
        outcome: Outcome::default(),
    }];
    assert!(!was_absent(&refused), "it was a try");
}

#[test]
fn a_missing_drive_refuses_one_run_of_a_night_and_the_rest_as_before() {
    let away = destination(false, &serde_json::json!([]));
    let newer = Newer {
        since: at("2025-03-06T02:00:00Z"),
        disbelieved: Vec::new(),
    };
    let now = at("2025-03-06T03:00:00Z");
    let decide = |reports: &[Report], is_on_battery| {
        decide_at_destination(&config(false), &newer, &away, reports, is_on_battery, now)
    };
    assert_eq!(decide(&[], false), Decision::Run(None));
    let on_battery = decide(&[], true);
    assert!(matches!(on_battery, Decision::Defer(one) if one.code == code::ON_BATTERY));
    let mut refused = run("2025-03-06T02:15:00Z", false, None);
    refused.findings = vec![finding(Severity::Refusal, code::DESTINATION_NOT_MOUNTED)];
    let again = decide(std::slice::from_ref(&refused), false);
    assert!(matches!(again, Decision::RefuseAsBefore(_)), "{again:?}");
    refused.findings.push(finding(Severity::Refusal, "other"));
    assert_eq!(decide(&[refused], false), Decision::Run(None));
}

#[test]
fn what_was_deferred_or_met_an_absent_drive_was_no_try() {
    let now = at("2025-03-06T04:00:00Z");
    let tries = |count| Tries {
        since: None,
        count,
        last_at: at("2025-03-06T02:00:00Z"),
    };
    let (before, begun) = (Some(tries(1)), Some(tries(2)));
    let after = |end: TimerRunEnd<'_>| tries_after(before, begun, end, now);
    assert_eq!(after(TimerRunEnd::Deferred), before);
    assert_eq!(after(TimerRunEnd::Busy), before);
    let mut refused = run("2025-03-06T02:15:00Z", false, None);
    refused.findings = vec![finding(Severity::Refusal, code::DESTINATION_NOT_MOUNTED)];
    assert_eq!(after(TimerRunEnd::Refused(Some(&refused))), before);
    let ended = Some(Tries {
        last_at: now,
        ..tries(2)
    });
    let mut other = refused.clone();
    other.findings = vec![finding(Severity::Refusal, "other")];
    assert_eq!(after(TimerRunEnd::Refused(Some(&other))), ended);
    assert_eq!(after(TimerRunEnd::Refused(None)), ended);
    assert_eq!(after(TimerRunEnd::Other), ended);
}
