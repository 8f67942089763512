//! Time spans (shim).
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{fmt, str::FromStr};
/// A span.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span(String, u64);
impl Span {
    /// Hours.
    #[must_use]
    pub fn hours(h: u64) -> Self {
        Self(format!("{h}h"), h * 3_600_000_000)
    }
    /// As a duration.
    #[must_use]
    pub fn as_duration(&self) -> std::time::Duration {
        std::time::Duration::from_micros(self.1)
    }
}
impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl FromStr for Span {
    type Err = String;
    fn from_str(t: &str) -> Result<Self, String> {
        let n = t.trim_end_matches(|c: char| c.is_alphabetic());
        let u = &t[n.len()..];
        let m = match u {
            "s" | "" => 1u64,
            "m" => 60,
            "h" => 3600,
            "d" => 86400,
            _ => return Err("a span".into()),
        };
        Ok(Self(
            t.into(),
            n.parse::<u64>().map_err(|e| e.to_string())? * m * 1_000_000,
        ))
    }
}
impl Serialize for Span {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}
impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}
impl JsonSchema for Span {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Span".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type":"string","format":"time-span"})
    }
}
