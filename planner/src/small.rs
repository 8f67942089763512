//! Small plans: what a person asks for besides a backup, with the destination checked first.
//!
//! Owns the frame only; what a restore or a mark does is in the action that it is given.

use schema::{
    Config, Inventory, Plan,
    plan::{Action, DestinationCheckStep, Step, Totals},
};

use crate::{
    Options,
    findings::{code, destination},
    pipeline::{frame, sorted},
    steps::{destination_check, facts::Facts},
};

/// A plan that checks the destination, sets it up if it is new, and then does this one thing.
///
/// Without an action it only sets the destination up and remembers it.
#[must_use]
pub fn small(config: &Config, inventory: &Inventory, action: Option<Action>) -> Plan {
    small_all(config, inventory, action.into_iter().collect())
}

/// The same for several things, each of which is done whatever becomes of the others.
#[must_use]
pub fn small_all(config: &Config, inventory: &Inventory, actions: Vec<Action>) -> Plan {
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
    // A restore only reads, and a drive with faults is one to save files from.
    let read_only = !actions.is_empty()
        && actions
            .iter()
            .all(|action| matches!(action, Action::Restore(_)));
    if read_only {
        findings.retain(|finding| finding.code == code::DESTINATION_NOT_MOUNTED);
    }
    let mut steps = Vec::new();
    if !findings
        .iter()
        .any(|finding| finding.severity >= schema::Severity::Deferral)
        && let Some(check) = destination_check::decide(&facts, &mut findings)
    {
        let first = check.action.kind().to_owned();
        let check = match check.action {
            Action::DestinationCheck(step) if read_only => {
                Action::DestinationCheck(DestinationCheckStep {
                    read_only,
                    create: false,
                    remember: false,
                    ..step
                })
            }
            action => action,
        };
        steps.push(Step {
            id: first.clone(),
            needs: Vec::new(),
            after: Vec::new(),
            action: check,
        });
        steps.extend(actions.into_iter().enumerate().map(|(at, action)| Step {
            id: match at {
                0 => action.kind().to_owned(),
                at => format!("{}-{}", action.kind(), at + 1),
            },
            needs: vec![first.clone()],
            after: Vec::new(),
            action,
        }));
    }
    frame(&facts, findings, steps, Totals::default())
}
