//! How much room a snapshot needs, and the refusal where there is not enough.
//!
//! Owns the prediction. It refuses only what is sure to fail: what leftovers give back is counted
//! as free, because the space-check step reclaims it first and then measures again.

use schema::{Finding, inventory::Leftover};

use crate::{
    findings::{code, refusal},
    steps::facts::Facts,
};

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

/// The refusals for want of room.
pub(crate) fn check(facts: &Facts<'_>, findings: &mut Vec<Finding>) {
    let Some(destination) = facts.destination else {
        return;
    };
    let need = need(facts);
    let discarded = facts.partials.discarded.iter().map(|(left, _)| *left);
    let reclaimed: Vec<&Leftover> = destination.trash.iter().chain(discarded).collect();
    let sum = |of: fn(&Leftover) -> u64| {
        reclaimed
            .iter()
            .map(|left| of(left))
            .fold(0, u64::saturating_add)
    };
    let path = &destination.mount_point;

    let back = sum(|left| left.bytes);
    let free = destination.free_bytes.saturating_add(back);
    let reserve = facts.config.local.min_space_bytes();
    let wanted = need.bytes.saturating_add(reserve);
    if wanted > free {
        let leftovers = if back > 0 {
            format!(", {} of it in leftovers that are reclaimed", gib(back))
        } else {
            String::new()
        };
        findings.push(
            refusal(
                code::INSUFFICIENT_SPACE,
                format!(
                    "insufficient space: {path} (local.mountPoint) has {} free{leftovers}; the \
                     snapshot needs {} and {} must stay free (local.minSpaceGB)",
                    gib(free),
                    gib(need.bytes),
                    gib(reserve),
                ),
            )
            .hint(format!(
                "free at least {} there, leave more out with local.excludePatterns, or lower \
                 local.minSpaceGB",
                gib(wanted - free),
            )),
        );
    }

    let Some(free_inodes) = destination.free_inodes else {
        return;
    };
    let free = free_inodes.saturating_add(sum(|left| left.entries));
    if need.inodes > free {
        findings.push(
            refusal(
                code::INSUFFICIENT_INODES,
                format!(
                    "insufficient space: {path} (local.mountPoint) has {free} inodes free and the \
                     snapshot needs {}",
                    need.inodes,
                ),
            )
            .hint(
                "delete files there, leave more out with local.excludePatterns, or use a file \
                 system with more inodes",
            ),
        );
    }
}

/// Bytes as GiB, with two decimals.
pub(crate) fn gib(bytes: u64) -> String {
    // Whole hundredths, rounded up, so that what is missing never shows as nothing.
    let hundredths = (u128::from(bytes) * 100).div_ceil(1 << 30);
    format!("{}.{:02} GiB", hundredths / 100, hundredths % 100)
}
