//! One try to notify a channel succeeds, fails for now, or fails for good.

/// Why a channel was not told.
#[derive(Debug)]
pub(crate) struct Failure {
    /// As the end of a sentence about the channel; never a secret.
    pub(super) because: String,
    pub(super) hint: String,
    /// Whether trying again may help.
    pub(super) again: bool,
}

impl Failure {
    pub(super) fn lasting(because: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            because: because.into(),
            hint: hint.into(),
            again: false,
        }
    }

    pub(super) fn passing(because: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            again: true,
            ..Self::lasting(because, hint)
        }
    }
}

/// What one try came to: a sentence about a success where there is more to say than that.
pub(crate) type Tried = Result<Option<String>, Failure>;
