//! How the backups of the last days ended, a mark a day.

use chrono::{Days, NaiveDate};
use schema::{RunResult, health::EndedRun};

/// How the backups of a day ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DayMark {
    /// There was none.
    None,
    /// Well.
    Ok,
    /// Not with all, or not yet.
    Warning,
    /// Not at all.
    Failed,
}

/// A day and its mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Day {
    /// The local date on which runs ended.
    pub date: NaiveDate,
    /// How the last of them did; what was deferred or interrupted counts only where no other was.
    pub mark: DayMark,
}

/// The last days up to today, at most so many and none before the first run that is known, oldest first.
#[must_use]
pub fn mark_days(runs: &[EndedRun], today: NaiveDate, most: u64) -> Vec<Day> {
    let date_of = |run: &EndedRun| run.ended_at.date_naive();
    let Some(known) = runs.iter().map(date_of).min() else {
        return Vec::new();
    };
    let first = today.checked_sub_days(Days::new(most.saturating_sub(1)));
    let first = first.unwrap_or(today).max(known);
    let days = first.iter_days().take_while(|date| *date <= today);
    let day = |date: NaiveDate| {
        let of_it = runs.iter().filter(|run| date_of(run) == date);
        let last = of_it.max_by_key(|run| (counts(run.result), run.ended_at));
        Day {
            date,
            mark: last.map_or(DayMark::None, |run| mark_of(run.result)),
        }
    };
    days.map(day).collect()
}

/// Whether a run came to an end of its own.
fn counts(result: RunResult) -> bool {
    !matches!(result, RunResult::Deferred | RunResult::Interrupted)
}

fn mark_of(result: RunResult) -> DayMark {
    match result {
        RunResult::Success => DayMark::Ok,
        RunResult::Incomplete | RunResult::Deferred | RunResult::Interrupted => DayMark::Warning,
        RunResult::Refused | RunResult::Failed => DayMark::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(ended_at: &str, result: RunResult) -> EndedRun {
        let ended_at = ended_at.parse().unwrap();
        EndedRun {
            run_id: String::new(),
            started_at: ended_at,
            ended_at,
            result,
            only: None,
            good: None,
            undone: None,
            copied_at: None,
            cloud: None,
            not_notified: None,
            standing: None,
        }
    }

    fn marks(runs: &[EndedRun], today: &str) -> String {
        let days = mark_days(runs, today.parse().unwrap(), 14);
        let letter = |day: &Day| match day.mark {
            DayMark::None => '.',
            DayMark::Ok => 'o',
            DayMark::Warning => 'w',
            DayMark::Failed => 'F',
        };
        days.iter().map(letter).collect()
    }

    #[test]
    fn the_last_run_of_a_day_that_came_to_an_end_is_its_mark() {
        use RunResult::{Deferred, Failed, Incomplete, Refused, Success};
        let runs = [
            run("2025-01-10T02:00:00+01:00", Failed),
            run("2025-01-10T09:00:00+01:00", Success),
            run("2025-01-11T02:00:00+01:00", Success),
            run("2025-01-11T09:00:00+01:00", Incomplete),
            run("2025-01-11T10:00:00+01:00", Deferred),
            run("2025-01-12T10:00:00+01:00", Deferred),
            run("2025-01-14T10:00:00+01:00", Refused),
            run("2025-01-15T00:10:00+01:00", Success),
        ];
        assert_eq!(marks(&runs, "2025-01-16"), "oww.Fo.");
        assert_eq!(marks(&runs, "2025-01-28"), "o.............");
        assert_eq!(marks(&runs, "2025-03-01"), "..............");
        assert_eq!(marks(&[], "2025-01-16"), "");
        // A clock that was ahead.
        assert_eq!(marks(&runs[7..], "2025-01-10"), "");
    }
}
