//! `verify`: every kind of damage is found and named, and nothing else is; what is damaged is
//! healed without writing to a stored file.

use std::{
    collections::BTreeMap,
    fs::{self, File, FileTimes, OpenOptions, Permissions},
    io::{Seek as _, SeekFrom, Write as _},
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, lchown, symlink},
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

use crate::lab::{Lab, PROGRAM, Ran, ended, id_of, in_path, names, ran, skipped, step, wait_for};

const FIRST: &str = "2025-03-05T02:00:00+01:00";
const SECOND: &str = "2025-03-06T02:00:00+01:00";
const THIRD: &str = "2025-03-07T02:00:00+01:00";
const FOURTH: &str = "2025-03-08T02:00:00+01:00";

/// A file of the source that the tests damage in snapshots.
const VICTIM: &str = "home/ann/letter.txt";

/// A lab with snapshots of these nights.
fn nights(nights: &[&str]) -> Lab {
    let lab = Lab::new();
    for night in nights {
        lab.backup(night);
    }
    lab
}

/// What a pass found: kind, names and message of each damage.
fn damage(ran: &Ran) -> Vec<(String, Vec<String>, String)> {
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
fn name(lab: &Lab, night: &str, relative: &str) -> String {
    format!("{}{}", id_of(night), lab.text(relative))
}

/// Where a path of the lab stands in the snapshot of a night.
fn stored(lab: &Lab, night: &str, relative: &str) -> PathBuf {
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
fn unseen(path: &Path, act: impl FnOnce()) {
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

/// Flips the first byte of a file.
fn flip(path: &Path) {
    let content = fs::read(path).unwrap();
    let mut file = OpenOptions::new().write(true).open(path).unwrap();
    file.seek(SeekFrom::Start(0)).unwrap();
    file.write_all(&[!content[0]]).unwrap();
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
        act: |path| unseen(path, || flip(path)),
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

fn attribute(path: &Path, name: &str, value: &str) {
    let done = Command::new("setfattr")
        .args(["-n", name, "-v", value])
        .arg(path)
        .status();
    assert!(done.unwrap().success());
}

/// A lab with a snapshot of a thousand files more.
fn thousand_files() -> Lab {
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
    if !in_path("setfattr") {
        return skipped("each_kind_of_damage_is_found: setfattr is not installed");
    }
    let lab = thousand_files();
    let kept = lab.path("kept");
    copy(&lab.path("mnt"), &kept);
    let whole = lab.run(&["verify", "--json"]).expect(0);
    assert_eq!(damage(&whole), []);
    assert_eq!(whole.json()["files_read"], 1003);
    let is_root = nix_is_root();
    for case in CASES {
        if case.as_root && !is_root {
            skipped(&format!("damage of kind `{}`: not root", case.name));
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

fn nix_is_root() -> bool {
    fs::metadata("/proc/self").unwrap().uid() == 0
}

/// Copies a tree as it is.
fn copy(from: &Path, to: &Path) {
    let done = Command::new("cp").arg("-aT").arg(from).arg(to).status();
    assert!(done.unwrap().success());
}

#[test]
fn a_damaged_manifest_is_found_and_its_snapshot_is_not_compared_with_it() {
    let lab = nights(&[FIRST, SECOND]);
    let records = format!(".backup/snapshots/{}", id_of(SECOND));
    let manifest = lab.stored(&format!("{records}/manifest.mtree.zst"));
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
        .expect(3)
        .says("not repaired: records are not made anew");
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
    unseen(&victim, || flip(&victim));
    let found = damage(&lab.run(&["verify", "--json"]).expect(3));
    let kinds: Vec<_> = found.iter().map(|one| one.0.as_str()).collect();
    assert_eq!(kinds, ["content", "record"]);
    // The other snapshot is found and compared by its own record.
    let first = damage(&lab.run(&["verify", &id_of(FIRST), "--json"]).expect(3));
    assert_eq!(first.len(), 1);
    fs::remove_file(&path).unwrap();
    lab.run(&["verify", "--quick"]).expect(3).says("is missing");
}

#[test]
fn an_inode_that_three_snapshots_share_is_read_once_and_named_thrice() {
    let lab = nights(&[FIRST, SECOND, THIRD]);
    fs::hard_link(lab.path(VICTIM), lab.path("home/bob/copy")).unwrap();
    lab.backup(FOURTH);
    let victim = stored(&lab, SECOND, VICTIM);
    unseen(&victim, || flip(&victim));
    let all = lab.run(&["verify", "--all", "--json"]).expect(3);
    let found = damage(&all);
    assert_eq!(found.len(), 1, "{found:?}");
    let mut expected: Vec<String> = [FIRST, SECOND, THIRD, FOURTH]
        .map(|night| name(&lab, night, VICTIM))
        .into();
    let shared = stored(&lab, FOURTH, "home/bob/copy").metadata().unwrap();
    if shared.ino() == victim.metadata().unwrap().ino() {
        expected.push(name(&lab, FOURTH, "home/bob/copy"));
    }
    expected.sort();
    assert_eq!(found[0].1, expected);
    // Each stored inode once, whatever the number of names.
    let inodes = inodes(&lab);
    assert_eq!(all.json()["files_read"], inodes.len());
    let bytes: u64 = inodes.values().sum();
    assert_eq!(all.json()["bytes_read"], bytes);

    // One snapshot is asked for, and all that share the damage are named.
    let one = damage(&lab.run(&["verify", "latest", "--json"]).expect(3));
    assert_eq!(one, found);
    let told = lab.run(&["verify", &id_of(FIRST)]).expect(3);
    for night in [FIRST, SECOND, THIRD, FOURTH] {
        assert!(told.stdout.contains(&id_of(night)), "{told}");
    }
}

/// Inode and size of every regular file in all snapshots.
fn inodes(lab: &Lab) -> BTreeMap<u64, u64> {
    let tiers = ["daily", "weekly", "monthly"].map(|tier| lab.stored(tier));
    let entries = tiers.iter().flat_map(walkdir::WalkDir::new);
    entries
        .map(|entry| entry.unwrap().metadata().unwrap())
        .filter(fs::Metadata::is_file)
        .map(|of| (of.ino(), of.size()))
        .collect()
}

#[test]
fn strace_sees_each_stored_file_opened_once() {
    if !in_path("strace") || !can_trace() {
        return skipped("strace_sees_each_stored_file_opened_once: strace may not trace here");
    }
    let lab = nights(&[FIRST, SECOND, THIRD]);
    let command = lab.command(&["verify", "--all"]);
    let mut traced = lab.bare("strace");
    traced
        .args(["-f", "-qq", "-e", "trace=openat", "-o"])
        .arg(lab.path("trace"))
        .arg(PROGRAM)
        .args(command.get_args());
    ran(traced, &["strace"]).expect(0);
    let trace = fs::read_to_string(lab.path("trace")).unwrap();
    for file in ["letter.txt", "photo.jpg", "list.md"] {
        assert_eq!(trace.matches(&format!("\"{file}\"")).count(), 1, "{file}");
    }
}

fn can_trace() -> bool {
    let mut strace = Command::new("strace");
    strace
        .args(["-qq", "-o", "/dev/null", "true"])
        .stderr(std::process::Stdio::null());
    strace.status().is_ok_and(|status| status.success())
}

#[test]
fn the_parts_of_a_subset_read_every_stored_file_exactly_once() {
    let lab = thousand_files();
    lab.write("home/more/1/1", "changed");
    lab.backup(SECOND);
    let inodes = inodes(&lab);
    let (mut files, mut bytes) = (0, 0);
    for part in 1..=5 {
        let subset = format!("{part}/5");
        let ran = lab
            .run(&["verify", "--subset", &subset, "--json"])
            .expect(0);
        let read = ran.json()["files_read"].as_u64().unwrap();
        assert!(read > 100, "{read}");
        files += read;
        bytes += ran.json()["bytes_read"].as_u64().unwrap();
        assert_eq!(ran.json()["snapshots"].as_array().unwrap().len(), 2);
    }
    assert_eq!(files, inodes.len() as u64);
    assert_eq!(bytes, inodes.values().sum::<u64>());

    let victim = stored(&lab, SECOND, VICTIM);
    unseen(&victim, || flip(&victim));
    let codes: Vec<i32> = (1..=5)
        .map(|part| lab.run(&["verify", "--subset", &format!("{part}/5")]).code)
        .collect();
    assert_eq!(
        codes.iter().filter(|code| **code == 3).count(),
        1,
        "{codes:?}"
    );
    assert_eq!(
        codes.iter().filter(|code| **code == 0).count(),
        4,
        "{codes:?}"
    );

    let one = lab.run(&["verify", &id_of(FIRST), "--subset", "1/1", "--json"]);
    assert_eq!(one.json()["snapshots"].as_array().unwrap().len(), 1);
    for wrong in ["0/3", "4/3", "3", "a/b", "1/0"] {
        lab.run(&["verify", "--subset", wrong])
            .expect(2)
            .says("2/7");
    }
}

#[test]
fn what_cannot_be_compared_is_refused() {
    let mut lab = Lab::new();
    lab.run(&["verify"])
        .expect(4)
        .says("nothing was ever backed up")
        .hints("backup apply");
    lab.backup(FIRST);
    lab.run(&["verify", "2020-01-01_00-00-00"])
        .expect(4)
        .says("there is no snapshot `2020-01-01_00-00-00`")
        .hints("backup list");
    fs::create_dir(lab.stored("daily/by hand")).unwrap();
    lab.run(&["verify", "daily/by hand"])
        .expect(4)
        .says("was not made by this program");
    lab.run(&["verify", "yearly/2020-01-01_00-00-00"]).expect(4);
    lab.run(&["verify", "--all", "latest"]).expect(2);
    lab.run(&["verify", "--quick", "--full"]).expect(2);
    lab.set("local.requireMount", true);
    for how in [&["verify"][..], &["verify", "--repair"]] {
        lab.run(how)
            .expect(4)
            .says("destination not mounted")
            .hints("mountpoint");
    }
    lab.set("local.requireMount", false);
    for named in [
        "latest",
        "monthly/latest",
        &format!("daily/{}", id_of(FIRST)),
    ] {
        lab.run(&["verify", named]).expect(0);
    }
}

#[test]
fn nothing_is_written_to_sources_or_destination_and_no_lock_is_needed() {
    let lab = nights(&[FIRST, SECOND]);
    let everything = || {
        let mut all = crate::lab::everything(&lab.path("mnt"));
        all.extend(crate::lab::everything(&lab.path("home")));
        all
    };
    let before = everything();
    let lock = File::open(lab.stored(".backup/lock")).unwrap();
    lock.lock().unwrap();
    let own = File::open(lab.path("state/lock")).unwrap();
    own.lock().unwrap();
    for how in [
        &["verify"][..],
        &["verify", "--all"],
        &["verify", "--quick"],
    ] {
        lab.run(how).expect(0);
    }
    let victim = stored(&lab, SECOND, VICTIM);
    unseen(&victim, || flip(&victim));
    let damaged = everything();
    lab.run(&["verify"]).expect(3);
    assert_eq!(everything(), damaged);
    assert_eq!(before.len(), damaged.len());
    // A repair does need it.
    lab.run(&["verify", "--repair"]).expect(75);
    assert_eq!(everything(), damaged);
}

#[test]
fn what_was_found_is_remembered_and_a_damaged_file_is_never_linked_to_again() {
    let lab = nights(&[FIRST, SECOND]);
    lab.run(&["verify"]).expect(0);
    let list = lab.run(&["list", "--json"]).json();
    let verified = |at: usize| list["snapshots"][at]["verified_at"].is_string();
    assert_eq!([verified(0), verified(1)], [true, false]);

    let victim = stored(&lab, SECOND, VICTIM);
    let inode = victim.metadata().unwrap().ino();
    unseen(&victim, || flip(&victim));
    lab.run(&["verify", "--quick"]).expect(0);
    lab.run(&["verify"]).expect(3);
    let list = lab.run(&["list", "--json"]).json();
    assert!(list["snapshots"][0]["verified_at"].is_null());
    let status = lab.run(&["status", "--json"]).json();
    assert_eq!(status["damaged"][0]["inode"], inode);
    assert_eq!(status["verdict"], "warning");
    lab.run(&["status"])
        .says("1 stored file is damaged")
        .says("backup verify --repair");
    let plan = lab.at(THIRD, &["plan", "--json"]).expect(0).json();
    assert_eq!(crate::lab::codes(&plan["findings"]), ["damaged-files"]);
    let snapshot = crate::lab::action(&plan, "snapshot");
    assert_eq!(snapshot["never_link"], serde_json::json!([inode]));

    let report = lab.backup(THIRD);
    assert_eq!(report["snapshot"]["totals"]["files_copied"], 1);
    let new = stored(&lab, THIRD, VICTIM);
    assert_ne!(new.metadata().unwrap().ino(), inode);
    assert_eq!(fs::read_to_string(&new).unwrap(), "dear all\n");
    lab.run(&["verify"]).expect(0);
    // The old ones are damaged yet, and the next is linked to the new file.
    assert_eq!(
        lab.run(&["status", "--json"]).json()["damaged"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    let report = lab.backup(FOURTH);
    assert_eq!(report["snapshot"]["totals"]["files_copied"], 0);
}

#[test]
fn a_saved_plan_is_stale_once_damage_is_known() {
    let lab = nights(&[FIRST]);
    lab.at(SECOND, &["plan", "--out", "saved"]).expect(0);
    let victim = stored(&lab, FIRST, VICTIM);
    unseen(&victim, || flip(&victim));
    lab.run(&["verify"]).expect(3);
    lab.at(SECOND, &["apply", "saved"]).expect(4);
}

#[test]
fn a_repair_takes_the_source_and_heals_all_snapshots_without_writing_to_the_damaged_inode() {
    let lab = nights(&[FIRST, SECOND, THIRD]);
    let places = [FIRST, SECOND, THIRD].map(|night| stored(&lab, night, VICTIM));
    let damaged = File::open(&places[0]).unwrap();
    unseen(&places[0], || flip(&places[0]));
    let before = damaged.metadata().unwrap();
    let parents: Vec<_> = places.iter().map(|path| folder_time(path)).collect();
    let others = crate::lab::contents(&lab.path("home"));

    let repaired = lab.run(&["verify", "--repair", "--json"]).expect(0).json();
    assert_eq!(repaired["repair"]["result"], "success");
    assert!(
        step(&repaired["repair"], "repair")["message"]
            .as_str()
            .unwrap()
            .contains("1 file repaired under 3 names")
    );
    let inodes: Vec<u64> = places
        .iter()
        .map(|path| path.metadata().unwrap().ino())
        .collect();
    assert!(
        inodes
            .iter()
            .all(|inode| *inode == inodes[0] && *inode != before.ino())
    );
    for path in &places {
        assert_eq!(fs::read_to_string(path).unwrap(), "dear all\n");
    }
    let after = damaged.metadata().unwrap();
    assert_eq!(after.nlink(), 0);
    assert_eq!(
        (after.mtime(), after.size()),
        (before.mtime(), before.size())
    );
    let times: Vec<_> = places.iter().map(|path| folder_time(path)).collect();
    assert_eq!(times, parents);
    assert_eq!(crate::lab::contents(&lab.path("home")), others);
    assert!(!lab.stored(".backup/repair").exists());

    lab.run(&["verify", "--all"]).expect(0).says("Whole.");
    assert!(
        lab.run(&["status", "--json"])
            .json()
            .get("damaged")
            .is_none()
    );
    lab.run(&["verify", "--repair"]).expect(0);
    // A repair is no backup: the last run is the last backup.
    assert_eq!(
        lab.run(&["status", "--json"]).json()["last_run"]["result"],
        "success"
    );
    assert_eq!(lab.backup(FOURTH)["snapshot"]["totals"]["files_copied"], 0);
}

fn folder_time(path: &Path) -> (i64, i64) {
    let of = path.parent().unwrap().metadata().unwrap();
    (of.mtime(), of.mtime_nsec())
}

#[test]
fn a_repair_takes_another_stored_file_where_the_source_has_changed() {
    let lab = Lab::new();
    lab.write("home/bob/same", "dear all\n");
    lab.backup(FIRST);
    let victim = stored(&lab, FIRST, VICTIM);
    unseen(&victim, || flip(&victim));
    lab.write(VICTIM, "new text\n");
    lab.run(&["verify", "--repair"])
        .expect(0)
        .says("1 file repaired under 1 name");
    assert_eq!(fs::read_to_string(&victim).unwrap(), "dear all\n");
    lab.run(&["verify"]).expect(0);

    // The other one is damaged, too: nothing has the content.
    let other = stored(&lab, FIRST, "home/bob/same");
    lab.write("home/bob/same", "another\n");
    for path in [&victim, &other] {
        unseen(path, || flip(path));
    }
    let everything = || crate::lab::everything(&lab.path("mnt"));
    let before = everything();
    let told = lab.run(&["verify", "--repair"]).expect(3);
    assert_eq!(told.stdout.matches("not repaired").count(), 2, "{told}");
    assert_eq!(everything(), before);
    let again = lab.run(&["verify", "--repair", "--json"]).expect(3).json();
    assert!(again["damage"][0]["not_repaired"].is_string());
    assert!(again.get("repair").is_none());
}

#[test]
fn a_symlink_in_a_source_is_not_followed_for_a_repair() {
    let lab = nights(&[FIRST]);
    let victim = stored(&lab, FIRST, VICTIM);
    unseen(&victim, || flip(&victim));
    lab.write("elsewhere/letter.txt", "dear all\n");
    fs::remove_dir_all(lab.path("home/ann")).unwrap();
    symlink(lab.path("elsewhere"), lab.path("home/ann")).unwrap();
    lab.run(&["verify", "--repair"])
        .expect(3)
        .says("not repaired: neither its source");
}

#[test]
fn missing_files_and_damaged_metadata_are_repaired_and_the_rest_is_left() {
    if !in_path("setfattr") {
        return skipped("missing_files_and_damaged_metadata: setfattr is not installed");
    }
    let lab = thousand_files();
    lab.backup(SECOND);
    let in_first = |relative: &str| stored(&lab, FIRST, relative);
    fs::remove_file(in_first("home/more/1/9")).unwrap();
    fs::set_permissions(in_first("home/more/2"), Permissions::from_mode(0o711)).unwrap();
    let victim = in_first(VICTIM);
    fs::set_permissions(&victim, Permissions::from_mode(0o600)).unwrap();
    attribute(&victim, "user.colour", "red");
    fs::remove_dir_all(in_first("home/more/4")).unwrap();
    fs::write(in_first("home/extra"), "").unwrap();
    let told = lab
        .run(&["verify", "--all", "--repair", "--json"])
        .expect(3);
    let json = told.json();
    let left: Vec<_> = json["damage"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|one| one["not_repaired"].is_string())
        .map(|one| one["kind"].as_str().unwrap())
        .collect();
    assert_eq!(left, ["extra", "missing"]);
    let missing = json["damage"].as_array().unwrap().iter();
    let missing = missing.filter(|one| one["kind"] == "missing");
    assert!(missing.clone().any(|one| {
        let message = one["message"].as_str().unwrap();
        message.contains("nor are the 50 entries below it")
    }));
    let found = damage(&lab.run(&["verify", "--all", "--json"]).expect(3));
    let kinds: Vec<_> = found.iter().map(|one| one.0.as_str()).collect();
    assert_eq!(kinds, ["extra", "missing"], "{found:?}");
    let restored = in_first("home/more/1/9");
    assert_eq!(
        fs::read(restored).unwrap(),
        fs::read(lab.path("home/more/1/9")).unwrap()
    );
    let both = [FIRST, SECOND].map(|night| stored(&lab, night, VICTIM).metadata().unwrap());
    assert_eq!(both[0].ino(), both[1].ino());
    assert_eq!(both[0].mode() & 0o777, 0o644);
}

#[test]
fn a_repair_that_was_killed_anywhere_is_ended_by_the_next_one() {
    if !in_path("strace") || !can_trace() {
        return skipped("a_repair_that_was_killed_anywhere: strace may not trace here");
    }
    let lab = nights(&[FIRST, SECOND]);
    let places = [FIRST, SECOND].map(|night| stored(&lab, night, VICTIM));
    unseen(&places[0], || flip(&places[0]));
    fs::remove_file(stored(&lab, FIRST, "home/ann/photo.jpg")).unwrap();
    for name in ["mnt", "state"] {
        copy(&lab.path(name), &lab.path(format!("kept.{name}")));
    }
    let traced = |options: &[&str]| {
        let command = lab.command(&["verify", "--all", "--repair"]);
        let mut traced = lab.bare("strace");
        traced
            .args(["-f", "-qq", "-o"])
            .arg(lab.path("trace"))
            .args(options)
            .arg(PROGRAM)
            .args(command.get_args());
        ran(traced, &["strace"])
    };
    let calls = [
        "renameat",
        "renameat2",
        "linkat",
        "utimensat",
        "fsync",
        "unlinkat",
        "write",
    ];
    traced(&["-e", &format!("trace={}", calls.join(","))]).expect(0);
    let trace = fs::read_to_string(lab.path("trace")).unwrap();
    let mut killed = 0;
    for call in calls {
        let count = trace.matches(&format!(" {call}(")).count();
        assert!(count > 0, "no {call} in a repair");
        let step = count.div_ceil(8);
        for nth in (1..=count).step_by(step) {
            for name in ["mnt", "state"] {
                fs::remove_dir_all(lab.path(name)).unwrap();
                copy(&lab.path(format!("kept.{name}")), &lab.path(name));
            }
            let inject = format!("inject={call}:signal=SIGKILL:when={nth}");
            let done = traced(&["-e", &format!("trace={call}"), "-e", &inject]);
            killed += usize::from(done.code == 128 + 9);
            let again = lab.run(&["verify", "--all", "--repair"]);
            assert_eq!(again.code, 0, "{call} {nth}: {again}");
            let whole = lab.run(&["verify", "--all", "--json"]);
            assert_eq!(whole.code, 0, "{call} {nth}: {whole}");
            for path in &places {
                assert_eq!(fs::read_to_string(path).unwrap(), "dear all\n");
            }
            assert!(!lab.stored(".backup/repair").exists() || done.code == 128 + 9);
            lab.backup(THIRD);
            assert_eq!(
                names(&lab.stored(".backup")),
                [
                    "destination.json",
                    "lock",
                    "partial",
                    "rotation.json",
                    "snapshots",
                    "trash",
                ]
            );
        }
    }
    assert!(killed > 20, "{killed}");
}

#[test]
fn a_signal_ends_it_and_says_that_nothing_was_changed() {
    let lab = nights(&[FIRST]);
    let mut file = File::create(lab.path("home/ann/large")).unwrap();
    for _ in 0..64 {
        file.write_all(&vec![7; 4 << 20]).unwrap();
    }
    lab.backup(SECOND);
    let mut command = lab.command(&["verify", "--json"]);
    let child = command.spawn().unwrap();
    let open = PathBuf::from(format!("/proc/{}/fd", child.id()));
    wait_for("the large file to be read", || {
        let all = fs::read_dir(&open).into_iter().flatten().flatten();
        let leads = all.filter_map(|one| fs::read_link(one.path()).ok());
        leads
            .into_iter()
            .any(|target| target.ends_with("home/ann/large"))
    });
    let done = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(done.unwrap().success());
    let ran = ended(child, &["verify"]);
    ran.expect(130).hints("nothing was changed");
    assert!(!lab.path("state/verified.json").exists());
}

#[test]
fn the_program_under_its_own_name_verifies_the_latest_in_full() {
    let lab = nights(&[FIRST, SECOND]);
    symlink(PROGRAM, lab.path("backup-verify")).unwrap();
    let mut command = lab.bare(lab.path("backup-verify"));
    let under_its_name = lab.command(&["--json"]);
    command.args(under_its_name.get_args());
    let ran = ran(command, &["backup-verify"]).expect(0);
    let json = ran.json();
    assert_eq!(json["depth"]["kind"], "full");
    assert_eq!(json["snapshots"][0]["id"], *id_of(SECOND));
    assert_eq!(json["snapshots"][0]["verdict"], "whole");
    assert_eq!(json["files_read"], 3);
}

#[test]
fn what_the_destination_adds_by_itself_is_no_damage() {
    if !in_path("setfacl") {
        return skipped("what_the_destination_adds_by_itself: setfacl is not installed");
    }
    let lab = Lab::new();
    let done = Command::new("setfacl")
        .args(["-d", "-m", "u:4321:rwx"])
        .arg(lab.path("mnt"))
        .status();
    assert!(done.unwrap().success());
    lab.backup(FIRST);
    lab.run(&["verify"]).expect(0).says("Whole.");
}
