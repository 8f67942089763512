//! Finds out what a restore would do: entries to create, entries that are there, entries in the way.
//!
//! Reads the snapshot and the target and changes nothing.

use std::collections::HashSet;

use rustix::io::Errno;
use schema::{
    escape::escape,
    journal::ProblemKind,
    plan::{PutRight, RestoreStep},
};

use super::{
    compare::{self, ComparisonRules, Standing, unfinished_since},
    item::RestoreItem,
    job::{RestoreJob, inode_group, restore_interrupted},
    names, naming, rights,
    source::{RestoreSource, Step},
};
use crate::{
    copy::data_bytes,
    error::{Error, Result},
    event::{Context, Event, Phase, Progress},
    sys::{Dir, Kind, Stat, stat::Nanos},
};

/// Conflicts that are listed.
const LISTED: usize = 100;
/// What a small file takes on most file systems.
const BLOCK: u64 = 4096;
/// Holes in smaller files are not worth a look.
const SMALL: u64 = 64 << 10;

/// What a restore would do.
#[derive(Debug, Default)]
pub(super) struct Totals {
    /// Entries looked at.
    pub(super) entries: u64,
    /// Entries to create.
    pub(super) creates: u64,
    /// Entries that are there already.
    pub(super) already_there: u64,
    /// Bytes to write.
    pub(super) bytes: u64,
    /// Bytes that this takes on disk.
    pub(super) needed: u64,
    /// Entries in the way, escaped, relative to the target; the first hundred.
    pub(super) conflicts: Vec<String>,
    /// How many there are.
    pub(super) conflict_count: u64,
    /// Entries with the snapshot's content and other metadata; the first hundred.
    pub(super) put_right: Vec<PutRight>,
    /// How many there are.
    pub(super) put_right_count: u64,
    /// Entries that the manifest does not list, escaped, relative to the target; the first hundred.
    pub(super) unlisted: Vec<String>,
    /// How many there are.
    pub(super) unlisted_count: u64,
}

/// A folder of the target on the way down.
struct TargetFolder {
    dir: Dir,
    /// How it looks, where an earlier restore made it and did not finish.
    unfinished: Option<Stat>,
    /// Since when an earlier restore that did not end may have changed what is in it.
    since: Option<Nanos>,
}

impl Totals {
    /// Adds an entry whose metadata differs.
    fn differs(&mut self, item: &RestoreItem, what: &[&str]) {
        self.put_right_count += 1;
        if self.put_right.len() < LISTED {
            self.put_right.push(PutRight {
                path: shown_path(item),
                what: what.join(", "),
            });
        }
    }

    /// Adds an entry that is in the way.
    fn add_conflict(&mut self, item: &RestoreItem) {
        self.conflict_count += 1;
        if self.conflicts.len() < LISTED {
            self.conflicts.push(shown_path(item));
        }
    }

    /// Adds an entry that the manifest does not list.
    fn add_unlisted(&mut self, path: String) {
        self.unlisted_count += 1;
        if self.unlisted.len() < LISTED {
            self.unlisted.push(path);
        }
    }

    /// What a plan found where nothing was in the way.
    pub(super) fn planned(step: &RestoreStep) -> Self {
        Self {
            entries: step.creates,
            creates: step.creates,
            bytes: step.bytes,
            // Each entry may end in a part of a block.
            needed: step
                .bytes
                .saturating_add(step.creates.saturating_mul(BLOCK)),
            ..Self::default()
        }
    }
}

/// Compares the snapshot with the target; with `content` also files whose size and time agree.
pub(super) fn scan_target(
    job: &RestoreJob<'_>,
    content: bool,
    context: &Context<'_>,
) -> Result<Totals> {
    let mut scan = Scan {
        job,
        source: job.source(context)?,
        content,
        context,
        totals: Totals::default(),
        groups: HashSet::new(),
        folders: Vec::new(),
    };
    while let Some(step) = scan.source.next_step() {
        context.stop.check().map_err(restore_interrupted)?;
        let (item, is_folder) = match step {
            Step::Enter(item) => (item, true),
            Step::Leaf(item) => (item, false),
            Step::Leave => {
                scan.folders.pop();
                continue;
            }
            Step::Fault(problem) if problem.kind == ProblemKind::Unlisted => {
                let path = escape(scan.source.fault_at());
                scan.totals.add_unlisted(path);
                continue;
            }
            // What cannot be had is told when it is tried.
            Step::Fault(_) => continue,
        };
        scan.count_entry();
        let entered = scan.compare_entry(&item)?;
        if is_folder {
            scan.folders.push(entered);
        }
    }
    Ok(scan.totals)
}

/// A comparison of the snapshot with the target that is under way.
struct Scan<'a> {
    job: &'a RestoreJob<'a>,
    source: RestoreSource,
    /// Compare also files whose size and time agree.
    content: bool,
    context: &'a Context<'a>,
    totals: Totals,
    /// Files with several names that were counted.
    groups: HashSet<(u64, u64)>,
    /// Folders of the target on the way down; none where there is no such folder.
    folders: Vec<Option<TargetFolder>>,
}

/// What the target has at an item's place.
enum Found {
    Nothing,
    /// A folder, as it should be, with what of its metadata would be put right.
    Folder(TargetFolder, Option<Vec<&'static str>>),
    /// The same.
    Same,
    /// The same content with other metadata.
    Differing(Vec<&'static str>),
    /// Something else.
    Other,
}

impl Scan<'_> {
    fn count_entry(&mut self) {
        self.totals.entries += 1;
        if self.totals.entries.is_multiple_of(256) {
            self.context.observer.event(Event::Progress(Progress {
                phase: Phase::Scan,
                entries: self.totals.entries,
                ..Progress::default()
            }));
        }
    }

    /// Looks at one entry of the target; gives the folder if it is one on both sides.
    fn compare_entry(&mut self, item: &RestoreItem) -> Result<Option<TargetFolder>> {
        match self.look_at_target(item)? {
            Found::Folder(folder, differs) => {
                match differs {
                    Some(differs) => self.totals.differs(item, &differs),
                    None => self.totals.already_there += 1,
                }
                return Ok(Some(folder));
            }
            Found::Same => {
                self.totals.already_there += 1;
                return Ok(None);
            }
            Found::Differing(differs) => {
                self.totals.differs(item, &differs);
                return Ok(None);
            }
            Found::Other => {
                self.totals.add_conflict(item);
                if !self.job.overwrite {
                    return Ok(None);
                }
            }
            Found::Nothing => {}
        }
        self.count_creation(item);
        Ok(None)
    }

    /// What the target has at an item's place.
    fn look_at_target(&self, item: &RestoreItem) -> Result<Found> {
        let job = self.job;
        let above = self.folders.last().and_then(Option::as_ref);
        let (dir, name) = match self.folders.last() {
            None => (Some(&job.place.parent), &job.place.name),
            Some(_) => (above.map(|above| &above.dir), &item.name),
        };
        let io = |error: Errno| Error::io("look at", job.in_target(&item.path).as_bytes(), error);
        let there = match dir.map(|dir| dir.look(name)) {
            // A name that the target cannot have is not there; creating it will tell.
            None | Some(Err(Errno::NAMETOOLONG | Errno::INVAL | Errno::ILSEQ)) => None,
            Some(there) => there.map_err(io)?,
        };
        let (Some(dir), Some(there)) = (dir, there) else {
            return Ok(Found::Nothing);
        };
        // What is not whole yet is made anew.
        let unfinished = above.and_then(|above| above.unfinished);
        let since = above.and_then(|above| above.since);
        if unfinished.is_some_and(|folder| naming::is_unfinished(&folder, &there))
            || naming::is_cut_short(item, &there, since, job.place.holds)
        {
            return Ok(Found::Nothing);
        }
        let rules = ComparisonRules {
            holds: job.place.holds,
            content: self.content,
            read_back_since: since.filter(|_| job.choice.read_back),
            stop: self.context.stop,
        };
        let standing = compare::compare_standing(&self.source, item, dir, name, &there, rules);
        let standing = standing.map_err(restore_interrupted)?;
        let folder = match (item.wanted.kind, there.kind) {
            (Kind::Folder, Kind::Folder) => Some(dir.folder(name).map_err(io)?),
            (Kind::Folder, _) => job.through(&item.path, &there).map_err(io)?,
            _ => None,
        };
        if let Some(folder) = folder {
            return self.look_at_folder(item, folder, standing, since);
        }
        Ok(match standing {
            Standing::Same => Found::Same,
            Standing::Metadata(differs) => Found::Differing(differs),
            Standing::Other => Found::Other,
        })
    }

    /// What there is to say of a folder that is one on both sides.
    fn look_at_folder(
        &self,
        item: &RestoreItem,
        folder: Dir,
        standing: Standing,
        since_above: Option<Nanos>,
    ) -> Result<Found> {
        let job = self.job;
        let io = |error: Errno| Error::io("look at", job.in_target(&item.path).as_bytes(), error);
        let there = folder.stat_self().map_err(io)?;
        job.check_folder(&folder, &item.path)?;
        let is_job = |differs| (!stays_as_it_is(job, item, &folder)).then_some(differs);
        let differs = folder_differs(job, item, &there, standing).and_then(is_job);
        let own = unfinished_since(&folder);
        let entered = TargetFolder {
            dir: folder,
            unfinished: own.map(|_| there),
            since: since_above.or(own),
        };
        Ok(Found::Folder(entered, differs))
    }

    /// Counts an entry to create.
    fn count_creation(&mut self, item: &RestoreItem) {
        self.totals.creates += 1;
        let bytes = match item.wanted.kind {
            Kind::File if inode_group(item).is_none_or(|group| self.groups.insert(group)) => {
                bytes_of(&self.source, item)
            }
            _ => 0,
        };
        self.totals.bytes += bytes;
        self.totals.needed += bytes.next_multiple_of(BLOCK);
        if item.wanted.kind == Kind::Folder {
            self.totals.needed += BLOCK;
        }
    }
}

/// The path of an item as a plan has it.
fn shown_path(item: &RestoreItem) -> String {
    let is_whole = item.path.is_empty();
    escape(if is_whole {
        b".".as_slice()
    } else {
        &item.path
    })
}

/// What of a folder's own metadata differs and would be put right. Its time alone counts only where
/// what is there is replaced: it moves with what else is in the folder.
fn folder_differs(
    job: &RestoreJob<'_>,
    item: &RestoreItem,
    there: &Stat,
    standing: Standing,
) -> Option<Vec<&'static str>> {
    let mut differs = match standing {
        Standing::Metadata(differs) => differs,
        Standing::Same | Standing::Other => Vec::new(),
    };
    if job.overwrite && !rights::is_time(&item.wanted, there, job.place.holds) {
        differs.push("time");
    }
    (!differs.is_empty()).then_some(differs)
}

/// Whether nothing is said of a folder's own metadata: it keeps what it has, for only some entries
/// come into it, or it is empty or unfinished and becomes the snapshot's anyway.
fn stays_as_it_is(job: &RestoreJob<'_>, item: &RestoreItem, folder: &Dir) -> bool {
    if item.path.is_empty() && !job.choice.only.is_empty() {
        return true;
    }
    // What cannot be listed is told when it is tried.
    folder.names().is_ok_and(|names| {
        let is_marker = |name: &std::ffi::OsString| name == names::MARKER;
        names.iter().any(is_marker) || names.iter().all(|name| names::is_temporary(name))
    })
}

/// Bytes to write for a file: its size without holes.
fn bytes_of(source: &RestoreSource, item: &RestoreItem) -> u64 {
    let listed = item.wanted.size;
    let Some(parent) = source.parent().filter(|_| item.is_stored) else {
        return 0;
    };
    if item.looks.is_none() && listed <= SMALL {
        return listed;
    }
    let looks = || parent.stat(&item.stored_name).ok();
    let Some(stat) = item.looks.or_else(looks) else {
        return listed;
    };
    if stat.size <= SMALL || stat.allocated >= stat.size {
        return stat.size;
    }
    let file = parent.file(&item.stored_name).ok();
    file.and_then(|file| data_bytes(&file, stat.size).ok())
        .unwrap_or(stat.size)
}
