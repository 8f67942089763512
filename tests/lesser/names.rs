//! Names that the destination cannot hold, or takes for one: told, never lost without a word, and
//! never written over each other.

use std::{ffi::OsStr, fs, os::unix::ffi::OsStrExt as _, path::Path};

use serde_json::json;

use crate::{
    fuse::{Errno, How, Lacks},
    nas::{FIRST, Nas, SECOND, THIRD, names, same_inode, skipped, words},
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

#[test]
fn of_names_that_differ_only_in_case_the_first_is_stored_and_the_others_are_listed() {
    if skipped("of_names_that_differ_only_in_case_the_first_is_stored_and_the_others_are_listed") {
        return;
    }
    let nas = Nas::empty(folding(), &json!({}));
    for (name, text) in [
        ("README", "loud"),
        ("Readme", "mild"),
        ("readme", "soft"),
        ("Docs/a", "in Docs"),
        ("docs/b", "in docs"),
        ("\u{c9}t\u{e9}", "loud summer"),
        ("\u{e9}t\u{e9}", "soft summer"),
        ("other", "another"),
    ] {
        write(&nas.source(name), text);
    }
    fs::hard_link(nas.source("other"), nas.source("OTHER")).unwrap();
    std::os::unix::fs::symlink("target", nas.source("ReadMe")).unwrap();
    let expected = ["Readme", "docs", "other", "readme", "\u{e9}t\u{e9}"];
    for (turn, now) in [FIRST, SECOND].into_iter().enumerate() {
        if turn == 1 {
            // Known now, so it is told before.
            let plan = nas.plan(now);
            assert!(plan.contains("cannot hold 5 entries"), "{plan}");
            assert!(
                plan.contains("its name differs from README only in case"),
                "{plan}"
            );
        }
        let done = nas.apply(now, 3).says("hint");
        let told = words(&done);
        assert!(
            told.contains("its name differs from README only in case"),
            "{told}"
        );
        let mut listed: Vec<String> = problems(&nas, now).into_iter().map(|one| one.0).collect();
        listed.sort();
        assert_eq!(
            listed,
            expected.map(|name| schema::escape::display(name.as_bytes()))
        );
        assert_eq!(read(&nas.stored(now, "README")), "loud");
        assert_eq!(read(&nas.stored(now, "Docs/a")), "in Docs");
        assert_eq!(names(&nas.stored(now, "Docs")), ["a"]);
        assert_eq!(read(&nas.stored(now, "\u{c9}t\u{e9}")), "loud summer");
        let restored = nas.restore(now, 0);
        assert_eq!(read(&restored.join("README")), "loud");
        assert_eq!(read(&restored.join("OTHER")), "another");
        // The manifest holds what needs no entry.
        assert_eq!(
            fs::read_link(restored.join("ReadMe")).unwrap(),
            Path::new("target")
        );
    }
    assert!(same_inode(
        &nas.stored(FIRST, "README"),
        &nas.stored(SECOND, "README")
    ));
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
        let failed = nas.world.apply(FIRST).code != Some(0);
        nas.faults().heal();
        if !failed {
            break;
        }
        tried += 1;
        fs::rename(nas.source("d/README"), nas.source("d/readme")).unwrap();
        write(&nas.source("d/Readme"), "mild");
        fs::rename(nas.source("d/y"), nas.source("d/Y")).unwrap();
        nas.apply(SECOND, 3);
        let record = names(&nas.world.host().join(".backup/snapshots"));
        let id = record.last().unwrap();
        let at = nas.world.host().join("daily").join(id);
        let at = if at.is_dir() {
            at
        } else {
            nas.world.host().join("monthly").join(id)
        };
        let source = nas.world.source();
        let at = at.join(source.strip_prefix("/").unwrap()).join("d");
        assert_eq!(names(&at), ["Readme", "Y", "x"], "after {changes}");
        assert_eq!(read(&at.join("Readme")), "mild");
        assert_eq!(read(&at.join("Y/Z")), "z");
    }
    assert!(tried > 3, "only {tried} runs were interrupted");
}

#[test]
fn names_that_cannot_be_held_are_listed_and_the_rest_is_complete() {
    if skipped("names_that_cannot_be_held_are_listed_and_the_rest_is_complete") {
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
    let odd: [(&[u8], &str); 7] = [
        (b"a:b", "its name has `:`"),
        (b"why?", "its name has `?`"),
        (b"two\nlines", "its name has a control character"),
        (b"\xff\xfe", "its name is not UTF-8"),
        (b"ends with a dot.", "its name ends with a dot or blank"),
        (b"ends with a blank ", "its name ends with a dot or blank"),
        (long.as_bytes(), "its name has more than 143 bytes"),
    ];
    for (name, _) in odd {
        write(&nas.source("").join(OsStr::from_bytes(name)), "lost");
    }
    write(&nas.source("ends with a dot"), "not the one with the dot");
    write(&nas.source("folder: two/inside"), "lost");
    std::os::unix::fs::symlink("target", nas.source("link: three")).unwrap();
    for name in ["good", "good folder/good", &"n".repeat(143)] {
        write(&nas.source(name), name);
    }
    for now in [FIRST, SECOND] {
        nas.apply(now, 3).says("hint").says("its name has `:`");
        let problems = problems(&nas, now);
        for (name, why) in odd {
            let name = schema::escape::display(name);
            assert!(
                problems
                    .iter()
                    .any(|one| one.0 == name && one.1.contains(why)),
                "no {name} ({why}) in {problems:?}"
            );
        }
        let folder = problems.iter().find(|one| one.0 == "folder: two").unwrap();
        assert!(folder.1.contains("with all that is in it"), "{folder:?}");
        assert_eq!(problems.len(), odd.len() + 1, "{problems:?}");
        let kept = read(&nas.stored(now, "ends with a dot"));
        assert_eq!(kept, "not the one with the dot");
        let restored = nas.restore(now, 0);
        for name in ["good", "good folder/good", &"n".repeat(143)] {
            assert_eq!(read(&restored.join(name)), name);
        }
        assert_eq!(
            fs::read_link(restored.join("link: three")).unwrap(),
            Path::new("target")
        );
    }
    let can = nas.destination().capabilities;
    assert_eq!((can.names.refused.as_str(), can.name_max), (":?", 143));
    assert!(can.names.no_control && can.names.only_utf8 && can.names.no_dot_or_blank_at_end);
    let plan = nas.plan(THIRD);
    for said in [
        "cannot hold 8 entries",
        "cannot hold names with `:`, `?`, control characters",
    ] {
        assert!(plan.contains(said), "no `{said}` in {plan}");
    }
    // Left out, they are nobody's problem.
    let mut nas = nas;
    nas.world
        .configure(&json!({ "excludePatterns": ["*:*", "*[?]", "two*", "*[. ]", "\u{ff}*"] }));
    fs::remove_file(nas.source("").join(OsStr::from_bytes(b"\xff\xfe"))).unwrap();
    fs::remove_file(nas.source(&long)).unwrap();
    nas.apply(THIRD, 0);
    nas.tidy();
}

#[test]
fn a_source_in_a_folder_whose_name_cannot_be_held_does_not_keep_the_others_out() {
    if skipped("a_source_in_a_folder_whose_name_cannot_be_held_does_not_keep_the_others_out") {
        return;
    }
    let lacks = Lacks {
        forbidden: b":",
        ..Lacks::default()
    };
    let mut nas = Nas::empty(lacks, &json!({}));
    write(&nas.source("a:b/c/file"), "lost");
    write(&nas.source("good/file"), "kept");
    let sources = [nas.source("a:b/c"), nas.source("good")];
    nas.world.configure(&json!({ "sources": sources }));
    nas.apply(FIRST, 3).says("its name has `:`");
    assert_eq!(read(&nas.stored(FIRST, "good/file")), "kept");
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
    nas.apply(SECOND, 3).says("hint");
    let listed: Vec<String> = problems(&nas, SECOND)
        .into_iter()
        .map(|one| one.0)
        .collect();
    assert_eq!(listed, ["docs", "readme"]);
    assert_eq!(read(&nas.stored(SECOND, "README")), "loud");
    assert_eq!(read(&nas.stored(SECOND, "Docs/a")), "in Docs");
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
    let told = words(&nas.apply(FIRST, 3).says("hint"));
    assert!(told.contains("cannot hold so large a file"), "{told}");
    assert_eq!(names(&nas.stored(FIRST, "")), ["small"]);
}
