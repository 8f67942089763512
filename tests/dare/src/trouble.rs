//! What must not be.

use std::fmt;

/// Why a life ended before its end.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Trouble {
    /// Something that was stored is not there any more, or is something else.
    Lost(String),
    /// Nothing is lost, and the program said or did what it must not.
    Wrong(String),
}

impl fmt::Display for Trouble {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost(what) => write!(to, "lost: {what}"),
            Self::Wrong(what) => write!(to, "wrong: {what}"),
        }
    }
}

/// How something ended.
pub(crate) type Outcome<T = ()> = Result<T, Trouble>;
