//! Values that are text in the file and have a grammar of their own.
//!
//! Each type reads only what is valid, so that code behind `Config` never meets anything else.
//! Calendar expressions are the exception: their grammar is the planner's, which checks them.

use std::{borrow::Cow, fmt, path::Path, str::FromStr};

use chrono::NaiveTime;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::StoredPath;

/// Serialises through `Display` and `FromStr`, and names the grammar in the schema's `format`.
macro_rules! text_type {
    ($type:ident, $format:literal, $description:literal) => {
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                crate::as_text::deserialize(deserializer)
            }
        }

        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "format": $format, "description": $description })
            }
        }
    };
}

pub(super) use text_type;

/// An absolute path in UTF-8, without `..` and not ending in a slash (the root excepted).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AbsolutePath(String);

impl AbsolutePath {
    /// A path known to be absolute and free of `.` and `..`.
    #[must_use]
    pub fn new(path: &str) -> Self {
        Self(path.to_owned())
    }

    /// The path as the user wrote it, less a trailing slash.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path.
    #[must_use]
    pub fn as_path(&self) -> &Path {
        Path::new(&self.0)
    }

    /// The path that what stands here has in a snapshot.
    #[must_use]
    pub fn as_stored(&self) -> &StoredPath {
        StoredPath::of_absolute(&self.0)
    }

    /// Whether it is this folder or something in it, however deep.
    #[must_use]
    pub fn is_within(&self, folder: &Self) -> bool {
        self.as_stored().is_within(folder.as_stored())
    }
}

impl fmt::Display for AbsolutePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for AbsolutePath {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if !text.starts_with('/') {
            return Err("an absolute path, one that starts with `/`".to_owned());
        }
        if text.contains('\0') {
            return Err("a path without a NUL character".to_owned());
        }
        if text.split('/').any(|part| part == ".." || part == ".") {
            return Err("a path without `.` or `..`".to_owned());
        }
        let parts: Vec<&str> = text.split('/').filter(|part| !part.is_empty()).collect();
        Ok(Self(format!("/{}", parts.join("/"))))
    }
}

text_type!(AbsolutePath, "absolute-path", "An absolute path.");

/// A systemd calendar expression, or the shorthand `daily` or `weekly`; kept as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CalendarText(String);

impl CalendarText {
    /// The expression as the user wrote it.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The expression as the user wrote it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CalendarText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for CalendarText {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(Self(text.to_owned()))
    }
}

text_type!(
    CalendarText,
    "calendar-expression",
    "A systemd calendar expression such as `daily`, `Mon,Wed,Fri` or `*-*-1/2 03:00`."
);

/// A time of day to the minute, `HH:MM`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeOfDay {
    hour: u8,
    minute: u8,
}

impl TimeOfDay {
    /// A time of day; hours up to 23 and minutes up to 59, larger ones wrap.
    #[must_use]
    pub fn new(hour: u8, minute: u8) -> Self {
        Self {
            hour: hour % 24,
            minute: minute % 60,
        }
    }

    /// The time as chrono has it.
    #[must_use]
    pub fn time(self) -> NaiveTime {
        NaiveTime::from_hms_opt(self.hour.into(), self.minute.into(), 0).unwrap_or_default()
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.hour, self.minute)
    }
}

impl FromStr for TimeOfDay {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |part: &str, limit: u8| {
            (part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit()))
                .then(|| part.parse::<u8>().ok())
                .flatten()
                .filter(|number| *number < limit)
        };
        text.split_once(':')
            .and_then(|(hour, minute)| Some((number(hour, 24)?, number(minute, 60)?)))
            .map(|(hour, minute)| Self { hour, minute })
            .ok_or_else(|| "a time of day as HH:MM, from 00:00 to 23:59".to_owned())
    }
}

text_type!(TimeOfDay, "time-of-day", "A time of day, HH:MM.");

/// A share of the stored data, `n/t`: part n of t.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subset {
    /// Which part, from 1.
    pub part: u32,
    /// Of how many.
    pub of: u32,
}

impl Subset {
    /// Part `part` of `of`.
    #[must_use]
    pub fn new(part: u32, of: u32) -> Self {
        Self { part, of }
    }
}

impl fmt::Display for Subset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.part, self.of)
    }
}

impl FromStr for Subset {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.split_once('/')
            .and_then(|(part, of)| Some((part.parse().ok()?, of.parse().ok()?)))
            .filter(|(part, of)| (1..=*of).contains(part))
            .map(|(part, of)| Self { part, of })
            .ok_or_else(|| "a share such as `1/30`, with 1 ≤ n ≤ t".to_owned())
    }
}

text_type!(Subset, "subset", "A share of the stored data, n/t.");

/// The only format version there is: 1.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ConfigVersion;

impl Serialize for ConfigVersion {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u32(1)
    }
}

impl<'de> Deserialize<'de> for ConfigVersion {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u64::deserialize(deserializer)? {
            1 => Ok(Self),
            other => Err(serde::de::Error::custom(format!(
                "version {other} of the format is not known, only 1"
            ))),
        }
    }
}

impl JsonSchema for ConfigVersion {
    fn schema_name() -> Cow<'static, str> {
        "ConfigVersion".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "enum": [1], "description": "Format of this file." })
    }
}

/// A limit on deletions: a percentage of the files or a count. In JSON text or a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MaxDelete {
    /// Percent of the files on the remote.
    Percent(u8),
    /// Number of files.
    Count(u64),
}

impl MaxDelete {
    /// The limit that a known-good text says; 5 percent otherwise.
    #[must_use]
    pub fn new(text: &str) -> Self {
        text.parse().unwrap_or(Self::Percent(5))
    }
}

impl fmt::Display for MaxDelete {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Percent(percent) => write!(f, "{percent}%"),
            Self::Count(count) => write!(f, "{count}"),
        }
    }
}

impl FromStr for MaxDelete {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        match text.strip_suffix('%') {
            Some(percent) if digits(percent) => percent
                .parse()
                .ok()
                .filter(|percent| *percent <= 100)
                .map(Self::Percent),
            None if digits(text) => text.parse().ok().map(Self::Count),
            _ => None,
        }
        .ok_or_else(|| "a percentage such as `5%` or a count such as `100`".to_owned())
    }
}

impl Serialize for MaxDelete {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for MaxDelete {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = MaxDelete;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a percentage such as `5%` or a count")
            }

            fn visit_u64<E: serde::de::Error>(self, count: u64) -> Result<MaxDelete, E> {
                Ok(MaxDelete::Count(count))
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<MaxDelete, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for MaxDelete {
    fn schema_name() -> Cow<'static, str> {
        "MaxDelete".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["string", "integer"],
            "format": "max-delete",
            "minimum": 0,
            "description": "A percentage such as 5% or a count.",
        })
    }
}

/// Why a text is not valid for a schema `format` of this module, as what was expected.
///
/// `None` where the text is valid or the format is not one of this module's.
#[must_use]
pub fn fault(format: &str, text: &str) -> Option<String> {
    match format {
        "absolute-path" => text.parse::<AbsolutePath>().err(),
        "drill-check" => text.parse::<super::DrillCheck>().err(),
        "time-of-day" => text.parse::<TimeOfDay>().err(),
        "destination-name" => text.parse::<super::DestinationName>().err(),
        "subset" => text.parse::<Subset>().err(),
        "max-delete" => text.parse::<MaxDelete>().err(),
        "time-span" => text
            .parse::<crate::duration::Span>()
            .err()
            .map(|error| error.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_absolute_and_has_one_spelling() {
        assert_eq!("/home//ann/".parse(), Ok(AbsolutePath::new("/home/ann")));
        assert_eq!("/".parse(), Ok(AbsolutePath::new("/")));
        for bad in ["", "home", "~/x", "/a/../b", "/a/./b", "/a\0b"] {
            assert!(bad.parse::<AbsolutePath>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn texts_with_a_grammar_refuse_everything_else() {
        assert!("24:00".parse::<TimeOfDay>().is_err());
        assert!("2:00".parse::<TimeOfDay>().is_err());
        assert!("+2:00".parse::<TimeOfDay>().is_err());
        assert_eq!("23:59".parse(), Ok(TimeOfDay::new(23, 59)));
        assert!("0/3".parse::<Subset>().is_err());
        assert!("4/3".parse::<Subset>().is_err());
        assert_eq!("3/3".parse(), Ok(Subset::new(3, 3)));
        assert!("101%".parse::<MaxDelete>().is_err());
        assert!("-1".parse::<MaxDelete>().is_err());
        assert_eq!("7".parse(), Ok(MaxDelete::Count(7)));
    }
}
