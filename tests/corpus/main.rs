//! What fuzz/ has collected is replayed, by the same functions that libFuzzer calls: what was once found
//! stays mended, on any compiler. `./test --nightly` looks for more.

#![allow(
    clippy::expect_used,
    clippy::print_stderr,
    missing_docs,
    reason = "tests end at the first surprise and say where they were"
)]

#[path = "../../fuzz/targets.rs"]
mod targets;

use std::{collections::BTreeSet, fs, path::PathBuf};

use targets::TARGETS;

/// A folder of fuzz/.
fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz")
        .join(name)
}

/// The names in a folder of fuzz/, without an ending.
fn names(name: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(folder(name)).expect("a folder of fuzz/");
    let stem = |entry: fs::DirEntry| {
        let path = PathBuf::from(entry.file_name());
        path.file_stem().map(|stem| stem.to_string_lossy().into())
    };
    entries.filter_map(|entry| stem(entry.ok()?)).collect()
}

#[test]
fn each_target_has_a_program_and_a_corpus() {
    let known: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(names("fuzz_targets"), known);
    assert_eq!(names("corpus"), known);
    let manifest = fs::read_to_string(folder("Cargo.toml")).expect("fuzz/Cargo.toml");
    for name in &known {
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{name}");
    }
}

#[test]
fn whatever_was_collected_is_read_as_it_must_be() {
    for (name, _) in TARGETS {
        let corpus = fs::read_dir(folder("corpus").join(name)).expect("a corpus");
        let mut count = 0;
        for file in corpus {
            let path = file.expect("a file of the corpus").path();
            eprintln!("{}", path.display());
            targets::run(name, &fs::read(&path).expect("a file of the corpus"));
            count += 1;
        }
        assert!(count >= 8, "{name} has a corpus of {count}");
    }
}

#[test]
fn what_is_cut_or_altered_anywhere_is_read_as_it_must_be() {
    for (name, _) in TARGETS {
        let corpus = fs::read_dir(folder("corpus").join(name)).expect("a corpus");
        for file in corpus {
            let path = file.expect("a file of the corpus").path();
            let whole = fs::read(&path).expect("a file of the corpus");
            // At a few places of each.
            let step = (whole.len() / 16).max(1);
            for at in (0..whole.len()).step_by(step) {
                eprintln!("{} at {at}", path.display());
                targets::run(name, &whole[..at]);
                let mut altered = whole.clone();
                altered[at] ^= 1 << (at % 8);
                targets::run(name, &altered);
                altered.remove(at);
                targets::run(name, &altered);
                altered.splice(at..at, whole[at..].iter().take(40).copied());
                targets::run(name, &altered);
            }
        }
    }
}
