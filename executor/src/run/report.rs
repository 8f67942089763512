//! Makes the report of a run so far, and its result.

use chrono::{DateTime, FixedOffset};
use schema::{
    Plan, Report, RunResult,
    journal::{JournalEvent, REPORT_FORMAT_VERSION, StepReport},
    plan::{Step, chain::split_id, only_tells},
};

use crate::journal::Replay;

/// When a run began, by its journal; now where that does not tell.
pub(super) fn run_started_at(replay: &Replay, now: DateTime<FixedOffset>) -> DateTime<FixedOffset> {
    let started = replay.events.iter().find_map(|event| match event {
        JournalEvent::RunStarted { at, .. } => Some(*at),
        _ => None,
    });
    started.unwrap_or(now)
}

/// The report of a run of which nothing has ended yet.
pub(super) fn empty_report(plan: &Plan, replay: &Replay, now: DateTime<FixedOffset>) -> Report {
    Report {
        format_version: REPORT_FORMAT_VERSION,
        run_id: plan.run_id.clone(),
        host: plan.host.clone(),
        started_at: run_started_at(replay, now),
        ended_at: now,
        result: RunResult::Interrupted,
        only: plan.only,
        only_of: plan.only_of.clone(),
        snapshot: None,
        findings: plan.findings.clone(),
        steps: Vec::new(),
        destinations: std::collections::BTreeMap::new(),
    }
}

/// What the journal of a run that has not ended says of its steps.
pub(super) fn report_so_far(plan: &Plan, replay: &Replay, now: DateTime<FixedOffset>) -> Report {
    let steps: Vec<StepReport> = plan
        .steps
        .iter()
        .filter_map(|step| {
            Some(StepReport {
                step: step.id.clone(),
                started_at: replay.started(&step.id),
                ended_at: now,
                outcome: replay.outcome(&step.id)?.clone(),
            })
        })
        .collect();
    let of_base = |step: &&StepReport| split_id(&step.step).1.is_none();
    let mut base = steps.iter().filter(of_base);
    Report {
        snapshot: base.find_map(|step| step.outcome.sealed.clone()),
        steps,
        ..empty_report(plan, replay, now)
    }
}

/// What a step needs and did not get.
pub(super) fn unmet_need<'a>(step: &'a Step, report: &Report) -> Option<&'a String> {
    step.needs.iter().find(|need| {
        !report
            .steps
            .iter()
            .any(|done| done.step == **need && done.outcome.status.serves())
    })
}

/// A report with how the run ended, from how its steps did; in a run for several destinations for each of
/// them as well. A notification never changes it.
pub(super) fn conclude(plan: &Plan, mut report: Report) -> Report {
    if plan.chains.is_empty() {
        let severity = report.findings.iter().map(|finding| finding.severity).max();
        let steps = report.steps.iter().filter(|done| !only_tells(&done.step));
        report.result = RunResult::of_steps(severity, steps.map(|done| done.outcome.status).max());
        return report;
    }
    let taking_part: Vec<_> = plan
        .taking_part()
        .into_iter()
        .map(|of| {
            let chain = of.as_ref().and_then(|of| plan.chains.get(of));
            let findings = chain.map(|chain| chain.findings.clone());
            (of, findings.unwrap_or_default())
        })
        .collect();
    report.conclude(&taking_part);
    report
}
