//! What a destination can lack, one switch each.

use fuser::Errno;

/// How something that is asked for is met.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum How {
    /// It is done.
    #[default]
    Ran,
    /// It is refused.
    Refused,
    /// It is said to be done, and is not.
    Ignored,
}

/// What the file system lacks; by default nothing. Files without a name (`O_TMPFILE`) and syncs of
/// everything (`syncfs`) reach no file system of this kind in any case.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lacks {
    /// Other names of a file; ignored means that a copy is made.
    pub(crate) hard_links: How,
    /// Only one of a file's names is counted, and each has an inode number of its own.
    pub(crate) apart: bool,
    /// Symlinks are refused.
    pub(crate) symlinks: bool,
    /// Owners and times of symlinks: those of what they point to are set instead.
    pub(crate) symlink_metadata: bool,
    /// Modes; without them everything has 0755.
    pub(crate) modes: How,
    /// Owners; without them everything belongs to root.
    pub(crate) owners: How,
    /// Everything belongs to this user, who is what root is taken for.
    pub(crate) squashed_to: Option<u32>,
    /// Extended attributes other than access control lists.
    pub(crate) xattrs: How,
    /// Access control lists.
    pub(crate) acls: How,
    /// Fifos and sockets; ignored means that a regular file is made.
    pub(crate) fifos: How,
    /// Device nodes.
    pub(crate) devices: How,
    /// Modification times.
    pub(crate) times: How,
    /// Times of any change: that of the last change of content is told in their place.
    pub(crate) change_times: bool,
    /// Names that differ only in case are one.
    pub(crate) case: bool,
    /// Step of modification times in nanoseconds; 0 for none.
    pub(crate) time_step: u64,
    /// Longest name in bytes; 0 for what the folder below has.
    pub(crate) name_max: usize,
    /// Bytes that no name may hold.
    pub(crate) forbidden: &'static [u8],
    /// Names must be UTF-8.
    pub(crate) any_bytes: bool,
    /// Dots and blanks at the end of a name are dropped without a word.
    pub(crate) name_ends: bool,
    /// Renames know no flags.
    pub(crate) rename_flags: bool,
    /// Other inode numbers after each mount, and the same ones for other files.
    pub(crate) lasting_inodes: bool,
    /// Inodes are not counted.
    pub(crate) inode_count: bool,
    /// What is made gets other bits of its mode than were asked for, and belongs to this user; both can be
    /// changed.
    pub(crate) makes_as: Option<u32>,
    /// Largest file in bytes; 0 for no limit.
    pub(crate) file_max: u64,
}

impl Lacks {
    /// A share of a Windows server or a NAS: modes and owners are ignored, symlinks refused.
    pub(crate) fn smb() -> Self {
        Self {
            symlinks: true,
            modes: How::Ignored,
            owners: How::Ignored,
            xattrs: How::Refused,
            acls: How::Refused,
            fifos: How::Refused,
            devices: How::Refused,
            case: true,
            time_step: 100,
            forbidden: b":\\*?\"<>|\x01\n",
            any_bytes: true,
            rename_flags: true,
            inode_count: true,
            ..Self::default()
        }
    }

    /// An NFS export on which root is nobody.
    pub(crate) fn squashed_nfs() -> Self {
        Self {
            owners: How::Refused,
            squashed_to: Some(65_534),
            acls: How::Refused,
            devices: How::Refused,
            rename_flags: true,
            ..Self::default()
        }
    }

    /// A drive as cameras and televisions like it.
    pub(crate) fn exfat() -> Self {
        Self {
            hard_links: How::Refused,
            owners: How::Refused,
            modes: How::Refused,
            time_step: 10_000_000,
            ..Self::smb()
        }
    }

    /// What is to be answered; ignored means success without effect.
    pub(super) fn refuse(how: How, error: Errno) -> Result<bool, Errno> {
        match how {
            How::Ran => Ok(true),
            How::Refused => Err(error),
            How::Ignored => Ok(false),
        }
    }
}
