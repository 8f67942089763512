//! Small plans: what a person asks for besides a backup, with the destination checked first.
//!
//! Owns the frame only; what a restore or a mark does is in the action that it is given.

use schema::{
    Config, Digest, Inventory, Plan,
    plan::{Action, FORMAT_VERSION, Step, Totals},
};

use crate::{
    Options,
    findings::destination,
    pipeline::{binding, sorted},
    steps::{destination_check, facts::Facts},
};

/// A plan that checks the destination, sets it up if it is new, and then does this one thing.
///
/// Without an action it only sets the destination up and remembers it.
#[must_use]
pub fn small(config: &Config, inventory: &Inventory, action: Option<Action>) -> Plan {
    let options = Options::default();
    let inventory = &sorted(inventory);
    let facts = Facts::new(config, inventory, &options);
    let mut findings = Vec::new();
    if let Some(state) = facts.destination {
        match destination::absence(config, state) {
            Some(absence) => findings.push(absence),
            None => destination::check(&facts, state, &mut findings),
        }
    }
    let mut steps = Vec::new();
    if !findings
        .iter()
        .any(|finding| finding.severity >= schema::Severity::Deferral)
        && let Some(check) = destination_check::decide(&facts, &mut findings)
    {
        let first = check.action.kind().to_owned();
        steps.push(Step {
            id: first.clone(),
            needs: Vec::new(),
            after: Vec::new(),
            action: check.action,
        });
        steps.extend(action.map(|action| Step {
            id: action.kind().to_owned(),
            needs: vec![first],
            after: Vec::new(),
            action,
        }));
    }
    let bound_to = binding(config, inventory);
    let run = Digest::of_json(&(bound_to.destination, inventory.taken_at, &steps));
    let mut plan = Plan {
        format_version: FORMAT_VERSION,
        run_id: format!("{}-{}", facts.id, run.short()),
        created_at: inventory.taken_at,
        host: facts.host.to_owned(),
        bound_to,
        findings,
        steps,
        totals: Totals::default(),
        digest: Digest([0; 32]),
    };
    plan.digest = plan.expected_digest();
    plan
}
