//! Taking an inventory: what the executor sees, with the basis that the planner chooses between.

use std::collections::BTreeMap;

use anyhow::Result;
use chrono::{DateTime, FixedOffset};
use executor::{
    Error,
    cloud::memory::Desk,
    error::{failure_code, mount_hint, reason},
    event::Context,
    manifest::Reader,
    scan,
    state_dir::StateDir,
    store::Store,
    survey::Survey,
    sys::{mounts::is_mounted, resolve::resolve},
    verify::memory,
};
use schema::{
    Config, FailureCode, Inventory, SnapshotId,
    cloud::{CloudChange, CloudState},
    inventory::{DestinationState, SourceState},
    plan::Part,
};

use crate::settings::{Settings, host_name};

/// The host's folder below the mount point.
pub(crate) fn host_folder(config: &Config) -> String {
    config.hostname.clone().unwrap_or_else(host_name)
}

/// Looks at the destination only, and at what is remembered of it.
pub(crate) fn destination(
    settings: &Settings,
    config: &Config,
    context: Context<'_>,
) -> executor::Result<DestinationState> {
    let folder = host_folder(config);
    let mut found = scan::destination(&config.local, &folder, context)?;
    // Whoever may not read the state directory is told of it where it is needed.
    let store = match store(config) {
        Err(error) if error.code == Some(FailureCode::InTheWay) => None,
        store => store?,
    };
    if let (Ok(Some(state)), Some(store)) = (StateDir::open(&settings.state_dir), store) {
        memory::recognize(&state, &mut found)?;
        memory::recall(&state, &store, &mut found)?;
    }
    Ok(found)
}

/// Opens the destination for reading, which must be there and set up.
pub(crate) fn store_present(config: &Config) -> Result<Store> {
    enabled(config)?;
    let path = &config.local.mount_point;
    let opened = resolve(path.as_path()).and_then(|found| {
        let dir = found.folder()?;
        Ok((dir.stat_self()?, dir))
    });
    let because = match opened {
        Err(error) => Some(error.into()),
        Ok((stat, _)) if config.local.require_mount && !is_mounted(&stat) => None,
        Ok(_) => {
            return store(config)?.ok_or_else(|| {
                Error::refused(format!("nothing was ever backed up to {path}"))
                    .hint(others(config))
                    .into()
            });
        }
    };
    let code = because.as_ref().and_then(failure_code);
    let because = because.as_ref().map(reason);
    Err(not_mounted(config, because.as_deref(), code).into())
}

/// What to do where this host name has no backups: those of other names may be what is looked for.
fn others(config: &Config) -> String {
    let stop = executor::event::Stop::default();
    let found = scan::destination(&config.local, &host_folder(config), Context::silent(&stop));
    let beside = found.map(|found| found.beside).unwrap_or_default();
    let names: Vec<&str> = beside
        .iter()
        .map(|one| one.folder.as_str())
        .take(5)
        .collect();
    match names.first() {
        None => "`backup apply` makes the first snapshot".to_owned(),
        Some(first) => format!(
            "there are backups of {} beside it: set hostname to that name to read them, or, if it is \
             this machine's old one, run `backup init --take-over {first}`",
            names.join(", ")
        ),
    }
}

/// Refuses where there are no local snapshots.
pub(crate) fn enabled(config: &Config) -> Result<()> {
    if config.local.enable {
        return Ok(());
    }
    Err(
        Error::refused("local.enable is false: there are no local snapshots")
            .hint("set local.enable to true")
            .into(),
    )
}

/// The refusal of a destination that is not there.
pub(crate) fn not_mounted(
    config: &Config,
    because: Option<&str>,
    code: Option<FailureCode>,
) -> Error {
    let path = &config.local.mount_point;
    Error::refused(format!(
        "destination not mounted: {} at {path} (local.mountPoint)",
        because.unwrap_or("nothing is mounted")
    ))
    .coded(code.or(Some(FailureCode::NotMounted)))
    .hint(mount_hint(code, path.as_str()))
}

/// Opens the destination for reading, where it is there.
pub(crate) fn store(config: &Config) -> executor::Result<Option<Store>> {
    let mount_point = config.local.mount_point.as_path();
    let Ok(resolved) = resolve(mount_point) else {
        return Ok(None);
    };
    let Ok(dir) = resolved.folder() else {
        return Ok(None);
    };
    let mounted = dir.stat_self().is_ok_and(|stat| is_mounted(&stat));
    if config.local.require_mount && !mounted {
        return Ok(None);
    }
    let path = config.local.mount_point.as_str();
    Store::open(&dir, path, &host_folder(config))
}

/// The inode that no walk through sources enters: the destination's own folder.
pub(crate) fn left_out(store: Option<&Store>) -> Option<(u64, u64)> {
    let stat = store?.root.stat_self().ok()?;
    Some((stat.dev, stat.ino))
}

/// Takes the whole inventory, with the survey of the sources that it comes from. Writes nothing.
pub(crate) fn inventory(
    settings: &Settings,
    config: &Config,
    now: DateTime<FixedOffset>,
    context: Context<'_>,
) -> Result<(Inventory, Option<Survey>)> {
    inventory_for(
        settings,
        config,
        now,
        None,
        &BTreeMap::new(),
        (context, true),
    )
}

/// As [`inventory`], but without the sources where only the cloud steps are wanted; `unusable` are
/// snapshots whose manifests could not be read a moment ago, with the reason. `to_run` says that a
/// snapshot will be made from what is found.
pub(crate) fn inventory_for(
    settings: &Settings,
    config: &Config,
    now: DateTime<FixedOffset>,
    only: Option<Part>,
    unusable: &BTreeMap<SnapshotId, String>,
    (context, to_run): (Context<'_>, bool),
) -> Result<(Inventory, Option<Survey>)> {
    if !config.local.enable {
        if config.cloud.enable && only != Some(Part::Local) {
            return Ok((live(settings, config, now, None, context)?, None));
        }
        return Ok((inventory_of(settings, now, None)?, None));
    }
    let mut destination = destination(settings, config, context)?;
    let away = planner::absence(config, &destination).is_some();
    if away && config.cloud.enable && only != Some(Part::Local) {
        let found = live(settings, config, now, Some(destination), context)?;
        return Ok((found, None));
    }
    let store = store(config)?;
    if let Some(store) = store.as_ref().filter(|_| only != Some(Part::Cloud)) {
        recheck(store, &mut destination, context)?;
    }
    for snapshot in &mut destination.snapshots {
        let fault = unusable.get(&snapshot.record.id).cloned();
        snapshot.manifest_fault = snapshot.manifest_fault.take().or(fault);
    }
    if only == Some(Part::Cloud) {
        let newest = store.as_ref().zip(planner::reference(&destination, now));
        let newest = newest.map(|(store, newest)| (store, newest.record.id));
        let inventory = Inventory {
            cloud: cloud(settings, config, newest)?,
            ..inventory_of(settings, now, Some(destination))?
        };
        return Ok((inventory, None));
    }
    let never = left_out(store.as_ref());
    let (sources, survey, basis) = look(
        config,
        now,
        &mut destination,
        store.as_ref(),
        never,
        (context, to_run),
    )?;
    let inventory = inventory_of(settings, now, Some(destination))?;
    let inventory = Inventory {
        sources,
        rsync: config.local.use_rsync.then(scan::rsync),
        cloud: cloud(settings, config, basis)?,
        ..inventory
    };
    Ok((inventory, Some(survey)))
}

/// What was found of the sources, and the basis that they were compared with.
type Found<'a> = (Vec<SourceState>, Survey, Option<(&'a Store, SnapshotId)>);

/// Looks at the sources, compared with the newest snapshot whose manifest can be read to its end.
/// What cannot is said in the destination's state, so that the plan has the same basis.
fn look<'a>(
    config: &Config,
    now: DateTime<FixedOffset>,
    destination: &mut DestinationState,
    store: Option<&'a Store>,
    never: Option<(u64, u64)>,
    (context, to_run): (Context<'_>, bool),
) -> Result<Found<'a>> {
    let choice = scan::Choice {
        sync: to_run,
        ..(&config.local).into()
    };
    loop {
        let basis = store.zip(planner::basis(destination, now));
        if let Some((store, basis)) = &basis
            && let Err(error) = store.snapshot(basis.home, basis.id)
        {
            unusable(
                destination,
                basis.id,
                error.message,
                Some(FailureCode::TreeUnreadable),
            );
            continue;
        }
        let basis = basis.map(|(store, basis)| (store, basis.id));
        if let Some((store, id)) = basis
            && let Ok(Some(record)) = store.record(id)
            && let Some(because) = store.manifest_fault(&record, context.stop)?
        {
            unusable(destination, id, because, None);
            continue;
        }
        let also = planner::also_link(destination, now);
        let open = basis.map(|(store, id)| {
            let also = also.clone();
            move || store.manifests(id, &also)
        });
        let open = open
            .as_ref()
            .map(|open| open as &dyn Fn() -> executor::Result<Reader>);
        let looked = scan::sources(&choice, open, destination.capabilities(), never, context);
        match (looked, basis) {
            (Ok((sources, survey)), basis) => return Ok((sources, survey, basis)),
            (Err(error), Some((_, id))) if error.is_of_basis() => {
                unusable(destination, id, error.message, None);
            }
            (Err(error), _) => return Err(error.into()),
        }
    }
}

fn unusable(
    destination: &mut DestinationState,
    id: SnapshotId,
    because: String,
    code: Option<FailureCode>,
) {
    let mut all = destination.snapshots.iter_mut();
    if let Some(snapshot) = all.find(|one| one.record.id == id) {
        snapshot.manifest_fault = Some(because);
        snapshot.manifest_fault_code = code;
    }
}

/// Looks again at manifests that were found damaged once: a disk that answers again, or a repair,
/// makes a basis of its snapshot again.
fn recheck(store: &Store, destination: &mut DestinationState, context: Context<'_>) -> Result<()> {
    let newest_first = destination.snapshots.iter_mut().rev();
    for snapshot in newest_first {
        if snapshot.manifest_fault.is_none() {
            // What is older than a whole one is not asked for.
            break;
        }
        snapshot.manifest_fault = store.manifest_fault(&snapshot.record, context.stop)?;
        snapshot.manifest_fault_code = None;
    }
    Ok(())
}

/// Takes an inventory of the live sources, compared with the last upload as far as it is known here.
fn live(
    settings: &Settings,
    config: &Config,
    now: DateTime<FixedOffset>,
    destination: Option<DestinationState>,
    context: Context<'_>,
) -> Result<Inventory> {
    let mut cloud = cloud(settings, config, None)?.unwrap_or_default();
    let state = StateDir::open(&settings.state_dir)?;
    let remote = planner::cloud_remote(&config.cloud, &host_folder(config));
    let desk = state.and_then(|state| Desk::open(&state, &remote).ok().flatten());
    let last = cloud.memory.last.as_ref().map(|last| last.id);
    let known = desk.as_ref().zip(last);
    let known = known.filter(|(desk, id)| desk.manifest(*id).is_some());
    let open = known.map(|(desk, id)| {
        move || {
            desk.manifest(id)
                .ok_or_else(|| Error::failed(format!("the manifest of the upload of {id} is gone")))
        }
    });
    let open = open
        .as_ref()
        .map(|open| open as &dyn Fn() -> executor::Result<Reader>);
    let never = desk.as_ref().and_then(|desk| desk.inode().ok());
    let choice = (&config.local).into();
    let (sources, _) = scan::sources(&choice, open, None, never, context)?;
    // The sources were compared with the last upload itself.
    cloud.pending = known.map(|_| CloudChange::default());
    Ok(Inventory {
        sources,
        cloud: Some(cloud),
        ..inventory_of(settings, now, destination)?
    })
}

/// What is known of the copies in the cloud without asking it.
fn cloud(
    settings: &Settings,
    config: &Config,
    newest: Option<(&Store, SnapshotId)>,
) -> Result<Option<CloudState>> {
    if !config.cloud.enable {
        return Ok(None);
    }
    let state = StateDir::open(&settings.state_dir)?;
    let remote = planner::cloud_remote(&config.cloud, &host_folder(config));
    let config_file = config.cloud.config_file.as_ref();
    Ok(Some(scan::cloud(
        state.as_ref(),
        newest,
        &remote,
        config_file,
    )))
}

/// What this machine remembers of its copies in the cloud, without looking at rclone.
pub(crate) fn remembered(settings: &Settings, config: &Config) -> Option<CloudState> {
    let state = StateDir::open(&settings.state_dir).ok().flatten()?;
    let remote = planner::cloud_remote(&config.cloud, &host_folder(config));
    let memory = executor::cloud::memory::recall(&state, &remote).ok()?;
    Some(CloudState {
        memory,
        ..CloudState::default()
    })
}

/// An inventory without the sources, for plans that do not touch them.
pub(crate) fn inventory_of(
    settings: &Settings,
    now: DateTime<FixedOffset>,
    destination: Option<DestinationState>,
) -> Result<Inventory> {
    let state = StateDir::open(&settings.state_dir)?;
    let (known, faults, unwritable) = match state {
        Some(state) => (
            state.known_destinations()?,
            state.faults(),
            state.unwritable(),
        ),
        None => (Vec::new(), Vec::new(), None),
    };
    Ok(Inventory {
        format_version: schema::inventory::FORMAT_VERSION,
        taken_at: now,
        host: host_name(),
        privileged: nix::unistd::geteuid().is_root(),
        power: scan::power(),
        machine: executor::sys::machine::id(),
        known_destinations: known,
        destination,
        sources: Vec::new(),
        rsync: None,
        cloud: None,
        state_faults: faults,
        state_unwritable: unwritable,
    })
}
