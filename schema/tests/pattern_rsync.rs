//! Holds the exclude matcher against the real rsync: a table of cases that people write, and random
//! hostile patterns over one fixed tree.
//!
//! The table is checked without rsync as well. Nothing here may be expected only because our
//! matcher does it: what a case says is what rsync does.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr
)]

mod random_patterns;
mod table;

use std::{
    collections::BTreeSet,
    ffi::OsString,
    fs,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use schema::{
    StoredPath,
    pattern::{Excludes, Pattern},
};

use random_patterns::{Dice, FOREST, HEADS, random_pattern};
use table::{Kind, Tree, build, cases, plant};

/// What our matcher leaves of a tree, walked as an engine walks: nothing in an excluded folder.
fn left_by_us(tree: &Tree, excludes: &Excludes, source: &StoredPath) -> BTreeSet<Vec<u8>> {
    let mut left = BTreeSet::new();
    for (path, kind) in tree {
        let above = path
            .iter()
            .rposition(|&byte| byte == b'/')
            .map(|at| &path[..at]);
        if above.is_none_or(|above| left.contains(above))
            && excludes
                .matches_placed(source, path, 0, *kind == Kind::Folder)
                .is_none()
        {
            left.insert(path.clone());
        }
    }
    left
}

/// What rsync leaves of the tree in `root`.
fn left_by_rsync(root: &Path, arguments: &[OsString]) -> BTreeSet<Vec<u8>> {
    let output = Command::new("rsync")
        .args(["--recursive", "--links", "--dry-run", "--out-format=%n"])
        .args(arguments)
        .args([root.join("src/"), root.join("dst/")])
        .output()
        .unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && complaint.is_empty(),
        "{arguments:?}: {complaint}"
    );
    let lines = output
        .stdout
        .split(|&byte| byte == b'\n')
        .map(unescape_rsync);
    lines
        .filter(|path| !path.is_empty() && path != b".")
        .collect()
}

/// rsync prints an unprintable byte as `\#012`. Folders lose their trailing slash.
fn unescape_rsync(line: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = line.strip_suffix(b"/").unwrap_or(line);
    while let Some((&byte, after)) = rest.split_first() {
        if let [
            b'\\',
            b'#',
            a @ b'0'..=b'3',
            b @ b'0'..=b'7',
            c @ b'0'..=b'7',
            ..,
        ] = rest
        {
            bytes.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
            rest = &rest[5..];
        } else {
            bytes.push(byte);
            rest = after;
        }
    }
    bytes
}

/// Whether to skip. A build server must not pass without having asked rsync.
fn rsync_is_missing(what: &str) -> bool {
    if Command::new("rsync")
        .arg("--version")
        .output()
        .is_ok_and(|output| output.status.success())
    {
        return false;
    }
    test_support::skip(&format!("{what} because rsync is not installed"));
    true
}

/// The arguments that make rsync exclude the same of a source.
fn arguments(excludes: &Excludes, source: &StoredPath) -> Vec<OsString> {
    let patterns = excludes.to_rsync_patterns(source).into_iter();
    patterns
        .map(|pattern| format!("--exclude={pattern}").into())
        .collect()
}

fn scratch() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join("src")).unwrap();
    fs::create_dir(root.path().join("dst")).unwrap();
    root
}

fn readable(paths: &BTreeSet<Vec<u8>>) -> Vec<String> {
    paths
        .iter()
        .map(|path| path.escape_ascii().to_string())
        .collect()
}

#[test]
fn the_table_holds_for_us() {
    let cases = cases();
    assert!(cases.len() >= 80, "{} cases", cases.len());
    let mut wrong = Vec::new();
    for case in &cases {
        let left = left_by_us(
            &case.tree,
            &Excludes::new(&case.patterns).unwrap(),
            StoredPath::root(),
        );
        if left != case.left {
            wrong.push(format!("{}\n    left: {:?}", case.line, readable(&left)));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        cases.len(),
        wrong.join("\n")
    );
}

#[test]
fn the_table_holds_for_rsync() {
    if rsync_is_missing("the_table_holds_for_rsync") {
        return;
    }
    let mut wrong = Vec::new();
    for case in &cases() {
        let root = scratch();
        build(&case.tree, &root.path().join("src"));
        let arguments = arguments(&Excludes::new(&case.patterns).unwrap(), StoredPath::root());
        let left = left_by_rsync(root.path(), &arguments);
        if left != case.left {
            wrong.push(format!("{}\n    left: {:?}", case.line, readable(&left)));
        }
    }
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn random_patterns_leave_what_rsync_leaves() {
    leave_the_same(
        "random_patterns_leave_what_rsync_leaves",
        StoredPath::root(),
        random_pattern,
    );
}

#[test]
fn full_paths_leave_what_rsync_leaves_below_the_source() {
    let pattern = |dice: &mut Dice, paths: &[&str]| {
        let head = HEADS[dice.below(HEADS.len())];
        let below = random_pattern(dice, paths);
        format!("{head}{}", below.trim_start_matches('/'))
    };
    leave_the_same(
        "full_paths_leave_what_rsync_leaves_below_the_source",
        StoredPath::new(b"home/ann"),
        pattern,
    );
}

/// Has rsync and our matcher leave out what random patterns match.
fn leave_the_same(name: &str, source: &StoredPath, pattern: impl Fn(&mut Dice, &[&str]) -> String) {
    if rsync_is_missing(name) {
        return;
    }
    let number = |name, default| std::env::var(name).map_or(default, |text| text.parse().unwrap());
    let rounds = number("PATTERN_ROUNDS", 400);
    let mut dice = Dice(number("PATTERN_SEED", 2026));
    let mut tree = Tree::new();
    FOREST
        .split_ascii_whitespace()
        .for_each(|entry| plant(&mut tree, entry));
    let root = scratch();
    build(&tree, &root.path().join("src"));
    let paths: Vec<&str> = tree
        .keys()
        .filter_map(|path| str::from_utf8(path).ok())
        .collect();

    let mut patterns = BTreeSet::new();
    while patterns.len() < rounds as usize {
        let pattern = pattern(&mut dice, &paths);
        if Pattern::parse(&pattern).is_ok() {
            patterns.insert(pattern);
        }
    }
    // Nearly all the time goes to starting rsync, so several are started at once.
    let patterns: Vec<String> = patterns.into_iter().collect();
    let (tree, root) = (&tree, root.path());
    let answers: Vec<(bool, Option<String>)> = std::thread::scope(|scope| {
        let ask = |share: &[String]| -> Vec<_> {
            share
                .iter()
                .map(|pattern| compare(pattern, source, tree, root))
                .collect()
        };
        let shares: Vec<_> = (patterns.chunks(patterns.len().div_ceil(4)))
            .map(|share| scope.spawn(move || ask(share)))
            .collect();
        shares
            .into_iter()
            .flat_map(|share| share.join().unwrap())
            .collect()
    });
    let telling = answers.iter().filter(|(telling, _)| *telling).count();
    let wrong: Vec<String> = answers.into_iter().filter_map(|(_, wrong)| wrong).collect();
    eprintln!("{rounds} patterns, {telling} of them match some paths and not all");
    assert!(
        wrong.is_empty(),
        "{} of {rounds}:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert!(
        telling * 3 > patterns.len(),
        "only {telling} patterns match some paths and not all"
    );
}

/// Whether the pattern excludes some of the tree and not all, and how rsync disagrees about it.
fn compare(pattern: &str, source: &StoredPath, tree: &Tree, root: &Path) -> (bool, Option<String>) {
    let excludes = Excludes::new(&[pattern]).unwrap();
    let ours = left_by_us(tree, &excludes, source);
    let theirs = left_by_rsync(root, &arguments(&excludes, source));
    let wrong = (ours != theirs).then(|| {
        format!(
            "{pattern}\n    only we leave {:?}\n    only rsync leaves {:?}",
            readable(&(&ours - &theirs)),
            readable(&(&theirs - &ours))
        )
    });
    (!ours.is_empty() && ours.len() < tree.len(), wrong)
}

#[test]
fn what_rsync_would_not_exclude_is_refused() {
    for (text, said) in [
        ("", "must not be empty"),
        ("!", "forget the patterns before it; write \"- !\""),
        ("+ foo", "takes for an include; write \"- + foo\""),
        ("+ ", "takes for an include"),
        ("- ", "names nothing"),
        ("a\0b", "NUL byte"),
        (
            &"a".repeat(4096),
            "has 4096 bytes, and rsync takes at most 4095",
        ),
        (&format!("{}/", "a".repeat(4095)), "at most 4095"),
    ] {
        let error = Pattern::parse(text).unwrap_err();
        assert_eq!(error.pattern(), text);
        assert!(error.to_string().contains(said), "{error}");
        assert!(!error.to_string().contains('\n'), "{error}");
    }
    let longest = "a".repeat(4095);
    for text in [
        longest.as_str(),
        &format!("- {longest}"),
        "- !",
        "!/",
        " ",
        "\n",
        "-",
        "+",
        "/",
    ] {
        assert_eq!(Pattern::parse(text).unwrap().as_str(), text);
    }
    let error = Excludes::new(&["fine", "+ foo", "!"]).unwrap_err();
    assert_eq!(error.pattern(), "+ foo");
}

/// The same, seen from rsync: what is refused is no exclude there either.
#[test]
fn what_is_refused_is_no_exclude_to_rsync() {
    if rsync_is_missing("what_is_refused_is_no_exclude_to_rsync") {
        return;
    }
    let mut tree = Tree::new();
    ["foo", "!", "+%20foo", "a/+%20"]
        .iter()
        .for_each(|entry| plant(&mut tree, entry));
    let root = scratch();
    build(&tree, &root.path().join("src"));
    let everything: BTreeSet<_> = tree.keys().cloned().collect();
    let left = |arguments: &[&str]| {
        let arguments: Vec<OsString> = arguments.iter().map(OsString::from).collect();
        left_by_rsync(root.path(), &arguments)
    };
    assert_eq!(left(&["--exclude="]), everything);
    assert_eq!(left(&["--exclude=foo", "--exclude=!"]), everything);
    assert_eq!(left(&["--exclude=+ foo"]), everything);
    assert_eq!(left(&["--exclude=+ foo", "--exclude=foo"]), everything);
    assert_ne!(left(&["--exclude=foo"]), everything);
}

#[test]
fn the_index_is_that_of_the_first_match() {
    let excludes = Excludes::new(&["*.tmp", "a.*", "/top/"]).unwrap();
    assert_eq!(excludes.matches(b"x/a.tmp", false), Some(0));
    assert_eq!(excludes.matches(b"x/a.b", false), Some(1));
    assert_eq!(excludes.matches(b"top", true), Some(2));
    assert_eq!(excludes.matches(b"top", false), None);
    assert_eq!(excludes.matches(b"x/top", true), None);
    assert!(!excludes.is_empty());
    assert_eq!(excludes.patterns()[2].as_str(), "/top/");
    let none = Excludes::new(&[""; 0]).unwrap();
    assert!(none.is_empty() && none.matches(b"x", false).is_none());
    // The source itself stays, whatever the pattern.
    for text in ["*", "**", "***", "/***", "/", "*/"] {
        assert_eq!(
            Excludes::new(&[text]).unwrap().matches(b"", true),
            None,
            "{text}"
        );
    }
}

/// Patterns that make a backtracking matcher try for years. Each byte is read once, so this is
/// over in a moment even without optimisation.
#[test]
fn hostile_patterns_take_no_time() {
    let name = "a".repeat(255);
    let deep = vec!["a".repeat(50); 80].join("/");
    let started = Instant::now();
    for (piece, times) in [
        ("a*", 100),
        ("a**", 100),
        ("*?", 60),
        ("**/*a", 60),
        ("[a-z]*", 600),
    ] {
        for end in ["b", "[b]", "/b", "\\b*c"] {
            let pattern = format!("{}{end}", piece.repeat(times));
            let excludes = Excludes::new(&[&pattern]).unwrap();
            for path in [&name, &deep] {
                assert_eq!(excludes.matches(path.as_bytes(), true), None, "{pattern}");
            }
        }
    }
    let taken = started.elapsed();
    assert!(taken < Duration::from_secs(2), "{taken:?}");
}

/// Patterns of 64 items and more take another path through the code than short ones; padded with
/// sets that match one byte, they must do the same.
#[test]
fn long_patterns_do_what_short_ones_do() {
    let long = |items: usize| (format!("x{}", "[x]".repeat(items - 1)), "x".repeat(items));
    for items in [1, 61, 62, 63, 64, 65, 126, 127, 128, 129, 200] {
        let (pattern, text) = long(items);
        for (pattern, path, is_dir, wanted) in [
            (format!("{pattern}*"), format!("d/{text}"), false, true),
            (
                format!("{pattern}*"),
                format!("d/{}", &text[1..]),
                false,
                false,
            ),
            (format!("{pattern}?"), format!("{text}y"), false, true),
            (format!("{pattern}?"), format!("{text}yy"), false, false),
            (
                format!("{pattern}**y"),
                format!("d/{text}/a/y"),
                false,
                true,
            ),
            (
                format!("{pattern}**y"),
                format!("d/a{text}/a/y"),
                false,
                false,
            ),
            (
                format!("{pattern}**y"),
                format!("d/a/{text}z"),
                false,
                false,
            ),
            (format!("{pattern}*/y"), format!("d/{text}a/y"), false, true),
            (
                format!("{pattern}*/y"),
                format!("d/{text}/a/y"),
                false,
                false,
            ),
            (format!("{pattern}/***"), text.clone(), true, true),
            (format!("{pattern}/***"), text.clone(), false, false),
            (format!("**/{pattern}*"), format!("{text}z"), false, true),
        ] {
            let got = Excludes::new(&[&pattern])
                .unwrap()
                .matches(path.as_bytes(), is_dir);
            assert_eq!(got.is_some(), wanted, "{items}: {pattern} {path}");
        }
    }
}
