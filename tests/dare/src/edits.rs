//! What people do to their files.

use std::{
    fs::{self, File, Permissions},
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use test_support::{Random, flip_byte_unseen};

/// Names that tools stumble over.
const ODD: [&str; 6] = [
    " blanks ",
    "new\nline",
    "back\\slash",
    "-rf",
    "*",
    "ünïcödé 🦀",
];

/// Fills an empty folder: fewer files would be too few to be told from a lost folder.
pub(crate) fn furnish(source: &Path, random: &mut Random) {
    for folder in ["letters", "pictures", "work/deep/er"] {
        fs::create_dir_all(source.join(folder)).unwrap();
    }
    for number in 0..24 {
        let folder = ["letters", "pictures", "work"][number % 3];
        let length = random.index_below(6000);
        let path = source.join(folder).join(format!("{number}"));
        fs::write(path, random.bytes(length)).unwrap();
    }
    for name in ODD {
        fs::write(source.join("letters").join(name), name).unwrap();
    }
    fs::write(source.join("pictures/large"), random.bytes(300_000)).unwrap();
    fs::write(source.join("work/deep/er/file"), "deep").unwrap();
    symlink("../letters/1", source.join("work/link")).unwrap();
    fs::hard_link(source.join("work/2"), source.join("letters/2 again")).unwrap();
}

/// The regular files of a folder in order.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let walk = walkdir::WalkDir::new(folder).sort_by_file_name();
    walk.into_iter()
        .map(Result::unwrap)
        .filter(|entry| entry.file_type().is_file())
        .map(walkdir::DirEntry::into_path)
        .collect()
}

/// One change, of the kind that chance takes.
pub(crate) fn change(source: &Path, random: &mut Random) {
    let all = files(source);
    let one = &all[random.index_below(all.len())];
    let new = |random: &mut Random| {
        let folder = ["letters", "pictures", "work", "work/deep"][random.index_below(4)];
        let folder = source.join(folder);
        fs::create_dir_all(&folder).unwrap();
        folder.join(format!("new {}", random.below(100_000)))
    };
    let length = random.index_below(20_000);
    match random.below(12) {
        0 | 1 => fs::write(new(random), random.bytes(length)).unwrap(),
        2 => fs::write(one, random.bytes(length)).unwrap(),
        3 => {
            let mut content = fs::read(one).unwrap();
            content.extend(random.bytes(100));
            fs::write(one, content).unwrap();
        }
        4 => fs::rename(one, new(random)).unwrap(),
        5 if all.len() > 26 => fs::remove_file(one).unwrap(),
        6 => {
            let folder = new(random);
            fs::create_dir(&folder).unwrap();
            fs::write(folder.join("inside"), random.bytes(10)).unwrap();
        }
        7 => symlink("nowhere", new(random)).unwrap(),
        8 => fs::hard_link(one, new(random)).unwrap(),
        9 => {
            let mode = [0o600, 0o640, 0o755][random.index_below(3)];
            fs::set_permissions(one, Permissions::from_mode(mode)).unwrap();
        }
        10 => {
            let seconds = Duration::from_secs(1_000_000_000 + random.below(1_000_000));
            let file = File::options().write(true).open(one).unwrap();
            file.set_modified(SystemTime::UNIX_EPOCH + seconds).unwrap();
        }
        _ => flip_unseen(one),
    }
}

/// Changes a byte of a file that has any, also where its owner may not, without anybody seeing it.
pub(crate) fn flip_unseen(path: &Path) {
    let before = fs::metadata(path).unwrap();
    if before.len() == 0 {
        return;
    }
    let mode = before.permissions();
    fs::set_permissions(path, Permissions::from_mode(mode.mode() | 0o600)).unwrap();
    flip_byte_unseen(path);
    fs::set_permissions(path, mode).unwrap();
}

/// Each file gets another content at once, as ransomware and converters do.
pub(crate) fn change_all(source: &Path) {
    for path in files(source) {
        let mut content = fs::read(&path).unwrap();
        content.extend_from_slice(b" (converted)");
        fs::write(path, content).unwrap();
    }
}
