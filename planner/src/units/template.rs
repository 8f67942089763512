//! Units as data: each line with what it depends on. The program fills them in to print the units of
//! a configuration; the NixOS module reads the same data (`nixos/units.json`).
//!
//! Owns the form of templates and of unit files. What is in them is said elsewhere.

use std::fmt::Write as _;

use serde::{Serialize, Serializer, ser::SerializeMap as _};

use super::facts::Facts;

/// Names of facts that must all be true; with `!` before it, one that must be false.
pub(super) type Conditions = &'static [&'static str];

/// A unit whose lines depend on facts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitTemplate {
    /// The unit's name, which for a named destination has its `${name}`.
    pub name: &'static str,
    /// When there is such a unit.
    pub(super) when: Conditions,
    /// What it is, and what it comes after.
    pub(super) unit: Vec<Line>,
    /// What a service runs, and what it may do.
    pub(super) service: Vec<Line>,
    /// When a timer elapses.
    pub(super) timer: Vec<Line>,
    /// What starts it once it is enabled.
    pub(super) install: Vec<Line>,
}

impl UnitTemplate {
    /// The text of the unit; none where there is no such unit.
    pub(super) fn fill(&self, facts: &Facts) -> Option<String> {
        if !facts.hold(self.when) {
            return None;
        }
        let mut text = String::new();
        for (name, lines) in self.sections() {
            let lines: Vec<String> = lines
                .iter()
                .map(|line| line.fill(facts))
                .collect::<Option<_>>()?;
            let lines = lines.concat();
            if !lines.is_empty() {
                let apart = if text.is_empty() { "" } else { "\n" };
                let _ = write!(text, "{apart}[{name}]\n{lines}");
            }
        }
        Some(text)
    }

    /// The unit with its name; none where there is no such unit.
    pub(super) fn render(&self, facts: &Facts) -> Option<(String, String)> {
        Some((facts.fill(self.name)?, self.fill(facts)?))
    }

    /// The sections with their names, in the order of a file.
    pub(super) fn sections(&self) -> [(&'static str, &[Line]); 4] {
        [
            ("Unit", &self.unit),
            ("Service", &self.service),
            ("Timer", &self.timer),
            ("Install", &self.install),
        ]
    }
}

/// A key of a unit and its values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) key: &'static str,
    /// Why it is so, for people.
    why: &'static [&'static str],
    /// How several values stand in a file; none where only one of them may hold.
    list: Option<List>,
    pub(super) values: Vec<Value>,
}

/// How a list stands in a unit file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum List {
    /// As words of one line.
    Words,
    /// A line for each.
    Lines,
}

/// A text with `${fact}` where a fact's text stands, and when it holds. Where the fact is a list, there is one
/// such text for each member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Value {
    pub(super) text: &'static str,
    pub(super) when: Conditions,
}

/// One that always holds is its text alone.
impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.when.is_empty() {
            return serializer.serialize_str(self.text);
        }
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("text", self.text)?;
        map.serialize_entry("when", self.when)?;
        map.end()
    }
}

impl Line {
    /// A key with one value.
    pub(super) fn set(key: &'static str, text: &'static str) -> Self {
        Self::one_of(key, &[(text, &[])])
    }

    /// A key with the one of these values that holds; left out where none does.
    pub(super) fn one_of(key: &'static str, values: &[(&'static str, Conditions)]) -> Self {
        let values = values.iter().map(|(text, when)| Value { text, when });
        Self {
            key,
            why: &[],
            list: None,
            values: values.collect(),
        }
    }

    /// A key with a list as words of one line.
    pub(super) fn words(key: &'static str, values: &[(&'static str, Conditions)]) -> Self {
        Self {
            list: Some(List::Words),
            ..Self::one_of(key, values)
        }
    }

    /// A key with a list of lines.
    pub(super) fn lines(key: &'static str, values: &[(&'static str, Conditions)]) -> Self {
        Self {
            list: Some(List::Lines),
            ..Self::one_of(key, values)
        }
    }

    /// Says why it is so.
    pub(super) fn because(mut self, why: &'static [&'static str]) -> Self {
        self.why = why;
        self
    }

    /// The line as it stands in a file, empty where no value holds; none where a fact has no text.
    fn fill(&self, facts: &Facts) -> Option<String> {
        let values = self.values.iter().filter(|value| facts.hold(value.when));
        let values: Vec<Vec<String>> = values
            .map(|value| facts.fill_each(value.text))
            .collect::<Option<_>>()?;
        let mut values = values.concat();
        if values.is_empty() {
            return Some(String::new());
        }
        if self.list == Some(List::Words) {
            values = vec![values.join(" ")];
        }
        let mut text = String::new();
        for why in self.why {
            let _ = writeln!(text, "# {why}");
        }
        for value in values {
            let _ = writeln!(text, "{}={value}", self.key);
        }
        Some(text)
    }
}

/// A value that always holds and is the only one stands as `value`.
impl Serialize for Line {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("key", self.key)?;
        match (self.values.as_slice(), self.list) {
            ([Value { text, when: [] }], None) => map.serialize_entry("value", text)?,
            (values, list) => {
                if let Some(list) = list {
                    map.serialize_entry("list", &list)?;
                }
                map.serialize_entry("values", values)?;
            }
        }
        if !self.why.is_empty() {
            map.serialize_entry("why", &self.why.join(" "))?;
        }
        map.end()
    }
}
