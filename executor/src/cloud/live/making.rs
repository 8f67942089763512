//! The manifest in the making: an entry for each that the walk meets.

use std::{
    collections::{BTreeSet, HashMap},
    ffi::{OsStr, OsString},
    os::unix::ffi::{OsStrExt as _, OsStringExt as _},
    path::PathBuf,
};

use rustix::io::Errno;
use schema::{
    Digest, SnapshotId, StoredPath, StoredPathBuf,
    config::AbsolutePath,
    journal::{Problem, ProblemKind},
    record::{SnapshotTotals, SourceRecord},
};

use super::{LiveBasis, NEW, content::SettledFile, write_error};
use crate::{
    cloud::{memory::RemoteCache, roots::Roots},
    copy::Copier,
    error::Result,
    event::Context,
    leases::{LeasePatience, open_reason},
    manifest::{Cursor, Entry, Writer, xattrs_digest},
    survey::{
        Bounds, Content, Encountered, HoleBudget, Root, Since, Tags, WalkEvent, survey_source,
    },
    sys::{
        Dir, Kind, Owners, Stat, attributes,
        resolve::{Resolved, resolve},
    },
};

/// Problems that are listed one by one.
const LISTED: usize = 1000;

/// An entry's folder, open, with its name there.
type Placed<'a> = std::result::Result<(Dir, &'a OsStr), Errno>;

/// A manifest in the making.
pub(super) struct Making<'a> {
    cache: &'a RemoteCache,
    /// The name that what is found gets.
    snapshot: SnapshotId,
    pub(super) writer: Writer,
    pub(super) last: Option<(Cursor, Since)>,
    pub(super) copier: Copier,
    /// How many bytes of holes may still be read.
    pub(super) holes: HoleBudget,
    /// For files on which others hold leases.
    leases: LeasePatience,
    /// Files with several names: the number that these share, with the content.
    pub(super) groups: HashMap<(u64, u64), (u64, Option<Digest>)>,
    /// Folders above sources that have an entry.
    above: BTreeSet<StoredPathBuf>,
    pub(super) totals: SnapshotTotals,
    pub(super) problems: Vec<Problem>,
    pub(super) context: Context<'a>,
}

/// An entry with nothing found of it.
fn absent_source(path: &AbsolutePath) -> SourceRecord {
    SourceRecord {
        path: path.clone(),
        present: false,
        mounted: false,
        entries: 0,
        files: 0,
    }
}

/// Where a path of a source is; `folder` is the source itself, if it is one.
fn place_of<'p>(
    root: &'p Resolved,
    folder: &std::result::Result<Dir, Errno>,
    path: &'p StoredPath,
) -> Placed<'p> {
    match (path, folder) {
        (path, _) if path.is_root() => root.parent.again().map(|dir| (dir, root.name.as_os_str())),
        (path, Ok(folder)) => folder.descend(path),
        (_, Err(error)) => Err(*error),
    }
}

impl<'a> Making<'a> {
    pub(super) fn new(
        cache: &'a RemoteCache,
        basis: LiveBasis,
        max_hole_bytes: u64,
        context: Context<'a>,
    ) -> Result<Self> {
        let io = |error| write_error(cache, error);
        Ok(Self {
            cache,
            snapshot: basis.snapshot,
            writer: Writer::new(cache.new_file(NEW)?).map_err(io)?,
            // What is damaged there only makes more to read.
            last: basis.last,
            copier: Copier::default(),
            holes: HoleBudget::new(max_hole_bytes),
            leases: LeasePatience::default(),
            groups: HashMap::new(),
            above: BTreeSet::new(),
            totals: SnapshotTotals::default(),
            problems: Vec::new(),
            context,
        })
    }

    /// Lists what is in a source and in those within it.
    pub(super) fn source(
        &mut self,
        root: Root<'_>,
        bounds: (Bounds<'_>, Tags<'_>),
        roots: &mut Roots,
    ) -> Result<Vec<SourceRecord>> {
        let Root { path, found, below } = root;
        let prefix = path.as_stored();
        let mut records = vec![absent_source(path)];
        let root = match found {
            Ok(root) => root,
            Err(error) => {
                self.unread(prefix, error);
                return Ok(records);
            }
        };
        self.enter_above(prefix)?;
        records[0].mounted = root.stat.mount_root;
        records.extend(below.inner.iter().map(|inner| SourceRecord {
            mounted: inner.resolved.stat.mount_root,
            ..absent_source(inner.path)
        }));
        // A source that is no folder has no content to descend into.
        let folder = root.folder();
        let context = self.context;
        let told = &mut |path: &StoredPath, told: WalkEvent| {
            let owner = below.owner(path).map_or(0, |inner| inner + 1);
            if let WalkEvent::Encountered(
                Encountered::Enter(_) | Encountered::Leaf(_) | Encountered::MountPoint(_),
            ) = &told
            {
                records[owner].present = true;
            }
            let here = prefix.join(path);
            let is_mount_point = matches!(told, WalkEvent::Encountered(Encountered::MountPoint(_)));
            let place = if is_mount_point {
                // Nobody looks at what is passed over.
                Err(Errno::XDEV)
            } else {
                place_of(&root, &folder, path)
            };
            let before = self.totals.entries;
            self.met(here, place, told)?;
            records[owner].entries += self.totals.entries - before;
            Ok(())
        };
        let told = &mut |path: &StoredPath, what| told(path, what).map(|()| Content::Unknown);
        survey_source(&root, &below, bounds, context, told)?;
        for (record, inner) in records.iter().skip(1).zip(&below.inner) {
            if !record.present {
                self.unread(inner.path.as_stored(), Errno::STALE);
            }
        }
        roots.0.push((prefix.to_owned(), root));
        Ok(records)
    }

    /// Lists the folders above a source, for a restore to make.
    fn enter_above(&mut self, prefix: &StoredPath) -> Result<()> {
        for above in prefix.folders_above() {
            if !self.above.insert(above.to_owned()) {
                continue;
            }
            let path = PathBuf::from(OsString::from_vec(above.to_absolute()));
            let Ok(found) = resolve(&path) else {
                continue;
            };
            let (dir, name) = (found.parent, found.name);
            self.other(above.to_owned(), Ok((dir, &name)), &found.stat)?;
        }
        Ok(())
    }

    fn met(&mut self, path: StoredPathBuf, place: Placed<'_>, told: WalkEvent) -> Result<()> {
        let WalkEvent::Encountered(met) = told else {
            return Ok(());
        };
        match met {
            Encountered::Leave => Ok(()),
            Encountered::Leaf(stat) if stat.kind == Kind::File => self.file(path, place, &stat),
            Encountered::Enter(stat) | Encountered::Leaf(stat) | Encountered::Hollow(stat) => {
                self.other(path, place, &stat)
            }
            Encountered::MountPoint(stat) => {
                self.totals.folders += 1;
                self.write(&Entry::of(&path, &stat))
            }
            Encountered::Unreadable(stat, error) => {
                self.unread(&path, error);
                match stat {
                    Some(stat) => self.other(path, place, &stat),
                    None => Ok(()),
                }
            }
            Encountered::Vanished => {
                self.totals.vanished += 1;
                Ok(())
            }
        }
    }

    /// A folder, symlink or special file.
    fn other(&mut self, path: StoredPathBuf, place: Placed<'_>, stat: &Stat) -> Result<()> {
        let mut entry = Entry::of(&path, stat);
        let (dir, name) = match place {
            Ok(place) => place,
            Err(error) => {
                self.unread(&path, error);
                return Ok(());
            }
        };
        if stat.kind == Kind::Symlink {
            match dir.read_symlink(name) {
                Ok(target) => entry.target = Some(target.as_bytes().to_vec()),
                Err(error) => {
                    self.gone_or_unread(&path, error);
                    return Ok(());
                }
            }
        }
        entry.xattrs_kept = attributes::of_entry(&dir, name).unwrap_or_default();
        entry.xattrs_digest = xattrs_digest(&entry.xattrs_kept);
        if stat.kind != Kind::Folder && stat.nlink > 1 {
            entry.group = Some(self.group(stat).0);
        }
        self.totals.folders += u64::from(stat.kind == Kind::Folder);
        self.write(&entry)
    }

    fn file(&mut self, path: StoredPathBuf, place: Placed<'_>, stat: &Stat) -> Result<()> {
        let stop = self.context.stop;
        let opened = match place {
            Ok((dir, name)) => self
                .leases
                .open(stat.uid, &mut || stop.check(), || dir.file(name))?,
            Err(error) => Err(error),
        };
        let file = match opened {
            Ok(file) => file,
            Err(error) => {
                self.gone_or_unread(&path, error);
                return Ok(());
            }
        };
        let Some(settled) = self.settle_content(&path, &file, stat)? else {
            return Ok(());
        };
        let SettledFile {
            stat: now,
            digest,
            stored,
        } = settled;
        let mut entry = Entry::of(&path, &now);
        entry.digest = Some(digest);
        entry.stored = Some(stored.unwrap_or(self.snapshot));
        entry.xattrs_kept = attributes::of_fd(&file).unwrap_or_default();
        entry.xattrs_digest = xattrs_digest(&entry.xattrs_kept);
        if now.nlink > 1 {
            let group = self.group(&now);
            group.1 = Some(digest);
            entry.group = Some(group.0);
        }
        self.totals.files += 1;
        self.totals.bytes += now.size;
        self.write(&entry)
    }

    fn group(&mut self, stat: &Stat) -> &mut (u64, Option<Digest>) {
        let number = self.groups.len() as u64 + 1;
        let inode = (stat.dev, stat.ino);
        self.groups.entry(inode).or_insert((number, None))
    }

    fn write(&mut self, entry: &Entry) -> Result<()> {
        self.totals.entries += 1;
        let entry = Entry {
            owners: Owners::of(entry.uid, entry.gid),
            ..entry.clone()
        };
        self.writer
            .write(&entry)
            .map_err(|error| write_error(self.cache, error))
    }

    /// What was met and then could not be opened: gone meanwhile, or listed.
    fn gone_or_unread(&mut self, path: &StoredPath, error: Errno) {
        if error == Errno::NOENT {
            self.totals.vanished += 1;
        } else {
            self.unread(path, error);
        }
    }

    pub(super) fn unread(&mut self, path: &StoredPath, error: Errno) {
        self.problem(path, ProblemKind::Unreadable, open_reason(error));
    }

    pub(super) fn problem(&mut self, path: &StoredPath, kind: ProblemKind, message: String) {
        self.totals.errors += 1;
        if self.problems.len() < LISTED {
            self.problems.push(Problem {
                path: path.shown(),
                kind,
                message,
            });
        }
    }
}
