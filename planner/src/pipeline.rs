//! From config and inventory to a plan: the order of the steps and what they are bound to.
//!
//! Owns the list of step kinds and the frame around them. What a step does is decided in its own
//! file; whether anything may run at all is decided by the findings.

use std::{borrow::Cow, cmp::Reverse};

use chrono::{DateTime, TimeZone, Utc};
use schema::{
    Config, Digest, Finding, Inventory, Plan, Severity, SnapshotId, Tier,
    config::AbsolutePath,
    inventory::{DestinationState, SnapshotState, TierLink, Unmanaged},
    plan::{Action, Basis, Binding, Deletion, FORMAT_VERSION, Part, Step, Totals},
    record::{RotationRecord, SnapshotMarks},
};
use serde::Serialize;

use crate::{
    facts::{self, Facts},
    feeds::RemoteFacts,
    findings, graph, join, lint,
    steps::{
        After, Decide, cloud_sync, destination_check, notify, post_script, pre_script,
        remote_expiry, room, rotate, snapshot, space_check, upload,
    },
};

/// The kinds of steps, in the order in which they run. A new kind is one line here.
const PIPELINE: &[Decide] = &[
    notify::decide_announce,
    pre_script::decide_pre_script,
    pre_script::decide_planning,
    destination_check::decide_destination_check,
    room::decide_make_room,
    space_check::decide_space_check,
    snapshot::decide_snapshot,
    rotate::decide_rotation,
    cloud_sync::decide_cloud_sync,
    upload::decide_upload,
    remote_expiry::decide_remote_expiry,
    post_script::decide_post_script,
    notify::decide_notify,
];

/// What a person or a timer asks for besides the config.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Options {
    /// A person has seen how many snapshots go, and agrees.
    pub approve_deletions: bool,
    /// A timer started the run, not a person: on battery it is deferred (`schedule.onlyOnAC`).
    pub scheduled: bool,
    /// The steps of one part of a run only, without the scripts and notifications around them.
    pub only: Option<Part>,
    /// The run's pre-backup script has run: what it mounts and makes is there, or is missing.
    pub after_pre_script: bool,
}

/// Compiles config and inventory into a plan.
///
/// The same input gives the same bytes; the order of the inventory's lists has no meaning.
#[must_use]
pub fn plan(config: &Config, inventory: &Inventory, options: &Options) -> Plan {
    plan_view(config, inventory, options, None)
}

/// The same for the view of one destination, of a remote with what that gets from others.
pub(crate) fn plan_view(
    config: &Config,
    inventory: &Inventory,
    options: &Options,
    remote: Option<&RemoteFacts>,
) -> Plan {
    let inventory = &sorted(inventory);
    let facts = Facts::new(config, inventory, options).for_remote(remote);
    let mut found = findings::collect_findings(&facts);
    let mut left_out = Vec::new();
    let mut part = |action: &Action| match options.only {
        Some(only) if action.part() != only => {
            left_out.push(action.kind());
            false
        }
        _ => true,
    };
    let battery = found
        .iter()
        .any(|finding| finding.code == findings::code::ON_BATTERY);
    let away = facts.config.local.enable && facts.is_live() && !battery;
    let gravest = found.iter().map(|finding| finding.severity).max();
    let steps = match gravest {
        // What follows the script is planned once it has run.
        Some(Severity::Note | Severity::Warning) if facts.waits_for_script() => {
            build_steps(&facts, &mut found, |action| {
                let is_before = matches!(
                    action,
                    Action::PreScript(_)
                        | Action::PlanAgain
                        | Action::PostScript(_)
                        | Action::Notify(_)
                );
                is_before && part(action)
            })
        }
        // Without the disk the cloud is served all the same, of the live sources.
        Some(Severity::Warning | Severity::Deferral) if away => {
            build_steps(&facts, &mut found, |action| {
                let needs_no_disk = matches!(
                    action,
                    Action::Announce(_)
                        | Action::PreScript(_)
                        | Action::PlanAgain
                        | Action::CloudSync(_)
                        | Action::PostScript(_)
                        | Action::Notify(_)
                );
                needs_no_disk && part(action)
            })
        }
        Some(Severity::Deferral) if !options.after_pre_script => Vec::new(),
        Some(severity @ (Severity::Deferral | Severity::Refusal)) => {
            build_steps(&facts, &mut found, |action| {
                let is_wanted = match action {
                    Action::PreScript(_) | Action::PlanAgain => options.after_pre_script,
                    Action::PostScript(_) => true,
                    Action::Notify(_) => severity == Severity::Refusal,
                    _ => false,
                };
                is_wanted && part(action)
            })
        }
        _ => build_steps(&facts, &mut found, part),
    };
    if let Some(only) = options.only
        && !steps.is_empty()
        && !left_out.is_empty()
    {
        found.push(findings::only_one_part(only, &left_out));
    }
    debug_assert_eq!(graph::check_graph(&steps), Ok(()));
    // The gravest first; within one severity in the order of discovery.
    found.sort_by_key(|finding| Reverse(finding.severity));

    let totals = totals(&facts, &steps);
    frame(&facts, found, steps, totals)
}

/// A new plan, or what is left of one that breaks a law: a refusal that says so, and the steps that tell
/// of it. Of several destinations those are refused whose steps break one.
#[must_use]
pub fn refuse_unlawful(plan: Plan, inventory: &Inventory) -> Plan {
    match plan.is_of_several() {
        true => join::refuse_unlawful_chains(plan, inventory),
        false => refuse_unlawful_plan(plan, inventory),
    }
}

fn refuse_unlawful_plan(mut plan: Plan, inventory: &Inventory) -> Plan {
    let mut findings = lint::check(&plan, inventory);
    if findings.is_empty() {
        return plan;
    }
    findings.append(&mut plan.findings);
    findings.sort_by_key(|finding| Reverse(finding.severity));
    plan.findings = findings;
    let is_made_in_two = plan.is_made_in_two();
    plan.steps.retain(|step| match step.action {
        Action::PostScript(_) | Action::Notify(_) => true,
        Action::PreScript(_) | Action::PlanAgain => is_made_in_two,
        _ => false,
    });
    let left: Vec<String> = plan.steps.iter().map(|step| step.id.clone()).collect();
    for step in &mut plan.steps {
        step.needs.retain(|id| left.contains(id));
        step.after.retain(|id| left.contains(id));
    }
    let destination = inventory.destination.as_ref();
    plan.totals = Totals {
        kept: destination.map_or(0, |found| found.snapshots.len() as u64),
        ..Totals::default()
    };
    plan.digest = plan.expected_digest();
    plan
}

/// The plan of the rest of a run that `begun` is the beginning of, as the plan of that whole run. Where
/// people were told of a refusal like this one, they are not told again.
#[must_use]
pub fn continue_plan(mut plan: Plan, begun: &Plan, is_told: bool) -> Plan {
    plan.run_id.clone_from(&begun.run_id);
    if is_told {
        let is_notice = |step: &Step| matches!(step.action, Action::Notify(_));
        plan.steps.retain(|step| !is_notice(step));
    }
    plan.digest = plan.expected_digest();
    plan
}

/// A whole plan: its name, what it is bound to, and its digest.
pub(crate) fn frame(
    facts: &Facts<'_>,
    findings: Vec<Finding>,
    steps: Vec<Step>,
    totals: Totals,
) -> Plan {
    let bound_to = binding(facts.config, facts.inventory);
    let created_at = facts.inventory.taken_at;
    let run = Digest::of_json(&(bound_to.config, bound_to.destination, created_at, &steps));
    let mut plan = Plan {
        format_version: FORMAT_VERSION,
        run_id: format!("{}-{}", facts.id, run.short()),
        created_at,
        host: facts.host.to_owned(),
        only: facts.options.only,
        only_of: Vec::new(),
        bound_to,
        findings,
        steps,
        totals,
        digest: Digest([0; 32]),
        chains: std::collections::BTreeMap::new(),
    };
    plan.digest = plan.expected_digest();
    plan
}

/// The snapshot that a new one would be linked to: the newest whose manifest can be read, whatever
/// its state; none where the destination has no hard links.
#[must_use]
pub fn choose_basis<Z: TimeZone>(
    destination: &DestinationState,
    now: DateTime<Z>,
) -> Option<Basis> {
    facts::basis(destination, now.with_timezone(&Utc))
}

/// The suspect snapshots that are accepted together with one: those of the same event that nobody has
/// accepted yet, that one last.
#[must_use]
pub fn accepted_with(destination: &DestinationState, id: SnapshotId) -> Vec<SnapshotId> {
    let mut all = destination.snapshots.iter();
    let event = all
        .find(|one| one.record.id == id)
        .map(facts::suspect_since);
    let all = destination.snapshots.iter();
    let like = all.filter(|one| facts::candidate(one).suspect && one.record.id != id);
    let like = like.filter(|one| Some(facts::suspect_since(one)) == event);
    like.map(|one| one.record.id).chain([id]).collect()
}

/// Older snapshots that a new one would be linked to as well, because they have what the basis lacks.
#[must_use]
pub fn also_link<Z: TimeZone>(destination: &DestinationState, now: DateTime<Z>) -> Vec<Basis> {
    let also = facts::also_link(destination, now.with_timezone(&Utc));
    also.into_iter().map(facts::as_basis).collect()
}

/// The snapshot that a new one would be judged by: the newest that counts, complete or with errors.
#[must_use]
pub fn choose_reference<Z: TimeZone>(
    destination: &DestinationState,
    now: DateTime<Z>,
) -> Option<&SnapshotState> {
    facts::reference(destination, now.with_timezone(&Utc))
}

/// The steps whose action is `wanted`, each with what it waits for.
///
/// Deciders of unwanted steps are not asked, so their findings do not appear either.
fn build_steps(
    facts: &Facts<'_>,
    findings: &mut Vec<Finding>,
    mut wanted: impl FnMut(&Action) -> bool,
) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for decide in PIPELINE {
        let mut noticed = Vec::new();
        let Some(draft) = decide(facts, &mut noticed) else {
            continue;
        };
        if !wanted(&draft.action) {
            continue;
        }
        findings.append(&mut noticed);
        let in_plan = |kinds: &[&str]| -> Vec<String> {
            let ids = steps.iter().map(|step| &step.id);
            ids.filter(|id| kinds.contains(&id.as_str()))
                .cloned()
                .collect()
        };
        let step = Step {
            id: draft.action.kind().to_owned(),
            needs: in_plan(draft.needs),
            after: match draft.after {
                After::Kinds(kinds) => in_plan(kinds),
                After::All => steps.iter().map(|step| step.id.clone()).collect(),
            },
            action: draft.action,
            of: None,
        };
        steps.push(step);
    }
    steps
}

/// Adds deletions to the totals.
fn count(totals: &mut Totals, deletions: &[Deletion]) {
    let count = deletions.len() as u64;
    totals.deletions += count;
    totals.freed_bytes += deletions.iter().map(|one| one.frees).sum::<u64>();
    totals.kept = totals.kept.saturating_sub(count);
}

/// What the steps come to.
pub(crate) fn totals(facts: &Facts<'_>, steps: &[Step]) -> Totals {
    let mut totals = Totals {
        kept: facts
            .destination
            .map_or(0, |destination| destination.snapshots.len() as u64),
        ..Totals::default()
    };
    for step in steps {
        match &step.action {
            Action::Snapshot(step) => {
                totals.copy_files = step.expected.new_files;
                totals.copy_bytes = step.expected.new_bytes;
                if step.basis.is_some() {
                    totals.link_files = step.expected.files.saturating_sub(step.expected.new_files);
                }
                totals.kept += 1;
            }
            Action::Rotate(step) => {
                count(&mut totals, &step.on_complete.deletions);
            }
            Action::Delete(step) => count(&mut totals, &step.rotation.deletions),
            Action::Expire(step) => {
                totals.deletions += step.sweep.len() as u64;
                totals.freed_bytes += step.swept().bytes;
            }
            _ => {}
        }
    }
    totals
}

/// What the plan is bound to: another config or another state of the destination refuses it.
pub(crate) fn binding(config: &Config, sorted: &Inventory) -> Binding {
    let destination = sorted.destination.as_ref();
    Binding {
        config: Digest::of_json(config),
        destination: Digest::of_json(&destination.map(State::of)),
        destination_id: destination
            .and_then(|state| state.record.as_ref())
            .map(|record| record.id.clone()),
        snapshots: destination
            .iter()
            .flat_map(|state| &state.snapshots)
            .map(|snapshot| format!("{}/{}", snapshot.home, snapshot.record.id))
            .collect(),
    }
}

/// What of a destination a plan rests on. Free space and the time are left out: they change all
/// the time, and the steps check both again.
#[derive(Serialize)]
struct State<'a> {
    id: Option<&'a str>,
    mount_point: &'a AbsolutePath,
    snapshots: Vec<(SnapshotId, Tier, &'a SnapshotMarks)>,
    /// Those whose manifests cannot be read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    without_manifest: Vec<SnapshotId>,
    unmanaged: &'a [Unmanaged],
    links: &'a [TierLink],
    latest: Option<&'a str>,
    partial: Vec<SnapshotId>,
    trash: Vec<SnapshotId>,
    rotation: Option<&'a RotationRecord>,
    /// What must not be linked to.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    damaged: Vec<u64>,
}

impl<'a> State<'a> {
    fn of(destination: &'a DestinationState) -> Self {
        let snapshots = destination.snapshots.iter();
        Self {
            id: destination.record.as_ref().map(|record| record.id.as_str()),
            mount_point: &destination.mount_point,
            snapshots: snapshots
                .map(|snapshot| (snapshot.record.id, snapshot.home, &snapshot.marks))
                .collect(),
            without_manifest: {
                let all = destination.snapshots.iter();
                let without = all.filter(|snapshot| snapshot.manifest_fault.is_some());
                without.map(|snapshot| snapshot.record.id).collect()
            },
            unmanaged: &destination.unmanaged,
            links: &destination.links,
            latest: destination.latest.as_deref(),
            partial: destination.partial.iter().map(|left| left.id).collect(),
            trash: destination.trash.iter().map(|left| left.id).collect(),
            rotation: destination.rotation.as_ref(),
            damaged: destination.damaged.iter().map(|one| one.inode).collect(),
        }
    }
}

/// The inventory with every list in one order, so that reading a folder in another order cannot
/// give another plan. Of many snapshots nothing is copied where all of it is in that order already.
pub(crate) fn sorted(inventory: &Inventory) -> Cow<'_, Inventory> {
    if is_sorted(inventory) {
        return Cow::Borrowed(inventory);
    }
    let mut inventory = inventory.clone();
    if let Some(destination) = &mut inventory.destination {
        destination.snapshots.sort_by_key(in_time);
        destination.unmanaged.sort();
        destination.links.sort();
        destination.partial.sort();
        destination.trash.sort();
        destination.damaged.sort_by_key(|one| one.inode);
    }
    for source in &mut inventory.sources {
        source.mounts_passed_over.sort();
        source.unreadable.sort();
    }
    Cow::Owned(inventory)
}

fn in_time(one: &SnapshotState) -> (DateTime<Utc>, SnapshotId) {
    (one.record.started_at.to_utc(), one.record.id)
}

fn is_sorted(inventory: &Inventory) -> bool {
    let mut sources = inventory.sources.iter();
    let mut destination = inventory.destination.iter();
    sources.all(|one| one.mounts_passed_over.is_sorted() && one.unreadable.is_sorted())
        && destination.all(|found| {
            found.snapshots.is_sorted_by_key(in_time)
                && found.unmanaged.is_sorted()
                && found.links.is_sorted()
                && found.partial.is_sorted()
                && found.trash.is_sorted()
                && found.damaged.is_sorted_by_key(|one| one.inode)
        })
}
