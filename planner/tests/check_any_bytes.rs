//! `check` on anything at all: it never panics, never fails without a fault, each fault is about
//! something that is in the file or could be, and what it accepts is what serde accepts.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use planner::check::{Fault, check_config};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use schema::Config;
use serde_json::{Map, Value, json};

/// Every path of a document, spelled as a fault spells it, and every key of a config.
fn known_paths(document: &Value) -> Vec<String> {
    fn collect(value: &Value, path: &str, paths: &mut Vec<String>) {
        paths.push(path.to_owned());
        match value {
            Value::Object(object) => {
                for (key, value) in object {
                    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
                    let dot = if path.is_empty() { "" } else { "." };
                    let path = if !key.is_empty() && key.chars().all(plain) {
                        format!("{path}{dot}{key}")
                    } else {
                        format!("{path}{dot}{}", Value::from(key.as_str()))
                    };
                    collect(value, &path, paths);
                }
            }
            Value::Array(items) => {
                for (index, value) in items.iter().enumerate() {
                    collect(value, &format!("{path}[{index}]"), paths);
                }
            }
            _ => {}
        }
    }
    let mut paths = Vec::new();
    collect(document, "", &mut paths);
    collect(&full_config(), "", &mut paths);
    paths
}

/// A config with every key there is, and valid as far as the schema goes.
fn full_config() -> Value {
    let mut config = serde_json::to_value(Config::default()).unwrap();
    config["hostname"] = json!("laptop");
    config["notifications"]["email"] = json!({ "to": "a@b", "from": "a@b" });
    config["notifications"]["ntfy"] =
        json!({ "url": "https://a", "topic": "b", "tokenFile": "/run/token" });
    config["notifications"]["webhook"] = json!({ "url": "https://a", "headersFile": null });
    config["notifications"]["healthcheck"] = json!({ "url": "https://a" });
    config
}

/// Texts that some key accepts, nearly accepts, or that are known to be trouble.
const TEXTS: &str = "|/|/home|/home/|/home/ann|//a|a|~/x|/a/../b|daily|weekly|Mon,Wed,Fri|1h|0s|\
                     1h 30min|02:00|24:00|1/30|31/30|5%|101%|100|sync|move|custom|proton-drive|\
                     sunday|Sunday|abort|warn|fail|defer|true|7|null|s3:|10M|infinity|a@b|https://x";

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => select(TEXTS.split('|').collect::<Vec<_>>()).prop_map(str::to_owned),
        1 => any::<String>(),
    ]
}

fn scalar() -> impl Strategy<Value = Value> {
    let edge = select(vec![
        0,
        1,
        3,
        1 << 31,
        u64::from(u32::MAX),
        1 << 32,
        u64::MAX,
    ]);
    prop_oneof![
        1 => Just(Value::Null),
        1 => any::<bool>().prop_map(Value::from),
        1 => edge.prop_map(Value::from),
        1 => prop_oneof![Just(-1), any::<i64>()].prop_map(Value::from),
        1 => prop_oneof![Just(7.0), Just(-0.0), Just(1e300), any::<f64>()].prop_map(Value::from),
        3 => text().prop_map(Value::from),
    ]
}

/// Keys of the config, nearly so, or anything printable.
fn key() -> impl Strategy<Value = String> {
    let paths = known_paths(&Value::Null);
    let mut known: Vec<String> = paths
        .iter()
        .filter_map(|path| path.rsplit('.').next())
        .filter(|name| !name.is_empty() && !name.contains('['))
        .map(str::to_owned)
        .collect();
    known.extend(["keep_daily", "enabled", "secretName", "package"].map(str::to_owned));
    prop_oneof![3 => select(known), 1 => "[ -~]{0,8}"]
}

fn json_value() -> impl Strategy<Value = Value> {
    scalar().prop_recursive(4, 24, 5, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            proptest::collection::vec((key(), inner), 0..5)
                .prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}

/// One change to a value of a document.
#[derive(Debug, Clone)]
enum Change {
    Replace(Value),
    Remove,
    Insert(String, Value),
}

fn change() -> impl Strategy<Value = (Index, Change)> {
    let change = prop_oneof![
        4 => scalar().prop_map(Change::Replace),
        1 => json_value().prop_map(Change::Replace),
        1 => Just(Change::Remove),
        1 => (key(), json_value()).prop_map(|(key, value)| Change::Insert(key, value)),
    ];
    (any::<Index>(), change)
}

/// The JSON Pointer of everything in a document, so that each value is as likely to be changed.
fn pointers(value: &Value, pointer: &str, all: &mut Vec<String>) {
    all.push(pointer.to_owned());
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                let key = key.replace('~', "~0").replace('/', "~1");
                pointers(value, &format!("{pointer}/{key}"), all);
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                pointers(value, &format!("{pointer}/{index}"), all);
            }
        }
        _ => {}
    }
}

fn apply(document: &mut Value, at: Index, change: Change) {
    let mut all = Vec::new();
    pointers(document, "", &mut all);
    let pointer = at.get(&all);
    match change {
        Change::Replace(value) => *document.pointer_mut(pointer).unwrap() = value,
        Change::Insert(key, value) => {
            if let Some(Value::Object(object)) = document.pointer_mut(pointer) {
                object.insert(key, value);
            }
        }
        Change::Remove => {
            let (parent, last) = pointer.rsplit_once('/').unwrap_or_default();
            if let Some(Value::Object(object)) = document.pointer_mut(parent) {
                object.remove(last);
            }
        }
    }
}

fn changed_config() -> impl Strategy<Value = Value> {
    let good = json!({ "local": { "enable": true, "useRsync": false } });
    let base = prop_oneof![3 => Just(full_config()), 1 => Just(good)];
    (base, proptest::collection::vec(change(), 0..4)).prop_map(|(mut document, changes)| {
        for (at, change) in changes {
            apply(&mut document, at, change);
        }
        document
    })
}

/// Whether the comparison with the schema reports it; all other faults come from rules.
fn is_schema_fault(fault: &Fault) -> bool {
    let problem = fault.problem.as_str();
    let known = [
        "wrong type",
        "not valid",
        "out of range",
        "unknown key",
        "unknown value",
        "missing key",
        "unknown version",
        "not a known version",
    ];
    known.contains(&problem) || fault.expected.starts_with("a time span such as")
}

/// serde reads a list as a struct and an object as a value of an enum; a config has neither.
fn only_serde_is_lax(fault: &Fault) -> bool {
    let found = fault.found.as_deref().unwrap_or_default();
    fault.problem == "wrong type" && found.starts_with(['[', '{'])
}

fn holds(document: &Value) -> Result<(), TestCaseError> {
    let bytes = serde_json::to_vec(document).unwrap();
    let serde = serde_json::from_slice::<Config>(&bytes).map_err(|error| error.to_string());
    let faults = match check_config(&bytes) {
        Ok(checked) => {
            prop_assert_eq!(Ok(checked.config), serde);
            return Ok(());
        }
        Err(faults) => faults,
    };
    prop_assert!(!faults.is_empty());
    let paths = known_paths(document);
    for fault in &faults {
        prop_assert!(paths.contains(&fault.path), "{:?} is nowhere", fault.path);
        prop_assert!(!fault.problem.starts_with("not accepted"), "{}", fault);
        prop_assert!(fault.to_string().lines().count() > 1, "{}", fault);
    }
    let mut of_schema = faults
        .iter()
        .filter(|fault| is_schema_fault(fault))
        .peekable();
    match serde {
        Ok(_) => prop_assert!(
            of_schema.all(only_serde_is_lax),
            "serde accepts: {:?}",
            faults
        ),
        Err(error) => prop_assert!(of_schema.peek().is_some(), "{}: {:?}", error, faults),
    }
    Ok(())
}

fn never_empty(bytes: &[u8]) -> Result<(), TestCaseError> {
    if let Err(faults) = check_config(bytes) {
        prop_assert!(!faults.is_empty());
        for fault in faults {
            let visible = |c: char| c == '\n' || !c.is_control();
            prop_assert!(fault.to_string().chars().all(visible));
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 384,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        never_empty(&bytes)?;
    }

    #[test]
    fn bytes_that_look_like_json(text in r#"[{}\[\]:,"\\ue0-9+.ldD8 \n-]{0,40}"#) {
        never_empty(text.as_bytes())?;
    }

    #[test]
    fn a_config_with_broken_bytes(
        at in any::<Index>(),
        bytes in proptest::collection::vec(any::<u8>(), 0..4),
        cut in any::<bool>(),
    ) {
        let mut text = serde_json::to_vec_pretty(&full_config()).unwrap();
        let at = at.index(text.len());
        let end = if cut { text.len() } else { (at + bytes.len()).min(text.len()) };
        text.splice(at..end, bytes);
        never_empty(&text)?;
    }

    #[test]
    fn any_json(document in json_value()) {
        holds(&document)?;
    }

    #[test]
    fn any_object(entries in proptest::collection::vec((key(), json_value()), 0..6)) {
        holds(&Value::Object(entries.into_iter().collect::<Map<_, _>>()))?;
    }
}

proptest! {
    // Some hundred kinds of change at some fifty places.
    #![proptest_config(ProptestConfig {
        cases: 4096,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_config_with_changes(document in changed_config()) {
        holds(&document)?;
    }
}
