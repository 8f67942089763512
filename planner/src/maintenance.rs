//! Maintenance plans: what a person asks for besides a backup, with the destination checked first.
//!
//! Owns the frame only; what a restore or a mark does is in the action that it is given.

use schema::{
    Config, Finding, Inventory, Plan,
    plan::{
        Action, AdoptStep, DestinationCheckStep, MarkStep, RemoteMarkStep, Step, TakeOver, Totals,
    },
    record::{Capabilities, DestinationRecord, FORMAT_VERSION},
};

use crate::{
    Options,
    facts::Facts,
    findings::{code, destination, note, refusal},
    pipeline::{frame, sorted, totals},
    steps::{destination_check, upload},
};

/// A plan that checks the destination, sets it up if it is new, and then does this one thing.
///
/// Without an action it only sets the destination up and remembers it.
#[must_use]
pub fn plan_maintenance(config: &Config, inventory: &Inventory, action: Option<Action>) -> Plan {
    plan_maintenance_steps(config, inventory, action.into_iter().collect())
}

/// The same for several things, each of which is done whatever becomes of the others.
#[must_use]
pub fn plan_maintenance_steps(
    config: &Config,
    inventory: &Inventory,
    actions: Vec<Action>,
) -> Plan {
    frame_plan(config, inventory, actions, None)
}

/// A plan that says these things of snapshots on the remote with history whose view the configuration is.
#[must_use]
pub fn plan_remote_marks(config: &Config, inventory: &Inventory, marks: &[MarkStep]) -> Plan {
    let options = Options::default();
    let facts = Facts::new(config, inventory, &options);
    let steps = marks.iter().enumerate().map(|(at, mark)| Step {
        id: match at {
            0 => "mark".to_owned(),
            at => format!("mark-{}", at + 1),
        },
        needs: Vec::new(),
        after: Vec::new(),
        action: Action::RemoteMark(RemoteMarkStep {
            call: upload::remote_call(&facts),
            mark: mark.clone(),
        }),
        of: None,
    });
    frame(&facts, Vec::new(), steps.collect(), Totals::default())
}

/// A plan by which a person adds the mounted destination to this machine's; `take_over` is the host
/// name that this machine had, or empty for what another machine of this host name left, and `remote` where
/// the copies are that are taken over with it. Without a drive it has no step.
#[must_use]
pub fn plan_init(
    config: &Config,
    inventory: &Inventory,
    take_over: Option<&str>,
    remote: Option<&str>,
) -> Plan {
    match (&inventory.destination, remote) {
        (None, Some(remote)) => plan_copies(config, inventory, remote),
        _ => plan_drive(config, inventory, take_over),
    }
}

/// The plan without a step that says whose copies are this machine's from now on.
fn plan_copies(config: &Config, inventory: &Inventory, remote: &str) -> Plan {
    let mut plan = plan_maintenance(config, inventory, None);
    plan.findings.push(note(
        code::COPIES_TAKEN_OVER,
        format!("the next copy to {remote} makes what is there this machine's"),
    ));
    plan.digest = plan.expected_digest();
    plan
}

fn plan_drive(config: &Config, inventory: &Inventory, take_over: Option<&str>) -> Plan {
    // Where there is only a copy in the cloud to take over, the drive is a new one.
    let found = inventory.destination.as_ref();
    let is_new = config.cloud.enable && found.is_some_and(|found| found.record.is_none());
    if let Some(old) = take_over.filter(|old| !(old.is_empty() && is_new)) {
        return plan_take_over(config, inventory, Some(old).filter(|old| !old.is_empty()));
    }
    let mut inventory = as_one_of_ours(inventory);
    if let Some(found) = &mut inventory.destination {
        // A damaged record is written anew; the damaged one is kept beside it.
        found.record_fault = None;
        found.record_fault_code = None;
    }
    plan_maintenance(config, &inventory, None)
}

/// A plan that adopts what a person asked for, on a destination that is set up before if it never was.
#[must_use]
pub fn plan_adopting(config: &Config, inventory: &Inventory, step: AdoptStep) -> Plan {
    let found = inventory.destination.as_ref();
    let is_new = found.is_some_and(|found| found.record.is_none() && found.record_fault.is_none());
    let action = Some(Action::Adopt(step));
    match is_new {
        true => plan_maintenance(config, &as_one_of_ours(inventory), action),
        false => plan_maintenance(config, inventory, action),
    }
}

/// What is found where a person says that this drive is one of theirs, which is what trust on first use
/// asks, and that nothing beside it is to be gone on with.
fn as_one_of_ours(inventory: &Inventory) -> Inventory {
    let mut inventory = inventory.clone();
    inventory.known_destinations.clear();
    if let Some(found) = &mut inventory.destination {
        found.beside.clear();
    }
    inventory
}

/// A plan that makes the destination this machine's: the folder of another host, which gets this
/// one's name, or without one the host's own folder, which another machine had.
fn plan_take_over(config: &Config, inventory: &Inventory, folder: Option<&str>) -> Plan {
    let mut inventory = inventory.clone();
    // A person says whose it is, so that it is judged as what it then will be.
    inventory.known_destinations.clear();
    let host = config.hostname.as_ref().unwrap_or(&inventory.host).clone();
    let mut missing = None;
    if let Some(found) = &mut inventory.destination {
        let beside = folder.map(|folder| found.beside.iter().find(|one| one.folder == folder));
        if let Some(beside) = beside.flatten() {
            found.record = Some(DestinationRecord {
                format_version: FORMAT_VERSION,
                id: beside.id.clone(),
                host: host.clone(),
                created_at: inventory.taken_at,
                machine: inventory.machine,
                capabilities: found
                    .expected_capabilities
                    .clone()
                    .unwrap_or_else(Capabilities::all),
            });
        } else if let Some(folder) = folder {
            missing = Some(format!("{}/{folder}", found.mount_point));
        }
        match &mut found.record {
            Some(record) => {
                record.host = host;
                record.machine = inventory.machine;
            }
            None => missing = missing.or(Some(format!("{}/{host}", found.mount_point))),
        }
    }
    let from = TakeOver {
        folder: folder.map(str::to_owned),
    };
    match missing {
        None => frame_plan(config, &inventory, Vec::new(), Some(from)),
        Some(path) => {
            let options = Options::default();
            let inventory = &sorted(&inventory);
            let facts = Facts::new(config, inventory, &options);
            let nothing = refusal(
                code::NOTHING_TO_TAKE_OVER,
                format!("there are no backups in {path} that could be taken over"),
            )
            .hint("`ls` shows which folders there are; `backup init` begins anew");
            frame(&facts, vec![nothing], Vec::new(), Totals::default())
        }
    }
}

/// Where nothing forbids it, a plan that checks the destination and then does these things.
fn frame_plan(
    config: &Config,
    inventory: &Inventory,
    actions: Vec<Action>,
    take_over: Option<TakeOver>,
) -> Plan {
    let options = Options::default();
    let inventory = &sorted(inventory);
    let facts = Facts::new(config, inventory, &options);
    let mut findings = judge_destination(&facts);
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
        && let Some(check) = destination_check::decide_destination_check(&facts, &mut findings)
    {
        let check = adapt_check(check.action, inventory, read_only, take_over);
        steps = line_up_steps(check, actions);
    }
    let deletes = |step: &Step| matches!(step.action, Action::Delete(_));
    let totals = if steps.iter().any(deletes) {
        totals(&facts, &steps)
    } else {
        Totals::default()
    };
    frame(&facts, findings, steps, totals)
}

/// What speaks against the destination.
fn judge_destination(facts: &Facts<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(state) = facts.destination {
        match destination::destination_absence(facts.config, state) {
            Some(absence) => findings.push(absence),
            None => destination::check_destination(facts, state, &mut findings),
        }
    }
    findings
}

/// The check of the destination as one that writes nothing, or that makes it this machine's.
fn adapt_check(
    check: Action,
    inventory: &Inventory,
    read_only: bool,
    take_over: Option<TakeOver>,
) -> Action {
    match check {
        Action::DestinationCheck(step) if read_only => {
            Action::DestinationCheck(DestinationCheckStep {
                read_only,
                create: false,
                remember: false,
                ..step
            })
        }
        Action::DestinationCheck(step) if take_over.is_some() => {
            Action::DestinationCheck(DestinationCheckStep {
                machine: inventory.machine,
                take_over,
                ..step
            })
        }
        action => action,
    }
}

/// The check, and after it the actions, each of which needs nothing else.
fn line_up_steps(check: Action, actions: Vec<Action>) -> Vec<Step> {
    let first = check.kind().to_owned();
    let mut steps = vec![Step {
        id: first.clone(),
        needs: Vec::new(),
        after: Vec::new(),
        action: check,
        of: None,
    }];
    steps.extend(actions.into_iter().enumerate().map(|(at, action)| Step {
        id: match at {
            0 => action.kind().to_owned(),
            at => format!("{}-{}", action.kind(), at + 1),
        },
        needs: vec![first.clone()],
        after: Vec::new(),
        action,
        of: None,
    }));
    steps
}
