//! Writes what a walk met, in the form that a record of it is read from.

use std::{collections::VecDeque, ffi::OsStr, io, os::unix::ffi::OsStrExt as _};

use rustix::io::Errno;

use super::{
    ENTER, EXCLUDED, Encountered, FLAGS, IS_REST, KINDS, LEAF, LEAVE, Last, MOUNT_POINT, NO_STAT,
    ONE_NAME, PASSED_OVER, PIECE, Piece, Record, SAME_PLACE, SAME_TIMES, UNREADABLE, VANISHED,
    WITH_STAT,
};
use crate::{
    survey::{marks::MarkRecorder, walk::Content},
    sys::{Kind, Stat, stat::Nanos},
};

/// zstd's fastest regular level: this is kept for a moment only.
const LEVEL: i32 = 1;

/// Writes what was met.
#[derive(Debug, Default)]
pub(in crate::survey) struct Recorder {
    pieces: VecDeque<Piece>,
    piece: Vec<u8>,
    /// What was met in it, and the leaves among it.
    met: u64,
    leaves: u64,
    last: Last,
    /// Nothing was added since something was passed over.
    passed_over: bool,
    marks: MarkRecorder,
}

impl Recorder {
    /// Notes that something in the folder at hand does not belong to the source.
    pub(in crate::survey) fn pass_over(&mut self) {
        if !std::mem::replace(&mut self.passed_over, true) {
            self.piece.push(PASSED_OVER);
        }
    }

    /// Notes an entry that does not belong to the source and that the basis may have.
    pub(in crate::survey) fn exclude(&mut self, name: &OsStr) -> io::Result<()> {
        self.begin(EXCLUDED)?;
        self.name(name);
        Ok(())
    }

    /// Notes that the rest of the folder at hand, of this name, cannot be had.
    pub(in crate::survey) fn rest_unreadable(
        &mut self,
        name: &OsStr,
        error: Errno,
    ) -> io::Result<()> {
        self.begin(UNREADABLE)?;
        self.met += 1;
        self.name(name);
        self.unreadable(error, IS_REST);
        Ok(())
    }

    /// Adds what was met under a name; the name of what is left is not kept. `content` says what is
    /// known of a leaf.
    pub(in crate::survey) fn add(
        &mut self,
        name: &OsStr,
        met: &Encountered,
        content: Content,
    ) -> io::Result<()> {
        let tag = match met {
            Encountered::Enter(_) => ENTER,
            Encountered::Leave => LEAVE,
            Encountered::Leaf(_) | Encountered::Hollow(_) => LEAF,
            Encountered::MountPoint(_) => MOUNT_POINT,
            Encountered::Unreadable(..) => UNREADABLE,
            Encountered::Vanished => VANISHED,
        };
        self.begin(tag)?;
        self.met += 1;
        self.leaves += u64::from(tag == LEAF);
        if tag == LEAVE {
            return Ok(());
        }
        self.name(name);
        match met {
            Encountered::Enter(stat) | Encountered::MountPoint(stat) => self.stat(stat),
            Encountered::Leaf(stat) => {
                self.stat(stat);
                self.marks.add(content);
            }
            Encountered::Hollow(stat) => {
                self.stat(stat);
                self.marks.add(Content::LeftOut);
            }
            Encountered::Unreadable(None, error) => self.unreadable(*error, NO_STAT),
            Encountered::Unreadable(Some(stat), error) => {
                self.unreadable(*error, WITH_STAT);
                self.stat(stat);
            }
            Encountered::Leave | Encountered::Vanished => {}
        }
        Ok(())
    }

    /// All that was added.
    pub(in crate::survey) fn finish(mut self) -> io::Result<Record> {
        self.compress()?;
        Ok(Record {
            pieces: self.pieces,
            marks: self.marks.finish(),
            ..Record::default()
        })
    }

    fn begin(&mut self, tag: u8) -> io::Result<()> {
        self.passed_over = false;
        if self.piece.len() >= PIECE {
            self.compress()?;
        }
        self.piece.push(tag);
        Ok(())
    }

    fn name(&mut self, name: &OsStr) {
        let name = name.as_bytes();
        self.number(name.len() as u64);
        self.piece.extend_from_slice(name);
    }

    fn unreadable(&mut self, error: Errno, what_follows: u8) {
        self.number(u64::from(error.raw_os_error().unsigned_abs()));
        self.piece.push(what_follows);
    }

    fn compress(&mut self) -> io::Result<()> {
        if !self.piece.is_empty() {
            let bytes = zstd::bulk::compress(&self.piece, LEVEL)?.into();
            let met = std::mem::take(&mut self.met);
            let leaves = std::mem::take(&mut self.leaves);
            self.pieces.push_back(Piece { bytes, met, leaves });
            self.piece.clear();
            // So that a piece can be read without those before it.
            self.last = Last::default();
        }
        Ok(())
    }

    fn number(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.piece.push(value.to_le_bytes()[0] | 0x80);
            value >>= 7;
        }
        self.piece.push(value.to_le_bytes()[0]);
    }

    fn time(&mut self, time: Nanos) {
        const SECOND: Nanos = 1_000_000_000;
        let seconds = i64::try_from(time.div_euclid(SECOND)).unwrap_or(i64::MAX);
        self.number((seconds << 1 ^ seconds >> 63).cast_unsigned());
        self.number(u64::try_from(time.rem_euclid(SECOND)).unwrap_or(0));
    }

    fn stat(&mut self, stat: &Stat) {
        let kind = KINDS.iter().position(|kind| *kind == stat.kind);
        let same_place = (stat.dev, stat.mount) == (self.last.dev, self.last.mount);
        let flags = stat.immutable || stat.append_only || stat.mount_root;
        let mut head = u8::try_from(kind.unwrap_or(0)).unwrap_or(0);
        for (bit, set) in [
            (SAME_PLACE, same_place),
            (ONE_NAME, stat.nlink == 1),
            (SAME_TIMES, stat.ctime == stat.mtime),
            (FLAGS, flags),
        ] {
            head |= if set { bit } else { 0 };
        }
        self.piece.push(head);
        if flags {
            self.piece.push(
                u8::from(stat.immutable)
                    | u8::from(stat.append_only) << 1
                    | u8::from(stat.mount_root) << 2,
            );
        }
        if !same_place {
            self.number(stat.dev);
            self.number(stat.mount);
            self.last = Last {
                dev: stat.dev,
                mount: stat.mount,
            };
        }
        if stat.nlink != 1 {
            self.number(stat.nlink.into());
        }
        for value in [stat.mode, stat.uid, stat.gid] {
            self.number(value.into());
        }
        self.number(stat.size);
        self.number(stat.allocated);
        self.number(stat.ino);
        self.time(stat.mtime);
        if stat.ctime != stat.mtime {
            self.time(stat.ctime);
        }
        if matches!(stat.kind, Kind::CharDevice | Kind::BlockDevice) {
            self.number(stat.device.0.into());
            self.number(stat.device.1.into());
        }
    }
}
