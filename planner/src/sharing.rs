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
//!
//! Of many snapshots not all records are at hand whole. One of which it is not known what it holds may
//! hold anything that was stored until it was made: of that nothing counts as freed.

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
    /// Whether that is known.
    pub(crate) is_known: bool,
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
            is_known: record.tells_shares(),
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
    let at_least = !counted || !all_known(held) || !bytes.is_exact();
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
    (forest.alone(), all_known(held) && forest.is_exact())
}

fn all_known(held: &[Holding<'_>]) -> bool {
    held.iter().all(|one| one.is_known)
}

/// The last id up to which what was stored may be held by one of which that is not known.
fn unknown_until(held: &[Holding<'_>]) -> Option<SnapshotId> {
    let last = held.iter().rposition(|one| !one.is_known)?;
    // A basis that is gone may have had a later name than all that are left: clocks are put back.
    let names = held[..=last]
        .iter()
        .flat_map(|one| [Some(one.id), one.basis]);
    names.flatten().max()
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
        let unknown = unknown_until(held);
        for (at, one) in held.iter().enumerate() {
            let some = counted.of(one).iter();
            let some = some.filter(|(origin, much)| **much > 0 && Some(**origin) > unknown);
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

    /// What each frees that is deleted alone. Of an origin that is something only where it descends from
    /// no other that holds of it: what neither the others of that kind nor those that descend from it
    /// have. So all are counted in one pass through the origins.
    fn alone(&self) -> Vec<u64> {
        let mut frees = vec![0_u64; self.parents.len()];
        // For each snapshot, what it holds of the origin at hand and what those right below it hold.
        let mut scratch = vec![(0_u64, 0_u128); self.parents.len()];
        for holders in &self.origins {
            for (at, bytes) in holders {
                scratch[*at] = (*bytes, 0);
            }
            let mut roots = 0_u128;
            for (at, bytes) in holders {
                match self.parents[*at].filter(|parent| scratch[*parent].0 > 0) {
                    Some(parent) => scratch[parent].1 += u128::from(*bytes),
                    None => roots += u128::from(*bytes),
                }
            }
            for (at, bytes) in holders {
                if self.parents[*at].is_none_or(|parent| scratch[parent].0 == 0) {
                    let own = u128::from(*bytes);
                    let kept = roots - own + scratch[*at].1.min(own);
                    let freed = u64::try_from(own.saturating_sub(kept)).unwrap_or(u64::MAX);
                    frees[*at] = frees[*at].saturating_add(freed);
                }
            }
            for (at, _) in holders {
                scratch[*at] = (0, 0);
            }
        }
        frees
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
mod tests;
