//! Copies in the cloud without local snapshots: of the live sources, with a real rclone and a remote
//! that is a folder of the lab.

use std::{
    ffi::OsStr,
    fs,
    os::unix::{
        ffi::OsStrExt as _,
        fs::{MetadataExt as _, PermissionsExt as _},
    },
    path::{Path, PathBuf},
    process::Command,
};

use executor::{
    manifest::{FILE_NAME, Reader, Writer},
    sys::Dir,
};
use schema::record::append_digest;

use crate::lab::{
    HOST, Lab, Ran, contents_below, entry_names, plan_action, read_json, run_command, skip,
    step_outcome,
};

const FIRST: &str = "2025-03-05T02:00:00+01:00";
const SECOND: &str = "2025-03-06T02:00:00+01:00";
const THIRD: &str = "2025-03-07T02:00:00+01:00";

pub(crate) fn there_is_rclone(test: &str) -> bool {
    let rclone = Command::new("rclone").arg("version").output();
    let is_there = rclone.is_ok_and(|output| output.status.success());
    if !is_there {
        skip(&format!("{test} because rclone is not installed"));
    }
    is_there
}

fn lab(test: &str, mode: &str) -> Option<(Lab, PathBuf)> {
    if !there_is_rclone(test) {
        return None;
    }
    let (mut lab, far) = remote();
    lab.set("cloud.syncMode", mode);
    Some((lab, far))
}

/// A lab without local snapshots, and the host's folder on its remote.
pub(crate) fn remote() -> (Lab, PathBuf) {
    let mut lab = Lab::new();
    fs::create_dir(lab.path("far")).unwrap();
    let file = lab.path("rclone.conf");
    let remote = lab.text("far");
    fs::write(
        &file,
        format!("[proton]\ntype = alias\nremote = {remote}\n"),
    )
    .unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    lab.set("local.enable", false);
    lab.set("cloud.enable", true);
    lab.set("cloud.configFile", lab.text("rclone.conf"));
    let far = lab.path("far/Backups").join(HOST);
    (lab, far)
}

/// The source's folder in a folder of the remote.
fn home(lab: &Lab, far: &Path) -> PathBuf {
    far.join(lab.path("home").strip_prefix("/").unwrap())
}

#[test]
fn what_the_patterns_leave_is_copied_and_comes_back_with_its_metadata() {
    let Some((mut lab, far)) = lab("what_the_patterns_leave", "copy") else {
        return;
    };
    lab.set("local.excludePatterns", vec!["*.tmp", "/ann/cache/"]);
    lab.write("home/ann/x.tmp", "gone");
    lab.write("home/ann/cache/y", "gone");
    lab.write("home/bob/cache/z", "stays");
    lab.write("home/odd  \u{fc}\nname", "odd");
    let secret = fs::Permissions::from_mode(0o600);
    fs::set_permissions(lab.path("home/ann/letter.txt"), secret).unwrap();
    std::os::unix::fs::symlink("letter.txt", lab.path("home/ann/link")).unwrap();
    fs::hard_link(lab.path("home/ann/photo.jpg"), lab.path("home/second")).unwrap();

    let plan = lab.at(FIRST, &["plan", "--json"]).expect(0).json();
    let copy = plan_action(&plan, "cloud-sync");
    assert_eq!(copy["expected"]["upload_files"], 6, "{copy}");
    let report = lab.backup(FIRST);
    assert_eq!(step_outcome(&report, "cloud-sync")["status"], "succeeded");
    let there = home(&lab, &far.join("current"));
    assert!(!there.join("ann/x.tmp").exists());
    assert!(!there.join("ann/cache").exists());
    assert_eq!(
        fs::read_to_string(there.join("bob/cache/z")).unwrap(),
        "stays"
    );

    lab.run(&["verify", "--cloud", "--full"]).expect(0);
    let to = lab.text("back");
    let from = lab.text("home");
    lab.run(&["restore", "--from", "cloud", "latest", &from, &to])
        .expect(0);
    for gone in ["home/ann/x.tmp", "home/ann/cache/y"] {
        fs::remove_file(lab.path(gone)).unwrap();
    }
    fs::remove_dir(lab.path("home/ann/cache")).unwrap();
    assert_eq!(
        contents_below(&lab.path("home")),
        contents_below(&lab.path("back"))
    );
    lab.run(&["-v", "status"])
        .expect(0)
        .says("last backup")
        .says("2025-03-05_02-00-00, ");
}

#[test]
fn a_second_copy_brings_only_what_changed_and_keeps_the_old() {
    let Some((lab, far)) = lab("a_second_copy_brings_only_what_changed", "sync") else {
        return;
    };
    lab.backup(FIRST);
    lab.write("home/ann/letter.txt", "dear none\n");
    let plan = lab.at(SECOND, &["plan", "--json"]).expect(0).json();
    let expected = &plan_action(&plan, "cloud-sync")["expected"];
    assert_eq!(expected["upload_files"], 1, "{expected}");
    assert_eq!(expected["replaced_files"], 1, "{expected}");
    lab.at(SECOND, &["apply", "--only", "cloud"])
        .expect(0)
        .says("1 file");
    let there = home(&lab, &far.join("current")).join("ann/letter.txt");
    assert_eq!(fs::read_to_string(there).unwrap(), "dear none\n");
    let history = far.join("history/2025-03-06_02-00-00");
    let kept = home(&lab, &history.join(&entry_names(&history)[0]));
    let old = fs::read_to_string(kept.join("ann/letter.txt")).unwrap();
    assert_eq!(old, "dear all\n");
}

/// Gives a file other content of the same size, with its time put back, and makes the manifest in a
/// folder say that its change time was this one already: as after a store through a mapping, or
/// within one step of the clock, while the snapshot was made.
pub(crate) fn change_unseen(folder: &Path, file: &Path, text: &str) {
    let before = fs::metadata(file).unwrap();
    assert_eq!(before.len(), text.len() as u64);
    fs::write(file, text).unwrap();
    let open = fs::File::options().write(true).open(file).unwrap();
    open.set_modified(before.modified().unwrap()).unwrap();
    let now = fs::metadata(file).unwrap();
    let manifest = folder.join(FILE_NAME);
    let new = folder.join("new");
    let mut writer = Writer::new(fs::File::create(&new).unwrap()).unwrap();
    let mut found = false;
    let records = Dir::from_fd(fs::File::open(folder).unwrap().into());
    for entry in Reader::of_records(&records).unwrap() {
        let mut entry = entry.unwrap();
        if Path::new("/").join(OsStr::from_bytes(&entry.path)) == file {
            entry.ctime = i128::from(now.ctime()) * 1_000_000_000 + i128::from(now.ctime_nsec());
            found = true;
        }
        writer.write(&entry).unwrap();
    }
    assert!(found, "{}", file.display());
    let digest = writer.finish().unwrap();
    fs::rename(new, manifest).unwrap();
    let path = folder.join("snapshot.json");
    let mut record = read_json(&path);
    record["manifest_digest"] = digest.to_string().into();
    record["read"]["until"] = chrono::Local::now().to_rfc3339().into();
    record.as_object_mut().unwrap().remove("record_digest");
    let mut json = serde_json::to_vec_pretty(&record).unwrap();
    json.push(b'\n');
    fs::write(path, append_digest(json)).unwrap();
}

#[test]
fn what_was_touched_while_the_copy_was_made_is_read_once_more() {
    let Some((lab, far)) = lab("what_was_touched_while_the_copy_was_made", "sync") else {
        return;
    };
    let report = lab.backup(FIRST);
    assert_eq!(step_outcome(&report, "cloud-sync")["status"], "succeeded");
    let area = lab.path("state/cloud");
    let shelf = area.join(&entry_names(&area)[0]).join("shelf");
    let shelf = shelf.join(&entry_names(&shelf)[0]);
    let letter = lab.path("home/ann/letter.txt");
    change_unseen(&shelf, &letter, "dear ann\n");
    lab.backup(SECOND);
    let there = home(&lab, &far.join("current")).join("ann/letter.txt");
    assert_eq!(fs::read_to_string(there).unwrap(), "dear ann\n");
    lab.run(&["verify", "--cloud", "--full"]).expect(0);
}

#[test]
fn an_empty_or_missing_source_takes_nothing_away_on_the_remote() {
    let Some((mut lab, far)) = lab("an_empty_or_missing_source", "sync") else {
        return;
    };
    lab.write("other/file", "other");
    let both = vec![lab.text("home"), lab.text("other")];
    lab.set("local.sources", both);
    lab.backup(FIRST);
    let current = far.join("current");
    let before = contents_below(&current);
    fs::remove_file(lab.path("other/file")).unwrap();
    lab.at(SECOND, &["apply"])
        .expect(3)
        .says("has no files, and had 1 at the last upload")
        .hints("--approve-deletions");
    fs::remove_dir(lab.path("other")).unwrap();
    lab.at(THIRD, &["apply"])
        .expect(3)
        .says("has no files, and had 1 at the last upload");
    assert_eq!(contents_below(&current), before);
}

#[test]
fn a_source_that_lost_half_or_was_rewritten_or_lost_too_much_takes_nothing_away_on_the_remote() {
    let Some((lab, far)) = lab("a_source_that_lost_half", "sync") else {
        return;
    };
    let there = home(&lab, &far.join("current"));
    for n in 0..40 {
        lab.write(&format!("home/ann/{n}"), &format!("number {n}"));
    }
    lab.backup(FIRST);
    for n in 0..6 {
        fs::remove_file(lab.path(format!("home/ann/{n}"))).unwrap();
    }
    lab.at(SECOND, &["apply"]).expect(3).says("cloud.maxDelete");
    for n in 6..30 {
        fs::remove_file(lab.path(format!("home/ann/{n}"))).unwrap();
    }
    lab.at(SECOND, &["apply", "--fresh"])
        .expect(3)
        .says("less than half");
    assert_eq!(entry_names(&there.join("ann")).len(), 42);
    for n in 0..40 {
        lab.write(&format!("home/ann/{n}"), &format!("locked {n}"));
    }
    // What is new goes up, and what it was is kept for as long as nobody agrees.
    lab.at(THIRD, &["apply"]).expect(3).says("encrypted");
    let read = |path: PathBuf| fs::read_to_string(path).unwrap();
    assert_eq!(read(there.join("ann/7")), "locked 7");
    let history = far.join("history/2025-03-07_02-00-00");
    let kept = home(&lab, &history.join(&entry_names(&history)[0]));
    assert_eq!(read(kept.join("ann/7")), "number 7");
    // Waiting is no agreement.
    let later = "2025-03-08T02:00:00+01:00";
    lab.at(later, &["apply"]).expect(3).says("encrypted");
    lab.at(later, &["apply", "--fresh", "--approve-deletions"])
        .expect(0);
    lab.at("2025-03-09T02:00:00+01:00", &["apply"]).expect(0);
}

#[test]
fn a_file_that_changes_while_it_is_uploaded_is_listed_and_not_in_current() {
    let Some((lab, far)) = lab("a_file_that_changes_while_it_is_uploaded", "copy") else {
        return;
    };
    lab.backup(FIRST);
    lab.write("home/ann/letter.txt", "dear none\n");
    // Between the manifest and the upload.
    let letter = lab.text("home/ann/letter.txt");
    with_rclone_after(&lab, SECOND, &format!("printf 'dear nine\\n' > {letter}"))
        .expect(3)
        .says("changed or vanished while it was uploaded");
    let there = home(&lab, &far.join("current")).join("ann/letter.txt");
    assert!(!there.exists());
    lab.at(THIRD, &["apply"]).expect(0);
    assert_eq!(fs::read_to_string(there).unwrap(), "dear nine\n");
}

#[test]
fn nothing_is_taken_away_while_a_source_cannot_be_read() {
    let Some((mut lab, far)) = lab("nothing_is_taken_away", "sync") else {
        return;
    };
    lab.backup(FIRST);
    let both = vec![lab.text("home"), lab.text("absent")];
    lab.set("local.sources", both);
    fs::remove_file(lab.path("home/bob/notes/list.md")).unwrap();
    lab.at(SECOND, &["apply", "--approve-deletions"])
        .expect(3)
        .says("could not be read");
    let there = home(&lab, &far.join("current")).join("bob/notes/list.md");
    assert!(there.exists());
    fs::create_dir(lab.path("absent")).unwrap();
    lab.at(THIRD, &["apply", "--approve-deletions"]).expect(0);
    assert!(!there.exists());
    lab.run(&["verify", "--cloud", "--full"]).expect(0);
}

#[test]
fn health_and_status_go_by_the_copy_in_the_cloud() {
    let Some((mut lab, _)) = lab("health_and_status", "sync") else {
        return;
    };
    lab.set("cloud.provider", "custom");
    lab.set("cloud.remote", "proton:");
    lab.run(&["status"]).expect(0).says("no backup yet");
    lab.run(&["apply"]).expect(0);
    lab.run(&["status"]).expect(0).says("ok: last backup");
    lab.run(&["health"]).expect(0);
}

#[test]
fn a_killed_copy_goes_on_with_the_sources_as_they_are_by_then() {
    let Some((lab, far)) = lab("a_killed_copy_goes_on", "sync") else {
        return;
    };
    with_rclone_after(&lab, FIRST, "kill -9 $PPID; exit 1").expect(137);
    lab.write("home/ann/letter.txt", "dear none\n");
    lab.at(FIRST, &["apply"]).expect(0);
    let there = home(&lab, &far.join("current")).join("ann/letter.txt");
    assert_eq!(fs::read_to_string(there).unwrap(), "dear none\n");
    // The manifest of the attempt that was killed was not written over, and is gone now.
    let left = entry_names(&far.join("manifests"));
    assert_eq!(left[0], "2025-03-05_02-00-01");
    assert!(left.len() == 2 && left[1].starts_with("owner-"), "{left:?}");
    lab.run(&["verify", "--cloud", "--full"]).expect(0);
}

/// Runs a backup with an rclone that does something before it uploads files.
fn with_rclone_after(lab: &Lab, now: &str, what: &str) -> Ran {
    let mut find = Command::new("sh");
    let real = find.args(["-c", "command -v rclone"]).output().unwrap();
    let real = String::from_utf8(real.stdout).unwrap();
    lab.script(
        "bin/rclone",
        &format!(
            "case \" $* \" in *--no-check-dest*) {what};; esac\nexec {} \"$@\"",
            real.trim()
        ),
    );
    let mut command = lab.command(&["apply", "--now", now]);
    let path = std::env::var("PATH").unwrap();
    command.env("PATH", format!("{}:{path}", lab.text("bin")));
    run_command(command, &["apply"])
}
