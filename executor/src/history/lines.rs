//! The lines of a manifest at and below a path: those of segments that have none of them are not read.

use std::{cell::RefCell, cmp::Ordering, collections::VecDeque, sync::Arc};

use memchr::memchr;
use schema::{Digest, SnapshotId, StoredPath, escape::escape, path::rest_below};

use crate::{
    error::{Error, Result},
    manifest::{
        Chunks, Entry, Segments, order_of_paths,
        segments::{self, path_of},
    },
    store::{Store, StoredManifest},
};

/// Texts of segments that are kept, for the other side of a comparison.
const KEPT: usize = 4;

/// What was unpacked last, by its digest: two manifests share most of their segments.
#[derive(Default)]
pub(super) struct RecentTexts(RefCell<VecDeque<(Digest, Arc<Vec<u8>>)>>);

impl RecentTexts {
    fn of(&self, segments: &Segments, at: usize) -> std::io::Result<Arc<Vec<u8>>> {
        let digest = segments.digests()[at];
        let mut kept = self.0.borrow_mut();
        if let Some((_, text)) = kept.iter().find(|(known, _)| *known == digest) {
            return Ok(Arc::clone(text));
        }
        let text = segments.text(at)?;
        kept.push_front((digest, Arc::clone(&text)));
        kept.truncate(KEPT);
        Ok(text)
    }
}

/// Where the lines of a manifest come from.
enum Source<'a> {
    Whole(Chunks),
    Segments {
        segments: Segments,
        texts: &'a RecentTexts,
        /// The next one to read.
        next: usize,
        /// The digest of the one that is read, as long as none of its lines was passed.
        untouched: Option<Digest>,
    },
}

/// The lines of a manifest at and below a path.
pub(super) struct Lines<'a> {
    store: &'a Store,
    id: SnapshotId,
    source: Source<'a>,
    /// The lines that are being read, and where the current one begins and ends in them.
    text: Arc<Vec<u8>>,
    line: (usize, usize),
    /// The path as it stands in manifests.
    below: Vec<u8>,
    at_end: bool,
}

impl<'a> Lines<'a> {
    /// A path as it stands in manifests.
    pub(super) fn escaped(path: &StoredPath) -> Vec<u8> {
        let mut below = b".".to_vec();
        for name in path.names() {
            below.push(b'/');
            below.extend_from_slice(escape(name).as_bytes());
        }
        below
    }

    /// Opens a snapshot's manifest, before its first line at or below a path.
    pub(super) fn open(
        store: &'a Store,
        id: SnapshotId,
        path: &StoredPath,
        texts: &'a RecentTexts,
    ) -> Result<Self> {
        let below = Self::escaped(path);
        let opened = store
            .stored_manifest(id)
            .map_err(|error| unread(error, id))?;
        let io = |error| unread(store.manifest_io("read", id, error), id);
        let source = match opened {
            StoredManifest::Whole(file) => Source::Whole(Chunks::new(file).map_err(io)?),
            StoredManifest::Segments(segments) => {
                let next = find_segment(&below, segments.digests().len(), |at| {
                    let text = texts.of(&segments, at)?;
                    Ok(segments::first_path(&text).to_vec())
                });
                Source::Segments {
                    next: next.map_err(io)?,
                    segments: *segments,
                    texts,
                    untouched: None,
                }
            }
        };
        Ok(Self {
            store,
            id,
            source,
            text: Arc::default(),
            line: (0, 0),
            below,
            at_end: false,
        })
    }

    pub(super) fn line(&self) -> &[u8] {
        &self.text[self.line.0..self.line.1]
    }

    /// The path of the current line, as it stands there; none at the end.
    pub(super) fn path(&self) -> Option<&[u8]> {
        (!self.at_end).then(|| path_of(self.line()))
    }

    pub(super) fn entry(&self) -> Result<Entry> {
        Entry::from_line(self.line()).map_err(|fault| {
            Error::failed(format!("the manifest of {} is damaged: {fault}", self.id))
        })
    }

    /// Goes to the next line that is wanted.
    pub(super) fn advance(&mut self) -> Result<()> {
        if !self.text.is_empty()
            && let Source::Segments { untouched, .. } = &mut self.source
        {
            *untouched = None;
        }
        self.seek()
    }

    /// The digest of the segment whose first wanted line is the current one.
    pub(super) fn untouched_segment(&self) -> Option<Digest> {
        match &self.source {
            Source::Segments { untouched, .. } if !self.at_end => *untouched,
            _ => None,
        }
    }

    /// Passes the segment at hand over; gives how many of its lines were wanted.
    pub(super) fn skip_segment(&mut self) -> Result<u64> {
        let left = self.text[self.line.0..].split(|byte| *byte == b'\n');
        let wanted = left.filter(|line| rest_below(path_of(line), &self.below).is_some());
        let count = wanted.count() as u64;
        self.line = (self.text.len(), self.text.len());
        self.seek()?;
        Ok(count)
    }

    /// Goes on from the current line to one that is wanted.
    fn seek(&mut self) -> Result<()> {
        loop {
            let mut from = (self.line.1 + 1).min(self.text.len());
            if self.text.is_empty() || from == self.text.len() {
                match self.read_on()? {
                    Some(start) => from = start,
                    None => {
                        self.at_end = true;
                        return Ok(());
                    }
                }
            }
            let end = memchr(b'\n', &self.text[from..]);
            self.line = (from, end.map_or(self.text.len(), |end| from + end));
            let path = path_of(self.line());
            if rest_below(path, &self.below).is_some() {
                return Ok(());
            }
            if order_of_paths(path, &self.below) == Ordering::Greater {
                // What is below follows it directly.
                self.at_end = true;
                return Ok(());
            }
        }
    }

    /// Reads more lines; gives where the first one begins.
    fn read_on(&mut self) -> Result<Option<usize>> {
        let (store, id) = (self.store, self.id);
        let io = |error| unread(store.manifest_io("read", id, error), id);
        match &mut self.source {
            Source::Whole(chunks) => {
                let Some(lines) = chunks.next_lines().map_err(io)? else {
                    return Ok(None);
                };
                let text = Arc::make_mut(&mut self.text);
                text.clear();
                text.extend_from_slice(lines);
                Ok(Some(0))
            }
            Source::Segments {
                segments,
                texts,
                next,
                untouched,
            } => {
                let at = *next;
                if at >= segments.digests().len() {
                    return Ok(None);
                }
                *next += 1;
                self.text = texts.of(segments, at).map_err(io)?;
                *untouched = Some(segments.digests()[at]);
                Ok(Some(segments::header_length(&self.text)))
            }
        }
    }
}

/// The last of so many segments whose first path is not after a path, as `first_path` tells them.
pub(super) fn find_segment(
    path: &[u8],
    count: usize,
    mut first_path: impl FnMut(usize) -> std::io::Result<Vec<u8>>,
) -> std::io::Result<usize> {
    // The first one begins with the snapshot itself.
    let (mut low, mut high) = (0, count);
    while high - low > 1 {
        let middle = low.midpoint(high);
        match order_of_paths(&first_path(middle)?, path) {
            Ordering::Greater => high = middle,
            Ordering::Less | Ordering::Equal => low = middle,
        }
    }
    Ok(low)
}

/// An error of reading a manifest, with what mends it.
fn unread(error: Error, id: SnapshotId) -> Error {
    error.hint(format!(
        "name another snapshot; `backup verify {id} --repair` makes this manifest anew from the files"
    ))
}
