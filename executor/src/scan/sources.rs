//! Scans the sources as they are found, and what of them would be new against the basis.

use std::collections::HashSet;

use chrono::Local;
use rustix::io::Errno;
use schema::{
    StoredPath,
    config::AbsolutePath,
    inventory::{Cost, DatabaseKind, Presence, SourceScan, SourceState},
    pattern::Excludes,
    record::{Capabilities, SnapshotRecord},
};

use super::{
    cost::CostCount,
    cost::{needed_bytes, without_moved},
    databases::{Names, add_database, is_open_database},
    held::HeldNames,
    source_count::{SourceCount, SourceTally, unreadable_manifest, unreadable_presence},
};
use crate::{
    error::{Error, Result},
    event::{Context, Event, Phase, Progress},
    manifest::{Cursor, Entry, Reader},
    survey::{
        Below, Bounds, FoundSource, GoneSearch, HoleBudget, InnerSource, LeftOutFolders, Moves,
        Record, Root, Search, SourceChoice, Stretch, StretchSearch, StretchedManifest, Survey,
        Surveyed, Tags, Untouched, file_systems, in_manifest_order, survey_roots, survey_source,
        sync,
    },
    sys::{Kind, Stat, location::locate, mounts, resolve::Resolved},
};

/// The basis that sources are compared with.
#[derive(Clone, Copy)]
pub struct ComparedBasis<'a> {
    /// Opens its manifest, with those of others that are linked to.
    pub manifest: &'a dyn Fn() -> Result<Reader>,
    /// Its record, where stretches of what it has may be taken over: it is alone.
    pub stretched: Option<&'a SnapshotRecord>,
}

/// Looks at all sources, comparing with the manifest that `basis` opens, and with what the
/// destination can hold where that is known. The survey is what a snapshot is then built from.
///
/// # Errors
/// A pattern or a manifest that cannot be read, or an interruption.
pub fn scan_sources(
    choice: &SourceChoice<'_>,
    basis: Option<ComparedBasis<'_>>,
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
    let order = in_manifest_order(choice.sources.iter().copied());
    if choice.sync {
        sync::sync_file_systems(file_systems(&order, &bounds), context)?;
    }
    let mut look = SourceScanner {
        bounds,
        tags: choice.tags,
        left_out: LeftOutFolders::default(),
        can,
        basis: basis
            .map(|basis| {
                let manifest = (basis.manifest)().map_err(Error::of_basis)?;
                Ok(Cursor::new(manifest.without_names()))
            })
            .transpose()?,
        untouched: basis
            .and_then(|basis| basis.stretched)
            .map(Untouched::since),
        search: Search::default(),
        gone: GoneSearch::new(choice.sources.iter().copied()),
        patterns_used: vec![false; choice.exclude_patterns.len()],
        holes: HoleBudget::new(choice.max_hole_bytes),
        progress: Progress {
            phase: Phase::Scan,
            ..Progress::default()
        },
        context,
    };
    let mut found = Vec::new();
    let mut surveyed = Vec::new();
    for root in survey_roots(&order) {
        look.scan_source(root, &mut found, &mut surveyed)?;
    }
    context.observer.event(Event::Progress(look.progress));
    let used = look.patterns_used.iter();
    let unused = choice.exclude_patterns.iter().zip(used);
    let unmatched = unused.filter(|(_, used)| !**used);
    let unmatched_patterns = unmatched.map(|(pattern, _)| pattern.clone()).collect();
    let left_out = std::mem::take(&mut look.left_out);
    let (moves, gone, stretched) = look.find_moves(basis.map(|basis| basis.manifest))?;
    let gone = gone.finish(&left_out, |source| {
        let mut states = found.iter().map(|(state, _)| state);
        states.any(|state| state.presence == Presence::Present && state.path.as_stored() == source)
    });
    let mut survey = Survey {
        from,
        unmatched_patterns,
        sources: surveyed,
        left_out,
        moves,
        gone,
        stretched,
    };
    subtract_moved(&mut found, &mut survey);
    found.sort_by_key(|(state, _)| {
        let mut paths = choice.sources.iter();
        paths.position(|path| **path == state.path)
    });
    let found = found.into_iter().map(|(state, _)| state).collect();
    Ok((found, survey))
}

/// Takes what only moved out of what is predicted to be copied.
fn subtract_moved(found: &mut [(SourceState, Vec<Stat>)], survey: &mut Survey) {
    let mut moved: u64 = 0;
    for (state, new) in &mut *found {
        for stat in std::mem::take(new) {
            if survey.moves.surely(&stat).is_some() {
                let scan = &mut state.scan;
                scan.moved_files += 1;
                scan.new_files -= 1;
                // One may have moved over another.
                scan.changed_files = scan.changed_files.min(scan.new_files);
                scan.new_inodes -= 1;
                scan.new_bytes -= needed_bytes(&stat);
                moved = moved.saturating_add(needed_bytes(&stat));
            }
        }
    }
    let new_bytes = found.iter().map(|(state, _)| state.scan.new_bytes);
    let new_bytes = new_bytes.fold(0, u64::saturating_add);
    let named = found.iter_mut().map(|(state, _)| &mut state.costs_most);
    let surveyed = survey.sources.iter_mut().flat_map(|one| &mut one.found);
    for cost in named.chain(surveyed.map(|found| &mut found.cost)) {
        *cost = cost
            .take()
            .and_then(|cost| without_moved(cost, moved, new_bytes));
    }
}

/// What is looked at, with what is compared and counted on the way.
struct SourceScanner<'a> {
    bounds: Bounds<'a>,
    tags: Tags<'a>,
    /// The folders that tags leave out.
    left_out: LeftOutFolders,
    can: Option<&'a Capabilities>,
    basis: Option<Cursor>,
    untouched: Option<Untouched<'a>>,
    search: Search,
    gone: GoneSearch,
    patterns_used: Vec<bool>,
    holes: HoleBudget,
    progress: Progress,
    context: Context<'a>,
}

impl SourceScanner<'_> {
    /// Looks at one source and those within it; gives the new files besides, if there is a basis
    /// that may have them.
    fn scan_source(
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
        let resolved = match resolved {
            Ok(resolved) => resolved,
            Err(error) => {
                found.push((state_without(path, error), Vec::new()));
                surveyed.push(Surveyed {
                    path: path.clone(),
                    found: Err(error),
                });
                return Ok(());
            }
        };
        let Walked {
            mut own,
            cost,
            record,
            stretches,
            other_files,
        } = self.walk_source(path, &resolved, &below)?;
        if resolved.stat.kind == Kind::File && is_open_database(&resolved.parent, &resolved.name) {
            add_database(
                &mut own[0].state.databases,
                DatabaseKind::Sqlite,
                StoredPath::root(),
            );
        }
        own[0].state.costs_most.clone_from(&cost);
        let (met, unmet) = split_inner(&own, &below);
        for (at, mut own) in own.into_iter().enumerate() {
            if at > 0 && !own.met {
                // What is around it changed meanwhile, or could not be listed.
                own.state.presence = unreadable_presence(Errno::STALE);
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
                stretches,
                cost,
                inner: met,
                other_files,
            }),
        });
        surveyed.extend(unmet);
        Ok(())
    }

    /// Walks through a source and counts what is in it.
    fn walk_source(
        &mut self,
        path: &AbsolutePath,
        resolved: &Resolved,
        below: &Below<'_>,
    ) -> Result<Walked> {
        let own = begin_tallies(path, resolved, below);
        let prefix = path.as_stored();
        let Self {
            bounds,
            tags,
            left_out,
            can,
            basis,
            untouched,
            search,
            gone,
            patterns_used,
            holes,
            progress,
            context,
        } = self;
        let mut count = SourceCount {
            own,
            below,
            basis: basis.as_mut(),
            search,
            gone,
            patterns_used,
            left_out,
            holes,
            hollow_inodes: HashSet::new(),
            cost: CostCount::new(path),
            progress,
            context: *context,
            prefix,
            here: prefix.to_owned(),
            groups: HashSet::new(),
            held: HeldNames::new(*can),
            names: Names::default(),
            links: can.is_none_or(|can| can.hard_links),
            own_name: resolved.name.clone(),
            other_files: 0,
            // Whose an entry is, and so where it is counted, is not told for many at once.
            untouched: untouched.as_mut().filter(|_| below.inner.is_empty()),
            stretches: StretchSearch::default(),
        };
        let record = survey_source(
            resolved,
            below,
            (*bounds, *tags),
            *context,
            &mut |path, told| count.told(path, told),
        )?;
        Ok(Walked {
            own: count.own,
            cost: count.cost.finish(),
            record,
            stretches: count.stretches.finish(),
            other_files: count.other_files,
        })
    }

    /// What of the new files is in the basis under another path, what is missed of the basis, and the
    /// manifest that stretches are of.
    fn find_moves(
        self,
        basis: Option<&dyn Fn() -> Result<Reader>>,
    ) -> Result<(Moves, GoneSearch, Option<StretchedManifest>)> {
        let Self {
            basis: cursor,
            untouched,
            mut search,
            mut gone,
            ..
        } = self;
        let mut stretched = None;
        if let Some(mut cursor) = cursor {
            let mut missed = |entry: &Entry| {
                search.gone(entry.into());
                gone.missed(&entry.path, entry.into());
            };
            cursor.pass_all(&mut missed).map_err(unreadable_manifest)?;
            let lines = cursor.lines_of_segments();
            stretched = untouched.zip(lines);
        }
        let moves = match basis {
            Some(manifest) => search.finish(manifest).map_err(Error::of_basis)?,
            None => Moves::default(),
        };
        let stretched = stretched.map(|(untouched, lines)| untouched.manifest(lines));
        Ok((moves, gone, stretched))
    }
}

/// What a walk through a source came to.
struct Walked {
    /// The source itself, then those within it.
    own: Vec<SourceTally>,
    record: Record,
    stretches: Vec<Stretch>,
    cost: Option<Cost>,
    other_files: u64,
}

/// The tallies of a source and of those within it before anything is counted.
fn begin_tallies(path: &AbsolutePath, resolved: &Resolved, below: &Below<'_>) -> Vec<SourceTally> {
    let all = mounts::all_mounts().unwrap_or_default();
    let placed = |mut state: SourceState, at: &Resolved| {
        state.place = Some(locate(at, &at.stat, &all));
        state.mounted = at.stat.mount_root;
        state.scan.sparse = Some(0);
        SourceTally {
            state,
            new: Vec::new(),
            met: false,
        }
    };
    let mut own = vec![placed(state_of(path), resolved)];
    let inner = below.inner.iter();
    own.extend(inner.map(|inner| placed(state_of(inner.path), &inner.resolved)));
    own
}

/// The sources within another: those that the walk came to, and those that it did not.
fn split_inner(own: &[SourceTally], below: &Below<'_>) -> (Vec<InnerSource>, Vec<Surveyed>) {
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
    (met, unmet)
}

/// A source that cannot be looked at.
fn state_without(path: &AbsolutePath, error: Errno) -> SourceState {
    SourceState {
        presence: match error {
            Errno::NOENT => Presence::Missing,
            error => unreadable_presence(error),
        },
        ..state_of(path)
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
        hollow: Vec::new(),
        costs_most: None,
        left_out: None,
        renamed: Vec::new(),
        databases: Vec::new(),
    }
}
