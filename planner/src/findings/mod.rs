//! What a person should know before a run, and what forbids it.
//!
//! Owns the stable code of every finding and the order in which they are looked for. Each finding
//! of warning or worse says what to do. No step is decided here.

pub mod cloud;
pub mod code;
mod costs;
pub(crate) mod destination;
pub(crate) mod finding;
mod identity;
pub(crate) mod notices;
mod overlaps;
mod patterns;
mod rclone;
pub mod records;
pub(crate) mod rsync;
pub(crate) mod secrets;
mod sources;
pub(crate) mod space;
pub mod trust;
pub(crate) mod user_view;

use schema::{Finding, Severity, inventory, inventory::Power, plan::Part};

pub(crate) use finding::{counted, first_few, note, refusal};

use crate::facts::Facts;

/// All findings that do not come from a step, refusals and deferrals among them.
pub(crate) fn collect_findings(facts: &Facts<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    // On battery nothing is judged further: the timer asks again, and a person sees it all.
    if let Some(deferral) = on_battery(facts) {
        return vec![deferral];
    }
    if let Some(fault) = &facts.inventory.fault {
        return vec![fault.clone()];
    }
    if let Some(mismatch) = other_inventory(facts) {
        return vec![mismatch];
    }
    if !facts.config.local.enable && !facts.config.cloud.enable {
        findings.push(
            note(
                code::NOTHING_ENABLED,
                "neither local.enable nor cloud.enable is on, so nothing is backed up",
            )
            .hint("set local.enable, cloud.enable or both"),
        );
    }
    findings.extend(trust::of_part(facts.inventory, facts.options.only));
    rclone::check_rclone(facts, &mut findings);
    findings.extend(secrets::check_secrets(facts.inventory));
    cloud_memory(facts, &mut findings);
    if let Some(remote) = facts.remote {
        remote.check(facts, &mut findings);
    }
    let Some(destination) = facts.destination else {
        if facts.is_live() {
            sources::check_sources(facts, &mut findings);
            costs::check_costs(facts, &mut findings);
        }
        findings.extend(records::of_state(facts.inventory));
        return findings;
    };
    if let Some(absence) = destination::destination_absence(facts.config, destination) {
        if facts.waits_for_script() {
            findings.push(before_script(&absence));
            sources::check_sources(facts, &mut findings);
            findings.extend(records::of_state(facts.inventory));
            return findings;
        }
        if facts.is_live() {
            findings.push(without_disk(facts, absence));
        } else {
            findings.push(absence);
        }
        findings.extend(user_view::of_absence(destination));
        // What is below an empty mount point says nothing of the destination.
        sources::check_sources(facts, &mut findings);
        if facts.is_live() {
            costs::check_costs(facts, &mut findings);
        }
        findings.extend(records::of_state(facts.inventory));
        return findings;
    }
    // The cloud steps only read the destination, and neither sources nor space matter to them.
    if facts.options.only == Some(Part::Cloud) {
        destination::check_destination(facts, destination, &mut findings);
        findings.retain(|finding| finding.code != code::DESTINATION_READ_ONLY);
        notices::of_destination(facts, destination, &mut findings);
        return findings;
    }
    destination::check_destination(facts, destination, &mut findings);
    rsync::check_rsync(facts, &mut findings);
    sources::check_sources(facts, &mut findings);
    costs::check_costs(facts, &mut findings);
    space::check_space(facts, &mut findings);
    let refused = findings
        .iter()
        .any(|finding| finding.severity >= Severity::Deferral);
    notices::of_destination(facts, destination, &mut findings);
    findings.extend(user_view::before_run(&facts.config.local, destination));
    findings.extend(notices::stuck_trash(facts, destination));
    if !refused {
        notices::of_run(facts, destination, &mut findings);
    }
    findings
}

/// That the destination is away before the script that may mount it.
fn before_script(absence: &Finding) -> Finding {
    note(
        code::DESTINATION_NOT_YET_THERE,
        format!(
            "{}; the pre-script runs first, and the rest is planned once it has",
            absence.message
        ),
    )
}

/// What the last upload held back, and what this one does because of the clock.
fn cloud_memory(facts: &Facts<'_>, findings: &mut Vec<Finding>) {
    let part = facts.options.only;
    let Some(state) = facts
        .inventory
        .cloud
        .as_ref()
        .filter(|_| part != Some(Part::Local))
    else {
        return;
    };
    let agreed = facts.options.approve_deletions;
    let standing = cloud::held_back_upload(&state.memory, &[]).filter(|_| !agreed);
    // How this run ends is said by its cloud step.
    findings.extend(standing.map(|one| Finding {
        severity: Severity::Note,
        ..one
    }));
    let now = facts.inventory.taken_at;
    findings.extend(cloud::held_back(&facts.config.cloud, &state.memory, now));
}

/// That the destination is away, where the copy in the cloud is made all the same.
fn without_disk(facts: &Facts<'_>, absence: Finding) -> Finding {
    let severity = match absence.severity {
        Severity::Deferral => Severity::Deferral,
        _ => Severity::Warning,
    };
    let left_out = if facts.options.only == Some(Part::Cloud) {
        ""
    } else {
        ", and no local snapshot is made"
    };
    Finding {
        severity,
        message: format!(
            "{}: the cloud gets the sources as they are now{left_out}",
            absence.message
        ),
        ..absence
    }
}

fn on_battery(facts: &Facts<'_>) -> Option<Finding> {
    let defer = facts.options.scheduled
        && facts.config.schedule.only_on_ac
        && facts.inventory.power == Power::Battery;
    defer.then(|| battery_deferral("this run"))
}

/// That `what` is deferred on battery.
#[must_use]
pub fn battery_deferral(what: &str) -> Finding {
    Finding::new(
        Severity::Deferral,
        code::ON_BATTERY,
        format!("on battery: schedule.onlyOnAC defers {what} until the machine is on ac power"),
    )
    .hint("plug the machine in, or run `backup now`, which does not ask")
}

/// An inventory that this planner does not understand, or that was made for another config.
fn other_inventory(facts: &Facts<'_>) -> Option<Finding> {
    let found = facts.inventory;
    let local = &facts.config.local;
    if found.format_version > inventory::FORMAT_VERSION {
        return Some(
            refusal(
                code::INVENTORY_TOO_NEW,
                format!(
                    "the inventory has format {}, and only {} is known",
                    found.format_version,
                    inventory::FORMAT_VERSION
                ),
            )
            .hint("use the version of this program that made it"),
        );
    }
    let live = facts.is_live();
    if !local.enable && !live {
        return None;
    }
    let no_sources = !live && facts.options.only == Some(Part::Cloud);
    let unscanned =
        |path: &_| !no_sources && !found.sources.iter().any(|source| source.path == *path);
    let elsewhere = found
        .destination
        .as_ref()
        .is_none_or(|destination| destination.mount_point != local.mount_point);
    let what = if elsewhere && !live {
        format!("{} (local.mountPoint)", local.mount_point)
    } else {
        let path = local.sources.iter().find(|path| unscanned(path))?;
        format!("{path} (local.sources)")
    };
    Some(
        refusal(
            code::INVENTORY_OF_ANOTHER_CONFIG,
            format!("the inventory says nothing of {what}: it was made for another config"),
        )
        .hint("take the inventory again with this config"),
    )
}

/// That a run does the steps of one part, and what it leaves out.
pub(crate) fn only_one_part(part: Part, left_out: &[&str]) -> Finding {
    note(
        code::ONLY_ONE_PART,
        format!(
            "only the {} steps: {} left out",
            part.word(),
            left_out.join(", ")
        ),
    )
}
