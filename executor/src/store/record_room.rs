//! How much memory the records of all snapshots may take at once.
//!
//! What each record says of what it shares has a line for each older snapshot that stored something of it:
//! of many snapshots that is nearly all there is, and grows with their square. Where there is no room for
//! it, a record is taken without it, so that its snapshot is known, kept, promoted and deleted as any other.

use std::io;

use schema::record::SnapshotRecord;

use crate::error::{Error, Result};

/// Longest that the records of all snapshots of a destination may be together, in bytes, where they are
/// taken whole: fourteen hundred snapshots that each keep a file of their own for ever have as much.
const LONGEST_WHOLE: u64 = 64 << 20;
/// Longest that those may be together, in bytes, of which is left out what they share: thousands of few
/// sources have as much.
const LONGEST_OUTLINES: u64 = 16 << 20;
/// Bytes of records that are read at most.
const MOST_READ: u64 = 1 << 30;

/// Room for records. Who reads many of them begins with the newest: the first ones are taken whole.
#[derive(Debug)]
pub struct RecordRoom {
    /// Bytes that are left for records as they are.
    whole: u64,
    /// Bytes that are left for records without what they share.
    outlines: u64,
    /// Bytes that may be read yet.
    unread: u64,
}

impl Default for RecordRoom {
    fn default() -> Self {
        Self {
            whole: LONGEST_WHOLE,
            outlines: LONGEST_OUTLINES,
            unread: MOST_READ,
        }
    }
}

impl RecordRoom {
    /// Room for who does not need what any record shares.
    #[must_use]
    pub fn of_outlines() -> Self {
        Self {
            whole: 0,
            outlines: LONGEST_WHOLE + LONGEST_OUTLINES,
            unread: MOST_READ,
        }
    }

    #[cfg(test)]
    pub(crate) fn for_whole(whole: u64) -> Self {
        Self {
            whole,
            ..Self::default()
        }
    }

    /// Counts what is to be read.
    pub(super) fn begin_reading(&mut self, size: u64, path: &str) -> Result<()> {
        let left = self.unread.checked_sub(size);
        self.unread = left.ok_or_else(|| no_room(path, MOST_READ))?;
        Ok(())
    }

    /// Takes a record whose file has this size; without what it shares, where there is no room for that.
    pub(super) fn admit(
        &mut self,
        mut record: SnapshotRecord,
        size: u64,
        path: &str,
    ) -> Result<SnapshotRecord> {
        if let Some(left) = self.whole.checked_sub(size) {
            self.whole = left;
            return Ok(record);
        }
        record.forget_shares();
        let left = self.outlines.checked_sub(length_of(&record));
        self.outlines = left.ok_or_else(|| no_room(path, LONGEST_WHOLE + LONGEST_OUTLINES))?;
        Ok(record)
    }
}

/// How long a record is, of which nothing more is kept in memory for that.
fn length_of(record: &SnapshotRecord) -> u64 {
    struct Length(u64);
    impl io::Write for Length {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len() as u64;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut length = Length(0);
    match serde_json::to_writer(&mut length, record) {
        Ok(()) => length.0,
        Err(_) => u64::MAX,
    }
}

fn no_room(path: &str, limit: u64) -> Error {
    let limit = schema::amount::bytes(limit);
    Error::failed(format!(
        "cannot read {path}: the records of all snapshots are longer than {limit} together"
    ))
}
