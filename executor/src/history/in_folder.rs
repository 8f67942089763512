//! What is directly in a folder of a snapshot, by its manifest. What is deeper is passed over, segments that have
//! nothing else are not read.

use std::{
    cmp::Ordering,
    collections::HashMap,
    io,
    sync::{Mutex, PoisonError},
};

use memchr::memchr;
use schema::{Digest, SnapshotId, StoredPath, escape::unescape, path::rest_below};

use super::lines::{Lines, RecentTexts, find_segment};
use crate::{
    error::{Result, system_reason},
    event::Stop,
    manifest::{
        Chunks, Entry, Segments, order_of_paths,
        segments::{first_path, header_length, path_of},
    },
    store::{Store, StoredManifest},
    sys::{Kind, stat::Nanos},
};

/// How the line of a folder goes on behind its path.
const OF_FOLDER: &[u8] = b" type=dir";

/// The paths that segments begin with, for who looks at one folder after the other: snapshots share most segments.
#[derive(Debug, Default)]
pub struct SegmentStarts(Mutex<HashMap<Digest, Vec<u8>>>);

impl SegmentStarts {
    fn of(&self, segments: &Segments, at: usize) -> io::Result<Vec<u8>> {
        let digest = segments.digests()[at];
        let known = |starts: &HashMap<_, Vec<u8>>| starts.get(&digest).cloned();
        if let Some(start) = known(&self.0.lock().unwrap_or_else(PoisonError::into_inner)) {
            return Ok(start);
        }
        let start = first_path(&segments.text(at)?).to_vec();
        let mut starts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        starts.insert(digest, start.clone());
        Ok(start)
    }
}

/// What is in a folder.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FolderContent {
    /// Whether there is such a folder.
    pub is_there: bool,
    /// By name.
    pub entries: Vec<FolderEntry>,
    /// Why not all of it is known.
    pub unread: Option<String>,
}

/// Something in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FolderEntry {
    /// Its name.
    pub name: Box<[u8]>,
    /// What it is.
    pub kind: Kind,
    /// Size in bytes; of regular files only.
    pub size: u64,
    /// Time of the last change of content.
    pub mtime: Nanos,
}

/// What is in a folder of a snapshot.
///
/// # Errors
/// A manifest that cannot be opened, or an interruption.
pub fn list_folder(
    store: &Store,
    id: SnapshotId,
    path: &StoredPath,
    starts: &SegmentStarts,
    stop: &Stop,
) -> Result<FolderContent> {
    let mut found = Collected {
        folder: Lines::escaped(path),
        within: None,
        is_over: false,
        content: FolderContent::default(),
    };
    match store.stored_manifest(id)? {
        StoredManifest::Segments(segments) => {
            found.read_segments(&segments, path.is_root(), starts, stop)?;
        }
        StoredManifest::Whole(file) => {
            let mut chunks =
                Chunks::new(file).map_err(|error| store.manifest_io("read", id, error))?;
            while !found.is_over {
                stop.check()?;
                match chunks.next_lines() {
                    Ok(Some(lines)) => found.take_lines(lines),
                    Ok(None) => break,
                    Err(error) => {
                        found.note(&error);
                        break;
                    }
                }
            }
        }
    }
    Ok(found.content)
}

/// The entry that a snapshot has at a path, by its manifest.
///
/// # Errors
/// A manifest that cannot be read.
pub(super) fn find_entry(
    store: &Store,
    id: SnapshotId,
    path: &StoredPath,
) -> Result<Option<Entry>> {
    let texts = RecentTexts::default();
    let mut lines = Lines::open(store, id, path, &texts)?;
    lines.advance()?;
    match lines.path() {
        Some(found) if *found == *Lines::escaped(path) => lines.entry().map(Some),
        _ => Ok(None),
    }
}

/// What was found so far.
struct Collected {
    /// The folder as it stands in manifests.
    folder: Vec<u8>,
    /// The folder in it whose content is passed over.
    within: Option<Vec<u8>>,
    /// Nothing that follows is in it.
    is_over: bool,
    content: FolderContent,
}

impl Collected {
    fn read_segments(
        &mut self,
        segments: &Segments,
        is_top: bool,
        starts: &SegmentStarts,
        stop: &Stop,
    ) -> Result<()> {
        let all = segments.digests().len();
        let first = match is_top {
            true => Ok(0),
            false => find_segment(&self.folder, all, |at| starts.of(segments, at)),
        };
        // Where one is damaged, the others are read from the beginning.
        let mut at = first.unwrap_or_default();
        while at < all && !self.is_over {
            stop.check()?;
            match segments.text(at) {
                Ok(text) => self.take_lines(&text[header_length(&text)..]),
                Err(error) => self.note(&error),
            }
            at += 1;
            if let Some(within) = &self.within {
                let is_within = |at: usize| -> io::Result<bool> {
                    Ok(rest_below(&starts.of(segments, at)?, within).is_some())
                };
                at = last_within(at, all, is_within).unwrap_or(at);
            }
        }
        Ok(())
    }

    fn note(&mut self, error: &io::Error) {
        let because = || system_reason(error);
        self.content.unread.get_or_insert_with(because);
    }

    /// Takes what is in the folder from whole lines.
    fn take_lines(&mut self, lines: &[u8]) {
        let mut rest = lines;
        while !rest.is_empty() && !self.is_over {
            let end = memchr(b'\n', rest).unwrap_or(rest.len());
            let line = &rest[..end];
            rest = &rest[(end + 1).min(rest.len())..];
            let path = path_of(line);
            if let Some(within) = &self.within
                && rest_below(path, within).is_some()
            {
                continue;
            }
            self.within = None;
            self.take_line(path, line);
        }
    }

    fn take_line(&mut self, path: &[u8], line: &[u8]) {
        let Some(name) = rest_below(path, &self.folder) else {
            self.is_over = order_of_paths(path, &self.folder) == Ordering::Greater;
            return;
        };
        let is_folder = line[path.len()..].starts_with(OF_FOLDER);
        if name.is_empty() {
            self.content.is_there = is_folder;
            self.is_over = !is_folder;
            return;
        }
        // Its own line may be in a damaged segment.
        self.content.is_there = true;
        if let Some(end) = memchr(b'/', name) {
            self.within = Some(path[..path.len() - name.len() + end].to_vec());
            return;
        }
        match (unescape(name), Entry::from_nameless_line(line)) {
            (Some(name), Ok(entry)) => self.content.entries.push(FolderEntry {
                name: name.into_boxed_slice(),
                kind: entry.kind,
                size: entry.size,
                mtime: entry.mtime,
            }),
            (_, Err(error)) => self.note(&error),
            (None, Ok(_)) => {}
        }
        if is_folder {
            self.within = Some(path.to_vec());
        }
    }
}

/// The last of the places from `low` to `all` that is within, all of which come first; `low` where none is.
fn last_within(
    low: usize,
    all: usize,
    is_within: impl Fn(usize) -> io::Result<bool>,
) -> io::Result<usize> {
    let (mut first, mut end) = (low, all);
    while first < end {
        let middle = first.midpoint(end);
        match is_within(middle)? {
            true => first = middle + 1,
            false => end = middle,
        }
    }
    Ok(first.saturating_sub(1).max(low))
}
