//! Reading a manifest as a stream.

use std::{
    fs::File,
    io::{self, BufRead as _, BufReader, Read as _},
};

use zstd::Decoder;

use super::{Entry, HEADER, LONGEST_LINE};

/// Reads entries in order.
pub struct Reader {
    lines: BufReader<Decoder<'static, BufReader<File>>>,
    line: Vec<u8>,
    failed: bool,
}

impl Reader {
    /// Starts reading.
    ///
    /// # Errors
    /// The system's reason, or that the file is not a manifest of a known version.
    pub fn new(file: File) -> io::Result<Self> {
        let lines = BufReader::with_capacity(128 << 10, Decoder::new(file)?);
        let mut this = Self {
            lines,
            line: Vec::new(),
            failed: false,
        };
        this.read_line()?;
        if this.line.trim_ascii_end() != HEADER.as_bytes() {
            return Err(not_known());
        }
        Ok(this)
    }

    /// Reads a line with its newline; gives how long it is, 0 at the end.
    fn read_line(&mut self) -> io::Result<usize> {
        self.line.clear();
        let limit = LONGEST_LINE as u64 + 1;
        let read = (&mut self.lines).take(limit);
        let length = { read }.read_until(b'\n', &mut self.line)?;
        if length > LONGEST_LINE {
            // Nothing of it is kept in memory.
            self.line = Vec::new();
            return Err(too_long());
        }
        Ok(length)
    }
}

impl Iterator for Reader {
    type Item = io::Result<Entry>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        match self.read_line() {
            Ok(0) => None,
            Ok(_) => Some(
                Entry::from_line(self.line.strip_suffix(b"\n").unwrap_or(&self.line))
                    .map_err(|fault| io::Error::new(io::ErrorKind::InvalidData, fault)),
            ),
            Err(error) => {
                // What follows within a line is no line.
                self.failed = true;
                Some(Err(error))
            }
        }
    }
}

pub(super) fn too_long() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        "a line of it is longer than any that this program writes",
    )
}

pub(super) fn not_known() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        "not a manifest of a version that this program knows",
    )
}
