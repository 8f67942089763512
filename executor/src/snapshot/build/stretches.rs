//! Stretches of the basis that a clone of it keeps: neither made nor looked at, and their lines taken over,
//! whole segments of them unread.

use std::{collections::VecDeque, ffi::OsString, sync::Arc};

use schema::{StoredPathBuf, plan::Basis};

use super::Builder;
use crate::{
    error::{Error, Result},
    manifest::{Entry, Segments, StoredLine, segments::header_length},
    snapshot::{
        build::gone::GoneEntries,
        build_context::{BuildContext, Reference},
        jobs::{BuildItem, ItemKind, Tally},
    },
    survey::{Encountered, Record, Stretch, StretchedManifest},
    sys::{Kind, bytes},
};

/// The manifest that stretches are of.
pub(super) struct StretchedBasis {
    segments: Arc<Segments>,
    /// The places of the first lines of its segments, and of its end.
    starts: Vec<u64>,
}

impl StretchedBasis {
    /// The basis' manifest, if its stretches are taken over: it is the one that the survey compared with, all
    /// that the clone has is the basis' and taken over unseen, and the new tree is judged by it.
    pub(super) fn of(
        build: &BuildContext<'_>,
        stretched: Option<StretchedManifest>,
        segments: Option<Arc<Segments>>,
        also: &[Basis],
    ) -> Option<Self> {
        let stretched = stretched?;
        let segments = segments.filter(|segments| segments.digest() == stretched.digest)?;
        let is_basis = build.clone_of.as_ref()?.id == stretched.basis;
        let is_alone = also.is_empty() && matches!(build.reference, Reference::Basis);
        // One would be taken over with all that is doubtful in it.
        let is_doubtful = !build.doubtful.is_empty();
        if !is_basis
            || !is_alone
            || is_doubtful
            || stretched.lines.len() != segments.digests().len()
        {
            return None;
        }
        let mut starts = vec![0];
        let mut end = 0;
        for lines in &stretched.lines {
            end += lines;
            starts.push(end);
        }
        Some(Self { segments, starts })
    }
}

impl StretchedBasis {
    /// Whether a stretch's lines are those of what follows in a record, one by one: all tests of whole runs
    /// ask this of all stretches.
    fn is_as_met(&self, stretch: &Stretch, record: &Record, build: &BuildContext<'_>) -> bool {
        let mut record = record.clone();
        let mut folders: Vec<StoredPathBuf> = Vec::new();
        let mut top = None;
        let mut place = stretch.line;
        let mut lines: VecDeque<Vec<u8>> = VecDeque::new();
        for _ in 0..stretch.met {
            let Ok(Some((name, met))) = record.next_met() else {
                return false;
            };
            let (Encountered::Enter(stat) | Encountered::Leaf(stat)) = met else {
                if met != Encountered::Leave || folders.pop().is_none() {
                    return false;
                }
                continue;
            };
            if lines.is_empty() {
                let at = self.starts.partition_point(|start| *start <= place) - 1;
                let (start, end) = (self.starts[at], self.starts[at + 1]);
                let Ok(text) = self.segments.text(at) else {
                    return false;
                };
                let left = lines_of(&text, place - start, end - start).trim_ascii_end();
                lines = left
                    .split(|byte| *byte == b'\n')
                    .map(<[u8]>::to_vec)
                    .collect();
            }
            let line = lines.pop_front().unwrap_or_default();
            let (Some(looks), Ok(entry)) = (StoredLine::read(&line), Entry::from_line(&line))
            else {
                return false;
            };
            let above = entry.path.parent().unwrap_or_default();
            let top: &StoredPathBuf = top.get_or_insert_with(|| above.to_owned());
            let is_there = *above == **folders.last().unwrap_or(top)
                && entry.path.file_name() == bytes(&name)
                && (stat.kind == Kind::Folder || stat.nlink == 1);
            if !is_there || !looks.is_plain || !build.since_basis().untouched(&entry, &stat) {
                return false;
            }
            if matches!(met, Encountered::Enter(_)) {
                folders.push(entry.path);
            }
            place += 1;
        }
        folders.is_empty() && place == stretch.line_end()
    }
}

impl Builder<'_> {
    /// The stretch that begins with what is met next, if it is taken over.
    pub(super) fn next_stretch(&mut self) -> Option<Stretch> {
        self.stretched.as_ref()?;
        let is_inherited = self.nodes.last().is_some_and(|node| node.inherited);
        let open = self.open.as_mut().filter(|open| open.pending.is_none())?;
        let given = open.record.given();
        while open
            .stretches
            .next_if(|next| next.met_before < given)
            .is_some()
        {}
        open.stretches
            .next_if(|next| next.met_before == given && is_inherited)
    }

    /// Takes a stretch over.
    pub(super) fn add_stretch(&mut self, stretch: Stretch) -> Result<()> {
        let (Some(basis), Some(stretched), Some(open)) =
            (&mut self.basis, &self.stretched, &mut self.open)
        else {
            return Err(Error::failed("a stretch of no manifest"));
        };
        debug_assert!(
            stretched.is_as_met(&stretch, &open.record, self.build),
            "{stretch:?}"
        );
        let compared = &mut self.compared;
        let mut passed = GoneEntries::new(self.build, &mut self.gone_in);
        let mut gone = |entry: &Entry| {
            compared.gone(entry);
            passed.add(entry);
        };
        basis
            .skip(
                (stretch.line, stretch.line_end()),
                &stretched.starts,
                &mut gone,
            )
            .map_err(|error| self.build.basis_fault(error))?;
        let passed = passed.end();
        open.record.skip(stretch.met).map_err(|error| {
            Error::failed(format!("cannot read the survey of the sources: {error}"))
        })?;
        self.take_away(passed)?;
        let node = self.node()?;
        self.job.items.push(BuildItem {
            reference: None,
            fed: None,
            name: OsString::new(),
            path: Some(Box::new(node.path.clone())),
            node,
            from: None,
            basis: None,
            line: 0..0,
            what: ItemKind::Stretch(stretch),
        });
        Ok(())
    }

    /// Writes what a job came to into the manifest.
    pub(super) fn write_lines(&mut self, tally: &mut Tally) -> Result<()> {
        let store = self.build.store;
        let io = |error| store.io("write", "the manifest", error);
        let lines = std::mem::take(&mut tally.lines);
        let mut from = 0;
        for (at, stretch) in std::mem::take(&mut tally.stretches) {
            self.manifest.write_lines(&lines[from..at]).map_err(io)?;
            self.write_stretch(&stretch)?;
            from = at;
        }
        self.manifest.write_lines(&lines[from..]).map_err(io)
    }

    /// Writes the lines of a stretch.
    fn write_stretch(&mut self, stretch: &Stretch) -> Result<()> {
        let build = self.build;
        let io = |error| build.store.io("write", "the manifest", error);
        let Some(StretchedBasis { segments, starts }) = &self.stretched else {
            return Err(Error::failed("a stretch of no manifest"));
        };
        let last = segments.digests().len() - 1;
        let mut line = stretch.line;
        // The last one that begins there or before.
        let mut at = starts.partition_point(|start| *start <= line) - 1;
        while line < stretch.line_end() {
            let (start, end) = (starts[at], starts[at + 1]);
            // That it ends where it does only what follows tells, which is taken over as well then.
            let is_whole = line == start && end < stretch.line_end() && at < last;
            let text = match is_whole && self.manifest.is_between() {
                true => None,
                false => Some(
                    segments
                        .text(at)
                        .map_err(|error| build.basis_fault(error))?,
                ),
            };
            match text {
                None => self.manifest.take_segment(at).map_err(io)?,
                Some(text) => {
                    let lines = lines_of(&text, line - start, stretch.line_end().min(end) - start);
                    if is_whole && self.manifest.ends_before(lines).map_err(io)? {
                        self.manifest.take_segment(at).map_err(io)?;
                    } else {
                        self.manifest.write_lines(lines).map_err(io)?;
                    }
                }
            }
            line = end;
            at += 1;
        }
        Ok(())
    }
}

/// Some of the entries' lines in a segment's text.
fn lines_of(text: &[u8], from: u64, to: u64) -> &[u8] {
    let entries = &text[header_length(text)..];
    // Where the line begins that so many are before.
    let place = |lines: u64| match lines.checked_sub(1) {
        None => 0,
        Some(last) => {
            let mut ends = memchr::memchr_iter(b'\n', entries);
            let end = ends.nth(usize::try_from(last).unwrap_or(usize::MAX));
            end.map_or(entries.len(), |end| end + 1)
        }
    };
    &entries[place(from)..place(to)]
}
