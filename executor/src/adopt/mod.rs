//! Adopting what another tool made: reading each tree for its manifest, then renaming it to where a
//! snapshot belongs.
//!
//! Nothing is copied, deleted or written to: the renames are all that happens to a tree, and they
//! come after its manifest and record are on disk. What was killed goes on when it is run again.

mod back_in_time;
mod begun;
mod candidates;
pub(crate) mod read;
pub(crate) mod tree;

use std::{collections::BTreeMap, ffi::OsStr, os::unix::ffi::OsStrExt as _, path::Path, sync::Arc};

use rustix::io::Errno;
use schema::{
    SnapshotId,
    escape::{display, unescape},
    journal::{Outcome, Problem, ProblemKind, Status},
    plan::{AdoptStep, AdoptTree},
    record::{Engine, SNAPSHOT_FORMAT_VERSION, SnapshotRecord},
};

use crate::{
    error::{Error, ErrorKind, Result},
    event::Context,
    manifest::{SegmentWriter, segments},
    store::{SNAPSHOT_FILE, SNAPSHOTS, Store, record_path, write_record},
    sys::{Dir, Kind, resolve::resolve},
};

pub use begun::begun_adoptions;
pub use candidates::{HostFolder, Looked, find_adoptable};
use read::Read;
use tree::{KnownInodes, Tree};

/// Adopts what a step says. Can be interrupted, and run again to go on.
///
/// # Errors
/// An interruption, or a destination that cannot be written. What becomes of each tree is in the
/// outcome.
pub fn run_adopt_step(
    store: &Store,
    run_id: &str,
    step: &AdoptStep,
    context: Context<'_>,
) -> Result<Outcome> {
    let root =
        unescape(&step.root).ok_or_else(|| Error::failed(format!("{} is no path", step.root)))?;
    let root = resolve(Path::new(OsStr::from_bytes(&root)))
        .and_then(|found| found.folder())
        .map_err(|error| Error::io("open", &root, error))?;
    let mut known = learn_from_adopted(store, context)?;
    let adoption = Adoption {
        store,
        run_id,
        step,
        root: &root,
        context,
    };
    let mut last = None;
    let mut problems = Vec::new();
    let (mut adopted, mut bytes_read) = (0_u64, 0_u64);
    for tree in &step.trees {
        context.stop.check().map_err(adoption_interrupted)?;
        match adoption.adopt_tree(tree, last, &mut known) {
            Ok(Adopted { read, mut faults }) => {
                adopted += 1;
                bytes_read += read;
                last = Some(tree.id);
                problems.append(&mut faults);
            }
            Err(error) if error.kind == ErrorKind::Interrupted => {
                return Err(adoption_interrupted(error));
            }
            Err(error) => problems.push(Problem {
                path: tree.from.clone(),
                kind: ProblemKind::NotStored,
                message: match error.hint {
                    Some(hint) => format!("{} ({hint})", error.message),
                    None => error.message,
                },
            }),
        }
    }
    let message = format!(
        "adopted {}; {} read",
        match adopted {
            1 => "1 snapshot".to_owned(),
            many => format!("{many} snapshots"),
        },
        schema::amount::bytes(bytes_read)
    );
    if problems.is_empty() {
        return Ok(Outcome::success(message));
    }
    problems.truncate(1000);
    Ok(Outcome {
        problems,
        ..Outcome::unsuccessful(
            Status::Incomplete,
            message,
            "look at the listed paths; what is not adopted is as it was, and running it again tries it again",
        )
    })
}

fn adoption_interrupted(error: Error) -> Error {
    error.with_hint("run the same adoption again: it goes on where it stopped")
}

/// What became of one tree.
struct Adopted {
    /// Bytes of content that were read.
    read: u64,
    /// Entries that could not be read.
    faults: Vec<Problem>,
}

/// What all trees of a step are adopted with.
struct Adoption<'a> {
    store: &'a Store,
    run_id: &'a str,
    step: &'a AdoptStep,
    /// The folder that the other tool's trees are in.
    root: &'a Dir,
    context: Context<'a>,
}

impl Adoption<'_> {
    fn adopt_tree(
        &self,
        tree: &AdoptTree,
        basis: Option<SnapshotId>,
        known: &mut KnownInodes,
    ) -> Result<Adopted> {
        let Self {
            store,
            step,
            root,
            context,
            ..
        } = *self;
        let frame = begun::Frame::new(store, tree)?;
        // Its record was on disk before it was moved.
        if frame.is_full()? {
            frame.publish()?;
            tree::learn_from_manifest(store, tree.id, tree.home, None, known, context)?;
            return Ok(Adopted {
                read: 0,
                faults: Vec::new(),
            });
        }
        let from = unescape(&tree.from)
            .ok_or_else(|| Error::failed(format!("{} is no path", tree.from)))?;
        let io = |error: Errno| Error::io("open", &from, error);
        let (parent, name) = root.descend(&from).map_err(io)?;
        let found = parent.look(name).map_err(io)?;
        if found.is_none_or(|found| found.kind != Kind::Folder || found.ino != tree.inode) {
            return Err(Error::refused(format!(
                "{} is not the folder any more that it was when this was planned",
                display(&from)
            ))
            .hint("another tool was at work: stop it, then run this again"));
        }
        frame.make()?;
        let (records, mut writer) = open_records(store, tree, basis, context)?;
        let above = frame.entries()?;
        let tree_of = Tree {
            id: tree.id,
            at: frame.at().to_owned(),
            parent: parent.again().map_err(io)?,
            name: name.to_owned(),
            sources: &step.sources,
        };
        let read = read::read_tree(
            &tree_of,
            above,
            &mut |entry| writer.write(entry),
            known,
            &mut read::Nothing,
            context,
        )?;
        let (read, faults) = self.write_records(tree, basis, &records, (read, writer))?;
        frame.take(&parent, name, tree.inode)?;
        frame.publish()?;
        Ok(Adopted { read, faults })
    }

    /// Finishes a tree's manifest and writes its record, both on disk when this returns; gives the
    /// bytes that were read of it and what could not be read.
    fn write_records(
        &self,
        tree: &AdoptTree,
        basis: Option<SnapshotId>,
        records: &Dir,
        (read, manifest): (Read, SegmentWriter),
    ) -> Result<(u64, Vec<Problem>)> {
        let store = self.store;
        let manifest_path = record_path(tree.id, segments::FOLDER);
        let manifest_digest = manifest
            .finish()
            .map_err(|error| store.io("write", &manifest_path, error))?;
        // As new as what it follows: what was made since is newer, whatever is adopted later.
        let before = basis.map(|id| store.record(id)).transpose()?.flatten();
        let sequence = before.map_or(0, |before| before.sequence);
        let record = SnapshotRecord {
            format_version: SNAPSHOT_FORMAT_VERSION,
            id: tree.id,
            host: store.path.rsplit('/').next().unwrap_or_default().to_owned(),
            run_id: self.run_id.to_owned(),
            started_at: tree.started_at,
            sealed_at: self.context.clock.now(),
            day: tree.day,
            sequence,
            read: None,
            complete: read.totals.errors == 0 && !tree.with_errors,
            suspect: Vec::new(),
            suspect_since: None,
            basis,
            line_from: None,
            engine: Engine::Adopted,
            made_by: format!(
                "{} {}, adopted by backup {}",
                tree.made_by.name(),
                tree.from,
                env!("CARGO_PKG_VERSION")
            ),
            sources: read.sources,
            exclude_patterns: Vec::new(),
            exclude_caches: false,
            exclude_if_present: Vec::new(),
            totals: read.totals,
            stored_by: read.stored_by,
            files_stored_by: read.files_stored_by,
            manifest: segments::LIST_PATH.to_owned(),
            manifest_digest,
            problems: read.problems.clone(),
            manifest_rebuilt_at: None,
            record_rebuilt_at: None,
            gone: None,
            subvolume: false,
        };
        let path = store.named(&record_path(tree.id, SNAPSHOT_FILE));
        write_record(records, SNAPSHOT_FILE, &path, &record)?;
        store
            .area(SNAPSHOTS)?
            .sync()
            .map_err(|error| store.io("sync", SNAPSHOTS, error))?;
        Ok((read.bytes_read, read.problems))
    }
}

/// Opens the folder for a tree's records, with a new manifest in it. One of an adoption that was killed
/// is written anew.
fn open_records(
    store: &Store,
    tree: &AdoptTree,
    basis: Option<SnapshotId>,
    context: Context<'_>,
) -> Result<(Dir, SegmentWriter)> {
    let records = store
        .area(SNAPSHOTS)?
        .folder_or_new(OsStr::new(&tree.id.to_string()), 0o700)
        .map_err(|error| store.io("make", &record_path(tree.id, ""), error))?;
    // What cannot be read shares nothing.
    let basis = basis.and_then(|id| store.segments(id).ok().flatten());
    let writer = store.begin_manifest(&records, tree.id, basis.map(Arc::new), true, context)?;
    Ok((records, writer))
}

/// What the snapshots that were adopted before share with what is adopted now.
fn learn_from_adopted(store: &Store, context: Context<'_>) -> Result<KnownInodes> {
    let mut known = KnownInodes::new();
    let mut ids: BTreeMap<_, _> = BTreeMap::new();
    let area = store.area(SNAPSHOTS)?;
    let names = area
        .names()
        .map_err(|error| store.io("list", SNAPSHOTS, error))?;
    for id in names
        .iter()
        .filter_map(|name| name.to_str()?.parse::<SnapshotId>().ok())
    {
        if let Some(home) = store.home_of(id)?
            // A damaged record tells nothing, and is no reason to adopt nothing.
            && let Ok(Some(record)) = store.record(id)
            && record.engine == Engine::Adopted
        {
            ids.insert((record.started_at, id), home);
        }
    }
    for ((_, id), home) in ids {
        match tree::learn_from_manifest(store, id, home, None, &mut known, context) {
            Err(error) if error.kind == ErrorKind::Interrupted => return Err(error),
            // A damaged manifest tells nothing either: what it shares is read once more.
            _ => {}
        }
    }
    Ok(known)
}
