//! The report as plain text: in a terminal, and in a mail beside the page.

use std::fmt::Write as _;

use schema::{
    Severity,
    output::period_report::{FolderArea, PeriodReport, ReportedDestination},
};

use crate::{
    page::period,
    tiles,
    words::{headline, safe, sentence, severity, signed_bytes},
};

/// Folders that are told.
const MOST: usize = 5;

/// The report as text, whose lines are as long as what they tell.
#[must_use]
pub fn plain_text(report: &PeriodReport) -> String {
    let mut text = String::new();
    let _ = writeln!(
        text,
        "Backups of {}: {}\n{}\n",
        safe(&report.host),
        headline(report.verdict).to_lowercase(),
        period(report)
    );
    let _ = writeln!(text, "{}", sentence(&safe(&report.summary)));
    if let Some(remedy) = &report.remedy {
        let _ = writeln!(text, "  what to do: {}", safe(remedy));
    }
    for gap in &report.not_told {
        let _ = writeln!(text, "not all could be looked at: {}", safe(gap));
    }
    for finding in &report.findings {
        if finding.severity == Severity::Note {
            continue;
        }
        let (_, word) = severity(finding.severity);
        let _ = writeln!(text, "\n{word}: {}", safe(&finding.message));
        if let Some(hint) = &finding.hint {
            let _ = writeln!(text, "  hint: {}", safe(hint));
        }
    }
    for destination in &report.destinations {
        text.push('\n');
        tell_destination(report, destination, &mut text);
    }
    text
}

fn tell_destination(report: &PeriodReport, destination: &ReportedDestination, text: &mut String) {
    if let Some(name) = &destination.name {
        let _ = writeln!(text, "{name} ({})", safe(&destination.place));
    }
    for tile in tiles::all(report, destination) {
        let name = format!("{}:", tile.name);
        let note = match tile.note.as_str() {
            "" => String::new(),
            note => format!(" ({note})"),
        };
        let _ = writeln!(text, "  {name:<18}{}{note}", tile.value);
    }
    if let Some(folders) = destination
        .folders
        .as_ref()
        .filter(|one| one.before.is_some())
    {
        let growing = folders.growing.iter().filter(|one| one.grown_bytes > 0);
        tell_folders(
            "Grew most",
            growing,
            &|one| signed_bytes(one.grown_bytes),
            text,
        );
        let changing = folders.changing.iter();
        tell_folders(
            "Changed most",
            changing,
            &|one| crate::words::bytes(one.changed_bytes),
            text,
        );
    }
}

fn tell_folders<'a>(
    title: &str,
    areas: impl Iterator<Item = &'a FolderArea>,
    amount: &dyn Fn(&FolderArea) -> String,
    text: &mut String,
) {
    let mut name = format!("{title}:");
    for one in areas.filter(|one| !one.path.is_empty()).take(MOST) {
        let _ = writeln!(text, "  {name:<18}{} {}", amount(one), safe(&one.path));
        name.clear();
    }
}
