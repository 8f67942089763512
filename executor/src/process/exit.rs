//! A process exit says how a program ended, whatever that means for the one who started it.

use std::{fmt, io, os::unix::process::ExitStatusExt as _, process::ExitStatus, time::Duration};

use crate::error::system_reason;

/// How a program ended. Shown, it is the end of a sentence about the program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ProcessExit {
    /// It ended by itself, or a signal ended it.
    Ended(ExitStatus),
    /// It could not be started.
    NotStarted {
        /// The system's reason.
        because: String,
        /// Whether there is no such program.
        is_absent: bool,
    },
    /// Its time was over, and it was ended with all that it had started.
    TimedOut,
    /// It did nothing for so long that it never would have gone on, and was ended likewise.
    Stalled(Duration),
    /// Who listened to it gave it up, and it was ended likewise.
    GivenUp,
}

impl ProcessExit {
    /// The end of a program that could not be started.
    pub(crate) fn not_started(error: &io::Error) -> Self {
        Self::NotStarted {
            because: system_reason(error),
            is_absent: error.kind() == io::ErrorKind::NotFound,
        }
    }

    /// Whether it ended with exit code 0.
    pub(crate) fn is_success(&self) -> bool {
        self.code() == Some(0)
    }

    /// Its exit code, if it ended by itself.
    pub(crate) fn code(&self) -> Option<i32> {
        match self {
            Self::Ended(status) => status.code(),
            Self::NotStarted { .. } | Self::TimedOut | Self::Stalled(_) | Self::GivenUp => None,
        }
    }
}

impl fmt::Display for ProcessExit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ended(status) => match (status.code(), status.signal()) {
                (Some(0), _) => f.write_str("succeeded"),
                (Some(code), _) => write!(f, "failed with exit code {code}"),
                (None, Some(signal)) => write!(f, "was ended by signal {signal}"),
                (None, None) => f.write_str("failed"),
            },
            Self::NotStarted { because, .. } => write!(f, "cannot be run: {because}"),
            Self::TimedOut => f.write_str("did not end in time"),
            Self::Stalled(span) => write!(f, "did nothing for {} s", span.as_secs()),
            Self::GivenUp => f.write_str("was given up"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exit_is_the_end_of_a_sentence_about_the_program() {
        let ended = |status| ProcessExit::Ended(ExitStatus::from_raw(status));
        assert!(ended(0).is_success());
        assert_eq!(ended(3 << 8).to_string(), "failed with exit code 3");
        assert_eq!(ended(9).to_string(), "was ended by signal 9");
        assert_eq!(ended(9).code(), None);
        let absent = ProcessExit::not_started(&io::Error::from_raw_os_error(2));
        assert_eq!(
            absent.to_string(),
            "cannot be run: no such file or directory"
        );
        assert!(matches!(
            absent,
            ProcessExit::NotStarted {
                is_absent: true,
                ..
            }
        ));
    }
}
