//! Everything of a restore that is not a folder: made here, or planned as a copy for a thread.

use std::{
    ffi::OsStr,
    os::unix::ffi::OsStrExt as _,
    sync::{Arc, atomic::Ordering},
};

use rustix::io::Errno;
use schema::journal::ProblemKind;

use super::{
    compare::{self, ComparisonRules, Standing},
    copying::{Copy, place_copy},
    frames::refuse_marker,
    item::RestoreItem,
    job::{ShownPath, inode_group},
    make::{self, Inode, Made, RestoreFault, Spot},
    metadata::{self, Faults},
    restorer::Restorer,
};
use crate::{
    error::{Result, system_reason},
    sys::{Dir, Kind, Stat},
};

/// How a leaf is made.
enum Leaf {
    /// It is there.
    Made,
    /// The folder that it belongs to could not be had.
    Nowhere,
    /// It is to be copied; `aside` says that something has its name.
    File { aside: bool },
}

impl Restorer<'_> {
    /// Makes a leaf, or gives the copy that a thread is to make.
    pub(super) fn leaf(&mut self, item: RestoreItem) -> Result<Option<Copy>> {
        match self.make_leaf(&item) {
            Ok(Leaf::Made) => {
                self.count();
                Ok(None)
            }
            Ok(Leaf::Nowhere) => Ok(None),
            Ok(Leaf::File { aside }) => self.copy(item, aside),
            Err(fault) => {
                self.fault(&item, fault)?;
                Ok(None)
            }
        }
    }

    fn make_leaf(&mut self, item: &RestoreItem) -> std::result::Result<Leaf, RestoreFault> {
        let shown = self.job.shown_path(&item.path);
        let Some(spot) = self.spot(item, shown) else {
            return Ok(Leaf::Nowhere);
        };
        refuse_marker(spot.name)?;
        let there = self.in_the_way(item, spot)?;
        self.flags(item, there.as_ref());
        let group = inode_group(item);
        if let Some(there) = &there
            && self.is_there(item, shown, there)?
        {
            let first = group.and_then(|group| self.links.get(&group));
            let is_apart = first.is_some_and(|(_, inode)| *inode != (there.dev, there.ino));
            self.tally.stand_apart += u64::from(is_apart && self.job.place.can.hard_links);
            self.remember(group, item, (there.dev, there.ino));
            return Ok(Leaf::Made);
        }
        let Some(Spot { dir, name, .. }) = self.spot(item, shown) else {
            return Ok(Leaf::Nowhere);
        };
        let aside = self.aside_for(there.as_ref())?.is_some();
        let mut faults = Faults::default();
        let linked = match group {
            Some(group) => self.link(group, item.wanted.kind, dir, name),
            None => Ok(None),
        };
        let linked = linked.or_else(|error| match error {
            Errno::NOSPC | Errno::DQUOT | Errno::ROFS => Err(RestoreFault::of(error, shown)),
            error => {
                self.stands_apart(item, error, &mut faults);
                Ok(None)
            }
        })?;
        let made = match (linked, item.wanted.kind) {
            (Some(made), _) => made,
            // Other names of it wait for this one, so it is not handed to a thread.
            (None, Kind::File) if group.is_some() => {
                let parent = self.source.parent().filter(|_| item.is_stored);
                let parent = parent.ok_or_else(not_there)?.clone();
                let mut copier = std::mem::take(&mut self.copier);
                let Some(spot) = self.spot(item, shown) else {
                    return Ok(Leaf::Nowhere);
                };
                let stop = self.context.stop;
                let made = {
                    let from = (&*parent, &self.job.leases);
                    make::make_file(from, item, spot, &mut copier, stop, &mut faults)
                };
                self.copier = copier;
                made?
            }
            (None, Kind::File) => return Ok(Leaf::File { aside }),
            (None, _) => {
                let spot = self.spot(item, shown).ok_or_else(not_there)?;
                make::make_special(&self.source, item, spot, &mut faults)?
            }
        };
        let Some(spot) = self.spot(item, shown) else {
            return Ok(Leaf::Nowhere);
        };
        let made = place_copy(spot, made, aside.then_some(self.aside), self.context.stop)?;
        self.made(item, &made, aside);
        if let Some(inode) = made.inode {
            self.remember(group, item, inode);
        }
        self.faults(item, faults);
        Ok(Leaf::Made)
    }

    /// Whether what stands there is as the snapshot has it, once its metadata was put right where that
    /// was asked for.
    fn is_there(
        &mut self,
        item: &RestoreItem,
        shown: ShownPath<'_>,
        there: &Stat,
    ) -> std::result::Result<bool, RestoreFault> {
        let Some(spot) = self.spot(item, shown) else {
            return Ok(false);
        };
        let frame = self.frames.last().and_then(Option::as_ref);
        let rules = ComparisonRules {
            holds: self.job.place.holds,
            content: true,
            read_back_since: frame
                .and_then(|frame| frame.since)
                .filter(|_| self.job.choice.read_back),
            stop: self.context.stop,
        };
        let standing =
            compare::compare_standing(&self.source, item, spot.dir, spot.name, there, rules);
        match standing.map_err(RestoreFault::All)? {
            Standing::Same => {
                self.tally.already_there += 1;
                Ok(true)
            }
            Standing::Metadata(_) if self.job.overwrite => {
                let mut faults = Faults::default();
                let done = make::put_right(&self.source, item, spot, there, &mut faults)?;
                if done {
                    self.tally.put_right += 1;
                    self.faults(item, faults);
                }
                Ok(done)
            }
            Standing::Metadata(_) | Standing::Other => Ok(false),
        }
    }

    /// The copy of a file that a thread is to make.
    fn copy(&mut self, item: RestoreItem, aside: bool) -> Result<Option<Copy>> {
        let Some(parent) = self.source.parent().filter(|_| item.is_stored) else {
            let because = "it is not in the snapshot".into();
            self.entry_problem(&item, ProblemKind::Unreadable, because);
            return Ok(None);
        };
        let parent = Arc::clone(parent);
        let frame = self.frames.last().and_then(Option::as_ref);
        let is_private = frame.is_some_and(|frame| frame.is_private);
        let (dir, name, inherits) = match frame {
            Some(frame) => (Arc::clone(&frame.dir), item.name.clone(), frame.inherits),
            None => {
                let place = &self.job.place;
                let dir = match place.parent.again() {
                    Ok(dir) => dir,
                    Err(error) => {
                        let fault = RestoreFault::of(error, self.job.shown_path(&item.path));
                        self.fault(&item, fault)?;
                        return Ok(None);
                    }
                };
                let inherits = metadata::passes_acl_on(&place.parent);
                (Arc::new(dir), place.name.clone(), inherits)
            }
        };
        let count = frame.map(|frame| Arc::clone(&frame.count));
        if let Some(count) = &count {
            count.under_way.fetch_add(1, Ordering::AcqRel);
        }
        Ok(Some(Copy {
            parent,
            item,
            dir,
            name,
            inherits,
            is_private,
            aside,
            count,
        }))
    }

    fn remember(&mut self, group: Option<(u64, u64)>, item: &RestoreItem, inode: Inode) {
        if let Some(group) = group {
            self.links
                .entry(group)
                .or_insert_with(|| (item.path.clone(), inode));
        }
    }

    /// Links to the first name of the same entry; `None` where this is the first.
    fn link(
        &self,
        group: (u64, u64),
        kind: Kind,
        dir: &Dir,
        name: &OsStr,
    ) -> std::result::Result<Option<Made>, Errno> {
        let (Some((path, inode)), Some(Some(top))) = (self.links.get(&group), self.frames.first())
        else {
            return Ok(None);
        };
        let Some((folder, first)) = path.split_name() else {
            return Ok(None);
        };
        let mut at = top.dir.again()?;
        for name in folder.names() {
            at = at.folder(OsStr::from_bytes(name))?;
        }
        let first = OsStr::from_bytes(first);
        make::make_link(&at, first, (kind, *inode), dir, name).map(Some)
    }

    /// Tells that an entry could not be linked to its first name, so that it is made anew.
    fn stands_apart(&self, item: &RestoreItem, error: Errno, faults: &mut Faults) {
        let group = inode_group(item).and_then(|group| self.links.get(&group));
        let Some((first, _)) = group else {
            return;
        };
        match error {
            // Where the first one is, or where this one goes, no link can be.
            Errno::NOTSUP
            | Errno::NOSYS
            | Errno::MLINK
            | Errno::XDEV
            | Errno::LOOP
            | Errno::NOTDIR => faults.limits.link = true,
            Errno::PERM if !self.job.place.can.hard_links => faults.limits.link = true,
            error => {
                let because = match error {
                    Errno::STALE => "that was exchanged meanwhile".to_owned(),
                    error => system_reason(&error.into()),
                };
                faults.apart = Some(format!(
                    "is a copy of {} and not its hard link: {because}",
                    self.job.in_target(first)
                ));
            }
        }
    }
}

fn not_there() -> RestoreFault {
    RestoreFault::Entry(ProblemKind::Unreadable, "it is not in the snapshot".into())
}
