//! `init`: adds the mounted drive to the ones this machine backs up to.

use anyhow::Result;
use chrono::Local;
use executor::{cloud::owner, state_dir::StateDir};

use crate::{
    cli::Init,
    commands::{apply::Worker, list::present, mark},
    exit,
    out::Out,
    settings::Settings,
    take,
};

/// Sets the mounted drive up if it is new, and remembers it.
pub(crate) fn run(arguments: &Init, settings: &Settings, out: &Out) -> Result<u8> {
    let config = settings.config(out)?;
    if arguments.take_over.is_some() && config.cloud.enable {
        let remote = planner::cloud_remote(&config.cloud, &take::host_folder(&config));
        owner::take_over(&StateDir::open_or_new(&settings.state_dir)?, &remote)?;
        out.say(&format!(
            "the next copy to {remote} makes what is there this machine's"
        ));
        if !config.local.enable {
            return Ok(exit::DONE);
        }
    }
    let now = Local::now().fixed_offset();
    let destination = present(settings, &config)?;
    let worker = Worker::new(settings, out, &config, now);
    let report = worker.with(|context| {
        let mut inventory = take::inventory_of(settings, now, Some(destination))?;
        let old = arguments.take_over.as_deref();
        // Where there is only a copy in the cloud to take over, the drive is a new one.
        let found = inventory.destination.as_ref();
        let is_new = config.cloud.enable && found.is_some_and(|found| found.record.is_none());
        let plan = if let Some(old) = old.filter(|old| !(old.is_empty() && is_new)) {
            planner::take_over(&config, &inventory, Some(old).filter(|old| !old.is_empty()))
        } else {
            // A person says that this drive is one of theirs, which is what trust on first use
            // asks, and that nothing beside it is to be gone on with.
            inventory.known_destinations.clear();
            if let Some(found) = &mut inventory.destination {
                found.beside.clear();
                // A damaged record is written anew; the damaged one is kept beside it.
                found.record_fault = None;
                found.record_fault_code = None;
            }
            planner::small(&config, &inventory, None)
        };
        worker.small(&plan, &inventory, context)
    })?;
    mark::show(&report, settings, out);
    if report.result == schema::RunResult::Success {
        out.say("this machine backs up to it from now on, besides any drive it knew before");
    }
    Ok(exit::of_result(report.result))
}
