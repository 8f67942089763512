//! Whether what is stored has the metadata that the manifest says, as far as it can be held.

use chrono::DateTime;
use rustix::io::Errno;
use schema::record::Capabilities;

use crate::{
    manifest::{Entry, xattrs_digest},
    sys::{
        Kind, Stat,
        attributes::Attributes,
        stat::{Nanos, same_time},
    },
};

/// Attributes that file systems and the kernel add by themselves.
pub(super) const OWN: [&[u8]; 6] = [
    b"security.selinux",
    b"system.nfs4_acl",
    b"system.nfs4_dacl",
    b"system.nfs4_sacl",
    b"system.ntfs_acl",
    b"system.ntfs_attrib",
];

/// What of the metadata a snapshot can be expected to hold.
#[derive(Debug, Clone, Copy)]
pub(super) struct Holds {
    mode_mask: u32,
    owners: bool,
    xattrs: bool,
    acls: bool,
    times: bool,
    time_step_ns: u32,
    symlink_metadata: bool,
    by_root: bool,
    /// The destination gives what is made in it access control lists of its own.
    acls_of_its_own: bool,
}

impl Holds {
    /// What a destination holds of a snapshot whose own entry is this one.
    ///
    /// A snapshot's own folder belongs to whoever made it, and only root can give files away and
    /// set every bit.
    pub(super) fn new(can: &Capabilities, root: Option<&Entry>) -> Self {
        let by_root = root.is_some_and(|root| root.uid == 0);
        // Where root is nobody, owners were given the right to read.
        let given = if can.tried_as_root && !can.owners {
            0o500
        } else {
            0
        };
        Self {
            mode_mask: match (can.modes, by_root) {
                (false, _) => 0,
                (true, true) => 0o7777 & !given,
                (true, false) => 0o1777 & !given,
            },
            owners: can.owners && by_root,
            xattrs: can.xattrs,
            acls: can.acls,
            times: can.times,
            time_step_ns: can.time_step_ns,
            symlink_metadata: can.symlink_metadata,
            by_root,
            acls_of_its_own: false,
        }
    }

    /// The same for a snapshot whose own folder has these attributes.
    pub(super) fn below(self, root: &Attributes) -> Self {
        let acls_of_its_own = root
            .iter()
            .any(|(name, _)| name == b"system.posix_acl_default");
        Self {
            acls_of_its_own,
            ..self
        }
    }
}

/// What differs in mode, owner and time, one phrase each.
pub(super) fn compare_metadata(entry: &Entry, stat: &Stat, holds: Holds) -> Vec<String> {
    let mut faults = Vec::new();
    if entry.kind == Kind::Symlink && !holds.symlink_metadata {
        return faults;
    }
    // Linux knows no modes of symlinks.
    if entry.kind != Kind::Symlink && (entry.mode ^ stat.mode) & holds.mode_mask != 0 {
        faults.push(format!(
            "mode is {:04o}, should be {:04o}",
            stat.mode, entry.mode
        ));
    }
    if holds.owners && (entry.uid, entry.gid) != (stat.uid, stat.gid) {
        faults.push(format!(
            "owner is {}:{}, should be {}:{}",
            stat.uid, stat.gid, entry.uid, entry.gid
        ));
    }
    // The snapshot's own folder is renamed when it is published and when it moves.
    if !entry.path.is_empty()
        && holds.times
        && !same_time(stat.mtime, entry.mtime, holds.time_step_ns)
    {
        faults.push(format!(
            "time is {}, should be {}",
            format_time(stat.mtime),
            format_time(entry.mtime)
        ));
    }
    faults
}

fn format_time(nanos: Nanos) -> String {
    const SECOND: Nanos = 1_000_000_000;
    let seconds = i64::try_from(nanos.div_euclid(SECOND)).unwrap_or(i64::MAX);
    let rest = u32::try_from(nanos.rem_euclid(SECOND)).unwrap_or(0);
    DateTime::from_timestamp(seconds, rest).map_or_else(
        || format!("{seconds}.{rest:09}"),
        |time| time.format("%Y-%m-%d %H:%M:%S%.9f UTC").to_string(),
    )
}

/// What is wrong with the extended attributes, if anything is.
pub(super) fn compare_attributes(
    entry: &Entry,
    stored: Result<Attributes, Errno>,
    holds: Holds,
) -> Option<String> {
    // The snapshot's own folder has what the place it is in gives it.
    if !holds.xattrs || entry.path.is_empty() {
        return None;
    }
    let stored = match stored {
        Ok(stored) => stored,
        // Whoever may not look at them cannot say that they are wrong.
        Err(Errno::ACCESS | Errno::PERM | Errno::NOTSUP) => return None,
        Err(error) => {
            return Some(format!(
                "extended attributes cannot be read: {}",
                crate::error::system_reason(&error.into())
            ));
        }
    };
    // What a normal user cannot set on a folder is not kept in the manifest either.
    let loose = entry.kind == Kind::Folder && !(holds.acls && holds.by_root);
    let without_acls = |mut stored: Attributes| {
        stored.retain(|(name, _)| !name.starts_with(b"system.posix_acl_"));
        stored
    };
    let right = loose
        || is_right(entry, stored.clone())
        || (holds.acls_of_its_own && is_right(entry, without_acls(stored)));
    (!right).then(|| "extended attributes are not as they were".to_owned())
}

/// Whether stored attributes, with those that the manifest keeps, are the source's.
pub(crate) fn is_right(entry: &Entry, stored: Attributes) -> bool {
    if stored.is_empty() && entry.xattrs_kept.is_empty() {
        return entry.xattrs_digest.is_none();
    }
    let mut all = stored;
    for kept in &entry.xattrs_kept {
        if !all.iter().any(|(name, _)| *name == kept.0) {
            all.push(kept.clone());
        }
    }
    all.sort_unstable();
    if xattrs_digest(&all) == entry.xattrs_digest {
        return true;
    }
    all.retain(|(name, _)| !OWN.contains(&name.as_slice()));
    xattrs_digest(&all) == entry.xattrs_digest
}

/// What an entry is, for people.
pub(super) fn kind_noun(kind: Kind) -> &'static str {
    match kind {
        Kind::File => "a file",
        Kind::Folder => "a folder",
        Kind::Symlink => "a symlink",
        Kind::Fifo => "a fifo",
        Kind::Socket => "a socket",
        Kind::CharDevice => "a character device",
        Kind::BlockDevice => "a block device",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(text: &str) -> Entry {
        Entry::from_line(text).unwrap()
    }

    #[test]
    fn what_a_destination_cannot_hold_is_not_expected_of_it() {
        let temporary = tempfile::tempdir().unwrap();
        let path = temporary.path().join("file");
        std::fs::write(&path, "x").unwrap();
        let file = std::fs::File::open(&path).unwrap();
        let stat = Stat::of_fd(&file).unwrap();
        let other = entry("./file type=file mode=7777 uid=77 gid=77 size=1 time=5.000000000");
        let can = Capabilities::of_type("vfat").unwrap();
        let by_root = entry(". type=dir mode=0755 uid=0 gid=0");
        let near = Entry {
            mtime: stat.mtime + 1_000_000_000,
            ..other.clone()
        };
        let none: Vec<String> = Vec::new();
        assert_eq!(
            compare_metadata(&near, &stat, Holds::new(&can, Some(&by_root))),
            none
        );
        let all = Capabilities {
            modes: true,
            owners: true,
            xattrs: true,
            time_step_ns: 1,
            ..can
        };
        assert_eq!(
            compare_metadata(&other, &stat, Holds::new(&all, Some(&by_root))).len(),
            3
        );
        let by_user = entry(". type=dir mode=0755 uid=1000 gid=0");
        assert_eq!(
            compare_metadata(&other, &stat, Holds::new(&all, Some(&by_user))).len(),
            2
        );
    }

    #[test]
    fn kept_attributes_and_the_kernels_own_are_no_difference() {
        let named = |name: &[u8]| (name.to_vec(), b"1".to_vec());
        let both = vec![named(b"trusted.b"), named(b"user.a")];
        let mut entry = entry("./file type=file");
        entry.xattrs_digest = xattrs_digest(&both);
        assert!(is_right(&entry, both.clone()));
        assert!(!is_right(&entry, vec![named(b"user.a")]));
        entry.xattrs_kept = vec![named(b"trusted.b")];
        assert!(is_right(&entry, vec![named(b"user.a")]));
        let labelled = vec![named(b"security.selinux"), named(b"user.a")];
        assert!(is_right(&entry, labelled));
        assert!(!is_right(&entry, vec![named(b"user.c")]));
        assert!(!is_right(&entry, Vec::new()));
        // So those need not be read where there are to be none.
        entry.xattrs_digest = None;
        entry.xattrs_kept = Attributes::new();
        for attribute in OWN {
            assert!(is_right(&entry, vec![named(attribute)]));
        }
        assert!(is_right(&entry, Vec::new()));
        assert!(!is_right(&entry, vec![named(b"user.a")]));
    }
}
