//! Decides what must hold of the destination when the run starts, and names a new destination.
//!
//! Whether the destination that was found is the right one is judged by the findings, before.

use schema::{
    Digest, Finding,
    config::OnPreBackupFailure,
    inventory::DestinationState,
    plan::{Action, DestinationCheckStep},
};

use super::Draft;
use crate::facts::Facts;

/// The check, where there are local snapshots.
pub(crate) fn decide_destination_check(facts: &Facts<'_>, _: &mut Vec<Finding>) -> Option<Draft> {
    let destination = facts.destination?;
    let local = &facts.config.local;
    let own = destination.record.as_ref().map(|record| &record.id);
    let destination_id = own
        .or(destination.recognized_id.as_ref())
        .map_or_else(|| new_id(facts, destination), Clone::clone);
    let known = facts.inventory.known_destinations.contains(&destination_id);
    // What was made before machines were recorded is this one's, if it is known here.
    let is_nobodys = destination
        .record
        .as_ref()
        .is_none_or(|record| record.machine.is_none() && known);
    let action = Action::DestinationCheck(DestinationCheckStep {
        mount_point: local.mount_point.clone(),
        folder: facts.host.to_owned(),
        require_mount: local.require_mount,
        file_system_uuid: local.file_system_uuid.clone(),
        create: destination.record.is_none(),
        remember: !known,
        machine: facts.inventory.machine.filter(|_| is_nobodys),
        take_over: None,
        destination_id,
        read_only: false,
        need_hard_links: !local.allow_full_copies,
        readable_by_users: local.readable_by_users,
        user_view: user_view(facts, destination),
    });
    Some(match facts.config.on_pre_backup_failure {
        OnPreBackupFailure::Abort => Draft::needing(&["pre-script"], action),
        OnPreBackupFailure::Warn => Draft::after(&["pre-script"], action),
    })
}

/// Where users see the snapshots, if this run can make that so.
fn user_view(facts: &Facts<'_>, destination: &DestinationState) -> Option<String> {
    let view = destination.user_view.as_ref()?;
    let is_made_here = view.impossible.is_none() && !view.by_unit;
    (facts.config.local.readable_by_users && is_made_here).then(|| view.path.clone())
}

/// The id of a destination that has none yet: a UUID of version 8 (RFC 9562), made of what tells
/// this destination at this time from any other, since the planner draws no random numbers.
fn new_id(facts: &Facts<'_>, destination: &DestinationState) -> String {
    let Digest(digest) = Digest::of_json(&(
        facts.host,
        &destination.mount_point,
        &destination.file_system_uuid,
        &destination.place,
        facts.inventory.taken_at,
    ));
    let mut uuid = [0; 16];
    uuid.copy_from_slice(&digest[..16]);
    uuid[6] = uuid[6] & 0x0f | 0x80;
    uuid[8] = uuid[8] & 0x3f | 0x80;
    let hex = u128::from_be_bytes(uuid);
    let text = format!("{hex:032x}");
    let parts = [0..8, 8..12, 12..16, 16..20, 20..32].map(|part| &text[part]);
    parts.join("-")
}
