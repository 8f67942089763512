//! Names that the destination cannot hold, or takes for one: stored under others, given back as they
//! were, and never written over each other.

use std::{ffi::OsStr, fs, os::unix::ffi::OsStrExt as _, path::Path};

use serde_json::json;
use test_support::{entry_names, id_of, read_by_format_page};

use crate::{
    fuse::{Errno, How, Lacks},
    nas::{FIRST, Nas, SECOND, THIRD, same_inode, skipped},
};

fn folding() -> Lacks {
    Lacks {
        case: true,
        ..Lacks::default()
    }
}

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// The paths below the source that a snapshot lists as problems, each with its message.
fn problems(nas: &Nas, now: &str) -> Vec<(String, String)> {
    let source = format!("{}/", nas.world.source().display());
    let record = nas.record(now);
    let relative = |path: &str| path.strip_prefix(&source).unwrap_or(path).to_owned();
    let problems = record.problems.into_iter();
    problems
        .map(|one| (relative(&one.path), one.message))
        .collect()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The names in a folder that stand for others.
fn marked(folder: &Path) -> Vec<String> {
    let all = entry_names(folder).into_iter();
    all.filter(|name| name.contains('~')).collect()
}

#[test]
fn of_names_that_differ_only_in_case_the_first_keeps_its_own_and_all_come_back() {
    if skipped("of_names_that_differ_only_in_case_the_first_keeps_its_own_and_all_come_back") {
        return;
    }
    let nas = Nas::empty(folding(), &json!({}));
    let all = [
        ("README", "loud"),
        ("Readme", "mild"),
        ("readme", "soft"),
        ("Docs/a", "in Docs"),
        ("docs/b", "in docs"),
        ("\u{c9}t\u{e9}", "loud summer"),
        ("\u{e9}t\u{e9}", "soft summer"),
        ("other", "another"),
    ];
    for (name, text) in all {
        write(&nas.source(name), text);
    }
    fs::hard_link(nas.source("other"), nas.source("OTHER")).unwrap();
    std::os::unix::fs::symlink("target", nas.source("ReadMe")).unwrap();
    for (turn, now) in [FIRST, SECOND].into_iter().enumerate() {
        if turn == 1 {
            // Known now, so it is told before.
            let plan = nas.plan(now);
            let wanted = "cannot hold the names of 6 entries";
            assert!(plan.contains(wanted), "no `{wanted}` in {plan}");
        }
        nas.apply(now, 0);
        assert_eq!(problems(&nas, now), []);
        assert_eq!(nas.record(now).totals.renamed, 6);
        assert_eq!(read(&nas.stored(now, "README")), "loud");
        assert_eq!(read(&nas.stored(now, "Docs/a")), "in Docs");
        assert_eq!(entry_names(&nas.stored(now, "Docs")), ["a"]);
        assert_eq!(marked(&nas.stored(now, "")).len(), 6);
        nas.verify(now, 0);
        let restored = nas.restore(now, 0);
        for (name, text) in all {
            assert_eq!(read(&restored.join(name)), text, "{name}");
        }
        assert_eq!(read(&restored.join("OTHER")), "another");
        // The manifest holds what needs no entry.
        assert_eq!(
            fs::read_link(restored.join("ReadMe")).unwrap(),
            Path::new("target")
        );
        // A single one, and what is in a folder that stands under another name.
        for (path, text) in [("readme", "soft"), ("docs/b", "in docs")] {
            let one = nas.restore_path(now, path, 0);
            assert_eq!(read(&one), text, "{path}");
        }
    }
    for stored in ["README", &marked(&nas.stored(FIRST, ""))[0]] {
        let kept = same_inode(&nas.stored(FIRST, stored), &nas.stored(SECOND, stored));
        assert!(kept, "{stored} was copied again");
    }
    // Who knows the page on formats and no more finds each under its safe name.
    if let Some(read) = read_by_format_page("safe names", "destination", &nas.world.host()) {
        let told = read.expect(0).json();
        assert_eq!(told["snapshots"][id_of(SECOND)]["renamed"], 6);
    }
    nas.tidy();
}

#[test]
fn a_continued_run_gives_no_name_the_content_of_another_spelling() {
    if skipped("a_continued_run_gives_no_name_the_content_of_another_spelling") {
        return;
    }
    let mut tried = 0;
    for changes in (60..160).step_by(5) {
        let nas = Nas::empty(folding(), &json!({}));
        for (name, text) in [("d/README", "loud"), ("d/x", "x"), ("d/y/Z", "z")] {
            write(&nas.source(name), text);
        }
        nas.faults().fail_after(changes, Errno::EIO);
        let failed = nas.world.apply(FIRST).code != 0;
        nas.faults().heal();
        if !failed {
            break;
        }
        tried += 1;
        fs::rename(nas.source("d/README"), nas.source("d/readme")).unwrap();
        write(&nas.source("d/Readme"), "mild");
        fs::rename(nas.source("d/y"), nas.source("d/Y")).unwrap();
        nas.apply(SECOND, 0);
        let record = entry_names(&nas.world.host().join(".backup/snapshots"));
        let id = record.last().unwrap();
        let at = nas.world.host().join("daily").join(id);
        let at = if at.is_dir() {
            at
        } else {
            nas.world.host().join("monthly").join(id)
        };
        let source = nas.world.source();
        let at = at.join(source.strip_prefix("/").unwrap()).join("d");
        let twin = marked(&at).pop().unwrap();
        assert!(twin.starts_with("readme~"), "{twin}");
        let expected = ["Readme", "Y", &twin, "x"];
        assert_eq!(entry_names(&at), expected, "after {changes}");
        assert_eq!(read(&at.join("Readme")), "mild");
        assert_eq!(read(&at.join(&twin)), "loud");
        assert_eq!(read(&at.join("Y/Z")), "z");
    }
    assert!(tried > 3, "only {tried} runs were interrupted");
}

#[test]
fn names_that_cannot_be_held_are_stored_under_others_and_come_back() {
    if skipped("names_that_cannot_be_held_are_stored_under_others_and_come_back") {
        return;
    }
    let lacks = Lacks {
        name_max: 143,
        forbidden: b":?\n",
        any_bytes: true,
        name_ends: true,
        ..Lacks::default()
    };
    let nas = Nas::empty(lacks, &json!({}));
    let long = "n".repeat(144);
    let odd: [&[u8]; 9] = [
        b"a:b",
        b"why?",
        b"two\nlines",
        b"\xff\xfe",
        b"ends with a dot.",
        b"ends with a blank ",
        long.as_bytes(),
        b"folder: two/inside",
        b"folder: two/in:side",
    ];
    let path = |name: &[u8]| nas.source("").join(OsStr::from_bytes(name));
    for name in odd {
        write(
            &path(name),
            &format!("of {}", schema::escape::display(name)),
        );
    }
    write(&nas.source("ends with a dot"), "not the one with the dot");
    std::os::unix::fs::symlink("target", nas.source("link: three")).unwrap();
    for name in ["good", "good folder/good", &"n".repeat(143)] {
        write(&nas.source(name), name);
    }
    for now in [FIRST, SECOND] {
        nas.apply(now, 0);
        assert_eq!(problems(&nas, now), []);
        nas.verify(now, 0);
        let kept = read(&nas.stored(now, "ends with a dot"));
        assert_eq!(kept, "not the one with the dot");
        let restored = nas.restore(now, 0);
        for name in odd {
            let text = read(&restored.join(OsStr::from_bytes(name)));
            assert_eq!(text, format!("of {}", schema::escape::display(name)));
        }
        for name in ["good", "good folder/good", &"n".repeat(143)] {
            assert_eq!(read(&restored.join(name)), name);
        }
        assert_eq!(
            fs::read_link(restored.join("link: three")).unwrap(),
            Path::new("target")
        );
        let count = |folder: &Path| fs::read_dir(folder).unwrap().count();
        assert_eq!(count(&restored), count(&nas.source("")));
    }
    let can = nas.destination().capabilities;
    assert_eq!((can.names.refused.as_str(), can.name_max), (":?", 143));
    assert!(can.names.no_control && can.names.only_utf8 && can.names.no_dot_or_blank_at_end);
    let plan = nas.plan(THIRD);
    for said in [
        "cannot hold the names of 10 entries",
        "cannot hold names with `:`, `?`, control characters",
    ] {
        assert!(plan.contains(said), "no `{said}` in {plan}");
    }
    nas.tidy();
}

#[test]
fn damage_in_a_file_under_another_name_is_found_and_repaired_there() {
    if skipped("damage_in_a_file_under_another_name_is_found_and_repaired_there") {
        return;
    }
    let lacks = Lacks {
        forbidden: b":",
        ..Lacks::default()
    };
    let nas = Nas::empty(lacks, &json!({}));
    write(&nas.source("a:b/c:d"), "as it was");
    nas.apply(FIRST, 0);
    let folder = marked(&nas.stored(FIRST, "")).pop().unwrap();
    let file = marked(&nas.stored(FIRST, &folder)).pop().unwrap();
    let stored = nas.stored(FIRST, &format!("{folder}/{file}"));
    let modified = stored.metadata().unwrap().modified().unwrap();
    fs::write(&stored, "as it WAS").unwrap();
    fs::File::open(&stored)
        .unwrap()
        .set_modified(modified)
        .unwrap();
    nas.verify(FIRST, 3).says("c:d");
}

#[test]
fn a_source_in_a_folder_whose_name_cannot_be_held_is_stored_with_the_others() {
    if skipped("a_source_in_a_folder_whose_name_cannot_be_held_is_stored_with_the_others") {
        return;
    }
    let lacks = Lacks {
        forbidden: b":",
        ..Lacks::default()
    };
    let mut nas = Nas::empty(lacks, &json!({}));
    write(&nas.source("a:b/c/file"), "in the odd one");
    write(&nas.source("good/file"), "kept");
    let sources = [nas.source("a:b/c"), nas.source("good")];
    nas.world.configure(&json!({ "sources": sources }));
    nas.apply(FIRST, 0);
    assert_eq!(read(&nas.stored(FIRST, "good/file")), "kept");
    let one = nas.restore_path(FIRST, "a:b/c/file", 0);
    assert_eq!(read(&one), "in the odd one");
}

#[test]
fn a_destination_that_became_case_insensitive_is_never_written_over() {
    if skipped("a_destination_that_became_case_insensitive_is_never_written_over") {
        return;
    }
    let mut nas = Nas::empty(Lacks::default(), &json!({}));
    write(&nas.source("first"), "first");
    nas.apply(FIRST, 0);
    assert!(nas.destination().capabilities.case_sensitive);
    nas.mount_with(folding());
    write(&nas.source("README"), "loud");
    write(&nas.source("readme"), "soft");
    write(&nas.source("Docs/a"), "in Docs");
    write(&nas.source("docs/a"), "in docs");
    // What was found out of it says otherwise: nothing is given another's name all the same.
    nas.apply(SECOND, 3).says("hint");
    let listed: Vec<String> = problems(&nas, SECOND)
        .into_iter()
        .map(|one| one.0)
        .collect();
    // Of two whichever is made first has the name, for threads make them; the other is told.
    for [one, other] in [["Docs", "docs"], ["README", "readme"]] {
        let is_told = |name: &str| listed.iter().any(|told| told == name);
        assert_ne!(is_told(one), is_told(other), "{listed:?}");
        let kept = if is_told(one) { other } else { one };
        let inside = if one == "Docs" { "/a" } else { "" };
        let path = format!("{kept}{inside}");
        assert_eq!(read(&nas.stored(SECOND, &path)), read(&nas.source(&path)));
    }
    assert_eq!(listed.len(), 2);
}

#[test]
fn a_file_that_is_too_large_is_listed_and_the_rest_is_complete() {
    if skipped("a_file_that_is_too_large_is_listed_and_the_rest_is_complete") {
        return;
    }
    let lacks = Lacks {
        file_max: 1 << 20,
        owners: How::Ignored,
        ..Lacks::default()
    };
    let nas = Nas::empty(lacks, &json!({}));
    write(&nas.source("small"), "small");
    fs::write(nas.source("large"), vec![b'x'; (1 << 20) + 1]).unwrap();
    let told = nas.apply(FIRST, 3).says("hint").in_one_line();
    assert!(told.contains("cannot hold so large a file"), "{told}");
    assert_eq!(entry_names(&nas.stored(FIRST, "")), ["small"]);
}
