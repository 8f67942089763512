//! Restores that are stopped or killed, and go on.

use std::{
    fs::{self, File},
    os::unix::fs::MetadataExt as _,
    path::PathBuf,
    process::Command,
    time::Duration,
};

use executor::{
    ErrorKind,
    event::{Context, Event, Observer, Phase, Stop},
    restore::run_restore_step,
    store::Store,
};
use schema::{journal::Status, plan::RestoreStep};

use crate::lab::{Lab, context, dir, names, picture, read, set_mode, set_time, write};

/// Asks to stop once so many entries are restored.
struct StopAfter<'a>(&'a Stop, u64);

impl Observer for StopAfter<'_> {
    fn event(&self, event: Event<'_>) {
        if let Event::Progress(progress) = event
            && progress.phase == Phase::Restore
            && progress.entries >= self.1
        {
            self.0.ask(15);
        }
    }
}

#[test]
fn a_stopped_restore_goes_on_where_it_stopped() {
    let lab = Lab::new(|tree| {
        for folder in 0..10 {
            for file in 0..20 {
                let path = tree.join(format!("x/{folder}/sub/{file}"));
                write(&path, &format!("{folder} {file}"));
                set_mode(&path, 0o604);
            }
            set_mode(&tree.join(format!("x/{folder}/sub")), 0o705);
            set_time(&tree.join(format!("x/{folder}/sub")), 1_500_000_000);
        }
        set_time(&tree.join("x"), 1_500_000_000);
    });
    let target = lab.out("x");
    let step = lab.plan("x", &target, false).unwrap();
    let stop = Stop::default();
    let observer = StopAfter(&stop, 100);
    let context = Context {
        observer: &observer,
        stop: &stop,
        clock: executor::clock::Clock::default(),
        // One after the other, so that about half of it is there.
        threads: 1,
        widens: false,
    };
    let error = run_restore_step(&lab.store, &step, &context).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Interrupted);
    assert!(error.hint.unwrap().contains("same restore again"));
    let halfway = lab.plan("x", &target, false).unwrap();
    assert_eq!(halfway.conflict_count, 0);
    assert!(
        halfway.already_there > 100 && halfway.creates > 50,
        "{halfway:?}"
    );

    // What a killed process would have left besides.
    write(&target.join(".5.backup-restore-1f-0"), "half a fi");
    write(
        &lab.out(".x.backup-restore-1f-1/.backup-restore-unfinished"),
        "",
    );
    // What the stopped run wrote was never read back, so that is done as well.
    let step = RestoreStep {
        read_back: true,
        ..step
    };
    let outcome = lab.run(&step).unwrap();
    assert_eq!(outcome.status, Status::Succeeded);
    assert!(
        outcome.message.contains("200 files read back"),
        "{outcome:?}"
    );
    assert!(picture(&target) == picture(&lab.tree().join("x")));
    assert_eq!(names(&lab.out("")), ["x"]);
}

#[test]
fn a_file_that_is_stopped_halfway_has_no_name() {
    let lab = Lab::new(|tree| {
        write(&tree.join("x/huge"), "");
        File::options()
            .write(true)
            .open(tree.join("x/huge"))
            .unwrap()
            .set_len(1 << 40)
            .unwrap();
    });
    let target = lab.out("x");
    let step = lab.plan("x", &target, false).unwrap();
    assert_eq!(step.bytes, 0);
    let stop = Stop::default();
    let error = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !target.join(".backup-restore-unfinished").exists() {
                std::thread::sleep(Duration::from_millis(1));
            }
            std::thread::sleep(Duration::from_millis(30));
            stop.ask(2);
        });
        run_restore_step(&lab.store, &step, &context(&stop)).unwrap_err()
    });
    assert_eq!(error.kind, ErrorKind::Interrupted);
    assert_eq!(names(&target), [".backup-restore-unfinished"]);
}

/// What a killed restore leaves of a file in a folder that it made.
fn unfinished(path: &std::path::Path, content: &str) {
    write(path, content);
    set_mode(path, 0o1600);
}

#[test]
fn a_file_that_a_killed_restore_left_unfinished_is_made_anew_and_nothing_else() {
    let lab = Lab::new(|tree| {
        for file in ["half", "whole", "linked", "mine"] {
            write(&tree.join("x/sub").join(file), "as it was");
            set_time(&tree.join("x/sub").join(file), 1_500_000_000);
        }
    });
    let target = lab.out("x");
    let step = lab.plan("x", &target, false).unwrap();
    // Without the mark of a folder that is not finished the mode means nothing.
    unfinished(&target.join("sub/half"), "as it");
    assert_eq!(lab.plan("x", &target, false).unwrap().conflict_count, 1);
    write(&target.join("sub/.backup-restore-unfinished"), "");
    // Something else in it is no work of a restore.
    write(&target.join("sub/mine"), "by hand");
    unfinished(&target.join("sub/linked"), "as it");
    fs::hard_link(target.join("sub/linked"), lab.out("elsewhere")).unwrap();
    let now = lab.plan("x", &target, false).unwrap();
    assert_eq!((now.conflict_count, now.creates), (2, 2), "{now:?}");
    assert!(lab.run(&step).is_err());
    assert_eq!(read(&target.join("sub/half")), "as it");

    fs::remove_file(target.join("sub/mine")).unwrap();
    fs::remove_file(target.join("sub/linked")).unwrap();
    assert_eq!(lab.plan("x", &target, false).unwrap().conflict_count, 0);
    assert_eq!(lab.run(&step).unwrap().status, Status::Succeeded);
    assert_eq!(picture(&target), picture(&lab.tree().join("x")));
    assert_eq!(read(&lab.out("elsewhere")), "as it");
}

#[test]
fn what_a_power_cut_took_of_a_file_is_made_anew_and_nothing_of_anybody_else() {
    let lab = Lab::new(|tree| {
        for file in ["lost", "whole", "mine"] {
            write(&tree.join("x/sub").join(file), "as it was");
            set_time(&tree.join("x/sub").join(file), 1_500_000_000);
        }
    });
    let target = lab.out("x");
    let step = lab.plan("x", &target, false).unwrap();
    // A folder that was ended, below one whose mark is still there; with less in it than was written.
    let short = |name: &str, time| {
        write(&target.join("sub").join(name), "as");
        set_time(&target.join("sub").join(name), time);
    };
    short("lost", 1_500_000_000);
    let conflicts = || lab.plan("x", &target, false).unwrap().conflict_count;
    assert_eq!(conflicts(), 1, "without a mark it is somebody's");
    // The kernel's times have steps.
    let wait = || std::thread::sleep(Duration::from_millis(30));
    wait();
    write(&target.join(".backup-restore-unfinished"), "");
    assert_eq!(conflicts(), 1, "it was there before the mark");
    wait();
    short("lost", 1_500_000_000);
    assert_eq!(conflicts(), 0);
    short("mine", 1_600_000_000);
    assert_eq!(conflicts(), 1, "it has another time");
    assert!(lab.run(&step).is_err());
    assert_eq!(read(&target.join("sub/lost")), "as");

    fs::remove_file(target.join("sub/mine")).unwrap();
    assert_eq!(lab.run(&step).unwrap().status, Status::Succeeded);
    assert_eq!(picture(&target), picture(&lab.tree().join("x")));
}

const VICTIM: &str = "RESTORE_TEST_VICTIM";

/// Not a test of its own: the process that
/// [`a_restore_killed_at_any_instant_has_no_half_file_and_goes_on`] kills.
#[test]
fn victim() {
    let Some(root) = std::env::var_os(VICTIM).map(PathBuf::from) else {
        return;
    };
    let mount = root.join("mnt");
    let store = Store::open(&dir(&mount), mount.to_str().unwrap(), "host").unwrap();
    let step = serde_json::from_slice(&fs::read(root.join("step")).unwrap()).unwrap();
    let stop = Stop::default();
    fs::write(root.join("begun"), "").unwrap();
    run_restore_step(&store.unwrap(), &step, &context(&stop)).unwrap();
}

#[test]
fn a_restore_killed_at_any_instant_has_no_half_file_and_goes_on() {
    let lab = Lab::new(|tree| {
        for folder in 0..60 {
            for file in 0..5 {
                let path = tree.join(format!("x/{folder}/sub/{file}"));
                write(&path, &format!("{folder}{file} ").repeat(5000));
                set_time(&path, 1_500_000_000 + file);
            }
            fs::hard_link(
                tree.join(format!("x/{folder}/sub/1")),
                tree.join(format!("x/{folder}/link")),
            )
            .unwrap();
            set_mode(&tree.join(format!("x/{folder}/sub")), 0o750);
            set_time(&tree.join(format!("x/{folder}/sub")), 1_400_000_000);
            set_time(&tree.join(format!("x/{folder}")), 1_400_000_001);
        }
    });
    let target = lab.out("x");
    let step = lab.plan("x", &target, false).unwrap();
    let json = serde_json::to_vec(&step).unwrap();
    fs::write(lab.root.path().join("step"), json).unwrap();
    let mut killed = 0;
    for attempt in 0..30 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "interrupted::victim"])
            .env(VICTIM, lab.root.path())
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        while fs::remove_file(lab.root.path().join("begun")).is_err() {
            std::thread::sleep(Duration::from_micros(100));
        }
        std::thread::sleep(Duration::from_micros(attempt * 900));
        child.kill().unwrap();
        killed += u32::from(!child.wait().unwrap().success());
        for entry in walkdir::WalkDir::new(&target).into_iter().flatten() {
            let name = entry.file_name().to_string_lossy();
            let is_marked = || {
                entry
                    .metadata()
                    .is_ok_and(|stat| stat.mode() & 0o7777 == 0o1600)
            };
            if entry.file_type().is_file() && !name.contains(".backup-restore-") && !is_marked() {
                let path = entry.path().strip_prefix(&target).unwrap();
                let original = lab.tree().join("x").join(path);
                assert!(
                    read(entry.path()) == read(&original),
                    "half a file: {path:?}"
                );
            }
        }
        let step = lab.plan("x", &target, false).unwrap();
        assert_eq!(step.conflict_count, 0);
    }
    assert!(killed > 0, "too fast to be killed");
    let there = walkdir::WalkDir::new(&target).into_iter().flatten().count();
    assert!(there > 0, "killed before it began");
    eprintln!("killed {killed} times, the last with {there} entries there");
    assert_eq!(lab.run(&step).unwrap().status, Status::Succeeded);
    assert_eq!(picture(&target), picture(&lab.tree().join("x")));
    assert_eq!(names(&lab.out("")), ["x"]);
    let inode = |name: &str| target.join(name).metadata().unwrap().ino();
    assert_eq!(inode("7/link"), inode("7/sub/1"));
}
