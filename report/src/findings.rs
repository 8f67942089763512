//! What was noticed, and what to do about it.

use maud::{Markup, html};
use schema::{Finding, Severity, output::period_report::PeriodReport};

use crate::words::{Tone, plural, rich, sentence, severity};

/// What a person should know; notes are folded away.
pub(crate) fn list(report: &PeriodReport) -> Markup {
    let (notes, grave): (Vec<&Finding>, Vec<&Finding>) = report
        .findings
        .iter()
        .partition(|finding| finding.severity == Severity::Note);
    html! {
        @if !grave.is_empty() {
            section.findings aria-label="What to do" {
                h2 { "What to do" }
                ul { @for finding in grave { (item(finding)) } }
            }
        }
        @if !notes.is_empty() {
            details.findings {
                summary { (plural(notes.len() as u64, "note", "notes")) ", nothing to do" }
                ul { @for finding in notes { (item(finding)) } }
            }
        }
    }
}

fn item(finding: &Finding) -> Markup {
    let (tone, word) = severity(finding.severity);
    html! {
        li.(tone.class()) {
            @if tone != Tone::Quiet { span.badge.(tone.class()) { (word) } " " }
            (rich(&sentence(&finding.message))) "."
            @if let Some(hint) = &finding.hint { p.hint { (rich(&sentence(hint))) "." } }
        }
    }
}
