//! Small files of a folder that are read and replaced as a whole.

use std::{
    ffi::OsStr,
    fs::File,
    io::{Read as _, Write as _},
};

use rustix::io::Errno;

use super::{
    dir::Dir,
    stat::{Kind, Stat},
};
use crate::bounded::{longer_than, read_bounded_of};

impl Dir {
    /// Replaces a small file in one step: writes beside it, syncs, renames over it, syncs again. A
    /// folder in its place is set aside first.
    ///
    /// # Errors
    /// Fails if the file cannot be written, synced or renamed.
    pub fn write_whole(&self, name: &str, bytes: &[u8]) -> std::io::Result<()> {
        self.replace_whole(name, |file| {
            file.write_all(bytes)?;
            file.sync_all()
        })?;
        Ok(self.sync()?)
    }

    /// The same of what a crash may take away: nothing is synced.
    ///
    /// # Errors
    /// Fails if the file cannot be written or renamed.
    pub fn write_unsynced(&self, name: &str, bytes: &[u8]) -> std::io::Result<()> {
        self.replace_whole(name, |file| file.write_all(bytes))
    }

    /// Replaces a file, in one step, by what is left to be read of another one, of which nothing is
    /// kept in memory.
    ///
    /// # Errors
    /// Fails if the file cannot be copied; also for one of more than `limit` bytes.
    pub fn copy_whole(&self, name: &str, from: File, limit: u64) -> std::io::Result<()> {
        self.replace_whole(name, |file| {
            let copied = std::io::copy(&mut from.take(limit.saturating_add(1)), file)?;
            if copied > limit {
                return Err(longer_than(limit));
            }
            file.sync_all()
        })?;
        Ok(self.sync()?)
    }

    fn replace_whole(
        &self,
        name: &str,
        write: impl FnOnce(&mut File) -> std::io::Result<()>,
    ) -> std::io::Result<()> {
        let beside = format!(".{name}.new");
        let (beside, name) = (OsStr::new(&beside), OsStr::new(name));
        let mut file = match self.new_file(beside, 0o600) {
            // Nearly never is there anything: a kill left it.
            Err(Errno::EXIST | Errno::ISDIR) => {
                self.make_way(beside)?;
                self.new_file(beside, 0o600)?
            }
            made => made?,
        };
        write(&mut file)?;
        match self.rename_over(beside, name) {
            Err(Errno::ISDIR | Errno::NOTEMPTY | Errno::EXIST) if self.is_folder(name) => {
                self.set_aside(name)?;
                self.rename_over(beside, name)?;
            }
            result => result?,
        }
        Ok(())
    }

    /// Removes a file, and sets a folder aside.
    fn make_way(&self, name: &OsStr) -> Result<(), Errno> {
        match self.remove_file(name) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(Errno::ISDIR | Errno::PERM) if self.is_folder(name) => self.set_aside(name),
            Err(error) => Err(error),
        }
    }

    fn is_folder(&self, name: &OsStr) -> bool {
        let there = self.look(name).ok().flatten();
        there.is_some_and(|stat| stat.kind == Kind::Folder)
    }

    /// Gives what stands where something of ours belongs a name that nothing has yet:
    /// `name.saved-1`, and so on.
    ///
    /// # Errors
    /// Fails if it cannot be renamed; `ENOENT` if nothing stands there.
    pub fn set_aside(&self, name: &OsStr) -> Result<(), Errno> {
        let mut number = 1_u64;
        loop {
            let mut aside = name.to_owned();
            aside.push(format!(".saved-{number}"));
            match self.rename_new(name, self, &aside) {
                Err(Errno::EXIST) => number += 1,
                done => return done,
            }
        }
    }

    /// The content of a file of at most `limit` bytes; `None` if there is none of that name.
    ///
    /// # Errors
    /// Fails if the file cannot be read; also for anything but a regular file, and for a longer one.
    pub fn read_whole(&self, name: &str, limit: u64) -> std::io::Result<Option<Vec<u8>>> {
        let file = self.open_whole(name)?;
        file.map(|file| file.read(limit)).transpose()
    }

    /// Opens a small file to be read; `None` if there is none of that name.
    ///
    /// # Errors
    /// Fails if it cannot be opened; also for anything but a regular file.
    pub fn open_whole(&self, name: &str) -> std::io::Result<Option<WholeFile>> {
        let file = match self.file(OsStr::new(name)) {
            Ok(file) => file,
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let stat = Stat::of_fd(&file)?;
        if stat.kind != Kind::File {
            return Err(std::io::Error::other("not a regular file"));
        }
        Ok(Some(WholeFile {
            content: Content::Unread(file),
            stat,
        }))
    }
}

/// A small file that was opened to be read as a whole.
#[derive(Debug)]
pub struct WholeFile {
    content: Content,
    /// What the kernel said of it when it was opened.
    pub stat: Stat,
}

#[derive(Debug)]
enum Content {
    Unread(File),
    Read(Vec<u8>),
}

impl WholeFile {
    /// All its content.
    ///
    /// # Errors
    /// Fails if it cannot be read, or is longer than `limit` bytes.
    pub fn read(self, limit: u64) -> std::io::Result<Vec<u8>> {
        if self.stat.size > limit {
            return Err(longer_than(limit));
        }
        match self.content {
            // It may be longer than it says.
            Content::Unread(file) => read_bounded_of(file, self.stat.size, limit),
            Content::Read(bytes) => Ok(bytes),
        }
    }

    /// The same file, of which the content is read already where it has at most `small` bytes.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn read_if_small(self, small: u64, limit: u64) -> std::io::Result<Self> {
        if self.stat.size > small {
            return Ok(self);
        }
        let stat = self.stat;
        let content = Content::Read(self.read(limit)?);
        Ok(Self { content, stat })
    }
}
