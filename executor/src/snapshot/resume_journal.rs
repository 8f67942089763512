//! The resume journal says what an unfinished snapshot has copied: digests to continue with.
//!
//! A record stands here only once a file's data was written; its metadata may come later. A
//! checkpoint says that the data of everything before it is on disk for sure; what comes after it is
//! read back before it is trusted. A torn or damaged tail is cut off: its files are copied again.
//!
//! Copies are known by their inode numbers. Some network file systems give other numbers after
//! each mount, so the log begins with those of itself and its folder: if they are others, it is
//! of no use.

use std::{
    collections::HashMap,
    ffi::OsStr,
    fs::File,
    io::{BufReader, BufWriter, Read as _, Seek as _, SeekFrom, Write as _},
};

use schema::Digest;

use super::jobs::CompletedCopy;
use crate::sys::{Dir, Stat, stat::Nanos};

/// Name of the log in a snapshot's record folder.
pub(super) const FILE_NAME: &str = "copied.log";

const RECORD: usize = 76;
/// Records that are read at most: what is made of them takes some 200 MB of memory. What is beyond
/// them in the log is copied again.
const MOST_RECORDS: usize = 1_800_000;
const CHECKPOINT: u64 = 0;
/// The first record: the numbers that the log and its folder had when it was begun.
const BEGIN: u64 = u64::MAX;
/// Begins what one run copied: when it began to read the sources.
const READ_FROM: u64 = u64::MAX - 1;

/// A file that was copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CopiedFile {
    /// Digest of its content.
    pub(super) digest: Digest,
    /// Inode number of the source.
    pub(super) source_ino: u64,
    /// The source's change time when it was read.
    pub(super) source_ctime: Nanos,
    /// When the run that copied it began to read the sources; long ago in older logs.
    pub(super) read_from: Nanos,
    /// Whether it is on disk for sure.
    pub(super) durable: bool,
    /// It was copied while this process watched, so that there is no doubt what it is.
    pub(super) fresh: bool,
    /// Neither it nor its source had extended attributes then, as far as is known.
    pub(super) is_bare: bool,
}

/// What was copied while this process watched, by the copies' inode numbers: whether neither it nor its
/// source has extended attributes.
pub(super) type Taken = HashMap<u64, bool>;

/// The log of one unfinished snapshot.
pub(super) struct ResumeJournal {
    file: BufWriter<File>,
}

impl ResumeJournal {
    /// Opens the log, creating it where it is missing, and reads what it holds by the copies'
    /// inode numbers.
    pub(super) fn open(records: &Dir) -> std::io::Result<(Self, HashMap<u64, CopiedFile>)> {
        let mut file = records.file_or_new(OsStr::new(FILE_NAME), 0o600)?;
        let found = Stat::of_fd(&file)?;
        let log = found.ino;
        let begin = encode_record(BEGIN, log, records.stat_self()?.ino.into(), Digest([0; 32]));
        let mut log = Records::of(&file);
        let begun = log.next_record()?;
        let renumbered = begun
            .as_ref()
            .and_then(|record| decode_record(record))
            .is_some_and(|(ino, _)| ino == BEGIN && begun.as_ref() != Some(&begin));
        let mut next = begun.filter(|_| !renumbered);
        let expected = usize::try_from(found.size).unwrap_or(usize::MAX) / RECORD;
        // Growing would need room for it twice.
        let mut copied = HashMap::with_capacity(expected.min(MOST_RECORDS));
        let mut fresh = Vec::new();
        let mut good = 0;
        let mut read_from = Nanos::MIN;
        while let Some(record) = next {
            let Some((ino, mut found)) = decode_record(&record) else {
                break;
            };
            good += RECORD;
            next = match good / RECORD < MOST_RECORDS {
                true => log.next_record()?,
                false => None,
            };
            if ino == READ_FROM {
                read_from = found.source_ctime;
                continue;
            }
            found.read_from = read_from;
            if ino == BEGIN {
                continue;
            }
            if ino == CHECKPOINT {
                for ino in fresh.drain(..) {
                    if let Some(found) = copied.get_mut(&ino) {
                        let found: &mut CopiedFile = found;
                        found.durable = true;
                    }
                }
            } else {
                copied.insert(ino, found);
                fresh.push(ino);
            }
        }
        file.set_len(good as u64)?;
        file.seek(SeekFrom::End(0))?;
        let mut file = BufWriter::with_capacity(16 << 10, file);
        if good == 0 {
            file.write_all(&begin)?;
        }
        Ok((Self { file }, copied))
    }

    /// Begins a run: what is recorded from now on was copied from sources that were looked at from
    /// this time on.
    pub(super) fn begin_run(&mut self, read_from: Nanos) -> std::io::Result<()> {
        self.file
            .write_all(&encode_record(READ_FROM, 0, read_from, Digest([0; 32])))?;
        self.file.flush()
    }

    /// Records a file that was copied.
    pub(super) fn record(&mut self, copy: &CompletedCopy) -> std::io::Result<()> {
        self.file.write_all(&encode_record(
            copy.inode,
            copy.source_inode,
            copy.source_ctime,
            copy.digest,
        ))
    }

    /// Records that everything so far is on disk. Call it only after a sync that succeeded.
    pub(super) fn checkpoint(&mut self) -> std::io::Result<()> {
        self.file
            .write_all(&encode_record(CHECKPOINT, 0, 0, Digest([0; 32])))?;
        self.file.flush()?;
        self.file.get_ref().sync_data()
    }

    /// Hands what was recorded to the system, so that it survives this process.
    pub(super) fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}

/// Forgets everything after the last checkpoint, because a sync failed and the system may have
/// dropped what it could not write.
pub(super) fn forget_unsynced(records: &Dir) -> std::io::Result<()> {
    let file = records.file_or_new(OsStr::new(FILE_NAME), 0o600)?;
    let mut log = Records::of(&file);
    let (mut at, mut kept) = (0, 0);
    while let Some(record) = log.next_record()? {
        at += RECORD as u64;
        if decode_record(&record).is_some_and(|(ino, _)| ino == CHECKPOINT) {
            kept = at;
        }
    }
    file.set_len(kept)?;
    file.sync_data()
}

/// Reads the records of a log, one by one.
struct Records<'a>(BufReader<&'a File>);

impl<'a> Records<'a> {
    fn of(file: &'a File) -> Self {
        Self(BufReader::with_capacity(RECORD * 1024, file))
    }

    /// The next record that is whole.
    fn next_record(&mut self) -> std::io::Result<Option<[u8; RECORD]>> {
        let mut record = [0; RECORD];
        match self.0.read_exact(&mut record) {
            Ok(()) => Ok(Some(record)),
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(None),
            Err(error) => Err(error),
        }
    }
}

fn encode_record(ino: u64, source_ino: u64, source_ctime: Nanos, digest: Digest) -> [u8; RECORD] {
    let mut record = [0; RECORD];
    record[..8].copy_from_slice(&ino.to_le_bytes());
    record[8..16].copy_from_slice(&source_ino.to_le_bytes());
    record[16..32].copy_from_slice(&source_ctime.to_le_bytes());
    record[32..64].copy_from_slice(&digest.0);
    let check = Digest::of(&record[..64]);
    record[64..].copy_from_slice(&check.0[..12]);
    record
}

fn decode_record(record: &[u8]) -> Option<(u64, CopiedFile)> {
    let (body, check) = record.split_at_checked(64)?;
    (Digest::of(body).0[..12] == *check).then_some(())?;
    let found = CopiedFile {
        digest: Digest(body[32..64].try_into().ok()?),
        source_ino: u64::from_le_bytes(body[8..16].try_into().ok()?),
        source_ctime: Nanos::from_le_bytes(body[16..32].try_into().ok()?),
        read_from: Nanos::MIN,
        durable: false,
        fresh: false,
        is_bare: false,
    };
    Some((u64::from_le_bytes(body[..8].try_into().ok()?), found))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copy(inode: u64, source: &Stat) -> CompletedCopy {
        CompletedCopy {
            inode,
            source_inode: source.ino,
            source_ctime: source.ctime,
            digest: Digest::of(&inode.to_le_bytes()),
        }
    }

    #[test]
    fn a_torn_tail_is_cut_and_a_checkpoint_makes_durable() {
        let temporary = tempfile::tempdir().unwrap();
        let dir = crate::sys::resolve::resolve(temporary.path()).unwrap();
        let dir = dir.folder().unwrap();
        let source = dir.stat_self().unwrap();
        let (mut log, empty) = ResumeJournal::open(&dir).unwrap();
        assert!(empty.is_empty());
        log.record(&copy(7, &source)).unwrap();
        log.checkpoint().unwrap();
        log.begin_run(source.ctime).unwrap();
        log.record(&copy(8, &source)).unwrap();
        log.record(&copy(9, &source)).unwrap();
        log.flush().unwrap();
        drop(log);
        let path = temporary.path().join(FILE_NAME);
        let length = path.metadata().unwrap().len();
        std::fs::OpenOptions::new()
            .write(true)
            .open(&path)
            .unwrap()
            .set_len(length - 1)
            .unwrap();

        let (_, copied) = ResumeJournal::open(&dir).unwrap();
        assert_eq!(copied.len(), 2);
        assert!(copied[&7].durable);
        assert!(!copied[&8].durable);
        assert_eq!(copied[&8].source_ctime, source.ctime);
        assert_eq!(copied[&7].read_from, Nanos::MIN);
        assert_eq!(copied[&8].read_from, source.ctime);

        forget_unsynced(&dir).unwrap();
        let (_, copied) = ResumeJournal::open(&dir).unwrap();
        assert_eq!(copied.keys().collect::<Vec<_>>(), [&7]);
    }

    #[test]
    fn a_log_whose_own_inode_number_is_another_one_now_vouches_for_nothing() {
        let temporary = tempfile::tempdir().unwrap();
        let dir = crate::sys::resolve::resolve(temporary.path()).unwrap();
        let dir = dir.folder().unwrap();
        let source = dir.stat_self().unwrap();
        let (mut log, _) = ResumeJournal::open(&dir).unwrap();
        log.record(&copy(7, &source)).unwrap();
        log.checkpoint().unwrap();
        drop(log);
        let path = temporary.path().join(FILE_NAME);
        let other = temporary.path().join("other");
        std::fs::copy(&path, &other).unwrap();
        std::fs::rename(&other, &path).unwrap();
        let (mut log, copied) = ResumeJournal::open(&dir).unwrap();
        assert!(copied.is_empty());
        log.record(&copy(8, &source)).unwrap();
        log.checkpoint().unwrap();
        drop(log);
        let (_, copied) = ResumeJournal::open(&dir).unwrap();
        assert_eq!(copied.keys().collect::<Vec<_>>(), [&8]);
    }
}
