//! What is gone from the sources since the basis: files at no path any more.
//!
//! The walk notes, in the manifest's order, what of the basis it does not meet, and whatever stands where
//! the basis has nothing or something else. Only at the end can what moved be told from what is gone: a
//! file moved if the same inode, or a file that has its size and its time of change to the nanosecond, is
//! new elsewhere. Where the time has whole seconds only, the name must be the same as well: what an
//! archive was unpacked to has one time often.

use std::{
    collections::{BTreeMap, HashMap, HashSet, hash_map::DefaultHasher},
    hash::{Hash as _, Hasher as _},
};

use schema::{Gone, StoredPath, StoredPathBuf, config::AbsolutePath};

use super::LeftOutFolders;
use crate::{
    manifest::Looks,
    sys::{Kind, Stat, stat::Nanos},
};

/// Bytes of the paths of folders that are remembered: whoever owns a source makes as many as he likes.
/// What is in others counts as in the folder above that is remembered.
const MOST: usize = 16 << 20;

/// The longest path of a folder that is remembered, in bytes: what is deeper counts as above it.
const LONGEST: usize = 4096;

/// What stands around a path in a map weighs as much as most paths.
const AROUND: usize = 64;

/// What the walk notes.
#[derive(Debug, Default)]
pub(crate) struct GoneSearch {
    sources: Vec<StoredPathBuf>,
    folders: Vec<OldFolder>,
    by_path: HashMap<StoredPathBuf, u32>,
    weight: usize,
    missed: Vec<Missed>,
    /// Digests of what tells a file that is new where it is: as an inode, and as what a copy keeps.
    new: Vec<(u64, u64)>,
}

/// A folder that files of the basis are missing in.
#[derive(Debug)]
struct OldFolder {
    path: StoredPathBuf,
    /// The innermost source that it is in.
    source: usize,
}

/// A file of the basis that is not at its path.
#[derive(Debug)]
struct Missed {
    inode: u64,
    looks: u64,
    size: u64,
    folder: u32,
}

impl GoneSearch {
    pub(crate) fn new<'a>(sources: impl Iterator<Item = &'a AbsolutePath>) -> Self {
        Self {
            sources: sources.map(|path| path.as_stored().to_owned()).collect(),
            ..Self::default()
        }
    }

    /// Notes an entry of the basis at whose path nothing stands, or no file.
    pub(crate) fn missed(&mut self, path: &StoredPath, looks: Looks) {
        if looks.kind != Kind::File || looks.tree != 0 {
            return;
        }
        let above = path.parent().unwrap_or_default();
        // A source that is a file of its own is missing, which is told as that.
        if self.sources.iter().any(|source| **source == *path) {
            return;
        }
        if let Some(folder) = self.folder(above) {
            self.missed.push(Missed {
                inode: inode_key(looks.ino, looks.size, looks.mtime),
                looks: looks_key(path.file_name(), looks.size, looks.mtime),
                size: looks.size,
                folder,
            });
        }
    }

    /// Notes a file that the basis does not have so at its path.
    pub(crate) fn new_file(&mut self, name: &[u8], stat: &Stat) {
        self.new.push((
            inode_key(stat.ino, stat.size, stat.mtime),
            looks_key(name, stat.size, stat.mtime),
        ));
    }

    /// The number of a folder, or of the one above it that is remembered; none in no source.
    fn folder(&mut self, path: &StoredPath) -> Option<u32> {
        if let Some(last) = self.missed.last()
            && let Some(folder) = self.folders.get(last.folder as usize)
            && *folder.path == *path
        {
            return Some(last.folder);
        }
        if let Some(known) = self.by_path.get(path) {
            return Some(*known);
        }
        let sources = self.sources.iter().enumerate();
        let around = sources.filter(|(_, source)| path.is_within(source));
        let (source, top) = around.max_by_key(|(_, source)| source.len())?;
        let full = path.len() > LONGEST || self.weight + path.len() + AROUND > MOST;
        let remembered = match full {
            false => path,
            true => {
                let mut above = path.parent();
                while let Some(at) = above.filter(|at| at.is_within(top)) {
                    if let Some(known) = self.by_path.get(at) {
                        return Some(*known);
                    }
                    above = at.parent();
                }
                top
            }
        };
        let number = u32::try_from(self.folders.len()).ok()?;
        self.weight += remembered.len() + AROUND;
        self.by_path.insert(remembered.to_owned(), number);
        self.folders.push(OldFolder {
            path: remembered.to_owned(),
            source,
        });
        Some(number)
    }

    /// What is gone; none where nothing is. Nothing is known of sources that are not there, and what tags
    /// leave out now is not gone.
    pub(crate) fn finish(
        self,
        left_out: &LeftOutFolders,
        is_there: impl Fn(&StoredPath) -> bool,
    ) -> Option<Gone> {
        let sources: Vec<bool> = self.sources.iter().map(|path| is_there(path)).collect();
        let counts: Vec<bool> = self
            .folders
            .iter()
            .map(|folder| {
                sources[folder.source]
                    && !left_out.covers(&folder.path, &self.sources[folder.source])
            })
            .collect();
        let missed: Vec<&Missed> = self.missed.iter().collect();
        let gone = without_moved(missed, self.new);
        let mut in_folders: BTreeMap<u32, u64> = BTreeMap::new();
        let (mut files, mut bytes) = (0, 0_u64);
        for one in gone.iter().filter(|one| counts[one.folder as usize]) {
            files += 1;
            bytes = bytes.saturating_add(one.size);
            *in_folders.entry(one.folder).or_default() += 1;
        }
        if files == 0 {
            return None;
        }
        let in_folders = in_folders.iter().map(|(number, count)| {
            let folder = &self.folders[*number as usize];
            (folder, *count)
        });
        let (most_in, most_files) = find_most(&self.sources, in_folders, files);
        Some(Gone {
            files,
            bytes,
            most_in: most_in.shown(),
            most_files,
        })
    }
}

/// What of the missed files is new nowhere else. An inode has as many names as it likes; what only looks
/// the same stands for one file.
fn without_moved(mut missed: Vec<&Missed>, new: Vec<(u64, u64)>) -> Vec<&Missed> {
    if missed.is_empty() || new.is_empty() {
        return missed;
    }
    let known: HashSet<u64> = missed.iter().map(|one| one.inode).collect();
    let mut moved: HashSet<u64> = HashSet::new();
    let mut alike: HashMap<u64, u64> = HashMap::new();
    for (inode, looks) in new {
        if known.contains(&inode) {
            moved.insert(inode);
        } else {
            *alike.entry(looks).or_default() += 1;
        }
    }
    missed.retain(|one| {
        if moved.contains(&one.inode) {
            return false;
        }
        match alike.get_mut(&one.looks) {
            Some(left) if one.size > 0 && *left > 0 => {
                *left -= 1;
                false
            }
            _ => true,
        }
    });
    missed
}

/// The innermost folder within a source that more than half of the files were in; where there is none, the
/// source with the most of them.
fn find_most<'a>(
    sources: &[StoredPathBuf],
    in_folders: impl Iterator<Item = (&'a OldFolder, u64)>,
    files: u64,
) -> (StoredPathBuf, u64) {
    let mut by_folder: BTreeMap<&StoredPath, u64> = BTreeMap::new();
    let mut by_source: BTreeMap<usize, u64> = BTreeMap::new();
    for (folder, count) in in_folders {
        *by_source.entry(folder.source).or_default() += count;
        let top = &sources[folder.source];
        let mut at = Some(&*folder.path);
        while let Some(path) = at.filter(|path| path.is_within(top)) {
            *by_folder.entry(path).or_default() += count;
            at = path.parent();
        }
    }
    // What is in a folder has a longer path than the folder: of those with most the longest is innermost.
    let most = by_folder
        .into_iter()
        .filter(|(_, count)| count.saturating_mul(2) > files)
        .max_by_key(|(path, _)| path.len());
    let most = most.map(|(path, count)| (path.to_owned(), count));
    most.unwrap_or_else(|| {
        let most = by_source.into_iter().max_by_key(|(_, count)| *count);
        most.map_or_else(
            || (StoredPathBuf::new(), files),
            |(source, count)| (sources[source].clone(), count),
        )
    })
}

fn inode_key(inode: u64, size: u64, mtime: Nanos) -> u64 {
    let mut hasher = DefaultHasher::new();
    (inode, size, mtime).hash(&mut hasher);
    hasher.finish()
}

fn looks_key(name: &[u8], size: u64, mtime: Nanos) -> u64 {
    let mut hasher = DefaultHasher::new();
    let is_exact = mtime % 1_000_000_000 != 0;
    let name = if is_exact { &[][..] } else { name };
    (name, size, mtime).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
#[path = "gone_tests.rs"]
mod tests;
