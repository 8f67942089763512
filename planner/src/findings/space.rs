//! Refusals for want of room on the destination, and the ways out.
//!
//! Refused is only what is sure to fail; how much is needed is for [`crate::space`] to say.

use schema::{
    Finding,
    amount::{self, gib},
    config::MakeRoom,
};

use super::{code, costs::costs_most, finding::refusal};
use crate::{
    facts::Facts,
    space::{need, reclaimed},
    steps::room::{self, Room},
};

/// The refusals for want of room, where none can be made.
pub(crate) fn check_space(facts: &Facts<'_>, findings: &mut Vec<Finding>) {
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
                     snapshot needs {} and {} must stay free (local.minSpaceGB): {} is lacking{}",
                    gib(destination.free_bytes.saturating_add(back)),
                    gib(need.bytes),
                    gib(facts.config.local.min_space_bytes()),
                    amount::bytes(room.lack.bytes),
                    costs_most(facts).map_or_else(String::new, |cost| format!(
                        "; most of it is for {} (user {}): {}",
                        cost.path,
                        cost.user,
                        amount::bytes(cost.bytes)
                    )),
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

/// Whether the drive has not even what must stay free on it.
fn is_never_enough(facts: &Facts<'_>) -> bool {
    let total = facts.destination.map_or(0, |found| found.total_bytes);
    total > 0 && facts.config.local.min_space_bytes() >= total
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
        let is_least =
            |one: &schema::plan::Deletion| one.lost.as_ref().is_some_and(|lost| lost.at_least);
        let enough = match (room.enough, offers.len() - shown.len()) {
            (true, 0) => format!("frees enough ({frees})"),
            (true, more) => format!("frees {frees}, and {more} more like these enough"),
            (false, _) if shown.iter().any(is_least) => {
                format!("frees at least {frees}, which may not be enough")
            }
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
        _ if is_never_enough(facts) => {
            "lower local.minSpaceGB, which is more than the whole drive has, or use a larger drive"
                .to_owned()
        }
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
