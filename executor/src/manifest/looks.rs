//! What of an entry tells whether its source is as it was: numbers only, nothing that is allocated.

use super::Entry;
use crate::{
    copy::WORTH_COMPARING,
    sys::{Kind, Stat, stat::Nanos},
};

/// What a manifest says of an entry's source, but for names and content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Looks {
    /// What it is.
    pub kind: Kind,
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Size in bytes; of regular files only.
    pub size: u64,
    /// Time of the last change of content.
    pub mtime: Nanos,
    /// Time of the last change of content or metadata.
    pub ctime: Nanos,
    /// Inode number.
    pub ino: u64,
    /// Numbers of a device.
    pub device: Option<(u32, u32)>,
    /// Its content is known by its digest.
    pub has_digest: bool,
    /// It has content that some snapshot stored.
    pub is_stored: bool,
    /// It kept changing while it was read.
    pub torn: bool,
    /// Its attributes, or the names in it, could not be read.
    pub unread: bool,
    /// The destination could not hold an entry of this kind.
    pub absent: bool,
    /// Which of several manifests that are read together it is of.
    pub tree: u8,
}

impl From<&Entry> for Looks {
    fn from(entry: &Entry) -> Self {
        Self {
            kind: entry.kind,
            mode: entry.mode,
            uid: entry.uid,
            gid: entry.gid,
            size: entry.size,
            mtime: entry.mtime,
            ctime: entry.ctime,
            ino: entry.ino,
            device: entry.device,
            has_digest: entry.digest.is_some(),
            is_stored: entry.stored.is_some(),
            torn: entry.torn,
            unread: entry.unread,
            absent: entry.absent,
            tree: entry.tree,
        }
    }
}

impl Looks {
    /// Whether a source looks as it did when the entry was made: what it is, its size, time, mode and
    /// owner.
    #[must_use]
    pub fn looks_like(&self, stat: &Stat) -> bool {
        self.kind == stat.kind
            && (self.kind != Kind::File || self.size == stat.size)
            && self.mtime == stat.mtime
            && self.mode == stat.mode
            && self.uid == stat.uid
            && self.gid == stat.gid
            && self.device.is_none_or(|device| device == stat.device)
    }

    /// Whether a source has the content that the entry describes although its mode, owner or
    /// attributes are other ones: the same inode with the same size and time of content.
    #[must_use]
    pub fn same_content(&self, stat: &Stat) -> bool {
        self.ino == stat.ino && self.may_have_content(stat)
    }

    /// Whether a source may have the content that the entry describes: reading alone could tell, or
    /// nothing need be read. If not, its content surely is another one.
    #[must_use]
    pub fn may_have_content(&self, stat: &Stat) -> bool {
        self.kind == stat.kind
            && self.size == stat.size
            && self.mtime == stat.mtime
            && self.has_digest
            && !self.torn
            && !self.absent
    }

    /// Whether a source that has changed is compared with the stored file, to share the blocks of it
    /// that are the same.
    #[must_use]
    pub fn may_share_blocks(&self, stat: &Stat) -> bool {
        self.kind == Kind::File
            && stat.kind == Kind::File
            && self.is_stored
            && !self.absent
            && self.size.min(stat.size) >= WORTH_COMPARING
    }

    /// Whether a source has the inode, the looks and the `ctime` of the entry. Whether that proves
    /// that nothing was done to it depends on when it was read: [`crate::survey::Since`].
    #[must_use]
    pub fn untouched(&self, stat: &Stat) -> bool {
        let whole = !self.torn && !self.unread;
        self.looks_like(stat) && self.ino == stat.ino && self.ctime == stat.ctime && whole
    }
}

#[cfg(test)]
mod tests {
    use schema::StoredPath;

    use super::*;

    /// The looks of a file, and what its source is when something is done to either.
    fn after(change: impl FnOnce(&mut Looks, &mut Stat)) -> (Looks, Stat) {
        let stat = Stat::of(rustix::fs::CWD, "/proc/self/exe").unwrap();
        let mut stat = Stat {
            kind: Kind::File,
            device: (0, 0),
            ..stat
        };
        let mut looks = Looks::from(&Entry::of(StoredPath::new("a"), &stat));
        looks.has_digest = true;
        change(&mut looks, &mut stat);
        (looks, stat)
    }

    #[test]
    fn a_file_that_anything_was_done_to_is_not_untouched() {
        let untouched = |change: fn(&mut Looks, &mut Stat)| {
            let (looks, stat) = after(change);
            looks.untouched(&stat)
        };
        assert!(untouched(|_, _| ()));
        assert!(!untouched(|_, stat| stat.ino += 1));
        assert!(!untouched(|_, stat| stat.ctime += 1));
        assert!(!untouched(|_, stat| stat.mtime += 1));
        assert!(!untouched(|_, stat| stat.size += 1));
        assert!(!untouched(|_, stat| stat.mode ^= 1));
        assert!(!untouched(|_, stat| stat.uid += 1));
        assert!(!untouched(|_, stat| stat.gid += 1));
        assert!(!untouched(|_, stat| stat.kind = Kind::Fifo));
        assert!(!untouched(|looks, _| looks.device = Some((1, 3))));
        assert!(!untouched(|looks, _| looks.torn = true));
        assert!(!untouched(|looks, _| looks.unread = true));
    }

    #[test]
    fn another_mode_or_owner_leaves_the_content_and_another_inode_may_have_another() {
        let same = |change: fn(&mut Looks, &mut Stat)| {
            let (looks, stat) = after(change);
            (looks.same_content(&stat), looks.may_have_content(&stat))
        };
        assert_eq!(same(|_, stat| stat.mode ^= 1), (true, true));
        assert_eq!(same(|_, stat| stat.uid += 1), (true, true));
        assert_eq!(same(|_, stat| stat.ctime += 1), (true, true));
        assert_eq!(same(|_, stat| stat.ino += 1), (false, true));
        for change in [
            (|_, stat| stat.mtime += 1) as fn(&mut Looks, &mut Stat),
            |_, stat| stat.size += 1,
            |_, stat| stat.kind = Kind::Fifo,
            |looks, _| looks.has_digest = false,
            |looks, _| looks.torn = true,
            |looks, _| looks.absent = true,
        ] {
            assert_eq!(same(change), (false, false));
        }
    }
}
