//! Opening a destination: the one place that decides whether what is mounted is the right one.
//!
//! Invariant: nothing is created below a mount point that is not mounted, and an opened
//! destination stays the one that was checked: all work goes through its descriptors, even if
//! something else is mounted over it meanwhile.

mod inodes;
mod probe;
mod probe_clones;
mod probe_names;
mod tries;

use std::{ffi::OsStr, io};

pub use inodes::host_inodes;

use rustix::io::Errno;
use schema::{
    FailureCode,
    plan::{DestinationCheckStep, TakeOver},
    record::{Capabilities, DestinationRecord, FORMAT_VERSION},
};

use crate::{
    error::{Error, Result, failure_code, mount_hint, system_reason},
    event::Context,
    lock::Lock,
    remove::remove_tree,
    store::{
        ADOPT, BACKUP, DESTINATION_FILE, LOCK_FILE, MOVING, PARTIAL, SNAPSHOTS, Store, TRASH,
        read_json, write_json,
    },
    sys::{Dir, Kind, mounts, open, resolve::resolve, subvolume::is_btrfs, uuid},
};

/// Where a damaged record is kept.
const DAMAGED: &str = "destination.json.damaged";

/// Opens the destination of a step after checking that it is the right one.
///
/// # Errors
/// A refusal if it is not mounted, another one, or not set up.
pub fn open_checked(step: &DestinationCheckStep) -> Result<Store> {
    let mount_point = open_mount_point(step)?;
    let path = step.mount_point.as_str();
    let store = Store::open(&mount_point, path, &step.folder)?.ok_or_else(|| {
        Error::refused(format!("{path}/{} is not there any more", step.folder))
            .hint("mount the drive that was there when the plan was made, or make a new plan")
    })?;
    if !step.read_only {
        check_id(step, &store)?;
    }
    Ok(store)
}

/// Checks the destination, sets it up if the step says so, and opens it.
///
/// # Errors
/// A refusal if it is not mounted, another one, or cannot hold snapshots.
pub fn prepare_destination(step: &DestinationCheckStep, context: Context<'_>) -> Result<Store> {
    let mount_point = open_mount_point(step)?;
    let path = step.mount_point.as_str();
    if let Some(TakeOver {
        folder: Some(folder),
    }) = &step.take_over
    {
        rename_host_folder(step, &mount_point, folder)?;
    }
    if step.create {
        create_host_folder(step, &mount_point, context)?;
    }
    let store = Store::open(&mount_point, path, &step.folder)?.ok_or_else(|| {
        Error::refused(format!("{path}/{} is not there any more", step.folder))
            .hint("mount the drive that was there when the plan was made, or make a new plan")
    })?;
    if step.read_only {
        return Ok(store);
    }
    check_id(step, &store)?;
    own_host_folder(step, &store)?;
    make_way(&store, context)?;
    let mode = FOLDER_MODE;
    let root_mode = store.root.stat_self().map(|stat| stat.mode);
    if root_mode.is_ok_and(|found| found != mode) {
        // A file system without modes keeps its own; the next look finds the same again.
        let _ = open::set_mode(&store.root, mode);
    }
    Ok(store)
}

/// What a destination can hold otherwise than it could.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CapabilityChange {
    /// It, in words that go on a sentence.
    pub words: String,
    /// Whether it holds less in anything.
    pub is_less: bool,
}

/// Tries out again what a destination seemed not to hold: a disk that failed, a server or a mount
/// that was changed since. Gives what has changed. A failure changes nothing.
pub fn inspect_again(store: &Store) -> Option<CapabilityChange> {
    let record = store.destination().ok().flatten()?;
    let before = &record.capabilities;
    let probed = if before.lack(&Capabilities::all()) {
        probe::probe_again(&store.backup, before).ok()?
    } else if !before.clones && is_btrfs(&store.backup) {
        // It was set up before this was asked, or by somebody who may not.
        let clones = probe::probe_only_clones(&store.backup).ok()?;
        probe::Probed {
            capabilities: Capabilities {
                clones,
                ..before.clone()
            },
            unsure: false,
        }
    } else {
        return None;
    };
    let mut found = probed.capabilities;
    if !found.tried_as_root && before.tried_as_root {
        // Only root can tell.
        (found.owners, found.devices) = (before.owners, before.devices);
        found.tried_as_root = true;
    }
    if probed.unsure {
        found = found.or(before);
    }
    if found == *before {
        return None;
    }
    let gained = capability_words(&found, before);
    let lost = capability_words(before, &found);
    let changed = DestinationRecord {
        capabilities: found,
        ..record
    };
    store.write_destination(&changed).ok()?;
    let is_less = !lost.is_empty();
    let parts = [("can now hold ", gained), ("can no longer hold ", lost)];
    let parts: Vec<String> = parts
        .into_iter()
        .filter(|(_, what)| !what.is_empty())
        .map(|(how, what)| format!("{how}{}", what.join(", ")))
        .collect();
    (!parts.is_empty()).then(|| CapabilityChange {
        words: format!("it {}", parts.join(" and ")),
        is_less,
    })
}

/// What the one holds and the other does not.
fn capability_words(one: &Capabilities, other: &Capabilities) -> Vec<&'static str> {
    let links = one.hard_links && !other.hard_links;
    let here = one.gaps(true);
    let gaps = other
        .gaps(true)
        .into_iter()
        .filter(|gap| !here.contains(gap));
    let names = one.names != other.names || one.name_max > other.name_max;
    let names = names && other.or(one) != *other;
    let links = links.then_some("hard links");
    links
        .into_iter()
        .chain(gaps)
        .chain(names.then_some("more names"))
        .chain((one.clones && !other.clones).then_some("clones of snapshots (subvolumes)"))
        .collect()
}

/// Keeps a damaged record beside the one that is written anew: under a second name where that can
/// be, so that there is no moment without either.
fn keep_aside(backup: &Dir, kind: Kind, path: &str, context: Context<'_>) -> Result<()> {
    let name = OsStr::new(DESTINATION_FILE);
    let aside = OsStr::new(DAMAGED);
    remove_tree(backup, aside, &format!("{path}.damaged"), context)?;
    if kind == Kind::File && backup.link_from(backup, name, aside).is_ok() {
        return Ok(());
    }
    backup
        .rename_new(name, backup, aside)
        .map_err(|error| Error::io("move away", path.as_bytes(), error))
}

/// Moves aside what stands where a folder of `.backup` belongs, which is nobody's but ours.
fn make_way(store: &Store, context: Context<'_>) -> Result<()> {
    for area in [PARTIAL, TRASH, SNAPSHOTS, MOVING, ADOPT] {
        let io = |error: Errno| store.io("move away", &format!("{BACKUP}/{area}"), error);
        let there = store.backup.look(OsStr::new(area)).map_err(io)?;
        if there.is_none_or(|stat| stat.kind == Kind::Folder) {
            continue;
        }
        let now = context.clock.now().format("%Y-%m-%d_%H-%M-%S");
        let aside = format!("{area}.saved-{now}");
        store
            .backup
            .rename_new(OsStr::new(area), &store.backup, OsStr::new(&aside))
            .and_then(|()| store.backup.sync())
            .map_err(io)?;
    }
    Ok(())
}

/// Mode of the host's folder. Owners could write to their files in it, which are those of all snapshots:
/// what users may read they see in a view ([`crate::view`]).
const FOLDER_MODE: u32 = 0o700;

/// Opens the mount point if what the step asks for is mounted there.
fn open_mount_point(step: &DestinationCheckStep) -> Result<Dir> {
    let path = step.mount_point.as_str();
    let not_mounted = |because: &str, code: Option<FailureCode>| {
        Error::refused(format!(
            "destination not mounted: {because} at {path} (local.mountPoint)"
        ))
        .coded(code.or(Some(FailureCode::NotMounted)))
        .hint(mount_hint(code, path))
    };
    let not_opened = |error: Errno| {
        let error = io::Error::from(error);
        not_mounted(&system_reason(&error), failure_code(&error)).because(error)
    };
    let resolved = resolve(step.mount_point.as_path()).map_err(not_opened)?;
    if resolved.stat.kind != Kind::Folder {
        return Err(not_mounted("no folder", None));
    }
    let dir = resolved.folder().map_err(not_opened)?;
    let stat = dir.stat_self().map_err(not_opened)?;
    if step.require_mount && !mounts::is_mounted(&stat) {
        return Err(not_mounted("nothing is mounted", None));
    }
    if let (Some(wanted), false) = (&step.file_system_uuid, step.read_only) {
        let found = mounts::all_mounts().ok().and_then(|all| {
            mounts::mount_of(&all, &stat).and_then(|mount| uuid::file_system_uuid(&dir, mount))
        });
        if found
            .as_ref()
            .is_none_or(|found| !found.eq_ignore_ascii_case(wanted))
        {
            return Err(Error::refused(format!(
                "wrong destination: the file system at {path} has UUID {}, local.fileSystemUUID is {wanted}",
                found.as_deref().unwrap_or("unknown")
            ))
            .coded(FailureCode::ForeignDestination)
            .hint("mount the right drive, or correct local.fileSystemUUID"));
        }
    }
    Ok(dir)
}

/// Gives the folder of another host this host's name. Can be repeated.
fn rename_host_folder(step: &DestinationCheckStep, mount_point: &Dir, old: &str) -> Result<()> {
    let path = step.mount_point.as_str();
    if old.contains('/') || old.starts_with('.') {
        return Err(Error::refused(format!("`{old}` is not the name of a host")));
    }
    let Some(store) = Store::open(mount_point, path, old)? else {
        // Renamed before: what is there now is checked next.
        return Ok(());
    };
    check_id(step, &store)?;
    // Nobody is at work there.
    let lock = store.named(&format!("{BACKUP}/{LOCK_FILE}"));
    let _lock = Lock::take(&store.backup, LOCK_FILE, &lock)?;
    let renamed = mount_point.rename_new(OsStr::new(old), mount_point, OsStr::new(&step.folder));
    match renamed {
        Ok(()) => {}
        Err(Errno::EXIST) => {
            let new = format!("{path}/{}", step.folder);
            return Err(Error::refused(format!(
                "{path}/{old} cannot be renamed: {new} is there already"
            ))
            .coded(FailureCode::InTheWay)
            .hint("move that away first, or set hostname to the old name"));
        }
        Err(error) => return Err(store.io("rename", "", error)),
    }
    let synced = mount_point.sync();
    synced.map_err(|error| Error::io("sync", path.as_bytes(), error))
}

/// Records whose it is, where the step says so.
fn own_host_folder(step: &DestinationCheckStep, store: &Store) -> Result<()> {
    let Some(record) = store.destination()? else {
        return Ok(());
    };
    let taken = step.take_over.is_some();
    let new = DestinationRecord {
        machine: match record.machine {
            Some(machine) if !taken => Some(machine),
            _ => step.machine,
        },
        host: if taken {
            step.folder.clone()
        } else {
            record.host.clone()
        },
        ..record.clone()
    };
    if new == record {
        return Ok(());
    }
    store.write_destination(&new)
}

fn check_id(step: &DestinationCheckStep, store: &Store) -> Result<()> {
    let found = store.destination()?.map(|record| record.id);
    if found.as_ref() == Some(&step.destination_id) {
        return Ok(());
    }
    Err(Error::refused(format!(
        "wrong destination: {} has id {}, the plan is for {}",
        store.path,
        found.as_deref().unwrap_or("none"),
        step.destination_id
    ))
    .coded(FailureCode::ForeignDestination)
    .hint("mount the drive that was there when the plan was made, or make a new plan"))
}

/// Whether something else has the name of a folder of ours.
fn stands_in_the_way(dir: &Dir, name: &OsStr) -> bool {
    let there = dir.look(name).ok().flatten();
    there.is_some_and(|stat| stat.kind != Kind::Folder)
}

/// Sets a new destination up. Can be repeated: `destination.json` comes last.
fn create_host_folder(
    step: &DestinationCheckStep,
    mount_point: &Dir,
    context: Context<'_>,
) -> Result<()> {
    let host = NewHostFolder::make_root(step, mount_point)?;
    let backup = host.make_backup()?;
    let record_path = format!("{}/{BACKUP}/{DESTINATION_FILE}", host.path);
    let there = backup
        .look(OsStr::new(DESTINATION_FILE))
        .map_err(|error| host.io("look into", error))?;
    if there.is_some()
        && read_json::<DestinationRecord>(&backup, DESTINATION_FILE, &record_path).is_ok()
    {
        return Ok(());
    }
    let capabilities = host.probe_backup(&backup)?;
    for area in [PARTIAL, TRASH, SNAPSHOTS] {
        backup
            .folder_or_new(OsStr::new(area), 0o700)
            .map_err(|error| host.io("make .backup in", error))?;
    }
    let record = DestinationRecord {
        format_version: FORMAT_VERSION,
        id: step.destination_id.clone(),
        host: step.folder.clone(),
        created_at: context.clock.now(),
        machine: step.machine,
        capabilities,
    };
    if let Some(there) = there {
        keep_aside(&backup, there.kind, &record_path, context)?;
    }
    write_json(&backup, DESTINATION_FILE, &record_path, &record)?;
    for dir in [&host.root, mount_point] {
        dir.sync().map_err(|error| host.io("sync", error))?;
    }
    Ok(())
}

/// The host's folder of a destination that is being set up.
struct NewHostFolder<'a> {
    step: &'a DestinationCheckStep,
    mount_point: &'a Dir,
    path: String,
    root: Dir,
    /// It was not there before.
    made: bool,
}

impl<'a> NewHostFolder<'a> {
    /// Makes and opens the folder.
    fn make_root(step: &'a DestinationCheckStep, mount_point: &'a Dir) -> Result<Self> {
        let path = format!("{}/{}", step.mount_point, step.folder);
        let io = |doing: &str, error: Errno| setup_error(&path, doing, error);
        let name = OsStr::new(&step.folder);
        let make = || mount_point.make_folder(name, FOLDER_MODE);
        let made = match make() {
            Ok(()) => true,
            Err(Errno::EXIST) if stands_in_the_way(mount_point, name) => {
                mount_point
                    .set_aside(name)
                    .and_then(|()| make())
                    .map_err(|error| io("make", error))?;
                true
            }
            Err(Errno::EXIST) => false,
            Err(error) => return Err(io("make", error)),
        };
        let root = mount_point
            .folder(name)
            .map_err(|error| io("open", error))?;
        Ok(Self {
            step,
            mount_point,
            path,
            root,
            made,
        })
    }

    /// Makes and opens the `.backup` in it.
    fn make_backup(&self) -> Result<Dir> {
        let name = OsStr::new(BACKUP);
        if stands_in_the_way(&self.root, name) {
            self.root
                .set_aside(name)
                .map_err(|error| self.io("make .backup in", error))?;
        }
        self.root.folder_or_new(name, 0o700).map_err(|error| {
            self.undo();
            self.io("make .backup in", error)
        })
    }

    /// What the file system can hold.
    fn probe_backup(&self, backup: &Dir) -> Result<Capabilities> {
        let probe::Probed { capabilities, .. } =
            probe::probe_capabilities(backup).map_err(|error| {
                self.undo();
                self.io("try out", error)
            })?;
        if self.step.need_hard_links && !capabilities.hard_links {
            self.undo();
            return Err(Error::refused(format!(
                "the file system at {} has no hard links, so that every snapshot would be a whole copy",
                self.step.mount_point
            ))
            .hint("use a drive with ext4, xfs or btrfs, or set local.allowFullCopies to true"));
        }
        Ok(capabilities)
    }

    /// Leaves nothing behind in a place that was refused; what has content stays.
    fn undo(&self) {
        let _ = self.root.remove_folder(OsStr::new(BACKUP));
        if self.made {
            let _ = self
                .mount_point
                .remove_folder(OsStr::new(&self.step.folder));
        }
    }

    fn io(&self, doing: &str, error: Errno) -> Error {
        setup_error(&self.path, doing, error)
    }
}

fn setup_error(path: &str, doing: &str, error: Errno) -> Error {
    let error = Error::io(doing, path.as_bytes(), error);
    error.hint("may the user that runs this program write to local.mountPoint?")
}
