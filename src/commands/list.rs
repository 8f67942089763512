//! `list`: shows all snapshots.

use anyhow::Result;
use chrono::{DateTime, FixedOffset, Local};
use executor::{
    clock::Clock,
    event::{Context, Silent},
};
use schema::{Config, Severity, inventory::DestinationState};

use crate::{cli::At, exit, out::Out, render, settings::Settings, take};

/// Shows all snapshots.
pub(crate) fn run(arguments: &At, settings: &Settings, out: &Out) -> Result<u8> {
    let config = settings.config(out)?;
    let destination = present(settings, &config)?;
    let now = arguments.now.unwrap_or_else(|| Local::now().fixed_offset());
    let list = planner::list_snapshots(&config, &destination, now);
    if settings.json {
        out.data_json(&list);
    } else {
        out.data(&render::list::snapshot_list(&list, &settings.style));
        if destination.snapshots.is_empty() {
            tell(settings, &config, destination, now, out)?;
        }
    }
    Ok(exit::DONE)
}

/// Says why there may be none: that the destination is another machine's, or this one's under its old
/// name.
fn tell(
    settings: &Settings,
    config: &Config,
    destination: DestinationState,
    now: DateTime<FixedOffset>,
    out: &Out,
) -> Result<()> {
    let inventory = take::inventory_of(settings, now, Some(destination))?;
    for finding in planner::small(config, &inventory, None).findings {
        if finding.severity == Severity::Refusal {
            out.say(&render::report::finding_lines(
                &finding,
                &settings.error_style,
            ));
        }
    }
    Ok(())
}

/// The destination, which must be there.
pub(crate) fn present(settings: &Settings, config: &Config) -> Result<DestinationState> {
    take::enabled(config)?;
    let context = Context {
        observer: &Silent,
        stop: &settings.stop,
        clock: Clock::default(),
        threads: settings.threads,
    };
    let destination = take::destination(settings, config, context)?;
    if !destination.present || (config.local.require_mount && !destination.mounted) {
        let because = destination.absent_because.as_deref();
        return Err(take::not_mounted(config, because, destination.absent_code).into());
    }
    Ok(destination)
}
