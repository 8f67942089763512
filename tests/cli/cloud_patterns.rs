//! What is copied to the cloud without local snapshots is what the table of exclude patterns says,
//! case by case: the lists that rclone gets cannot differ from the matcher, nor the matcher from
//! rsync.

use std::{collections::BTreeSet, fs, os::unix::ffi::OsStrExt as _, path::Path};

use crate::cloud_live::{remote, there_is_rclone};

#[path = "../../schema/tests/table/mod.rs"]
mod table;

use table::{Case, Kind};

const NOW: &str = "2025-03-05T02:00:00+01:00";

/// Regular files below a folder, relative to it.
fn files(folder: &Path) -> BTreeSet<Vec<u8>> {
    let all = walkdir::WalkDir::new(folder).into_iter().flatten();
    let files = all.filter(|entry| entry.file_type().is_file());
    files
        .map(|entry| {
            let path = entry.path().strip_prefix(folder).unwrap();
            path.as_os_str().as_bytes().to_vec()
        })
        .collect()
}

/// What a case does otherwise than the table says.
fn wrong(case: &Case) -> Option<String> {
    let (mut lab, far) = remote();
    fs::create_dir(lab.path("tree")).unwrap();
    table::build(&case.tree, &lab.path("tree"));
    lab.set("local.sources", vec![lab.text("tree")]);
    lab.set("local.excludePatterns", case.patterns.clone());
    let regular = case
        .left
        .iter()
        .filter(|path| case.tree[*path] == Kind::File);
    // A remote's names are text: others are listed as not copied.
    let (text, odd): (BTreeSet<_>, BTreeSet<_>) = regular
        .cloned()
        .partition(|path| str::from_utf8(path).is_ok());
    let ran = lab.at(NOW, &["apply"]);
    let expected = if odd.is_empty() { 0 } else { 3 };
    let tree = lab.path("tree");
    let there = files(&far.join("current").join(tree.strip_prefix("/").unwrap()));
    if there == text && ran.code == expected {
        return None;
    }
    let readable = |paths: &BTreeSet<Vec<u8>>| -> Vec<String> {
        let paths = paths.iter();
        paths.map(|path| path.escape_ascii().to_string()).collect()
    };
    Some(format!(
        "{}\n    exit code {}\n    copied: {:?}\n    expected: {:?}\n{}",
        case.line,
        ran.code,
        readable(&there),
        readable(&text),
        ran.stderr
    ))
}

#[test]
fn the_table_of_patterns_holds_for_what_is_copied() {
    if !there_is_rclone("the_table_of_patterns_holds_for_what_is_copied") {
        return;
    }
    let mut cases = table::cases();
    // The table is rsync's, where the source is the root. What may stand for any folder stands for those
    // above the source, too, since a pattern is a full path as well.
    let stands_for_any = |one: &String| one.starts_with("/*") && one.contains("**");
    cases.retain(|case| !case.patterns.iter().any(stands_for_any));
    assert!(cases.len() >= 60, "{} cases", cases.len());
    // The matcher is compared with the whole table where it is; what it gives reaches rclone as lists of
    // names, for which some of the cases stand. Each is a run with several starts of rclone.
    if std::env::var_os("KILLS").is_none() {
        cases = cases.into_iter().step_by(12).collect();
    }
    let next = std::sync::atomic::AtomicUsize::new(0);
    let all = std::sync::Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    let Some(case) = cases.get(at) else { break };
                    let found = wrong(case);
                    all.lock().unwrap().extend(found);
                }
            });
        }
    });
    let all = all.into_inner().unwrap();
    assert!(
        all.is_empty(),
        "{} of {}:\n{}",
        all.len(),
        cases.len(),
        all.join("\n")
    );
}
