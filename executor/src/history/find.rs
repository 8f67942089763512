//! All versions of the paths that a pattern means, over all snapshots at once.
//!
//! One thread reads each manifest and sends on what it finds; the paths are merged as they come,
//! so that even a pattern that means everything costs little memory.

use std::{
    collections::VecDeque,
    io,
    sync::mpsc::{Receiver, SyncSender, sync_channel},
};

use schema::{SnapshotId, StoredPath, StoredPathBuf};

use super::search::Search;
use crate::{
    error::{Result, system_reason},
    event::Context,
    manifest::{Chunks, Entry},
    store::Store,
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
/// manifests. What cannot be read is told and passed over.
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
    std::thread::scope(|scope| {
        let streams: Result<Vec<Stream>> = snapshots
            .iter()
            .map(|id| {
                let (sender, batches) = sync_channel(WAITING);
                let opened = store.manifest_text(*id);
                start_scoped_thread(scope, "find", move || match opened {
                    Ok(chunks) => read_manifests(chunks, search, &sender),
                    Err(error) => drop(sender.send(Batch::Unread(error.message))),
                })?;
                Ok(Stream {
                    batches,
                    ready: VecDeque::new(),
                    state: State::Open,
                })
            })
            .collect();
        let mut streams = streams?;
        merge_found(&mut streams, context, each)?;
        Ok(streams
            .into_iter()
            .zip(snapshots)
            .filter_map(|(stream, id)| match stream.state {
                State::Unread(because) => Some(Unread { id: *id, because }),
                State::Open | State::Ended => None,
            })
            .collect())
    })
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
struct Stream {
    batches: Receiver<Batch>,
    ready: VecDeque<Entry>,
    state: State,
}

enum State {
    Open,
    Ended,
    /// Nothing is known of what comes.
    Unread(String),
}

impl Stream {
    /// The path of the next entry.
    fn head(&mut self) -> Option<&StoredPath> {
        while self.ready.is_empty() && matches!(self.state, State::Open) {
            match self.batches.recv() {
                Ok(Batch::Entries(entries)) => self.ready = entries.into(),
                Ok(Batch::Unread(because)) => self.state = State::Unread(because),
                Err(_) => self.state = State::Ended,
            }
        }
        self.ready.front().map(|entry| &*entry.path)
    }
}

fn merge_found(
    streams: &mut [Stream],
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
            return Ok(());
        };
        let mut versions: Vec<Version> = Vec::new();
        for (at, stream) in streams.iter_mut().enumerate() {
            let is_there = stream.head() == Some(&*path);
            let entry = if is_there {
                stream.ready.pop_front()
            } else {
                if matches!(stream.state, State::Unread(_)) {
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
