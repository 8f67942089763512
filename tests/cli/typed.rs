//! Paths as people type them, and places that symlinks lead to.

use std::{
    ffi::OsStr,
    fs,
    os::unix::{ffi::OsStrExt as _, fs::symlink},
    path::Path,
};

use serde_json::json;

use crate::lab::{Lab, Ran, entry_names, id_of, run_command};

const FIRST: &str = "2025-03-05T02:00:00+01:00";
const SECOND: &str = "2025-03-06T02:00:00+01:00";

/// Runs the program in a folder of the lab, as a shell does that calls the folder so.
fn run_in(lab: &Lab, folder: &Path, called: &Path, arguments: &[&str]) -> Ran {
    let mut command = lab.command(arguments);
    command.current_dir(folder).env("PWD", called);
    run_command(command, arguments)
}

fn read(path: impl AsRef<Path>) -> String {
    fs::read_to_string(path).unwrap()
}

#[test]
fn a_relative_path_is_of_the_folder_that_the_user_stands_in() {
    let lab = Lab::new();
    lab.backup(FIRST);
    lab.write("home/ann/letter.txt", "dear all, again\n");
    lab.backup(SECOND);
    let (ann, bob) = (lab.path("home/ann"), lab.path("home/bob"));
    let run = |folder: &Path, arguments: &[&str]| run_in(&lab, folder, folder, arguments);
    let back = lab.text("back");
    for (folder, path) in [
        (&ann, "letter.txt"),
        (&ann, "./letter.txt"),
        (&bob, "../ann/letter.txt"),
    ] {
        run(folder, &["restore", "latest", path, &back]).expect(0);
        assert_eq!(read(&back), "dear all, again\n", "{path}");
        fs::remove_file(&back).unwrap();
    }
    // The target is of this folder, too; and a pattern.
    run(&ann, &["restore", "latest~1", "letter.txt", "old.txt"]).expect(0);
    assert_eq!(read(ann.join("old.txt")), "dear all\n");
    run(&ann, &["restore", "latest", "*.txt", &back]).expect(0);
    assert_eq!(entry_names(Path::new(&back)), ["letter.txt"]);
    // From the root, as manifests have it, where that is not in this folder.
    let from_root = lab.text("home/ann/letter.txt");
    run(&bob, &["restore", "latest", &from_root[1..], "copy"]).expect(0);

    let told = run(&ann, &["restore", "latest", "lettre.txt", "x"]).expect(4);
    let whole = lab.text("home/ann/lettre.txt");
    assert!(told.all().replace(['\n', ' '], "").contains(&whole));
    // Nothing but this folder is meant by a dot.
    let outside = lab.path("state");
    run(&outside, &["restore", "latest", ".", &lab.text("all")]).expect(4);

    let diff = run(&ann, &["diff", "latest~1", "latest", "letter.txt"]).expect(0);
    diff.says("letter.txt");
    let diff = run(&bob, &["diff", "latest~1", "latest", "."]).expect(0);
    assert!(!diff.all().contains("letter.txt"), "{}", diff.all());
    run(&ann, &["find", "./letter.txt"])
        .expect(0)
        .says(&whole.replace("lettre", "letter"));
    let none = run(&bob, &["find", "./letter.txt"]).expect(0);
    none.says("no path");
}

#[test]
fn a_folder_is_known_by_the_name_that_the_shell_has_for_it() {
    let mut lab = Lab::new();
    symlink(lab.path("home"), lab.path("called")).unwrap();
    lab.set("local.sources", json!([lab.path("called")]));
    lab.backup(FIRST);
    let real = lab.path("home/ann");
    let called = lab.path("called/ann");
    let back = lab.text("back");
    run_in(
        &lab,
        &real,
        &called,
        &["restore", "latest", "letter.txt", &back],
    )
    .expect(0);
    assert_eq!(read(&back), "dear all\n");
    // What the environment says counts only where it is so.
    let wrong = lab.path("home/bob");
    run_in(
        &lab,
        &real,
        &wrong,
        &["restore", "latest", "letter.txt", "x"],
    )
    .expect(4);
}

#[test]
fn a_source_that_is_a_symlink_is_restored_through_it_where_it_is() {
    let mut lab = Lab::new();
    lab.write("var/private/foo/state", "good\n");
    symlink("private/foo", lab.path("var/foo")).unwrap();
    lab.set(
        "local.sources",
        json!([lab.path("home"), lab.path("var/foo")]),
    );
    lab.backup(FIRST);
    let goes_through = |words: &[&str]| {
        lab.write("var/private/foo/state", "spoilt\n");
        fs::write(lab.path("home/ann/letter.txt"), "spoilt\n").unwrap();
        lab.run(words).expect(0);
        assert_eq!(
            fs::read_link(lab.path("var/foo")).unwrap(),
            Path::new("private/foo"),
            "{words:?}"
        );
        assert_eq!(
            read(lab.path("var/private/foo/state")),
            "good\n",
            "{words:?}"
        );
    };
    let (foo, var) = (lab.text("var/foo"), lab.text("var"));
    let all = lab.text("");
    let all = all.trim_end_matches('/');
    goes_through(&["restore", "latest", &foo, "--in-place", "--yes"]);
    goes_through(&["restore", "latest", &var, "--in-place", "--yes"]);
    goes_through(&["restore", "latest", all, "--in-place", "--yes"]);
    goes_through(&["restore", "latest", &foo, &foo, "--overwrite"]);
    goes_through(&[
        "restore",
        "latest",
        &format!("{foo}/state"),
        "--in-place",
        "--yes",
    ]);
    assert_eq!(read(lab.path("home/ann/letter.txt")), "spoilt\n");
    // Elsewhere it is a folder like any other.
    lab.run(&["restore", "latest", &foo, "elsewhere"]).expect(0);
    assert_eq!(read(lab.path("elsewhere/state")), "good\n");
}

#[test]
fn names_that_are_no_text_are_found_as_they_are_restored() {
    let lab = Lab::new();
    let name = OsStr::from_bytes(b"caf\xe9.txt");
    let path = lab.path("home/ann").join(name);
    fs::write(&path, "one").unwrap();
    lab.backup(FIRST);
    fs::write(&path, "two!").unwrap();
    lab.backup(SECOND);
    let with = |words: &[&str], path: &OsStr, more: &[&str]| {
        let mut command = lab.command(words);
        command.arg(path).args(more);
        run_command(command, words)
    };
    with(&["restore", "latest"], path.as_os_str(), &["back"]).expect(0);
    assert_eq!(read(lab.path("back")), "two!");
    for words in [&["find", "-F"][..], &["find"], &["find", "-i"]] {
        for path in [path.as_os_str(), name] {
            let found = with(words, path, &[]).expect(0);
            found.says(&id_of(FIRST)).says(&id_of(SECOND)).says("caf");
        }
    }
    let json = with(&["find", "--json"], name, &[]).expect(0).json();
    assert_eq!(json["paths"].as_array().unwrap().len(), 1);
    let found = with(&["diff", "latest~1", "latest"], path.as_os_str(), &[]);
    found.expect(0).says("caf");
    let pattern = OsStr::from_bytes(b"/**/caf\xe9*");
    with(&["restore", "latest"], pattern, &["several"]).expect(0);
    assert_eq!(read(lab.path("several").join(name)), "two!");
}

#[test]
fn a_restore_says_which_snapshot_it_took() {
    let lab = Lab::new();
    lab.backup(FIRST);
    lab.backup(SECOND);
    let letter = lab.text("home/ann/letter.txt");
    let second = format!("daily/{}", id_of(SECOND));
    for words in [
        &["restore", "latest", &letter, "a"][..],
        &["restore", "2025-03-06", &letter, "b"],
        &["restore", "--as-of", "2025-03-06 12:00", &letter, "c"],
        &["restore", "latest", &letter, "d", "--dry-run"],
    ] {
        lab.run(words).expect(0).says(&second);
    }
    let report = lab
        .run(&["restore", "latest", &letter, "e", "--json"])
        .expect(0)
        .json();
    assert!(report.to_string().contains(&second), "{report}");
}
