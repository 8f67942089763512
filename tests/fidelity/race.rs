//! A root backup of a tree whose owner swaps folders and files under the reader never holds
//! anything of the outside, never hangs, and says what it could not read.

use std::{
    fs,
    process::Command,
    time::{Duration, Instant},
};

use chrono::{Days, NaiveDate};
use schema::Digest;

use crate::{
    attacker::{Bait, SECRET, SECRET_NAME, SECRET_OWNER, leaks},
    lab::{Engine, Ran, World, is_missing, wait_in_time},
};

/// How long the attack goes on.
const ATTACK: Duration = Duration::from_secs(10);
/// No run may take longer, whatever it meets.
const LIMIT: Duration = Duration::from_secs(90);

#[test]
fn an_attacker_never_gets_an_outside_file_into_a_snapshot() {
    let name = "an_attacker_never_gets_an_outside_file_into_a_snapshot";
    if is_missing(name, &["cp"], true) {
        return;
    }
    // Whether rsync holds out is rsync's: a FIFO in the place of a file makes it wait for ever.
    race(Engine::BuiltIn);
}

fn race(engine: Engine) {
    let world = World::new(engine, &["src"]);
    let bait = Bait::make(&world.path("src"), &world.path("outside"));
    let attack = bait.attack();
    let first_day = NaiveDate::from_ymd_opt(2025, 2, 1).unwrap();
    let began = Instant::now();
    let mut ids = Vec::new();
    let mut complete = 0;
    let mut runs = 0;
    while began.elapsed() < ATTACK || ids.len() < 3 {
        let day = first_day + Days::new(runs);
        bait.touch(runs.try_into().unwrap());
        runs += 1;
        let command = world.command(&["apply", "--fresh", "--now", &format!("{day}T02:00:00Z")]);
        let done = wait_in_time(command, LIMIT, &world.path("output"));
        let code = done.status.code();
        assert!(
            [Some(0), Some(3)].contains(&code),
            "{engine:?}: {}",
            Ran::from_output(&["apply"], &done)
        );
        complete += usize::from(code == Some(0));
        ids.push(format!("{day}_02-00-00"));
    }
    let swaps = attack.swaps();
    for place in ["dst", "state", "log"].map(|name| world.path(name)) {
        if place.exists() {
            assert_eq!(leaks(&place).unwrap(), Vec::<String>::new(), "{engine:?}");
        }
    }
    let secret = Digest::of(SECRET);
    let mut stored = 0;
    for id in &ids {
        for entry in world.manifest(id) {
            let path = String::from_utf8_lossy(&entry.path);
            assert!(!path.contains(SECRET_NAME), "{engine:?}, {id}: {path}");
            assert_ne!(entry.digest, Some(secret), "{engine:?}, {id}: {path}");
            assert_ne!(entry.uid, SECRET_OWNER, "{engine:?}, {id}: {path}");
            stored += usize::from(entry.digest == Some(Digest::of(b"harmless")));
        }
    }
    // The runs did read the tree while it was being swapped.
    assert!(
        swaps > 1000 && stored > 100 * ids.len(),
        "{swaps} swaps, {stored} files"
    );
    eprintln!(
        "{engine:?}: {} runs, {complete} complete, {swaps} swaps",
        ids.len()
    );
    drop(attack);

    a_path_based_copy_is_caught(&world, &bait);
}

/// The same attack on a copy that resolves paths again for each file: it has teeth.
fn a_path_based_copy_is_caught(world: &World, bait: &Bait) {
    let _attack = bait.attack();
    let copy = world.path("naive");
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(60) {
        let mut command = Command::new("cp");
        // Not the files that become FIFOs: cp may wait at one of these for ever.
        command
            .args(["-a", "-T"])
            .arg(world.path("src/folders"))
            .arg(&copy);
        wait_in_time(command, LIMIT, &world.path("output"));
        let caught = leaks(&copy)
            .unwrap()
            .iter()
            .any(|leak| leak.starts_with("content"));
        fs::remove_dir_all(&copy).unwrap();
        if caught {
            return;
        }
    }
    panic!("even a naive copy was not caught: the attack has no teeth");
}
