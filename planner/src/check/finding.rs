//! What a rule found wrong, before it is known where that stands in the file.

use super::fault::Fault;

/// What a rule found, before it is known where that stands in the file.
pub(super) struct RuleFinding {
    fault: Fault,
    also: Vec<&'static str>,
}

impl RuleFinding {
    /// A finding about the option at `path`.
    pub(super) fn new(path: impl Into<String>, problem: impl Into<String>) -> Self {
        Self {
            fault: Fault::new(path, problem),
            also: Vec::new(),
        }
    }

    pub(super) fn expected(mut self, expected: impl Into<String>) -> Self {
        self.fault = self.fault.expected(expected);
        self
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.fault = self.fault.hint(hint.into());
        self
    }

    /// Other options that the rule looked at.
    pub(super) fn with(mut self, also: &[&'static str]) -> Self {
        self.also.extend(also);
        self
    }

    /// Whether `test` holds for an option that the rule looked at.
    pub(super) fn involves(&self, test: impl Fn(&str) -> bool) -> bool {
        test(&self.fault.path) || self.also.iter().any(|path| test(path))
    }

    pub(super) fn into_fault(self) -> Fault {
        self.fault
    }
}

/// One finding, if the condition holds.
pub(super) fn finding_if(
    condition: bool,
    finding: impl FnOnce() -> RuleFinding,
) -> Vec<RuleFinding> {
    condition.then(finding).into_iter().collect()
}
