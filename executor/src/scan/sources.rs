//! The sources as they are found, and what of them would be new against the basis.

use std::{
    collections::HashSet,
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt as _,
    path::PathBuf,
};

use chrono::Local;
use rustix::io::Errno;
use schema::{
    StoredPath, StoredPathBuf,
    config::{self, AbsolutePath},
    escape,
    inventory::{
        DataPassedOver, DatabaseKind, NotHeld, Presence, Renamed, SourceScan, SourceState,
    },
    path::rest_below,
    pattern::Excludes,
    plan::SnapshotStep,
    record::Capabilities,
};

use super::{
    databases::{Names, add, is_open_database},
    destination::place,
    held::{Held, Judged},
};
use crate::{
    error::{Error, Result, reason},
    event::{Context, Event, Phase, Progress},
    manifest::{Cursor, Reader},
    survey::{
        Below, Bounds, FoundSource, InnerSource, Met, Root, Search, Survey, Surveyed, Told, roots,
        survey_source, sync,
    },
    sys::{
        Kind, Stat, bytes,
        mounts::{self, Mount},
        resolve::Resolved,
    },
};

/// Entries that are listed with what is wrong with them; more are only counted.
const MAX_LISTED: usize = 100;
/// New files that are remembered to be told apart from moved ones; more are predicted as copied.
const MAX_MOVED: usize = 200_000;
/// Bytes that a folder or a name takes on disk at least, on the file systems of today.
const BLOCK: u64 = 4096;

/// What is to be looked at.
#[derive(Clone)]
pub struct Choice<'a> {
    /// The sources.
    pub sources: Vec<&'a AbsolutePath>,
    /// What is left out.
    pub exclude_patterns: &'a [String],
    /// Do not cross mount points below a source.
    pub one_file_system: bool,
    /// Have their file systems written to the disk first, because a snapshot is made of what is
    /// found.
    pub sync: bool,
}

/// Sources, each once, in the order of manifests, so that one pass over a manifest serves all.
pub(crate) fn in_order<'a>(
    sources: impl IntoIterator<Item = &'a AbsolutePath>,
) -> Vec<&'a AbsolutePath> {
    let mut order: Vec<&AbsolutePath> = sources.into_iter().collect();
    order.sort_by(|a, b| a.as_stored().cmp(b.as_stored()));
    order.dedup();
    order
}

impl<'a> From<&'a config::Local> for Choice<'a> {
    fn from(local: &'a config::Local) -> Self {
        Self {
            sources: local.sources.iter().collect(),
            exclude_patterns: &local.exclude_patterns,
            one_file_system: local.one_file_system,
            sync: false,
        }
    }
}

impl<'a> From<&'a SnapshotStep> for Choice<'a> {
    fn from(step: &'a SnapshotStep) -> Self {
        Self {
            sources: step.sources.iter().map(|source| &source.path).collect(),
            exclude_patterns: &step.exclude_patterns,
            one_file_system: step.one_file_system,
            sync: true,
        }
    }
}

/// Looks at all sources, comparing with the manifest that `basis` opens, and with what the
/// destination can hold where that is known. The survey is what a snapshot is then built from.
///
/// # Errors
/// A pattern or a manifest that cannot be read, or an interruption.
pub fn sources(
    choice: &Choice<'_>,
    basis: Option<&dyn Fn() -> Result<Reader>>,
    can: Option<&Capabilities>,
    never: Option<(u64, u64)>,
    context: Context<'_>,
) -> Result<(Vec<SourceState>, Survey)> {
    // Before anything is looked at: what is touched from now on is looked at once more next time.
    let from = Local::now().fixed_offset();
    let excludes = Excludes::new(choice.exclude_patterns)
        .map_err(|fault| Error::failed(format!("local.excludePatterns: {fault}")))?;
    let bounds = Bounds {
        excludes: &excludes,
        one_file_system: choice.one_file_system,
        never,
    };
    let order = in_order(choice.sources.iter().copied());
    if choice.sync {
        sync::file_systems(file_systems(&order, &bounds), context)?;
    }
    let mut look = Look {
        bounds,
        can,
        basis: basis
            .map(|manifest| manifest().map(Cursor::new).map_err(Error::of_basis))
            .transpose()?,
        search: Search::default(),
        progress: Progress {
            phase: Phase::Scan,
            ..Progress::default()
        },
        context,
    };
    let mut found = Vec::new();
    let mut surveyed = Vec::new();
    for root in roots(&order) {
        look.source(root, &mut found, &mut surveyed)?;
    }
    context.observer.event(Event::Progress(look.progress));
    let Look {
        basis: cursor,
        mut search,
        ..
    } = look;
    if let Some(cursor) = cursor {
        cursor
            .finish(&mut |entry| search.gone(entry))
            .map_err(unreadable_manifest)?;
    }
    let moves = match basis {
        Some(manifest) => search.finish(manifest).map_err(Error::of_basis)?,
        None => Default::default(),
    };
    let mut survey = Survey {
        from,
        sources: surveyed,
        moves,
    };
    settle(&mut found, &mut survey);
    found.sort_by_key(|(state, _)| {
        let mut paths = choice.sources.iter();
        paths.position(|path| **path == state.path)
    });
    let found = found.into_iter().map(|(state, _)| state).collect();
    Ok((found, survey))
}

/// A path on each of the file systems that will be looked at, by the table of mounts alone: what is
/// passed over or excluded is not touched.
pub(crate) fn file_systems(sources: &[&AbsolutePath], bounds: &Bounds<'_>) -> Vec<PathBuf> {
    let all = mounts::mounts().unwrap_or_default();
    let mut devices = HashSet::new();
    let mut paths = Vec::new();
    for source in sources {
        let path = source.as_str().as_bytes();
        let below = |mount: &&Mount| {
            rest_below(&mount.mount_point, path).is_some_and(|rest| {
                let rest = StoredPath::new(rest);
                let excluded = |path: &StoredPath| bounds.excludes.matches(path, true).is_some();
                !rest.is_root() && !rest.ancestors_from_top().any(excluded)
            })
        };
        // The last one of a place is the one that is seen.
        let around = |mount: &&Mount| rest_below(path, &mount.mount_point).is_some();
        let own = all.iter().filter(around);
        let own = own
            .enumerate()
            .max_by_key(|(at, mount)| (mount.mount_point.len(), *at));
        if own.is_none_or(|(_, mount)| devices.insert(mount.device.as_str())) {
            paths.push(source.as_path().to_owned());
        }
        if bounds.one_file_system {
            continue;
        }
        for mount in all.iter().filter(below) {
            if devices.insert(mount.device.as_str()) {
                paths.push(OsStr::from_bytes(&mount.mount_point).into());
            }
        }
    }
    paths
}

/// Takes what only moved out of what is predicted to be copied.
fn settle(found: &mut [(SourceState, Vec<Stat>)], survey: &mut Survey) {
    for (state, new) in found {
        for stat in std::mem::take(new) {
            if survey.moves.surely(&stat).is_some() {
                let scan = &mut state.scan;
                scan.moved_files += 1;
                scan.new_files -= 1;
                scan.new_inodes -= 1;
                scan.new_bytes -= needed(&stat);
            }
        }
    }
}

/// What is looked at, with what is compared and counted on the way.
struct Look<'a> {
    bounds: Bounds<'a>,
    can: Option<&'a Capabilities>,
    basis: Option<Cursor>,
    search: Search,
    progress: Progress,
    context: Context<'a>,
}

impl Look<'_> {
    /// Looks at one source and those within it; gives the new files besides, if there is a basis
    /// that may have them.
    fn source(
        &mut self,
        root: Root<'_>,
        found: &mut Vec<(SourceState, Vec<Stat>)>,
        surveyed: &mut Vec<Surveyed>,
    ) -> Result<()> {
        let Root {
            path,
            found: resolved,
            below,
        } = root;
        let mut state = state_of(path);
        let resolved = match resolved {
            Ok(resolved) => resolved,
            Err(error) => {
                state.presence = match error {
                    Errno::NOENT => Presence::Missing,
                    error => unreadable(error),
                };
                found.push((state, Vec::new()));
                surveyed.push(Surveyed {
                    path: path.clone(),
                    found: Err(error),
                });
                return Ok(());
            }
        };
        let all = mounts::mounts().unwrap_or_default();
        let placed = |mut state: SourceState, at: &Resolved| {
            state.place = Some(place(at, &at.stat, &all));
            state.mounted = at.stat.mount_root;
            Own {
                state,
                new: Vec::new(),
                met: false,
            }
        };
        let mut own = vec![placed(state, &resolved)];
        let inner = below.inner.iter();
        own.extend(inner.map(|inner| placed(state_of(inner.path), &inner.resolved)));

        let prefix = path.as_stored();
        let Self {
            bounds,
            can,
            basis,
            search,
            progress,
            context,
        } = self;
        let mut count = Count {
            own,
            below: &below,
            basis: basis.as_mut(),
            search,
            progress,
            context: *context,
            prefix,
            here: prefix.to_owned(),
            groups: HashSet::new(),
            held: Held::new(*can),
            names: Names::default(),
            links: can.is_none_or(|can| can.hard_links),
            own_name: resolved.name.clone(),
            other_files: 0,
        };
        let record = survey_source(&resolved, &below, *bounds, *context, &mut |path, told| {
            count.told(path, told)
        })?;
        let (mut own, other_files) = (count.own, count.other_files);
        if resolved.stat.kind == Kind::File && is_open_database(&resolved.parent, &resolved.name) {
            add(
                &mut own[0].state.databases,
                DatabaseKind::Sqlite,
                StoredPath::root(),
            );
        }
        let mut met = Vec::new();
        let mut unmet = Vec::new();
        for (own, inner) in own.iter().skip(1).zip(&below.inner) {
            if own.met {
                met.push(InnerSource {
                    path: inner.path.clone(),
                    below: inner.below.clone(),
                    mounted: inner.resolved.stat.mount_root,
                });
            } else {
                unmet.push(Surveyed {
                    path: inner.path.clone(),
                    found: Err(Errno::STALE),
                });
            }
        }
        for (at, mut own) in own.into_iter().enumerate() {
            if at > 0 && !own.met {
                // What is around it changed meanwhile, or could not be listed.
                own.state.presence = unreadable(Errno::STALE);
            }
            found.push((own.state, own.new));
        }
        surveyed.push(Surveyed {
            path: path.clone(),
            found: Ok(FoundSource {
                parent: resolved.parent,
                name: resolved.name,
                stat: resolved.stat,
                record,
                inner: met,
                other_files,
            }),
        });
        surveyed.extend(unmet);
        Ok(())
    }
}

/// A source of which nothing is known yet.
fn state_of(path: &AbsolutePath) -> SourceState {
    SourceState {
        path: path.clone(),
        presence: Presence::Present,
        place: None,
        mounted: false,
        scan: SourceScan::default(),
        mounts_passed_over: Vec::new(),
        data_passed_over: Vec::new(),
        unreadable: Vec::new(),
        not_held: Vec::new(),
        renamed: Vec::new(),
        databases: Vec::new(),
    }
}

/// What is found of one source.
struct Own {
    state: SourceState,
    new: Vec<Stat>,
    /// Whether the walk came to it.
    met: bool,
}

/// What is counted of one source and those within it.
struct Count<'a> {
    /// The source itself, then those within it.
    own: Vec<Own>,
    below: &'a Below<'a>,
    basis: Option<&'a mut Cursor>,
    search: &'a mut Search,
    progress: &'a mut Progress,
    context: Context<'a>,
    prefix: &'a StoredPath,
    here: StoredPathBuf,
    groups: HashSet<(u64, u64)>,
    held: Held<'a>,
    /// What tells databases among the entries of each open folder.
    names: Names,
    /// Whether one file can have several names.
    links: bool,
    /// The name of the source itself.
    own_name: OsString,
    other_files: u64,
}

impl Count<'_> {
    /// Counts what was met; says whether it is a file whose content surely is not what the basis has
    /// at its path.
    fn told(&mut self, path: &StoredPath, told: Told) -> Result<bool> {
        let at = self.below.owner(path).map_or(0, |inner| inner + 1);
        if let Told::Met(Met::Enter(stat) | Met::Leaf(stat)) = &told {
            self.judge(at, path, stat);
        }
        self.look_for_databases(at, path, &told);
        let mut is_other = false;
        let within = self.within(at, path);
        let own = &mut self.own[at];
        own.met = true;
        let scan = &mut own.state.scan;
        match told {
            Told::Excluded => scan.excluded += 1,
            Told::Met(Met::Enter(stat)) => {
                scan.entries += 1;
                scan.folders += 1;
                scan.new_bytes += BLOCK;
                count_flags(scan, &stat);
            }
            Told::Met(Met::Leaf(stat)) => is_other = self.leaf(at, path, &stat)?,
            Told::Met(Met::MountPoint(stat)) => {
                scan.entries += 1;
                scan.folders += 1;
                scan.new_bytes += BLOCK;
                let within = escape::display(within);
                own.state.mounts_passed_over.push(within.clone());
                let data = data_of(self.below.mount(path), &stat, within);
                own.state.data_passed_over.extend(data);
            }
            Told::Met(Met::Unreadable(stat, error)) => {
                if within.is_empty() {
                    own.state.presence = unreadable(error);
                }
                scan.unreadable += 1;
                if stat.is_some_and(|stat| stat.kind == Kind::Folder) {
                    scan.entries += 1;
                    scan.folders += 1;
                }
                if own.state.unreadable.len() < MAX_LISTED {
                    own.state.unreadable.push(escape::display(within));
                }
            }
            Told::Met(Met::Leave) => {
                self.held.leave();
                self.names.leave();
                return Ok(false);
            }
            Told::Met(Met::Vanished) => return Ok(false),
        }
        self.progress.entries += 1;
        if self.progress.entries.is_multiple_of(1000) {
            self.context.observer.event(Event::Progress(*self.progress));
        }
        self.other_files += u64::from(is_other);
        Ok(is_other)
    }

    /// A path relative to the source that it belongs to.
    fn within<'p>(&self, at: usize, path: &'p StoredPath) -> &'p StoredPath {
        let inner = at.checked_sub(1).map(|inner| &self.below.inner[inner]);
        inner.map_or(path, |inner| path.rest_below(&inner.below).unwrap_or(path))
    }

    /// Notes what the destination cannot hold.
    fn judge(&mut self, at: usize, path: &StoredPath, stat: &Stat) {
        let name = match path.file_name() {
            b"" => self.own_name.as_os_str(),
            name => OsStr::from_bytes(name),
        };
        let Judged { refused, stored_as } = self.held.judge(name, stat.kind, stat.size);
        if stat.kind == Kind::Folder {
            self.held.enter();
        }
        if let Some(stored_as) = stored_as {
            let path = escape::display(self.within(at, path));
            let state = &mut self.own[at].state;
            state.scan.renamed += 1;
            if state.renamed.len() < MAX_LISTED {
                let stored_as = escape::display(bytes(&stored_as));
                state.renamed.push(Renamed { path, stored_as });
            }
        }
        if let Some(because) = refused {
            let path = escape::display(self.within(at, path));
            let state = &mut self.own[at].state;
            state.scan.not_held += 1;
            if state.not_held.len() < MAX_LISTED {
                state.not_held.push(NotHeld { path, because });
            }
        }
    }

    /// Counts a database of which this entry is the telling one.
    fn look_for_databases(&mut self, at: usize, path: &StoredPath, told: &Told) {
        let (is_file, enters) = match told {
            Told::Met(Met::Leaf(stat)) => (stat.kind == Kind::File, false),
            Told::Met(Met::Enter(_)) => (false, true),
            // A log that is left out makes it no better.
            Told::Excluded => (false, false),
            Told::Met(_) => return,
        };
        let name = path.file_name();
        let found = if enters {
            self.names.folder(name)
        } else {
            self.names.leaf(name, is_file)
        };
        if enters {
            self.names.enter();
        }
        if let Some((kind, less)) = found {
            let database = &path[..path.len() - less];
            let database = StoredPath::new(database.strip_suffix(b"/").unwrap_or(database));
            let example = self.within(at, database);
            add(&mut self.own[at].state.databases, kind, example);
        }
    }

    fn leaf(&mut self, at: usize, path: &StoredPath, stat: &Stat) -> Result<bool> {
        let own = &mut self.own[at];
        let scan = &mut own.state.scan;
        scan.entries += 1;
        count_flags(scan, stat);
        if stat.kind == Kind::File {
            scan.files += 1;
            scan.bytes += stat.size;
            self.progress.bytes += stat.size;
        }
        let mut is_other = stat.kind == Kind::File;
        let is_new = match &mut self.basis {
            None => true,
            Some(basis) => {
                self.here.truncate(self.prefix.len());
                self.here.push(path);
                let search = &mut *self.search;
                let entry = basis
                    .find_passing(&self.here, &mut |entry| search.gone(entry))
                    .map_err(unreadable_manifest)?;
                // What only may have changed is read and compared, and mostly has not.
                let untouched = entry
                    .as_ref()
                    .is_some_and(|entry| entry.looks_like(stat) && !entry.torn && !entry.absent);
                is_other &= !entry
                    .as_ref()
                    .is_some_and(|entry| entry.may_have_content(stat));
                // Another file at a path that the basis has: its own file may be elsewhere now.
                let displaced = entry.filter(|entry| entry.ino != stat.ino);
                if !untouched && let Some(entry) = displaced {
                    search.gone(&entry);
                }
                !untouched
            }
        };
        // Further names of one file need neither bytes nor inode, where there can be such.
        if self.links && stat.nlink > 1 && !self.groups.insert((stat.dev, stat.ino)) {
            return Ok(is_other);
        }
        if is_new {
            scan.new_inodes += 1;
            scan.new_bytes += needed(stat);
            if stat.kind == Kind::File {
                scan.new_files += 1;
                if self.basis.is_some() && stat.size > 0 {
                    self.search.new_file(stat);
                    if own.new.len() < MAX_MOVED {
                        own.new.push(*stat);
                    }
                }
            }
        }
        Ok(is_other)
    }
}

/// What is passed over at a mount point or a subvolume, if it holds data of this machine.
fn data_of(mount: Option<&Mount>, stat: &Stat, path: String) -> Option<DataPassedOver> {
    match mount {
        Some(mount) => mount.holds_data().then(|| DataPassedOver {
            path,
            file_system: Some(mount.file_system.clone()),
            device: mount.device.clone(),
            within: Some(escape::display(&mount.root)),
        }),
        // Mounted after the walk began.
        None if stat.mount_root => None,
        None => Some(DataPassedOver {
            path,
            file_system: None,
            device: stat.device_text(),
            within: None,
        }),
    }
}

/// Bytes on disk that a new entry needs at most.
fn needed(stat: &Stat) -> u64 {
    stat.allocated.max(stat.size.min(BLOCK))
}

fn count_flags(scan: &mut SourceScan, stat: &Stat) {
    scan.immutable += u64::from(stat.immutable || stat.append_only);
}

fn unreadable(error: Errno) -> Presence {
    Presence::Unreadable {
        because: reason(&error.into()),
    }
}

fn unreadable_manifest(error: std::io::Error) -> Error {
    Error::io("read", b"the basis' manifest", error).of_basis()
}
