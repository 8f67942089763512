//! What happens to a copy: bytes that flip, sources that are damaged, and a total loss.

use std::{
    fs,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
};

use crate::{
    odd,
    remote_lab::RemoteLab,
    rows::{BIG, day, id, message},
};

/// Paths below a folder that end with this name.
pub(crate) fn glob(folder: &Path, name: &str) -> Vec<PathBuf> {
    let all = walkdir::WalkDir::new(folder).into_iter().flatten();
    all.map(walkdir::DirEntry::into_path)
        .filter(|path| path.ends_with(name))
        .collect()
}

/// Changes one byte of the largest file behind the server; again, and it is as before.
fn flip(far: &RemoteLab) {
    flip_at(far, BIG as u64 / 2);
}

/// The same for the byte at this offset.
pub(crate) fn flip_at(far: &RemoteLab, offset: u64) {
    let all = walkdir::WalkDir::new(far.lab.path("far/bucket/"));
    let files = all.into_iter().flatten().map(walkdir::DirEntry::into_path);
    // The one in `current`, which was written last.
    let largest = files
        .filter(|path| path.is_file())
        .max_by_key(|path| {
            let stat = fs::metadata(path).unwrap();
            (stat.len(), stat.modified().unwrap())
        })
        .unwrap();
    let modified = fs::metadata(&largest).unwrap().modified().unwrap();
    let mut options = fs::File::options();
    let file = options.read(true).write(true).open(largest).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset).unwrap();
    file.write_all_at(&[byte[0] ^ 1], offset).unwrap();
    file.set_modified(modified).unwrap();
}

pub(crate) fn flipped_byte(far: &RemoteLab) {
    far.run(&["verify", "--cloud", "--full"]).expect(0);
    flip(far);
    far.run(&["verify", "--cloud", "--quick"]).expect(0);
    far.run(&["verify", "--cloud", "--full"])
        .expect(3)
        .says("big.bin: its content is not what was uploaded");
    flip(far);
}

/// Backs a damaged source up, which must leave the remote as it is.
#[track_caller]
fn nothing_goes(far: &RemoteLab, n: u32) {
    let all = || ["current", "history", "manifests"].map(|folder| far.files(folder));
    let before = all();
    let ran = far.at(&day(n), &["apply"]);
    ran.expect(3).says("nothing is copied");
    assert_eq!(before, all());
}

pub(crate) fn empty_source(far: &RemoteLab) {
    fs::rename(far.lab.path("home"), far.lab.path("away")).unwrap();
    fs::create_dir(far.lab.path("home")).unwrap();
    nothing_goes(far, 8);
    fs::remove_dir(far.lab.path("home")).unwrap();
    fs::rename(far.lab.path("away"), far.lab.path("home")).unwrap();
}

pub(crate) fn half_source(far: &RemoteLab) {
    fs::rename(far.lab.path("home/ann/papers"), far.lab.path("papers")).unwrap();
    nothing_goes(far, 9);
    fs::rename(far.lab.path("papers"), far.lab.path("home/ann/papers")).unwrap();
}

pub(crate) fn encrypted_source(far: &RemoteLab) {
    let mut kept = Vec::new();
    for entry in fs::read_dir(far.lab.path("home/ann/papers")).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read(&path).unwrap();
        let time = fs::metadata(&path).unwrap().modified().unwrap();
        let other: Vec<u8> = text.iter().map(|byte| byte ^ 0x55).collect();
        fs::write(&path, other).unwrap();
        kept.push((path, text, time));
    }
    nothing_goes(far, 10);
    for (path, text, time) in kept {
        fs::write(&path, text).unwrap();
        let file = fs::File::options().write(true).open(&path).unwrap();
        file.set_modified(time).unwrap();
    }
    // The suspect snapshots still withhold deletions, which is told, and hinder no upload: nothing
    // but what was damaged there is brought again.
    let report = far.at(&day(11), &["apply", "--json"]).expect(3).json();
    let said = message(&report);
    let healed = said.contains("1 file (3.0 MiB) uploaded") && said.contains("damaged there");
    assert!(healed || said.contains("0 files (0 B) uploaded"), "{said}");
}

pub(crate) fn restored(far: &RemoteLab) {
    // Machine and drive are gone: the configuration and the remote are all there is.
    for lost in ["mnt", "state", "log"] {
        fs::remove_dir_all(far.lab.path(lost)).unwrap();
    }
    let restore = |snapshot: &str, path: &str, target: &str| {
        let (path, target) = (far.lab.text(path), far.lab.text(target));
        let arguments = ["restore", "--from", "cloud", snapshot, &path, &target];
        far.run(&arguments).expect(0);
        (odd::told(Path::new(&target)), odd::told(Path::new(&path)))
    };
    let (back, was) = restore("latest", "home", "whole");
    for (path, told) in &was {
        assert_eq!(back.get(path), Some(told), "{}", path.display());
    }
    assert_eq!(back.len(), was.len());
    let (back, was) = restore("latest", "home/ann/papers", "folder");
    assert_eq!(back, was);
    // As it was before it was replaced, from the history.
    restore(&id(2), "home/ann/papers/10.txt", "file");
    let file = fs::read_to_string(far.lab.path("file")).unwrap();
    assert_eq!(file, "paper 10\n");
    let left = fs::read_dir(far.lab.path("state")).unwrap();
    let left = left.filter(|entry| {
        let name = entry.as_ref().unwrap().file_name();
        name.to_string_lossy().starts_with("download-")
    });
    assert_eq!(left.count(), 0);
}
