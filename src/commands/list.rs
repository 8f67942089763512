//! `list`: shows all snapshots.

use anyhow::Result;
use chrono::Local;
use executor::{
    Error,
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
    let view = render::list::ListView::new(&destination, now);
    if settings.json {
        out.data_json(&view);
    } else {
        out.data(&render::list::list(&view, &settings.style));
    }
    Ok(exit::DONE)
}

/// The destination, which must be there.
pub(crate) fn present(settings: &Settings, config: &Config) -> Result<DestinationState> {
    if !config.local.enable {
        return Err(
            Error::refused("local.enable is false: there are no local snapshots")
                .hint("set local.enable to true")
                .into(),
        );
    }
    let context = Context {
        observer: &Silent,
        stop: &settings.stop,
        clock: Clock::default(),
        threads: settings.threads,
    };
    let destination = take::destination(config, context)?;
    let path = &destination.mount_point;
    if !destination.present || (config.local.require_mount && !destination.mounted) {
        return Err(Error::refused(format!(
            "destination not mounted: {} at {path} (local.mountPoint)",
            destination
                .absent_because
                .as_deref()
                .unwrap_or("nothing is mounted")
        ))
        .hint(format!(
            "mount the backup drive, then check with: mountpoint {path}"
        ))
        .into());
    }
    Ok(destination)
}
