//! Backups of a tree whose owner does everything that a user can do to it meanwhile.

use std::time::{Duration, Instant};

use test_support::is_missing;

use crate::{
    lab::{MALLORY, World},
    racers::{Aims, Racer, move_folders, plant, resize, swap_fifos, swap_symlinks, swell},
};

/// How long the attack goes on.
const ATTACK: Duration = Duration::from_secs(10);

#[test]
fn the_built_in_engine_backs_up_everybody_under_attack() {
    let name = "the_built_in_engine_backs_up_everybody_under_attack";
    if !is_missing(name, &[], true) {
        attack(false);
    }
}

#[test]
fn rsync_backs_up_everybody_under_attack() {
    if !is_missing("rsync_backs_up_everybody_under_attack", &["rsync"], true) {
        attack(true);
    }
}

fn attack(use_rsync: bool) {
    let mut world = World::new(use_rsync);
    let aims = Aims {
        file: world.text("outside/secret"),
        folder: world.text("outside/folder"),
    };
    let folder = world.path("src/mallory");
    let start = |what, act| Racer::start(what, &folder, MALLORY, &aims, act);
    let racers = [
        start("files exchanged with symlinks", swap_symlinks),
        start("files replaced by FIFOs", swap_fifos),
        start("folders moved and exchanged", move_folders),
        start("entries planted and removed", plant),
        start("files grown and cut", resize),
        start("terabytes of holes made and cut", swell),
    ];
    let began = Instant::now();
    let (mut ids, mut complete) = (Vec::new(), 0);
    while began.elapsed() < ATTACK || ids.len() < 2 {
        let (id, is_complete) = world.back_up();
        ids.push(id);
        complete += usize::from(is_complete);
    }
    let counts = racers.map(Racer::end);
    world.check_outside();
    world.check_snapshots(&ids);
    world.check_restore(&ids[ids.len() - 1]);
    let engine = if use_rsync { "rsync" } else { "built-in" };
    eprintln!(
        "backup, {engine}: {} runs, {complete} of them complete",
        ids.len()
    );
    for (what, count) in counts {
        eprintln!("backup, {engine}: {count} {what}");
        assert!(count > 100, "{what}: {count} are no attack");
    }
}
