//! Snapshot ids and tiers: the names that people see in the destination.
//!
//! An id is a local start time. It is a name only: order and arithmetic use the UTC time and the
//! offset recorded in the snapshot's record.

use std::{borrow::Cow, fmt, str::FromStr};

use chrono::{Datelike as _, NaiveDate, NaiveDateTime, TimeDelta, Timelike as _};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::as_text;

/// The name of a snapshot: its local start time, `YYYY-MM-DD_HH-MM-SS`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SnapshotId(NaiveDateTime);

/// A text that is not a snapshot id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidSnapshotId(String);

impl SnapshotId {
    /// The id of a snapshot started at this local time; fractions of a second are dropped.
    #[must_use]
    pub fn from_local(start: NaiveDateTime) -> Self {
        // A leap second is one that no name can spell: the one before serves.
        Self(start.with_nanosecond(0).unwrap_or(start))
    }

    /// The first id from this one on, second by second, that `taken` does not hold.
    #[must_use]
    pub fn first_free(self, taken: impl Fn(Self) -> bool) -> Self {
        let mut id = self;
        while taken(id) {
            id = Self(id.0 + TimeDelta::seconds(1));
        }
        id
    }

    /// The local time that the name spells. A name only: never use it for order across offsets.
    #[must_use]
    pub fn local(self) -> NaiveDateTime {
        self.0
    }

    /// Appends the id as text.
    pub fn push_to(self, text: &mut Vec<u8>) {
        match self.text() {
            Some(own) => text.extend_from_slice(&own),
            None => text.extend_from_slice(self.to_string().as_bytes()),
        }
    }

    /// Its text, without the formatter: a manifest names one in each of its millions of lines. None of a
    /// clock that nobody has.
    fn text(self) -> Option<[u8; 19]> {
        let (day, time) = (self.0.date(), self.0.time());
        let year = u32::try_from(day.year())
            .ok()
            .filter(|year| *year <= 9999)?;
        let mut text = *b"0000-00-00_00-00-00";
        for (at, pair) in [
            (0, year / 100),
            (2, year % 100),
            (5, day.month()),
            (8, day.day()),
            (11, time.hour()),
            (14, time.minute()),
            (17, time.second()),
        ] {
            let digits = [pair / 10, pair % 10].map(|digit| b'0' + digit.to_le_bytes()[0]);
            text[at..at + 2].copy_from_slice(&digits);
        }
        Some(text)
    }
}

impl fmt::Display for SnapshotId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.text();
        if let Some(text) = text
            .as_ref()
            .and_then(|text| std::str::from_utf8(text).ok())
        {
            return f.write_str(text);
        }
        let (day, time) = (self.0.date(), self.0.time());
        write!(
            f,
            "{:04}-{:02}-{:02}_{:02}-{:02}-{:02}",
            day.year(),
            day.month(),
            day.day(),
            time.hour(),
            time.minute(),
            time.second()
        )
    }
}

impl fmt::Debug for SnapshotId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for SnapshotId {
    type Err = InvalidSnapshotId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidSnapshotId(text.to_owned());
        // chrono accepts signs, short fields and blanks; a name on disk has one spelling only.
        let shape = text.bytes().enumerate().all(|(at, byte)| match at {
            4 | 7 | 13 | 16 => byte == b'-',
            10 => byte == b'_',
            _ => byte.is_ascii_digit(),
        });
        if text.len() != 19 || !shape {
            return Err(invalid());
        }
        // By hand, because a manifest names one in each of its millions of lines.
        let digits = text.as_bytes();
        let number = |from: usize, to: usize| {
            digits[from..to]
                .iter()
                .fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0'))
        };
        let day = NaiveDate::from_ymd_opt(number(0, 4).cast_signed(), number(5, 7), number(8, 10));
        day.and_then(|day| day.and_hms_opt(number(11, 13), number(14, 16), number(17, 19)))
            .map(Self)
            .ok_or_else(invalid)
    }
}

impl fmt::Display for InvalidSnapshotId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "`{}` is not a snapshot id such as 2025-01-16_02-00-00",
            self.0
        )
    }
}

impl std::error::Error for InvalidSnapshotId {}

impl Serialize for SnapshotId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = self.text();
        match text.as_ref().map(|text| std::str::from_utf8(text)) {
            Some(Ok(text)) => serializer.serialize_str(text),
            _ => serializer.collect_str(self),
        }
    }
}

impl<'de> Deserialize<'de> for SnapshotId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        as_text::deserialize(deserializer)
    }
}

impl JsonSchema for SnapshotId {
    fn schema_name() -> Cow<'static, str> {
        "SnapshotId".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "Local start time of a snapshot, YYYY-MM-DD_HH-MM-SS.",
            "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}_[0-9]{2}-[0-9]{2}-[0-9]{2}$",
        })
    }
}

/// A retention tier, shortest-lived first; each is a folder below the host's.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Tier {
    /// One snapshot an hour.
    Hourly,
    /// One snapshot a day.
    Daily,
    /// One snapshot a week.
    Weekly,
    /// One snapshot a month.
    Monthly,
    /// One snapshot a year.
    Yearly,
}

impl Tier {
    /// All tiers, shortest-lived first.
    pub const ALL: [Self; 5] = [
        Self::Hourly,
        Self::Daily,
        Self::Weekly,
        Self::Monthly,
        Self::Yearly,
    ];

    /// All of them by name, for messages.
    #[must_use]
    pub fn names() -> String {
        Self::ALL.map(Self::folder).join(", ")
    }

    /// The folder's name below the host's folder.
    #[must_use]
    pub fn folder(self) -> &'static str {
        match self {
            Self::Hourly => "hourly",
            Self::Daily => "daily",
            Self::Weekly => "weekly",
            Self::Monthly => "monthly",
            Self::Yearly => "yearly",
        }
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.folder())
    }
}

impl FromStr for Tier {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL
            .into_iter()
            .find(|tier| tier.folder() == text)
            .ok_or(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_prints_as_it_was_read_and_nothing_else_is_one() {
        let id: SnapshotId = "2025-01-16_02-00-00".parse().unwrap();
        assert_eq!(id.to_string(), "2025-01-16_02-00-00");
        for text in [
            "2025-01-16_02-00-00",
            "0000-12-31_23-59-59",
            "9999-02-28_10-09-08",
        ] {
            let id: SnapshotId = text.parse().unwrap();
            let mut pushed = b"x ".to_vec();
            id.push_to(&mut pushed);
            assert_eq!(pushed, format!("x {id}").into_bytes());
        }
        for bad in [
            "",
            "2025-01-16",
            "2025-1-16_02-00-000",
            "2025-01-16_02-00-60",
            "2025-02-30_02-00-00",
            "+025-01-16_02-00-00",
            "2025-01-16_02:00:00",
            "2025-01-16_02-00-00/",
        ] {
            assert!(bad.parse::<SnapshotId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_taken_id_is_made_unique_by_adding_seconds() {
        let id: SnapshotId = "2025-12-31_23-59-59".parse().unwrap();
        let free = id.first_free(|other| other == id);
        assert_eq!(free.to_string(), "2026-01-01_00-00-00");
    }
}
