//! What a walk met, kept in memory in little space: some thirty bytes for an entry.
//!
//! Owns the encoding and nothing else. It is read from the start and freed on the way; who only
//! looks through it does so on a copy, which shares the memory. What the basis of a destination says of
//! it stands apart, in marks, so that the records for several destinations share it as well.

mod recorder;

use std::{collections::VecDeque, ffi::OsString, io, os::unix::ffi::OsStringExt as _, sync::Arc};

use rustix::io::Errno;

pub(super) use self::recorder::Recorder;
use super::{
    marks::{MarkRecorder, Marks},
    walk::Content,
};
use crate::sys::{Kind, Stat, stat::Nanos};

/// Bytes that are compressed together.
const PIECE: usize = 512 << 10;

/// What the walk met, in the manifest's order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encountered {
    /// A folder, before its content.
    Enter(Stat),
    /// The same folder, after its content.
    Leave,
    /// Anything else.
    Leaf(Stat),
    /// A file of more holes than are read: it is left out, and told. Of the record only.
    Hollow(Stat),
    /// A mount point that is not crossed; the folder itself belongs to the source.
    MountPoint(Stat),
    /// An entry that cannot be looked at; for a folder that cannot be opened what the kernel says
    /// of it.
    Unreadable(Option<Stat>, Errno),
    /// An entry that was listed and then was not there.
    Vanished,
}

/// Reads what was met, in the order in which it was written.
#[derive(Debug, Default, Clone)]
pub struct Record {
    pieces: VecDeque<Piece>,
    piece: Vec<u8>,
    at: usize,
    /// What was given of the piece at hand and those before it, and what is in it and those before it.
    given: u64,
    unpacked: u64,
    /// The leaves among what is unpacked and was not given.
    leaves_left: u64,
    last: Last,
    marks: Marks,
    /// What is known of the content of what was met last.
    content: Option<Content>,
    passed_over: bool,
}

/// What a walk met or left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Noted {
    Met(Encountered),
    /// The rest of the folder at hand cannot be had; the name is the folder's own.
    RestUnreadable(Errno),
    /// A pattern leaves it out, or it shows what is stored already.
    Excluded,
}

/// Some of it, compressed.
#[derive(Debug, Clone)]
struct Piece {
    bytes: Arc<[u8]>,
    /// What was met in it.
    met: u64,
    /// The leaves among it, each of which has a mark.
    leaves: u64,
}

/// Where the entry before was: most are on the same file system and mount.
#[derive(Debug, Default, Clone, Copy)]
struct Last {
    dev: u64,
    mount: u64,
}

const ENTER: u8 = 0;
const LEAVE: u8 = 1;
const LEAF: u8 = 2;
const MOUNT_POINT: u8 = 3;
const UNREADABLE: u8 = 4;
const VANISHED: u8 = 5;
const PASSED_OVER: u8 = 6;
const EXCLUDED: u8 = 7;

const SAME_PLACE: u8 = 1 << 3;
const ONE_NAME: u8 = 1 << 4;
const SAME_TIMES: u8 = 1 << 5;
const FLAGS: u8 = 1 << 6;

/// What follows an entry that cannot be read.
const NO_STAT: u8 = 0;
const WITH_STAT: u8 = 1;
const IS_REST: u8 = 2;

const KINDS: [Kind; 7] = [
    Kind::File,
    Kind::Folder,
    Kind::Symlink,
    Kind::Fifo,
    Kind::Socket,
    Kind::CharDevice,
    Kind::BlockDevice,
];

impl Record {
    /// What was met next, with its name; none at the end.
    ///
    /// # Errors
    /// That memory was damaged.
    pub fn next_met(&mut self) -> io::Result<Option<(OsString, Encountered)>> {
        loop {
            let met = match self.next_noted()? {
                None => return Ok(None),
                Some((_, Noted::Excluded)) => continue,
                Some((name, Noted::Met(met))) => (name, met),
                Some((name, Noted::RestUnreadable(error))) => {
                    (name, Encountered::Unreadable(None, error))
                }
            };
            self.given += 1;
            return Ok(Some(met));
        }
    }

    /// The same, with what does not belong to the source.
    pub(crate) fn next_noted(&mut self) -> io::Result<Option<(OsString, Noted)>> {
        loop {
            if self.at == self.piece.len() && !self.unpack_next()? {
                return Ok(None);
            }
            if self.piece.get(self.at) == Some(&PASSED_OVER) {
                self.at += 1;
                self.passed_over = true;
                continue;
            }
            let noted = self.decode();
            return noted.map(Some).ok_or_else(|| {
                io::Error::new(io::ErrorKind::InvalidData, "the survey is damaged")
            });
        }
    }

    /// Goes on to the next piece; false at the end.
    fn unpack_next(&mut self) -> io::Result<bool> {
        self.at = 0;
        self.last = Last::default();
        let Some(piece) = self.pieces.pop_front() else {
            self.piece = Vec::new();
            return Ok(false);
        };
        // One entry more than a piece has room for: names are short.
        self.piece = zstd::bulk::decompress(&piece.bytes, 2 * PIECE)?;
        self.unpacked += piece.met;
        self.leaves_left = piece.leaves;
        Ok(true)
    }

    /// How much of what was met was given or passed.
    #[must_use]
    pub fn given(&self) -> u64 {
        self.given
    }

    /// Passes some of what was met.
    ///
    /// # Errors
    /// That memory was damaged.
    pub fn skip(&mut self, met: u64) -> io::Result<()> {
        let end = self.given + met;
        if end > self.unpacked {
            self.given = self.unpacked;
            self.at = self.piece.len();
            self.marks.skip(std::mem::take(&mut self.leaves_left));
        }
        while let Some(piece) = self.pieces.front()
            && end >= self.unpacked + piece.met
        {
            self.unpacked += piece.met;
            self.given = self.unpacked;
            self.marks.skip(piece.leaves);
            self.piece = Vec::new();
            self.at = 0;
            self.pieces.pop_front();
        }
        while self.given < end && self.next_met()?.is_some() {}
        self.passed_over = false;
        Ok(())
    }

    /// The same record once more, from the start.
    #[must_use]
    pub fn look_through(&self) -> Self {
        Self {
            pieces: self.pieces.clone(),
            marks: self.marks.again(),
            ..Self::default()
        }
    }

    /// The same record once more, from the start, with what another basis says of it.
    pub(crate) fn marked(&self, marks: MarkRecorder) -> Self {
        Self {
            marks: marks.finish(),
            ..self.look_through()
        }
    }

    /// All of it as it is kept.
    #[cfg(test)]
    pub(crate) fn encoded(&self) -> (Vec<&[u8]>, &[u8]) {
        let pieces = self.pieces.iter().map(|piece| &*piece.bytes);
        (pieces.collect(), self.marks.encoded())
    }

    /// Whether what was met last is a file whose content surely is not what the basis has at its
    /// path.
    #[must_use]
    pub fn is_other(&self) -> bool {
        matches!(self.content, Some(Content::Other | Content::Changed))
    }

    /// Whether what was met last is a file with the inode, the looks and the change time that the basis
    /// has of it: most likely nothing of it is read.
    #[must_use]
    pub fn is_same(&self) -> bool {
        self.content == Some(Content::Same)
    }

    /// Whether what the basis has at its path is a file as well, and both are so large that most of it may
    /// be as it was.
    #[must_use]
    pub fn is_changed(&self) -> bool {
        self.content == Some(Content::Changed)
    }

    /// Whether something was passed over in the folder at hand, before what was met last.
    pub fn passed_over(&mut self) -> bool {
        std::mem::take(&mut self.passed_over)
    }

    fn decode(&mut self) -> Option<(OsString, Noted)> {
        let tag = self.byte()?;
        self.content = None;
        if tag == LEAVE {
            return Some((OsString::new(), Noted::Met(Encountered::Leave)));
        }
        let length = usize::try_from(self.number()?).ok()?;
        let name = self.piece.get(self.at..self.at.checked_add(length)?)?;
        let name = OsString::from_vec(name.to_vec());
        self.at += length;
        let met = match tag {
            ENTER => Encountered::Enter(self.stat()?),
            LEAF => {
                let stat = self.stat()?;
                self.content = Some(self.marks.next()?);
                self.leaves_left = self.leaves_left.saturating_sub(1);
                match self.content {
                    Some(Content::LeftOut) => Encountered::Hollow(stat),
                    _ => Encountered::Leaf(stat),
                }
            }
            MOUNT_POINT => Encountered::MountPoint(self.stat()?),
            UNREADABLE => {
                let error = Errno::from_raw_os_error(i32::try_from(self.number()?).ok()?);
                match self.byte()? {
                    NO_STAT => Encountered::Unreadable(None, error),
                    WITH_STAT => Encountered::Unreadable(Some(self.stat()?), error),
                    IS_REST => return Some((name, Noted::RestUnreadable(error))),
                    _ => return None,
                }
            }
            VANISHED => Encountered::Vanished,
            EXCLUDED => {
                self.passed_over = true;
                return Some((name, Noted::Excluded));
            }
            _ => return None,
        };
        Some((name, Noted::Met(met)))
    }

    fn byte(&mut self) -> Option<u8> {
        let byte = *self.piece.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    fn number(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn small(&mut self) -> Option<u32> {
        u32::try_from(self.number()?).ok()
    }

    fn time(&mut self) -> Option<Nanos> {
        let zigzag = self.number()?;
        let seconds = (zigzag >> 1).cast_signed() ^ -(zigzag & 1).cast_signed();
        Some(Nanos::from(seconds) * 1_000_000_000 + Nanos::from(self.number()?))
    }

    fn stat(&mut self) -> Option<Stat> {
        let head = self.byte()?;
        let flags = if head & FLAGS != 0 { self.byte()? } else { 0 };
        if head & SAME_PLACE == 0 {
            self.last.dev = self.number()?;
            self.last.mount = self.number()?;
        }
        let nlink = if head & ONE_NAME != 0 {
            1
        } else {
            self.small()?
        };
        let kind = *KINDS.get(usize::from(head & 7))?;
        let (mode, uid, gid) = (self.small()?, self.small()?, self.small()?);
        let (size, allocated, ino) = (self.number()?, self.number()?, self.number()?);
        let mtime = self.time()?;
        let ctime = if head & SAME_TIMES != 0 {
            mtime
        } else {
            self.time()?
        };
        let device = if matches!(kind, Kind::CharDevice | Kind::BlockDevice) {
            (self.small()?, self.small()?)
        } else {
            (0, 0)
        };
        Some(Stat {
            kind,
            mode,
            uid,
            gid,
            size,
            allocated,
            mtime,
            ctime,
            dev: self.last.dev,
            ino,
            nlink,
            device,
            mount: self.last.mount,
            mount_root: flags & 4 != 0,
            immutable: flags & 1 != 0,
            append_only: flags & 2 != 0,
        })
    }
}

#[cfg(test)]
mod tests;
