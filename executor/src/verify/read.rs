//! The threads that look at entries and read content, each inode once.
//!
//! Bounded: a few batches wait at most, whatever the number of files.

use std::{
    ffi::OsStr,
    fs::File,
    io::{self, Read as _},
    os::unix::ffi::OsStrExt as _,
    sync::{Arc, mpsc::SyncSender},
    thread,
};

use rustix::{
    fs::{Advice, fadvise},
    io::Errno,
};
use schema::{Digest, verify::DamageKind};
use sha2::{Digest as _, Sha256};

use super::{
    compare::{self, Holds, OWN},
    pass::{Pass, Raw, StoredInode, wrong_kind},
};
use crate::{
    error::{Result, system_reason},
    leases::open_reason,
    manifest::Entry,
    sys::{Dir, Kind, Stat, attributes, distance::read_as_asked},
    threads::start_scoped_thread,
    width::Width,
    worker_pool::JobQueue,
};

/// Entries of a batch: enough that handing it over costs nothing, few enough to share the work.
const BATCH: usize = 32;
/// Bytes of content after which a batch is full.
const BATCH_BYTES: u64 = 4 << 20;
/// Bytes read at a time: within the processor's second cache.
const BUFFER: usize = 256 << 10;
/// Files from this size on are announced to the kernel as read from end to end.
const LARGE: u64 = 1 << 20;

/// An entry to look at.
pub(super) struct ReadJob {
    pub(super) dir: Arc<Dir>,
    pub(super) entry: Entry,
}

impl ReadJob {
    fn name(&self) -> &OsStr {
        self.entry.stored_name()
    }
}

/// Entries of one snapshot.
#[derive(Default)]
pub(super) struct ReadBatch {
    pub(super) snapshot: usize,
    pub(super) holds: Option<Holds>,
    jobs: Vec<ReadJob>,
    bytes: u64,
}

impl ReadBatch {
    pub(super) fn push(&mut self, job: ReadJob) {
        self.bytes += job.entry.size;
        self.jobs.push(job);
    }

    pub(super) fn is_full(&self, width: Width) -> bool {
        self.jobs.len() >= width.entries(BATCH) || self.bytes >= BATCH_BYTES
    }
}

/// Takes batches.
pub(super) enum Readers<'a> {
    /// Threads read.
    Threads(&'a SyncSender<ReadBatch>),
    /// Not one could be started: whoever gives reads.
    Giver(&'a Pass<'a>),
}

impl Readers<'_> {
    /// Waits for room and hands a batch over.
    pub(super) fn give(&self, batch: ReadBatch) {
        match self {
            _ if batch.jobs.is_empty() => {}
            // The receiver outlives all senders.
            Self::Threads(sender) => drop(sender.send(batch)),
            Self::Giver(pass) => read_batch(pass, &batch, &mut vec![0; BUFFER]),
        }
    }
}

/// Runs this with readers that take what it gives; ends when they are done.
pub(super) fn with_readers<T>(
    pass: &Pass<'_>,
    work: impl FnOnce(&Readers<'_>) -> Result<T>,
) -> Result<T> {
    let threads = pass.width.threads();
    let (sender, batches) = JobQueue::bounded(2 * threads);
    let result = thread::scope(|scope| {
        let started = (0..threads)
            .take_while(|_| {
                start_scoped_thread(scope, "verify", || read_batches(pass, &batches)).is_ok()
            })
            .count();
        let result = work(&match started {
            0 => Readers::Giver(pass),
            _ => Readers::Threads(&sender),
        });
        drop(sender);
        result
    })?;
    pass.stop.check()?;
    Ok(result)
}

fn read_batches(pass: &Pass<'_>, batches: &JobQueue<ReadBatch>) {
    let mut buffer = vec![0; BUFFER];
    while let Some(batch) = batches.next_job() {
        read_batch(pass, &batch, &mut buffer);
    }
}

fn read_batch(pass: &Pass<'_>, batch: &ReadBatch, buffer: &mut [u8]) {
    let Some(holds) = batch.holds else { return };
    for job in &batch.jobs {
        // What still waits is thrown away, so that whoever hands it over is not kept.
        if pass.stop.is_asked() {
            break;
        }
        let mut look = EntryCheck {
            pass,
            at: batch.snapshot,
            holds,
            job,
            buffer: &mut *buffer,
        };
        look.entry();
    }
    pass.report();
}

/// One entry, looked at.
struct EntryCheck<'a> {
    pass: &'a Pass<'a>,
    at: usize,
    holds: Holds,
    job: &'a ReadJob,
    buffer: &'a mut [u8],
}

impl EntryCheck<'_> {
    fn found(&self, kind: DamageKind, message: String, stat: Option<&Stat>) {
        self.pass.found(Raw {
            inode: stat.map(|stat| StoredInode::of(stat, self.pass.device)),
            expected: self.job.entry.digest,
            ..Raw::new(self.at, &self.job.entry.path, kind, message)
        });
    }

    fn entry(&mut self) {
        let ReadJob { dir, entry, .. } = self.job;
        let name = self.job.name();
        let stat = match dir.stat(name) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => {
                let message = format!("{} that is not there", compare::kind_noun(entry.kind));
                return self.found(DamageKind::Missing, message, None);
            }
            Err(error) => {
                let message = format!("cannot be looked at: {}", system_reason(&error.into()));
                return self.found(DamageKind::Unreadable, message, None);
            }
        };
        if stat.kind != entry.kind {
            let message = wrong_kind(stat.kind, entry.kind);
            return self.found(DamageKind::WrongKind, message, None);
        }
        let mut faults = compare::compare_metadata(entry, &stat, self.holds);
        match entry.kind {
            Kind::File => self.file(&stat, faults),
            _ => {
                let target = self.target(&stat);
                let stored = attributes::of_entry(dir, name);
                faults.extend(compare::compare_attributes(entry, stored, self.holds));
                let kind = match target {
                    Some(_) => DamageKind::Target,
                    None => DamageKind::Metadata,
                };
                let faults: Vec<String> = target.into_iter().chain(faults).collect();
                if !faults.is_empty() {
                    self.found(kind, faults.join("; "), Some(&stat));
                }
            }
        }
    }

    /// What is wrong with where a symlink or a device leads.
    fn target(&self, stat: &Stat) -> Option<String> {
        let ReadJob { dir, entry, .. } = self.job;
        if let Some(wanted) = &entry.target {
            let shown = |target: &[u8]| schema::escape::display(target);
            return match dir.read_symlink(self.job.name()) {
                Ok(found) if found.as_bytes() == wanted => None,
                Ok(found) => Some(format!(
                    "leads to {}, should lead to {}",
                    shown(found.as_bytes()),
                    shown(wanted)
                )),
                Err(error) => Some(format!("cannot be read: {}", system_reason(&error.into()))),
            };
        }
        let (major, minor) = entry.device?;
        (stat.device != (major, minor)).then(|| {
            format!(
                "is device {}:{}, should be {major}:{minor}",
                stat.device.0, stat.device.1
            )
        })
    }

    fn file(&mut self, stat: &Stat, mut faults: Vec<String>) {
        let ReadJob { dir, entry, .. } = self.job;
        if stat.size != entry.size {
            let size = format!("size is {}, should be {}", stat.size, entry.size);
            faults.insert(0, size);
            return self.found(DamageKind::Content, faults.join("; "), Some(stat));
        }
        let expected = entry.digest.filter(|_| self.pass.depth.reads(stat.ino));
        let Some(expected) = expected else {
            let stored = attributes::of_entry(dir, self.job.name());
            return self.end_file(stat, faults, None, Some(stored));
        };
        // One name, one look: there is nothing to remember.
        let device = self.pass.device;
        let again = stat.nlink > 1 || (self.pass.several && stat.may_be_shared(device));
        if again {
            match self.pass.seen.first(stat.identity(device), expected) {
                Ok(()) => {}
                Err(true) => return self.end_file(stat, faults, None, None),
                Err(false) => {
                    self.pass.doubt(Raw {
                        inode: Some(StoredInode::of(stat, self.pass.device)),
                        expected: entry.digest,
                        ..Raw::new(
                            self.at,
                            &entry.path,
                            DamageKind::Content,
                            "its content is that of another file".to_owned(),
                        )
                    });
                    return;
                }
            }
        }
        let name = self.job.name();
        let (leases, stop) = (&self.pass.leases, self.pass.stop);
        let opened = leases.open(stat.uid, &mut || stop.check(), || dir.file(name));
        let file = match opened {
            Ok(Ok(file)) => file,
            // Asked to stop: nothing is known of it.
            Err(_) => return,
            Ok(Err(error)) => {
                faults.insert(0, format!("cannot be opened: {}", open_reason(error)));
                // Who may not read it does not know that it is damaged.
                let known = !matches!(
                    error,
                    Errno::ACCESS | Errno::PERM | Errno::MFILE | Errno::NFILE | Errno::AGAIN
                );
                let stat = Some(stat).filter(|_| known);
                return self.found(DamageKind::Unreadable, faults.join("; "), stat);
            }
        };
        // Of a file that has none only those count that no file system adds by itself.
        let stored = match entry.xattrs_digest {
            None => attributes::of_fd_but(&file, &OWN),
            Some(_) => attributes::of_fd(&file),
        };
        match self.read_content(&file, stat) {
            // Asked to stop: nothing is known of it.
            Ok(None) => {}
            Ok(Some(found)) if found == expected => {
                self.end_file(stat, faults, None, Some(stored));
            }
            Ok(Some(found)) => self.end_file(stat, faults, Some(found), Some(stored)),
            Err(error) => {
                faults.insert(0, format!("cannot be read: {}", system_reason(&error)));
                self.found(DamageKind::Unreadable, faults.join("; "), Some(stat));
            }
        }
    }

    /// Tells what is wrong with a file of the right size, if anything is.
    fn end_file(
        &self,
        stat: &Stat,
        mut faults: Vec<String>,
        other: Option<Digest>,
        stored: Option<std::result::Result<attributes::Attributes, Errno>>,
    ) {
        let entry = &self.job.entry;
        // Of an inode that another name leads to they were compared there.
        let stored =
            stored.and_then(|stored| compare::compare_attributes(entry, stored, self.holds));
        faults.extend(stored);
        let mut kind = DamageKind::Metadata;
        if let (Some(found), Some(expected)) = (other, entry.digest) {
            kind = DamageKind::Content;
            let digests = format!(
                "digest is {}, should be {}",
                found.short(),
                expected.short()
            );
            faults.insert(0, digests);
        }
        if faults.is_empty() {
            return;
        }
        self.pass.found(Raw {
            inode: Some(StoredInode::of(stat, self.pass.device)),
            expected: entry.digest,
            found: other,
            ..Raw::new(self.at, &entry.path, kind, faults.join("; "))
        });
    }

    /// The digest of a file's content; `None` if it was asked to stop.
    fn read_content(&mut self, file: &File, stat: &Stat) -> io::Result<Option<Digest>> {
        let opened = Stat::of_fd(file)?;
        if opened.kind != Kind::File || !opened.same_inode(stat) {
            return Err(io::Error::other("it became another file meanwhile"));
        }
        if self.pass.as_asked && opened.size <= BUFFER as u64 {
            read_as_asked(file);
        } else if opened.size >= LARGE {
            let _ = fadvise(file, 0, None, Advice::Sequential);
        }
        let mut hasher = Sha256::new();
        let mut rest = opened.size;
        let mut file = file;
        while rest > 0 {
            if self.pass.stop.is_asked() {
                return Ok(None);
            }
            let room = usize::try_from(rest).unwrap_or(BUFFER).min(BUFFER);
            match file.read(&mut self.buffer[..room]) {
                Ok(0) => break,
                Ok(length) => {
                    hasher.update(&self.buffer[..length]);
                    rest -= length as u64;
                    self.pass.count_bytes(length as u64);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.pass.count_file();
        Ok(Some(Digest(hasher.finalize().into())))
    }
}
