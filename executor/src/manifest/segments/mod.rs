//! A manifest that is cut into segments: a folder with one compressed file for each, and a list of them
//! with their digests.
//!
//! `zstd -dc manifest/*.zst` gives the whole manifest, `sha256sum -c SHA256SUMS` in the folder checks it,
//! and the digest of `SHA256SUMS` is the digest of the manifest. A segment that is as in an earlier
//! snapshot is one inode with that one's, so a manifest costs what changed.
//!
//! Invariant (law 5): a segment is written once, under a new name, before its snapshot is sealed.

mod cut;
mod text;
mod write;

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet, VecDeque, btree_map::Entry},
    ffi::OsStr,
    fmt::Write as _,
    fs::File,
    io::{self, Read as _},
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use schema::Digest;
use zstd::{bulk::Decompressor, zstd_safe};

pub(super) use self::text::SegmentText;
pub use self::write::SegmentWriter;
use super::{LONGEST_LINE, new_decoder};
use crate::{
    bounded::read_bounded,
    side_by_side::with_each,
    sys::{Dir, distance::round_trip},
};

/// Folder of a manifest in segments, in a snapshot's record folder.
pub const FOLDER: &str = "manifest";
/// The list of the segments in that folder, in sha256sum's form and in their order.
pub const LIST: &str = "SHA256SUMS";
/// The list as a record names it.
pub const LIST_PATH: &str = "manifest/SHA256SUMS";

/// Most segments of one manifest: their names have six digits. Each but the last has some five hundred
/// entries or more.
const MOST_SEGMENTS: usize = 999_999;
/// Longest list, in bytes.
const LONGEST_LIST: u64 = (MOST_SEGMENTS * LIST_LINE + LAST.len()) as u64;
const LIST_LINE: usize = DIGITS + "  manifest.000001.zst\n".len();
/// Digits of a digest.
const DIGITS: usize = 64;
/// What the name of the last segment has besides.
const LAST: &str = "-last";
/// Largest segment that is read, in bytes, packed or not: what is written ends at a mebibyte, and with
/// one line more.
const LARGEST: u64 = 2 * LONGEST_LINE as u64;
/// Segments that are read at once where they are far away.
const AT_ONCE: usize = 16;
/// What is kept of segments that were unpacked, in bytes, where two read the same one after the other.
const KEPT: usize = 24 << 20;
/// What is kept of segments as they are on disk, in bytes, where all are read several times: those of some
/// two hundred thousand entries.
const REMEMBERED: usize = 16 << 20;

/// The name of a segment; the first is the 0th. That of the last one says so: a list that is cut short
/// is known for what it is. Each says what it is, also where it is found alone.
fn segment_name(at: usize, is_last: bool) -> String {
    let last = if is_last { LAST } else { "" };
    format!("manifest.{:06}{last}.zst", at + 1)
}

/// The list of segments that have these digests.
#[must_use]
pub fn list_of(digests: &[Digest]) -> String {
    let mut list = String::with_capacity(digests.len() * LIST_LINE + LAST.len());
    for (at, digest) in digests.iter().enumerate() {
        let name = segment_name(at, at + 1 == digests.len());
        let _ = writeln!(list, "{digest}  {name}");
    }
    list
}

/// The digests in a list, which has nothing but the names that segments have, in their order.
///
/// # Errors
/// Fails if it has anything else.
pub fn parse_list(list: &[u8]) -> io::Result<Vec<Digest>> {
    let invalid = || io::Error::new(io::ErrorKind::InvalidData, "it is no list of segments");
    let last = list.len().checked_sub(LIST_LINE + LAST.len());
    let last = last.filter(|before| before.is_multiple_of(LIST_LINE));
    let (before, last) = list.split_at(last.ok_or_else(invalid)?);
    let lines = before.chunks_exact(LIST_LINE).map(|line| (line, false));
    let lines = lines.chain([(last, true)]).enumerate();
    lines
        .map(|(at, (line, is_last))| {
            let (digest, name) = line.split_at(DIGITS);
            let digest = is_name_in_list(name, at, is_last).then(|| Digest::from_hex(digest));
            digest.flatten().ok_or_else(invalid)
        })
        .collect()
}

/// Whether this follows the digest in a line of the list.
fn is_name_in_list(name: &[u8], at: usize, is_last: bool) -> bool {
    let end: &[u8] = if is_last { b"-last.zst\n" } else { b".zst\n" };
    let number = name.strip_prefix(b"  manifest.");
    let number = number.and_then(|rest| rest.strip_suffix(end));
    // Nothing is formatted to be compared: a search through many snapshots reads a million lines.
    let digits = number.filter(|digits| digits.len() == 6 && digits.iter().all(u8::is_ascii_digit));
    let add = |sum, digit: &u8| 10 * sum + usize::from(digit - b'0');
    digits.is_some_and(|digits| digits.iter().fold(0, add) == at + 1)
}

/// An open manifest in segments.
#[derive(Debug)]
pub struct Segments {
    dir: Arc<Dir>,
    /// Of the list.
    digest: Digest,
    digests: Vec<Digest>,
    /// Where those stand that are taken from elsewhere.
    elsewhere: BTreeMap<usize, (Arc<Dir>, String)>,
    /// What was unpacked last, where it is asked for more than once.
    recent: Option<Mutex<Recent>>,
    /// How many lines of entries each of them has, once it was unpacked.
    lines: Vec<OnceLock<u64>>,
    /// What was read first, where all is read several times.
    read: Option<Mutex<Remembered>>,
}

/// Segments as they are on disk, which are the ones that the list has.
#[derive(Debug, Default)]
struct Remembered {
    packed: BTreeMap<usize, Arc<Vec<u8>>>,
    bytes: usize,
}

#[derive(Debug, Default)]
struct Recent {
    texts: VecDeque<(usize, Arc<Vec<u8>>)>,
    bytes: usize,
}

impl Segments {
    /// Opens the manifest in segments that stands in a folder of records; its segments are not looked at.
    ///
    /// # Errors
    /// Fails if it is not there or its list cannot be read.
    pub fn open(records: &Dir) -> io::Result<Self> {
        Self::open_named(records, FOLDER)
    }

    /// As [`Self::open`], where its folder has another name.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_named(records: &Dir, folder: &str) -> io::Result<Self> {
        let dir = records.folder(OsStr::new(folder))?;
        let list = read_bounded(dir.file(OsStr::new(LIST))?, LONGEST_LIST)?;
        let digests = parse_list(&list)?;
        Ok(Self {
            digest: Digest::of(&list),
            lines: vec![OnceLock::new(); digests.len()],
            digests,
            dir: Arc::new(dir),
            elsewhere: BTreeMap::new(),
            recent: None,
            read: None,
        })
    }

    /// Opens a manifest in segments whose list is damaged, if its segments make up the list whose digest
    /// is `wanted`: all of them are whole then.
    pub(crate) fn open_without_list(records: &Dir, folder: &str, wanted: Digest) -> Option<Self> {
        let dir = records.folder(OsStr::new(folder)).ok()?;
        let names = dir.names().ok()?;
        let names: BTreeSet<_> = names.iter().filter_map(|name| name.to_str()).collect();
        let mut digests = Vec::new();
        loop {
            let at = digests.len();
            let ways = [false, true].map(|is_last| (segment_name(at, is_last), is_last));
            let mut ways = ways.into_iter();
            let (name, is_last) = ways.find(|(name, _)| names.contains(name.as_str()))?;
            let file = dir.file(OsStr::new(&name)).ok()?;
            digests.push(Digest::of(&read_bounded(file, LARGEST).ok()?));
            if is_last {
                break;
            }
        }
        let digest = Digest::of(list_of(&digests).as_bytes());
        (digest == wanted).then(|| Self {
            dir: Arc::new(dir),
            digest,
            lines: vec![OnceLock::new(); digests.len()],
            digests,
            elsewhere: BTreeMap::new(),
            recent: None,
            read: None,
        })
    }

    /// Keeps what is unpacked for a while, for who asks for the same segments a little later.
    #[must_use]
    pub fn kept(self) -> Self {
        Self {
            recent: Some(Mutex::default()),
            ..self
        }
    }

    /// Keeps what was read and is whole, for who reads all of it several times.
    #[must_use]
    pub fn remembered(self) -> Self {
        Self {
            read: Some(Mutex::default()),
            ..self
        }
    }

    /// The digest of the list, which is that of the manifest.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The digests of the segments, in their order.
    #[must_use]
    pub fn digests(&self) -> &[Digest] {
        &self.digests
    }

    fn name(&self, at: usize) -> String {
        segment_name(at, at + 1 == self.digests.len())
    }

    /// The folder that a segment stands in, and its name there.
    fn place(&self, at: usize) -> (&Arc<Dir>, String) {
        match self.elsewhere.get(&at) {
            Some((dir, name)) => (dir, name.clone()),
            None => (&self.dir, self.name(at)),
        }
    }

    fn file(&self, at: usize) -> io::Result<File> {
        let (dir, name) = self.place(at);
        Ok(dir.file(OsStr::new(&name))?)
    }

    /// Takes those of `lost` from another manifest that are whole there; what is left is lost.
    pub(crate) fn take_lost(&mut self, lost: &mut Vec<usize>, other: &Self) {
        lost.retain(|at| {
            let digest = self.digests[*at];
            let mut same = (0..other.digests.len()).filter(|there| other.digests[*there] == digest);
            let found = same.find(|there| other.packed(*there).is_ok());
            if let Some(there) = found {
                let (dir, name) = other.place(there);
                self.elsewhere.insert(*at, (Arc::clone(dir), name));
            }
            found.is_none()
        });
    }

    /// A segment as it is on disk, if it is the one that the list has.
    fn packed(&self, at: usize) -> io::Result<Arc<Vec<u8>>> {
        let read = || {
            let read = self.read.as_ref()?.lock();
            Some(read.unwrap_or_else(PoisonError::into_inner))
        };
        let known = read().and_then(|read| read.packed.get(&at).cloned());
        if let Some(packed) = known {
            return Ok(packed);
        }
        let packed = Arc::new(self.read_packed(at)?);
        if let Some(mut read) = read()
            && read.bytes + packed.len() <= REMEMBERED
            && let Entry::Vacant(free) = read.packed.entry(at)
        {
            free.insert(Arc::clone(&packed));
            read.bytes += packed.len();
        }
        Ok(packed)
    }

    fn read_packed(&self, at: usize) -> io::Result<Vec<u8>> {
        let named = |error: io::Error| {
            let name = self.name(at);
            io::Error::new(error.kind(), format!("{name}: {error}"))
        };
        let packed = self.file(at).and_then(|file| read_bounded(file, LARGEST));
        let packed = packed.map_err(named)?;
        let (found, sealed) = (Digest::of(&packed), self.digests[at]);
        if found == sealed {
            return Ok(packed);
        }
        Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!(
                "{} has digest {}, and {} was sealed",
                self.name(at),
                found.short(),
                sealed.short()
            ),
        ))
    }

    /// The lines of a segment, if it is the one that the list has.
    ///
    /// # Errors
    /// Fails if it cannot be read or is another one.
    ///
    /// # Panics
    /// If there is no such segment.
    pub fn text(&self, at: usize) -> io::Result<Arc<Vec<u8>>> {
        self.text_in(at, Vec::new())
    }

    /// As [`Self::text`]; `spare` is memory that serves for it.
    fn text_in(&self, at: usize, spare: Vec<u8>) -> io::Result<Arc<Vec<u8>>> {
        let lock = |recent: &Mutex<Recent>| -> Option<Arc<Vec<u8>>> {
            let recent = recent.lock().unwrap_or_else(PoisonError::into_inner);
            let found = recent.texts.iter().find(|(kept, _)| *kept == at);
            found.map(|(_, text)| Arc::clone(text))
        };
        if let Some(text) = self.recent.as_ref().and_then(lock) {
            return Ok(text);
        }
        let text = Arc::new(unpack(&self.packed(at)?, spare)?);
        self.lines[at].get_or_init(|| {
            let entries = &text[header_length(&text)..];
            memchr::memchr_iter(b'\n', entries).count() as u64
        });
        if let Some(recent) = &self.recent {
            let mut recent = recent.lock().unwrap_or_else(PoisonError::into_inner);
            recent.bytes += text.len();
            recent.texts.push_back((at, Arc::clone(&text)));
            while recent.bytes > KEPT
                && let Some((_, text)) = recent.texts.pop_front()
            {
                recent.bytes -= text.len();
            }
        }
        Ok(text)
    }

    /// How many lines of entries each segment has; none where not all of them were unpacked.
    #[must_use]
    pub(super) fn lines(&self) -> Option<Vec<u64>> {
        self.lines
            .iter()
            .map(|lines| lines.get().copied())
            .collect()
    }

    /// What is wrong with a segment; its content is compared with the list.
    #[must_use]
    pub fn fault(&self, at: usize) -> Option<String> {
        let error = self.packed(at).err()?;
        Some(crate::error::system_reason(&error))
    }

    /// What is wrong with segments, each with its number, in their order. They are read side by side where
    /// they are far away.
    ///
    /// # Errors
    /// What `check` says, which is asked before each segment.
    pub fn faults<E: Send>(
        &self,
        check: &(impl Fn() -> Result<(), E> + Sync),
    ) -> Result<Vec<(usize, String)>, E> {
        self.faults_by(if self.is_distant() { AT_ONCE } else { 1 }, check)
    }

    fn faults_by<E: Send>(
        &self,
        threads: usize,
        check: &(impl Fn() -> Result<(), E> + Sync),
    ) -> Result<Vec<(usize, String)>, E> {
        let all: Vec<usize> = (0..self.digests.len()).collect();
        let found = with_each(&all, threads, &|at| {
            check()?;
            Ok(self.fault(*at).map(|fault| (*at, fault)))
        });
        found.into_iter().filter_map(Result::transpose).collect()
    }

    /// Whether somebody far away answers for the file system that they are on.
    fn is_distant(&self) -> bool {
        round_trip(&*self.dir).is_some()
    }

    /// What tells a segment's inode from others of its file system.
    fn inode(&self, at: usize) -> Option<(u64, u64)> {
        let (dir, name) = self.place(at);
        let stat = dir.look(OsStr::new(&name)).ok()??;
        Some((stat.dev, stat.ino))
    }

    /// Whether a segment is one inode with one of another manifest.
    pub(crate) fn shares(&self, at: usize, other: &Self) -> bool {
        let Some(inode) = other.inode(at) else {
            return false;
        };
        let digest = other.digests[at];
        let mut same = (0..self.digests.len()).filter(|own| self.digests[*own] == digest);
        same.any(|own| self.inode(own) == Some(inode))
    }
}

/// That segments are damaged, in words: their folder, how many, and what is wrong with the first.
pub(crate) fn describe_lost(folder: &str, lost: usize, first: &str) -> String {
    match lost as u64 {
        0 | 1 => format!("{folder}/{first}"),
        lost => {
            let more = schema::amount::plural(lost - 1, "more segment is", "more segments are");
            format!("{folder}/{first}; {more} damaged")
        }
    }
}

/// Unpacks what says how long it is, in one go; false where that is not so simple.
fn unpack_whole(packed: &[u8], text: &mut Vec<u8>) -> bool {
    thread_local! {
        static UNPACKER: RefCell<Option<Decompressor<'static>>> = RefCell::new(Decompressor::new().ok());
    }
    let Ok(Some(length)) = zstd_safe::get_frame_content_size(packed) else {
        return false;
    };
    text.reserve_exact(usize::try_from(length.min(LARGEST + 1)).unwrap_or(0));
    UNPACKER.with_borrow_mut(|unpacker| {
        let unpacked = unpacker
            .as_mut()
            .map(|it| it.decompress_to_buffer(packed, text));
        unpacked.is_some_and(|unpacked| unpacked.is_ok())
    })
}

fn unpack(packed: &[u8], mut text: Vec<u8>) -> io::Result<Vec<u8>> {
    text.clear();
    if !unpack_whole(packed, &mut text) {
        // It does not say how long it is, or something is wrong with it.
        text.clear();
        let decoder = new_decoder(packed)?;
        decoder.take(LARGEST + 1).read_to_end(&mut text)?;
    }
    if text.len() as u64 > LARGEST {
        return Err(crate::bounded::longer_than(LARGEST));
    }
    if text.last() != Some(&b'\n') {
        return Err(io::Error::new(
            io::ErrorKind::UnexpectedEof,
            "a segment ends within a line",
        ));
    }
    Ok(text)
}

/// The path of a line, as it stands there.
pub(crate) fn path_of(line: &[u8]) -> &[u8] {
    memchr::memchr(b' ', line).map_or(line, |end| &line[..end])
}

/// Where the first entry of a segment begins.
pub(crate) fn header_length(text: &[u8]) -> usize {
    let rest = text.strip_prefix(super::HEADER.as_bytes());
    match rest.and_then(|rest| rest.strip_prefix(b"\n")) {
        Some(rest) => text.len() - rest.len(),
        None => 0,
    }
}

/// The path of the first entry of a segment.
pub(crate) fn first_path(text: &[u8]) -> &[u8] {
    let entries = &text[header_length(text)..];
    let end = memchr::memchr(b'\n', entries).unwrap_or(entries.len());
    path_of(&entries[..end])
}

/// The path of the last entry of a segment.
pub(crate) fn last_path(text: &[u8]) -> &[u8] {
    let entries = text[header_length(text)..].trim_ascii_end();
    let start = memchr::memrchr(b'\n', entries).map_or(0, |end| end + 1);
    path_of(&entries[start..])
}

#[cfg(test)]
mod list_tests;
#[cfg(test)]
mod skip_tests;
#[cfg(test)]
mod tests;
