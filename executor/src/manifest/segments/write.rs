//! Writing a manifest in segments: what is as in an earlier one is linked, the rest compressed.
//!
//! Another thread compares and compresses, so that who makes the lines does not wait.

use std::{
    ffi::OsStr,
    io::{self, Write as _},
    sync::{
        Arc,
        mpsc::{SyncSender, sync_channel},
    },
    thread::JoinHandle,
};

use memchr::memchr;
use rustix::io::Errno;
use schema::Digest;
use zstd::bulk::Compressor;

use super::{
    super::{
        Entry, HEADER,
        line::{Lines, order_of_paths},
        write::LEVEL,
    },
    LIST, MOST_SEGMENTS, Segments, cut, first_path, list_of, segment_name,
};
use crate::{sys::Dir, threads::start_thread};

/// Segments that may wait for the thread.
const WAITING: usize = 4;

/// Writes entries in order.
pub struct SegmentWriter {
    /// The lines of the segment at hand, how many entries they are, and whether these are the first.
    text: Vec<u8>,
    entries: usize,
    is_first: bool,
    lines: Lines,
    filing: Filing,
}

/// What becomes a segment.
enum NewSegment {
    /// Lines, and whether they are the last ones.
    Text(Vec<u8>, bool),
    /// The segment that the basis has there.
    OfBasis(usize),
}

/// Who puts segments on disk: a thread, or whoever makes them.
struct Filing {
    /// None where a thread does it, and once all is done.
    here: Option<Box<Shelf>>,
    /// None once all was given.
    segments: Option<SyncSender<NewSegment>>,
    /// None once it ended.
    thread: Option<JoinHandle<io::Result<Box<Shelf>>>>,
}

impl SegmentWriter {
    /// Starts a manifest in a new folder of these records. `basis` is the manifest whose segments are
    /// linked where they are the same; with more than one thread another one compresses. With `one_by_one`
    /// each file is synced by itself; else whoever seals the snapshot syncs the file system.
    ///
    /// # Errors
    /// Fails if the folder is there or cannot be made.
    pub fn new(
        records: &Dir,
        folder: &str,
        basis: Option<Arc<Segments>>,
        threads: usize,
        one_by_one: bool,
    ) -> io::Result<Self> {
        records.make_folder(OsStr::new(folder), 0o700)?;
        let mut compressor = Compressor::new(LEVEL)?;
        compressor.include_checksum(true)?;
        let shelf = Box::new(Shelf {
            dir: records.folder(OsStr::new(folder))?,
            basis,
            next: 0,
            can_link: true,
            one_by_one,
            compressor,
            digests: Vec::new(),
        });
        Ok(Self {
            text: format!("{HEADER}\n").into_bytes(),
            entries: 0,
            is_first: true,
            lines: Lines::default(),
            filing: Filing::new(shelf, threads),
        })
    }

    /// Writes an entry. Invariant: its path follows the last one in path order.
    ///
    /// # Errors
    /// Fails if a file cannot be written.
    pub fn write(&mut self, entry: &Entry) -> io::Result<()> {
        let mut lines = std::mem::take(&mut self.lines);
        let written = self.write_lines(lines.line_of(entry));
        self.lines = lines;
        written
    }

    /// Writes lines that [`Entry::write_line`] made. Invariant: they follow what was written.
    ///
    /// # Errors
    /// Fails if a file cannot be written.
    pub fn write_lines(&mut self, lines: &[u8]) -> io::Result<()> {
        let (mut from, mut at) = (0, 0);
        while at < lines.len() {
            let end = memchr(b'\n', &lines[at..]).map_or(lines.len(), |end| at + end + 1);
            let bytes = self.text.len() + (at - from);
            let is_first = self.is_first && self.entries > 0;
            if cut::is_border(self.entries, bytes, is_first, &lines[at..end]) {
                self.text.extend_from_slice(&lines[from..at]);
                from = at;
                self.end_segment(false)?;
            }
            self.entries += 1;
            at = end;
        }
        self.text.extend_from_slice(&lines[from..]);
        Ok(())
    }

    /// Whether a segment has just ended, or none has begun.
    pub(crate) fn is_between(&self) -> bool {
        self.entries == 0 && !self.is_first
    }

    /// Ends the segment at hand if one ends before these lines, which follow; says whether it did.
    ///
    /// # Errors
    /// Fails if a file cannot be written.
    pub(crate) fn ends_before(&mut self, lines: &[u8]) -> io::Result<bool> {
        let end = memchr(b'\n', lines).map_or(lines.len(), |end| end + 1);
        let is_first = self.is_first && self.entries > 0;
        let ends = cut::is_border(self.entries, self.text.len(), is_first, &lines[..end]);
        if ends {
            self.end_segment(false)?;
        }
        Ok(ends)
    }

    /// Takes a segment of the basis over as it is, which is not its last one. Invariant: a segment has just
    /// ended, its entries follow what was written, and it ends before what is written next.
    ///
    /// # Errors
    /// Fails if a file cannot be written.
    pub(crate) fn take_segment(&mut self, at: usize) -> io::Result<()> {
        debug_assert!(self.is_between());
        self.filing.put(NewSegment::OfBasis(at))
    }

    fn end_segment(&mut self, is_last: bool) -> io::Result<()> {
        let room = self.text.len();
        let text = std::mem::replace(&mut self.text, Vec::with_capacity(room));
        (self.entries, self.is_first) = (0, false);
        self.filing.put(NewSegment::Text(text, is_last))
    }

    /// Ends the manifest and gives its digest. It is on disk if each file is synced by itself.
    ///
    /// # Errors
    /// Fails if a file cannot be written.
    pub fn finish(mut self) -> io::Result<Digest> {
        self.end_segment(true)?;
        self.filing.end()?.finish()
    }
}

impl Filing {
    fn new(shelf: Box<Shelf>, threads: usize) -> Self {
        let mut this = Self {
            here: None,
            segments: None,
            thread: None,
        };
        if threads < 2 {
            this.here = Some(shelf);
            return this;
        }
        let (sender, segments) = sync_channel::<NewSegment>(WAITING);
        let (hand_over, taken) = sync_channel::<Box<Shelf>>(1);
        let work = move || -> io::Result<Box<Shelf>> {
            let mut shelf = taken.recv().map_err(|_| ended_early())?;
            for segment in segments {
                shelf.put(&segment)?;
            }
            Ok(shelf)
        };
        match start_thread("manifest", work) {
            Ok(thread) => {
                // The thread waits for it.
                let _ = hand_over.send(shelf);
                (this.segments, this.thread) = (Some(sender), Some(thread));
            }
            Err(_) => this.here = Some(shelf),
        }
        this
    }

    fn put(&mut self, segment: NewSegment) -> io::Result<()> {
        if let Some(shelf) = &mut self.here {
            return shelf.put(&segment);
        }
        let segments = self.segments.as_ref();
        let sent = segments.map(|segments| segments.send(segment));
        match sent {
            Some(Ok(())) => Ok(()),
            // It ended because of an error.
            _ => Err(self.end().err().unwrap_or_else(ended_early)),
        }
    }

    /// Waits until all is written.
    fn end(&mut self) -> io::Result<Box<Shelf>> {
        if let Some(shelf) = self.here.take() {
            return Ok(shelf);
        }
        self.segments = None;
        let ended = self.thread.take().map(JoinHandle::join);
        ended
            .and_then(Result::ok)
            .unwrap_or_else(|| Err(ended_early()))
    }
}

impl Drop for Filing {
    /// Nothing is written any more once the work ended, however it ended.
    fn drop(&mut self) {
        self.segments = None;
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn ended_early() -> io::Error {
    io::Error::other("the thread that writes it ended early")
}

/// The folder that segments come to.
struct Shelf {
    dir: Dir,
    basis: Option<Arc<Segments>>,
    /// The first segment of the basis that may still be asked for.
    next: usize,
    /// Hard links were not refused.
    can_link: bool,
    one_by_one: bool,
    compressor: Compressor<'static>,
    /// Those of the segments that it has.
    digests: Vec<Digest>,
}

impl Shelf {
    fn put(&mut self, segment: &NewSegment) -> io::Result<()> {
        let at = self.digests.len();
        if at == MOST_SEGMENTS {
            return Err(io::Error::other(
                "it has more entries than a manifest can hold",
            ));
        }
        let (found, text, is_last) = match segment {
            NewSegment::Text(text, is_last) => (self.find(text), text.as_slice(), *is_last),
            NewSegment::OfBasis(same) => {
                self.next = self.next.max(same + 1);
                let basis = self.basis.clone().ok_or_else(ended_early)?;
                (Some((basis, *same)), &b""[..], false)
            }
        };
        let name = segment_name(at, is_last);
        let digest = match found {
            Some((basis, same)) => {
                self.take(&basis, same, &name)?;
                basis.digests()[same]
            }
            None => {
                let packed = self.compressor.compress(text)?;
                self.write(&name, &packed)?;
                Digest::of(&packed)
            }
        };
        self.digests.push(digest);
        Ok(())
    }

    /// The segment of the basis that has the same lines. What is damaged there is none.
    fn find(&mut self, text: &[u8]) -> Option<(Arc<Segments>, usize)> {
        let basis = Arc::clone(self.basis.as_ref()?);
        let wanted = first_path(text);
        while self.next < basis.digests().len() {
            let at = self.next;
            if let Ok(there) = basis.text(at) {
                match order_of_paths(first_path(&there), wanted) {
                    std::cmp::Ordering::Less => {}
                    std::cmp::Ordering::Greater => return None,
                    std::cmp::Ordering::Equal => {
                        self.next += 1;
                        return (*there == text).then_some((basis, at));
                    }
                }
            }
            self.next += 1;
        }
        None
    }

    /// Links a segment of the basis, or copies it where that is refused.
    fn take(&mut self, basis: &Segments, same: usize, name: &str) -> io::Result<()> {
        if self.can_link {
            let (dir, from) = basis.place(same);
            match self.dir.link_from(dir, OsStr::new(&from), OsStr::new(name)) {
                Ok(()) => return Ok(()),
                // Of this one there are as many names as there can be.
                Err(Errno::MLINK) => {}
                Err(_) => self.can_link = false,
            }
        }
        self.write(name, &basis.packed(same)?)
    }

    fn write(&self, name: &str, packed: &[u8]) -> io::Result<()> {
        let mut file = self.dir.new_file(OsStr::new(name), 0o600)?;
        file.write_all(packed)?;
        if self.one_by_one {
            file.sync_all()?;
        }
        Ok(())
    }

    fn finish(self) -> io::Result<Digest> {
        let mut file = self.dir.new_file(OsStr::new(LIST), 0o600)?;
        let list = list_of(&self.digests);
        file.write_all(list.as_bytes())?;
        // Each of these waits for all that the journal has, and whoever syncs the file system waits again.
        if self.one_by_one {
            file.sync_all()?;
            self.dir.sync()?;
        }
        Ok(Digest::of(list.as_bytes()))
    }
}
