//! Decides what the new snapshot holds, what it starts from, and when to distrust it.

use std::collections::BTreeSet;

use schema::{
    Finding,
    config::AbsolutePath,
    inventory::{Presence, SnapshotState},
    plan::{Action, Expected, LikeBefore, SnapshotStep, SourceStep, SuspectWhen},
    record::Engine,
};

use super::{Draft, rsync};
use crate::facts::{self, Facts};

/// Below this many entries or files half of them is no sign of anything.
const FEW: u64 = 20;

/// The snapshot, where there are local snapshots.
pub(crate) fn decide_snapshot(facts: &Facts<'_>, _: &mut Vec<Finding>) -> Option<Draft> {
    facts.destination?;
    let local = &facts.config.local;
    Some(Draft::needing(
        &["space-check"],
        Action::Snapshot(SnapshotStep {
            id: facts.id,
            started_at: facts.inventory.taken_at,
            day: facts.day,
            engine: if facts.rsync_copies() {
                Engine::Rsync
            } else {
                Engine::BuiltIn
            },
            rsync: facts.rsync_copies().then(|| rsync::calls(facts)),
            basis: facts.basis().map(facts::as_basis),
            also_link: facts
                .also_link
                .iter()
                .map(|one| facts::as_basis(one))
                .collect(),
            never_link: never_link(facts),
            compare_basis: compare_basis(facts),
            home: facts.home(),
            continue_from: facts.partials.continued.map(|left| left.id),
            sources: facts
                .sources()
                .map(|source| SourceStep {
                    path: source.path.clone(),
                    present: source.presence == Presence::Present,
                })
                .collect(),
            exclude_patterns: local.exclude_patterns.clone(),
            exclude_caches: local.exclude_caches,
            exclude_if_present: local.exclude_if_present.clone(),
            one_file_system: local.one_file_system,
            max_hole_bytes: local.max_hole_bytes(),
            content_from: Vec::new(),
            min_free_bytes: local.min_space_bytes(),
            expected: expected(facts),
            suspect_when: suspect_when(facts),
        }),
    ))
}

/// The inodes of the destination that nothing may be linked to again.
fn never_link(facts: &Facts<'_>) -> Vec<u64> {
    let damaged = facts.destination.iter().flat_map(|found| &found.damaged);
    let inodes: BTreeSet<u64> = damaged.map(|file| file.inode).collect();
    inodes.into_iter().collect()
}

/// Whether a clone of the basis may lack something, or have something that is damaged. Where there are
/// no clones each file is looked at in any case.
fn compare_basis(facts: &Facts<'_>) -> bool {
    let clones = facts.capabilities().is_some_and(|can| can.clones);
    clones && facts.basis().is_some_and(|basis| basis.damaged > 0)
}

/// What the scan says of all sources together.
fn expected(facts: &Facts<'_>) -> Expected {
    let gone = Expected {
        gone: facts.inventory.gone.clone(),
        ..Expected::default()
    };
    facts
        .sources()
        .map(|source| &source.scan)
        .fold(gone, |sum, scan| Expected {
            entries: sum.entries.saturating_add(scan.entries),
            files: sum.files.saturating_add(scan.files),
            bytes: sum.bytes.saturating_add(scan.bytes),
            new_files: sum.new_files.saturating_add(scan.new_files),
            changed_files: sum.changed_files.saturating_add(scan.changed_files),
            new_bytes: sum.new_bytes.saturating_add(scan.new_bytes),
            moved_files: sum.moved_files.saturating_add(scan.moved_files),
            gone: sum.gone,
        })
}

/// The limits, from what the snapshot before holds. What is not backed up any more is taken out of
/// them by who compares, for only the manifest tells how much that is.
fn suspect_when(facts: &Facts<'_>) -> SuspectWhen {
    let Some(before) = facts.reference else {
        return SuspectWhen::default();
    };
    // Without its manifest nothing can be taken out.
    let judged = before.manifest_fault.is_none() || same_choice(facts, before);
    let totals = Some(&before.record.totals).filter(|_| judged);
    SuspectWhen {
        reference: Some(before.record.id),
        entries_below: totals.and_then(|totals| half(totals.entries)),
        // Without a basis no file is as the basis has it.
        unchanged_files_below: facts
            .basis()
            .and(totals)
            .and_then(|totals| half(totals.files)),
        had_files: had_files(facts, before),
        other_tags: !same_tags(facts, before),
        like: like(facts),
    }
}

/// What makes a suspect snapshot one of the same event as its basis, which nobody has accepted.
fn like(facts: &Facts<'_>) -> Option<LikeBefore> {
    let basis = facts
        .basis()
        .filter(|basis| facts::candidate(basis).suspect)?;
    let totals = Some(&basis.record.totals).filter(|_| same_choice(facts, basis));
    Some(LikeBefore {
        since: facts::suspect_since(basis),
        entries_below: totals.and_then(|totals| half(totals.entries)),
        unchanged_files_below: totals.and_then(|totals| half(totals.files)),
        had_files: had_files(facts, basis),
    })
}

/// "Fewer than half": below the half rounded up; of a few that says nothing.
fn half(count: u64) -> Option<u64> {
    (count >= FEW).then(|| count.div_ceil(2))
}

/// The configured sources that had files in a snapshot.
fn had_files(facts: &Facts<'_>, before: &SnapshotState) -> Vec<AbsolutePath> {
    let sources = facts.sources();
    let had_files = sources.filter(|source| facts::had_files(before, &source.path));
    had_files.map(|source| source.path.clone()).collect()
}

/// Whether sources and what is left out of them are those of the snapshot before, in any order.
fn same_choice(facts: &Facts<'_>, before: &SnapshotState) -> bool {
    let local = &facts.config.local;
    let sources: BTreeSet<_> = facts.sources().map(|one| &one.path).collect();
    let sources_then: BTreeSet<_> = before.record.sources.iter().map(|one| &one.path).collect();
    let patterns: BTreeSet<_> = local.exclude_patterns.iter().collect();
    let patterns_then: BTreeSet<_> = before.record.exclude_patterns.iter().collect();
    sources == sources_then && patterns == patterns_then && same_tags(facts, before)
}

/// Whether the same tags count as for the snapshot before.
fn same_tags(facts: &Facts<'_>, before: &SnapshotState) -> bool {
    let local = &facts.config.local;
    let names: BTreeSet<_> = local.exclude_if_present.iter().collect();
    let names_then: BTreeSet<_> = before.record.exclude_if_present.iter().collect();
    local.exclude_caches == before.record.exclude_caches && names == names_then
}
