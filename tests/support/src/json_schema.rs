//! Whether a document is as its JSON Schema has it: the keywords that our schemas use, and no others.

use std::{collections::BTreeSet, fs, path::Path};

use serde_json::Value;

/// Keywords that say something to readers and nothing of the document.
const ANNOTATIONS: [&str; 7] = [
    "$defs",
    "$schema",
    "default",
    "description",
    "format",
    "pattern",
    "title",
];

/// Verbs that print a document, each with its format when the verb is run, and with `--dry-run`.
pub const DOCUMENTS: [(&str, &str, &str); 25] = [
    ("accept", "report", "plan"),
    ("adopt", "report", "adopt"),
    ("apply", "report", "plan"),
    ("check", "check", "check"),
    ("delete", "report", "plan"),
    ("diff", "diff", "diff"),
    ("drill", "drill", "drill-plan"),
    ("find", "find", "find"),
    ("health", "health", "health"),
    ("init", "report", "plan"),
    ("list", "list", "list"),
    ("notify-test", "notify-test", "notify-test"),
    ("now", "report", "plan"),
    ("pin", "report", "plan"),
    ("plan", "plan", "plan"),
    ("prune", "report", "plan"),
    ("report", "period-report", "period-report"),
    ("restore", "report", "restore"),
    ("setup", "setup", "setup"),
    ("simulate", "simulate", "simulate"),
    ("state", "state", "state"),
    ("status", "status", "status"),
    ("systemd-units", "systemd-units", "systemd-units"),
    ("unpin", "report", "plan"),
    ("verify", "verification", "verification"),
];

/// Verbs that print no document of their own: what they print is for people, for a shell, or a schema.
pub const WITHOUT_DOCUMENT: [&str; 7] = [
    "browse",
    "completions",
    "man",
    "schema",
    "settle",
    "try",
    "view",
];

/// Options of every verb that have a value as the next word.
const WITH_VALUE: [&str; 5] = [
    "--color",
    "--config",
    "--log-dir",
    "--state-dir",
    "--threads",
];

/// The verb of a command line: its first word that is neither an option nor the value of one.
fn find_verb(words: &[String]) -> Option<&str> {
    let mut words = words.iter().map(String::as_str);
    while let Some(word) = words.next() {
        if WITH_VALUE.contains(&word) {
            words.next();
        } else if !word.starts_with('-') {
            return Some(word);
        }
    }
    None
}

/// The format of what the program prints, given these words and ending with this code; none for a verb
/// that prints no document, or where the words are no command line of ours.
fn format_of(words: &[String], code: i32) -> Option<&'static str> {
    let has = |word: &str| words.iter().any(|one| one == word);
    let verb = find_verb(words)?;
    let (_, run, dry) = DOCUMENTS.iter().find(|(one, ..)| *one == verb)?;
    Some(match verb {
        // Whatever was asked for, the configuration has faults.
        _ if code == 2 && !has("--detailed-exitcode") => "check",
        "restore" if has("--list") && has("cloud") => "cloud-list",
        "restore" if has("--list") => "list",
        // What is to be repaired is a run, and may be refused as one.
        "verify" if has("--repair") && code == 4 => "report",
        "verify" if has("--cloud") && !has("--against-state") => "cloud-verification",
        _ if has("--dry-run") => dry,
        _ => run,
    })
}

/// Fails where a document is not as the schema of the verb says that printed it.
#[track_caller]
pub fn check_output(words: &[String], code: i32, document: &Value) {
    let verb = find_verb(words);
    let Some(format) = format_of(words, code) else {
        let known = verb.is_some_and(|verb| WITHOUT_DOCUMENT.contains(&verb));
        let asked = words.iter().any(|word| word == "--json");
        assert!(known || !asked, "of which verb is this: {words:?}");
        return;
    };
    // What a remote with history is asked is another document, and only the configuration knows which
    // destination is one.
    let format = match format {
        "verification" if document.get("read_files").is_some() => "cloud-verification",
        format => format,
    };
    let found = differences(&read_schema(format), document);
    assert!(
        found.is_empty(),
        "what {words:?} prints (exit code {code}) is not as `backup schema {format}` has it: {found:#?}"
    );
}

/// The schema of a format as it is checked in.
#[must_use]
pub fn read_schema(format: &str) -> Value {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schema/json");
    let path = folder.join(format!("{format}.json"));
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// What a document has otherwise than its schema says, each with its path. A key that the schema
/// does not describe is one of these.
#[must_use]
pub fn differences(schema: &Value, document: &Value) -> Vec<String> {
    let mut check = Check {
        root: schema,
        differences: Vec::new(),
    };
    check.value(schema, document, "");
    check.differences
}

struct Check<'a> {
    root: &'a Value,
    differences: Vec<String>,
}

impl Check<'_> {
    fn differs(&mut self, path: &str, why: String) {
        self.differences.push(format!("{path}: {why}"));
    }

    /// Compares a value with its schema; all its keys must be described there.
    fn value(&mut self, schema: &Value, value: &Value, path: &str) {
        let mut described = BTreeSet::new();
        self.keywords(schema, value, path, &mut described);
        for key in value
            .as_object()
            .into_iter()
            .flat_map(|object| object.keys())
        {
            if !described.contains(key) {
                self.differs(path, format!("`{key}` is not described"));
            }
        }
    }

    fn keywords(
        &mut self,
        schema: &Value,
        value: &Value,
        path: &str,
        described: &mut BTreeSet<String>,
    ) {
        let keywords = match schema {
            Value::Bool(true) => return,
            Value::Object(keywords) => keywords,
            other => panic!("no schema: {other}"),
        };
        for (keyword, operand) in keywords {
            match keyword.as_str() {
                "$ref" => {
                    let target = operand.as_str().unwrap().trim_start_matches('#');
                    let target = self.root.pointer(target).unwrap();
                    self.keywords(target, value, path, described);
                }
                "type" => self.kind(operand, value, path),
                "const" if value != operand => self.differs(path, format!("{value}")),
                "enum" if !operand.as_array().unwrap().contains(value) => {
                    self.differs(path, format!("{value} is none of {operand}"));
                }
                "minimum" if value.is_number() && value.as_f64() < operand.as_f64() => {
                    self.differs(path, format!("{value} is less than {operand}"));
                }
                "maximum" if value.is_number() && value.as_f64() > operand.as_f64() => {
                    self.differs(path, format!("{value} is more than {operand}"));
                }
                "const" | "enum" | "minimum" | "maximum" => {}
                "oneOf" | "anyOf" => self.alternatives(operand, value, path, described),
                "required" => {
                    for key in operand.as_array().unwrap().iter().filter_map(Value::as_str) {
                        if value.is_object() && value.get(key).is_none() {
                            self.differs(path, format!("`{key}` is missing"));
                        }
                    }
                }
                "properties" => {
                    for (key, below) in operand.as_object().unwrap() {
                        if let Some(there) = value.get(key) {
                            described.insert(key.clone());
                            self.value(below, there, &format!("{path}/{key}"));
                        }
                    }
                }
                "additionalProperties" => {
                    let named = keywords.get("properties").and_then(Value::as_object);
                    for (key, there) in value.as_object().into_iter().flatten() {
                        if operand != &Value::Bool(false)
                            && !named.is_some_and(|named| named.contains_key(key))
                        {
                            described.insert(key.clone());
                            self.value(operand, there, &format!("{path}/{key}"));
                        }
                    }
                }
                // Keys that nothing describes differ anyway.
                "unevaluatedProperties" => {}
                "items" => {
                    for (at, there) in value.as_array().into_iter().flatten().enumerate() {
                        self.value(operand, there, &format!("{path}/{at}"));
                    }
                }
                other => assert!(ANNOTATIONS.contains(&other), "`{other}` is not compared"),
            }
        }
    }

    /// The value must be as one of these has it.
    fn alternatives(
        &mut self,
        schemas: &Value,
        value: &Value,
        path: &str,
        described: &mut BTreeSet<String>,
    ) {
        let mut nearest: Option<Vec<String>> = None;
        for schema in schemas.as_array().unwrap() {
            let mut check = Check {
                root: self.root,
                differences: Vec::new(),
            };
            let mut here = BTreeSet::new();
            check.keywords(schema, value, path, &mut here);
            let found = check.differences;
            if found.is_empty() {
                described.extend(here);
                return;
            }
            if nearest
                .as_ref()
                .is_none_or(|nearest| found.len() < nearest.len())
            {
                nearest = Some(found);
            }
        }
        self.differences.extend(nearest.unwrap_or_default());
    }

    fn kind(&mut self, kinds: &Value, value: &Value, path: &str) {
        let is = |kind: &Value| match kind.as_str().unwrap() {
            "null" => value.is_null(),
            "boolean" => value.is_boolean(),
            "integer" => value.is_i64() || value.is_u64(),
            "number" => value.is_number(),
            "string" => value.is_string(),
            "array" => value.is_array(),
            "object" => value.is_object(),
            other => panic!("`{other}` is no type"),
        };
        let fits = match kinds {
            Value::Array(kinds) => kinds.iter().any(is),
            kind => is(kind),
        };
        if !fits {
            self.differs(path, format!("{value} is no {kinds}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_differs_is_told_with_its_path() {
        let schema = json!({
            "type": "object",
            "properties": {
                "format_version": {"type": "integer", "minimum": 0},
                "one": {"$ref": "#/$defs/One"},
                "many": {"type": "array", "items": {"type": ["string", "null"]}},
            },
            "required": ["format_version"],
            "oneOf": [
                {"properties": {"kind": {"const": "a"}, "a": {"type": "string"}}, "required": ["a"]},
                {"properties": {"kind": {"const": "b"}}, "required": ["kind"]},
            ],
            "$defs": {"One": {"enum": ["x", "y"]}},
        });
        let of = |document: Value| differences(&schema, &document);
        let good =
            json!({"format_version": 1, "one": "x", "many": ["", null], "kind": "a", "a": ""});
        assert_eq!(of(good), [""; 0]);
        assert_eq!(of(json!({"format_version": 1, "kind": "b"})), [""; 0]);
        let bad =
            json!({"format_version": -1, "one": "z", "many": [3], "kind": "b", "a": "", "c": 1});
        let mut found = of(bad);
        found.sort();
        assert_eq!(
            found,
            [
                "/format_version: -1 is less than 0",
                "/many/0: 3 is no [\"string\",\"null\"]",
                "/one: \"z\" is none of [\"x\",\"y\"]",
                ": `a` is not described",
                ": `c` is not described",
            ]
        );
        assert_eq!(of(json!({"kind": "b"})), [": `format_version` is missing"]);
        assert_eq!(of(json!([])).len(), 1);
    }
}
