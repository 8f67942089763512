//! What a restore would do: entries to create, entries that are there, entries in the way.
//!
//! Reads the snapshot and the target and changes nothing.

use std::collections::HashSet;

use rustix::io::Errno;
use schema::{escape::escape, plan::RestoreStep};

use super::{
    Job, compare,
    source::{Item, Source, Step},
};
use crate::{
    copy::data_bytes,
    error::{Error, Result},
    event::{Context, Event, Phase, Progress},
    sys::{Dir, Kind},
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
}

impl Totals {
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

/// Compares the snapshot with the target.
pub(super) fn scan(job: &Job<'_>, context: &Context<'_>) -> Result<Totals> {
    let mut source = job.source()?;
    let mut totals = Totals::default();
    let mut groups = HashSet::new();
    // Folders of the target on the way down; none where there is no such folder.
    let mut folders: Vec<Option<Dir>> = Vec::new();
    while let Some(step) = source.next_step() {
        context.stop.check().map_err(super::interrupted)?;
        let (item, is_folder) = match step {
            Step::Enter(item) => (item, true),
            Step::Leaf(item) => (item, false),
            Step::Leave => {
                folders.pop();
                continue;
            }
            // What cannot be had is told when it is tried.
            Step::Fault(_) => continue,
        };
        totals.entries += 1;
        if totals.entries.is_multiple_of(256) {
            context.observer.event(Event::Progress(Progress {
                phase: Phase::Scan,
                entries: totals.entries,
                ..Progress::default()
            }));
        }
        let entered = look(
            job,
            &source,
            &item,
            &folders,
            &mut totals,
            &mut groups,
            context,
        )?;
        if is_folder {
            folders.push(entered);
        }
    }
    Ok(totals)
}

/// Looks at one entry of the target; gives the folder if it is one on both sides.
fn look(
    job: &Job<'_>,
    source: &Source,
    item: &Item,
    folders: &[Option<Dir>],
    totals: &mut Totals,
    groups: &mut HashSet<(u64, u64)>,
    context: &Context<'_>,
) -> Result<Option<Dir>> {
    let (dir, name) = match folders.last() {
        None => (Some(&job.place.parent), &job.place.name),
        Some(folder) => (folder.as_ref(), &item.name),
    };
    let io = |error: Errno| Error::io("look at", job.in_target(&item.path).as_bytes(), error);
    let there = match dir.map(|dir| dir.look(name)) {
        // A name that the target cannot have is not there; creating it will tell.
        None | Some(Err(Errno::NAMETOOLONG | Errno::INVAL | Errno::ILSEQ)) => None,
        Some(there) => there.map_err(io)?,
    };
    if let (Some(dir), Some(there)) = (dir, there) {
        let rules = job.rules(context.stop);
        if compare::same(source, item, dir, name, &there, rules).map_err(super::interrupted)? {
            totals.already_there += 1;
            if there.kind != Kind::Folder {
                return Ok(None);
            }
            let folder = dir.folder(name).map_err(io)?;
            job.check_folder(&folder, &item.path)?;
            return Ok(Some(folder));
        }
        totals.conflict_count += 1;
        if totals.conflicts.len() < LISTED {
            let path = if item.path.is_empty() {
                b".".as_slice()
            } else {
                &item.path
            };
            totals.conflicts.push(escape(path));
        }
        if !job.overwrite {
            return Ok(None);
        }
    }
    totals.creates += 1;
    let bytes = match item.wanted.kind {
        Kind::File if super::group(item).is_none_or(|group| groups.insert(group)) => {
            content(source, item)
        }
        _ => 0,
    };
    totals.bytes += bytes;
    totals.needed += bytes.next_multiple_of(BLOCK);
    if item.wanted.kind == Kind::Folder {
        totals.needed += BLOCK;
    }
    Ok(None)
}

/// Bytes to write for a file: its size without holes.
fn content(source: &Source, item: &Item) -> u64 {
    let Some(stat) = &item.stored else {
        return 0;
    };
    if stat.size <= SMALL || stat.allocated >= stat.size {
        return stat.size;
    }
    let file = source
        .parent()
        .and_then(|parent| parent.file(&item.stored_name).ok());
    file.and_then(|file| data_bytes(&file, stat.size).ok())
        .unwrap_or(stat.size)
}
