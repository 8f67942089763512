//! What moved within the sources since the basis: new paths whose file the basis has elsewhere.
//!
//! So is another name of a file that the basis has under one which is still there.
//!
//! Found in two steps that need little memory: the walk notes inode and size of what is new and of
//! what is no longer at its path; a second pass over the basis' manifest fetches the few that are
//! on both sides. Whether one really is the other is proven when it is linked.

use std::{
    collections::{HashMap, HashSet},
    io,
};

use crate::{
    manifest::{Entry, Looks, Reader},
    sys::{Kind, Stat},
};

/// Entries of the basis that are fetched at most; what is beyond is copied.
const MOST: usize = 500_000;

/// Files of the basis that a new path may be.
#[derive(Debug, Default)]
pub struct Moves {
    entries: Vec<Entry>,
    by_inode: HashMap<u64, Vec<u32>>,
    by_size: HashMap<u64, Vec<u32>>,
}

impl Moves {
    #[cfg(test)]
    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Files that were this inode of the source.
    pub(crate) fn of_inode(&self, inode: u64) -> impl Iterator<Item = &Entry> {
        self.these(self.by_inode.get(&inode))
    }

    /// Files of this size.
    pub(crate) fn of_size(&self, size: u64) -> impl Iterator<Item = &Entry> {
        self.these(self.by_size.get(&size))
    }

    fn these<'a>(&'a self, found: Option<&'a Vec<u32>>) -> impl Iterator<Item = &'a Entry> {
        let found = found.into_iter().flatten();
        found.filter_map(|at| self.entries.get(usize::try_from(*at).ok()?))
    }

    /// Whether a new file may be one of these: surely, or if its content is the same.
    pub(crate) fn may_be(&self, stat: &Stat) -> bool {
        stat.size > 0
            && (self.surely(stat).is_some()
                || self.of_size(stat.size).any(|entry| entry.looks_like(stat)))
    }

    /// The file that moved to where this one is, if it surely is the same: the same inode with the
    /// same looks.
    pub(crate) fn surely(&self, stat: &Stat) -> Option<&Entry> {
        self.of_inode(stat.ino)
            .find(|entry| entry.looks_like(stat) && entry.ctime <= stat.ctime)
    }
}

/// What the walk notes.
#[derive(Debug, Default)]
pub(crate) struct Search {
    /// Inode and size of files that are new at their path.
    new: Vec<(u64, u64)>,
    /// Inode and size of files that are not at their path any more.
    gone: Vec<(u64, u64)>,
    /// Those of files of several names that are, of which a new path may be another name.
    named: Vec<(u64, u64)>,
}

impl Search {
    /// Notes a file that is new at its path.
    pub(crate) fn new_file(&mut self, stat: &Stat) {
        self.new.push((stat.ino, stat.size));
    }

    /// Notes a file of the basis that is not at its path any more.
    pub(crate) fn gone(&mut self, looks: Looks) {
        if looks.kind == Kind::File && looks.has_digest && !looks.torn && looks.size > 0 {
            self.gone.push((looks.ino, looks.size));
        }
    }

    /// Notes a file of the basis that is still at its path and has other names as well.
    pub(crate) fn named(&mut self, looks: Looks) {
        if looks.kind == Kind::File && looks.has_digest && looks.size > 0 {
            self.named.push((looks.ino, looks.size));
        }
    }

    /// Fetches what is on both sides from the basis' manifest.
    pub(crate) fn finish(
        self,
        manifest: impl FnOnce() -> crate::Result<Reader>,
    ) -> crate::Result<Moves> {
        let mut moves = Moves::default();
        if self.new.is_empty() || (self.gone.is_empty() && self.named.is_empty()) {
            return Ok(moves);
        }
        let inodes: HashSet<u64> = self.new.iter().map(|(inode, _)| *inode).collect();
        let sizes: HashSet<u64> = self.new.iter().map(|(_, size)| *size).collect();
        drop(self.new);
        let wanted: HashSet<(u64, u64)> = self
            .gone
            .into_iter()
            .filter(|(inode, size)| inodes.contains(inode) || sizes.contains(size))
            .take(MOST)
            .collect();
        // What only is alike must not get the inode of a file that is still there.
        let named = self.named.into_iter();
        let named: HashSet<(u64, u64)> = named
            .filter(|(inode, _)| inodes.contains(inode))
            .take(MOST)
            .collect();
        if wanted.is_empty() && named.is_empty() {
            return Ok(moves);
        }
        for entry in manifest()? {
            let entry = entry.map_err(record_fault)?;
            let key = (entry.ino, entry.size);
            let is_gone = wanted.contains(&key);
            if entry.kind != Kind::File || !(is_gone || named.contains(&key)) {
                continue;
            }
            let at = u32::try_from(moves.entries.len()).unwrap_or(u32::MAX);
            moves.by_inode.entry(entry.ino).or_default().push(at);
            if is_gone {
                moves.by_size.entry(entry.size).or_default().push(at);
            }
            moves.entries.push(entry);
        }
        Ok(moves)
    }
}

fn record_fault(error: io::Error) -> crate::Error {
    crate::Error::io("read", b"the basis' manifest", error).of_basis()
}
