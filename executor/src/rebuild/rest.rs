//! What is left of a manifest of which segments are damaged: their entries come from the tree, the rest
//! stays as it was sealed.

use std::sync::Arc;

use schema::{StoredPath, StoredPathBuf, journal::Problem, record::SnapshotRecord};

use super::Records;
use crate::{
    error::{Error, Result},
    manifest::{
        Entry, Reader, SegmentWriter, Segments,
        segments::{self, first_path, header_length, last_path},
        stored_path,
    },
    verify::snapshots::FoundSnapshot,
};

/// Most segments whose entries are held in memory; where more are damaged, all is read from the tree.
const MOST_LOST: usize = 256;

/// A manifest of which some segments are lost.
pub(super) struct Rest {
    segments: Arc<Segments>,
    lost: Vec<usize>,
    gaps: Vec<Gap>,
}

/// Damaged segments that follow each other, and the paths around what they had.
struct Gap {
    first: usize,
    after: Option<StoredPathBuf>,
    before: Option<StoredPathBuf>,
}

impl Gap {
    fn has(&self, path: &StoredPath) -> bool {
        let is_after = self.after.as_deref().is_none_or(|after| path > after);
        let is_before = self.before.as_deref().is_none_or(|before| path < before);
        is_after && is_before
    }
}

impl Rest {
    pub(super) fn segments(&self) -> Arc<Segments> {
        Arc::clone(&self.segments)
    }

    fn new(segments: Segments, lost: Vec<usize>) -> std::io::Result<Self> {
        let path = |at: usize, is_last: bool| -> std::io::Result<StoredPathBuf> {
            let text = segments.text(at)?;
            Ok(stored_path(match is_last {
                true => last_path(&text),
                false => first_path(&text),
            }))
        };
        let mut gaps = Vec::new();
        let mut left = lost.iter().copied().peekable();
        while let Some(first) = left.next() {
            let mut last = first;
            while left.next_if_eq(&(last + 1)).is_some() {
                last += 1;
            }
            let after = first.checked_sub(1).map(|at| path(at, true)).transpose()?;
            let following = Some(last + 1).filter(|at| *at < segments.digests().len());
            let before = following.map(|at| path(at, false)).transpose()?;
            gaps.push(Gap {
                first,
                after,
                before,
            });
        }
        Ok(Self {
            segments: Arc::new(segments),
            lost,
            gaps,
        })
    }
}

impl Records<'_> {
    /// What is left of the manifest in segments, if its list is the one that was sealed. A segment that
    /// is whole in another snapshot is not lost.
    pub(super) fn rest_of_segments(
        &self,
        sealed: Option<&SnapshotRecord>,
        neighbours: &[FoundSnapshot],
    ) -> Result<Option<Rest>> {
        let store = self.store;
        let Some(mut found) = self.sealed_segments(sealed) else {
            return Ok(None);
        };
        let mut lost = Vec::new();
        for at in 0..found.digests().len() {
            self.context.stop.check()?;
            if found.fault(at).is_some() {
                lost.push(at);
            }
        }
        for neighbour in neighbours {
            if lost.is_empty() {
                break;
            }
            self.context.stop.check()?;
            if let Ok(Some(other)) = store.segments(neighbour.id) {
                found.take_lost(&mut lost, &other);
            }
        }
        if lost.len() > MOST_LOST {
            return Ok(None);
        }
        // What cannot be read now, and could a moment ago, is read from the tree with all else.
        Ok(Rest::new(found, lost).ok())
    }

    /// The segments as they were sealed, by their list or by themselves; none where nothing tells.
    fn sealed_segments(&self, sealed: Option<&SnapshotRecord>) -> Option<Segments> {
        let (store, id) = (self.store, self.step.id);
        let kept = store.kept.get(&id).map(|kept| kept.digest);
        let wanted = sealed.map(|record| record.manifest_digest).or(kept);
        if let Ok(found) = Segments::open_named(&self.dir, segments::FOLDER) {
            let known = store.kept_of(id, found.digest());
            let is_kept = known.is_none_or(|known| known.digest == found.digest());
            if is_kept && wanted.is_none_or(|wanted| wanted == found.digest()) {
                return Some(found);
            }
        }
        Segments::open_without_list(&self.dir, segments::FOLDER, wanted?)
    }

    /// Writes a manifest with what is left of it, and what the tree has where something is lost.
    pub(super) fn write_rest(
        &self,
        rest: &Rest,
        neighbours: &[FoundSnapshot],
        writer: &mut SegmentWriter,
    ) -> Result<Vec<Problem>> {
        let io = |error: std::io::Error| Error::io("write", b"the manifest", error);
        let mut entries: Vec<Entry> = Vec::new();
        let mut problems = Vec::new();
        if !rest.gaps.is_empty() {
            let wanted = |path: &StoredPath| rest.gaps.iter().any(|gap| gap.has(path));
            let own = || Reader::of_whole_segments(rest.segments()).map_err(io);
            let open = |found: &FoundSnapshot| {
                let other = self.store.rest_of_manifest(found.id)?;
                Ok(own()?.with(vec![other]))
            };
            let read = self.read_tree(neighbours, &open, &wanted, &mut |entry| {
                entries.push(entry.clone());
                Ok(())
            })?;
            problems = read.problems;
        }
        let mut entries = entries.iter().peekable();
        for at in 0..rest.segments.digests().len() {
            self.context.stop.check()?;
            if !rest.lost.contains(&at) {
                let text = rest.segments.text(at).map_err(io)?;
                let entries = &text[header_length(&text)..];
                writer.write_lines(entries).map_err(io)?;
            } else if let Some(gap) = rest.gaps.iter().find(|gap| gap.first == at) {
                while let Some(entry) = entries.next_if(|entry| gap.has(&entry.path)) {
                    writer.write(entry).map_err(io)?;
                }
            }
        }
        Ok(problems)
    }
}
