//! How findings are made and worded: their severities, lists that are cut short, counted nouns.

use schema::{Finding, Severity};

/// A finding that is worth knowing.
pub(crate) fn note(code: &str, message: impl Into<String>) -> Finding {
    Finding::new(Severity::Note, code, message)
}

/// A finding that makes the run incomplete or suspect.
pub(crate) fn warning(code: &str, message: impl Into<String>) -> Finding {
    Finding::new(Severity::Warning, code, message)
}

/// A finding that forbids the run.
pub(crate) fn refusal(code: &str, message: impl Into<String>) -> Finding {
    Finding::new(Severity::Refusal, code, message)
}

/// The first few of a list, and how many more there are.
pub(crate) fn first_few(items: impl IntoIterator<Item = String>, count: u64) -> String {
    const FEW: usize = 3;
    let shown: Vec<String> = items.into_iter().take(FEW).collect();
    let rest = count.saturating_sub(shown.len() as u64);
    match rest {
        0 => shown.join(", "),
        _ => format!("{} and {rest} more", shown.join(", ")),
    }
}

/// A number with its noun.
pub(crate) fn counted(count: u64, noun: &str) -> String {
    match (count, noun.strip_suffix('y')) {
        (1, _) => format!("1 {noun}"),
        (_, Some(stem)) => format!("{count} {stem}ies"),
        (_, None) => format!("{count} {noun}s"),
    }
}
