//! Restores into a folder of a user who takes away and exchanges what is being made there.

use std::{
    fs,
    time::{Duration, Instant},
};

use test_support::is_missing;

use crate::{
    lab::{MALLORY, SECRET, World, holding},
    racers::{Aims, Racer, plant, read_target, steal_target},
};

/// How long the attack goes on.
const ATTACK: Duration = Duration::from_secs(10);

#[test]
fn restores_into_a_folder_of_an_attacker_touch_nothing_else() {
    let name = "restores_into_a_folder_of_an_attacker_touch_nothing_else";
    if is_missing(name, &[], true) {
        return;
    }
    let mut world = World::new(false);
    for number in 0..200 {
        world.write(
            &format!("src/mallory/deep/{}/file {number}", number % 7),
            "mine",
        );
    }
    let (id, complete) = world.back_up();
    assert!(complete);
    let aims = Aims {
        file: world.text("outside/secret"),
        folder: world.text("outside/folder"),
    };
    let desk = world.path("desk");
    let start = |what, act| Racer::start(what, &desk, MALLORY, &aims, act);
    let racers = [
        start("names stolen and exchanged", steal_target),
        start("more names stolen and exchanged", steal_target),
        start("entries planted and removed", plant),
        start("attempts to read", read_target),
    ];
    let (source, to) = (world.text("src"), world.text("desk/back"));
    let began = Instant::now();
    let mut codes = std::collections::BTreeMap::new();
    while began.elapsed() < ATTACK {
        let overwrite = ["restore", "--overwrite", &id, &source, &to];
        let ran = world.end_in_time(&overwrite);
        *codes.entry(ran.code).or_insert(0) += 1;
    }
    let counts = racers.map(Racer::end);
    world.check_outside();
    assert!(
        !desk.join("what was read").exists(),
        "a private file could be read"
    );
    assert_eq!(holding(&desk, SECRET), [""; 0]);
    world.check_snapshots(std::slice::from_ref(&id));
    // Once nobody is in the way any more.
    fs::remove_dir_all(&desk).unwrap();
    world.check_restore(&id);
    let runs: u32 = codes.values().sum();
    eprintln!("restore: {runs} restores, by exit code {codes:?}");
    for (what, count) in counts {
        eprintln!("restore: {count} {what}");
    }
    assert!(runs > 3, "{runs}");
    let known = [0, 1, 3, 4];
    assert!(codes.keys().all(|code| known.contains(code)), "{codes:?}");
}
