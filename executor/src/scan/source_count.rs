//! Counts a source while it is surveyed: entries, what would be new, what cannot be held.

use std::{
    collections::HashSet,
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt as _,
};

use rustix::io::Errno;
use schema::{
    LeftOut, StoredPath, StoredPathBuf, escape,
    inventory::{DataPassedOver, HollowFile, NotHeld, Presence, Renamed, SourceScan, SourceState},
};

use super::{
    cost::{BLOCK, CostCount, needed_bytes, user_text},
    databases::{Names, add_database},
    held::{HeldNames, Judged},
};
use crate::{
    error::{Error, Result, system_reason},
    event::{Context, Event, Progress},
    manifest::{Cursor, Entry, Looks},
    survey::{
        Below, Content, Encountered, GoneSearch, HoleBudget, LeftOutFolders, Measured, Search,
        StretchSearch, Tagged, Untouched, WalkEvent, excess_holes,
    },
    sys::{Kind, Stat, bytes, mounts::Mount},
};

/// From so many bytes of holes on a file is told of that is read all the same: that takes minutes.
const MANY_HOLES: u64 = 64 << 30;
/// Entries that are listed with what is wrong with them; more are only counted.
const MAX_LISTED: usize = 100;
/// New files that are remembered to be told apart from moved ones; more are predicted as copied.
const MAX_MOVED: usize = 200_000;

/// What is found of one source.
pub(super) struct SourceTally {
    pub(super) state: SourceState,
    pub(super) new: Vec<Stat>,
    /// Whether the walk came to it.
    pub(super) met: bool,
}

/// What is counted of one source and those within it.
pub(super) struct SourceCount<'a, 'b> {
    /// The source itself, then those within it.
    pub(super) own: Vec<SourceTally>,
    pub(super) below: &'a Below<'a>,
    pub(super) basis: Option<&'a mut Cursor>,
    pub(super) search: &'a mut Search,
    /// What the basis has and the walk does not meet.
    pub(super) gone: &'a mut GoneSearch,
    /// Whether each exclude pattern has left something out.
    pub(super) patterns_used: &'a mut [bool],
    /// The folders that tags leave out.
    pub(super) left_out: &'a mut LeftOutFolders,
    /// How many bytes of holes may still be read.
    pub(super) holes: &'a mut HoleBudget,
    /// Files of several names that are left out because of their holes.
    pub(super) hollow_inodes: HashSet<(u64, u64)>,
    /// What takes most of what is to be copied.
    pub(super) cost: CostCount<'a>,
    pub(super) progress: &'a mut Progress,
    pub(super) context: Context<'a>,
    pub(super) prefix: &'a StoredPath,
    pub(super) here: StoredPathBuf,
    pub(super) groups: HashSet<(u64, u64)>,
    pub(super) held: HeldNames<'a>,
    /// What tells databases among the entries of each open folder.
    pub(super) names: Names,
    /// Whether one file can have several names.
    pub(super) links: bool,
    /// The name of the source itself.
    pub(super) own_name: OsString,
    pub(super) other_files: u64,
    /// What was not touched since the basis, and the stretches of it; none where nobody asks.
    pub(super) untouched: Option<&'a mut Untouched<'b>>,
    pub(super) stretches: StretchSearch,
}

impl SourceCount<'_, '_> {
    /// Counts what was met; says what is known of its content.
    pub(super) fn told(&mut self, path: &StoredPath, told: WalkEvent) -> Result<Content> {
        let at = self.below.owner(path).map_or(0, |inner| inner + 1);
        if let WalkEvent::Encountered(Encountered::Enter(stat) | Encountered::Leaf(stat)) = &told {
            self.judge(at, path, stat);
        }
        self.look_for_databases(at, path, &told);
        self.look_for_stretches(path, &told)?;
        if let WalkEvent::Excluded(_)
        | WalkEvent::Encountered(Encountered::MountPoint(_) | Encountered::Unreadable(..)) =
            &told
        {
            self.pass_over(path)?;
        }
        let mut content = Content::Unknown;
        let within = self.within(at, path);
        let own = &mut self.own[at];
        own.met = true;
        let scan = &mut own.state.scan;
        match told {
            WalkEvent::Excluded(pattern) => {
                scan.excluded += 1;
                if let Some(used) = pattern.and_then(|at| self.patterns_used.get_mut(at)) {
                    *used = true;
                }
            }
            WalkEvent::LeftOut(tagged, measured) => {
                let path = self.prefix.join(path);
                let what = describe_left_out(&path, tagged, measured);
                own.state.left_out.get_or_insert_default().add(&what);
                self.left_out.add(path, &what);
                return Ok(Content::Unknown);
            }
            WalkEvent::Encountered(Encountered::Enter(stat)) => {
                scan.entries += 1;
                scan.folders += 1;
                scan.new_bytes += BLOCK;
                count_flags(scan, &stat);
            }
            WalkEvent::Encountered(Encountered::Leaf(stat)) => {
                content = self.leaf(at, path, &stat)?
            }
            // The walk hears of these from here.
            WalkEvent::Encountered(Encountered::Hollow(_)) => return Ok(Content::LeftOut),
            WalkEvent::Encountered(Encountered::MountPoint(stat)) => {
                scan.entries += 1;
                scan.folders += 1;
                scan.new_bytes += BLOCK;
                let within = escape::display(within);
                own.state.mounts_passed_over.push(within.clone());
                let data = data_of(self.below.mount(path), &stat, within);
                own.state.data_passed_over.extend(data);
            }
            WalkEvent::Encountered(Encountered::Unreadable(stat, error)) => {
                if within.is_empty() {
                    own.state.presence = unreadable_presence(error);
                }
                scan.unreadable += 1;
                if stat.is_some_and(|stat| stat.kind == Kind::Folder) {
                    scan.entries += 1;
                    scan.folders += 1;
                }
                if own.state.unreadable.len() < MAX_LISTED {
                    own.state.unreadable.push(escape::display(within));
                }
            }
            WalkEvent::Encountered(Encountered::Leave) => {
                self.held.leave();
                self.names.leave();
                return Ok(Content::Unknown);
            }
            WalkEvent::Encountered(Encountered::Vanished) => return Ok(Content::Unknown),
        }
        self.progress.entries += 1;
        if self.progress.entries.is_multiple_of(1000) {
            self.context.observer.event(Event::Progress(*self.progress));
        }
        self.other_files += u64::from(matches!(content, Content::Other | Content::Changed));
        Ok(content)
    }

    /// Finds what can be taken over together; leaves are told by who compares them.
    fn look_for_stretches(&mut self, path: &StoredPath, told: &WalkEvent) -> Result<()> {
        let (Some(basis), Some(untouched)) = (&mut self.basis, &mut self.untouched) else {
            return Ok(());
        };
        match told {
            WalkEvent::Encountered(Encountered::Leaf(_)) | WalkEvent::Excluded(_) => {}
            WalkEvent::LeftOut(..) => self.stretches.mix(),
            WalkEvent::Encountered(Encountered::Enter(stat)) => {
                self.here.truncate(self.prefix.len());
                self.here.push(path);
                let (search, gone) = (&mut *self.search, &mut *self.gone);
                let mut missed = |entry: &Entry| {
                    search.gone(entry.into());
                    gone.missed(&entry.path, entry.into());
                };
                let found = basis
                    .find_looks(&self.here, &mut missed)
                    .map_err(unreadable_manifest)?;
                let line = found
                    .as_ref()
                    .and_then(|found| untouched.line_of(found, stat));
                if let Some(found) = found {
                    self.search.gone(found.looks);
                    self.gone.missed(&self.here, found.looks);
                }
                self.stretches.enter(line, stat);
            }
            WalkEvent::Encountered(Encountered::Leave) => {
                let next = match self.stretches.may_be_whole() {
                    false => None,
                    true => {
                        self.here.truncate(self.prefix.len());
                        self.here.push(path);
                        let next = basis.place(&self.here).map_err(unreadable_manifest)?;
                        Some(next).filter(|(_, is_below)| !is_below)
                    }
                };
                self.stretches.leave(next.map(|(place, _)| place));
            }
            WalkEvent::Encountered(_) => self.stretches.other(),
        }
        Ok(())
    }

    /// A path relative to the source that it belongs to.
    fn within<'p>(&self, at: usize, path: &'p StoredPath) -> &'p StoredPath {
        let inner = at.checked_sub(1).map(|inner| &self.below.inner[inner]);
        inner.map_or(path, |inner| path.rest_below(&inner.below).unwrap_or(path))
    }

    /// Notes what the destination cannot hold.
    fn judge(&mut self, at: usize, path: &StoredPath, stat: &Stat) {
        let name = match path.file_name() {
            b"" => self.own_name.as_os_str(),
            name => OsStr::from_bytes(name),
        };
        let Judged { refused, stored_as } = self.held.judge(name, stat.kind, stat.size);
        if stat.kind == Kind::Folder {
            self.held.enter();
        }
        if let Some(stored_as) = stored_as {
            let path = escape::display(self.within(at, path));
            let state = &mut self.own[at].state;
            state.scan.renamed += 1;
            if state.renamed.len() < MAX_LISTED {
                let stored_as = escape::display(bytes(&stored_as));
                state.renamed.push(Renamed { path, stored_as });
            }
        }
        if let Some(because) = refused {
            let path = escape::display(self.within(at, path));
            let state = &mut self.own[at].state;
            state.scan.not_held += 1;
            if state.not_held.len() < MAX_LISTED {
                state.not_held.push(NotHeld { path, because });
            }
        }
    }

    /// Counts a database of which this entry is the telling one.
    fn look_for_databases(&mut self, at: usize, path: &StoredPath, told: &WalkEvent) {
        let (is_file, enters) = match told {
            WalkEvent::Encountered(Encountered::Leaf(stat)) => (stat.kind == Kind::File, false),
            WalkEvent::Encountered(Encountered::Enter(_)) => (false, true),
            // A log that is left out makes it no better.
            WalkEvent::Excluded(_) | WalkEvent::LeftOut(..) => (false, false),
            WalkEvent::Encountered(_) => return,
        };
        let name = path.file_name();
        let found = if enters {
            self.names.folder(name)
        } else {
            self.names.leaf(name, is_file)
        };
        if enters {
            self.names.enter();
        }
        if let Some((kind, less)) = found {
            let database = &path[..path.len() - less];
            let database = StoredPath::new(database.strip_suffix(b"/").unwrap_or(database));
            let example = self.within(at, database);
            add_database(&mut self.own[at].state.databases, kind, example);
        }
    }

    /// Passes what the basis has where nothing is looked at: it may be elsewhere now, and is not gone.
    fn pass_over(&mut self, path: &StoredPath) -> Result<()> {
        let Some(basis) = &mut self.basis else {
            return Ok(());
        };
        self.here.truncate(self.prefix.len());
        self.here.push(path);
        let (search, gone) = (&mut *self.search, &mut *self.gone);
        let mut missed = |entry: &Entry| {
            search.gone(entry.into());
            gone.missed(&entry.path, entry.into());
        };
        let found = basis.find_looks(&self.here, &mut missed);
        if let Some(found) = found.map_err(unreadable_manifest)? {
            search.gone(found.looks);
        }
        basis
            .pass_content(&self.here, &mut |entry| search.gone(entry.into()))
            .map_err(unreadable_manifest)
    }

    fn leaf(&mut self, at: usize, path: &StoredPath, stat: &Stat) -> Result<Content> {
        let (content, line) = self.compare_leaf(at, path, stat)?;
        if self.untouched.is_some() {
            self.stretches.leaf(line, stat);
        }
        Ok(content)
    }

    /// What is known of the content of a leaf, and the place of its line in the basis' manifest where that is
    /// taken over.
    fn compare_leaf(
        &mut self,
        at: usize,
        path: &StoredPath,
        stat: &Stat,
    ) -> Result<(Content, Option<u64>)> {
        let scan = &mut self.own[at].state.scan;
        scan.entries += 1;
        count_flags(scan, stat);
        if stat.kind == Kind::File {
            scan.files += 1;
            scan.bytes += stat.size;
            self.progress.bytes += stat.size;
        }
        let mut content = content_of(None, stat);
        let mut is_read = true;
        let mut line = None;
        let is_new = match &mut self.basis {
            None => true,
            Some(basis) => {
                self.here.truncate(self.prefix.len());
                self.here.push(path);
                let (search, gone) = (&mut *self.search, &mut *self.gone);
                let mut missed = |entry: &Entry| {
                    search.gone(entry.into());
                    gone.missed(&entry.path, entry.into());
                };
                let found = basis
                    .find_looks(&self.here, &mut missed)
                    .map_err(unreadable_manifest)?;
                if let (Some(found), Some(untouched)) = (&found, &mut self.untouched) {
                    line = untouched.line_of(found, stat);
                }
                let looks = found.map(|found| found.looks);
                // What only may have changed is read and compared, and mostly has not.
                let untouched = looks
                    .is_some_and(|looks| looks.looks_like(stat) && !looks.torn && !looks.absent);
                is_read = !looks.is_some_and(|looks| looks.untouched(stat));
                content = content_of(looks, stat);
                let is_file = stat.kind == Kind::File;
                let old = looks.filter(|looks| looks.tree == 0 && !untouched);
                match old.filter(|old| old.kind == Kind::File) {
                    Some(_) if is_file => scan.changed_files += 1,
                    Some(old) => gone.missed(&self.here, old),
                    None => {}
                }
                if is_file && !untouched {
                    gone.new_file(self.here.file_name(), stat);
                }
                // Another file at a path that the basis has: its own file may be elsewhere now.
                let displaced = looks.filter(|looks| looks.ino != stat.ino);
                if !untouched && let Some(looks) = displaced {
                    search.gone(looks);
                }
                !untouched
            }
        };
        let inode = (stat.dev, stat.ino);
        // Further names of one file need neither bytes nor inode, where there can be such.
        let is_further = self.links && stat.nlink > 1 && !self.groups.insert(inode);
        if is_further && self.hollow_inodes.contains(&inode)
            || !is_further && is_read && self.is_hollow(at, path, stat)
        {
            return Ok((Content::LeftOut, None));
        }
        if is_further {
            return Ok((content, None));
        }
        let own = &mut self.own[at];
        let scan = &mut own.state.scan;
        if is_new {
            self.cost.add(path, stat);
            scan.new_inodes += 1;
            scan.new_bytes += needed_bytes(stat);
            if stat.kind == Kind::File {
                scan.new_files += 1;
                scan.sparse = scan
                    .sparse
                    .map(|sparse| sparse + u64::from(stat.has_holes()));
                if self.basis.is_some() && stat.size > 0 {
                    self.search.new_file(stat);
                    if own.new.len() < MAX_MOVED {
                        own.new.push(*stat);
                    }
                }
            }
        }
        Ok((content, line))
    }

    /// Notes a file that mostly consists of holes; says whether it has more of them than are read.
    fn is_hollow(&mut self, at: usize, path: &StoredPath, stat: &Stat) -> bool {
        let excess = excess_holes(stat);
        if excess < MANY_HOLES && self.holes.takes(stat) {
            return false;
        }
        let left_out = excess < MANY_HOLES || !self.holes.takes(stat);
        let within = escape::display(self.within(at, path));
        let state = &mut self.own[at].state;
        if left_out {
            state.scan.hollow += 1;
            if stat.nlink > 1 {
                self.hollow_inodes.insert((stat.dev, stat.ino));
            }
        }
        if state.hollow.len() < MAX_LISTED {
            state.hollow.push(HollowFile {
                path: within,
                bytes: stat.size,
                holes: stat.size.saturating_sub(stat.allocated),
                user: user_text(stat.uid),
                left_out,
            });
        }
        left_out
    }
}

/// What a tag leaves out of one folder.
fn describe_left_out(path: &StoredPath, tagged: Tagged, measured: Measured) -> LeftOut {
    let (caches, folders) = match tagged {
        Tagged::Cache => (1, 0),
        Tagged::Whole => (0, 1),
    };
    LeftOut {
        caches,
        folders,
        entries: measured.entries,
        bytes: measured.bytes,
        at_least: measured.at_least,
        most: path.shown(),
        most_bytes: measured.bytes,
    }
}

/// What is known of an entry's content from what the basis has at its path.
fn content_of(looks: Option<Looks>, stat: &Stat) -> Content {
    match looks {
        _ if stat.kind != Kind::File => Content::Unknown,
        Some(looks) if looks.untouched(stat) => Content::Same,
        Some(looks) if looks.may_have_content(stat) => Content::Unknown,
        Some(looks) if looks.may_share_blocks(stat) => Content::Changed,
        _ => Content::Other,
    }
}

/// What is passed over at a mount point or a subvolume, if it holds data of this machine.
fn data_of(mount: Option<&Mount>, stat: &Stat, path: String) -> Option<DataPassedOver> {
    match mount {
        Some(mount) => mount.holds_data().then(|| DataPassedOver {
            path,
            file_system: Some(mount.file_system.clone()),
            device: mount.device.clone(),
            within: Some(escape::display(&mount.root)),
        }),
        // Mounted after the walk began.
        None if stat.mount_root => None,
        None => Some(DataPassedOver {
            path,
            file_system: None,
            device: stat.device_text(),
            within: None,
        }),
    }
}

fn count_flags(scan: &mut SourceScan, stat: &Stat) {
    scan.immutable += u64::from(stat.immutable || stat.append_only);
}

pub(super) fn unreadable_presence(error: Errno) -> Presence {
    Presence::Unreadable {
        because: system_reason(&error.into()),
    }
}

pub(super) fn unreadable_manifest(error: std::io::Error) -> Error {
    Error::io("read", b"the basis' manifest", error).of_basis()
}
