//! What stands in a snapshot and was never backed up: named, and left where it is.

use std::{
    fs::{self, Permissions},
    os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _},
    path::Path,
};

use serde_json::Value;

use crate::{
    damage::{FIRST, SECOND, name, nights, stored},
    lab::{Lab, Ran, id_of, is_installed, skip},
};

/// The problems that a run lists: kind and path of each.
fn problems(ran: &Ran) -> Vec<(String, String)> {
    let json = ran.json();
    let steps = json["steps"].as_array().unwrap().iter();
    let all = steps.flat_map(|step| step["outcome"]["problems"].as_array().unwrap());
    let text = |one: &Value, key: &str| one[key].as_str().unwrap().to_owned();
    all.map(|one| (text(one, "kind"), text(one, "path")))
        .collect()
}

fn pair(kind: &str, path: &str) -> (String, String) {
    (kind.to_owned(), path.to_owned())
}

/// A program that gives its owner's rights, put there by somebody else.
fn plant(path: &Path) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, "#!/bin/sh\n").unwrap();
    fs::set_permissions(path, Permissions::from_mode(0o6755)).unwrap();
}

fn mode(path: &Path) -> u32 {
    path.symlink_metadata().unwrap().mode() & 0o7777
}

#[test]
fn what_the_manifest_does_not_list_is_named_and_left() {
    let lab = nights(&[FIRST]);
    let folder = stored(&lab, FIRST, "home/ann");
    plant(&folder.join("tool"));
    plant(&folder.join("below/it/other"));
    let as_root = rustix::process::geteuid().is_root() && is_installed("mknod");
    if as_root {
        let device = folder.join("disk");
        let device = device.to_str().unwrap();
        test_support::run_tool("mknod", [device, "b", "254", "0"]);
    }
    let source = lab.text("home/ann");
    let target = lab.text("out");
    let shown = lab
        .run(&["restore", "--dry-run", "latest", &source, &target])
        .expect(0)
        .says("that the manifest does not list")
        .says("tool");
    assert!(!shown.all().contains("below/it"), "{}", shown.all());

    let ran = lab.run(&["--json", "restore", "latest", &source, &target]);
    let ran = ran.expect(3);
    let mut expected = vec![
        pair("unlisted", &format!("{source}/below")),
        pair("unlisted", &format!("{source}/tool")),
    ];
    if as_root {
        expected.insert(1, pair("unlisted", &format!("{source}/disk")));
    }
    assert_eq!(problems(&ran), expected);
    let back = lab.path("out");
    for name in ["tool", "below", "disk"] {
        assert!(!back.join(name).exists(), "{name}");
    }
    assert_eq!(
        fs::read(back.join("letter.txt")).unwrap(),
        fs::read(lab.path("home/ann/letter.txt")).unwrap()
    );
    // All of the snapshot, and some of the folder.
    let all = lab.text("all");
    lab.run(&["restore", "latest", "/", &all])
        .expect(3)
        .says("left alone");
    assert!(!lab.path("all").join(&source[1..]).join("tool").exists());
    let some = [format!("{source}/tool"), format!("{source}/letter.txt")];
    fs::create_dir(lab.path("some")).unwrap();
    lab.run(&["restore", "latest", &some[0], &some[1], &lab.text("some")])
        .expect_one_of(&[3, 4]);
    assert!(!lab.path("some/tool").exists());
    // And nothing is restored that was put there under the very name that is asked for.
    lab.run(&["restore", "latest", &some[0], &lab.text("tool")])
        .expect(4)
        .says("was never backed up");
    lab.run(&[
        "restore",
        "--special",
        "latest",
        &some[0],
        &lab.text("tool"),
    ])
    .expect(4);
    assert!(!lab.path("tool").exists());
    let found = lab.run(&["--json", "verify"]).expect(3);
    let extra = name(&lab, FIRST, "home/ann/tool");
    let found = crate::damage::damage(&found);
    assert!(
        found
            .iter()
            .any(|(kind, names, _)| kind == "extra" && *names == [extra.clone()]),
        "{found:?}"
    );
}

#[test]
fn in_place_nothing_comes_that_the_manifest_does_not_list() {
    let lab = nights(&[FIRST]);
    plant(&stored(&lab, FIRST, "home/ann/tool"));
    fs::remove_file(lab.path("home/ann/letter.txt")).unwrap();
    let source = lab.text("home/ann");
    lab.run(&["restore", "--in-place", "--yes", "latest", &source])
        .expect(3)
        .says("tool");
    assert!(lab.path("home/ann/letter.txt").exists());
    assert!(!lab.path("home/ann/tool").exists());
}

#[test]
fn rights_that_no_sealed_manifest_lists_come_only_when_asked_for() {
    let lab = Lab::new();
    let program = lab.path("home/ann/program");
    plant(&program);
    fs::set_permissions(lab.path("home/ann"), Permissions::from_mode(0o2755)).unwrap();
    lab.backup(FIRST);
    let source = lab.text("home/ann");
    let restored = |to: &str, options: &[&str], code: i32| {
        let target = lab.text(to);
        let words = [options, &["latest", &source, &target]].concat();
        let ran = lab.run(&[&["--json", "restore"], &words[..]].concat());
        let told = problems(&ran.expect(code));
        (mode(&lab.path(to).join("program")), told)
    };
    // The sealed one lists them.
    assert_eq!(restored("sealed", &[], 0), (0o6755, vec![]));

    // One that cannot be read, then none at all.
    let id = id_of(FIRST);
    let records = lab.stored(&format!(".backup/snapshots/{id}"));
    test_support::flip_byte(&records.join("manifest/SHA256SUMS"));
    let left_out = pair("unvouched", &format!("{source}/program"));
    let (of_damaged, told) = restored("damaged", &[], 3);
    assert_eq!(of_damaged, 0o755);
    assert!(told.contains(&left_out), "{told:?}");
    assert_eq!(restored("asked", &["--special"], 3).0, 0o6755);
    fs::remove_dir_all(records).unwrap();
    let folder = format!("daily/{id}");
    let words = ["restore", &folder, &source, &lab.text("none")];
    lab.run(&words).expect(3).says("set-id").hints("--special");
    assert_eq!(mode(&lab.path("none/program")), 0o755);
    // A folder's set-id bit gives nobody rights.
    assert_eq!(mode(&lab.path("none")) & 0o2000, 0o2000);
}

#[test]
fn a_device_of_an_adopted_folder_comes_only_when_asked_for() {
    if !rustix::process::geteuid().is_root() || !is_installed("mknod") {
        skip("devices: only root makes them");
        return;
    }
    let lab = Lab::new();
    lab.backup(SECOND);
    let folder = lab.stored("daily").join("old");
    fs::create_dir_all(folder.join("d")).unwrap();
    let device = folder.join("d/disk");
    test_support::run_tool("mknod", [device.to_str().unwrap(), "b", "254", "0"]);
    let ran = lab.run(&["restore", "daily/old", "/d", &lab.text("out")]);
    ran.expect(3).says("it is a device").hints("--special");
    assert!(!lab.path("out/disk").exists());
    lab.run(&[
        "restore",
        "--special",
        "daily/old",
        "/d",
        &lab.text("asked"),
    ])
    .expect(0);
    let made = lab.path("asked/disk").symlink_metadata().unwrap();
    assert!(made.file_type().is_block_device());
}

#[test]
fn no_snapshot_is_linked_to_a_file_that_gives_more_than_its_manifest_lists() {
    let lab = nights(&[FIRST]);
    let victim = stored(&lab, FIRST, "home/ann/letter.txt");
    let before = victim.metadata().unwrap();
    fs::set_permissions(
        &victim,
        Permissions::from_mode(before.mode() & 0o7777 | 0o4000),
    )
    .unwrap();
    lab.backup(SECOND);
    let next = stored(&lab, SECOND, "home/ann/letter.txt");
    assert_eq!(mode(&next), before.mode() & 0o7777);
    assert_ne!(next.metadata().unwrap().ino(), before.ino());
}
