//! Every kind of damage to a snapshot is found and named, and nothing else is.

use std::{
    fs::{self, File, FileTimes, OpenOptions, Permissions},
    io::Write as _,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, lchown, symlink},
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;
use test_support::flip_byte;

use crate::lab::{Lab, Ran, id_of, is_installed, skip};

pub(crate) const FIRST: &str = "2025-03-05T02:00:00+01:00";
pub(crate) const SECOND: &str = "2025-03-06T02:00:00+01:00";
pub(crate) const THIRD: &str = "2025-03-07T02:00:00+01:00";
pub(crate) const FOURTH: &str = "2025-03-08T02:00:00+01:00";

/// A file of the source that the tests damage in snapshots.
pub(crate) const VICTIM: &str = "home/ann/letter.txt";

/// A lab with snapshots of these nights.
pub(crate) fn nights(nights: &[&str]) -> Lab {
    let lab = Lab::new();
    for night in nights {
        lab.backup(night);
    }
    lab
}

/// What a pass found: kind, names and message of each damage.
pub(crate) fn damage(ran: &Ran) -> Vec<(String, Vec<String>, String)> {
    let json = ran.json();
    let all = json["damage"].as_array().unwrap().iter();
    let damage: Vec<_> = all
        .map(|one| {
            let names = one["names"].as_array().unwrap().iter();
            let name = |name: &Value| {
                let (snapshot, path) = (&name["snapshot"], &name["path"]);
                format!("{}/{}", snapshot.as_str().unwrap(), path.as_str().unwrap())
            };
            (
                one["kind"].as_str().unwrap().to_owned(),
                names.map(name).collect(),
                one["message"].as_str().unwrap().to_owned(),
            )
        })
        .collect();
    assert_eq!(json["damage_count"], damage.len());
    damage
}

/// The name of a path of the lab in a snapshot of this night.
pub(crate) fn name(lab: &Lab, night: &str, relative: &str) -> String {
    format!("{}{}", id_of(night), lab.text(relative))
}

/// Where a path of the lab stands in the snapshot of a night.
pub(crate) fn stored(lab: &Lab, night: &str, relative: &str) -> PathBuf {
    let id = id_of(night);
    let tiers = ["daily", "weekly", "monthly"];
    let tier = tiers.iter().find(|tier| {
        let of = lab.stored(&format!("{tier}/{id}")).symlink_metadata();
        of.is_ok_and(|of| of.is_dir())
    });
    lab.inside(&format!("{}/{id}", tier.unwrap()), relative)
}

/// Does something to a path and puts the time of it and of its folder back, as a disk's fault
/// leaves them.
pub(crate) fn unseen(path: &Path, act: impl FnOnce()) {
    let time = |path: &Path| path.symlink_metadata().unwrap().modified().unwrap();
    let (own, folder) = (time(path), path.parent().unwrap());
    let of_folder = time(folder);
    act();
    let set = |path: &Path, time| {
        let file = File::open(path).unwrap();
        file.set_times(FileTimes::new().set_modified(time)).unwrap();
    };
    if path.symlink_metadata().is_ok_and(|of| of.is_file()) {
        set(path, own);
    }
    set(folder, of_folder);
}

/// A damage that is done, and what must be found: its kind, a part of the message, and whether a
/// quick look finds it.
struct Case {
    name: &'static str,
    act: fn(&Path),
    kind: &'static str,
    says: &'static str,
    quick: bool,
    as_root: bool,
}

const CASES: [Case; 13] = [
    Case {
        name: "flipped byte",
        act: |path| unseen(path, || flip_byte(path)),
        kind: "content",
        says: "digest is",
        quick: false,
        as_root: false,
    },
    Case {
        name: "truncated",
        act: |path| unseen(path, || shorten(path, 3)),
        kind: "content",
        says: "size is 3, should be 9",
        quick: true,
        as_root: false,
    },
    Case {
        name: "grown",
        act: |path| {
            unseen(path, || {
                let mut file = OpenOptions::new().append(true).open(path).unwrap();
                file.write_all(b"more").unwrap();
            });
        },
        kind: "content",
        says: "size is 13, should be 9",
        quick: true,
        as_root: false,
    },
    Case {
        name: "emptied",
        act: |path| unseen(path, || shorten(path, 0)),
        kind: "content",
        says: "size is 0, should be 9",
        quick: true,
        as_root: false,
    },
    Case {
        name: "mode",
        act: |path| fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap(),
        kind: "metadata",
        says: "mode is 0755, should be 0644",
        quick: true,
        as_root: false,
    },
    Case {
        name: "owner",
        act: |path| lchown(path, Some(4321), Some(8765)).unwrap(),
        kind: "metadata",
        says: "owner is 4321:8765, should be 0:0",
        quick: true,
        as_root: true,
    },
    Case {
        name: "time",
        act: |path| {
            let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
            File::open(path).unwrap().set_modified(time).unwrap();
        },
        kind: "metadata",
        says: "time is 2001-09-09 01:46:40",
        quick: true,
        as_root: false,
    },
    Case {
        name: "attribute",
        act: |path| attribute(path, "user.colour", "red"),
        kind: "metadata",
        says: "extended attributes are not as they were",
        quick: true,
        as_root: false,
    },
    Case {
        name: "became a folder",
        act: |path| {
            unseen(path, || {
                fs::remove_file(path).unwrap();
                fs::create_dir(path).unwrap();
                fs::write(path.join("inside"), "").unwrap();
            });
        },
        kind: "wrong-kind",
        says: "is a folder, should be a file",
        quick: true,
        as_root: false,
    },
    Case {
        name: "became a symlink",
        act: |path| {
            unseen(path, || {
                fs::remove_file(path).unwrap();
                symlink("photo.jpg", path).unwrap();
            });
        },
        kind: "wrong-kind",
        says: "is a symlink, should be a file",
        quick: true,
        as_root: false,
    },
    Case {
        name: "deleted",
        act: |path| unseen(path, || fs::remove_file(path).unwrap()),
        kind: "missing",
        says: "a file that is not there",
        quick: true,
        as_root: false,
    },
    Case {
        name: "extra",
        act: |path| {
            let beside = path.with_file_name("lettes");
            unseen(path, || fs::write(beside, "").unwrap());
        },
        kind: "extra",
        says: "is not in the manifest",
        quick: true,
        as_root: false,
    },
    Case {
        name: "symlink",
        act: |path| {
            let link = path.with_file_name("link");
            let time = path.parent().unwrap().symlink_metadata().unwrap();
            let own = link.symlink_metadata().unwrap();
            fs::remove_file(&link).unwrap();
            symlink("photo.jpg", &link).unwrap();
            touch(&link, &own);
            touch(path.parent().unwrap(), &time);
        },
        kind: "target",
        says: "leads to photo.jpg, should lead to letter.txt",
        quick: true,
        as_root: false,
    },
];

fn shorten(path: &Path, length: u64) {
    let file = OpenOptions::new().write(true).open(path).unwrap();
    file.set_len(length).unwrap();
}

/// Puts a time back, of a symlink too.
fn touch(path: &Path, of: &fs::Metadata) {
    let time = format!("@{}.{:09}", of.mtime(), of.mtime_nsec());
    let done = Command::new("touch")
        .args(["-h", "-d", &time])
        .arg(path)
        .status();
    assert!(done.unwrap().success());
}

pub(crate) fn attribute(path: &Path, name: &str, value: &str) {
    let done = Command::new("setfattr")
        .args(["-n", name, "-v", value])
        .arg(path)
        .status();
    assert!(done.unwrap().success());
}

/// A lab with a snapshot of a thousand files more.
pub(crate) fn thousand_files() -> Lab {
    let lab = Lab::new();
    symlink("letter.txt", lab.path("home/ann/link")).unwrap();
    fs::set_permissions(lab.path(VICTIM), Permissions::from_mode(0o644)).unwrap();
    attribute(&lab.path(VICTIM), "user.colour", "blue");
    for folder in 0..20 {
        for file in 0..50 {
            let text = format!("{folder} {file}\n").repeat(file);
            lab.write(&format!("home/more/{folder}/{file}"), &text);
        }
    }
    fs::hard_link(lab.path("home/more/3/7"), lab.path("home/more/5/linked")).unwrap();
    lab.backup(FIRST);
    lab
}

#[test]
fn each_kind_of_damage_is_found_and_nothing_else_is() {
    if !is_installed("setfattr") {
        return skip("each_kind_of_damage_is_found: setfattr is not installed");
    }
    let lab = thousand_files();
    let kept = lab.path("kept");
    copy(&lab.path("mnt"), &kept);
    let whole = lab.run(&["verify", "--json"]).expect(0);
    assert_eq!(damage(&whole), []);
    assert_eq!(whole.json()["files_read"], 1003);
    let is_root = nix::unistd::geteuid().is_root();
    for case in CASES {
        if case.as_root && !is_root {
            skip(&format!("damage of kind `{}`: not root", case.name));
            continue;
        }
        let path = stored(&lab, FIRST, VICTIM);
        (case.act)(&path);
        let expected = match case.name {
            "extra" => "home/ann/lettes",
            "symlink" => "home/ann/link",
            _ => VICTIM,
        };
        let full = lab.run(&["verify", "--json"]).expect(3);
        let found = damage(&full);
        assert_eq!(found.len(), 1, "{}: {found:?}", case.name);
        assert_eq!(found[0].0, case.kind, "{}: {found:?}", case.name);
        assert_eq!(found[0].1, [name(&lab, FIRST, expected)], "{}", case.name);
        assert!(found[0].2.contains(case.says), "{}: {found:?}", case.name);
        let quick = lab.run(&["verify", "--quick", "--json"]);
        assert_eq!(quick.json()["bytes_read"], 0);
        if case.quick {
            assert_eq!(damage(&quick.expect(3)), found, "{}", case.name);
        } else {
            assert_eq!(damage(&quick.expect(0)), [], "{}", case.name);
        }
        lab.run(&["verify"])
            .expect(3)
            .says(&lab.text(expected))
            .says(&id_of(FIRST))
            .fits();
        fs::remove_dir_all(lab.path("mnt")).unwrap();
        copy(&kept, &lab.path("mnt"));
    }
    lab.run(&["verify"]).expect(0).says("Whole.");
}

/// Copies a tree as it is.
pub(crate) fn copy(from: &Path, to: &Path) {
    let done = Command::new("cp").arg("-aT").arg(from).arg(to).status();
    assert!(done.unwrap().success());
}

#[test]
fn a_damaged_manifest_is_found_and_its_snapshot_is_not_compared_with_it() {
    let lab = nights(&[FIRST, SECOND]);
    let records = format!(".backup/snapshots/{}", id_of(SECOND));
    let manifest = lab.stored(&format!("{records}/manifest/SHA256SUMS"));
    let mut content = fs::read(&manifest).unwrap();
    let middle = content.len() / 2;
    content[middle] ^= 1;
    fs::write(&manifest, content).unwrap();
    for how in ["--quick", "--full"] {
        let found = damage(&lab.run(&["verify", how, "--json"]).expect(3));
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].0, "manifest");
        assert_eq!(found[0].1, [format!("{}/", id_of(SECOND))]);
    }
    lab.run(&["verify", &id_of(FIRST)]).expect(0);
    lab.run(&["verify", "--repair"])
        .expect(0)
        .says("the records of 1 snapshot made anew")
        .says("Whole.");
}

#[test]
fn a_damaged_record_is_found_and_the_content_is_compared_all_the_same() {
    let lab = nights(&[FIRST, SECOND]);
    let path = lab.stored(&format!(
        ".backup/snapshots/{}/snapshot.json",
        id_of(SECOND)
    ));
    let whole = fs::read_to_string(&path).unwrap();
    let victim = stored(&lab, SECOND, VICTIM);
    for damaged in [
        whole.replacen('{', "", 1),
        whole.replace("\"entries\": ", "\"entries\": 1"),
    ] {
        assert_ne!(damaged, whole);
        fs::write(&path, damaged).unwrap();
        for how in ["--quick", "--full"] {
            let found = damage(&lab.run(&["verify", how, "--json"]).expect(3));
            assert_eq!(found.len(), 1, "{found:?}");
            assert_eq!(found[0].0, "record");
            assert_eq!(found[0].1, [format!("{}/", id_of(SECOND))]);
        }
    }
    fs::write(&path, "{").unwrap();
    unseen(&victim, || flip_byte(&victim));
    let found = damage(&lab.run(&["verify", "--json"]).expect(3));
    let kinds: Vec<_> = found.iter().map(|one| one.0.as_str()).collect();
    assert_eq!(kinds, ["content", "record"]);
    // The other snapshot is found and compared by its own record.
    let first = damage(&lab.run(&["verify", &id_of(FIRST), "--json"]).expect(3));
    assert_eq!(first.len(), 1);
    fs::remove_file(&path).unwrap();
    lab.run(&["verify", "--quick"]).expect(3).says("is missing");
}
