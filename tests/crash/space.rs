//! Too little space: predicted, met while copying, and no inodes left.

use std::fs;

use serde_json::json;

use crate::{
    check::{all_whole, equal, fingerprint, layout},
    lab::{LATER, Mounted, NOW, Random, World, is_missing, make_ext4},
};

const TOOLS: [&str; 4] = ["rsync", "mkfs.ext4", "blkid", "losetup"];
const BEFORE: &str = "2025-02-08T02:00:00+00:00";

/// A world whose destination is a small disk, with one snapshot. The disk goes first.
fn on_small_disk(options: &[&str]) -> (World, Mounted) {
    let world = World::new(&json!({ "requireMount": true }));
    let image = world.path("image");
    make_ext4(&image, 64, options);
    let mounted = Mounted::image(&image, "noatime", &world.path("dst"));
    fs::write(world.source().join("first"), "first").unwrap();
    fs::create_dir(world.source().join("folder")).unwrap();
    world.apply(BEFORE).expect(0);
    (world, mounted)
}

fn fill(world: &World, name: &str, mebibytes: usize) {
    let bytes = Random::from_environment(6).bytes(mebibytes << 20);
    fs::write(world.path(name), bytes).unwrap();
}

#[test]
fn a_predicted_shortage_is_refused_and_nothing_changes() {
    let name = "a_predicted_shortage_is_refused_and_nothing_changes";
    if is_missing(name, &TOOLS, true) {
        return;
    }
    let (world, _mounted) = on_small_disk(&[]);
    fill(&world, "src/too big", 80);
    let before = fingerprint(&world.path("dst"), &[]);
    world
        .apply(NOW)
        .expect(4)
        .says("insufficient space")
        .says("hint");
    assert!(fingerprint(&world.path("dst"), &[]) == before);
    fs::remove_file(world.source().join("too big")).unwrap();
    world.apply(LATER).expect(0);
    equal(&world, "latest");
}

#[test]
fn a_disk_that_fills_up_while_copying_ends_the_run_and_the_next_one_goes_on() {
    let name = "a_disk_that_fills_up_while_copying_ends_the_run_and_the_next_one_goes_on";
    if is_missing(name, &[&TOOLS[..], &["strace"]].concat(), true) {
        return;
    }
    let (world, _mounted) = on_small_disk(&[]);
    // Predicted from a source that grows once the plan is made: the space check is slowed down.
    fill(&world, "src/folder/fits", 10);
    let old = fingerprint(&world.host().join("daily"), &[]);
    let snapshots = all_whole(&world.host());
    // What comes after the survey is the next snapshot's, what grows after it is this one's.
    let grown = world.source().join("grows");
    fs::write(&grown, "x").unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // The plan is there before the first journal record.
            while world.unfinished().is_none() {
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
            fs::write(&grown, Random::from_environment(7).bytes(60 << 20)).unwrap();
        });
        // Each sync takes a second, so that the source grows before it is copied.
        let slow = [
            "-e",
            "trace=fdatasync",
            "-e",
            "inject=fdatasync:delay_enter=300000",
        ];
        world
            .traced(NOW, &slow)
            .expect(1)
            .says("insufficient space")
            .says("hint");
    });
    assert_eq!(all_whole(&world.host()), snapshots);
    assert!(fingerprint(&world.host().join("daily"), &[]) == old);
    let partial = layout(&world.host());
    let partial: Vec<_> = partial
        .keys()
        .filter_map(|path| path.strip_prefix(".backup/partial/"))
        .filter(|id| !id.contains('/'))
        .collect();
    assert_eq!(partial.len(), 1, "{partial:?}");
    let inode = |snapshot: &str| {
        use std::os::unix::fs::MetadataExt as _;
        let path = world.in_snapshot(snapshot).join("folder/fits");
        fs::metadata(path).unwrap().ino()
    };
    let copied = inode(&format!(".backup/partial/{}", partial[0]));
    // Still too much: refused before anything is tried, the partial stays.
    world.apply(LATER).expect(4).says("insufficient space");
    fs::remove_file(&grown).unwrap();
    world.apply(LATER).expect(0);
    all_whole(&world.host());
    equal(&world, "latest");
    assert_eq!(inode("latest"), copied, "what was copied is copied again");
}

#[test]
fn another_writer_that_takes_the_last_space_ends_the_run_and_the_next_one_goes_on() {
    let name = "another_writer_that_takes_the_last_space_ends_the_run_and_the_next_one_goes_on";
    if is_missing(name, &[&TOOLS[..], &["strace"]].concat(), true) {
        return;
    }
    let (world, _mounted) = on_small_disk(&[]);
    fill(&world, "src/large", 25);
    let snapshots = all_whole(&world.host());
    let other = world.path("dst/other");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let partial = world.host().join(".backup/partial");
            while fs::read_dir(&partial).is_ok_and(|mut all| all.next().is_none()) {
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
            // Until nothing is left.
            let _ = fs::write(&other, Random::from_environment(8).bytes(64 << 20));
        });
        let slow = [
            "-e",
            "trace=pwrite64",
            "-e",
            "inject=pwrite64:delay_enter=30000",
        ];
        world
            .traced(NOW, &slow)
            .expect(1)
            .says("insufficient space")
            .says("hint");
    });
    assert_eq!(all_whole(&world.host()), snapshots);
    fs::remove_file(&other).unwrap();
    world.apply(LATER).expect(0);
    all_whole(&world.host());
    equal(&world, "latest");
}

#[test]
fn too_few_inodes_are_refused_before_and_told_while_copying() {
    let name = "too_few_inodes_are_refused_before_and_told_while_copying";
    if is_missing(name, &[&TOOLS[..], &["strace"]].concat(), true) {
        return;
    }
    let (world, _mounted) = on_small_disk(&["-N", "128"]);
    let many = world.source().join("many");
    fs::create_dir(&many).unwrap();
    for number in 0..128 {
        fs::write(many.join(number.to_string()), "x").unwrap();
    }
    let before = fingerprint(&world.path("dst"), &[]);
    world
        .apply(NOW)
        .expect(4)
        .says("insufficient space")
        .says("inodes")
        .says("hint");
    assert!(fingerprint(&world.path("dst"), &[]) == before);

    // Now another writer takes them after the plan.
    fs::remove_dir_all(&many).unwrap();
    fs::create_dir(&many).unwrap();
    for number in 0..5 {
        fs::write(many.join(number.to_string()), "x").unwrap();
    }
    let other = world.path("dst/other");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while world.unfinished().is_none() {
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
            fs::create_dir(&other).unwrap();
            for number in 0..128 {
                let _ = fs::write(other.join(number.to_string()), "");
            }
        });
        let slow = [
            "-e",
            "trace=fdatasync",
            "-e",
            "inject=fdatasync:delay_enter=300000",
        ];
        let done = world.traced(LATER, &slow);
        // Refused by the space check if the other one was faster, told while copying if not.
        assert!([1, 4].contains(&done.code), "{}", done.all());
        done.says("insufficient space").says("hint");
    });
    assert_eq!(all_whole(&world.host()).len(), 1);
    fs::remove_dir_all(&other).unwrap();
    world.apply("2025-02-09T04:00:00+00:00").expect(0);
    all_whole(&world.host());
    equal(&world, "latest");
}

#[test]
fn what_cannot_be_removed_from_the_trash_is_not_taken_for_free() {
    let name = "what_cannot_be_removed_from_the_trash_is_not_taken_for_free";
    if is_missing(name, &[&TOOLS[..], &["chattr"]].concat(), true) {
        return;
    }
    let (world, _mounted) = on_small_disk(&[]);
    // Left by a removal that met an immutable file.
    let old = world.host().join(".backup/trash/2025-01-01_02-00-00");
    fs::create_dir_all(old.join("home")).unwrap();
    let stuck = old.join("home/stuck");
    fs::write(&stuck, Random::from_environment(9).bytes(25 << 20)).unwrap();
    let chattr = |flag: &str| {
        let mut chattr = std::process::Command::new("chattr");
        assert!(chattr.arg(flag).arg(&stuck).status().unwrap().success());
    };
    chattr("+i");
    fill(&world, "src/needs the room", 30);
    let before = fingerprint(&world.path("dst"), &[]);
    world
        .apply(NOW)
        .expect(4)
        .says("insufficient space")
        .says("cannot be removed wholly from the trash")
        .says("chattr -R -ia");
    assert!(fingerprint(&world.path("dst"), &[]) == before);
    chattr("-i");
    world.apply(LATER).expect(0);
    equal(&world, "latest");
    assert!(!old.exists());
}
