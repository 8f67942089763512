//! What only goes: files on the remote that the snapshot has no more, and what becomes of them.

use std::{
    collections::{HashMap, HashSet},
    io::Write,
};

use schema::Digest;

use super::{Difference, Had, io, moves};
use crate::error::Result;

/// What was decided of an upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    /// What only goes is taken away.
    pub takes_away: bool,
    /// Files are moved on the remote.
    pub moves: bool,
}

/// Those of the files on the remote that cannot stay beside what comes, as one of the two would be a
/// folder of the other's name. `fresh` is sorted.
fn crossed_names(names: &[String], fresh: &[String]) -> HashSet<String> {
    let arriving: HashSet<&str> = fresh.iter().map(String::as_str).collect();
    let is_crossed = |key: &&String| {
        let is_below = key
            .match_indices('/')
            .any(|(at, _)| arriving.contains(&key[..at]));
        let below = format!("{key}/");
        let at = fresh.partition_point(|one| one.as_str() < below.as_str());
        is_below || fresh.get(at).is_some_and(|one| one.starts_with(&below))
    };
    names.iter().filter(is_crossed).cloned().collect()
}

impl Difference {
    /// Notes what is left on the remote, and what of it moved.
    pub(super) fn decide_later(
        &mut self,
        listing: HashMap<String, u64>,
        had: Had,
        in_doubt: &HashSet<String>,
        come: Vec<(Digest, String, u64)>,
        mut fresh: Vec<String>,
    ) {
        let come_digests: HashSet<Digest> = come.iter().map(|(digest, ..)| *digest).collect();
        let mut sources = had.replaced;
        let mut before: HashSet<String> = HashSet::new();
        let mut renamed: HashSet<String> = HashSet::new();
        for (key, entry) in had.gone {
            let certain = !in_doubt.contains(&key);
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
        // What is under another name now is not lost, and neither is what only an upload that did not
        // end had brought.
        let is_lost = |key: &&String| {
            !renamed.contains(*key) && (!in_doubt.contains(*key) || before.contains(*key))
        };
        self.lost_files += names.iter().filter(is_lost).count() as u64;
        self.left.crossed = crossed_names(&names, &fresh);
        self.left.names = names;
        self.add_emptied_folders(&fresh);
    }

    /// A folder that is left with files of its own is emptied by moving them aside: where a file comes
    /// under its name, it stands in the way. `fresh` is sorted.
    fn add_emptied_folders(&mut self, fresh: &[String]) {
        let crossed = &self.left.crossed;
        if !crossed.is_empty() {
            let emptied = fresh.iter().filter(|key| {
                let below = format!("{key}/");
                crossed.iter().any(|one| one.starts_with(&below))
            });
            self.in_the_way.extend(emptied.cloned());
        }
        self.in_the_way.sort_unstable();
        self.in_the_way.dedup();
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
}
