//! Reading a manifest as a stream.

use std::{
    ffi::OsStr,
    fs::File,
    io::{self, BufRead as _, Read as _},
    iter::Peekable,
    sync::Arc,
};

use rustix::io::Errno;
use schema::StoredPathBuf;

use super::{Entry, FILE_NAME, HEADER, LONGEST_LINE, Segments, line::Wanted, text::Text};
use crate::sys::{Dir, Kind, bytes};

/// Reads entries in order.
pub struct Reader {
    lines: Text,
    line: Vec<u8>,
    /// Lines of entries that it has gone on to.
    passed: u64,
    failed: bool,
    wanted: Wanted,
    /// Its next entry, where others are read with it.
    own: Option<Entry>,
    also: Vec<Peekable<Reader>>,
    /// Folders around the next entry that stand under other names, each with where it stands.
    renamed: Vec<(StoredPathBuf, StoredPathBuf)>,
}

impl Reader {
    /// Starts reading a manifest that is one file.
    ///
    /// # Errors
    /// Fails if the file cannot be read, or is not a manifest of a known version.
    pub fn new(file: File) -> io::Result<Self> {
        Self::of_text(Text::of_file(file)?)
    }

    /// Starts reading a manifest in segments, each of which is held against the list before any of it is
    /// given.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn of_segments(segments: Arc<Segments>) -> io::Result<Self> {
        Self::of_text(Text::of_segments(segments, false))
    }

    /// The same, of which damaged segments are passed over: what they have is not given.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn of_whole_segments(segments: Arc<Segments>) -> io::Result<Self> {
        Self::of_text(Text::of_segments(segments, true))
    }

    /// Starts reading the manifest that stands in a folder of records, in whatever form.
    ///
    /// # Errors
    /// As [`Self::new`], and where there is none.
    pub fn of_records(records: &Dir) -> io::Result<Self> {
        match records.file(OsStr::new(FILE_NAME)) {
            Ok(file) => Self::new(file),
            Err(Errno::NOENT) => Self::of_segments(Arc::new(Segments::open(records)?)),
            Err(error) => Err(error.into()),
        }
    }

    fn of_text(text: Text) -> io::Result<Self> {
        let mut this = Self {
            lines: text,
            line: Vec::new(),
            passed: 0,
            failed: false,
            wanted: Wanted::All,
            own: None,
            also: Vec::new(),
            renamed: Vec::new(),
        };
        this.read_line()?;
        if this.line.trim_ascii_end() != HEADER.as_bytes() {
            return Err(not_known());
        }
        Ok(this)
    }

    /// Passes over what users and groups are called, for who does without: that makes it faster.
    #[must_use]
    pub fn without_names(mut self) -> Self {
        self.wanted = Wanted::NoNames;
        self
    }

    /// Reads others together with it: of each path the entry of the first manifest that has it, marked
    /// with which that is. Where another one cannot be read any further, it is done without.
    #[must_use]
    pub fn with(mut self, others: Vec<Self>) -> Self {
        self.also = others.into_iter().map(Iterator::peekable).collect();
        self
    }

    /// The next entry of all.
    fn next_of_all(&mut self) -> Option<io::Result<Entry>> {
        let own = match self.own.take().map(Ok).or_else(|| self.next_own()) {
            Some(Err(error)) => return Some(Err(error)),
            own => own.and_then(Result::ok),
        };
        let mut first: Option<(usize, StoredPathBuf)> = None;
        for (at, other) in self.also.iter_mut().enumerate() {
            let Some(Ok(entry)) = other.peek() else {
                continue;
            };
            let before = |path: &StoredPathBuf| entry.path < *path;
            let is_first = first.as_ref().is_none_or(|(_, path)| before(path));
            if is_first && own.as_ref().is_none_or(|own| before(&own.path)) {
                first = Some((at, entry.path.clone()));
            }
        }
        let found = match first {
            Some((at, _)) => {
                self.own = own;
                let mut entry = self.also[at].next()?.ok()?;
                entry.tree = u8::try_from(at + 1).unwrap_or(u8::MAX);
                entry
            }
            None => own?,
        };
        for other in &mut self.also {
            other.next_if(|entry| entry.as_ref().is_ok_and(|entry| entry.path == found.path));
        }
        Some(Ok(found))
    }

    fn next_own(&mut self) -> Option<io::Result<Entry>> {
        match self.advance() {
            Ok(false) => None,
            Ok(true) => Some(self.entry()),
            Err(error) => Some(Err(error)),
        }
    }

    /// Goes on to the next line of its own; false at the end.
    pub(super) fn advance(&mut self) -> io::Result<bool> {
        if self.failed {
            return Ok(false);
        }
        let read = self.read_line();
        // What follows within a line is no line.
        self.failed = read.is_err();
        let is_there = read? > 0;
        self.passed += u64::from(is_there);
        Ok(is_there)
    }

    /// Lines of its own that it has gone on to: of the last of them that is the place, counted from one.
    pub(super) fn passed(&self) -> u64 {
        self.passed
    }

    /// Goes on so that the line at this place, counted from zero, is the next one. `starts` are the places of
    /// the first lines of its segments, of which those on the way are not read.
    pub(super) fn skip_to(&mut self, line: u64, starts: &[u64]) -> io::Result<()> {
        if let Some(start) = self.lines.skip_to(self.passed, line, starts) {
            self.passed = start;
        }
        while self.passed < line && self.advance()? {}
        Ok(())
    }

    /// How many lines of entries each of its segments has; none where not all of them were read.
    pub(super) fn lines_of_segments(&self) -> Option<Vec<u64>> {
        self.lines.lines_of_segments()
    }

    /// The line that it went on to, without its newline.
    pub(super) fn line(&self) -> &[u8] {
        self.line.strip_suffix(b"\n").unwrap_or(&self.line)
    }

    /// The entry of the line that it went on to.
    pub(super) fn entry(&mut self) -> io::Result<Entry> {
        let mut entry = Entry::from_line_for(self.line(), self.wanted)
            .map_err(|fault| io::Error::new(io::ErrorKind::InvalidData, fault))?;
        self.place(&mut entry);
        Ok(entry)
    }

    /// Whether other manifests are read with it.
    pub(super) fn reads_others(&self) -> bool {
        !self.also.is_empty()
    }

    /// Whether a folder around what it went on to, or one that it has just left, stands under another name.
    pub(super) fn is_within_renamed(&self) -> bool {
        !self.renamed.is_empty()
    }

    /// Notes where an entry stands. What is in a folder follows it.
    fn place(&mut self, entry: &mut Entry) {
        while let Some((folder, _)) = self.renamed.last()
            && !entry.path.is_below(folder)
        {
            self.renamed.pop();
        }
        if entry.stored_as.is_none() && self.renamed.is_empty() {
            return;
        }
        let own_folder = entry.path.parent().unwrap_or_default();
        let mut at = match self.renamed.last() {
            Some((folder, at)) => at.join(own_folder.rest_below(folder).unwrap_or(own_folder)),
            None => own_folder.to_owned(),
        };
        at.push(bytes(entry.stored_name()));
        if entry.kind == Kind::Folder && entry.stored_as.is_some() {
            self.renamed.push((entry.path.clone(), at.clone()));
        }
        entry.stands_at = Some(at);
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
        if self.also.is_empty() {
            return self.next_own();
        }
        self.next_of_all()
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

#[cfg(test)]
mod tests {
    use super::super::Writer;
    use super::*;

    #[test]
    fn of_manifests_that_are_read_together_the_first_one_that_has_a_path_counts() {
        let temporary = tempfile::tempdir().unwrap();
        let manifest = |number: usize, names: &[&str]| {
            let path = temporary.path().join(number.to_string());
            let mut writer = Writer::new(File::create(&path).unwrap()).unwrap();
            for name in names {
                let line = format!("./{name} type=file size={number}");
                writer.write(&Entry::from_line(line).unwrap()).unwrap();
            }
            writer.finish().unwrap();
            Reader::new(File::open(&path).unwrap()).unwrap()
        };
        let own = manifest(0, &["a", "c", "c/x", "f"]);
        let others = vec![
            manifest(1, &["b", "c", "c/y"]),
            manifest(2, &["b", "e", "g"]),
        ];
        let all: Vec<_> = own
            .with(others)
            .map(|entry| entry.unwrap())
            .map(|entry| {
                (
                    String::from_utf8(entry.path.into_bytes()).unwrap(),
                    entry.tree,
                    entry.size,
                )
            })
            .collect();
        let expected = [
            ("a", 0),
            ("b", 1),
            ("c", 0),
            ("c/x", 0),
            ("c/y", 1),
            ("e", 2),
            ("f", 0),
            ("g", 2),
        ];
        let expected = expected.map(|(path, tree)| (path.to_owned(), tree, u64::from(tree)));
        assert_eq!(all, expected);
    }

    #[test]
    fn what_is_in_a_folder_stands_where_the_folder_stands() {
        let temporary = tempfile::tempdir().unwrap();
        let path = temporary.path().join("m");
        let mut writer = Writer::new(File::create(&path).unwrap()).unwrap();
        let all = [
            ("home", "dir", "home"),
            ("home/a:b", "dir as=a_b~1", "home/a_b~1"),
            ("home/a:b/c", "file", "home/a_b~1/c"),
            ("home/a:b/d", "dir", "home/a_b~1/d"),
            ("home/a:b/d/e?", "dir as=e_~2", "home/a_b~1/d/e_~2"),
            ("home/a:b/d/e?/f", "file", "home/a_b~1/d/e_~2/f"),
            ("home/a:b/d/e?g", "file", "home/a_b~1/d/e?g"),
            ("home/a:bc", "file", "home/a:bc"),
            ("what?", "file as=what_~3", "what_~3"),
            ("z", "file", "z"),
        ];
        for (path, words, _) in all {
            let entry = Entry::from_line(format!("./{path} type={words}")).unwrap();
            writer.write(&entry).unwrap();
        }
        writer.finish().unwrap();
        let reader = Reader::new(File::open(&path).unwrap()).unwrap();
        for (entry, (path, _, stands_at)) in reader.zip(all) {
            let entry = entry.unwrap();
            assert_eq!(entry.path.as_bytes(), path.as_bytes());
            assert_eq!(
                entry.stored_path().as_bytes(),
                stands_at.as_bytes(),
                "{path}"
            );
        }
    }
}
