//! Restores: looks at everything once more, then makes what is missing.
//!
//! Goes down the target by descriptors that it holds; no path below the target is resolved. What
//! it cannot restore it lists and goes on. Folders are in `frames`, all else in `leaves`; what
//! threads do is in `copying`.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, atomic::Ordering},
};

use schema::{
    FailureCode, StoredPath,
    escape::{display, unescape},
    journal::{Outcome, Problem, ProblemKind},
    plan::RestoreStep,
};

use super::{
    copying::{self, BYTES, Copied, Copy, FILES},
    item::RestoreItem,
    job::{RestoreJob, restore_interrupted},
    names, naming, place, read_back,
    restorer::Restorer,
    scan::{self, Totals},
    source::Step,
    tally::Tally,
    vouching::Vouching,
};
use crate::{
    copy::Copier,
    error::{Error, Result},
    event::{Context, Event, Phase, Progress},
    flush::Flusher,
    sys::{Kind, bytes},
    watch::{Storing, WHOLE},
    worker_pool::{Coordinator, run_in_order},
};

/// Conflicts that a refusal names.
const NAMED: usize = 5;

/// Folders that wait for files on their way at most: each is an open one.
const WAITING: usize = 256;

/// Folders that wait for what is in them to be on disk at most: each is an open one.
const UNSYNCED: usize = 64;

/// `planned` is what the plan found to do.
pub(super) fn restore_all(
    job: &RestoreJob<'_>,
    planned: &RestoreStep,
    context: &Context<'_>,
) -> Result<Outcome> {
    let aside = planned.aside_suffix.as_str();
    // Where nothing stands, then as now, there is nothing to compare with.
    let nothing_there = planned.conflict_count == 0
        && planned.put_right_count == 0
        && planned.already_there <= 1
        && job.place.is_empty();
    let mut totals = Totals::planned(planned);
    if !nothing_there || totals.needed > place::free_bytes(&job.place)? {
        // What the plan read and found the same is read once more when its turn comes.
        let found = planned.conflict_count > 0 || planned.put_right_count > 0;
        totals = scan::scan_target(job, found && !job.overwrite, context)?;
    }
    check_allowed(job, aside, &totals)?;
    let width = job.width(context);
    let mut run = Restorer {
        files: width.entries(FILES),
        job,
        aside,
        context,
        source: job.source(context)?,
        frames: Vec::new(),
        left: VecDeque::new(),
        unsynced: Vec::new(),
        copier: Copier::reading_from(&job.found.parent),
        links: HashMap::new(),
        tally: Tally::default(),
        progress: Progress {
            phase: Phase::Restore,
            entries_total: totals.entries,
            bytes_total: totals.bytes,
            ..Progress::default()
        },
        since: read_back::now_nanos(),
        elsewhere: Vec::new(),
    };
    run.clean_beside_target();
    let copiers = Mutex::new(Vec::new());
    let written = job.place.folder().map_err(|error| job.place.io(error))?;
    let flusher = Flusher::default();
    flusher
        .beside(
            &written,
            context.threads,
            |error| job.place.io(error),
            || {
                run_in_order(width, &mut run, &|files| {
                    copying::copy_files(job, aside, files, &copiers, &flusher, context)
                })
            },
        )
        .map_err(restore_interrupted)?;
    run.end();
    run.sync()?;
    if job.choice.read_back {
        let proof = read_back::read_back(job, run.since, context).map_err(restore_interrupted)?;
        run.tally.read_back = proof.files;
        run.tally.damaged += proof.damaged.len() as u64;
        for problem in proof.damaged {
            run.tally.problem(problem);
        }
        for problem in proof.not_read {
            run.tally.not_read_back(problem);
        }
    }
    // Whatever takes place until here, the same restore reads back once more what this one wrote.
    if !run.unsynced.is_empty() {
        run.end_synced();
        run.sync()?;
    }
    Ok(run.tally.outcome(&planned.folder, &job.place.shown, aside))
}

/// Refuses before anything is changed.
fn check_allowed(job: &RestoreJob<'_>, aside: &str, totals: &Totals) -> Result<()> {
    let target = &job.place.shown;
    let differs = totals.conflict_count + totals.put_right_count;
    if differs > 0 && !job.overwrite {
        let shown = |path: &str| match path {
            "." => target.clone(),
            path => job.in_target(StoredPath::new(&unescape(path).unwrap_or_default())),
        };
        let conflicts = totals.conflicts.iter().map(|path| shown(path));
        let put_right = totals.put_right.iter();
        let put_right = put_right.map(|one| format!("{} ({})", shown(&one.path), one.what));
        let named: Vec<String> = conflicts.chain(put_right).take(NAMED).collect();
        let more = differs - named.len() as u64;
        let more = if more > 0 {
            format!(" and {more} more")
        } else {
            String::new()
        };
        let points = match job.place.stat {
            Some(stat) if stat.kind == Kind::Symlink => {
                "; or name the place that the symlink points to"
            }
            _ => "",
        };
        return Err(Error::refused(format!(
            "would replace what is there and differs from the snapshot: {}{more}",
            named.join(", ")
        ))
        .hint(format!(
            "`backup ... --overwrite` takes the snapshot's and keeps files that differ aside as \
             NAME{aside}{points}"
        )));
    }
    let free = place::free_bytes(&job.place)?;
    if totals.needed > free {
        return Err(Error::refused(format!(
            "insufficient space: restoring to {target} needs {} bytes and {free} are free there",
            totals.needed
        ))
        .coded(FailureCode::NoSpace)
        .hint("free space there, or restore a part of it"));
    }
    Ok(())
}

impl Restorer<'_> {
    /// What is left to say when everything was tried.
    fn end(&mut self) {
        self.context.observer.event(Event::Progress(self.progress));
        self.tally.notes.extend(self.source.unknown.note());
        let because = self
            .source
            .manifest_fault()
            .map(str::to_owned)
            .or_else(|| self.job.from.why_unreadable());
        let message = match (because, &self.job.vouching) {
            (Some(because), _) => format!(
                "the snapshot's manifest is damaged, so content was not checked and metadata is as the destination holds it: {because}"
            ),
            (None, Vouching::Differs(because)) => format!(
                "nothing vouches for what was restored, which is what the manifest says now: {because}"
            ),
            (None, _) => return,
        };
        self.tally.problem(Problem {
            path: self.source.on_source(StoredPath::root()),
            kind: ProblemKind::Metadata,
            message,
        });
    }

    fn report(&mut self) {
        let entries = self.tally.restored + self.tally.already_there;
        let told = self.progress.entries / 64;
        self.progress.entries = entries;
        if entries / 64 != told {
            self.context.observer.event(Event::Progress(self.progress));
        }
    }

    /// Removes what an earlier run left beside the target itself.
    fn clean_beside_target(&self) {
        let place = &self.job.place;
        for name in place.parent.names().unwrap_or_default() {
            if names::is_temporary_of(&name, &place.name) {
                naming::remove_temporary(&place.parent, &name);
            }
        }
    }

    /// Says that an entry does not get its own name.
    fn tell_renamed(&mut self, item: &RestoreItem) {
        if item.renamed {
            let message = format!(
                "the target cannot hold its name: it is there as {}",
                display(bytes(&item.name))
            );
            self.entry_problem(item, ProblemKind::NotStored, message);
        }
    }

    /// Says that an entry does not get its set-id bits.
    fn tell_withheld(&mut self, item: &RestoreItem) {
        if item.bits_withheld {
            let message = "its set-id bits are left out: no sealed manifest vouches for them";
            self.entry_problem(item, ProblemKind::Unvouched, message.into());
        }
    }

    /// Waits until all of it is on disk.
    fn sync(&self) -> Result<()> {
        let place = &self.job.place;
        let io = |error| place.io(error);
        let _storing = Storing::new(&place.parent, WHOLE);
        place.parent.sync_file_system().map_err(io)?;
        for folder in &self.elsewhere {
            folder.sync_file_system().map_err(io)?;
        }
        // The target may be where another file system is mounted.
        match place.parent.look(&place.name).map_err(io)? {
            Some(stat) if stat.kind == Kind::Folder => {
                let folder = place.parent.folder(&place.name).map_err(io)?;
                folder.sync_file_system().map_err(io)
            }
            _ => Ok(()),
        }
    }

    fn take_one(&mut self, done: Copied) -> Result<()> {
        let Copied {
            item,
            result,
            aside,
            faults,
            count,
        } = done;
        match result {
            Ok(made) => {
                self.made(&item, &made, aside);
                self.faults(&item, faults);
                if let Some(count) = &count {
                    count.complete.fetch_add(1, Ordering::Release);
                }
            }
            Err(fault) => self.fault(&item, fault)?,
        }
        if let Some(count) = count {
            count.under_way.fetch_sub(1, Ordering::AcqRel);
        }
        Ok(())
    }
}

impl Coordinator for Restorer<'_> {
    type Job = Vec<Copy>;
    type Output = Vec<Copied>;

    fn next_job(&mut self) -> Result<Option<Vec<Copy>>> {
        let mut files = Vec::new();
        let mut bytes = 0;
        while self.left.len() < WAITING && files.len() < self.files && bytes < BYTES {
            self.context.stop.check()?;
            if self.unsynced.len() >= UNSYNCED {
                self.sync()?;
                self.end_synced();
            }
            let Some(step) = self.source.next_step() else {
                break;
            };
            if let Step::Enter(item) | Step::Leaf(item) = &step {
                self.tell_renamed(item);
                self.tell_withheld(item);
            }
            let file = match step {
                Step::Enter(item) => self.enter(item).map(|()| None)?,
                Step::Leaf(item) => self.leaf(item)?,
                Step::Leave => {
                    self.leave();
                    None
                }
                Step::Fault(problem) => {
                    self.tally.problem(problem);
                    None
                }
            };
            self.report();
            if let Some(file) = file {
                bytes += file.item.wanted.size;
                files.push(file);
            }
        }
        // With none while folders wait, something is on its way into the first of them: once it is
        // taken there is more to do.
        Ok((!files.is_empty()).then_some(files))
    }

    fn take_output(&mut self, done: Vec<Copied>) -> Result<()> {
        done.into_iter()
            .try_for_each(|copied| self.take_one(copied))?;
        self.report();
        self.finish_left();
        Ok(())
    }

    fn while_waiting(&mut self) -> Result<()> {
        self.context.observer.event(Event::Progress(self.progress));
        self.context.stop.check()
    }

    fn on_failure(&mut self) {
        // Each copy asks for itself whether to stop; what fails elsewhere lets it finish.
    }
}
