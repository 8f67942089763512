//! Bringing the tree in `partial` to equal the sources, in the manifest's order.
//!
//! The survey is cut into jobs of some entries that follow each other; threads make the entries, and
//! what they come to is taken in order, so that the manifest is written as a stream. A folder is
//! finished once everything in it was taken.

mod begin;
mod gone;
mod items;
mod lookup;
mod others;
mod stretches;

use std::{
    collections::{BTreeMap, HashMap},
    ffi::OsString,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use chrono::{DateTime, FixedOffset};
use schema::{
    SnapshotId, StoredPathBuf,
    journal::Problem,
    plan::SnapshotStep,
    record::{SnapshotTotals, SourceRecord},
};

use self::{
    begin::open_log,
    others::{open_also_linked, open_reference},
    stretches::StretchedBasis,
};
use super::{
    build_context::BuildContext,
    capability_checks,
    compared::Compared,
    doubt::DoubtfulPaths,
    feed::Feed,
    jobs::{BuildJob, BuildJobResult, DirectoryNode, LinkGroup, Tally},
    resume_journal::{self, ResumeJournal, Taken},
    start::Started,
};
use crate::{
    error::{Error, Result},
    event::{Context, Event, Phase, Progress},
    flush::Flusher,
    leases::LeasePatience,
    manifest::{Cursor, SegmentWriter},
    names::Namer,
    store::Store,
    survey::{Encountered, HoleBudget, Record, Stretch, Survey, Surveyed, nanos_of},
    sys::{Folder, distance::round_trip},
    watch::{Storing, WHOLE},
    width::Width,
    worker_pool::{Coordinator, run_in_order},
};

/// How often everything so far is made durable, so that a continued run need not read it back.
const CHECKPOINT: Duration = Duration::from_secs(30);
/// How often the free space is looked at on a file system that is far away.
const SPACE_CHECK: Duration = Duration::from_secs(1);
/// Bytes of holes that are read at most of each owner's files besides those that they had when they were
/// judged.
const MOST_GROWN: u64 = 16 << 30;
/// Full folders that a job gives their metadata where each question goes a long way.
const FULL_FAR: usize = 4;
/// Entries of a job.
const ENTRIES: usize = 256;
/// Bytes of a job that may have to be copied, but for its last file.
const BYTES: u64 = 8 << 20;

/// A tree that equals the sources.
pub(super) struct Built {
    pub(super) manifest: SegmentWriter,
    pub(super) totals: SnapshotTotals,
    pub(super) stored_by: BTreeMap<SnapshotId, u64>,
    pub(super) files_stored_by: BTreeMap<SnapshotId, u64>,
    /// Regular files whose content is as the basis has it.
    pub(super) unchanged_files: u64,
    /// Regular files whose content is as the reference has it.
    pub(super) files_as_before: u64,
    pub(super) compared: Compared,
    /// Something was linked to others than the basis.
    pub(super) also_linked: bool,
    /// When the sources began to be read.
    pub(super) read_from: DateTime<FixedOffset>,
    pub(super) sources: Vec<SourceRecord>,
    pub(super) problems: Vec<Problem>,
}

/// Brings the tree to equal the sources as the survey found them. `fresh` is what
/// the log of copied files has of this very process, and `feed` what another destination was given.
pub(super) fn build_tree(
    store: &Store,
    run_id: &str,
    step: &SnapshotStep,
    started: &Started,
    (survey, fresh, feed): (Survey, &Taken, Option<&Feed>),
    context: Context<'_>,
) -> Result<Built> {
    let destination = store.destination()?.ok_or_else(|| {
        Error::failed(format!("{} has no destination.json", store.path))
            .hint("run `backup apply` again: it sets the destination up")
    })?;
    let (log, copied) = open_log(store, started, nanos_of(survey.from), fresh)?;
    let basis = step
        .basis
        .as_ref()
        .map(|from| {
            store
                .snapshot(from.home, from.id)
                .map_err(Error::of_basis_tree)
        })
        .transpose()?
        .map(Folder::top);
    let Survey {
        from: read_from,
        sources,
        moves,
        unmatched_patterns: _,
        left_out,
        gone: _,
        stretched,
    } = survey;
    let also = open_also_linked(store, step)?;
    let (reference, judged_by) = open_reference(store, step);
    // Where two names may be one, the first of them must be there when the second is judged.
    let width = match destination.capabilities.folds_names() {
        true => Width::fixed(1),
        false => context.width_on(&started.tree),
    };
    let build = BuildContext {
        width,
        is_distant: round_trip(&started.tree).is_some(),
        store,
        step,
        context,
        capabilities: destination.capabilities,
        privileged: rustix::process::geteuid().is_root(),
        tree: &started.tree,
        basis,
        copied,
        moves,
        since: also.since,
        also: also.trees,
        also_linked: AtomicBool::new(false),
        reference,
        feed,
        read_from: nanos_of(read_from),
        given: Mutex::default(),
        shares_nothing: Mutex::default(),
        copiers: Mutex::default(),
        leases: LeasePatience::default(),
        grown: Mutex::new(HoleBudget::new(step.max_hole_bytes.min(MOST_GROWN))),
        passed: AtomicU64::new(0),
        flusher: Flusher::default(),
        ended: AtomicBool::new(false),
        one_by_one: capability_checks::syncs_one_by_one(&started.tree),
        unsynced: AtomicBool::new(false),
        block_bytes: OnceLock::new(),
        clone_of: started.clone_of.clone(),
        doubtful: started
            .clone_of
            .as_ref()
            .map(|record| DoubtfulPaths::of(&record.problems))
            .unwrap_or_default(),
        lost_groups: Mutex::default(),
    };
    let mut builder = Builder::new(
        &build,
        started,
        (sources, left_out, stretched),
        log,
        (&also.ids, judged_by),
        run_id,
    )?;
    let result = run_jobs(&build, started, &mut builder);
    builder.end(result, started, read_from)
}

/// Does all jobs, and puts on disk beside them what they make.
fn run_jobs(build: &BuildContext<'_>, started: &Started, builder: &mut Builder<'_>) -> Result<()> {
    let width = build.width;
    let flushes = if build.one_by_one { 1 } else { width.threads() };
    build.flusher.beside(
        &started.tree,
        flushes,
        |error| sync_failed_error(build, error),
        || run_in_order(width, builder, &|job| build.do_job(job)),
    )
}

/// The disk did not take what was written. Never tried again into success.
fn sync_failed_error(build: &BuildContext<'_>, error: impl Into<std::io::Error>) -> Error {
    build.sync_failed();
    build.store.io("sync", "what was copied", error).hint(
        "the disk could not store what was written: look at `dmesg`; the next run copies it again",
    )
}

/// Hands out the work and takes what it comes to.
struct Builder<'a> {
    build: &'a BuildContext<'a>,
    basis: Option<Cursor>,
    /// The basis' manifest, where stretches of it are taken over.
    stretched: Option<StretchedBasis>,
    /// The reference's manifest, where that is not the basis.
    reference: Option<Cursor>,
    /// That of a snapshot which another destination got in this run.
    fed: Option<Cursor>,
    compared: Compared,
    manifest: SegmentWriter,
    log: ResumeJournal,
    sources: std::vec::IntoIter<Surveyed>,
    /// The source at hand.
    open: Option<OpenSource>,
    /// The folders that were entered and not left; the tree's own is the first.
    nodes: Vec<Arc<DirectoryNode>>,
    /// What names their entries got.
    namers: Vec<Namer>,
    /// The files of several names whose names were not all met.
    groups: HashMap<(u64, u64), (Arc<LinkGroup>, u32)>,
    group_count: u64,
    /// The folder of the basis that was last looked into for what is gone from it.
    gone_in: Option<(StoredPathBuf, Folder)>,
    job: BuildJob,
    full: Vec<Arc<DirectoryNode>>,
    tally: Tally,
    records: Vec<SourceRecord>,
    last_checkpoint: Instant,
    last_space_check: Instant,
}

/// A source that is being gone through.
struct OpenSource {
    record: Record,
    stretches: std::iter::Peekable<std::vec::IntoIter<Stretch>>,
    /// Its place among the records; those within it follow.
    number: usize,
    /// The paths of the sources within it, relative to it.
    inner: Vec<StoredPathBuf>,
    /// What was read and belongs to another job.
    pending: Option<(OsString, Encountered)>,
    /// The folder that holds it, and its name there.
    from: Option<(Folder, OsString)>,
    /// Its path in the snapshot.
    prefix: StoredPathBuf,
    /// Folders of it that were entered and not left.
    depth: usize,
    /// Another destination was given what is in it, and is read faster.
    is_fed: bool,
}

impl<'a> Builder<'a> {
    /// The tree, unless the work ended early.
    fn end(
        mut self,
        result: Result<()>,
        started: &Started,
        read_from: DateTime<FixedOffset>,
    ) -> Result<Built> {
        let store = self.build.store;
        let io = |error| store.io("write", "the log of copied files", error);
        if let Err(error) = result {
            // What was copied is worth keeping, whatever ended the work.
            if self.build.unsynced.load(Ordering::Relaxed) {
                resume_journal::forget_unsynced(&started.records).map_err(io)?;
            } else {
                let _ = self.log.flush();
            }
            return Err(error);
        }
        self.report();
        self.refer_to_end();
        self.log.flush().map_err(io)?;
        // In the order of the configuration, as people read it.
        let step = self.build.step;
        self.add_what_the_basis_stores();
        self.records.sort_by_key(|record| {
            let mut sources = step.sources.iter();
            sources.position(|source| source.path == record.path)
        });
        Ok(Built {
            manifest: self.manifest,
            totals: self.tally.totals,
            stored_by: self.tally.stored_by,
            files_stored_by: self.tally.files_stored_by,
            unchanged_files: self.tally.unchanged_files,
            files_as_before: self.tally.files_as_before,
            compared: self.compared,
            also_linked: self.build.also_linked.load(Ordering::Relaxed),
            read_from,
            sources: self.records,
            problems: self.tally.problems,
        })
    }

    /// What a clone has from the basis unseen is counted there.
    fn add_what_the_basis_stores(&mut self) {
        let Some(basis) = &self.build.clone_of else {
            return;
        };
        let (bytes, files) = self
            .tally
            .lost
            .of_basis(&basis.stored_by, &basis.files_stored_by);
        for (by, bytes) in bytes {
            *self.tally.stored_by.entry(by).or_default() += bytes;
        }
        for (by, files) in files {
            *self.tally.files_stored_by.entry(by).or_default() += files;
        }
    }

    /// Tells how far the work is.
    fn report(&self) {
        let build = self.build;
        build.context.observer.event(Event::Progress(Progress {
            phase: Phase::Copy,
            entries: self.tally.totals.entries,
            entries_total: build.step.expected.entries,
            bytes: build.passed.load(Ordering::Relaxed),
            bytes_total: build.step.expected.new_bytes,
        }));
    }

    /// Looks at the free space, of which what is linked takes some, too: after each job, or now and then
    /// where the look itself takes long.
    fn look_at_space(&mut self) -> Result<()> {
        if self.build.width.is_far() && self.last_space_check.elapsed() < SPACE_CHECK {
            return Ok(());
        }
        self.last_space_check = Instant::now();
        self.build.check_space()
    }

    /// Makes everything so far durable now and then.
    fn checkpoint(&mut self) -> Result<()> {
        if self.last_checkpoint.elapsed() < CHECKPOINT {
            return Ok(());
        }
        let storing = Storing::new(self.build.tree, WHOLE);
        let synced = self.build.tree.sync_file_system();
        drop(storing);
        if let Err(error) = synced {
            return Err(sync_failed_error(self.build, error));
        }
        let store = self.build.store;
        self.log
            .checkpoint()
            .map_err(|error| store.io("write", "the log of copied files", error))?;
        self.last_checkpoint = Instant::now();
        Ok(())
    }
}

impl Coordinator for Builder<'_> {
    type Job = BuildJob;
    type Output = BuildJobResult;

    fn next_job(&mut self) -> Result<Option<BuildJob>> {
        let source = self.job.source;
        let entries = self.build.width.entries(ENTRIES);
        // Grown step by step all of it would be moved again and again.
        self.job.items.reserve(entries);
        while self.job.items.len() < entries
            && self.job.leaves.len() < entries
            && self.job.bytes < BYTES
        {
            if !self.step()? {
                break;
            }
            // A job is of one source, so that its entries can be counted for it.
            if self.job.source != source {
                break;
            }
        }
        let next = self.job.source;
        let mut job = std::mem::take(&mut self.job);
        self.job.source = next;
        job.source = source;
        // Each of them asks several questions, and all threads are to have some at the end.
        let most = match self.build.width.is_far() {
            true => FULL_FAR,
            false => self.full.len(),
        };
        let later = self.full.split_off(self.full.len().min(most));
        job.full = std::mem::replace(&mut self.full, later);
        let is_empty = job.items.is_empty() && job.leaves.is_empty() && job.full.is_empty();
        if is_empty && (!self.nodes.is_empty() || next != source) {
            // Only a border between sources was passed.
            return self.next_job();
        }
        Ok((!is_empty).then_some(job))
    }

    fn take_output(&mut self, done: BuildJobResult) -> Result<()> {
        let BuildJobResult {
            source,
            leaves,
            mut tally,
            result,
        } = done;
        let store = self.build.store;
        for copy in std::mem::take(&mut tally.copies) {
            self.log
                .record(&copy)
                .map_err(|error| store.io("write", "the log of copied files", error))?;
        }
        result?;
        self.write_lines(&mut tally)?;
        if let Some(record) = source.and_then(|source| self.records.get_mut(source)) {
            record.entries += tally.totals.entries;
            record.files += tally.totals.files;
        }
        if let Some(path) = tally.changed.take() {
            self.compared.changed(tally.files_changed, &path);
        }
        self.tally.add(tally);
        self.full.extend(leaves);
        self.look_at_space()?;
        self.report();
        self.checkpoint()
    }

    fn while_waiting(&mut self) -> Result<()> {
        self.build.context.stop.check()?;
        self.report();
        self.checkpoint()
    }

    fn on_failure(&mut self) {
        self.build.ended.store(true, Ordering::Relaxed);
    }

    /// What others had copied meanwhile is not copied again by the run that continues this one.
    fn take_late_output(&mut self, done: BuildJobResult) {
        for copy in &done.tally.copies {
            let _ = self.log.record(copy);
        }
    }
}

/// Tells that the disk is being waited for.
pub(super) fn report_sync(context: Context<'_>) {
    context.observer.event(Event::Progress(Progress {
        phase: Phase::Sync,
        ..Progress::default()
    }));
}
