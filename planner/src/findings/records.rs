//! That records on the destination are damaged: what is assumed instead, and how to mend it.
//!
//! No snapshot is lost with its record: it stays, nothing is linked to it, and the rest goes on.

use schema::{Finding, inventory::DestinationState};

use super::{code, note};

/// One finding for each damaged record.
pub(crate) fn damaged(destination: &DestinationState) -> Vec<Finding> {
    let path = &destination.mount_point;
    let mut findings = Vec::new();
    for one in &destination.unmanaged {
        let Some(fault) = &one.record_fault else {
            continue;
        };
        let (tier, name) = (one.tier, &one.name);
        findings.push(
            note(
                code::SNAPSHOT_RECORD_DAMAGED,
                format!(
                    "the record of snapshot {tier}/{name} in {path} is damaged ({fault}): it is \
                     kept whatever the retention says, and no new snapshot is linked to it"
                ),
            )
            .hint(format!(
                "check the drive, and compare what is stored with `backup verify {name}`; \
                 `backup restore {tier}/{name}` reads from it. if another copy of its \
                 snapshot.json is there, put it back; else move its folder in \
                 .backup/snapshots aside, and `backup adopt` makes a new record from its files"
            )),
        );
    }
    for snapshot in &destination.snapshots {
        let Some(fault) = &snapshot.marks_fault else {
            continue;
        };
        let id = snapshot.record.id;
        findings.push(
            note(
                code::SNAPSHOT_MARKS_DAMAGED,
                format!(
                    "what was said of snapshot {id} is damaged ({fault}): it is taken to be pinned"
                ),
            )
            .hint(format!(
                "check the drive; `backup pin {id}` or `backup unpin {id}` writes it anew"
            )),
        );
    }
    if let Some(fault) = &destination.rotation_fault {
        findings.push(
            note(
                code::ROTATION_RECORD_DAMAGED,
                format!(
                    "the record of the last rotation is damaged ({fault}): more than 3 deletions \
                     at once need approval"
                ),
            )
            .hint("check the drive; the next rotation writes it anew"),
        );
    }
    findings
}
