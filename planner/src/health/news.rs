//! Whether people are to be told of a health check: errors each time, so that nobody forgets them,
//! and warnings once, so that nobody learns to look away.

use std::collections::BTreeSet;

use schema::{
    Severity,
    health::{Health, HealthVerdict},
};

/// Whether this check, after the last one, is worth telling.
#[must_use]
pub fn is_news(health: &Health, last: Option<&Health>) -> bool {
    match health.verdict {
        HealthVerdict::Ok => false,
        HealthVerdict::Error => true,
        HealthVerdict::Warning => {
            let known = last.map(grave).unwrap_or_default();
            !grave(health).is_subset(&known)
        }
    }
}

/// The codes of what a person should look at.
fn grave(health: &Health) -> BTreeSet<&str> {
    let findings = health.findings.iter();
    let grave = findings.filter(|one| one.severity > Severity::Note);
    grave.map(|one| one.code.as_str()).collect()
}
