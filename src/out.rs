//! The only place that writes to standard output and standard error.
//!
//! Whatever a text is made of, a terminal gets nothing but what is seen as itself.
//!
//! A reader that went away (`backup list | head`) is no error. Any other fault of standard output is
//! kept, and makes the program end with an error: whoever asked did not get it.

use std::{
    io::{Error, ErrorKind, Write as _},
    sync::OnceLock,
};

use executor::error::system_reason;
use schema::outside::visible_json;
use serde::Serialize;

use crate::style::{guarded, printable};

/// Writes data to standard output and messages to standard error.
#[derive(Default)]
pub(crate) struct Out {
    pub(crate) quiet: bool,
    fault: OnceLock<String>,
}

impl Out {
    /// Nothing was written yet.
    pub(crate) fn new(quiet: bool) -> Self {
        Self {
            quiet,
            fault: OnceLock::new(),
        }
    }

    /// Data: what was asked for.
    pub(crate) fn print_data(&self, text: &str) {
        self.print_document(&guarded(text));
    }

    /// A document of this program's own that other programs read, as it is.
    pub(crate) fn print_document(&self, text: &str) {
        let mut stdout = std::io::stdout().lock();
        let end = if text.ends_with('\n') { "" } else { "\n" };
        let written = write!(stdout, "{text}{end}").and_then(|()| stdout.flush());
        self.keep_fault(written);
    }

    /// Keeps that something could not be written to standard output, if so.
    pub(crate) fn keep_fault(&self, written: Result<(), Error>) {
        if let Err(error) = written
            && error.kind() != ErrorKind::BrokenPipe
        {
            self.fault.get_or_init(|| {
                format!(
                    "standard output cannot be written: {}",
                    system_reason(&error)
                )
            });
        }
    }

    /// Why not all of what was asked for could be written; none if it was.
    pub(crate) fn write_fault(&self) -> Option<&str> {
        self.fault.get().map(String::as_str)
    }

    /// Data as JSON.
    pub(crate) fn print_json(&self, value: &impl Serialize) {
        match serde_json::to_string_pretty(value) {
            Ok(text) => self.print_document(&visible_json(&text)),
            Err(error) => self.keep_fault(Err(error.into())),
        }
    }

    /// A message for programs: an object on a line of standard error.
    pub(crate) fn print_json_line(&self, value: &impl Serialize) {
        if let Ok(line) = serde_json::to_string(value) {
            let mut stderr = std::io::stderr().lock();
            let _ = writeln!(stderr, "{}", visible_json(&line));
        }
    }

    /// A message that even `--quiet` shows.
    pub(crate) fn print_message(&self, text: &str) {
        let mut stderr = std::io::stderr().lock();
        let end = if text.ends_with('\n') { "" } else { "\n" };
        let _ = write!(stderr, "{}{end}", guarded(text));
    }

    /// A question, after which the answer is typed in the same line.
    pub(crate) fn print_question(&self, text: &str) {
        let mut stderr = std::io::stderr().lock();
        let _ = write!(stderr, "{}", guarded(text)).and_then(|()| stderr.flush());
    }

    /// A message in one line, whatever is in it, that even `--quiet` shows.
    pub(crate) fn print_line(&self, text: &str) {
        self.print_message(&printable(text));
    }

    /// A message.
    pub(crate) fn print_unless_quiet(&self, text: &str) {
        if !self.quiet {
            self.print_message(text);
        }
    }

    /// A message in one line, whatever is in it.
    pub(crate) fn print_line_unless_quiet(&self, text: &str) {
        if !self.quiet {
            self.print_line(text);
        }
    }
}
