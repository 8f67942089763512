//! The text of a manifest, in whatever form it is stored.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read},
    sync::Arc,
};

use zstd::Decoder;

use super::{
    new_decoder,
    segments::{SegmentText, Segments},
};

/// Bytes of a manifest in one file that are unpacked at once.
const UNPACKED: usize = 128 << 10;

/// Reads a manifest's lines as one text.
pub(super) enum Text {
    File(BufReader<Decoder<'static, BufReader<File>>>),
    Segments(SegmentText),
}

impl Text {
    pub(super) fn of_file(file: File) -> io::Result<Self> {
        let decoder = new_decoder(file)?;
        Ok(Self::File(BufReader::with_capacity(UNPACKED, decoder)))
    }

    pub(super) fn of_segments(segments: Arc<Segments>, only_whole: bool) -> Self {
        Self::Segments(SegmentText::new(segments, only_whole))
    }

    /// Goes on to the segment that has a line, if that is not the one at hand; gives the place of its first
    /// line then. The first lines of the segments are at `starts`, and `passed` lines were read.
    pub(super) fn skip_to(&mut self, passed: u64, line: u64, starts: &[u64]) -> Option<u64> {
        match self {
            Self::File(_) => None,
            Self::Segments(text) => text.skip_to(passed, line, starts),
        }
    }

    /// As [`Segments::lines`], of a manifest in segments.
    pub(super) fn lines_of_segments(&self) -> Option<Vec<u64>> {
        match self {
            Self::File(_) => None,
            Self::Segments(text) => text.segments().lines(),
        }
    }
}

impl Read for Text {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::File(decoder) => decoder.read(into),
            Self::Segments(text) => text.read(into),
        }
    }
}

impl BufRead for Text {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        match self {
            Self::File(decoder) => decoder.fill_buf(),
            Self::Segments(text) => text.fill_buf(),
        }
    }

    fn consume(&mut self, amount: usize) {
        match self {
            Self::File(decoder) => decoder.consume(amount),
            Self::Segments(text) => text.consume(amount),
        }
    }
}
