//! The remote cache: a folder of the state directory that remembers the copies on one remote.
//!
//! `memory.json` says what was uploaded; `shelf/<id>/` holds manifests as they are on the remote;
//! `done-<id>` lists the files that an upload which has not ended yet has brought there;
//! `hashes.zst` has the remote's own hashes; `damaged.list` the files that were found damaged there.
//! All of it can be lost: the remote is asked then, and what is in doubt is uploaded again.

use std::{
    collections::HashSet,
    ffi::OsStr,
    fs::File,
    io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _},
};

use rustix::io::Errno;
use schema::{Digest, FailureCode, SnapshotId, cloud::CloudMemory};

use crate::{
    error::{Error, Result},
    event::Context,
    manifest::{FILE_NAME, Reader},
    remove::remove_tree,
    state_dir::{
        StateDir,
        aside::set_aside,
        remotes::{AREA, CACHED_SNAPSHOTS, MEMORY},
    },
    store::{LONGEST_JSON, read_json, write_json},
    sys::Dir,
};

/// Files that are not on the remote what they should be.
const DAMAGED: &str = "damaged.list";
/// Before the name of a file that was moved on the remote. No name in rclone's form has it.
pub const MOVED: char = '\u{1}';

/// What an upload that has not ended yet has done.
#[derive(Debug, Default)]
pub struct UploadProgress {
    /// Files that it uploaded.
    pub brought: HashSet<String>,
    /// Files that it moved on the remote.
    pub moved: HashSet<String>,
}

/// An open folder of what is remembered of one remote.
pub struct RemoteCache {
    dir: Dir,
    path: String,
}

/// The name of a remote's folder: a remote's own name may hold anything.
fn cache_folder_name(remote: &str) -> String {
    Digest::of(remote.as_bytes()).short()
}

/// What this machine remembers of a remote. Writes nothing.
///
/// # Errors
/// Fails if it is there and cannot be read.
pub fn recall_upload(state: &StateDir, remote: &str) -> Result<CloudMemory> {
    let Some(cache) = RemoteCache::open(state, remote)? else {
        return Ok(CloudMemory::default());
    };
    cache.memory()
}

impl RemoteCache {
    /// Opens what is remembered of a remote; `None` if that is nothing. Writes nothing.
    ///
    /// # Errors
    /// Fails if it is there and cannot be opened.
    pub fn open(state: &StateDir, remote: &str) -> Result<Option<Self>> {
        let Some((area, path)) = state.existing_area(AREA)? else {
            return Ok(None);
        };
        let key = cache_folder_name(remote);
        let path = format!("{path}/{key}");
        match area.folder(OsStr::new(&key)) {
            Ok(dir) => Ok(Some(Self { dir, path })),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(Error::io("open", path.as_bytes(), error)),
        }
    }

    /// As [`Self::open`], making the folder where it is missing.
    ///
    /// # Errors
    /// Fails if the folder cannot be made or opened.
    pub fn open_or_new(state: &StateDir, remote: &str) -> Result<Self> {
        let (area, path) = state.area(AREA)?;
        let key = cache_folder_name(remote);
        let path = format!("{path}/{key}");
        let dir = area
            .folder_or_new(OsStr::new(&key), 0o700)
            .map_err(|error| Error::io("make", path.as_bytes(), error))?;
        Ok(Self { dir, path })
    }

    /// A cache in a folder of another kind, such as one for a restore.
    #[must_use]
    pub fn of(dir: Dir, path: String) -> Self {
        Self { dir, path }
    }

    /// Path of something in it, for rclone and for messages.
    #[must_use]
    pub fn named(&self, relative: &str) -> String {
        format!("{}/{relative}", self.path)
    }

    fn io(&self, doing: &str, relative: &str, error: impl Into<std::io::Error>) -> Error {
        let this = Error::io(doing, self.named(relative).as_bytes(), error);
        if this.code == Some(FailureCode::NoSpace) {
            return this.with_hint("free space where the state directory is");
        }
        this
    }

    /// The folder itself.
    #[must_use]
    pub fn dir(&self) -> &Dir {
        &self.dir
    }

    /// What is remembered.
    ///
    /// # Errors
    /// Fails if it cannot be read.
    pub fn memory(&self) -> Result<CloudMemory> {
        Ok(read_json(&self.dir, MEMORY, &self.named(MEMORY))?.unwrap_or_default())
    }

    /// Remembers this.
    ///
    /// # Errors
    /// Fails if the cache cannot be read or written.
    pub fn remember(&self, memory: &CloudMemory) -> Result<()> {
        write_json(&self.dir, MEMORY, &self.named(MEMORY), memory)
    }

    /// A new empty file in place of one of this name.
    ///
    /// # Errors
    /// Fails if the cache cannot be read or written.
    pub fn new_file(&self, name: &str) -> Result<File> {
        match self.dir.remove_file(OsStr::new(name)) {
            Ok(()) | Err(Errno::NOENT) => {}
            // What stands there is none of ours.
            Err(_) => {
                set_aside(&self.dir, name).map_err(|error| self.io("set aside", name, error))?
            }
        }
        self.dir
            .new_file(OsStr::new(name), 0o600)
            .map_err(|error| self.io("make", name, error))
    }

    /// Opens a file for writing at its end.
    ///
    /// # Errors
    /// Fails if the cache cannot be read or written.
    pub fn append(&self, name: &str) -> Result<File> {
        self.dir
            .append_or_new(OsStr::new(name), 0o600)
            .map_err(|error| self.io("open", name, error))
    }

    /// A new empty folder in place of one of this name.
    ///
    /// # Errors
    /// Fails if the cache cannot be read or written.
    pub fn empty_area(&self, name: &str, context: Context<'_>) -> Result<Dir> {
        remove_tree(&self.dir, OsStr::new(name), &self.named(name), context)?;
        self.dir
            .folder_or_new(OsStr::new(name), 0o700)
            .map_err(|error| self.io("make", name, error))
    }

    /// Gives a file the place of another one.
    ///
    /// # Errors
    /// Fails if the cache cannot be read or written.
    pub fn replace(&self, new: &OsStr, name: &OsStr) -> Result<()> {
        let done = self.dir.rename_over(new, name);
        done.and_then(|()| self.dir.sync())
            .map_err(|error| self.io("rename", &new.to_string_lossy(), error))
    }

    /// Opens a file for reading.
    ///
    /// # Errors
    /// Fails if the file cannot be opened.
    pub fn file(&self, name: &str) -> Result<File> {
        self.dir
            .file(OsStr::new(name))
            .map_err(|error| self.io("open", name, error))
    }

    /// The folder of a snapshot's record and manifest, as they are on the remote, made where it is
    /// missing; with its path.
    ///
    /// # Errors
    /// Fails if the cache cannot be read or written.
    pub fn cached_snapshot_or_new(&self, id: SnapshotId) -> Result<(Dir, String)> {
        let path = format!("{CACHED_SNAPSHOTS}/{id}");
        let dir = self
            .dir
            .folder_or_new(OsStr::new(CACHED_SNAPSHOTS), 0o700)
            .and_then(|cached| cached.folder_or_new(OsStr::new(&id.to_string()), 0o700))
            .map_err(|error| self.io("make", &path, error))?;
        Ok((dir, self.named(&path)))
    }

    /// The folder of a snapshot in the cache, if there is one.
    #[must_use]
    pub fn cached_snapshot(&self, id: SnapshotId) -> Option<Dir> {
        let cached = self.dir.folder(OsStr::new(CACHED_SNAPSHOTS)).ok()?;
        cached.folder(OsStr::new(&id.to_string())).ok()
    }

    /// The manifest of an upload, if it is at hand and can be read.
    #[must_use]
    pub fn manifest(&self, id: SnapshotId) -> Option<Reader> {
        let cached = self.cached_snapshot(id)?;
        Reader::new(cached.file(OsStr::new(FILE_NAME)).ok()?).ok()
    }

    /// Device and inode number of the folder.
    ///
    /// # Errors
    /// Fails if the folder cannot be looked at.
    pub fn inode(&self) -> Result<(u64, u64)> {
        let stat = self.dir.stat_self();
        stat.map(|stat| (stat.dev, stat.ino))
            .map_err(|error| self.io("look at", "", error))
    }

    /// Empties a snapshot's folder in the cache.
    ///
    /// # Errors
    /// Fails if the cache cannot be read or written.
    pub fn clear_cached_snapshot(&self, id: SnapshotId, context: Context<'_>) -> Result<()> {
        let path = self.named(&format!("{CACHED_SNAPSHOTS}/{id}"));
        match self.dir.folder(OsStr::new(CACHED_SNAPSHOTS)) {
            Ok(cached) => remove_tree(&cached, OsStr::new(&id.to_string()), &path, context),
            Err(_) => Ok(()),
        }
    }

    /// The files that an upload of this snapshot brought to the remote, by their names in rclone.
    ///
    /// # Errors
    /// Fails if the cache cannot be read or written.
    pub fn done(&self, id: SnapshotId) -> Result<UploadProgress> {
        let name = format!("done-{id}");
        let mut done = UploadProgress::default();
        let Ok(file) = self.dir.file(OsStr::new(&name)) else {
            return Ok(done);
        };
        let mut file = BufReader::new(file);
        let mut line = Vec::new();
        loop {
            line.clear();
            file.read_until(b'\n', &mut line)
                .map_err(|error| self.io("read", &name, error))?;
            // A line without its end is what a kill left of it: its beginning may name another.
            let Some(whole) = line.strip_suffix(b"\n") else {
                return Ok(done);
            };
            if let Ok(text) = std::str::from_utf8(whole) {
                match text.strip_prefix(MOVED) {
                    Some(name) => done.moved.insert(name.to_owned()),
                    None => done.brought.insert(text.to_owned()),
                };
            }
        }
    }

    /// Goes on with the list of files that this snapshot's upload has brought to the remote.
    ///
    /// # Errors
    /// Fails if the cache cannot be read or written.
    pub fn doing(&self, id: SnapshotId) -> Result<File> {
        let name = format!("done-{id}");
        let go_on = || -> std::io::Result<File> {
            let mut file = self.dir.file_or_new(OsStr::new(&name), 0o600)?;
            let length = file.seek(SeekFrom::End(0))?;
            if length > 0 {
                // What a kill left of the last line must not run into the next one.
                file.seek(SeekFrom::End(-1))?;
                let mut last = [0];
                file.read_exact(&mut last)?;
                if last != *b"\n" {
                    file.write_all(b"\0\n")?;
                }
            }
            Ok(file)
        };
        go_on().map_err(|error| self.io("write", &name, error))
    }

    /// Forgets what was in doubt before a snapshot was on the remote, and all cached snapshots but these.
    ///
    /// # Errors
    /// Fails if the cache cannot be read or written.
    pub fn settle(&self, keep: &[SnapshotId], context: Context<'_>) -> Result<()> {
        for name in self
            .dir
            .names()
            .map_err(|error| self.io("list", "", error))?
        {
            if name.to_string_lossy().starts_with("done-") {
                self.dir
                    .remove_file(&name)
                    .map_err(|error| self.io("remove", &name.to_string_lossy(), error))?;
            }
        }
        let Ok(cached) = self.dir.folder(OsStr::new(CACHED_SNAPSHOTS)) else {
            return Ok(());
        };
        let keep: Vec<String> = keep.iter().map(ToString::to_string).collect();
        for name in cached
            .names()
            .map_err(|error| self.io("list", CACHED_SNAPSHOTS, error))?
        {
            if !keep.iter().any(|keep| name == keep.as_str()) {
                let path = self.named(&format!("{CACHED_SNAPSHOTS}/{}", name.to_string_lossy()));
                remove_tree(&cached, &name, &path, context)?;
            }
        }
        Ok(())
    }

    /// Files that were found damaged on the remote, by their names in rclone. What cannot be read is
    /// found again.
    #[must_use]
    pub fn damaged(&self) -> HashSet<String> {
        let bytes = self.dir.read_whole(DAMAGED, LONGEST_JSON).ok().flatten();
        let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
        let text = text.unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// Remembers which files are damaged on the remote, for the next upload to bring them again.
    ///
    /// # Errors
    /// Fails if the cache cannot be read or written.
    pub fn remember_damaged(&self, damaged: &HashSet<String>) -> Result<()> {
        let mut names: Vec<&str> = damaged.iter().map(String::as_str).collect();
        names.sort_unstable();
        let mut text = names.join("\n");
        text.push('\n');
        self.dir
            .write_whole(DAMAGED, text.as_bytes())
            .map_err(|error| Error::io("write", self.named(DAMAGED).as_bytes(), error))
    }
}
