//! What stands in folders and files, for comparisons.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{FileExt as _, MetadataExt as _},
    path::{Path, PathBuf},
};

use serde_json::Value;

/// Sorted names in a folder, which are text; none if there is no folder.
#[must_use]
#[track_caller]
pub fn entry_names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Reads a JSON file.
#[track_caller]
pub fn read_json(path: &Path) -> Value {
    let bytes = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// All that the kernel says of every entry below a folder, less the time of the last reading.
#[must_use]
pub fn everything_below(folder: &Path) -> BTreeMap<PathBuf, String> {
    walkdir::WalkDir::new(folder)
        .into_iter()
        .map(|entry| {
            let entry = entry.unwrap();
            let of = entry.path().symlink_metadata().unwrap();
            let told = format!(
                "inode {} mode {:o} owner {}:{} links {} size {} mtime {}.{:09} ctime {}.{:09}",
                of.ino(),
                of.mode(),
                of.uid(),
                of.gid(),
                of.nlink(),
                of.size(),
                of.mtime(),
                of.mtime_nsec(),
                of.ctime(),
                of.ctime_nsec()
            );
            (entry.path().to_owned(), told)
        })
        .collect()
}

/// Path, kind and content of every entry below a folder, relative to it.
#[must_use]
pub fn contents_below(folder: &Path) -> BTreeMap<PathBuf, String> {
    walkdir::WalkDir::new(folder)
        .min_depth(1)
        .into_iter()
        .map(|entry| {
            let entry = entry.unwrap();
            let path = entry.path();
            let of = path.symlink_metadata().unwrap();
            let what = if of.is_dir() {
                "folder".to_owned()
            } else if of.is_symlink() {
                format!("link to {}", fs::read_link(path).unwrap().display())
            } else {
                let content = fs::read(path).unwrap();
                format!("file {}", String::from_utf8_lossy(&content))
            };
            let times = if of.is_dir() { 0 } else { of.mtime() };
            let told = format!("{:o} {times} {what}", of.mode());
            (path.strip_prefix(folder).unwrap().to_owned(), told)
        })
        .collect()
}

/// Changes one byte in the middle of a file.
#[track_caller]
pub fn flip_byte(path: &Path) {
    let file = fs::File::options()
        .read(true)
        .write(true)
        .open(path)
        .unwrap();
    let at = file.metadata().unwrap().len() / 2;
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 0x5a], at).unwrap();
}

/// The same, and the time is put back: so disks rot, and so containers are changed.
#[track_caller]
pub fn flip_byte_unseen(path: &Path) {
    let modified = path.metadata().unwrap().modified().unwrap();
    flip_byte(path);
    let file = fs::File::options().write(true).open(path).unwrap();
    file.set_modified(modified).unwrap();
}
