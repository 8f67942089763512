//! Refusals about whose the destination is: that this machine knows it, or may take it as its first.
//!
//! What cannot be told of its record is judged here too; see [`super::records`] for the rest.

use schema::{
    FailureCode, Finding,
    inventory::{DestinationState, NeighbourHost},
    record::{DestinationRecord, FORMAT_VERSION},
};

use super::{
    code,
    finding::{first_few, note, refusal},
};
use crate::facts::Facts;

/// What is to be done about a disk that was never used here.
const ADD_THIS_DISK: &str = "attach the right drive, or run `backup init`, which adds this disk";

/// Whether it is a destination that this machine knows, or may take as its first.
pub(super) fn check_identity(
    facts: &Facts<'_>,
    destination: &DestinationState,
    findings: &mut Vec<Finding>,
) {
    if let Some(id) = recognize_snapshots(facts, destination) {
        findings.push(describe_rebuilding(destination, id));
    } else if let Some(fault) = &destination.record_fault {
        findings.push(refuse_faulty_record(facts, destination, fault));
    } else if let Some(record) = &destination.record {
        check_record(facts, destination, record, findings);
    } else {
        findings.extend(refuse_unrecorded(facts, destination));
    }
}

/// The id that the snapshots say, where the record is lost and they are enough to go by.
fn recognize_snapshots<'a>(
    facts: &Facts<'_>,
    destination: &'a DestinationState,
) -> Option<&'a String> {
    let known = &facts.inventory.known_destinations;
    destination.recognized_id.as_ref().filter(|id| {
        // The only one that is known, or a person says that this one is one of theirs.
        destination.record.is_none() && (known.contains(id) || known.is_empty())
    })
}

/// That the record of a recognized destination is written anew.
fn describe_rebuilding(destination: &DestinationState, id: &str) -> Finding {
    let because = match &destination.record_fault {
        Some(fault) => format!("is damaged ({fault})"),
        None => "is missing".to_owned(),
    };
    note(
        code::DESTINATION_RECORD_REBUILT,
        format!(
            "this destination's record {because}: by its snapshots it is destination \
             {id}, and the next run writes the record anew"
        ),
    )
    .hint("check the drive; nothing else is needed")
}

/// That the record cannot be read: it is closed to this user, or damaged.
fn refuse_faulty_record(facts: &Facts<'_>, destination: &DestinationState, fault: &str) -> Finding {
    let path = &destination.mount_point;
    if destination.record_fault_code == Some(FailureCode::PermissionDenied) {
        return refusal(
            code::DESTINATION_RECORD_UNREADABLE,
            format!("this destination is closed to the user who runs this: {fault}"),
        )
        .hint(format!(
            "run this as the user to whom it belongs (`sudo backup ...`), or allow it: \
             `chmod u+rwX {} {}`",
            schema::shell::word(format!("{path}/{}/.backup", facts.host)),
            schema::shell::word(format!("{path}/{}/.backup/destination.json", facts.host)),
        ));
    }
    refusal(
        code::DESTINATION_RECORD_UNREADABLE,
        format!("this destination's record is damaged: {fault}"),
    )
    .hint("check the drive; `backup init` writes the record anew and keeps the damaged one")
}

/// That a destination without a record is not this machine's, unless it may become its first.
fn refuse_unrecorded(facts: &Facts<'_>, destination: &DestinationState) -> Option<Finding> {
    let path = &destination.mount_point;
    let known = &facts.inventory.known_destinations;
    if let Some(old) = find_renamed_folder(facts, destination) {
        let renamed = refusal(
            code::DESTINATION_OF_OLD_NAME,
            format!(
                "{path} (local.mountPoint) has the backups of this machine under its old \
                 name: they are in {path}/{old}, and the machine is {} now",
                facts.host
            ),
        );
        return Some(renamed.hint(format!(
            "go on under the new name with `backup init --take-over {}`, which renames \
             that folder, or set hostname to \"{old}\"; `backup init` begins anew",
            schema::shell::word_of_escaped(old)
        )));
    }
    if known.is_empty() {
        return None;
    }
    let unknown = refusal(
        code::DESTINATION_UNKNOWN,
        format!(
            "{path} (local.mountPoint) is another disk than the one expected: it was \
             never used for {}, and {}",
            facts.host,
            list_expected(known)
        ),
    );
    Some(unknown.hint(ADD_THIS_DISK))
}

/// Whether a record that can be read is one of this machine, in a format that is known here.
fn check_record(
    facts: &Facts<'_>,
    destination: &DestinationState,
    record: &DestinationRecord,
    findings: &mut Vec<Finding>,
) {
    let path = &destination.mount_point;
    let file = format!("{path}/{}/.backup/destination.json", facts.host);
    let DestinationRecord {
        format_version, id, ..
    } = record;
    if *format_version > FORMAT_VERSION {
        findings.push(
            refusal(
                code::DESTINATION_TOO_NEW,
                format!("{file} has format {format_version}, and only {FORMAT_VERSION} is known"),
            )
            .hint("update this program"),
        );
    }
    if record.host != facts.host {
        findings.push(
            refusal(
                code::DESTINATION_OF_ANOTHER_HOST,
                format!(
                    "{file} says that the snapshots are of {}, and this is {}",
                    record.host, facts.host
                ),
            )
            .hint("set hostname to that name if the machine was renamed, or use another folder"),
        );
    }
    if is_of_another_machine(facts, record) {
        findings.push(refuse_another_machine(facts, destination, record));
        return;
    }
    let known = &facts.inventory.known_destinations;
    if !known.is_empty() && !known.contains(id) {
        findings.push(
            refusal(
                code::DESTINATION_UNKNOWN,
                format!(
                    "{path} (local.mountPoint) is another disk than the one expected: it is \
                     destination {id}, and {}",
                    list_expected(known)
                ),
            )
            .hint(ADD_THIS_DISK),
        );
    }
}

/// That another machine has this one's name, and backs up to this folder.
fn refuse_another_machine(
    facts: &Facts<'_>,
    destination: &DestinationState,
    record: &DestinationRecord,
) -> Finding {
    let path = &destination.mount_point;
    let since = record.created_at.format("%Y-%m-%d");
    let last = destination.snapshots.last();
    let last = last.map_or_else(String::new, |last| {
        let day = last.record.started_at.format("%Y-%m-%d");
        format!("; its last backup is of {day}")
    });
    refusal(
        code::DESTINATION_OF_ANOTHER_MACHINE,
        format!(
            "{path}/{} (local.mountPoint) belongs to another machine of the same name, \
             since {since}{last}",
            facts.host
        ),
    )
    .hint(
        "give one of the two machines another name (hostname); if this is that machine, \
         installed anew, `backup init --take-over` says so",
    )
}

/// Which destinations this machine backs up to.
fn list_expected(known: &[String]) -> String {
    match known {
        [one] => format!("this machine backs up to destination {one}"),
        known => format!(
            "this machine backs up to {} others: {}",
            known.len(),
            first_few(known.iter().cloned(), known.len() as u64)
        ),
    }
}

/// Whether a destination belongs to another machine. One without an id of its own goes by what it
/// remembers.
fn is_of_another_machine(facts: &Facts<'_>, record: &DestinationRecord) -> bool {
    match (record.machine, facts.inventory.machine) {
        (None, _) => false,
        (Some(machine), Some(own)) => machine != own,
        (Some(_), None) => !facts.inventory.known_destinations.contains(&record.id),
    }
}

/// The folder of this machine's backups from before it was renamed. A name that the configuration
/// gives was chosen, so there only what this machine used before counts.
fn find_renamed_folder<'a>(
    facts: &Facts<'_>,
    destination: &'a DestinationState,
) -> Option<&'a str> {
    let inventory = facts.inventory;
    let is_own = |one: &&NeighbourHost| {
        let same = one.machine.is_some() && one.machine == inventory.machine;
        inventory.known_destinations.contains(&one.id) || (same && facts.config.hostname.is_none())
    };
    let found = destination.beside.iter().find(is_own);
    found.map(|one| one.folder.as_str())
}
