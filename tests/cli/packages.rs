//! What the packages say of themselves is true: which Rust they need, and that none is published; and
//! what comes with a released program is for the machine that it is for.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    process::{Command, Stdio},
};

use planner::units::{Layout, render_units};
use serde_json::Value;

use crate::lab::{PROGRAM, run_command};

/// The root of the repository.
const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn read(file: &str) -> String {
    fs::read_to_string(Path::new(ROOT).join(file)).unwrap()
}

/// What this cargo says of the packages that are built here.
fn metadata() -> Value {
    let cargo = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO"));
        let output = command.args(arguments).current_dir(ROOT).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "cargo {arguments:?}: {said}");
        String::from_utf8(output.stdout).unwrap()
    };
    let version = cargo(&["-vV"]);
    let mut lines = version.lines();
    let host = lines.find_map(|line| line.strip_prefix("host: ")).unwrap();
    // Other machines' dependencies are not here, and nothing is fetched for a test.
    let arguments = [
        "metadata",
        "--format-version",
        "1",
        "--offline",
        "--filter-platform",
        host,
    ];
    serde_json::from_str(&cargo(&arguments)).unwrap()
}

/// A version as numbers that can be compared.
fn numbers(version: &str) -> Vec<u32> {
    version
        .split('.')
        .map(|part| part.parse().unwrap())
        .collect()
}

#[test]
fn no_dependency_needs_a_newer_rust_than_the_packages_say() {
    let metadata = metadata();
    let packages = metadata["packages"].as_array().unwrap();
    let ours = packages.iter().find(|one| one["name"] == "backup").unwrap();
    let ours = ours["rust_version"].as_str().unwrap();
    let newer = packages.iter().filter_map(|one| {
        let needs = one["rust_version"].as_str()?;
        (numbers(needs) > numbers(ours)).then(|| format!("{} needs Rust {needs}", one["name"]))
    });
    let newer: Vec<String> = newer.collect();
    assert!(newer.is_empty(), "more than {ours}: {newer:#?}");
}

#[test]
fn all_places_name_the_same_rust() {
    let manifest = read("Cargo.toml");
    let mut lines = manifest.lines();
    let line = lines.find_map(|line| line.strip_prefix("rust-version = "));
    let version = line.unwrap().trim_matches('"');
    assert!(
        read("README.md").contains(&format!("Rust {version} or newer")),
        "README.md"
    );
    assert!(
        read("CONTRIBUTING.md").contains(&format!("Rust {version}")),
        "CONTRIBUTING.md"
    );
    // These read it from Cargo.toml.
    for file in ["test", ".github/workflows/ci.yml"] {
        let text = read(file);
        assert!(text.contains("rust-version = "), "{file}");
        assert!(!text.contains(&format!("\"{version}\"")), "{file}");
    }
}

#[test]
fn no_package_can_be_published_by_mistake() {
    let metadata = metadata();
    let members = metadata["workspace_members"].as_array().unwrap();
    let packages = metadata["packages"].as_array().unwrap().iter();
    let own = packages.filter(|one| members.contains(&one["id"]));
    for one in own {
        assert_eq!(one["publish"], Value::Array(Vec::new()), "{}", one["name"]);
        assert_eq!(one["repository"], Value::Null, "{}", one["name"]);
    }
}

#[test]
fn a_release_has_the_units_of_the_configuration_in_etc() {
    let folder = tempfile::tempdir().unwrap();
    let assets = folder.path().join("assets");
    let mut script = Command::new(Path::new(ROOT).join(".ci/release-assets"));
    script
        .arg(PROGRAM)
        .arg(&assets)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    run_command(script, &["release-assets"]).expect(0);

    let config = read("examples/quickstart/config.json");
    let units = render_units(
        &serde_json::from_str(&config).unwrap(),
        &Layout::of_root("/usr/bin/backup"),
    );
    let expected: BTreeMap<String, String> = units
        .into_iter()
        .map(|unit| (unit.name.to_owned(), unit.text))
        .collect();
    let shipped: BTreeMap<String, String> = fs::read_dir(assets.join("units"))
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| {
            let name = entry.file_name().into_string().unwrap();
            (name, fs::read_to_string(entry.path()).unwrap())
        })
        .collect();
    assert_eq!(shipped, expected);
    // Each short name is one of the program that stands beside it.
    for name in ["now", "status", "restore", "verify"] {
        let link = fs::read_link(assets.join(format!("bin/backup-{name}"))).unwrap();
        assert_eq!(link, Path::new("backup"));
    }
}
