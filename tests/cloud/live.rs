//! Copies of the live sources, without local snapshots, on each kind of server.

use std::{fs, path::Path};

use crate::{
    lab::step_outcome,
    odd,
    remote_lab::{Protocol, RemoteLab},
    rows::{day, id, message},
};

fn live(test: &str, protocol: Protocol, crypt: bool) {
    let Some(mut far) = RemoteLab::new(test, protocol, crypt) else {
        return;
    };
    far.lab.set("local.enable", false);
    far.lab.set("cloud.syncMode", "sync");
    odd::fill(&far.lab);
    far.lab.write("more/file", "more");
    let both = vec![far.lab.text("home"), far.lab.text("more")];
    far.lab.set("local.sources", both);
    message(&far.backup(&day(1)));
    let all = far.files("current").len();
    assert!(all > odd::FILES, "{all}");
    let said = message(&far.backup(&day(2)));
    assert!(said.contains("0 files (0 B) uploaded"), "{said}");

    far.lab.write("home/ann/letter.txt", "dear none\n");
    let said = message(&far.backup(&day(3)));
    assert!(said.contains("1 file "), "{said}");
    let letter = far.current("home/ann/letter.txt");
    assert_eq!(far.content(&letter), "dear none\n");
    let old = format!("history/{}/3{}", id(3), far.lab.text("home/ann/letter.txt"));
    assert_eq!(far.content(&old), "dear all\n");

    // What cannot be looked at is not gone.
    fs::rename(far.lab.path("more"), far.lab.path("away")).unwrap();
    let report = far.at(&day(4), &["apply", "--json"]).expect(3).json();
    assert_ne!(step_outcome(&report, "cloud-sync")["status"], "succeeded");
    assert_eq!(far.files("current").len(), all);
    fs::rename(far.lab.path("away"), far.lab.path("more")).unwrap();

    fs::remove_dir_all(far.lab.path("state")).unwrap();
    let (home, back) = (far.lab.text("home"), far.lab.text("back"));
    far.run(&["restore", "--from", "cloud", "latest", &home, &back])
        .expect(0);
    let (back, was) = (odd::told(Path::new(&back)), odd::told(Path::new(&home)));
    assert_eq!(back, was);
}

#[test]
fn live_sources_on_webdav_with_crypt() {
    live("live_sources_on_webdav_with_crypt", Protocol::Webdav, true);
}

#[test]
fn live_sources_on_sftp() {
    live("live_sources_on_sftp", Protocol::Sftp, false);
}

#[test]
fn live_sources_on_s3() {
    live("live_sources_on_s3", Protocol::S3, false);
}
