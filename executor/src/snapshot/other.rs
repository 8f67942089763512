//! Symlinks, FIFOs, sockets and devices.

use std::os::unix::ffi::OsStrExt as _;

use rustix::io::Errno;

use super::{
    capability_checks, inherit,
    jobs::{BuildItem, FirstName, LinkGroup},
    limits::{ends_attributes, ends_everything},
    worker::Worker,
};
use crate::{
    error::{Error, Result},
    manifest::{Entry, xattrs_digest},
    sys::{
        Dir, Kind, Stat,
        attributes::{self, Attributes},
    },
};

/// Puts an entry that is neither a file nor a folder into the new tree.
pub(super) fn make_special_entry(
    worker: &mut Worker<'_>,
    item: &BuildItem,
    stat: &Stat,
    group: Option<&LinkGroup>,
) -> Result<()> {
    let Some(new) = worker.new_dir()? else {
        return Ok(());
    };
    let basis = item.basis.as_deref();
    let special = SpecialEntry {
        item,
        stat,
        untouched: basis.filter(|basis| {
            worker.build.since(basis).untouched(*basis, stat)
                && !worker.build.doubtful.has(worker.path())
        }),
    };
    let mut entry = Entry::of(worker.path(), stat);
    let Some(attributes) = special.read_source(worker, &mut entry) else {
        return Ok(());
    };
    entry.group = group.map(|group| group.number);
    // What cannot stand there stands in the manifest, and nothing of another entry is touched.
    if capability_checks::why_refused(worker, &new, &item.name)?.is_some() {
        entry.absent = true;
        entry.xattrs_kept = attributes;
        return worker.list(&item.name, &entry);
    }
    // Whoever comes to another name of it waits until the first one is there.
    let mut first = group.map(LinkGroup::first);
    let named = first.as_ref().and_then(|first| first.as_ref());
    let stays = special.stays(worker, &new, named, &mut entry);
    if !stays {
        worker.clear(&new, &item.name)?;
    }
    let linked = stays || special.link_entry(worker, &new, named, &mut entry)?;
    if !linked {
        entry.absent = !make_anew(worker, item, &new, &entry, stat)?;
        let bare = stat.kind == Kind::Symlink && !worker.build.capabilities.symlink_metadata;
        if entry.absent || bare {
            entry.xattrs_kept = attributes;
        } else {
            entry.xattrs_kept = set_attributes(worker, item, &new, attributes)?;
        }
    }
    if let Some(first) = &mut first
        && first.is_none()
    {
        **first = Some(FirstName {
            node: worker.node()?,
            name: item.name.clone(),
            entry: entry.clone(),
        });
    }
    worker.list(&item.name, &entry)
}

/// A special entry, with what is known of it.
struct SpecialEntry<'a> {
    item: &'a BuildItem,
    stat: &'a Stat,
    /// The basis' entry, if it was not touched since.
    untouched: Option<&'a Entry>,
}

impl SpecialEntry<'_> {
    /// Reads where it points to and its attributes, which are given; none where it cannot be read,
    /// which is listed.
    fn read_source(&self, worker: &mut Worker<'_>, entry: &mut Entry) -> Option<Attributes> {
        if let Some(basis) = self.untouched.filter(|basis| basis.xattrs_digest.is_none()) {
            entry.target.clone_from(&basis.target);
            return Some(Attributes::new());
        }
        let (dir, name) = match worker.source(self.item) {
            Ok(found) => found,
            Err(error) => {
                worker.not_read(error);
                return None;
            }
        };
        if self.stat.kind == Kind::Symlink {
            match dir.read_symlink(name) {
                Ok(target) => entry.target = Some(target.as_bytes().to_vec()),
                Err(Errno::INVAL) => {
                    worker.vanished();
                    return None;
                }
                Err(error) => {
                    worker.not_read(error);
                    return None;
                }
            }
        }
        let mut attributes = Attributes::new();
        match attributes::of_entry(&dir, name) {
            Ok(found) => attributes = found,
            Err(Errno::NOENT | Errno::STALE | Errno::NOTDIR | Errno::LOOP) => {
                worker.vanished();
                return None;
            }
            Err(error) => {
                entry.unread = true;
                worker.attributes_not_read(error);
            }
        }
        entry.xattrs_digest = xattrs_digest(&attributes);
        Some(attributes)
    }

    /// Whether it stands there already, as a clone has it from the basis, and as its first name does.
    fn stays(
        &self,
        worker: &mut Worker<'_>,
        new: &Dir,
        first: Option<&FirstName>,
        entry: &mut Entry,
    ) -> bool {
        let name = &self.item.name;
        if !self.item.node.may_hold_others() || !self.is_as_basis(entry) {
            return false;
        }
        let stays = match first {
            None => inherit::is_there(worker, new, name),
            Some(first) => {
                let of_first = first.node.new.open().and_then(|dir| dir.stat(&first.name));
                match (of_first, new.stat(name)) {
                    (Ok(first), Ok(there)) => there.same_inode(&first),
                    _ => false,
                }
            }
        };
        if let Some(basis) = self.untouched.filter(|_| stays) {
            entry.xattrs_kept.clone_from(&basis.xattrs_kept);
        }
        stays
    }

    /// Whether it is what the basis has.
    fn is_as_basis(&self, entry: &Entry) -> bool {
        self.untouched.is_some_and(|basis| {
            basis.tree == 0
                && !basis.absent
                && basis.stored_name() == self.item.name
                && basis.target == entry.target
                && basis.xattrs_digest == entry.xattrs_digest
        })
    }

    /// Links it to its first name or to the basis, where that has the same; says whether it did.
    fn link_entry(
        &self,
        worker: &mut Worker<'_>,
        new: &Dir,
        first: Option<&FirstName>,
        entry: &mut Entry,
    ) -> Result<bool> {
        let mut linked = false;
        if let Some(first) = first {
            linked = !first.entry.absent
                && worker.build.capabilities.hard_links
                && link_to_first(worker, self.item, new, first)?;
            if linked {
                entry.xattrs_kept.clone_from(&first.entry.xattrs_kept);
            }
        } else if let Some(basis) = self.untouched.filter(|basis| basis.tree == 0)
            && basis.target == entry.target
            && basis.xattrs_digest == entry.xattrs_digest
        {
            linked = link_to_basis(worker, self.item, new)?;
            if linked {
                entry.xattrs_kept.clone_from(&basis.xattrs_kept);
            }
        }
        Ok(linked)
    }
}

/// Sets the attributes of an entry that was made; gives those that it does not hold.
fn set_attributes(
    worker: &Worker<'_>,
    item: &BuildItem,
    new: &Dir,
    attributes: Attributes,
) -> Result<Attributes> {
    let mut all_set = true;
    for (attribute, value) in &attributes {
        match attributes::set_entry(new, &item.name, attribute, value) {
            Ok(()) => {}
            Err(error) if ends_attributes(error) => {
                return Err(Error::io("store an attribute of", &worker.here(), error));
            }
            Err(_) => all_set = false,
        }
    }
    let held = || attributes::of_entry(new, &item.name);
    Ok(worker.build.not_held(attributes, all_set, held))
}

/// Gives the entry the inode of its first name.
fn link_to_first(
    worker: &Worker<'_>,
    item: &BuildItem,
    new: &Dir,
    first: &FirstName,
) -> Result<bool> {
    let dir = first
        .node
        .new
        .open()
        .map_err(|error| Error::io("open", &worker.here(), error))?;
    match new.link_from(&dir, &first.name, &item.name) {
        Ok(()) => Ok(true),
        Err(error) if ends_everything(error) => Err(Error::io("link", &worker.here(), error)),
        Err(_) => Ok(false),
    }
}

/// Whether a stored entry looks as it is made for one of the source: what could not be set on it was told
/// once, and would be wrong in each snapshot that is linked to it.
fn is_as_made(worker: &Worker<'_>, source: &Stat, found: &Stat) -> bool {
    let build = worker.build;
    let can = &build.capabilities;
    let is_link = source.kind == Kind::Symlink;
    let is_device = matches!(source.kind, Kind::CharDevice | Kind::BlockDevice);
    if found.kind != source.kind || (is_device && found.device != source.device) {
        return false;
    }
    if is_link && !can.symlink_metadata {
        return true;
    }
    let owners = build.sets_owners();
    // Linux knows no modes of symlinks.
    let modes = can.modes && !is_link;
    let mode = build.mode_there(source.kind, source.mode);
    build.is_time(found, source.mtime)
        && (!owners || (found.uid, found.gid) == (source.uid, source.gid))
        && (!modes || (found.mode ^ mode) & 0o777 == 0)
}

/// Gives the entry the basis' inode.
fn link_to_basis(worker: &mut Worker<'_>, item: &BuildItem, new: &Dir) -> Result<bool> {
    let Some(basis) = worker.basis_dir() else {
        return Ok(false);
    };
    let super::jobs::ItemKind::Other(stat, _) = &item.what else {
        return Ok(false);
    };
    let name = item.basis.as_ref().map(|entry| entry.stored_name());
    let name = name.unwrap_or(&item.name);
    let is_it = basis
        .stat(name)
        .is_ok_and(|found| is_as_made(worker, stat, &found) && !worker.build.never_link(found.ino));
    if !is_it {
        return Ok(false);
    }
    match new.link_from(&basis, name, &item.name) {
        Ok(()) => Ok(true),
        Err(error) if ends_everything(error) => Err(Error::io("link", &worker.here(), error)),
        Err(_) => Ok(false),
    }
}

/// Whether an error says that this very entry is beyond a file system that holds others of its kind, tonight as
/// in each other night: the target of a symlink is too long for it (XFS holds 1024 bytes), a kind of file is
/// unknown to it. The manifest holds it instead.
fn is_beyond(error: Errno) -> bool {
    matches!(
        error,
        Errno::NAMETOOLONG | Errno::INVAL | Errno::NOTSUP | Errno::NOSYS
    )
}

/// Makes the entry anew; says whether it is there. What is not stands in the manifest and comes back from
/// there; where the destination could hold it, that is a problem.
fn make_anew(
    worker: &mut Worker<'_>,
    item: &BuildItem,
    new: &Dir,
    entry: &Entry,
    stat: &Stat,
) -> Result<bool> {
    if !entry.kind.is_held(&worker.build.capabilities) {
        return Ok(false);
    }
    let name = &item.name;
    let made = match &entry.target {
        Some(target) => new.make_symlink(std::ffi::OsStr::from_bytes(target), name),
        None => new.make_special(name, entry.kind, stat.device),
    };
    match made {
        Ok(()) => {}
        Err(error) if is_beyond(error) => return Ok(false),
        Err(error) => {
            worker.not_stored("make it", error)?;
            return Ok(false);
        }
    }
    if !capability_checks::is_made(new, name, entry.kind)? {
        return Ok(false);
    }
    let build = worker.build;
    if entry.kind == Kind::Symlink && !build.capabilities.symlink_metadata {
        return Ok(true);
    }
    let mut faults = Vec::new();
    if build.sets_owners()
        && let Err(error) = new.set_owner(name, entry.uid, entry.gid)
        && build.capabilities.owners
    {
        faults.push(("set the owner", error));
    }
    if entry.kind != Kind::Symlink
        && let Err(error) = new.set_mode_of(name, entry.mode)
        && build.capabilities.modes
    {
        faults.push(("set the mode", error));
    }
    for (doing, error) in faults {
        worker.not_stored(doing, error)?;
    }
    worker.time_set(new.set_mtime(name, entry.mtime))?;
    Ok(true)
}
