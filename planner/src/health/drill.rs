//! Trial restores: that the last one went well, and that there are any where they are asked for.

use chrono::TimeDelta;
use schema::{
    Config, Finding, Severity, clock,
    drill::{Drill, DrillVerdict},
    health::Health,
};

use super::{Checkup, age::days, error, warning};
use crate::{calendar::Calendar, findings::code};

/// What to do about a drill of a remote that failed.
pub const REMEDY_FAR: &str = "`backup verify` looks at all that is there, and `backup now` uploads what is damaged \
                              again, as far as it is still here; then `backup drill` tries again";

/// Judges the last drill.
pub(super) fn check_drill(checkup: &Checkup<'_>, findings: &mut Vec<Finding>) {
    let config = checkup.facts.config;
    let last = checkup.measured.drill.as_ref();
    // Without a drive there is no drill that could end it.
    let can_try = config.local.enable || checkup.measured.drills_remote;
    if let Some(last) = last.filter(|last| can_try && last.verdict == DrillVerdict::Failed) {
        findings.push(describe_failed_drill(last));
    }
    findings.extend(overdue(checkup, config, last));
}

/// That a drill failed, with the command that tries again once it is mended.
#[must_use]
pub fn describe_failed_drill(drill: &Drill) -> Finding {
    let message = format!(
        "a trial restore of {} failed: {}",
        drill.snapshot.id, drill.summary
    );
    if drill.remote.is_some() {
        return error(code::DRILL_FAILED, message).hint(REMEDY_FAR);
    }
    error(code::DRILL_FAILED, message).hint(format!(
        "`backup drill` tries it again and shows what each check said; `backup verify {} --repair` heals \
         damaged files",
        drill.snapshot.id
    ))
}

/// The same for a status, in which it is a warning; none of one that passed.
#[must_use]
pub fn warn_of_failed_drill(drill: &Drill) -> Option<Finding> {
    let has_failed = drill.verdict == DrillVerdict::Failed;
    has_failed.then(|| Finding {
        severity: Severity::Warning,
        ..describe_failed_drill(drill)
    })
}

/// A health check without what a later drill disproved of it.
#[must_use]
pub fn without_disproved_drill(health: Health, last: Option<&Drill>) -> Health {
    let Some(last) = last.filter(|last| last.ended_at > health.checked_at) else {
        return health;
    };
    let has_passed = last.verdict == DrillVerdict::Passed;
    let mut findings = health.findings;
    findings.retain(|one| match one.code.as_str() {
        code::DRILL_OVERDUE => false,
        code::DRILL_FAILED => !has_passed,
        _ => true,
    });
    Health {
        verdict: super::verdict(&findings),
        findings,
        ..health
    }
}

/// That drills are asked for and there was none for more than twice their interval.
fn overdue(checkup: &Checkup<'_>, config: &Config, last: Option<&Drill>) -> Option<Finding> {
    let drill = &config.monitoring.drill;
    if !drill.enable || !(config.local.enable || checkup.measured.drills_remote) {
        return None;
    }
    let now = checkup.facts.inventory.taken_at;
    let calendar: Calendar = drill.schedule.as_str().parse().ok()?;
    let interval = i64::try_from(calendar.interval_hint(now.naive_local())?).ok()?;
    let limit = TimeDelta::try_seconds(interval.checked_mul(2)?)?;
    let since = match last {
        Some(last) => last.ended_at,
        // Before the first one it is the first backup that drills are waited for since.
        None => checkup.measured.runs.first()?.ended_at,
    };
    let age = clock::age(since, now);
    if age <= limit {
        return None;
    }
    let message = match last {
        Some(_) => format!(
            "the last trial restore was {} ago, and twice the interval of monitoring.drill.schedule is {}",
            days(age),
            days(limit)
        ),
        None => format!(
            "there was no trial restore yet, although monitoring.drill.enable is on and there have been \
             backups for {}",
            days(age)
        ),
    };
    Some(warning(code::DRILL_OVERDUE, message).hint(
        "`backup drill` makes one; `systemctl status backup-drill.timer` says whether the timer is there",
    ))
}
