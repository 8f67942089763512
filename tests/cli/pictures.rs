//! The pictures in docs/screens: the script that makes them works with this program, and they begin as what
//! the program says begins today.

use std::{collections::BTreeMap, fs, path::Path, process::Command};

use test_support::{Ran, is_missing};

use crate::lab::PROGRAM;

/// The root of the repository.
const ROOT: &str = env!("CARGO_MANIFEST_DIR");
/// How many lines of each picture must be as they were: what is said first.
const FIRST: usize = 5;

/// The lines of a picture, numbers and blanks being the same everywhere.
fn lines_of(picture: &Path) -> Vec<String> {
    let text = fs::read_to_string(picture).unwrap();
    let mut lines: BTreeMap<usize, Vec<&str>> = BTreeMap::new();
    for element in text.lines().filter_map(|line| line.strip_prefix("<text ")) {
        let (attributes, rest) = element.split_once('>').unwrap();
        let y = attributes.split(" y=\"").nth(1).unwrap();
        let y = y.split('"').next().unwrap().parse().unwrap();
        let words = rest.split("</text>").next().unwrap();
        lines.entry(y).or_default().push(words);
    }
    lines
        .into_values()
        .map(|words| plain(&words.join(" ")))
        .collect()
}

/// A line in which each number is 0.
fn plain(line: &str) -> String {
    let mut plain = String::new();
    for letter in line.chars() {
        let letter = if letter.is_ascii_digit() { '0' } else { letter };
        if letter != '0' || !plain.ends_with('0') {
            plain.push(letter);
        }
    }
    plain
}

#[test]
fn the_pictures_are_what_the_program_shows() {
    let name = "the_pictures_are_what_the_program_shows";
    let tools = [
        "unshare",
        "tmux",
        "faketime",
        "python3",
        "losetup",
        "mkfs.ext4",
    ];
    if is_missing(name, &tools, true) {
        return;
    }
    let kept = Path::new(ROOT).join("docs/screens");
    let made = tempfile::tempdir().unwrap();
    let output = Command::new(kept.join("make"))
        .args(["--columns", "80", "--program", PROGRAM, "--to"])
        .arg(made.path())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        Ran::from_output(&["make"], &output)
    );
    let names = |folder: &Path, end: &str| -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let entries = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = entries
            .filter_map(|name| name.strip_suffix(end).map(str::to_owned))
            .collect();
        names.sort();
        names
    };
    let verbs = names(made.path(), "-80.svg");
    assert_eq!(verbs, names(&kept, "-80.svg"));
    assert_eq!(verbs, names(&kept, "-120.svg"));
    for verb in verbs {
        let file = format!("{verb}-80.svg");
        let (old, new) = (
            lines_of(&kept.join(&file)),
            lines_of(&made.path().join(&file)),
        );
        assert!(old.len() > 1, "{file} shows nothing");
        let first = |lines: &[String]| lines[..FIRST.min(lines.len())].to_vec();
        assert_eq!(
            first(&old),
            first(&new),
            "docs/screens/{file} is not what the program shows: run docs/screens/make"
        );
        let is_escaped = new.iter().any(|line| line.contains("\\0"));
        assert!(
            !is_escaped,
            "{file} shows an end of a line as a number: {new:#?}"
        );
    }
}
