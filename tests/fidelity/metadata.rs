//! Every kind of metadata, each on an entry of its own.

use std::{
    ffi::OsStr,
    fs::{self, Permissions},
    os::unix::fs::{PermissionsExt as _, lchown, symlink},
    path::Path,
};

use rustix::fs::{AtFlags, CWD, FileType, Timespec, Timestamps, UTIME_OMIT, utimensat};

use crate::{hostile::special, lab::run_tool};

const OWNERS: [(u32, u32); 8] = [
    (0, 1),
    (1, 0),
    (1000, 1000),
    (1234, 5678),
    (65_534, 65_534),
    (65_536, 100_000),
    (2_147_483_648, 3),
    (4_294_967_294, 4_294_967_294),
];

/// Seconds and nanoseconds: before and around 1970, in 1938 and 2106, as late as ext4 knows.
const TIMES: [(i64, i64); 10] = [
    (-2_000_000_000, 999_999_999),
    (-1_000_000, 1),
    (-1, 999_999_999),
    (0, 0),
    (0, 1),
    (1, 0),
    (1_700_000_000, 123_456_789),
    (2_147_483_648, 1),
    (4_294_967_296, 5),
    (13_569_465_600, 987_654_321),
];

/// Fills an empty folder; only root can.
pub(crate) fn make(root: &Path) {
    modes(root);
    owners(root);
    lists(root);
    attributes(root);
    times(root);
    flags(root);
}

fn file(path: &Path) {
    fs::write(path, path.as_os_str().as_encoded_bytes()).unwrap();
}

/// Sets the permission bits.
pub(crate) fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn modes(root: &Path) {
    for mode in [
        0o000, 0o001, 0o111, 0o200, 0o400, 0o444, 0o666, 0o777, 0o1644, 0o2755, 0o2644, 0o4755,
        0o4000, 0o6711, 0o7777,
    ] {
        let path = root.join(format!("mode {mode:04o}"));
        file(&path);
        // A change of owner clears set-id bits, so these come after it.
        lchown(&path, Some(1234), Some(5678)).unwrap();
        set_mode(&path, mode);
        let folder = root.join(format!("folder {mode:04o}"));
        fs::create_dir(&folder).unwrap();
        file(&folder.join("inside"));
        lchown(&folder, Some(1234), Some(5678)).unwrap();
        set_mode(&folder, mode);
    }
}

fn owners(root: &Path) {
    for (uid, gid) in OWNERS {
        let named = |kind: &str| root.join(format!("{kind} of {uid}, {gid}"));
        file(&named("file"));
        fs::create_dir(named("folder")).unwrap();
        symlink("x", named("link")).unwrap();
        special(&named("fifo"), FileType::Fifo, (0, 0));
        for kind in ["file", "folder", "link", "fifo"] {
            lchown(named(kind), Some(uid), Some(gid)).unwrap();
        }
    }
}

fn lists(root: &Path) {
    let set = |options: &[&str], path: &Path| {
        let path = [path.as_os_str()];
        run_tool("setfacl", options.iter().map(OsStr::new).chain(path));
    };
    let path = root.join("access list");
    file(&path);
    set(&["-m", "u:1234:rw,g:5678:r,m::rw,o::-"], &path);
    let path = root.join("access list of a setuid file");
    file(&path);
    set(&["-m", "u:4294967290:x"], &path);
    set_mode(&path, 0o4750);
    let path = root.join("access and default list");
    fs::create_dir(&path).unwrap();
    file(&path.join("older than the list"));
    set(&["-m", "u:1234:rwx,d:u:1234:rx,d:g:7:-,d:m::rwx"], &path);
    file(&path.join("inherits the list"));
    fs::create_dir(path.join("inherits too")).unwrap();
    let path = root.join("default list alone");
    fs::create_dir(&path).unwrap();
    set(&["-d", "-m", "u::rwx,g::-,o::-"], &path);
    let path = root.join("fifo with a list");
    special(&path, FileType::Fifo, (0, 0));
    set(&["-m", "u:1:rw"], &path);
}

/// Sets an extended attribute of the entry itself, a symlink's too.
pub(crate) fn attribute(path: &Path, name: &str, value: &str) {
    let words = ["-h", "-n", name, "-v", value].map(OsStr::new);
    run_tool("setfattr", words.into_iter().chain([path.as_os_str()]));
}

fn attributes(root: &Path) {
    let path = root.join("attributes");
    file(&path);
    let long = format!("0x{}", "5a".repeat(1500));
    for (name, value) in [
        ("user.empty", ""),
        ("user.text", "blue"),
        ("user.bytes", "0x00ff0a5c3d20"),
        ("user.long", &long),
        ("user.name with = and \\ and ünï", "odd"),
        ("trusted.hidden", "for root"),
        ("security.example", "a label"),
    ] {
        attribute(&path, name, value);
    }
    let folder = root.join("folder with attributes");
    fs::create_dir(&folder).unwrap();
    attribute(&folder, "user.folder", "yes");
    attribute(&folder, "trusted.folder", "yes");
    let link = root.join("link with attributes");
    symlink("nowhere", &link).unwrap();
    attribute(&link, "trusted.link", "of the link itself");
    let fifo = root.join("fifo with attributes");
    special(&fifo, FileType::Fifo, (0, 0));
    attribute(&fifo, "trusted.fifo", "0x0001");
    let sealed = root.join("attributes of a file without permissions");
    file(&sealed);
    attribute(&sealed, "user.sealed", "yes");
    set_mode(&sealed, 0);

    // A change of owner clears capabilities, so whoever copies must set these after it.
    for owner in [0, 1234] {
        let path = root.join(format!("capabilities, owner {owner}"));
        file(&path);
        lchown(&path, Some(owner), Some(owner)).unwrap();
        set_mode(&path, 0o755);
        let wanted = "cap_net_raw,cap_dac_read_search+ep";
        run_tool("setcap", [OsStr::new(wanted), path.as_os_str()]);
    }
}

/// Sets the time of the entry itself.
pub(crate) fn set_time(path: &Path, seconds: i64, nanoseconds: i64) {
    let times = Timestamps {
        last_access: Timespec {
            tv_sec: 0,
            tv_nsec: UTIME_OMIT,
        },
        last_modification: Timespec {
            tv_sec: seconds,
            tv_nsec: nanoseconds,
        },
    };
    utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
}

fn times(root: &Path) {
    for (number, (seconds, nanoseconds)) in TIMES.into_iter().enumerate() {
        let named = |kind: &str| root.join(format!("{kind} of time {number}"));
        file(&named("file"));
        fs::create_dir(named("folder")).unwrap();
        file(&named("folder").join("inside"));
        symlink("x", named("link")).unwrap();
        special(&named("fifo"), FileType::Fifo, (0, 0));
        for kind in ["file", "folder", "link", "fifo"] {
            set_time(&named(kind), seconds, nanoseconds);
        }
    }
}

/// Entries that not even root may change, where the file system knows such.
fn flags(root: &Path) {
    file(&root.join("immutable"));
    file(&root.join("append only"));
    fs::create_dir(root.join("immutable folder")).unwrap();
    file(&root.join("immutable folder/inside"));
    for (flag, name) in [
        ("+i", "immutable"),
        ("+a", "append only"),
        ("+i", "immutable folder"),
    ] {
        run_tool("chattr", [OsStr::new(flag), root.join(name).as_os_str()]);
    }
}
