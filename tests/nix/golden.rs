//! What a full evaluation of the examples gives. Their configurations, less what is as by default,
//! and what is said of them are kept beside the tests for machines without nixpkgs, with a hash of all
//! that they came from. Their units need not be: a bare Nix makes them ([`crate::units`]).
//!
//! `BLESS=1 HWC_NIXPKGS=… cargo test --test nix golden` renews it. Where it is older than its
//! sources and cannot be renewed, what needs it is skipped and says so.

use std::{collections::BTreeMap, env, fmt::Write as _, fs, path::PathBuf, sync::OnceLock};

use schema::Config;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use test_support::skip;

use crate::{
    lab::{Nix, Nixpkgs, ROOT, examples, schema},
    syntax::files,
};

/// What NixOS makes of each example, by its name.
pub(crate) type Systems = BTreeMap<String, Value>;

/// The examples as NixOS has them, with their units.
pub(crate) fn evaluated(test: &str) -> Option<Systems> {
    let (nix, nixpkgs) = Nix::with_nixos(test)?;
    Some(evaluate(&nix, &nixpkgs))
}

/// What is kept of the examples: as an evaluation gives it, else as one once gave it.
pub(crate) fn systems(test: &str) -> Option<Systems> {
    let nixos = Nix::find_silently().and_then(|nix| Some((nix.nixpkgs()?, nix)));
    if let Some((nixpkgs, nix)) = nixos.filter(|(nixpkgs, _)| nixpkgs.nixos) {
        return Some(kept(evaluate(&nix, &nixpkgs)));
    }
    let golden = read();
    if golden["sources"] != json!(hash()) {
        skip(&format!(
            "{test} because tests/nix/golden.json is older than the module and there is no nixpkgs \
             to renew it (BLESS=1 HWC_NIXPKGS=... cargo test --test nix golden)"
        ));
        return None;
    }
    Some(serde_json::from_value(golden["systems"].clone()).unwrap())
}

/// Evaluates all examples, in one go and once for all tests.
fn evaluate(nix: &Nix, nixpkgs: &Nixpkgs) -> Systems {
    static SYSTEMS: OnceLock<Systems> = OnceLock::new();
    let all = || {
        let one = "modules = [ file ];";
        let system = nixpkgs.import("system", one);
        let found = nix.eval(
            &format!(
                "builtins.mapAttrs
                   (_: path: let file = ./. + path; in {system}.report) data"
            ),
            &json!(sources()),
        );
        let mut systems: Systems =
            serde_json::from_str(&without_hashes(&found.to_string())).unwrap();
        for system in systems.values_mut() {
            for key in ["config", "state"] {
                if let Some(text) = system[key].as_str() {
                    system[key] = serde_json::from_str(text).unwrap();
                }
            }
            for unit in system["units"].as_object_mut().unwrap().values_mut() {
                unit["lines"] = json!(lines(unit["text"].as_str().unwrap()));
                unit.as_object_mut().unwrap().remove("text");
            }
        }
        systems
    };
    SYSTEMS.get_or_init(all).clone()
}

/// What is kept of systems: their configuration, less what is as by default, and what is said of it.
fn kept(mut systems: Systems) -> Systems {
    let defaults = serde_json::to_value(Config::default()).unwrap();
    for system in systems.values_mut() {
        let system = system.as_object_mut().unwrap();
        const KEPT: [&str; 5] = ["config", "dump", "failed", "state", "warnings"];
        system.retain(|key, value| KEPT.contains(&key.as_str()) && !value.is_null());
        forget_defaults(&mut system["config"], &defaults);
    }
    systems
}

/// Removes the keys that have their default value, but for the version that a file must have.
fn forget_defaults(value: &mut Value, defaults: &Value) {
    let (Value::Object(value), Value::Object(defaults)) = (value, defaults) else {
        return;
    };
    value.retain(|key, value| key == "version" || defaults.get(key) != Some(value));
    for (key, value) in value {
        forget_defaults(value, defaults.get(key).unwrap_or(&Value::Null));
    }
}

/// What NixOS gives each service to find programs and data with, of whatever versions it has.
const SURROUNDINGS: [&str; 3] = [
    "Environment=\"PATH=",
    "Environment=\"LOCALE_ARCHIVE=",
    "Environment=\"TZDIR=",
];

/// The lines of a unit with their section, sorted, less what another nixpkgs has otherwise. How a
/// rebuild treats a unit is no matter of systemd's, and stands as a section of its own.
pub(crate) fn lines(text: &str) -> Vec<String> {
    let mut section = "";
    let mut found = Vec::new();
    for line in text.lines().map(str::trim) {
        if line.starts_with('[') {
            section = line;
        } else if line.starts_with("X-") {
            found.push(format!("[NixOS] {line}"));
        } else if line.contains('=')
            && !line.starts_with('#')
            && !SURROUNDINGS.iter().any(|start| line.starts_with(start))
        {
            found.push(format!("{section} {line}"));
        }
    }
    found.sort();
    found
}

/// The examples, and systems that examples would be too odd for, each with its file.
fn sources() -> BTreeMap<String, String> {
    let odd = files(&PathBuf::from(ROOT).join("tests/nix/systems"));
    let odd = odd.iter().map(|file| {
        let name = file.file_stem().unwrap().to_str().unwrap().to_owned();
        let path = format!("/tests/nix/systems/{name}.nix");
        (name, path)
    });
    let examples = examples().into_iter().map(|name| {
        let path = format!("/examples/{name}/config.nix");
        (name, path)
    });
    examples.chain(odd).collect()
}

/// Store paths without what differs from one nixpkgs to the next.
fn without_hashes(text: &str) -> String {
    const STORE: &str = "/nix/store/";
    let mut parts = text.split(STORE);
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        // 32 characters and a dash.
        let hash = part.get(..33).filter(|hash| hash.ends_with('-'));
        let rest = hash.map_or(part, |hash| &part[hash.len()..]);
        let _ = write!(out, "{STORE}{rest}");
    }
    out
}

fn file() -> PathBuf {
    PathBuf::from(ROOT).join("tests/nix/golden.json")
}

fn read() -> Value {
    fs::read(file()).map_or(Value::Null, |bytes| serde_json::from_slice(&bytes).unwrap())
}

/// A hash of the files that an evaluation reads, and of the schema less its descriptions.
fn hash() -> String {
    let root = PathBuf::from(ROOT);
    let mut all = files(&root.join("nixos"));
    all.extend(files(&root.join("examples")));
    all.extend(files(&root.join("tests/nix/systems")));
    for name in ["agenix", "old-nixos", "system"] {
        all.push(root.join(format!("tests/nix/{name}.nix")));
    }
    // What neither a configuration nor what is said of one depends on.
    const OTHERS: [&str; 8] = [
        "home-manager.nix",
        "mount-unit.nix",
        "package.nix",
        "services.nix",
        "unit-facts.nix",
        "units.json",
        "units.nix",
        "vm-test.nix",
    ];
    let others = OTHERS.map(|name| root.join("nixos").join(name));
    all.retain(|file| !others.contains(file));
    let mut sum = Sha256::new();
    for file in &all {
        let bytes = fs::read(file).unwrap();
        sum.update(format!(
            "{} {}\n",
            file.strip_prefix(&root).unwrap().display(),
            bytes.len()
        ));
        sum.update(&bytes);
    }
    let mut schema = schema();
    forget_descriptions(&mut schema);
    sum.update(schema.to_string());
    sum.finalize().iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn forget_descriptions(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.remove("description");
            map.values_mut().for_each(forget_descriptions);
        }
        Value::Array(list) => list.iter_mut().for_each(forget_descriptions),
        _ => {}
    }
}

#[test]
fn golden_is_what_an_evaluation_gives() {
    let Some((nix, nixpkgs)) = Nix::with_nixos("golden_is_what_an_evaluation_gives") else {
        return;
    };
    let now = json!({ "sources": hash(), "systems": kept(evaluate(&nix, &nixpkgs)) });
    if env::var_os("BLESS").is_some() {
        fs::write(file(), serde_json::to_string_pretty(&now).unwrap() + "\n").unwrap();
    }
    let kept = read();
    let hint = "renew it with BLESS=1 HWC_NIXPKGS=… cargo test --test nix golden";
    assert_eq!(
        kept["sources"], now["sources"],
        "golden.json is older than its sources: {hint}"
    );
    assert_eq!(kept["systems"], now["systems"], "{hint}");
}
