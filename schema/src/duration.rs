//! Time spans as a person writes them: `1h`, `2h 30min`, `1.5d`.
//!
//! Owns the grammar of systemd.time(7), "Parsing time spans", and the text of each span as it was
//! written. It must not round what it prints, and must not know what a span is used for.

use std::{borrow::Cow, fmt, str::FromStr, time::Duration};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Units with their microseconds. Longer spellings stand before their own beginnings, so that the
/// first one that fits is the right one. A month is 30.44 days and a year 365.25, as in
/// systemd.time(7).
const UNITS: [(&str, u64); 30] = [
    ("seconds", 1_000_000),
    ("second", 1_000_000),
    ("sec", 1_000_000),
    ("s", 1_000_000),
    ("minutes", 60_000_000),
    ("minute", 60_000_000),
    ("months", 2_629_800_000_000),
    ("month", 2_629_800_000_000),
    ("msec", 1_000),
    ("min", 60_000_000),
    ("ms", 1_000),
    ("m", 60_000_000),
    ("M", 2_629_800_000_000),
    ("hours", 3_600_000_000),
    ("hour", 3_600_000_000),
    ("hr", 3_600_000_000),
    ("h", 3_600_000_000),
    ("days", 86_400_000_000),
    ("day", 86_400_000_000),
    ("d", 86_400_000_000),
    ("weeks", 604_800_000_000),
    ("week", 604_800_000_000),
    ("w", 604_800_000_000),
    ("years", 31_557_600_000_000),
    ("year", 31_557_600_000_000),
    ("y", 31_557_600_000_000),
    ("usec", 1),
    ("us", 1),
    ("µs", 1), // U+00B5, the micro sign
    ("μs", 1), // U+03BC, the Greek letter
];

/// A length of time, to the microsecond, that remembers how it was written
/// (systemd.time(7), "Parsing time spans"). A number without a unit counts seconds.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Span {
    microseconds: u64,
    text: String,
}

/// A text that is not a time span, and why. Displayed as a lowercase sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidSpan {
    text: String,
    reason: Reason,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Reason {
    Empty,
    Endless,
    Negative,
    TooLong,
    Number(String),
    Unit(String),
}

impl Span {
    /// A span of whole hours, written `1h`.
    #[must_use]
    pub fn hours(hours: u32) -> Self {
        Self {
            // 2^32 hours are 1.5e19 microseconds, which is below 2^64.
            microseconds: u64::from(hours) * 3_600_000_000,
            text: format!("{hours}h"),
        }
    }

    /// A span of whole minutes, written `10m`.
    #[must_use]
    pub fn minutes(minutes: u32) -> Self {
        Self {
            microseconds: u64::from(minutes) * 60_000_000,
            text: format!("{minutes}m"),
        }
    }

    /// The span for the standard library.
    #[must_use]
    pub fn as_duration(&self) -> Duration {
        Duration::from_micros(self.microseconds)
    }

    /// The span in whole microseconds.
    #[must_use]
    pub fn as_micros(&self) -> u64 {
        self.microseconds
    }
}

impl FromStr for Span {
    type Err = InvalidSpan;

    /// Reads systemd.time(7)'s time spans, with one exception: `infinity` is refused, because
    /// what a span bounds here has to end.
    fn from_str(text: &str) -> Result<Self, InvalidSpan> {
        match microseconds(text) {
            Ok(microseconds) => Ok(Self {
                microseconds,
                text: text.to_owned(),
            }),
            Err(reason) => Err(InvalidSpan {
                text: text.to_owned(),
                reason,
            }),
        }
    }
}

/// The sum of all terms of a span.
fn microseconds(text: &str) -> Result<u64, Reason> {
    let mut rest = skip_blanks(text);
    if rest.is_empty() {
        return Err(Reason::Empty);
    }
    if skip_blanks(rest.strip_prefix("infinity").unwrap_or(rest)).is_empty() {
        return Err(Reason::Endless);
    }
    let mut sum = 0u64;
    while !rest.is_empty() {
        let (amount, tail) = Amount::read(rest)?;
        let unit = UNITS.iter().find_map(|&(name, size)| {
            let tail = skip_blanks(tail).strip_prefix(name)?;
            Some((size, tail))
        });
        let (size, tail) = match unit {
            Some(found) => found,
            None if tail.is_empty() || tail.starts_with(is_blank) => (1_000_000, tail),
            None => return Err(Reason::Unit(word(tail))),
        };
        // The greatest u64 is systemd's mark for infinity, so it is out of reach as well.
        sum = amount
            .times(size)
            .and_then(|term| sum.checked_add(term))
            .filter(|&sum| sum < u64::MAX)
            .ok_or(Reason::TooLong)?;
        let next = skip_blanks(tail);
        if !next.starts_with(|c: char| c.is_ascii_digit() || ".+-".contains(c)) && !next.is_empty()
        {
            return Err(Reason::Unit(word(next)));
        }
        rest = next;
    }
    Ok(sum)
}

/// A decimal number: digits before the point and digits after it.
struct Amount<'a> {
    whole: u64,
    fraction: &'a str,
}

impl<'a> Amount<'a> {
    /// Reads a number at the beginning of `text` and gives what follows it.
    fn read(text: &'a str) -> Result<(Self, &'a str), Reason> {
        let bad = || Reason::Number(word(text));
        if text.starts_with('-') {
            return Err(Reason::Negative);
        }
        let unsigned = text.strip_prefix('+').unwrap_or(text);
        let (digits, tail) = split_digits(unsigned);
        // A sign in front of a bare fraction is not a number to systemd.
        if digits.is_empty() && (unsigned.len() < text.len() || !tail.starts_with('.')) {
            return Err(bad());
        }
        let whole = match digits {
            "" => 0,
            // systemd reads this part as a signed number.
            digits => digits
                .parse::<i64>()
                .map_err(|_| Reason::TooLong)?
                .unsigned_abs(),
        };
        let Some(after_point) = tail.strip_prefix('.') else {
            let fraction = "";
            return Ok((Self { whole, fraction }, tail));
        };
        let (fraction, tail) = split_digits(after_point);
        if fraction.is_empty() || tail.starts_with('.') {
            return Err(bad());
        }
        Ok((Self { whole, fraction }, tail))
    }

    /// The microseconds of this many units, or nothing when they are too many.
    fn times(&self, unit: u64) -> Option<u64> {
        if self.whole >= u64::MAX / unit {
            return None;
        }
        let mut sum = self.whole.checked_mul(unit)?;
        // Each digit counts whole microseconds of its own, as it does in systemd, so that a span
        // means the same in a unit file and here.
        let mut place = unit / 10;
        for digit in self.fraction.bytes() {
            sum = sum.checked_add(u64::from(digit - b'0') * place)?;
            place /= 10;
        }
        Some(sum)
    }
}

fn is_blank(c: char) -> bool {
    " \t\n\r".contains(c)
}

fn skip_blanks(text: &str) -> &str {
    text.trim_start_matches(is_blank)
}

fn split_digits(text: &str) -> (&str, &str) {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    text.split_at(end)
}

/// The word at the beginning of `text`, for a message.
fn word(text: &str) -> String {
    text.split(is_blank).next().unwrap_or(text).to_owned()
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Display for InvalidSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.text.escape_debug();
        match &self.reason {
            Reason::Empty => {
                write!(
                    f,
                    "the time span is empty, expected one such as `30s` or `2h 30min`"
                )
            }
            Reason::Endless => write!(
                f,
                "`{text}` never ends, expected a time span that does, such as `6h`"
            ),
            Reason::Negative => write!(f, "the time span `{text}` is negative"),
            Reason::TooLong => write!(f, "the time span `{text}` is too long to count"),
            Reason::Number(part) => write!(
                f,
                "`{}` in the time span `{text}` is not a number, expected one such as `30s` or `1.5h`",
                part.escape_debug()
            ),
            Reason::Unit(part) => write!(
                f,
                "`{}` in the time span `{text}` is not a unit, expected us, ms, s, min, h, d, w, \
                 month or y",
                part.escape_debug()
            ),
        }
    }
}

impl std::error::Error for InvalidSpan {}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Span {
    fn schema_name() -> Cow<'static, str> {
        "Span".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "A time span as in systemd.time(7), such as 30s, 10m, 1h, 2d or 2h 30min; \
                            a number without a unit counts seconds. It must end: infinity is refused.",
            "format": "time-span",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn micros(text: &str) -> u64 {
        text.parse::<Span>().unwrap().as_micros()
    }

    fn refusal(text: &str) -> String {
        text.parse::<Span>().unwrap_err().to_string()
    }

    #[test]
    fn every_unit_has_its_length_and_m_is_not_capital_m() {
        for (name, size) in UNITS {
            assert_eq!(micros(&format!("3{name}")), 3 * size, "{name}");
            assert_eq!(micros(&format!("3 {name}")), 3 * size, "{name}");
        }
        assert_eq!(micros("5m"), 300_000_000);
        assert_eq!(micros("5M"), 5 * 2_629_800_000_000);
        assert_eq!(micros("90"), 90_000_000);
    }

    #[test]
    fn terms_add_up_with_or_without_blanks_and_with_decimals() {
        assert_eq!(micros("2h30min"), 9_000_000_000);
        assert_eq!(micros(" 2 h\t30 min "), 9_000_000_000);
        assert_eq!(micros("1.5h"), 5_400_000_000);
        assert_eq!(micros(".5"), 500_000);
        assert_eq!(micros("1.5 .5"), 2_000_000);
        assert_eq!(micros("1h 2"), 3_602_000_000);
        assert_eq!(micros("1y1M1w1d1h1m1s1ms1us"), 34_882_261_001_001);
        assert_eq!(micros("0.9us"), 0);
    }

    #[test]
    fn a_span_prints_and_serialises_as_it_was_written() {
        let span: Span = serde_json::from_str("\"90 min\"").unwrap();
        assert_eq!(span.as_duration(), Duration::from_secs(5400));
        assert_eq!(span.to_string(), "90 min");
        assert_eq!(serde_json::to_string(&span).unwrap(), "\"90 min\"");
        assert_eq!(Span::hours(6), "6h".parse().unwrap());
        assert!(u64::MAX / 3_600_000_000 >= u64::from(u32::MAX));
    }

    #[test]
    fn what_is_not_a_span_is_refused_with_a_reason() {
        assert!(refusal("infinity").contains("never ends"));
        assert!(refusal(" infinity ").contains("never ends"));
        assert!(refusal("").contains("empty"));
        assert!(refusal(" \t").contains("empty"));
        assert!(refusal("-1s").contains("negative"));
        assert!(refusal("1h -1").contains("negative"));
        assert!(refusal("h").contains("`h` in the time span `h` is not a number"));
        assert!(refusal("1 fortnight").contains("`fortnight`"));
        for bad in [
            "1H",
            "1.s",
            "1.",
            ".",
            "+.5",
            "+ 1s",
            "1+1s",
            "1..5s",
            ".5.5",
            "1,5s",
            "5 s ms",
            "1h infinity",
            "1e3",
            "0x1s",
            "١s",
            "1\u{a0}h",
        ] {
            assert!(bad.parse::<Span>().is_err(), "{bad}");
        }
    }

    #[test]
    fn what_cannot_be_counted_is_refused() {
        assert_eq!(micros("9223372036854775807us"), i64::MAX.unsigned_abs());
        assert_eq!(
            micros("9223372036854775807us 9223372036854775807us"),
            u64::MAX - 1
        );
        for long in [
            "584542y",
            "99999999999999999999999us",
            "9223372036854775808us",
            "9223372036854775807us 9223372036854775807us 1us",
        ] {
            assert!(refusal(long).contains("too long"), "{long}");
        }
    }
}
