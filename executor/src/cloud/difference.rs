//! The difference between the remote and a snapshot: exact, from manifests, and what forbids it.
//!
//! A file counts as uploaded only if it is listed with its size and the manifests prove its content.
//! Owns the guards: they are looked at before anything on the remote changes.

use std::{
    collections::{HashMap, HashSet},
    io::Write,
};

use schema::{
    Digest,
    cloud::CloudChange,
    config::{AbsolutePath, MaxDelete},
    escape::display,
    journal::{Problem, ProblemKind},
    plan::CloudLimits,
};

use super::names;
use crate::{
    error::{Error, Result},
    manifest::{Cursor, Entry, Reader},
    sys::Kind,
};

/// Below this many files half of them is no sign of anything.
const FEW: u64 = 20;
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
    /// The manifest of the last upload that ended well.
    pub base: Option<Reader>,
    /// Uploads since then that did not end, in their order.
    pub doubts: Vec<Doubt>,
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
    /// Files of the last upload.
    base_files: u64,
    /// Files that are as the last upload had them, under their name or another.
    unchanged: u64,
    /// Files by source, in the last upload and in the snapshot.
    sources: Vec<(AbsolutePath, u64, u64)>,
    /// Files whose names rclone cannot keep; the first thousand.
    pub nameless: Vec<Problem>,
    /// How many there are.
    pub nameless_count: u64,
}

/// Where the lists of files go.
pub struct Lists<'a> {
    /// To upload.
    pub upload: &'a mut dyn Write,
    /// To move to the history first.
    pub aside: &'a mut dyn Write,
    /// All that the remote should have afterwards.
    pub all: &'a mut dyn Write,
}

/// Compares a snapshot's manifest with what the remote has; `removes` says whether files that are
/// on the remote only go.
///
/// # Errors
/// A damaged manifest, or lists that cannot be written.
pub fn compare(
    new: Reader,
    sources: &[AbsolutePath],
    remote: Remote,
    removes: bool,
    lists: Lists<'_>,
) -> Result<Difference> {
    let io = |error: std::io::Error| Error::io("compare", b"manifests", error);
    let Remote {
        mut listing,
        base,
        doubts,
    } = remote;
    let mut found = Difference {
        listed: listing.len() as u64,
        sources: sources.iter().map(|path| (path.clone(), 0, 0)).collect(),
        ..Difference::default()
    };
    let mut base = base.map(Cursor::new);
    let mut doubts: Vec<(Cursor, HashSet<String>)> = doubts
        .into_iter()
        .map(|doubt| (Cursor::new(doubt.reader), doubt.done))
        .collect();
    // Digests of files of the last upload that are under their names no more, and of uploads.
    let mut gone: Vec<(String, Digest)> = Vec::new();
    let mut come: HashSet<Digest> = HashSet::new();
    let mut ours: HashSet<String> = HashSet::new();
    let line = |to: &mut dyn Write, name: &str| writeln!(to, "{name}").map_err(io);

    for entry in new {
        let entry = entry.map_err(io)?;
        if !is_file(&entry) {
            continue;
        }
        count(&mut found.sources, &entry.path, |source| source.2 += 1);
        let before = match &mut base {
            Some(base) => base
                .find_passing(&entry.path, &mut |passed| {
                    found.pass(passed, &mut gone);
                })
                .map_err(io)?
                .filter(is_file),
            None => None,
        };
        if let Some(before) = &before {
            found.base_files += 1;
            count(&mut found.sources, &before.path, |source| source.1 += 1);
        }
        let mut known = before.as_ref().and_then(|before| before.digest);
        let key = names::standard(&entry.path);
        for (doubt, done) in &mut doubts {
            let there = doubt
                .find_passing(&entry.path, &mut |passed| {
                    ours.extend(names::standard(&passed.path));
                })
                .map_err(io)?
                .filter(is_file);
            let digest = there.and_then(|there| there.digest);
            if digest.is_none() {
                continue;
            }
            if key.as_ref().is_some_and(|key| done.contains(key)) {
                known = digest;
            } else if digest != known {
                known = None;
            }
        }
        let same = before.is_some_and(|before| before.digest == entry.digest);
        found.unchanged += u64::from(same);
        let Some(key) = key else {
            found.nameless(&entry);
            continue;
        };
        found.files += 1;
        found.bytes = found.bytes.saturating_add(entry.size);
        line(lists.all, &key)?;
        let there = listing.remove(&key);
        if there == Some(entry.size) && known.is_some() && known == entry.digest {
            continue;
        }
        found.change.upload_files += 1;
        found.change.upload_bytes = found.change.upload_bytes.saturating_add(entry.size);
        if !same {
            come.extend(entry.digest);
        }
        line(lists.upload, &key)?;
        if there.is_some() {
            found.change.replaced_files += 1;
            line(lists.aside, &key)?;
        }
    }
    if let Some(base) = base {
        base.finish(&mut |passed| found.pass(passed, &mut gone))
            .map_err(io)?;
    }
    for (doubt, _) in doubts {
        doubt
            .finish(&mut |passed| ours.extend(names::standard(&passed.path)))
            .map_err(io)?;
    }
    // What is under another name now is not lost, and neither is what only an upload that did not
    // end had brought.
    let mut moved: HashSet<String> = HashSet::new();
    let mut before: HashSet<String> = HashSet::new();
    for (key, digest) in gone {
        if come.contains(&digest) {
            found.unchanged += 1;
            moved.insert(key.clone());
        }
        before.insert(key);
    }
    let mut left: Vec<String> = listing.into_keys().collect();
    left.sort_unstable();
    for key in left {
        let only_begun = ours.contains(&key) && !before.contains(&key);
        if !moved.contains(&key) && !only_begun {
            found.lost_files += 1;
        }
        if removes {
            found.change.gone_files += 1;
            line(lists.aside, &key)?;
        }
    }
    Ok(found)
}

fn is_file(entry: &Entry) -> bool {
    entry.kind == Kind::File && !entry.absent
}

/// Counts a path for its source.
fn count(
    sources: &mut [(AbsolutePath, u64, u64)],
    path: &[u8],
    add: impl Fn(&mut (AbsolutePath, u64, u64)),
) {
    let is_in = |source: &AbsolutePath| {
        let source = source.as_str().trim_matches('/').as_bytes();
        source.is_empty()
            || path
                .strip_prefix(source)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
    };
    if let Some(source) = sources.iter_mut().find(|source| is_in(&source.0)) {
        add(source);
    }
}

impl Difference {
    /// A file of the last upload that is not in the snapshot.
    fn pass(&mut self, passed: &Entry, gone: &mut Vec<(String, Digest)>) {
        if !is_file(passed) {
            return;
        }
        self.base_files += 1;
        count(&mut self.sources, &passed.path, |source| source.1 += 1);
        if let (Some(key), Some(digest)) = (names::standard(&passed.path), passed.digest) {
            gone.push((key, digest));
        }
    }

    fn nameless(&mut self, entry: &Entry) {
        self.nameless_count += 1;
        if self.nameless.len() < LISTED {
            self.nameless.push(Problem {
                path: display(&[b"/", entry.path.as_slice()].concat()),
                kind: ProblemKind::NotStored,
                message: format!("not uploaded: {}", names::why_not(&entry.path)),
            });
        }
    }

    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let change = &self.change;
        change.upload_files + change.replaced_files + change.gone_files == 0
    }

    /// Why this is not done, and what to do about it; none where it may be.
    #[must_use]
    pub fn refusal(&self, limits: &CloudLimits) -> Option<(String, String)> {
        if limits.guard {
            let because = self.suspicion();
            if let Some(because) = because {
                return Some((
                    format!("nothing is uploaded: {because}"),
                    "look at the sources; if all is as it should be, run `backup apply \
                     --approve-deletions`"
                        .to_owned(),
                ));
            }
        }
        let limit = limits.max_delete?;
        let most = match limit {
            MaxDelete::Count(count) => count,
            // Rounded up, so that one file may go from a small folder.
            MaxDelete::Percent(percent) => (self.listed * u64::from(percent)).div_ceil(100),
        };
        (self.lost_files > most).then(|| {
            (
                format!(
                    "nothing is uploaded: {} of {} files on the remote would go, and {limit} \
                     (cloud.maxDelete) is {most}",
                    self.lost_files, self.listed
                ),
                "look at what is gone with `backup plan`; if it is meant, run `backup apply \
                 --approve-deletions`, or raise cloud.maxDelete"
                    .to_owned(),
            )
        })
    }

    /// Why the source looks damaged.
    fn suspicion(&self) -> Option<String> {
        let total = self.files + self.nameless_count;
        let had = self.base_files;
        if had > 0 && total == 0 {
            return Some("the snapshot has no files, and the last upload had".to_owned());
        }
        let emptied = self
            .sources
            .iter()
            .find(|(_, before, now)| *before > 0 && *now == 0);
        if let Some((path, before, _)) = emptied {
            return Some(format!(
                "{path} (local.sources) has no files, and had {before} at the last upload"
            ));
        }
        if had < FEW {
            return None;
        }
        if total * 2 < had {
            return Some(format!(
                "there are {total} files, less than half of the {had} of the last upload"
            ));
        }
        (self.unchanged * 2 < had).then(|| {
            format!(
                "of {had} files of the last upload only {} are as they were, as if they had been \
                 encrypted",
                self.unchanged
            )
        })
    }
}
