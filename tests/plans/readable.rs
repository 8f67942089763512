//! Plans and inputs as JSON that a person reviews: whatever fits on one line is on one line.

use schema::Plan;
use serde_json::{Value, json};

/// The plan as JSON for review; digests, which change with every new option, are left out.
pub(crate) fn readable(plan: &Plan) -> String {
    let mut value = serde_json::to_value(plan).unwrap();
    let run = value["run_id"].as_str().unwrap();
    value["run_id"] = json!(format!("{}-[digest]", &run[..run.len() - 9]));
    for key in ["/digest", "/bound_to/config", "/bound_to/destination"] {
        *value.pointer_mut(key).unwrap() = json!("[digest]");
    }
    let mut text = String::new();
    write(&mut text, &value, 0, false);
    text
}

/// Writes JSON with whatever fits on one line on one line; with `rows`, each item of a list too.
pub(crate) fn write(text: &mut String, value: &Value, depth: usize, rows: bool) {
    let flat = value.to_string();
    let row = rows && depth > 2 && value.is_object();
    let (open, close, items) = match value {
        Value::Object(map) if flat.len() > 100 && !row => {
            let items: Vec<_> = map.iter().map(|(key, value)| (Some(key), value)).collect();
            ('{', '}', items)
        }
        Value::Array(list) if flat.len() > 100 => {
            let items: Vec<_> = list.iter().map(|value| (None, value)).collect();
            ('[', ']', items)
        }
        _ => return text.push_str(&flat),
    };
    text.push(open);
    for (at, (key, value)) in items.iter().enumerate() {
        text.push_str(if at == 0 { "\n" } else { ",\n" });
        text.push_str(&"  ".repeat(depth + 1));
        if let Some(key) = key {
            text.push_str(&format!("{key:?}: "));
        }
        write(text, value, depth + 1, rows);
    }
    text.push('\n');
    text.push_str(&"  ".repeat(depth));
    text.push(close);
}
