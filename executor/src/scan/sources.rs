//! The sources as they are found, and what of them would be new against the basis.

use schema::{
    config::{AbsolutePath, Local},
    escape,
    inventory::{NotHeld, Presence, SourceScan, SourceState},
    pattern::Excludes,
    record::Capabilities,
};

use super::{destination::place, held::Held};
use crate::{
    error::{Error, Result, reason},
    event::{Context, Event, Phase, Progress},
    manifest::Cursor,
    sys::{Kind, Stat, mounts, path_order, resolve::resolve},
    walk::{Bounds, Visit, Walk},
};

/// Entries that are listed with what is wrong with them; more are only counted.
const MAX_LISTED: usize = 100;
/// Bytes that a folder or a name takes on disk at least, on the file systems of today.
const BLOCK: u64 = 4096;

/// Looks at all sources of a configuration, comparing with the basis' manifest where there is one,
/// and with what the destination can hold where that is known.
///
/// # Errors
/// A pattern or a manifest that cannot be read, or an interruption.
pub fn sources(
    local: &Local,
    mut basis: Option<Cursor>,
    can: Option<&Capabilities>,
    never: Option<(u64, u64)>,
    context: Context<'_>,
) -> Result<Vec<SourceState>> {
    let excludes = Excludes::new(&local.exclude_patterns)
        .map_err(|fault| Error::failed(format!("local.excludePatterns: {fault}")))?;
    let bounds = Bounds {
        excludes: &excludes,
        one_file_system: local.one_file_system,
        never,
    };
    // In the manifest's order, so that one pass over it serves all of them.
    let mut order: Vec<&AbsolutePath> = local.sources.iter().collect();
    order.sort_by(|a, b| path_order(a.as_str().as_bytes(), b.as_str().as_bytes()));
    order.dedup();
    let mut progress = Progress {
        phase: Phase::Scan,
        ..Progress::default()
    };
    let mut found = Vec::new();
    for path in order {
        found.push(source(
            path,
            bounds,
            basis.as_mut(),
            can,
            &mut progress,
            context,
        )?);
    }
    context.observer.event(Event::Progress(progress));
    found.sort_by_key(|state| local.sources.iter().position(|path| *path == state.path));
    Ok(found)
}

fn source(
    path: &AbsolutePath,
    bounds: Bounds<'_>,
    mut basis: Option<&mut Cursor>,
    can: Option<&Capabilities>,
    progress: &mut Progress,
    context: Context<'_>,
) -> Result<SourceState> {
    let mut state = SourceState {
        path: path.clone(),
        presence: Presence::Present,
        place: None,
        mounted: false,
        scan: SourceScan::default(),
        mounts_passed_over: Vec::new(),
        unreadable: Vec::new(),
        not_held: Vec::new(),
    };
    let resolved = match resolve(path.as_path()) {
        Ok(resolved) => resolved,
        Err(rustix::io::Errno::NOENT) => {
            state.presence = Presence::Missing;
            return Ok(state);
        }
        Err(error) => {
            state.presence = unreadable(error);
            return Ok(state);
        }
    };
    let all = mounts::mounts().unwrap_or_default();
    state.place = Some(place(&resolved, &resolved.stat, &all));
    state.mounted = resolved.stat.mount_root;

    let prefix = path.as_str().trim_matches('/').as_bytes();
    let mut here = Vec::new();
    let mut groups = std::collections::HashSet::new();
    let mut held = Held::new(can);
    let links = can.is_none_or(|can| can.hard_links);
    let mut walk = Walk::new(resolved.parent, resolved.name, &resolved.stat, bounds);
    while let Some(visit) = walk.next() {
        context.stop.check()?;
        let scan = &mut state.scan;
        if let Visit::Enter(stat) | Visit::Leaf(stat) = &visit {
            let because = held.judge(walk.name(), stat.kind, stat.size);
            if stat.kind == Kind::Folder {
                held.enter(because.is_none());
            }
            if let Some(because) = because {
                scan.not_held += 1;
                if state.not_held.len() < MAX_LISTED {
                    let path = escape::display(walk.path());
                    state.not_held.push(NotHeld { path, because });
                }
            }
        }
        match visit {
            Visit::Enter(_) => {
                scan.entries += 1;
                scan.folders += 1;
                scan.new_bytes += BLOCK;
            }
            Visit::Leaf(stat) => {
                scan.entries += 1;
                if stat.kind == Kind::File {
                    scan.files += 1;
                    scan.bytes += stat.size;
                    progress.bytes += stat.size;
                }
                here.clear();
                here.extend_from_slice(prefix);
                if !walk.path().is_empty() {
                    if !prefix.is_empty() {
                        here.push(b'/');
                    }
                    here.extend_from_slice(walk.path());
                }
                // Further names of one file need neither bytes nor inode, where there can be such.
                if links && stat.nlink > 1 && !groups.insert((stat.dev, stat.ino)) {
                    continue;
                }
                if is_new(basis.as_deref_mut(), &here, &stat)? {
                    scan.new_inodes += 1;
                    scan.new_bytes += stat.allocated.max(stat.size.min(BLOCK));
                    if stat.kind == Kind::File {
                        scan.new_files += 1;
                    }
                }
            }
            Visit::Excluded => scan.excluded += 1,
            Visit::MountPoint(_) => {
                scan.entries += 1;
                scan.folders += 1;
                scan.new_bytes += BLOCK;
                state.mounts_passed_over.push(escape::display(walk.path()));
            }
            Visit::Unreadable(stat, error) => {
                if walk.path().is_empty() {
                    state.presence = unreadable(error);
                }
                scan.unreadable += 1;
                if stat.is_some_and(|stat| stat.kind == Kind::Folder) {
                    scan.entries += 1;
                    scan.folders += 1;
                }
                if state.unreadable.len() < MAX_LISTED {
                    state.unreadable.push(escape::display(walk.path()));
                }
            }
            Visit::Leave(_) => {
                held.leave();
                continue;
            }
            Visit::Destination | Visit::Vanished => continue,
        }
        progress.entries += 1;
        if progress.entries.is_multiple_of(1000) {
            context.observer.event(Event::Progress(*progress));
        }
    }
    Ok(state)
}

/// Whether an entry will need an inode of its own.
fn is_new(basis: Option<&mut Cursor>, path: &[u8], stat: &Stat) -> Result<bool> {
    let Some(basis) = basis else {
        return Ok(true);
    };
    let entry = basis
        .find(path)
        .map_err(|error| Error::io("read", b"the basis' manifest", error))?;
    Ok(!entry.is_some_and(|entry| entry.untouched(stat) && !entry.absent))
}

fn unreadable(error: rustix::io::Errno) -> Presence {
    Presence::Unreadable {
        because: reason(&error.into()),
    }
}
