//! Where what is restored goes, and where it does not.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, symlink},
    path::Path,
    process::Command,
};

use executor::{
    event::Stop,
    restore::{Choice, RecordedSnapshot, Request, check_room, plan_restore},
};
use schema::journal::Status;
use test_support::skip;

use crate::lab::{
    Lab, SUFFIX, as_root, context, dir, documents, names, picture, read, refused, write,
};

#[test]
fn the_target_becomes_the_folder_and_nothing_nests() {
    let lab = Lab::new(documents);
    let target = lab.out("docs");
    let step = lab.plan("/home/ann/docs", &target, false).unwrap();
    assert_eq!((step.creates, step.already_there), (7, 0));
    assert_eq!(step.bytes, 14);
    assert!(!target.exists(), "planning wrote");
    assert_eq!(lab.run(&step).unwrap().status, Status::Succeeded);
    assert_eq!(picture(&target), picture(&lab.tree().join("home/ann/docs")));

    // The same with the folder already there, named with a slash, the path without one.
    let again = lab.out("docs/");
    lab.good("home/ann/docs/", &again);
    assert!(!target.join("docs").exists());
    assert_eq!(picture(&target), picture(&lab.tree().join("home/ann/docs")));
}

#[test]
fn a_file_becomes_the_target_file() {
    let lab = Lab::new(documents);
    let target = lab.out("copy of letter");
    lab.good("/home/ann/docs/letter", &target);
    assert_eq!(read(&target), "dear bob");
    assert_eq!(names(&lab.out("")), ["copy of letter"]);
    assert_eq!(target.metadata().unwrap().mtime(), 1_600_000_000);
}

#[test]
fn a_symlink_is_restored_as_a_symlink() {
    let lab = Lab::new(documents);
    lab.good("/home/ann/docs/deep/link", &lab.out("link"));
    assert_eq!(
        fs::read_link(lab.out("link")).unwrap(),
        Path::new("../letter")
    );
}

#[test]
fn the_whole_snapshot_can_be_restored() {
    let lab = Lab::new(documents);
    for (path, target) in [("/", "a"), (".", "b")] {
        lab.good(path, &lab.out(target));
        assert_eq!(picture(&lab.out(target)), picture(&lab.tree()));
    }
}

#[test]
fn a_file_does_not_go_into_a_folder_unasked() {
    let lab = Lab::new(documents);
    let target = lab.out("there");
    fs::create_dir(&target).unwrap();
    for overwrite in [false, true] {
        let (message, hint) = refused(lab.plan("/home/ann/docs/letter", &target, overwrite));
        assert!(message.contains("is a folder"), "{message}");
        assert!(hint.contains("there/letter"), "{hint}");
    }
}

#[test]
fn a_folder_does_not_replace_a_file() {
    let lab = Lab::new(documents);
    write(&lab.out("there"), "mine");
    for overwrite in [false, true] {
        refused(lab.plan("/home/ann/docs", &lab.out("there"), overwrite));
    }
    assert_eq!(read(&lab.out("there")), "mine");
}

#[test]
fn the_folder_that_holds_the_target_must_be_there() {
    let lab = Lab::new(documents);
    let (message, hint) = refused(lab.plan("/home/ann/docs", &lab.out("no/where"), false));
    assert!(message.contains("is not there"), "{message}");
    assert!(hint.contains("mkdir -p"), "{hint}");
    assert!(!lab.out("no").exists());
}

#[test]
fn what_was_backed_up_through_a_symlink_is_restored_through_it() {
    let lab = Lab::new(|tree| {
        write(&tree.join("var/foo/state"), "good");
        write(&tree.join("var/bar/state"), "good too");
    });
    // As systemd has it for a service with a user of its own.
    for name in ["foo", "bar"] {
        fs::create_dir_all(lab.out("var/private").join(name)).unwrap();
        let link = lab.out("var").join(name);
        symlink(format!("private/{name}"), link).unwrap();
    }
    write(&lab.out("var/private/foo/state"), "bad");
    let restore = |path: &str, target: &Path, through: &[&str]| {
        let home_folder = format!("daily/{}", lab.id);
        let request = Request {
            from: &RecordedSnapshot::new(&lab.store, Some(lab.id)),
            home_folder: &home_folder,
            tree: dir(&lab.tree()),
            path: Path::new(path),
            target,
            overwrite: true,
            aside_suffix: SUFFIX.into(),
            choice: Choice {
                read_back: true,
                ..Choice::default()
            },
            through: through.iter().map(|one| one.as_bytes().to_vec()).collect(),
        };
        let stop = Stop::default();
        let step = plan_restore(&request, &context(&stop)).unwrap();
        let outcome = lab.run(&step).unwrap();
        assert_eq!(outcome.status, Status::Succeeded, "{outcome:?}");
        outcome
    };
    let links = || ["foo", "bar"].map(|name| fs::read_link(lab.out("var").join(name)).is_ok());
    let outcome = restore("var", &lab.out("var"), &["", "bar", "foo"]);
    assert!(outcome.message.contains("2 files read back"), "{outcome:?}");
    assert_eq!(links(), [true, true]);
    assert_eq!(read(&lab.out("var/private/foo/state")), "good");
    assert_eq!(read(&lab.out("var/private/bar/state")), "good too");

    write(&lab.out("var/private/foo/state"), "bad again");
    restore("var/foo", &lab.out("var/foo"), &[""]);
    assert_eq!(links(), [true, true]);
    assert_eq!(read(&lab.out("var/private/foo/state")), "good");

    // Nobody said that this one is to be followed.
    restore("var/foo", &lab.out("var/foo"), &[]);
    assert_eq!(links(), [false, true]);
    assert_eq!(read(&lab.out("var/foo/state")), "good");
}

#[test]
fn a_target_that_is_a_symlink_is_a_conflict() {
    let lab = Lab::new(documents);
    fs::create_dir(lab.out("elsewhere")).unwrap();
    symlink("elsewhere", lab.out("docs")).unwrap();
    for target in ["docs", "docs/"] {
        let step = lab.plan("/home/ann/docs", &lab.out(target), false).unwrap();
        assert_eq!(step.conflicts, ["."]);
        let (_, hint) = refused(lab.run(&step));
        assert!(hint.contains("symlink points to"), "{hint}");
    }
    lab.restore("/home/ann/docs", &lab.out("docs"), true)
        .unwrap();
    assert_eq!(names(&lab.out("elsewhere")), Vec::<String>::new());
    assert_eq!(read(&lab.out("docs/letter")), "dear bob");
}

#[test]
fn the_way_to_the_target_follows_only_trusted_symlinks() {
    if !as_root("the_way_to_the_target_follows_only_trusted_symlinks") {
        return;
    }
    let lab = Lab::new(documents);
    fs::create_dir(lab.out("real")).unwrap();
    symlink("real", lab.out("way")).unwrap();
    lab.good("/home/ann/docs", &lab.out("way/docs"));
    assert_eq!(read(&lab.out("real/docs/letter")), "dear bob");
    std::os::unix::fs::lchown(lab.out("way"), Some(1234), Some(1234)).unwrap();
    let (message, _) = refused(lab.plan("/home/ann/docs", &lab.out("way/more"), false));
    assert!(message.contains("symlink"), "{message}");
}

#[test]
fn the_destination_is_no_target() {
    let lab = Lab::new(documents);
    let inside = lab.tree().join("home/ann/docs");
    for target in [inside.clone(), inside.join("new"), lab.host()] {
        let (message, _) = refused(lab.plan("/home/ann/docs", &target, true));
        assert!(message.contains("destination"), "{message}");
    }
    // Nor is a folder that leads into it.
    let lab = Lab::new(|tree| write(&tree.join("mnt/host/daily/x"), "y"));
    let (message, _) = refused(lab.plan("/", lab.root.path(), false));
    assert!(message.contains("destination itself"), "{message}");
}

#[test]
fn a_path_that_is_not_there_is_refused_with_what_is() {
    let lab = Lab::new(|tree| {
        documents(tree);
        symlink("docs/deep", tree.join("home/ann/short")).unwrap();
    });
    let plan = |path| refused(lab.plan(path, &lab.out("t"), false));
    let (message, hint) = plan("/home/ann/Docs/letter");
    assert!(
        message.contains("/home/ann/Docs/letter is not in snapshot"),
        "{message}"
    );
    assert!(hint.contains("/home/ann/docs"), "{hint}");
    let (message, hint) = plan("home/ann/short/link");
    assert!(
        message.contains("/home/ann/short is a symlink to docs/deep"),
        "{message}"
    );
    assert!(hint.contains("/home/ann/docs/deep"), "{hint}");
    assert!(plan("/home/ann/docs/letter/x").0.contains("not a folder"));
    assert!(plan("/home/../etc").0.contains("`..`"));
    assert!(plan("/nothing/like/it").1.contains("/ is there"));
}

#[test]
fn a_target_without_room_is_refused_with_the_numbers() {
    if !as_root("a_target_without_room_is_refused_with_the_numbers") {
        return;
    }
    let lab = Lab::new(|tree| {
        write(&tree.join("x/big"), &"x".repeat(3 << 20));
        write(&tree.join("y/small"), "x");
        write(&tree.join("z/half"), &"x".repeat(600 << 10));
    });
    let target = lab.out("small");
    fs::create_dir(&target).unwrap();
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=1m", "none"])
        .arg(&target)
        .status();
    if !mounted.is_ok_and(|status| status.success()) {
        return skip("a_target_without_room_is_refused because nothing can be mounted");
    }
    let result = lab.restore("x", &target, false);
    let left = names(&target);
    // What has room goes to the file system that is mounted there.
    let fits = lab.restore("y", &target, false);
    let there = target.join("small").exists();
    // Two that fit each alone and not together.
    let half = |to: &str| lab.plan("z", &target.join(to), false).unwrap();
    let one = check_room(&lab.store, &[half("a")]);
    let both = check_room(&lab.store, &[half("a"), half("b")]);
    Command::new("umount").arg(&target).status().unwrap();
    let (message, hint) = refused(result);
    assert!(message.starts_with("insufficient space"), "{message}");
    assert!(
        message.contains("needs") && message.contains("free"),
        "{message}"
    );
    assert!(hint.contains("free space"), "{hint}");
    assert_eq!(fits.unwrap().status, Status::Succeeded);
    one.unwrap();
    let (message, _) = refused(both);
    assert!(message.starts_with("insufficient space"), "{message}");
    assert!(there && !target.join("small").exists());
    assert_eq!(left, Vec::<String>::new());
}
