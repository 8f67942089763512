//! Where a snapshot's tree may not be what its manifest says, as its own record tells: something there could
//! not be stored, or not taken away.
//!
//! What is linked is looked at each time; what a clone takes over unseen would stay wrong for ever.

use std::collections::HashSet;

use schema::{
    StoredPath,
    journal::{Problem, ProblemKind},
};

use super::limits::MAX_PROBLEMS;

/// Paths at which a clone of the basis is looked at.
#[derive(Debug, Default)]
pub(super) struct DoubtfulPaths(HashSet<String>);

impl DoubtfulPaths {
    /// Those of a basis, by the problems that its record names.
    pub(super) fn of(problems: &[Problem]) -> Self {
        let paths = problems.iter().filter_map(|problem| match problem.kind {
            ProblemKind::NotStored | ProblemKind::Metadata => Some(problem.path.as_str()),
            // Nobody comes to it any more: its folder is gone through.
            ProblemKind::Unlisted => Some(parent_of(&problem.path)),
            ProblemKind::Unreadable
            | ProblemKind::Vanished
            | ProblemKind::Torn
            | ProblemKind::Unvouched => None,
        });
        Self(paths.map(str::to_owned).collect())
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a path is one.
    pub(super) fn has(&self, path: &StoredPath) -> bool {
        !self.0.is_empty() && self.0.contains(&path.shown())
    }
}

/// The folder of a path as problems have them.
fn parent_of(path: &str) -> &str {
    match path.rsplit_once('/') {
        Some(("", _)) | None => "/",
        Some((above, _)) => above,
    }
}

/// Whether all but what they name is as the manifest says: of more than these a record has only the number, and
/// in the tree's own folder is all of it.
pub(super) fn names_all_doubts(problems: &[Problem]) -> bool {
    problems.len() < MAX_PROBLEMS && !DoubtfulPaths::of(problems).has(StoredPath::root())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_should_not_stand_there_puts_its_folder_in_doubt() {
        let problem = |path: &str, kind| Problem {
            path: path.to_owned(),
            kind,
            message: String::new(),
        };
        let doubtful =
            |problems: &[Problem]| (DoubtfulPaths::of(problems), names_all_doubts(problems));
        let (found, named) = doubtful(&[
            problem("/home/a", ProblemKind::Unlisted),
            problem(
                &StoredPath::new(b"home/b\nc").shown(),
                ProblemKind::NotStored,
            ),
            problem("/home/d", ProblemKind::Unreadable),
        ]);
        assert!(named && !found.is_empty());
        assert!(found.has(StoredPath::new(b"home")));
        assert!(found.has(StoredPath::new(b"home/b\nc")));
        assert!(!found.has(StoredPath::new(b"home/a")));
        assert!(!found.has(StoredPath::new(b"home/d")));
        let (found, named) = doubtful(&[problem("/a", ProblemKind::Unlisted)]);
        assert!(!named && found.has(StoredPath::root()));
    }
}
