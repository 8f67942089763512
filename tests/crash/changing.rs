//! Sources that change while they are read.

use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use serde_json::json;

use crate::{
    check::all_whole,
    lab::{BEFORE, LATER, NOW, Random, World, is_missing},
};

/// Times of runs, of which a few are enough where the machine is not busy.
fn days() -> impl Iterator<Item = String> {
    (1..=9).map(|day| format!("2025-02-0{day}T02:00:00+00:00"))
}

/// After all of them.
const QUIET: &str = "2025-02-10T02:00:00+00:00";

#[test]
fn a_file_that_grows_while_it_is_read_is_listed_as_torn_and_the_run_ends() {
    let name = "a_file_that_grows_while_it_is_read_is_listed_as_torn_and_the_run_ends";
    if is_missing(name, &["rsync"], false) {
        return;
    }
    let world = World::new(&json!({}));
    let growing = world.source().join("growing");
    fs::write(&growing, Random::from_environment(1).bytes(16 << 20)).unwrap();
    fs::write(world.source().join("steady"), "steady").unwrap();
    let ended = AtomicBool::new(false);
    let mut torn = 0;
    for now in days() {
        ended.store(false, Ordering::Relaxed);
        let done = std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut file = OpenOptions::new().append(true).open(&growing).unwrap();
                while !ended.load(Ordering::Relaxed) {
                    file.write_all(&[b'x'; 100]).unwrap();
                    std::thread::sleep(Duration::from_micros(300));
                }
            });
            let began = Instant::now();
            let done = world.apply(&now);
            ended.store(true, Ordering::Relaxed);
            assert!(began.elapsed() < Duration::from_secs(60));
            done
        });
        all_whole(&world.host());
        // On a busy machine the writer may have had no turn.
        if done.code == 0 {
            continue;
        }
        done.expect(3).says("torn").says("growing");
        torn += 1;
        if torn == 2 {
            break;
        }
    }
    assert_eq!(torn, 2, "it hardly ever changed while it was read");
    // Quiet again: all of it is taken anew.
    world.apply(QUIET).expect(0);
    all_whole(&world.host());
    crate::check::equal(&world, "latest");
}

#[test]
fn a_file_that_grows_faster_than_it_is_read_does_not_keep_the_run_from_ending() {
    let name = "a_file_that_grows_faster_than_it_is_read_does_not_keep_the_run_from_ending";
    if is_missing(name, &["rsync"], false) {
        return;
    }
    let world = World::new(&json!({}));
    let growing = world.source().join("growing");
    fs::write(&growing, Random::from_environment(1).bytes(1 << 20)).unwrap();
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut file = OpenOptions::new().append(true).open(&growing).unwrap();
            // About as fast as a test build reads, and ended soon for the disk's sake.
            let piece = vec![b'x'; 1 << 20];
            let began = Instant::now();
            while !ended.load(Ordering::Relaxed) && began.elapsed() < Duration::from_secs(25) {
                file.write_all(&piece).unwrap();
                std::thread::sleep(Duration::from_millis(30));
            }
        });
        let began = Instant::now();
        let mut child = world.start(NOW);
        let mut code = None;
        while began.elapsed() < Duration::from_secs(20) && code.is_none() {
            std::thread::sleep(Duration::from_millis(20));
            code = child.try_wait().unwrap();
        }
        let grown = fs::metadata(&growing).unwrap().len();
        let _ = child.kill();
        ended.store(true, Ordering::Relaxed);
        let _ = child.wait();
        let code = code.unwrap_or_else(|| panic!("still reads a file of {grown} bytes"));
        assert!([Some(0), Some(3)].contains(&code.code()), "{code}");
    });
    all_whole(&world.host());
}

#[test]
fn files_that_vanish_during_the_run_are_listed_and_the_run_succeeds() {
    let name = "files_that_vanish_during_the_run_are_listed_and_the_run_succeeds";
    if is_missing(name, &["rsync", "strace"], false) {
        return;
    }
    let world = World::new(&json!({}));
    for folder in 0..6 {
        let folder = world.source().join(format!("folder {folder}"));
        fs::create_dir(&folder).unwrap();
        for number in 0..60 {
            fs::write(folder.join(number.to_string()), "here for now").unwrap();
        }
    }
    let done = std::thread::scope(|scope| {
        scope.spawn(|| {
            let partial = world.host().join(".backup/partial");
            while fs::read_dir(&partial).map_or(true, |mut all| all.next().is_none()) {
                std::thread::sleep(Duration::from_millis(1));
            }
            // Files first, from the end; then a whole folder. Fewer than half in all, or the next
            // snapshot would be suspect.
            for number in (0..60).rev().step_by(4) {
                for folder in 0..5 {
                    let folder = world.source().join(format!("folder {folder}"));
                    let _ = fs::remove_file(folder.join(number.to_string()));
                }
                std::thread::sleep(Duration::from_millis(5));
            }
            fs::remove_dir_all(world.source().join("folder 5")).unwrap();
        });
        let slow = "inject=fchmod:delay_enter=4000";
        world.traced(NOW, &["-e", "trace=fchmod", "-e", slow])
    });
    done.expect(0).says("vanished");
    all_whole(&world.host());
    world.apply(LATER).expect(0);
    all_whole(&world.host());
    crate::check::equal(&world, "latest");
}

#[test]
fn a_file_that_shrinks_and_grows_while_it_is_read_is_stored_as_its_manifest_says() {
    let name = "a_file_that_shrinks_and_grows_while_it_is_read_is_stored_as_its_manifest_says";
    if is_missing(name, &["rsync"], false) {
        return;
    }
    let world = World::new(&json!({}));
    let changing = world.source().join("changing");
    let content = Random::from_environment(1).bytes(20 << 20);
    fs::write(&changing, &content).unwrap();
    fs::write(world.source().join("steady"), "steady").unwrap();
    let ended = AtomicBool::new(false);
    let mut torn = 0;
    for now in days() {
        ended.store(false, Ordering::Relaxed);
        let done = std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut file = OpenOptions::new().append(true).open(&changing).unwrap();
                // As a log that is written to and cut.
                while !ended.load(Ordering::Relaxed) {
                    file.set_len(16 << 20).unwrap();
                    for piece in content[16 << 20..].chunks(64 << 10) {
                        file.write_all(piece).unwrap();
                        std::thread::sleep(Duration::from_millis(1));
                    }
                }
            });
            let done = world.apply(&now);
            ended.store(true, Ordering::Relaxed);
            done
        });
        assert!([0, 3].contains(&done.code), "{}", done.all());
        torn += usize::from(done.code == 3);
        // Size and digest of the manifest are those of what was stored, torn or not.
        all_whole(&world.host());
        if torn == 2 {
            break;
        }
    }
    assert!(torn > 0, "it never changed while it was read");
    world.apply(QUIET).expect(0);
    crate::check::equal(&world, "latest");
}

#[test]
fn a_file_that_is_replaced_again_and_again_is_one_of_its_contents_whole() {
    let name = "a_file_that_is_replaced_again_and_again_is_one_of_its_contents_whole";
    if is_missing(name, &["rsync"], false) {
        return;
    }
    let world = World::new(&json!({}));
    // As editors and settings daemons save: written beside, and renamed over.
    let names: Vec<_> = (0..20).map(|n| format!("settings {n}")).collect();
    let replace = |round: u8| {
        for name in &names {
            let beside = world.source().join(format!("{name}.new"));
            fs::write(&beside, vec![b'a' + round % 26; 200_000]).unwrap();
            fs::rename(beside, world.source().join(name)).unwrap();
            std::thread::sleep(Duration::from_millis(2));
        }
    };
    replace(0);
    let ended = AtomicBool::new(false);
    for (now, id) in BEFORE
        .iter()
        .zip(["2025-02-01_02-00-00", "2025-02-02_02-00-00"])
    {
        ended.store(false, Ordering::Relaxed);
        let done = std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut round = 1_u8;
                while !ended.load(Ordering::Relaxed) {
                    replace(round);
                    round = round.wrapping_add(1);
                }
            });
            let done = world.apply(now);
            ended.store(true, Ordering::Relaxed);
            done
        });
        assert!([0, 3].contains(&done.code), "{}", done.all());
        for tier in all_whole(&world.host()) {
            for name in names.iter().filter(|_| tier.ends_with(id)) {
                let content = fs::read(world.in_snapshot(&tier).join(name)).unwrap();
                assert_eq!(content.len(), 200_000, "{tier}/{name}");
                assert!(
                    content.iter().all(|byte| *byte == content[0]),
                    "{tier}/{name}"
                );
            }
        }
    }
}

#[test]
fn content_that_changes_behind_an_unchanged_size_and_time_is_seen() {
    let name = "content_that_changes_behind_an_unchanged_size_and_time_is_seen";
    if is_missing(name, &["rsync"], false) {
        return;
    }
    let world = World::new(&json!({}));
    let path = world.source().join("container");
    let time = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    let write = |content: &[u8]| {
        fs::write(&path, content).unwrap();
        let file = OpenOptions::new().append(true).open(&path).unwrap();
        file.set_modified(time).unwrap();
    };
    write(b"as it was");
    world.apply(BEFORE[0]).expect(0);
    // As encrypted containers and tools that put times back do; only the change time tells.
    write(b"as it is.");
    world.apply(NOW).expect(0);
    let stored = fs::read(world.in_snapshot("latest").join("container")).unwrap();
    assert_eq!(stored, b"as it is.");
    crate::check::equal(&world, "latest");
}
