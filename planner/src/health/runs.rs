//! How runs went: the last one, one that waits to be continued, and whether the clock can be
//! trusted.

use schema::{Finding, RunResult, clock, health::EndedRun, notified::FailedMail, plan::Part};

use super::{Checkup, note, warning};
use crate::{findings::code, standing};

/// Judges the runs that are remembered.
pub(super) fn check_runs(checkup: &Checkup<'_>, findings: &mut Vec<Finding>) {
    let measured = checkup.measured;
    let now = checkup.facts.inventory.taken_at;
    if let Some(run) = measured.unfinished.as_ref().filter(|_| !measured.running) {
        let step = run.step.as_ref();
        let step = step.map_or_else(String::new, |step| format!(" in step {step}"));
        let often = match run.interruptions {
            0 | 1 => String::new(),
            many => format!(" {many} times"),
        };
        findings.push(
            warning(
                code::RUN_UNFINISHED,
                format!(
                    "run {} was interrupted{often}{step} and not continued",
                    run.run_id
                ),
            )
            .hint("`backup apply` continues it"),
        );
    }
    for last in standing::last_runs(checkup.facts.config, &measured.runs) {
        ended(last, findings);
    }
    if let Some(last) = measured.runs.last() {
        told(last, findings);
    }
    let unsent = measured.report_unsent.as_ref();
    findings.extend(unsent.and_then(|failed| report_unsent(checkup, failed)));
    let mut looked = measured.runs.iter().rev();
    let standing = looked.find_map(|run| run.standing.as_ref());
    findings.extend(standing.into_iter().flatten().cloned());
    let ended = measured.runs.last().map(|last| last.ended_at);
    let latest = ended.into_iter().chain(measured.last_check_at).max();
    if let Some(latest) = latest.filter(|latest| clock::is_ahead(*latest, now)) {
        findings.push(
            warning(
                code::CLOCK_WENT_BACK,
                format!(
                    "the clock says {}, and the program ran at {} already: one of them is wrong",
                    now.format("%Y-%m-%d %H:%M"),
                    latest.format("%Y-%m-%d %H:%M")
                ),
            )
            .hint("check the clock with `timedatectl`: ages and retention go by it"),
        );
    }
}

/// That the report which is to come by mail does not.
fn report_unsent(checkup: &Checkup<'_>, failed: &FailedMail) -> Option<Finding> {
    checkup.facts.config.notifications.report?;
    let found = warning(
        code::REPORT_UNSENT,
        format!(
            "the report by mail (notifications.report) could not be sent since {}: {}",
            failed.since.format("%Y-%m-%d"),
            failed.because
        ),
    );
    let hint = failed.hint.as_deref();
    Some(found.hint(hint.unwrap_or("`sudo backup notify-test` tries it")))
}

/// How the last run of a part ended.
fn ended(last: &EndedRun, findings: &mut Vec<Finding>) {
    let part = last.only.map_or("run", |only| match only {
        Part::Cloud => "run of the cloud steps",
        Part::Local | Part::Coordinator => "run of the local steps",
    });
    let about = format!("the last {part}, {}", last.run_id);
    if let Some(trouble) = standing::trouble(last) {
        let message = format!("{about}, {trouble}");
        findings.push(warning(code::LAST_RUN_FAILED, message).hint(format!(
            "`backup status` says more, and report.json of run {} all of it",
            last.run_id
        )));
    } else if last.result == RunResult::Incomplete {
        let message = format!("{about}, was incomplete or suspect");
        findings.push(note(code::LAST_RUN_FAILED, message));
    }
}

/// Whether the last run could tell anyone.
fn told(last: &EndedRun, findings: &mut Vec<Finding>) {
    if let Some(said) = &last.not_notified {
        findings.push(
            warning(
                code::NOBODY_WAS_TOLD,
                format!(
                    "the last run, {}, could not tell anyone: {said}",
                    last.run_id
                ),
            )
            .hint("correct notifications.*; the next run tells again"),
        );
    }
}
