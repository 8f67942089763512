//! Bytes to a tree that remembers what serde forgets: the order of keys and keys given twice.
//!
//! Owns the faults of the text itself (encoding, syntax, with line and column). Knows nothing of
//! which keys there are.

use std::fmt;

use schema::{columns::shortened, outside::visible};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::fault::Fault;

/// Characters of a value that a fault shows.
const LONGEST_VALUE: usize = 60;

/// A JSON value as written: entries in order, repeated keys included.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    Null,
    Bool(bool),
    Unsigned(u64),
    /// Always below zero.
    Negative(i64),
    /// Written with a point or an exponent, or too large for the others.
    Float(f64),
    Text(String),
    List(Vec<Node>),
    Object(Vec<(String, Node)>),
}

impl Node {
    /// The value, the first of repeated keys taken.
    pub(super) fn value(&self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Bool(value) => Value::from(*value),
            Self::Unsigned(value) => Value::from(*value),
            Self::Negative(value) => Value::from(*value),
            Self::Float(value) => Value::from(*value),
            Self::Text(value) => Value::from(value.as_str()),
            Self::List(items) => items.iter().map(Self::value).collect(),
            Self::Object(entries) => {
                let mut object = serde_json::Map::new();
                for (key, node) in entries {
                    object.entry(key.as_str()).or_insert_with(|| node.value());
                }
                Value::Object(object)
            }
        }
    }
}

/// Reads the bytes of a file.
pub(super) fn parse(bytes: &[u8]) -> Result<Node, Box<Fault>> {
    let text = std::str::from_utf8(bytes)
        .map_err(|error| Box::new(not_utf8(bytes, error.valid_up_to())))?;
    if text.starts_with('\u{feff}') {
        return Err(Box::new(
            Fault::new("", "starts with a byte order mark")
                .expected("UTF-8 without a byte order mark")
                .hint("save the file as UTF-8 without a byte order mark (BOM)".to_owned()),
        ));
    }
    if text.trim().is_empty() {
        return Err(Box::new(
            Fault::new("", "empty")
                .expected("a JSON object")
                .hint("write `{}` for a config of defaults only".to_owned()),
        ));
    }
    serde_json::from_str(text).map_err(|error| Box::new(not_json(text, &error)))
}

fn not_utf8(bytes: &[u8], offset: usize) -> Fault {
    let before = bytes.get(..offset).unwrap_or_default();
    let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
    let start = before.iter().rposition(|byte| *byte == b'\n');
    let column = before.len() - start.map_or(0, |newline| newline + 1) + 1;
    let hint = match bytes {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => "this looks like UTF-16; save the file as UTF-8",
        _ => "is this the right file? config.json is text in UTF-8",
    };
    Fault::new(
        "",
        format!("not UTF-8 text at line {line}, column {column}"),
    )
    .expected("JSON in UTF-8")
    .hint(hint.to_owned())
}

fn not_json(text: &str, error: &serde_json::Error) -> Fault {
    let message = error.to_string();
    let message = message.split(" at line ").next().unwrap_or_default();
    let line = text.split('\n').nth(error.line().saturating_sub(1));
    let line = line.unwrap_or_default();
    // serde counts bytes, and 0 stands for the end of the line before.
    let mut end = error.column().saturating_sub(1).min(line.len());
    while !line.is_char_boundary(end) {
        end -= 1;
    }
    let (before, rest) = line.split_at(end);
    let column = before.chars().count() + 1;
    let hint = match (rest.chars().next(), message) {
        (_, "trailing comma") => "remove the comma after the last entry",
        (_, "number out of range") => "write a smaller number",
        (_, "recursion limit exceeded") => "is this the right file? a config is not nested so deep",
        (_, "trailing characters") => "the config is one JSON object; remove what follows it",
        (Some('/' | '#'), _) => "JSON has no comments; remove this one",
        (Some('\''), _) => "write text in double quotes",
        _ if error.is_eof() => "the text breaks off; is the file complete?",
        _ => "mend the text there",
    };
    let found = rest.trim_end();
    let fault = Fault::new(
        "",
        format!(
            "not JSON at line {}, column {column}: {message}",
            error.line().max(1)
        ),
    )
    .expected("a JSON object")
    .hint(hint.to_owned());
    match found {
        "" => fault,
        _ => fault.found(shortened(&visible(found), LONGEST_VALUE)),
    }
}

/// The value as JSON on one line, cut after a few words.
pub(super) fn compact(node: &Node) -> String {
    let mut out = String::new();
    write_compact(node, &mut out);
    shortened(&out, LONGEST_VALUE)
}

/// Stops soon after the text is long enough, however large the value is.
fn write_compact(node: &Node, out: &mut String) {
    match node {
        Node::Null => out.push_str("null"),
        Node::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Node::Unsigned(value) => out.push_str(&value.to_string()),
        Node::Negative(value) => out.push_str(&value.to_string()),
        Node::Float(value) => out.push_str(&Value::from(*value).to_string()),
        Node::Text(text) => out.push_str(&quoted(text)),
        Node::List(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if out.len() > 4 * LONGEST_VALUE {
                    break;
                }
                if index > 0 {
                    out.push(',');
                }
                write_compact(item, out);
            }
            out.push(']');
        }
        Node::Object(entries) => {
            out.push('{');
            for (index, (key, value)) in entries.iter().enumerate() {
                if out.len() > 4 * LONGEST_VALUE {
                    break;
                }
                if index > 0 {
                    out.push(',');
                }
                out.push_str(&quoted(key));
                out.push(':');
                write_compact(value, out);
            }
            out.push('}');
        }
    }
}

/// Text in quotes as JSON has it, with everything that is not seen as itself escaped as well.
pub(super) fn quoted(text: &str) -> String {
    let cut = text
        .char_indices()
        .nth(2 * LONGEST_VALUE)
        .and_then(|(end, _)| text.get(..end));
    visible(&Value::from(cut.unwrap_or(text)).to_string())
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NodeVisitor;
        impl<'de> Visitor<'de> for NodeVisitor {
            type Value = Node;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON value")
            }

            fn visit_unit<E>(self) -> Result<Node, E> {
                Ok(Node::Null)
            }

            fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
                Ok(Node::Bool(value))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
                Ok(Node::Unsigned(value))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
                Ok(u64::try_from(value).map_or(Node::Negative(value), Node::Unsigned))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
                Ok(Node::Float(value))
            }

            fn visit_str<E>(self, value: &str) -> Result<Node, E> {
                Ok(Node::Text(value.to_owned()))
            }

            fn visit_string<E>(self, value: String) -> Result<Node, E> {
                Ok(Node::Text(value))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Node, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = seq.next_element()? {
                    items.push(item);
                }
                Ok(Node::List(items))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Node::Object(entries))
            }
        }
        deserializer.deserialize_any(NodeVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(text: &[u8]) -> String {
        parse(text).unwrap_err().problem
    }

    #[test]
    fn faults_of_the_text_name_line_and_column() {
        let cases: [(&[u8], &str); 8] = [
            (b"{\n  \"a\": 1,\n}", "line 3, column 1: trailing comma"),
            (b"{ // no", "line 1, column 3: key must be a string"),
            ("{\"ö\": x".as_bytes(), "line 1, column 7: expected value"),
            (b"1e999", "number out of range"),
            (b"\"\\ud800\"", "line 1, column"),
            (b"{} {}", "line 1, column 4: trailing characters"),
            (b"{\"a\": \n", "line 2, column 1: EOF while parsing a value"),
            (b"{\n\"\xff\"}", "not UTF-8 text at line 2, column 2"),
        ];
        for (text, expected) in cases {
            let problem = problem(text);
            assert!(problem.contains(expected), "{expected} not in {problem}");
        }
        assert!(problem(&b"[".repeat(10_000_000)).contains("recursion limit"));
        assert!(problem(b"\xef\xbb\xbf{}").contains("byte order mark"));
        assert_eq!(problem(b" \n"), "empty");
    }

    #[test]
    fn a_value_is_shown_short_and_without_control_characters() {
        let shown = |text: &[u8]| compact(&parse(text).unwrap());
        assert_eq!(
            shown(b"{\"a\": [1, -2, 7.0, null]}"),
            "{\"a\":[1,-2,7.0,null]}"
        );
        assert_eq!(shown("\"\u{9b}\"".as_bytes()), "\"\\u009b\"");
        let long = shown(format!("\"{}\"", "x".repeat(1_000_000)).as_bytes());
        assert_eq!(long.chars().count(), LONGEST_VALUE);
        assert!(long.ends_with('…'));
    }
}
