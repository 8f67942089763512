//! What a rule found wrong, before it is known where that stands in the file.

use schema::{Config, config::DestinationName};

use super::fault::Fault;

/// What a rule found, before it is known where that stands in the file.
pub(super) struct RuleFinding {
    fault: Fault,
    also: Vec<String>,
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
    pub(super) fn with(mut self, also: &[&str]) -> Self {
        self.also.extend(also.iter().map(|path| (*path).to_owned()));
        self
    }

    /// Whether `test` holds for an option that the rule looked at.
    pub(super) fn involves(&self, test: impl Fn(&str) -> bool) -> bool {
        test(&self.fault.path) || self.also.iter().any(|path| test(path))
    }

    /// What was found in the view of a destination, in the words of the whole configuration; none where it
    /// is nothing of that destination's own.
    pub(super) fn in_words_of(mut self, config: &Config, name: &DestinationName) -> Option<Self> {
        let words = |text: &str| config.in_words_of(name, text);
        let path = config.path_of(name, &self.fault.path);
        let problem = words(&self.fault.problem);
        if path == self.fault.path && problem == self.fault.problem {
            return None;
        }
        let also = self.also.iter().map(|path| config.path_of(name, path));
        self.also = also.collect();
        self.fault = Fault {
            path,
            problem,
            expected: words(&self.fault.expected),
            hint: self.fault.hint.as_deref().map(words),
            ..self.fault
        };
        Some(self)
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
