//! What pages say of the repository is true: the places that they name exist, and ARCHITECTURE.md has
//! a line for each folder of code.

use std::{collections::BTreeSet, fs, path::Path};

use walkdir::WalkDir;

/// The root of the repository.
const ROOT: &str = env!("CARGO_MANIFEST_DIR");
/// Where a name in backticks that has a slash and starts so is a path of the repository.
const TOPS: [&str; 10] = [
    "bench", "docs", "examples", "executor", "fuzz", "nixos", "planner", "schema", "src", "tests",
];

fn read_page(page: &str) -> String {
    fs::read_to_string(Path::new(ROOT).join(page)).unwrap()
}

/// What stands in backticks in a text outside of fenced blocks.
fn quoted_words(text: &str) -> impl Iterator<Item = &str> {
    let outside = text.split("```").step_by(2);
    outside.flat_map(|block| block.split('`').skip(1).step_by(2))
}

/// The paths that `a/{b,c}.rs` stands for.
fn expanded(word: &str) -> Vec<String> {
    match word.split_once('{').zip(word.split_once('}')) {
        Some(((before, _), (inside, after))) => inside[before.len() + 1..]
            .split(',')
            .map(|name| format!("{before}{name}{after}"))
            .collect(),
        None => vec![word.to_owned()],
    }
}

/// The paths of the repository that a page names; those with a placeholder are for the reader to fill.
fn named_paths(page: &str) -> BTreeSet<String> {
    quoted_words(&read_page(page))
        .filter(|word| word.contains('/') && !word.contains(['<', '*', ' ']))
        .filter(|word| TOPS.contains(&word.split('/').next().unwrap()))
        .flat_map(expanded)
        .collect()
}

#[test]
fn every_place_that_a_page_names_exists() {
    for page in [
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "README.md",
        "SECURITY.md",
        "docs/format.md",
        "docs/glossary.md",
    ] {
        let names = named_paths(page);
        assert!(
            page == "docs/glossary.md" || !names.is_empty(),
            "{page} names no place at all"
        );
        for name in names {
            assert!(
                Path::new(ROOT).join(&name).exists(),
                "{page} names {name}, which is not there"
            );
        }
    }
}

/// Whether a folder has code of its own that is no test.
fn has_code(folder: &Path) -> bool {
    fs::read_dir(folder).unwrap().any(|entry| {
        let name = entry.unwrap().file_name().into_string().unwrap();
        name.ends_with(".rs") && !name.ends_with("tests.rs")
    })
}

#[test]
fn the_architecture_has_a_line_for_each_folder_of_code() {
    let text = read_page("ARCHITECTURE.md");
    let named: Vec<&str> = quoted_words(&text).collect();
    let is_named = |folder: &str| {
        let with_slash = format!("{folder}/");
        // `plan.rs`, `plan/` in one line: the second is beside the first.
        let last = folder.rsplit('/').next().unwrap();
        named.iter().any(|word| {
            word.starts_with(&with_slash)
                || *word == format!("{last}/")
                || word.ends_with(&format!("/{last}/"))
        })
    };
    for top in ["schema/src", "planner/src", "executor/src", "src"] {
        for entry in WalkDir::new(Path::new(ROOT).join(top)).min_depth(1) {
            let entry = entry.unwrap();
            let is_code = entry.file_type().is_dir() && has_code(entry.path());
            let path = entry
                .path()
                .strip_prefix(ROOT)
                .unwrap()
                .to_string_lossy()
                .into_owned();
            assert!(
                !is_code || is_named(&path),
                "ARCHITECTURE.md says nothing of {path}/"
            );
        }
    }
}
