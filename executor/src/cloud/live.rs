//! A manifest of the live sources, for copies in the cloud without local snapshots.
//!
//! The same walk and the same matcher as for a snapshot say what belongs to it. Digests of files
//! that are surely untouched come from the last upload's manifest; all other files are read.

use std::{
    collections::{BTreeSet, HashMap},
    ffi::{OsStr, OsString},
    fs::File,
    os::unix::ffi::{OsStrExt as _, OsStringExt as _},
    path::PathBuf,
};

use chrono::{DateTime, FixedOffset, Local};
use rustix::io::Errno;
use schema::{
    Digest, Plan, SnapshotId, StoredPath, StoredPathBuf,
    config::AbsolutePath,
    journal::{Problem, ProblemKind},
    pattern::Excludes,
    plan::{CloudSyncStep, LiveSources},
    record::{Engine, FORMAT_VERSION, ReadSpan, SnapshotRecord, SnapshotTotals, SourceRecord},
};

use super::{memory::RemoteCache, roots::Roots};
use crate::{
    copy::{Copier, CopyError},
    error::{Error, Result, system_reason},
    event::Context,
    leases::{LeasePatience, open_reason},
    manifest::{self, Cursor, Entry, Reader, Writer, xattrs_digest},
    store::{SNAPSHOT_FILE, read_json},
    survey::{
        Bounds, Content, Encountered, HoleBudget, Root, Since, WalkEvent, file_systems,
        in_manifest_order, left_out_reason, survey_roots, survey_source, sync,
    },
    sys::{
        Dir, Kind, Owners, Stat, attributes,
        resolve::{Resolved, resolve},
    },
};

/// Name of the manifest while it is made.
const NEW: &str = "live.new";
/// Problems that are listed one by one.
const LISTED: usize = 1000;
/// How often a file that changes while it is read is read again.
const TRIES: u32 = 3;

/// An entry's folder, open, with its name there.
type Placed<'a> = std::result::Result<(Dir, &'a OsStr), Errno>;

/// The sources as they are now.
pub struct Live {
    /// The record of what was found.
    pub record: SnapshotRecord,
    /// The manifest.
    pub manifest: Reader,
    /// Where the files are.
    pub roots: Roots,
}

/// Walks the sources and writes their manifest to the cache.
///
/// # Errors
/// An interruption, an invalid pattern, or a cache that cannot be written.
pub fn survey_live_sources(
    cache: &RemoteCache,
    plan: &Plan,
    step: &CloudSyncStep,
    live: &LiveSources,
    context: Context<'_>,
) -> Result<Live> {
    let excludes = Excludes::new(&live.exclude_patterns)
        .map_err(|fault| Error::failed(format!("local.excludePatterns: {fault}")))?;
    let bounds = Bounds {
        excludes: &excludes,
        one_file_system: live.one_file_system,
        // It changes while files are uploaded, and is of no use to anyone else.
        never: Some(cache.inode()?),
    };
    let order = in_manifest_order(&live.sources);
    // As for a snapshot: what is touched from now on is read once more by the next copy, and stores
    // through a mapping move the change time.
    let from = Local::now().fixed_offset();
    sync::sync_file_systems(file_systems(&order, &bounds), context)?;
    let mut making = Making::new(cache, step, live.max_hole_bytes, context)?;
    let mut roots = Roots::default();
    let mut sources = Vec::new();
    for root in survey_roots(&order) {
        sources.extend(making.source(root, bounds, &mut roots)?);
    }
    let Making {
        writer,
        totals,
        problems,
        ..
    } = making;
    let io = |error| write_error(cache, error);
    let manifest_digest = writer.finish().map_err(io)?;
    let record = SnapshotRecord {
        complete: totals.errors == 0 && sources.iter().all(|source| source.present),
        sources,
        totals,
        problems,
        sealed_at: context.clock.now(),
        ..begin_record(plan, step, live, from, manifest_digest)
    };
    let manifest = Reader::new(cache.file(NEW)?).map_err(io)?;
    Ok(Live {
        record,
        manifest,
        roots,
    })
}

/// The record of sources that were read `from` a time until now, without what was found in them.
fn begin_record(
    plan: &Plan,
    step: &CloudSyncStep,
    live: &LiveSources,
    from: DateTime<FixedOffset>,
    manifest_digest: Digest,
) -> SnapshotRecord {
    SnapshotRecord {
        format_version: FORMAT_VERSION,
        id: step.snapshot,
        host: plan.host.clone(),
        run_id: plan.run_id.clone(),
        started_at: plan.created_at,
        sealed_at: from,
        day: plan.created_at.date_naive(),
        sequence: 0,
        read: Some(ReadSpan {
            from,
            until: Local::now().fixed_offset(),
        }),
        complete: false,
        suspect: Vec::new(),
        suspect_since: None,
        basis: None,
        line_from: None,
        engine: Engine::BuiltIn,
        made_by: concat!("backup ", env!("CARGO_PKG_VERSION")).to_owned(),
        sources: Vec::new(),
        exclude_patterns: live.exclude_patterns.clone(),
        totals: SnapshotTotals::default(),
        stored_by: Default::default(),
        files_stored_by: Default::default(),
        manifest: manifest::FILE_NAME.to_owned(),
        manifest_digest,
        problems: Vec::new(),
        manifest_rebuilt_at: None,
        record_rebuilt_at: None,
        subvolume: false,
    }
}

fn write_error(cache: &RemoteCache, error: std::io::Error) -> Error {
    Error::io("write", cache.named(NEW).as_bytes(), error)
}

/// The manifest of the last upload, with when the sources were read that it describes.
fn last_record(cache: &RemoteCache, step: &CloudSyncStep) -> Option<(Cursor, Since)> {
    let id = step.last?;
    let manifest = cache.manifest(id)?;
    let cached = cache.cached_snapshot(id)?;
    let record = read_json(&cached, SNAPSHOT_FILE, SNAPSHOT_FILE);
    let record: Option<SnapshotRecord> = record.unwrap_or_default();
    // Where nothing tells it, all is read.
    let since = record.map_or_else(Since::never, |record| Since::of(&record));
    Some((Cursor::new(manifest), since))
}

/// A manifest in the making.
struct Making<'a> {
    cache: &'a RemoteCache,
    step: &'a CloudSyncStep,
    writer: Writer,
    last: Option<(Cursor, Since)>,
    copier: Copier,
    /// How many bytes of holes may still be read.
    holes: HoleBudget,
    /// For files on which others hold leases.
    leases: LeasePatience,
    /// Files with several names: the number that these share, with the content.
    groups: HashMap<(u64, u64), (u64, Option<Digest>)>,
    /// Folders above sources that have an entry.
    above: BTreeSet<StoredPathBuf>,
    totals: SnapshotTotals,
    problems: Vec<Problem>,
    context: Context<'a>,
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

/// A file with the content that is recorded of it.
struct SettledFile {
    /// How it was before it was read.
    stat: Stat,
    digest: Digest,
    /// Since which snapshot it has this content, where that is another one.
    stored: Option<SnapshotId>,
}

impl<'a> Making<'a> {
    fn new(
        cache: &'a RemoteCache,
        step: &'a CloudSyncStep,
        max_hole_bytes: u64,
        context: Context<'a>,
    ) -> Result<Self> {
        let io = |error| write_error(cache, error);
        Ok(Self {
            cache,
            step,
            writer: Writer::new(cache.new_file(NEW)?).map_err(io)?,
            // What is damaged there only makes more to read.
            last: last_record(cache, step),
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
    fn source(
        &mut self,
        root: Root<'_>,
        bounds: Bounds<'_>,
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
                Err(Errno::NOENT) => {
                    self.totals.vanished += 1;
                    return Ok(());
                }
                Err(error) => {
                    self.unread(&path, error);
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
            Err(Errno::NOENT) => {
                self.totals.vanished += 1;
                return Ok(());
            }
            Err(error) => {
                self.unread(&path, error);
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
        entry.stored = Some(stored.unwrap_or(self.step.snapshot));
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

    /// Finds a file's content in the last manifest or under another name of it, or reads it; nothing
    /// where it cannot be read, which is noted.
    fn settle_content(
        &mut self,
        path: &StoredPath,
        file: &File,
        stat: &Stat,
    ) -> Result<Option<SettledFile>> {
        let last = match &mut self.last {
            Some((last, _)) => last.find(path).ok().flatten(),
            None => None,
        };
        let untouched = |entry: &Entry, stat: &Stat| {
            let last = self.last.as_ref();
            last.is_some_and(|(_, since)| since.untouched(entry, stat))
        };
        let known = if stat.nlink > 1 {
            self.groups.get(&(stat.dev, stat.ino)).and_then(|one| one.1)
        } else {
            None
        };
        let mut tries = 0;
        let mut read_before = None;
        let (stat, digest, stored) = loop {
            let before = Stat::of_fd(file).map_err(|error| Error::io("look at", path, error))?;
            if before.kind != Kind::File {
                self.unread(path, Errno::STALE);
                return Ok(None);
            }
            if let Some(last) = last.as_ref().filter(|last| untouched(last, &before))
                && let Some(digest) = last.digest
            {
                break (before, digest, last.stored);
            }
            if let Some(digest) = known
                && (before.ino, before.ctime) == (stat.ino, stat.ctime)
            {
                break (before, digest, None);
            }
            // Each try reads what is there then.
            if !self.holes.takes(&before) {
                if let Some((before, digest)) = read_before {
                    break (before, digest, None);
                }
                self.problem(path, ProblemKind::Unreadable, left_out_reason(&before));
                return Ok(None);
            }
            let stop = self.context.stop;
            let sparse = before.allocated < before.size;
            let read = self.copier.digest(file, sparse, &mut |_| stop.check());
            let digest = match read {
                Ok(read) => read.digest,
                Err(CopyError::Ended(error)) => return Err(error),
                Err(CopyError::Read(error) | CopyError::Write(error)) => {
                    self.problem(path, ProblemKind::Unreadable, system_reason(&error));
                    return Ok(None);
                }
            };
            tries += 1;
            let after = Stat::of_fd(file).map_err(|error| Error::io("look at", path, error))?;
            // What still changes is found out when it was uploaded: the entry says how it was.
            if (after.ctime, after.size) == (before.ctime, before.size) || tries == TRIES {
                break (before, digest, None);
            }
            read_before = Some((before, digest));
        };
        Ok(Some(SettledFile {
            stat,
            digest,
            stored,
        }))
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

    fn unread(&mut self, path: &StoredPath, error: Errno) {
        self.problem(path, ProblemKind::Unreadable, open_reason(error));
    }

    fn problem(&mut self, path: &StoredPath, kind: ProblemKind, message: String) {
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
