//! Reading back what a restore wrote: from the disk, not from memory, against the manifest.
//!
//! Runs once all is synced. Looked at is what the kernel says was changed since the restore began,
//! so that a restore of three files into a full folder reads three files. Writes nothing, but
//! renames what is not as it should be.

use std::{collections::HashSet, ffi::OsString, fs::File, num::NonZeroU64, sync::Arc};

use rustix::{
    fs::{Advice, fadvise},
    io::Errno,
};
use schema::{
    Digest, StoredPath, StoredPathBuf,
    escape::display,
    journal::{Problem, ProblemKind},
};

use super::{
    compare,
    item::RestoreItem,
    job::RestoreJob,
    names, naming,
    source::{RestoreSource, Step},
};
use crate::{
    copy::Copier,
    error::{Result, system_reason},
    event::{Context, Event, Phase, Progress, Stop},
    sys::{Dir, Kind, Stat, stat::Nanos},
    worker_pool::{Coordinator, run_in_order},
};

/// Files that one job reads, and their bytes.
const FILES: usize = 64;
const BYTES: u64 = 4 << 20;
/// The kernel's times of files lag behind its clock by up to a tick.
const LAG: Nanos = 50_000_000;

const NOT_READ: &str = "it was not read back, so that nobody knows whether the disk holds it";

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct Proof {
    /// Files that are as the manifest recorded them.
    pub(super) files: u64,
    /// Files that are not.
    pub(super) damaged: Vec<Problem>,
    /// What could not be read back, of which nothing is known.
    pub(super) not_read: Vec<Problem>,
}

/// The time from which on what changes is the restore's work.
pub(super) fn now_nanos() -> Nanos {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Realtime);
    Nanos::from(now.tv_sec) * 1_000_000_000 + Nanos::from(now.tv_nsec) - LAG
}

/// Reads back what was written since.
pub(super) fn read_back(
    job: &RestoreJob<'_>,
    since: Nanos,
    context: &Context<'_>,
) -> Result<Proof> {
    let width = context.width_on(&job.place.parent);
    let mut reading = ReadBack {
        files: width.entries(FILES),
        job,
        context,
        source: job.source(context)?,
        since,
        folders: Vec::new(),
        seen: HashSet::new(),
        proof: Proof::default(),
        progress: Progress {
            phase: Phase::Verify,
            ..Progress::default()
        },
    };
    run_in_order(width, &mut reading, &|files: Vec<Written>| {
        // All are asked for before the first is waited for.
        let files: Vec<_> = files.into_iter().map(Written::ask).collect();
        let mut copier = Copier::default();
        let read = files.into_iter();
        read.map(|file| file.read(&mut copier, context.stop))
            .collect()
    })?;
    Ok(reading.proof)
}

struct ReadBack<'a> {
    /// Files of a job.
    files: usize,
    job: &'a RestoreJob<'a>,
    context: &'a Context<'a>,
    source: RestoreSource,
    since: Nanos,
    /// Folders of the target on the way down; none where there is no such folder.
    folders: Vec<Option<Arc<Dir>>>,
    /// Inodes with more names that were read.
    seen: HashSet<(u64, u64)>,
    proof: Proof,
    progress: Progress,
}

/// A file that was written.
struct Written {
    dir: Arc<Dir>,
    name: OsString,
    stat: Stat,
    wanted: Digest,
    path: StoredPathBuf,
}

/// A file that was asked for.
struct Read {
    path: StoredPathBuf,
    bytes: u64,
    found: Result<Found>,
}

/// What was found where a file was written.
enum Found {
    /// What the manifest recorded.
    Same,
    /// Something else, which has this name now.
    Damaged(String),
    /// It could not be opened.
    NotRead(Errno),
}

impl Written {
    /// Has the disk begin to read it.
    fn ask(self) -> Asked {
        let file = self.dir.file(&self.name);
        if let Ok(file) = &file {
            // Of what is only in memory nothing is proved.
            let _ = fadvise(file, 0, None, Advice::DontNeed);
            let _ = fadvise(file, 0, NonZeroU64::new(BYTES), Advice::WillNeed);
        }
        Asked {
            written: self,
            file,
        }
    }
}

/// A file that the disk is reading, or why it cannot be opened.
struct Asked {
    written: Written,
    file: std::result::Result<File, Errno>,
}

impl Asked {
    fn read(self, copier: &mut Copier, stop: &Stop) -> Read {
        let Self { written, file } = self;
        let found = match file {
            Err(error) => Ok(Found::NotRead(error)),
            Ok(file) => {
                let digest = compare::digest_of_open(&file, &written.stat, copier, stop);
                digest.map(|digest| match digest == Some(written.wanted) {
                    true => Found::Same,
                    false => {
                        let (dir, name) = (&written.dir, &written.name);
                        let kept = naming::rename_beside(dir, name, name, names::DAMAGED);
                        let name = kept.as_ref().unwrap_or(name);
                        Found::Damaged(display(crate::sys::bytes(name)))
                    }
                })
            }
        };
        Read {
            path: written.path,
            bytes: written.stat.size,
            found,
        }
    }
}

impl ReadBack<'_> {
    /// The file of the target that an item became, if this restore wrote it.
    fn written(&mut self, item: &RestoreItem) -> Option<Written> {
        let wanted = item.wanted.digest.filter(|_| item.listed)?;
        let (dir, name) = self.at(item)?;
        let stat = match dir.look(&name) {
            Ok(stat) => stat?,
            Err(error) => {
                self.not_read(&item.path, error);
                return None;
            }
        };
        let is_new = stat.ctime >= self.since || !self.job.place.holds.modes;
        let is_it = stat.kind == Kind::File && stat.size == item.wanted.size && is_new;
        if !is_it || (stat.nlink > 1 && !self.seen.insert((stat.dev, stat.ino))) {
            return None;
        }
        Some(Written {
            dir,
            name,
            stat,
            wanted,
            path: item.path.clone(),
        })
    }

    fn at(&mut self, item: &RestoreItem) -> Option<(Arc<Dir>, OsString)> {
        match self.folders.last() {
            None => {
                let place = &self.job.place;
                match place.parent.again() {
                    Ok(parent) => Some((Arc::new(parent), place.name.clone())),
                    Err(error) => {
                        self.not_read(&item.path, error);
                        None
                    }
                }
            }
            Some(folder) => Some((Arc::clone(folder.as_ref()?), item.name.clone())),
        }
    }

    fn enter(&mut self, item: &RestoreItem) {
        let folder = self.at(item).and_then(|(dir, name)| {
            let opened = dir.look(&name).and_then(|there| {
                let there = there.ok_or(Errno::NOENT)?;
                let through = self.job.through(&item.path, &there)?;
                through.map_or_else(|| dir.folder(&name), Ok)
            });
            opened
                .inspect_err(|error| self.not_read(&item.path, *error))
                .ok()
        });
        if folder.is_none() {
            self.source.skip_content();
        }
        self.folders.push(folder.map(Arc::new));
    }

    /// Notes what could not be read back. What is not there was told when it could not be restored, or is
    /// somebody else's doing since.
    fn not_read(&mut self, path: &StoredPath, error: Errno) {
        if matches!(error, Errno::NOENT | Errno::NOTDIR | Errno::LOOP) {
            return;
        }
        self.proof.not_read.push(Problem {
            path: self.source.on_source(path),
            kind: ProblemKind::Unreadable,
            message: format!("{NOT_READ}: {}", system_reason(&error.into())),
        });
    }
}

impl Coordinator for ReadBack<'_> {
    type Job = Vec<Written>;
    type Output = Vec<Read>;

    fn next_job(&mut self) -> Result<Option<Vec<Written>>> {
        let mut files = Vec::new();
        let mut bytes = 0;
        while files.len() < self.files && bytes < BYTES {
            self.context.stop.check()?;
            match self.source.next_step() {
                None => break,
                Some(Step::Enter(item)) => self.enter(&item),
                Some(Step::Leave) => drop(self.folders.pop()),
                Some(Step::Leaf(item)) if item.wanted.kind == Kind::File => {
                    if let Some(file) = self.written(&item) {
                        bytes += file.stat.size;
                        files.push(file);
                    }
                }
                Some(Step::Leaf(_)) => {}
                // Of what is read of the snapshot for this: what could not be restored either was told.
                Some(Step::Fault(problem)) => self.proof.not_read.push(Problem {
                    message: format!("{NOT_READ}: {}", problem.message),
                    ..problem
                }),
            }
        }
        Ok((!files.is_empty()).then_some(files))
    }

    fn take_output(&mut self, done: Vec<Read>) -> Result<()> {
        for read in done {
            self.progress.entries += 1;
            self.progress.bytes += read.bytes;
            match read.found? {
                Found::Same => self.proof.files += 1,
                Found::NotRead(error) => self.not_read(&read.path, error),
                Found::Damaged(name) => self.proof.damaged.push(Problem {
                    path: self.source.on_source(&read.path),
                    kind: ProblemKind::Unreadable,
                    message: format!(
                        "damaged: what was written is not what is read back, now {name}: look at `dmesg`, the target's disk or the memory may be failing"
                    ),
                }),
            }
        }
        self.context.observer.event(Event::Progress(self.progress));
        Ok(())
    }

    fn while_waiting(&mut self) -> Result<()> {
        self.context.observer.event(Event::Progress(self.progress));
        self.context.stop.check()
    }

    fn on_failure(&mut self) {
        // Each reading asks for itself whether to stop.
    }
}
