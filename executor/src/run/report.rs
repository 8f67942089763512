//! Makes the report of a run so far, and its result.

use chrono::{DateTime, FixedOffset};
use schema::{
    Plan, Report, RunResult,
    finding::Severity,
    journal::{JournalEvent, REPORT_FORMAT_VERSION, Status, StepReport},
    plan::{Step, only_tells},
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
        only_of: Vec::new(),
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
    Report {
        snapshot: steps.iter().find_map(|step| step.outcome.sealed.clone()),
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

/// How a run ended, from how its steps did. A notification never changes it.
pub(super) fn run_result(report: &Report) -> RunResult {
    let severity = report.findings.iter().map(|finding| finding.severity).max();
    if severity == Some(Severity::Refusal) {
        return RunResult::Refused;
    }
    let worst = report
        .steps
        .iter()
        .filter(|done| !only_tells(&done.step))
        .map(|done| done.outcome.status)
        .max();
    match worst {
        Some(Status::Failed) => RunResult::Failed,
        Some(Status::Refused) => RunResult::Refused,
        // What could be done without what is waited for is done.
        _ if severity == Some(Severity::Deferral) => RunResult::Deferred,
        Some(Status::Deferred) => RunResult::Deferred,
        Some(Status::Incomplete) => RunResult::Incomplete,
        Some(Status::Skipped | Status::Succeeded) | None => match severity {
            Some(Severity::Warning) => RunResult::Incomplete,
            _ => RunResult::Success,
        },
    }
}
