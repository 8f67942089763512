//! `restore` of several paths, by pattern, in place, as of a time, for oneself.

use std::{
    fs,
    os::unix::{
        fs::{MetadataExt as _, PermissionsExt as _},
        process::CommandExt as _,
    },
    path::Path,
    process::Stdio,
};

use crate::lab::{
    Lab, PROGRAM, contents_below, entry_names, everything_below, id_of, is_installed, run_command,
    skip, step_outcome,
};

const FIRST: &str = "2025-03-05T02:00:00+01:00";
const SECOND: &str = "2025-03-06T02:00:00+01:00";

/// A lab with two snapshots: in the second the letter is another one.
fn two_snapshots() -> Lab {
    let lab = Lab::new();
    lab.write("home/ann/a.jpg", "a\n");
    lab.write("home/ann/x*y.jpg", "star\n");
    lab.write("home/bob/b.jpg", "b\n");
    lab.backup(FIRST);
    lab.write("home/ann/letter.txt", "dear all, again\n");
    lab.backup(SECOND);
    lab
}

fn read(lab: &Lab, path: &str) -> String {
    fs::read_to_string(lab.path(path)).unwrap()
}

#[test]
fn several_paths_come_into_the_folder_under_their_own_names() {
    let lab = two_snapshots();
    lab.write("out/mine.txt", "mine\n");
    fs::set_permissions(lab.path("out"), fs::Permissions::from_mode(0o711)).unwrap();
    let (letter, notes) = (lab.text("home/ann/letter.txt"), lab.text("home/bob/notes"));
    let told = lab.run(&["restore", "latest", &letter, &notes, "out"]);
    told.expect(0).says("read back and found as recorded");
    assert_eq!(
        entry_names(&lab.path("out")),
        ["letter.txt", "mine.txt", "notes"]
    );
    assert_eq!(read(&lab, "out/letter.txt"), "dear all, again\n");
    assert_eq!(
        contents_below(&lab.path("out/notes")),
        contents_below(&lab.path("home/bob/notes"))
    );
    // The folder is not what they came from.
    assert_eq!(fs::metadata(lab.path("out")).unwrap().mode() & 0o777, 0o711);
    // Once more there is nothing to do.
    lab.run(&["restore", "latest", &letter, &notes, "out"])
        .expect(0);
    assert_eq!(
        entry_names(&lab.path("out")),
        ["letter.txt", "mine.txt", "notes"]
    );
}

#[test]
fn a_pattern_means_what_is_in_the_snapshot_and_not_what_is_there_now() {
    let lab = two_snapshots();
    fs::remove_file(lab.path("home/ann/a.jpg")).unwrap();
    fs::create_dir(lab.path("out")).unwrap();
    let pattern = lab.text("home/ann/*.jpg");
    let dry = ["restore", "latest", &pattern, "out", "--dry-run"];
    lab.run(&dry)
        .expect(0)
        .says("only a.jpg, photo.jpg, x*y.jpg");
    assert_eq!(entry_names(&lab.path("out")), [""; 0]);
    lab.run(&["restore", "latest", &pattern, "out"]).expect(0);
    assert_eq!(
        entry_names(&lab.path("out")),
        ["a.jpg", "photo.jpg", "x*y.jpg"]
    );
    // A name that is there as it is written is no pattern, and the target becomes it.
    let star = lab.text("home/ann/x*y.jpg");
    lab.run(&["restore", "latest", &star, "star"]).expect(0);
    assert_eq!(read(&lab, "star"), "star\n");
    // In several folders at once.
    let all = lab.text("home/*/*.jpg");
    lab.run(&["restore", "latest", &all, "all"]).expect(0);
    assert_eq!(
        entry_names(&lab.path("all")),
        ["a.jpg", "b.jpg", "photo.jpg", "x*y.jpg"]
    );
    let none = lab.text("home/ann/*.png");
    lab.run(&["restore", "latest", &none, "out"])
        .expect(4)
        .hints("backup find");
}

#[test]
fn patterns_serve_folders_without_a_manifest_too() {
    let lab = two_snapshots();
    let old = lab.stored("daily/2019-05-01/home/carla");
    fs::create_dir_all(&old).unwrap();
    for name in ["a.txt", "b.txt", "c.png"] {
        fs::write(old.join(name), name).unwrap();
    }
    let pattern = ["restore", "daily/2019-05-01", "/home/carla/*.txt", "out"];
    lab.run(&pattern).expect(0);
    assert_eq!(entry_names(&lab.path("out")), ["a.txt", "b.txt"]);
}

#[test]
fn two_entries_of_one_name_are_refused() {
    let lab = two_snapshots();
    lab.write("home/ann/list.md", "- bread\n");
    lab.backup("2025-03-07T02:00:00+01:00");
    let all = lab.text("home/**/list.md");
    lab.run(&[
        "restore",
        "latest",
        &all,
        &lab.text("home/ann/list.md"),
        "out",
    ])
    .expect(4)
    .says("would both become list.md")
    .hints("different targets");
    assert!(!lab.path("out").exists());
}

#[test]
fn with_several_nothing_begins_unless_all_of_it_can_be_done() {
    let lab = two_snapshots();
    lab.write("out/b.jpg", "another\n");
    let before = everything_below(&lab.path("out"));
    let (a, b) = (lab.text("home/ann/a.jpg"), lab.text("home/bob/b.jpg"));
    lab.run(&["restore", "latest", &a, &b, "out"])
        .expect(4)
        .says("b.jpg")
        .hints("--overwrite");
    assert_eq!(everything_below(&lab.path("out")), before);
    lab.run(&["restore", "latest", &a, &b, "out", "--overwrite"])
        .expect(0);
    assert_eq!(entry_names(&lab.path("out")).len(), 3);
    assert_eq!(read(&lab, "out/b.jpg"), "b\n");
}

#[test]
fn in_place_puts_things_back_and_keeps_the_old_aside() {
    let lab = two_snapshots();
    fs::remove_file(lab.path("home/ann/a.jpg")).unwrap();
    let (first, ann) = (id_of(FIRST), lab.text("home/ann"));
    let before = everything_below(&lab.path("home"));
    // Nobody is there to agree.
    lab.run(&["restore", "--in-place", &first, &ann])
        .expect(4)
        .says("create 2 entries")
        .says("letter.txt")
        .hints("--yes");
    assert_eq!(everything_below(&lab.path("home")), before);
    lab.run(&["restore", "--in-place", "--yes", &first, &ann])
        .expect(0)
        .says("keep 1 aside as NAME.before-")
        .says("restored as shown");
    assert_eq!(read(&lab, "home/ann/letter.txt"), "dear all\n");
    assert_eq!(read(&lab, "home/ann/a.jpg"), "a\n");
    let all = entry_names(&lab.path("home/ann"));
    let aside: Vec<&String> = all
        .iter()
        .filter(|name| name.contains(".before-"))
        .collect();
    assert_eq!(aside.len(), 1, "{all:?}");
    assert_eq!(
        read(&lab, &format!("home/ann/{}", aside[0])),
        "dear all, again\n"
    );
}

#[test]
fn in_place_by_pattern_touches_nothing_else() {
    let lab = two_snapshots();
    for path in ["home/ann/a.jpg", "home/bob/b.jpg", "home/ann/letter.txt"] {
        lab.write(path, "spoilt\n");
    }
    let pattern = lab.text("home/*/?.jpg");
    let mode = fs::metadata(lab.path("home/ann")).unwrap().mode();
    lab.run(&["restore", "--in-place", "--yes", "latest", &pattern])
        .expect(0);
    assert_eq!(read(&lab, "home/ann/a.jpg"), "a\n");
    assert_eq!(read(&lab, "home/bob/b.jpg"), "b\n");
    assert_eq!(read(&lab, "home/ann/letter.txt"), "spoilt\n");
    assert_eq!(fs::metadata(lab.path("home/ann")).unwrap().mode(), mode);
    assert!(!lab.path("home/ann/.backup-restore-unfinished").exists());
}

#[test]
fn a_person_at_a_terminal_is_asked() {
    if !is_installed("script") {
        return skip("script(1) of bsdutils is not installed");
    }
    let lab = two_snapshots();
    let (first, letter) = (id_of(FIRST), lab.text("home/ann/letter.txt"));
    for (answer, expected) in [("n", "dear all, again\n"), ("y", "dear all\n")] {
        let inner = lab.command(&["restore", "--in-place", &first, &letter]);
        let words: Vec<String> = std::iter::once(PROGRAM.to_owned())
            .chain(
                inner
                    .get_args()
                    .map(|word| word.to_str().unwrap().to_owned()),
            )
            .collect();
        let mut script = lab.bare("/bin/sh");
        // The answer waits in the terminal until it is read.
        let line = format!(
            "echo {answer} | script -qec '{}' /dev/null",
            words.join(" ")
        );
        script.args(["-c", &line]).stdin(Stdio::null());
        let told = run_command(script, &["restore --in-place"]);
        assert!(told.stdout.contains("[y/N]"), "{told}");
        assert_eq!(read(&lab, "home/ann/letter.txt"), expected, "{told}");
    }
}

#[test]
fn as_of_takes_the_newest_that_is_not_younger() {
    let lab = two_snapshots();
    let letter = lab.text("home/ann/letter.txt");
    for (at, (when, expected)) in [
        ("2025-03-05", "dear all\n"),
        ("2025-03-06 01:59", "dear all\n"),
        ("2025-03-06 02:00", "dear all, again\n"),
        ("yesterday", "dear all, again\n"),
        ("2 weeks ago", "dear all, again\n"),
    ]
    .into_iter()
    .enumerate()
    {
        let target = format!("restored{at}");
        lab.run(&["restore", "--as-of", when, &letter, &target])
            .expect(0)
            .says(&format!("as of {when}"));
        assert_eq!(read(&lab, &target), expected, "{when}");
    }
    let early = ["restore", "--as-of", "2025-03-04", &letter, "new"];
    lab.run(&early)
        .expect(4)
        .says(&format!("the oldest is {}", id_of(FIRST)));
    for never in ["tomorrow", "2999-01-01", "the day it broke"] {
        let told = lab.run(&["restore", "--as-of", never, &letter, "new"]);
        told.expect(2).hints("2 weeks ago");
    }
    assert!(!lab.path("new").exists());
}

#[test]
fn what_was_written_is_read_back_unless_that_is_not_wanted() {
    let lab = two_snapshots();
    let home = lab.text("home");
    let report = lab.run(&["restore", "latest", &home, "new", "--json"]);
    let report = report.expect(0).json();
    let message = step_outcome(&report, "restore")["message"]
        .as_str()
        .unwrap();
    assert!(message.contains("6 files read back"), "{message}");
    // What was there already was not written, so it is not read. What was changed within the
    // last moment might have been.
    std::thread::sleep(std::time::Duration::from_millis(200));
    fs::remove_file(lab.path("new/ann/a.jpg")).unwrap();
    lab.run(&["restore", "latest", &home, "new"])
        .expect(0)
        .says("1 file read back");
    let told = lab.run(&["restore", "latest", &home, "other", "--no-read-back"]);
    assert!(!told.expect(0).all().contains("read back"));
}

/// Who owns nothing on any system.
const NOBODY: u32 = 65534;

fn as_nobody(lab: &Lab, arguments: &[&str]) -> crate::lab::Ran {
    let mut command = lab.bare(lab.path("backup"));
    command
        .args(arguments)
        .arg("--config")
        .arg(lab.path("config.json"));
    command.uid(NOBODY).gid(NOBODY);
    run_command(command, arguments)
}

#[test]
fn a_user_restores_own_files_from_what_root_backed_up_and_is_kept_from_others() {
    if !nix::unistd::geteuid().is_root() {
        return skip("only root can make a backup that is not the user's");
    }
    let mut lab = Lab::short();
    lab.set("local.readableByUsers", true);
    fs::copy(PROGRAM, lab.path("backup")).unwrap();
    let chown = |path: &str| {
        std::os::unix::fs::chown(lab.path(path), Some(NOBODY), Some(NOBODY)).unwrap();
    };
    for path in ["home/bob", "home/bob/notes", "home/bob/notes/list.md"] {
        chown(path);
    }
    fs::create_dir(lab.path("user")).unwrap();
    chown("user");
    let secret = lab.path("home/ann/letter.txt");
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    for open in ["", "mnt"] {
        let mode = fs::Permissions::from_mode(0o755);
        fs::set_permissions(lab.path(open), mode).unwrap();
    }
    lab.backup(FIRST);
    let bob = lab.text("home/bob");
    let target = lab.text("user/back");
    for snapshot in ["latest", &id_of(FIRST)] {
        as_nobody(&lab, &["restore", snapshot, &bob, &target]).expect(0);
        assert_eq!(
            contents_below(Path::new(&target)),
            contents_below(&lab.path("home/bob"))
        );
    }
    // The permissions of the file itself decide.
    let secret = secret.to_str().unwrap();
    let stolen = lab.text("user/stolen");
    let told = as_nobody(&lab, &["restore", "latest", secret, &stolen]);
    assert_ne!(told.code, 0, "{told}");
    assert!(!lab.path("user/stolen").exists());
    as_nobody(&lab, &["list"]).expect(0).says(&id_of(FIRST));
}

#[test]
fn as_me_makes_everything_mine() {
    if !nix::unistd::geteuid().is_root() {
        return skip("only root can store files of others");
    }
    let lab = Lab::new();
    let letter = lab.path("home/ann/letter.txt");
    std::os::unix::fs::chown(&letter, Some(1234), Some(5678)).unwrap();
    fs::set_permissions(&letter, fs::Permissions::from_mode(0o4755)).unwrap();
    lab.backup(FIRST);
    let ann = lab.text("home/ann");
    let of = |path: &str| {
        let of = fs::metadata(lab.path(path)).unwrap();
        (of.uid(), of.gid(), of.mode() & 0o7777)
    };
    lab.run(&["restore", "latest", &ann, "as-recorded"])
        .expect(0);
    assert_eq!(of("as-recorded/letter.txt"), (1234, 5678, 0o4755));
    lab.run(&["restore", "latest", &ann, "mine", "--as-me"])
        .expect(0);
    // Nobody gets the rights of another by that.
    assert_eq!(of("mine/letter.txt"), (0, 0, 0o755));
    // Once more there is nothing that differs.
    let again = ["restore", "latest", &ann, "mine", "--as-me"];
    lab.run(&again).expect(0).says("restored 0 entries");
}
