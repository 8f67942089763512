//! Runs that are cut off while rsync works, and what the next run makes of what is there.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use super::{
    FIRST, SECOND, THIRD, hostile, inodes, lab, rest, run_with_script, same::shape, with_script,
};
use crate::lab::{
    Lab, Ran, contents_below, entry_names, id_of, is_alive, wait_for, wait_for_child,
};

/// Files with a megabyte that no file system makes smaller.
fn fill(lab: &Lab, count: usize) {
    for index in 0..count {
        let line = format!("{index} of many ");
        lab.write(
            &format!("home/big/{index:04}"),
            &line.repeat((1 << 20) / line.len()),
        );
    }
}

/// Files in the unfinished snapshot that rsync has finished.
fn finished(lab: &Lab) -> usize {
    let folder = lab.stored(".backup/partial").join(id_of(FIRST));
    let all = walkdir::WalkDir::new(folder)
        .into_iter()
        .filter_map(Result::ok);
    all.filter(|entry| entry.file_name().to_string_lossy().starts_with("00"))
        .count()
}

/// rsync processes of a lab.
fn rsyncs(lab: &Lab) -> Vec<u32> {
    let processes = entry_names(Path::new("/proc"));
    let pids = processes.iter().filter_map(|name| name.parse().ok());
    let within = lab.path("").canonicalize().unwrap();
    pids.filter(|pid: &u32| {
        let is_rsync =
            fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name == "rsync\n");
        is_rsync
            && fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd.starts_with(&within))
    })
    .collect()
}

/// Starts a backup by a slow rsync and sends it a signal once some files are there.
fn interrupt(lab: &Lab, signal: Signal) -> Ran {
    fill(lab, 16);
    rest();
    let arguments = ["apply", "--now", FIRST];
    let slow = "exec \"$real\" --bwlimit=6M \"$@\"";
    let child = with_script(lab, slow, &arguments).spawn().unwrap();
    wait_for("the first files", || finished(lab) > 4);
    assert!(!rsyncs(lab).is_empty());
    kill(Pid::from_raw(child.id().try_into().unwrap()), signal).unwrap();
    wait_for_child(child, &arguments)
}

#[test]
fn a_run_that_is_asked_to_stop_ends_rsync_and_is_continued_without_copying_twice() {
    for (signal, code) in [(Signal::SIGTERM, 143), (Signal::SIGINT, 130)] {
        let Some(lab) = lab() else { return };
        interrupt(&lab, signal).expect(code).hints("");
        assert_eq!(rsyncs(&lab), [0; 0]);
        assert_eq!(lab.tiers(), [""; 0]);
        let partial = lab.stored(".backup/partial").join(id_of(FIRST));
        let before = inodes(&partial);
        lab.write("home/ann/letter.txt", "written in between\n");
        let report = lab.at(FIRST, &["apply", "--json"]).expect(0).json();
        assert_eq!(report["result"], "success");
        assert_eq!(lab.runs().len(), 1);
        assert_eq!(
            contents_below(&lab.inside("latest", "home")),
            contents_below(&lab.path("home"))
        );
        let after = inodes(&lab.stored("latest").canonicalize().unwrap());
        let done = before
            .iter()
            .filter(|(path, _)| path.to_str().unwrap().contains("/big/00"));
        let (kept, all) = done.fold((0, 0), |(kept, all), (path, inode)| {
            (kept + u32::from(after.get(path) == Some(inode)), all + 1)
        });
        // One may have been cut off or told of too late.
        assert!(all > 4 && kept + 2 >= all, "{kept} of {all} kept");
    }
}

#[test]
fn a_killed_run_takes_rsync_with_it_and_is_continued() {
    let Some(lab) = lab() else { return };
    interrupt(&lab, Signal::SIGKILL).expect(137);
    let started = Instant::now();
    wait_for("rsync to end", || rsyncs(&lab).is_empty());
    assert!(started.elapsed() < Duration::from_secs(10));
    lab.at(FIRST, &["apply"]).expect(0);
    assert_eq!(
        contents_below(&lab.inside("latest", "home")),
        contents_below(&lab.path("home"))
    );
}

#[test]
fn an_rsync_that_outlived_its_run_is_ended_before_the_tree_is_continued() {
    let Some(lab) = lab() else { return };
    rest();
    // It leaves its own group and session, as no rsync does.
    let hiding = "setsid sleep 300 > /dev/null 2>&1 &\necho $! > \"$lab/pid\"\nexit 12";
    run_with_script(&lab, hiding, FIRST).expect(1);
    let pid = fs::read_to_string(lab.path("pid"))
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    assert!(is_alive(pid));
    lab.at(FIRST, &["apply"]).expect(0);
    assert!(!is_alive(pid));
}

#[test]
fn a_published_snapshot_keeps_all_metadata_when_an_interrupted_run_is_continued() {
    let Some(lab) = lab() else { return };
    hostile(&lab);
    rest();
    lab.backup(FIRST);
    lab.write("home/ann/new", "so that rsync is started");
    rest();
    run_with_script(&lab, "\"$real\" \"$@\" > /dev/null\nexit 12", SECOND).expect(1);
    let old = lab.stored(&lab.latest());
    let within = lab.path("home/ann/letter.txt");
    let within = within.strip_prefix("/").unwrap();
    let partial = lab.stored(".backup/partial").join(id_of(SECOND));
    // What a run leaves that is cut off when it has linked everything.
    let home = lab.text("home");
    let mut link = Command::new("cp");
    link.arg("-alfT")
        .arg(old.join(&home[1..]))
        .arg(partial.join(&home[1..]));
    assert!(link.status().unwrap().success());
    let inode = |path: &Path| fs::metadata(path).unwrap().ino();
    assert_eq!(inode(&partial.join(within)), inode(&old.join(within)));
    // All but the number of names, which a new link changes.
    let lasting = || -> Vec<String> {
        let all = shape(&old).into_iter();
        all.map(|(path, told)| {
            format!(
                "{} {}",
                path.display(),
                told.split_once(" mode ").unwrap().1
            )
        })
        .collect()
    };
    let before = lasting();
    assert!(before.len() > 40);

    let change = "find . -type f -exec chmod 604 {} + -exec setfattr -n user.new -v 1 {} + \
        -exec touch -d 2020-02-02 {} + && find . -type l -exec touch -h -d 2020-02-02 {} + && \
        chmod 604 fifo && { [ $(id -u) != 0 ] || chown -hR 7:7 .; }";
    let mut command = Command::new("sh");
    command.args(["-c", change]).current_dir(lab.path("home"));
    assert!(command.status().unwrap().success());
    rest();
    lab.backup(THIRD);
    assert_eq!(lasting(), before);
    let new = fs::metadata(lab.stored("latest").join(within)).unwrap();
    assert_ne!(new.ino(), inode(&old.join(within)));
    assert_eq!(new.mode() & 0o7777, 0o604);
}

#[test]
fn a_continued_tree_becomes_the_sources_whatever_they_became() {
    let Some(lab) = lab() else { return };
    lab.write("home/was file", "x");
    lab.write("home/was folder/x", "x");
    lab.write("home/goes/a/b", "x");
    rest();
    run_with_script(&lab, "\"$real\" \"$@\" > /dev/null\nexit 12", FIRST).expect(1);
    fs::remove_file(lab.path("home/was file")).unwrap();
    lab.write("home/was file/now a folder", "y");
    fs::remove_dir_all(lab.path("home/was folder")).unwrap();
    lab.write("home/was folder", "now a file");
    fs::remove_dir_all(lab.path("home/goes")).unwrap();
    lab.write("home/comes/c", "z");
    rest();
    lab.backup(FIRST);
    assert_eq!(
        contents_below(&lab.inside("latest", "home")),
        contents_below(&lab.path("home"))
    );
}
