//! Exit codes, and what each error and result means as one.

use executor::ErrorKind;
use schema::{Plan, RunResult, Severity};

/// Done.
pub(crate) const DONE: u8 = RunResult::Success.exit_code();
/// A step failed.
pub(crate) const FAILED: u8 = RunResult::Failed.exit_code();
/// Usage or invalid configuration.
pub(crate) const INVALID: u8 = 2;
/// Done, but incomplete or suspect.
pub(crate) const INCOMPLETE: u8 = RunResult::Incomplete.exit_code();
/// Refused; nothing changed.
pub(crate) const REFUSED: u8 = RunResult::Refused.exit_code();
/// Another run holds the lock, or the run was deferred (EX_TEMPFAIL of sysexits.h).
pub(crate) const DEFERRED: u8 = RunResult::Deferred.exit_code();
/// With `--detailed-exitcode`: there are changes.
pub(crate) const CHANGES: u8 = 2;

/// An end that was already explained, with its exit code.
#[derive(Debug)]
pub(crate) struct Explained(pub(crate) u8);

impl std::fmt::Display for Explained {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "exit code {}", self.0)
    }
}

impl std::error::Error for Explained {}

/// A fault of usage or configuration.
#[derive(Debug)]
pub(crate) struct Invalid {
    pub(crate) message: String,
    pub(crate) hint: String,
}

impl std::fmt::Display for Invalid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Invalid {}

/// A fault of usage or configuration, with what to do about it.
pub(crate) fn invalid_input(message: impl Into<String>, hint: impl Into<String>) -> anyhow::Error {
    Invalid {
        message: message.into(),
        hint: hint.into(),
    }
    .into()
}

/// The code of an error of the executor; `signal` is the one that interrupted it.
pub(crate) fn code_of_error(error: &executor::Error, signal: Option<usize>) -> u8 {
    let by_signal = || u8::try_from(128 + signal?).ok();
    match error.kind {
        ErrorKind::Refused => REFUSED,
        ErrorKind::Busy => DEFERRED,
        ErrorKind::Interrupted => by_signal().unwrap_or(code_of_result(RunResult::Interrupted)),
        ErrorKind::Failed => FAILED,
    }
}

/// The code of a run's result.
pub(crate) fn code_of_result(result: RunResult) -> u8 {
    result.exit_code()
}

/// The code of a unit's process that ends with this one.
pub(crate) fn code_of_unit(code: u8) -> u8 {
    match code {
        REFUSED => RunResult::Refused.unit_exit_code(),
        other => other,
    }
}

/// The code of a plan for one or several destinations that is only shown.
pub(crate) fn code_of_plan(plan: &Plan) -> u8 {
    if plan.chains.is_empty() {
        return code_of_severity(plan.severity());
    }
    let result = |severity: Option<Severity>| match severity {
        Some(Severity::Refusal) => RunResult::Refused,
        Some(Severity::Deferral) => RunResult::Deferred,
        Some(Severity::Error) => RunResult::Failed,
        Some(Severity::Warning | Severity::Note) | None => RunResult::Success,
    };
    let of_each = plan.taking_part().into_iter();
    let of_each = of_each.map(|of| match of {
        Some(name) => result(plan.gravest_of(&name)),
        None => result(plan.severity()),
    });
    code_of_result(RunResult::of_all(&of_each.collect::<Vec<_>>()))
}

/// The code of a plan that is only shown.
pub(crate) fn code_of_severity(severity: Option<Severity>) -> u8 {
    match severity {
        Some(Severity::Refusal) => REFUSED,
        Some(Severity::Deferral) => DEFERRED,
        Some(Severity::Error) => FAILED,
        Some(Severity::Warning | Severity::Note) | None => DONE,
    }
}
