//! What the program is built from may be used so: deny.toml, which the workflow checks as a whole with
//! cargo-deny, allows the licences of all dependencies. A new one that asks for more is told here.

use std::{collections::BTreeSet, fs, path::Path, process::Command};

use serde_json::Value;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// The texts of a list in deny.toml, one a line.
fn list(name: &str) -> BTreeSet<String> {
    let text = fs::read_to_string(Path::new(ROOT).join("deny.toml")).unwrap();
    let (_, rest) = text.split_once(&format!("\n{name} = [\n")).unwrap();
    let (inside, _) = rest.split_once("\n]").unwrap();
    let texts = inside.lines().map(|line| line.trim().trim_matches(','));
    texts
        .map(|text| text.trim_matches('"').to_owned())
        .collect()
}

/// All crates that the program is built from on the machines of deny.toml.
fn crates() -> Vec<Value> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["metadata", "--offline", "--locked", "--format-version=1"]);
    for target in list("targets") {
        cargo.arg(format!("--filter-platform={target}"));
    }
    let output = cargo.current_dir(ROOT).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    metadata["packages"].as_array().unwrap().clone()
}

/// Whether a licence expression (SPDX; `/` is an old way to say OR) can be met with these licences.
fn is_met(expression: &str, allowed: &BTreeSet<String>) -> bool {
    let expression = expression.trim();
    for (word, all) in [(" OR ", false), (" AND ", true), ("/", false)] {
        let parts = split_outside(expression, word);
        if parts.len() > 1 {
            let mut met = parts.iter().map(|part| is_met(part, allowed));
            return if all {
                met.all(|met| met)
            } else {
                met.any(|met| met)
            };
        }
    }
    match expression
        .strip_prefix('(')
        .and_then(|rest| rest.strip_suffix(')'))
    {
        Some(inner) => is_met(inner, allowed),
        None => allowed.contains(expression),
    }
}

/// The parts of an expression between a word that stands in no parentheses.
fn split_outside<'a>(expression: &'a str, word: &str) -> Vec<&'a str> {
    let (mut parts, mut begin) = (Vec::new(), 0);
    for (at, _) in expression.match_indices(word) {
        let before = &expression[..at];
        if before.matches('(').count() == before.matches(')').count() {
            parts.push(&expression[begin..at]);
            begin = at + word.len();
        }
    }
    parts.push(&expression[begin..]);
    parts
}

#[test]
fn every_dependency_may_be_used_under_a_licence_that_is_allowed() {
    let allowed = list("allow");
    let crates = crates();
    assert!(crates.len() > 50, "{} crates", crates.len());
    let refused: Vec<String> = crates
        .iter()
        .filter(|one| {
            !one["license"]
                .as_str()
                .is_some_and(|text| is_met(text, &allowed))
        })
        .map(|one| format!("{} {}: {}", one["name"], one["version"], one["license"]))
        .collect();
    assert_eq!(refused, [""; 0], "deny.toml allows {allowed:?}");
}

#[test]
fn every_dependency_comes_from_the_registry_or_is_of_this_repository() {
    const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";
    for one in crates() {
        let from = one["source"].as_str();
        let ours = from.is_none()
            && one["manifest_path"]
                .as_str()
                .is_some_and(|path| path.starts_with(ROOT));
        assert!(ours || from == Some(REGISTRY), "{}: {from:?}", one["name"]);
    }
}

#[test]
fn an_expression_is_met_as_spdx_has_it() {
    let allowed = BTreeSet::from(["MIT", "ISC"].map(str::to_owned));
    for (expression, met) in [
        ("MIT", true),
        ("GPL-3.0", false),
        ("MIT OR GPL-3.0", true),
        ("MIT/GPL-3.0", true),
        ("MIT AND GPL-3.0", false),
        ("(MIT OR GPL-3.0) AND ISC", true),
        ("(MIT OR Apache-2.0) AND GPL-3.0", false),
        ("GPL-3.0 OR (MIT AND ISC)", true),
    ] {
        assert_eq!(is_met(expression, &allowed), met, "{expression}");
    }
}
