//! Reading a manifest as a stream.

use std::{
    fs::File,
    io::{self, BufRead as _, BufReader},
};

use zstd::Decoder;

use super::{Entry, HEADER};

/// Reads entries in order.
pub struct Reader {
    lines: BufReader<Decoder<'static, BufReader<File>>>,
    line: Vec<u8>,
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
        };
        this.lines.read_until(b'\n', &mut this.line)?;
        if this.line.trim_ascii_end() != HEADER.as_bytes() {
            return Err(not_known());
        }
        Ok(this)
    }
}

impl Iterator for Reader {
    type Item = io::Result<Entry>;

    fn next(&mut self) -> Option<Self::Item> {
        self.line.clear();
        match self.lines.read_until(b'\n', &mut self.line) {
            Ok(0) => None,
            Ok(_) => Some(
                Entry::from_line(self.line.strip_suffix(b"\n").unwrap_or(&self.line))
                    .map_err(|fault| io::Error::new(io::ErrorKind::InvalidData, fault)),
            ),
            Err(error) => Some(Err(error)),
        }
    }
}

pub(super) fn not_known() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        "not a manifest of a version that this program knows",
    )
}
