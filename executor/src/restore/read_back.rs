//! Reading back what a restore wrote: from the disk, not from memory, against the manifest.
//!
//! Runs once all is synced. Looked at is what the kernel says was changed since the restore began,
//! so that a restore of three files into a full folder reads three files. Writes nothing, but
//! renames what is not as it should be.

use std::{collections::HashSet, ffi::OsString, fs::File, num::NonZeroU64, sync::Arc};

use rustix::fs::{Advice, fadvise};
use schema::{
    Digest, StoredPathBuf,
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
    error::Result,
    event::{Context, Event, Phase, Progress, Stop},
    sys::{Dir, Kind, Stat, stat::Nanos},
    worker_pool::{Coordinator, run_in_order},
};

/// Files that one job reads, and their bytes.
const FILES: usize = 64;
const BYTES: u64 = 4 << 20;
/// The kernel's times of files lag behind its clock by up to a tick.
const LAG: Nanos = 50_000_000;

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct Proof {
    /// Files that are as the manifest recorded them.
    pub(super) files: u64,
    /// Files that are not.
    pub(super) problems: Vec<Problem>,
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

/// A file that was read.
struct Read {
    path: StoredPathBuf,
    bytes: u64,
    /// The name that it has now, if it is not as it should be.
    fault: Result<Option<String>>,
}

impl Written {
    /// Has the disk begin to read it.
    fn ask(self) -> Asked {
        let file = self.dir.file(&self.name).ok();
        if let Some(file) = &file {
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

/// A file that the disk is reading; none if it is not to be had.
struct Asked {
    written: Written,
    file: Option<File>,
}

impl Asked {
    fn read(self, copier: &mut Copier, stop: &Stop) -> Read {
        let Self { written, file } = self;
        let digest = file.map(|file| compare::digest_of_open(&file, &written.stat, copier, stop));
        let digest = digest.transpose().map(Option::flatten);
        let fault = digest.map(|digest| {
            (digest != Some(written.wanted)).then(|| {
                let kept = naming::rename_beside(
                    &written.dir,
                    &written.name,
                    &written.name,
                    names::DAMAGED,
                );
                let name = kept.unwrap_or(written.name);
                display(crate::sys::bytes(&name))
            })
        });
        Read {
            path: written.path,
            bytes: written.stat.size,
            fault,
        }
    }
}

impl ReadBack<'_> {
    /// The file of the target that an item became, if this restore wrote it.
    fn written(&mut self, item: &RestoreItem) -> Option<Written> {
        let wanted = item.wanted.digest.filter(|_| item.listed)?;
        let (dir, name) = self.at(item)?;
        let stat = dir.look(&name).ok()??;
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

    fn at(&self, item: &RestoreItem) -> Option<(Arc<Dir>, OsString)> {
        match self.folders.last() {
            None => {
                let place = &self.job.place;
                let parent = place.parent.again().ok()?;
                Some((Arc::new(parent), place.name.clone()))
            }
            Some(folder) => Some((Arc::clone(folder.as_ref()?), item.name.clone())),
        }
    }

    fn enter(&mut self, item: &RestoreItem) {
        let folder = self.at(item).and_then(|(dir, name)| {
            let there = dir.look(&name).ok()??;
            let through = self.job.through(&item.path, &there).ok()?;
            through.or_else(|| dir.folder(&name).ok())
        });
        if folder.is_none() {
            self.source.skip_content();
        }
        self.folders.push(folder.map(Arc::new));
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
                // What could not be restored was told.
                Some(Step::Leaf(_) | Step::Fault(_)) => {}
            }
        }
        Ok((!files.is_empty()).then_some(files))
    }

    fn take_output(&mut self, done: Vec<Read>) -> Result<()> {
        for read in done {
            self.progress.entries += 1;
            self.progress.bytes += read.bytes;
            match read.fault? {
                None => self.proof.files += 1,
                Some(name) => self.proof.problems.push(Problem {
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
