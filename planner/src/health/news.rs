//! Whether people are to be told of a health check: of errors each day that health is checked, so
//! that nobody forgets them, and of warnings once, so that nobody learns to look away.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use schema::{
    Severity, clock,
    health::{Health, HealthVerdict},
};

/// How long an error that was told rests: a bit less than a day, for daily checks.
const REST: TimeDelta = TimeDelta::hours(20);

/// Whether this check, after the last one, is worth telling.
#[must_use]
pub fn is_news(health: &Health, last: Option<&Health>) -> bool {
    if health.verdict == HealthVerdict::Ok {
        return false;
    }
    let told = last.and_then(|last| Some((last, last.told_at?)));
    let Some((last, told_at)) = told else {
        return true;
    };
    let more = !grave(health).is_subset(&grave(last));
    let rested = !clock::is_within(told_at, health.checked_at, REST);
    more || (health.verdict == HealthVerdict::Error && rested)
}

/// The codes of what a person should look at.
fn grave(health: &Health) -> BTreeSet<&str> {
    let findings = health.findings.iter();
    let grave = findings.filter(|one| one.severity > Severity::Note);
    grave.map(|one| one.code.as_str()).collect()
}
