//! The only place that writes to standard output and standard error.
//!
//! A reader that went away (`backup list | head`) is no error.

use std::io::Write as _;

use serde::Serialize;

/// Writes data to standard output and messages to standard error.
pub(crate) struct Out {
    pub(crate) quiet: bool,
}

impl Out {
    /// Data: what was asked for.
    pub(crate) fn data(&self, text: &str) {
        let mut stdout = std::io::stdout().lock();
        let end = if text.ends_with('\n') { "" } else { "\n" };
        let _ = write!(stdout, "{text}{end}").and_then(|()| stdout.flush());
    }

    /// Data as JSON.
    pub(crate) fn data_json(&self, value: &impl Serialize) {
        match serde_json::to_string_pretty(value) {
            Ok(text) => self.data(&text),
            Err(error) => self.note(&format!("error: cannot print JSON: {error}")),
        }
    }

    /// A message that even `--quiet` shows.
    pub(crate) fn note(&self, text: &str) {
        let mut stderr = std::io::stderr().lock();
        let end = if text.ends_with('\n') { "" } else { "\n" };
        let _ = write!(stderr, "{text}{end}");
    }

    /// A message.
    pub(crate) fn say(&self, text: &str) {
        if !self.quiet {
            self.note(text);
        }
    }
}
