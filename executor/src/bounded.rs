//! Reading what others wrote, never more of it than a limit: a damaged disk shows a file of any size,
//! and a program may print without an end.

use std::{
    fs::File,
    io::{self, BufRead, Read},
    path::Path,
};

/// Longest configuration, in bytes: one of ten thousand paths has a fourth of it, and reading takes
/// some fifteen times as much memory as it is long.
pub const LONGEST_CONFIG: u64 = 4 << 20;

/// Longest line of a list that a program made, in bytes: a path has at most four thousand, each of
/// which may be written as six (`\u0001`).
pub const LONGEST_LISTED_LINE: u64 = 64 << 10;

/// Bytes of memory that are set aside at once for what a file says that it holds.
const LARGEST_GUESS: u64 = 1 << 20;

/// All that there is to read, at most `limit` bytes.
///
/// # Errors
/// Fails if it cannot be read, or is longer.
pub fn read_bounded(from: impl Read, limit: u64) -> io::Result<Vec<u8>> {
    read_bounded_of(from, 0, limit)
}

/// The same of what says how many bytes it has, so that it is read with one call where that is true.
pub(crate) fn read_bounded_of(from: impl Read, said: u64, limit: u64) -> io::Result<Vec<u8>> {
    // One more, by which the end is known. A file that lies about its length gets no more than this.
    let room = said.min(limit).min(LARGEST_GUESS) + 1;
    let mut bytes = Vec::with_capacity(usize::try_from(room).unwrap_or(0));
    from.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(longer_than(limit));
    }
    Ok(bytes)
}

/// The content of a file, or of a pipe, of at most `limit` bytes.
///
/// # Errors
/// Fails if it cannot be read, or is longer.
pub fn read_file(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    read_bounded(File::open(path)?, limit)
}

/// That something is longer than anything that is written here.
pub(crate) fn longer_than(limit: u64) -> io::Error {
    let limit = schema::amount::bytes(limit);
    io::Error::other(format!(
        "it is longer than {limit}, which nothing here writes"
    ))
}

/// The lines of a text, without their ends, of which none is longer than a limit. After an error
/// there are no more.
pub(crate) struct BoundedLines<R> {
    from: R,
    limit: u64,
    is_over: bool,
}

impl<R: BufRead> BoundedLines<R> {
    pub(crate) fn new(from: R, limit: u64) -> Self {
        Self {
            from,
            limit,
            is_over: false,
        }
    }

    fn read_line(&mut self) -> io::Result<Option<String>> {
        let mut line = Vec::new();
        let mut most = (&mut self.from).take(self.limit.saturating_add(1));
        if most.read_until(b'\n', &mut line)? == 0 {
            return Ok(None);
        }
        if line.len() as u64 > self.limit {
            let limit = schema::amount::bytes(self.limit);
            return Err(io::Error::other(format!(
                "a line of it is longer than {limit}"
            )));
        }
        if line.last() == Some(&b'\n') {
            line.pop();
        }
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        String::from_utf8(line)
            .map(Some)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }
}

impl<R: BufRead> Iterator for BoundedLines<R> {
    type Item = io::Result<String>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        let line = self.read_line().transpose();
        self.is_over = !matches!(line, Some(Ok(_)));
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_longer_is_an_error_and_what_is_as_long_is_read() {
        assert_eq!(read_bounded(&b"abc"[..], 3).unwrap(), b"abc");
        assert!(read_bounded(&b"abcd"[..], 3).is_err());
        // Without an end.
        let error = read_bounded(io::repeat(b'x'), 1 << 20).unwrap_err();
        assert!(error.to_string().contains("1.0 MiB"), "{error}");
    }

    #[test]
    fn lines_end_with_the_first_that_is_too_long() {
        let lines = |text: &'static [u8]| -> Vec<Option<String>> {
            let lines = BoundedLines::new(text, 4);
            lines.map(Result::ok).collect()
        };
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(lines(b"abc\n\r\nd"), [some("abc"), some(""), some("d")]);
        assert_eq!(lines(b"a\nbcdef\ng\n"), [some("a"), None]);
        assert_eq!(lines(b"a\n\xff\nb\n"), [some("a"), None]);
        let endless = io::BufReader::new(io::repeat(b'x'));
        let all: Vec<_> = BoundedLines::new(endless, 1 << 20).collect();
        assert_eq!(all.len(), 1);
        assert!(all[0].is_err());
    }
}
