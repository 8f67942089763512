//! How much room a snapshot needs, and how much is lacking.
//!
//! Owns the prediction. What leftovers give back is counted as free, because the space-check step
//! reclaims it first and then measures again.

use schema::inventory::{DestinationState, Leftover};

use crate::facts::Facts;

/// Bytes of manifest for one entry: a path, numbers and a digest, before compression.
const MANIFEST_BYTES_PER_ENTRY: u64 = 120;

/// Inodes for the snapshot's own records and the folders above the sources.
const INODES_BESIDES: u64 = 16;

/// What the snapshot still needs at most.
pub(crate) struct Need {
    /// Bytes on disk.
    pub(crate) bytes: u64,
    /// Inodes.
    pub(crate) inodes: u64,
}

/// What the snapshot needs, less what the unfinished one that it continues holds already.
///
/// `SourceScan.new_bytes` contains all that is new on disk, folders included, so the manifest is
/// all that comes on top. `new_inodes` does not contain folders, which always get a new inode.
pub(crate) fn need(facts: &Facts<'_>) -> Need {
    let (mut bytes, mut inodes, mut linked) = (0_u64, INODES_BESIDES, 0_u64);
    for source in facts.sources() {
        let scan = &source.scan;
        let manifest = scan.entries.saturating_mul(MANIFEST_BYTES_PER_ENTRY);
        bytes = bytes
            .saturating_add(scan.new_bytes)
            .saturating_add(manifest);
        inodes = inodes
            .saturating_add(scan.new_inodes)
            .saturating_add(scan.folders);
        linked = linked.saturating_add(scan.files.saturating_sub(scan.new_files));
    }
    let continued = facts.partials.continued;
    Need {
        bytes: bytes.saturating_sub(continued.map_or(0, |left| left.bytes)),
        // Files that are linked are entries without an inode of their own.
        inodes: inodes
            .saturating_sub(continued.map_or(0, |left| left.entries.saturating_sub(linked))),
    }
}

/// How much room is lacking for the snapshot.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Lack {
    /// Bytes on disk.
    pub(crate) bytes: u64,
    /// Inodes.
    pub(crate) inodes: u64,
}

impl Lack {
    /// Whether there is room.
    pub(crate) fn is_none(self) -> bool {
        self == Self::default()
    }
}

/// What the leftovers give back that are reclaimed before the room is measured.
pub(crate) fn reclaimed(
    facts: &Facts<'_>,
    destination: &DestinationState,
    of: fn(&Leftover) -> u64,
) -> u64 {
    let discarded = facts.partials.discarded.iter().map(|(left, _)| *left);
    let trash = destination.trash.iter();
    let reclaimed = trash.chain(discarded).map(of);
    reclaimed.fold(0, u64::saturating_add)
}

/// How much room is lacking, before anything is deleted for it.
pub(crate) fn lack(facts: &Facts<'_>, destination: &DestinationState) -> Lack {
    let need = need(facts);
    let free = destination
        .free_bytes
        .saturating_add(reclaimed(facts, destination, |left| left.bytes));
    let wanted = need
        .bytes
        .saturating_add(facts.config.local.min_space_bytes());
    let inodes = destination.free_inodes.map_or(0, |free| {
        let back = reclaimed(facts, destination, |left| left.entries);
        need.inodes.saturating_sub(free.saturating_add(back))
    });
    Lack {
        bytes: wanted.saturating_sub(free),
        inodes,
    }
}
