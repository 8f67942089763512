//! Snapshots that are not as they were sealed: nothing wrong is taken for right.

use std::{fs, os::unix::fs::MetadataExt as _, path::PathBuf};

use executor::{
    event::{Context, Event, Observer, Phase, Stop},
    manifest,
    restore::run_restore_step,
    sys::Kind,
};
use schema::{
    Digest,
    journal::{ProblemKind, Status},
};

use crate::lab::{Lab, absent, context, documents, names, picture, read, set_mode, write};

/// Writes other content into a file as soon as it is there: a disk that does not keep what it got.
struct Spoils(PathBuf);

impl Observer for Spoils {
    fn event(&self, event: Event<'_>) {
        if let Event::Progress(progress) = event
            && progress.phase == Phase::Restore
            && self.0.exists()
        {
            fs::write(&self.0, "rottn").unwrap();
        }
    }
}

#[test]
fn what_does_not_come_back_as_it_was_written_does_not_keep_its_name() {
    let lab = Lab::new(|tree| {
        write(&tree.join("x/good"), "good");
        write(&tree.join("x/sound"), "sound");
    });
    let target = lab.out("x");
    let mut step = lab.plan("x", &target, false).unwrap();
    step.read_back = true;
    let stop = Stop::default();
    let observer = Spoils(target.join("sound"));
    let context = Context {
        observer: &observer,
        ..context(&stop)
    };
    let outcome = run_restore_step(&lab.store, &step, &context).unwrap();
    assert_eq!(outcome.status, Status::Incomplete, "{outcome:?}");
    assert!(outcome.message.contains("1 file read back"), "{outcome:?}");
    assert_eq!(outcome.problems.len(), 1);
    assert_eq!(outcome.problems[0].path, "/x/sound");
    assert_eq!(names(&target), ["good", "sound.damaged"]);
    // The same restore again makes it whole.
    assert_eq!(lab.run(&step).unwrap().status, Status::Succeeded);
    assert_eq!(read(&target.join("sound")), "sound");
}

#[test]
fn damaged_content_never_gets_the_files_name() {
    let lab = Lab::with(
        |tree| {
            write(&tree.join("x/bad"), "as it was");
            write(&tree.join("x/good"), "as it is");
        },
        |entries| {
            let bad = entries
                .iter_mut()
                .find(|entry| entry.path.as_bytes() == b"x/bad")
                .unwrap();
            bad.digest = Some(Digest::of(b"something else"));
        },
    );
    let target = lab.out("x");
    write(&target.join("bad"), "my own words");
    for _ in 0..2 {
        let outcome = lab.restore("x", &target, true).unwrap();
        assert_eq!(outcome.status, Status::Incomplete);
        assert_eq!(outcome.problems.len(), 1);
        assert_eq!(outcome.problems[0].path, "/x/bad");
        assert!(
            outcome.problems[0]
                .message
                .contains("not what the manifest recorded")
        );
        assert!(outcome.hint.is_some());
        assert_eq!(names(&target), ["bad", "bad.damaged", "good"]);
        assert_eq!(read(&target.join("bad")), "my own words");
        assert_eq!(read(&target.join("bad.damaged")), "as it was");
        assert_eq!(read(&target.join("good")), "as it is");
    }
}

#[test]
fn content_that_was_exchanged_gets_no_set_id_bit() {
    let lab = Lab::with(
        |tree| {
            for name in ["x/exchanged", "x/unread", "x/good"] {
                write(&tree.join(name), "as it is");
                set_mode(&tree.join(name), 0o6755);
            }
        },
        |entries| {
            for entry in entries {
                match entry.path.as_bytes() {
                    b"x/exchanged" => entry.digest = Some(Digest::of(b"as it was")),
                    b"x/unread" => entry.digest = None,
                    _ => {}
                }
            }
        },
    );
    let target = lab.out("x");
    lab.restore("x", &target, false).unwrap();
    let mode = |name: &str| target.join(name).symlink_metadata().unwrap().mode() & 0o7777;
    assert_eq!(mode("good"), 0o6755);
    assert_eq!(mode("exchanged.damaged"), 0o755);
    assert_eq!(mode("unread"), 0o755);
}

#[test]
fn a_file_that_the_snapshot_lost_is_listed_and_the_rest_restored() {
    let lab = Lab::new(documents);
    fs::remove_file(lab.tree().join("home/ann/docs/letter")).unwrap();
    fs::remove_dir_all(lab.tree().join("home/ann/docs/deep")).unwrap();
    let outcome = lab.restore("/home/ann", &lab.out("ann"), false).unwrap();
    assert_eq!(outcome.status, Status::Incomplete);
    let lost: Vec<_> = outcome
        .problems
        .iter()
        .map(|p| (p.path.as_str(), p.kind))
        .collect();
    let kind = ProblemKind::Unreadable;
    assert_eq!(
        lost,
        [
            ("/home/ann/docs/deep/er/note", kind),
            ("/home/ann/docs/letter", kind)
        ]
    );
    assert!(lab.out("ann/docs/empty").exists());
    assert!(lab.out("ann/docs/deep/link").is_symlink());
    assert_eq!(
        lab.out("ann/docs/deep").metadata().unwrap().mode() & 0o777,
        0o750
    );
}

#[test]
fn a_snapshot_without_a_manifest_gives_what_its_tree_holds() {
    let lab = Lab::unmanaged(documents);
    lab.good("/home/ann/docs", &lab.out("docs"));
    assert_eq!(
        picture(&lab.out("docs")),
        picture(&lab.tree().join("home/ann/docs"))
    );
}

#[test]
fn a_damaged_manifest_is_reported_and_keeps_nobody_from_the_files() {
    let lab = Lab::new(documents);
    let path = lab.host().join(format!(
        ".backup/snapshots/{}/{}",
        lab.id,
        manifest::FILE_NAME
    ));
    for content in [&b"rubbish"[..], &fs::read(&path).unwrap()[..60]] {
        fs::write(&path, content).unwrap();
        let target = lab.out("docs");
        let outcome = lab.restore("/home/ann/docs", &target, false).unwrap();
        assert_eq!(outcome.status, Status::Incomplete);
        assert!(outcome.problems[0].message.contains("manifest is damaged"));
        assert_eq!(picture(&target), picture(&lab.tree().join("home/ann/docs")));
        fs::remove_dir_all(target).unwrap();
    }
}

#[test]
fn a_hostile_manifest_leads_nowhere() {
    let lab = Lab::with(
        |tree| write(&tree.join("x/file"), "content"),
        |entries| {
            let mut climb = absent("x/..", Kind::Symlink);
            climb.target = Some(b"/etc/passwd".to_vec());
            let mut beside = absent("x/gone/deeper", Kind::Symlink);
            beside.target = Some(b"/etc/passwd".to_vec());
            entries.extend([climb, beside]);
            entries.sort_by(|a, b| a.path.cmp(&b.path));
        },
    );
    let outcome = lab.restore("x", &lab.out("x"), true).unwrap();
    assert_eq!(
        (outcome.status, outcome.problems.len()),
        (Status::Incomplete, 2)
    );
    assert_eq!(names(&lab.out("")), ["x"]);
    assert_eq!(names(&lab.out("x")), ["file"]);
}
