//! What basis and reference have at the paths that are met, and what they have that is not met any more.

use std::ops::Range;

use schema::{Digest, StoredPath};

use super::{Builder, gone::GoneEntries};
use crate::{
    error::Result,
    manifest::{Entry, Found},
    snapshot::build_context::Reference,
    sys::Stat,
};

impl Builder<'_> {
    /// The basis' entry of a path.
    pub(super) fn find(&mut self, path: &StoredPath) -> Result<Option<Box<Entry>>> {
        let (basis, line) = self.find_line(path)?;
        if line.is_empty() {
            return Ok(basis);
        }
        let entry = Entry::from_nameless_line(&self.job.lines[line.clone()])
            .map_err(|fault| self.build.basis_fault(fault))?;
        self.job.lines.truncate(line.start);
        Ok(Some(Box::new(entry)))
    }

    /// The basis' entry of a path, or where its line stands in the job's.
    pub(super) fn find_line(
        &mut self,
        path: &StoredPath,
    ) -> Result<(Option<Box<Entry>>, Range<usize>)> {
        let Some(basis) = &mut self.basis else {
            return Ok((None, 0..0));
        };
        let by_basis = matches!(self.build.reference, Reference::Basis);
        let compared = &mut self.compared;
        let mut passed = GoneEntries::new(self.build, &mut self.gone_in);
        let mut gone = |entry: &Entry| {
            if by_basis && entry.tree == 0 {
                compared.gone(entry);
            }
            passed.add(entry);
        };
        let found = basis
            .find_line(path, &mut gone)
            .map_err(|error| self.build.basis_fault(error))?;
        let found = match found {
            None => (None, 0..0),
            Some(Found::Entry(entry)) => (Some(entry), 0..0),
            Some(Found::Line(line)) => {
                let lines = &mut self.job.lines;
                let start = lines.len();
                lines.extend_from_slice(line);
                (None, start..lines.len())
            }
        };
        let passed = passed.end();
        self.take_away(passed)?;
        Ok(found)
    }

    /// The digest of what the reference has at a path, where that is another one than the basis.
    pub(super) fn refer(&mut self, path: &StoredPath) -> Option<Digest> {
        let compared = &mut self.compared;
        let mut gone = |entry: &Entry| compared.gone(entry);
        let found = self.reference.as_mut()?.find_passing(path, &mut gone);
        match found {
            Ok(entry) => entry?.digest,
            // It is judged by what was read of it.
            Err(_) => {
                self.reference = None;
                None
            }
        }
    }

    /// What another destination was given in this run of a file that is not surely as the basis has it, where
    /// its source takes longer to read.
    pub(super) fn find_fed(&mut self, path: &StoredPath, stat: &Stat) -> Option<Box<Entry>> {
        let open = self.open.as_ref()?;
        let is_unread = open.record.is_same() && !self.build.since_basis().is_doubtful(stat);
        if !open.is_fed || is_unread {
            return None;
        }
        let found = self.fed.as_mut()?.find(path);
        if found.is_err() {
            // What cannot be read is read from the sources.
            self.fed = None;
        }
        found.ok().flatten().map(Box::new)
    }

    /// What is left of the reference is not there any more.
    pub(super) fn refer_to_end(&mut self) {
        let compared = &mut self.compared;
        let by_basis = matches!(self.build.reference, Reference::Basis);
        let cursor = match by_basis {
            true => self.basis.take(),
            false => self.reference.take(),
        };
        let mut gone = |entry: &Entry| {
            if entry.tree == 0 {
                compared.gone(entry);
            }
        };
        if let Some(cursor) = cursor {
            // What cannot be read does not count.
            let _ = cursor.finish(&mut gone);
        }
    }
}
