//! How several destinations stand as a whole, by how each stands.

use std::collections::BTreeMap;

use schema::{config::DestinationName, output::status::BackupStatus};

/// The status of the whole: the base's, with the verdict and the summary of the one that stands worst.
/// `base_counts` says whether `local` or `cloud` is used.
#[must_use]
pub fn join_status(
    mut base: BackupStatus,
    base_counts: bool,
    mut others: BTreeMap<DestinationName, BackupStatus>,
) -> BackupStatus {
    for other in others.values_mut() {
        // These are of the machine and its runs, and said once.
        other.unfinished = None;
        other.running = false;
        other
            .findings
            .retain(|finding| !base.findings.contains(finding));
    }
    let mut worst: Option<(&DestinationName, &BackupStatus)> = None;
    for one in &others {
        if worst.is_none_or(|(_, known)| one.1.verdict > known.verdict) {
            worst = Some(one);
        }
    }
    if let Some((name, worst)) = worst
        && (!base_counts || worst.verdict > base.verdict)
    {
        base.verdict = worst.verdict;
        base.summary = format!("{name}: {}", worst.summary);
        base.remedy.clone_from(&worst.remedy);
    }
    let next = others.values().filter_map(|one| one.next_run_at);
    let own = base.next_run_at.filter(|_| base_counts);
    base.next_run_at = own.into_iter().chain(next).min();
    base.destinations = others;
    base
}
