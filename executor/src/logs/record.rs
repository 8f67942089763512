//! A log record is one event with its level and kind; this is how it looks as a line.

use chrono::{DateTime, FixedOffset};
use schema::{Severity, journal::Status, outside, plan::chain::split_id};

/// How grave a record is, by the levels of syslog(3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// There is no backup, or not all of it.
    Error,
    /// A person should look.
    Warning,
    /// All else.
    Info,
}

impl Level {
    /// The word in a line.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Info => "info",
        }
    }

    /// The number that syslog(3) gives it.
    #[must_use]
    pub fn priority(self) -> u8 {
        match self {
            Self::Error => 3,
            Self::Warning => 4,
            Self::Info => 6,
        }
    }
}

impl From<Status> for Level {
    fn from(status: Status) -> Self {
        match status {
            Status::Succeeded => Self::Info,
            Status::Skipped | Status::Incomplete | Status::Deferred => Self::Warning,
            Status::Refused | Status::Failed => Self::Error,
        }
    }
}

impl From<Severity> for Level {
    fn from(severity: Severity) -> Self {
        match severity {
            Severity::Note => Self::Info,
            Severity::Warning | Severity::Deferral => Self::Warning,
            Severity::Error | Severity::Refusal => Self::Error,
        }
    }
}

/// What kind of event a record is of. Each has a number of its own (`MESSAGE_ID`), which never
/// changes: `journalctl MESSAGE_ID=...` finds all of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A run began or goes on.
    Run,
    /// A step began.
    StepStarted,
    /// A step ended.
    StepFinished,
    /// Something was noticed.
    Finding,
    /// A script or a program printed a line.
    Output,
    /// A path did not go as it should.
    Problem,
    /// The program ends with an error.
    Error,
    /// A health check found something.
    Health,
}

impl Kind {
    /// Its number, as systemd-id128(1) made it.
    #[must_use]
    pub fn message_id(self) -> &'static str {
        match self {
            Self::Run => "78ea3a89cfae4404ac8b51964398215e",
            Self::StepStarted => "d96a1cea9d4d4bd6bd3f938eaf838fd2",
            Self::StepFinished => "fb3969b4cb7f4eadb049038959519445",
            Self::Finding => "9bbb5d9a2c05466b8eab5f7dd116a3ed",
            Self::Output => "499c01e1b72c4b3aa4ee8603933ebcea",
            Self::Problem => "acac334f0e7e407083c708dc9e400203",
            Self::Error => "98adfc6a2c854ee38bdd1796db0a89b8",
            Self::Health => "71876bca6edd45ff8e0955455f5ed4d3",
        }
    }
}

/// One record.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    /// When.
    pub at: DateTime<FixedOffset>,
    /// How grave.
    pub level: Level,
    /// Of what.
    pub kind: Kind,
    /// The run.
    pub run_id: Option<&'a str>,
    /// The step.
    pub step: Option<&'a str>,
    /// The snapshot.
    pub snapshot: Option<&'a str>,
    /// The path, escaped.
    pub path: Option<&'a str>,
    /// The unit that it is about, where the process of another one may tell it.
    pub unit: Option<&'a str>,
    /// In a sentence.
    pub text: &'a str,
}

impl<'a> Record<'a> {
    /// A record with nothing but a sentence.
    #[must_use]
    pub fn new(at: DateTime<FixedOffset>, level: Level, kind: Kind, text: &'a str) -> Self {
        Self {
            at,
            level,
            kind,
            run_id: None,
            step: None,
            snapshot: None,
            path: None,
            unit: None,
            text,
        }
    }

    /// The named destination that its step is about.
    #[must_use]
    pub fn destination(&self) -> Option<&'a str> {
        self.step.and_then(|step| split_id(step).1)
    }

    /// What happened, in one line with nothing in it that is not seen as itself.
    #[must_use]
    pub fn message(&self) -> String {
        let step = self
            .step
            .map(|step| format!("{step}: "))
            .unwrap_or_default();
        let path = self
            .path
            .map(|path| format!("{path}: "))
            .unwrap_or_default();
        outside::one_line(&format!("{step}{path}{}", self.text))
    }

    /// The line of a log file: time, level, run and message; `-` where there is no run.
    #[must_use]
    pub fn line(&self) -> String {
        format!(
            "{} {} {} {}\n",
            self.at.format("%Y-%m-%dT%H:%M:%S%:z"),
            self.level.word(),
            outside::one_line(self.run_id.unwrap_or("-")),
            self.message()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_one_line_whatever_it_tells() {
        let at = "2025-01-16T02:00:00+01:00".parse().unwrap();
        let mut record = Record::new(
            at,
            Level::Warning,
            Kind::Problem,
            "a\nb\u{1b}[31m\u{9b}\u{202e}",
        );
        assert_eq!(
            record.line(),
            "2025-01-16T02:00:00+01:00 warning - a\\012b\\033[31m\\302\\233\\342\\200\\256\n"
        );
        record.run_id = Some("2025-01-16_02-00-00-8c1f");
        record.step = Some("snapshot");
        record.path = Some("/home/ann/a\\012b");
        record.text = "permission denied";
        assert_eq!(
            record.line(),
            "2025-01-16T02:00:00+01:00 warning 2025-01-16_02-00-00-8c1f snapshot: \
             /home/ann/a\\012b: permission denied\n"
        );
    }
}
