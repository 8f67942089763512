//! Hints, and commands in other texts, as they can be pasted into a shell.
//!
//! Owns that a command stands there as it works here and now. Which commands help is said elsewhere, in
//! words that do not depend on who calls the program and how; these go to files and programs as they are.

use std::borrow::Cow;

use super::page::{Page, code_end};
use crate::{
    called::{self, Called},
    style::printable,
};

/// A text whose commands can be pasted; those of this program stand in backticks.
pub(crate) fn pasted(text: &str) -> Cow<'_, str> {
    match called::current() {
        Some(called) => pasted_by(text, called),
        None => Cow::Borrowed(text),
    }
}

/// A command of this program, such as `backup status`, as it can be pasted.
pub(crate) fn command(text: &str) -> String {
    let command = called::current().and_then(|called| called.command(text));
    command.unwrap_or_else(|| text.to_owned())
}

/// A hint below what it is of.
pub(crate) fn add(page: &mut Page, indent: usize, hint: &str) {
    page.entry(indent, "hint:", 6, &pasted(&printable(hint)));
}

/// A hint in a line of its own.
pub(crate) fn line(indent: usize, hint: &str) -> String {
    format!("{}hint: {}", " ".repeat(indent), pasted(&printable(hint)))
}

fn pasted_by<'a>(text: &'a str, called: &Called) -> Cow<'a, str> {
    if !text.contains('`') {
        return Cow::Borrowed(text);
    }
    let mut whole = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('`') {
        whole.push_str(&rest[..at]);
        let Some(end) = code_end(&rest[at..]) else {
            rest = &rest[at..];
            break;
        };
        let code = &rest[at + 1..at + end];
        whole.push('`');
        whole.push_str(&called.command(code).unwrap_or_else(|| code.to_owned()));
        whole.push('`');
        rest = &rest[at + end + 1..];
    }
    whole.push_str(rest);
    Cow::Owned(whole)
}
