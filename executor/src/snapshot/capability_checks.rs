//! Capability checks before each entry is created: what of it the destination can hold.
//!
//! Invariant: no entry takes the place of another that differs only in spelling. Where names may
//! be one, the file system itself is asked, because its rules are its own; entries are made one
//! after the other then.

use std::ffi::OsStr;

use rustix::io::Errno;
use schema::escape;

use super::{build_context::BuildContext, worker::Worker};
use crate::{
    error::{Error, Result},
    sys::{Dir, Kind, Stat, attributes::Attributes, bytes, mounts, stat::same_time},
};

/// Why no entry of this name can be made in the folder at hand; none where it can.
pub(super) fn why_refused(worker: &Worker<'_>, new: &Dir, name: &OsStr) -> Result<Option<String>> {
    let can = &worker.build.capabilities;
    let because = can.refuses_name(bytes(name));
    if because.is_some() || !can.folds_names() || !is_name_taken(worker, new, name)? {
        return Ok(because);
    }
    Ok(Some(same_as_another(worker, new, name)))
}

/// Whether another name of the folder at hand is this one to the destination.
fn is_name_taken(worker: &Worker<'_>, new: &Dir, name: &OsStr) -> Result<bool> {
    let is_there = || new.look(name).is_ok_and(|found| found.is_some());
    let node = worker.node()?;
    if !node.is_continued() {
        return Ok(is_there());
    }
    let mut left = node.left();
    let left = left.get_or_insert_with(|| new.names().unwrap_or_default().into_iter().collect());
    if !is_there() || left.contains(name) {
        return Ok(false);
    }
    // A name that an interrupted run left in another spelling is in nobody's way.
    worker.remove_others(&node, new)?;
    left.clear();
    Ok(is_there())
}

/// Says that a name is another one's, and whose where that can be told.
fn same_as_another(worker: &Worker<'_>, new: &Dir, name: &OsStr) -> String {
    let can = &worker.build.capabilities;
    let folded = can.folded(bytes(name));
    let names = new.names().unwrap_or_default();
    let other = names
        .into_iter()
        .find(|other| other != name && folded.is_some() && can.folded(bytes(other)) == folded);
    match other {
        Some(other) => format!(
            "its name differs from {} only in case, and the destination takes both for one",
            escape::display(bytes(&other))
        ),
        None => "the destination takes its name and another one in this folder for one".to_owned(),
    }
}

impl BuildContext<'_> {
    /// Whether an extended attribute is surely given back as it is set: whether its kind was tried
    /// out when the destination was first used.
    pub(super) fn surely_holds(&self, attribute: &[u8]) -> bool {
        let tried = attribute.starts_with(b"user.") || attribute.starts_with(b"system.posix_acl_");
        tried && self.capabilities.holds_attribute(attribute)
    }

    /// Which of the attributes that were set are not held; some file systems drop them without a
    /// word, so what was not tried out is looked for.
    pub(super) fn not_held(
        &self,
        mut wanted: Attributes,
        all_set: bool,
        held: impl FnOnce() -> std::result::Result<Attributes, Errno>,
    ) -> Attributes {
        if all_set && wanted.iter().all(|(name, _)| self.surely_holds(name)) {
            return Attributes::new();
        }
        let held = held().unwrap_or_default();
        wanted.retain(|one| !held.contains(one));
        wanted
    }

    /// Whether owners are set: whoever may not set one, as root on a server that takes it for nobody,
    /// need not try with each file.
    pub(super) fn sets_owners(&self) -> bool {
        self.privileged && self.capabilities.owners
    }

    /// The mode that an entry gets on the destination. Where root is nobody, what the owner may
    /// not read nobody could restore: the manifest has the true mode.
    pub(super) fn mode_there(&self, kind: Kind, mode: u32) -> u32 {
        let squashed = self.privileged && self.capabilities.modes && !self.capabilities.owners;
        match kind {
            Kind::Folder if squashed => mode | 0o500,
            Kind::File if squashed => mode | 0o400,
            _ => mode,
        }
    }

    /// Whether a time on the destination is the one that was set.
    pub(super) fn is_time(&self, found: &Stat, given: i128) -> bool {
        let can = &self.capabilities;
        !can.times || same_time(found.mtime, given, can.time_step_ns)
    }
}

impl Worker<'_> {
    /// A time that cannot be set is a problem where times are held.
    pub(super) fn time_set(&mut self, set: std::result::Result<(), Errno>) -> Result<()> {
        match set {
            Err(error) if self.build.capabilities.times => self.not_stored("set the time", error),
            _ => Ok(()),
        }
    }

    /// Makes an entry durable where only this does it.
    pub(super) fn sync_one(&self, sync: impl FnOnce() -> std::io::Result<()>) -> Result<()> {
        if !self.build.one_by_one {
            return Ok(());
        }
        sync().map_err(|error| {
            self.build.sync_failed();
            Error::io("sync", &self.here(), error).hint(
                "the destination could not store what was written; the next run copies it again",
            )
        })
    }
}

/// Whether a folder's file system ends `syncfs` without a word to whoever keeps its content, so
/// that each file and folder must be synced by itself: the kernel does so with FUSE, unless it
/// has a disk of its own below.
pub(super) fn syncs_one_by_one(dir: &Dir) -> bool {
    let mounts = mounts::all_mounts().unwrap_or_default();
    let stat = dir.stat_self();
    let mount = stat.ok().and_then(|stat| mounts::mount_of(&mounts, &stat));
    mount.is_some_and(|mount| {
        let kind = mount.file_system.as_str();
        kind == "fuse" || kind.starts_with("fuse.")
    })
}

/// Whether an entry was made as what it should be: some file systems make a file of everything.
pub(super) fn is_made(dir: &Dir, name: &OsStr, kind: Kind) -> Result<bool> {
    if kind == Kind::Symlink {
        return Ok(true);
    }
    let found = dir
        .look(name)
        .map_err(|error| Error::io("look at", bytes(name), error))?;
    if found.is_some_and(|found| found.kind == kind) {
        return Ok(true);
    }
    if found.is_some() {
        let _ = dir.remove_file(name);
    }
    Ok(false)
}
