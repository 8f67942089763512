//! The container that services are started in: what it shows, and whether there can be one.
//!
//! It shows what the room does, and around it what makes a system: where the snapshot is of all, the snapshot
//! itself, and else the machine's programs and units. What the machine keeps is never shown, as a service that
//! starts with that says nothing of the backup. Of `/var` there are the folders, which packages make and
//! services expect, and nothing in them.

use std::collections::{BTreeMap, BTreeSet};

use schema::drill::{DrillContainer, RoomMount, Shown};

use super::{
    DrillFacts, OF_THE_KERNEL, hide_destination, in_order, is_covered, is_within, shown_of_machine,
};

/// Where the machine may have services' programs that no check of another kind needs.
pub const CONTAINER_PLACES: [&str; 1] = ["/opt"];
/// Where a service keeps what it has.
const VARIABLE: &str = "/var";
/// What systemd-nspawn makes itself.
const MADE_ANEW: &str = "/run";

/// What the machine has to make a container of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SystemdFact {
    /// Where systemd-nspawn stands, every symlink followed.
    pub nspawn: String,
    /// Where systemd itself stands.
    pub init: String,
    /// What `/run/current-system` leads to, where it does.
    pub system: Option<String>,
    /// The machine's host name.
    pub host_name: String,
}

/// The container of a drill that starts services; none where there can be none.
pub(super) fn plan_container(
    facts: &DrillFacts<'_>,
    room: &BTreeMap<String, Shown>,
    sources: &BTreeSet<String>,
) -> Option<DrillContainer> {
    let systemd = facts.systemd.as_ref().ok()?;
    Some(DrillContainer {
        nspawn: systemd.nspawn.clone(),
        init: systemd.init.clone(),
        system: systemd.system.clone(),
        host_name: systemd.host_name.clone(),
        mounts: mounts(facts, room, sources),
    })
}

/// What stands in it, from what stands in the room.
fn mounts(
    facts: &DrillFacts<'_>,
    room: &BTreeMap<String, Shown>,
    sources: &BTreeSet<String>,
) -> Vec<RoomMount> {
    let is_made_anew = |at: &str| {
        let mut places = OF_THE_KERNEL.iter().chain(&[MADE_ANEW]);
        places.any(|place| is_within(at, place))
    };
    let kept = room.iter().filter(|(at, _)| !is_made_anew(at));
    let mut mounts: BTreeMap<String, Shown> = kept
        .map(|(at, shown)| (at.clone(), shown.clone()))
        .collect();
    if !is_covered(VARIABLE, sources) {
        let path = VARIABLE.to_owned();
        mounts.insert(path.clone(), Shown::Outline { path });
    }
    for path in CONTAINER_PLACES {
        if !(is_covered(path, sources) && facts.held.contains(path))
            && let Some(shown) = shown_of_machine(path, facts.machine)
        {
            mounts.insert(path.to_owned(), shown);
        }
    }
    hide_destination(facts.config.local.mount_point.as_str(), &mut mounts);
    in_order(mounts, sources)
}
