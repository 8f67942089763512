//! The report as the body of a mail: what matters, in tables and with styles in the elements, because readers of
//! mail show neither charts nor style sheets. The page itself goes with it as a file.

use maud::{DOCTYPE, Markup, html};
use schema::{
    Severity,
    output::period_report::{PeriodReport, ReportedDestination},
};

use crate::{
    page::period,
    tiles,
    words::{Tone, headline, rich, safe, sentence, severity},
};

const BODY: &str = "margin:0;padding:16px;background:#ffffff;color:#1b2127;\
     font:15px/1.5 system-ui,-apple-system,'Segoe UI',Roboto,sans-serif";
const CELL: &str =
    "padding:6px 14px 6px 0;border-bottom:1px solid #d5d9dd;text-align:left;vertical-align:top";
const SOFT: &str = "color:#4f5a64";

/// The line that a reader of mail sees first.
#[must_use]
pub fn mail_subject(report: &PeriodReport) -> String {
    let host = safe(&report.host);
    format!(
        "Backups of {host}: {}",
        headline(report.verdict).to_lowercase()
    )
}

/// The report as the body of a mail, in HTML.
#[must_use]
pub fn mail_html(report: &PeriodReport) -> String {
    let tone = Tone::from(report.verdict);
    let banner = format!(
        "margin:12px 0;padding:14px 18px;border-radius:8px;border-left:6px solid {};background:{};color:#1b2127",
        ink(tone),
        ground(tone)
    );
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="color-scheme" content="light";
            }
            body style=(BODY) {
                h1 style="font-size:20px;margin:0" { "Backups of " (safe(&report.host)) }
                p style={ "margin:0;" (SOFT) } { (period(report)) }
                div style=(banner) {
                    p style="margin:0;font-size:19px;font-weight:700" { (headline(report.verdict)) }
                    p style="margin:4px 0 0" { (rich(&sentence(&report.summary))) }
                    @if let Some(remedy) = &report.remedy {
                        p style="margin:4px 0 0" { strong { "What to do: " } (rich(remedy)) }
                    }
                }
                @for gap in &report.not_told {
                    p { "Not all could be looked at: " (rich(gap)) }
                }
                (findings(report))
                @for destination in &report.destinations { (figures(report, destination)) }
                p style=(SOFT) { "Charts, folders and how long each snapshot stays are in the attached page." }
            }
        }
    }
    .into_string()
}

fn findings(report: &PeriodReport) -> Markup {
    let grave = report.findings.iter();
    let grave = grave.filter(|finding| finding.severity != Severity::Note);
    html! {
        ul style="padding-left:20px" {
            @for finding in grave {
                @let (tone, word) = severity(finding.severity);
                li style="margin:6px 0" {
                    strong style={ "color:" (ink(tone)) } { (word) ": " } (rich(&finding.message))
                    @if let Some(hint) = &finding.hint {
                        br; span style=(SOFT) { (rich(&sentence(hint))) "." }
                    }
                }
            }
        }
    }
}

fn figures(report: &PeriodReport, destination: &ReportedDestination) -> Markup {
    html! {
        @if let Some(name) = &destination.name {
            h2 style="font-size:16px;margin:16px 0 4px" {
                (name.as_str()) " " small style=(SOFT) { (safe(&destination.place)) }
            }
        }
        table style="border-collapse:collapse" {
            @for tile in tiles::all(report, destination) {
                tr {
                    th scope="row" style={ (CELL) ";font-weight:400;" (SOFT) } { (tile.name) }
                    td style=(CELL) {
                        strong style={ "color:" (ink(tile.tone)) } { (tile.value) }
                        " " span style=(SOFT) { (tile.note) }
                    }
                }
            }
        }
    }
}

fn ink(tone: Tone) -> &'static str {
    match tone {
        Tone::Quiet => "#1b2127",
        Tone::Good => "#17653a",
        Tone::Warn => "#7d5200",
        Tone::Bad => "#a3211a",
    }
}

fn ground(tone: Tone) -> &'static str {
    match tone {
        Tone::Quiet => "#eef0f2",
        Tone::Good => "#e4f4ea",
        Tone::Warn => "#fdf0d3",
        Tone::Bad => "#fce6e3",
    }
}
