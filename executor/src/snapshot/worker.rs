//! One thread at work: the folder and the entry at hand, and what they come to.

use std::{borrow::Cow, collections::BTreeMap, ffi::OsStr, fs::File, sync::Arc};

use rustix::io::Errno;
use schema::{
    SnapshotId, StoredPath, StoredPathBuf, amount, escape,
    journal::{Problem, ProblemKind},
};

use super::{
    build_context::BuildContext,
    jobs::{BuildItem, DirectoryNode, Tally},
    limits::{MAX_PROBLEMS, ends_everything, explain_refusal},
};
use crate::{
    copy::Copier,
    error::{Error, Result, system_reason},
    leases::open_reason,
    manifest::{Entry, MOST_KEPT, NamesHere},
    remove::remove_tree,
    sys::{
        Dir, Kind, Owners, Stat,
        attributes::{self, Attributes},
        bytes,
    },
};

/// One thread at work on a job.
pub(super) struct Worker<'w> {
    pub(super) build: &'w BuildContext<'w>,
    pub(super) copier: Copier,
    pub(super) tally: Tally,
    current: Option<CurrentFolder>,
    known: Known,
}

/// What lines of manifests say again and again, as text and as what it means.
#[derive(Default)]
struct Known {
    names: NamesHere,
    stored: Option<(Vec<u8>, SnapshotId)>,
}

/// The folder at hand, and the path of the entry.
struct CurrentFolder {
    node: Arc<DirectoryNode>,
    path: StoredPathBuf,
    new: Option<Arc<Dir>>,
    basis: Option<Option<Arc<Dir>>>,
    source: Option<std::result::Result<Arc<Dir>, Errno>>,
    fed: Option<std::result::Result<Arc<Dir>, Errno>>,
}

impl<'w> Worker<'w> {
    /// Begins a job.
    pub(super) fn new(build: &'w BuildContext<'w>, copier: Copier) -> Self {
        Self {
            build,
            copier,
            tally: Tally::default(),
            current: None,
            known: Known::default(),
        }
    }

    /// Whether a line calls this user and group what they are called here.
    pub(super) fn has_names(&mut self, of: (u32, u32), names: [Option<&[u8]>; 2]) -> bool {
        self.known.names.are(of, names)
    }

    /// The snapshot that a line names; none if it is no name of one.
    pub(super) fn id_of(&mut self, text: &[u8]) -> Option<SnapshotId> {
        if let Some((known, id)) = &self.known.stored
            && known == text
        {
            return Some(*id);
        }
        let id = std::str::from_utf8(text).ok()?.parse().ok()?;
        self.known.stored = Some((text.to_vec(), id));
        Some(id)
    }

    /// Turns to an entry.
    pub(super) fn take_up(&mut self, item: &BuildItem) {
        self.turn_to(&item.node);
        if let Some(current) = &mut self.current {
            match &item.path {
                Some(path) => current.path.clone_from(path),
                None => current.path.push(bytes(&item.name)),
            }
        }
    }

    /// The folder at hand becomes this one, for what is said of it.
    pub(super) fn turn_to(&mut self, node: &Arc<DirectoryNode>) {
        match &mut self.current {
            Some(current) if Arc::ptr_eq(&current.node, node) => {
                current.path.truncate(0);
                current.path.push(&node.path);
            }
            current => {
                *current = Some(CurrentFolder {
                    node: Arc::clone(node),
                    path: node.path.clone(),
                    new: None,
                    basis: None,
                    source: None,
                    fed: None,
                });
            }
        }
    }

    fn current(&self) -> Result<&CurrentFolder> {
        self.current
            .as_ref()
            .ok_or_else(|| Error::failed("an entry outside of every folder"))
    }

    /// The node at hand.
    pub(super) fn node(&self) -> Result<Arc<DirectoryNode>> {
        self.current().map(|current| Arc::clone(&current.node))
    }

    /// Path in the snapshot of the entry at hand.
    pub(super) fn path(&self) -> &StoredPath {
        self.current
            .as_ref()
            .map_or(StoredPath::root(), |current| &current.path)
    }

    /// Path of the entry at hand for messages: as on the machine.
    pub(super) fn here(&self) -> Vec<u8> {
        self.path().to_absolute()
    }

    /// The folder being filled; none where it could not be made, which is listed.
    pub(super) fn new_dir(&mut self) -> Result<Option<Arc<Dir>>> {
        let current = self.current()?;
        if let Some(dir) = &current.new {
            return Ok(Some(Arc::clone(dir)));
        }
        match current.node.new.open_or_make() {
            Ok(dir) => {
                if let Some(current) = &mut self.current {
                    current.new = Some(Arc::clone(&dir));
                }
                Ok(Some(dir))
            }
            Err(error) => {
                // If whoever makes the folder itself did not come to it yet, it is lost with all
                // that is in it, which is listed then.
                let node = Arc::clone(&current.node);
                let end = node.end();
                if end.entry.is_some() || ends_everything(error) {
                    drop(end);
                    self.not_stored("make the folder", error)?;
                } else {
                    node.lose();
                }
                Ok(None)
            }
        }
    }

    /// The same folder in the basis.
    pub(super) fn basis_dir(&mut self) -> Option<Arc<Dir>> {
        let current = self.current.as_mut()?;
        current
            .basis
            .get_or_insert_with(|| {
                current
                    .node
                    .basis
                    .as_ref()
                    .and_then(|basis| basis.open().ok())
            })
            .clone()
    }

    /// The same folder in another destination's tree, where an entry of its manifest stands in it.
    pub(super) fn fed_dir(
        &mut self,
        tree: &Dir,
        entry: &Entry,
    ) -> std::result::Result<Arc<Dir>, Errno> {
        let current = self.current.as_mut().ok_or(Errno::NOENT)?;
        let fed = current.fed.get_or_insert_with(|| {
            let above = entry.stored_path().parent().unwrap_or_default();
            let opened = match above.is_root() {
                true => tree.again(),
                false => tree.folder_below(above),
            };
            opened.map(Arc::new)
        });
        fed.clone()
    }

    /// The folder that the entry at hand is found in, and its name there.
    pub(super) fn source<'i>(
        &mut self,
        item: &'i BuildItem,
    ) -> std::result::Result<(Arc<Dir>, &'i OsStr), Errno> {
        if let Some(from) = &item.from {
            return Ok((from.0.open()?, &from.1));
        }
        let current = self.current.as_mut().ok_or(Errno::NOENT)?;
        let dir = current
            .source
            .get_or_insert_with(|| match &current.node.source {
                Some(source) => source.open(),
                None => Err(Errno::NOENT),
            })
            .clone()?;
        Ok((dir, &item.name))
    }

    /// Opens the file at hand in its source, as it was met, and waits a while for who holds a lease
    /// on it.
    ///
    /// # Errors
    /// That the work is to end. The inner one is why the file cannot be opened.
    pub(super) fn open_source(
        &mut self,
        item: &BuildItem,
        stat: &Stat,
    ) -> Result<std::result::Result<File, Errno>> {
        let build = self.build;
        build.leases.open(stat.uid, &mut || build.check(), || {
            let (dir, name) = self.source(item)?;
            match build.is_here(stat) {
                true => dir.file_here(name),
                false => dir.file(name),
            }
        })
    }

    /// Lists a problem with the entry at hand.
    pub(super) fn problem(&mut self, kind: ProblemKind, message: impl Into<String>) {
        let path = self.path().to_owned();
        self.problem_at(&path, kind, message);
    }

    /// The same of another entry.
    pub(super) fn problem_at(
        &mut self,
        path: &StoredPath,
        kind: ProblemKind,
        message: impl Into<String>,
    ) {
        let totals = &mut self.tally.totals;
        match kind {
            ProblemKind::Unreadable
            | ProblemKind::NotStored
            | ProblemKind::Metadata
            | ProblemKind::Unlisted
            | ProblemKind::Unvouched => totals.errors += 1,
            ProblemKind::Vanished => totals.vanished += 1,
            ProblemKind::Torn => totals.torn += 1,
        }
        if self.tally.problems.len() < MAX_PROBLEMS {
            self.tally.problems.push(Problem {
                path: path.shown(),
                kind,
                message: message.into(),
            });
        }
    }

    /// The entry at hand was there and then was not.
    pub(super) fn vanished(&mut self) {
        self.problem(ProblemKind::Vanished, "was there and then was not");
    }

    /// The attributes of the entry at hand cannot be read, which is listed.
    pub(super) fn attributes_not_read(&mut self, error: Errno) {
        let because = match error {
            Errno::TOOBIG => format!(
                "there are more than {}, or more names than fit into a list of 64 KiB",
                amount::bytes(attributes::MOST_BYTES as u64)
            ),
            error => system_reason(&error.into()),
        };
        let message = format!("cannot read its attributes: {because}");
        self.problem(ProblemKind::Metadata, message);
    }

    /// The entry at hand cannot be read: it is gone, or listed as unreadable.
    pub(super) fn not_read(&mut self, error: Errno) {
        match error {
            // A folder on the way became something else, or another folder.
            Errno::NOENT | Errno::STALE | Errno::NOTDIR | Errno::LOOP => self.vanished(),
            error => self.problem(ProblemKind::Unreadable, open_reason(error)),
        }
    }

    /// A failure to write to the destination: the end of everything, or a problem of this entry.
    pub(super) fn not_stored(
        &mut self,
        doing: &str,
        error: impl Into<std::io::Error>,
    ) -> Result<()> {
        let error = error.into();
        let errno = error.raw_os_error().map(Errno::from_raw_os_error);
        if errno.is_none_or(ends_everything) {
            return Err(Error::io(doing, &self.here(), error));
        }
        let because = errno.and_then(|errno| explain_refusal(doing, errno));
        let because = because.map_or_else(|| system_reason(&error), str::to_owned);
        self.problem(ProblemKind::NotStored, format!("cannot {doing}: {because}"));
        Ok(())
    }

    /// Writes the entry at hand to the manifest, with the name that it was stored under, and counts
    /// it.
    pub(super) fn list(&mut self, name: &OsStr, entry: &Entry) -> Result<()> {
        self.tally.totals.entries += 1;
        let mut entry = Cow::Borrowed(entry);
        let is_own = entry.path.file_name() == bytes(name) || entry.absent;
        self.tally.totals.renamed += u64::from(!is_own);
        let stored_as = (!is_own).then(|| name.to_owned());
        if entry.stored_as != stored_as {
            entry.to_mut().stored_as = stored_as;
        }
        let kept = entry.xattrs_kept.iter();
        let kept: usize = kept.map(|(name, value)| name.len() + value.len()).sum();
        if kept > MOST_KEPT {
            // A line that nobody could read would cost the whole manifest.
            self.problem(
                ProblemKind::NotStored,
                format!(
                    "its extended attributes are {} that the destination cannot hold, and the \
                     manifest keeps at most {}",
                    amount::bytes(kept as u64),
                    amount::bytes(MOST_KEPT as u64)
                ),
            );
            entry.to_mut().xattrs_kept = Attributes::new();
        }
        let owners = Owners::of(entry.uid, entry.gid);
        entry.write_line_of(&owners, &mut self.tally.lines);
        let node = &self.current()?.node;
        if node.is_continued() {
            node.made().insert(name.to_owned());
        }
        Ok(())
    }

    /// Removes what an interrupted run left in a folder and the sources do not have any more.
    pub(super) fn remove_others(&self, node: &DirectoryNode, dir: &Dir) -> Result<()> {
        let made = node.made();
        let names = dir
            .names()
            .map_err(|error| Error::io("list", &self.here(), error))?;
        for name in names.iter().filter(|name| !made.contains(*name)) {
            let named = node.path.join(bytes(name)).shown();
            remove_tree(dir, name, &named, self.build.of_one_thread())?;
        }
        Ok(())
    }

    /// Counts bytes on disk, and files, for the snapshot that first stored them.
    pub(super) fn stores(&mut self, by: SnapshotId, stat: &Stat) {
        let stored: &mut BTreeMap<_, _> = &mut self.tally.stored_by;
        *stored.entry(by).or_default() += stat.allocated;
        if stat.kind == Kind::File {
            *self.tally.files_stored_by.entry(by).or_default() += 1;
        }
    }

    /// Makes room for a name where an interrupted run, or the basis, may have left something.
    pub(super) fn clear(&self, dir: &Dir, name: &OsStr) -> Result<()> {
        let node = &self.current()?.node;
        // Whoever makes room changes the folder.
        node.touch();
        if !node.may_hold_others() {
            return Ok(());
        }
        match dir.remove_file(name) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(Errno::ISDIR | Errno::PERM) => {
                let named = escape::display(&self.here());
                remove_tree(dir, name, &named, self.build.of_one_thread())
            }
            Err(error) => Err(Error::io("remove", &self.here(), error)),
        }
    }
}
