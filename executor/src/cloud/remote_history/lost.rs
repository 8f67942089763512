//! What goes with snapshots that are let go or taken away, by the manifests that are kept here. Asks nobody and
//! writes nothing.
//!
//! What no snapshot has that stays goes with the last that has it of those that are let go. What is taken away
//! goes for good: of that no other snapshot has it, whether it is let go or not. Where a manifest that tells is
//! not here or cannot be read, what hangs on it is not known; it is never told as less.

use std::ffi::OsStr;

use schema::{
    Digest, SnapshotId,
    plan::Lost,
    remote_history::{RemoteContent, RemoteLoss},
};

use super::{
    cached::{DESTINATION, EXPIRED},
    index::{contents, passes},
    layout,
};
use crate::{
    cloud::memory::RemoteCache,
    error::Result,
    event::Stop,
    manifest::{FILE_NAME, Reader},
    store::{BACKUP, SNAPSHOTS},
    sys::Kind,
};

/// A content of snapshots that go, and the last of either kind that has it.
struct Content {
    digest: Digest,
    size: u64,
    let_go: Option<usize>,
    taken: Option<usize>,
}

/// What was found of the snapshots that go.
struct Losses {
    let_go: Vec<Option<Lost>>,
    taken: Vec<Option<Lost>>,
}

/// What goes with the snapshots that are let go now, and with those that were and are `taken` away: of each
/// what it has beyond those before it in its list. What is not known is left out.
///
/// # Errors
/// An interruption.
pub fn find_lost(
    cache: &RemoteCache,
    host: &str,
    content: &RemoteContent,
    let_go: &[SnapshotId],
    taken: &[SnapshotId],
    stop: &Stop,
) -> Result<Vec<RemoteLoss>> {
    if let_go.is_empty() && taken.is_empty() {
        return Ok(Vec::new());
    }
    let manifests = Manifests { cache, host, stop };
    let files = content.snapshots.iter();
    let largest = files.map(|one| one.record.totals.files).max();
    let mut losses = Losses {
        let_go: vec![Some(Lost::NOTHING); let_go.len()],
        taken: vec![Some(Lost::NOTHING); taken.len()],
    };
    // Of those that go and of one more what they have is in memory at once; they differ by little.
    for part in passes(largest.unwrap_or(0).saturating_mul(2)) {
        let part = &part;
        let mut found: Vec<Content> = Vec::new();
        for (at, id) in let_go.iter().enumerate() {
            match manifests.contents(*id, part)? {
                Some(own) => add(&mut found, own, &|one| one.let_go = Some(at)),
                None => {
                    losses.let_go[at] = None;
                    // What it has is there as long as it is, and nobody knows what that is.
                    losses.taken.fill(None);
                }
            }
        }
        for (at, id) in taken.iter().enumerate() {
            match manifests.contents(*id, part)? {
                Some(own) => add(&mut found, own, &|one| one.taken = Some(at)),
                None => losses.taken[at] = None,
            }
        }
        let kept = content.snapshots.iter().map(|one| one.record.id);
        for id in kept.filter(|id| !let_go.contains(id)) {
            let mark = |one: &mut Content| (one.let_go, one.taken) = (None, None);
            if !manifests.mark(id, part, &mut found, &mark)? {
                return Ok(Vec::new());
            }
        }
        let others = content.expired.iter().map(|one| one.id);
        for id in others.filter(|id| !taken.is_empty() && !taken.contains(id)) {
            if !manifests.mark(id, part, &mut found, &|one| one.taken = None)? {
                losses.taken.fill(None);
            }
        }
        for one in &found {
            let lost = match (one.let_go, one.taken) {
                (Some(at), _) => &mut losses.let_go[at],
                (None, Some(at)) => &mut losses.taken[at],
                (None, None) => continue,
            };
            let own = Lost {
                files: Some(1),
                bytes: one.size,
                at_least: false,
            };
            *lost = lost.map(|lost| Lost::sum([lost, own]));
        }
    }
    let let_go = let_go.iter().zip(losses.let_go);
    let taken = taken.iter().zip(losses.taken);
    let all = let_go.chain(taken);
    let known = all.filter_map(|(id, lost)| {
        Some(RemoteLoss {
            id: *id,
            lost: lost?,
        })
    });
    Ok(known.collect())
}

/// Adds what one snapshot has; both are sorted, each digest once.
fn add(found: &mut Vec<Content>, own: Vec<(Digest, u64)>, mark: &dyn Fn(&mut Content)) {
    let known = found.len();
    for (digest, size) in own {
        match found[..known].binary_search_by(|one| one.digest.cmp(&digest)) {
            Ok(at) => mark(&mut found[at]),
            Err(_) => {
                let mut one = Content {
                    digest,
                    size,
                    let_go: None,
                    taken: None,
                };
                mark(&mut one);
                found.push(one);
            }
        }
    }
    found.sort_unstable_by_key(|one| one.digest);
}

/// The manifests that are kept here.
#[derive(Clone, Copy)]
struct Manifests<'a> {
    cache: &'a RemoteCache,
    host: &'a str,
    stop: &'a Stop,
}

impl Manifests<'_> {
    /// A manifest of a snapshot that is there, or that is let go; none where it is not here.
    fn open(&self, id: SnapshotId) -> Option<Reader> {
        let own = id.to_string();
        let mut dir = self.cache.dir().again().ok()?;
        let there = [DESTINATION, self.host, BACKUP, SNAPSHOTS, &own];
        let file = there
            .iter()
            .try_for_each(|name| {
                dir = dir.folder(OsStr::new(name))?;
                Ok(())
            })
            .and_then(|()| dir.file(OsStr::new(FILE_NAME)));
        let file = file.or_else(|_: rustix::io::Errno| {
            let aside = self.cache.dir().folder(OsStr::new(EXPIRED))?;
            aside.file(OsStr::new(&layout::manifest_file(id)))
        });
        Reader::new(file.ok()?).ok()
    }

    /// What a snapshot has; none where that cannot be read.
    fn contents(
        &self,
        id: SnapshotId,
        part: &std::ops::RangeInclusive<u8>,
    ) -> Result<Option<Vec<(Digest, u64)>>> {
        let found = self
            .open(id)
            .map(|manifest| contents(manifest, part, &mut || self.stop.check()));
        self.stop.check()?;
        Ok(found.and_then(Result::ok))
    }

    /// Marks all that a snapshot has as well, and forgets what is nobody's alone; false where its manifest
    /// cannot be read.
    fn mark(
        &self,
        id: SnapshotId,
        part: &std::ops::RangeInclusive<u8>,
        found: &mut Vec<Content>,
        mark: &dyn Fn(&mut Content),
    ) -> Result<bool> {
        let Some(manifest) = self.open(id) else {
            return Ok(false);
        };
        for entry in manifest.without_names() {
            self.stop.check()?;
            let Ok(entry) = entry else {
                return Ok(false);
            };
            if let (Kind::File, Some(digest)) = (entry.kind, entry.digest)
                && part.contains(&digest.0[0])
                && let Ok(at) = found.binary_search_by(|one| one.digest.cmp(&digest))
            {
                mark(&mut found[at]);
            }
        }
        found.retain(|one| one.let_go.is_some() || one.taken.is_some());
        Ok(true)
    }
}
