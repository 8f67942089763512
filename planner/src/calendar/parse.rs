//! Reading calendar expressions.
//!
//! Owns the grammar of systemd.time(7), "Calendar events", as systemd 252 accepts it, and what is
//! said about a text that is not in it. It must not search for moments (see `next`).

use std::{fmt, str::FromStr};

use chrono::{DateTime, Datelike, NaiveTime, Timelike};

use super::{
    fields::{
        DAY, DAY_FROM_END, Fault, HOUR, MINUTE, MONTH, SECONDS, YEAR, fault, values, whole_number,
    },
    spec::{Calendar, SECOND, Values, Weekdays, YEARS},
    zone::{Zone, is_zone_name},
};

const DAYS: [&str; 7] = [
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
];

/// A text that is not a calendar expression (systemd.time(7), "Calendar events"). Displayed as a
/// lowercase sentence that names the part at fault and what was expected in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidCalendar {
    expression: String,
    part: String,
    problem: String,
}

impl fmt::Display for InvalidCalendar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.expression.is_empty() {
            return f.write_str(
                "the calendar expression is empty, expected one such as `daily` or `Mon..Fri 02:00`",
            );
        }
        match self.part.as_str() {
            "" => f.write_str("an empty part")?,
            part => write!(f, "`{}`", part.escape_debug())?,
        }
        write!(
            f,
            " in the calendar expression `{}` {}",
            self.expression.escape_debug(),
            self.problem
        )
    }
}

impl std::error::Error for InvalidCalendar {}

impl FromStr for Calendar {
    type Err = InvalidCalendar;

    /// Reads a calendar expression (systemd.time(7), "Calendar events").
    ///
    /// Where systemd asks the machine, this does not: a time zone needs the shape of a name of the
    /// IANA database instead of a place in it, and the abbreviation of the machine's own zone
    /// (such as `CEST`) is not a name.
    fn from_str(text: &str) -> Result<Self, InvalidCalendar> {
        read(text).map(|read| read.calendar)
    }
}

/// The calendar of a schedule: how often, and at which time of day where that leaves it open.
///
/// `frequency` is a calendar expression (systemd.time(7), "Calendar events"). One without a time,
/// such as `daily`, `weekly`, `Mon,Wed,Fri` or `*-*-1`, elapses at `time_of_day`, to the second;
/// one with a time keeps it, and so do `hourly` and `minutely`.
///
/// # Errors
///
/// When `frequency` is not a calendar expression.
pub fn schedule_expression(
    frequency: &str,
    time_of_day: NaiveTime,
) -> Result<Calendar, InvalidCalendar> {
    let Read {
        mut calendar,
        has_time,
    } = read(frequency)?;
    if !has_time {
        calendar.hours = Values::one(time_of_day.hour());
        calendar.minutes = Values::one(time_of_day.minute());
        calendar.seconds = Values::one(time_of_day.second() * SECOND);
    }
    Ok(calendar)
}

/// A calendar, and whether its time of day was said or only implied.
struct Read {
    calendar: Calendar,
    has_time: bool,
}

fn read(text: &str) -> Result<Read, InvalidCalendar> {
    expression(text).map_err(|Fault(part, problem)| InvalidCalendar {
        expression: text.to_owned(),
        part,
        problem,
    })
}

fn expression(text: &str) -> Result<Read, Fault> {
    let (rest, zone) = split_zone(text)?;
    let mut read = match shorthand(rest) {
        Some(read) => read,
        None => fields(rest)?,
    };
    // Seconds since the epoch are a UTC time, whatever zone follows them.
    if read.calendar.zone == Zone::Local {
        read.calendar.zone = zone;
    }
    Ok(read)
}

/// Splits the time zone off the end. Only `UTC` may be written in any case.
fn split_zone(text: &str) -> Result<(&str, Zone), Fault> {
    let Some((rest, last)) = text.rsplit_once(' ') else {
        return Ok((text, Zone::Local));
    };
    if last.eq_ignore_ascii_case("UTC") {
        return Ok((rest, Zone::Utc));
    }
    if is_zone_name(last) {
        return Ok((rest, Zone::Named(last.to_owned())));
    }
    // Nothing else that may come last begins with a letter.
    if last.starts_with(char::is_alphabetic) {
        return fault(
            last,
            "is not a time zone, expected `UTC` or a name such as `Europe/Paris` \
             (weekdays come first, joined by commas without blanks)",
        );
    }
    Ok((text, Zone::Local))
}

/// Every day at midnight, which each form narrows or widens.
fn midnight() -> Calendar {
    Calendar {
        weekdays: Weekdays::ALL,
        years: Values::Any,
        months: Values::Any,
        days: Values::Any,
        days_from_end: false,
        hours: Values::one(0),
        minutes: Values::one(0),
        seconds: Values::one(0),
        zone: Zone::Local,
    }
}

/// The words that stand for a whole expression. systemd knows more spellings than its manual.
fn shorthand(text: &str) -> Option<Read> {
    let midnight = midnight();
    let in_months = |months: &[u32]| Calendar {
        months: Values::list(months),
        days: Values::one(1),
        ..midnight.clone()
    };
    let calendar = match text.to_ascii_lowercase().as_str() {
        "minutely" => Calendar {
            hours: Values::Any,
            minutes: Values::Any,
            ..midnight
        },
        "hourly" => Calendar {
            hours: Values::Any,
            ..midnight
        },
        "daily" => midnight,
        "weekly" => Calendar {
            weekdays: Weekdays(1),
            ..midnight
        },
        "monthly" => Calendar {
            days: Values::one(1),
            ..midnight
        },
        "quarterly" => in_months(&[1, 4, 7, 10]),
        "semiannually" | "semi-annually" | "biannually" | "bi-annually" => in_months(&[1, 7]),
        "yearly" | "annually" | "anually" => in_months(&[1]),
        _ => return None,
    };
    Some(Read {
        has_time: calendar.hours == Values::Any,
        calendar,
    })
}

/// Reads weekdays, date and time, each of which may be missing, but not all.
fn fields(text: &str) -> Result<Read, Fault> {
    let mut calendar = midnight();
    let mut rest = text;
    if text.starts_with(|c: char| c.is_ascii_alphabetic()) {
        let (word, tail) = split_word(text);
        calendar.weekdays = weekdays(word)?;
        if tail.is_empty() {
            return Ok(Read {
                calendar,
                has_time: false,
            });
        }
        rest = tail;
    }
    if let Some(seconds) = rest.strip_prefix('@') {
        epoch(&mut calendar, rest, seconds)?;
        return Ok(Read {
            calendar,
            has_time: true,
        });
    }
    let (word, tail) = split_word(rest);
    let clock = if word.contains(':') {
        rest
    } else {
        date(&mut calendar, word)?;
        tail
    };
    if !clock.is_empty() {
        time(&mut calendar, clock)?;
    }
    Ok(Read {
        calendar,
        has_time: !clock.is_empty(),
    })
}

/// The first word, and what stands after the blanks behind it. Tabs are not blanks to systemd.
fn split_word(text: &str) -> (&str, &str) {
    let (word, tail) = text.split_once(' ').unwrap_or((text, ""));
    (word, tail.trim_start_matches(' '))
}

/// A list of weekdays and ranges of them, `Mon,Wed..Fri`. A comma may end it, and a range may be
/// written with a hyphen, as it was long ago.
fn weekdays(word: &str) -> Result<Weekdays, Fault> {
    let list = word.strip_suffix(',').unwrap_or(word);
    let mut bits = 0;
    for part in list.split(',') {
        let (first, last) = part
            .split_once("..")
            .or_else(|| part.split_once('-'))
            .unwrap_or((part, part));
        let (first, last) = (weekday(first)?, weekday(last)?);
        if first > last {
            return fault(part, "runs backwards, expected a range within Mon..Sun");
        }
        for day in first..=last {
            bits |= 1 << day;
        }
    }
    Ok(Weekdays(bits))
}

/// Days from Monday. A weekday has two spellings: three letters or all of them.
fn weekday(name: &str) -> Result<u32, Fault> {
    let lower = name.to_ascii_lowercase();
    (0..)
        .zip(DAYS)
        .find(|(_, day)| lower == *day || lower == day[..3])
        .map_or_else(
            || {
                fault(
                    name,
                    "is not a weekday, expected `Mon` to `Sun` or their full names, \
                     or a word such as `daily` on its own",
                )
            },
            |(number, _)| Ok(number),
        )
}

/// Seconds since the epoch: one moment, in UTC. Blanks and a sign may precede the number.
fn epoch(calendar: &mut Calendar, part: &str, text: &str) -> Result<(), Fault> {
    let text = text.trim_start_matches([' ', '\t', '\n', '\r', '\u{b}', '\u{c}']);
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let moment = whole_number(digits)
        .filter(|&seconds| seconds == 0 || !text.starts_with('-'))
        .and_then(|seconds| DateTime::from_timestamp(i64::try_from(seconds).ok()?, 0))
        .and_then(|moment| Some((u32::try_from(moment.year()).ok()?, moment)))
        .filter(|(year, _)| *year <= YEARS.1);
    let Some((year, moment)) = moment else {
        return fault(
            part,
            "is not a moment, expected whole seconds since 1970 and no later than the year 2199",
        );
    };
    calendar.years = Values::one(year);
    calendar.months = Values::one(moment.month());
    calendar.days = Values::one(moment.day());
    calendar.hours = Values::one(moment.hour());
    calendar.minutes = Values::one(moment.minute());
    calendar.seconds = Values::one(moment.second() * SECOND);
    calendar.zone = Zone::Utc;
    Ok(())
}

/// `month-day` or `year-month-day`, with `~` before a day that counts from the end of the month.
fn date(calendar: &mut Calendar, word: &str) -> Result<(), Fault> {
    let problem = "is not a date or a time, expected forms such as `2025-01-16`, `*-*-1`, \
                   `*-02~01` or `02:00`";
    let Some((front, day)) = word.rsplit_once(['-', '~']) else {
        return fault(word, problem);
    };
    if front.contains('~') || front.matches('-').count() > 1 {
        return fault(word, problem);
    }
    let (year, month) = match front.split_once('-') {
        Some((year, month)) => (Some(year), month),
        None => (None, front),
    };
    if let Some(year) = year {
        calendar.years = values(year, &YEAR)?;
    }
    calendar.months = values(month, &MONTH)?;
    let from_end = word[front.len()..].starts_with('~');
    calendar.days = values(day, if from_end { &DAY_FROM_END } else { &DAY })?;
    // Every day is every day from either end.
    calendar.days_from_end = from_end && calendar.days != Values::Any;
    Ok(())
}

/// `hour:minute` or `hour:minute:second`.
fn time(calendar: &mut Calendar, text: &str) -> Result<(), Fault> {
    let parts: Vec<&str> = text.split(':').collect();
    let (hour, minute, second) = match parts[..] {
        [hour, minute] => (hour, minute, "0"),
        [hour, minute, second] => (hour, minute, second),
        _ => {
            return fault(
                text,
                "is not a time, expected `hour:minute` or `hour:minute:second`",
            );
        }
    };
    calendar.hours = values(hour, &HOUR)?;
    calendar.minutes = values(minute, &MINUTE)?;
    calendar.seconds = values(second, &SECONDS)?;
    Ok(())
}
