//! What is to be restored, entry by entry: the snapshot's tree and its manifest as one stream.
//!
//! The manifest says what an entry was, the tree holds its content; either may lack what the
//! other has. Reads only, and follows nothing in the tree but folders.

use std::{
    cmp::Ordering,
    ffi::OsStr,
    iter::Peekable,
    os::unix::ffi::OsStrExt as _,
    sync::{Arc, LazyLock},
};

use schema::{
    StoredPath, StoredPathBuf,
    journal::{Problem, ProblemKind},
    pattern::Excludes,
    record::Capabilities,
};

use super::{
    Choice,
    belongs::Unknown,
    item::{RestoreItem, Rights},
    lookup::FoundEntry,
    vouching,
};
use crate::{
    ahead::FoldersAhead,
    error::{Error, Result, system_reason},
    manifest::{Entry, Reader},
    names::{Namer, StoredNames},
    survey::Bounds,
    sys::{Dir, Kind, bytes},
    walk::{Visit, Walk},
};

static NOTHING: LazyLock<Excludes> = LazyLock::new(Excludes::default);

/// The next thing to do.
#[derive(Debug)]
pub(super) enum Step {
    /// A folder; its content follows.
    Enter(RestoreItem),
    /// Anything else.
    Leaf(RestoreItem),
    /// The end of the last folder that was entered and not left.
    Leave,
    /// An entry that the snapshot does not give.
    Fault(Problem),
}

struct Open {
    path: StoredPathBuf,
    in_tree: bool,
}

/// A stream of the entries below a path of a snapshot, itself included.
pub(super) struct RestoreSource {
    walk: Option<Walk<'static>>,
    /// The walk's next visit, not yet given out.
    pending: Option<Visit>,
    manifest: Option<Peekable<Reader>>,
    manifest_fault: Option<String>,
    /// There is a manifest: what it does not list is left.
    listed_only: bool,
    /// It is the one that was sealed.
    sealed: bool,
    prefix: StoredPathBuf,
    open: Vec<Open>,
    /// Content of this folder is of no interest.
    pass_over: Option<StoredPathBuf>,
    choice: Choice,
    /// What the target can hold, and what names the entries of each open folder get there.
    can: Capabilities,
    namers: Vec<Namer>,
    /// Names of users and groups that mean nothing here.
    pub(super) unknown: Unknown,
    /// The path of the last fault that was given out.
    fault_at: StoredPathBuf,
}

impl RestoreSource {
    pub(super) fn new(
        found: &FoundEntry,
        manifest: Option<Reader>,
        names: &Arc<StoredNames>,
        choice: &Choice,
        can: &Capabilities,
        sealed: bool,
        ahead: Option<FoldersAhead>,
    ) -> Result<Self> {
        let walk = match &found.stat {
            None => None,
            Some(stat) => {
                let parent = found
                    .parent
                    .again()
                    .map_err(|error| Error::io("open", bytes(&found.name), error))?;
                let bounds = Bounds {
                    excludes: &NOTHING,
                    one_file_system: false,
                    never: &[],
                };
                let walk = Walk::new(parent, found.name.clone(), stat, bounds);
                Some(walk.with_names(names).with_ahead(ahead).by_kind())
            }
        };
        Ok(Self {
            walk,
            pending: None,
            listed_only: manifest.is_some(),
            sealed,
            manifest: manifest.map(Iterator::peekable),
            manifest_fault: None,
            prefix: found.path.clone(),
            open: Vec::new(),
            pass_over: None,
            choice: choice.clone(),
            can: can.clone(),
            namers: Vec::new(),
            unknown: Unknown::default(),
            fault_at: StoredPathBuf::new(),
        })
    }

    /// The folder of the snapshot that holds the item given out last.
    pub(super) fn parent(&self) -> Option<&Arc<Dir>> {
        self.walk.as_ref().map(Walk::parent)
    }

    /// After [`Step::Enter`] of a folder in the tree: that folder.
    pub(super) fn folder(&self) -> Option<&Arc<Dir>> {
        self.walk.as_ref().map(Walk::folder)
    }

    /// Why the manifest could not be read to its end, if so.
    pub(super) fn manifest_fault(&self) -> Option<&str> {
        self.manifest_fault.as_deref()
    }

    /// After [`Step::Enter`]: passes the folder's content over; [`Step::Leave`] still comes.
    pub(super) fn skip_content(&mut self) {
        if let Some(open) = self.open.last() {
            self.pass_over = Some(open.path.clone());
            if open.in_tree
                && let Some(walk) = &mut self.walk
            {
                walk.skip_content();
            }
        }
    }

    /// A path of the stream as it was on the source.
    pub(super) fn on_source(&self, path: &StoredPath) -> String {
        self.prefix.join(path).shown()
    }

    /// Goes to the next step; `None` at the end.
    pub(super) fn next_step(&mut self) -> Option<Step> {
        let mut passing = false;
        loop {
            let mut step = self.next_of_all()?;
            match &mut step {
                // The end of a folder that was not chosen.
                Step::Leave if std::mem::take(&mut passing) => continue,
                Step::Leave => drop(self.namers.pop()),
                Step::Enter(item) | Step::Leaf(item) => {
                    if !self.choice.has(&item.path) {
                        passing = matches!(step, Step::Enter(_));
                        if passing {
                            self.skip_content();
                        }
                        continue;
                    }
                    item.rights = self.rights(item);
                    if item.rights == Rights::Withheld {
                        if matches!(item.wanted.kind, Kind::CharDevice | Kind::BlockDevice) {
                            let path = std::mem::take(&mut item.path);
                            return Some(self.withheld_device(&path));
                        }
                        item.bits_withheld = vouching::withhold_bits(item);
                    }
                    if self.choice.owner.is_none() && !self.choice.numeric_ids {
                        self.unknown.by_name(&mut item.wanted);
                    }
                    self.choice.give(&mut item.wanted);
                    // What is restored itself gets the name that was asked for.
                    let namer = self.namers.last_mut();
                    if let Some(name) = namer.and_then(|one| one.stored_as(&self.can, &item.name)) {
                        item.name = name;
                        item.renamed = true;
                    }
                }
                Step::Fault(_) if !self.choice.has(&self.fault_at) => continue,
                Step::Fault(_) => {}
            }
            if matches!(step, Step::Enter(_)) {
                self.namers.push(Namer::default());
            }
            return Some(step);
        }
    }

    /// The next step of all there is.
    fn next_of_all(&mut self) -> Option<Step> {
        loop {
            if self.pending.is_none() {
                self.pending = self.walk.as_mut().and_then(Walk::next);
            }
            let head = self.head();
            let in_tree = self.walk.as_ref().map(Walk::path);
            let order = match (&self.pending, &head, in_tree) {
                (Some(Visit::Leave(_)), Some(head), Some(folder)) => {
                    if head.is_within(folder) {
                        Ordering::Less
                    } else {
                        Ordering::Greater
                    }
                }
                (Some(_), Some(head), Some(path)) => (**head).cmp(path),
                (_, Some(_), _) => Ordering::Less,
                (_, None, _) => Ordering::Greater,
            };
            // A folder that only the manifest knows ends with the first entry outside it.
            if let Some(last) = self.open.last()
                && !last.in_tree
                && !(order.is_lt() && head.is_some_and(|head| head.is_within(&last.path)))
            {
                self.open.pop();
                return Some(Step::Leave);
            }
            if order.is_lt() {
                let entry = self.take()?;
                return Some(self.manifest_only(entry));
            }
            let visit = self.pending.take()?;
            let entry = if order.is_eq() { self.take() } else { None };
            if let Some(step) = self.tree_entry(visit, entry) {
                return Some(step);
            }
        }
    }

    /// Whether an entry may give somebody rights: a file only with the content that was sealed.
    fn rights(&self, item: &RestoreItem) -> Rights {
        let is_told = item.wanted.kind != Kind::File || item.wanted.digest.is_some();
        match (self.choice.special, self.sealed && item.listed && is_told) {
            (true, _) => Rights::Asked,
            (false, true) => Rights::Listed,
            (false, false) => Rights::Withheld,
        }
    }

    /// Whether an entry of the tree that the manifest does not list is left.
    fn leaves_unlisted(&self) -> bool {
        self.listed_only && self.manifest_fault.is_none()
    }

    /// The relative path of the manifest's next entry of interest.
    fn head(&mut self) -> Option<StoredPathBuf> {
        loop {
            let manifest = self.manifest.as_mut()?;
            let path = match manifest.peek()? {
                Ok(entry) => &entry.path,
                Err(error) => {
                    self.manifest_fault = Some(system_reason(error));
                    self.manifest = None;
                    return None;
                }
            };
            match path.rest_below(&self.prefix) {
                Some(relative) => {
                    let over = self.pass_over.as_deref();
                    let skip = |over: &StoredPath| relative.is_below(over);
                    if !over.is_some_and(skip) {
                        return Some(relative.to_owned());
                    }
                }
                None if *path > self.prefix => {
                    self.manifest = None;
                    return None;
                }
                None => {}
            }
            manifest.next();
        }
    }

    /// The manifest's entry that [`Self::head`] is the path of.
    fn take(&mut self) -> Option<Entry> {
        self.manifest.as_mut()?.next()?.ok()
    }

    /// An entry that the tree does not have.
    fn manifest_only(&mut self, entry: Entry) -> Step {
        let path = entry.path.rest_below(&self.prefix);
        let path = path.unwrap_or_default().to_owned();
        let (parent, name) = path.split_name().unwrap_or_default();
        let name = OsStr::from_bytes(name).to_owned();
        // A manifest is data that others may have had their hands on.
        let in_place = match self.open.last() {
            Some(open) => {
                *open.path == *parent
                    && !matches!(name.as_bytes(), b"" | b"." | b"..")
                    && !name.as_bytes().contains(&0)
            }
            None => path.is_empty(),
        };
        if !in_place {
            return self.fault(&path, "it is at no place in the snapshot".into());
        }
        match entry.kind {
            Kind::File => self.fault(
                &path,
                "the manifest lists it and the snapshot does not have it".into(),
            ),
            kind => {
                if kind == Kind::Folder {
                    self.open.push(Open {
                        path: path.clone(),
                        in_tree: false,
                    });
                }
                let stored_name = entry.stored_name().to_owned();
                step_of(RestoreItem::new(path, name, stored_name, entry), kind)
            }
        }
    }

    /// An entry of the tree, with what the manifest says of it.
    fn tree_entry(&mut self, visit: Visit, entry: Option<Entry>) -> Option<Step> {
        let walk = self.walk.as_mut()?;
        let path = walk.path().to_owned();
        let (kind, looks) = match visit {
            Visit::Leave(_) => {
                self.open.pop();
                return Some(Step::Leave);
            }
            Visit::Enter(stat) | Visit::Leaf(stat) => (stat.kind, Some(stat)),
            Visit::Listed(kind) => (kind, None),
            Visit::Unreadable(..) if entry.is_none() && self.leaves_unlisted() => {
                return Some(self.unlisted(&path));
            }
            Visit::Unreadable(_, error) => {
                return Some(self.fault_with_content(&path, system_reason(&error.into())));
            }
            Visit::Vanished => return Some(self.gone(&path)),
            Visit::Excluded | Visit::MountPoint(_) | Visit::Destination => return None,
        };
        let stored_name = walk.name().clone();
        let name = walk.own_name();
        if let Some(entry) = &entry
            && entry.kind != kind
        {
            let item = RestoreItem::new(path, name, stored_name, entry.clone());
            return Some(self.mismatched_entry(item, kind));
        }
        let listed = entry.is_some();
        if !listed && self.leaves_unlisted() {
            self.pass_content(kind);
            return Some(self.unlisted(&path));
        }
        let walk = self.walk.as_mut()?;
        // Of content without a digest nothing but the tree tells what it is.
        let is_told = |entry: &Entry| kind != Kind::File || entry.digest.is_some();
        let looks = match looks {
            None if !entry.as_ref().is_some_and(is_told) => {
                match walk.parent().stat(&stored_name) {
                    Ok(stat) if stat.kind == kind => Some(stat),
                    Ok(_) => return Some(self.gone(&path)),
                    Err(error) => return Some(self.fault(&path, system_reason(&error.into()))),
                }
            }
            looks => looks,
        };
        let mut wanted = match (entry, &looks) {
            (Some(entry), _) => entry,
            (None, Some(stat)) => Entry::of(&path, stat),
            (None, None) => return None,
        };
        if kind == Kind::Symlink && wanted.target.is_none() {
            match walk.parent().read_symlink(&stored_name) {
                Ok(target) => wanted.target = Some(bytes(&target).to_vec()),
                Err(error) => return Some(self.fault(&path, system_reason(&error.into()))),
            }
        }
        if kind == Kind::Folder {
            self.open.push(Open {
                path: path.clone(),
                in_tree: true,
            });
        }
        let item = RestoreItem {
            is_stored: true,
            looks,
            listed,
            ..RestoreItem::new(path, name, stored_name, wanted)
        };
        Some(step_of(item, kind))
    }

    /// An entry that is of another kind in the tree than the manifest says.
    fn mismatched_entry(&mut self, item: RestoreItem, kind: Kind) -> Step {
        self.pass_content(kind);
        if matches!(item.wanted.kind, Kind::File | Kind::Folder) {
            let message = "it is not what the manifest recorded".into();
            return self.fault_with_content(&item.path, message);
        }
        Step::Leaf(item)
    }

    /// Passes over what is in the folder that the walk is at, if it is at one.
    fn pass_content(&mut self, kind: Kind) {
        if kind == Kind::Folder
            && let Some(walk) = &mut self.walk
        {
            walk.skip_content();
            walk.next();
        }
    }

    /// An entry that the manifest does not list.
    fn unlisted(&mut self, path: &StoredPath) -> Step {
        let message = "left: the manifest does not list it, so it was never backed up";
        self.fault_of(path, ProblemKind::Unlisted, message.into())
    }

    /// A device that no sealed manifest vouches for.
    fn withheld_device(&mut self, path: &StoredPath) -> Step {
        let message = "left out: it is a device, and no sealed manifest vouches for it";
        self.fault_of(path, ProblemKind::Unvouched, message.into())
    }

    /// An entry that was listed and is not there any more.
    fn gone(&mut self, path: &StoredPath) -> Step {
        self.fault_with_content(path, "it is gone from the snapshot".into())
    }

    /// A fault of an entry whose content is passed over.
    fn fault_with_content(&mut self, path: &StoredPath, message: String) -> Step {
        self.pass_over = Some(path.to_owned());
        self.fault(path, message)
    }

    fn fault(&mut self, path: &StoredPath, message: String) -> Step {
        self.fault_of(path, ProblemKind::Unreadable, message)
    }

    fn fault_of(&mut self, path: &StoredPath, kind: ProblemKind, message: String) -> Step {
        self.fault_at = path.to_owned();
        Step::Fault(Problem {
            path: self.on_source(path),
            kind,
            message,
        })
    }

    /// The path of the fault that was given out last, relative to what is restored.
    pub(super) fn fault_at(&self) -> &StoredPath {
        &self.fault_at
    }
}

/// The step to an item of a kind.
fn step_of(item: RestoreItem, kind: Kind) -> Step {
    if kind == Kind::Folder {
        Step::Enter(item)
    } else {
        Step::Leaf(item)
    }
}
