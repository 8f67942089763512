//! What a deletion frees, computed from the snapshots' records without walking any tree.
//!
//! Owns the argument below. It never reads a file system, and never promises more than is freed.
//!
//! # The argument
//!
//! A record says how many bytes its snapshot holds of what each earlier snapshot (the *origin*)
//! stored first. Files are shared only by linking to the basis. So of one origin, a snapshot holds
//! a part of what its basis holds, and a part of what every ancestor holds. Snapshots that are
//! there form a forest: the parent of one is its nearest ancestor that is still there. For one
//! origin and a set of deletions:
//!
//! - A tree holds what its root holds, since all others hold parts of that.
//! - What the kept ones of a tree hold together is at most `U`: a kept root counts in full; below a
//!   deleted one, the sum over its children, but no more than the deleted one itself holds.
//! - At least `max over trees (root) − sum over trees (U)` is freed.
//!
//! In a chain, where each is linked to the one before, this is exact: the first minus the first
//! one kept. Where snapshots branch it is a lower bound, because parts of a sum may overlap. It
//! grows with the set of deletions, so the share of each deletion is a difference that is not
//! negative.
//!
//! A snapshot that was also linked to others than its basis holds more than a part of what that one
//! holds. It is the root of a tree of its own, and what it shares is counted as if it did not.
//!
//! The basis of an older snapshot is often deleted itself, and its record with it. A new snapshot
//! is always linked to the one made before it, whatever its state. Hence each is an ancestor of all
//! that were made later. (Of those whose records have no sequence, only one that was complete and not
//! suspect when it was sealed is, unless a clock jumped.) That is used where the basis is gone, only if the basis was made after the supposed ancestor and
//! only if the numbers agree; whoever is not known to be an ancestor counts as none.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
};

use schema::{SnapshotId, plan::Lost, record::SnapshotRecord};

/// Bytes, or files, by the snapshot that stored them first.
type ByOrigin = BTreeMap<SnapshotId, u64>;

/// What one snapshot holds.
#[derive(Debug, Clone)]
pub(crate) struct Holding<'a> {
    /// The snapshot.
    pub(crate) id: SnapshotId,
    /// What it was linked to.
    pub(crate) basis: Option<SnapshotId>,
    /// The next one was linked to it.
    pub(crate) becomes_basis: bool,
    /// The last one of its line that was linked to others than its basis as well: it descends from
    /// none that was made before that.
    pub(crate) line_from: Option<SnapshotId>,
    /// Bytes on disk by the snapshot that stored them first.
    pub(crate) stored_by: Cow<'a, ByOrigin>,
    /// Files in the same way; empty where they were not counted.
    pub(crate) files_stored_by: Cow<'a, ByOrigin>,
}

impl<'a> Holding<'a> {
    /// What a snapshot holds by its record.
    pub(crate) fn of(record: &'a SnapshotRecord) -> Self {
        Self {
            id: record.id,
            basis: record.basis,
            becomes_basis: record.sequence > 0 || (record.complete && record.suspect.is_empty()),
            line_from: record.line_from,
            stored_by: Cow::Borrowed(&record.stored_by),
            files_stored_by: Cow::Borrowed(&record.files_stored_by),
        }
    }
}

/// What of holdings is counted.
#[derive(Debug, Clone, Copy)]
enum Counted {
    Bytes,
    Files,
}

impl Counted {
    fn of<'h>(self, one: &'h Holding<'_>) -> &'h ByOrigin {
        match self {
            Self::Bytes => &one.stored_by,
            Self::Files => &one.files_stored_by,
        }
    }
}

/// What no other snapshot has of each once those before it are deleted.
///
/// `held` is in chronological order.
pub(crate) fn losses(held: &[Holding<'_>], deletions: &[SnapshotId]) -> Vec<Lost> {
    if deletions.is_empty() {
        return Vec::new();
    }
    // A file is shared as its bytes are: by linking to the basis. So files are counted as bytes.
    let counted = held
        .iter()
        .all(|one| one.stored_by.is_empty() || !one.files_stored_by.is_empty());
    let files = match counted {
        true => Forest::of(held, Counted::Files).frees(deletions),
        false => vec![0; deletions.len()],
    };
    let bytes = Forest::of(held, Counted::Bytes);
    let at_least = !counted || !bytes.is_exact();
    bytes
        .frees(deletions)
        .into_iter()
        .zip(files)
        .map(|(bytes, files)| Lost {
            files: counted.then_some(files),
            bytes,
            at_least,
        })
        .collect()
}

/// Of deletions that free enough together, those that it takes: each that the others can do without is
/// dropped, in the order of `dispensable`.
///
/// `held` is in chronological order.
pub(crate) fn only_needed(
    held: &[Holding<'_>],
    enough: &[SnapshotId],
    dispensable: &[SnapshotId],
    bytes: u64,
) -> Vec<SnapshotId> {
    let forest = Forest::of(held, Counted::Bytes);
    let mut deleting = Deleting::of(&forest);
    for id in enough {
        deleting.set(*id, true);
    }
    let mut needed = enough.to_vec();
    for id in dispensable {
        deleting.set(*id, false);
        if deleting.freed() >= bytes {
            needed.retain(|other| other != id);
        } else {
            deleting.set(*id, true);
        }
    }
    needed
}

/// What each would free if it alone were deleted, at least; and whether that is exact, as it is in a
/// chain.
///
/// `held` is in chronological order.
pub(crate) fn alone(held: &[Holding<'_>]) -> (Vec<u64>, bool) {
    let forest = Forest::of(held, Counted::Bytes);
    let mut deleting = Deleting::of(&forest);
    let frees = held.iter().map(|one| {
        deleting.set(one.id, true);
        let freed = deleting.freed();
        deleting.set(one.id, false);
        freed
    });
    (frees.collect(), forest.is_exact())
}

/// Who descends from whom, and who holds what of each origin.
struct Forest {
    /// Where each snapshot stands among all.
    places: HashMap<SnapshotId, usize>,
    parents: Vec<Option<usize>>,
    /// For each origin the snapshots that hold something of it, oldest first, with how much.
    origins: Vec<Vec<(usize, u64)>>,
    /// For each snapshot the origins of which it holds something.
    held_by: Vec<Vec<usize>>,
}

impl Forest {
    fn of(held: &[Holding<'_>], counted: Counted) -> Self {
        let mut places = HashMap::with_capacity(held.len());
        for (at, one) in held.iter().enumerate() {
            places.entry(one.id).or_insert(at);
        }
        let mut names: HashMap<SnapshotId, usize> = HashMap::new();
        let mut origins: Vec<Vec<(usize, u64)>> = Vec::new();
        let mut held_by = Vec::with_capacity(held.len());
        for (at, one) in held.iter().enumerate() {
            let some = counted.of(one).iter().filter(|(_, much)| **much > 0);
            let of = some.map(|(origin, much)| {
                let origin = *names.entry(*origin).or_insert_with(|| {
                    origins.push(Vec::new());
                    origins.len() - 1
                });
                origins[origin].push((at, *much));
                origin
            });
            held_by.push(of.collect());
        }
        Self {
            parents: (0..held.len())
                .map(|at| parent(held, &places, at, counted))
                .collect(),
            places,
            origins,
            held_by,
        }
    }

    /// What each deletion frees once those before it are done; at least, and exactly in a chain.
    fn frees(&self, deletions: &[SnapshotId]) -> Vec<u64> {
        let mut deleting = Deleting::of(self);
        let mut before = 0;
        deletions
            .iter()
            .map(|id| {
                deleting.set(*id, true);
                let now = deleting.freed();
                let more = now.saturating_sub(before);
                before = before.max(now);
                more
            })
            .collect()
    }

    /// Whether [`Self::frees`] is exact and not only a lower bound: no snapshot has two that descend
    /// from it, and none holds what one of another line stored.
    fn is_exact(&self) -> bool {
        let mut children = vec![0; self.parents.len()];
        let mut roots: Vec<usize> = Vec::new();
        for (at, parent) in self.parents.iter().enumerate() {
            match parent {
                Some(parent) => {
                    children[*parent] += 1;
                    roots.push(roots[*parent]);
                }
                None => roots.push(at),
            }
        }
        let of_one_line = |holders: &Vec<(usize, u64)>| {
            let mut lines = holders.iter().map(|(at, _)| roots[*at]);
            let first = lines.next();
            lines.all(|line| Some(line) == first)
        };
        self.origins.iter().all(of_one_line) && children.iter().all(|children| *children <= 1)
    }
}

/// What is freed by a set of deletions, kept up to date while the set changes: only of what a snapshot
/// holds itself it frees more or less.
struct Deleting<'f> {
    forest: &'f Forest,
    gone: Vec<bool>,
    /// For each origin what is freed of it at least.
    freed: Vec<u64>,
    sum: u128,
    /// For each snapshot, what it holds of the origin at hand and what those that descend from it keep.
    scratch: Vec<(u64, u64)>,
}

impl<'f> Deleting<'f> {
    /// Deletions of nothing.
    fn of(forest: &'f Forest) -> Self {
        Self {
            forest,
            gone: vec![false; forest.parents.len()],
            freed: vec![0; forest.origins.len()],
            sum: 0,
            scratch: vec![(0, 0); forest.parents.len()],
        }
    }

    /// Adds a snapshot to the set, or takes it out. One that is not there changes nothing.
    fn set(&mut self, id: SnapshotId, is_deleted: bool) {
        let forest = self.forest;
        let Some(at) = forest.places.get(&id).copied() else {
            return;
        };
        if std::mem::replace(&mut self.gone[at], is_deleted) == is_deleted {
            return;
        }
        for origin in &forest.held_by[at] {
            let now = self.freed_of(&forest.origins[*origin]);
            let before = std::mem::replace(&mut self.freed[*origin], now);
            self.sum = self.sum - u128::from(before) + u128::from(now);
        }
    }

    /// Bytes that are freed at least when all of the set are deleted.
    fn freed(&self) -> u64 {
        u64::try_from(self.sum).unwrap_or(u64::MAX)
    }

    /// Bytes of one origin that are freed at least.
    fn freed_of(&mut self, holders: &[(usize, u64)]) -> u64 {
        for (at, bytes) in holders {
            self.scratch[*at] = (*bytes, 0);
        }
        // The sum over the children seen so far; a parent stands before its children, so going
        // backwards all children are done when their parent is reached.
        let (mut most, mut kept) = (0_u64, 0_u64);
        for (at, bytes) in holders.iter().rev() {
            let is_deleted = self.gone[*at];
            let below = self.scratch[*at].1;
            let stays = if is_deleted {
                below.min(*bytes)
            } else {
                *bytes
            };
            match self.forest.parents[*at].filter(|parent| self.scratch[*parent].0 > 0) {
                Some(parent) => {
                    let below = &mut self.scratch[parent].1;
                    *below = below.saturating_add(stays);
                }
                None => {
                    kept = kept.saturating_add(stays);
                    if is_deleted {
                        most = most.max(*bytes);
                    }
                }
            }
        }
        for (at, _) in holders {
            self.scratch[*at] = (0, 0);
        }
        most.saturating_sub(kept)
    }
}

/// The nearest ancestor of a snapshot that is still there, as far as it is known.
fn parent(
    held: &[Holding<'_>],
    places: &HashMap<SnapshotId, usize>,
    at: usize,
    counted: Counted,
) -> Option<usize> {
    let one = &held[at];
    let basis = one.basis?;
    let earlier = &held[..at];
    let found = match places.get(&basis) {
        // Only a clock that jumped gives a basis that starts later; then nothing is known.
        Some(found) => Some(*found).filter(|found| *found < at),
        None => earlier
            .iter()
            .rposition(|other| other.becomes_basis && other.id < basis),
    };
    let in_line = |found: &usize| one.line_from.is_none_or(|from| earlier[*found].id >= from);
    found
        .filter(in_line)
        .filter(|found| may_descend(counted.of(one), counted.of(&earlier[*found])))
}

/// Whether the numbers allow that `one` holds only parts of what `ancestor` holds.
fn may_descend(one: &ByOrigin, ancestor: &ByOrigin) -> bool {
    let mut parts = one.iter().peekable();
    ancestor.iter().all(|(origin, bytes)| {
        while parts.next_if(|(other, _)| *other < origin).is_some() {}
        let part = parts.peek().filter(|(other, _)| *other == origin);
        part.is_none_or(|(_, part)| *part <= bytes)
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use chrono::{NaiveDate, TimeDelta};
    use proptest::{collection::vec, prelude::*, sample::Index};

    use super::*;

    /// A snapshot of the model: inodes with their size, by the snapshot that stored them.
    #[derive(Debug, Clone)]
    struct Model {
        id: SnapshotId,
        basis: Option<SnapshotId>,
        good: bool,
        accepted: bool,
        line_from: Option<SnapshotId>,
        /// Inode number to origin and size.
        inodes: BTreeMap<usize, (SnapshotId, u64)>,
    }

    impl Model {
        fn holding(&self) -> Holding<'static> {
            let mut stored_by = BTreeMap::new();
            for (origin, size) in self.inodes.values() {
                *stored_by.entry(*origin).or_default() += size;
            }
            Holding {
                id: self.id,
                basis: self.basis,
                // Records of the newer planner have a sequence.
                becomes_basis: self.good || self.id >= id(4),
                line_from: self.line_from,
                stored_by: Cow::Owned(stored_by),
                files_stored_by: Cow::default(),
            }
        }
    }

    /// One run: which inodes of the basis it drops, the sizes that it adds, what it turns out as,
    /// what a person accepts and what is deleted afterwards.
    type Run = (u16, Vec<u64>, u8, bool, u8);

    fn id(at: usize) -> SnapshotId {
        let start = NaiveDate::from_ymd_opt(2025, 1, 1)
            .and_then(|day| day.and_hms_opt(2, 0, 0))
            .unwrap();
        SnapshotId::from_local(start + TimeDelta::days(i64::try_from(at).unwrap()))
    }

    /// Makes snapshots as the planner does: each linked to the one before it, and where they may
    /// branch, some to the last good one as well, because the one before lacks what that has. The
    /// first few were made by an older planner, which linked to the newest that counts.
    fn history(runs: &[Run], branches: bool) -> Vec<Model> {
        let mut next_inode = 0;
        let mut held: Vec<Model> = Vec::new();
        for (at, (dropped, added, kind, accept, delete)) in runs.iter().enumerate() {
            let older = at < 4;
            let counts = |one: &Model| one.good || one.accepted;
            let good = held.iter().rev().find(|one| counts(one));
            let basis = if older { good } else { held.last() };
            let also = good.filter(|_| branches && !older && *kind % 4 == 0);
            let kept = basis.iter().flat_map(|basis| &basis.inodes);
            let mut inodes: BTreeMap<_, _> = kept
                .chain(also.iter().flat_map(|also| &also.inodes))
                .filter(|(inode, _)| dropped >> (*inode % 16) & 1 == 0)
                .map(|(inode, value)| (*inode, *value))
                .collect();
            for size in added {
                inodes.insert(next_inode, (id(at), *size));
                next_inode += 1;
            }
            let line_from = match also {
                Some(_) => Some(id(at)),
                None => basis.and_then(|basis| basis.line_from),
            };
            let basis = basis.map(|basis| basis.id);
            if branches && *accept {
                held.iter_mut().for_each(|one| one.accepted = true);
            }
            held.push(Model {
                id: id(at),
                basis,
                good: !branches || *kind % 3 > 0,
                accepted: false,
                line_from,
                inodes,
            });
            let newest = held.iter().rposition(|one| one.good || one.accepted);
            let victim = usize::from(*delete);
            if victim + 1 < held.len() && Some(victim) != newest {
                held.remove(victim);
            }
        }
        held
    }

    fn frees(held: &[Holding<'_>], deletions: &[SnapshotId]) -> Vec<u64> {
        Forest::of(held, Counted::Bytes).frees(deletions)
    }

    fn is_exact(held: &[Holding<'_>]) -> bool {
        Forest::of(held, Counted::Bytes).is_exact()
    }

    /// What a file system frees: inodes that only deleted snapshots hold.
    fn truly_freed(held: &[Model], gone: &[SnapshotId]) -> u64 {
        let all: BTreeMap<_, _> = held.iter().flat_map(|one| &one.inodes).collect();
        all.into_iter()
            .filter(|(inode, _)| {
                held.iter()
                    .all(|one| gone.contains(&one.id) || !one.inodes.contains_key(inode))
            })
            .map(|(_, (_, size))| size)
            .sum()
    }

    proptest! {
        #[test]
        fn what_is_called_exact_is_freed_to_the_byte(runs in runs()) {
            let held = history(&runs, true);
            let holdings: Vec<_> = held.iter().map(Model::holding).collect();
            let (alone, _) = alone(&holdings);
            for (one, alone) in held.iter().zip(alone) {
                prop_assert_eq!(alone, frees(&holdings, &[one.id])[0]);
                let freed = truly_freed(&held, &[one.id]);
                prop_assert!(alone <= freed);
                prop_assert!(alone == freed || !is_exact(&holdings));
            }
            let chain = history(&runs, false);
            let holdings: Vec<_> = chain.iter().map(Model::holding).collect();
            prop_assert!(is_exact(&holdings));
        }
    }

    fn runs() -> impl Strategy<Value = Vec<Run>> {
        let run = (
            any::<u16>(),
            vec(1_u64..100, 0..4),
            any::<u8>(),
            any::<bool>(),
            0_u8..12,
        );
        vec(run, 1..14)
    }

    fn chosen(held: &[Model], choice: &[Index]) -> Vec<SnapshotId> {
        let mut ids: Vec<_> = choice.iter().map(|index| index.get(held).id).collect();
        ids.sort();
        ids.dedup();
        ids
    }

    proptest! {
        #[test]
        fn in_a_chain_each_deletion_frees_exactly_what_is_said(
            runs in runs(), choice in vec(any::<Index>(), 0..8),
        ) {
            let held = history(&runs, false);
            let gone = chosen(&held, &choice);
            let holdings: Vec<_> = held.iter().map(Model::holding).collect();
            let said = frees(&holdings, &gone);
            for count in 0..=gone.len() {
                let sum: u64 = said[..count].iter().sum();
                prop_assert_eq!(sum, truly_freed(&held, &gone[..count]));
            }
        }

        #[test]
        fn where_snapshots_branch_no_more_is_said_than_is_freed(
            runs in runs(), choice in vec(any::<Index>(), 0..8),
        ) {
            let held = history(&runs, true);
            let gone = chosen(&held, &choice);
            let holdings: Vec<_> = held.iter().map(Model::holding).collect();
            let said = frees(&holdings, &gone);
            for count in 0..=gone.len() {
                let sum: u64 = said[..count].iter().sum();
                prop_assert!(sum <= truly_freed(&held, &gone[..count]));
            }
        }
    }

    proptest! {
        #[test]
        fn of_what_is_enough_only_that_goes_which_it_takes(
            runs in runs(), choice in vec(any::<Index>(), 0..8), lack in 0_u64..400,
        ) {
            let held = history(&runs, true);
            let holdings: Vec<_> = held.iter().map(Model::holding).collect();
            let together = |ids: &[SnapshotId]| frees(&holdings, ids).iter().sum::<u64>();
            let enough = chosen(&held, &choice);
            let mut expected = enough.clone();
            for id in &enough {
                let others: Vec<_> = expected.iter().copied().filter(|one| one != id).collect();
                if together(&others) >= lack {
                    expected = others;
                }
            }
            prop_assert_eq!(only_needed(&holdings, &enough, &enough, lack), expected);
        }
    }

    #[test]
    fn whole_copies_share_nothing() {
        let copy = |at| Holding {
            id: id(at),
            basis: None,
            becomes_basis: true,
            line_from: None,
            stored_by: Cow::Owned(BTreeMap::from([(id(at), 100)])),
            files_stored_by: Cow::default(),
        };
        let held = [copy(0), copy(1), copy(2)];
        assert_eq!(frees(&held, &[id(0), id(1)]), [100, 100]);
    }

    #[test]
    fn what_a_later_snapshot_links_is_not_freed() {
        let one = |at: usize, basis, stored: &[(usize, u64)]| Holding {
            id: id(at),
            basis,
            becomes_basis: true,
            line_from: None,
            stored_by: Cow::Owned(stored.iter().map(|(at, bytes)| (id(*at), *bytes)).collect()),
            files_stored_by: Cow::Owned(
                stored
                    .iter()
                    .map(|(at, bytes)| (id(*at), bytes / 10))
                    .collect(),
            ),
        };
        let held = [
            one(0, None, &[(0, 100)]),
            one(1, Some(id(0)), &[(0, 80), (1, 7)]),
            one(2, Some(id(1)), &[(0, 80)]),
        ];
        assert_eq!(frees(&held, &[id(0)]), [20]);
        assert_eq!(frees(&held, &[id(1)]), [7]);
        assert_eq!(frees(&held, &[id(0), id(1)]), [20, 7]);
        let lost = losses(&held, &[id(0)])[0];
        assert_eq!(
            (lost.files, lost.bytes, lost.at_least),
            (Some(2), 20, false)
        );
        // One that did not count its files may have any of them.
        let mut old = held.clone();
        old[2].files_stored_by.to_mut().clear();
        let lost = losses(&old, &[id(0)])[0];
        assert_eq!((lost.files, lost.bytes, lost.at_least), (None, 20, true));
    }
}
