//! A source of all kinds, and changes of all kinds to it.

use std::{
    ffi::OsStr,
    fs::{self, File, Permissions},
    os::unix::{
        ffi::OsStrExt as _,
        fs::{FileExt as _, PermissionsExt as _, lchown, symlink},
        net::UnixListener,
    },
    path::Path,
    process::Command,
    time::{Duration, SystemTime},
};

use crate::lab::{Random, run_tool};

const SIZES: [usize; 9] = [0, 1, 4095, 4096, 4097, 65_537, 262_143, 262_145, 1_048_579];

/// Fills an empty folder.
pub(crate) fn make(source: &Path, with_big_file: bool) {
    let mut random = Random::from_environment(1);
    let folder = |name: &str| {
        let path = source.join(name);
        fs::create_dir_all(&path).unwrap();
        path
    };
    let sizes = folder("sizes");
    for size in SIZES {
        fs::write(sizes.join(size.to_string()), random.bytes(size)).unwrap();
    }
    if with_big_file {
        fs::write(source.join("big"), random.bytes(30_000_000)).unwrap();
    }
    let small = folder("small");
    for number in 0..40 {
        fs::write(small.join(number.to_string()), random.bytes(number * 50)).unwrap();
    }
    let links = folder("links");
    fs::write(links.join("one"), "three names").unwrap();
    fs::hard_link(links.join("one"), links.join("two")).unwrap();
    fs::hard_link(links.join("one"), small.join("three")).unwrap();
    symlink("one", links.join("relative")).unwrap();
    fs::hard_link(links.join("relative"), links.join("relative too")).unwrap();
    symlink("/etc", links.join("absolute")).unwrap();
    symlink("nowhere/at all", links.join("dangling")).unwrap();
    symlink("../small", links.join("folder")).unwrap();

    let special = folder("special");
    run_tool("mkfifo", [special.join("fifo")]);
    drop(UnixListener::bind(special.join("s")));

    let sparse = File::create_new(source.join("sparse")).unwrap();
    sparse.write_all_at(b"start", 0).unwrap();
    sparse.write_all_at(b"middle", 1 << 20).unwrap();
    sparse.set_len(2 << 20).unwrap();

    let odd = folder("odd names");
    for name in [
        b"new\nline".as_slice(),
        b" spaces ",
        b"-rf",
        b"*",
        b"back\\slash\\041",
        b"\xff\xfe not utf-8",
        "ünïcödé 🦀".as_bytes(),
        b"#mtree",
        &[b'x'; 255],
    ] {
        fs::write(odd.join(OsStr::from_bytes(name)), name).unwrap();
    }
    folder("empty/also empty");
    let deep = folder(&vec!["deep"; 30].join("/"));
    fs::write(deep.join("file"), "deep").unwrap();

    let modes = folder("modes");
    let as_root = nix::unistd::geteuid().is_root();
    for mode in [0o400, 0o000, 0o4755, 0o2640, 0o777] {
        // Only root reads what nobody may.
        if mode == 0 && !as_root {
            continue;
        }
        let path = modes.join(format!("{mode:o}"));
        fs::write(&path, "mode").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    }
    let closed = folder("modes/closed");
    fs::write(closed.join("inside"), "closed").unwrap();
    fs::set_permissions(&closed, Permissions::from_mode(0o500)).unwrap();
    fs::set_permissions(folder("modes/sticky"), Permissions::from_mode(0o1777)).unwrap();
    if as_root {
        lchown(modes.join("777"), Some(1234), Some(5678)).unwrap();
        lchown(links.join("dangling"), Some(1234), Some(5678)).unwrap();
    }
    attribute(&small.join("5"), "user.colour", "blue");
    attribute(&small, "user.folder", "yes");

    let old = SystemTime::UNIX_EPOCH - Duration::new(1_000_000, 1);
    File::open(small.join("7"))
        .unwrap()
        .set_modified(old)
        .unwrap();
}

/// Changes the source that [`make`] made.
pub(crate) fn change(source: &Path) {
    let mut random = Random::from_environment(2);
    let at = |name: &str| source.join(name);
    for number in 0..6 {
        let bytes = random.bytes(200_000 + number);
        fs::write(at(&format!("sizes/new {number}")), bytes).unwrap();
    }
    fs::write(at("small/9"), random.bytes(450)).unwrap();
    let longer = [fs::read(at("small/10")).unwrap(), b"appended".to_vec()].concat();
    fs::write(at("small/10"), longer).unwrap();
    fs::rename(at("small/11"), at("links/was 11")).unwrap();
    fs::remove_file(at("small/12")).unwrap();
    fs::create_dir(at("small/12")).unwrap();
    fs::write(at("small/12/inside"), "now a folder").unwrap();
    fs::remove_dir_all(at("empty")).unwrap();
    fs::write(at("empty"), "now a file").unwrap();
    fs::hard_link(at("small/13"), at("links/13 too")).unwrap();
    fs::set_permissions(at("small/14"), Permissions::from_mode(0o600)).unwrap();
    attribute(&at("small/15"), "user.colour", "red");
    if nix::unistd::geteuid().is_root() {
        lchown(at("small/16"), Some(1234), Some(5678)).unwrap();
        lchown(at("sizes/new 1"), Some(1234), Some(5678)).unwrap();
    }
    fs::remove_file(at("links/relative")).unwrap();
    symlink("two", at("links/relative")).unwrap();
    run_tool("mkfifo", [at("special/another")]);
    let sparse = File::create(at("another sparse")).unwrap();
    sparse.write_all_at(b"end", 1 << 20).unwrap();
}

/// Sets an extended attribute, where there are such.
pub(crate) fn attribute(path: &Path, name: &str, value: &str) {
    let _ = Command::new("setfattr")
        .args(["-n", name, "-v", value])
        .arg(path)
        .output();
}
