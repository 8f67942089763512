//! The reader of examples/reader, which knows docs/format.md and nothing else, lists, checks and restores
//! what the program makes, and says what is missing or wrong.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use test_support::{
    Ran, check_with_example, flip_byte, list_with_example, restore_with_example, run_tool,
};

use crate::{
    format::{self, FIRST, SECOND},
    lab::{Lab, contents_below, entry_names, id_of},
    remotes::{back_up, far, lab, objects},
    tampered::change_record,
};

const TEST: &str = "the reader of the examples";

/// Restores the lab's home from a snapshot in this folder.
fn restore(lab: &Lab, host: &Path, night: &str, to: &str) -> Option<Ran> {
    let paths = [&*lab.path("home"), &*lab.path(to)];
    restore_with_example(TEST, host, &id_of(night), paths)
}

#[test]
fn a_disk_is_listed_checked_and_restored_by_the_page_alone() {
    let lab = format::lab();
    let host = lab.stored("");
    fs::create_dir(host.join("daily/by hand")).unwrap();
    let Some(list) = list_with_example(TEST, &host) else {
        return;
    };
    let list = list.expect(0);
    for night in [FIRST, SECOND] {
        let files = &lab.record(&id_of(night))["totals"]["files"];
        list.clone()
            .says(&format!("{}  good  {files} files", id_of(night)));
    }
    list.says("by hand  unmanaged");
    check_with_example(TEST, &host, None).unwrap().expect(0);
    for night in [FIRST, SECOND] {
        restore(&lab, &host, night, night).unwrap().expect(0);
        let stored = lab.inside(&format!("daily/{}", id_of(night)), "home");
        let inode = |path: &str| fs::metadata(lab.path(night).join(path)).unwrap().ino();
        assert_eq!(inode("ann/photo.jpg"), inode("bob/photo"));
        run_tool(
            "rm",
            [lab.path(night).join("bob/fifo"), stored.join("bob/fifo")],
        );
        assert_eq!(contents_below(&lab.path(night)), contents_below(&stored));
    }
    // Nothing that is there is written over.
    restore(&lab, &host, FIRST, FIRST)
        .unwrap()
        .expect(1)
        .says("File exists");
    let by_hand = [Path::new("/"), &lab.path("to")];
    let none = restore_with_example(TEST, &host, "by hand", by_hand);
    none.unwrap().expect(1).says("unmanaged");
    let [nowhere, to] = [Path::new("/nowhere"), &lab.path("to")];
    let none = restore_with_example(TEST, &host, &id_of(FIRST), [nowhere, to]);
    none.unwrap().expect(1).says("has no nowhere");
    let mount = check_with_example(TEST, &lab.path("mnt"), None);
    mount.unwrap().expect(1).says("name the folder of a host");
}

/// A change to a copy of a folder.
type Change<'a> = &'a dyn Fn(&Path);

/// Each of these is told of by a check, with these words.
fn each_is_told(lab: &Lab, host: &Path, changes: &[(Change<'_>, &str)]) {
    let copy = lab.path("copy");
    for (change, words) in changes {
        run_tool("cp", ["-a".as_ref(), host.as_os_str(), copy.as_os_str()]);
        change(&copy);
        let Some(read) = check_with_example(TEST, &copy, None) else {
            return;
        };
        read.expect(1).says(words);
        run_tool("rm", ["-rf".as_ref(), copy.as_os_str()]);
    }
}

#[test]
fn what_is_missing_or_wrong_on_a_disk_is_told() {
    let lab = format::lab();
    let host = lab.stored("");
    let id = id_of(SECOND);
    let home = format!("daily/{id}/{}", &lab.text("home")[1..]);
    let letter = format!("{home}/ann/letter.txt");
    let records = format!(".backup/snapshots/{id}");
    let record = |copy: &Path| copy.join(&records).join("snapshot.json");
    let set = |copy: &Path, key: &str, value: u32| {
        change_record(&record(copy), |record| record[key] = value.into());
    };
    let changes: [(Change<'_>, &str); 13] = [
        (
            &|copy| flip_byte(&copy.join(&letter)),
            "letter.txt: is damaged",
        ),
        (
            &|copy| fs::remove_file(copy.join(&letter)).unwrap(),
            "letter.txt: No such file or directory",
        ),
        (
            &|copy| fs::write(copy.join(&home).join("more"), "").unwrap(),
            "has more or less in its folder",
        ),
        (
            &|copy| {
                fs::remove_file(copy.join(&home).join("bob/link")).unwrap();
                std::os::unix::fs::symlink("/", copy.join(&home).join("bob/link")).unwrap();
            },
            "bob/link: leads elsewhere",
        ),
        (
            &|copy| {
                let ann = copy.join(&home).join("ann");
                fs::rename(&ann, copy.join("ann")).unwrap();
                std::os::unix::fs::symlink(copy.join("ann"), ann).unwrap();
            },
            "ann: is no dir any more",
        ),
        (&|copy| flip_byte(&record(copy)), &id),
        (
            &|copy| fs::remove_file(record(copy)).unwrap(),
            "No such file or directory",
        ),
        (
            &|copy| set(copy, "format_version", 3),
            "is of a later format",
        ),
        (
            &|copy| {
                change_record(&record(copy), |record| {
                    record["totals"]["entries"] = 1.into()
                })
            },
            "entries, and its record says 1",
        ),
        (
            &|copy| {
                change_record(&record(copy), |record| {
                    record["sources"][0]["present"] = false.into();
                })
            },
            "not there when the snapshot was made",
        ),
        (
            &|copy| flip_byte(&copy.join(&records).join("manifest/SHA256SUMS")),
            "SHA256SUMS is damaged",
        ),
        (
            &|copy| {
                let folder = copy.join(&records).join("manifest");
                let name = entry_names(&folder)
                    .into_iter()
                    .find(|name| name.ends_with(".zst"));
                flip_byte(&folder.join(name.unwrap()));
            },
            ".zst is damaged",
        ),
        (
            &|copy| fs::remove_dir_all(copy.join("daily").join(&id)).unwrap(),
            "No such file or directory",
        ),
    ];
    each_is_told(&lab, &host, &changes);
    // What is damaged comes back all the same, and it is said that it is.
    flip_byte(&host.join(&letter));
    if let Some(read) = restore(&lab, &host, SECOND, "back") {
        read.expect(1)
            .says("letter.txt: is damaged, and restored as it is");
        assert_eq!(
            fs::read(lab.path("back/ann/letter.txt")).unwrap(),
            fs::read(host.join(&letter)).unwrap()
        );
    }
}

#[test]
fn a_remote_is_listed_checked_and_restored_by_the_page_alone() {
    let Some(lab) = lab("a_remote_is_listed_checked_and_restored_by_the_page_alone") else {
        return;
    };
    back_up(&lab, FIRST);
    let before = contents_below(&lab.path("home"));
    lab.write("home/ann/letter.txt", "dear both\n");
    back_up(&lab, SECOND);
    let host = far(&lab, "");
    let Some(list) = list_with_example(TEST, &host) else {
        return;
    };
    list.expect(0)
        .says(&format!("{}  good  3 files", id_of(FIRST)))
        .says(&format!("{}  good  3 files", id_of(SECOND)));
    check_with_example(TEST, &host, None).unwrap().expect(0);
    for (night, home) in [(FIRST, before), (SECOND, contents_below(&lab.path("home")))] {
        restore(&lab, &host, night, night).unwrap().expect(0);
        assert_eq!(contents_below(&lab.path(night)), home);
    }
    let record = format!("records/{}.json", id_of(SECOND));
    let manifest = format!("manifests/{}.mtree.zst", id_of(SECOND));
    let object = objects(&lab)[0].strip_prefix(&host).unwrap().to_owned();
    let at = |copy: &Path, name: &str| -> PathBuf { copy.join(name) };
    let changes: [(Change<'_>, &str); 6] = [
        (&|copy| flip_byte(&copy.join(&object)), "is damaged"),
        (
            &|copy| fs::remove_file(copy.join(&object)).unwrap(),
            "No such file or directory",
        ),
        (
            &|copy| flip_byte(&at(copy, &manifest)),
            ".mtree.zst is damaged",
        ),
        (
            &|copy| fs::remove_file(at(copy, &manifest)).unwrap(),
            "No such file or directory",
        ),
        (&|copy| flip_byte(&at(copy, &record)), &id_of(SECOND)),
        (
            &|copy| fs::write(at(copy, "records/format-2.json"), "{}").unwrap(),
            "is of a later format",
        ),
    ];
    each_is_told(&lab, &host, &changes);
    // What was let go is still there, and it is said that it was.
    fs::write(
        host.join(format!("records/{}.expired.json", id_of(FIRST))),
        "{}",
    )
    .unwrap();
    let list = list_with_example(TEST, &host).unwrap().expect(0);
    list.says(&format!("{}  let go", id_of(FIRST)));
}
