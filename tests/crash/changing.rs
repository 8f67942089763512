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
    lab::{BEFORE, LATER, NOW, Random, World, skipped},
};

#[test]
fn a_file_that_grows_while_it_is_read_is_listed_as_torn_and_the_run_ends() {
    let name = "a_file_that_grows_while_it_is_read_is_listed_as_torn_and_the_run_ends";
    if skipped(name, &["rsync"], false) {
        return;
    }
    let world = World::new(&json!({}));
    let growing = world.source().join("growing");
    fs::write(&growing, Random::new(1).bytes(2 << 20)).unwrap();
    fs::write(world.source().join("steady"), "steady").unwrap();
    let ended = AtomicBool::new(false);
    for now in [BEFORE[0], NOW] {
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
            let done = world.apply(now);
            ended.store(true, Ordering::Relaxed);
            assert!(began.elapsed() < Duration::from_secs(60));
            done
        });
        done.expect(3).says("torn").says("growing");
        all_whole(&world.host());
    }
    // Quiet again: all of it is taken anew.
    world.apply(LATER).expect(0);
    all_whole(&world.host());
    crate::check::equal(&world, "latest");
}

#[test]
fn a_file_that_grows_faster_than_it_is_read_does_not_keep_the_run_from_ending() {
    let name = "a_file_that_grows_faster_than_it_is_read_does_not_keep_the_run_from_ending";
    if skipped(name, &["rsync"], false) {
        return;
    }
    let world = World::new(&json!({}));
    let growing = world.source().join("growing");
    fs::write(&growing, Random::new(1).bytes(1 << 20)).unwrap();
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
    if skipped(name, &["rsync", "strace"], false) {
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
            // Files first, from the end; then whole folders.
            for number in (0..60).rev().step_by(2) {
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
