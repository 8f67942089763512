//! The sources are walked once for each selection of them, whatever the number of destinations.

use schema::{config::AbsolutePath, inventory::SourceState, record::Capabilities};

use super::{compare_again::compare_again, sources::scan_sources, tally::ComparedBasis};
use crate::{
    error::{Error, Result},
    event::Context,
    survey::{FoundSource, Moves, SourceChoice, Survey, Surveyed},
    sys::{
        bytes,
        mounts::{Mount, all_mounts, mount_of},
    },
};

/// Scans for several destinations: what was met for the first one is compared again for all others that have
/// the same selection.
#[derive(Debug, Default)]
pub struct SharedScan {
    is_shared: bool,
    walks: Vec<Walk>,
}

/// What one walk through sources met.
#[derive(Debug)]
struct Walk {
    selection: Selection,
    states: Vec<SourceState>,
    survey: Survey,
}

/// What a walk depends on besides the sources themselves.
#[derive(Debug, PartialEq, Eq)]
struct Selection {
    sources: Vec<AbsolutePath>,
    exclude_patterns: Vec<String>,
    caches: bool,
    tag_names: Vec<String>,
    one_file_system: bool,
    sync: bool,
    max_hole_bytes: u64,
}

impl SharedScan {
    /// Scans for one destination, or for several, for which what was met is kept.
    #[must_use]
    pub fn new(is_shared: bool) -> Self {
        Self {
            is_shared,
            walks: Vec::new(),
        }
    }

    /// Keeps what was met for the next scan only.
    pub fn end(&mut self) {
        self.is_shared = false;
    }

    /// As [`scan_sources`], which is asked where no walk has met what is to be looked at.
    ///
    /// # Errors
    /// As [`scan_sources`].
    pub fn scan(
        &mut self,
        choice: &SourceChoice<'_>,
        basis: Option<ComparedBasis<'_>>,
        can: Option<&Capabilities>,
        never: &[(u64, u64)],
        context: Context<'_>,
    ) -> Result<(Vec<SourceState>, Survey)> {
        let selection = Selection::of(choice);
        let is_it = |walk: &Walk| walk.selection == selection;
        if let Some(at) = self.walks.iter().position(is_it) {
            let walk = self.walks.swap_remove(at);
            let first = (walk.states.as_slice(), &walk.survey);
            let manifest = basis.map(|basis| basis.manifest);
            let compared = compare_again(first, choice.max_hole_bytes, manifest, can, context);
            match compared {
                // A source that went away meanwhile is looked at for what it is now.
                Err(error) if !error.is_of_basis() && error.kind.step_status().is_some() => {}
                compared => {
                    self.walks.extend(self.is_shared.then_some(walk));
                    return compared;
                }
            }
        }
        let (mut states, survey) = scan_sources(choice, basis, can, never, context)?;
        if self.is_shared {
            mark_distant(&mut states, &survey);
        }
        // Without it all are walked again.
        if self.is_shared
            && let Ok(kept) = share(&survey)
        {
            self.walks.push(Walk {
                selection,
                states: states.clone(),
                survey: kept,
            });
        }
        Ok((states, survey))
    }
}

impl Selection {
    fn of(choice: &SourceChoice<'_>) -> Self {
        Self {
            sources: choice.sources.iter().map(|path| (*path).clone()).collect(),
            exclude_patterns: choice.exclude_patterns.to_vec(),
            caches: choice.tags.caches,
            tag_names: choice.tags.names.to_vec(),
            one_file_system: choice.one_file_system,
            sync: choice.sync,
            max_hole_bytes: choice.max_hole_bytes,
        }
    }
}

/// Says of which sources somebody far away answers for: what is read of them is worth sharing, too.
fn mark_distant(states: &mut [SourceState], survey: &Survey) {
    let mounts = all_mounts().unwrap_or_default();
    for source in &survey.sources {
        let Ok(found) = &source.found else {
            continue;
        };
        let is_distant = mount_of(&mounts, &found.stat).is_some_and(Mount::is_distant);
        let is_in_it = |state: &&mut SourceState| {
            let mut inner = found.inner.iter();
            state.path == source.path || inner.any(|inner| inner.path == state.path)
        };
        for state in states.iter_mut().filter(is_in_it) {
            state.is_distant = is_distant;
        }
    }
}

/// The same survey once more, without what comes of its basis. Both share the memory of what was met.
fn share(survey: &Survey) -> Result<Survey> {
    let sources = survey.sources.iter().map(|source| {
        let found = source.found.as_ref().map_err(|error| *error);
        let found = found.map(|found| {
            let parent = found.parent.again();
            let parent = parent.map_err(|error| Error::io("open", bytes(&found.name), error))?;
            Ok(FoundSource {
                parent,
                name: found.name.clone(),
                stat: found.stat,
                record: found.record.look_through(),
                other_files: 0,
                cost: None,
                inner: found.inner.clone(),
                stretches: Vec::new(),
            })
        });
        Ok(Surveyed {
            path: source.path.clone(),
            found: found.map_or_else(|error| Ok(Err(error)), |found: Result<_>| found.map(Ok))?,
        })
    });
    Ok(Survey {
        from: survey.from,
        sources: sources.collect::<Result<_>>()?,
        unmatched_patterns: survey.unmatched_patterns.clone(),
        left_out: survey.left_out.clone(),
        moves: Moves::default(),
        gone: None,
        stretched: None,
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::{event::Stop, survey::Tags};

    #[test]
    fn each_selection_is_walked_once_if_there_are_several_destinations() {
        let temporary = tempfile::tempdir().unwrap();
        let top = temporary.path().canonicalize().unwrap();
        fs::write(top.join("a"), "a").unwrap();
        let path: AbsolutePath = top.to_str().unwrap().parse().unwrap();
        let patterns = ["b".to_owned()];
        let choice = |patterns| SourceChoice {
            sources: vec![&path],
            exclude_patterns: patterns,
            tags: Tags::default(),
            one_file_system: true,
            sync: false,
            max_hole_bytes: 0,
        };
        let stop = Stop::default();
        let context = Context::silent(&stop);
        for is_shared in [true, false] {
            let mut scans = SharedScan::new(is_shared);
            let mut files = |patterns| {
                let (states, survey) = scans
                    .scan(&choice(patterns), None, None, &[], context)
                    .unwrap();
                assert!(survey.sources[0].found.is_ok());
                states[0].scan.files
            };
            assert_eq!(files(&[]), 1);
            fs::write(top.join("new"), "").unwrap();
            assert_eq!(files(&[]), if is_shared { 1 } else { 2 });
            assert_eq!(files(&patterns), 2, "another selection");
            fs::remove_file(top.join("new")).unwrap();
        }
    }
}
