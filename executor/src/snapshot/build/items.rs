//! From the survey to the items of jobs: which folder an entry goes to, what stands for it in the
//! basis, which names belong to one file.

use std::{
    ffi::{OsStr, OsString},
    ops::Range,
    os::unix::ffi::OsStrExt as _,
    sync::{Arc, Mutex},
};

use schema::{StoredPath, StoredPathBuf, config::AbsolutePath, record::SourceRecord};

use super::{Builder, OpenSource};
use crate::{
    error::{Error, Result},
    manifest::Entry,
    names::Namer,
    snapshot::jobs::{BuildItem, DirectoryNode, ItemKind, LinkGroup},
    survey::{Encountered, FoundSource, Surveyed},
    sys::{Folder, Kind, Stat, Takeover, resolve::resolve},
};

impl Builder<'_> {
    /// Adds one thing that was met to the job at hand; says whether there was one.
    pub(super) fn step(&mut self) -> Result<bool> {
        if self.open.is_none() {
            let Some(source) = self.sources.next() else {
                self.leave_to(StoredPath::root())?;
                // The tree's own folder is full, too.
                self.pass_what_is_gone()?;
                self.namers.pop();
                if let Some(root) = self.nodes.pop() {
                    self.job.leaves.push(root);
                    return Ok(true);
                }
                return Ok(false);
            };
            self.begin(source)?;
            return Ok(true);
        }
        if let Some(stretch) = self.next_stretch() {
            self.add_stretch(stretch)?;
            return Ok(true);
        }
        let Some(open) = &mut self.open else {
            return Ok(true);
        };
        let pending = open.pending.take();
        let met = match pending {
            Some(met) => Some(met),
            None => open.record.next_met().map_err(|error| {
                Error::failed(format!("cannot read the survey of the sources: {error}"))
            })?,
        };
        if let Some((name, met)) = &met
            && let Some(owner) = self.other_owner(name, met)
        {
            // What follows is another source's, and so is its job.
            self.job.source = Some(owner);
            if let Some(open) = &mut self.open {
                open.pending = Some((name.clone(), *met));
            }
            return Ok(true);
        }
        match met {
            Some((name, met)) => self.add_met(name, met)?,
            None => {
                self.open = None;
                self.job.source = None;
            }
        }
        Ok(true)
    }

    /// The source that what was met belongs to, as its place among the records, if it is not the one
    /// of the job at hand.
    fn other_owner(&self, name: &OsStr, met: &Encountered) -> Option<usize> {
        let open = self.open.as_ref().filter(|open| !open.inner.is_empty())?;
        if *met == Encountered::Leave || open.from.is_some() {
            return None;
        }
        let above = self
            .nodes
            .last()
            .map_or(StoredPath::root(), |node| &node.path);
        let path = above.join(name.as_bytes());
        let within = path.rest_below(&open.prefix)?;
        let mut inner = open.inner.iter();
        let inner = inner.rposition(|inner| within.is_within(inner));
        let owner = open.number + inner.map_or(0, |inner| inner + 1);
        (self.job.source != Some(owner)).then_some(owner)
    }

    /// Begins a source, with the folders above it.
    fn begin(&mut self, source: Surveyed) -> Result<()> {
        let prefix = source.path.as_stored().to_owned();
        let above = prefix.parent().unwrap_or_default();
        self.leave_to(above)?;
        let record_of = |path: &AbsolutePath| SourceRecord {
            path: path.clone(),
            present: true,
            mounted: false,
            entries: 0,
            files: 0,
        };
        let mut record = record_of(&source.path);
        let mut within = Vec::new();
        match source.found {
            Ok(found) => {
                self.enter_above(above)?;
                let feed = self.build.feed;
                let is_fed = feed.is_some_and(|feed| feed.is_nearer_than(&found));
                record.present = !self.node()?.is_lost();
                let FoundSource {
                    parent,
                    name,
                    stat,
                    record: met,
                    stretches,
                    inner,
                    cost: _,
                    other_files: _,
                } = found;
                record.mounted = stat.mount_root;
                within.extend(inner.iter().map(|inner| SourceRecord {
                    present: record.present,
                    mounted: inner.mounted,
                    ..record_of(&inner.path)
                }));
                self.open = Some(OpenSource {
                    record: met,
                    stretches: stretches.into_iter().peekable(),
                    number: self.records.len(),
                    inner: inner.into_iter().map(|inner| inner.below).collect(),
                    pending: None,
                    from: Some((Folder::top(parent), name)),
                    prefix,
                    depth: 0,
                    is_fed,
                });
            }
            Err(error) => {
                record.present = false;
                let name = OsStr::from_bytes(prefix.file_name()).to_owned();
                self.item(name, prefix, None, ItemKind::NoSource(error))?;
            }
        }
        self.job.source = Some(self.records.len());
        self.records.push(record);
        self.records.extend(within);
        Ok(())
    }

    /// Enters the folders above a source that are not entered yet.
    fn enter_above(&mut self, above: &StoredPath) -> Result<()> {
        let entered = self.nodes.len() - 1;
        for path in above.ancestors_from_top().skip(entered) {
            let absolute = path.to_absolute();
            let stat = resolve(OsStr::from_bytes(&absolute).as_ref())
                .map(|resolved| resolved.stat)
                .map_err(|error| Error::io("look at", &absolute, error))?;
            let name = OsStr::from_bytes(path.file_name()).to_owned();
            self.enter(name, path.to_owned(), None, &stat, None)?;
        }
        Ok(())
    }

    /// Leaves folders until the ones entered are the given ones or some above them.
    fn leave_to(&mut self, wanted: &StoredPath) -> Result<()> {
        while self.nodes.len() > 1 && !wanted.is_within(&self.node()?.path) {
            self.leave()?;
        }
        Ok(())
    }

    /// Adds what was met in the source at hand.
    fn add_met(&mut self, name: OsString, met: Encountered) -> Result<()> {
        let Some(open) = &mut self.open else {
            return Ok(());
        };
        if met == Encountered::Leave {
            open.depth -= 1;
            // The tree's own folder stands for `/` and is left last of all.
            if !(open.depth == 0 && open.prefix.is_empty()) {
                self.leave()?;
            }
            return Ok(());
        }
        let from = open.from.take();
        let is_source = from.is_some();
        let (name, path) = if is_source {
            // The names on both sides differ where the configured path goes through a symlink.
            let own = OsStr::from_bytes(open.prefix.file_name()).to_owned();
            (own, open.prefix.clone())
        } else {
            let node = self.nodes.last();
            let above = node.map_or(StoredPath::root(), |node| &node.path);
            let path = above.join(name.as_bytes());
            (name, path)
        };
        if matches!(met, Encountered::Enter(_)) {
            open.depth += 1;
        }
        let is_root = is_source && path.is_empty();
        if matches!(met, Encountered::Unreadable(..) | Encountered::Vanished) {
            self.mark_absent(&path, is_source);
        }
        match met {
            Encountered::Enter(stat) if is_root => self.enter_root(&stat, from)?,
            Encountered::Enter(stat) => self.enter(name, path, from, &stat, Some(true))?,
            Encountered::Leaf(stat) => self.add_leaf(name, path, from, &stat)?,
            Encountered::MountPoint(stat) => {
                self.enter(name, path, from, &stat, None)?;
                self.leave()?;
            }
            Encountered::Unreadable(stat, error) => {
                self.item(
                    name.clone(),
                    path.clone(),
                    None,
                    ItemKind::Unreadable(error),
                )?;
                if let Some(stat) = stat.filter(|_| !is_root) {
                    self.enter(name, path, from, &stat, None)?;
                    self.leave()?;
                }
            }
            Encountered::Hollow(stat) => self.item(name, path, None, ItemKind::Hollow(stat))?,
            Encountered::Vanished => self.item(name, path, None, ItemKind::Vanished)?,
            Encountered::Leave => {}
        }
        Ok(())
    }

    /// Notes that a source is not there, if what cannot be read is one.
    fn mark_absent(&mut self, path: &StoredPath, is_source: bool) {
        let Some(open) = &self.open else {
            return;
        };
        let within = path.rest_below(&open.prefix).unwrap_or_default();
        let inner = open.inner.iter().position(|inner| **inner == *within);
        if (is_source || inner.is_some())
            && let Some(record) = self
                .records
                .get_mut(open.number + inner.map_or(0, |at| at + 1))
        {
            record.present = false;
        }
    }

    /// Adds what is no folder.
    fn add_leaf(
        &mut self,
        name: OsString,
        path: StoredPathBuf,
        from: Option<(Folder, OsString)>,
        stat: &Stat,
    ) -> Result<()> {
        let (basis, line) = match stat.kind {
            Kind::File => self.find_line(&path)?,
            _ => (self.find(&path)?, 0..0),
        };
        let (name, from) = self.named(name, stat.kind, from);
        let group = self.group(stat);
        let what = if stat.kind == Kind::File {
            let is_same = self.open.as_ref().is_some_and(|open| open.record.is_same());
            if !is_same {
                self.job.bytes += stat.size;
            }
            ItemKind::File(*stat, group)
        } else {
            ItemKind::Other(*stat, group)
        };
        self.item_from(name, path, (basis, line), from, what)
    }

    /// Enters a folder; `read` says that it is read in the source.
    fn enter(
        &mut self,
        name: OsString,
        path: StoredPathBuf,
        from: Option<(Folder, OsString)>,
        stat: &Stat,
        read: Option<bool>,
    ) -> Result<()> {
        let basis = self.find(&path)?;
        let (name, from) = self.named(name, Kind::Folder, from);
        let node = self.node()?;
        let in_basis = basis
            .as_ref()
            .filter(|basis| basis.kind == Kind::Folder && !basis.absent && basis.tree == 0)
            .and(node.basis.as_ref());
        let source = read.and_then(|_| match &from {
            Some((above, name)) => Some(self.source_folder(above, name, stat)),
            None => Some(self.source_folder(node.source.as_ref()?, &name, stat)),
        });
        let is_doubtful = self.build.doubtful.has(&path);
        let inherited = node.inherited && in_basis.is_some() && !is_doubtful;
        let new = match (node.inherited, inherited) {
            (false, _) => node.new.child(&name),
            (true, true) => node.new.child_to_make(&name, Takeover::Clone),
            // Of what the basis has under its name a folder is made; whatever is in it is looked at.
            (true, false) => node.new.child_to_make(&name, Takeover::Leftover),
        };
        let new = new.made_with(self.build.mode_there(Kind::Folder, stat.mode));
        let child = DirectoryNode::new(
            new,
            in_basis
                .zip(basis.as_ref())
                .map(|(above, basis)| above.child(basis.stored_name())),
            source,
            path.clone(),
            (node.continued || (node.inherited && !inherited), inherited),
        );
        // Whatever is in it, on whatever thread, is lost with it.
        if node.is_lost() {
            child.lose();
        }
        let what = ItemKind::Folder(*stat, Arc::clone(&child));
        self.item_from(name, path, (basis, 0..0), from, what)?;
        self.nodes.push(child);
        self.namers.push(Namer::default());
        Ok(())
    }

    /// A folder of a source, which must be the one that was met.
    fn source_folder(&self, above: &Folder, name: &OsStr, stat: &Stat) -> Folder {
        let folder = match self.build.is_here(stat) {
            true => above.child_here(name),
            false => above.child(name),
        };
        folder.known_as((stat.dev, stat.ino))
    }

    /// Enters `/`, for which the tree's own folder stands.
    fn enter_root(&mut self, stat: &Stat, from: Option<(Folder, OsString)>) -> Result<()> {
        let root = self.node()?;
        let end = root.end().clone();
        let source = from.map(|(above, name)| self.source_folder(&above, &name, stat));
        let with_source = DirectoryNode::new(
            root.new.clone(),
            root.basis.clone(),
            source,
            StoredPathBuf::new(),
            (root.continued, root.inherited),
        );
        *with_source.end() = end;
        self.nodes.pop();
        self.nodes.push(with_source);
        self.item(
            OsString::new(),
            StoredPathBuf::new(),
            None,
            ItemKind::Root(*stat),
        )
    }

    fn leave(&mut self) -> Result<()> {
        self.pass_what_is_gone()?;
        self.job.leaves.extend(self.nodes.pop());
        self.namers.pop();
        Ok(())
    }

    /// The name that an entry gets in the folder at hand, and where it is found if that is not the
    /// same name in the folder's source.
    fn named(
        &mut self,
        name: OsString,
        kind: Kind,
        from: Option<(Folder, OsString)>,
    ) -> (OsString, Option<(Folder, OsString)>) {
        let can = &self.build.capabilities;
        // What stands nowhere but in the manifest takes nobody's name.
        let stored_as = self
            .namers
            .last_mut()
            .filter(|_| kind.is_held(can))
            .and_then(|namer| namer.stored_as(can, &name));
        let Some(stored_as) = stored_as else {
            return (name, from);
        };
        let source = self.nodes.last().and_then(|node| node.source.clone());
        let from = from.or_else(|| Some((source?, name)));
        (stored_as, from)
    }

    fn item(
        &mut self,
        name: OsString,
        path: StoredPathBuf,
        basis: Option<Box<Entry>>,
        what: ItemKind,
    ) -> Result<()> {
        self.item_from(name, path, (basis, 0..0), None, what)
    }

    fn item_from(
        &mut self,
        name: OsString,
        path: StoredPathBuf,
        (basis, line): (Option<Box<Entry>>, Range<usize>),
        from: Option<(Folder, OsString)>,
        what: ItemKind,
    ) -> Result<()> {
        let node = self.node()?;
        let reference = self.refer(&path);
        let fed = match &what {
            ItemKind::File(stat, _) => self.find_fed(&path, stat),
            _ => None,
        };
        let is_named_so = path.file_name() == name.as_bytes()
            && path.parent().is_some_and(|above| *above == *node.path);
        self.job.items.push(BuildItem {
            fed,
            reference,
            node,
            name,
            path: (!is_named_so).then(|| Box::new(path)),
            from: from.map(Box::new),
            basis,
            line,
            what,
        });
        Ok(())
    }

    pub(super) fn node(&self) -> Result<Arc<DirectoryNode>> {
        self.nodes
            .last()
            .cloned()
            .ok_or_else(|| Error::failed("an entry outside of every folder"))
    }

    /// The group of an entry that has several names.
    fn group(&mut self, stat: &Stat) -> Option<Arc<LinkGroup>> {
        if stat.nlink < 2 {
            return None;
        }
        let inode = (stat.dev, stat.ino);
        let (group, met) = self.groups.entry(inode).or_insert_with(|| {
            self.group_count += 1;
            let group = LinkGroup {
                number: self.group_count,
                first: Mutex::default(),
            };
            (Arc::new(group), 0)
        });
        *met += 1;
        let (group, is_last) = (Arc::clone(group), *met == stat.nlink);
        if is_last {
            self.groups.remove(&inode);
        }
        Some(group)
    }
}
