//! Files that are nothing but holes, which anybody makes with one call.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, lchown},
};

use test_support::{Ran, is_missing};

use crate::lab::{MALLORY, World};

/// As large as ext4 takes, nearly.
const BOMB: u64 = 15 << 40;

/// Makes a file of so many bytes of holes; none where the file system takes no such file.
fn make_bomb(world: &World, name: &str, size: u64) -> Option<()> {
    let path = world.path(name);
    let file = fs::File::create(&path).unwrap();
    lchown(&path, Some(MALLORY), Some(MALLORY)).unwrap();
    file.set_len(size).ok()
}

#[test]
fn files_of_holes_hold_up_nobody() {
    if is_missing("files_of_holes_hold_up_nobody", &["rsync"], true) {
        return;
    }
    for use_rsync in [false, true] {
        let mut world = World::new(use_rsync);
        // One that is too large by itself, and many that are too large together.
        if make_bomb(&world, "src/mallory/bomb", BOMB).is_none() {
            test_support::skip(
                "files_of_holes_hold_up_nobody because there are no such files here",
            );
            return;
        }
        for number in 0..50 {
            make_bomb(&world, &format!("src/mallory/part {number}"), BOMB / 20).unwrap();
        }
        world.set_limit(0);
        let plan = world.end_in_time(&["plan"]).expect(0);
        plan.says("src/mallory/bomb").hints("local.maxHolesGB");
        let (first, complete) = world.back_up();
        assert!(!complete);
        let problems = world.record(&first)["problems"].to_string();
        assert!(problems.contains("src/mallory/bomb"), "{problems}");
        assert_eq!(world.record(&first)["totals"]["errors"], 51);
        world.check_snapshots(&[first]);

        // What fits is stored with its holes.
        fs::remove_file(world.path("src/mallory/bomb")).unwrap();
        for number in 0..50 {
            fs::remove_file(world.path(format!("src/mallory/part {number}"))).unwrap();
        }
        make_bomb(&world, "src/mallory/image", 1 << 30).unwrap();
        world.set_limit(1);
        let (second, complete) = world.back_up();
        assert!(complete);
        let stored = world.inside("latest", "src/mallory/image");
        let stat = stored.metadata().unwrap();
        assert_eq!((stat.size(), stat.uid()), (1 << 30, MALLORY));
        assert!(stat.blocks() < 1000, "{} blocks", stat.blocks());
        world.check_snapshots(std::slice::from_ref(&second));
        // Unchanged, it costs nothing, whatever the limit is.
        world.set_limit(0);
        assert!(world.back_up().1, "an unchanged file was left out");
        world.check_restore(&second);
    }
}

#[test]
fn who_costs_most_is_named() {
    if is_missing("who_costs_most_is_named", &[], true) {
        return;
    }
    let mut world = World::new(false);
    let path = world.path("src/mallory/film");
    fs::write(&path, vec![1; 5 << 20]).unwrap();
    lchown(&path, Some(MALLORY), Some(MALLORY)).unwrap();
    let says = |ran: &Ran| {
        let said = ran.in_one_line();
        assert!(said.contains(&world.text("src/mallory")), "{ran}");
        assert!(said.contains(&format!("user {MALLORY}")), "{ran}");
    };
    says(&world.end_in_time(&["plan"]).expect(0));
    let ran = world.end_in_time(&["apply", "--now", "2025-03-01T02:00:00Z"]);
    says(&ran.expect(0));
    let (id, _) = world.back_up();
    world.check_snapshots(&[id]);
}
