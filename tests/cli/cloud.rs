//! The copy in the cloud, with a real rclone and a remote that is a folder of the lab.

use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf, process::Command};

use crate::lab::{HOST, Lab, entry_names, plan_action, run_command, skip, step_outcome};

const FIRST: &str = "2025-03-05T02:00:00+01:00";
const SECOND: &str = "2025-03-06T02:00:00+01:00";

/// A lab whose configuration copies to the remote `proton`, which is the folder `far`.
pub(crate) fn lab(test: &str) -> Option<(Lab, PathBuf)> {
    let rclone = Command::new("rclone").arg("version").output();
    if !rclone.is_ok_and(|output| output.status.success()) {
        skip(&format!("{test} because rclone is not installed"));
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

pub(crate) fn remote(lab: &Lab, config: &str) {
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
    assert_eq!(step_outcome(&report, "cloud-sync")["status"], "succeeded");
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
    assert_eq!(entry_names(&lab.stored("latest")).len(), 1);
}

#[test]
fn a_sync_takes_away_no_more_than_it_may_until_a_person_agrees() {
    let Some((mut lab, current)) = lab("a_sync_takes_away_no_more_than_it_may") else {
        return;
    };
    lab.set("cloud.syncMode", "sync");
    for n in 0..40 {
        lab.write(&format!("home/ann/{n}"), &format!("number {n}"));
    }
    lab.backup(FIRST);
    for n in 0..6 {
        fs::remove_file(lab.path(format!("home/ann/{n}"))).unwrap();
    }
    let home = current.join(lab.path("home").strip_prefix("/").unwrap());
    lab.at(SECOND, &["apply"])
        .expect(3)
        .says("6 of 43 files on the remote would go, and 5% (cloud.maxDelete) is 3")
        .hints("--approve-deletions");
    assert!(home.join("ann/0").exists());
    let third = "2025-03-07T02:00:00+01:00";
    lab.at(third, &["apply", "--approve-deletions"]).expect(0);
    assert!(!home.join("ann/0").exists());
    // What is gone from `current` is in the history.
    let history = current
        .parent()
        .unwrap()
        .join("history/2025-03-07_02-00-00");
    let attempts = entry_names(&history);
    assert_eq!(attempts.len(), 1);
    let kept = history.join(&attempts[0]);
    let kept = kept.join(lab.path("home/ann/0").strip_prefix("/").unwrap());
    assert_eq!(fs::read_to_string(kept).unwrap(), "number 0");
}

#[test]
fn a_folder_that_only_moved_is_not_gone() {
    let Some((mut lab, current)) = lab("a_folder_that_only_moved") else {
        return;
    };
    lab.set("cloud.syncMode", "sync");
    for n in 0..40 {
        lab.write(&format!("home/ann/{n}"), &format!("number {n}"));
    }
    lab.backup(FIRST);
    fs::rename(lab.path("home/ann"), lab.path("home/anna")).unwrap();
    lab.backup(SECOND);
    let home = current.join(lab.path("home").strip_prefix("/").unwrap());
    assert!(home.join("anna/7").exists() && !home.join("ann/7").exists());
}

#[test]
fn a_name_that_rclone_cannot_keep_is_listed_and_the_rest_is_uploaded() {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt as _};
    let Some((lab, current)) = lab("a_name_that_rclone_cannot_keep") else {
        return;
    };
    fs::write(lab.path("home").join(OsStr::from_bytes(b"gro\xdf")), "x").unwrap();
    let report = lab.at(FIRST, &["apply", "--json"]).expect(3).json();
    let sync = step_outcome(&report, "cloud-sync");
    assert_eq!(sync["status"], "incomplete");
    let problem = &sync["problems"][0];
    assert!(
        problem["path"].as_str().unwrap().ends_with("home/gro\\337"),
        "{problem}"
    );
    let home = current.join(lab.path("home").strip_prefix("/").unwrap());
    assert!(home.join("ann/letter.txt").exists());
    lab.run(&[
        "restore",
        "--from",
        "cloud",
        "latest",
        &lab.text("home/ann"),
        &lab.text("back"),
    ])
    .expect(0);
    assert_eq!(
        fs::read_to_string(lab.path("back/letter.txt")).unwrap(),
        "dear all\n"
    );
}

#[test]
fn the_cloud_steps_alone_upload_the_newest_good_snapshot_and_status_shows_it() {
    let Some((lab, current)) = lab("the_cloud_steps_alone") else {
        return;
    };
    lab.at(FIRST, &["apply", "--only", "local"]).expect(0);
    assert!(!current.exists());
    lab.at(SECOND, &["apply", "--only", "cloud"]).expect(0);
    let home = current.join(lab.path("home").strip_prefix("/").unwrap());
    assert!(home.join("ann/letter.txt").exists());
    assert_eq!(lab.ids().len(), 1);
    let status = lab.at(SECOND, &["status", "--json"]).expect(0).json();
    assert_eq!(status["cloud"]["id"], "2025-03-05_02-00-00");
    assert_eq!(status["cloud"]["files"], 3);
    lab.at(SECOND, &["-v", "status"]).expect(0).says("Cloud");
    // Once more there is nothing to do.
    let again = "2025-03-07T02:00:00+01:00";
    lab.at(again, &["apply", "--only", "cloud"])
        .expect(0)
        .says("already");
}

#[test]
fn history_goes_when_it_is_old_and_what_needs_it_goes_with_it() {
    let Some((mut lab, current)) = lab("history_goes_when_it_is_old") else {
        return;
    };
    lab.set("cloud.syncMode", "sync");
    lab.set("cloud.keepHistoryDays", 30);
    let host = current.parent().unwrap().to_owned();
    let nights = [
        "2025-03-05",
        "2025-03-06",
        "2025-03-07",
        "2025-04-20",
        "2025-04-21",
        "2025-04-22",
    ];
    for (n, night) in nights.iter().enumerate() {
        lab.write("home/ann/letter.txt", &format!("letter {n}\n"));
        lab.backup(&format!("{night}T02:00:00+01:00"));
        // Two days alone say nothing: it is the third that agrees.
        let first = host.join("history/2025-03-06_02-00-00").exists();
        assert_eq!(first, (1..=4).contains(&n), "{night}");
    }
    let ids = |from: usize| -> Vec<String> {
        let ids = nights[from..].iter();
        ids.map(|night| format!("{night}_02-00-00")).collect()
    };
    assert_eq!(entry_names(&host.join("history")), ids(2));
    let left = entry_names(&host.join("manifests"));
    assert_eq!(left[..left.len() - 1], ids(1));
    assert!(left[left.len() - 1].starts_with("owner-"), "{left:?}");
    let letter = lab.text("home/ann/letter.txt");
    let back = lab.text("back");
    lab.run(&[
        "restore",
        "--from",
        "cloud",
        "2025-03-06_02-00-00",
        &letter,
        &back,
    ])
    .expect(0);
    assert_eq!(fs::read_to_string(back).unwrap(), "letter 1\n");
}

#[test]
fn a_move_gives_back_what_was_uploaded_and_never_the_newest() {
    let Some((mut lab, _)) = lab("a_move_gives_back") else {
        return;
    };
    lab.set("cloud.syncMode", "move");
    lab.backup(FIRST);
    assert_eq!(lab.ids().len(), 1);
    lab.write("home/ann/letter.txt", "another\n");
    let plan = lab.at(SECOND, &["plan", "--json"]).expect(0).json();
    let give_back = &plan_action(&plan, "cloud-sync")["give_back"];
    assert_eq!(give_back[0]["id"], "2025-03-05_02-00-00");
    lab.backup(SECOND);
    assert_eq!(lab.ids(), ["2025-03-06_02-00-00"]);
    for link in lab.tiers() {
        assert!(link.contains("2025-03-06"), "{link}");
    }
    lab.run(&["verify", "--full"]).expect(0);
    // What went comes back from the remote.
    let (letter, back) = (lab.text("home/ann/letter.txt"), lab.text("back"));
    lab.run(&[
        "restore",
        "--from",
        "cloud",
        "2025-03-05_02-00-00",
        &letter,
        &back,
    ])
    .expect(0);
    assert_eq!(fs::read_to_string(back).unwrap(), "dear all\n");
}

#[test]
fn a_cloud_part_that_cannot_write_to_the_destination_leaves_giving_back_to_a_whole_run() {
    let test = "a_cloud_part_that_cannot_write_to_the_destination";
    let Some((mut lab, _)) = lab(test) else {
        return;
    };
    if !rustix::process::geteuid().is_root() {
        skip(&format!("{test} because a read-only mount needs root"));
        return;
    }
    lab.set("cloud.syncMode", "move");
    lab.backup(FIRST);
    lab.write("home/ann/letter.txt", "another\n");
    lab.at(SECOND, &["apply", "--only", "local"]).expect(0);
    assert_eq!(lab.ids().len(), 2);
    // As `backup-cloud.service` sees it.
    let inside = lab.command(&["apply", "--only", "cloud", "--now", SECOND]);
    let mut read_only = lab.bare("unshare");
    read_only
        .args(["--mount", "sh", "-c"])
        .arg("mount --bind \"$0\" \"$0\" && mount -o remount,ro,bind \"$0\" && exec \"$@\"")
        .arg(lab.path("mnt"))
        .arg(inside.get_program())
        .args(inside.get_args());
    run_command(read_only, &["apply --only cloud"])
        .expect(0)
        .says("1 local snapshot left for the next whole run");
    assert_eq!(lab.ids().len(), 2);
    lab.backup("2025-03-07T02:00:00+01:00");
    assert_eq!(lab.ids(), ["2025-03-07_02-00-00"]);
}

#[test]
fn a_move_that_cannot_reach_the_remote_gives_nothing_back() {
    let Some((mut lab, _)) = lab("a_move_that_cannot_reach_the_remote") else {
        return;
    };
    lab.set("cloud.syncMode", "move");
    lab.backup(FIRST);
    remote(
        &lab,
        "[proton]\ntype = webdav\nurl = http://127.0.0.1:9/\nvendor = other\n",
    );
    lab.at(SECOND, &["apply"])
        .expect(1)
        .says("connection failed");
    assert_eq!(lab.ids().len(), 2);
}
