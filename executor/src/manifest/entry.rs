//! An entry holds what the manifest knows of one file, folder or the like; its line is bounded.

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt as _,
};

use schema::{Digest, SnapshotId, StoredPath, StoredPathBuf};

use super::Looks;
use crate::sys::{Kind, Owners, Stat, attributes::Attributes, stat::Nanos};

/// The first line of every manifest.
pub const HEADER: &str = "#mtree backup-manifest=1";

/// Longest line that is read, in bytes. A path has at most a few thousand; what makes a line long
/// is attributes that the destination could not hold, of which [`MOST_KEPT`] are kept.
pub const LONGEST_LINE: usize = 16 << 20;

/// Most bytes of attributes that a line keeps, names and values; twice that as text.
pub const MOST_KEPT: usize = 4 << 20;

/// Most attributes that a line has: the kernel lists names of 64 KiB together, the shortest of which
/// have seven bytes.
pub const MOST_ATTRIBUTES: usize = 10_000;

/// One entry of a snapshot, as its source was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Path in the snapshot, without a leading slash; empty for the snapshot itself.
    pub path: StoredPathBuf,
    /// What it is.
    pub kind: Kind,
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// What both were called on the source.
    pub owners: Owners,
    /// Time of the last change of content.
    pub mtime: Nanos,
    /// The source's time of the last change of content or metadata.
    pub ctime: Nanos,
    /// The source's inode number.
    pub ino: u64,
    /// Size in bytes; of regular files only.
    pub size: u64,
    /// Digest of the content; of regular files only.
    pub digest: Option<Digest>,
    /// The snapshot that first stored the content; of regular files only.
    pub stored: Option<SnapshotId>,
    /// What a symlink points to.
    pub target: Option<Vec<u8>>,
    /// For devices, what they are.
    pub device: Option<(u32, u32)>,
    /// Number that the names of one file share.
    pub group: Option<u64>,
    /// Digest over all extended attributes; none where there are none.
    pub xattrs_digest: Option<Digest>,
    /// Attributes that the destination could not hold.
    pub xattrs_kept: Attributes,
    /// It kept changing while it was read.
    pub torn: bool,
    /// Its attributes, or the names in it, could not be read.
    pub unread: bool,
    /// The destination could not hold an entry of this kind.
    pub absent: bool,
    /// The name under which it stands in its folder, where the destination cannot hold its own.
    pub stored_as: Option<OsString>,
    /// The source could not be changed at all.
    pub immutable: bool,
    /// The source could be appended to only.
    pub append_only: bool,
    /// Which of several manifests that are read together it is of ([`super::Reader::with`]); not written.
    pub tree: u8,
    /// The path at which it stands where that is not its own, as [`super::Reader`] knows it from the folders
    /// above; not written.
    pub stands_at: Option<StoredPathBuf>,
}

impl Entry {
    /// An entry as the kernel describes its source.
    #[must_use]
    pub fn of(path: &StoredPath, stat: &Stat) -> Self {
        Self {
            path: path.to_owned(),
            kind: stat.kind,
            mode: stat.mode,
            uid: stat.uid,
            gid: stat.gid,
            owners: Owners::default(),
            mtime: stat.mtime,
            ctime: stat.ctime,
            ino: stat.ino,
            size: if stat.kind == Kind::File {
                stat.size
            } else {
                0
            },
            digest: None,
            stored: None,
            target: None,
            device: matches!(stat.kind, Kind::CharDevice | Kind::BlockDevice)
                .then_some(stat.device),
            group: None,
            xattrs_digest: None,
            xattrs_kept: Attributes::new(),
            torn: false,
            unread: false,
            absent: false,
            stored_as: None,
            immutable: stat.immutable,
            append_only: stat.append_only,
            tree: 0,
            stands_at: None,
        }
    }

    /// The name under which it stands in its folder; empty for the snapshot itself.
    #[must_use]
    pub fn stored_name(&self) -> &OsStr {
        self.stored_as
            .as_deref()
            .unwrap_or_else(|| OsStr::from_bytes(self.path.file_name()))
    }

    /// The path at which it stands, with the names that the destination can hold; only of an entry
    /// that a [`super::Reader`] gave.
    #[must_use]
    pub fn stored_path(&self) -> &StoredPath {
        self.stands_at.as_deref().unwrap_or(&self.path)
    }

    /// Whether a source looks as it did when this entry was made ([`Looks::looks_like`]).
    #[must_use]
    pub fn looks_like(&self, stat: &Stat) -> bool {
        Looks::from(self).looks_like(stat)
    }

    /// Whether a source has the content that this entry describes although its mode, owner or
    /// attributes are other ones ([`Looks::same_content`]).
    #[must_use]
    pub fn same_content(&self, stat: &Stat) -> bool {
        Looks::from(self).same_content(stat)
    }

    /// Whether a source that has changed is compared with the stored file
    /// ([`Looks::may_share_blocks`]).
    #[must_use]
    pub fn may_share_blocks(&self, stat: &Stat) -> bool {
        Looks::from(self).may_share_blocks(stat)
    }

    /// Whether a source has the inode, the looks and the `ctime` of this entry
    /// ([`Looks::untouched`]).
    #[must_use]
    pub fn untouched(&self, stat: &Stat) -> bool {
        Looks::from(self).untouched(stat)
    }
}
