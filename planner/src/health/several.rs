//! The health of several destinations as a whole.

use std::collections::BTreeMap;

use schema::{config::DestinationName, health::Health};

/// The health of the whole: the base's, with the worst verdict. Without a base it has only what is of all;
/// `None` without any destination.
#[must_use]
pub fn join_health(
    base: Option<Health>,
    others: BTreeMap<DestinationName, Health>,
) -> Option<Health> {
    let worst = others.values().map(|one| one.verdict);
    let worst = worst.chain(base.as_ref().map(|one| one.verdict)).max();
    let first = others.values().next();
    let without_base = || {
        first.map(|one| Health {
            last_good: None,
            space: None,
            verified: None,
            cloud: None,
            findings: Vec::new(),
            told_at: None,
            ..one.clone()
        })
    };
    let mut joined = base.or_else(without_base)?;
    joined.verdict = worst.unwrap_or(joined.verdict);
    joined.destinations = others;
    Some(joined)
}
