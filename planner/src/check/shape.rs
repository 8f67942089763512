//! The generated JSON Schema of `Config` as a tree that is easy to walk.
//!
//! Owns the reading of what schemars writes, and the words for what a value should be. A test
//! fails when schemars writes a keyword that is not read here. Judges no value.

use schema::Config;
use schemars::SchemaGenerator;
use serde_json::Value;

/// How many `$ref`s may follow each other; a schema that refers to itself ends as `Anything`.
const DEEPEST: usize = 16;

/// What a value may be: any of these.
#[derive(Debug, Clone, Default)]
pub(super) struct Shape {
    pub(super) kinds: Vec<Kind>,
    /// The default, where the key may be left out.
    pub(super) default: Option<Value>,
    /// The value of the key `type` beside it that it belongs to, where it belongs to one alone.
    pub(super) only_of: Option<String>,
}

/// One thing that a value may be.
#[derive(Debug, Clone)]
pub(super) enum Kind {
    Null,
    Bool,
    Integer {
        least: i128,
        most: i128,
    },
    Text {
        format: Option<String>,
    },
    Choice(Vec<Value>),
    List(Shape),
    Object(Object),
    /// Values of one shape by names of this format.
    Map {
        names: Option<String>,
        value: Shape,
    },
    Anything,
}

/// The keys of an object.
#[derive(Debug, Clone)]
pub(super) struct Object {
    pub(super) keys: Vec<(String, Shape)>,
    pub(super) required: Vec<String>,
    /// Whether keys that are not listed are allowed.
    pub(super) open: bool,
}

impl Object {
    pub(super) fn key(&self, name: &str) -> Option<&Shape> {
        let (_, shape) = self.keys.iter().find(|(key, _)| key == name)?;
        Some(shape)
    }
}

impl Shape {
    /// What was expected, as the end of the sentence "expected …".
    pub(super) fn expected(&self) -> String {
        let mut words: Vec<String> = self.kinds.iter().map(Kind::expected).collect();
        words.dedup();
        words.join(" or ")
    }

    /// The values that may be chosen from.
    pub(super) fn choices(&self) -> impl Iterator<Item = &Value> {
        self.kinds.iter().flat_map(|kind| match kind {
            Kind::Choice(values) => values.as_slice(),
            _ => &[],
        })
    }

    /// Whether null is among the kinds.
    pub(super) fn nullable(&self) -> bool {
        self.kinds.iter().any(|kind| matches!(kind, Kind::Null))
    }
}

impl Kind {
    fn expected(&self) -> String {
        match self {
            Self::Null => "null".to_owned(),
            Self::Bool => "true or false".to_owned(),
            Self::Integer { least, most } => whole_number(*least, *most),
            Self::Text { format } => match format.as_deref() {
                Some("absolute-path") => "an absolute path such as \"/mnt/backup\"",
                Some("drill-check") => {
                    "an absolute path, or a service such as \"service:postgresql\""
                }
                Some("time-span") => "a time span such as \"90s\", \"10m\" or \"1h\"",
                Some("time-of-day") => "a time of day such as \"02:00\"",
                Some("calendar-expression") => {
                    "a calendar expression such as \"daily\" or \"Mon,Wed,Fri\""
                }
                Some("subset") => "a share such as \"1/30\"",
                Some("max-delete") => "a percentage such as \"5%\"",
                _ => "text in double quotes",
            }
            .to_owned(),
            Self::Choice(values) => match values.as_slice() {
                [only] => only.to_string(),
                _ => format!(
                    "one of {}",
                    values
                        .iter()
                        .map(Value::to_string)
                        .collect::<Vec<_>>()
                        .join(", ")
                ),
            },
            Self::List(item) => format!("a list, each item {}", item.expected()),
            Self::Object(_) | Self::Map { .. } => "an object, `{ … }`".to_owned(),
            Self::Anything => "any value".to_owned(),
        }
    }
}

fn whole_number(least: i128, most: i128) -> String {
    if most >= i128::from(u32::MAX) {
        format!("a whole number of {least} or more")
    } else {
        format!("a whole number from {least} to {most}")
    }
}

/// The shape of `config.json`.
pub(super) fn of_config() -> Shape {
    let root = SchemaGenerator::default().into_root_schema_for::<Config>();
    let root = root.to_value();
    read(&root, &root, DEEPEST)
}

fn read(schema: &Value, root: &Value, depth: usize) -> Shape {
    let mut kinds = Vec::new();
    let list = |keyword: &str| schema[keyword].as_array().map(Vec::as_slice);
    let text = |value: &Value| value.as_str().map(str::to_owned);

    if let Some(target) = schema["$ref"].as_str() {
        let found = target.strip_prefix('#').and_then(|at| root.pointer(at));
        kinds = match found {
            Some(target) if depth > 0 => read(target, root, depth - 1).kinds,
            _ => vec![Kind::Anything],
        };
    } else if let Some(constant) = schema.get("const") {
        kinds.push(Kind::Choice(vec![constant.clone()]));
    } else if let Some(values) = list("enum") {
        kinds.push(Kind::Choice(values.to_vec()));
    } else if let Some(alternatives) = list("anyOf").or_else(|| list("oneOf")) {
        for alternative in alternatives {
            for kind in read(alternative, root, depth).kinds {
                match (kinds.last_mut(), kind) {
                    (Some(Kind::Choice(values)), Kind::Choice(more)) => values.extend(more),
                    (_, kind) => kinds.push(kind),
                }
            }
        }
    } else {
        let one = std::slice::from_ref(&schema["type"]);
        for name in list("type").unwrap_or(one).iter().map(Value::as_str) {
            kinds.push(match name {
                Some("null") => Kind::Null,
                Some("boolean") => Kind::Bool,
                Some("integer") => integer(schema),
                Some("string") => Kind::Text {
                    format: text(&schema["format"]),
                },
                Some("array") => Kind::List(read(&schema["items"], root, depth)),
                Some("object") if schema["additionalProperties"].is_object() => Kind::Map {
                    names: text(&schema["propertyNames"]["format"]),
                    value: read(&schema["additionalProperties"], root, depth),
                },
                Some("object") => Kind::Object(Object {
                    keys: schema["properties"]
                        .as_object()
                        .into_iter()
                        .flatten()
                        .map(|(key, schema)| (key.clone(), read(schema, root, depth)))
                        .collect(),
                    required: list("required")
                        .into_iter()
                        .flatten()
                        .filter_map(text)
                        .collect(),
                    open: schema["additionalProperties"] != Value::Bool(false),
                }),
                _ => Kind::Anything,
            });
        }
    }
    Shape {
        kinds,
        default: schema.get("default").cloned(),
        only_of: text(&schema["x-of"]),
    }
}

fn integer(schema: &Value) -> Kind {
    let most = match schema["format"].as_str() {
        Some("uint8") => u8::MAX.into(),
        Some("uint16") => u16::MAX.into(),
        Some("uint32") => u32::MAX.into(),
        _ => u64::MAX.into(),
    };
    Kind::Integer {
        least: schema["minimum"]
            .as_i64()
            .map_or(i64::MIN.into(), i128::from),
        most: schema["maximum"].as_i64().map_or(most, i128::from),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_keyword_that_schemars_writes_is_read() {
        fn keywords(schema: &Value, found: &mut Vec<String>) {
            for (keyword, value) in schema.as_object().into_iter().flatten() {
                found.push(keyword.clone());
                match keyword.as_str() {
                    "properties" | "$defs" => {
                        for below in value.as_object().unwrap().values() {
                            keywords(below, found);
                        }
                    }
                    "anyOf" | "oneOf" => {
                        for below in value.as_array().unwrap() {
                            keywords(below, found);
                        }
                    }
                    "items" | "propertyNames" => keywords(value, found),
                    "additionalProperties" if value.is_object() => keywords(value, found),
                    _ => {}
                }
            }
        }
        let root = SchemaGenerator::default().into_root_schema_for::<Config>();
        let mut found = Vec::new();
        keywords(root.as_value(), &mut found);
        let read = [
            "$schema",
            "title",
            "description",
            "$defs",
            "$ref",
            "type",
            "properties",
            "required",
            "additionalProperties",
            "default",
            "const",
            "enum",
            "anyOf",
            "oneOf",
            "items",
            "format",
            "minimum",
            "maximum",
            "propertyNames",
            "x-of",
        ];
        found.retain(|keyword| !read.contains(&keyword.as_str()));
        assert!(found.is_empty(), "not read: {found:?}");
    }

    #[test]
    fn every_kind_of_the_schema_is_known() {
        fn anything(shape: &Shape) -> bool {
            shape.kinds.iter().any(|kind| match kind {
                Kind::Anything => true,
                Kind::List(item) => anything(item),
                Kind::Object(object) => object.keys.iter().any(|(_, shape)| anything(shape)),
                Kind::Map { value, .. } => anything(value),
                _ => false,
            })
        }
        assert!(!anything(&of_config()));
    }

    #[test]
    fn what_is_expected_reads_as_a_sentence() {
        let shape = of_config();
        let expected = |path: &str| {
            path.split('.')
                .fold(&shape, |shape, key| {
                    let Some(Kind::Object(object)) = shape.kinds.first() else {
                        panic!("{path} goes through something that is not an object");
                    };
                    object.key(key).unwrap()
                })
                .expected()
        };
        assert_eq!(expected("local.keepDaily"), "a whole number of 0 or more");
        assert_eq!(expected("local.ifAbsent"), "one of \"fail\", \"defer\"");
        assert_eq!(
            expected("notifications.email"),
            "an object, `{ … }` or null"
        );
        assert_eq!(
            expected("local.sources"),
            "a list, each item an absolute path such as \"/mnt/backup\""
        );
    }
}
