//! Words and numbers as the page, the mail and the text share them.

use chrono::{DateTime, FixedOffset, TimeDelta};
use maud::{Markup, html};
use schema::{
    Severity,
    health::HealthVerdict,
    output::{
        period_report::{PeriodReport, ReportedDestination, ReportedRun},
        status::StatusVerdict,
    },
    outside,
    plan::Part,
};

pub(crate) use schema::amount::{age, bytes, count, plural, span};

pub(crate) type Time = DateTime<FixedOffset>;

/// A text from outside, of which everything is seen as itself.
pub(crate) fn safe(text: &str) -> String {
    outside::one_line(text)
}

/// The same with what stands in backticks as code.
pub(crate) fn rich(text: &str) -> Markup {
    let text = safe(text);
    let parts: Vec<&str> = text.split('`').collect();
    // A last one that is not closed is none.
    let is_code = |at: usize| at % 2 == 1 && at + 1 < parts.len();
    html! {
        @for (at, part) in parts.iter().enumerate() {
            @if is_code(at) { code { (part) } } @else if at % 2 == 1 { "`" (part) } @else { (part) }
        }
    }
}

/// A sentence that begins with a capital letter, unless it begins with the name of an option, or of what it is of.
pub(crate) fn sentence(text: &str) -> String {
    let first = text.split(' ').next().unwrap_or_default();
    if first.ends_with(':') || (first.contains('.') && !first.ends_with('.')) {
        return text.to_owned();
    }
    let mut letters = text.chars();
    let first = letters.next();
    first.map_or_else(String::new, |first| {
        first.to_uppercase().chain(letters).collect()
    })
}

/// A day, such as `30 Nov 2025`.
pub(crate) fn day(at: Time) -> String {
    at.format("%-d %b %Y").to_string()
}

/// A moment, such as `30 Nov 2025, 02:00`.
pub(crate) fn moment(at: Time) -> String {
    at.format("%-d %b %Y, %H:%M").to_string()
}

/// How long ago it was.
pub(crate) fn ago(at: Time, now: Time) -> String {
    age(now - at)
}

/// A length of time.
pub(crate) fn length(time: TimeDelta) -> String {
    span(time.to_std().unwrap_or_default())
}

/// Bytes with their sign.
pub(crate) fn signed_bytes(amount: i64) -> String {
    let size = bytes(amount.unsigned_abs());
    match amount {
        0 => size,
        1.. => format!("+{size}"),
        _ => format!("\u{2212}{size}"),
    }
}

/// A share of a whole, in percent.
pub(crate) fn percent(part: u64, whole: u64) -> u64 {
    if whole == 0 {
        return 0;
    }
    let percent = u128::from(part) * 100 / u128::from(whole);
    u64::try_from(percent).unwrap_or(100)
}

/// What a verdict means, for people.
pub(crate) fn headline(verdict: HealthVerdict) -> &'static str {
    match verdict {
        HealthVerdict::Ok => "All is well",
        HealthVerdict::Warning => "A person should look",
        HealthVerdict::Error => "The backup cannot be relied on",
    }
}

/// How grave something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Tone {
    Quiet,
    Good,
    Warn,
    Bad,
}

impl Tone {
    /// Its class in the style sheet.
    pub(crate) fn class(self) -> &'static str {
        match self {
            Self::Quiet => "quiet",
            Self::Good => "good",
            Self::Warn => "warn",
            Self::Bad => "bad",
        }
    }
}

impl From<HealthVerdict> for Tone {
    fn from(verdict: HealthVerdict) -> Self {
        match verdict {
            HealthVerdict::Ok => Self::Good,
            HealthVerdict::Warning => Self::Warn,
            HealthVerdict::Error => Self::Bad,
        }
    }
}

impl From<StatusVerdict> for Tone {
    fn from(verdict: StatusVerdict) -> Self {
        match verdict {
            StatusVerdict::Ok => Self::Good,
            StatusVerdict::Warning => Self::Warn,
            StatusVerdict::NoBackup => Self::Bad,
        }
    }
}

/// How grave a finding is, and in a word.
pub(crate) fn severity(severity: Severity) -> (Tone, &'static str) {
    match severity {
        Severity::Note => (Tone::Quiet, "note"),
        Severity::Warning => (Tone::Warn, "warning"),
        Severity::Deferral => (Tone::Warn, "waits"),
        Severity::Refusal => (Tone::Bad, "refused"),
        Severity::Error => (Tone::Bad, "error"),
    }
}

/// The runs of the period that make snapshots, or that would have.
pub(crate) fn runs_of_period<'a>(
    report: &'a PeriodReport,
    destination: &'a ReportedDestination,
) -> impl Iterator<Item = &'a ReportedRun> {
    backups(destination).filter(|run| run.started_at >= report.since)
}

/// The runs that make snapshots, or that would have; where there are no others, those that only copy away.
pub(crate) fn backups(destination: &ReportedDestination) -> impl Iterator<Item = &ReportedRun> {
    let copies = |run: &ReportedRun| run.only == Some(Part::Cloud);
    let only_copies = destination.runs.iter().all(copies);
    let runs = destination.runs.iter();
    runs.filter(move |run| only_copies || !copies(run))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_in_backticks_is_code_and_nothing_is_markup() {
        let told = rich("run `backup <b>` & see `x").into_string();
        assert_eq!(told, "run <code>backup &lt;b&gt;</code> &amp; see `x");
        assert_eq!(rich("a\u{1b}[31m\nb").into_string(), "a\\033[31m\\012b");
    }

    #[test]
    fn amounts_are_told_with_their_sign() {
        assert_eq!(sentence("the disk is full"), "The disk is full");
        for named in ["schedule.enable is on", "b2: nothing came there"] {
            assert_eq!(sentence(named), named);
        }
        assert_eq!(signed_bytes(2048), "+2.0 KiB");
        assert_eq!(signed_bytes(-2048), "\u{2212}2.0 KiB");
        assert_eq!(signed_bytes(0), "0 B");
        assert_eq!((percent(1, 3), percent(1, 0)), (33, 0));
    }
}
