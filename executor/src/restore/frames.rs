//! Makes or takes over the folders of the target on the way down, and ends each once all is in it.

use std::{
    ffi::OsStr,
    os::fd::AsFd as _,
    sync::{Arc, atomic::Ordering},
};

use rustix::io::Errno;
use schema::journal::ProblemKind;

use super::{
    compare::unfinished_since,
    item::RestoreItem,
    make::{self, RestoreFault},
    metadata::{self, Faults, Handle},
    names, naming,
    restorer::{Frame, Restorer},
    rights,
};
use crate::{
    error::{Result, system_reason},
    sys::{Dir, Kind, Stat, attributes, attributes::Attributes, owners},
};

/// A folder of the target: whether it gets the snapshot's metadata, is marked, is new.
type Opened = (Dir, bool, bool, bool);

impl Restorer<'_> {
    pub(super) fn enter(&mut self, item: RestoreItem) -> Result<()> {
        let attributes = match (self.source.folder(), item.is_stored) {
            (Some(folder), true) => {
                metadata::wanted_attributes(&item, || attributes::of_fd(folder.as_ref()))
            }
            _ => metadata::wanted_attributes(&item, || Ok(Attributes::new())),
        };
        if let Some(error) = attributes.fault {
            let because = format!(
                "cannot read its attributes: {}",
                system_reason(&error.into())
            );
            self.entry_problem(&item, ProblemKind::Metadata, because);
        }
        let frame = match self.folder(&item) {
            Ok(Some(opened)) => {
                self.count();
                Some(self.frame(item, attributes.all, opened))
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

    /// What is to be known of a folder that was entered.
    fn frame(&self, item: RestoreItem, attributes: Attributes, opened: Opened) -> Frame {
        let (dir, mine, marked, fresh) = opened;
        let above = self.frames.last().and_then(Option::as_ref);
        let since_above = above.and_then(|above| above.since);
        let own = || (!fresh).then(|| unfinished_since(&dir)).flatten();
        let since = since_above.or_else(own);
        // Nobody can have put another folder in the place of one that was made in such a one.
        let is_sheltered = fresh && above.is_some_and(|above| above.is_private);
        let passes_none = is_sheltered && above.is_some_and(|above| !above.inherits);
        Frame {
            inherits: !passes_none && metadata::passes_acl_on(&dir),
            is_private: is_sheltered || (fresh && self.is_closed_to_others(&dir)),
            dir: Arc::new(dir),
            item,
            attributes,
            mine,
            marked,
            fresh,
            is_below_mark: above.is_some_and(|above| above.marked || above.is_below_mark),
            since,
            count: Arc::default(),
        }
    }

    /// Whether nobody but us can come into a folder, for as long as we do not give it away, and what is made
    /// in it is ours and has the mode that it is made with.
    fn is_closed_to_others(&self, dir: &Dir) -> bool {
        let is_ours = |stat: &Stat| (stat.uid, stat.gid) == *owners::OURS;
        let is_closed = |stat: Stat| is_ours(&stat) && stat.mode == 0o700;
        let is_unfinished = |stat: Stat| is_ours(&stat) && stat.mode == names::UNFINISHED_MODE;
        let tried = || {
            let name = names::temporary_name(OsStr::new("trial"));
            let trial = dir.new_file(&name, names::UNFINISHED_MODE)?;
            let keeps = Stat::of_fd(&trial).is_ok_and(is_unfinished);
            // Where it really cannot be removed nothing can be put in its place either, which is told.
            let removed = dir.remove_file(&name).or_else(|_| dir.remove_file(&name));
            removed.map(|()| keeps)
        };
        self.job.place.holds.modes
            && dir.stat_self().is_ok_and(is_closed)
            && tried().unwrap_or(false)
    }

    /// Opens or makes a folder; says whether it gets the snapshot's metadata, is marked and is new.
    fn folder(&mut self, item: &RestoreItem) -> std::result::Result<Option<Opened>, RestoreFault> {
        let shown = self.job.shown_path(&item.path);
        let Some(spot) = self.spot(item, shown) else {
            return Ok(None);
        };
        refuse_marker(spot.name)?;
        let fault = |error| RestoreFault::of(error, shown);
        let there = self.in_the_way(item, spot)?;
        let (folder, through) = match &there {
            None => (None, None),
            Some(there) if there.kind == Kind::Folder => {
                (Some(spot.dir.folder(spot.name).map_err(fault)?), None)
            }
            Some(there) => (None, self.job.through(&item.path, there).map_err(fault)?),
        };
        self.flags(item, there.as_ref());
        if let Some(folder) = &through {
            self.elsewhere.push(folder.again().map_err(fault)?);
        }
        if let Some(folder) = folder.or(through) {
            let there = folder.stat_self().map_err(fault)?;
            self.job
                .check_folder(&folder, &item.path)
                .map_err(|error| RestoreFault::Entry(ProblemKind::NotStored, error.message))?;
            // A folder into which some entries come is not what they came from.
            let as_is = self.holds_chosen(item);
            let (empty_or_marked, marked) = self.take_over(&folder, as_is).map_err(fault)?;
            let mine = empty_or_marked || (self.job.overwrite && !as_is);
            let holds = self.job.place.holds;
            let differs = !rights::differing_rights(&item.wanted, &there, holds).is_empty()
                || !rights::is_time(&item.wanted, &there, holds);
            if mine && !empty_or_marked && differs {
                self.tally.put_right += 1;
            } else {
                self.tally.already_there += 1;
            }
            return Ok(Some((folder, mine, marked, false)));
        }
        let aside = self.aside_for(there.as_ref())?;
        let Some(spot) = self.spot(item, shown) else {
            return Ok(None);
        };
        let folder = make::make_folder(spot, aside)?;
        self.tally.kept_aside += u64::from(aside.is_some());
        self.tally.restored += 1;
        Ok(Some((folder, true, true, true)))
    }

    /// Whether this is the folder of which only some entries are restored.
    fn holds_chosen(&self, item: &RestoreItem) -> bool {
        item.path.is_empty() && !self.job.choice.only.is_empty()
    }

    /// Takes over a folder of the target. One that is empty, or that an earlier run made and did
    /// not finish, becomes the snapshot's (first answer) and is marked (second answer); with
    /// `as_is` an empty one does not.
    fn take_over(&mut self, folder: &Dir, as_is: bool) -> std::result::Result<(bool, bool), Errno> {
        let mut others = Vec::new();
        let mut marked = false;
        let names = match folder.names() {
            // Nothing of ours can be in there; entries that are missing will tell.
            Err(Errno::ACCESS) => return Ok((false, false)),
            names => names?,
        };
        for name in names {
            if name == names::MARKER {
                marked = true;
                // What that run wrote was not read back.
                if let Ok(stat) = folder.stat(&name) {
                    self.since = self.since.min(stat.ctime);
                }
            } else if names::is_temporary(&name) {
                naming::remove_temporary(folder, &name);
            } else {
                others.push(name);
            }
        }
        if marked {
            let stat = folder.stat_self()?;
            others.retain(|name| !naming::remove_unfinished(folder, &stat, name));
        }
        let is_empty = others.is_empty();
        if as_is && !marked {
            return Ok((false, false));
        }
        if is_empty && !marked {
            // Where it cannot be marked, an interrupted run costs the folder its own metadata only.
            marked = folder.new_file(OsStr::new(names::MARKER), 0o600).is_ok();
        }
        Ok((is_empty || marked, marked))
    }

    pub(super) fn leave(&mut self) {
        if let Some(Some(frame)) = self.frames.pop() {
            self.left.push_back(frame);
            self.finish_left();
        }
    }

    /// Ends the folders into which nothing is on its way any more.
    pub(super) fn finish_left(&mut self) {
        let is_full = |frame: &Frame| frame.count.under_way.load(Ordering::Acquire) == 0;
        while self.left.front().is_some_and(is_full) {
            if let Some(frame) = self.left.pop_front() {
                self.finish(frame);
            }
        }
    }

    fn finish(&mut self, frame: Frame) {
        match frame.marked && !frame.is_below_mark {
            true => self.unsynced.push(frame),
            false => self.end_folder(frame),
        }
    }

    /// Ends the folders that waited for all in them to be on disk.
    pub(super) fn end_synced(&mut self) {
        for frame in std::mem::take(&mut self.unsynced) {
            self.end_folder(frame);
        }
    }

    fn end_folder(&mut self, frame: Frame) {
        let mut faults = Faults::default();
        if frame.mine {
            let holds = self.job.place.holds;
            make::finish_folder(
                &frame.dir,
                &frame.item,
                &frame.attributes,
                (frame.fresh, frame.is_private, frame.marked),
                holds,
                &mut faults,
            );
        } else if !self.holds_chosen(&frame.item) {
            self.settle_time(&frame, &mut faults);
        }
        self.faults(&frame.item, faults);
    }

    /// Gives a folder that keeps its own metadata the snapshot's time if it is the snapshot's but for that, as
    /// one is whose run was killed between taking the mark away and setting the time; else it keeps its own, for
    /// what else is in it.
    fn settle_time(&mut self, frame: &Frame, faults: &mut Faults) {
        let (wanted, holds) = (&frame.item.wanted, self.job.place.holds);
        let found = frame.dir.stat_self();
        let found = found.and_then(|stat| match rights::is_time(wanted, &stat, holds) {
            true => Ok(None),
            false => Ok(Some((stat, frame.dir.names()?.len()))),
        });
        match found {
            Ok(None) => {}
            Ok(Some((stat, entries)))
                if entries == frame.count.complete.load(Ordering::Acquire)
                    && rights::differing_rights(wanted, &stat, holds).is_empty() =>
            {
                let handle = Handle::Open(frame.dir.as_fd());
                metadata::apply_time(&handle, &frame.item, holds, faults);
            }
            // Nobody but its owner may list it: what is in it is not known, and not only ours.
            Ok(Some(_)) | Err(Errno::ACCESS) => self.tally.folders_keep_time += 1,
            Err(error) => faults.unseen(error),
        }
    }
}

/// The mark's name is ours; a snapshot made during a restore may hold it.
pub(super) fn refuse_marker(name: &OsStr) -> std::result::Result<(), RestoreFault> {
    if name == names::MARKER {
        return Err(RestoreFault::Entry(
            ProblemKind::NotStored,
            "left out: it is the mark of an unfinished restore".into(),
        ));
    }
    Ok(())
}
