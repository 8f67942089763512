//! The text of a manifest, in whatever form it is stored.

use std::{
    fs::File,
    io::{self, BufReader, Read},
    sync::Arc,
};

use zstd::Decoder;

use super::{
    new_decoder,
    segments::{SegmentText, Segments},
};

/// Reads a manifest's lines as one text.
pub(super) enum Text {
    File(Decoder<'static, BufReader<File>>),
    Segments(SegmentText),
}

impl Text {
    pub(super) fn of_file(file: File) -> io::Result<Self> {
        new_decoder(file).map(Self::File)
    }

    pub(super) fn of_segments(segments: Arc<Segments>, only_whole: bool) -> Self {
        Self::Segments(SegmentText::new(segments, only_whole))
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
