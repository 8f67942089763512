//! Segments of manifests that are searched once, however many snapshots share them.
//!
//! Threads search ahead in the order in which the segments are asked for; who asks for one that nobody
//! has begun searches it himself, so that nobody waits for ever. What was found is forgotten once all
//! snapshots that have the segment took it.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};

use schema::{Digest, StoredPathBuf};

use super::search::Search;
use crate::{
    error::system_reason,
    event::Stop,
    manifest::{
        Entry, Segments,
        segments::{first_path, header_length, last_path},
        stored_path,
    },
};

/// Segments with findings that may wait to be taken before threads search further.
const AHEAD: usize = 32;

/// What a segment has of a pattern.
#[derive(Debug)]
pub(super) struct Searched {
    pub(super) entries: Vec<Entry>,
    /// The paths of its first and last entry.
    pub(super) first: StoredPathBuf,
    pub(super) last: StoredPathBuf,
}

/// What came of searching a segment: it can be damaged.
pub(super) type Outcome = Arc<Result<Searched, String>>;

/// Where a segment is on its way.
enum State {
    New,
    /// Somebody searches it.
    Busy,
    Done(Outcome),
}

struct Segment {
    /// A manifest that has it, and its place there.
    at: Vec<(usize, usize)>,
    /// How often it is still asked for.
    left: usize,
    state: State,
}

#[derive(Default)]
struct Table {
    segments: HashMap<Digest, Segment>,
    /// What threads are to search, in the order in which it is asked for.
    queue: VecDeque<Digest>,
    /// Findings that wait to be taken.
    waiting: usize,
    at_end: bool,
}

/// The segments of all manifests, each once.
pub(super) struct SharedSearch<'a> {
    search: &'a Search,
    stop: &'a Stop,
    manifests: Vec<Segments>,
    table: Mutex<Table>,
    changed: Condvar,
}

impl<'a> SharedSearch<'a> {
    /// Prepares the search of these segments of these manifests.
    pub(super) fn new(
        search: &'a Search,
        manifests: Vec<(Segments, Vec<usize>)>,
        stop: &'a Stop,
    ) -> Self {
        let mut table = Table::default();
        let longest = manifests.iter().map(|(_, wanted)| wanted.len()).max();
        // Those of all manifests at one place are asked for together.
        for place in 0..longest.unwrap_or_default() {
            for (number, (segments, wanted)) in manifests.iter().enumerate() {
                let Some(at) = wanted.get(place) else {
                    continue;
                };
                let digest = segments.digests()[*at];
                let segment = table.segments.entry(digest).or_insert_with(|| {
                    table.queue.push_back(digest);
                    Segment {
                        at: Vec::new(),
                        left: 0,
                        state: State::New,
                    }
                });
                segment.at.push((number, *at));
                segment.left += 1;
            }
        }
        Self {
            search,
            stop,
            manifests: manifests
                .into_iter()
                .map(|(segments, _)| segments)
                .collect(),
            table: Mutex::new(table),
            changed: Condvar::new(),
        }
    }

    /// The digest of a segment of a manifest.
    pub(super) fn digest(&self, manifest: usize, at: usize) -> Digest {
        self.manifests[manifest].digests()[at]
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A thread's work: searches ahead until all is searched or nobody asks any more.
    pub(super) fn search_ahead(&self) {
        loop {
            let mut table = self.table();
            while table.waiting >= AHEAD && !table.at_end {
                table = self
                    .changed
                    .wait(table)
                    .unwrap_or_else(PoisonError::into_inner);
            }
            let next = loop {
                let Some(digest) = table.queue.pop_front() else {
                    return;
                };
                if table.at_end {
                    return;
                }
                if let Some(segment) = table.segments.get_mut(&digest)
                    && matches!(segment.state, State::New)
                {
                    segment.state = State::Busy;
                    break (digest, segment.at.clone());
                }
            };
            drop(table);
            self.finish(next.0, Arc::new(self.look(&next.1)));
        }
    }

    /// Ends the threads.
    pub(super) fn end(&self) {
        self.table().at_end = true;
        self.changed.notify_all();
    }

    /// What a segment has, for one of the manifests that have it.
    pub(super) fn take(&self, digest: Digest) -> Outcome {
        let mut table = self.table();
        loop {
            let Some(segment) = table.segments.get_mut(&digest) else {
                return Arc::new(Err("it was not to be searched".to_owned()));
            };
            match &segment.state {
                State::Done(outcome) => {
                    let outcome = Arc::clone(outcome);
                    segment.left = segment.left.saturating_sub(1);
                    if segment.left == 0 {
                        table.segments.remove(&digest);
                        table.waiting -= usize::from(has_findings(&outcome));
                        self.changed.notify_all();
                    }
                    return outcome;
                }
                State::Busy => {
                    table = self
                        .changed
                        .wait(table)
                        .unwrap_or_else(PoisonError::into_inner);
                }
                State::New => {
                    segment.state = State::Busy;
                    let places = segment.at.clone();
                    drop(table);
                    self.finish(digest, Arc::new(self.look(&places)));
                    table = self.table();
                }
            }
        }
    }

    fn finish(&self, digest: Digest, outcome: Outcome) {
        let mut table = self.table();
        table.waiting += usize::from(has_findings(&outcome));
        if let Some(segment) = table.segments.get_mut(&digest) {
            segment.state = State::Done(outcome);
        }
        drop(table);
        self.changed.notify_all();
    }

    /// Searches a segment in the first of its places where it is whole.
    fn look(&self, places: &[(usize, usize)]) -> Result<Searched, String> {
        let mut fault = String::new();
        // Nobody waits for the rest.
        self.stop.check().map_err(|error| error.message)?;
        for (manifest, at) in places {
            match self.manifests[*manifest].text(*at) {
                Ok(text) => return self.look_in(&text),
                Err(error) => fault = system_reason(&error),
            }
        }
        Err(fault)
    }

    fn look_in(&self, text: &[u8]) -> Result<Searched, String> {
        let mut entries = Vec::new();
        let mut fault = None;
        self.search
            .lines(&text[header_length(text)..], &mut |line| {
                match Entry::from_line(line) {
                    Ok(entry) => entries.push(entry),
                    Err(invalid) => fault = Some(invalid.to_string()),
                }
                fault.is_none()
            });
        match fault {
            Some(fault) => Err(fault),
            None => Ok(Searched {
                entries,
                first: stored_path(first_path(text)),
                last: stored_path(last_path(text)),
            }),
        }
    }
}

fn has_findings(outcome: &Outcome) -> bool {
    matches!(&**outcome, Ok(searched) if !searched.entries.is_empty())
}
