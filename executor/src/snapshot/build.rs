//! Bringing the tree in `partial` to equal the sources, in the manifest's order.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt as _,
    time::Instant,
};

use rustix::io::Errno;
use schema::{
    SnapshotId,
    journal::{Problem, ProblemKind},
    pattern::Excludes,
    plan::SnapshotStep,
    record::{SnapshotTotals, SourceRecord},
};

use super::{
    copied_log::{self, CopiedLog},
    folder::{enter, leave},
    holds,
    start::Started,
    state::{BasisTree, Level, State},
};
use crate::{
    copy::Copier,
    error::{Error, Result, reason},
    event::{Context, Event, Phase, Progress},
    manifest::{Cursor, Entry, FILE_NAME, Writer},
    store::{Store, record_path},
    sys::{
        Kind, attributes,
        resolve::{Resolved, resolve},
    },
    walk::{Bounds, Visit, Walk},
};

/// A tree that equals the sources.
pub(super) struct Built {
    pub(super) manifest: Writer,
    pub(super) totals: SnapshotTotals,
    pub(super) stored_by: BTreeMap<SnapshotId, u64>,
    pub(super) unchanged_files: u64,
    pub(super) sources: Vec<SourceRecord>,
    pub(super) problems: Vec<Problem>,
}

/// Brings the tree to equal the sources.
pub(super) fn build(
    store: &Store,
    run_id: &str,
    step: &SnapshotStep,
    started: &Started,
    context: Context<'_>,
) -> Result<Built> {
    let excludes = Excludes::new(&step.exclude_patterns).map_err(|fault| {
        Error::failed(format!("local.excludePatterns of run {run_id}: {fault}"))
    })?;
    let mut state = begin(store, step, started, context)?;
    let result = all_sources(&mut state, &excludes, started.continued);
    if result.is_err() {
        // What was copied is worth keeping, whatever ended the work.
        if state.unsynced {
            copied_log::forget_unsynced(&started.records)
                .map_err(|error| store.io("write", "the log of copied files", error))?;
        } else {
            let _ = state.log.flush();
        }
    }
    let sources = result?;
    state.report();
    state
        .log
        .flush()
        .map_err(|error| store.io("write", "the log of copied files", error))?;
    Ok(Built {
        manifest: state.manifest,
        totals: state.totals,
        stored_by: state.stored_by,
        unchanged_files: state.unchanged_files,
        sources,
        problems: state.problems,
    })
}

fn begin<'a>(
    store: &'a Store,
    step: &'a SnapshotStep,
    started: &'a Started,
    context: Context<'a>,
) -> Result<State<'a>> {
    let destination = store.destination()?.ok_or_else(|| {
        Error::failed(format!("{} has no destination.json", store.path))
            .hint("run `backup apply` again: it sets the destination up")
    })?;
    let records = &started.records;
    let manifest_path = record_path(step.id, FILE_NAME);
    match records.remove_file(OsStr::new(FILE_NAME)) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(error) => return Err(store.io("remove", &manifest_path, error)),
    }
    let manifest = records
        .new_file(OsStr::new(FILE_NAME), 0o600)
        .map_err(std::io::Error::from)
        .and_then(Writer::new)
        .map_err(|error| store.io("write", &manifest_path, error))?;
    let (log, copied) = CopiedLog::open(records)
        .map_err(|error| store.io("open", "the log of copied files", error))?;
    let mut levels = Vec::new();
    let mut basis = None;
    if let Some(from) = &step.basis {
        basis = Some(BasisTree {
            cursor: Cursor::new(store.manifest(from.id)?),
            given: HashMap::new(),
        });
    }
    // The snapshot's own folder: readable by all, the host's folder above decides who gets here.
    let root = Entry {
        kind: Kind::Folder,
        mode: 0o755,
        mtime: i128::from(step.started_at.timestamp()) * 1_000_000_000,
        ..Entry::of(
            b"",
            &started
                .tree
                .stat_self()
                .map_err(|e| store.io("look at", "partial", e))?,
        )
    };
    let tree = started
        .tree
        .again()
        .map_err(|e| store.io("open", "partial", e))?;
    levels.push(Level {
        new: tree,
        basis: step
            .basis
            .as_ref()
            .map(|from| store.snapshot(from.home, from.id))
            .transpose()?,
        made: started.continued.then(HashSet::new),
        left: holds::left(&destination.capabilities, &started.tree, started.continued),
        entry: root,
        attributes: Vec::new(),
    });
    Ok(State {
        store,
        step,
        context,
        capabilities: destination.capabilities,
        privileged: rustix::process::geteuid().is_root(),
        one_by_one: holds::syncs_one_by_one(&started.tree),
        tree: &started.tree,
        basis,
        manifest,
        log,
        copied,
        copier: Copier::default(),
        levels,
        path: Vec::new(),
        groups: HashMap::new(),
        last_group: 0,
        totals: SnapshotTotals::default(),
        stored_by: BTreeMap::new(),
        unchanged_files: 0,
        problems: Vec::new(),
        written: 0,
        written_at_check: 0,
        last_checkpoint: Instant::now(),
        unsynced: false,
    })
}

/// Copies all sources, each at its own path, with the folders above them.
fn all_sources(
    state: &mut State<'_>,
    excludes: &Excludes,
    continued: bool,
) -> Result<Vec<SourceRecord>> {
    let never = state
        .store
        .root
        .stat_self()
        .map_err(|error| state.store.io("look at", "", error))?;
    let bounds = Bounds {
        excludes,
        one_file_system: state.step.one_file_system,
        never: Some((never.dev, never.ino)),
    };
    let root = state.level()?.entry.clone();
    // The root's entry is listed with no level but its own, so it is not taken for its own child.
    state.totals.folders += 1;
    state.list(&root)?;

    let mut sources: Vec<_> = state.step.sources.iter().collect();
    sources.sort_by(|a, b| {
        crate::sys::path_order(a.path.as_str().as_bytes(), b.path.as_str().as_bytes())
    });
    let mut records = Vec::new();
    for source in sources {
        let parts: Vec<&[u8]> = source
            .path
            .as_str()
            .as_bytes()
            .split(|byte| *byte == b'/')
            .filter(|part| !part.is_empty())
            .collect();
        let before = state.totals.entries;
        let mut record = SourceRecord {
            path: source.path.clone(),
            present: false,
            mounted: false,
            entries: 0,
        };
        let above = parts.len().saturating_sub(1);
        leave_to(state, &parts[..above])?;
        match resolve(source.path.as_path()) {
            Ok(resolved) => {
                record.mounted = resolved.stat.mount_root;
                // Else the folder is listed as a problem.
                if enter_above(state, &parts[..above], continued)? {
                    record.present = one_source(state, &parts, resolved, bounds)?;
                }
            }
            Err(error) => {
                state.path = source.path.as_str().as_bytes()[1..].to_vec();
                state.problem(
                    ProblemKind::Unreadable,
                    format!(
                        "the source is not there or cannot be read: {}",
                        reason(&error.into())
                    ),
                );
            }
        }
        record.entries = state.totals.entries - before;
        records.push(record);
    }
    leave_to(state, &[])?;
    leave(state)?;
    // In the order of the configuration, as people read it.
    records.sort_by_key(|record| {
        state
            .step
            .sources
            .iter()
            .position(|source| source.path == record.path)
    });
    Ok(records)
}

/// Enters the folders above a source that are not entered yet; says whether it could.
fn enter_above(state: &mut State<'_>, parts: &[&[u8]], continued: bool) -> Result<bool> {
    for depth in state.levels.len() - 1..parts.len() {
        let path = parts[..=depth].join(&b'/');
        let absolute = [b"/", path.as_slice()].concat();
        let stat = resolve(OsStr::from_bytes(&absolute).as_ref())
            .map(|resolved| resolved.stat)
            .map_err(|error| Error::io("look at", &absolute, error))?;
        state.path = path;
        if !enter(
            state,
            OsStr::from_bytes(parts[depth]),
            &stat,
            None,
            continued,
        )? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Leaves folders until the ones entered are the given ones or some above them.
fn leave_to(state: &mut State<'_>, parts: &[&[u8]]) -> Result<()> {
    let wanted = parts.join(&b'/');
    while state.levels.len() > 1 {
        let path = &state.level()?.entry.path;
        let inside = wanted
            .strip_prefix(path.as_slice())
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"));
        if inside {
            break;
        }
        leave(state)?;
    }
    Ok(())
}

/// Copies one source; says whether it was there.
fn one_source(
    state: &mut State<'_>,
    parts: &[&[u8]],
    resolved: Resolved,
    bounds: Bounds<'_>,
) -> Result<bool> {
    let prefix = parts.join(&b'/');
    let is_root = parts.is_empty();
    // The names on both sides differ where the configured path goes through a symlink.
    let own_name: OsString = parts
        .last()
        .map_or_else(|| ".".into(), |name| OsStr::from_bytes(name).to_owned());
    let Resolved { parent, name, stat } = resolved;
    let mut walk = Walk::new(parent, name, &stat, bounds);
    let mut present = true;
    while let Some(visit) = walk.next() {
        state.path.clear();
        state.path.extend_from_slice(&prefix);
        if !walk.path().is_empty() {
            if !is_root {
                state.path.push(b'/');
            }
            state.path.extend_from_slice(walk.path());
        }
        let at_source = walk.path().is_empty();
        let name = if at_source {
            own_name.clone()
        } else {
            walk.name().clone()
        };
        match visit {
            Visit::Enter(stat) if at_source && is_root => {
                // The tree's own folder stands for `/`; only its metadata is taken over.
                let attributes = attributes::of_fd(walk.folder()).unwrap_or_default();
                if let Some(level) = state.levels.last_mut() {
                    level.entry.mtime = stat.mtime;
                    level.attributes = attributes;
                }
            }
            Visit::Leave(_) if at_source && is_root => {}
            Visit::Enter(stat) => {
                let continued = state.level()?.made.is_some();
                if !enter(state, &name, &stat, Some(walk.folder()), continued)? {
                    walk.skip_content();
                    // There is no level for it to leave.
                    let left = walk.next();
                    debug_assert!(matches!(left, Some(Visit::Leave(_))));
                }
            }
            Visit::Leave(_) => leave(state)?,
            Visit::Leaf(stat) if stat.kind == Kind::File => {
                super::file::file(state, walk.parent(), walk.name(), &name, stat)?;
            }
            Visit::Leaf(stat) => {
                super::other::other(state, walk.parent(), walk.name(), &name, &stat)?
            }
            Visit::Excluded => {}
            Visit::MountPoint(stat) => {
                let continued = state.level()?.made.is_some();
                if enter(state, &name, &stat, None, continued)? {
                    leave(state)?;
                }
            }
            Visit::Destination => {}
            Visit::Unreadable(stat, error) => {
                state.problem(ProblemKind::Unreadable, reason(&error.into()));
                present &= !at_source;
                if let Some(stat) = stat {
                    let continued = state.level()?.made.is_some();
                    if enter(state, &name, &stat, None, continued)? {
                        leave(state)?;
                    }
                }
            }
            Visit::Vanished => {
                present &= !at_source;
                state.problem(ProblemKind::Vanished, "was there and then was not");
            }
        }
    }
    Ok(present)
}

/// Tells that the disk is being waited for.
pub(super) fn report_sync(context: Context<'_>) {
    context.observer.event(Event::Progress(Progress {
        phase: Phase::Sync,
        ..Progress::default()
    }));
}
