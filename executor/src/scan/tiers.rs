//! What stands in the tiers of a destination: snapshots, links and what others made.

use std::{
    cmp::Reverse,
    collections::BTreeSet,
    ffi::{OsStr, OsString},
    io,
};

use rustix::io::Errno;
use schema::{
    FailureCode, SnapshotId, Tier, escape,
    inventory::{DestinationState, InTheWay, SnapshotState, TierLink, Unmanaged},
    record::{SnapshotMarks, SnapshotRecord},
};

use crate::{
    error::{failure_code, system_reason},
    side_by_side::with_each,
    state_dir::{Beside, RecordIndex},
    store::{
        AllRecords, EarlyRecords, FoundRecords, LATEST, RecordRoom, SNAPSHOT_FILE, Store,
        record_path,
    },
    sys::{Dir, Kind, Listed, Stat, bytes},
};

/// The names in the tiers, each with what it stands for; why it cannot be listed, of a tier that cannot.
pub(super) type ListedTiers = Vec<(Tier, Result<Vec<TierEntry>, Errno>)>;

/// A name in a tier.
#[derive(Debug)]
pub(super) struct TierEntry {
    name: OsString,
    id: Option<SnapshotId>,
    kind: Kind,
    /// Of a symlink where it leads, for people.
    target: Option<String>,
}

/// Lists the tiers, with so many questions at once.
pub(super) fn list_tiers(store: &Store, at_once: usize) -> ListedTiers {
    let listed = with_each(&Tier::ALL, at_once, &|tier| {
        let dir = store.root.folder(OsStr::new(tier.folder()))?;
        let mut listed = dir.list_once()?;
        listed.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        let entries = with_each(&listed, at_once, &|one| look_at_entry(&dir, one));
        Ok(entries.into_iter().flatten().collect())
    });
    Tier::ALL.into_iter().zip(listed).collect()
}

/// What has a name in a tier's folder; none if it is gone.
fn look_at_entry(dir: &Dir, one: &Listed) -> Option<TierEntry> {
    let name = &one.name;
    let id = name.to_str().and_then(|name| name.parse().ok());
    // What the folder says of it is not asked again.
    let kind = match one.is_folder() {
        true => Kind::Folder,
        false => dir.stat(name).ok()?.kind,
    };
    let target = match (id, kind) {
        (Some(_), Kind::Symlink) => Some(match dir.read_symlink(name) {
            Ok(target) => escape::display(bytes(&target)),
            Err(Errno::NOENT) => return None,
            // It is there, and wherever it leads: it is made anew, or goes with its snapshot.
            Err(error) => format!("what cannot be read ({})", system_reason(&error.into())),
        }),
        _ => None,
    };
    Some(TierEntry {
        name: name.clone(),
        id,
        kind,
        target,
    })
}

/// What stands in the tiers that were listed: snapshots, links and what others made.
pub(super) fn scan_tiers(
    store: &Store,
    listed: ListedTiers,
    state: &mut DestinationState,
    index: &mut RecordIndex,
    room: RecordRoom,
    at_once: usize,
) {
    let records = store.all_records();
    let mut scan = TierScan {
        store,
        records: &records,
        room,
        seen: BTreeSet::new(),
        state,
    };
    let mut folders: Vec<(Option<SnapshotId>, Tier, OsString)> = Vec::new();
    for (tier, entries) in listed {
        match entries {
            Ok(entries) => {
                let found = entries.into_iter();
                folders.extend(found.filter_map(|one| scan.scan_entry(tier, one)));
            }
            Err(Errno::NOENT) => {}
            Err(error) => {
                let found = in_the_way(&store.root, tier.folder(), tier.folder(), error);
                scan.state.in_the_way.push(found);
            }
        }
    }
    // The newest first: there is room for what their records say.
    folders.sort_by_key(|(id, ..)| Reverse(*id));
    let id_of = |(id, ..): &(Option<SnapshotId>, Tier, OsString)| *id;
    records.read_each(&folders, id_of, index, at_once, |folder, early, index| {
        scan.scan_folder(folder, early, index);
    });
    let latest = store.root.look(OsStr::new(LATEST)).ok().flatten();
    if let Some(stat) = latest.filter(|stat| stat.kind != Kind::Symlink) {
        state.in_the_way.push(InTheWay {
            path: LATEST.to_owned(),
            what: kind_of_entry(stat.kind).to_owned(),
            code: None,
        });
    }
    state.in_the_way.sort();
    state
        .snapshots
        .sort_by_key(|snapshot| (snapshot.record.started_at, snapshot.record.id));
    state.unmanaged.sort();
}

/// A pass through the tiers.
struct TierScan<'a> {
    store: &'a Store,
    records: &'a AllRecords<'a>,
    room: RecordRoom,
    /// Snapshots that were found in a tier already.
    seen: BTreeSet<SnapshotId>,
    state: &'a mut DestinationState,
}

impl<'a> TierScan<'a> {
    /// Adds what has a name in a tier's folder; gives a folder back, which is left to
    /// [`Self::scan_folder`].
    fn scan_entry(
        &mut self,
        tier: Tier,
        one: TierEntry,
    ) -> Option<(Option<SnapshotId>, Tier, OsString)> {
        match (one.id, one.kind) {
            (id, Kind::Folder) => return Some((id, tier, one.name)),
            (Some(id), Kind::Symlink) => {
                let target = one.target;
                let link = target.map(|target| TierLink { tier, id, target });
                self.state.links.extend(link);
            }
            (Some(_), kind) => self.state.in_the_way.push(InTheWay {
                path: format!("{tier}/{}", escape::display(bytes(&one.name))),
                what: kind_of_entry(kind).to_owned(),
                code: None,
            }),
            (None, _) => {}
        }
        None
    }

    /// Adds a folder as a snapshot, or as one that others made.
    fn scan_folder(
        &mut self,
        (id, tier, name): &(Option<SnapshotId>, Tier, OsString),
        early: EarlyRecords<'a>,
        index: &mut RecordIndex,
    ) {
        let tier = *tier;
        let found = match id {
            Some(id) => self.scan_records(tier, *id, early, index),
            None => Ok(None),
        };
        let unmanaged = |record_fault| Unmanaged {
            tier,
            name: escape::display(bytes(name)),
            record_fault,
        };
        match found {
            // A copy of a snapshot in another tier is none of ours.
            Ok(Some(found)) if !self.seen.insert(found.record.id) => {
                self.state.unmanaged.push(unmanaged(None));
            }
            Ok(Some(found)) => self.state.snapshots.push(found),
            without => self.state.unmanaged.push(unmanaged(without.err())),
        }
    }

    /// A snapshot by its records, or why they cannot be used; none where there are no records of this
    /// name. One damaged record must not hide the others.
    fn scan_records(
        &mut self,
        home: Tier,
        id: SnapshotId,
        mut early: EarlyRecords<'a>,
        index: &mut RecordIndex,
    ) -> Result<Option<SnapshotState>, String> {
        if let EarlyRecords::Unchanged(stat) = &early {
            match self.records.recall(id, stat, &mut self.room, index) {
                Some((record, marks)) if record.id == id => {
                    return Ok(Some(SnapshotState {
                        home,
                        record,
                        marks,
                        marks_fault: None,
                        manifest_fault: None,
                        manifest_fault_code: None,
                        changed_since: None,
                        damaged: 0,
                    }));
                }
                _ => early = self.records.find(id, index),
            }
        }
        let FoundRecords {
            records,
            folder,
            record,
            marks,
            manifest,
        } = match early {
            EarlyRecords::Found(found) => *found,
            EarlyRecords::Missing | EarlyRecords::Unchanged(_) => return Ok(None),
            EarlyRecords::Failed(error) => return Err(error.message),
        };
        let path = || self.store.named(&record_path(id, SNAPSHOT_FILE));
        match records.take_record(record, &mut self.room, index) {
            Ok(Some(record)) if record.id == id => {
                let marks = records.take_marks(marks);
                let (found, beside) = scan_snapshot(home, record, marks, manifest);
                if let Some(folder) = folder {
                    let beside = beside.and_then(|(marks, manifest)| {
                        Beside::new(&folder, marks.as_ref(), (manifest.0, &manifest.1), index)
                    });
                    index.note_beside(id, beside);
                }
                Ok(Some(found))
            }
            Ok(Some(record)) => Err(format!("{} is the record of {}", path(), record.id)),
            Ok(None) => Err(format!("{} is missing", path())),
            Err(error) => Err(error.message),
        }
    }
}

/// What stands where a folder of ours belongs, or why that cannot be opened.
pub(super) fn in_the_way(dir: &Dir, name: &str, path: &str, error: Errno) -> InTheWay {
    let name = OsStr::new(name);
    let there = dir.look(name).ok().flatten();
    let error = io::Error::from(error);
    let mut code = None;
    let what = match there.map(|stat| stat.kind) {
        Some(Kind::Symlink) => match dir.read_symlink(name) {
            Ok(target) => format!("a symlink to {}", escape::display(bytes(&target))),
            Err(_) => kind_of_entry(Kind::Symlink).to_owned(),
        },
        Some(Kind::Folder) | None => {
            code = failure_code(&error).or(Some(FailureCode::IoError));
            format!("a folder that cannot be read: {}", system_reason(&error))
        }
        Some(kind) => kind_of_entry(kind).to_owned(),
    };
    InTheWay {
        path: path.to_owned(),
        what,
        code,
    }
}

fn kind_of_entry(kind: Kind) -> &'static str {
    match kind {
        Kind::File => "a file",
        Kind::Folder => "a folder",
        Kind::Symlink => "a symlink",
        _ => "no folder",
    }
}

/// What the kernel says of a snapshot's marks, where it has any, with them, and of its manifest.
type FoundBeside = (Option<(Stat, SnapshotMarks)>, (&'static str, Stat));

/// A snapshot with what was said of it. What cannot be read may say that it is pinned. With what stands
/// beside its record, where all of that is as it should be.
fn scan_snapshot(
    home: Tier,
    record: SnapshotRecord,
    marks: crate::Result<(SnapshotMarks, Option<Stat>)>,
    manifest: Result<(&'static str, Stat), String>,
) -> (SnapshotState, Option<FoundBeside>) {
    let (marks, marks_stat, marks_fault) = match marks {
        Ok((marks, stat)) => (marks, stat, None),
        Err(error) => (SnapshotMarks::unknown(), None, Some(error.message)),
    };
    let beside = match (&manifest, &marks_fault) {
        (Ok(manifest), None) => Some((marks_stat.map(|stat| (stat, marks.clone())), *manifest)),
        _ => None,
    };
    let found = SnapshotState {
        manifest_fault: manifest.err(),
        home,
        record,
        marks,
        manifest_fault_code: None,
        marks_fault,
        changed_since: None,
        damaged: 0,
    };
    (found, beside)
}
