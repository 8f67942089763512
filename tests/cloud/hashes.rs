//! What `verify --cloud` compares by the remote's own hashes, and what it downloads.

use serde_json::Value;

use crate::{
    damage::{flip_at, glob},
    remote_lab::{Protocol, RemoteLab},
    rows::day,
};

/// Files that are made, and those of each laboratory.
const FILES: u64 = 13 + 3;

/// A copy of some files, one of which is the largest.
fn copied(test: &str, protocol: Protocol, crypt: bool) -> Option<RemoteLab> {
    let far = RemoteLab::new(test, protocol, crypt)?;
    for n in 0..12 {
        far.lab
            .write(&format!("home/ann/{n:02}.txt"), &format!("paper {n}\n"));
    }
    far.lab.write("home/ann/large.txt", &"large ".repeat(1000));
    far.backup(&day(1));
    Some(far)
}

/// Runs `verify --cloud` with this, which must end so.
#[track_caller]
fn verified(far: &RemoteLab, options: &[&str], code: i32) -> Value {
    let arguments = [&["verify", "--cloud", "--json"], options].concat();
    far.run(&arguments).expect(code).json()
}

/// Changes a byte of the largest file behind a server that is made to look again.
fn flip(far: &mut RemoteLab) {
    far.stop();
    flip_at(far, 3000);
    far.start();
}

/// A remote that tells this hash: it is compared, and nothing is downloaded.
fn told(test: &str, protocol: Protocol, hash: &str) {
    let Some(mut far) = copied(test, protocol, false) else {
        return;
    };
    let whole = verified(&far, &[], 0);
    assert_eq!(whole["hash"], hash, "{whole:#}");
    assert_eq!(whole["hashed_files"], FILES, "{whole:#}");
    assert_eq!(whole["read_files"], 0, "{whole:#}");
    far.run(&["verify", "--cloud"])
        .expect(0)
        .says(&format!("by {hash}, 0 (0 B) downloaded and read"));

    // What the hash says is damaged is downloaded before that is believed.
    flip(&mut far);
    for _ in 0..2 {
        let found = verified(&far, &[], 3);
        assert_eq!(found["hashed_files"], FILES - 1, "{found:#}");
        assert_eq!(found["read_files"], 1, "{found:#}");
        assert_eq!(found["damage_count"], 1, "{found:#}");
        let path = found["damage"][0]["path"].as_str().unwrap();
        assert!(path.ends_with("/home/ann/large.txt"), "{path}");
    }
    flip(&mut far);
    // What was known to be damaged is believed whole once it was read.
    let whole = verified(&far, &[], 0);
    let count = |what: &str| whole[what].as_u64().unwrap();
    assert_eq!(count("hashed_files") + count("read_files"), FILES);

    // What is uploaded later is noted beside what was, and what was replaced is noted anew.
    far.lab.write("home/ann/01.txt", "another paper\n");
    far.lab.write("home/ann/new.txt", "new\n");
    far.backup(&day(2));
    let whole = verified(&far, &[], 0);
    assert_eq!(whole["hashed_files"], FILES + 1, "{whole:#}");
    assert_eq!(whole["read_files"], 0, "{whole:#}");

    // All is read where that is asked for. Notes that are lost come back from it; a damaged file
    // is not noted.
    let read = verified(&far, &["--full"], 0);
    assert_eq!(read["read_files"], FILES + 1, "{read:#}");
    for notes in glob(&far.lab.path("state/cloud"), "hashes.zst") {
        std::fs::remove_file(notes).unwrap();
    }
    flip(&mut far);
    verified(&far, &["--full"], 3);
    flip(&mut far);
    let whole = verified(&far, &[], 0);
    let (hashed, read) = (&whole["hashed_files"], &whole["read_files"]);
    assert_eq!(hashed, FILES, "{whole:#}");
    assert!(read == 0 || read == 1, "{whole:#}");
}

/// A remote without hashes: a share is downloaded.
fn not_told(test: &str, protocol: Protocol, crypt: bool) {
    let Some(mut far) = copied(test, protocol, crypt) else {
        return;
    };
    let whole = verified(&far, &[], 0);
    assert_eq!(whole["hash"], Value::Null, "{whole:#}");
    assert_eq!(whole["hashed_files"], 0, "{whole:#}");
    let mut read = 0;
    for part in ["1/2", "2/2"] {
        let found = verified(&far, &["--subset", part], 0);
        read += found["read_files"].as_u64().unwrap();
    }
    assert_eq!(read, FILES);
    flip(&mut far);
    let found = verified(&far, &["--full"], 3);
    assert_eq!(found["damage_count"], 1, "{found:#}");
}

#[test]
fn s3_is_compared_by_md5() {
    told("s3_is_compared_by_md5", Protocol::S3, "md5");
}

#[test]
fn sftp_is_compared_by_what_the_server_can_compute() {
    let test = "sftp_is_compared_by_what_the_server_can_compute";
    told(test, Protocol::Sftp, "sha1");
}

#[test]
fn webdav_has_no_hash_and_a_share_is_read() {
    not_told(
        "webdav_has_no_hash_and_a_share_is_read",
        Protocol::Webdav,
        false,
    );
}

#[test]
fn what_is_encrypted_has_no_hash_and_a_share_is_read() {
    let test = "what_is_encrypted_has_no_hash_and_a_share_is_read";
    not_told(test, Protocol::S3, true);
}
