//! One plan for several destinations: each is planned alone, in its view, and the chains are put side by side
//! in one frame.
//!
//! Owns what is the run's alone: the frame of scripts and notifications around all chains, the names of steps,
//! and that no destination is backed up to twice. No chain waits for another, and one that is refused or
//! deferred leaves the others as they are.

use std::{cmp::Reverse, collections::BTreeMap};

use schema::{
    Config, Digest, Finding, Inventory, Plan, Severity,
    config::DestinationName,
    plan::{Action, Binding, Chain, Part, Step, Totals, chain::chain_id},
};

use crate::{
    Options, Wanted, content,
    facts::Facts,
    feeds::RemoteFacts,
    findings::{code, refusal},
    lint, pipeline,
};

/// A destination's plan, as it would be alone; `None` is the base, of `local` and `cloud`.
struct Planned {
    of: Option<DestinationName>,
    plan: Plan,
}

/// Compiles config and inventory into a plan for all destinations, or for those that are wanted.
#[must_use]
pub fn plan_all(
    config: &Config,
    inventory: &Inventory,
    options: &Options,
    wanted: &Wanted,
) -> Plan {
    let base_view = config.base();
    let base_inventory = inventory.view(&DestinationName::new(DestinationName::LOCAL));
    let chains = config.chains().into_iter();
    let chains: Vec<DestinationName> = chains.filter(|name| wanted.has(name)).collect();
    let base = part_of_base(config, wanted);
    let empty = |findings: Vec<Finding>| {
        let inventory = &pipeline::sorted(&base_inventory);
        let facts = Facts::new(&base_view, inventory, options);
        pipeline::frame(&facts, findings, Vec::new(), Totals::default())
    };
    if chains.is_empty() && base.is_none() {
        let message = "none of the destinations that were asked for is used";
        let hint = "name those that `backup status` shows, or set `enable` of the others to true";
        return empty(vec![refusal(code::NOTHING_ENABLED, message).hint(hint)]);
    }
    if chains.is_empty() {
        let only = match base {
            Some(only) if wanted.alone || only == Some(Part::Cloud) => only,
            _ => options.only,
        };
        let options = &Options { only, ..*options };
        return pipeline::plan(&base_view, &base_inventory, options);
    }

    let mut planned = Vec::new();
    if let Some(only) = base {
        let options = &Options { only, ..*options };
        planned.push(Planned {
            of: None,
            plan: pipeline::plan(&base_view, &base_inventory, options),
        });
    }
    let (remotes, disks): (Vec<_>, Vec<_>) = chains
        .into_iter()
        .partition(|name| config.remote_options(name).is_some());
    let plan_chain = |name: DestinationName, remote: Option<&RemoteFacts>| {
        let view = config.view(&name)?;
        let options = &Options {
            only: wanted.alone.then_some(config.part_of(&name)),
            ..*options
        };
        let mut plan = pipeline::plan_view(&view, &inventory.view(&name), options, remote);
        plan.findings
            .retain(|finding| finding.code != code::ONLY_ONE_PART);
        for finding in &mut plan.findings {
            config.tell_in_words_of(&name, finding);
        }
        Some(Planned {
            of: Some(name),
            plan,
        })
    };
    planned.extend(disks.into_iter().filter_map(|name| plan_chain(name, None)));
    refuse_twice(&mut planned);
    let disks = planned.iter_mut();
    let mut disks: Vec<(DestinationName, &mut Plan)> = disks
        .map(|Planned { of, plan }| (name_of(of.as_ref()), plan))
        .collect();
    content::share_content(&mut disks, inventory);
    let uploads: Vec<Planned> = remotes
        .into_iter()
        .filter_map(|name| {
            let plan_of = |feed: &DestinationName| {
                let of = (!feed.is_predefined()).then_some(feed);
                let one = planned.iter().find(|one| one.of.as_ref() == of)?;
                Some(&one.plan)
            };
            let remote = RemoteFacts::find(config, inventory, &name, options, (wanted, &plan_of));
            plan_chain(name, remote.as_ref())
        })
        .collect();
    planned.extend(uploads);
    let mut plan = match planned.first() {
        Some(Planned { of: None, plan }) => plan.clone(),
        _ => empty(Vec::new()),
    };
    plan.only = None;
    plan.only_of = only_of(config, wanted);
    plan.steps = steps_of_all(&planned, wanted.alone);
    let is_later = is_planned_later(&plan.steps, options);
    if is_later {
        plan.totals = nothing_done(&plan.bound_to);
    }
    for one in &planned {
        let Planned {
            of: Some(name),
            plan: own,
        } = one
        else {
            continue;
        };
        let chain = Chain {
            bound_to: own.bound_to.clone(),
            findings: own.findings.clone(),
            totals: match is_later {
                true => nothing_done(&own.bound_to),
                false => own.totals,
            },
        };
        plan.chains.insert(name.clone(), chain);
    }
    name_run(&mut plan);
    plan
}

/// What the destination of a chain is called.
fn name_of(of: Option<&DestinationName>) -> DestinationName {
    let base = || DestinationName::new(DestinationName::LOCAL);
    of.cloned().unwrap_or_else(base)
}

/// Which part of the base is wanted, or the whole of it; none where it is not.
#[expect(clippy::option_option, reason = "the outer one says whether at all")]
fn part_of_base(config: &Config, wanted: &Wanted) -> Option<Option<Part>> {
    let has = |name: &str| wanted.has(&DestinationName::new(name));
    let (local, cloud) = (config.local.enable, config.cloud.enable);
    match (has(DestinationName::LOCAL), has(DestinationName::CLOUD)) {
        (true, false) if cloud || wanted.alone => Some(Some(Part::Local)),
        (false, true) if local || wanted.alone => Some(Some(Part::Cloud)),
        (false, false) => None,
        _ => (local || cloud || config.chains().is_empty()).then_some(None),
    }
}

/// The names that a plan which is not for all says that it is for.
fn only_of(config: &Config, wanted: &Wanted) -> Vec<DestinationName> {
    let all = config.names();
    let is_all = all.iter().all(|name| wanted.names.contains(name));
    if wanted.names.is_empty() || (is_all && !wanted.alone) {
        return Vec::new();
    }
    let mut names = wanted.names.to_vec();
    names.sort();
    names.dedup();
    names
}

/// Refuses each destination that stands under another name already: its snapshots would be two chains'.
fn refuse_twice(planned: &mut [Planned]) {
    let mut seen: BTreeMap<String, String> = BTreeMap::new();
    for Planned { of, plan } in planned {
        let Some(id) = plan.bound_to.destination_id.clone() else {
            continue;
        };
        let name = of.as_ref().map_or(DestinationName::LOCAL, |of| of.as_str());
        let Some(other) = seen.get(&id) else {
            seen.insert(id, name.to_owned());
            continue;
        };
        let message =
            format!("this is the disk of `{other}` as well: it has the id {id} of that one");
        let finding = refusal(code::DESTINATION_TWICE, message).hint(format!(
            "attach the drive of `{name}`, or set `destinations.{name}.mountPoint` to where it is mounted"
        ));
        plan.findings.insert(0, finding);
        plan.findings
            .sort_by_key(|finding| Reverse(finding.severity));
        plan.totals = nothing_done(&plan.bound_to);
        plan.steps
            .retain(|step| matches!(step.action, Action::PostScript(_) | Action::Notify(_)));
    }
}

/// What a chain without steps comes to.
pub(crate) fn nothing_done(bound_to: &Binding) -> Totals {
    Totals {
        kept: bound_to.snapshots.len() as u64,
        ..Totals::default()
    }
}

/// Whether the steps end where the script before the backup has run, and the rest is planned then.
fn is_planned_later(steps: &[Step], options: &Options) -> bool {
    let waits = steps
        .iter()
        .any(|step| matches!(step.action, Action::PlanAgain));
    waits && !options.after_pre_script
}

/// The steps of all, in the order of a run: what comes before, `local`, the others, `cloud`, what comes after.
fn steps_of_all(planned: &[Planned], alone: bool) -> Vec<Step> {
    // One whose disk the script may mount is planned after it, and all the others with it.
    let waiting = planned.iter().find(|one| {
        let steps = &one.plan.steps;
        let has_own = steps.iter().any(|step| !step.is_of_frame());
        let waits = steps
            .iter()
            .any(|step| matches!(step.action, Action::PlanAgain));
        let held = one.plan.severity() >= Some(Severity::Deferral);
        waits && !has_own && !held
    });
    if let Some(waiting) = waiting {
        return waiting.plan.steps.clone();
    }
    let framed: &[Planned] = if alone { &[] } else { planned };
    let in_frame = |kind: &str| -> Option<Step> {
        let mut steps = framed.iter().flat_map(|one| &one.plan.steps);
        steps
            .find(|step| step.is_of_frame() && step.action.kind() == kind)
            .cloned()
    };
    let mut steps: Vec<Step> = ["announce", "pre-script", "plan-again"]
        .into_iter()
        .filter_map(in_frame)
        .collect();
    let head: Vec<String> = steps.iter().map(|step| step.id.clone()).collect();
    for step in &mut steps {
        step.needs.retain(|id| head.contains(id));
        step.after.retain(|id| head.contains(id));
    }
    let own = |is_wanted: fn(&Planned, &Step) -> bool| {
        let head = &head;
        planned.iter().flat_map(move |one| {
            let own = one.plan.steps.iter();
            own.filter(move |step| !step.is_of_frame() && is_wanted(one, step))
                .map(move |step| in_chain(step, one, head))
        })
    };
    // Remotes come after all disks, of which they get what is new.
    steps.extend(own(|_, step| step.action.part() != Part::Cloud));
    steps.extend(own(|_, step| step.action.part() == Part::Cloud));
    wait_for_feeds(&mut steps);
    for kind in ["post-script", "notify"] {
        let Some(mut step) = in_frame(kind) else {
            continue;
        };
        step.needs = Vec::new();
        step.after = steps.iter().map(|step| step.id.clone()).collect();
        if let Action::Notify(notify) = &mut step.action {
            let all = framed.iter().flat_map(|one| &one.plan.steps);
            notify.last_good = notify.last_good.or_else(|| {
                let mut others = all.filter_map(|step| match &step.action {
                    Action::Notify(notify) => notify.last_good,
                    _ => None,
                });
                others.next()
            });
        }
        steps.push(step);
    }
    steps
}

/// Has each upload wait for the snapshots that it may get, which it needs none of.
fn wait_for_feeds(steps: &mut [Step]) {
    let makers: Vec<(Option<DestinationName>, String)> = steps
        .iter()
        .filter(|step| matches!(step.action, Action::Snapshot(_) | Action::Rotate(_)))
        .map(|step| (step.of.clone(), step.id.clone()))
        .collect();
    for step in steps {
        let feeds = step.action.feeds();
        let is_fed_by = |of: &Option<DestinationName>| {
            let of = of.as_ref().map_or(DestinationName::LOCAL, |of| of.as_str());
            feeds.iter().any(|feed| feed.of.as_str() == of)
        };
        let feeding = makers.iter().filter(|(of, _)| is_fed_by(of));
        step.after.extend(feeding.map(|(_, id)| id.clone()));
    }
}

/// A step as it is among those of others.
fn in_chain(step: &Step, planned: &Planned, head: &[String]) -> Step {
    let of = planned.of.as_ref();
    let plan = &planned.plan;
    let waits_for = |ids: &[String]| -> Vec<String> {
        ids.iter()
            .filter_map(|id| {
                let is_frame = plan
                    .steps
                    .iter()
                    .any(|one| one.id == *id && one.is_of_frame());
                match is_frame {
                    true => head.contains(id).then(|| id.clone()),
                    false => Some(chain_id(id, of)),
                }
            })
            .collect()
    };
    Step {
        id: chain_id(&step.id, of),
        of: of.cloned(),
        needs: waits_for(&step.needs),
        after: waits_for(&step.after),
        action: step.action.clone(),
    }
}

/// Gives the run its name, which says of all that it was made from.
fn name_run(plan: &mut Plan) {
    let bound: Vec<&Binding> = plan.chains.values().map(|chain| &chain.bound_to).collect();
    let run = Digest::of_json(&(&plan.bound_to, bound, plan.created_at, &plan.steps));
    let start = plan.run_id.rsplit_once('-').map(|(id, _)| id.to_owned());
    plan.run_id = format!("{}-{}", start.unwrap_or_default(), run.short());
    plan.digest = plan.expected_digest();
}

/// What is left of a plan for several destinations where the steps of some break a law: those are refused, and
/// the others are served.
pub(crate) fn refuse_unlawful_chains(mut plan: Plan, inventory: &Inventory) -> Plan {
    let between = lint::check_bounds(&plan);
    let base = DestinationName::new(DestinationName::LOCAL);
    let names: Vec<DestinationName> = [base]
        .into_iter()
        .chain(plan.chains.keys().cloned())
        .collect();
    let mut is_changed = false;
    for name in names {
        let Some(chain) = plan.chain(&name) else {
            continue;
        };
        let is_base = name.is_predefined();
        let own = |step: &Step| match is_base {
            true => step.of.is_none() && !step.is_of_frame(),
            false => step.of.as_ref() == Some(&name),
        };
        let mut broken = lint::check(&chain, &inventory.view(&name));
        // What stands between them is nobody's own, and leaves nothing that is sure to be lawful.
        if !between.is_empty() && (!is_base || chain.steps.iter().any(|step| !step.is_of_frame())) {
            broken.extend(between.iter().cloned());
        }
        if broken.is_empty() {
            continue;
        }
        is_changed = true;
        plan.steps.retain(|step| !own(step));
        let (findings, totals, bound_to) = match plan.chains.get_mut(&name) {
            Some(chain) => (&mut chain.findings, &mut chain.totals, &chain.bound_to),
            None => (&mut plan.findings, &mut plan.totals, &plan.bound_to),
        };
        *totals = nothing_done(bound_to);
        broken.append(findings);
        *findings = broken;
        findings.sort_by_key(|finding| Reverse(finding.severity));
    }
    let chains = &plan.chains;
    let is_known = |step: &Step| step.of.as_ref().is_none_or(|of| chains.contains_key(of));
    let before = plan.steps.len();
    plan.steps.retain(is_known);
    if !is_changed && plan.steps.len() == before {
        return plan;
    }
    let is_made_in_two = plan.is_made_in_two();
    if plan.steps.iter().all(Step::is_of_frame) {
        plan.steps.retain(|step| match step.action {
            Action::PostScript(_) | Action::Notify(_) => true,
            Action::PreScript(_) | Action::PlanAgain => is_made_in_two,
            _ => false,
        });
    }
    let left: Vec<String> = plan.steps.iter().map(|step| step.id.clone()).collect();
    for step in &mut plan.steps {
        step.needs.retain(|id| left.contains(id));
        step.after.retain(|id| left.contains(id));
    }
    content::drop_lost(&mut plan);
    plan.digest = plan.expected_digest();
    plan
}
