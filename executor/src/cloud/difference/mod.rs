//! The difference between the remote and a snapshot: exact, from manifests.
//!
//! A file counts as uploaded only if it is listed with its size and the manifests prove its content.
//! What only goes is decided upon last, when the guards have seen all of it: they hold back the
//! taking away alone.

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

/// What was decided of an upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    /// What only goes is taken away.
    pub takes_away: bool,
    /// Files are moved on the remote.
    pub moves: bool,
}

/// Compares a snapshot's manifest with what the remote has.
///
/// # Errors
/// A damaged manifest, or lists that cannot be written.
pub fn compare(new: Reader, remote: Remote, lists: Lists<'_>) -> Result<Difference> {
    let Remote {
        mut listing,
        folders,
        base,
        kept,
        doubts,
        distrusted,
        refused,
    } = remote;
    let mut found = Difference {
        listed: listing.len() as u64,
        ..Difference::default()
    };
    let fresh_remote = listing.is_empty() && folders.is_empty();
    let mut base = base.map(Cursor::new);
    let mut kept = kept.map(Cursor::new);
    let mut doubts: Vec<(Cursor, HashSet<String>)> = doubts
        .into_iter()
        .map(|doubt| (Cursor::new(doubt.reader), doubt.done))
        .collect();
    let mut had = Had::default();
    // New content, and names that nothing on the remote had.
    let mut come: Vec<(Digest, String, u64)> = Vec::new();
    let mut fresh: Vec<String> = Vec::new();
    let mut ours: HashSet<String> = HashSet::new();
    let line = |to: &mut dyn Write, name: &str| writeln!(to, "{name}").map_err(io);

    for entry in new {
        let entry = entry.map_err(io)?;
        if !is_file(&entry) {
            continue;
        }
        // What stands under another name there has moved.
        let moved = |there: &Entry| there.stored_path() != entry.stored_path();
        let mut before = find(&mut base, &entry.path, &mut |passed| had.pass(passed, true))?;
        if let Some(other) = before.take_if(|there| moved(there)) {
            had.pass(&other, true);
        }
        found.base_files += u64::from(before.is_some());
        let mut still = find(&mut kept, &entry.path, &mut |passed| {
            had.pass(passed, false);
        })?;
        if let Some(other) = still.take_if(|there| moved(there)) {
            had.pass(&other, false);
        }
        before = before.or(still);
        let mut known = before.as_ref().and_then(|before| before.digest);
        let key = names::remote_name(&entry);
        let mut doubted = false;
        for (doubt, done) in &mut doubts {
            let there = doubt
                .find_passing(&entry.path, &mut |passed| {
                    ours.extend(names::remote_name(passed));
                })
                .map_err(io)?
                .filter(is_file);
            if let Some(other) = there.as_ref().filter(|there| moved(there)) {
                ours.extend(names::remote_name(other));
                continue;
            }
            let digest = there.and_then(|there| there.digest);
            if digest.is_none() {
                continue;
            }
            if key.as_ref().is_some_and(|key| done.contains(key)) {
                known = digest;
            } else if digest != known {
                known = None;
            }
            doubted = true;
        }
        let Some(key) = key else {
            found.nameless(&entry);
            continue;
        };
        found.files += 1;
        found.bytes = found.bytes.saturating_add(entry.size);
        line(lists.all, &key)?;
        let there = listing.remove(&key);
        if distrusted.contains(&key) {
            known = None;
        }
        if let Some(before) = &before
            && there != Some(before.size)
            && !(doubted || distrusted.contains(&key) || refused.contains(&key))
        {
            found.harmed += 1;
        }
        if there == Some(entry.size) && known.is_some() && known == entry.digest {
            continue;
        }
        found.change.upload_files += 1;
        found.change.upload_bytes = found.change.upload_bytes.saturating_add(entry.size);
        line(lists.upload, &key)?;
        let same = before
            .as_ref()
            .is_some_and(|before| before.digest == entry.digest);
        if base.is_some() && !same {
            come.extend(entry.digest.map(|digest| (digest, key.clone(), entry.size)));
        }
        if there.is_some() {
            found.change.replaced_files += 1;
            line(lists.aside, &key)?;
            // What it was may be under another name now.
            if let Some(before) = before
                && known.is_some()
                && known == before.digest
                && there == Some(before.size)
            {
                had.replaced(&key, &before);
            }
        } else if !fresh_remote {
            fresh.push(key);
        }
    }
    for (cursor, counted) in [(base, true), (kept, false)] {
        if let Some(cursor) = cursor {
            cursor
                .finish(&mut |passed| had.pass(passed, counted))
                .map_err(io)?;
        }
    }
    for (doubt, _) in doubts {
        doubt
            .finish(&mut |passed| ours.extend(names::remote_name(passed)))
            .map_err(io)?;
    }
    found.base_files += had.counted;
    found.in_the_way = fresh
        .iter()
        .filter(|key| folders.contains(*key))
        .cloned()
        .collect();
    // Of what is in doubt, and what never came, nothing is known.
    ours.extend(distrusted);
    had.gone.retain(|(key, _)| !refused.contains(key));
    found.decide_later(listing, had, &ours, come, fresh);
    Ok(found)
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
    /// Notes what is left on the remote, and what of it moved.
    fn decide_later(
        &mut self,
        listing: HashMap<String, u64>,
        had: Had,
        ours: &HashSet<String>,
        come: Vec<(Digest, String, u64)>,
        mut fresh: Vec<String>,
    ) {
        let come_digests: HashSet<Digest> = come.iter().map(|(digest, ..)| *digest).collect();
        let mut sources = had.replaced;
        let mut before: HashSet<String> = HashSet::new();
        let mut renamed: HashSet<String> = HashSet::new();
        for (key, entry) in had.gone {
            let certain = !ours.contains(&key);
            let there = listing.get(&key) == Some(&entry.size);
            if let Some(digest) = entry.digest {
                if come_digests.contains(&digest) {
                    renamed.insert(key.clone());
                }
                if certain && there {
                    sources.push((key.clone(), digest, entry.size));
                }
            }
            if certain && there {
                self.left.entries.insert(key.clone(), entry);
            } else if certain {
                self.harmed += 1;
            }
            before.insert(key);
        }
        self.pairs = moves::pair_moves(sources, come);
        let mut names: Vec<String> = listing.into_keys().collect();
        names.sort_unstable();
        fresh.sort_unstable();
        let arriving: HashSet<&str> = fresh.iter().map(String::as_str).collect();
        for key in &names {
            // What is under another name now is not lost, and neither is what only an upload that
            // did not end had brought.
            let only_begun = ours.contains(key) && !before.contains(key);
            if !renamed.contains(key) && !only_begun {
                self.lost_files += 1;
            }
            let under = key
                .match_indices('/')
                .any(|(at, _)| arriving.contains(&key[..at]));
            let below = format!("{key}/");
            let at = fresh.partition_point(|one| one.as_str() < below.as_str());
            let over = fresh.get(at).is_some_and(|one| one.starts_with(&below));
            if under || over {
                self.left.crossed.insert(key.clone());
            }
        }
        // A folder that is left with files of its own is emptied by moving them aside.
        let crossed = &self.left.crossed;
        let emptied = fresh.iter().filter(|key| {
            let below = format!("{key}/");
            crossed.iter().any(|one| one.starts_with(&below))
        });
        let emptied: Vec<String> = if crossed.is_empty() {
            Vec::new()
        } else {
            emptied.cloned().collect()
        };
        self.in_the_way.extend(emptied);
        self.in_the_way.sort_unstable();
        self.in_the_way.dedup();
        self.left.names = names;
    }

    /// Whether anything could be moved on the remote.
    #[must_use]
    pub fn could_move(&self) -> bool {
        !self.pairs.is_empty()
    }

    /// Decides what becomes of the files that only go, and lists those that are moved to the
    /// history.
    ///
    /// # Errors
    /// A list that cannot be written.
    pub fn decide(&mut self, decision: Decision, aside: &mut dyn Write) -> Result<()> {
        if decision.moves {
            self.moves = std::mem::take(&mut self.pairs);
        }
        let moved: HashSet<&str> = self.moves.iter().map(|one| one.from.as_str()).collect();
        for one in &self.moves {
            self.change.upload_files -= 1;
            self.change.upload_bytes = self.change.upload_bytes.saturating_sub(one.size);
        }
        let mut left = std::mem::take(&mut self.left);
        for key in &left.names {
            let is_moved = moved.contains(key.as_str());
            if !is_moved && left.crossed.contains(key) {
                self.change.replaced_files += 1;
            } else if !is_moved && decision.takes_away {
                self.change.gone_files += 1;
            } else if !is_moved {
                self.stays += 1;
                self.kept.extend(left.entries.remove(key));
                continue;
            }
            writeln!(aside, "{key}").map_err(io)?;
        }
        self.kept.sort_by(|one, other| one.path.cmp(&other.path));
        Ok(())
    }

    fn nameless(&mut self, entry: &Entry) {
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
