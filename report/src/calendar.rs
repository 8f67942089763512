//! Which days have a backup: a square for each.

use std::collections::BTreeMap;

use chrono::{DateTime, Datelike as _, Days, FixedOffset, NaiveDate};
use maud::{Markup, html};
use schema::{
    RunResult,
    journal::Status,
    output::period_report::{PeriodReport, ReportedDestination, ReportedRun},
};

use crate::{
    page::{self, cell, folded_table},
    words::{backups, bytes, day, moment, plural, safe},
};

/// A square, and the distance from one to the next.
const SIZE: u32 = 20;
const STEP: u32 = 25;
/// Half of what is between two squares.
const GAP: u32 = (STEP - SIZE) / 2;
/// Room for the names of days and months.
const LEFT: u32 = 34;
const TOP: u32 = 20;
/// Weeks in a row: more go below.
const WEEKS: usize = 14;

/// What became of a run, the least of a backup first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Day {
    Waited,
    Failed,
    Incomplete,
    Good,
}

impl Day {
    fn of_run(result: RunResult) -> Self {
        match result {
            RunResult::Success => Self::Good,
            RunResult::Incomplete => Self::Incomplete,
            RunResult::Failed | RunResult::Refused => Self::Failed,
            RunResult::Deferred | RunResult::Interrupted => Self::Waited,
        }
    }

    fn of_copy(status: Status) -> Self {
        match status {
            Status::Succeeded => Self::Good,
            Status::Incomplete => Self::Incomplete,
            Status::Skipped | Status::Deferred => Self::Waited,
            Status::Refused | Status::Failed => Self::Failed,
        }
    }

    fn class(self) -> &'static str {
        match self {
            Self::Failed => "bad",
            Self::Incomplete => "warn",
            Self::Waited => "waited",
            Self::Good => "good",
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Failed => "failed or refused",
            Self::Incomplete => "incomplete",
            Self::Waited => "deferred or interrupted",
            Self::Good => "good",
        }
    }

    /// What tells it without colour, drawn in a square of that size.
    fn mark(self) -> &'static str {
        match self {
            Self::Failed => "M4.5 4.5l7 7M11.5 4.5l-7 7",
            Self::Incomplete => "M8 3.5v5.5M8 11.8v.4",
            Self::Waited => "M4.5 8h7",
            Self::Good => "M4 8.4l2.8 2.8 5.2-6",
        }
    }
}

/// The runs of a day.
#[derive(Debug, Clone, Default)]
struct OfDay {
    ends: Vec<Day>,
    new_bytes: u64,
}

impl OfDay {
    /// The best end: a backup that failed and was made later is one.
    fn best(&self) -> Option<Day> {
        self.ends.iter().max().copied()
    }

    fn told(&self, date: NaiveDate) -> String {
        let date = date.format("%a %-d %b %Y");
        let Some(best) = self.best() else {
            return format!("{date}: no run");
        };
        let others = self.ends.iter().filter(|end| **end != best).count() as u64;
        let others = match others {
            0 => String::new(),
            others => format!(", and {} not so", plural(others, "run", "runs")),
        };
        let word = best.word();
        format!("{date}: {word}{others}, {} new", bytes(self.new_bytes))
    }
}

/// The days of a destination, and of its copies in the cloud.
pub(crate) fn card(report: &PeriodReport, destination: &ReportedDestination) -> Markup {
    let days = by_day(backups(destination).map(|run| {
        let end = Day::of_run(run.result);
        (run, end)
    }));
    let copies = destination.runs.iter();
    let copies = by_day(copies.filter_map(|run| Some((run, Day::of_copy(run.cloud?)))));
    let from = first_day(report, destination);
    let lead = html! {
        "A square is a day; those of this report stand on a band. A day is good if any of its runs was."
        @if from.date_naive() > report.since.date_naive() { " No run before " (day(from)) " is remembered." }
    };
    let body = html! {
        (grid(report, from, &days, "Runs by day"))
        @if !copies.is_empty() {
            h4 { "Copies in the cloud" }
            (grid(report, from, &copies, "Copies in the cloud by day"))
        }
        ul.legend {
            @for day in [Day::Good, Day::Incomplete, Day::Failed, Day::Waited] {
                li { svg.days width=(SIZE) height=(SIZE) aria-hidden="true" { (square(Some(day), 0, 0)) } (day.word()) }
            }
            li { svg.days width=(SIZE) height=(SIZE) aria-hidden="true" { (square(None, 0, 0)) } "no run" }
        }
        (folded_table("runs", &["Begun", "Result", "New", "What was left undone"], &rows(report, destination)))
    };
    page::card("Runs", &lead, &body)
}

/// The first day that is shown: of those before the first run that is remembered nobody knows whether there was one.
fn first_day(report: &PeriodReport, destination: &ReportedDestination) -> DateTime<FixedOffset> {
    let runs = destination.runs.iter();
    let first = runs.map(|run| run.started_at).min();
    first.map_or(report.shown_from, |first| first.max(report.shown_from))
}

fn by_day<'a>(runs: impl Iterator<Item = (&'a ReportedRun, Day)>) -> BTreeMap<NaiveDate, OfDay> {
    let mut days: BTreeMap<NaiveDate, OfDay> = BTreeMap::new();
    for (run, end) in runs {
        let day = days.entry(run.started_at.date_naive()).or_default();
        day.ends.push(end);
        day.new_bytes = day.new_bytes.saturating_add(run.new_bytes);
    }
    days
}

/// The squares, a column for each week.
fn grid(
    report: &PeriodReport,
    from: DateTime<FixedOffset>,
    days: &BTreeMap<NaiveDate, OfDay>,
    told: &str,
) -> Markup {
    let last = report.made_at.date_naive();
    let first = from.date_naive();
    let back = u64::from(first.weekday().num_days_from_monday());
    let monday = first.checked_sub_days(Days::new(back)).unwrap_or(first);
    let weeks: Vec<NaiveDate> = monday
        .iter_weeks()
        .take_while(|week| *week <= last)
        .collect();
    let good = days.values().filter(|day| day.best() == Some(Day::Good));
    let told = format!(
        "{told}: {} with a good one",
        plural(good.count() as u64, "day", "days")
    );
    html! {
        div.weeks role="img" aria-label=(told) {
            @for weeks in weeks.chunks(WEEKS) { (block(report, first, days, weeks)) }
        }
    }
}

/// Some of the weeks. It shrinks with the page: it is wider than a small screen.
fn block(
    report: &PeriodReport,
    from: NaiveDate,
    days: &BTreeMap<NaiveDate, OfDay>,
    weeks: &[NaiveDate],
) -> Markup {
    let to = report.made_at.date_naive();
    let since = report.since.date_naive();
    let wide = LEFT + STEP * u32::try_from(weeks.len()).unwrap_or(0);
    let tall = TOP + STEP * 7;
    let nothing = OfDay::default();
    html! {
        svg.days viewBox={ "0 0 " (wide) " " (tall) } style={ "width:100%;max-width:" (wide) "px" } {
            @for (row, name) in [(0, "Mon"), (2, "Wed"), (4, "Fri"), (6, "Sun")] {
                text x="0" y=(TOP + row * STEP + 15) { (name) }
            }
            @for (column, week) in weeks.iter().enumerate() {
                @let x = LEFT + STEP * u32::try_from(column).unwrap_or(0);
                // The first one has a name unless the next, whose name would be too near, begins a month.
                @let is_named = column == 0 && weeks.get(1).is_none_or(|next| next.day() > 7);
                @if week.day() <= 7 || is_named { text x=(x) y="12" { (week.format("%b").to_string()) } }
                @for (row, date) in week.iter_days().take(7).enumerate() {
                    @let y = TOP + STEP * u32::try_from(row).unwrap_or(0);
                    @if date >= from && date <= to {
                        @let day = days.get(&date).unwrap_or(&nothing);
                        g {
                            title { (day.told(date)) }
                            @if date >= since { rect.band x=(x - GAP) y=(y - GAP) width=(STEP) height=(STEP) {} }
                            (square(day.best(), x, y))
                        }
                    }
                }
            }
        }
    }
}

fn square(day: Option<Day>, x: u32, y: u32) -> Markup {
    html! {
        g transform={ "translate(" (x) " " (y) ")" } {
            rect.{ "day " (day.map_or("none", Day::class)) } x="1" y="1" width=(SIZE - 2) height=(SIZE - 2) rx="4" {}
            @if let Some(day) = day { path d=(day.mark()) transform="translate(2 2)" {} }
        }
    }
}

/// Runs, the newest first.
fn rows(report: &PeriodReport, destination: &ReportedDestination) -> Vec<Vec<Markup>> {
    let runs = destination.runs.iter().rev();
    let shown = runs.filter(|run| run.started_at >= report.shown_from);
    shown
        .map(|run| {
            let new = run
                .snapshot
                .map_or_else(String::new, |_| bytes(run.new_bytes));
            vec![
                cell(moment(run.started_at)),
                cell(run.result.word()),
                cell(new),
                html! { span.text { (safe(run.undone.as_deref().unwrap_or_default())) } },
            ]
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_as_good_as_its_best_run_and_tells_of_the_others() {
        let date = NaiveDate::from_ymd_opt(2025, 3, 5).unwrap();
        let day = OfDay {
            ends: vec![Day::Failed, Day::Good, Day::Waited],
            new_bytes: 2048,
        };
        assert_eq!(day.best(), Some(Day::Good));
        assert_eq!(
            day.told(date),
            "Wed 5 Mar 2025: good, and 2 runs not so, 2.0 KiB new"
        );
        assert_eq!(OfDay::default().told(date), "Wed 5 Mar 2025: no run");
        let bad = OfDay {
            ends: vec![Day::Failed, Day::Incomplete],
            new_bytes: 0,
        };
        assert_eq!(bad.best(), Some(Day::Incomplete));
    }
}
