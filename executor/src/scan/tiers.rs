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
    state_dir::{Beside, RecordIndex},
    store::{AllRecords, LATEST, RecordRoom, Records, SNAPSHOT_FILE, Store, record_path},
    sys::{Dir, Kind, Listed, Stat, bytes},
};

/// What stands in the tiers: snapshots, links and what others made.
pub(super) fn scan_tiers(
    store: &Store,
    state: &mut DestinationState,
    index: &mut RecordIndex,
    room: RecordRoom,
) {
    let mut scan = TierScan {
        store,
        records: store.all_records(),
        index,
        room,
        seen: BTreeSet::new(),
        state,
    };
    let mut folders: Vec<(Option<SnapshotId>, Tier, OsString)> = Vec::new();
    for tier in Tier::ALL {
        let opened = store.root.folder(OsStr::new(tier.folder()));
        let listed = opened.and_then(|dir| Ok((dir.list_once()?, dir)));
        let (mut listed, dir) = match listed {
            Ok(found) => found,
            Err(Errno::NOENT) => continue,
            Err(error) => {
                let found = in_the_way(&store.root, tier.folder(), tier.folder(), error);
                scan.state.in_the_way.push(found);
                continue;
            }
        };
        listed.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        for one in listed {
            let id = one.name.to_str().and_then(|name| name.parse().ok());
            if scan.scan_entry(tier, &dir, &one, id) {
                folders.push((id, tier, one.name));
            }
        }
    }
    // The newest first: there is room for what their records say.
    folders.sort_by_key(|(id, ..)| Reverse(*id));
    for (id, tier, name) in folders {
        scan.scan_folder(tier, &name, id);
    }
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
    records: AllRecords<'a>,
    index: &'a mut RecordIndex,
    room: RecordRoom,
    /// Snapshots that were found in a tier already.
    seen: BTreeSet<SnapshotId>,
    state: &'a mut DestinationState,
}

impl TierScan<'_> {
    /// Adds what has a name in a tier's folder; true for a folder, which is left to
    /// [`Self::scan_folder`].
    fn scan_entry(&mut self, tier: Tier, dir: &Dir, one: &Listed, id: Option<SnapshotId>) -> bool {
        let name = one.name.as_os_str();
        // What the folder says of it is not asked again.
        let kind = match one.is_folder() {
            true => Kind::Folder,
            false => match dir.stat(name) {
                Ok(stat) => stat.kind,
                Err(_) => return false,
            },
        };
        match (id, kind) {
            (_, Kind::Folder) => return true,
            (Some(id), Kind::Symlink) => {
                if let Ok(target) = dir.read_symlink(name) {
                    self.state.links.push(TierLink {
                        tier,
                        id,
                        target: escape::display(bytes(&target)),
                    });
                }
            }
            (Some(_), kind) => self.state.in_the_way.push(InTheWay {
                path: format!("{tier}/{}", escape::display(bytes(name))),
                what: kind_of_entry(kind).to_owned(),
                code: None,
            }),
            (None, _) => {}
        }
        false
    }

    /// Adds a folder as a snapshot, or as one that others made.
    fn scan_folder(&mut self, tier: Tier, name: &OsStr, id: Option<SnapshotId>) {
        let found = match id {
            Some(id) => self.scan_records(tier, id),
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
    ) -> Result<Option<SnapshotState>, String> {
        if let Some((record, marks)) = self.records.recall(id, &mut self.room, self.index)
            && record.id == id
        {
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
        let records = match self.records.of(id) {
            Ok(Some(records)) => records,
            Ok(None) => return Ok(None),
            Err(error) => return Err(error.message),
        };
        // Before all that is in it, so that what changes meanwhile has another one.
        let folder = self.index.keeps().then(|| records.dir.stat_self());
        let path = || self.store.named(&record_path(id, SNAPSHOT_FILE));
        match records.record_within(&mut self.room, self.index) {
            Ok(Some(record)) if record.id == id => {
                let (found, beside) = scan_snapshot(&records, home, record);
                if let Some(Ok(folder)) = folder {
                    let beside = beside.and_then(|(marks, manifest)| {
                        Beside::new(
                            &folder,
                            marks.as_ref(),
                            (manifest.0, &manifest.1),
                            self.index,
                        )
                    });
                    self.index.note_beside(id, beside);
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
    records: &Records<'_>,
    home: Tier,
    record: SnapshotRecord,
) -> (SnapshotState, Option<FoundBeside>) {
    let (marks, marks_stat, marks_fault) = match records.marks_found() {
        Ok((marks, stat)) => (marks, stat, None),
        Err(error) => (SnapshotMarks::unknown(), None, Some(error.message)),
    };
    let manifest = records.manifest_found();
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
