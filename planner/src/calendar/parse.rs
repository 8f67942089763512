//! Reading calendar expressions.
//!
//! Owns the grammar of systemd.time(7), "Calendar events", as systemd 252 accepts it, and what is
//! said about a text that is not in it. It must not search for moments (see `next`).

use std::{fmt, str::FromStr};

use chrono::{DateTime, Datelike, NaiveTime, Timelike};

use super::{
    spec::{Calendar, Item, SECOND, Values, Weekdays, YEARS},
    zone::{Zone, is_zone_name},
};

/// The most items that systemd allows in one list.
const LIST_LIMIT: usize = 241;

/// The greatest number that systemd reads, even where it is then rounded away.
const GREATEST: u64 = i32::MAX.unsigned_abs() as u64;

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

/// The part of an expression that is wrong, and the end of the sentence about it.
struct Fault(String, String);

fn fault<T>(part: &str, problem: impl Into<String>) -> Result<T, Fault> {
    Err(Fault(part.to_owned(), problem.into()))
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

/// One field of a date or time, for reading and for messages.
struct Field {
    name: &'static str,
    low: u32,
    high: u32,
    /// What the shown numbers are multiplied by to be stored; above 1 they may have fractions.
    unit: u32,
    /// Counts down, so that steps lead to 1 and not to the highest value.
    down: bool,
}

impl Field {
    const fn new(name: &'static str, low: u32, high: u32) -> Self {
        Self {
            name,
            low,
            high,
            unit: 1,
            down: false,
        }
    }
}

const YEAR: Field = Field::new("a year", YEARS.0, YEARS.1);
const MONTH: Field = Field::new("a month", 1, 12);
const DAY: Field = Field::new("a day of the month", 1, 31);
const DAY_FROM_END: Field = Field {
    down: true,
    // Every month has this many, so that a day from the end is in each.
    ..Field::new("a day from the end of the month", 1, 28)
};
const HOUR: Field = Field::new("an hour", 0, 23);
const MINUTE: Field = Field::new("a minute", 0, 59);
const SECONDS: Field = Field {
    unit: SECOND,
    ..Field::new("a second", 0, 60 * SECOND - 1)
};

/// Reads one field: `*` or a list of items.
fn values(text: &str, field: &Field) -> Result<Values, Fault> {
    if text == "*" {
        return Ok(match field.unit {
            1 => Values::Any,
            _ => Values::Of(vec![Item::every_second()]),
        });
    }
    let mut items = Vec::new();
    for part in text.split(',') {
        if items.len() == LIST_LIMIT {
            return fault(
                part,
                "is one too many in a list, expected at most 241 values",
            );
        }
        items.push(item(part, field)?);
    }
    items.sort_unstable();
    items.dedup();
    if field.down {
        check_room_from_end(&items, text)?;
    }
    Ok(Values::Of(items))
}

/// Reads one item: `start`, `start/step`, `start..end` or `start..end/step`.
fn item(part: &str, field: &Field) -> Result<Item, Fault> {
    if part.contains('*') {
        // Cron reads `*/10`; systemd wants to be told where to begin.
        return fault(
            part,
            format!(
                "mixes `*` with more, expected `*` alone or numbers, as in `{}/10`",
                field.low / field.unit
            ),
        );
    }
    let (range, step) = match part.split_once('/') {
        Some((range, step)) => (range, Some(step)),
        None => (part, None),
    };
    let (start, end) = match range.split_once("..") {
        Some((start, end)) => (start, Some(end)),
        None => (range, None),
    };
    let start = value(start, field)?;
    let end = end.map(|end| value(end, field)).transpose()?;
    if end.is_some_and(|end| end < start) {
        return fault(part, "runs backwards, expected the lower value first");
    }
    let step = match step.map(|text| number(text, field)) {
        Some(Some(0) | None) => {
            return fault(
                part,
                "has no proper step, expected a number above 0 after `/`",
            );
        }
        Some(Some(step)) => step,
        None => match end {
            // A range of seconds takes whole ones, of which systemd wants two.
            Some(end) if end - start < field.unit && field.unit > 1 => {
                return fault(
                    part,
                    "is shorter than a second, expected a longer range or a step, as in `0..0.5/0.1`",
                );
            }
            Some(_) => field.unit,
            None => 0,
        },
    };
    let item = Item { start, end, step }.settled();
    check_bounds(item, part, field)?;
    Ok(item)
}

/// Whether systemd (252) takes a list of days from the end of the month. It allows three days less with
/// each item: 28, then 25, then 22. No reason is given for that, but a timer with a longer list
/// would not start, so it is better refused here.
fn check_room_from_end(items: &[Item], list: &str) -> Result<(), Fault> {
    let mut most = DAY_FROM_END.high;
    for item in items {
        if item.end.unwrap_or(item.start) > most {
            return fault(
                list,
                "goes further back than systemd allows in a list, expected at most day 28 from \
                 the end in the first item, 25 in the second, 22 in the third and so on",
            );
        }
        most = most.saturating_sub(3);
    }
    Ok(())
}

/// Whether an item stays within its field and an open one takes a second step in it.
fn check_bounds(item: Item, part: &str, field: &Field) -> Result<(), Fault> {
    let top = item.end.unwrap_or(item.start);
    if item.start < field.low || top > field.high {
        return fault(part, format!("is not {}", expected(field)));
    }
    let room = match field.down {
        true => item.start - field.low,
        false => field.high - item.start,
    };
    if item.end.is_none() && item.step > room {
        return fault(
            part,
            format!("steps too far: the second one is not {}", expected(field)),
        );
    }
    Ok(())
}

/// Reads a value of a field. A year may be short: 70 to 99 lie in the 20th century.
fn value(text: &str, field: &Field) -> Result<u32, Fault> {
    let Some(value) = number(text, field) else {
        return fault(text, format!("is not {}", expected(field)));
    };
    Ok(match value {
        0..70 if field.low == YEARS.0 => value + 2000,
        70..100 if field.low == YEARS.0 => value + 1900,
        _ => value,
    })
}

/// The end of a sentence about a value of a field.
fn expected(field: &Field) -> String {
    let (low, high) = (field.low / field.unit, field.high / field.unit);
    format!("{}, expected {low} to {high}", field.name)
}

/// Reads a number in a field's units. Fractions are rounded to microseconds.
fn number(text: &str, field: &Field) -> Option<u32> {
    let (whole, fraction) = match text.split_once('.') {
        Some((whole, fraction)) if field.unit > 1 => (whole, Some(fraction)),
        _ => (text, None),
    };
    let whole = whole_number(whole)?.checked_mul(u64::from(field.unit))?;
    let value = whole.checked_add(u64::from(fraction.map_or(Some(0), micros)?))?;
    u32::try_from(value).ok().filter(|_| value <= GREATEST)
}

/// Reads the digits behind a decimal point as millionths, rounding by the seventh.
fn micros(fraction: &str) -> Option<u32> {
    if fraction.is_empty() || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let digit = |at| u32::from(fraction.as_bytes().get(at).map_or(0, |b| b - b'0'));
    let six = (0..6).fold(0, |sum, at| sum * 10 + digit(at));
    Some(six + u32::from(digit(6) >= 5))
}

/// Reads digits, and nothing but digits.
fn whole_number(text: &str) -> Option<u64> {
    if !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}
