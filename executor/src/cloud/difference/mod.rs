//! The difference between the remote and a snapshot: exact, from manifests.
//!
//! A file counts as uploaded only if it is listed with its size and the manifests prove its content.
//! What only goes is decided upon last, when the guards have seen all of it: they hold back the
//! taking away alone.

pub mod going;
pub mod guard;
pub mod moves;
#[cfg(test)]
mod tests;

use std::{
    collections::{HashMap, HashSet},
    io::Write,
};

use schema::{
    Digest, StoredPath,
    cloud::CloudChange,
    journal::{Problem, ProblemKind},
};

use self::moves::Move;
use super::names;
use crate::{
    error::{Error, Result},
    manifest::{Cursor, Entry, Reader},
    sys::Kind,
};

/// Problems that are listed one by one.
const LISTED: usize = 1000;

/// An upload that was begun after the last one that ended well, and did not end.
pub struct Doubt {
    /// Its manifest.
    pub reader: Reader,
    /// Files that it brought to the remote, by their names in rclone.
    pub done: HashSet<String>,
}

/// What the remote has.
#[derive(Default)]
pub struct Remote {
    /// Its files with their sizes, by their names in rclone.
    pub listing: HashMap<String, u64>,
    /// Its folders, where it has such.
    pub folders: HashSet<String>,
    /// The manifest of the last upload that ended well.
    pub base: Option<Reader>,
    /// Files of earlier uploads that the last one left where they were.
    pub kept: Option<Reader>,
    /// Uploads since then that did not end, in their order.
    pub doubts: Vec<Doubt>,
    /// Files whose content is not what the manifests say, or may not be.
    pub distrusted: HashSet<String>,
    /// Files of the last upload that the remote did not take.
    pub refused: HashSet<String>,
}

/// What is to be done, and what it comes to.
#[derive(Debug, Default)]
pub struct Difference {
    /// Files to upload, replace and take away.
    pub change: CloudChange,
    /// Files that are on the remote and not in the snapshot, less those that moved within it: what
    /// `cloud.maxDelete` counts.
    pub lost_files: u64,
    /// Files of the snapshot that the remote can hold.
    pub files: u64,
    /// Sum of their sizes.
    pub bytes: u64,
    /// Files that were on the remote.
    pub listed: u64,
    /// Files that uploads had brought and that are missing there, or of another size.
    pub harmed: u64,
    /// Files of the last upload.
    pub base_files: u64,
    /// Files whose names rclone cannot keep; the first thousand.
    pub nameless: Vec<Problem>,
    /// How many there are.
    pub nameless_count: u64,
    /// Files that are moved on the remote, once that was decided.
    pub moves: Vec<Move>,
    /// Empty folders on the remote that stand where files come.
    pub in_the_way: Vec<String>,
    /// Files that stay on the remote although the snapshot does not have them, in the manifest's
    /// order, as far as their content is known; once that was decided.
    pub kept: Vec<Entry>,
    /// How many stay there, known or not.
    pub stays: u64,
    /// What only goes.
    left: Left,
    /// What can be moved.
    pairs: Vec<Move>,
}

/// Files on the remote that the snapshot has no more.
#[derive(Debug, Default)]
struct Left {
    /// Their names.
    names: Vec<String>,
    /// Those that cannot stay beside what comes.
    crossed: HashSet<String>,
    /// Their entries, where their content is known.
    entries: HashMap<String, Entry>,
}

/// Where the lists of files go.
pub struct Lists<'a> {
    /// To upload, moved ones among them.
    pub upload: &'a mut dyn Write,
    /// To move to the history first, but not what only goes.
    pub aside: &'a mut dyn Write,
    /// All that the remote should have afterwards.
    pub all: &'a mut dyn Write,
}

/// Compares a snapshot's manifest with what the remote has.
///
/// # Errors
/// A damaged manifest, or lists that cannot be written.
pub fn compare(new: Reader, remote: Remote, lists: Lists<'_>) -> Result<Difference> {
    let mut comparison = Comparison::new(remote, lists);
    for entry in new {
        let entry = entry.map_err(io)?;
        if is_file(&entry) {
            comparison.compare_file(&entry)?;
        }
    }
    comparison.finish()
}

/// A comparison that is under way: all manifests are read side by side, in their one order.
struct Comparison<'a> {
    lists: Lists<'a>,
    /// The remote's files that the snapshot was not found to have yet.
    listing: HashMap<String, u64>,
    folders: HashSet<String>,
    is_empty_remote: bool,
    /// The last upload that ended well, and what it left where it was.
    base: Option<Cursor>,
    kept: Option<Cursor>,
    has_base: bool,
    /// Uploads that did not end, with what they brought.
    doubts: Vec<(Cursor, HashSet<String>)>,
    distrusted: HashSet<String>,
    refused: HashSet<String>,
    had: Had,
    /// New content: its digest, name and size.
    come: Vec<(Digest, String, u64)>,
    /// Names that nothing on the remote had.
    fresh: Vec<String>,
    /// Names that only uploads which did not end may have brought.
    in_doubt: HashSet<String>,
    found: Difference,
}

/// What the uploads that did not end say of a path.
struct Doubted {
    /// The content that may be there; none where they contradict each other.
    known: Option<Digest>,
    /// Whether any of them has the path.
    has: bool,
}

impl<'a> Comparison<'a> {
    fn new(remote: Remote, lists: Lists<'a>) -> Self {
        let doubts = remote.doubts.into_iter();
        Self {
            lists,
            found: Difference {
                listed: remote.listing.len() as u64,
                ..Difference::default()
            },
            is_empty_remote: remote.listing.is_empty() && remote.folders.is_empty(),
            listing: remote.listing,
            folders: remote.folders,
            has_base: remote.base.is_some(),
            base: remote.base.map(Cursor::new),
            kept: remote.kept.map(Cursor::new),
            doubts: doubts
                .map(|doubt| (Cursor::new(doubt.reader), doubt.done))
                .collect(),
            distrusted: remote.distrusted,
            refused: remote.refused,
            had: Had::default(),
            come: Vec::new(),
            fresh: Vec::new(),
            in_doubt: HashSet::new(),
        }
    }

    /// Compares one file of the snapshot with what the remote has under its name.
    fn compare_file(&mut self, entry: &Entry) -> Result<()> {
        let before = self.find_uploaded(entry)?;
        let key = names::remote_name(entry);
        let known = before.as_ref().and_then(|before| before.digest);
        let doubted = self.find_doubted(entry, key.as_deref(), known)?;
        let Some(key) = key else {
            self.found.add_nameless(entry);
            return Ok(());
        };
        self.found.files += 1;
        self.found.bytes = self.found.bytes.saturating_add(entry.size);
        write_line(self.lists.all, &key)?;
        let there = self.listing.remove(&key);
        let is_distrusted = self.distrusted.contains(&key);
        let known = doubted.known.filter(|_| !is_distrusted);
        let is_excused = doubted.has || is_distrusted || self.refused.contains(&key);
        if let Some(before) = &before
            && there != Some(before.size)
            && !is_excused
        {
            self.found.harmed += 1;
        }
        if there == Some(entry.size) && known.is_some() && known == entry.digest {
            return Ok(());
        }
        self.add_upload(entry, key, before.as_ref(), known, there)
    }

    /// What the last upload has at a file's path, or left there; what stands under another name there
    /// has moved.
    fn find_uploaded(&mut self, entry: &Entry) -> Result<Option<Entry>> {
        let had = &mut self.had;
        let mut before = find(&mut self.base, &entry.path, &mut |passed| {
            had.pass(passed, true);
        })?;
        if let Some(other) = before.take_if(|there| has_moved(there, entry)) {
            had.pass(&other, true);
        }
        self.found.base_files += u64::from(before.is_some());
        let mut still = find(&mut self.kept, &entry.path, &mut |passed| {
            had.pass(passed, false);
        })?;
        if let Some(other) = still.take_if(|there| has_moved(there, entry)) {
            had.pass(&other, false);
        }
        Ok(before.or(still))
    }

    /// What uploads that did not end make of a file whose content was `known`.
    fn find_doubted(
        &mut self,
        entry: &Entry,
        key: Option<&str>,
        known: Option<Digest>,
    ) -> Result<Doubted> {
        let mut doubted = Doubted { known, has: false };
        for (doubt, done) in &mut self.doubts {
            let in_doubt = &mut self.in_doubt;
            let there = doubt
                .find_passing(&entry.path, &mut |passed| {
                    in_doubt.extend(names::remote_name(passed));
                })
                .map_err(io)?
                .filter(is_file);
            if let Some(other) = there.as_ref().filter(|there| has_moved(there, entry)) {
                in_doubt.extend(names::remote_name(other));
                continue;
            }
            let digest = there.and_then(|there| there.digest);
            if digest.is_none() {
                continue;
            }
            if key.is_some_and(|key| done.contains(key)) {
                doubted.known = digest;
            } else if digest != doubted.known {
                doubted.known = None;
            }
            doubted.has = true;
        }
        Ok(doubted)
    }

    /// Notes a file to upload, and what it takes the place of.
    fn add_upload(
        &mut self,
        entry: &Entry,
        key: String,
        before: Option<&Entry>,
        known: Option<Digest>,
        there: Option<u64>,
    ) -> Result<()> {
        let change = &mut self.found.change;
        change.upload_files += 1;
        change.upload_bytes = change.upload_bytes.saturating_add(entry.size);
        write_line(self.lists.upload, &key)?;
        let is_same = before.is_some_and(|before| before.digest == entry.digest);
        if self.has_base && !is_same {
            let digest = entry.digest;
            self.come
                .extend(digest.map(|digest| (digest, key.clone(), entry.size)));
        }
        if there.is_some() {
            change.replaced_files += 1;
            write_line(self.lists.aside, &key)?;
            // What it was may be under another name now.
            if let Some(before) = before
                && known.is_some()
                && known == before.digest
                && there == Some(before.size)
            {
                self.had.replaced(&key, before);
            }
        } else if !self.is_empty_remote {
            self.fresh.push(key);
        }
        Ok(())
    }

    /// Reads all manifests to their ends, and says what is left on the remote.
    fn finish(mut self) -> Result<Difference> {
        for (cursor, counted) in [(self.base, true), (self.kept, false)] {
            if let Some(cursor) = cursor {
                let had = &mut self.had;
                cursor
                    .finish(&mut |passed| had.pass(passed, counted))
                    .map_err(io)?;
            }
        }
        let mut in_doubt = self.in_doubt;
        for (doubt, _) in self.doubts {
            doubt
                .finish(&mut |passed| in_doubt.extend(names::remote_name(passed)))
                .map_err(io)?;
        }
        let mut found = self.found;
        found.base_files += self.had.counted;
        let folders = &self.folders;
        let in_the_way = self.fresh.iter().filter(|key| folders.contains(*key));
        found.in_the_way = in_the_way.cloned().collect();
        // Of what is in doubt, and what never came, nothing is known.
        in_doubt.extend(self.distrusted);
        let refused = &self.refused;
        self.had.gone.retain(|(key, _)| !refused.contains(key));
        found.decide_later(self.listing, self.had, &in_doubt, self.come, self.fresh);
        Ok(found)
    }
}

/// Whether what stands at an entry's path stands there under another name.
fn has_moved(there: &Entry, entry: &Entry) -> bool {
    there.stored_path() != entry.stored_path()
}

fn write_line(to: &mut dyn Write, name: &str) -> Result<()> {
    writeln!(to, "{name}").map_err(io)
}

fn io(error: std::io::Error) -> Error {
    Error::io("compare", b"manifests", error)
}

fn is_file(entry: &Entry) -> bool {
    entry.kind == Kind::File && !entry.absent
}

fn find(
    cursor: &mut Option<Cursor>,
    path: &StoredPath,
    passed: &mut dyn FnMut(&Entry),
) -> Result<Option<Entry>> {
    let Some(cursor) = cursor else {
        return Ok(None);
    };
    let found = cursor.find_passing(path, passed).map_err(io)?;
    Ok(found.filter(is_file))
}

/// Files of earlier uploads that are not what they were under their names.
#[derive(Default)]
struct Had {
    /// Those that are gone.
    gone: Vec<(String, Entry)>,
    /// Those whose names have other content now.
    replaced: Vec<(String, Digest, u64)>,
    /// Those of the last upload that are gone.
    counted: u64,
}

impl Had {
    fn pass(&mut self, passed: &Entry, of_last: bool) {
        if !is_file(passed) {
            return;
        }
        self.counted += u64::from(of_last);
        if let Some(key) = names::remote_name(passed) {
            // Without the folders around it a list could not say where it stands.
            let path = passed.stored_path().to_owned();
            let there = Entry {
                path,
                stored_as: None,
                stands_at: None,
                ..passed.clone()
            };
            self.gone.push((key, there));
        }
    }

    fn replaced(&mut self, key: &str, before: &Entry) {
        if let Some(digest) = before.digest {
            self.replaced.push((key.to_owned(), digest, before.size));
        }
    }
}

impl Difference {
    fn add_nameless(&mut self, entry: &Entry) {
        self.nameless_count += 1;
        if self.nameless.len() < LISTED {
            self.nameless.push(Problem {
                path: entry.path.shown(),
                kind: ProblemKind::NotStored,
                message: format!("not uploaded: {}", names::why_not(entry.stored_path())),
            });
        }
    }

    /// Files that are moved to the history before others come.
    #[must_use]
    pub fn aside(&self) -> u64 {
        self.change.replaced_files + self.change.gone_files
    }

    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.change.upload_files + self.aside() + self.moves.len() as u64 == 0
    }
}
