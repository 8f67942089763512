//! One fault of a config and how it reads.
//!
//! Owns the wording's shape (head line, `expected:`, `did you mean`, `hint:`), the width and the
//! escaping of what came from the file. Decides nothing about what is a fault.

use std::fmt;

use schema::{
    columns::{self, shortened},
    outside::visible,
};

/// Columns that a rendered fault keeps to where its words allow it.
const WIDTH: usize = 80;

/// Longest path that is shown whole.
const LONGEST_PATH: usize = 60;

/// One thing that is wrong with a config, or in a warning: probably not meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// JSON path as the user would write it: `local.keepDaily`, `local.sources[2]`; empty for the
    /// whole file.
    pub path: String,
    /// What is wrong, in a few words: `unknown key`, `wrong type`.
    pub problem: String,
    /// The value found, as compact JSON, shortened; absent where the file does not have the key.
    pub found: Option<String>,
    /// What was expected; empty where the problem says it all.
    pub expected: String,
    /// The nearest known key, with its full path, or the nearest value.
    pub nearest: Option<String>,
    /// What to do.
    pub hint: Option<String>,
}

impl Fault {
    pub(super) fn new(path: impl Into<String>, problem: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            problem: problem.into(),
            found: None,
            expected: String::new(),
            nearest: None,
            hint: None,
        }
    }

    pub(super) fn found(mut self, found: String) -> Self {
        self.found = Some(found);
        self
    }

    pub(super) fn expected(mut self, expected: impl Into<String>) -> Self {
        self.expected = expected.into();
        self
    }

    pub(super) fn nearest(mut self, nearest: Option<String>) -> Self {
        self.nearest = nearest;
        self
    }

    pub(super) fn hint(mut self, hint: impl Into<Option<String>>) -> Self {
        self.hint = hint.into();
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = match self.path.as_str() {
            "" => "the file".to_owned(),
            path => shortened(&visible(path), LONGEST_PATH),
        };
        let mut head = format!("{path}: {}", self.problem);
        if let Some(found) = &self.found {
            head.push_str(", found ");
            head.push_str(found);
        }
        wrap(f, &visible(&head), "")?;
        if !self.expected.is_empty() {
            wrap(f, &visible(&format!("expected: {}", self.expected)), "  ")?;
        }
        if let Some(nearest) = &self.nearest {
            wrap(f, &visible(&format!("did you mean `{nearest}`?")), "  ")?;
        }
        if let Some(hint) = &self.hint {
            wrap(f, &visible(&format!("hint: {hint}")), "  ")?;
        }
        Ok(())
    }
}

/// Writes lines of at most `WIDTH` columns, each continued one four columns further in.
fn wrap(f: &mut fmt::Formatter<'_>, text: &str, indent: &str) -> fmt::Result {
    let mut column = indent.len();
    f.write_str(indent)?;
    for (index, word) in text.split(' ').enumerate() {
        let width = columns::width(word);
        if index > 0 && column + 1 + width > WIDTH {
            write!(f, "\n{indent}    ")?;
            column = indent.len() + 4;
        } else if index > 0 {
            f.write_str(" ")?;
            column += 1;
        }
        f.write_str(word)?;
        column += width;
    }
    f.write_str("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_reads_in_four_lines_and_in_eighty_columns() {
        let text = Fault::new("local.keepDialy", "unknown key")
            .found("7".to_owned())
            .expected("one of enable, mountPoint, …")
            .nearest(Some("local.keepDaily".to_owned()))
            .hint("a sentence that goes on and on, ".repeat(4))
            .to_string();
        assert!(text.starts_with(
            "local.keepDialy: unknown key, found 7\n  expected: one of enable, mountPoint, …\n  \
             did you mean `local.keepDaily`?\n  hint: a sentence"
        ));
        assert!(text.lines().all(|line| columns::width(line) <= WIDTH));
    }

    #[test]
    fn nothing_from_the_file_reaches_the_terminal_as_a_control_character() {
        let text = Fault::new("a\u{1b}[2J\u{9b}b", "unknown key")
            .found("\u{202e}".to_owned())
            .to_string();
        assert_eq!(text, "a\\u001b[2J\\u009bb: unknown key, found \\u202e\n");
    }
}
