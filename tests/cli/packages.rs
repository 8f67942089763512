//! What the packages say of themselves is true: which Rust they need, and that none is published; and
//! what comes with a released program is for the machine that it is for.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Component, Path, PathBuf},
    process::Command,
};

use planner::units::{Layout, render_units};
use serde_json::Value;
use test_support::{Page, debian_files, read_pages, run_tool, write_release_assets};

use crate::lab::PROGRAM;

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
    write_release_assets(Path::new(ROOT), Path::new(PROGRAM), &assets);

    let config = read("examples/quickstart/config.json");
    let units = render_units(
        &serde_json::from_str(&config).unwrap(),
        &Layout::of_root("/usr/bin/backup"),
    );
    let expected: BTreeMap<String, String> = units
        .into_iter()
        .map(|unit| (unit.name, unit.text))
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

/// Where the Debian package keeps its pages.
const PAGES: &str = "usr/share/doc/backup";

#[test]
fn the_debian_package_has_all_pages_manuals_completions_units_and_the_rule() {
    let folder = tempfile::tempdir().unwrap();
    let assets = folder.path().join("assets");
    write_release_assets(Path::new(ROOT), Path::new(PROGRAM), &assets);
    let files = debian_files(Path::new(ROOT), Path::new(PROGRAM), &assets);
    let packaged: BTreeSet<&str> = files.keys().map(String::as_str).collect();

    let mut expected: Vec<String> = [
        "usr/bin/backup",
        "usr/bin/backup-now",
        "usr/bin/backup-restore",
        "usr/bin/backup-status",
        "usr/bin/backup-verify",
        "usr/share/man/man1/backup.1",
        "usr/share/man/man5/backup.json.5",
        "usr/share/bash-completion/completions/backup",
        "usr/share/fish/vendor_completions.d/backup.fish",
        "usr/share/zsh/vendor-completions/_backup",
        "usr/lib/udev/rules.d/60-backup.rules",
        "usr/bin/backup-previous-versions",
        "usr/share/applications/backup-previous-versions.desktop",
        "usr/share/backup/nautilus/Previous versions",
        "usr/share/kio/servicemenus/backup-previous-versions.desktop",
    ]
    .map(str::to_owned)
    .to_vec();
    // Bash and fish look for a file of the name that is completed.
    for short in ["now", "restore", "status", "verify"] {
        expected.push(format!(
            "usr/share/bash-completion/completions/backup-{short}"
        ));
        expected.push(format!(
            "usr/share/fish/vendor_completions.d/backup-{short}.fish"
        ));
    }
    let verbs = run_tool(PROGRAM, ["--help"]);
    let verbs = verbs.split("Commands:").nth(1).unwrap();
    let verbs = verbs.split("\n\n").next().unwrap().lines();
    let verbs: Vec<&str> = verbs
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .map(|line| line.split_whitespace().next().unwrap())
        .filter(|verb| *verb != "help")
        .collect();
    assert!(verbs.len() > 20, "{verbs:?}");
    expected.extend(
        verbs
            .iter()
            .map(|verb| format!("usr/share/man/man1/backup-{verb}.1")),
    );
    for unit in ["backup", "backup-local", "backup-health-check"] {
        expected.push(format!("usr/lib/systemd/system/{unit}.service"));
    }
    for timer in ["backup", "backup-retry", "backup-health-check"] {
        expected.push(format!("usr/lib/systemd/system/{timer}.timer"));
    }
    let pages = read_pages(Path::new(ROOT));
    expected.extend(pages.iter().map(|page| format!("{PAGES}/{}", page.name)));
    let expected: BTreeSet<&str> = expected.iter().map(String::as_str).collect();
    let lacking: Vec<_> = expected.difference(&packaged).collect();
    assert!(lacking.is_empty(), "{lacking:#?}");
    let more = packaged.difference(&expected);
    let more: Vec<_> = more.filter(|path| !path.starts_with(PAGES)).collect();
    assert!(more.is_empty(), "{more:#?}");

    for page in &pages {
        lead_somewhere(page, &packaged);
    }
}

/// The links of a page lead to what is packaged, if not to code.
fn lead_somewhere(page: &Page, packaged: &BTreeSet<&str>) {
    for link in page.links() {
        let target = link.split('#').next().unwrap();
        if target.is_empty() || target.ends_with(".rs") {
            continue;
        }
        let mut path = PathBuf::from(PAGES);
        let folder = Path::new(&page.name).parent().unwrap();
        for part in folder.join(target).components() {
            match part {
                Component::ParentDir => drop(path.pop()),
                part => path.push(part),
            }
        }
        let path = path.to_str().unwrap();
        let is_there = packaged.iter().any(|one| {
            let rest = one.strip_prefix(path);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        });
        assert!(
            is_there,
            "{} leads to {link}, which is not packaged",
            page.name
        );
    }
}
