//! Reading a manifest as text, many lines at a time, for whoever needs few of its entries.
//!
//! What a line says is [`super::line`]'s affair; here it is bytes between newlines.

use std::{
    fs::File,
    io::{self, Read as _},
    sync::Arc,
};

use memchr::memrchr;

use super::{
    HEADER, LONGEST_LINE, Segments,
    read::{not_known, too_long},
    text::Text,
};

/// Bytes that are looked at together; a longer line makes room for itself.
const CHUNK: usize = 256 << 10;

/// Reads whole lines, as many as fit.
pub struct Chunks {
    text: Text,
    buffer: Vec<u8>,
    /// What was given out ends here.
    given: usize,
    /// What was read ends here.
    end: usize,
    at_end: bool,
}

impl Chunks {
    /// Starts reading a manifest that is one file.
    ///
    /// # Errors
    /// Fails if the file cannot be read, or is not a manifest of a known version.
    pub fn new(file: File) -> io::Result<Self> {
        Self::of_text(Text::of_file(file)?)
    }

    /// Starts reading a manifest in segments.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn of_segments(segments: Arc<Segments>) -> io::Result<Self> {
        Self::of_text(Text::of_segments(segments, false))
    }

    fn of_text(text: Text) -> io::Result<Self> {
        let mut this = Self {
            text,
            buffer: vec![0; CHUNK],
            given: 0,
            end: 0,
            at_end: false,
        };
        this.fill()?;
        let text = &this.buffer[..this.end];
        let is_known = text
            .strip_prefix(HEADER.as_bytes())
            .is_some_and(|rest| rest.starts_with(b"\n"));
        if !is_known {
            return Err(not_known());
        }
        this.given = HEADER.len() + 1;
        Ok(this)
    }

    /// The next lines, each with its newline; none at the end.
    ///
    /// # Errors
    /// Fails if the file cannot be read, is damaged or was cut short.
    pub fn next_lines(&mut self) -> io::Result<Option<&[u8]>> {
        loop {
            let from = self.given;
            if let Some(last) = memrchr(b'\n', &self.buffer[from..self.end]) {
                self.given = from + last + 1;
                return Ok(Some(&self.buffer[from..self.given]));
            }
            if self.at_end {
                return if from == self.end {
                    Ok(None)
                } else {
                    Err(io::Error::new(
                        io::ErrorKind::UnexpectedEof,
                        "it ends within a line",
                    ))
                };
            }
            self.buffer.copy_within(from..self.end, 0);
            self.end -= from;
            self.given = 0;
            if self.end > LONGEST_LINE {
                self.buffer = Vec::new();
                (self.end, self.at_end) = (0, true);
                return Err(too_long());
            }
            if self.end == self.buffer.len() {
                self.buffer.resize(2 * self.end, 0);
            }
            self.fill()?;
        }
    }

    fn fill(&mut self) -> io::Result<()> {
        while self.end < self.buffer.len() {
            match self.text.read(&mut self.buffer[self.end..]) {
                Ok(0) => {
                    self.at_end = true;
                    break;
                }
                Ok(read) => self.end += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Entry, Writer};
    use super::*;

    fn manifest(paths: &[String]) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut writer = Writer::new(file.reopen().unwrap()).unwrap();
        for path in paths {
            let entry = Entry::from_line(format!("./{path} type=dir")).unwrap();
            writer.write(&entry).unwrap();
        }
        writer.finish().unwrap();
        file
    }

    fn read(file: &File) -> io::Result<Vec<String>> {
        let mut chunks = Chunks::new(file.try_clone()?)?;
        let mut paths = Vec::new();
        while let Some(lines) = chunks.next_lines()? {
            assert!(lines.ends_with(b"\n"));
            for line in std::str::from_utf8(lines).unwrap().lines() {
                paths.push(line.split(' ').next().unwrap()[2..].to_owned());
            }
        }
        Ok(paths)
    }

    #[test]
    fn every_line_comes_once_however_long_it_is() {
        let long = "x".repeat(3 * CHUNK);
        let mut paths: Vec<String> = (0..20_000).map(|number| format!("f{number:08}")).collect();
        paths.insert(7, format!("f00000006{long}"));
        let file = manifest(&paths);
        assert_eq!(read(&file.reopen().unwrap()).unwrap(), paths);
        let none = manifest(&[]);
        assert!(read(&none.reopen().unwrap()).unwrap().is_empty());
    }

    #[test]
    fn a_shortened_file_and_one_that_is_no_manifest_are_errors() {
        let paths: Vec<String> = (0..50_000).map(|number| format!("f{number:08}")).collect();
        let file = manifest(&paths);
        let length = file.as_file().metadata().unwrap().len();
        file.as_file().set_len(length / 2).unwrap();
        assert!(read(&file.reopen().unwrap()).is_err());
        let other = tempfile::NamedTempFile::new().unwrap();
        let text = zstd::encode_all(&b"#mtree something else\n"[..], 3).unwrap();
        std::fs::write(other.path(), text).unwrap();
        assert!(read(&other.reopen().unwrap()).is_err());
    }
}
