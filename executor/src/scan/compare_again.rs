//! Compares what was found in the sources with the basis of another destination, without another look at
//! them: what was met is told again, in the same order.

use schema::{
    StoredPathBuf,
    inventory::{SourceScan, SourceState},
    record::Capabilities,
};

use super::{
    sources::finish,
    tally::{ComparedBasis, Comparison, SourceTally, Tallied, Tally},
};
use crate::{
    error::{Error, Result},
    event::Context,
    manifest::Reader,
    survey::{
        Encountered, FoundSource, MarkRecorder, Moves, Noted, Record, Survey, Surveyed, WalkEvent,
    },
    sys::{Stat, bytes},
};

/// What [`super::scan_sources`] would find at the moment of the first survey with another basis and another
/// destination, by what it found: the states of the sources, and the survey that a snapshot is built from.
/// What was met is kept once for both.
///
/// # Errors
/// A manifest that cannot be read, a source's folder that cannot be opened once more, or an interruption.
pub fn compare_again(
    (states, survey): (&[SourceState], &Survey),
    max_hole_bytes: u64,
    basis: Option<&dyn Fn() -> Result<Reader>>,
    can: Option<&Capabilities>,
    context: Context<'_>,
) -> Result<(Vec<SourceState>, Survey)> {
    let paths = states.iter().map(|state| &state.path);
    // What a tag left out is not told again, and stretches must know of it.
    let basis = basis.map(|manifest| ComparedBasis {
        manifest,
        stretched: None,
    });
    let mut comparison = Comparison::begin(paths, basis, can, max_hole_bytes)?;
    let bare = states.iter().map(|state| (bare_state(state), Vec::new()));
    let mut found: Vec<(SourceState, Vec<Stat>)> = bare.collect();
    let mut sources = Vec::new();
    for Surveyed { path, found: first } in &survey.sources {
        let first = match first {
            Ok(first) => first,
            Err(error) => {
                sources.push(Surveyed {
                    path: path.clone(),
                    found: Err(*error),
                });
                continue;
            }
        };
        let own = std::iter::once(path).chain(first.inner.iter().map(|inner| &inner.path));
        let places = own.filter_map(|path| states.iter().position(|state| state.path == *path));
        let places: Vec<usize> = places.collect();
        let own = places.iter().map(|at| SourceTally {
            state: found[*at].0.clone(),
            new: Vec::new(),
            met: true,
        });
        let inner = first.inner.iter().map(|inner| inner.below.clone());
        let tally = comparison.tally(path, &first.name, own.collect(), inner.collect());
        let (tallied, record) = tell_again(&first.record, tally, context)?;
        let Tallied {
            mut own,
            cost,
            other_files,
            stretches,
        } = tallied;
        own[0].state.costs_most.clone_from(&cost);
        for (at, one) in places.into_iter().zip(own) {
            found[at] = (one.state, one.new);
        }
        let parent = first.parent.again();
        sources.push(Surveyed {
            path: path.clone(),
            found: Ok(FoundSource {
                parent: parent.map_err(|error| Error::io("open", bytes(&first.name), error))?,
                name: first.name.clone(),
                stat: first.stat,
                record,
                other_files,
                cost,
                inner: first.inner.clone(),
                stretches,
            }),
        });
    }
    let again = Survey {
        from: survey.from,
        sources,
        unmatched_patterns: survey.unmatched_patterns.clone(),
        left_out: survey.left_out.clone(),
        moves: Moves::default(),
        gone: None,
        stretched: None,
    };
    finish(comparison, basis, (found, again))
}

/// A source's state without what comes of the comparison.
fn bare_state(state: &SourceState) -> SourceState {
    SourceState {
        scan: SourceScan {
            new_files: 0,
            changed_files: 0,
            new_bytes: 0,
            new_inodes: 0,
            moved_files: 0,
            not_held: 0,
            renamed: 0,
            hollow: 0,
            sparse: state.scan.sparse.map(|_| 0),
            ..state.scan
        },
        not_held: Vec::new(),
        renamed: Vec::new(),
        hollow: Vec::new(),
        costs_most: None,
        ..state.clone()
    }
}

/// Tells a tally what was met in a source, and gives the record of it with what is known now.
fn tell_again(
    first: &Record,
    mut tally: Tally<'_, '_>,
    context: Context<'_>,
) -> Result<(Tallied, Record)> {
    let mut marks = MarkRecorder::default();
    let mut path = StoredPathBuf::new();
    // How long the paths are of the folders around each open one.
    let mut around = Vec::new();
    let mut met = first.look_through();
    while let Some((name, noted)) = met.next_noted().map_err(damaged_record)? {
        context.stop.check()?;
        let length = path.len();
        let is_of_folder = matches!(
            noted,
            Noted::Met(Encountered::Leave) | Noted::RestUnreadable(_)
        );
        // The source itself has no path in itself.
        if !is_of_folder && !around.is_empty() {
            path.push(bytes(&name));
        }
        let told = match noted {
            Noted::Excluded => WalkEvent::Excluded(None),
            Noted::RestUnreadable(error) => {
                WalkEvent::Encountered(Encountered::Unreadable(None, error))
            }
            // Whether it is read is judged anew: nothing is of what a basis has as it is.
            Noted::Met(Encountered::Hollow(stat)) => {
                WalkEvent::Encountered(Encountered::Leaf(stat))
            }
            Noted::Met(met) => WalkEvent::Encountered(met),
        };
        let content = tally.told(&path, &told)?;
        match told {
            WalkEvent::Encountered(Encountered::Enter(_)) => around.push(length),
            WalkEvent::Encountered(Encountered::Leave) => {
                path.truncate(around.pop().unwrap_or_default());
            }
            WalkEvent::Encountered(Encountered::Leaf(_)) => {
                marks.add(content);
                path.truncate(length);
            }
            _ => path.truncate(length),
        }
    }
    Ok((tally.finish(), first.marked(marks)))
}

fn damaged_record(error: std::io::Error) -> Error {
    Error::failed(format!("cannot read the survey of the sources: {error}"))
}

#[cfg(test)]
#[path = "compare_again_tests.rs"]
mod tests;
