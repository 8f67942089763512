//! The effects of a restore: looks at everything once more, then makes what is missing.
//!
//! Goes down the target by descriptors that it holds; no path below the target is resolved. What
//! it cannot restore it lists and goes on.

use std::{
    collections::{HashMap, VecDeque},
    ffi::{OsStr, OsString},
    os::{fd::AsFd as _, unix::ffi::OsStrExt as _},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use rustix::io::Errno;
use schema::{
    escape::{display, unescape},
    journal::{Outcome, Problem, ProblemKind},
    plan::RestoreStep,
};

use super::{
    Job, compare, group, interrupted,
    make::{self, Fault, Inode, Made, Spot},
    metadata::{self, Faults, Handle},
    names, place,
    scan::{self, Totals},
    source::{Item, Source, Step},
    tally::Tally,
};
use crate::{
    copy::Copier,
    crew::{self, Foreman},
    error::{Error, Result, reason},
    event::{Context, Event, Phase, Progress, Stop},
    sys::{Dir, Kind, Stat, attributes, attributes::Attributes},
};

/// Conflicts that a refusal names.
const NAMED: usize = 5;

/// An open folder of the target.
struct Frame {
    dir: Arc<Dir>,
    /// Gives its entries an access control list.
    inherits: bool,
    item: Item,
    attributes: Attributes,
    /// It becomes the snapshot's in its metadata, too.
    mine: bool,
    /// Our mark stands in it.
    marked: bool,
    /// It was made by this run, so that nothing can be in the way in it.
    fresh: bool,
    count: Arc<Count>,
}

/// What is known of a folder while threads fill it.
#[derive(Default)]
struct Count {
    /// Files that are on their way into it.
    under_way: AtomicUsize,
    /// Entries that are in it now as the snapshot has them.
    complete: AtomicUsize,
}

/// A folder of the target: whether it gets the snapshot's metadata, is marked, is new.
type Opened = (Dir, bool, bool, bool);

/// Files that one job copies, and their bytes.
const FILES: usize = 64;
const BYTES: u64 = 4 << 20;

/// A file to copy.
struct Copy {
    /// The snapshot's folder that holds it.
    parent: Arc<Dir>,
    item: Item,
    /// The target's folder, and the file's name there.
    dir: Arc<Dir>,
    name: OsString,
    inherits: bool,
    aside: bool,
    count: Option<Arc<Count>>,
}

/// A file that was copied, or was not.
struct Copied {
    item: Item,
    result: std::result::Result<Made, Fault>,
    aside: bool,
    faults: Faults,
    count: Option<Arc<Count>>,
}

/// Folders that wait for files on their way at most: each is an open one.
const WAITING: usize = 256;

struct Run<'a> {
    job: &'a Job<'a>,
    aside: &'a str,
    context: &'a Context<'a>,
    source: Source,
    /// Open folders of the target; none where the folder could not be had.
    frames: Vec<Option<Frame>>,
    /// Folders that were left and wait for files on their way into them, in the order of leaving.
    left: VecDeque<Frame>,
    /// For files that are copied here.
    copier: Copier,
    /// For each file with more names: the path of the first below the target, and its inode.
    links: HashMap<(u64, u64), (Vec<u8>, Inode)>,
    tally: Tally,
    progress: Progress,
}

/// `planned` is what the plan found to do.
pub(super) fn run(job: &Job<'_>, planned: &RestoreStep, context: &Context<'_>) -> Result<Outcome> {
    let aside = planned.aside_suffix.as_str();
    // Where nothing stands, then as now, there is nothing to compare with.
    let nothing_there = job.place.stat.is_none() && planned.conflict_count == 0;
    let mut totals = Totals::planned(planned);
    if !nothing_there || totals.needed > place::free_bytes(&job.place)? {
        totals = scan::scan(job, context)?;
    }
    allowed(job, aside, &totals)?;
    let mut run = Run {
        job,
        aside,
        context,
        source: job.source()?,
        frames: Vec::new(),
        left: VecDeque::new(),
        copier: Copier::default(),
        links: HashMap::new(),
        tally: Tally::default(),
        progress: Progress {
            phase: Phase::Restore,
            entries_total: totals.entries,
            bytes_total: totals.bytes,
            ..Progress::default()
        },
    };
    run.clean_beside_target();
    let copiers = Mutex::new(Vec::new());
    crew::work(context.threads, &mut run, &|file| {
        copy(job, aside, file, &copiers, context)
    })
    .map_err(interrupted)?;
    run.end();
    run.sync()?;
    Ok(run.tally.outcome(&job.place.shown, aside))
}

/// Refuses before anything is changed.
fn allowed(job: &Job<'_>, aside: &str, totals: &Totals) -> Result<()> {
    let target = &job.place.shown;
    if totals.conflict_count > 0 && !job.overwrite {
        let named: Vec<String> = totals
            .conflicts
            .iter()
            .take(NAMED)
            .map(|path| match path.as_str() {
                "." => target.clone(),
                path => job.in_target(&unescape(path).unwrap_or_default()),
            })
            .collect();
        let more = totals.conflict_count - named.len() as u64;
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
            "--overwrite takes the snapshot's and keeps the old ones aside as NAME{aside}{points}"
        )));
    }
    let free = place::free_bytes(&job.place)?;
    if totals.needed > free {
        return Err(Error::refused(format!(
            "insufficient space: restoring to {target} needs {} bytes and {free} are free there",
            totals.needed
        ))
        .hint("free space there, or restore a part of it"));
    }
    Ok(())
}

impl Run<'_> {
    /// What is left to say when everything was tried.
    fn end(&mut self) {
        self.context.observer.event(Event::Progress(self.progress));
        let because = self.source.manifest_fault().map(str::to_owned).or_else(|| {
            let id = self.job.snapshot?;
            self.job.store.records(id).ok()??;
            self.job.store.manifest(id).err().map(|error| error.message)
        });
        if let Some(because) = because {
            self.tally.problem(Problem {
                path: self.source.on_source(b""),
                kind: ProblemKind::Metadata,
                message: format!(
                    "the snapshot's manifest is damaged, so content was not checked and metadata is as the destination holds it: {because}"
                ),
            });
        }
    }

    fn report(&mut self) {
        let entries = self.tally.restored + self.tally.already_there;
        let told = self.progress.entries / 64;
        self.progress.entries = entries;
        if entries / 64 != told {
            self.context.observer.event(Event::Progress(self.progress));
        }
    }

    /// Where an entry goes; `None` below a folder that could not be had.
    fn spot<'s>(&'s self, item: &'s Item, shown: &'s str) -> Option<Spot<'s>> {
        let place = &self.job.place;
        let (dir, name, inherits) = match self.frames.last() {
            None => {
                let inherits = metadata::passes_acl_on(&place.parent);
                (&place.parent, &place.name, inherits)
            }
            Some(frame) => {
                let frame = frame.as_ref()?;
                (frame.dir.as_ref(), &item.name, frame.inherits)
            }
        };
        Some(Spot {
            dir,
            name,
            inherits,
            symlink_metadata: place.holds.symlink_metadata,
            shown,
        })
    }

    fn enter(&mut self, item: Item) -> Result<()> {
        let attributes = match (self.source.folder(), &item.stored) {
            (Some(folder), Some(_)) => {
                metadata::wanted(&item, || attributes::of_fd(folder.as_ref()))
            }
            _ => metadata::wanted(&item, || Ok(Attributes::new())),
        };
        if let Some(error) = attributes.1 {
            let because = format!("cannot read its attributes: {}", reason(&error.into()));
            self.entry_problem(&item, ProblemKind::Metadata, because);
        }
        let frame = match self.folder(&item) {
            Ok(Some((dir, mine, marked, fresh))) => {
                self.count();
                Some(Frame {
                    inherits: metadata::passes_acl_on(&dir),
                    dir: Arc::new(dir),
                    item,
                    attributes: attributes.0,
                    mine,
                    marked,
                    fresh,
                    count: Arc::default(),
                })
            }
            Ok(None) => None,
            Err(fault) => {
                self.fault(&item, fault)?;
                None
            }
        };
        if frame.is_none() {
            self.source.skip_content();
        }
        self.frames.push(frame);
        Ok(())
    }

    /// Opens or makes a folder; says whether it gets the snapshot's metadata, is marked and is new.
    fn folder(&mut self, item: &Item) -> std::result::Result<Option<Opened>, Fault> {
        let shown = self.job.in_target(&item.path);
        let Some(spot) = self.spot(item, &shown) else {
            return Ok(None);
        };
        refuse_marker(spot.name)?;
        let fault = |error| Fault::of(error, &shown);
        let there = spot.dir.look(spot.name).map_err(fault)?;
        if there.is_some_and(|there| there.kind == Kind::Folder) {
            let folder = spot.dir.folder(spot.name).map_err(fault)?;
            self.job
                .check_folder(&folder, &item.path)
                .map_err(|error| Fault::Entry(ProblemKind::NotStored, error.message))?;
            let (mine, marked) = take_over(&folder).map_err(fault)?;
            self.tally.already_there += 1;
            return Ok(Some((folder, mine || self.job.overwrite, marked, false)));
        }
        let aside = self.aside_for(there.as_ref())?;
        let (folder, temporary) = make::folder(spot)?;
        make::place(spot, &temporary, aside)?;
        self.tally.kept_aside += u64::from(aside.is_some());
        self.tally.restored += 1;
        Ok(Some((folder, true, true, true)))
    }

    /// The suffix for what has an entry's name, if anything has.
    fn aside_for(&self, there: Option<&Stat>) -> std::result::Result<Option<&str>, Fault> {
        match there {
            None => Ok(None),
            Some(_) if self.job.overwrite => Ok(Some(self.aside)),
            // It was not there when everything was compared.
            Some(_) => Err(make::taken()),
        }
    }

    fn leave(&mut self) {
        if let Some(Some(frame)) = self.frames.pop() {
            self.left.push_back(frame);
            self.finish_left();
        }
    }

    /// Ends the folders into which nothing is on its way any more.
    fn finish_left(&mut self) {
        let is_full = |frame: &Frame| frame.count.under_way.load(Ordering::Acquire) == 0;
        while self.left.front().is_some_and(is_full) {
            if let Some(frame) = self.left.pop_front() {
                self.finish(frame);
            }
        }
    }

    fn finish(&mut self, frame: Frame) {
        let mut faults = Faults::default();
        if frame.mine {
            let marked = frame.marked;
            make::finish_folder(
                &frame.dir,
                &frame.item,
                &frame.attributes,
                marked,
                &mut faults,
            );
        } else if self.differs_in_time_only(&frame) {
            let handle = Handle::Open(frame.dir.as_fd());
            metadata::apply_time(&handle, &frame.item, &mut faults);
        }
        self.faults(&frame.item, faults);
    }

    /// Whether a folder that keeps its own metadata is the snapshot's but for its time, as one
    /// is whose run was killed between taking the mark away and setting the time.
    fn differs_in_time_only(&self, frame: &Frame) -> bool {
        let same = |stat: Stat| {
            stat.mtime != frame.item.wanted.mtime
                && compare::same_rights(&frame.item.wanted, &stat, self.job.place.holds)
        };
        frame.dir.stat_self().is_ok_and(same)
            && frame
                .dir
                .names()
                .is_ok_and(|names| names.len() == frame.count.complete.load(Ordering::Acquire))
    }

    /// Counts an entry that is in its folder now as the snapshot has it.
    fn count(&mut self) {
        if let Some(Some(frame)) = self.frames.last() {
            frame.count.complete.fetch_add(1, Ordering::Release);
        }
    }

    /// Makes a leaf, or gives the copy that a thread is to make.
    fn leaf(&mut self, item: Item) -> Result<Option<Copy>> {
        match self.make_leaf(&item) {
            Ok(Leaf::Made) => {
                self.count();
                Ok(None)
            }
            Ok(Leaf::Nowhere) => Ok(None),
            Ok(Leaf::File { aside }) => Ok(self.copy(item, aside)),
            Err(fault) => {
                self.fault(&item, fault)?;
                Ok(None)
            }
        }
    }

    fn make_leaf(&mut self, item: &Item) -> std::result::Result<Leaf, Fault> {
        let shown = self.job.in_target(&item.path);
        let Some(spot) = self.spot(item, &shown) else {
            return Ok(Leaf::Nowhere);
        };
        let Spot { dir, name, .. } = spot;
        refuse_marker(name)?;
        let fresh = matches!(self.frames.last(), Some(Some(frame)) if frame.fresh);
        let there = if fresh {
            None
        } else {
            dir.look(name).map_err(|error| Fault::of(error, &shown))?
        };
        let group = group(item);
        if let Some(there) = &there {
            let rules = self.job.rules(self.context.stop);
            if compare::same(&self.source, item, dir, name, there, rules).map_err(Fault::All)? {
                self.tally.already_there += 1;
                self.remember(group, item, (there.dev, there.ino));
                return Ok(Leaf::Made);
            }
        }
        let aside = self.aside_for(there.as_ref())?.is_some();
        let mut faults = Faults::default();
        let linked = group.and_then(|group| self.link(group, item.wanted.kind, dir, name));
        let made = match (linked, item.wanted.kind) {
            (Some(made), _) => made,
            // Other names of it wait for this one, so it is not handed to a thread.
            (None, Kind::File) if group.is_some() => {
                let parent = self.source.parent().filter(|_| item.stored.is_some());
                let parent = parent.ok_or_else(not_there)?.clone();
                let mut copier = std::mem::take(&mut self.copier);
                let Some(spot) = self.spot(item, &shown) else {
                    return Ok(Leaf::Nowhere);
                };
                let stop = self.context.stop;
                let made = make::file(&parent, item, spot, &mut copier, stop, &mut faults);
                self.copier = copier;
                made?
            }
            (None, Kind::File) => return Ok(Leaf::File { aside }),
            (None, _) => make::other(&self.source, item, spot, &mut faults)?,
        };
        let Some(spot) = self.spot(item, &shown) else {
            return Ok(Leaf::Nowhere);
        };
        let made = place(spot, made, aside.then_some(self.aside), self.context.stop)?;
        self.made(item, &made, aside);
        if let Some(inode) = made.inode {
            self.remember(group, item, inode);
        }
        self.faults(item, faults);
        Ok(Leaf::Made)
    }

    /// The copy of a file that a thread is to make.
    fn copy(&mut self, item: Item, aside: bool) -> Option<Copy> {
        let Some(parent) = self.source.parent().filter(|_| item.stored.is_some()) else {
            let because = "it is not in the snapshot".into();
            self.entry_problem(&item, ProblemKind::Unreadable, because);
            return None;
        };
        let parent = Arc::clone(parent);
        let frame = self.frames.last().and_then(Option::as_ref);
        let (dir, name, inherits) = match frame {
            Some(frame) => (Arc::clone(&frame.dir), item.name.clone(), frame.inherits),
            None => {
                let place = &self.job.place;
                let dir = place.parent.again().ok()?;
                let inherits = metadata::passes_acl_on(&place.parent);
                (Arc::new(dir), place.name.clone(), inherits)
            }
        };
        let count = frame.map(|frame| Arc::clone(&frame.count));
        if let Some(count) = &count {
            count.under_way.fetch_add(1, Ordering::AcqRel);
        }
        Some(Copy {
            parent,
            item,
            dir,
            name,
            inherits,
            aside,
            count,
        })
    }

    /// Lists an entry that was not made, unless all of it ends here.
    fn fault(&mut self, item: &Item, fault: Fault) -> Result<()> {
        match fault {
            Fault::All(error) => return Err(error),
            Fault::Entry(kind, because) => self.entry_problem(item, kind, because),
            Fault::Damaged(because) => {
                self.tally.damaged += 1;
                self.entry_problem(item, ProblemKind::Unreadable, because);
            }
        }
        Ok(())
    }

    /// Counts an entry that was made.
    fn made(&mut self, item: &Item, made: &Made, aside: bool) {
        debug_assert!(item.wanted.kind != Kind::Folder);
        self.tally.kept_aside += u64::from(aside);
        self.tally.restored += 1;
        self.progress.bytes += made.bytes;
    }

    fn remember(&mut self, group: Option<(u64, u64)>, item: &Item, inode: Inode) {
        if let Some(group) = group {
            self.links
                .entry(group)
                .or_insert_with(|| (item.path.clone(), inode));
        }
    }

    /// Links to the first name of the same entry; `None` where that cannot be, so it is made anew.
    fn link(&self, group: (u64, u64), kind: Kind, dir: &Dir, name: &OsStr) -> Option<Made> {
        let (path, inode) = self.links.get(&group)?;
        let mut parts: Vec<&[u8]> = path.split(|byte| *byte == b'/').collect();
        let first = OsStr::from_bytes(parts.pop()?);
        let mut at = self.frames.first()?.as_ref()?.dir.again().ok()?;
        for part in parts {
            at = at.folder(OsStr::from_bytes(part)).ok()?;
        }
        make::link(&at, first, (kind, *inode), dir, name).ok()
    }

    /// Removes what an earlier run left beside the target itself.
    fn clean_beside_target(&self) {
        let place = &self.job.place;
        for name in place.parent.names().unwrap_or_default() {
            if names::is_temporary_of(&name, &place.name) {
                make::remove_temporary(&place.parent, &name);
            }
        }
    }

    fn faults(&mut self, item: &Item, faults: Faults) {
        self.tally.owners_left += u64::from(faults.owner_left);
        for sentence in faults.sentences {
            self.entry_problem(item, ProblemKind::Metadata, sentence);
        }
    }

    fn entry_problem(&mut self, item: &Item, kind: ProblemKind, message: String) {
        self.tally.problem(Problem {
            path: self.source.on_source(&item.path),
            kind,
            message,
        });
    }

    /// Waits until all of it is on disk.
    fn sync(&self) -> Result<()> {
        let place = &self.job.place;
        let io = |error| Error::io("write", place.shown.as_bytes(), error);
        place.parent.sync_file_system().map_err(io)?;
        // The target may be where another file system is mounted.
        match place.parent.look(&place.name).map_err(io)? {
            Some(stat) if stat.kind == Kind::Folder => {
                let folder = place.parent.folder(&place.name).map_err(io)?;
                folder.sync_file_system().map_err(io)
            }
            _ => Ok(()),
        }
    }
}

impl Foreman for Run<'_> {
    type Job = Vec<Copy>;
    type Done = Vec<Copied>;

    fn next(&mut self) -> Result<Option<Vec<Copy>>> {
        let mut files = Vec::new();
        let mut bytes = 0;
        while self.left.len() < WAITING && files.len() < FILES && bytes < BYTES {
            self.context.stop.check()?;
            let Some(step) = self.source.next_step() else {
                break;
            };
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

    fn take(&mut self, done: Vec<Copied>) -> Result<()> {
        done.into_iter()
            .try_for_each(|copied| self.take_one(copied))?;
        self.report();
        self.finish_left();
        Ok(())
    }

    fn idle(&mut self) -> Result<()> {
        self.context.observer.event(Event::Progress(self.progress));
        self.context.stop.check()
    }

    fn ended(&mut self) {
        // Each copy asks for itself whether to stop; what fails elsewhere lets it finish.
    }
}

impl Run<'_> {
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

/// How a leaf is made.
enum Leaf {
    /// It is there.
    Made,
    /// The folder that it belongs to could not be had.
    Nowhere,
    /// It is to be copied; `aside` says that something has its name.
    File { aside: bool },
}

fn not_there() -> Fault {
    Fault::Entry(ProblemKind::Unreadable, "it is not in the snapshot".into())
}

/// Copies files and gives them their names: a thread's work.
fn copy(
    job: &Job<'_>,
    suffix: &str,
    files: Vec<Copy>,
    copiers: &Mutex<Vec<Copier>>,
    context: &Context<'_>,
) -> Vec<Copied> {
    let lock = || copiers.lock().unwrap_or_else(PoisonError::into_inner);
    let mut copier = lock().pop().unwrap_or_default();
    let copied = files.into_iter();
    let copied = copied.map(|file| copy_one(job, suffix, file, &mut copier, context));
    let copied = copied.collect();
    lock().push(copier);
    copied
}

fn copy_one(
    job: &Job<'_>,
    suffix: &str,
    file: Copy,
    copier: &mut Copier,
    context: &Context<'_>,
) -> Copied {
    let Copy {
        parent,
        item,
        dir,
        name,
        inherits,
        aside,
        count,
    } = file;
    let shown = job.in_target(&item.path);
    let spot = Spot {
        dir: &dir,
        name: &name,
        inherits,
        symlink_metadata: job.place.holds.symlink_metadata,
        shown: &shown,
    };
    let mut faults = Faults::default();
    let stop = context.stop;
    let result = stop
        .check()
        .map_err(Fault::All)
        .and_then(|()| make::file(&parent, &item, spot, copier, stop, &mut faults))
        .and_then(|made| place(spot, made, aside.then_some(suffix), stop));
    Copied {
        item,
        result,
        aside,
        faults,
        count,
    }
}

/// Gives what was made its name, or keeps it beside where it is damaged.
fn place(
    spot: Spot<'_>,
    made: Made,
    aside: Option<&str>,
    stop: &Stop,
) -> std::result::Result<Made, Fault> {
    let Spot {
        dir, name, shown, ..
    } = spot;
    if made.damaged {
        let kept = make::keep_damaged(dir, &made.temporary, name, stop)
            .map_err(Fault::All)?
            .map_err(|error| Fault::of(error, shown))?;
        return Err(Fault::Damaged(format!(
            "damaged: its content is not what the manifest recorded; what there is was put beside it as {}",
            display(kept.as_bytes())
        )));
    }
    make::place(spot, &made.temporary, aside)?;
    Ok(made)
}

/// The mark's name is ours; a snapshot made during a restore may hold it.
fn refuse_marker(name: &OsStr) -> std::result::Result<(), Fault> {
    if name == names::MARKER {
        return Err(Fault::Entry(
            ProblemKind::NotStored,
            "left out: it is the mark of an unfinished restore".into(),
        ));
    }
    Ok(())
}

/// Takes over a folder of the target. One that is empty, or that an earlier run made and did
/// not finish, becomes the snapshot's (first answer) and is marked (second answer).
fn take_over(folder: &Dir) -> std::result::Result<(bool, bool), Errno> {
    let mut is_empty = true;
    let mut marked = false;
    let names = match folder.names() {
        // Nothing of ours can be in there; entries that are missing will tell.
        Err(Errno::ACCESS) => return Ok((false, false)),
        names => names?,
    };
    for name in names {
        if name == names::MARKER {
            marked = true;
        } else if names::is_temporary(&name) {
            make::remove_temporary(folder, &name);
        } else {
            is_empty = false;
        }
    }
    if is_empty && !marked {
        // Where it cannot be marked, an interrupted run costs the folder its own metadata only.
        marked = folder.new_file(OsStr::new(names::MARKER), 0o600).is_ok();
    }
    Ok((is_empty || marked, marked))
}
