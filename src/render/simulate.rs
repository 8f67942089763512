//! The retention policy over time: which snapshots exist after each run.
//!
//! One row per run, newest at the left, so that each row shows the same picture of the past: a
//! ruler of days, and one of months for what is older. It must not decide what is kept.

use std::collections::BTreeMap;

use chrono::{Datelike, NaiveDate, Weekday};
use planner::retention::Policy;
use schema::{SnapshotId, Tier, output::simulate::SimulatedRun};

use super::{
    amount,
    page::{Page, line_width},
    picture::{columns_of, labelled, largest_of_each},
};
use crate::style::{Style, left};

/// Most days that are shown one by one.
const MOST_DAYS: i64 = 40;

/// Fewest days that are shown one by one where months are shown too: no month is then the run's.
const FEWEST_DAYS: i64 = 31;

/// Most months that are shown one by one: with the fewest days they leave room for the three
/// deletions that one run may cause.
const MOST_MONTHS: i64 = 12;

/// Rows after which the rulers are shown again.
const ROWS: usize = 40;

/// Columns of a row's date and weekday.
const DATE: usize = 16;

/// The runs and what exists after each.
pub(crate) fn simulation_page(days: &[SimulatedRun], policy: &Policy, style: &Style) -> String {
    let mut page = Page::default();
    page.line(
        0,
        &format!(
            "Keeping {}; weeks start on {}.",
            describe_policy(policy),
            weekday_name(policy.week_starts_on),
        ),
    );
    let (Some(first), Some(last)) = (days.first(), days.last()) else {
        page.line(0, "No runs.");
        return page.into_string();
    };
    let rulers = Rulers::fitting(days);
    let several = if rulers.months > 0 {
        ", a digit or + several"
    } else {
        ""
    };
    page.line(
        0,
        &format!(
            "{}: the longest-lived tier that keeps it{several}; * kept as one of the last.",
            describe_marks(policy),
        ),
    );
    let shown: Vec<Row> = days.iter().map(|day| Row::new(day, &rulers)).collect();
    for rows in shown.chunks(ROWS) {
        page.blank();
        rulers.heads(&mut page, style);
        for row in rows {
            row.write(&mut page, &rulers, style);
        }
    }
    page.blank();
    let kept = |day: &SimulatedRun| held_marks(day).len();
    if style.draws() {
        let counts: Vec<u64> = days.iter().map(|day| kept(day) as u64).collect();
        let columns = line_width().min(80) - DATE;
        let line = columns_of(&largest_of_each(&counts, columns));
        page.raw(&labelled("kept over time", DATE, &line, style));
        page.blank();
    }
    let most = days.iter().map(kept).max().unwrap_or(0);
    let deleted: usize = days.iter().map(|day| day.expired.len()).sum();
    let oldest = held_marks(last).keys().next().copied().unwrap_or(last.id);
    let old = (last.at.date() - oldest.local().date()).num_days();
    page.line(
        0,
        &format!(
            "{} from {} to {}: {} deleted, {} kept at the end, at most {} at once; the oldest is \
             of {} ({}).",
            amount::plural(days.len() as u64, "run", "runs"),
            first.at.date(),
            last.at.date(),
            amount::count(deleted as u64),
            kept(last),
            most,
            oldest.local().date(),
            amount::plural(old.unsigned_abs(), "day", "days"),
        ),
    );
    page.into_string()
}

/// How many each rule keeps; hours and years only where they keep some.
fn describe_policy(policy: &Policy) -> String {
    let tiers = marked_tiers(policy).map(|(tier, _)| format!("{} {tier}", policy.keep(tier)));
    let all: Vec<String> = std::iter::once(format!("the last {}", policy.keep_last))
        .filter(|_| policy.keep_last > 0)
        .chain(tiers)
        .collect();
    let (last, others) = all.split_last().expect("days, weeks and months are said");
    format!("{} and {last}", others.join(", "))
}

/// What each mark stands for.
fn describe_marks(policy: &Policy) -> String {
    let said: Vec<String> = marked_tiers(policy)
        .map(|(tier, mark)| format!("{mark} {tier}"))
        .collect();
    said.join(", ")
}

/// The tiers that a page speaks of, each with its mark.
fn marked_tiers(policy: &Policy) -> impl Iterator<Item = (Tier, char)> {
    [
        (Tier::Hourly, 'H'),
        (Tier::Daily, 'D'),
        (Tier::Weekly, 'W'),
        (Tier::Monthly, 'M'),
        (Tier::Yearly, 'Y'),
    ]
    .into_iter()
    .filter(|(tier, _)| !matches!(tier, Tier::Hourly | Tier::Yearly) || policy.keep(*tier) > 0)
}

fn weekday_name(day: Weekday) -> &'static str {
    match day {
        Weekday::Mon => "Monday",
        Weekday::Tue => "Tuesday",
        Weekday::Wed => "Wednesday",
        Weekday::Thu => "Thursday",
        Weekday::Fri => "Friday",
        Weekday::Sat => "Saturday",
        Weekday::Sun => "Sunday",
    }
}

/// Every snapshot that exists after a run, with the mark of the longest-lived tier that keeps it.
fn held_marks(day: &SimulatedRun) -> BTreeMap<SnapshotId, char> {
    let mut held = BTreeMap::new();
    for (ids, mark) in [
        (&day.other, '*'),
        (&day.hourly, 'H'),
        (&day.daily, 'D'),
        (&day.weekly, 'W'),
        (&day.monthly, 'M'),
        (&day.yearly, 'Y'),
    ] {
        held.extend(ids.iter().map(|id| (*id, mark)));
    }
    held
}

fn days_ago(run: NaiveDate, id: SnapshotId) -> i64 {
    (run - id.local().date()).num_days()
}

fn months_ago(run: NaiveDate, id: SnapshotId) -> i64 {
    let day = id.local().date();
    i64::from(run.year() - day.year()) * 12 + i64::from(run.month()) - i64::from(day.month())
}

/// How far the rulers reach, the same for all rows.
struct Rulers {
    /// Columns for days ago, from 0.
    days: i64,
    /// Columns for calendar months ago, from 1.
    months: i64,
}

impl Rulers {
    /// Rulers on which every snapshot but the oldest monthlies has its own column.
    fn fitting(days: &[SimulatedRun]) -> Self {
        let each = || {
            days.iter().flat_map(|day| {
                let run = day.at.date();
                held_marks(day)
                    .into_iter()
                    .map(move |(id, mark)| (run, id, mark))
            })
        };
        let oldest = each().map(|(run, id, _)| days_ago(run, id)).max();
        let oldest = oldest.unwrap_or(0);
        if oldest < MOST_DAYS {
            return Self {
                days: oldest + 1,
                months: 0,
            };
        }
        let short_lived = each()
            .filter(|(_, _, mark)| !matches!(mark, 'M' | 'Y'))
            .map(|(run, id, _)| days_ago(run, id))
            .max();
        let months = each().map(|(run, id, _)| months_ago(run, id)).max();
        let months = months.unwrap_or(1).clamp(1, MOST_MONTHS);
        let most = FEWEST_DAYS + MOST_MONTHS - months;
        Self {
            days: (short_lived.unwrap_or(0) + 1).clamp(FEWEST_DAYS, most.min(MOST_DAYS)),
            months,
        }
    }

    fn heads(&self, page: &mut Page, style: &Style) {
        let ruler = |from: i64, columns: i64, step: i64| {
            let mut text = String::new();
            for at in (from..from + columns).filter(|at| *at == from || at % step == 0) {
                let columns = usize::try_from(at - from).unwrap_or(0);
                text = left(&text, columns) + &at.to_string();
            }
            text
        };
        let days = usize::try_from(self.days).unwrap_or(0);
        let mut titles = left("days ago", days.max(8));
        let mut ticks = left(&ruler(0, self.days, 10), days.max(8));
        if self.months > 0 {
            let months = usize::try_from(self.months).unwrap_or(0);
            titles += &format!("  {}", left("months", months.max(6)));
            ticks += &format!("  {}", left(&ruler(1, self.months, 6), months.max(6)));
        }
        let line = format!("{}{titles}", " ".repeat(DATE));
        page.raw(&format!("{}\n", style.dim(line.trim_end())));
        let line = format!("{}{ticks}  deleted", left("run", DATE));
        page.raw(&format!("{}\n", style.dim(line)));
    }
}

/// A run and what exists after it.
struct Row {
    run: NaiveDate,
    days: Vec<char>,
    months: Vec<char>,
    deleted: Vec<SnapshotId>,
}

impl Row {
    fn new(day: &SimulatedRun, rulers: &Rulers) -> Self {
        let run = day.at.date();
        let blank = |columns: i64| vec![('·', 0u8); usize::try_from(columns).unwrap_or(0)];
        let (mut days, mut months) = (blank(rulers.days), blank(rulers.months));
        for (id, mark) in held_marks(day) {
            let ago = days_ago(run, id);
            let cell = if ago < rulers.days {
                usize::try_from(ago).ok().and_then(|at| days.get_mut(at))
            } else {
                // What is too old for the ruler stands at its end.
                let at = (months_ago(run, id) - 1).clamp(0, rulers.months - 1);
                usize::try_from(at).ok().and_then(|at| months.get_mut(at))
            };
            if let Some((shown, count)) = cell {
                *shown = mark;
                *count = count.saturating_add(1);
            }
        }
        let marks = |cells: Vec<(char, u8)>| {
            cells
                .into_iter()
                .map(|(mark, count)| match count {
                    0 | 1 => mark,
                    2..=9 => char::from(b'0' + count),
                    _ => '+',
                })
                .collect()
        };
        Self {
            run,
            days: marks(days),
            months: marks(months),
            deleted: day.expired.iter().map(|gone| gone.id).collect(),
        }
    }

    fn write(&self, page: &mut Page, rulers: &Rulers, style: &Style) {
        let track = |cells: &[char], least: usize| {
            let text: String = cells.iter().collect();
            left(&text, least)
        };
        let mut label = format!(
            "{}{}",
            left(&self.run.format("%Y-%m-%d %a").to_string(), DATE),
            track(&self.days, 8)
        );
        let mut columns = DATE + self.days.len().max(8);
        if rulers.months > 0 {
            label += &format!("  {}", track(&self.months, 6));
            columns += 2 + self.months.len().max(6);
        }
        // The year is the run's or the one before: the order of the rows tells.
        let deleted: Vec<String> = self
            .deleted
            .iter()
            .map(|id| style.red(id.local().format("%m-%d")))
            .collect();
        page.entry(0, &label, columns + 2, &deleted.join(" "));
    }
}

#[cfg(test)]
#[path = "simulate_tests.rs"]
mod tests;
