//! Compares what was met in a source with the basis and with what the destination can hold: what would be
//! new, what moved or is gone, what cannot be held.
//!
//! Hears of a walk what it needs and looks at nothing itself, so that what was met once can be told again
//! for another destination.

use std::{
    collections::HashSet,
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt as _,
};

use schema::{
    StoredPath, StoredPathBuf,
    config::AbsolutePath,
    escape,
    inventory::{Cost, HollowFile, NotHeld, Renamed, SourceState},
    record::{Capabilities, SnapshotRecord},
};

use super::{
    cost::{BLOCK, CostCount, needed_bytes, user_text},
    held::{HeldNames, Judged},
};
use crate::{
    error::{Error, Result},
    manifest::{Cursor, Entry, FoundLooks, Looks, Reader},
    survey::{
        Content, Encountered, GoneSearch, HoleBudget, Moves, Search, Stretch, StretchSearch,
        StretchedManifest, Untouched, WalkEvent, excess_holes,
    },
    sys::{Kind, Stat, bytes},
};

/// From so many bytes of holes on a file is told of that is read all the same: that takes minutes.
const MANY_HOLES: u64 = 64 << 30;
/// Entries that are listed with what is wrong with them; more are only counted.
pub(super) const MAX_LISTED: usize = 100;
/// New files that are remembered to be told apart from moved ones; more are predicted as copied.
const MAX_MOVED: usize = 200_000;

/// What is found of one source.
pub(super) struct SourceTally {
    pub(super) state: SourceState,
    pub(super) new: Vec<Stat>,
    /// Whether the walk came to it.
    pub(super) met: bool,
}

/// The basis that sources are compared with.
#[derive(Clone, Copy)]
pub struct ComparedBasis<'a> {
    /// Opens its manifest, with those of others that are linked to.
    pub manifest: &'a dyn Fn() -> Result<Reader>,
    /// Its record, where stretches of what it has may be taken over: it is alone.
    pub stretched: Option<&'a SnapshotRecord>,
}

/// What all sources are compared with.
pub(super) struct Comparison<'a> {
    can: Option<&'a Capabilities>,
    basis: Option<Cursor>,
    search: Search,
    /// What the basis has and the walk does not meet.
    gone: GoneSearch,
    /// How many bytes of holes may still be read.
    holes: HoleBudget,
    /// What was not touched since the basis; none where nobody asks.
    untouched: Option<Untouched<'a>>,
}

/// What is counted of one source and those within it.
pub(super) struct Tally<'a, 'b> {
    /// The source itself, then those within it.
    pub(super) own: Vec<SourceTally>,
    /// The paths of those within it, relative to it.
    pub(super) inner: Vec<StoredPathBuf>,
    basis: Option<&'a mut Cursor>,
    search: &'a mut Search,
    gone: &'a mut GoneSearch,
    holes: &'a mut HoleBudget,
    /// Files of several names that are left out because of their holes.
    hollow_inodes: HashSet<(u64, u64)>,
    /// What takes most of what is to be copied.
    cost: CostCount<'a>,
    prefix: &'a StoredPath,
    here: StoredPathBuf,
    groups: HashSet<(u64, u64)>,
    held: HeldNames<'a>,
    /// Whether one file can have several names.
    links: bool,
    /// The name of the source itself.
    own_name: OsString,
    other_files: u64,
    /// What was not touched since the basis, and the stretches of it; none where nobody asks.
    untouched: Option<&'a mut Untouched<'b>>,
    stretches: StretchSearch,
}

/// What the comparison of one source and those within it came to.
pub(super) struct Tallied {
    /// The source itself, then those within it.
    pub(super) own: Vec<SourceTally>,
    pub(super) cost: Option<Cost>,
    pub(super) other_files: u64,
    pub(super) stretches: Vec<Stretch>,
}

impl<'a> Comparison<'a> {
    /// A comparison of these sources with the manifest that `basis` opens.
    pub(super) fn begin<'s>(
        sources: impl Iterator<Item = &'s AbsolutePath>,
        basis: Option<ComparedBasis<'a>>,
        can: Option<&'a Capabilities>,
        max_hole_bytes: u64,
    ) -> Result<Self> {
        let cursor = |basis: ComparedBasis<'_>| {
            let manifest = (basis.manifest)().map_err(Error::of_basis)?;
            Ok(Cursor::new(manifest.without_names()))
        };
        Ok(Self {
            can,
            basis: basis.map(cursor).transpose()?,
            search: Search::default(),
            gone: GoneSearch::new(sources),
            holes: HoleBudget::new(max_hole_bytes),
            untouched: basis
                .and_then(|basis| basis.stretched)
                .map(Untouched::since),
        })
    }

    /// The tally of one source, which has this name in its folder, and of those within it.
    pub(super) fn tally<'t>(
        &'t mut self,
        path: &'t AbsolutePath,
        own_name: &OsStr,
        own: Vec<SourceTally>,
        inner: Vec<StoredPathBuf>,
    ) -> Tally<'t, 'a> {
        let prefix = path.as_stored();
        Tally {
            own,
            // Whose an entry is, and so where it is counted, is not told for many at once.
            untouched: self.untouched.as_mut().filter(|_| inner.is_empty()),
            stretches: StretchSearch::default(),
            inner,
            basis: self.basis.as_mut(),
            search: &mut self.search,
            gone: &mut self.gone,
            holes: &mut self.holes,
            hollow_inodes: HashSet::new(),
            cost: CostCount::new(path),
            prefix,
            here: prefix.to_owned(),
            groups: HashSet::new(),
            held: HeldNames::new(self.can),
            links: self.can.is_none_or(|can| can.hard_links),
            own_name: own_name.to_owned(),
            other_files: 0,
        }
    }

    /// What of the new files is in the basis under another path, what is missed of the basis, and the
    /// manifest that stretches are of.
    pub(super) fn finish(
        self,
        basis: Option<ComparedBasis<'_>>,
    ) -> Result<(Moves, GoneSearch, Option<StretchedManifest>)> {
        let Self {
            basis: cursor,
            untouched,
            mut search,
            mut gone,
            ..
        } = self;
        let mut stretched = None;
        if let Some(mut cursor) = cursor {
            let mut missed = |entry: &Entry| {
                search.gone(entry.into());
                gone.missed(&entry.path, entry.into());
            };
            cursor.pass_all(&mut missed).map_err(unreadable_manifest)?;
            let lines = cursor.lines_of_segments();
            stretched = untouched.zip(lines);
        }
        let moves = match basis {
            Some(basis) => search.finish(basis.manifest).map_err(Error::of_basis)?,
            None => Moves::default(),
        };
        let stretched = stretched.map(|(untouched, lines)| untouched.manifest(lines));
        Ok((moves, gone, stretched))
    }
}

impl Tally<'_, '_> {
    /// Compares what was met; says what is known of its content.
    pub(super) fn told(&mut self, path: &StoredPath, told: &WalkEvent) -> Result<Content> {
        let at = self.owner(path);
        self.look_for_stretches(path, told)?;
        match told {
            WalkEvent::Encountered(Encountered::Enter(stat)) => {
                self.judge(at, path, stat);
                self.own[at].state.scan.new_bytes += BLOCK;
            }
            WalkEvent::Encountered(Encountered::Leaf(stat)) => {
                self.judge(at, path, stat);
                let content = self.leaf(at, path, stat)?;
                let is_other = matches!(content, Content::Other | Content::Changed);
                self.other_files += u64::from(is_other);
                return Ok(content);
            }
            // The walk hears of these from here.
            WalkEvent::Encountered(Encountered::Hollow(_)) => return Ok(Content::LeftOut),
            WalkEvent::Encountered(Encountered::MountPoint(_)) => {
                self.pass_over(path)?;
                self.own[at].state.scan.new_bytes += BLOCK;
            }
            WalkEvent::Excluded(_) | WalkEvent::Encountered(Encountered::Unreadable(..)) => {
                self.pass_over(path)?;
            }
            WalkEvent::Encountered(Encountered::Leave) => self.held.leave(),
            WalkEvent::LeftOut(..) | WalkEvent::Encountered(Encountered::Vanished) => {}
        }
        Ok(Content::Unknown)
    }

    /// The innermost source that a path relative to the outermost belongs to, as its place in `own`.
    pub(super) fn owner(&self, path: &StoredPath) -> usize {
        // Those within others come later.
        let mut inner = self.inner.iter();
        let owner = inner.rposition(|inner| path.is_within(inner));
        owner.map_or(0, |inner| inner + 1)
    }

    pub(super) fn finish(self) -> Tallied {
        Tallied {
            own: self.own,
            cost: self.cost.finish(),
            other_files: self.other_files,
            stretches: self.stretches.finish(),
        }
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
                let found = find_looks(basis, &self.here, self.search, self.gone)?;
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
            let path = escape::display(within(&self.inner, at, path));
            let state = &mut self.own[at].state;
            state.scan.renamed += 1;
            if state.renamed.len() < MAX_LISTED {
                let stored_as = escape::display(bytes(&stored_as));
                state.renamed.push(Renamed { path, stored_as });
            }
        }
        if let Some(because) = refused {
            let path = escape::display(within(&self.inner, at, path));
            let state = &mut self.own[at].state;
            state.scan.not_held += 1;
            if state.not_held.len() < MAX_LISTED {
                state.not_held.push(NotHeld { path, because });
            }
        }
    }

    /// Passes what the basis has where nothing is looked at: it may be elsewhere now, and is not gone.
    fn pass_over(&mut self, path: &StoredPath) -> Result<()> {
        let Some(basis) = &mut self.basis else {
            return Ok(());
        };
        self.here.truncate(self.prefix.len());
        self.here.push(path);
        if let Some(found) = find_looks(basis, &self.here, self.search, self.gone)? {
            self.search.gone(found.looks);
        }
        basis
            .pass_content(&self.here, &mut |entry| self.search.gone(entry.into()))
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
        let mut content = content_of(None, stat);
        let mut is_read = true;
        let mut line = None;
        let is_new = match &mut self.basis {
            None => true,
            Some(basis) => {
                self.here.truncate(self.prefix.len());
                self.here.push(path);
                let found = find_looks(basis, &self.here, self.search, self.gone)?;
                let (search, gone) = (&mut *self.search, &mut *self.gone);
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
                if untouched
                    && stat.nlink > 1
                    && let Some(looks) = looks
                {
                    search.named(looks);
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
        let within = escape::display(within(&self.inner, at, path));
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

/// How the basis' entry at a path looked; what it has before that and the walk did not meet is missed.
fn find_looks<'b>(
    basis: &'b mut Cursor,
    path: &StoredPath,
    search: &mut Search,
    gone: &mut GoneSearch,
) -> Result<Option<FoundLooks<'b>>> {
    let mut missed = |entry: &Entry| {
        search.gone(entry.into());
        gone.missed(&entry.path, entry.into());
    };
    basis
        .find_looks(path, &mut missed)
        .map_err(unreadable_manifest)
}

/// A path relative to the source that it belongs to, by that one's place among a source and those within it.
pub(super) fn within<'p>(
    inner: &[StoredPathBuf],
    at: usize,
    path: &'p StoredPath,
) -> &'p StoredPath {
    let inner = at.checked_sub(1).and_then(|at| inner.get(at));
    inner.map_or(path, |inner| path.rest_below(inner).unwrap_or(path))
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

pub(super) fn unreadable_manifest(error: std::io::Error) -> Error {
    Error::io("read", b"the basis' manifest", error).of_basis()
}
