//! The same for a plan for several destinations: each chain as the plan of its destination alone, and what
//! they share.

use schema::{
    Config, Inventory, Plan,
    config::DestinationName,
    plan::{Part, Step, UploadFeed},
};

use super::{
    Present, checked, differing_step, find_difference_of_one, supposed_destination,
    supposed_inventory, with_state_of_check,
};
use crate::{
    Options,
    facts::Facts,
    feeds::{RemoteFacts, feeds_of, only_read},
    lint,
};

/// The first thing in which any chain, or what they share, differs from what the configuration gives.
pub(super) fn find_difference(
    plan: &Plan,
    present: &Present<'_>,
    is_saved: bool,
) -> Option<String> {
    if let Some(between) = lint::check_bounds(plan).first() {
        return Some(between.message.clone());
    }
    let config = present.config;
    let used = config.chains();
    let other = plan.chains.keys().find(|name| !used.contains(name));
    if let Some(other) = other {
        return Some(format!(
            "it is for the destination {other}, and the configuration uses none of that name"
        ));
    }
    let base = DestinationName::new(DestinationName::LOCAL);
    let is_of_base = |plan: &Plan| (plan.steps.iter()).any(|step| !step.is_of_frame());
    // What was asked for by its name is done without what is around the rest.
    let is_framed = plan.only_of.is_empty() || plan.steps.iter().any(Step::is_of_frame);
    let in_view = |name: &DestinationName| {
        let (view, chain) = (config.view(name)?, plan.chain(name)?);
        if name.is_predefined() && !is_of_base(&chain) {
            return None;
        }
        let present = Present {
            config: &view,
            ..*present
        };
        let remote = supposed_remote(&chain, config, name, &present);
        let remote = remote.as_ref();
        let difference = find_difference_of_one(&chain, &present, remote, is_saved, is_framed)?;
        Some(match name.is_predefined() {
            true => difference,
            false => format!("{name}: {difference}"),
        })
    };
    let mut names = [&base].into_iter().chain(plan.chains.keys());
    names
        .find_map(in_view)
        .or_else(|| frame_difference(plan, present, is_saved))
}

/// In what the steps around all chains differ, whichever of the chains would have them.
fn frame_difference(plan: &Plan, present: &Present<'_>, is_saved: bool) -> Option<String> {
    let config = present.config;
    let base = DestinationName::new(DestinationName::LOCAL);
    let of = match config.local.enable || config.cloud.enable {
        true => &base,
        false => plan.chains.keys().next().unwrap_or(&base),
    };
    let (view, chain) = (config.view(of)?, plan.chain(of)?);
    let present = Present {
        config: &view,
        ..*present
    };
    let inventory = supposed_inventory(&chain, &present);
    let options = Options::default();
    let facts = Facts::new(&view, &inventory, &options);
    let mut frame = plan.steps.iter();
    let frame = frame
        .by_ref()
        .filter(|step| step.action.part() == Part::Coordinator);
    frame
        .into_iter()
        .find_map(|step| differing_step(step, &facts, is_saved))
}

/// What gives the upload to a remote: each disk that it names as the configuration has it, with what hangs on
/// disks as the plan has it.
fn supposed_remote(
    chain: &Plan,
    config: &Config,
    name: &DestinationName,
    present: &Present<'_>,
) -> Option<RemoteFacts> {
    let options = config.remote_options(name)?;
    let found: Vec<&UploadFeed> = chain
        .steps
        .iter()
        .flat_map(|step| step.action.feeds())
        .collect();
    let mut from = Vec::new();
    for feed in feeds_of(config, name) {
        let Some(found) = found.iter().find(|one| one.of == feed) else {
            continue;
        };
        let view = config.view(&feed)?;
        let present = Present {
            config: &view,
            ..*present
        };
        let inventory = Inventory {
            destination: Some(supposed_destination(chain, &view, present.host)),
            ..supposed_inventory(chain, &present)
        };
        let all = Options::default();
        let facts = Facts::new(&view, &inventory, &all);
        let wanted = only_read(checked(&facts)?);
        from.push(UploadFeed {
            destination: only_read(with_state_of_check(wanted, &found.destination, &facts)),
            ..(*found).clone()
        });
    }
    let knows_sources = chain.steps.iter().any(|step| step.action.live().is_some());
    Some(RemoteFacts::supposed(options, from, knows_sources))
}
