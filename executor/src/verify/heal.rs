//! What of the damage can be repaired, and from where. Reads only; the repair is a plan's step.
//!
//! Content comes from the source as it is now or from another stored file, and only if reading it
//! gives the recorded digest.

use std::{
    cmp::Reverse,
    collections::{BTreeSet, HashMap},
};

use chrono::{DateTime, FixedOffset, Local, TimeZone as _};
use schema::{
    Digest, SnapshotId, StoredPath, StoredPathBuf,
    config::AbsolutePath,
    escape::escape,
    plan::{
        RepairFile, RepairFolder, RepairFrom, RepairName, RepairRecords, RepairStep,
        StoredMetadata, StoredTime,
    },
    verify::{DamageKind, StoredName, Verification},
};

use super::{
    compare::{self, OWN},
    merge::open_manifest,
    names::path_of,
    repair_source::open_repair_source,
    snapshots::FoundSnapshot,
};
use crate::{
    copy::{Copier, CopyError},
    error::Result,
    event::Context,
    manifest::Entry,
    store::Store,
    sys::{
        Kind, Stat,
        attributes::{self, Attributes},
        stat::Nanos,
    },
};

/// Stored files of one content that are tried.
const TRIED: usize = 64;

/// Says how the damage can be repaired, and of the rest in `found` why it cannot.
///
/// # Errors
/// An interruption.
pub fn plan_repair(
    store: &Store,
    all: &[FoundSnapshot],
    sources: &[AbsolutePath],
    found: &mut Verification,
    context: Context<'_>,
) -> Result<RepairStep> {
    let known =
        KnownContent::read(store, all, found, context).map_err(super::pass::verify_interrupted)?;
    let bad: BTreeSet<u64> = found.damage.iter().filter_map(|one| one.inode).collect();
    let device = store.root.stat_self();
    let device = device.map_err(|error| store.io("look at", "", error))?.dev;
    let mut planner = Planner {
        store,
        device,
        sources,
        known,
        bad,
        copier: Copier::default(),
        context,
    };
    decide_repairs(&mut planner, found).map_err(super::pass::verify_interrupted)
}

/// The snapshots whose manifest or record is to be made anew.
#[must_use]
pub fn plan_record_repair(
    all: &[FoundSnapshot],
    sources: &[AbsolutePath],
    found: &Verification,
) -> Vec<RepairRecords> {
    let kinds = [DamageKind::Record, DamageKind::Manifest];
    let damage = found
        .damage
        .iter()
        .filter(|one| kinds.contains(&one.kind) && one.inode.is_none());
    let ids: BTreeSet<SnapshotId> = damage
        .flat_map(|one| one.names.iter().map(|name| name.snapshot))
        .collect();
    let changed: BTreeSet<SnapshotId> = found
        .damage
        .iter()
        .filter(|one| one.kind == DamageKind::Changed)
        .flat_map(|one| one.names.iter().map(|name| name.snapshot))
        .collect();
    // What somebody changed is not made the truth by making its records anew.
    let chosen = all
        .iter()
        .filter(|one| ids.contains(&one.id) && !changed.contains(&one.id));
    chosen
        .map(|one| RepairRecords {
            id: one.id,
            started_at: match &one.record {
                Ok(record) => record.started_at,
                Err(_) => local_time_of(one.id),
            },
            sources: sources.to_vec(),
        })
        .collect()
}

/// The time that a snapshot's name says, as the machine's clock showed it.
fn local_time_of(id: SnapshotId) -> DateTime<FixedOffset> {
    let named = id.local();
    let local = Local.from_local_datetime(&named).earliest();
    local.map_or_else(|| named.and_utc().fixed_offset(), |at| at.fixed_offset())
}

fn decide_repairs(planner: &mut Planner<'_>, found: &mut Verification) -> Result<RepairStep> {
    let mut step = RepairStep::default();
    for damage in &mut found.damage {
        planner.context.stop.check()?;
        let first = damage
            .names
            .first()
            .and_then(|name| planner.known.entries.get(name));
        let is_folder = first.is_some_and(|entry| entry.kind == Kind::Folder);
        let result = match damage.kind {
            DamageKind::Missing | DamageKind::Content | DamageKind::Unreadable
                if damage.expected.is_some() =>
            {
                planner.file(damage.inode, &damage.names, false, &mut step)?
            }
            DamageKind::Metadata if damage.expected.is_some() => {
                planner.file(damage.inode, &damage.names, true, &mut step)?
            }
            DamageKind::Metadata if is_folder => planner.folder(&damage.names, &mut step),
            DamageKind::Record if damage.names.is_empty() => {
                Err("`backup init` writes this destination's record anew".to_owned())
            }
            DamageKind::Record | DamageKind::Manifest => {
                Err("it could not be made anew".to_owned())
            }
            DamageKind::Changed => Err("what it was before is not known".to_owned()),
            DamageKind::Extra => Err("what is in a snapshot is not removed".to_owned()),
            DamageKind::WrongKind => Err("what stands in its place is not removed".to_owned()),
            _ => Err("only files and the metadata of folders are repaired".to_owned()),
        };
        damage.not_repaired = result.err();
    }
    Ok(step)
}

/// What the manifests say of damaged names and of content that may serve.
#[derive(Default)]
struct KnownContent {
    entries: HashMap<StoredName, Entry>,
    folder_times: HashMap<StoredName, Nanos>,
    copies: HashMap<Digest, Vec<StoredName>>,
}

impl KnownContent {
    /// One pass over all manifests.
    fn read(
        store: &Store,
        all: &[FoundSnapshot],
        found: &Verification,
        context: Context<'_>,
    ) -> Result<Self> {
        let mut known = Self::default();
        let mut names: HashMap<SnapshotId, BTreeSet<StoredPathBuf>> = HashMap::new();
        let mut folders: HashMap<SnapshotId, BTreeSet<StoredPathBuf>> = HashMap::new();
        for damage in &found.damage {
            for name in &damage.names {
                let path = path_of(name);
                let folder = path.parent().unwrap_or_default().to_owned();
                folders.entry(name.snapshot).or_default().insert(folder);
                names.entry(name.snapshot).or_default().insert(path);
            }
            // What only lost its metadata has its own content.
            if let (Some(digest), true) = (damage.expected, damage.kind != DamageKind::Metadata) {
                known.copies.entry(digest).or_default();
            }
        }
        let none = BTreeSet::new();
        for one in all {
            let names = names.get(&one.id).unwrap_or(&none);
            let folders = folders.get(&one.id).unwrap_or(&none);
            if names.is_empty() && known.copies.is_empty() {
                continue;
            }
            let Ok(manifest) = open_manifest(store, one, one.record.as_ref().ok()) else {
                continue;
            };
            for entry in manifest {
                context.stop.check()?;
                // A manifest that is damaged further on was told already.
                let Ok(entry) = entry else { break };
                let name = || StoredName {
                    snapshot: one.id,
                    path: escape(&entry.path),
                };
                if entry.kind == Kind::Folder && folders.contains(&entry.path) {
                    known.folder_times.insert(name(), entry.mtime);
                }
                if let Some(digest) = entry.digest
                    && let Some(copies) = known.copies.get_mut(&digest)
                    && copies.len() < TRIED
                {
                    copies.push(name());
                }
                if names.contains(&entry.path) {
                    known.entries.insert(name(), entry);
                }
            }
        }
        Ok(known)
    }
}

struct Planner<'a> {
    store: &'a Store,
    /// The file system of the destination's own folder.
    device: u64,
    sources: &'a [AbsolutePath],
    known: KnownContent,
    /// Inodes that are damaged, but for those in subvolumes, which are found when they are read.
    bad: BTreeSet<u64>,
    copier: Copier,
    context: Context<'a>,
}

/// What is done, or why not.
type Answer = std::result::Result<(), String>;

impl Planner<'_> {
    /// Plans a new file for these names.
    fn file(
        &mut self,
        inode: Option<u64>,
        names: &[StoredName],
        own_content: bool,
        step: &mut RepairStep,
    ) -> Result<Answer> {
        let entry = names.iter().find_map(|name| self.known.entries.get(name));
        let Some(entry) = entry.cloned() else {
            return Ok(Err("its manifest cannot be read".to_owned()));
        };
        let Some(digest) = entry.digest else {
            return Ok(Err("its manifest has no digest".to_owned()));
        };
        let taken = self.take_alike_names(&entry, names);
        let left = names.len() - taken.len();
        let own = taken.first().filter(|_| own_content);
        let from = match self.find_own_content(own, &entry)? {
            Some(from) => Some(from),
            None => self.content(&entry, names, digest)?,
        };
        let Some(from) = from else {
            return Ok(Err(
                "neither its source nor another stored file has this content any more".to_owned(),
            ));
        };
        let attributes = self.attributes(&entry, inode, names, &from);
        let answer = match (&attributes, left) {
            (None, _) => Err("its extended attributes are nowhere any more".to_owned()),
            (_, 0) => Ok(()),
            _ => Err(format!("{left} of its names have other records")),
        };
        step.files.push(RepairFile {
            inode,
            names: taken,
            from,
            digest,
            size: entry.size,
            metadata: stored_metadata(&entry),
            attributes: attributes
                .unwrap_or_default()
                .into_iter()
                .map(|(name, value)| (escape(&name), hex_text(&value)))
                .collect(),
        });
        Ok(answer)
    }

    /// Those of the names that the new file can have, with the times of their folders.
    fn take_alike_names(&self, entry: &Entry, names: &[StoredName]) -> Vec<RepairName> {
        let mut taken = Vec::new();
        for name in names {
            let same = self
                .known
                .entries
                .get(name)
                .is_some_and(|other| is_alike(entry, other));
            let folder = StoredName {
                snapshot: name.snapshot,
                path: path_of(name).parent().unwrap_or_default().escaped(),
            };
            if let (true, Some(time)) = (same, self.known.folder_times.get(&folder)) {
                taken.push(RepairName {
                    name: name.clone(),
                    folder_time: stored_time(*time),
                });
            }
        }
        taken
    }

    /// The damaged file itself, where its content is whole.
    fn find_own_content(
        &mut self,
        own: Option<&RepairName>,
        entry: &Entry,
    ) -> Result<Option<RepairFrom>> {
        let own = own.map(|one| RepairFrom::Stored {
            name: one.name.clone(),
        });
        match own {
            Some(own) if self.serves(&own, entry, None)? => Ok(Some(own)),
            _ => Ok(None),
        }
    }

    /// The source of a path, where one is configured for it.
    fn source(&self, path: &StoredPath) -> Option<RepairFrom> {
        let around = self.sources.iter().filter_map(|source| {
            let rest = path.rest_below(source.as_stored())?;
            Some((source, rest))
        });
        let (nearest, rest) = around.max_by_key(|(source, _)| source.as_str().len())?;
        Some(RepairFrom::Source {
            source: nearest.clone(),
            path: rest.escaped(),
        })
    }

    /// The sources of these names, the latest first: what was moved is where the last one says.
    fn sources(&self, names: &[StoredName]) -> Vec<RepairFrom> {
        let mut latest: Vec<&StoredName> = names.iter().collect();
        latest.sort_by_key(|name| Reverse(name.snapshot));
        let mut seen = BTreeSet::new();
        latest.retain(|name| seen.insert(&name.path));
        latest
            .into_iter()
            .take(TRIED)
            .filter_map(|name| self.source(&path_of(name)))
            .collect()
    }

    /// A place that has this content: a source first, then stored files.
    fn content(
        &mut self,
        entry: &Entry,
        names: &[StoredName],
        digest: Digest,
    ) -> Result<Option<RepairFrom>> {
        for source in self.sources(names) {
            if self.serves(&source, entry, None)? {
                return Ok(Some(source));
            }
        }
        let mut tried = self.bad.clone();
        for name in self.known.copies.get(&digest).cloned().unwrap_or_default() {
            let from = RepairFrom::Stored { name };
            if self.serves(&from, entry, Some(&mut tried))? {
                return Ok(Some(from));
            }
        }
        Ok(None)
    }

    /// Whether reading a place gives the entry's content; inodes in `tried` are passed over.
    fn serves(
        &mut self,
        from: &RepairFrom,
        entry: &Entry,
        tried: Option<&mut BTreeSet<u64>>,
    ) -> Result<bool> {
        let Ok(file) = open_repair_source(self.store, from) else {
            return Ok(false);
        };
        let Ok(stat) = Stat::of_fd(&file) else {
            return Ok(false);
        };
        if stat.size != entry.size
            || tried.is_some_and(|tried| !tried.insert(stat.identity(self.device)))
        {
            return Ok(false);
        }
        let stop = self.context.stop;
        let sparse = stat.allocated < stat.size;
        match self.copier.digest(&file, sparse, &mut |_| stop.check()) {
            Ok(read) => Ok(Some(read.digest) == entry.digest),
            Err(CopyError::Ended(error)) => Err(error),
            Err(CopyError::Read(_) | CopyError::Write(_)) => Ok(false),
        }
    }

    /// The attributes that the new file gets; none where they are lost.
    fn attributes(
        &self,
        entry: &Entry,
        inode: Option<u64>,
        names: &[StoredName],
        from: &RepairFrom,
    ) -> Option<Attributes> {
        let damaged = inode
            .and(names.first())
            .map(|name| RepairFrom::Stored { name: name.clone() });
        let places = damaged
            .into_iter()
            .chain(self.sources(names))
            .chain([from.clone()]);
        let mut all = vec![Attributes::new()];
        all.extend(places.filter_map(|place| {
            let file = open_repair_source(self.store, &place).ok()?;
            attributes::of_fd(&file).ok()
        }));
        let kept = |name: &Vec<u8>| entry.xattrs_kept.iter().any(|(other, _)| other == name);
        let mut right = all
            .into_iter()
            .find(|found| compare::is_right(entry, found.clone()))?;
        right.retain(|(name, _)| !kept(name) && !OWN.contains(&name.as_slice()));
        Some(right)
    }

    /// Plans a folder's metadata.
    fn folder(&self, names: &[StoredName], step: &mut RepairStep) -> Answer {
        for name in names {
            let Some(entry) = self.known.entries.get(name) else {
                return Err("its manifest cannot be read".to_owned());
            };
            if entry.path.is_empty() {
                return Err("the snapshot's own folder is not changed".to_owned());
            }
            step.folders.push(RepairFolder {
                name: name.clone(),
                metadata: stored_metadata(entry),
            });
            let stored = self.store.home_of(name.snapshot).ok().flatten();
            let stored = stored.and_then(|home| {
                let tree = self.store.snapshot(home, name.snapshot).ok()?;
                let (dir, name) = tree.descend(&entry.path).ok()?;
                attributes::of_fd(dir.folder(name).ok()?).ok()
            });
            if !stored.is_some_and(|stored| compare::is_right(entry, stored)) {
                return Err("extended attributes of folders are not repaired".to_owned());
            }
        }
        Ok(())
    }
}

/// Whether one new inode can be both.
fn is_alike(a: &Entry, b: &Entry) -> bool {
    a.kind == b.kind
        && (a.mode, a.uid, a.gid, a.mtime, a.size) == (b.mode, b.uid, b.gid, b.mtime, b.size)
        && a.digest == b.digest
        && a.xattrs_digest == b.xattrs_digest
}

fn stored_metadata(entry: &Entry) -> StoredMetadata {
    StoredMetadata {
        mode: entry.mode,
        uid: entry.uid,
        gid: entry.gid,
        time: stored_time(entry.mtime),
    }
}

fn stored_time(nanos: Nanos) -> StoredTime {
    const SECOND: Nanos = 1_000_000_000;
    StoredTime {
        seconds: i64::try_from(nanos.div_euclid(SECOND)).unwrap_or(i64::MAX),
        nanos: u32::try_from(nanos.rem_euclid(SECOND)).unwrap_or(0),
    }
}

fn hex_text(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
