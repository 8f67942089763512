//! Scans the sources as they are found, and what of them would be new against the basis.

use chrono::Local;
use rustix::io::Errno;
use schema::{
    StoredPath,
    config::AbsolutePath,
    inventory::{DatabaseKind, Presence, SourceScan, SourceState},
    pattern::Excludes,
    record::Capabilities,
};

use super::{
    cost::{needed_bytes, without_moved},
    databases::{Names, add_database, is_open_database},
    source_count::{SourceCount, unreadable_presence},
    tally::{ComparedBasis, Comparison, SourceTally, Tallied},
};
use crate::{
    error::{Error, Result},
    event::{Context, Event, Phase, Progress},
    survey::{
        Below, Bounds, FoundSource, InnerSource, LeftOutFolders, Moves, Record, Root, SourceChoice,
        Survey, Surveyed, Tags, file_systems, in_manifest_order, survey_roots, survey_source, sync,
    },
    sys::{Kind, Stat, location::locate, mounts, resolve::Resolved},
};

/// Looks at all sources, comparing with the manifest that `basis` opens, and with what the
/// destination can hold where that is known. The survey is what a snapshot is then built from. The inodes
/// in `never` are not entered.
///
/// # Errors
/// A pattern or a manifest that cannot be read, or an interruption.
pub fn scan_sources(
    choice: &SourceChoice<'_>,
    basis: Option<ComparedBasis<'_>>,
    can: Option<&Capabilities>,
    never: &[(u64, u64)],
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
        comparison: Comparison::begin(
            choice.sources.iter().copied(),
            basis,
            can,
            choice.max_hole_bytes,
        )?,
        patterns_used: vec![false; choice.exclude_patterns.len()],
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
    let survey = Survey {
        from,
        unmatched_patterns,
        sources: surveyed,
        left_out: std::mem::take(&mut look.left_out),
        moves: Moves::default(),
        gone: None,
        stretched: None,
    };
    let (mut found, survey) = finish(look.comparison, basis, (found, survey))?;
    found.sort_by_key(|state| {
        let mut paths = choice.sources.iter();
        paths.position(|path| **path == state.path)
    });
    Ok((found, survey))
}

/// Completes a survey, and what is known of its sources, by what only the whole of it tells: what moved and
/// what is gone.
pub(super) fn finish(
    comparison: Comparison<'_>,
    basis: Option<ComparedBasis<'_>>,
    (mut found, mut survey): (Vec<(SourceState, Vec<Stat>)>, Survey),
) -> Result<(Vec<SourceState>, Survey)> {
    let (moves, gone, stretched) = comparison.finish(basis)?;
    survey.moves = moves;
    survey.stretched = stretched;
    survey.gone = gone.finish(&survey.left_out, |source| {
        let mut states = found.iter().map(|(state, _)| state);
        states.any(|state| state.presence == Presence::Present && state.path.as_stored() == source)
    });
    subtract_moved(&mut found, &mut survey);
    let states = found.into_iter().map(|(state, _)| state);
    Ok((states.collect(), survey))
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
    comparison: Comparison<'a>,
    patterns_used: Vec<bool>,
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
        let (tallied, record) = self.walk_source(path, &resolved, &below)?;
        let Tallied {
            mut own,
            cost,
            stretches,
            other_files,
        } = tallied;
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
    ) -> Result<(Tallied, Record)> {
        let own = begin_tallies(path, resolved, below);
        let inner = below.inner.iter().map(|inner| inner.below.clone());
        let mut count = SourceCount {
            tally: self
                .comparison
                .tally(path, &resolved.name, own, inner.collect()),
            below,
            patterns_used: &mut self.patterns_used,
            left_out: &mut self.left_out,
            progress: &mut self.progress,
            context: self.context,
            prefix: path.as_stored(),
            names: Names::default(),
        };
        let record = survey_source(
            resolved,
            below,
            (self.bounds, self.tags),
            self.context,
            &mut |path, told| count.told(path, told),
        )?;
        Ok((count.tally.finish(), record))
    }
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
        is_distant: false,
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
