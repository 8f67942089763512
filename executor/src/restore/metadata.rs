//! Giving a restored entry its owner, attributes, mode and time, in the order that keeps them.
//!
//! A change of owner takes set-id bits and capabilities away, so it comes first; the time comes
//! last. Entries that cannot be opened are reached through `/proc/self/fd`, never by name again.

use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd};

use rustix::{
    fs::{
        AtFlags, CWD, Gid, Mode, Timespec, Timestamps, UTIME_OMIT, Uid, XattrFlags, chmodat,
        chownat, fgetxattr_query, fremovexattr, removexattr, setxattr, utimensat,
    },
    io::Errno,
    process::geteuid,
};

use schema::escape::display;

use super::{item::RestoreItem, place::Holds, rights, vouching};
use crate::{
    error::system_reason,
    sys::{Kind, Stat, attributes, attributes::Attributes, open, owners, stat::Nanos},
};

const SECOND: Nanos = 1_000_000_000;
const ACL: &[u8] = b"system.posix_acl_access";
const DEFAULT_ACL: &[u8] = b"system.posix_acl_default";

/// What did not go as it should.
#[derive(Debug, Default)]
pub(super) struct Faults {
    /// The owner was not set because only root may.
    pub(super) owner_left: bool,
    /// What the target's file system cannot hold.
    pub(super) limits: Limits,
    /// Its capabilities are left out: nothing vouches for them.
    pub(super) capabilities_withheld: bool,
    /// Why it is no hard link of its first name, in a sentence.
    pub(super) apart: Option<String>,
    /// The rest, in sentences.
    pub(super) sentences: Vec<String>,
}

/// The attributes that an entry is to get.
#[derive(Debug, Default)]
pub(super) struct WantedAttributes {
    pub(super) all: Attributes,
    /// Why those in the tree could not be read.
    pub(super) fault: Option<Errno>,
    /// There are capabilities among them that nothing vouches for; they are left out.
    pub(super) capabilities_withheld: bool,
}

/// What of an entry its file system cannot hold beside its content.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Limits {
    pub(super) owner: bool,
    pub(super) mode: bool,
    pub(super) time: bool,
    pub(super) attributes: bool,
    /// Its being one file with another name.
    pub(super) link: bool,
}

impl Faults {
    fn add(&mut self, what: &str, error: Errno) {
        self.sentences.push(format!(
            "cannot set its {what}: {}",
            system_reason(&error.into())
        ));
    }

    /// That it could not be looked at, so that nobody knows whether its time is right.
    pub(super) fn unseen(&mut self, error: Errno) {
        self.sentences.push(format!(
            "cannot look at it: {}",
            system_reason(&error.into())
        ));
    }

    /// What could not be had of the attributes that an entry is to get.
    pub(super) fn of_attributes(&mut self, found: &WantedAttributes) {
        if let Some(error) = found.fault {
            self.sentences.push(format!(
                "cannot read its attributes: {}",
                system_reason(&error.into())
            ));
        }
        self.capabilities_withheld |= found.capabilities_withheld;
    }

    /// Something that may not go because the file system has no such thing.
    fn add_or_limit(
        &mut self,
        what: &str,
        error: Errno,
        held: bool,
        limit: impl Fn(&mut Limits) -> &mut bool,
    ) {
        if !held || matches!(error, Errno::NOTSUP | Errno::NOSYS) {
            *limit(&mut self.limits) = true;
        } else {
            self.add(what, error);
        }
    }
}

/// An entry without its final metadata.
#[derive(Clone, Copy)]
pub(super) enum Handle<'a> {
    /// An open file or folder.
    Open(BorrowedFd<'a>),
    /// A descriptor that only names an entry (`O_PATH`).
    Named(BorrowedFd<'a>),
}

impl Handle<'_> {
    fn fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Open(fd) | Self::Named(fd) => *fd,
        }
    }

    fn path(fd: &BorrowedFd<'_>) -> String {
        format!("/proc/self/fd/{}", fd.as_raw_fd())
    }

    fn set_owner(&self, uid: u32, gid: u32) -> Result<(), Errno> {
        match self {
            Self::Open(fd) => open::set_owner(fd, uid, gid),
            Self::Named(fd) => chownat(
                fd,
                "",
                Some(Uid::from_raw(uid)),
                Some(Gid::from_raw(gid)),
                AtFlags::EMPTY_PATH,
            ),
        }
    }

    fn set_attribute(&self, name: &[u8], value: &[u8]) -> Result<(), Errno> {
        match self {
            Self::Open(fd) => attributes::set_fd(fd, name, value),
            Self::Named(fd) => setxattr(Self::path(fd), name, value, XattrFlags::empty()),
        }
    }

    fn remove_attribute(&self, name: &[u8]) -> Result<(), Errno> {
        match self {
            Self::Open(fd) => fremovexattr(fd, name),
            Self::Named(fd) => removexattr(Self::path(fd), name),
        }
    }

    fn set_mode(&self, mode: u32) -> Result<(), Errno> {
        match self {
            Self::Open(fd) => open::set_mode(fd, mode),
            Self::Named(fd) => chmodat(
                CWD,
                Self::path(fd),
                Mode::from_raw_mode(mode),
                AtFlags::empty(),
            ),
        }
    }

    fn set_mtime(&self, mtime: Nanos) -> Result<(), Errno> {
        match self {
            Self::Open(fd) => open::set_mtime(fd, mtime),
            Self::Named(fd) => {
                let times = Timestamps {
                    last_access: Timespec {
                        tv_sec: 0,
                        tv_nsec: UTIME_OMIT,
                    },
                    last_modification: Timespec {
                        tv_sec: i64::try_from(mtime.div_euclid(SECOND)).unwrap_or(i64::MAX),
                        tv_nsec: i64::try_from(mtime.rem_euclid(SECOND)).unwrap_or(0),
                    },
                };
                utimensat(CWD, Self::path(fd), &times, AtFlags::empty())
            }
        }
    }
}

/// The attributes that a restored entry gets: what the tree holds and what only the manifest
/// could.
pub(super) fn wanted_attributes(
    item: &RestoreItem,
    stored: impl FnOnce() -> Result<Attributes, Errno>,
) -> WantedAttributes {
    let mut all = item.wanted.xattrs_kept.clone();
    // Without them on the source, those in the tree are the destination's own.
    let (stored, fault) = if item.listed && item.wanted.xattrs_digest.is_none() {
        (Attributes::new(), None)
    } else {
        match stored() {
            Ok(stored) => (stored, None),
            Err(error) => (Attributes::new(), Some(error)),
        }
    };
    for (name, value) in &stored {
        if is_portable(name) && !all.iter().any(|(known, _)| known == name) {
            all.push((name.clone(), value.clone()));
        }
    }
    WantedAttributes {
        capabilities_withheld: vouching::withhold_capabilities(item, &stored, &mut all),
        all,
        fault,
    }
}

/// Whether an attribute is of the entry and not of the file system it is on.
fn is_portable(name: &[u8]) -> bool {
    name == ACL
        || name == DEFAULT_ACL
        || [&b"user."[..], b"security.", b"trusted."]
            .iter()
            .any(|space| name.starts_with(space))
}

/// Takes away the access control lists that a new entry got from the folder it is in.
pub(super) fn clear_inherited(handle: &Handle<'_>) {
    for name in [ACL, DEFAULT_ACL] {
        // Not there, or not known: both are as wanted.
        let _ = handle.remove_attribute(name);
    }
}

/// Whether new entries of a folder get an access control list from it.
pub(super) fn passes_acl_on(fd: impl AsFd) -> bool {
    fgetxattr_query(fd, DEFAULT_ACL).is_ok()
}

/// Takes away the attributes of an entry that was there before and is not to have them.
pub(super) fn remove_spare(handle: &Handle<'_>, names: &[Vec<u8>], faults: &mut Faults) {
    for name in names {
        match handle.remove_attribute(name) {
            Ok(()) | Err(Errno::NODATA) => {}
            Err(error) => faults.add(&format!("attribute {}", display(name)), error),
        }
    }
}

/// Sets owner, attributes and mode, with more permission bits than it had.
pub(super) fn apply_metadata(
    handle: &Handle<'_>,
    item: &RestoreItem,
    attributes: &Attributes,
    more_mode: u32,
    holds: Holds,
    faults: &mut Faults,
) {
    let may_have = apply_owner(handle, item, holds, faults);
    apply_rest(handle, item, attributes, more_mode, may_have, holds, faults);
}

/// The same for an entry that we made where nobody else could come to it, so that it is ours.
pub(super) fn apply_metadata_to_ours(
    handle: &Handle<'_>,
    item: &RestoreItem,
    attributes: &Attributes,
    more_mode: u32,
    holds: Holds,
    faults: &mut Faults,
) {
    let may_have = apply_owner_to_ours(handle, item, holds, faults);
    apply_rest(handle, item, attributes, more_mode, may_have, holds, faults);
}

/// Ends a file that we made where nobody else could come to it, and that has no attributes. Its mode comes
/// last: until then it has [`super::names::UNFINISHED_MODE`], and with it all else.
pub(super) fn finish_ours(
    handle: &Handle<'_>,
    item: &RestoreItem,
    holds: Holds,
    faults: &mut Faults,
) {
    let may_have = apply_owner_to_ours(handle, item, holds, faults);
    let timed = handle.set_mtime(item.wanted.mtime);
    apply_mode(handle, item.wanted.mode & may_have, holds, faults);
    match timed {
        Ok(()) => look_at_limits(handle, item, holds, faults),
        Err(error) => faults.add("time", error),
    }
}

/// Sets the owner of an entry that is ours; gives the permission bits that it may have then.
fn apply_owner_to_ours(
    handle: &Handle<'_>,
    item: &RestoreItem,
    holds: Holds,
    faults: &mut Faults,
) -> u32 {
    let wanted = &item.wanted;
    match (wanted.uid, wanted.gid) == *owners::OURS {
        true => 0o7777,
        false => apply_owner(handle, item, holds, faults),
    }
}

/// Sets the owner; gives the permission bits that the entry may have then.
fn apply_owner(handle: &Handle<'_>, item: &RestoreItem, holds: Holds, faults: &mut Faults) -> u32 {
    let wanted = &item.wanted;
    let Err(error) = handle.set_owner(wanted.uid, wanted.gid) else {
        return 0o7777;
    };
    if error == Errno::PERM && !geteuid().is_root() {
        faults.owner_left = true;
    } else {
        let what = format!("owner {}:{}", wanted.uid, wanted.gid);
        faults.add_or_limit(&what, error, holds.owners, |limits| &mut limits.owner);
    }
    // A set-id bit is a grant of its owner's rights, not of ours.
    0o1777
}

/// Sets attributes and mode, which come after the owner.
fn apply_rest(
    handle: &Handle<'_>,
    item: &RestoreItem,
    attributes: &Attributes,
    more_mode: u32,
    may_have: u32,
    holds: Holds,
    faults: &mut Faults,
) {
    let wanted = &item.wanted;
    for (name, value) in attributes {
        if let Err(error) = handle.set_attribute(name, value) {
            let what = format!("attribute {}", display(name));
            faults.add_or_limit(&what, error, true, |limits| &mut limits.attributes);
        }
    }
    if wanted.kind == Kind::Symlink {
        return;
    }
    apply_mode(handle, (wanted.mode | more_mode) & may_have, holds, faults);
}

fn apply_mode(handle: &Handle<'_>, mode: u32, holds: Holds, faults: &mut Faults) {
    if let Err(error) = handle.set_mode(mode) {
        let what = format!("mode {mode:04o}");
        faults.add_or_limit(&what, error, holds.modes, |limits| &mut limits.mode);
    }
}

/// Sets the time, after everything else, and looks at what became of all that was set: some file
/// systems take what they do not keep.
pub(super) fn apply_time(
    handle: &Handle<'_>,
    item: &RestoreItem,
    holds: Holds,
    faults: &mut Faults,
) {
    match handle.set_mtime(item.wanted.mtime) {
        Ok(()) => look_at_limits(handle, item, holds, faults),
        Err(error) => faults.add("time", error),
    }
}

/// Notes what the file system did not keep of what was set.
fn look_at_limits(handle: &Handle<'_>, item: &RestoreItem, holds: Holds, faults: &mut Faults) {
    let wanted = &item.wanted;
    let Ok(there) = Stat::of_fd(handle.fd()) else {
        return;
    };
    let apart = (there.mtime - wanted.mtime).abs();
    faults.limits.time |= apart >= SECOND && apart >= Nanos::from(holds.time_step_ns);
    if faults.owner_left || !faults.sentences.is_empty() {
        return;
    }
    for differs in rights::differing_rights(wanted, &there, holds) {
        match differs {
            "mode" => faults.limits.mode = true,
            _ => faults.limits.owner = true,
        }
    }
}
