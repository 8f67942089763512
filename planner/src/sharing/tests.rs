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
            is_known: true,
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
        is_known: true,
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
        is_known: true,
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

#[test]
fn what_may_be_held_by_one_of_which_it_is_not_known_is_not_freed() {
    let one = |at: usize, stored: &[(usize, u64)]| Holding {
        id: id(at),
        basis: at.checked_sub(1).map(id),
        becomes_basis: true,
        line_from: None,
        stored_by: Cow::Owned(stored.iter().map(|(at, bytes)| (id(*at), *bytes)).collect()),
        files_stored_by: Cow::Owned(stored.iter().map(|(at, _)| (id(*at), 1)).collect()),
        is_known: true,
    };
    let mut held = [
        one(0, &[(0, 100)]),
        one(1, &[(0, 60), (1, 30)]),
        one(2, &[(0, 50), (2, 7)]),
        one(3, &[(0, 50)]),
    ];
    let all = [id(0), id(1), id(2)];
    assert_eq!(frees(&held, &all), [40, 40, 7]);
    held[1].is_known = false;
    held[1].stored_by.to_mut().clear();
    held[1].files_stored_by.to_mut().clear();
    // Nothing of what it may have, be it deleted or not; what was stored later is known as ever.
    assert_eq!(frees(&held, &all), [0, 0, 7]);
    assert_eq!(alone(&held), (vec![0, 0, 7, 0], false));
    let lost = losses(&held, &all);
    assert!(lost.iter().all(|one| one.at_least), "{lost:?}");
    assert_eq!(lost[2].files, Some(1));
}
