//! What is stored: whether every snapshot stands where retention wants it, and is whole.

use schema::{Finding, Severity, inventory::DestinationState};

use super::{Checkup, error, note, warning};
use crate::{
    findings::{code, counted, first_few, notices},
    steps::rotate,
};

/// Judges the snapshots and what a share of them was found to be.
pub(super) fn check_stored(checkup: &Checkup<'_>, findings: &mut Vec<Finding>) {
    let facts = checkup.facts;
    let Some(destination) = facts.destination.filter(|_| checkup.ready) else {
        if !facts.config.local.enable {
            check_contents(checkup, findings);
        }
        return;
    };
    let mut noticed = Vec::new();
    notices::of_destination(facts, destination, &mut noticed);
    findings.extend(noticed.into_iter().map(raise_severity));
    findings.extend(describe_lost(checkup, destination));
    findings.extend(describe_stuck_trash(checkup, destination));
    findings.extend(describe_layout(checkup, destination));
    check_contents(checkup, findings);
    if facts.config.monitoring.verify_subset.is_none() {
        findings.push(
            note(
                code::VERIFY_IS_OFF,
                "health checks read no stored data: monitoring.verifySubset is null",
            )
            .hint("run `backup verify --all` now and then"),
        );
    }
}

/// A run goes on beside these; whoever asks for health is to look.
fn raise_severity(finding: Finding) -> Finding {
    let severity = match finding.code.as_str() {
        code::DAMAGED_FILES => Severity::Error,
        code::SNAPSHOT_RECORD_DAMAGED
        | code::SNAPSHOT_MANIFEST_DAMAGED
        | code::SNAPSHOT_MANIFEST_CHANGED
        | code::SNAPSHOT_MARKS_DAMAGED
        | code::ROTATION_RECORD_DAMAGED => Severity::Warning,
        _ => finding.severity,
    };
    Finding {
        severity,
        ..finding
    }
}

/// Snapshots that are gone, and not by a rotation.
fn describe_lost(checkup: &Checkup<'_>, destination: &DestinationState) -> Option<Finding> {
    let lost = &checkup.measured.lost;
    // What stands in the way of a tier may hide them.
    if lost.is_empty() || !destination.in_the_way.is_empty() {
        return None;
    }
    let count = lost.len() as u64;
    let are = if count == 1 { "is" } else { "are" };
    let gone = warning(
        code::SNAPSHOT_LOST,
        format!(
            "{} {are} gone from daily, weekly and monthly in {}, and not by a rotation: {}",
            counted(count, "snapshot"),
            destination.mount_point,
            first_few(lost.iter().map(ToString::to_string), count)
        ),
    );
    Some(gone.hint(
        "if somebody deleted them, remove their folders in .backup/snapshots too; else \
         check the file system",
    ))
}

/// What a run that came to its end left in the trash: it could not remove it.
fn describe_stuck_trash(checkup: &Checkup<'_>, destination: &DestinationState) -> Option<Finding> {
    if checkup.measured.running || checkup.measured.unfinished.is_some() {
        return None;
    }
    let trash = &destination.trash;
    let first = trash.first()?;
    let count = trash.len() as u64;
    let at = schema::shell::word(format!(
        "{}/{}/.backup/trash/{}",
        destination.mount_point, checkup.facts.host, first.id
    ));
    let stuck = warning(
        code::TRASH_NOT_EMPTIED,
        format!(
            "{} cannot be removed wholly from the trash: {}",
            counted(count, "snapshot"),
            first_few(trash.iter().map(|left| left.id.to_string()), count)
        ),
    );
    Some(stuck.hint(format!(
        "`lsattr -R {at}` shows what is immutable, and `chattr -R -ia {at}` ends that; \
         else look at `dmesg` and check the file system"
    )))
}

/// Where the tiers differ from what the retention wants.
fn describe_layout(checkup: &Checkup<'_>, destination: &DestinationState) -> Option<Finding> {
    // While a run works the tiers are on their way.
    if checkup.measured.running {
        return None;
    }
    let away = rotate::not_as_wanted(checkup.facts, destination);
    if away.is_empty() {
        return None;
    }
    let count = away.len() as u64;
    let differs = warning(
        code::LAYOUT_NOT_AS_WANTED,
        format!(
            "{} from what the retention wants: {}",
            match count {
                1 => "1 tier entry differs".to_owned(),
                _ => format!("{count} tier entries differ"),
            },
            first_few(away, count)
        ),
    );
    Some(differs.hint("the next good run puts it right; `backup plan` shows how"))
}

/// What was found by comparing a share of the stored data, or that none was.
fn check_contents(checkup: &Checkup<'_>, findings: &mut Vec<Finding>) {
    let measured = checkup.measured;
    let on_disk = checkup.facts.config.local.enable;
    if let Some(share) = &measured.verified
        && share.damage_count > 0
    {
        let count = share.damage_count;
        let found = error(
            code::VERIFY_FOUND_DAMAGE,
            format!(
                "{} in part {}/{} of the stored data: {}",
                match count {
                    1 => "1 damage was found".to_owned(),
                    many => format!("{many} damages were found"),
                },
                share.part,
                share.of,
                share.first_damage.as_deref().unwrap_or("see the log")
            ),
        );
        findings.push(found.hint(match on_disk {
            true => {
                "look at all of it with `backup verify --all`, heal with `backup verify --all \
                 --repair`, and check the drive (`smartctl -a`)"
            }
            false => {
                "`backup now` uploads it again, as far as it is still here; `backup verify` then \
                 looks at all that is there"
            }
        }));
    }
    if let Some(because) = &measured.put_off {
        findings.push(
            note(
                code::VERIFY_PUT_OFF,
                format!("not all that is to be compared was: {because}"),
            )
            .hint("the next check goes on there"),
        );
    }
    // That nobody reaches a remote is told once.
    let is_known = !on_disk && measured.cloud_unreachable.is_some();
    if let Some(because) = measured.not_verified.as_ref().filter(|_| !is_known) {
        findings.push(
            warning(
                code::VERIFY_FAILED,
                format!("the stored data could not be compared: {because}"),
            )
            .hint("try it by hand with `backup verify`"),
        );
    }
}
