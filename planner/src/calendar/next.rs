//! The search for moments: which elapse follows or precedes a moment.
//!
//! Owns civil arithmetic with the fields of an expression. It must not know a real clock or a time
//! zone: a day has 24 hours here, and clock changes are the caller's.

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, Timelike as _};

use super::spec::{Calendar, Item, SECOND, Values, YEARS};

/// Microseconds in a day.
const DAY: u64 = 86_400 * SECOND as u64;

/// How many days with an elapse [`Calendar::interval_hint`] looks at: more than a month has, so
/// that it sees the long gap of an expression that elapses on some days of each month.
const HINT_DAYS: usize = 40;

impl Calendar {
    /// The first elapse strictly after a moment, or nothing when it never elapses again
    /// (systemd.time(7), "Calendar events"; no later than the year 2199).
    ///
    /// Both moments are civil time in the expression's own zone ([`Calendar::zone`], else the
    /// machine's): no zone is applied here, and an elapse that falls into a clock change is given
    /// as if there were none. Converting before and after is the caller's.
    ///
    /// One answer differs from systemd 252 on purpose: where a step such as `1/5` leads past the
    /// end of a unit and of the one above it (hours past the last day of a month), systemd skips
    /// the first value of the next unit, a defect that its maintainers acknowledge.
    #[must_use]
    pub fn next_after(&self, after: NaiveDateTime) -> Option<NaiveDateTime> {
        let after = without_leap(after);
        let after = after.and_utc().timestamp_micros();
        let earliest = u64::try_from(after.saturating_add(1)).unwrap_or(0);
        let (day, time) = split(earliest)?;
        if self.holds_day(day)
            && let Some(time) = self.time_from(time)
        {
            return join(day, time);
        }
        join(self.day_from(day.succ_opt()?)?, self.time_from(0)?)
    }

    /// The latest elapse strictly before a moment, or nothing when there is none since 1970
    /// (systemd.time(7), "Calendar events"). Civil time, as for [`Calendar::next_after`].
    #[must_use]
    pub fn previous_before(&self, before: NaiveDateTime) -> Option<NaiveDateTime> {
        let before = without_leap(before);
        let before = before.and_utc();
        let micros = before.timestamp_micros();
        // An elapse is a whole microsecond: one that was begun lies before the moment.
        let begun = !before.timestamp_subsec_nanos().is_multiple_of(1_000);
        let latest = u64::try_from(micros - i64::from(!begun)).ok()?;
        let (day, time) = split(latest)?;
        if self.holds_day(day)
            && let Some(time) = self.time_until(time)
        {
            return join(day, time);
        }
        join(self.day_until(day.pred_opt()?)?, self.time_until(DAY - 1)?)
    }

    /// The longest gap, in seconds, between two consecutive elapses after a moment: how long a
    /// schedule may rest at most and still be on time.
    ///
    /// Looks at the next 40 days that have an elapse, so a schedule of working hours is judged by
    /// its nights and weekends. Exact to a second. Nothing when fewer than two elapses are left.
    #[must_use]
    pub fn interval_hint(&self, after: NaiveDateTime) -> Option<u64> {
        let first = self.next_after(after)?;
        let opening = self.time_from(0)? / u64::from(SECOND);
        let closing = self.time_until(DAY - 1)? / u64::from(SECOND);
        // Every day with an elapse has the same ones, so one look inside a day is enough.
        let mut longest = self.gap_within_a_day();
        let mut day = first.date();
        for _ in 0..HINT_DAYS {
            let Some(next) = day.succ_opt().and_then(|next| self.day_from(next)) else {
                break;
            };
            let days = u64::try_from((next - day).num_days()).unwrap_or(0);
            longest = longest.max(Some(days * 86_400 + opening - closing));
            day = next;
        }
        longest
    }

    /// The longest gap in seconds between two elapses of one day, if it has two.
    fn gap_within_a_day(&self) -> Option<u64> {
        let seconds: Vec<u64> = self.whole_seconds().collect();
        let minutes: Vec<u64> = each(&self.minutes, 59).collect();
        let hours: Vec<u64> = each(&self.hours, 23).collect();
        let minute = (widest(&seconds), *seconds.first()?, *seconds.last()?);
        let hour = widen(minute, &minutes, 60)?;
        widen(hour, &hours, 3600)?.0
    }

    /// The seconds of a minute in which there is an elapse.
    fn whole_seconds(&self) -> impl Iterator<Item = u64> {
        (0..60)
            .filter(|second| {
                let start = second * SECOND;
                self.seconds.from(start, start + SECOND - 1).is_some()
            })
            .map(u64::from)
    }

    fn holds_day(&self, day: NaiveDate) -> bool {
        self.day_from(day) == Some(day)
    }

    /// The first day, from this one on, that the date fields and weekdays accept.
    fn day_from(&self, day: NaiveDate) -> Option<NaiveDate> {
        let mut year = u32::try_from(day.year()).unwrap_or(0);
        let (mut month, mut date) = (day.month(), day.day());
        loop {
            let found = self.years.from(year, YEARS.1)?;
            if found > year {
                (year, month, date) = (found, 1, 1);
            }
            let Some(found) = self.months.from(month, 12) else {
                (year, month, date) = (year + 1, 1, 1);
                continue;
            };
            if found > month {
                (month, date) = (found, 1);
            }
            let last = month_length(year, month)?;
            let days = self.days_of_month(last);
            while let Some(found) = days.from(date, last) {
                let day = civil_day(year, month, found)?;
                if self.weekdays.holds(day.weekday().num_days_from_monday()) {
                    return Some(day);
                }
                date = found + 1;
            }
            (month, date) = (month + 1, 1);
        }
    }

    /// The last day, up to this one, that the date fields and weekdays accept.
    fn day_until(&self, day: NaiveDate) -> Option<NaiveDate> {
        let mut year = u32::try_from(day.year()).ok()?;
        let (mut month, mut date) = (day.month(), day.day());
        loop {
            let found = self.years.until(year, YEARS.1)?;
            // Any moment of the year 1969 is before the first elapse there can be.
            if found < YEARS.0 {
                return None;
            }
            if found < year {
                (year, month, date) = (found, 12, 31);
            }
            let Some(found) = self.months.until(month, 12).filter(|&month| month > 0) else {
                (year, month, date) = (year.checked_sub(1)?, 12, 31);
                continue;
            };
            if found < month {
                (month, date) = (found, 31);
            }
            let last = month_length(year, month)?;
            let days = self.days_of_month(last);
            while let Some(found) = days.until(date, last).filter(|&day| day > 0) {
                let day = civil_day(year, month, found)?;
                if self.weekdays.holds(day.weekday().num_days_from_monday()) {
                    return Some(day);
                }
                date = found - 1;
            }
            (month, date) = (month - 1, 31);
        }
    }

    /// The days field as days counted from the first, in a month of `last` days.
    fn days_of_month(&self, last: u32) -> Values {
        match &self.days {
            Values::Of(items) if self.days_from_end => Values::Of(
                items
                    .iter()
                    .map(|item| {
                        // No month is shorter than the 28 days that parsing allows here.
                        let flip = |back: u32| (last + 1).saturating_sub(back);
                        Item {
                            // Steps go towards the end of the month, whatever the days count from.
                            start: flip(item.end.unwrap_or(item.start)),
                            end: item.end.map(|_| flip(item.start)),
                            step: item.step,
                        }
                    })
                    .collect(),
            ),
            values => values.clone(),
        }
    }

    /// The first time of day, in microseconds, from this one on.
    fn time_from(&self, time: u64) -> Option<u64> {
        let (mut hour, mut minute, mut second) = clock(time);
        loop {
            let found = self.hours.from(hour, 23)?;
            if found > hour {
                (hour, minute, second) = (found, 0, 0);
            }
            let Some(found) = self.minutes.from(minute, 59) else {
                (hour, minute, second) = (hour + 1, 0, 0);
                continue;
            };
            if found > minute {
                (minute, second) = (found, 0);
            }
            match self.seconds.from(second, 60 * SECOND - 1) {
                Some(second) => return Some(time_of_day(hour, minute, second)),
                None => (minute, second) = (minute + 1, 0),
            }
        }
    }

    /// The last time of day, in microseconds, up to this one.
    fn time_until(&self, time: u64) -> Option<u64> {
        let (hour, minute, second) = clock(time);
        let seconds = |top| self.seconds.until(top, 60 * SECOND - 1);
        let last = |hour, minute, second| Some(time_of_day(hour, minute, second?));
        if self.hours.until(hour, 23) == Some(hour) {
            if self.minutes.until(minute, 59) == Some(minute)
                && let Some(second) = seconds(second)
            {
                return last(hour, minute, Some(second));
            }
            if let Some(minute) = minute
                .checked_sub(1)
                .and_then(|m| self.minutes.until(m, 59))
            {
                return last(hour, minute, seconds(60 * SECOND - 1));
            }
        }
        let hour = self.hours.until(hour.checked_sub(1)?, 23)?;
        last(hour, self.minutes.until(59, 59)?, seconds(60 * SECOND - 1))
    }
}

impl Values {
    /// The least accepted value in `low..=top`.
    fn from(&self, low: u32, top: u32) -> Option<u32> {
        match self {
            Self::Any => Some(low).filter(|&low| low <= top),
            Self::Of(items) => items.iter().filter_map(|item| item.from(low, top)).min(),
        }
    }

    /// The greatest accepted value up to `high`, and not above `top`.
    fn until(&self, high: u32, top: u32) -> Option<u32> {
        let high = high.min(top);
        match self {
            Self::Any => Some(high),
            Self::Of(items) => items.iter().filter_map(|item| item.until(high)).max(),
        }
    }
}

impl Item {
    fn from(self, low: u32, top: u32) -> Option<u32> {
        let steps = match (low.saturating_sub(self.start), self.step) {
            (0, _) => 0,
            (_, 0) => return None,
            (distance, step) => distance.div_ceil(step),
        };
        let value = steps.checked_mul(self.step)?.checked_add(self.start)?;
        let last = self.end.map_or(top, |end| end.min(top));
        Some(value).filter(|&value| value <= last)
    }

    fn until(self, high: u32) -> Option<u32> {
        let high = self.end.map_or(high, |end| end.min(high));
        let distance = high.checked_sub(self.start)?;
        let back = distance.checked_rem(self.step).unwrap_or(distance);
        Some(high - back)
    }
}

/// All accepted values of a field.
fn each(values: &Values, top: u32) -> impl Iterator<Item = u64> {
    (0..=top)
        .filter(move |&value| values.from(value, value).is_some())
        .map(u64::from)
}

/// The widest gap between neighbours.
fn widest(values: &[u64]) -> Option<u64> {
    values.windows(2).map(|pair| pair[1] - pair[0]).max()
}

/// From the widest gap, first and last second of a part to those of the whole that repeats it.
fn widen(
    (gap, first, last): (Option<u64>, u64, u64),
    values: &[u64],
    size: u64,
) -> Option<(Option<u64>, u64, u64)> {
    let between = widest(values).map(|apart| apart * size + first - last);
    let start = values.first()? * size + first;
    let end = values.last()? * size + last;
    Some((gap.max(between), start, end))
}

fn civil_day(year: u32, month: u32, day: u32) -> Option<NaiveDate> {
    NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, month, day)
}

fn month_length(year: u32, month: u32) -> Option<u32> {
    Some(u32::from(civil_day(year, month, 1)?.num_days_in_month()))
}

/// Microseconds since 1970 as a day and the microseconds of that day.
fn split(micros: u64) -> Option<(NaiveDate, u64)> {
    let moment = DateTime::from_timestamp_micros(i64::try_from(micros).ok()?)?;
    Some((moment.date_naive(), micros % DAY))
}

fn join(day: NaiveDate, time: u64) -> Option<NaiveDateTime> {
    let (hour, minute, micros) = clock(time);
    day.and_hms_micro_opt(hour, minute, micros / SECOND, micros % SECOND)
}

/// Hour, minute, and microsecond of the minute.
#[allow(clippy::cast_possible_truncation)] // Each part is below 60 million.
fn clock(time: u64) -> (u32, u32, u32) {
    let minute = u64::from(60 * SECOND);
    let minutes = time / minute;
    (
        (minutes / 60) as u32,
        (minutes % 60) as u32,
        (time % minute) as u32,
    )
}

fn time_of_day(hour: u32, minute: u32, second: u32) -> u64 {
    (u64::from(hour) * 60 + u64::from(minute)) * u64::from(60 * SECOND) + u64::from(second)
}

/// chrono can hold a leap second, which calendars do not know: the last instant before it.
fn without_leap(time: NaiveDateTime) -> NaiveDateTime {
    time.with_nanosecond(time.nanosecond().min(999_999_999))
        .unwrap_or(time)
}
