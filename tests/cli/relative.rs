//! Every argument that takes a path: a relative one is of the current folder, and means what its whole
//! spelling means.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use serde_json::json;

use crate::lab::{Lab, PROGRAM, Ran, entry_names, everything_below, run_command};

const FIRST: &str = "2025-03-05T02:00:00+01:00";
const SECOND: &str = "2025-03-06T02:00:00+01:00";

/// Where a command stands, and how the shell calls that place.
struct Place {
    folder: PathBuf,
    called: PathBuf,
}

/// Places below `base`, each with spellings of `target` from there, which has a parent in `base`.
fn spellings(lab: &Lab, base: &str, target: &str) -> Vec<(Place, String)> {
    let at = |path: &str| lab.path(format!("{base}/{path}"));
    let place = |folder: &str| Place {
        folder: at(folder),
        called: at(folder),
    };
    fs::create_dir_all(at("beside/deep")).unwrap();
    if at("called").symlink_metadata().is_err() {
        symlink(at("beside"), at("called")).unwrap();
    }
    vec![
        (place(""), target.to_owned()),
        (place(""), format!("./{target}")),
        (place(""), format!("beside/../{target}")),
        (place("beside"), format!("../{target}")),
        (place("beside/deep"), format!(".././../{target}")),
        // Through a symlink: `..` is of the folder itself, as for every program.
        (
            Place {
                folder: at("called"),
                called: at("called"),
            },
            format!("../{target}"),
        ),
    ]
}

fn run_at(lab: &Lab, place: &Place, words: &[&str]) -> Ran {
    let mut command = lab.command(words);
    command.current_dir(&place.folder).env("PWD", &place.called);
    run_command(command, words)
}

/// The program without the lab's options, in a place.
fn run_bare_at(lab: &Lab, place: &Place, words: &[&str]) -> Ran {
    let mut command = lab.bare(PROGRAM);
    command.args(words);
    command.current_dir(&place.folder).env("PWD", &place.called);
    run_command(command, words)
}

/// What was said, without what another moment changes.
fn said(ran: &Ran) -> (i32, String) {
    let text = ran.all();
    let lines = text.lines().filter(|line| !line.contains("run 20"));
    (ran.code, lines.collect::<Vec<_>>().join("\n"))
}

/// A lab with two snapshots of `home`.
fn lab() -> Lab {
    let lab = Lab::new();
    lab.backup(FIRST);
    lab.write("home/ann/letter.txt", "dear all, again\n");
    lab.backup(SECOND);
    lab
}

#[test]
fn what_is_looked_up_in_snapshots_means_the_same_by_any_spelling() {
    let lab = lab();
    let letter = lab.text("home/ann/letter.txt");
    let home = Place {
        folder: lab.path("home"),
        called: lab.path("home"),
    };
    for (place, typed) in spellings(&lab, "home", "ann/letter.txt") {
        for words in [
            &["diff", "latest~1", "latest"][..],
            &["restore", "--dry-run", "--in-place", "latest"],
        ] {
            let whole = run_at(&lab, &home, &[words, &[&letter]].concat());
            let relative = run_at(&lab, &place, &[words, &[&typed]].concat());
            assert_eq!(said(&relative), said(&whole), "{words:?} {typed}");
        }
        // A pattern without a dot is the end of a path.
        if typed.starts_with('.') {
            let whole = run_at(&lab, &home, &["find", "--json", &letter])
                .expect(0)
                .json();
            let relative = run_at(&lab, &place, &["find", "--json", &typed])
                .expect(0)
                .json();
            assert_eq!(relative["paths"], whole["paths"], "find {typed}");
            assert_eq!(relative["paths"].as_array().unwrap().len(), 1);
        }
    }
    // The folder itself, and the one above it.
    for (place, typed) in [
        ("home/ann", "."),
        ("home/bob", "../ann"),
        ("home/ann/x/..", "."),
    ] {
        fs::create_dir_all(lab.path("home/ann/x")).unwrap();
        let place = Place {
            folder: lab.path(place),
            called: lab.path(place.trim_end_matches("/x/..")),
        };
        let ann = lab.text("home/ann");
        let whole = run_at(&lab, &home, &["diff", "latest~1", "latest", &ann]);
        let relative = run_at(&lab, &place, &["diff", "latest~1", "latest", typed]);
        assert_eq!(said(&relative), said(&whole), "{typed}");
    }
}

#[test]
fn in_a_snapshot_that_is_looked_at_a_path_is_the_one_in_it() {
    let lab = lab();
    let older = lab.stored("daily").join(crate::lab::id_of(FIRST));
    let older = if older.is_symlink() {
        fs::canonicalize(&older).unwrap()
    } else {
        older
    };
    let inside = older.join(lab.path("home/ann").strip_prefix("/").unwrap());
    let link = lab
        .stored("latest")
        .join(lab.path("home/ann").strip_prefix("/").unwrap());
    for (folder, called) in [(&inside, &inside), (&link, &link)] {
        let place = Place {
            folder: folder.clone(),
            called: called.clone(),
        };
        let back = lab.text("back");
        for typed in ["letter.txt", "./letter.txt", "../ann/letter.txt"] {
            run_at(&lab, &place, &["restore", "latest", typed, &back]).expect(0);
            assert_eq!(
                fs::read_to_string(&back).unwrap(),
                "dear all, again\n",
                "{typed}"
            );
            fs::remove_file(&back).unwrap();
        }
        run_at(&lab, &place, &["diff", "latest~1", "latest", "letter.txt"])
            .expect(0)
            .says("letter.txt");
        let found = run_at(&lab, &place, &["find", "--json", "./letter.txt"])
            .expect(0)
            .json();
        assert_eq!(found["paths"].as_array().unwrap().len(), 1, "{found}");
        // And so is its whole path there.
        let whole = folder.join("letter.txt");
        run_at(
            &lab,
            &place,
            &["restore", "latest", whole.to_str().unwrap(), &back],
        )
        .expect(0);
        assert_eq!(fs::read_to_string(&back).unwrap(), "dear all, again\n");
        fs::remove_file(&back).unwrap();
    }
}

#[test]
fn what_is_written_goes_to_the_same_place_by_any_spelling() {
    let lab = lab();
    let letter = lab.text("home/ann/letter.txt");
    lab.write("out/x", "");
    for (place, typed) in spellings(&lab, "out", "new") {
        let new = lab.path("out/new");
        let made = |words: &[&str]| {
            run_at(&lab, &place, words).expect(0);
            assert!(new.exists(), "{words:?} in {}", place.folder.display());
        };
        let clear = || match new.is_dir() {
            true => fs::remove_dir_all(&new).unwrap(),
            false => fs::remove_file(&new).unwrap(),
        };
        made(&["restore", "latest", &letter, &typed]);
        assert_eq!(fs::read_to_string(&new).unwrap(), "dear all, again\n");
        clear();
        made(&[
            "plan",
            "--out",
            &typed,
            "--now",
            "2025-03-07T02:00:00+01:00",
        ]);
        // What was saved is found there again.
        run_at(&lab, &place, &["apply", &typed, "--dry-run"]).expect(2);
        let named = run_at(&lab, &place, &["apply", &format!("{typed}.none")]).expect(2);
        named.says("new.none");
        clear();
        made(&["man", "--to", &typed]);
        assert!(new.join("backup.1").exists());
        clear();
        fs::create_dir(&new).unwrap();
        made(&["systemd-units", "--user", "--to", &typed]);
        assert!(new.join("backup.timer").exists() || new.join("backup.service").exists());
        clear();
        let more = [&*typed, "--to", &format!("{typed}.to")];
        fs::create_dir(&new).unwrap();
        fs::write(new.join("a file"), "x").unwrap();
        let told =
            run_bare_at(&lab, &place, &[&["try", "--dry-run"], &more[..]].concat()).expect(0);
        let told = told.all().replace(['\n', ' '], "");
        assert!(told.contains(&lab.text("out/new.to")), "{told}");
        assert!(!told.contains("/../"), "{told}");
        clear();
    }
}

#[test]
fn the_common_options_are_of_the_current_folder() {
    let lab = lab();
    let place = |folder: &str| Place {
        folder: lab.path(folder),
        called: lab.path(folder),
    };
    let whole = run_bare_at(
        &lab,
        &place(""),
        &[
            "status",
            "--config",
            &lab.text("config.json"),
            "--state-dir",
            &lab.text("state"),
        ],
    );
    for (at, dots) in [
        ("", "."),
        ("home", ".."),
        ("home/ann", "../.."),
        ("home/ann", "./../.."),
    ] {
        let config = format!("{dots}/config.json");
        let state = format!("{dots}/state");
        let words = ["status", "--config", &config, "--state-dir", &state];
        let relative = run_bare_at(&lab, &place(at), &words);
        assert_eq!(said(&relative), said(&whole), "{at} {dots}");
        run_bare_at(&lab, &place(at), &["check", &config]).expect(0);
        let mut command = lab.bare(PROGRAM);
        command.args(["check"]).env("BACKUP_CONFIG", &config);
        command.current_dir(lab.path(at));
        run_command(command, &["check"]).expect(0);
        let units = run_bare_at(
            &lab,
            &place(at),
            &[&["systemd-units", "--user"], &words[1..]].concat(),
        )
        .expect(0);
        // A unit takes no path with dots.
        assert!(units.stdout.contains(&lab.text("config.json")), "{units}");
        assert!(!units.stdout.contains("/.."), "{units}");
        let logs = format!("{dots}/logs");
        let mut words = words.to_vec();
        words[0] = "apply";
        words.extend(["--log-dir", &logs, "--now", SECOND]);
        run_bare_at(&lab, &place(at), &words);
        assert!(!entry_names(&lab.path("logs")).is_empty());
        fs::remove_dir_all(lab.path("logs")).unwrap();
    }
}

#[test]
fn a_first_configuration_has_whole_paths() {
    let lab = Lab::new();
    lab.write("more/file", "x");
    symlink(lab.path("more"), lab.path("home/link")).unwrap();
    for (at, mount_point, source, config) in [
        ("", "mnt", "home", "new/config.json"),
        ("home", "../mnt", ".", "../new/config.json"),
        ("home/ann", "../../mnt", "..", "./../../new/config.json"),
        // `..` is of where the symlink leads to.
        (
            "home",
            "link/../mnt",
            "link/../home",
            "link/../new/config.json",
        ),
        ("home/link", "../mnt", "../home", "../new/config.json"),
    ] {
        let place = Place {
            folder: lab.path(at),
            called: lab.path(at),
        };
        let words = [
            "setup",
            "--mount-point",
            mount_point,
            "--source",
            source,
            "--schedule",
            "none",
            "--engine",
            "builtin",
            "--config",
            config,
        ];
        run_bare_at(&lab, &place, &words).expect(3);
        let written = crate::lab::read_json(&lab.path("new/config.json"));
        assert_eq!(
            written["local"]["mountPoint"],
            json!(lab.path("mnt")),
            "{at}"
        );
        assert_eq!(
            written["local"]["sources"],
            json!([lab.path("home")]),
            "{at}"
        );
        fs::remove_dir_all(lab.path("new")).unwrap();
    }
}

#[test]
fn folders_of_another_tool_are_adopted_by_any_spelling() {
    let lab = Lab::new();
    let stored = lab
        .text("mnt/old/2025-01-16")
        .trim_end_matches('/')
        .to_owned();
    let letter = format!("{stored}{}", lab.text("home/ann/letter.txt"));
    fs::create_dir_all(Path::new(&letter).parent().unwrap()).unwrap();
    fs::write(&letter, "old\n").unwrap();
    let whole = lab
        .run(&["adopt", "--dry-run", &lab.text("mnt/old")])
        .expect(0);
    let before = everything_below(&lab.path("mnt/old"));
    for (place, typed) in spellings(&lab, "mnt", "old") {
        let relative = run_at(&lab, &place, &["adopt", "--dry-run", &typed]);
        assert_eq!(said(&relative), said(&whole), "{typed}");
    }
    assert_eq!(everything_below(&lab.path("mnt/old")), before);
    // Where their content was is a path of this machine as well.
    let at = |place: &str, typed: &str| {
        let place = Place {
            folder: lab.path(place),
            called: lab.path(place),
        };
        let words = [
            "adopt",
            "--dry-run",
            &lab.text("mnt/old"),
            "--at",
            typed,
            "--json",
        ];
        run_at(&lab, &place, &words).expect(0).json()
    };
    let whole = at("", &lab.text("home"));
    for (place, typed) in [
        ("home", "."),
        ("", "home"),
        ("home/ann", ".."),
        ("mnt", "../home"),
    ] {
        assert_eq!(at(place, typed), whole, "{typed}");
    }
}
