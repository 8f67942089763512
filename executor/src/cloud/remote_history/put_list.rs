//! `put.list`: objects that this machine has put and that no record tells of yet, a line each, written as
//! they come through. Without it they are put again.

use std::{
    collections::HashSet,
    ffi::OsStr,
    fs::File,
    io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _},
};

use rustix::io::Errno;
use schema::Digest;

use super::HistoryRemote;
use crate::error::Result;

const LIST: &str = "put.list";
const NEW: &str = "put.new";

/// A list that is being written.
pub(super) struct PutList(File);

impl PutList {
    /// Notes that an object came through.
    pub(super) fn add(&mut self, digest: Digest) -> std::io::Result<()> {
        let mut line = digest.hex().to_vec();
        line.push(b'\n');
        self.0.write_all(&line)
    }
}

impl HistoryRemote<'_> {
    /// What was put, sorted.
    pub(super) fn read_put(&self) -> Result<Vec<Digest>> {
        let io = |error: std::io::Error| self.io("read", LIST, error);
        let Ok(file) = self.cache.dir().file(OsStr::new(LIST)) else {
            return Ok(Vec::new());
        };
        let mut lines = BufReader::new(file);
        let (mut line, mut put) = (Vec::new(), Vec::new());
        loop {
            line.clear();
            // Whatever is in it, no line is longer than it may be.
            if (&mut lines)
                .take(65)
                .read_until(b'\n', &mut line)
                .map_err(io)?
                == 0
            {
                break;
            }
            // A line without its end is what a kill left of it.
            put.extend(line.strip_suffix(b"\n").and_then(Digest::from_hex));
        }
        put.sort_unstable();
        put.dedup();
        Ok(put)
    }

    /// Goes on with the list.
    pub(super) fn go_on_putting(&self) -> Result<PutList> {
        let go_on = || -> std::io::Result<File> {
            let mut file = self.cache.dir().file_or_new(OsStr::new(LIST), 0o600)?;
            let length = file.seek(SeekFrom::End(0))?;
            // What a kill left of the last line must not run into the next one.
            let whole = length - length % 65;
            file.set_len(whole)?;
            file.seek(SeekFrom::Start(whole))?;
            Ok(file)
        };
        go_on()
            .map(PutList)
            .map_err(|error| self.io("write", LIST, error))
    }

    /// Forgets what was put.
    pub(super) fn forget_put(&self) -> Result<()> {
        match self.cache.dir().remove_file(OsStr::new(LIST)) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(self.io("remove", LIST, error)),
        }
    }

    /// Forgets that these were put: they are not what they should be.
    pub(super) fn unput(&self, damaged: &HashSet<Digest>) -> Result<()> {
        let io = |error: std::io::Error| self.io("write", NEW, error);
        let put = self.read_put()?;
        if !put.iter().any(|digest| damaged.contains(digest)) {
            return Ok(());
        }
        let mut new = PutList(self.cache.new_file(NEW)?);
        for digest in put.into_iter().filter(|digest| !damaged.contains(digest)) {
            new.add(digest).map_err(io)?;
        }
        new.0.sync_all().map_err(io)?;
        self.cache.replace(OsStr::new(NEW), OsStr::new(LIST))
    }
}
