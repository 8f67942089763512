//! The page as a whole: what is told first, then each destination.

use maud::{DOCTYPE, Markup, PreEscaped, html};
use schema::output::period_report::{PeriodReport, ReportedDestination};

use crate::{
    calendar, duration, findings, folders, proof, retention, room, sizes, tiles,
    words::{Tone, day, headline, moment, plural, rich, safe, sentence},
};

const STYLE: &str = include_str!("style.css");

/// The report as one page, which needs nothing from elsewhere.
#[must_use]
pub fn html_page(report: &PeriodReport) -> String {
    let tone = Tone::from(report.verdict);
    let title = format!(
        "Backups of {}: {}",
        safe(&report.host),
        headline(report.verdict)
    );
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="referrer" content="no-referrer";
                // Nothing is loaded and nothing runs, whatever a name in it may be.
                meta http-equiv="Content-Security-Policy"
                    content="default-src 'none'; style-src 'unsafe-inline'; img-src data:";
                link rel="icon" href="data:,";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                main {
                    (heading(report))
                    (verdict(report, tone))
                    (findings::list(report))
                    @for destination in &report.destinations { (section(report, destination)) }
                    (footer(report))
                }
            }
        }
    }
    .into_string()
}

fn heading(report: &PeriodReport) -> Markup {
    html! {
        header {
            p.eyebrow { "Backup report" }
            h1 { (safe(&report.host)) }
            p.period { (period(report)) }
        }
    }
}

/// The period in words.
pub(crate) fn period(report: &PeriodReport) -> String {
    let days = (report.made_at - report.since).num_days().max(0);
    let days = plural(days.unsigned_abs(), "day", "days");
    format!(
        "{} to {} ({days})",
        day(report.since),
        moment(report.made_at)
    )
}

fn verdict(report: &PeriodReport, tone: Tone) -> Markup {
    html! {
        section.verdict.(tone.class()) aria-label="Verdict" {
            (sign(tone))
            div {
                p.headline { (headline(report.verdict)) }
                p.summary { (rich(&sentence(&report.summary))) }
                @if let Some(remedy) = &report.remedy {
                    p.remedy { strong { "What to do: " } (rich(remedy)) }
                }
            }
        }
        @for gap in &report.not_told {
            p.gap { "Not all could be looked at: " (rich(gap)) }
        }
    }
}

/// A sign that tells without colour how things stand.
pub(crate) fn sign(tone: Tone) -> Markup {
    let shape = match tone {
        Tone::Good => "M6 12.5l4 4 8-9",
        Tone::Warn | Tone::Quiet => "M12 6v7M12 16.4v.2",
        Tone::Bad => "M7.5 7.5l9 9M16.5 7.5l-9 9",
    };
    html! {
        svg.sign.(tone.class()) viewBox="0 0 24 24" width="24" height="24" aria-hidden="true" {
            circle cx="12" cy="12" r="11" {}
            path d=(shape) {}
        }
    }
}

/// All of one destination.
fn section(report: &PeriodReport, destination: &ReportedDestination) -> Markup {
    let status = report.status_of(destination);
    let tone = Tone::from(status.verdict);
    html! {
        section.destination {
            @if let Some(name) = &destination.name {
                h2.name {
                    (sign(tone)) span { (name.as_str()) } " "
                    small { (safe(&destination.place)) }
                }
                p.summary { (rich(&sentence(&status.summary))) }
                @if let Some(remedy) = &status.remedy {
                    p.remedy { strong { "What to do: " } (rich(remedy)) }
                }
            }
            (tiles::tiles(report, destination))
            div.cards {
                (calendar::card(report, destination))
                (sizes::card(report, destination))
                (retention::card(report, destination))
                (room::card(report, destination))
                (folders::card(report, destination))
                (duration::card(report, destination))
                (proof::card(report, destination))
                (proof::cloud_card(report, destination))
            }
        }
    }
}

fn footer(report: &PeriodReport) -> Markup {
    html! {
        footer {
            p {
                "Made by " (safe(&report.made_by)) " on " (moment(report.made_at))
                " from what is kept of runs and snapshots. Nothing was changed."
            }
            p {
                "Again: " code { "backup report --html FILE" } ", or "
                code { "backup report --json" } " for the same data."
            }
        }
    }
}

/// A chart with what it shows, and its table.
pub(crate) fn card(title: &str, lead: &Markup, body: &Markup) -> Markup {
    html! {
        figure.card {
            h3 { (title) }
            p.lead { (lead) }
            (body)
        }
    }
}

/// A table that is folded away below a chart, and does not widen the page.
pub(crate) fn folded_table(what: &str, head: &[&str], rows: &[Vec<Markup>]) -> Markup {
    html! {
        details {
            summary { "As a table: " (what) }
            (table(what, head, rows))
        }
    }
}

/// A table that does not widen the page. The first column says what a row is of; the others are figures.
pub(crate) fn table(what: &str, head: &[&str], rows: &[Vec<Markup>]) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label=(sentence(what)) {
            table {
                thead { tr { @for name in head { th scope="col" { (name) } } } }
                tbody {
                    @for row in rows {
                        tr {
                            @for (at, cell) in row.iter().enumerate() {
                                @if at == 0 { th scope="row" { (cell) } } @else { td { (cell) } }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// A text as a cell.
pub(crate) fn cell(text: impl AsRef<str>) -> Markup {
    html! { (safe(text.as_ref())) }
}
