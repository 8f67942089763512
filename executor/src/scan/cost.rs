//! What takes most of what a snapshot has to copy: the entry directly below a source with the most
//! bytes, and the owner of most of these. So one sees who fills the disk for everybody.
//!
//! Entries come in the manifest's order, in which all that is below one folder is together: one
//! folder is counted at a time, whatever their number.

use std::collections::HashMap;

use schema::{StoredPath, StoredPathBuf, config::AbsolutePath, inventory::Cost};

use crate::sys::{Stat, owners};

/// Bytes that a folder or a name takes on disk at least, on the file systems of today.
pub(super) const BLOCK: u64 = 4096;
/// Owners that are told apart within one folder.
const MOST_OWNERS: usize = 1000;

/// Counts what is to be copied of one source.
pub(super) struct CostCount<'a> {
    source: &'a AbsolutePath,
    /// The entry at hand, directly below the source; empty for the source itself.
    at: StoredPathBuf,
    bytes: u64,
    by_owner: HashMap<u32, u64>,
    most: Option<Most>,
}

struct Most {
    path: StoredPathBuf,
    bytes: u64,
    owner: u32,
}

impl<'a> CostCount<'a> {
    pub(super) fn new(source: &'a AbsolutePath) -> Self {
        Self {
            source,
            at: StoredPathBuf::new(),
            bytes: 0,
            by_owner: HashMap::new(),
            most: None,
        }
    }

    /// Counts a new entry at a path relative to the source.
    pub(super) fn add(&mut self, path: &StoredPath, stat: &Stat) {
        let top = StoredPath::new(path.names().next().unwrap_or_default());
        if *top != *self.at {
            self.end_entry();
            self.at = top.to_owned();
        }
        let bytes = needed_bytes(stat);
        self.bytes = self.bytes.saturating_add(bytes);
        if self.by_owner.len() < MOST_OWNERS || self.by_owner.contains_key(&stat.uid) {
            *self.by_owner.entry(stat.uid).or_default() += bytes;
        }
    }

    fn end_entry(&mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        let owners = std::mem::take(&mut self.by_owner);
        if bytes > self.most.as_ref().map_or(0, |most| most.bytes) {
            let owner = owners.into_iter().max_by_key(|(uid, bytes)| (*bytes, *uid));
            self.most = Some(Most {
                path: self.at.clone(),
                bytes,
                owner: owner.map_or(0, |(uid, _)| uid),
            });
        }
    }

    /// What takes most; none where nothing is to be copied.
    pub(super) fn finish(mut self) -> Option<Cost> {
        self.end_entry();
        let Most { path, bytes, owner } = self.most?;
        Some(Cost {
            path: self.source.as_stored().join(&path).shown(),
            user: user_text(owner),
            bytes,
        })
    }
}

/// What takes most once it is known how much of what was counted only moved, be it there or elsewhere, and
/// how much of all is new: none where something else may take more.
pub(super) fn without_moved(cost: Cost, moved: u64, new_bytes: u64) -> Option<Cost> {
    let at_least = cost.bytes.saturating_sub(moved);
    let is_most = moved == 0 || at_least.saturating_mul(2) > new_bytes;
    is_most.then(|| match moved {
        0 => cost,
        _ => Cost {
            bytes: cost.bytes.min(new_bytes),
            ..cost
        },
    })
}

/// Bytes on disk that a new entry needs at most.
pub(super) fn needed_bytes(stat: &Stat) -> u64 {
    stat.allocated.max(stat.size.min(BLOCK))
}

/// A user's name, or the number of one that has none here.
pub(super) fn user_text(number: u32) -> String {
    let name = owners::user_name(number);
    name.map_or_else(
        || number.to_string(),
        |name| schema::escape::display(name.as_bytes()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::Kind;

    #[test]
    fn the_folder_with_most_and_the_owner_of_most_of_it_are_named() {
        let source = AbsolutePath::new("/home");
        let mut count = CostCount::new(&source);
        let mut add = |path: &str, uid: u32, size: u64| {
            let stat = Stat {
                kind: Kind::File,
                uid,
                size,
                allocated: size,
                ..Stat::of_nothing()
            };
            count.add(StoredPath::new(path.as_bytes()), &stat);
        };
        add("ann/a", 4_000_000_001, 5000);
        add("bob/a", 4_000_000_002, 9000);
        add("bob/deep/er/b", 4_000_000_003, 20_000);
        add("bob/z", 4_000_000_002, 9000);
        add("carl", 4_000_000_004, 30_000);
        let cost = count.finish().unwrap();
        assert_eq!(cost.path, "/home/bob");
        assert_eq!((cost.bytes, cost.user.as_str()), (38_000, "4000000003"));
        assert!(CostCount::new(&source).finish().is_none());
    }

    #[test]
    fn what_only_moved_does_not_take_most() {
        let cost = || Cost {
            path: "/home/bob".to_owned(),
            user: "bob".to_owned(),
            bytes: 1000,
        };
        let bytes = |moved, new| without_moved(cost(), moved, new).map(|cost| cost.bytes);
        // It may have none of what moved, but nothing else can have more.
        assert_eq!(bytes(0, 5000), Some(1000));
        assert_eq!(bytes(100, 1700), Some(1000));
        assert_eq!(bytes(100, 950), Some(950));
        assert_eq!(bytes(100, 1800), None);
        assert_eq!(bytes(990, 20), None);
    }
}
