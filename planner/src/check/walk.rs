//! A document against the shape of a config, every fault collected.
//!
//! Owns wrong types, unknown, missing and repeated keys, ranges and the formats of texts. Returns
//! what is sound, so that rules can judge the rest. Knows no rule about several options.

use schema::columns::shortened;
use serde_json::Value;

use super::fault::Fault;
use super::json::{Node, compact};
use super::names::{Key, keys_below, nearest_key, nearest_value, nixos_only};
use super::place::{DocumentPath, Located};
use super::shape::{Kind, Object, Shape};
use super::trial;

/// Faults after which the rest is not looked at: nobody reads on, and a hostile file ends.
pub(super) const MOST_FAULTS: usize = 1000;

/// Characters of a list of known keys.
const LONGEST_KEYS: usize = 58;

/// The sound part of the document (`None`: nothing of it) and its faults.
///
/// A key whose value has a fault anywhere is left out of the sound part; rules are kept from
/// judging it by `Located::taints`.
pub(super) fn walk(document: &Node, shape: &Shape, keys: &[Key]) -> (Option<Value>, Vec<Located>) {
    let mut walk = Walk {
        place: DocumentPath::default(),
        faults: Vec::new(),
        keys,
        own_keys: Vec::new(),
    };
    walk.repeated(document);
    let clean = walk.value(document, shape);
    (clean, walk.faults)
}

struct Walk<'d, 'k> {
    place: DocumentPath<'d>,
    faults: Vec<Located>,
    keys: &'k [Key],
    /// The keys of the named thing that the walk is in, which are nearer than all others.
    own_keys: Vec<Key>,
}

impl<'d> Walk<'d, '_> {
    fn full(&self) -> bool {
        self.faults.len() > MOST_FAULTS
    }

    /// Records a fault of the value that the walk stands on.
    fn fault(&mut self, taints: Option<String>, fault: Fault) {
        if !self.full() {
            self.faults.push(Located {
                at: self.place.at(),
                taints,
                fault,
            });
        }
    }

    fn value_fault(&mut self, node: &Node, fault: impl FnOnce(Fault) -> Fault, problem: &str) {
        if !self.full() {
            let path = self.place.path();
            let fault = fault(Fault::new(path.clone(), problem).found(compact(node)));
            self.fault(Some(path), fault);
        }
    }

    /// Keys given twice, at any level, also below keys that nobody knows.
    fn repeated(&mut self, node: &'d Node) {
        match node {
            Node::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.place.enter_index(index);
                    self.repeated(item);
                    self.place.leave();
                }
            }
            Node::Object(entries) => {
                let mut seen = std::collections::HashMap::new();
                for (index, (key, value)) in entries.iter().enumerate() {
                    self.place.enter_key(index, key);
                    let first = *seen.entry(key.as_str()).or_insert(value);
                    if !std::ptr::eq(first, value) {
                        let expected = format!("each key once; it was {} before", compact(first));
                        let hint = "remove one of the two".to_owned();
                        let words = |fault: Fault| fault.expected(expected).hint(hint);
                        self.value_fault(value, words, "key given twice");
                    }
                    self.repeated(value);
                    self.place.leave();
                }
            }
            _ => {}
        }
    }

    fn value(&mut self, node: &'d Node, shape: &Shape) -> Option<Value> {
        if self.full() {
            return None;
        }
        for kind in &shape.kinds {
            match (kind, node) {
                (Kind::Anything, _) => return Some(node.value()),
                (Kind::Null, Node::Null) => return Some(Value::Null),
                (Kind::Bool, Node::Bool(value)) => return Some(Value::from(*value)),
                (Kind::Choice(values), _) if node.is_one_of(values) => {
                    return Some(node.value());
                }
                (Kind::Integer { least, most }, Node::Unsigned(_) | Node::Negative(_)) => {
                    return self.integer(node, *least, *most, shape);
                }
                (Kind::Text { format }, Node::Text(text)) => {
                    return self.text(node, text, format.as_deref(), shape);
                }
                (Kind::List(item), Node::List(items)) => return self.list(items, item),
                (Kind::Object(object), Node::Object(entries)) => {
                    return self.object(entries, object);
                }
                (Kind::Map { names, value }, Node::Object(entries)) => {
                    return Some(self.map(entries, names.as_deref(), value));
                }
                _ => {}
            }
        }
        self.no_kind(node, shape);
        None
    }

    /// The value is nothing of what it may be.
    fn no_kind(&mut self, node: &Node, shape: &Shape) {
        if self.place.path() == "version" {
            return self.version(node, shape);
        }
        let same_type =
            |choice: &&Value| matches!((choice, node), (Value::String(_), Node::Text(_)));
        if let (Node::Text(text), Some(_)) = (node, shape.choices().find(same_type)) {
            let nearest = nearest_value(text, shape.choices().filter_map(Value::as_str));
            let nearest = nearest.map(str::to_owned);
            let hint = match &nearest {
                Some(_) => None,
                None => Some("write one of these, in lower case and in quotes".to_owned()),
            };
            let words = |fault: Fault| fault.expected(shape.expected()).nearest(nearest).hint(hint);
            return self.value_fault(node, words, "unknown value");
        }
        let hint = type_hint(node, shape);
        let words = |fault: Fault| fault.expected(shape.expected()).hint(hint);
        self.value_fault(node, words, "wrong type");
    }

    fn version(&mut self, node: &Node, shape: &Shape) {
        let known: Vec<String> = shape.choices().map(Value::to_string).collect();
        let known = known.join(", ");
        let newer = matches!(node, Node::Unsigned(found)
            if shape.choices().filter_map(Value::as_u64).all(|version| version < *found));
        let (problem, hint) = if newer {
            (
                "unknown version",
                format!(
                    "a newer program may have written this file; use that one, or write it anew as version {known}"
                ),
            )
        } else {
            (
                "not a known version",
                format!("write {known}, or leave the key out"),
            )
        };
        let expected = format!("{known}, the only version that this program knows");
        self.value_fault(node, |fault| fault.expected(expected).hint(hint), problem);
    }

    fn integer(&mut self, node: &Node, least: i128, most: i128, shape: &Shape) -> Option<Value> {
        let number = match node {
            Node::Unsigned(number) => i128::from(*number),
            Node::Negative(number) => i128::from(*number),
            _ => return None,
        };
        if (least..=most).contains(&number) {
            return Some(node.value());
        }
        let (expected, hint) = if number < least {
            (shape.expected(), format!("write {least} or more"))
        } else {
            (
                format!("a whole number from {least} to {most}"),
                format!("write {most} or less"),
            )
        };
        let words = |fault: Fault| fault.expected(expected).hint(hint);
        self.value_fault(node, words, "out of range");
        None
    }

    fn text(
        &mut self,
        node: &Node,
        text: &str,
        format: Option<&str>,
        shape: &Shape,
    ) -> Option<Value> {
        let Some(message) = format.and_then(|format| schema::config::fault(format, text)) else {
            return Some(node.value());
        };
        // Time spans are explained part by part; other formats say what was expected.
        let (problem, expected) = match format {
            Some("time-span") => (message, shape.expected()),
            _ => ("not valid".to_owned(), message),
        };
        let hint = (matches!(format, Some("absolute-path" | "drill-check"))
            && text.starts_with(['~', '$']))
        .then(|| "write the whole path; `~` and variables are not replaced".to_owned());
        let words = |fault: Fault| fault.expected(expected).hint(hint);
        self.value_fault(node, words, &problem);
        None
    }

    fn list(&mut self, items: &'d [Node], shape: &Shape) -> Option<Value> {
        let mut clean = Some(Vec::new());
        for (index, item) in items.iter().enumerate() {
            self.place.enter_index(index);
            // A list with a hole is another list: it is sound as a whole or not at all.
            match (self.value(item, shape), &mut clean) {
                (Some(value), Some(list)) => list.push(value),
                _ => clean = None,
            }
            self.place.leave();
        }
        clean.map(Value::Array)
    }

    /// Values by names that a person gave them.
    fn map(&mut self, entries: &'d [(String, Node)], names: Option<&str>, shape: &Shape) -> Value {
        let mut clean = serde_json::Map::new();
        for (index, (name, node)) in entries.iter().enumerate() {
            self.place.enter_key(index, name);
            let invalid = names.and_then(|format| schema::config::fault(format, name));
            if let Some(expected) = &invalid {
                let path = self.place.path();
                let fault = Fault::new(path.clone(), "not a valid name")
                    .expected(expected.clone())
                    .hint("write another name".to_owned());
                self.fault(Some(path), fault);
            }
            self.own_keys = keys_below(shape, &self.place.path(), type_of(node));
            if let Some(value) = self.value(node, shape)
                && invalid.is_none()
            {
                clean.entry(name).or_insert(value);
            }
            self.own_keys.clear();
            self.place.leave();
        }
        Value::Object(clean)
    }

    fn object(&mut self, entries: &'d [(String, Node)], object: &Object) -> Option<Value> {
        let mut clean = serde_json::Map::new();
        let section = self.place.path();
        let kind = entries.iter().find(|(name, _)| name == "type");
        let kind = kind.and_then(|(_, node)| text_of(node));
        for (index, (name, node)) in entries.iter().enumerate() {
            self.place.enter_key(index, name);
            if let Some(shape) = object.key(name) {
                if let (Some(of), Some(kind)) = (&shape.only_of, kind)
                    && of != kind
                    && object.is_type(kind)
                {
                    let hint = format!("remove it, or set `{section}.type` to \"{of}\"");
                    let problem = format!("only for type \"{of}\"");
                    self.value_fault(node, |fault| fault.hint(hint), &problem);
                    self.place.leave();
                    continue;
                }
                // Of a key given twice the first counts; both are looked at.
                if let Some(value) = self.value(node, shape) {
                    clean.entry(name).or_insert(value);
                }
            } else if object.open {
                clean.entry(name).or_insert_with(|| node.value());
            } else {
                self.unknown_key(&section, name, node, object);
            }
            self.place.leave();
        }
        let mut complete = true;
        for name in &object.required {
            if !entries.iter().any(|(key, _)| key == name) {
                self.missing_key(name, object);
            }
            complete &= clean.contains_key(name);
        }
        complete.then_some(Value::Object(clean))
    }

    fn unknown_key(&mut self, section: &str, name: &str, node: &Node, object: &Object) {
        if self.full() {
            return;
        }
        let fault = Fault::new(self.place.path(), "unknown key").found(compact(node));
        if let Some((option, hint)) = nixos_only(section, name) {
            let fault = fault.expected(format!(
                "no such key; `{option}` is a NixOS option only and does not belong in config.json"
            ));
            return self.fault(None, fault.hint(hint.to_owned()));
        }
        if let Some((expected, hint)) = trial::misplaced(section, name) {
            return self.fault(
                None,
                fault.expected(expected.to_owned()).hint(hint.to_owned()),
            );
        }
        let known: Vec<&str> = object.keys.iter().map(|(key, _)| key.as_str()).collect();
        let nearest = nearest_key(section, name, &self.own_keys)
            .or_else(|| nearest_key(section, name, self.keys));
        let hint = match &nearest {
            Some(_) => None,
            None => Some("remove it, or write one of the known keys".to_owned()),
        };
        let fault = fault
            .expected(shorten_list(&known))
            .nearest(nearest.clone())
            .hint(hint);
        self.fault(nearest, fault);
    }

    fn missing_key(&mut self, name: &'_ str, object: &Object) {
        let section = self.place.path();
        let path = super::place::join(&section, name);
        let expected = object.key(name).map(Shape::expected).unwrap_or_default();
        let hint = format!("add `{path}`, or leave `{section}` out");
        let fault = Fault::new(path.clone(), "missing key")
            .expected(expected)
            .hint(hint);
        let mut at = self.place.at();
        at.push(usize::MAX);
        if !self.full() {
            self.faults.push(Located {
                at,
                taints: Some(path),
                fault,
            });
        }
    }
}

impl Node {
    /// Whether this is one of a choice's values, which are never lists or objects.
    fn is_one_of(&self, values: &[Value]) -> bool {
        !matches!(self, Self::List(_) | Self::Object(_)) && values.contains(&self.value())
    }
}

impl Object {
    /// Whether things like this may be of this type.
    fn is_type(&self, kind: &str) -> bool {
        let types = self.key("type").into_iter().flat_map(Shape::choices);
        types.into_iter().any(|choice| choice == kind)
    }
}

fn text_of(node: &Node) -> Option<&str> {
    match node {
        Node::Text(text) => Some(text),
        _ => None,
    }
}

/// What an object says that it is.
fn type_of(node: &Node) -> Option<&str> {
    let Node::Object(entries) = node else {
        return None;
    };
    let (_, kind) = entries.iter().find(|(name, _)| name == "type")?;
    text_of(kind)
}

/// How to write what was probably meant.
fn type_hint(node: &Node, shape: &Shape) -> Option<String> {
    let accepts = |wanted: fn(&Kind) -> bool| shape.kinds.iter().any(wanted);
    let number = accepts(|kind| matches!(kind, Kind::Integer { .. }));
    match node {
        Node::Null if !shape.nullable() => Some(match &shape.default {
            Some(default @ (Value::Array(_) | Value::Object(_)))
                if default.to_string().len() > 40 =>
            {
                "leave the key out for the default".to_owned()
            }
            Some(default) => format!("leave the key out for the default, {default}"),
            None => "write a value".to_owned(),
        }),
        Node::Text(text) if accepts(|kind| matches!(kind, Kind::Bool)) => {
            match text.to_lowercase().as_str() {
                "true" | "yes" | "on" | "1" => Some("write true without quotes".to_owned()),
                "false" | "no" | "off" | "0" => Some("write false without quotes".to_owned()),
                _ => None,
            }
        }
        Node::Text(text) if number && text.parse::<u64>().is_ok() => {
            Some(format!("write {text} without quotes"))
        }
        Node::Float(float) if number => {
            let whole = float.fract() == 0.0 && (0.0..1e15).contains(float);
            Some(if whole {
                format!(
                    "write {float:.0}, without a point or an exponent",
                    float = float.abs()
                )
            } else {
                "write it without a point or an exponent".to_owned()
            })
        }
        Node::Text(_) if accepts(|kind| matches!(kind, Kind::List(_))) => {
            Some(format!("put it in brackets: [{}]", compact(node)))
        }
        Node::Unsigned(_) if accepts(|kind| matches!(kind, Kind::Text { .. })) => {
            Some("write it in double quotes".to_owned())
        }
        _ => None,
    }
}

/// The known names, as many as fit a line.
fn shorten_list(names: &[&str]) -> String {
    let mut list = String::from("one of ");
    for (index, name) in names.iter().enumerate() {
        if list.len() + name.len() > LONGEST_KEYS && index > 0 {
            return list + "…";
        }
        list.push_str(name);
        if index + 1 < names.len() {
            list.push_str(", ");
        }
    }
    shortened(&list, LONGEST_KEYS + 20)
}
