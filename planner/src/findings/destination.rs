//! Refusals about the destination: that it is there, that it is the right one, that it can serve.
//!
//! All faults at once, so that a person mends them in one go. Room is not judged here.

use schema::{
    Config, FailureCode, Finding, Severity, Tier,
    config::IfAbsent,
    inventory::{DestinationState, NeighbourHost},
    record::{DestinationRecord, FORMAT_VERSION},
};

use super::{
    code,
    finding::{first_few, note, refusal},
};
use crate::facts::{self, Facts, is_away};

/// That the destination is not there; a refusal, or a deferral where `local.ifAbsent` says so.
#[must_use]
pub fn destination_absence(config: &Config, destination: &DestinationState) -> Option<Finding> {
    let local = &config.local;
    if !is_away(config, destination) {
        return None;
    }
    let path = &local.mount_point;
    let silent = destination.absent_code == Some(FailureCode::NoAnswer);
    let why = if silent {
        "is mounted and does not answer".to_owned()
    } else if !destination.present {
        let because = destination
            .absent_because
            .as_deref()
            .unwrap_or("no such folder");
        format!("cannot be opened ({because})")
    } else {
        "is a folder with nothing mounted on it".to_owned()
    };
    let severity = match local.if_absent {
        IfAbsent::Fail => Severity::Refusal,
        IfAbsent::Defer => Severity::Deferral,
    };
    let hint = if silent {
        format!(
            "look whether its server, or the program that mounted it, is there; to mount it anew \
             run `umount --lazy {path}` first"
        )
    } else if local.require_mount {
        format!(
            "attach the drive and run `mount {path}`; `mountpoint {path}` tells whether it is \
             mounted. a plain folder needs local.requireMount = false"
        )
    } else {
        format!("create the folder {path}, or correct local.mountPoint")
    };
    let message = format!("destination not mounted: {path} (local.mountPoint) {why}");
    Some(Finding::new(severity, code::DESTINATION_NOT_MOUNTED, message).hint(hint))
}

/// The refusals about a destination that is there.
pub(crate) fn check_destination(
    facts: &Facts<'_>,
    destination: &DestinationState,
    findings: &mut Vec<Finding>,
) {
    let path = &destination.mount_point;
    if let Some(wanted) = &facts.config.local.file_system_uuid
        && destination.file_system_uuid.as_ref() != Some(wanted)
    {
        let found = destination
            .file_system_uuid
            .as_deref()
            .unwrap_or("no UUID that can be told");
        findings.push(
            refusal(
                code::WRONG_FILE_SYSTEM,
                format!(
                    "wrong file system: {path} (local.mountPoint) has {found}, and \
                     local.fileSystemUUID wants {wanted}"
                ),
            )
            .hint("attach the right drive, or correct local.fileSystemUUID (`lsblk --fs`)"),
        );
    }
    if destination.read_only {
        findings.push(
            refusal(
                code::DESTINATION_READ_ONLY,
                format!("{path} (local.mountPoint) is mounted read-only"),
            )
            .hint(format!(
                "run `mount -o remount,rw {path}`; if it became read-only by itself, look for \
                 disk errors with `dmesg` and check the file system first"
            )),
        );
    }
    check_identity(facts, destination, findings);
    if Tier::ALL
        .iter()
        .all(|tier| facts::in_the_way(destination, tier.folder()))
    {
        let names = Tier::ALL.map(Tier::folder).join(", ");
        findings.push(
            refusal(
                code::NO_TIER,
                format!(
                    "none of {names} in {path}/{} is a folder that can be used",
                    facts.host
                ),
            )
            .hint(format!(
                "look at them, then move them away: mv {path}/{0}/daily {path}/{0}/daily.saved",
                facts.host
            )),
        );
    }
    check_hard_links(facts, destination, findings);
    let newer = destination
        .snapshots
        .iter()
        .find(|snapshot| snapshot.record.format_version > FORMAT_VERSION);
    if let Some(newer) = newer {
        findings.push(
            refusal(
                code::DESTINATION_TOO_NEW,
                format!(
                    "{path}/{}/{}/{} was made by {}, whose format {} is not known here",
                    facts.host,
                    newer.home,
                    newer.record.id,
                    newer.record.made_by,
                    newer.record.format_version,
                ),
            )
            .hint("update this program"),
        );
    }
}

/// Whether it is a destination that this machine knows, or may take as its first.
fn check_identity(facts: &Facts<'_>, destination: &DestinationState, findings: &mut Vec<Finding>) {
    let path = &destination.mount_point;
    let file = format!("{path}/{}/.backup/destination.json", facts.host);
    let known = &facts.inventory.known_destinations;
    if let Some(id) = destination.recognized_id.as_ref().filter(|id| {
        // The only one that is known, or a person says that this one is one of theirs.
        destination.record.is_none() && (known.contains(id) || known.is_empty())
    }) {
        let because = match &destination.record_fault {
            Some(fault) => format!("is damaged ({fault})"),
            None => "is missing".to_owned(),
        };
        findings.push(
            note(
                code::DESTINATION_RECORD_REBUILT,
                format!(
                    "this destination's record {because}: by its snapshots it is destination \
                     {id}, and the next run writes the record anew"
                ),
            )
            .hint("check the drive; nothing else is needed"),
        );
        return;
    }
    if let Some(fault) = &destination.record_fault {
        if destination.record_fault_code == Some(FailureCode::PermissionDenied) {
            findings.push(
                refusal(
                    code::DESTINATION_RECORD_UNREADABLE,
                    format!("this destination is closed to the user who runs this: {fault}"),
                )
                .hint(format!(
                    "run this as the user to whom it belongs, or allow it: \
                     `chmod u+rwX {path}/{0}/.backup {path}/{0}/.backup/destination.json`",
                    facts.host
                )),
            );
            return;
        }
        findings.push(
            refusal(
                code::DESTINATION_RECORD_UNREADABLE,
                format!("this destination's record is damaged: {fault}"),
            )
            .hint(
                "check the drive; `backup init` writes the record anew and keeps the damaged one",
            ),
        );
        return;
    }
    let adopt = "attach the right drive, or run `backup init`, which adds this disk";
    let Some(record) = &destination.record else {
        let old = renamed_folder(facts, destination);
        if let Some(old) = old {
            findings.push(
                refusal(
                    code::DESTINATION_OF_OLD_NAME,
                    format!(
                        "{path} (local.mountPoint) has the backups of this machine under its old \
                         name: they are in {path}/{old}, and the machine is {} now",
                        facts.host
                    ),
                )
                .hint(format!(
                    "go on under the new name with `backup init --take-over {old}`, which renames \
                     that folder, or set hostname to \"{old}\"; `backup init` begins anew"
                )),
            );
        } else if !known.is_empty() {
            findings.push(
                refusal(
                    code::DESTINATION_UNKNOWN,
                    format!(
                        "{path} (local.mountPoint) is another disk than the one expected: it was \
                         never used for {}, and {}",
                        facts.host,
                        expected_destinations(known)
                    ),
                )
                .hint(adopt),
            );
        }
        return;
    };
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
    if another_machine(facts, record) {
        let since = record.created_at.format("%Y-%m-%d");
        let last = destination.snapshots.last();
        let last = last.map_or_else(String::new, |last| {
            let day = last.record.started_at.format("%Y-%m-%d");
            format!("; its last backup is of {day}")
        });
        findings.push(
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
            ),
        );
        return;
    }
    if !known.is_empty() && !known.contains(id) {
        findings.push(
            refusal(
                code::DESTINATION_UNKNOWN,
                format!(
                    "{path} (local.mountPoint) is another disk than the one expected: it is \
                     destination {id}, and {}",
                    expected_destinations(known)
                ),
            )
            .hint(adopt),
        );
    }
}

/// Which destinations this machine backs up to.
fn expected_destinations(known: &[String]) -> String {
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
fn another_machine(facts: &Facts<'_>, record: &DestinationRecord) -> bool {
    match (record.machine, facts.inventory.machine) {
        (None, _) => false,
        (Some(machine), Some(own)) => machine != own,
        (Some(_), None) => !facts.inventory.known_destinations.contains(&record.id),
    }
}

/// The folder of this machine's backups from before it was renamed. A name that the configuration
/// gives was chosen, so there only what this machine used before counts.
fn renamed_folder<'a>(facts: &Facts<'_>, destination: &'a DestinationState) -> Option<&'a str> {
    let inventory = facts.inventory;
    let is_own = |one: &&NeighbourHost| {
        let same = one.machine.is_some() && one.machine == inventory.machine;
        inventory.known_destinations.contains(&one.id) || (same && facts.config.hostname.is_none())
    };
    let found = destination.beside.iter().find(is_own);
    found.map(|one| one.folder.as_str())
}

fn check_hard_links(
    facts: &Facts<'_>,
    destination: &DestinationState,
    findings: &mut Vec<Finding>,
) {
    let can_link = facts.capabilities().is_none_or(|can| can.hard_links);
    if can_link || facts.config.local.allow_full_copies {
        return;
    }
    let kind = destination.file_system.as_deref().unwrap_or("file system");
    findings.push(
        refusal(
            code::NO_HARD_LINKS,
            format!(
                "{} (local.mountPoint, {kind}) has no hard links, so each snapshot would be a \
                 whole copy",
                destination.mount_point
            ),
        )
        .hint(
            "use a drive with ext4, xfs or btrfs, or accept whole copies with \
             local.allowFullCopies = true",
        ),
    );
}
