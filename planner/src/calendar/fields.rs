//! Reading the fields of a date and a time: lists, ranges and steps, and what is said of one that is not
//! in the grammar.

use super::spec::{Item, SECOND, Values, YEARS};

/// The most items that systemd allows in one list.
const LIST_LIMIT: usize = 241;

/// The greatest number that systemd reads, even where it is then rounded away.
const GREATEST: u64 = i32::MAX.unsigned_abs() as u64;

/// The part of an expression that is wrong, and the end of the sentence about it.
pub(super) struct Fault(pub(super) String, pub(super) String);

pub(super) fn fault<T>(part: &str, problem: impl Into<String>) -> Result<T, Fault> {
    Err(Fault(part.to_owned(), problem.into()))
}

/// One field of a date or time, for reading and for messages.
pub(super) struct Field {
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

pub(super) const YEAR: Field = Field::new("a year", YEARS.0, YEARS.1);
pub(super) const MONTH: Field = Field::new("a month", 1, 12);
pub(super) const DAY: Field = Field::new("a day of the month", 1, 31);
pub(super) const DAY_FROM_END: Field = Field {
    down: true,
    // Every month has this many, so that a day from the end is in each.
    ..Field::new("a day from the end of the month", 1, 28)
};
pub(super) const HOUR: Field = Field::new("an hour", 0, 23);
pub(super) const MINUTE: Field = Field::new("a minute", 0, 59);
pub(super) const SECONDS: Field = Field {
    unit: SECOND,
    ..Field::new("a second", 0, 60 * SECOND - 1)
};

/// Reads one field: `*` or a list of items.
pub(super) fn values(text: &str, field: &Field) -> Result<Values, Fault> {
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
pub(super) fn whole_number(text: &str) -> Option<u64> {
    if !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}
