//! The text of a manifest in segments, one after the other.

use std::{
    io::{self, BufRead, Read},
    sync::{
        Arc,
        mpsc::{Receiver, sync_channel},
    },
    thread::JoinHandle,
};

use super::{super::HEADER, Segments};
use crate::threads::start_thread;

/// Segments that are read ahead where they are far away.
const AHEAD: usize = 4;

/// Reads the lines of all segments as one text.
pub(in crate::manifest) struct SegmentText {
    segments: Arc<Segments>,
    /// The next one to read.
    next: usize,
    now: Arc<Vec<u8>>,
    /// How much of it was given.
    given: usize,
    /// What is damaged is passed over.
    only_whole: bool,
    ahead: Option<SegmentsAhead>,
}

/// A thread that reads segments before they are asked for.
struct SegmentsAhead {
    /// None once nobody takes any more.
    texts: Option<Receiver<io::Result<Arc<Vec<u8>>>>>,
    thread: Option<JoinHandle<()>>,
}

impl SegmentsAhead {
    /// Reads on from a segment; none where no thread is to be had.
    fn start(segments: &Arc<Segments>, from: usize) -> Option<Self> {
        let (give, texts) = sync_channel(AHEAD);
        let segments = Arc::clone(segments);
        let read = move || {
            let mut all = from..segments.digests().len();
            // Until nobody takes any more.
            let _ = all.try_for_each(|at| give.send(segments.text(at)));
        };
        Some(Self {
            texts: Some(texts),
            thread: Some(start_thread("manifest", read).ok()?),
        })
    }
}

impl Drop for SegmentsAhead {
    fn drop(&mut self) {
        drop(self.texts.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl SegmentText {
    pub(in crate::manifest) fn new(segments: Arc<Segments>, only_whole: bool) -> Self {
        Self {
            segments,
            next: 0,
            now: Arc::default(),
            given: 0,
            only_whole,
            ahead: None,
        }
    }

    /// The lines of a segment. Who asks for the second one is likely to read them all.
    fn text(&mut self, at: usize) -> io::Result<Arc<Vec<u8>>> {
        if at == 1 && self.segments.is_distant() {
            self.read_ahead(at);
        }
        let ahead = self.ahead.as_ref().and_then(|ahead| ahead.texts.as_ref());
        let read = ahead.and_then(|texts| texts.recv().ok());
        read.unwrap_or_else(|| {
            // What was read before serves again, unless others have it.
            let spare = Arc::try_unwrap(std::mem::take(&mut self.now)).unwrap_or_default();
            self.segments.text_in(at, spare)
        })
    }

    pub(in crate::manifest) fn segments(&self) -> &Segments {
        &self.segments
    }

    /// As [`super::super::text::Text::skip_to`].
    pub(in crate::manifest) fn skip_to(
        &mut self,
        passed: u64,
        line: u64,
        starts: &[u64],
    ) -> Option<u64> {
        // The last one that begins there or before.
        let at = starts
            .partition_point(|start| *start <= line)
            .checked_sub(1)?;
        let start = starts.get(at).copied().filter(|start| *start > passed)?;
        if at < self.next {
            return None;
        }
        self.ahead = None;
        (self.next, self.given, self.now) = (at, 0, Arc::default());
        Some(start)
    }

    /// Has the segments from one on, which is the next, read before they are asked for.
    pub(super) fn read_ahead(&mut self, from: usize) {
        self.ahead = SegmentsAhead::start(&self.segments, from);
    }

    /// Goes on to the next segment that can be read; false at the end.
    fn advance(&mut self) -> io::Result<bool> {
        while self.next < self.segments.digests().len() {
            let at = self.next;
            self.next += 1;
            self.given = 0;
            self.now = match self.text(at) {
                Ok(text) => text,
                Err(_) if self.only_whole && at == 0 => {
                    Arc::new(format!("{HEADER}\n").into_bytes())
                }
                Err(_) if self.only_whole => continue,
                Err(error) => return Err(error),
            };
            return Ok(true);
        }
        Ok(false)
    }
}

impl BufRead for SegmentText {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.given == self.now.len() {
            if !self.advance()? {
                return Ok(&[]);
            }
        }
        Ok(&self.now[self.given..])
    }

    fn consume(&mut self, amount: usize) {
        self.given += amount;
    }
}

impl Read for SegmentText {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let left = self.fill_buf()?;
        let length = left.len().min(into.len());
        into[..length].copy_from_slice(&left[..length]);
        self.consume(length);
        Ok(length)
    }
}
