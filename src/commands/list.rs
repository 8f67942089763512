//! `list`: shows all snapshots.

use anyhow::Result;
use chrono::Local;
use executor::{
    clock::Clock,
    event::{Context, Silent},
};
use schema::{Config, inventory::DestinationState};

use crate::{cli::At, exit, out::Out, render, settings::Settings, take};

/// Shows all snapshots.
pub(crate) fn run(arguments: &At, settings: &Settings, out: &Out) -> Result<u8> {
    let config = settings.config(out)?;
    let destination = present(settings, &config)?;
    let now = arguments.now.unwrap_or_else(|| Local::now().fixed_offset());
    let view = render::list::ListView::new(&config, &destination, now);
    if settings.json {
        out.data_json(&view);
    } else {
        out.data(&render::list::list(&view, &settings.style));
    }
    Ok(exit::DONE)
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
        return Err(take::not_mounted(config, because).into());
    }
    Ok(destination)
}
