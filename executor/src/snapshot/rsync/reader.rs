//! Reading one file that rsync copied, while the system still has it in memory: whether it is what its source
//! is, its digest, and the metadata that rsync did not give it.
//!
//! Invariant: only an inode of one name that rsync made a moment ago is changed, never one that a published
//! snapshot may share.

use std::{ffi::OsStr, fs::File, os::unix::ffi::OsStrExt as _};

use schema::{Digest, StoredPath, StoredPathBuf, record::Capabilities};

use super::super::{adopt::is_a_copy, limits::SET_ID};
use crate::{
    copy::{Copier, CopyError},
    error::Result,
    sys::{Dir, Stat, attributes, open, stat::Nanos},
};

/// How far the kernel's stamps may lag behind its clock.
const LAG: Nanos = 20_000_000;

/// Where one call copies from and to.
pub(super) struct Sides {
    /// The folder of the source, and the one of the new tree that stands for it.
    pub(super) source: Dir,
    pub(super) new: Dir,
    /// The path in the snapshot of the folder that it stands for.
    pub(super) folder: StoredPathBuf,
    /// The names on both sides where the source is not a folder.
    pub(super) single: Option<(Vec<u8>, Vec<u8>)>,
    /// When rsync began.
    pub(super) began: Nanos,
    /// Nothing that is mounted below the source is crossed.
    one_file_system: bool,
    /// What the destination can hold.
    can: Capabilities,
    /// Owners may be given to others.
    privileged: bool,
}

impl Sides {
    pub(super) fn new(
        (source, new): (Dir, Dir),
        folder: &StoredPath,
        single: Option<(Vec<u8>, Vec<u8>)>,
        one_file_system: bool,
        can: Capabilities,
    ) -> Self {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let now = since.map_or(0, |since| i128::try_from(since.as_nanos()).unwrap_or(0));
        Self {
            source,
            new,
            folder: folder.to_owned(),
            single,
            began: now - LAG,
            one_file_system,
            can,
            privileged: rustix::process::geteuid().is_root(),
        }
    }
}

/// What became of a file that rsync told of.
pub(super) enum Looked {
    /// It is what its source is.
    Read(ReadCopy),
    /// rsync has not given it its name yet.
    NotYet,
    /// It is not taken over: whoever copies it again finds out why.
    Not,
}

/// A copy that was read.
pub(super) struct ReadCopy {
    /// Its inode number.
    pub(super) ino: u64,
    /// What its source looked like then.
    pub(super) source: Stat,
    /// The digest of its content.
    pub(super) digest: Digest,
    /// Neither it nor its source has extended attributes.
    pub(super) is_bare: bool,
}

/// Reads what one call copied.
pub(super) struct Reader<'a> {
    sides: &'a Sides,
    copier: Copier,
    /// The folder of the last file, since most files have the same as the one before.
    last: Option<(StoredPathBuf, Dir, Dir)>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(sides: &'a Sides) -> Self {
        Self {
            sides,
            copier: Copier::default(),
            last: None,
        }
    }

    /// The path in the snapshot of what rsync tells of.
    pub(super) fn path_of(&self, told: &[u8]) -> StoredPathBuf {
        self.sides.folder.join(told)
    }

    /// Reads a file, if it is a copy of its source; `tick` is called now and then meanwhile.
    ///
    /// # Errors
    /// What `tick` says.
    pub(super) fn read(
        &mut self,
        path: &StoredPath,
        tick: &mut dyn FnMut() -> Result<()>,
    ) -> Result<Looked> {
        let sides = self.sides;
        let (source_name, name) = match &sides.single {
            Some((source, new)) => (source.as_slice(), new.as_slice()),
            None => {
                let name = path.split_name().unwrap_or_default().1;
                (name, name)
            }
        };
        let (source_name, name) = (OsStr::from_bytes(source_name), OsStr::from_bytes(name));
        let Some((source_dir, dir)) = self.folders(path) else {
            return Ok(Looked::Not);
        };
        let file = match dir.file(name) {
            Ok(file) => file,
            Err(rustix::io::Errno::NOENT) => return Ok(Looked::NotYet),
            Err(_) => return Ok(Looked::Not),
        };
        let Ok(copy) = Stat::of_fd(&file) else {
            return Ok(Looked::Not);
        };
        let Some((source, has_attributes)) = sides.look_at_source(source_dir, source_name) else {
            return Ok(Looked::Not);
        };
        if !is_a_copy(&copy, &source, sides.began, &sides.can) {
            return Ok(Looked::Not);
        }
        let is_bare = !has_attributes && attributes::of_fd(&file).is_ok_and(|all| all.is_empty());
        let sparse = copy.has_holes();
        let mut tick = |_| tick();
        let read = self
            .copier
            .digest_of_size(&file, sparse, copy.size, &mut tick);
        match read {
            Ok(read) if read.bytes == copy.size => {
                if is_bare {
                    sides.give_metadata(&file, &copy, &source);
                }
                Ok(Looked::Read(ReadCopy {
                    ino: copy.ino,
                    source,
                    digest: read.digest,
                    is_bare,
                }))
            }
            Err(CopyError::Ended(error)) => Err(error),
            _ => Ok(Looked::Not),
        }
    }

    /// The folder of a path on both sides; none where one of them is not there.
    fn folders(&mut self, path: &StoredPath) -> Option<(&Dir, &Dir)> {
        let sides = self.sides;
        if sides.single.is_some() {
            return Some((&sides.source, &sides.new));
        }
        let (folder, _) = path.split_name().unwrap_or_default();
        let is_last = |last: &(StoredPathBuf, Dir, Dir)| *last.0 == *folder;
        if !self.last.as_ref().is_some_and(is_last) {
            let descend = |dir: &Dir, here: bool| {
                let mut dir = dir.again().ok()?;
                for name in folder.names() {
                    dir = match here {
                        true => dir.folder_here(name).ok()?,
                        false => dir.folder(OsStr::from_bytes(name)).ok()?,
                    };
                }
                Some(dir)
            };
            self.last = Some((
                folder.to_owned(),
                descend(&sides.source, sides.one_file_system)?,
                descend(&sides.new, false)?,
            ));
        }
        let (_, source, new) = self.last.as_ref()?;
        Some((source, new))
    }
}

impl Sides {
    /// What a source looks like, and whether it may have extended attributes.
    fn look_at_source(&self, dir: &Dir, name: &OsStr) -> Option<(Stat, bool)> {
        let opened = match self.one_file_system {
            true => dir.file_here(name),
            false => dir.file(name),
        };
        let Ok(file) = opened else {
            // On one on which another program has a lease only that is to be known which can be.
            return Some((dir.stat(name).ok()?, true));
        };
        // Before what it looks like is asked for: whoever gives it one moves its change time.
        let has_attributes = !attributes::of_fd(&file).is_ok_and(|all| all.is_empty());
        Some((Stat::of_fd(&file).ok()?, has_attributes))
    }

    /// Gives a copy without attributes the owner and the mode of its source, as far as that can be; what
    /// cannot be is tried again, and told, by whoever makes the tree equal to the sources.
    fn give_metadata(&self, file: &File, copy: &Stat, source: &Stat) {
        if !(self.privileged && self.can.owners && self.can.modes) {
            return;
        }
        let own = (copy.uid, copy.gid) == (source.uid, source.gid);
        if !own && open::set_owner(file, source.uid, source.gid).is_err() {
            return;
        }
        // A change of owner takes set-id bits away.
        if copy.mode != source.mode || (!own && source.mode & SET_ID != 0) {
            let _ = open::set_mode(file, source.mode);
        }
    }
}
