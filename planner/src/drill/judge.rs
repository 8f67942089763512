//! What a drill came to: its verdict, and a line that says why.

use std::time::Duration;

use chrono::{DateTime, FixedOffset};
use schema::{
    amount,
    drill::{
        CheckResult, CheckStatus, Drill, DrillPlan, DrillVerdict, FORMAT_VERSION, PlannedCheck,
        RoomOutcome, SampleRead,
    },
};

/// Judges what happened in the room. Nothing that was not done counts as done.
#[must_use]
pub fn judge_drill(
    plan: &DrillPlan,
    outcome: RoomOutcome,
    ended_at: DateTime<FixedOffset>,
) -> Drill {
    let mut ended = outcome.checks;
    let result_of = |(number, planned): (usize, &PlannedCheck)| {
        ended.remove(&number).unwrap_or_else(|| CheckResult {
            check: planned.check.clone(),
            status: CheckStatus::NotRun,
            millis: 0,
            message: "was not run, because the drill ended before".to_owned(),
            output: String::new(),
        })
    };
    let checks: Vec<CheckResult> = plan.checks.iter().enumerate().map(result_of).collect();
    let troubles = troubles(&checks, outcome.sample.as_ref(), outcome.fault.as_deref());
    let verdict = match troubles.is_empty() {
        true => DrillVerdict::Passed,
        false => DrillVerdict::Failed,
    };
    let summary = if troubles.is_empty() {
        what_was_done(outcome.ready_millis, outcome.sample.as_ref(), &checks)
    } else {
        troubles.join("; ")
    };
    Drill {
        format_version: FORMAT_VERSION,
        host: plan.host.clone(),
        started_at: plan.planned_at,
        ended_at: ended_at.max(plan.planned_at),
        verdict,
        summary,
        snapshot: plan.snapshot.clone(),
        remote: plan.remote.clone(),
        passed_over: plan.passed_over.clone(),
        ready_millis: outcome.ready_millis,
        read_only: outcome.read_only,
        sample: outcome.sample,
        checks,
        fault: outcome.fault,
        hint: outcome.hint,
    }
}

/// What is wrong, in sentences without an end.
fn troubles(
    checks: &[CheckResult],
    sample: Option<&SampleRead>,
    fault: Option<&str>,
) -> Vec<String> {
    let mut found: Vec<String> = fault.map(str::to_owned).into_iter().collect();
    match sample {
        Some(read) if read.damage_count > 0 => found.push(format!(
            "{} of {} that were read {} not what the manifest says",
            amount::count(read.damage_count),
            amount::plural(read.files, "file", "files"),
            if read.damage_count == 1 { "is" } else { "are" },
        )),
        Some(read) if read.files == 0 && (checks.is_empty() || read.left_out > 0) => {
            found.push("no file was read".to_owned());
        }
        None if fault.is_none() => found.push("no file was read".to_owned()),
        Some(_) | None => {}
    }
    let failed = checks
        .iter()
        .filter(|one| one.status != CheckStatus::Passed);
    // What kept the drill from being done is said once.
    let failed: Vec<&CheckResult> = failed
        .filter(|one| fault.is_none() || one.status != CheckStatus::NotRun)
        .collect();
    if let Some(first) = failed.first() {
        let more = match failed.len() {
            1 => String::new(),
            many => format!(", and {} more", many - 1),
        };
        found.push(format!("{} {}{more}", first.check, first.message));
    }
    found
}

/// What a drill did in which nothing is wrong.
fn what_was_done(
    ready_millis: Option<u64>,
    sample: Option<&SampleRead>,
    checks: &[CheckResult],
) -> String {
    let ready = ready_millis
        .map(|millis| format!("ready in {}", amount::span(Duration::from_millis(millis))));
    let read = sample.map(|read| {
        format!(
            "{} read ({})",
            amount::plural(read.files, "file", "files"),
            amount::bytes(read.bytes)
        )
    });
    let checks = match checks.len() as u64 {
        0 => "no check is configured".to_owned(),
        number => format!("{} passed", amount::plural(number, "check", "checks")),
    };
    let done: Vec<String> = ready.into_iter().chain(read).chain([checks]).collect();
    done.join(", ")
}
