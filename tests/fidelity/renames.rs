//! What moved within the sources is linked, not copied; what only looks alike is not mixed up.

use std::{fs, os::unix::fs::MetadataExt as _, path::Path};
use test_support::Random;

use crate::{
    compare::same,
    lab::{DAYS, ENGINES, Engine, World, is_missing},
    metadata::{set_mode, set_time},
};

/// A world, the ids of two snapshots, and the inodes of paths in them.
struct Two {
    world: World,
    ids: [String; 2],
}

impl Two {
    /// Snapshots of a source before and after a change; rsync's hold the same.
    fn new(before: impl Fn(&Path), change: impl Fn(&Path)) -> Self {
        let [built_in, by_rsync] = ENGINES.map(|engine| {
            let without =
                engine == Engine::Rsync && is_missing("renames by rsync", &["rsync"], false);
            (!without).then(|| Self::of(engine, &before, &change))
        });
        let two = built_in.unwrap();
        if let Some(by_rsync) = by_rsync {
            let totals = |two: &Self| two.world.snapshot_record(&two.ids[1]).totals;
            assert_eq!(totals(&by_rsync), totals(&two));
        }
        two
    }

    fn of(engine: Engine, before: &impl Fn(&Path), change: &impl Fn(&Path)) -> Self {
        let world = World::new(engine, &["src"]);
        let source = world.path("src");
        before(&source);
        let first = world.apply(DAYS[0], 0);
        change(&source);
        let second = world.apply(DAYS[1], 0);
        same(&source, &world.in_snapshot(&second, "src"));
        Self {
            world,
            ids: [first, second],
        }
    }

    fn inode(&self, which: usize, name: &str) -> u64 {
        let path = Path::new("src").join(name);
        let path = self.world.in_snapshot(&self.ids[which], path);
        path.symlink_metadata().unwrap().ino()
    }

    /// Ends the test unless the second snapshot's name is the inode of the first one's.
    #[track_caller]
    fn shared(&self, old: &str, new: &str) {
        assert_eq!(self.inode(0, old), self.inode(1, new), "{old} and {new}");
    }

    /// Ends the test if they are one inode.
    #[track_caller]
    fn apart(&self, old: &str, new: &str) {
        assert_ne!(self.inode(0, old), self.inode(1, new), "{old} and {new}");
    }

    fn copied(&self) -> u64 {
        self.world.snapshot_record(&self.ids[1]).totals.files_copied
    }
}

fn write(root: &Path, name: &str, seed: u64, size: usize) {
    let path = root.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, Random::new(seed | 1).bytes(size)).unwrap();
}

fn rename(root: &Path, from: &str, to: &str) {
    fs::create_dir_all(root.join(to).parent().unwrap()).unwrap();
    fs::rename(root.join(from), root.join(to)).unwrap();
}

#[test]
fn a_renamed_file_shares_the_old_ones_inode() {
    let before = |root: &Path| {
        for number in 0..10 {
            write(root, &format!("folder/file {number}"), number, 10_000);
        }
    };
    let two = Two::new(before, |root| {
        rename(root, "folder/file 3", "folder/another name");
        rename(root, "folder/file 4", "elsewhere/and deeper/file 4");
        // To a name that sorts before the old one.
        rename(root, "folder/file 5", "a first name");
    });
    two.shared("folder/file 3", "folder/another name");
    two.shared("folder/file 4", "elsewhere/and deeper/file 4");
    two.shared("folder/file 5", "a first name");
    two.shared("folder/file 6", "folder/file 6");
    assert_eq!(two.copied(), 0);
}

#[test]
fn the_files_of_a_renamed_folder_share_the_old_ones_inodes() {
    let name = |number: u64| format!("part {}/{number}.jpg", number % 3);
    let before = |root: &Path| {
        for number in 0..200 {
            write(root, &format!("holiday/{}", name(number)), number, 3000);
        }
        for number in 0..300 {
            write(root, &format!("steady/{number}"), number, 10);
        }
    };
    let two = Two::new(before, |root| rename(root, "holiday", "years/2024/summer"));
    for number in 0..200 {
        let name = name(number);
        two.shared(
            &format!("holiday/{name}"),
            &format!("years/2024/summer/{name}"),
        );
    }
    assert_eq!(two.copied(), 0);
}

#[test]
fn a_tree_that_moved_as_a_whole_is_not_suspect() {
    let before = |root: &Path| {
        for number in 0..100 {
            write(root, &format!("all/{number}"), number, 1000);
        }
    };
    // `Two` ends the test unless the run ends with 0.
    let two = Two::new(before, |root| rename(root, "all", "all of it"));
    assert_eq!(two.copied(), 0);
}

#[test]
fn a_file_that_was_copied_and_removed_shares_the_old_ones_inode() {
    let before = |root: &Path| {
        write(root, "old/video", 1, 300_000);
        write(root, "old/other", 2, 300_000);
    };
    let two = Two::new(before, |root| {
        // As a move to another file system and back: a new inode, the time kept.
        let old = root.join("old/video");
        let stat = fs::metadata(&old).unwrap();
        fs::create_dir(root.join("new")).unwrap();
        fs::copy(&old, root.join("new/video")).unwrap();
        set_time(&root.join("new/video"), stat.mtime(), stat.mtime_nsec());
        fs::remove_file(old).unwrap();
    });
    two.shared("old/video", "new/video");
    two.shared("old/other", "old/other");
}

#[test]
fn changed_metadata_alone_takes_a_new_inode_and_leaves_the_old_snapshot_as_it_was() {
    let name = "changed_metadata_alone_takes_a_new_inode_and_leaves_the_old_snapshot_as_it_was";
    if is_missing(name, &["setfattr"], true) {
        return;
    }
    let names = [
        "mode",
        "owner",
        "time",
        "attribute",
        "all of it and renamed",
        "attribute and renamed",
        "attribute and copied",
    ];
    let before = |root: &Path| {
        for (number, name) in (0..).zip(names) {
            write(root, name, number, 20_000);
            set_mode(&root.join(name), 0o644);
            set_time(&root.join(name), 1_700_000_000, 1);
        }
    };
    let two = Two::new(before, |root| {
        set_mode(&root.join("mode"), 0o4711);
        std::os::unix::fs::lchown(root.join("owner"), Some(1234), Some(5678)).unwrap();
        set_time(&root.join("time"), 1_700_000_000, 2);
        crate::metadata::attribute(&root.join("attribute"), "user.new", "yes");
        rename(root, "all of it and renamed", "renamed");
        let renamed = root.join("renamed");
        std::os::unix::fs::lchown(&renamed, Some(1234), Some(5678)).unwrap();
        set_mode(&renamed, 0o600);
        set_time(&renamed, 5, 5);
        // Whose attributes alone are others looks as it did, wherever it is now: reading tells.
        rename(root, "attribute and renamed", "renamed with attribute");
        let copied = root.join("copied with attribute");
        fs::copy(root.join("attribute and copied"), &copied).unwrap();
        fs::remove_file(root.join("attribute and copied")).unwrap();
        set_time(&copied, 1_700_000_000, 1);
        for name in ["renamed with attribute", "copied with attribute"] {
            crate::metadata::attribute(&root.join(name), "user.new", "yes");
        }
    });
    for name in &names[..4] {
        two.apart(name, name);
    }
    two.apart("all of it and renamed", "renamed");
    two.apart("attribute and renamed", "renamed with attribute");
    two.apart("attribute and copied", "copied with attribute");
    for name in names {
        let old = two
            .world
            .in_snapshot(&two.ids[0], Path::new("src").join(name));
        let stat = fs::metadata(&old).unwrap();
        let told = (
            stat.mode() & 0o7777,
            stat.uid(),
            stat.gid(),
            stat.mtime(),
            stat.mtime_nsec(),
        );
        assert_eq!(told, (0o644, 0, 0, 1_700_000_000, 1), "{name}");
        let listed = std::process::Command::new("getfattr")
            .arg(&old)
            .output()
            .unwrap();
        assert_eq!(listed.stdout, b"", "{name}");
    }
}

#[test]
fn files_of_one_size_and_time_that_swapped_names_are_not_mixed_up() {
    let before = |root: &Path| {
        for (number, name) in (1..).zip(["a/one", "b/two", "c/three"]) {
            write(root, name, number, 50_000);
            set_time(&root.join(name), 1_700_000_000, 0);
        }
    };
    // Their content is compared there.
    Two::new(before, |root| {
        // Round in a circle: each name now is another file of the same looks.
        rename(root, "a/one", "kept");
        rename(root, "b/two", "a/one");
        rename(root, "c/three", "b/two");
        rename(root, "kept", "c/three");
    });
}

#[test]
fn a_new_file_of_the_same_looks_is_not_taken_for_one_that_moved() {
    let before = |root: &Path| {
        write(root, "one", 1, 4096);
        set_time(&root.join("one"), 1_700_000_000, 0);
    };
    let two = Two::new(before, |root| {
        fs::remove_file(root.join("one")).unwrap();
        // The inode number may well be the same one.
        write(root, "two", 2, 4096);
        set_time(&root.join("two"), 1_700_000_000, 0);
    });
    two.apart("one", "two");
}

#[test]
fn two_names_of_one_file_move_together_and_stay_one() {
    let before = |root: &Path| {
        write(root, "a/one", 1, 30_000);
        fs::create_dir(root.join("b")).unwrap();
        fs::hard_link(root.join("a/one"), root.join("b/two")).unwrap();
        write(root, "twin 1", 7, 30_000);
        fs::copy(root.join("twin 1"), root.join("twin 2")).unwrap();
        for name in ["twin 1", "twin 2"] {
            set_time(&root.join(name), 1_700_000_000, 0);
        }
    };
    let two = Two::new(before, |root| {
        rename(root, "a/one", "moved/one");
        rename(root, "b/two", "moved/two");
        // Of the same content and looks, and never one file: `same` would tell.
        rename(root, "twin 1", "moved/twin 1");
        rename(root, "twin 2", "moved/twin 2");
    });
    two.shared("a/one", "moved/one");
    two.shared("a/one", "moved/two");
    assert_ne!(two.inode(1, "moved/twin 1"), two.inode(1, "moved/twin 2"));
}

#[test]
fn names_that_were_one_file_and_are_two_now_do_not_share_an_inode() {
    let before = |root: &Path| {
        write(root, "one", 1, 30_000);
        fs::hard_link(root.join("one"), root.join("two")).unwrap();
    };
    let two = Two::new(before, |root| {
        let stat = fs::metadata(root.join("one")).unwrap();
        fs::copy(root.join("two"), root.join("apart")).unwrap();
        fs::remove_file(root.join("two")).unwrap();
        rename(root, "apart", "two");
        set_time(&root.join("two"), stat.mtime(), stat.mtime_nsec());
        rename(root, "one", "moved");
    });
    // Either may have the old inode.
    assert_ne!(two.inode(1, "moved"), two.inode(1, "two"));
}
