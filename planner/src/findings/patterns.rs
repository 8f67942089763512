//! What a person should know of `local.excludePatterns` once the sources were looked at.

use schema::{
    Finding,
    config::Local,
    inventory::{Presence, SourceState},
};

use super::{
    code,
    finding::{first_few, note},
};
use crate::{check::oddity, facts::Facts};

/// That patterns leave nothing out, although somebody wrote them. Those that everybody has by default say
/// nothing of this machine, and where a source cannot be read nobody knows what is in it.
pub(super) fn without_effect(facts: &Facts<'_>) -> Option<Finding> {
    let is_whole =
        |source: &SourceState| source.presence == Presence::Present && source.scan.unreadable == 0;
    if !facts.sources().all(is_whole) {
        return None;
    }
    let usual = Local::default().exclude_patterns;
    let unmatched = facts.inventory.unmatched_patterns.iter();
    let unmatched: Vec<&String> = unmatched.filter(|one| !usual.contains(one)).collect();
    let count = unmatched.len() as u64;
    let all = unmatched.iter().map(|text| match oddity(text) {
        Some((problem, _)) => format!("`{text}` ({problem})"),
        None => format!("`{text}`"),
    });
    let leave = if count == 1 { "leaves" } else { "leave" };
    let message = format!(
        "{} of local.excludePatterns {leave} nothing out",
        first_few(all, count)
    );
    (count > 0).then(|| {
        note(code::PATTERNS_WITHOUT_EFFECT, message).hint(
            "a name is left out wherever it is, a path with a `/` before it where it begins at a source \
             or is the full path; remove what is not needed from local.excludePatterns",
        )
    })
}
