//! Writing a manifest that is one file, as a stream.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
};

use schema::Digest;
use sha2::{Digest as _, Sha256};
use zstd::Encoder;

use super::{Entry, HEADER, line::Lines};

/// zstd's own default level: faster than any disk here, and four fifths of what is gained by more.
pub(super) const LEVEL: i32 = 3;

/// Writes entries in order.
pub struct Writer {
    encoder: Encoder<'static, BufWriter<Hashing>>,
    lines: Lines,
}

/// Computes the digest of what is written to a file.
struct Hashing {
    file: File,
    hasher: Sha256,
}

impl Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn new_encoder(file: File, threads: usize) -> io::Result<Encoder<'static, BufWriter<Hashing>>> {
    let hashing = Hashing {
        file,
        hasher: Sha256::new(),
    };
    let mut encoder = Encoder::new(BufWriter::new(hashing), LEVEL)?;
    encoder.include_checksum(true)?;
    if threads > 1 {
        encoder.multithread(1)?;
    }
    writeln!(encoder, "{HEADER}")?;
    Ok(encoder)
}

impl Writer {
    /// Starts a manifest in an empty file.
    ///
    /// # Errors
    /// Fails if the file cannot be written.
    pub fn new(file: File) -> io::Result<Self> {
        Self::with_threads(file, 1)
    }

    /// As [`Self::new`]; with more than one thread another one compresses.
    ///
    /// # Errors
    /// Fails if the file cannot be written.
    pub fn with_threads(file: File, threads: usize) -> io::Result<Self> {
        let threads = threads.clamp(1, 2);
        let same = (threads > 1).then(|| file.try_clone()).transpose()?;
        let encoder = match (new_encoder(file, threads), same) {
            // zstd starts its thread with the first byte. Nothing was written yet.
            (Err(_), Some(same)) => new_encoder(same, 1)?,
            (encoder, _) => encoder?,
        };
        Ok(Self {
            encoder,
            lines: Lines::default(),
        })
    }

    /// Writes an entry. Invariant: its path follows the last one in path order.
    ///
    /// # Errors
    /// Fails if the file cannot be written.
    pub fn write(&mut self, entry: &Entry) -> io::Result<()> {
        self.encoder.write_all(self.lines.line_of(entry))
    }

    /// Writes lines that [`Entry::write_line`] made. Invariant: they follow what was written.
    ///
    /// # Errors
    /// Fails if the file cannot be written.
    pub fn write_lines(&mut self, lines: &[u8]) -> io::Result<()> {
        self.encoder.write_all(lines)
    }

    /// Ends the manifest, syncs it and gives the file's digest.
    ///
    /// # Errors
    /// Fails if the file cannot be written.
    pub fn finish(self) -> io::Result<Digest> {
        let hashing = self
            .encoder
            .finish()?
            .into_inner()
            .map_err(io::IntoInnerError::into_error)?;
        hashing.file.sync_all()?;
        Ok(Digest(hashing.hasher.finalize().into()))
    }
}
