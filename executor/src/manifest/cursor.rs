//! Looking entries up by ever later paths, without holding the manifest in memory.

use std::{cmp::Ordering, io, iter::Peekable};

use schema::StoredPath;

use super::{Entry, Reader};

/// A place in a manifest that only moves forward.
pub struct Cursor {
    entries: Peekable<Reader>,
}

impl Cursor {
    /// Starts before the first entry.
    #[must_use]
    pub fn new(reader: Reader) -> Self {
        Self {
            entries: reader.peekable(),
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
        loop {
            let order = match self.entries.peek() {
                None => return Ok(None),
                Some(Ok(entry)) => (*entry.path).cmp(path),
                Some(Err(_)) => Ordering::Equal,
            };
            match order {
                Ordering::Less => {
                    if let Some(Ok(entry)) = self.entries.next() {
                        passed(&entry);
                    }
                }
                Ordering::Equal => return self.entries.next().transpose(),
                Ordering::Greater => return Ok(None),
            }
        }
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
        while let Some(next) = self.entries.next_if(|next| {
            next.as_ref()
                .map_or(true, |entry| entry.path.is_below(folder))
        }) {
            passed(&next?);
        }
        Ok(())
    }

    /// Goes to the end; `passed` sees what is left.
    ///
    /// # Errors
    /// As [`Self::find`].
    pub fn finish(self, passed: &mut dyn FnMut(&Entry)) -> io::Result<()> {
        for entry in self.entries {
            passed(&entry?);
        }
        Ok(())
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
}
