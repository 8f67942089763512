//! Amounts as people read them, the same in every message: bytes, counts, ages, lengths of time.
//!
//! Owns the wording of numbers. It must not know what they count.

use std::time::Duration;

use chrono::TimeDelta;

const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

/// Bytes with one digit after the point, as `34.2 GiB`.
#[must_use]
pub fn bytes(bytes: u64) -> String {
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    // In tenths, rounded; what rounds up to 1024.0 is written in the next unit.
    let tenths = |unit: usize| {
        let size = 1u128 << (10 * (unit + 1));
        (u128::from(bytes) * 10 + size / 2) / size
    };
    let unit = (0..UNITS.len())
        .find(|unit| tenths(*unit) < 10_240)
        .unwrap_or(UNITS.len() - 1);
    let tenths = tenths(unit);
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}

/// Bytes as GiB, with two decimals.
#[must_use]
pub fn gib(bytes: u64) -> String {
    // Whole hundredths, rounded up, so that what is missing never shows as nothing.
    let hundredths = (u128::from(bytes) * 100).div_ceil(1 << 30);
    format!("{}.{:02} GiB", hundredths / 100, hundredths % 100)
}

/// A count with separated thousands, as `12,345`.
#[must_use]
pub fn count(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.char_indices() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// How often, in words.
#[must_use]
pub fn times(count: u64) -> String {
    match count {
        1 => "once".to_owned(),
        2 => "twice".to_owned(),
        many => format!("{} times", self::count(many)),
    }
}

/// A count with its noun, as `1 file` or `12,345 files`.
#[must_use]
pub fn plural(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(number), if number == 1 { one } else { many })
}

/// How many of one thing, in its greatest whole unit; none below a minute.
fn greatest(time: TimeDelta) -> Option<(u64, usize)> {
    let minutes = time.num_minutes().unsigned_abs();
    let days = minutes / 1440;
    match minutes {
        0 => None,
        1..60 => Some((minutes, 0)),
        60..1440 => Some((minutes / 60, 1)),
        _ if days < 60 => Some((days, 2)),
        // A month is a twelfth of 365.25 days.
        _ if days < 731 => Some((days * 100 / 3044, 3)),
        _ => Some((days * 100 / 36525, 4)),
    }
}

/// How long ago something was, as `3 hours ago`; `in 3 hours` if it is yet to come.
#[must_use]
pub fn age(age: TimeDelta) -> String {
    const NOUNS: [(&str, &str); 5] = [
        ("minute", "minutes"),
        ("hour", "hours"),
        ("day", "days"),
        ("month", "months"),
        ("year", "years"),
    ];
    let Some((number, unit)) = greatest(age) else {
        return "just now".to_owned();
    };
    let (one, many) = NOUNS[unit];
    let text = plural(number, one, many);
    if age < TimeDelta::zero() {
        format!("in {text}")
    } else {
        format!("{text} ago")
    }
}

/// An age for a narrow column, as `3 h`; with a plus sign if it is yet to come.
#[must_use]
pub fn short_age(age: TimeDelta) -> String {
    let Some((number, unit)) = greatest(age) else {
        return "now".to_owned();
    };
    let sign = if age < TimeDelta::zero() { "+" } else { "" };
    format!("{sign}{number} {}", ["min", "h", "d", "mo", "y"][unit])
}

/// A length of time, as `1 min 03 s`.
#[must_use]
pub fn span(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0..10 => format!("{}.{} s", seconds, span.subsec_millis() / 100),
        10..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{} h {:02} min", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{} d {:02} h", seconds / 86_400, seconds % 86_400 / 3600),
    }
}

/// A length of time between two readings of a clock; none if it was set back meanwhile.
#[must_use]
pub fn between(time: TimeDelta) -> String {
    span(time.to_std().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_one_digit_after_the_point_and_never_four_digits_of_a_unit() {
        for (number, said) in [
            (0, "0 B"),
            (999, "999 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1229, "1.2 KiB"),
            ((1 << 20) - 1, "1.0 MiB"),
            (36_721_970_381, "34.2 GiB"),
            (u64::MAX, "16.0 EiB"),
        ] {
            assert_eq!(bytes(number), said);
        }
    }

    #[test]
    fn counts_have_separated_thousands() {
        for (number, said) in [
            (0, "0"),
            (999, "999"),
            (1000, "1,000"),
            (12_345, "12,345"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(count(number), said);
        }
        assert_eq!(plural(1, "entry", "entries"), "1 entry");
        assert_eq!(plural(0, "file", "files"), "0 files");
    }

    #[test]
    fn ages_are_told_in_their_greatest_whole_unit() {
        for (minutes, said, short) in [
            (0, "just now", "now"),
            (1, "1 minute ago", "1 min"),
            (59, "59 minutes ago", "59 min"),
            (119, "1 hour ago", "1 h"),
            (180, "3 hours ago", "3 h"),
            (2 * 1440, "2 days ago", "2 d"),
            (59 * 1440, "59 days ago", "59 d"),
            (62 * 1440, "2 months ago", "2 mo"),
            (800 * 1440, "2 years ago", "2 y"),
            (-180, "in 3 hours", "+3 h"),
        ] {
            let time = TimeDelta::minutes(minutes);
            assert_eq!(age(time), said);
            assert_eq!(short_age(time), short);
        }
    }

    #[test]
    fn spans_have_at_most_two_units() {
        for (millis, said) in [
            (5, "0.0 s"),
            (320, "0.3 s"),
            (12_000, "12 s"),
            (63_000, "1 min 03 s"),
            (2 * 3_600_000 + 300_000, "2 h 05 min"),
            (90_000_000, "1 d 01 h"),
        ] {
            assert_eq!(span(Duration::from_millis(millis)), said);
        }
    }
}
