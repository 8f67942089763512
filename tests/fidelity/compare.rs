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
        // XFS shows each access control list a second time.
        "--filter=-x trusted.SGI_ACL_*",
    ]
    .map(Into::into);
    let folders = [with_slash(one), with_slash(other)];
    let differences = crate::lab::run_tool("rsync", options.into_iter().chain(folders));
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
    let found = differences(one, other);
    let named = format!("{} and {}", one.display(), other.display());
    assert!(
        found.is_empty(),
        "{named}: {} differ: {found:#?}",
        found.len()
    );
}

/// What differs between two folders; after the first entry that only one has, nothing more.
fn differences(one: &Path, other: &Path) -> Vec<String> {
    let (ones, others) = (listing(one), listing(other));
    let mut found = Vec::new();
    for (a, b) in ones.iter().zip(&others) {
        let told = |seen: &Seen| format!("{} {}: {:.300}", seen.depth, seen.name, seen.what);
        if (a.depth, &a.name) != (b.depth, &b.name) {
            found.push(format!("{} or {}", told(a), told(b)));
            return found;
        }
        if a.what != b.what {
            found.push(format!("{} but {:.300}", told(a), b.what));
        }
        // Holes stay holes; file systems round up in their own ways.
        if b.room > a.room + (64 << 10) {
            let rooms = format!("{} and {} bytes on disk", a.room, b.room);
            found.push(format!("{} takes {rooms}", a.name));
        }
    }
    if ones.len() != others.len() {
        found.push(format!("{} and {} entries", ones.len(), others.len()));
    }
    found
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
        // XFS shows each access control list a second time.
        .filter(|name| !name.is_empty() && !name.starts_with(b"trusted.SGI_ACL_"))
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

#[test]
fn the_comparison_sees_each_kind_of_difference() {
    use crate::{hostile::special, lab, metadata};
    use std::{
        fs,
        os::unix::fs::{lchown, symlink},
    };
    type Change<'a> = (&'a str, &'a dyn Fn(&Path));
    let name = "the_comparison_sees_each_kind_of_difference";
    if lab::is_missing(name, &["cp", "setfattr", "rsync"], true) {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    let at = |name: &str| root.path().join(name);
    let one = at("one");
    fs::create_dir_all(one.join("folder/empty")).unwrap();
    fs::write(one.join("a"), "content").unwrap();
    fs::hard_link(one.join("a"), one.join("b")).unwrap();
    fs::write(one.join("c"), "content").unwrap();
    symlink("a", one.join("link")).unwrap();
    special(&one.join("device"), FileType::CharacterDevice, (1, 3));
    let hole = File::create(one.join("hole")).unwrap();
    hole.set_len(1 << 20).unwrap();
    drop(hole);
    metadata::attribute(&one.join("c"), "user.colour", "blue");
    let copy = |to: &Path| {
        let _ = fs::remove_dir_all(to);
        lab::run_tool(
            "cp",
            ["-a", "-T"]
                .map(OsStr::new)
                .into_iter()
                .chain([one.as_os_str(), to.as_os_str()]),
        );
    };
    let two = at("two");
    copy(&two);
    same(&one, &two);
    same_for_rsync(&one, &two);
    // Nothing but the change in question: the folder's time is put back.
    let time = fs::metadata(&one).unwrap().modified().unwrap();
    let changes: [Change<'_>; 14] = [
        ("mode", &|two| metadata::set_mode(&two.join("c"), 0o4644)),
        ("owner", &|two| {
            lchown(two.join("c"), Some(7), None).unwrap()
        }),
        ("group", &|two| {
            lchown(two.join("link"), None, Some(7)).unwrap()
        }),
        ("time", &|two| metadata::set_time(&two.join("c"), 1, 1)),
        ("time of a link", &|two| {
            metadata::set_time(&two.join("link"), 1, 1)
        }),
        ("attribute", &|two| {
            metadata::attribute(&two.join("c"), "user.colour", "red")
        }),
        ("new attribute", &|two| {
            metadata::attribute(&two.join("link"), "trusted.x", "y")
        }),
        ("content", &|two| {
            let stat = fs::metadata(two.join("c")).unwrap();
            fs::write(two.join("c"), "cOntent").unwrap();
            File::open(two.join("c"))
                .unwrap()
                .set_modified(stat.modified().unwrap())
                .unwrap();
        }),
        ("links apart", &|two| {
            fs::remove_file(two.join("b")).unwrap();
            lab::run_tool(
                "cp",
                [
                    "-a".as_ref(),
                    two.join("a").as_os_str(),
                    two.join("b").as_os_str(),
                ],
            );
        }),
        ("links together", &|two| {
            lab::run_tool(
                "setfattr",
                [
                    "-x".as_ref(),
                    "user.colour".as_ref(),
                    two.join("c").as_os_str(),
                ],
            );
            fs::remove_file(two.join("c")).unwrap();
            fs::hard_link(two.join("a"), two.join("c")).unwrap();
        }),
        ("target", &|two| {
            fs::remove_file(two.join("link")).unwrap();
            symlink("b", two.join("link")).unwrap();
        }),
        ("device", &|two| {
            fs::remove_file(two.join("device")).unwrap();
            special(&two.join("device"), FileType::CharacterDevice, (1, 4));
        }),
        ("missing", &|two| {
            fs::remove_dir(two.join("folder/empty")).unwrap()
        }),
        ("hole", &|two| {
            let stat = fs::metadata(two.join("hole")).unwrap();
            fs::write(two.join("hole"), vec![0; 1 << 20]).unwrap();
            File::open(two.join("hole"))
                .unwrap()
                .set_modified(stat.modified().unwrap())
                .unwrap();
        }),
    ];
    for (what, change) in changes {
        copy(&two);
        change(&two);
        File::open(&two).unwrap().set_modified(time).unwrap();
        assert_ne!(differences(&one, &two), Vec::<String>::new(), "{what}");
    }
}
