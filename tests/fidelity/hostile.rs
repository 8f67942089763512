//! A tree of two thousand odd names and of every kind of entry.

use std::{
    ffi::OsStr,
    fs::{self, File},
    os::unix::{
        ffi::OsStrExt as _,
        fs::{FileExt as _, symlink},
        net::UnixListener,
    },
    path::Path,
};

use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};
use test_support::Random;

use crate::{lab::run_tool, metadata, names};

/// Tools that are needed.
pub(crate) const TOOLS: [&str; 5] = ["rsync", "setfacl", "setfattr", "setcap", "chattr"];

/// Fills an empty folder; only root can.
pub(crate) fn make(root: &Path) {
    let folder = |name: &str| {
        let path = root.join(name);
        fs::create_dir_all(&path).unwrap();
        path
    };
    names_of_all_kinds(&folder("names"));
    links(root, &folder("links"), &folder("other/folder"));
    specials(&folder("specials"), &folder("other"));
    sparse(&folder("sparse"));
    folder("empty/also empty/ ");
    metadata::make(&folder("metadata"));
}

/// Adds what some file systems cannot hold: symlinks of up to the kernel's own longest, and the
/// largest numbers of a device.
pub(crate) fn beyond(root: &Path) {
    let folder = root.join("beyond");
    fs::create_dir(&folder).unwrap();
    symlink("x/".repeat(2000), folder.join("long")).unwrap();
    symlink("y".repeat(4095), folder.join("longest")).unwrap();
    fs::hard_link(folder.join("long"), folder.join("long too")).unwrap();
    let numbers = (4095, 1_048_575);
    special(&folder.join("char"), FileType::CharacterDevice, numbers);
}

/// Each odd name as a file; each seventh as a folder with a file of that name in it; each eleventh
/// as a symlink to itself.
fn names_of_all_kinds(folder: &Path) {
    for (number, name) in names::all().iter().enumerate() {
        let path = folder.join(OsStr::from_bytes(name));
        if number % 7 == 3 {
            fs::create_dir(&path).unwrap();
            fs::write(path.join(OsStr::from_bytes(name)), format!("in {number}")).unwrap();
        } else if number % 11 == 5 {
            symlink(OsStr::from_bytes(name), &path).unwrap();
        } else {
            fs::write(&path, format!("content of {number}\n")).unwrap();
        }
    }
}

fn links(root: &Path, links: &Path, other: &Path) {
    fs::write(links.join("one"), "four names in three folders").unwrap();
    for name in [
        links.join("two"),
        other.join("three"),
        root.join("a link first"),
    ] {
        fs::hard_link(links.join("one"), name).unwrap();
    }
    fs::write(links.join("empty"), "").unwrap();
    fs::hard_link(links.join("empty"), other.join("empty too")).unwrap();
    // The same content and looks, and yet two files.
    for name in ["twin 1", "twin 2"] {
        fs::write(links.join(name), "twins").unwrap();
    }
    for (name, target) in [
        ("relative", "one"),
        ("absolute", "/etc/passwd"),
        ("dangling", "nowhere/at all"),
        ("upwards", "../../../../../../../../../../etc"),
        ("folder", "../other"),
        ("itself", "itself"),
        ("blank", " "),
        ("newline", "a\nb\\041\u{1b}[2J"),
    ] {
        symlink(target, links.join(name)).unwrap();
    }
    symlink(OsStr::from_bytes(b"\xff\xfe"), links.join("not text")).unwrap();
    fs::hard_link(links.join("dangling"), other.join("dangling too")).unwrap();
}

/// Makes an entry that is neither file, folder nor symlink.
pub(crate) fn special(path: &Path, kind: FileType, device: (u32, u32)) {
    let device = makedev(device.0, device.1);
    mknodat(CWD, path, kind, Mode::from_raw_mode(0o640), device).unwrap();
}

fn specials(folder: &Path, other: &Path) {
    for (name, kind, device) in [
        ("fifo", FileType::Fifo, (0, 0)),
        ("char", FileType::CharacterDevice, (1, 3)),
        ("block", FileType::BlockDevice, (7, 200)),
    ] {
        special(&folder.join(name), kind, device);
    }
    drop(UnixListener::bind(folder.join("socket")).unwrap());
    for name in ["fifo", "char", "socket"] {
        fs::hard_link(folder.join(name), other.join(format!("{name} too"))).unwrap();
    }
}

fn sparse(folder: &Path) {
    const PIECE: u64 = 1 << 20;
    let mut random = Random::new(7);
    let full = random.bytes(64 << 10);
    // Where data stands in each, and where the file ends.
    for (name, data, end) in [
        ("hole at the start", &[2 * PIECE][..], 2 * PIECE + 65_536),
        ("hole in the middle", &[0, 2 * PIECE], 2 * PIECE + 65_536),
        ("hole at the end", &[0], 3 * PIECE),
        (
            "holes everywhere",
            &[PIECE + 4096, 3 * PIECE - 5],
            5 * PIECE + 1,
        ),
        ("nothing but a hole", &[], 8 * PIECE),
        ("ends in a part of a block", &[], 12_345),
    ] {
        let file = File::create_new(folder.join(name)).unwrap();
        file.set_len(end).unwrap();
        for at in data {
            file.write_all_at(&full, *at).unwrap();
        }
    }
    // Room without data reads as zeros.
    let allocated = folder.join("allocated");
    run_tool(
        "fallocate",
        ["-l".as_ref(), "1M".as_ref(), allocated.as_os_str()],
    );
    fs::write(folder.join("zeros that were written"), vec![0; 1 << 20]).unwrap();
}
