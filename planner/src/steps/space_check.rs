//! Decides which leftovers are reclaimed and how much room the snapshot gets.

use schema::{
    Finding,
    plan::{Action, DiscardPartial, SpaceCheckStep},
};

use super::{After, Draft};
use crate::{
    facts::{self, Facts},
    space,
};

/// The check, where there are local snapshots.
pub(crate) fn decide_space_check(facts: &Facts<'_>, _: &mut Vec<Finding>) -> Option<Draft> {
    let destination = facts.destination?;
    let need = space::need(facts);
    let draft = Draft::needing(
        &["destination-check"],
        Action::SpaceCheck(SpaceCheckStep {
            empty_trash: destination.trash.iter().map(|left| left.id).collect(),
            discard_partial: facts
                .partials
                .discarded
                .iter()
                .map(|(left, reason)| DiscardPartial {
                    id: left.id,
                    frees: left.bytes,
                    reason: (*reason).to_owned(),
                })
                .collect(),
            clear_records: facts::removed_by_hand(destination),
            needed_bytes: need.bytes,
            needed_inodes: destination.free_inodes.map(|_| need.inodes),
            min_free_bytes: facts.config.local.min_space_bytes(),
        }),
    );
    Some(Draft {
        after: After::Kinds(&["make-room"]),
        ..draft
    })
}
