//! A report of several destinations, and what it comes to for each.

use serde_json::json;

use super::*;

fn report(steps: &[(&str, &str)]) -> Report {
    let step = |(id, status): &(&str, &str)| {
        json!({"step": id, "started_at": null, "ended_at": "2025-01-01T00:00:00Z",
            "outcome": {"status": status, "message": "", "hint": null, "sealed": null, "problems": []}})
    };
    serde_json::from_value(json!({
        "format_version": 1, "run_id": "r", "host": "h", "started_at": "2025-01-01T00:00:00Z",
        "ended_at": "2025-01-01T00:00:00Z", "result": "interrupted", "snapshot": null, "findings": [],
        "steps": steps.iter().map(step).collect::<Vec<_>>(),
    }))
    .unwrap()
}

fn name(text: &str) -> DestinationName {
    text.parse().unwrap()
}

fn concluded(steps: &[(&str, &str)], others: &[(&str, Option<Severity>)], base: bool) -> Report {
    let mut report = report(steps);
    let finding = |severity: &Severity| Finding::new(*severity, "x", "m");
    let mut taking_part: Vec<(Option<DestinationName>, Vec<Finding>)> = Vec::new();
    if base {
        taking_part.push((None, Vec::new()));
    }
    for (one, severity) in others {
        taking_part.push((Some(name(one)), severity.iter().map(finding).collect()));
    }
    report.conclude(&taking_part);
    report
}

#[test]
fn the_whole_is_as_bad_as_its_destinations_and_never_good_while_something_is_held_back() {
    use Severity::{Deferral, Refusal, Warning};
    let good = [("snapshot", "succeeded"), ("snapshot:usb", "succeeded")];
    let usb = |severity| ("usb", severity);
    let whole = |steps: &[(&str, &str)], others: &[(&str, Option<Severity>)]| {
        concluded(steps, others, true).result
    };
    assert_eq!(whole(&good, &[usb(None)]), RunResult::Success);
    assert_eq!(
        whole(&good[..1], &[usb(Some(Deferral))]),
        RunResult::Deferred
    );
    // Something changed, so it is not `refused`.
    assert_eq!(
        whole(&good[..1], &[usb(Some(Refusal))]),
        RunResult::Incomplete
    );
    assert_eq!(whole(&good, &[usb(Some(Warning))]), RunResult::Incomplete);
    let failed = [("snapshot", "succeeded"), ("snapshot:usb", "failed")];
    assert_eq!(whole(&failed, &[usb(None)]), RunResult::Failed);
    let both = [usb(Some(Refusal)), ("nas", Some(Deferral))];
    assert_eq!(whole(&good[..1], &both), RunResult::Incomplete);
    assert_eq!(concluded(&[], &both, false).result, RunResult::Refused);
    let away = [usb(Some(Deferral)), ("nas", Some(Deferral))];
    assert_eq!(concluded(&[], &away, false).result, RunResult::Deferred);
    let script = [("snapshot:usb", "succeeded"), ("post-script", "failed")];
    let script = concluded(&script, &[usb(None)], false);
    assert_eq!(script.result, RunResult::Failed);
    assert_eq!(script.destinations[&name("usb")].result, RunResult::Success);
    let aborted = [("pre-script", "failed"), ("snapshot:usb", "skipped")];
    let aborted = concluded(&aborted, &[usb(None)], false);
    assert_eq!(aborted.destinations[&name("usb")].result, RunResult::Failed);
}

#[test]
fn a_chain_is_the_report_of_its_destination_alone() {
    let steps = [
        ("pre-script", "succeeded"),
        ("snapshot", "failed"),
        ("cloud-sync", "succeeded"),
        ("snapshot:usb", "succeeded"),
        ("notify", "failed"),
    ];
    let report = concluded(&steps, &[("usb", Some(Severity::Note))], true);
    assert_eq!(report.result, RunResult::Failed);
    let result = |of: &str| report.destinations[&name(of)].result;
    assert_eq!(result("local"), RunResult::Failed);
    assert_eq!(result("cloud"), RunResult::Success);
    let usb = report.chain(&name("usb")).unwrap();
    let ids: Vec<&str> = usb.steps.iter().map(|step| step.step.as_str()).collect();
    assert_eq!(ids, ["pre-script", "snapshot", "notify"]);
    assert_eq!((usb.result, usb.findings.len()), (RunResult::Success, 1));
    assert!(!usb.is_of_several());
    let base = report
        .chain(&DestinationName::new(DestinationName::CLOUD))
        .unwrap();
    assert_eq!((base.result, base.steps.len()), (RunResult::Failed, 4));
    assert!(report.chain(&name("nas")).is_none());
}

#[test]
fn what_is_deferred_hides_nothing_of_those_that_are_served() {
    let steps = [("snapshot", "incomplete"), ("snapshot:nas", "succeeded")];
    let away = [("nas", None), ("usb", Some(Severity::Deferral))];
    let served = |steps| concluded(steps, &away, true).result_of_served();
    assert_eq!(served(&steps), RunResult::Incomplete);
    let good = [("snapshot", "succeeded"), ("snapshot:nas", "succeeded")];
    assert_eq!(served(&good), RunResult::Success);
    let report = concluded(&steps, &away, true);
    assert_eq!(report.result, RunResult::Deferred);
    assert_eq!(
        concluded(&[], &away[1..], false).result_of_served(),
        RunResult::Deferred
    );
    let usb = report.of_one(Some(&name("usb")));
    assert_eq!((usb.result, usb.steps.len()), (RunResult::Deferred, 0));
    assert_eq!(usb.destinations.len(), 1);
    let base = report.of_one(None);
    assert_eq!((base.result, base.steps.len()), (RunResult::Incomplete, 1));
}

#[test]
fn what_came_after_counts_though_it_was_for_the_base_alone() {
    let first = [("snapshot", "deferred"), ("snapshot:usb", "succeeded")];
    let before = concluded(&first, &[("usb", None)], true);
    assert_eq!(before.result, RunResult::Deferred);
    let both = report(&[("snapshot", "failed")]).after(&before);
    assert_eq!(both.result, RunResult::Failed);
    assert_eq!(both.destinations[&name("usb")].result, RunResult::Success);
    let ids: Vec<&str> = both.steps.iter().map(|step| step.step.as_str()).collect();
    assert_eq!(ids, ["snapshot:usb", "snapshot"]);
    // And so does what was for it alone before.
    let later = concluded(&first[1..], &[("usb", None)], false);
    let both = later.after(&report(&[("snapshot", "failed")]));
    assert_eq!(both.result, RunResult::Failed);
    assert_eq!(both.steps.len(), 2);
}

#[test]
fn a_report_of_one_is_written_as_ever() {
    let report = report(&[("snapshot", "succeeded")]);
    let json = serde_json::to_value(&report).unwrap();
    assert!(json.get("destinations").is_none() && json.get("only_of").is_none());
    assert_eq!(
        report.chain(&DestinationName::new(DestinationName::LOCAL)),
        Some(report.clone())
    );
    assert_eq!(report.chain(&name("usb")), None);
}
