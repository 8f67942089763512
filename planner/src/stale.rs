//! Whether a saved plan may still be applied, and if not, what changed.
//!
//! Owns the comparison only: it neither mends a plan nor makes a new one. Whether the run is
//! possible now (room, mount) is checked again by the plan's own steps.

use chrono::TimeDelta;
use schema::{
    Config, Digest, Finding, Inventory, Plan, SnapshotId,
    config::DestinationName,
    plan::{Binding, FORMAT_VERSION, SavedPlan},
};

use crate::{
    accord::{self, Present},
    clock,
    differences::tell_differences,
    findings::{code, destination, refusal},
    lint,
    pipeline::{binding, sorted},
};

/// How old a plan may be. Its snapshot carries the plan's time, which would be a lie.
pub(crate) const LONGEST: TimeDelta = TimeDelta::hours(24);

const AGAIN: &str = "make and read a new plan: `backup plan --out plan.json`";

/// The refusals of a saved plan, each saying what changed; none if it may be applied.
#[must_use]
pub fn staleness(saved: &SavedPlan, config: &Config, inventory: &Inventory) -> Vec<Finding> {
    let plan = &saved.plan;
    if plan.format_version > FORMAT_VERSION {
        let message = format!(
            "the plan has format {}, and only {FORMAT_VERSION} is known",
            plan.format_version
        );
        let hint = "apply it with the version of this program that made it";
        return vec![refusal(code::PLAN_TOO_NEW, message).hint(hint)];
    }
    if plan.digest != plan.expected_digest() || !is_bound_to(plan, &saved.config) {
        return vec![refused(
            code::PLAN_ALTERED,
            format!("the plan {} was altered after it was made", plan.run_id),
        )];
    }
    let mut findings = Vec::new();
    check_host(saved, config, inventory, &mut findings);
    check_age(saved, inventory, &mut findings);
    config_changes(&saved.config, config, &mut findings);
    for (name, bound_to) in bindings(plan) {
        let Some(view) = config.view(&name) else {
            continue;
        };
        let mut changes = Vec::new();
        destination_changes(bound_to, &view, &inventory.view(&name), &mut changes);
        findings.extend(changes.into_iter().map(|mut finding| {
            config.tell_in_words_of(&name, &mut finding);
            match name.is_predefined() {
                true => finding,
                false => finding.named(&name),
            }
        }));
    }
    if findings.is_empty() {
        findings.extend(other_steps(plan, config, inventory));
    }
    findings
}

/// What the plan was made from, for each destination; `local` and `cloud` have one.
fn bindings(plan: &Plan) -> impl Iterator<Item = (DestinationName, &Binding)> {
    let base = DestinationName::new(DestinationName::LOCAL);
    let chains = plan.chains.iter();
    let chains = chains.map(|(name, chain)| (name.clone(), &chain.bound_to));
    [(base, &plan.bound_to)].into_iter().chain(chains)
}

/// Whether the plan says of each destination that it was made from this configuration.
fn is_bound_to(plan: &Plan, config: &Config) -> bool {
    let mut bindings = bindings(plan);
    bindings.all(|(name, bound_to)| {
        let view = config.view(&name);
        view.is_some_and(|view| bound_to.config == Digest::of_json(&view))
    })
}

/// That a plan whose configuration and destination are as they were has steps that do not come of them.
fn other_steps(plan: &Plan, config: &Config, inventory: &Inventory) -> Option<Finding> {
    let present = Present {
        config,
        host: &inventory.host,
        machine: inventory.machine,
        privileged: inventory.privileged,
    };
    let undue = || {
        // Of a plan that breaks a law the law is named.
        let is_lawful = lint::check_saved(plan, inventory).is_empty();
        bindings(plan)
            .find_map(|(name, _)| {
                let (view, chain) = (config.view(&name)?, plan.chain(&name)?);
                let own = inventory.view(&name);
                let present = Present {
                    config: &view,
                    ..present
                };
                match &own.destination {
                    Some(found) => accord::find_undue_deletion(&chain, &present, found),
                    None => accord::find_undue_expiry(&chain, &present, &own),
                }
            })
            .filter(|_| is_lawful)
    };
    let difference = accord::find_difference(plan, &present, true).or_else(undue)?;
    let message = format!("the plan is not what the configuration gives: {difference}");
    Some(refused(code::PLAN_NOT_OF_CONFIG, message))
}

fn refused(code: &str, message: impl Into<String>) -> Finding {
    refusal(code, message).hint(AGAIN)
}

fn check_host(
    saved: &SavedPlan,
    config: &Config,
    inventory: &Inventory,
    findings: &mut Vec<Finding>,
) {
    let host = config.hostname.as_ref().unwrap_or(&inventory.host);
    if saved.plan.host != *host {
        findings.push(refused(
            code::PLAN_OF_ANOTHER_HOST,
            format!("the plan is for {}, and this is {host}", saved.plan.host),
        ));
    }
}

fn check_age(saved: &SavedPlan, inventory: &Inventory, findings: &mut Vec<Finding>) {
    let made = saved.plan.created_at;
    let age = inventory.taken_at.signed_duration_since(made);
    let made = made.format("%Y-%m-%d %H:%M");
    if age > LONGEST {
        findings.push(refused(
            code::PLAN_TOO_OLD,
            format!(
                "the plan was made {made}, more than {} hours ago, and its snapshot would carry \
                 that time",
                LONGEST.num_hours()
            ),
        ));
    } else if clock::is_ahead(saved.plan.created_at, inventory.taken_at) {
        findings.push(
            refusal(
                code::PLAN_TOO_OLD,
                format!("the plan was made {made}, which is in the future"),
            )
            .hint("check the clock with `timedatectl`, then make a new plan"),
        );
    }
}

/// Each key that differs, with both values.
fn config_changes(then: &Config, now: &Config, findings: &mut Vec<Finding>) {
    let json = |config: &Config| serde_json::to_value(config).unwrap_or_default();
    tell_differences("", &json(then), &json(now), &mut |path, then, now| {
        findings.push(refused(
            code::CONFIG_CHANGED,
            format!("the config changed: {path} was {then} and is {now}"),
        ));
    });
}

fn destination_changes(
    then: &Binding,
    config: &Config,
    inventory: &Inventory,
    findings: &mut Vec<Finding>,
) {
    let now = binding(config, &sorted(inventory));
    if then.destination == now.destination {
        return;
    }
    let found = inventory.destination.as_ref();
    // An absent destination has no snapshots; to list them all as gone would mislead.
    if let Some(absence) = found.and_then(|found| destination::destination_absence(config, found)) {
        findings.push(absence);
        return;
    }
    let before = findings.len();
    if then.destination_id != now.destination_id {
        let named = |id: &Option<String>| {
            id.clone()
                .map_or_else(|| "a new one".to_owned(), |id| format!("`{id}`"))
        };
        findings.push(refused(
            code::DESTINATION_CHANGED,
            format!(
                "the destination was {} and is {}",
                named(&then.destination_id),
                named(&now.destination_id)
            ),
        ));
    }
    for (which, message) in snapshot_changes(&then.snapshots, &now.snapshots) {
        findings.push(refused(
            code::SNAPSHOTS_CHANGED,
            format!("{which} {message}"),
        ));
    }
    if findings.len() == before {
        findings.push(refused(
            code::DESTINATION_CHANGED,
            "the destination changed: marks, links or leftovers are not as they were",
        ));
    }
}

/// Each snapshot, as `tier/id`, that came, went or moved.
fn snapshot_changes<'a>(then: &'a [String], now: &'a [String]) -> Vec<(&'a str, String)> {
    let id = |name: &str| -> Option<SnapshotId> { name.rsplit('/').next()?.parse().ok() };
    let elsewhere =
        |name: &str, among: &'a [String]| among.iter().find(|other| id(other) == id(name));
    let gone = then.iter().filter(|name| !now.contains(name)).map(|name| {
        let message = match elsewhere(name, now) {
            Some(other) => format!("is {other} now"),
            None => "is gone".to_owned(),
        };
        (name.as_str(), message)
    });
    let new = now
        .iter()
        .filter(|name| !then.contains(name) && elsewhere(name, then).is_none())
        .map(|name| (name.as_str(), "is new".to_owned()));
    gone.chain(new).collect()
}
