//! The copy in the cloud, with a real rclone and a remote that is a folder of the lab.

use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf, process::Command};

use crate::lab::{HOST, Lab, names, skipped, step};

const FIRST: &str = "2025-03-05T02:00:00+01:00";
const SECOND: &str = "2025-03-06T02:00:00+01:00";

/// A lab whose configuration copies to the remote `proton`, which is the folder `far`.
fn lab(test: &str) -> Option<(Lab, PathBuf)> {
    let rclone = Command::new("rclone").arg("version").output();
    if !rclone.is_ok_and(|output| output.status.success()) {
        skipped(&format!("{test} because rclone is not installed"));
        return None;
    }
    let mut lab = Lab::new();
    let far = lab.path("far");
    fs::create_dir(&far).unwrap();
    remote(
        &lab,
        &format!("[proton]\ntype = alias\nremote = {}\n", far.display()),
    );
    lab.set("cloud.enable", true);
    lab.set("cloud.syncMode", "copy");
    lab.set("cloud.configFile", lab.text("rclone.conf"));
    let current = far.join("Backups").join(HOST).join("current");
    Some((lab, current))
}

fn remote(lab: &Lab, config: &str) {
    let file = lab.path("rclone.conf");
    fs::write(&file, config).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
}

#[test]
fn the_new_snapshot_is_copied_and_nothing_is_removed_from_the_remote() {
    let Some((lab, current)) = lab("the_new_snapshot_is_copied") else {
        return;
    };
    let home = current.join(lab.path("home").strip_prefix("/").unwrap());
    fs::write(lab.path("home/odd  name\u{fc}"), "first").unwrap();
    let report = lab.backup(FIRST);
    assert_eq!(step(&report, "cloud-sync")["status"], "succeeded");
    assert_eq!(
        fs::read_to_string(home.join("odd  name\u{fc}")).unwrap(),
        "first"
    );
    fs::remove_file(lab.path("home/odd  name\u{fc}")).unwrap();
    fs::write(lab.path("home/second"), "2").unwrap();
    lab.backup(SECOND);
    assert_eq!(fs::read_to_string(home.join("second")).unwrap(), "2");
    assert!(home.join("odd  name\u{fc}").exists());
}

#[test]
fn an_unreachable_remote_neither_stops_nor_undoes_the_snapshot() {
    let Some((lab, _)) = lab("an_unreachable_remote") else {
        return;
    };
    remote(
        &lab,
        "[proton]\ntype = webdav\nurl = http://127.0.0.1:9/\nvendor = other\n",
    );
    lab.at(FIRST, &["apply"])
        .expect(1)
        .says("connection failed")
        .hints("rclone --config=");
    assert_eq!(lab.ids().len(), 1);
}

#[test]
fn credentials_that_others_can_read_are_not_used() {
    let Some((lab, current)) = lab("credentials_that_others_can_read") else {
        return;
    };
    let open = fs::Permissions::from_mode(0o644);
    fs::set_permissions(lab.path("rclone.conf"), open).unwrap();
    lab.at(FIRST, &["apply"])
        .expect(1)
        .says("cloud.configFile")
        .hints("chmod 600");
    assert!(!current.exists());
    assert_eq!(lab.ids().len(), 1);
}

#[test]
fn a_remote_that_is_a_relative_folder_is_never_made_inside_a_snapshot() {
    let Some((lab, _)) = lab("a_remote_that_is_a_relative_folder") else {
        return;
    };
    let far = lab.text("far");
    remote(
        &lab,
        &format!(
            "[proton]\ntype = alias\nremote = {}\n",
            far.trim_start_matches('/')
        ),
    );
    lab.backup(FIRST);
    assert!(lab.path("far/Backups").exists());
    assert_eq!(names(&lab.stored("latest")).len(), 1);
}
