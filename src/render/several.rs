//! Plans and reports of several destinations: what is told of each, and what of the whole.
//!
//! What is told of one is told as if it were the only one, under its name.

use schema::{
    Finding, Inventory, Plan, Report, RunResult,
    config::DestinationName,
    plan::{Part, copies_away},
};

use super::{messages, page::Page, plan, report};
use crate::style::Style;

/// A plan for several destinations: what holds the run together, and the plan for each.
pub(crate) fn plan_page(
    whole: &Plan,
    inventory: &Inventory,
    is_whole: bool,
    style: &Style,
) -> String {
    let mut page = Page::default();
    page.line(0, &plan::title(whole, style));
    let local = DestinationName::new(DestinationName::LOCAL);
    if let Some(base) = whole.chain(&local) {
        let frame = steps_of(&base, |part| part == Part::Coordinator);
        plan::add_frame(&mut page, &frame, &inventory.view(&local), is_whole, style);
    }
    let of_all = findings_of_all(whole);
    for of in whole.taking_part() {
        let name = of.as_ref().unwrap_or(&local);
        let Some(chain) = whole.chain(name) else {
            continue;
        };
        let mut own = steps_of(&chain, |part| part != Part::Coordinator);
        own.findings.retain(|one| !of_all.contains(one));
        page.blank();
        page.line(0, &style.bold(title_of(whole, of.as_ref())));
        page.tell_of(of.as_ref());
        plan::add_section(&mut page, &own, &inventory.view(name), is_whole, style);
        page.tell_of(None);
    }
    if !of_all.is_empty() {
        page.blank();
        page.line(0, &style.bold("all of them"));
        for told in &of_all {
            page.raw(&messages::finding_lines(told, style));
        }
    }
    page.blank();
    if !is_whole {
        page.line(0, &plan::describe_rest(whole));
    }
    page.into_string()
}

/// What was noticed of each destination alike.
fn findings_of_all(plan: &Plan) -> Vec<Finding> {
    let taking_part = plan.taking_part();
    let found: Vec<&[Finding]> = taking_part
        .iter()
        .map(|of| match of {
            None => plan.findings.as_slice(),
            Some(name) => plan
                .chains
                .get(name)
                .map_or(&[][..], |chain| &chain.findings),
        })
        .collect();
    alike(&found)
}

/// The findings that each of several destinations has: they are the machine's, and told once.
pub(super) fn alike(found: &[&[Finding]]) -> Vec<Finding> {
    let Some((first, others)) = found.split_first().filter(|(_, others)| !others.is_empty()) else {
        return Vec::new();
    };
    let is_of_all = |one: &&Finding| others.iter().all(|other| other.contains(one));
    first.iter().filter(is_of_all).cloned().collect()
}

/// The name of a section: that of the destination, or of what there is of the two predefined ones.
fn title_of(plan: &Plan, of: Option<&DestinationName>) -> String {
    if let Some(name) = of {
        return name.to_string();
    }
    let has = |part: Part| {
        let mut steps = plan.steps.iter().filter(|step| step.of.is_none());
        steps.any(|step| step.action.part() == part)
    };
    match (has(Part::Local), has(Part::Cloud)) {
        (true, true) => "local, cloud".to_owned(),
        (false, true) => DestinationName::CLOUD.to_owned(),
        _ => DestinationName::LOCAL.to_owned(),
    }
}

fn steps_of(plan: &Plan, wanted: impl Fn(Part) -> bool) -> Plan {
    let mut plan = plan.clone();
    plan.steps.retain(|step| wanted(step.action.part()));
    plan
}

/// How a run ended for each destination, a line each; nothing where there is one.
pub(crate) fn add_ends(page: &mut Page, report: &Report, style: &Style) {
    for name in report.destinations.keys() {
        let Some(mut own) = report.chain(name) else {
            continue;
        };
        // A part of the two that share a chain ended for itself.
        if let Some(chain) = report.destinations.get(name) {
            own.result = chain.result;
            own.snapshot.clone_from(&chain.snapshot);
            if name.is_predefined() {
                let is_cloud = copies_away;
                let cloud = name.as_str() == DestinationName::CLOUD;
                own.steps.retain(|done| is_cloud(&done.step) == cloud);
            }
        }
        page.entry(
            0,
            &format!("{name}:"),
            name.as_str().len() + 2,
            &report::describe_end(&own, style),
        );
    }
    if report.is_of_several() {
        page.blank();
    }
}

/// How a run for several destinations ended as a whole.
pub(crate) fn describe_whole(report: &Report, style: &Style) -> String {
    let named = |result: RunResult| {
        let all = report.destinations.iter();
        let names = all.filter(|(_, chain)| chain.result == result);
        let names: Vec<&str> = names.map(|(name, _)| name.as_str()).collect();
        names.join(", ")
    };
    let with = |word: &str, result: RunResult| match named(result).as_str() {
        "" => String::new(),
        names => format!("{word} {names}"),
    };
    match report.result {
        RunResult::Success => format!(
            "{} Everything is on {}.",
            style.green(style.bold("Done.")),
            named(RunResult::Success)
        ),
        RunResult::Incomplete => {
            let parts = [
                with("incomplete on", RunResult::Incomplete),
                with("refused by", RunResult::Refused),
                with("deferred for", RunResult::Deferred),
            ];
            let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
            let what = match parts.is_empty() {
                true => "something waits for a person: see above".to_owned(),
                false => parts.join(", "),
            };
            format!("{} {what}.", style.yellow(style.bold("Done, but")))
        }
        RunResult::Failed => {
            let what = with(" for", RunResult::Failed);
            let done = with(" Done for", RunResult::Success);
            let end = if done.is_empty() { "" } else { "." };
            format!("{}{what}.{done}{end}", style.red(style.bold("Failed")))
        }
        RunResult::Refused => {
            format!("{} Nothing changed.", style.red(style.bold("Refused.")))
        }
        RunResult::Deferred => {
            let what = with(" for", RunResult::Deferred);
            let done = with(" Done for", RunResult::Success);
            let end = if done.is_empty() { "" } else { "." };
            format!(
                "{}{what}; the next run tries again.{done}{end}",
                style.yellow(style.bold("Deferred"))
            )
        }
        RunResult::Interrupted => format!(
            "{} What was done stays; the next run continues it.",
            style.yellow(style.bold("Interrupted."))
        ),
    }
}
