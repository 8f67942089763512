//! What lives tell while they last.

use crate::trouble::Trouble;

/// Something that was done or found.
pub(crate) enum News {
    /// A run was killed, or one of its calls failed, while it did this.
    Struck {
        kind: Kind,
        doing: &'static str,
        call: String,
    },
    /// Something else was done.
    Did(&'static str),
    /// All that was published was compared.
    Compared {
        snapshots: usize,
        files: usize,
        by_rsync: usize,
    },
    /// A sweep over the calls of a deed is over.
    Swept {
        number: u64,
        scenario: &'static str,
        tried: usize,
        of: usize,
        /// How many kinds of points there are, of each of which one comes before the second of any.
        kinds: usize,
    },
    /// A life is over.
    Ended { seed: u64, trouble: Option<Trouble> },
    /// Nobody lives any more.
    Over,
}

/// How a run was struck.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Killed,
    Failed,
}
