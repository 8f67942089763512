//! Two ways to say that two trees are the same: rsync's own, and one through descriptors that
//! knows no longest path and sees what rsync does not look at.

use std::{
    collections::HashMap,
    ffi::{CString, OsStr},
    fs::File,
    io::Read as _,
    os::{
        fd::{AsRawFd as _, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
    path::Path,
};

use rustix::{
    fs::{
        AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat, lgetxattr, llistxattr, openat, readlinkat,
        statat,
    },
    process::{Resource, getrlimit, setrlimit},
};
use schema::{Digest, escape};

/// Ends the test unless rsync finds no difference between two folders, nanoseconds included.
#[track_caller]
pub(crate) fn same_for_rsync(one: &Path, other: &Path) {
    let with_slash = |path: &Path| {
        let mut path = path.as_os_str().to_owned();
        path.push("/");
        path
    };
    let options = [
        "-aHAXnci",
        "--delete",
        "--numeric-ids",
        "--modify-window=-1",
    ]
    .map(Into::into);
    let folders = [with_slash(one), with_slash(other)];
    let differences = crate::lab::run("rsync", options.into_iter().chain(folders));
    assert_eq!(
        differences,
        "",
        "{} is not as {}",
        other.display(),
        one.display()
    );
}

/// What is known of an entry.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    /// How far below the folder that was listed.
    pub(crate) depth: usize,
    /// Its name as text.
    pub(crate) name: String,
    /// All that both trees must agree on.
    pub(crate) what: String,
    /// For regular files, the bytes on disk.
    pub(crate) room: u64,
    /// Its number.
    pub(crate) inode: u64,
}

/// Ends the test unless two folders hold the same, each with the same metadata.
#[track_caller]
pub(crate) fn same(one: &Path, other: &Path) {
    let (ones, others) = (listing(one), listing(other));
    for (a, b) in ones.iter().zip(&others) {
        let told = |seen: &Seen| format!("{} {}: {}", seen.depth, seen.name, seen.what);
        assert_eq!(
            told(a),
            told(b),
            "{} and {}",
            one.display(),
            other.display()
        );
        // Holes stay holes; file systems round up in their own ways.
        assert!(
            b.room <= a.room + (64 << 10),
            "{a:?} takes {} bytes",
            b.room
        );
    }
    assert_eq!(ones.len(), others.len());
}

/// Every entry of a folder, the folder itself first, in one order.
pub(crate) fn listing(root: &Path) -> Vec<Seen> {
    let limit = getrlimit(Resource::Nofile);
    let raised = rustix::process::Rlimit {
        current: limit.maximum,
        ..limit
    };
    setrlimit(Resource::Nofile, raised).unwrap();
    let mut list = Vec::new();
    let top = openat(CWD, root, FOLDER, Mode::empty()).unwrap();
    let stat = statat(&top, ".", AtFlags::SYMLINK_NOFOLLOW).unwrap();
    list.push(look(&top, OsStr::new("."), &stat, 0));
    // A stack of our own, since the call stack is not as deep as some paths are.
    let names = names(&top);
    let mut stack = vec![(top, names)];
    while let Some((folder, names)) = stack.last_mut() {
        let Some(name) = names.pop() else {
            stack.pop();
            continue;
        };
        let name = OsStr::from_bytes(name.as_bytes());
        let stat = statat(&*folder, name, AtFlags::SYMLINK_NOFOLLOW).unwrap();
        let below = (FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
            .then(|| openat(&*folder, name, FOLDER, Mode::empty()).unwrap());
        let depth = stack.len();
        let (folder, _) = stack.last().unwrap();
        list.push(look(folder, name, &stat, depth));
        if let Some(below) = below {
            let names = self::names(&below);
            stack.push((below, names));
        }
    }
    tell_links(&mut list);
    list
}

/// Adds to each entry that is one with others of the list which of them is the first. The number
/// of links does not say so: names in other snapshots count in it.
fn tell_links(list: &mut [Seen]) {
    let mut names: HashMap<u64, (usize, usize)> = HashMap::new();
    for (number, seen) in list.iter().enumerate() {
        names.entry(seen.inode).or_insert((number, 0)).1 += 1;
    }
    for seen in list {
        if let Some((first, 2..)) = names.get(&seen.inode) {
            seen.what += &format!(" is one with {first}");
        }
    }
}

const FOLDER: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::NOATIME)
    .union(OFlags::CLOEXEC);

/// The names in a folder, last first.
fn names(folder: &OwnedFd) -> Vec<CString> {
    let mut names: Vec<CString> = Dir::read_from(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_owned())
        .filter(|name| !matches!(name.to_bytes(), b"." | b".."))
        .collect();
    names.sort_unstable_by(|a, b| b.cmp(a));
    names
}

fn look(folder: &OwnedFd, name: &OsStr, stat: &Stat, depth: usize) -> Seen {
    let kind = FileType::from_raw_mode(stat.st_mode);
    let mut what = format!(
        "{kind:?} {:o} {}:{} {}.{:09}",
        stat.st_mode & 0o7777,
        stat.st_uid,
        stat.st_gid,
        stat.st_mtime,
        stat.st_mtime_nsec
    );
    match kind {
        FileType::RegularFile => {
            what += &format!(" {} bytes {}", stat.st_size, content(folder, name));
        }
        FileType::Symlink => {
            let target = readlinkat(folder, name, Vec::new()).unwrap();
            what += &format!(" to {}", escape::escape(target.to_bytes()));
        }
        FileType::CharacterDevice | FileType::BlockDevice => {
            what += &format!(" device {:x}", stat.st_rdev);
        }
        _ => {}
    }
    let path = format!("/proc/self/fd/{}/", folder.as_raw_fd()).into_bytes();
    what += &attributes(&[path.as_slice(), name.as_bytes()].concat());
    Seen {
        depth,
        name: escape::escape(name.as_bytes()),
        what,
        room: if kind == FileType::RegularFile {
            u64::try_from(stat.st_blocks).unwrap() * 512
        } else {
            0
        },
        inode: stat.st_ino,
    }
}

fn content(folder: &OwnedFd, name: &OsStr) -> Digest {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NOATIME | OFlags::CLOEXEC;
    let mut file = File::from(openat(folder, name, flags, Mode::empty()).unwrap());
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).unwrap();
    Digest::of(&bytes)
}

/// Names and values of all extended attributes, lists and capabilities among them.
fn attributes(path: &[u8]) -> String {
    let mut names = vec![0; 64 << 10];
    let Ok(length) = llistxattr(path, &mut names[..]) else {
        return String::new();
    };
    let mut all: Vec<String> = names[..length]
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty())
        .map(|name| {
            let mut value = vec![0; 64 << 10];
            let length = lgetxattr(path, name, &mut value[..]).unwrap();
            let digest = Digest::of(&value[..length]);
            format!(" {}={digest}", escape::escape(name))
        })
        .collect();
    all.sort();
    all.concat()
}
