//! The difference between the tiers as they are and as retention wants them.
//!
//! Owns moves and tier links. Which snapshots stay is given; what goes is not touched here, except
//! for the links to it. Only links that the inventory lists are ever taken away.

use std::collections::{BTreeMap, BTreeSet};

use schema::{
    SnapshotId, Tier,
    inventory::{DestinationState, TierLink},
    plan::{Link, Move, Unlink},
};

use crate::facts::in_the_way;
use crate::retention::Decision;

/// What the destination holds before the rotation, and what of it stays in any case.
pub(super) struct TierState<'a> {
    /// The destination.
    pub(super) destination: &'a DestinationState,
    /// Where each snapshot is, the new one included.
    pub(super) homes: BTreeMap<SnapshotId, Tier>,
    /// Snapshots that would go but stay for now, as they are.
    pub(super) withheld: BTreeSet<SnapshotId>,
    /// Whether the destination can hold symlinks.
    pub(super) symlinks: bool,
}

/// What brings the tiers to the wanted layout, in the order in which it is done.
pub(super) struct Difference {
    pub(super) unlinks: Vec<Unlink>,
    pub(super) moves: Vec<Move>,
    pub(super) links: Vec<Link>,
    /// Where each snapshot is afterwards.
    pub(super) homes: BTreeMap<SnapshotId, Tier>,
}

/// Computes the difference. Names on which something unmanaged stands are left alone: a snapshot
/// stays where it is rather than in the way, and is found there by its id.
pub(super) fn difference(found: &TierState<'_>, decision: &Decision) -> Difference {
    let mut homes = found.homes.clone();
    let mut moves = Vec::new();
    for (id, kept) in decision.kept_by_time() {
        let from = found.homes.get(&id).copied().unwrap_or(Tier::Daily);
        if from != kept.home && !occupied(found, kept.home, id) {
            homes.insert(id, kept.home);
            moves.push(Move {
                id,
                from,
                to: kept.home,
            });
        }
    }
    let mut wanted = wanted_links(found, decision, &homes);
    let mut unlinks = Vec::new();
    for link in &found.destination.links {
        let place = (link.tier, link.id);
        if wanted.get(&place) == Some(&link.target) {
            wanted.remove(&place);
        } else if let Some(reason) = unlink_reason(found, decision, &homes, &wanted, link) {
            unlinks.push(Unlink {
                tier: link.tier,
                id: link.id,
                reason,
            });
        }
    }
    let links = wanted
        .into_iter()
        .map(|((tier, id), target)| Link { tier, id, target })
        .collect();
    Difference {
        unlinks,
        moves,
        links,
        homes,
    }
}

/// Whether something that this program did not make has this name, or that of the tier.
fn occupied(found: &TierState<'_>, tier: Tier, id: SnapshotId) -> bool {
    let name = id.to_string();
    let destination = found.destination;
    if in_the_way(destination, tier.folder()) || in_the_way(destination, &format!("{tier}/{id}")) {
        return true;
    }
    let mut unmanaged = found.destination.unmanaged.iter();
    unmanaged.any(|one| one.tier == tier && one.name == name)
}

fn wanted_links(
    found: &TierState<'_>,
    decision: &Decision,
    homes: &BTreeMap<SnapshotId, Tier>,
) -> BTreeMap<(Tier, SnapshotId), String> {
    if !found.symlinks {
        return BTreeMap::new();
    }
    let target = |id: SnapshotId| homes.get(&id).map(|home| format!("../{home}/{id}"));
    let mut wanted = BTreeMap::new();
    for (id, kept) in decision.kept_by_time() {
        for tier in &kept.tiers {
            if homes.get(&id) != Some(tier)
                && !occupied(found, *tier, id)
                && let Some(target) = target(id)
            {
                wanted.insert((*tier, id), target);
            }
        }
    }
    // What is withheld keeps the links that it has, as long as they lead to it.
    for link in &found.destination.links {
        if found.withheld.contains(&link.id) && target(link.id).as_ref() == Some(&link.target) {
            wanted.insert((link.tier, link.id), link.target.clone());
        }
    }
    wanted
}

/// Why a link that is not as wanted goes; none where it is not ours.
fn unlink_reason(
    found: &TierState<'_>,
    decision: &Decision,
    homes: &BTreeMap<SnapshotId, Tier>,
    wanted: &BTreeMap<(Tier, SnapshotId), String>,
    link: &TierLink,
) -> Option<String> {
    let id = link.id;
    let Some(home) = homes.get(&id) else {
        // A link beside an unmanaged folder of that name belongs to whoever made the folder.
        let unmanaged = Tier::ALL.iter().any(|tier| occupied(found, *tier, id));
        return (!unmanaged).then(|| "there is no such snapshot".to_owned());
    };
    Some(if let Some(target) = wanted.get(&(link.tier, id)) {
        format!("it points to {} and not to {target}", link.target)
    } else if *home == link.tier {
        "the snapshot itself comes here".to_owned()
    } else if found.withheld.contains(&id) {
        format!("it points to {} and not to the snapshot", link.target)
    } else if decision.expire.contains_key(&id) {
        "the snapshot is deleted".to_owned()
    } else if found.symlinks {
        format!("{} no longer keeps it", link.tier)
    } else {
        "the destination has no symlinks".to_owned()
    })
}
