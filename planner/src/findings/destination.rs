//! Refusals about the destination: that it is there, that it is the right one, that it can serve.
//!
//! All faults at once, so that a person mends them in one go. Room is not judged here.

use schema::{
    Config, FailureCode, Finding, Severity, Tier, config::IfAbsent, inventory::DestinationState,
    record::SNAPSHOT_FORMAT_VERSION,
};

use super::{code, finding::refusal, identity};
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
    let word = schema::shell::word(path.as_str());
    let hint = if silent {
        format!(
            "look whether its server, or the program that mounted it, is there; to mount it anew \
             run `umount --lazy {word}` first"
        )
    } else if local.require_mount {
        format!(
            "attach the drive and run `mount {word}`; `mountpoint {word}` tells whether it is \
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
    check_file_system(facts, destination, findings);
    identity::check_identity(facts, destination, findings);
    check_tiers(facts, destination, findings);
    check_hard_links(facts, destination, findings);
    check_formats(facts, destination, findings);
}

/// That the file system is the wanted one, and can be written to.
fn check_file_system(
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
                "run `mount -o remount,rw {}`; if it became read-only by itself, look for \
                 disk errors with `dmesg` and check the file system first",
                schema::shell::word(path.as_str())
            )),
        );
    }
}

/// That at least one tier has a folder or may get one.
fn check_tiers(facts: &Facts<'_>, destination: &DestinationState, findings: &mut Vec<Finding>) {
    let path = &destination.mount_point;
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
                "look at them, then move them away: `mv {} {}`",
                schema::shell::word(format!("{path}/{}/daily", facts.host)),
                schema::shell::word(format!("{path}/{}/daily.saved", facts.host)),
            )),
        );
    }
}

/// That the format of every snapshot is known here.
fn check_formats(facts: &Facts<'_>, destination: &DestinationState, findings: &mut Vec<Finding>) {
    let path = &destination.mount_point;
    let newer = destination
        .snapshots
        .iter()
        .find(|snapshot| snapshot.record.format_version > SNAPSHOT_FORMAT_VERSION);
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
