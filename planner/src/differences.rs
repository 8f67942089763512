//! The keys in which two JSON documents differ.

use serde_json::Value;

/// Tells each key in which two documents differ.
pub(crate) fn tell_differences(
    path: &str,
    then: &Value,
    now: &Value,
    tell: &mut impl FnMut(&str, &Value, &Value),
) {
    if then == now {
        return;
    }
    let (Value::Object(old), Value::Object(new)) = (then, now) else {
        return tell(path, then, now);
    };
    let added = new.keys().filter(|key| !old.contains_key(*key));
    for key in old.keys().chain(added) {
        let path = match path {
            "" => key.clone(),
            _ => format!("{path}.{key}"),
        };
        let value = |of: &Value| of.get(key).cloned().unwrap_or(Value::Null);
        tell_differences(&path, &value(then), &value(now), tell);
    }
}
