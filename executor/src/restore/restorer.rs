//! A restore that is under way: where it stands, and what it has come to.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, atomic::Ordering},
};

use schema::{
    StoredPathBuf,
    journal::{Problem, ProblemKind},
};

use super::{
    copying::FolderCount,
    item::RestoreItem,
    job::{RestoreJob, ShownPath},
    make::{Inode, Made, RestoreFault, Spot},
    metadata::{self, Faults},
    naming,
    source::RestoreSource,
    tally::Tally,
};
use crate::{
    copy::Copier,
    error::Result,
    event::{Context, Progress},
    sys::{Dir, Kind, Stat, attributes::Attributes, stat::Nanos},
};

/// An open folder of the target.
pub(super) struct Frame {
    pub(super) dir: Arc<Dir>,
    /// Gives its entries an access control list.
    pub(super) inherits: bool,
    pub(super) item: RestoreItem,
    pub(super) attributes: Attributes,
    /// It becomes the snapshot's in its metadata, too.
    pub(super) mine: bool,
    /// Our mark stands in it.
    pub(super) marked: bool,
    /// It was made by this run, so that nothing can be in the way in it.
    pub(super) fresh: bool,
    /// Nobody else can come into it until it is finished.
    pub(super) is_private: bool,
    /// A folder above has our mark.
    pub(super) is_below_mark: bool,
    /// Since when an earlier restore that did not end may have changed what is in it.
    pub(super) since: Option<Nanos>,
    pub(super) count: Arc<FolderCount>,
}

/// A restore that is under way.
pub(super) struct Restorer<'a> {
    pub(super) job: &'a RestoreJob<'a>,
    pub(super) aside: &'a str,
    pub(super) context: &'a Context<'a>,
    pub(super) source: RestoreSource,
    /// Open folders of the target; none where the folder could not be had.
    pub(super) frames: Vec<Option<Frame>>,
    /// Folders that were left and wait for files on their way into them, in the order of leaving.
    pub(super) left: VecDeque<Frame>,
    /// Folders that are done but for their mark, which stays until all below is on disk. Marks further below
    /// go before: this one stands for them.
    pub(super) unsynced: Vec<Frame>,
    /// For files that are copied here.
    pub(super) copier: Copier,
    /// For each file with more names: the path of the first below the target, and its inode.
    pub(super) links: HashMap<(u64, u64), (StoredPathBuf, Inode)>,
    pub(super) tally: Tally,
    /// Files of a job.
    pub(super) files: usize,
    pub(super) progress: Progress,
    /// What was changed since is written by this run, or by one that was killed.
    pub(super) since: Nanos,
    /// Folders that symlinks of the target lead to.
    pub(super) elsewhere: Vec<Dir>,
}

impl Restorer<'_> {
    /// Where an entry goes; `None` below a folder that could not be had.
    pub(super) fn spot<'s>(
        &'s self,
        item: &'s RestoreItem,
        shown: ShownPath<'s>,
    ) -> Option<Spot<'s>> {
        let place = &self.job.place;
        let (dir, name, inherits, is_private) = match self.frames.last() {
            None => {
                let inherits = metadata::passes_acl_on(&place.parent);
                (&place.parent, &place.name, inherits, false)
            }
            Some(frame) => {
                let frame = frame.as_ref()?;
                (
                    frame.dir.as_ref(),
                    &item.name,
                    frame.inherits,
                    frame.is_private,
                )
            }
        };
        Some(Spot {
            dir,
            name,
            inherits,
            is_private,
            holds: place.holds,
            shown,
        })
    }

    /// What has an entry's name; nothing in a folder that was made by this run. What a power cut left of an
    /// earlier one's file is removed.
    pub(super) fn in_the_way(
        &self,
        item: &RestoreItem,
        spot: Spot<'_>,
    ) -> std::result::Result<Option<Stat>, RestoreFault> {
        if matches!(self.frames.last(), Some(Some(frame)) if frame.fresh) {
            return Ok(None);
        }
        let fault = |error| RestoreFault::of(error, spot.shown);
        let there = spot.dir.look(spot.name).map_err(fault)?;
        let frame = self.frames.last().and_then(Option::as_ref);
        let since = frame.and_then(|frame| frame.since);
        match there {
            Some(there) if naming::is_cut_short(item, &there, since, spot.holds) => {
                spot.dir.remove_file(spot.name).map_err(fault)?;
                Ok(None)
            }
            there => Ok(there),
        }
    }

    /// The suffix for what has an entry's name, if anything has.
    pub(super) fn aside_for(
        &self,
        there: Option<&Stat>,
    ) -> std::result::Result<Option<&str>, RestoreFault> {
        match there {
            None => Ok(None),
            Some(_) if self.job.overwrite => Ok(Some(self.aside)),
            // It was not there when everything was compared.
            Some(_) => Err(naming::name_taken()),
        }
    }

    /// Lists an entry that was not made, unless all of it ends here.
    pub(super) fn fault(&mut self, item: &RestoreItem, fault: RestoreFault) -> Result<()> {
        match fault {
            RestoreFault::All(error) => return Err(error),
            RestoreFault::Entry(kind, because) => self.entry_problem(item, kind, because),
            RestoreFault::Damaged(because) => {
                self.tally.damaged += 1;
                self.entry_problem(item, ProblemKind::Unreadable, because);
            }
        }
        Ok(())
    }

    /// Counts an entry that was made.
    pub(super) fn made(&mut self, item: &RestoreItem, made: &Made, aside: bool) {
        debug_assert!(item.wanted.kind != Kind::Folder);
        self.tally.kept_aside += u64::from(aside);
        self.tally.restored += 1;
        self.progress.bytes += made.bytes;
    }

    /// Notes an entry whose flags were recorded and are not on what stands there.
    pub(super) fn flags(&mut self, item: &RestoreItem, there: Option<&Stat>) {
        let wanted = (item.wanted.immutable, item.wanted.append_only);
        let has = there.map(|there| (there.immutable, there.append_only));
        if wanted != (false, false) && has != Some(wanted) {
            self.tally.flags_left(self.job.in_target(&item.path));
        }
    }

    pub(super) fn faults(&mut self, item: &RestoreItem, faults: Faults) {
        self.tally.owners_left += u64::from(faults.owner_left);
        self.tally.limits.add(faults.limits);
        if faults.capabilities_withheld {
            let message = "its capabilities are left out: no sealed manifest vouches for them";
            self.entry_problem(item, ProblemKind::Unvouched, message.into());
        }
        self.tally.apart += u64::from(faults.apart.is_some());
        for sentence in faults.apart.into_iter().chain(faults.sentences) {
            self.entry_problem(item, ProblemKind::Metadata, sentence);
        }
    }

    pub(super) fn entry_problem(&mut self, item: &RestoreItem, kind: ProblemKind, message: String) {
        self.tally.problem(Problem {
            path: self.source.on_source(&item.path),
            kind,
            message,
        });
    }

    /// Counts an entry that is in its folder now as the snapshot has it.
    pub(super) fn count(&mut self) {
        if let Some(Some(frame)) = self.frames.last() {
            frame.count.complete.fetch_add(1, Ordering::Release);
        }
    }
}
