//! What pages say of the repository is true: the places that they name exist, links lead somewhere,
//! commands are run or say what they need, messages are the program's, and ARCHITECTURE.md has a line for
//! each folder of code.

use std::{collections::BTreeSet, fs, path::Path};

use test_support::{Page, commands_in, read_pages};
use walkdir::WalkDir;

/// The root of the repository.
const ROOT: &str = env!("CARGO_MANIFEST_DIR");
/// Where a name in backticks that has a slash and starts so is a path of the repository.
const TOPS: [&str; 11] = [
    "bench", "browse", "docs", "examples", "executor", "fuzz", "nixos", "planner", "schema", "src",
    "tests",
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
    for top in [
        "schema/src",
        "planner/src",
        "executor/src",
        "browse/src",
        "src",
    ] {
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

/// The most lines of README.md: it is read on the first day.
const README_LINES: usize = 300;
/// What a fenced block may be.
const LANGUAGES: [&str; 6] = ["sh", "console", "text", "json", "nix", "bash"];

fn pages() -> Vec<Page> {
    read_pages(Path::new(ROOT))
}

fn page(name: &str) -> Page {
    let found = pages().into_iter().find(|page| page.name == name);
    found.unwrap_or_else(|| panic!("there is no {name}"))
}

/// The anchors of a page's headings, as the usual renderers make them.
fn anchors(page: &Page) -> Vec<String> {
    let prose = page.prose();
    let headings = prose.lines().filter(|line| line.starts_with('#'));
    let anchor = |line: &str| -> String {
        let text = line.trim_start_matches('#').trim().to_lowercase();
        let kept = text.chars().filter_map(|one| match one {
            ' ' => Some('-'),
            '-' | '_' => Some(one),
            one => one.is_alphanumeric().then_some(one),
        });
        kept.collect()
    };
    headings.map(anchor).collect()
}

#[test]
fn every_link_and_every_anchor_leads_somewhere() {
    let pages = pages();
    let mut seen = 0;
    for page in &pages {
        for link in page.links() {
            let (path, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let folder = Path::new(&page.name).parent().unwrap();
            let there = match path {
                "" => Path::new(ROOT).join(&page.name),
                path => Path::new(ROOT).join(folder).join(path),
            };
            assert!(
                there.exists(),
                "{} links to {link}, which is not there",
                page.name
            );
            if !anchor.is_empty() {
                let real = there.canonicalize().unwrap();
                let mut all = pages.iter();
                let target =
                    all.find(|one| Path::new(ROOT).join(&one.name).canonicalize().unwrap() == real);
                let anchors = anchors(target.unwrap());
                assert!(
                    anchors.iter().any(|one| one == anchor),
                    "{} links to {link}, and there are {anchors:?}",
                    page.name
                );
            }
            seen += 1;
        }
    }
    assert!(seen > 80, "only {seen} links were found");
}

#[test]
fn the_readme_is_short_and_lists_its_parts_and_the_index_lists_all_pages() {
    let readme = page("README.md");
    let lines = readme.text.lines().count();
    assert!(lines < README_LINES, "README.md has {lines} lines");
    let listed = readme.links();
    let parts = readme.prose();
    let parts = parts.lines().filter(|line| line.starts_with("## "));
    for (part, anchor) in parts.zip(anchors(&readme).iter().skip(1)) {
        assert!(
            part == "## Contents" || listed.contains(&format!("#{anchor}")),
            "README.md does not list {part}"
        );
    }
    let listed = page("docs/README.md").links();
    for page in pages() {
        let Some(name) = page.name.strip_prefix("docs/") else {
            continue;
        };
        assert!(
            name == "README.md" || listed.contains(&name.to_owned()),
            "docs/README.md does not list {name}"
        );
    }
}

#[test]
fn every_block_says_what_it_is_and_a_command_that_is_not_run_what_it_needs() {
    for page in pages() {
        for block in page.blocks() {
            let place = format!("{}:{}", page.name, block.line);
            assert!(
                LANGUAGES.contains(&&*block.language),
                "{place}: {}",
                block.language
            );
            let has_reason = block
                .needs
                .strip_prefix("needs ")
                .is_some_and(|what| !what.is_empty());
            assert!(
                block.needs.is_empty() || (block.language == "sh" && has_reason),
                "{place}: behind ```sh stands `needs ...`, which says why it is not run, or nothing"
            );
            if block.language == "bash" {
                // A script to adapt: what calls this program is `sh`, and so run.
                let calls = commands_in(&block.text)
                    .into_iter()
                    .any(|words| words.iter().any(|word| word == "backup"));
                assert!(!calls, "{place}");
            }
        }
    }
    // The first commands of the first page need nothing but what they say.
    let commands: Vec<String> = pages()
        .iter()
        .flat_map(Page::blocks)
        .filter(|block| block.language == "console")
        .flat_map(|block| block.text.lines().map(str::to_owned).collect::<Vec<_>>())
        .collect();
    assert_eq!(commands, ["$ cargo run --release -- try", "$ ./test"]);
}

/// The sources of the program without comments and tests, each text in one line.
fn sources() -> Vec<String> {
    let mut sources = Vec::new();
    for top in [
        "schema/src",
        "planner/src",
        "executor/src",
        "browse/src",
        "src",
    ] {
        for entry in WalkDir::new(Path::new(ROOT).join(top)) {
            let entry = entry.unwrap();
            let name = entry.file_name().to_string_lossy();
            if !name.ends_with(".rs") || name.ends_with("tests.rs") {
                continue;
            }
            let source = fs::read_to_string(entry.path()).unwrap();
            let source = source.split("mod tests {").next().unwrap();
            let lines = source.lines().map(str::trim_start);
            let code: Vec<&str> = lines.filter(|line| !line.starts_with("//")).collect();
            // A text that goes on in the next line begins there with its first word.
            let code = code.join("\n").replace("\\\n", "");
            sources.push(code.replace("\\\"", "\""));
        }
    }
    sources
}

#[test]
fn every_message_in_troubleshooting_is_one_of_the_program_and_has_a_command() {
    let sources = sources();
    let page = page("docs/troubleshooting.md");
    let sections: Vec<&str> = page.text.split("\n### ").skip(1).collect();
    assert!(sections.len() >= 23, "{}", sections.len());
    for section in sections {
        let title = section.lines().next().unwrap();
        let part = Page {
            name: title.to_owned(),
            text: section.split("\n## ").next().unwrap().to_owned(),
        };
        let blocks = part.blocks();
        let of = |language: &str| blocks.iter().filter(|one| one.language == language).count();
        assert_eq!((of("text"), of("sh")), (1, 1), "{title}");
        let quoted = blocks.iter().find(|one| one.language == "text").unwrap();
        for line in quoted.text.lines() {
            let words = || {
                line.split('…')
                    .map(str::trim)
                    .filter(|part| !part.is_empty())
            };
            assert!(words().any(|part| part.len() > 9), "{title}: {line}");
            for part in words() {
                assert!(
                    sources.iter().any(|source| source.contains(part)),
                    "{title}: the program does not say `{part}`"
                );
            }
        }
    }
}
