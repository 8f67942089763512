//! Findings, errors and what steps say, each with what to do about it.

use schema::{Finding, Severity, journal::Outcome};

use super::{
    hint,
    page::{self, Page},
};
use crate::style::{Style, printable};

/// A finding with its hint.
pub(crate) fn finding_lines(finding: &Finding, style: &Style) -> String {
    let word = match finding.severity {
        Severity::Note => style.dim("note:"),
        Severity::Warning => style.yellow("warning:"),
        Severity::Deferral => style.yellow("deferred:"),
        Severity::Refusal => style.bold(style.red("refused:")),
        Severity::Error => style.bold(style.red("error:")),
    };
    lines_with_hint(&word, &finding.message, finding.hint.as_deref())
}

/// An error with what to do about it.
pub(crate) fn error_lines(message: &str, hint: Option<&str>, style: &Style) -> String {
    lines_with_hint(&style.bold(style.red("error:")), message, hint)
}

/// A warning with its hint.
pub(crate) fn warning_lines(message: &str, hint: Option<&str>, style: &Style) -> String {
    lines_with_hint(&style.bold(style.yellow("warning:")), message, hint)
}

fn lines_with_hint(word: &str, message: &str, hint: Option<&str>) -> String {
    let mut page = Page::default();
    page.line(0, &format!("{word} {}", hint::pasted(&printable(message))));
    if let Some(hint) = hint {
        hint::add(&mut page, 2, hint);
    }
    page.into_string()
}

/// Begins what a step says besides what it did, in its message.
const BESIDES: &str = "\nnote: ";

/// What a step says that did what it was to, with its notes.
pub(crate) fn done_lines(message: &str) -> String {
    let mut page = Page::default();
    let mut parts = message.split(BESIDES);
    page.line(0, &printable(parts.next().unwrap_or_default()));
    for note in parts {
        page.line(0, &format!("note: {}", printable(note)));
    }
    page.into_string()
}

/// What a step says that did not do all that it was to: what went wrong, and what to do about it.
pub(crate) fn failure_lines(outcome: &Outcome, style: &Style) -> String {
    let mut page = Page::default();
    let mut parts = outcome.message.split(BESIDES);
    let message = printable(parts.next().unwrap_or_default());
    let error = style.bold(style.red("error:"));
    page.line(0, &format!("{error} {}", hint::pasted(&message)));
    for problem in &outcome.problems {
        let path = page::readable_path(&problem.path);
        page.line(2, &format!("{path}: {}", printable(&problem.message)));
    }
    for note in parts {
        page.line(2, &format!("note: {}", printable(note)));
    }
    if let Some(hint) = &outcome.hint {
        hint::add(&mut page, 2, hint);
    }
    page.into_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_and_findings_end_with_what_to_do() {
        assert_eq!(
            error_lines(
                "destination not mounted: /mnt/backup",
                Some("mount it"),
                &Style::PLAIN
            ),
            "error: destination not mounted: /mnt/backup\n  hint: mount it\n"
        );
        let refusal = Finding::new(Severity::Refusal, "x", "a\x1b[31mb");
        assert_eq!(
            finding_lines(&refusal, &Style::PLAIN),
            "refused: a\\033[31mb\n"
        );
    }
}
