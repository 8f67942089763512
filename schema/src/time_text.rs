//! Times in JSON, as chrono reads and writes them. Most are written and read here without its formatter,
//! which takes most of the time that the records of thousands of snapshots take.

use std::fmt;

use chrono::{DateTime, Datelike as _, FixedOffset, NaiveDate, TimeZone as _, Timelike as _};
use serde::{
    Deserializer, Serialize as _, Serializer,
    de::{Error, Visitor},
};

/// Writes a time.
///
/// # Errors
/// Those of the serializer.
pub fn serialize<S: Serializer>(
    time: &DateTime<FixedOffset>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let text = write(time);
    let text = text.as_ref().map(|(text, length)| &text[..*length]);
    match text.map(std::str::from_utf8) {
        Some(Ok(text)) => serializer.serialize_str(text),
        _ => time.serialize(serializer),
    }
}

/// Reads a time.
///
/// # Errors
/// Fails if there is no text, or one that is no time.
pub fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<DateTime<FixedOffset>, D::Error> {
    struct Time;
    impl Visitor<'_> for Time {
        type Value = DateTime<FixedOffset>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an RFC 3339 formatted date and time string")
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
            match read(text.as_bytes()) {
                Some(time) => Ok(time),
                None => text.parse().map_err(E::custom),
            }
        }
    }
    deserializer.deserialize_str(Time)
}

/// Longest text that is written here.
const LONGEST: usize = "2025-01-16T02:00:00.000000000+01:00".len();

/// A time as text, with the length of that; none of one that only chrono writes: of a leap second, of a
/// year of more than four digits, of a zone with seconds.
fn write(time: &DateTime<FixedOffset>) -> Option<([u8; LONGEST], usize)> {
    let local = time.naive_local();
    let year = u32::try_from(local.year())
        .ok()
        .filter(|year| *year <= 9999)?;
    let offset = time.offset().local_minus_utc();
    let nanos = Some(local.nanosecond()).filter(|nanos| *nanos < 1_000_000_000)?;
    let minutes = Some(offset.unsigned_abs())
        .filter(|seconds| seconds % 60 == 0)
        .map(|seconds| seconds / 60)?;
    let mut text = [0; LONGEST];
    text[..19].copy_from_slice(b"0000-00-00T00:00:00");
    for (at, pair) in [
        (0, year / 100),
        (2, year % 100),
        (5, local.month()),
        (8, local.day()),
        (11, local.hour()),
        (14, local.minute()),
        (17, local.second()),
    ] {
        write_number(&mut text[at..at + 2], pair);
    }
    let digits = match nanos {
        0 => 0,
        _ if nanos % 1_000_000 == 0 => 3,
        _ if nanos % 1_000 == 0 => 6,
        _ => 9,
    };
    let mut end = 19;
    if digits > 0 {
        text[end] = b'.';
        write_number(
            &mut text[end + 1..=end + digits],
            nanos / 10_u32.pow(9 - digits as u32),
        );
        end += 1 + digits;
    }
    if offset == 0 {
        text[end] = b'Z';
        return Some((text, end + 1));
    }
    text[end] = if offset < 0 { b'-' } else { b'+' };
    write_number(&mut text[end + 1..end + 3], minutes / 60);
    text[end + 3] = b':';
    write_number(&mut text[end + 4..end + 6], minutes % 60);
    Some((text, end + 6))
}

/// Writes a number with as many digits as there is room for.
fn write_number(text: &mut [u8], mut number: u32) {
    for digit in text.iter_mut().rev() {
        *digit = b'0' + (number % 10).to_le_bytes()[0];
        number /= 10;
    }
}

/// The time that a text of the usual form says; none of any other.
fn read(text: &[u8]) -> Option<DateTime<FixedOffset>> {
    let (start, mut rest) = text.split_at_checked(19)?;
    for (at, expected) in [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')] {
        if start[at] != expected {
            return None;
        }
    }
    let number = |from, to| read_number(&start[from..to]);
    let day = NaiveDate::from_ymd_opt(
        i32::try_from(number(0, 4)?).ok()?,
        number(5, 7)?,
        number(8, 10)?,
    )?;
    let mut nanos = 0;
    if let Some((b'.', after)) = rest.split_first() {
        let digits = after.iter().take_while(|byte| byte.is_ascii_digit());
        let (fraction, zone) = after.split_at(digits.count());
        if !matches!(fraction.len(), 1..=9) {
            return None;
        }
        nanos = read_number(fraction)? * 10_u32.pow(9 - fraction.len() as u32);
        rest = zone;
    }
    let local = day.and_hms_nano_opt(number(11, 13)?, number(14, 16)?, number(17, 19)?, nanos)?;
    let seconds = match *rest {
        [b'Z'] => 0,
        [sign @ (b'+' | b'-'), a, b, b':', c, d] => {
            let (hours, minutes) = (read_number(&[a, b])?, read_number(&[c, d])?);
            let seconds = i32::try_from((hours * 60 + minutes) * 60).ok()?;
            let is_written = minutes < 60;
            is_written.then_some(if sign == b'-' { -seconds } else { seconds })?
        }
        _ => return None,
    };
    let offset = FixedOffset::east_opt(seconds)?;
    offset.from_local_datetime(&local).single()
}

/// A number of at most nine digits and nothing else.
fn read_number(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |sum, digit| {
        digit
            .is_ascii_digit()
            .then(|| sum * 10 + u32::from(digit - b'0'))
    })
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Ours(#[serde(with = "super")] DateTime<FixedOffset>);

    fn at(seconds: i64, nanos: u32, offset: i32) -> DateTime<FixedOffset> {
        let time = DateTime::from_timestamp(seconds, nanos).unwrap();
        time.with_timezone(&FixedOffset::east_opt(offset).unwrap())
    }

    #[test]
    fn times_are_written_as_chrono_writes_them_and_read_as_they_were() {
        let seconds = [
            0,
            -1,
            1_736_989_200,
            951_782_399,
            951_782_400,
            253_402_300_799,
            -62_135_596_800,
            -62_167_219_200,
            -62_198_755_200,
            253_402_300_800,
        ];
        let nanos = [
            0,
            1,
            120_000_000,
            999_999_999,
            5_000,
            7_000_000,
            1_500_000_000,
        ];
        let offsets = [0, 3600, -3600, 19_800, -34_200, 86_340, -86_340, 17, -3601];
        for seconds in seconds {
            for nanos in nanos {
                let Some(time) = DateTime::from_timestamp(seconds, nanos) else {
                    continue;
                };
                for offset in offsets {
                    let time = time.with_timezone(&FixedOffset::east_opt(offset).unwrap());
                    let ours = serde_json::to_string(&Ours(time)).unwrap();
                    let chronos = serde_json::to_string(&time).unwrap();
                    assert_eq!(ours, chronos);
                    let read: Option<Ours> = serde_json::from_str(&ours).ok();
                    let expected = serde_json::from_str(&chronos).ok();
                    assert_eq!(read.map(|one| one.0), expected, "{ours}");
                }
            }
        }
    }

    #[test]
    fn a_text_is_the_time_that_chrono_takes_it_for_or_none() {
        for text in [
            "2025-01-16T02:00:00Z",
            "2025-01-16T02:00:00.5+01:00",
            "2025-01-16T02:00:00.123456789-00:30",
            "2025-01-16T02:00:00+00:00",
            "2025-01-16T02:00:00-00:00",
            "2025-01-16T02:00:60Z",
            "2025-01-16T02:00:60.5Z",
            "2025-01-16T24:00:00Z",
            "2025-02-29T02:00:00Z",
            "2025-01-16t02:00:00z",
            "2025-01-16 02:00:00 +01:00",
            "2025-01-16T02:00:00.+01:00",
            "2025-01-16T02:00:00.1234567890Z",
            "2025-01-16T02:00:00+0100",
            "2025-01-16T02:00:00+01:60",
            "2025-01-16T02:00:00+24:00",
            "2025-01-16T02:00:00+99:99",
            "2025-01-16T02:00:00",
            "2025-01-16T02:00:00Zx",
            "+025-01-16T02:00:00Z",
            "12025-01-16T02:00:00Z",
            "2025-1-16T02:00:00Z",
            "2025-01-16T02:00:0",
            "",
        ] {
            let json = format!("{text:?}");
            let ours: Option<Ours> = serde_json::from_str(&json).ok();
            let chronos: Option<DateTime<FixedOffset>> = serde_json::from_str(&json).ok();
            let ours = ours.map(|one| one.0);
            assert_eq!(ours, chronos, "{text}");
            let offset = |time: Option<DateTime<FixedOffset>>| time.map(|time| *time.offset());
            assert_eq!(offset(ours), offset(chronos), "{text}");
        }
        assert_eq!(read(b"2025-01-16T02:00:00Z"), Some(at(1_736_992_800, 0, 0)));
    }
}
