//! How much room a snapshot needs, and the refusal where there is not enough.
//!
//! Owns the prediction. It refuses only what is sure to fail: what leftovers give back is counted
//! as free, because the space-check step reclaims it first and then measures again.

use schema::{
    Finding, amount,
    config::MakeRoom,
    inventory::{DestinationState, Leftover},
};

use crate::{
    findings::{code, refusal},
    steps::{
        facts::Facts,
        room::{self, Room},
    },
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
fn reclaimed(facts: &Facts<'_>, destination: &DestinationState, of: fn(&Leftover) -> u64) -> u64 {
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

/// The refusals for want of room, where none can be made.
pub(crate) fn check(facts: &Facts<'_>, findings: &mut Vec<Finding>) {
    let Some(destination) = facts.destination else {
        return;
    };
    let room = room::of(facts, destination);
    let need = need(facts);
    let path = &destination.mount_point;
    if room.lack.bytes > 0 {
        let back = reclaimed(facts, destination, |left| left.bytes);
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
                     snapshot needs {} and {} must stay free (local.minSpaceGB): {} is lacking",
                    gib(destination.free_bytes.saturating_add(back)),
                    gib(need.bytes),
                    gib(facts.config.local.min_space_bytes()),
                    amount::bytes(room.lack.bytes),
                ),
            )
            .hint(way_out(facts, &room)),
        );
    }
    if room.lack.inodes > 0 {
        let back = reclaimed(facts, destination, |left| left.entries);
        let free = destination.free_inodes.unwrap_or(0).saturating_add(back);
        findings.push(
            refusal(
                code::INSUFFICIENT_INODES,
                format!(
                    "insufficient space: {path} (local.mountPoint) has {free} inodes free and the \
                     snapshot needs {}: {} are lacking",
                    need.inodes, room.lack.inodes,
                ),
            )
            .hint(way_out(facts, &room)),
        );
    }
}

/// What a person can do who wants the backup made.
pub(crate) fn way_out(facts: &Facts<'_>, room: &Room) -> String {
    // As many as one line still shows to be copied.
    const SHOWN: usize = 20;
    let mut ways = Vec::new();
    if let Some(because) = &room.withheld_because {
        ways.push(format!(
            "nothing is deleted for it, because {}",
            because.message
        ));
        ways.extend(because.hint.clone());
    }
    let offers = &room.offers;
    if !offers.is_empty() {
        let shown = &offers[..offers.len().min(SHOWN)];
        let ids: Vec<String> = shown.iter().map(|one| one.id.to_string()).collect();
        let bytes = shown.iter().map(|one| one.frees);
        let frees = amount::bytes(bytes.fold(0, u64::saturating_add));
        let enough = match (room.enough, offers.len() - shown.len()) {
            (true, 0) => format!("frees enough ({frees})"),
            (true, more) => format!("frees {frees}, and {more} more like these enough"),
            (false, _) => format!("frees some ({frees}), not enough"),
        };
        // A command that can be copied as it is.
        ways.push(format!("`backup delete {}` {enough}", ids.join(" ")));
        match facts.config.local.make_room {
            MakeRoom::Never => ways.push(
                "`backup prune` frees what the keep numbers let go; local.makeRoom = \"expired\" or \
                 \"oldest\" does such by itself"
                    .to_owned(),
            ),
            MakeRoom::Expired => {
                ways.push("local.makeRoom = \"oldest\" does so by itself".to_owned());
            }
            MakeRoom::Oldest => {}
        }
    }
    let by_hand = match room.lack.bytes {
        0 => "leave more out with local.excludePatterns, or use a file system with more inodes"
            .to_owned(),
        bytes => format!(
            "free at least {} there, leave more out with local.excludePatterns, lower \
             local.minSpaceGB, or use a larger drive",
            amount::bytes(bytes)
        ),
    };
    ways.push(match ways.is_empty() {
        true => by_hand,
        false => format!("else {by_hand}"),
    });
    ways.join("; ")
}

/// Bytes as GiB, with two decimals.
pub(crate) fn gib(bytes: u64) -> String {
    // Whole hundredths, rounded up, so that what is missing never shows as nothing.
    let hundredths = (u128::from(bytes) * 100).div_ceil(1 << 30);
    format!("{}.{:02} GiB", hundredths / 100, hundredths % 100)
}
