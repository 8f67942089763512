//! Which inodes were read already, and the content that was expected of each.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use schema::Digest;

/// Parts of the table of inodes, so that its growth never doubles all of it at once.
const SHARDS: usize = 64;

/// The inodes that were given to a reader in this pass, with the start of the digest that was
/// expected of them.
///
/// Whoever meets one again need not read it: if it is damaged, all its names are found by a second
/// look. Eight bytes of a digest tell apart what chance brings about.
pub(super) struct Seen(Vec<Mutex<HashMap<u64, u64>>>);

impl Seen {
    pub(super) fn new() -> Self {
        Self((0..SHARDS).map(|_| Mutex::default()).collect())
    }

    /// Whether this is the first time; else whether the same was expected then.
    pub(super) fn first(&self, inode: u64, expected: Digest) -> Result<(), bool> {
        let [a, b, c, d, e, f, g, h, ..] = expected.0;
        let start = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
        let shard = usize::try_from(inode % SHARDS as u64).unwrap_or(0);
        match self.0[shard]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(inode)
        {
            std::collections::hash_map::Entry::Occupied(there) => Err(*there.get() == start),
            std::collections::hash_map::Entry::Vacant(free) => {
                free.insert(start);
                Ok(())
            }
        }
    }
}
