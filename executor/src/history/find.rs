//! All versions of the paths that a pattern means, over all snapshots at once.
//!
//! Segments are searched once for all snapshots that share them ([`super::shared`]); of manifests that are
//! one file a thread reads each and sends on what it finds. The paths are merged as they come, so that
//! even a pattern that means everything costs little memory.

use std::{
    collections::{HashMap, VecDeque},
    io,
    ops::Range,
    sync::mpsc::{Receiver, SyncSender, sync_channel},
};

use schema::{Digest, SnapshotId, StoredPath, StoredPathBuf};

use super::{
    lines::{Lines, find_segment},
    search::Search,
    shared::{Outcome, SharedSearch},
};
use crate::{
    error::{Result, system_reason},
    event::Context,
    manifest::{Chunks, Entry, Segments, segments::first_path},
    store::{Store, StoredManifest},
    sys::Kind,
    threads::start_scoped_thread,
};

/// Entries that a thread sends at once, and how many such batches may wait.
const BATCH: usize = 256;
const WAITING: usize = 2;

/// A path and what it was in the snapshots, in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundVersions {
    /// The path, without a leading slash.
    pub path: StoredPathBuf,
    /// From the first snapshot that has it to the last one searched.
    pub versions: Vec<Version>,
}

/// A run of snapshots in which a path has the same content, or is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// Place in the list of snapshots of the first of them.
    pub first: usize,
    /// Of the last of them.
    pub last: usize,
    /// How many they are, less those that could not be read.
    pub snapshots: usize,
    /// What it is, as the last of them has it; none where it is not there.
    pub entry: Option<Entry>,
}

/// A snapshot whose manifest could not be searched to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unread {
    /// The snapshot.
    pub id: SnapshotId,
    /// Why.
    pub because: String,
}

/// Finds a pattern in the manifests of these snapshots; `each` gets the paths in the order of
/// manifests. What cannot be read is told and passed over. A segment that several of them share is read
/// once.
///
/// # Errors
/// An interruption, or what `each` says.
pub fn find_versions(
    store: &Store,
    snapshots: &[SnapshotId],
    search: &Search,
    context: Context<'_>,
    each: &mut dyn FnMut(FoundVersions) -> Result<()>,
) -> Result<Vec<Unread>> {
    let mut firsts = FirstPaths::new();
    let mut manifests = Vec::new();
    let mut opened = Vec::new();
    for id in snapshots {
        context.stop.check()?;
        opened.push(match store.stored_manifest(*id) {
            Ok(StoredManifest::Segments(segments)) => {
                let wanted = wanted_segments(&segments, search, &mut firsts);
                manifests.push((*segments, wanted.clone().collect()));
                Opened::Segments(manifests.len() - 1, wanted)
            }
            Ok(StoredManifest::Whole(file)) => {
                let chunks = Chunks::new(file);
                Opened::Whole(chunks.map_err(|error| store.manifest_io("read", *id, error)))
            }
            Err(error) => Opened::Whole(Err(error)),
        });
    }
    let shared = SharedSearch::new(search, manifests, context.stop);
    std::thread::scope(|scope| {
        // Also when this ends early, or by a panic.
        let _ending = EndSearch(&shared);
        for _ in 1..context.threads {
            // Without threads those who ask search.
            let _ = start_scoped_thread(scope, "find", || shared.search_ahead());
        }
        let streams: Result<Vec<Stream<'_>>> = opened
            .into_iter()
            .map(|opened| {
                let batches = match opened {
                    Opened::Segments(manifest, wanted) => {
                        return Ok(Stream::of(Rest::Segments {
                            shared: &shared,
                            manifest,
                            wanted,
                        }));
                    }
                    Opened::Whole(opened) => {
                        let (sender, batches) = sync_channel(WAITING);
                        start_scoped_thread(scope, "find", move || match opened {
                            Ok(chunks) => read_manifests(chunks, search, &sender),
                            Err(error) => drop(sender.send(Batch::Unread(error.message))),
                        })?;
                        batches
                    }
                };
                Ok(Stream::of(Rest::Whole(batches)))
            })
            .collect();
        let mut streams = streams?;
        merge_found(&mut streams, context, each)?;
        Ok(streams
            .into_iter()
            .zip(snapshots)
            .filter_map(|(stream, id)| {
                let because = stream.unread?;
                Some(Unread { id: *id, because })
            })
            .collect())
    })
}

/// A manifest that is to be searched.
enum Opened {
    /// Its place among those in segments, and which of them are to be searched.
    Segments(usize, Range<usize>),
    Whole(Result<Chunks>),
}

/// Ends the threads that search ahead.
struct EndSearch<'a, 's>(&'a SharedSearch<'s>);

impl Drop for EndSearch<'_, '_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// The paths of the first entries of segments, by digest.
type FirstPaths = HashMap<Digest, Vec<u8>>;

/// The segments that can have what is searched: of a single path one.
fn wanted_segments(segments: &Segments, search: &Search, firsts: &mut FirstPaths) -> Range<usize> {
    let all = 0..segments.digests().len();
    let Some(path) = search.only_path() else {
        return all;
    };
    let path = Lines::escaped(path);
    let found = find_segment(&path, all.len(), |at| {
        let digest = segments.digests()[at];
        if let Some(known) = firsts.get(&digest) {
            return Ok(known.clone());
        }
        let first = first_path(&segments.text(at)?).to_vec();
        firsts.insert(digest, first.clone());
        Ok(first)
    });
    // Where one cannot be read, another one may have it.
    found.map_or(all, |at| at..at + 1)
}

enum Batch {
    Entries(Vec<Entry>),
    Unread(String),
}

/// A thread's work: sends what a manifest has of the pattern.
fn read_manifests(mut chunks: Chunks, search: &Search, sender: &SyncSender<Batch>) {
    let mut found = Vec::new();
    let unread = loop {
        let lines = match chunks.next_lines() {
            Ok(Some(lines)) => lines,
            Ok(None) => break None,
            Err(error) => break Some(system_reason(&error)),
        };
        let mut fault = None;
        let goes_on = search.lines(lines, &mut |line| {
            match Entry::from_line(line) {
                Ok(entry) => found.push(entry),
                Err(invalid) => {
                    let error = io::Error::new(io::ErrorKind::InvalidData, invalid);
                    fault = Some(system_reason(&error));
                    return false;
                }
            }
            // Nobody waits for it any more if it cannot be sent.
            found.len() < BATCH
                || sender
                    .send(Batch::Entries(std::mem::take(&mut found)))
                    .is_ok()
        });
        if let Some(fault) = fault {
            break Some(fault);
        }
        if !goes_on {
            return;
        }
    };
    let sent = found.is_empty() || sender.send(Batch::Entries(found)).is_ok();
    if let (true, Some(because)) = (sent, unread) {
        let _ = sender.send(Batch::Unread(because));
    }
}

/// What one snapshot still has to tell.
struct Stream<'a> {
    rest: Rest<'a>,
    ready: Ready,
    /// Why not all of it could be read, if so.
    unread: Option<String>,
    /// The last path of the segments so far.
    last: Option<StoredPathBuf>,
    /// Where nothing is known of what it has: paths after the first and before the second, if any.
    gaps: Vec<(Option<StoredPathBuf>, Option<StoredPathBuf>)>,
}

/// Where more comes from.
enum Rest<'a> {
    Whole(Receiver<Batch>),
    Segments {
        shared: &'a SharedSearch<'a>,
        /// Its place among those in segments.
        manifest: usize,
        /// The segments to come.
        wanted: Range<usize>,
    },
    Ended,
}

/// Entries that were found.
enum Ready {
    Own(VecDeque<Entry>),
    /// Those of a segment, from one on.
    Shared(Outcome, usize),
}

impl Ready {
    fn head(&self) -> Option<&Entry> {
        match self {
            Self::Own(entries) => entries.front(),
            Self::Shared(outcome, at) => match &**outcome {
                Ok(searched) => searched.entries.get(*at),
                Err(_) => None,
            },
        }
    }

    fn pop(&mut self) -> Option<Entry> {
        match self {
            Self::Own(entries) => entries.pop_front(),
            Self::Shared(_, at) => {
                *at += 1;
                let at = *at - 1;
                let Self::Shared(outcome, _) = self else {
                    return None;
                };
                let searched = outcome.as_ref().as_ref().ok()?;
                searched.entries.get(at).cloned()
            }
        }
    }
}

impl<'a> Stream<'a> {
    fn of(rest: Rest<'a>) -> Self {
        Self {
            rest,
            ready: Ready::Own(VecDeque::new()),
            unread: None,
            last: None,
            gaps: Vec::new(),
        }
    }

    /// The path of the next entry.
    fn head(&mut self) -> Option<&StoredPath> {
        while self.ready.head().is_none() {
            if !self.read_on() {
                return None;
            }
        }
        self.ready.head().map(|entry| &*entry.path)
    }

    /// Takes more of what is there; false at the end.
    fn read_on(&mut self) -> bool {
        match &mut self.rest {
            Rest::Ended => return false,
            Rest::Whole(batches) => match batches.recv() {
                Ok(Batch::Entries(entries)) => {
                    let last = entries.last().map(|entry| entry.path.clone());
                    self.last = last.or(self.last.take());
                    self.ready = Ready::Own(entries.into());
                }
                Ok(Batch::Unread(because)) => {
                    self.unread = Some(because);
                    // Nothing is known of what comes.
                    self.gaps.push((self.last.clone(), None));
                    self.rest = Rest::Ended;
                }
                Err(_) => self.rest = Rest::Ended,
            },
            Rest::Segments {
                shared,
                manifest,
                wanted,
            } => {
                let Some(at) = wanted.next() else {
                    self.rest = Rest::Ended;
                    return false;
                };
                let outcome = shared.take(shared.digest(*manifest, at));
                self.took(outcome);
            }
        }
        true
    }

    /// Goes on with what a segment has, or notes that nothing is known of it.
    fn took(&mut self, outcome: Outcome) {
        match &*outcome {
            Ok(searched) => {
                if let Some((_, before @ None)) = self.gaps.last_mut() {
                    *before = Some(searched.first.clone());
                }
                self.last = Some(searched.last.clone());
                self.ready = Ready::Shared(outcome, 0);
            }
            Err(because) => {
                self.unread.get_or_insert_with(|| because.clone());
                if !matches!(self.gaps.last(), Some((_, None))) {
                    self.gaps.push((self.last.clone(), None));
                }
            }
        }
    }

    /// Whether it is not known what the snapshot has at a path.
    fn is_unknown(&self, path: &StoredPath) -> bool {
        self.gaps.iter().any(|(after, before)| {
            after.as_deref().is_none_or(|after| path > after)
                && before.as_deref().is_none_or(|before| path < before)
        })
    }
}

fn merge_found(
    streams: &mut [Stream<'_>],
    context: Context<'_>,
    each: &mut dyn FnMut(FoundVersions) -> Result<()>,
) -> Result<()> {
    loop {
        context.stop.check()?;
        let mut least: Option<StoredPathBuf> = None;
        for stream in streams.iter_mut() {
            if let Some(head) = stream.head()
                && least.as_deref().is_none_or(|least| head < least)
            {
                least = Some(head.to_owned());
            }
        }
        let Some(path) = least else {
            // What was not searched since somebody asked to stop is not what has nothing.
            return context.stop.check();
        };
        let mut versions: Vec<Version> = Vec::new();
        for (at, stream) in streams.iter_mut().enumerate() {
            let is_there = stream.head() == Some(&*path);
            let entry = if is_there {
                stream.ready.pop()
            } else {
                if stream.is_unknown(&path) {
                    continue;
                }
                None
            };
            add_found(&mut versions, at, entry);
        }
        each(FoundVersions { path, versions })?;
    }
}

/// Adds what the next snapshot has; nothing before the first that has it.
fn add_found(versions: &mut Vec<Version>, at: usize, entry: Option<Entry>) {
    if let Some(last) = versions.last_mut() {
        let is_same = match (&last.entry, &entry) {
            (Some(before), Some(now)) => same_content(before, now),
            (None, None) => true,
            _ => false,
        };
        if is_same {
            last.last = at;
            last.snapshots += 1;
            last.entry = entry;
            return;
        }
    } else if entry.is_none() {
        return;
    }
    versions.push(Version {
        first: at,
        last: at,
        snapshots: 1,
        entry,
    });
}

/// Whether two snapshots have the same content at a path, whatever its metadata.
pub(super) fn same_content(one: &Entry, other: &Entry) -> bool {
    one.kind == other.kind
        && match one.kind {
            Kind::File => match (one.digest, other.digest) {
                (Some(one), Some(other)) => one == other,
                // Without a digest: what the source's inode says.
                _ => (one.size, one.mtime, one.ino) == (other.size, other.mtime, other.ino),
            },
            Kind::Symlink => one.target == other.target,
            Kind::CharDevice | Kind::BlockDevice => one.device == other.device,
            Kind::Folder | Kind::Fifo | Kind::Socket => true,
        }
}
