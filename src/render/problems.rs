//! Paths of a run that did not go as they should: the words for them, and which come first.

use schema::journal::ProblemKind;

/// What went wrong, in a word.
pub(super) fn word(kind: ProblemKind) -> &'static str {
    match kind {
        ProblemKind::Unreadable => "unreadable",
        ProblemKind::NotStored => "not stored",
        ProblemKind::Vanished => "vanished",
        ProblemKind::Torn => "torn",
        ProblemKind::Metadata => "metadata",
        ProblemKind::Unlisted => "unlisted",
        ProblemKind::Unvouched => "left out",
    }
}

/// Content that is missing before content that is doubtful before all else.
pub(super) fn rank(kind: ProblemKind) -> u8 {
    match kind {
        ProblemKind::Unreadable | ProblemKind::NotStored => 0,
        ProblemKind::Torn => 1,
        ProblemKind::Unvouched => 2,
        ProblemKind::Metadata | ProblemKind::Unlisted => 3,
        ProblemKind::Vanished => 4,
    }
}
