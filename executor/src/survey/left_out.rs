//! The folders that tags leave out, for whoever has to tell what is left out from what is gone.

use std::collections::HashSet;

use schema::{LeftOut, StoredPath, StoredPathBuf};

/// Bytes of paths that are remembered: whoever owns a source makes as many such folders as he likes.
const MOST: usize = 16 << 20;

/// The folders that tags leave out, by their paths in a snapshot. Those beyond a limit are not remembered,
/// and what is in them counts as gone.
#[derive(Debug, Clone, Default)]
pub struct LeftOutFolders {
    paths: HashSet<StoredPathBuf>,
    bytes: usize,
    total: LeftOut,
}

impl LeftOutFolders {
    /// Adds a folder, with what is left out of it.
    pub(crate) fn add(&mut self, path: StoredPathBuf, what: &LeftOut) {
        self.total.add(what);
        // What stands around a path in a set weighs as much as most paths.
        let weight = path.len() + 64;
        if self.bytes + weight <= MOST && self.paths.insert(path) {
            self.bytes += weight;
        }
    }

    /// What is left out of all of them; none where there are none.
    pub(crate) fn total(&self) -> Option<LeftOut> {
        let is_any = self.total.caches + self.total.folders > 0;
        is_any.then(|| self.total.clone())
    }

    /// Whether what is not in a snapshot is left out of a source because of a tag; both by their paths there.
    pub(crate) fn covers(&self, path: &StoredPath, source: &StoredPath) -> bool {
        if self.paths.is_empty() {
            return false;
        }
        let mut above = Some(path);
        while let Some(at) = above.filter(|at| at.is_below(source)) {
            if self.paths.contains(at) {
                return true;
            }
            above = at.parent();
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_such_a_folder_is_covered_but_for_a_source_in_it() {
        let path = |text: &'static str| StoredPath::new(text.as_bytes());
        let mut left_out = LeftOutFolders::default();
        let home = path("home");
        assert!(!left_out.covers(path("home/ann/target/o"), home));
        let one = LeftOut {
            caches: 1,
            ..LeftOut::default()
        };
        assert_eq!(left_out.total(), None);
        left_out.add(path("home/ann/target").to_owned(), &one);
        assert_eq!(left_out.total().as_ref(), Some(&one));
        for (inside, covered) in [
            ("home/ann/target/deep/o", true),
            ("home/ann/target", true),
            ("home/ann/target2", false),
            ("home/ann", false),
            ("home", false),
        ] {
            assert_eq!(left_out.covers(path(inside), home), covered, "{inside}");
        }
        let inner = path("home/ann/target/kept");
        assert!(!left_out.covers(path("home/ann/target/kept/x"), inner));
        // More than is remembered is as if it were not there.
        for number in 0..300_000 {
            let path = format!("home/{number}").into_bytes();
            left_out.add(StoredPathBuf::from(path), &one);
        }
        assert!(left_out.covers(path("home/7/x"), home));
        assert!(!left_out.covers(path("home/299999/x"), home));
        assert_eq!(left_out.total().map(|all| all.caches), Some(300_001));
    }
}
