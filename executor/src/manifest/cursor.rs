//! Looking entries up by ever later paths, without holding the manifest in memory.

use std::{borrow::Cow, cmp::Ordering, io, sync::LazyLock};

use memchr::{memchr, memmem::Finder};
use schema::{StoredPath, StoredPathBuf, escape::unescape};

use super::{Entry, Looks, Reader, StoredLine, segments::path_of};

/// A word that says that an entry stands under another name.
static RENAMED: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(" as="));

/// A place in a manifest that only moves forward.
///
/// Paths are compared with lines as they stand there: most entries are found where they are expected, and
/// who finds them may do with the line.
pub struct Cursor {
    reader: Reader,
    next: Next,
}

/// What follows.
enum Next {
    /// That is not known yet.
    Unread,
    /// The line that the reader went on to.
    Line,
    /// What cannot be told from a line alone, or cannot be read.
    Entry(io::Result<Box<Entry>>),
    End,
}

/// What was found at a path.
pub(crate) enum Found<'a> {
    /// A line without its newline, of an entry that stands under its own name in folders that do so.
    Line(&'a [u8]),
    Entry(Box<Entry>),
}

/// How what was found looked.
pub(crate) struct FoundLooks<'a> {
    pub(crate) looks: Looks,
    /// The place of its line in the manifest, counted from zero, and the line, of an entry that stands under
    /// its own name in folders that do so.
    pub(crate) line: Option<(u64, StoredLine<'a>)>,
}

impl Cursor {
    /// Starts before the first entry.
    #[must_use]
    pub fn new(reader: Reader) -> Self {
        Self {
            reader,
            next: Next::Unread,
        }
    }

    /// The entry of this path, if the manifest has it.
    ///
    /// Invariant: paths are asked for in path order; a path before the last one is not found.
    ///
    /// # Errors
    /// Fails if the manifest cannot be read or is damaged.
    pub fn find(&mut self, path: &StoredPath) -> io::Result<Option<Entry>> {
        self.find_passing(path, &mut |_| {})
    }

    /// As [`Self::find`]; `passed` sees the entries before this path that nobody asked for.
    ///
    /// # Errors
    /// As [`Self::find`].
    pub fn find_passing(
        &mut self,
        path: &StoredPath,
        passed: &mut dyn FnMut(&Entry),
    ) -> io::Result<Option<Entry>> {
        match self.pass_before(path, passed)? {
            true => self.take().transpose(),
            false => Ok(None),
        }
    }

    /// As [`Self::find_passing`], for who may do with the line: it is not taken apart.
    ///
    /// # Errors
    /// As [`Self::find`], but for what is wrong with the line beyond its path.
    pub(crate) fn find_line(
        &mut self,
        path: &StoredPath,
        passed: &mut dyn FnMut(&Entry),
    ) -> io::Result<Option<Found<'_>>> {
        if !self.pass_before(path, passed)? {
            return Ok(None);
        }
        if matches!(self.next, Next::Line) {
            self.next = Next::Unread;
            return Ok(Some(Found::Line(self.reader.line())));
        }
        let found = self.take().transpose()?;
        Ok(found.map(|entry| Found::Entry(Box::new(entry))))
    }

    /// How the source of this path looked, if the manifest has it; `passed` as in [`Self::find_passing`].
    ///
    /// # Errors
    /// As [`Self::find`].
    pub(crate) fn find_looks(
        &mut self,
        path: &StoredPath,
        passed: &mut dyn FnMut(&Entry),
    ) -> io::Result<Option<FoundLooks<'_>>> {
        if !self.pass_before(path, passed)? {
            return Ok(None);
        }
        if matches!(self.next, Next::Line) {
            self.next = Next::Unread;
            let Some(line) = StoredLine::read(self.reader.line()) else {
                // What is wrong with a line its entry tells.
                let entry = Entry::from_nameless_line(self.reader.line())?;
                return Ok(Some(FoundLooks {
                    looks: Looks::from(&entry),
                    line: None,
                }));
            };
            return Ok(Some(FoundLooks {
                looks: line.looks,
                line: Some((self.reader.passed() - 1, line)),
            }));
        }
        let found = self.take().transpose()?;
        Ok(found.map(|entry| FoundLooks {
            looks: Looks::from(&entry),
            line: None,
        }))
    }

    /// The place, counted from zero, of the next line that nobody asked for yet, and whether it is of what is
    /// in a folder; none at the end. Of one manifest only, in which no entry stands under another name.
    ///
    /// # Errors
    /// As [`Self::find`].
    pub(crate) fn place(&mut self, folder: &StoredPath) -> io::Result<(u64, bool)> {
        let place = self.place_of_next()?;
        let is_below = self.peek()?.is_some_and(|next| next.is_below(folder));
        Ok((place, is_below))
    }

    /// Goes on to the line at this place, as in [`Self::place`]; `passed` sees the entries before `from`, and
    /// nobody those between. `starts` are the places of the first lines of the segments.
    ///
    /// # Errors
    /// As [`Self::find`].
    pub(crate) fn skip(
        &mut self,
        (from, to): (u64, u64),
        starts: &[u64],
        passed: &mut dyn FnMut(&Entry),
    ) -> io::Result<()> {
        while self.place_of_next()? < from
            && let Some(entry) = self.take()
        {
            passed(&entry?);
        }
        // What was peeked at is the first of those that are skipped.
        let is_there = self.place_of_next()? == from;
        self.next = Next::Unread;
        if is_there {
            self.reader.skip_to(to, starts)?;
        }
        match self.reader.passed() == to {
            true => Ok(()),
            false => Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "it is another manifest than the one that the sources were compared with",
            )),
        }
    }

    /// The place of what follows, counted from zero, which is peeked at.
    fn place_of_next(&mut self) -> io::Result<u64> {
        let is_there = self.peek()?.is_some();
        Ok(self.reader.passed() - u64::from(is_there))
    }

    /// How many lines of entries each segment of the manifest has; none where it is not in segments, or not
    /// all of them were read.
    pub(crate) fn lines_of_segments(&self) -> Option<Vec<u64>> {
        self.reader.lines_of_segments()
    }

    /// Passes all that is left of what is in a folder; `passed` sees it.
    ///
    /// # Errors
    /// As [`Self::find`].
    pub fn pass_content(
        &mut self,
        folder: &StoredPath,
        passed: &mut dyn FnMut(&Entry),
    ) -> io::Result<()> {
        while let Some(path) = self.peek()? {
            if !path.is_below(folder) {
                break;
            }
            if let Some(entry) = self.take() {
                passed(&entry?);
            }
        }
        Ok(())
    }

    /// Goes to the end; `passed` sees what is left.
    ///
    /// # Errors
    /// As [`Self::find`].
    pub fn finish(mut self, passed: &mut dyn FnMut(&Entry)) -> io::Result<()> {
        self.pass_all(passed)
    }

    /// As [`Self::finish`], for who asks for more of it.
    pub(crate) fn pass_all(&mut self, passed: &mut dyn FnMut(&Entry)) -> io::Result<()> {
        while self.peek()?.is_some() {
            if let Some(entry) = self.take() {
                passed(&entry?);
            }
        }
        Ok(())
    }

    /// Passes what is before a path; says whether the path follows.
    fn pass_before(
        &mut self,
        path: &StoredPath,
        passed: &mut dyn FnMut(&Entry),
    ) -> io::Result<bool> {
        loop {
            match self.peek()?.map(|next| (*next).cmp(path)) {
                Some(Ordering::Less) => {
                    if let Some(entry) = self.take() {
                        passed(&entry?);
                    }
                }
                Some(Ordering::Equal) => return Ok(true),
                Some(Ordering::Greater) | None => return Ok(false),
            }
        }
    }

    /// The path of what follows; none at the end. What cannot be read is passed.
    fn peek(&mut self) -> io::Result<Option<Cow<'_, StoredPath>>> {
        if matches!(self.next, Next::Unread) {
            self.next = self.read_on();
        }
        if let Next::Entry(Err(_)) = &self.next
            && let Next::Entry(Err(error)) = std::mem::replace(&mut self.next, Next::Unread)
        {
            return Err(error);
        }
        Ok(match &self.next {
            Next::Line => path_in(self.reader.line()),
            Next::Entry(Ok(entry)) => Some(Cow::Borrowed(&entry.path)),
            Next::Entry(Err(_)) | Next::Unread | Next::End => None,
        })
    }

    /// Takes what follows, which was peeked at.
    fn take(&mut self) -> Option<io::Result<Entry>> {
        match std::mem::replace(&mut self.next, Next::Unread) {
            Next::Line => Some(self.reader.entry()),
            Next::Entry(entry) => Some(entry.map(|entry| *entry)),
            Next::Unread => None,
            Next::End => {
                self.next = Next::End;
                None
            }
        }
    }

    fn read_on(&mut self) -> Next {
        if self.reader.reads_others() {
            return match self.reader.next() {
                Some(entry) => Next::Entry(entry.map(Box::new)),
                None => Next::End,
            };
        }
        match self.reader.advance() {
            Err(error) => Next::Entry(Err(error)),
            Ok(false) => Next::End,
            Ok(true) => {
                let line = self.reader.line();
                let tells_all = !self.reader.is_within_renamed()
                    && RENAMED.find(line).is_none()
                    && path_in(line).is_some();
                match tells_all {
                    true => Next::Line,
                    false => Next::Entry(self.reader.entry().map(Box::new)),
                }
            }
        }
    }
}

/// The path that stands in a line; none where it is none.
fn path_in(line: &[u8]) -> Option<Cow<'_, StoredPath>> {
    let path = path_of(line);
    let Some(path) = path.strip_prefix(b"./") else {
        return (path == b".").then_some(Cow::Borrowed(StoredPath::root()));
    };
    match memchr(b'\\', path) {
        None => Some(Cow::Borrowed(StoredPath::new(path))),
        Some(_) => unescape(path).map(|path| Cow::Owned(StoredPathBuf::from(path))),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Writer, line::InvalidLine};
    use super::*;

    fn entry(path: &str) -> Result<Entry, InvalidLine> {
        Entry::from_line(format!("./{path} type=dir"))
    }

    #[test]
    fn later_paths_are_found_and_missing_ones_are_not() {
        let temporary = tempfile::tempdir().unwrap();
        let path = temporary.path().join("manifest");
        let mut writer = Writer::new(std::fs::File::create(&path).unwrap()).unwrap();
        for name in ["a", "a/b", "a.b", "c"] {
            writer.write(&entry(name).unwrap()).unwrap();
        }
        let digest = writer.finish().unwrap();
        assert_eq!(digest, schema::Digest::of(&std::fs::read(&path).unwrap()));

        let reader = Reader::new(std::fs::File::open(&path).unwrap()).unwrap();
        let mut cursor = Cursor::new(reader);
        let mut found = |path: &str| cursor.find(StoredPath::new(path)).unwrap().is_some();
        assert!(found("a"));
        assert!(!found("a/a"));
        assert!(found("a.b"));
        assert!(!found("b"));
        assert!(found("c"));
        assert!(!found("d"));

        let reader = Reader::new(std::fs::File::open(&path).unwrap()).unwrap();
        let mut cursor = Cursor::new(reader);
        let mut passed = Vec::new();
        let mut pass = |entry: &Entry| passed.push(entry.path.shown());
        assert!(cursor.find(StoredPath::new("a")).unwrap().is_some());
        cursor
            .pass_content(StoredPath::new("a"), &mut pass)
            .unwrap();
        cursor.pass_content(StoredPath::root(), &mut pass).unwrap();
        assert_eq!(passed, ["/a/b", "/a.b", "/c"]);
    }

    #[test]
    fn a_line_is_given_where_it_tells_all_and_an_entry_where_names_differ() {
        let temporary = tempfile::tempdir().unwrap();
        let path = temporary.path().join("manifest");
        let lines = [
            "./a\\040b type=dir",
            "./a\\040b/x type=file",
            "./c type=dir as=c~1",
            "./c/x type=file",
            "./d type=file",
            "./e type=file",
        ];
        let mut writer = Writer::new(std::fs::File::create(&path).unwrap()).unwrap();
        for line in lines {
            writer.write(&Entry::from_line(line).unwrap()).unwrap();
        }
        writer.finish().unwrap();
        let reader = Reader::new(std::fs::File::open(&path).unwrap()).unwrap();
        let mut cursor = Cursor::new(reader);
        let expected = [
            ("a b", true),
            ("a b/x", true),
            ("c", false),
            ("c/x", false),
            // That it is in no such folder any more is known once its entry was read.
            ("d", false),
            ("e", true),
        ];
        for (name, is_line) in expected {
            let found = cursor
                .find_line(StoredPath::new(name), &mut |_| {})
                .unwrap();
            match found.unwrap() {
                Found::Line(line) => {
                    assert!(is_line, "{name}");
                    assert_eq!(path_in(line).unwrap().as_bytes(), name.as_bytes());
                }
                Found::Entry(entry) => {
                    assert!(!is_line, "{name}");
                    assert_eq!(entry.path.as_bytes(), name.as_bytes());
                    let stands_at = name.replacen('c', "c~1", 1);
                    assert_eq!(entry.stored_path().as_bytes(), stands_at.as_bytes());
                }
            }
        }
        let beyond = cursor.find_line(StoredPath::new("f"), &mut |_| {});
        assert!(beyond.unwrap().is_none());
    }
}
