//! Taking an inventory: what the executor sees, with the basis that the planner chooses between.

use anyhow::Result;
use chrono::{DateTime, FixedOffset};
use executor::{event::Context, manifest::Cursor, scan, state_dir::StateDir, store::Store};
use schema::{Config, Inventory, inventory::DestinationState};

use crate::settings::{Settings, host_name};

/// The host's folder below the mount point.
pub(crate) fn host_folder(config: &Config) -> String {
    config.hostname.clone().unwrap_or_else(host_name)
}

/// Looks at the destination only.
pub(crate) fn destination(config: &Config, context: Context<'_>) -> Result<DestinationState> {
    let folder = host_folder(config);
    Ok(scan::destination(&config.local, &folder, context)?)
}

/// Opens the destination for reading, where it is there.
pub(crate) fn store(config: &Config) -> Result<Option<Store>> {
    let mount_point = config.local.mount_point.as_path();
    let Ok(resolved) = executor::sys::resolve::resolve(mount_point) else {
        return Ok(None);
    };
    let Ok(dir) = resolved.folder() else {
        return Ok(None);
    };
    let mounted = dir.stat_self().is_ok_and(|stat| stat.mount_root);
    if config.local.require_mount && !mounted {
        return Ok(None);
    }
    let path = config.local.mount_point.as_str();
    Ok(Store::open(&dir, path, &host_folder(config))?)
}

/// Takes the whole inventory. Writes nothing.
pub(crate) fn inventory(
    settings: &Settings,
    config: &Config,
    now: DateTime<FixedOffset>,
    context: Context<'_>,
) -> Result<Inventory> {
    if !config.local.enable {
        return inventory_of(settings, now, None);
    }
    let destination = destination(config, context)?;
    let mut cursor = None;
    let mut never = None;
    if let Some(store) = store(config)? {
        let root = store.root.stat_self();
        never = root.ok().map(|stat| (stat.dev, stat.ino));
        if let Some(basis) = planner::basis(&destination, now) {
            cursor = Some(Cursor::new(store.manifest(basis.id)?));
        }
    }
    let can = destination.capabilities();
    let sources = scan::sources(&config.local, cursor, can, never, context)?;
    let inventory = inventory_of(settings, now, Some(destination))?;
    Ok(Inventory {
        sources,
        ..inventory
    })
}

/// An inventory without the sources, for plans that do not touch them.
pub(crate) fn inventory_of(
    settings: &Settings,
    now: DateTime<FixedOffset>,
    destination: Option<DestinationState>,
) -> Result<Inventory> {
    let state = StateDir::open(&settings.state_dir)?;
    let known = state.map(|state| state.known_destinations()).transpose()?;
    Ok(Inventory {
        format_version: schema::inventory::FORMAT_VERSION,
        taken_at: now,
        host: host_name(),
        privileged: nix::unistd::geteuid().is_root(),
        power: scan::power(),
        known_destinations: known.unwrap_or_default(),
        destination,
        sources: Vec::new(),
    })
}
