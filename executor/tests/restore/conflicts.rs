//! What is at the target already: left, put right, kept aside.

use std::{
    fs::{self, File},
    os::unix::fs::{MetadataExt as _, symlink},
    path::Path,
};

use executor::sys::attributes;
use schema::{journal::Status, plan::RestoreStep};

use crate::lab::{
    Lab, SUFFIX, documents, names, picture, read, refused, set_mode, set_time, write,
};

#[test]
fn running_twice_does_nothing_the_second_time() {
    let lab = Lab::new(documents);
    let target = lab.out("docs");
    let step = lab.plan("/home/ann/docs", &target, false).unwrap();
    lab.run(&step).unwrap();
    let before: Vec<_> = walkdir::WalkDir::new(&target)
        .into_iter()
        .map(|entry| entry.unwrap().path().symlink_metadata().unwrap().ino())
        .collect();
    let outcome = lab.run(&step).unwrap();
    assert!(
        outcome.message.contains("restored 0 entries"),
        "{}",
        outcome.message
    );
    let after: Vec<_> = walkdir::WalkDir::new(&target)
        .into_iter()
        .map(|entry| entry.unwrap().path().symlink_metadata().unwrap().ino())
        .collect();
    assert_eq!(before, after);
    let step = lab.plan("/home/ann/docs", &target, false).unwrap();
    assert_eq!((step.creates, step.already_there, step.bytes), (0, 7, 0));
}

#[test]
fn a_conflict_refuses_before_anything_changes() {
    let lab = Lab::new(documents);
    let target = lab.out("docs");
    write(&target.join("letter"), "my own words");
    let before = picture(&lab.out(""));
    let step = lab.plan("/home/ann/docs", &target, false).unwrap();
    assert_eq!(step.conflicts, ["letter"]);
    assert_eq!(step.conflict_count, 1);
    let (message, hint) = refused(lab.run(&step));
    assert!(message.contains("docs/letter"), "{message}");
    assert!(
        hint.contains("--overwrite") && hint.contains(SUFFIX),
        "{hint}"
    );
    assert_eq!(picture(&lab.out("")), before);
}

/// What a plan would put right, as `path (what)`.
fn put_right(step: &RestoreStep) -> Vec<String> {
    let all = step.put_right.iter();
    all.map(|one| format!("{} ({})", one.path, one.what))
        .collect()
}

#[test]
fn what_differs_in_metadata_only_is_told_and_put_right_where_it_is() {
    let lab = Lab::new(documents);
    let target = lab.out("docs");
    lab.good("/home/ann/docs", &target);
    let whole = picture(&target);
    let inode = |name: &str| target.join(name).metadata().unwrap().ino();
    let before = (inode("letter"), inode("empty"));
    set_time(&target.join("letter"), 1_700_000_000);
    set_mode(&target.join("letter"), 0o666);
    set_time(&target.join("empty"), 1_700_000_001);
    let file = File::open(target.join("deep/er/note")).unwrap();
    let has_attributes = attributes::set_fd(&file, b"user.mine", b"1").is_ok();
    let step = lab.plan("/home/ann/docs", &target, false).unwrap();
    let mut expected = vec!["empty (time)", "letter (mode, time)"];
    if has_attributes {
        expected.insert(0, "deep/er/note (attributes)");
    }
    assert_eq!(put_right(&step), expected);
    assert_eq!(step.conflict_count, 0);
    let touched = picture(&target);
    let (message, _) = refused(lab.run(&step));
    assert!(message.contains("docs/letter (mode, time)"), "{message}");
    assert_eq!(picture(&target), touched);

    let outcome = lab.restore("/home/ann/docs", &target, true).unwrap();
    assert_eq!(outcome.status, Status::Succeeded, "{outcome:?}");
    assert!(outcome.message.contains("were put right"), "{outcome:?}");
    assert_eq!(picture(&target), whole);
    assert_eq!(attributes::of_fd(&file).unwrap(), []);
    // Nothing was made anew or kept aside.
    assert_eq!((inode("letter"), inode("empty")), before);
    assert_eq!(names(&target), ["deep", "empty", "letter"]);
}

#[test]
fn damage_of_the_same_size_and_time_is_found_and_kept_aside() {
    let lab = Lab::new(documents);
    let target = lab.out("docs");
    lab.good("/home/ann/docs", &target);
    let whole = picture(&target);
    fs::write(target.join("letter"), "dear eve").unwrap();
    set_time(&target.join("letter"), 1_600_000_000);
    let mut step = lab.plan("/home/ann/docs", &target, false).unwrap();
    assert_eq!(step.conflicts, ["letter"]);
    refused(lab.run(&step));
    assert_eq!(read(&target.join("letter")), "dear eve");

    step.overwrite = true;
    step.read_back = true;
    let outcome = lab.run(&step).unwrap();
    assert_eq!(outcome.status, Status::Succeeded, "{outcome:?}");
    let aside = format!("letter{SUFFIX}");
    assert_eq!(names(&target), ["deep", "empty", "letter", &aside]);
    assert_eq!(read(&target.join(&aside)), "dear eve");
    fs::remove_file(target.join(&aside)).unwrap();
    lab.good("/home/ann/docs", &target);
    assert_eq!(picture(&target), whole);
}

#[test]
fn what_has_a_name_elsewhere_is_made_anew_and_not_changed() {
    let lab = Lab::new(documents);
    let target = lab.out("docs");
    lab.good("/home/ann/docs", &target);
    set_mode(&target.join("letter"), 0o600);
    fs::hard_link(target.join("letter"), lab.out("elsewhere")).unwrap();
    let outcome = lab.restore("/home/ann/docs", &target, true).unwrap();
    assert_eq!(outcome.status, Status::Succeeded, "{outcome:?}");
    let mode = |path: &Path| path.metadata().unwrap().mode() & 0o777;
    assert_eq!(mode(&lab.out("elsewhere")), 0o600);
    assert_eq!(mode(&target.join("letter")), 0o640);
}

#[test]
fn a_folder_that_is_whole_gets_its_time_and_one_with_more_in_it_says_that_it_does_not() {
    let lab = Lab::new(documents);
    let target = lab.out("docs");
    lab.good("/home/ann/docs", &target);
    let whole = picture(&target);
    set_time(&target.join("deep"), 1_700_000_000);
    let outcome = lab.good("/home/ann/docs", &target);
    assert!(!outcome.message.contains("note:"), "{outcome:?}");
    assert_eq!(picture(&target), whole);
    write(&target.join("deep/mine"), "more");
    let outcome = lab.good("/home/ann/docs", &target);
    assert!(
        outcome.message.contains("1 folder keeps its own time"),
        "{outcome:?}"
    );
}

#[test]
fn a_single_file_is_compared_by_content_though_size_and_time_agree() {
    let lab = Lab::new(documents);
    lab.good("/home/ann/docs/letter", &lab.out("letter"));
    fs::write(lab.out("letter"), "dear eve").unwrap();
    set_time(&lab.out("letter"), 1_600_000_000);
    let step = lab
        .plan("/home/ann/docs/letter", &lab.out("letter"), false)
        .unwrap();
    assert_eq!(step.conflicts, ["."]);
    let (message, _) = refused(lab.run(&step));
    assert!(message.contains("out/letter"), "{message}");
}

#[test]
fn the_first_hundred_conflicts_are_listed_and_all_are_counted() {
    let lab = Lab::new(|tree| {
        for number in 0..150 {
            write(&tree.join(format!("x/{number:03}")), "theirs");
        }
    });
    for number in 0..150 {
        write(&lab.out("x").join(format!("{number:03}")), "something else");
    }
    let step = lab.plan("x", &lab.out("x"), false).unwrap();
    assert_eq!((step.conflicts.len(), step.conflict_count), (100, 150));
    let (message, _) = refused(lab.run(&step));
    assert!(message.contains("and 145 more"), "{message}");
}

#[test]
fn overwriting_keeps_the_old_aside_and_leaves_others_alone() {
    let lab = Lab::new(documents);
    let target = lab.out("docs");
    write(&target.join("letter"), "my own words");
    write(&target.join(format!("letter{SUFFIX}")), "an older one");
    write(&target.join("mine"), "not in the snapshot");
    // A folder where the snapshot has a file, and a file where it has a folder.
    write(&target.join("empty/full"), "of things");
    write(&target.join("deep"), "shallow");
    let step = lab.plan("/home/ann/docs", &target, true).unwrap();
    assert_eq!((step.conflict_count, step.creates), (3, 6));
    let outcome = lab.run(&step).unwrap();
    assert_eq!(outcome.status, Status::Succeeded, "{outcome:?}");
    assert!(
        outcome.message.contains("3 that differed"),
        "{}",
        outcome.message
    );
    assert_eq!(read(&target.join("letter")), "dear bob");
    assert_eq!(
        read(&target.join(format!("letter{SUFFIX}-2"))),
        "my own words"
    );
    assert_eq!(
        read(&target.join(format!("letter{SUFFIX}"))),
        "an older one"
    );
    assert_eq!(read(&target.join("mine")), "not in the snapshot");
    assert_eq!(
        read(&target.join(format!("empty{SUFFIX}/full"))),
        "of things"
    );
    assert_eq!(read(&target.join(format!("deep{SUFFIX}"))), "shallow");
    assert_eq!(read(&target.join("deep/er/note")), "a note");
}

#[test]
fn a_symlink_below_the_target_is_never_followed() {
    let lab = Lab::new(documents);
    let (target, secret) = (lab.out("docs"), lab.out("secret"));
    fs::create_dir(&secret).unwrap();
    fs::create_dir(&target).unwrap();
    symlink(&secret, target.join("deep")).unwrap();
    symlink(lab.out("victim"), target.join("letter")).unwrap();
    let step = lab.plan("/home/ann/docs", &target, false).unwrap();
    assert_eq!(step.conflicts, ["deep", "letter"]);
    refused(lab.run(&step));

    let outcome = lab.restore("/home/ann/docs", &target, true).unwrap();
    assert_eq!(outcome.status, Status::Succeeded, "{outcome:?}");
    assert_eq!(names(&secret), Vec::<String>::new());
    assert!(!lab.out("victim").exists());
    assert_eq!(
        fs::read_link(target.join(format!("deep{SUFFIX}"))).unwrap(),
        secret
    );
    assert!(target.join("deep").symlink_metadata().unwrap().is_dir());
    assert_eq!(read(&target.join("deep/er/note")), "a note");
}

#[test]
fn a_folder_with_content_and_another_mode_is_told_and_gets_the_snapshots_when_overwritten() {
    let lab = Lab::new(documents);
    let target = lab.out("docs");
    write(&target.join("mine"), "x");
    set_mode(&target, 0o700);
    let (message, _) = refused(lab.restore("/home/ann/docs", &target, false));
    assert!(message.contains("docs (mode)"), "{message}");
    assert_eq!(target.metadata().unwrap().mode() & 0o777, 0o700);
    lab.restore("/home/ann/docs", &target, true).unwrap();
    let wanted = lab.tree().join("home/ann/docs").metadata().unwrap();
    assert_eq!(target.metadata().unwrap().mode(), wanted.mode());
    assert_eq!(target.metadata().unwrap().mtime(), wanted.mtime());

    // An empty one becomes the snapshot's altogether.
    fs::create_dir(lab.out("empty")).unwrap();
    set_mode(&lab.out("empty"), 0o700);
    lab.good("/home/ann/docs", &lab.out("empty"));
    assert_eq!(
        picture(&lab.out("empty")),
        picture(&lab.tree().join("home/ann/docs"))
    );
}
