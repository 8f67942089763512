//! What is gone from the sources since the snapshot before: the same as a comparison of the two trees says.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::fs::MetadataExt as _,
    path::Path,
};

use serde_json::{Value, json};
use test_support::Random;

use crate::lab::{HOST, Lab, contents_below, is_installed};

const NIGHTS: [&str; 6] = [
    "2026-03-02T02:00:00Z",
    "2026-03-03T02:00:00Z",
    "2026-03-04T02:00:00Z",
    "2026-03-05T02:00:00Z",
    "2026-03-06T02:00:00Z",
    "2026-03-07T02:00:00Z",
];

/// A regular file of the sources: its inode and what is in it.
type Found = (u64, Vec<u8>);

fn files_below(folder: &Path) -> BTreeMap<String, Found> {
    let all = walkdir::WalkDir::new(folder).into_iter();
    let files = all.map(Result::unwrap);
    files
        .filter(|entry| entry.file_type().is_file())
        .map(|entry| {
            let path = entry.path();
            let inode = entry.metadata().unwrap().ino();
            let name = path.to_str().unwrap().to_owned();
            (name, (inode, fs::read(path).unwrap()))
        })
        .collect()
}

/// What is gone, told by comparing everything with everything: what has no path any more, and is at no path
/// at which it was not.
fn compare(old: &BTreeMap<String, Found>, new: &BTreeMap<String, Found>) -> BTreeSet<String> {
    let is_same =
        |one: &Found, other: &Found| one.1 == other.1 && (one.0 == other.0 || !one.1.is_empty());
    let moved_to = |path: &str, file: &Found| {
        new.iter().any(|(at, found)| {
            at != path && is_same(file, found) && old.get(at).is_none_or(|was| !is_same(was, found))
        })
    };
    let missing = old.iter().filter(|(path, _)| !new.contains_key(*path));
    let gone = missing.filter(|(path, file)| !moved_to(path, file));
    gone.map(|(path, _)| path.clone()).collect()
}

/// Deletes, moves, changes, replaces and adds files.
fn change(home: &Path, random: &mut Random, round: u64) {
    let paths: Vec<String> = files_below(home).into_keys().collect();
    for (number, path) in paths.iter().enumerate() {
        let path = Path::new(path);
        let folder = home.join(format!("folder{}", random.below(5)));
        let to = folder.join(format!("round{round}-{number}"));
        match random.below(10) {
            0 => fs::remove_file(path).unwrap(),
            1 => fs::rename(path, to).unwrap(),
            // As from another file system: another inode, with the time and the name of the old one.
            2 => {
                let time = path.metadata().unwrap().modified().unwrap();
                let to = to.with_extension(path.file_name().unwrap());
                fs::copy(path, &to).unwrap();
                let file = fs::File::options().write(true).open(&to).unwrap();
                file.set_modified(time).unwrap();
                fs::remove_file(path).unwrap();
            }
            3 => fs::write(path, random.bytes(50)).unwrap(),
            4 => {
                fs::remove_file(path).unwrap();
                fs::create_dir(path).unwrap();
                fs::write(path.join("inside"), random.bytes(20)).unwrap();
            }
            5 => {
                fs::remove_file(path).unwrap();
                std::os::unix::fs::symlink("nowhere", path).unwrap();
            }
            6 => fs::write(to, random.bytes(40)).unwrap(),
            _ => {}
        }
    }
}

fn told_of_plan(plan: &Value) -> Value {
    let steps = plan["steps"].as_array().unwrap();
    let mut made = steps.iter().map(|step| &step["action"]);
    let made = made.find(|action| action["kind"] == "snapshot").unwrap();
    made["expected"]["gone"].clone()
}

#[test]
fn both_engines_tell_what_a_comparison_of_the_trees_tells() {
    for use_rsync in [false, true] {
        if use_rsync && !is_installed("rsync") {
            continue;
        }
        let mut lab = Lab::new();
        lab.set("local.useRsync", use_rsync);
        let home = lab.path("home");
        let mut random = Random::from_environment(14);
        for number in 0..60 {
            let content = random.bytes(number % 40 + 1);
            let path = format!("home/folder{}/{number}", number % 5);
            lab.write(&path, "");
            fs::write(lab.path(&path), content).unwrap();
        }
        lab.write("home/empty", "");
        lab.backup(NIGHTS[0]);
        let mut old = files_below(&home);
        for (round, night) in (0..).zip(&NIGHTS[1..4]) {
            change(&home, &mut random, round);
            let new = files_below(&home);
            let gone = compare(&old, &new);
            assert!(!gone.is_empty(), "nothing is tried");
            let bytes: usize = gone.iter().map(|path| old[path].1.len()).sum();
            let plan = lab.at(night, &["plan", "--json"]).json();
            let told = told_of_plan(&plan);
            assert_eq!(told["files"], gone.len(), "{night} {told} {gone:#?}");
            assert_eq!(told["bytes"], bytes);
            let most_in = format!("{}/", told["most_in"].as_str().unwrap());
            let in_it = gone.iter().filter(|path| path.starts_with(&most_in));
            assert_eq!(told["most_files"], in_it.count(), "{told}");
            let report = lab.at(night, &["apply", "--json"]).expect(0).json();
            assert_eq!(report["snapshot"]["gone"], told);
            let list = lab.at(night, &["list", "--json"]).json();
            assert_eq!(list["snapshots"][0]["gone"], told);
            old = new;
        }
        // Nothing is said where nothing is gone.
        let plan = lab.at(NIGHTS[4], &["plan", "--json"]).json();
        assert_eq!(told_of_plan(&plan), Value::Null);
    }
}

#[test]
fn what_is_not_looked_at_any_more_is_not_gone() {
    let mut lab = Lab::new();
    let tag = "Signature: 8a477f597d28d172789f06886806bc55\n";
    for number in 0..5 {
        for folder in [
            "home/build",
            "home/deep/music",
            "home/ann/old",
            "disk",
            "other",
        ] {
            lab.write(&format!("{folder}/{number}"), &format!("{folder} {number}"));
        }
    }
    let sources = |names: &[&str]| -> Vec<String> {
        let paths = names.iter().map(|name| lab.path(name));
        paths
            .map(|path| path.to_str().unwrap().to_owned())
            .collect()
    };
    let (three, two) = (
        sources(&["home", "disk", "other"]),
        sources(&["home", "disk"]),
    );
    lab.set("local.sources", json!(three));
    lab.backup(NIGHTS[0]);
    // A pattern, a tag, a source that is not there, and one that is none any more.
    lab.set("local.excludePatterns", json!(["music"]));
    lab.write("home/build/CACHEDIR.TAG", tag);
    lab.set("local.sources", json!(two));
    fs::rename(lab.path("disk"), lab.path("away")).unwrap();
    let plan = lab.at(NIGHTS[1], &["plan", "--json"]).json();
    assert_eq!(told_of_plan(&plan), Value::Null, "{plan}");
    // What moved to where nothing is looked at is gone; what moved from there was never missed.
    let music = lab.path("home/deep/music/1");
    fs::rename(music, lab.path("home/found")).unwrap();
    fs::rename(lab.path("home/ann/old/1"), lab.path("home/deep/music/new")).unwrap();
    fs::remove_dir_all(lab.path("home/bob")).unwrap();
    let plan = lab.at(NIGHTS[1], &["plan", "--json"]).json();
    let home = lab.path("home").to_str().unwrap().to_owned();
    assert_eq!(
        told_of_plan(&plan),
        json!({"files": 2, "bytes": 21, "most_in": home, "most_files": 2})
    );
    // An emptied source is told of with all that was in it.
    fs::rename(lab.path("away"), lab.path("disk")).unwrap();
    lab.at(NIGHTS[1], &["apply"])
        .expect(0)
        .says("gone from the sources: 2 files (21 B)");
    for number in 0..5 {
        fs::remove_file(lab.path(format!("disk/{number}"))).unwrap();
    }
    let disk = format!(
        "all in {}/disk",
        lab.path("").to_str().unwrap().trim_end_matches('/')
    );
    lab.at(NIGHTS[2], &["plan"])
        .says("5 files (30 B) from the sources")
        .says(&disk);
    assert_eq!(contents_below(&lab.path("disk")).len(), 0);
    let host = lab.path("mnt").join(HOST);
    assert!(host.exists());
}
