//! The text of a manifest in segments, one after the other.

use std::{
    io::{self, BufRead, Read},
    sync::Arc,
};

use super::{super::HEADER, Segments};

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
}

impl SegmentText {
    pub(in crate::manifest) fn new(segments: Arc<Segments>, only_whole: bool) -> Self {
        Self {
            segments,
            next: 0,
            now: Arc::default(),
            given: 0,
            only_whole,
        }
    }

    /// Goes on to the next segment that can be read; false at the end.
    fn advance(&mut self) -> io::Result<bool> {
        while self.next < self.segments.digests().len() {
            let at = self.next;
            self.next += 1;
            self.given = 0;
            self.now = match self.segments.text(at) {
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
