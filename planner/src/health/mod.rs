//! Whether the backup can be relied on: pure rules over the inventory and what was measured.
//!
//! Owns the verdict and the severities that findings have here: what would refuse the next run is
//! an error. One file for each group of rules; none of them looks for anything.

mod age;
mod cloud;
mod drill;
mod news;
mod read_back;
mod runs;
mod schedules;
mod several;
mod space;
#[cfg(test)]
mod space_tests;
mod stored;
#[cfg(test)]
mod tests;
mod tools;

use std::cmp::Reverse;

pub use drill::{REMEDY_FAR, describe_failed_drill, warn_of_failed_drill, without_disproved_drill};
pub use news::is_news;
pub use read_back::warn_of_unread_copies;
pub use several::join_health;

use schema::{
    Config, Finding, Inventory, Severity, amount,
    health::{FORMAT_VERSION, Health, HealthVerdict, Measured},
};

use crate::{
    Options,
    facts::Facts,
    findings::{self, code, user_view},
    pipeline::sorted,
};

/// What the rules look at.
struct Checkup<'a> {
    facts: &'a Facts<'a>,
    measured: &'a Measured,
    /// Whether the destination is there, and mounted where that is asked for.
    ready: bool,
}

/// Judges what was found. The same input gives the same result.
#[must_use]
pub fn assess_health(config: &Config, inventory: &Inventory, measured: &Measured) -> Health {
    let inventory = &sorted(inventory);
    let options = Options::default();
    let facts = Facts::new(config, inventory, &options);
    let destination = facts.destination;
    let absence =
        destination.and_then(|found| findings::destination::destination_absence(config, found));
    let checkup = Checkup {
        facts: &facts,
        measured,
        ready: destination.is_some() && absence.is_none(),
    };
    let mut findings = Vec::new();
    check_enabled(config, &mut findings);
    findings.extend(absence.map(|found| judged(found, Severity::Note)));
    check_destination(&checkup, &mut findings);
    let last_good = age::last_good(&checkup);
    age::check_age(&checkup, last_good.as_ref(), &mut findings);
    let space = space::check_space(&checkup, &mut findings);
    stored::check_stored(&checkup, &mut findings);
    read_back::check_read_back(&checkup, &mut findings);
    runs::check_runs(&checkup, &mut findings);
    schedules::check_schedules(&checkup, &mut findings);
    drill::check_drill(&checkup, &mut findings);
    let cloud = cloud::check_cloud(&checkup, &mut findings);
    tools::check_tools(&checkup, &mut findings);
    findings.extend(findings::secrets::check_secrets(inventory));
    let mut findings: Vec<_> = findings
        .into_iter()
        .map(|one| judged(one, Severity::Note))
        .collect();
    findings.sort_by_key(|finding| Reverse(finding.severity));
    Health {
        format_version: FORMAT_VERSION,
        host: facts.host.to_owned(),
        checked_at: inventory.taken_at,
        verdict: verdict(&findings),
        last_good,
        space,
        verified: measured.verified.clone(),
        cloud,
        findings,
        told_at: None,
        destinations: std::collections::BTreeMap::new(),
    }
}

/// That anything is backed up at all.
fn check_enabled(config: &Config, findings: &mut Vec<Finding>) {
    if !config.local.enable && !config.cloud.enable {
        findings.push(
            warning(
                code::NOTHING_ENABLED,
                "neither local.enable nor cloud.enable is on, so nothing is backed up",
            )
            .hint("set local.enable, cloud.enable or both"),
        );
    }
}

/// What would refuse a run to the destination, where it is there, and that it can be read.
fn check_destination(checkup: &Checkup<'_>, findings: &mut Vec<Finding>) {
    if let (Some(destination), true) = (checkup.facts.destination, checkup.ready) {
        let mut refusals = Vec::new();
        findings::destination::check_destination(checkup.facts, destination, &mut refusals);
        findings.extend(refusals.into_iter().map(|one| judged(one, Severity::Note)));
        let local = &checkup.facts.config.local;
        findings.extend(user_view::of_health(local, destination));
    }
    if let (Some(destination), false) = (checkup.facts.destination, checkup.ready) {
        findings.extend(user_view::of_absence(destination));
    }
    if let Some(fault) = &checkup.measured.destination_fault {
        let path = &checkup.facts.config.local.mount_point;
        findings.push(
            error(
                code::DESTINATION_UNREADABLE,
                format!("{path} (local.mountPoint) cannot be read: {fault}"),
            )
            .hint("look for disk errors with `dmesg`, and check the file system"),
        );
    }
}

/// How many errors and warnings there are.
#[must_use]
pub fn summary(health: &Health) -> String {
    let errors = health.count(Severity::Error);
    let warnings = health.count(Severity::Warning);
    let errors = (errors > 0).then(|| amount::plural(errors, "error", "errors"));
    let warnings = (warnings > 0).then(|| amount::plural(warnings, "warning", "warnings"));
    let said: Vec<String> = errors.into_iter().chain(warnings).collect();
    if said.is_empty() {
        return "the backup can be relied on".to_owned();
    }
    said.join(", ")
}

/// What findings come to.
#[must_use]
pub fn verdict(findings: &[Finding]) -> HealthVerdict {
    match findings.iter().map(|finding| finding.severity).max() {
        Some(Severity::Error | Severity::Refusal) => HealthVerdict::Error,
        Some(Severity::Warning | Severity::Deferral) => HealthVerdict::Warning,
        Some(Severity::Note) | None => HealthVerdict::Ok,
    }
}

/// A finding of a plan as one of health: what refuses a run is an error, and what defers it is
/// `deferral`.
fn judged(finding: Finding, deferral: Severity) -> Finding {
    let severity = match finding.severity {
        Severity::Refusal => Severity::Error,
        Severity::Deferral => deferral,
        other => other,
    };
    Finding {
        severity,
        ..finding
    }
}

fn note(code: &str, message: impl Into<String>) -> Finding {
    Finding::new(Severity::Note, code, message)
}

fn warning(code: &str, message: impl Into<String>) -> Finding {
    Finding::new(Severity::Warning, code, message)
}

fn error(code: &str, message: impl Into<String>) -> Finding {
    Finding::new(Severity::Error, code, message)
}
