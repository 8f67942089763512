//! One row of the table in docs/cloud.md for each server: what happens to a copy there.

use std::fs;

use serde_json::Value;

use crate::{
    damage::{self, glob},
    lab::{step_outcome, wait_for, wait_for_child},
    odd,
    remote_lab::{Protocol, RemoteLab},
};

/// Size of the file whose upload is cut off: some seconds at the rate that is set.
pub(crate) const BIG: usize = 3 << 20;

/// Regular files of the source, by name.
const FILES: usize = 100 + odd::FILES;

/// Time of the nth backup.
pub(crate) fn day(n: u32) -> String {
    format!("2025-03-{:02}T02:00:00+01:00", n + 1)
}

/// Id of the nth backup.
pub(crate) fn id(n: u32) -> String {
    format!("2025-03-{:02}_02-00-00", n + 1)
}

#[track_caller]
pub(crate) fn message(report: &Value) -> String {
    let sync = step_outcome(report, "cloud-sync");
    assert_eq!(sync["status"], "succeeded", "{sync:#}");
    sync["message"].as_str().unwrap().to_owned()
}

/// A source of a hundred files.
fn fill(far: &RemoteLab) {
    for n in 0..97 {
        far.lab.write(
            &format!("home/ann/papers/{n:02}.txt"),
            &format!("paper {n}\n"),
        );
    }
    odd::fill(&far.lab);
}

fn row(test: &str, protocol: Protocol, crypt: bool) {
    let Some(mut far) = RemoteLab::new(test, protocol, crypt) else {
        return;
    };
    fill(&far);
    first_upload(&far);
    nothing_changed(&far);
    one_percent_changed(&far);
    far.lab.set("cloud.bandwidthLimit", "1M");
    killed_server(&mut far);
    killed_client(&far);
    damage::flipped_byte(&far);
    damage::empty_source(&far);
    damage::half_source(&far);
    damage::encrypted_source(&far);
    damage::restored(&far);
}

fn first_upload(far: &RemoteLab) {
    let said = message(&far.backup(&day(1)));
    assert!(said.contains(&format!("{FILES} files")), "{said}");
    assert_eq!(
        far.content(&far.current("home/ann/papers/07.txt")),
        "paper 7\n"
    );
    assert_eq!(far.files("current").len(), FILES);
    assert_eq!(
        far.files(&format!("manifests/{}", id(1))),
        [
            "attempt-1.json",
            "manifest.mtree.zst",
            "snapshot.json",
            "uploaded-1.json"
        ]
    );
}

fn nothing_changed(far: &RemoteLab) {
    let said = message(&far.backup(&day(2)));
    assert!(said.contains("0 files (0 B) uploaded"), "{said}");
    assert!(!said.contains("history"), "{said}");
}

fn one_percent_changed(far: &RemoteLab) {
    // The same size and time: only the digest tells.
    let path = far.lab.path("home/ann/papers/10.txt");
    let time = fs::metadata(&path).unwrap().modified().unwrap();
    fs::write(&path, "PAPER 10\n").unwrap();
    let file = fs::File::options().write(true).open(&path).unwrap();
    file.set_modified(time).unwrap();
    fs::remove_file(far.lab.path("home/ann/papers/11.txt")).unwrap();
    far.lab.write("home/ann/new.txt", "new\n");
    let said = message(&far.backup(&day(3)));
    assert!(said.contains("2 files"), "{said}");
    assert!(said.contains("2 old ones kept in history"), "{said}");
    assert_eq!(
        far.content(&far.current("home/ann/papers/10.txt")),
        "PAPER 10\n"
    );
    let history = format!("history/{}/3{}", id(3), far.lab.text("home/ann/papers"));
    assert_eq!(far.content(&format!("{history}/10.txt")), "paper 10\n");
    assert_eq!(far.content(&format!("{history}/11.txt")), "paper 11\n");
    assert_eq!(far.files("current").len(), FILES);
}

/// Writes a file that takes a while at the rate that is set; gives what is there once the upload
/// has come to its middle.
pub(crate) fn write_big(far: &RemoteLab, letter: &str) -> u64 {
    far.lab.write("home/ann/big.bin", &letter.repeat(BIG));
    far.bytes_there() + BIG as u64 / 4
}

fn killed_server(far: &mut RemoteLab) {
    let until = write_big(far, "a");
    let child = far.started(&day(4));
    wait_for("the upload", || far.bytes_there() > until);
    far.stop();
    wait_for_child(child, &["apply"])
        .expect(1)
        .says("connection failed")
        .hints("rclone --config=");
    far.start();
    let said = message(&far.backup(&day(5)));
    // rclone's own S3 server shows some odd names otherwise once it was started again: those files
    // are uploaded again, too.
    if far.protocol != Protocol::S3 {
        assert!(said.contains("1 file"), "{said}");
    }
    let big = far.content(&far.current("home/ann/big.bin"));
    assert!(big == "a".repeat(BIG));
}

fn killed_client(far: &RemoteLab) {
    let until = write_big(far, "b");
    let mut child = far.started(&day(6));
    // Not while the old one is moved, which is a copy in S3.
    let moved = || !glob(&far.lab.path("state/cloud"), &format!("done-{}", id(6))).is_empty();
    wait_for("the upload", || moved() && far.bytes_there() > until);
    child.kill().unwrap();
    wait_for_child(child, &["apply"]);
    // The run goes on, with an attempt of its own.
    let said = message(&far.backup(&day(6)));
    assert!(said.contains("1 file"), "{said}");
    let big = far.content(&far.current("home/ann/big.bin"));
    assert!(big == "b".repeat(BIG));
    // Whatever short file the kill left did not take the place of the good one.
    let history = format!("history/{}", id(6));
    let kept: Vec<String> = far
        .files(&history)
        .into_iter()
        .filter(|path| path.ends_with("big.bin"))
        .collect();
    // A short file cannot be read below `crypt`.
    let read = |path: &&String| far.rclone(&["cat", &far.remote(&format!("{history}/{path}"))]);
    let good = kept
        .iter()
        .filter(|path| read(path).stdout == "a".repeat(BIG));
    assert!(good.count() >= 1, "{kept:?}");
    let said = message(&far.backup(&day(7)));
    assert!(said.contains("0 files (0 B) uploaded"), "{said}");
}

/// At once, since a row waits more than it works: each kind of server, and with `KILLS` set each row.
#[test]
fn each_server_does_what_its_row_says() {
    let rows = [
        ("webdav", Protocol::Webdav, false),
        ("sftp_encrypted", Protocol::Sftp, true),
        ("s3", Protocol::S3, false),
        ("webdav_encrypted", Protocol::Webdav, true),
        ("sftp", Protocol::Sftp, false),
        ("s3_encrypted", Protocol::S3, true),
    ];
    let rows = rows.into_iter().take(all_or(3));
    at_once(rows.map(|(name, protocol, crypt)| (name, move || row(name, protocol, crypt))));
}

/// All of them with `KILLS` set, else so many.
pub(crate) fn all_or(count: usize) -> usize {
    std::env::var_os("KILLS").map_or(count, |_| usize::MAX)
}

/// Runs each on a thread of its own; whichever panics names itself.
pub(crate) fn at_once<F: FnOnce() + Send>(all: impl IntoIterator<Item = (&'static str, F)>) {
    std::thread::scope(|scope| {
        for (name, run) in all {
            let named = std::thread::Builder::new().name(name.to_owned());
            named.spawn_scoped(scope, run).unwrap();
        }
    });
}
