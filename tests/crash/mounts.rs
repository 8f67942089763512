//! The right disk, the wrong one, none, and disks below and inside each other.

use std::{fs, path::Path, time::Duration};

use serde_json::{Value, json};
use test_support::{entry_names, is_mounted};

use crate::{
    check::{all_whole, equal, fingerprint},
    lab::{LATER, Mounted, NOW, World, is_missing, make_ext4},
};

const TOOLS: [&str; 4] = ["rsync", "mkfs.ext4", "blkid", "losetup"];

/// A world that wants something mounted, with an image `a` and its UUID.
fn with_image(changes: &Value) -> (World, String) {
    let mut world = World::new(&json!({ "requireMount": true }));
    world.configure(changes);
    let uuid = make_ext4(&world.path("a"), 32, &[]);
    fs::write(world.source().join("file"), "content").unwrap();
    fs::create_dir(world.source().join("inner")).unwrap();
    (world, uuid)
}

fn mount(world: &World, image: &str) -> Mounted {
    Mounted::image(&world.path(image), "noatime", &world.path("dst"))
}

fn is_empty(folder: &Path) -> bool {
    fs::read_dir(folder).unwrap().next().is_none()
}

#[test]
fn the_disk_with_the_right_uuid_is_used_and_no_other() {
    let name = "the_disk_with_the_right_uuid_is_used_and_no_other";
    if is_missing(name, &TOOLS, true) {
        return;
    }
    let (mut world, uuid) = with_image(&json!({}));
    let mounted = mount(&world, "a");
    world.configure(&json!({ "fileSystemUUID": "01234567-89ab-cdef-0123-456789abcdef" }));
    let before = fingerprint(&world.path("dst"), &[]);
    world.apply(NOW).expect(4).says(&uuid).says("hint");
    assert!(fingerprint(&world.path("dst"), &[]) == before);
    world.configure(&json!({ "fileSystemUUID": uuid }));
    world.apply(NOW).expect(0);
    all_whole(&world.host());
    equal(&world, "latest");
    drop(mounted);
    assert!(!is_mounted(&world.path("dst")));
}

#[test]
fn nothing_is_written_below_a_mount_point_where_nothing_is_mounted() {
    let name = "nothing_is_written_below_a_mount_point_where_nothing_is_mounted";
    if is_missing(name, &TOOLS, true) {
        return;
    }
    let (world, _) = with_image(&json!({}));
    let refused = |now| {
        world
            .apply(now)
            .expect(4)
            .says("destination not mounted")
            .says("hint");
        assert!(is_empty(&world.path("dst")));
    };
    refused(NOW);
    let mounted = mount(&world, "a");
    world.apply(NOW).expect(0);
    drop(mounted);
    refused(LATER);
}

#[test]
fn another_disk_at_the_same_place_is_refused_and_left_alone() {
    let name = "another_disk_at_the_same_place_is_refused_and_left_alone";
    if is_missing(name, &TOOLS, true) {
        return;
    }
    let (world, _) = with_image(&json!({}));
    make_ext4(&world.path("b"), 32, &[]);
    let first = mount(&world, "a");
    world.apply(NOW).expect(0);
    drop(first);
    let second = mount(&world, "b");
    let before = fingerprint(&world.path("dst"), &[]);
    world.apply(LATER).expect(4).says("hint");
    assert!(fingerprint(&world.path("dst"), &[]) == before);
    drop(second);
    let _first = mount(&world, "a");
    world.apply(LATER).expect(0);
    equal(&world, "latest");
}

#[test]
fn a_run_that_was_killed_is_not_continued_onto_another_disk() {
    let name = "a_run_that_was_killed_is_not_continued_onto_another_disk";
    if is_missing(name, &[&TOOLS[..], &["strace"]].concat(), true) {
        return;
    }
    let (world, _) = with_image(&json!({}));
    make_ext4(&world.path("b"), 32, &[]);
    let first = mount(&world, "a");
    world.kill_at_sync();
    drop(first);
    let run = world.unfinished().unwrap();
    world.apply(NOW).expect(4).says("destination not mounted");
    assert!(is_empty(&world.path("dst")));
    let second = mount(&world, "b");
    let before = fingerprint(&world.path("dst"), &[]);
    world.apply(NOW).expect(4).says("hint");
    assert!(fingerprint(&world.path("dst"), &[]) == before);
    drop(second);
    let _first = mount(&world, "a");
    world.apply(NOW).expect(0);
    eprintln!("continued: {}", run.join("report.json").exists());
    all_whole(&world.host());
    equal(&world, "latest");
    assert!(is_empty(&world.host().join(".backup/partial")));
}

#[test]
fn a_disk_that_is_mounted_read_only_is_refused() {
    let name = "a_disk_that_is_mounted_read_only_is_refused";
    if is_missing(name, &TOOLS, true) {
        return;
    }
    let (world, _) = with_image(&json!({}));
    let mounted = mount(&world, "a");
    world.apply(NOW).expect(0);
    drop(mounted);
    let _mounted = Mounted::image(&world.path("a"), "ro", &world.path("dst"));
    world.apply(LATER).expect(4).says("read-only").says("hint");
}

#[test]
fn bind_mounts_hide_no_source_in_a_source_and_the_destination_in_one_is_left_out() {
    let name = "bind_mounts_hide_no_source_in_a_source_and_the_destination_in_one_is_left_out";
    if is_missing(name, &TOOLS, true) {
        return;
    }
    let (mut world, _) = with_image(&json!({}));
    let _mounted = mount(&world, "a");
    let other = world.path("other");
    let bound = Mounted::bind(&world.source().join("inner"), &other);
    world.configure(&json!({ "sources": [world.source(), bound.path()] }));
    let before = fingerprint(&world.path("dst"), &[]);
    world.apply(NOW).expect(4).says("hint");
    drop(bound);

    // The destination's own file system, seen at another place, is a source.
    let bound = Mounted::bind(&world.path("dst"), &other);
    world.configure(&json!({ "sources": [bound.path()] }));
    world.apply(NOW).expect(4).says("hint");
    drop(bound);

    assert!(fingerprint(&world.path("dst"), &[]) == before);

    // The destination is bound from a folder within a source.
    let within = world.source().join("inner");
    let bound = Mounted::bind(&within, &world.path("dst"));
    world.configure(&json!({ "sources": [world.source()] }));
    for now in [NOW, LATER] {
        world.apply(now).expect(0).says("left out");
    }
    assert!(is_empty(&world.in_snapshot("latest").join("inner")));
    drop(bound);
}

#[test]
fn a_mount_below_a_source_is_passed_over_and_told_unless_it_is_wanted() {
    let name = "a_mount_below_a_source_is_passed_over_and_told_unless_it_is_wanted";
    if is_missing(name, &TOOLS, true) {
        return;
    }
    let (mut world, _) = with_image(&json!({}));
    let _mounted = mount(&world, "a");
    make_ext4(&world.path("b"), 8, &[]);
    let inner = world.source().join("inner");
    let below = Mounted::image(&world.path("b"), "noatime", &inner);
    fs::write(below.path().join("on b"), "another file system").unwrap();
    world.configure(&json!({ "oneFileSystem": true }));
    let done = world.apply(NOW);
    assert!([0, 3].contains(&done.code), "{}", done.all());
    let report = fs::read_to_string(world.planned_runs()[0].join("report.json")).unwrap();
    assert!(report.contains(inner.to_str().unwrap()), "{report}");
    assert!(report.contains("is passed over"), "{report}");
    assert!(is_empty(&world.in_snapshot("latest").join("inner")));
    world.configure(&json!({ "oneFileSystem": false }));
    world.apply(LATER).expect(0);
    let found = fs::read_to_string(world.in_snapshot("latest").join("inner/on b"));
    assert_eq!(found.unwrap(), "another file system");
    equal(&world, "latest");
}

#[test]
fn data_on_a_disk_below_a_source_is_warned_of_until_it_is_excluded_or_a_source() {
    let name = "data_on_a_disk_below_a_source_is_warned_of_until_it_is_excluded_or_a_source";
    if is_missing(name, &TOOLS, true) {
        return;
    }
    let (mut world, _) = with_image(&json!({}));
    let _mounted = mount(&world, "a");
    make_ext4(&world.path("b"), 8, &[]);
    let inner = world.source().join("inner");
    let below = Mounted::image(&world.path("b"), "noatime", &inner);
    fs::write(below.path().join("film"), "a film").unwrap();
    let warned = |world: &World, verb: &[&str]| {
        let mut all = verb.to_vec();
        all.extend(["--now", LATER]);
        world.run(&all).all().contains(inner.to_str().unwrap())
    };
    let stays = |world: &World| {
        (
            warned(world, &["status"]),
            warned(world, &["health", "--quick"]),
        )
    };
    for now in [NOW, LATER] {
        world.apply(now);
        assert_eq!(stays(&world), (true, true));
    }
    world.configure(&json!({ "excludePatterns": ["inner"] }));
    world.apply("2025-02-09T04:00:00+00:00").expect(0);
    assert_eq!(stays(&world), (false, false));
    let both = json!({ "excludePatterns": [], "sources": [world.source(), inner] });
    world.configure(&both);
    world.apply("2025-02-09T05:00:00+00:00").expect(0);
    assert_eq!(stays(&world), (false, false));
    let film = world.in_snapshot("latest").join("inner/film");
    assert_eq!(fs::read_to_string(film).unwrap(), "a film");
}

#[test]
fn a_source_in_a_folder_that_a_tag_leaves_out_is_backed_up() {
    let name = "a_source_in_a_folder_that_a_tag_leaves_out_is_backed_up";
    if is_missing(name, &TOOLS, true) {
        return;
    }
    let (mut world, _) = with_image(&json!({}));
    let _mounted = mount(&world, "a");
    make_ext4(&world.path("b"), 8, &[]);
    let tagged = world.source().join("tagged");
    let below = Mounted::image(&world.path("b"), "noatime", &tagged.join("in/ner"));
    for file in [
        ".nobackup",
        "secret",
        "in/secret",
        "in/ner/.nobackup",
        "in/ner/film",
    ] {
        fs::write(tagged.join(file), "content").unwrap();
    }
    world.configure(&json!({
        "excludeIfPresent": [".nobackup"],
        "sources": [world.source(), below.path()],
    }));
    world.apply(NOW).expect(0);
    let there = world.in_snapshot("latest").join("tagged");
    assert_eq!(entry_names(&there), ["in"]);
    assert_eq!(entry_names(&there.join("in")), ["ner"]);
    assert!(there.join("in/ner/film").exists() && there.join("in/ner/.nobackup").exists());
}

#[test]
fn subvolumes_below_a_source_are_other_file_systems_and_named() {
    let name = "subvolumes_below_a_source_are_other_file_systems_and_named";
    if is_missing(name, &[&TOOLS[..], &["mkfs.btrfs", "btrfs"]].concat(), true) {
        return;
    }
    for use_rsync in [false, true] {
        let mut world = World::new(&json!({ "useRsync": use_rsync }));
        let image = world.path("b");
        fs::File::create(&image)
            .unwrap()
            .set_len(128 << 20)
            .unwrap();
        crate::lab::run_tool("mkfs.btrfs", ["-q", image.to_str().unwrap()]);
        let disk = Mounted::image(&image, "noatime", &world.source());
        let nested = disk.path().join("machines");
        crate::lab::run_tool(
            "btrfs",
            ["-q", "subvolume", "create", nested.to_str().unwrap()],
        );
        fs::write(nested.join("one"), "of one").unwrap();
        fs::write(disk.path().join("letter"), "letter").unwrap();
        let done = world.apply(NOW);
        assert!([0, 3].contains(&done.code), "{}", done.all());
        let report = fs::read_to_string(world.planned_runs()[0].join("report.json")).unwrap();
        assert!(report.contains(nested.to_str().unwrap()), "{report}");
        let stored = world.in_snapshot("latest");
        assert!(stored.join("letter").exists() && !stored.join("machines/one").exists());
        world.configure(&json!({ "sources": [world.source(), nested] }));
        world.apply(LATER).expect(0);
        let one = world.in_snapshot("latest").join("machines/one");
        assert_eq!(fs::read_to_string(one).unwrap(), "of one");
    }
}

#[test]
fn nothing_is_written_into_the_mount_point_of_a_disk_that_goes_away_while_copying() {
    let name = "nothing_is_written_into_the_mount_point_of_a_disk_that_goes_away_while_copying";
    if is_missing(name, &[&TOOLS[..], &["strace"]].concat(), true) {
        return;
    }
    let (world, _) = with_image(&json!({}));
    for number in 0..30 {
        fs::write(world.source().join(number.to_string()), "x").unwrap();
    }
    for (turn, wait) in [20, 300, 600].into_iter().enumerate() {
        let mounted = mount(&world, "a");
        let now = format!("2025-02-1{turn}T02:00:00+00:00");
        let done = std::thread::scope(|scope| {
            scope.spawn(|| {
                while world.unfinished().is_none() {
                    std::thread::sleep(Duration::from_millis(1));
                }
                std::thread::sleep(Duration::from_millis(wait));
                mounted.end_lazily();
            });
            let slow = "inject=fdatasync,mkdirat,linkat,pwrite64:delay_enter=20000";
            world.traced(
                &now,
                &["-e", "trace=fdatasync,mkdirat,linkat,pwrite64", "-e", slow],
            )
        });
        eprintln!("unmounted after {wait} ms: {:?}", done.code);
        assert!([0, 1, 3, 4].contains(&done.code), "{}", done.all());
        assert!(is_empty(&world.path("dst")), "{}", done.all());
        drop(mounted);
    }
    let _mounted = mount(&world, "a");
    world.apply("2025-02-14T02:00:00+00:00").expect(0);
    all_whole(&world.host());
    equal(&world, "latest");
}
