//! Compares a snapshot with the sources as they are, which are walked as for a snapshot.
//!
//! A file with another size or time of content counts as changed, one that is untouched as a snapshot
//! means it as the same, and neither is read. Read is what looks the same and may have been touched
//! while the snapshot was made, which is little. Writes nothing.

use std::{
    cmp::Ordering,
    ffi::{OsStr, OsString},
    os::unix::ffi::{OsStrExt as _, OsStringExt as _},
    path::PathBuf,
};

use rustix::io::Errno;
use schema::{SnapshotId, StoredPath, StoredPathBuf, pattern::Excludes};

use super::{
    diff::{Change, Diff, Side, same_metadata},
    lines::{Lines, RecentTexts},
};
use crate::{
    copy::{Copier, CopyError},
    error::{Error, Result, system_reason},
    event::Context,
    manifest::{Entry, order_of_paths, xattrs_digest},
    store::Store,
    survey::{
        Bounds, Content, Encountered, Root, Since, SourceChoice, Tags, WalkEvent,
        in_manifest_order, survey_roots, survey_source,
    },
    sys::{
        Dir, Kind, Stat,
        attributes::{self, Attributes},
        resolve::resolve,
    },
};

/// What differs from the sources as they are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Now {
    /// What differs.
    pub diff: Diff,
    /// What could not be read, without a leading slash, with the reason; nothing is said of what is
    /// below.
    pub unread: Vec<(StoredPathBuf, String)>,
}

/// Compares a snapshot with the sources, at and below a path, which has no leading slash; empty for
/// all. The inodes in `never` are not entered.
///
/// # Errors
/// A pattern or manifest that cannot be read, or an interruption.
pub fn diff_now(
    store: &Store,
    before: SnapshotId,
    choice: &SourceChoice<'_>,
    never: &[(u64, u64)],
    path: &StoredPath,
    context: Context<'_>,
) -> Result<Now> {
    let excludes = Excludes::new(choice.exclude_patterns)
        .map_err(|fault| Error::failed(format!("local.excludePatterns: {fault}")))?;
    let bounds = Bounds {
        excludes: &excludes,
        one_file_system: choice.one_file_system,
        never,
    };
    let order = in_manifest_order(choice.sources.iter().copied());
    let texts = RecentTexts::default();
    let lines = Lines::open(store, before, path, &texts)?;
    let record = store.record(before).ok().flatten();
    let mut walking = Walking {
        below: StoredPathBuf::of_names(path.names()),
        before: lines,
        above: Vec::new(),
        found: Now::default(),
        // Where nothing tells when it was read, what looks the same is read.
        since: record.map_or_else(Since::never, |record| Since::of(&record)),
        copier: Copier::default(),
        context,
    };
    walking.before.advance()?;
    for root in survey_roots(&order) {
        walking.source(&root, (bounds, choice.tags))?;
    }
    while walking.before.path().is_some() {
        walking.removed()?;
    }
    walking.found.diff.find_renames_by(&|side: &Side| {
        let is_some = side.kind == Kind::File && side.size > 0;
        is_some.then_some((side.ino, side.size, side.mtime))
    });
    Ok(walking.found)
}

struct Walking<'a> {
    /// What is compared.
    below: StoredPathBuf,
    before: Lines<'a>,
    /// Folders above sources that were compared.
    above: Vec<StoredPathBuf>,
    found: Now,
    since: Since,
    copier: Copier,
    context: Context<'a>,
}

impl Walking<'_> {
    fn source(&mut self, root: &Root<'_>, bounds: (Bounds<'_>, Tags<'_>)) -> Result<()> {
        let prefix = root.path.as_stored();
        if !prefix.is_within(&self.below) && !self.below.is_within(prefix) {
            return Ok(());
        }
        self.enter_above(prefix)?;
        let below = &root.below;
        let root = match &root.found {
            Ok(root) => root,
            Err(error) => {
                self.unread(prefix, *error);
                return Ok(());
            }
        };
        // A source that is no folder has no content to descend into.
        let folder = root.folder();
        let context = self.context;
        let told = &mut |path: &StoredPath, told: WalkEvent| {
            let here = prefix.join(path);
            let WalkEvent::Encountered(met) = told else {
                return Ok(());
            };
            if !here.is_within(&self.below) {
                return Ok(());
            }
            let is_mount_point = matches!(met, Encountered::MountPoint(_));
            let place = || match (path, &folder) {
                // Nobody looks at what is passed over.
                _ if is_mount_point => Err(Errno::XDEV),
                (path, _) if path.is_root() => Ok((root.parent.again()?, root.name.as_os_str())),
                (path, Ok(folder)) => folder.descend(path),
                (_, Err(error)) => Err(*error),
            };
            self.met(&here, &place, met)
        };
        let told = &mut |path: &StoredPath, what| told(path, what).map(|()| Content::Unknown);
        survey_source(root, below, bounds, context, told)?;
        Ok(())
    }

    /// Compares the folders above a source, which belong to a snapshot, too.
    fn enter_above(&mut self, prefix: &StoredPath) -> Result<()> {
        for above in prefix.folders_above() {
            if self.above.iter().any(|one| **one == *above) || !above.is_within(&self.below) {
                continue;
            }
            self.above.push(above.to_owned());
            if above.is_root() {
                self.pass_top()?;
                continue;
            }
            let path = PathBuf::from(OsString::from_vec(above.to_absolute()));
            let Ok(found) = resolve(&path) else {
                continue;
            };
            let place = || Ok((found.parent.again()?, found.name.as_os_str()));
            self.compare(above, &place, &found.stat)?;
        }
        Ok(())
    }

    /// Passes over the top of a snapshot, which is a folder of this program's own where `/` is no source:
    /// whoever made the backup owns it, and it says nothing of `/`.
    fn pass_top(&mut self) -> Result<()> {
        let top = Lines::escaped(StoredPath::root());
        let before = self.before.path();
        if before.is_some_and(|before| order_of_paths(before, &top) == Ordering::Equal) {
            self.before.advance()?;
            self.found.diff.same += 1;
        }
        Ok(())
    }

    fn met<'p>(
        &mut self,
        path: &StoredPath,
        place: &Place<'_, 'p>,
        met: Encountered,
    ) -> Result<()> {
        match met {
            Encountered::Leave | Encountered::Vanished => Ok(()),
            Encountered::Enter(stat)
            | Encountered::Leaf(stat)
            | Encountered::Hollow(stat)
            | Encountered::MountPoint(stat) => self.compare(path, place, &stat),
            Encountered::Unreadable(stat, error) => {
                if let Some(stat) = stat {
                    self.compare(path, place, &stat)?;
                }
                self.unread(path, error);
                Ok(())
            }
        }
    }

    fn compare<'p>(&mut self, path: &StoredPath, place: &Place<'_, 'p>, stat: &Stat) -> Result<()> {
        let here = Lines::escaped(path);
        let is_there = loop {
            match self
                .before
                .path()
                .map(|before| order_of_paths(before, &here))
            {
                Some(Ordering::Less) => self.removed()?,
                Some(Ordering::Equal) => break true,
                Some(Ordering::Greater) | None => break false,
            }
        };
        if !is_there {
            let mut entry = Entry::of(path, stat);
            self.complete(&mut entry, None, place);
            self.found.diff.push(Change::Added, None, Some(entry));
            return Ok(());
        }
        let before = self.before.entry()?;
        self.before.advance()?;
        if self.since.untouched(&before, stat) {
            self.found.diff.same += 1;
            return Ok(());
        }
        let mut now = Entry::of(path, stat);
        if !self.complete(&mut now, Some(&before), place) {
            return Ok(());
        }
        let racy = before.kind == Kind::File && before.untouched(stat);
        let reads_the_same = if racy {
            self.reads_as(&before, place)?
        } else {
            None
        };
        if reads_the_same == Some(true) {
            self.found.diff.same += 1;
            return Ok(());
        }
        let same_content = before.kind == now.kind
            && match now.kind {
                Kind::File if reads_the_same == Some(false) => false,
                Kind::File => (before.size, before.mtime) == (now.size, now.mtime) && !before.torn,
                Kind::Symlink => before.target == now.target,
                Kind::CharDevice | Kind::BlockDevice => before.device == now.device,
                Kind::Folder | Kind::Fifo | Kind::Socket => true,
            };
        let change = if !same_content {
            Change::Content
        } else if !same_metadata(&before, &now) {
            Change::Metadata
        } else if now.kind == Kind::File {
            Change::Touched
        } else {
            self.found.diff.same += 1;
            return Ok(());
        };
        self.found.diff.push(change, Some(before), Some(now));
        Ok(())
    }

    /// Whether a file has the content that an entry describes; none where it cannot be read.
    fn reads_as<'p>(&mut self, entry: &Entry, place: &Place<'_, 'p>) -> Result<Option<bool>> {
        let opened = place().and_then(|(dir, name)| dir.file(name));
        let Ok(file) = opened else {
            return Ok(None);
        };
        let stop = self.context.stop;
        let sparse = Stat::of_fd(&file).is_ok_and(|stat| stat.allocated < stat.size);
        match self.copier.digest(&file, sparse, &mut |_| stop.check()) {
            Ok(read) => Ok(Some(Some(read.digest) == entry.digest)),
            Err(CopyError::Ended(error)) => Err(error),
            Err(_) => Ok(None),
        }
    }

    /// Adds what the kernel's first answer does not have; false where it cannot be read. Attributes that this
    /// user may not read are taken to be those that it had before.
    fn complete<'p>(
        &mut self,
        entry: &mut Entry,
        before: Option<&Entry>,
        place: &Place<'_, 'p>,
    ) -> bool {
        let look = || -> std::result::Result<_, Errno> {
            let (dir, name) = match place() {
                Err(Errno::XDEV) => return Ok((None, xattrs_digest(&Attributes::default()))),
                placed => placed?,
            };
            let target = match entry.kind {
                Kind::Symlink => Some(dir.read_symlink(name)?.as_bytes().to_vec()),
                _ => None,
            };
            Ok((
                target,
                match attributes::of_entry(&dir, name) {
                    Err(Errno::ACCESS | Errno::PERM) if before.is_some() => {
                        before.and_then(|before| before.xattrs_digest)
                    }
                    // Where attributes cannot be had, a snapshot has none of them either.
                    attributes => xattrs_digest(&attributes.unwrap_or_default()),
                },
            ))
        };
        match look() {
            Ok((target, xattrs)) => {
                entry.target = target;
                entry.xattrs_digest = xattrs;
                true
            }
            Err(error) => {
                self.unread(&entry.path.clone(), error);
                false
            }
        }
    }

    /// Passes over what the snapshot has and the sources have not, where that is known.
    fn removed(&mut self) -> Result<()> {
        let entry = self.before.entry()?;
        self.before.advance()?;
        let unread = &self.found.unread;
        if !unread.iter().any(|(above, _)| entry.path.is_within(above)) {
            self.found.diff.push(Change::Removed, Some(entry), None);
        }
        Ok(())
    }

    fn unread(&mut self, path: &StoredPath, error: Errno) {
        self.found
            .unread
            .push((path.to_owned(), system_reason(&error.into())));
    }
}

/// Opens an entry's folder, with the name there.
type Place<'f, 'p> = dyn Fn() -> std::result::Result<(Dir, &'p OsStr), Errno> + 'f;
