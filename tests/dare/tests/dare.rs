//! `./dare` finds nothing in some lives, and finds what is planted.

#![allow(clippy::unwrap_used, reason = "tests end at the first surprise")]

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use serde_json::json;
use test_support::{Ran, is_missing, read_json, run_command, skip};

/// Whether the built program stands where the harness looks for it.
fn is_built() -> bool {
    let program = Path::new(env!("CARGO_BIN_EXE_dare")).with_file_name("backup");
    if !program.exists() {
        skip(&format!("dare because {} is not built", program.display()));
    }
    program.exists()
}

fn dare(words: &[&str], plant: bool) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dare"));
    command.args(words);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    if plant {
        command.env("DARE_PLANT", "1");
    }
    run_command(command, words)
}

#[test]
fn some_lives_of_kills_and_failing_calls_lose_nothing() {
    if !is_built() {
        return;
    }
    let words = [
        "60", "--from", "10", "--lives", "12", "--nights", "2", "--cuts", "0",
    ];
    let ran = dare(&words, false).expect(0);
    assert!(ran.stdout.contains("lost: nothing"), "{ran}");
    let killed = ran
        .stdout
        .lines()
        .filter(|line| line.contains("  killed while it"));
    assert!(killed.count() >= 4, "hardly anything was tried: {ran}");
}

#[test]
fn sixty_cuts_of_the_power_lose_nothing_that_was_flushed() {
    let name = "sixty_cuts_of_the_power_lose_nothing_that_was_flushed";
    let tools = ["mkfs.ext4", "mkfs.xfs", "mkfs.btrfs", "rsync"];
    if !is_built() || is_missing(name, &tools, true) {
        return;
    }
    // One life on each file system, each with another deed.
    let words = [
        "60",
        "--from",
        "80",
        "--only-cuts",
        "--lives",
        "3",
        "--cuts",
        "20",
    ];
    let ran = dare(&words, false).expect(0);
    let cuts = ran
        .stdout
        .lines()
        .filter(|line| line.contains("20  cuts of the power of"));
    assert_eq!(cuts.count(), 3, "{ran}");
}

/// Each was found once and is lived again: `words` are those for `./dare`.
#[test]
fn lives_that_ever_went_wrong_go_well() {
    if !is_built() {
        return;
    }
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../seeds.json");
    for seed in read_json(&seeds).as_array().unwrap() {
        for key in ["words", "found", "mend"] {
            assert!(seed[key].is_string(), "{key} of {seed}");
        }
        let words: Vec<&str> = seed["words"].as_str().unwrap().split(' ').collect();
        dare(&words, false).expect(0);
    }
}

#[test]
fn the_table_of_a_page_has_the_sums_of_what_tests_have_noted() {
    let folder = tempfile::tempdir().unwrap();
    let (page, evidence) = (folder.path().join("page.md"), folder.path().join("noted"));
    let marks = [
        "<!-- from here on written by ./test --long -->",
        "<!-- until here -->",
    ];
    let old = format!("before\n{}\nold\n{}\nafter\n", marks[0], marks[1]);
    fs::write(&page, old).unwrap();
    let noted = [
        json!({ "what": "a kill", "times": 999, "of": null, "came_of": "nothing lost" }),
        json!({ "what": "a sweep", "times": 3, "of": 5, "came_of": "nothing lost" }),
        json!({ "what": "a kill", "times": 1, "of": null, "came_of": "lost: 1" }),
    ];
    fs::write(&evidence, noted.map(|line| format!("{line}\n")).concat()).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_dare"));
    command
        .env("BACKUP_EVIDENCE", &evidence)
        .arg("--page")
        .arg(&page);
    run_command(command, &["--page"]).expect(0);
    let text = fs::read_to_string(&page).unwrap();
    assert!(
        text.starts_with("before\n") && text.ends_with("after\n"),
        "{text}"
    );
    assert!(
        !text.contains("old") && marks.iter().all(|mark| text.contains(mark)),
        "{text}"
    );
    assert!(
        text.contains("| a kill | 1,000 | lost: 1; nothing lost |"),
        "{text}"
    );
    assert!(
        text.contains("| a sweep | 3 of 5 | nothing lost |"),
        "{text}"
    );
}

#[test]
fn a_byte_that_flips_behind_its_back_is_found_with_a_seed_that_finds_it_again() {
    if !is_built() {
        return;
    }
    let first = dare(
        &[
            "60", "--from", "8", "--lives", "1", "--nights", "2", "--cuts", "0",
        ],
        true,
    )
    .expect(1);
    assert!(first.stdout.contains("lost: 1"), "{first}");
    let lost = |ran: &Ran| {
        let lines = ran.stdout.lines();
        let lost = lines
            .map(str::trim)
            .find(|line| line.starts_with("seed 8: lost: "));
        lost.map(|line| line.split(" (after").next().unwrap().to_owned())
    };
    assert!(
        lost(&first).is_some_and(|line| line.contains("FAILED")),
        "{first}"
    );
    let again = first
        .stdout
        .lines()
        .find_map(|line| line.split("again: ./dare ").nth(1));
    let again: Vec<&str> = again.unwrap().split(' ').collect();
    assert_eq!(again, ["--seed", "8", "--nights", "2", "--cuts", "0"]);
    let second = dare(&again, true).expect(1);
    assert_eq!(lost(&first), lost(&second), "{second}");
}
