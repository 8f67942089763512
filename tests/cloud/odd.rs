//! What a remote does not keep by itself: names that are hard to write, metadata, links, special files.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs,
    os::unix::{
        ffi::OsStrExt as _,
        fs::{MetadataExt as _, PermissionsExt as _, chown, symlink},
    },
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, UNIX_EPOCH},
};

use rustix::fs::{CWD, FileType, Mode, mknodat};

use crate::lab::{Lab, is_installed};

/// Names that some servers, shells and lists of files trip over.
const NAMES: [&str; 14] = [
    "two\nlines",
    "tab\there",
    "trailing ",
    " leading",
    "dot.",
    "-dash",
    "#hash",
    ";semicolon",
    "[a]*?{b}",
    "back\\slash",
    "quote\"'%20&+",
    "\u{fc}ber \u{65e5}\u{672c}\u{ff0f}",
    "n\u{303}",
    "\u{240a} and \u{1f600}",
];

/// Regular files that are made, by name.
pub(crate) const FILES: usize = NAMES.len() + 3;

/// Makes it all in the source.
pub(crate) fn fill(lab: &Lab) {
    let folder = lab.path("home/ann/odd");
    fs::create_dir_all(&folder).unwrap();
    for name in NAMES {
        fs::write(folder.join(name), name).unwrap();
    }
    let file = folder.join("file");
    fs::write(&file, "rich\n").unwrap();
    fs::hard_link(&file, folder.join("same file")).unwrap();
    fs::write(folder.join("empty"), "").unwrap();
    fs::create_dir(folder.join("empty folder")).unwrap();
    symlink("../papers/07.txt", folder.join("link")).unwrap();
    let fifo = folder.join("fifo");
    mknodat(CWD, fifo, FileType::Fifo, Mode::from_raw_mode(0o640), 0).unwrap();
    if rustix::process::geteuid().is_root() {
        chown(&file, Some(12345), Some(54321)).unwrap();
    }
    fs::set_permissions(&file, fs::Permissions::from_mode(0o4750)).unwrap();
    let by = |program: &str, arguments: &[&str]| {
        if is_installed(program) {
            let mut command = Command::new(program);
            let status = command.args(arguments).arg(&file).status();
            assert!(status.unwrap().success());
        }
    };
    by("setfattr", &["-n", "user.colour", "-v", "blue"]);
    by("setfacl", &["-m", "u:3000:r"]);
    let past = UNIX_EPOCH + Duration::new(981_173_106, 123_456_789);
    fs::File::open(&file).unwrap().set_modified(past).unwrap();
}

/// All that a restore gives back of every entry below a folder.
pub(crate) fn told(folder: &Path) -> BTreeMap<PathBuf, String> {
    let all = walkdir::WalkDir::new(folder).into_iter();
    all.map(|entry| {
        let entry = entry.unwrap();
        let path = entry.path();
        let of = path.symlink_metadata().unwrap();
        let content = if of.is_file() {
            let content = fs::read(path).unwrap();
            format!(
                "{} bytes {:?}",
                content.len(),
                &content[..content.len().min(40)]
            )
        } else if of.is_symlink() {
            format!("{:?}", fs::read_link(path).unwrap())
        } else {
            String::new()
        };
        let links = if of.is_dir() { 0 } else { of.nlink() };
        let told = format!(
            "{:o} {}:{} links {links} {}.{:09} [{}] {content}",
            of.mode(),
            of.uid(),
            of.gid(),
            of.mtime(),
            of.mtime_nsec(),
            attributes(path),
        );
        (path.strip_prefix(folder).unwrap().to_owned(), told)
    })
    .collect()
}

/// The values of all extended attributes.
fn attributes(path: &Path) -> String {
    let mut names = vec![0; 4096];
    let length = rustix::fs::llistxattr(path, &mut names).unwrap_or(0);
    let mut all: Vec<String> = names[..length]
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty())
        .map(|name| {
            let mut value = vec![0; 4096];
            let name = OsStr::from_bytes(name);
            let length = rustix::fs::lgetxattr(path, name, &mut value).unwrap();
            format!("{} {:x?}", name.display(), &value[..length])
        })
        .collect();
    all.sort();
    all.join(", ")
}
