//! Paths that no system call takes: thousands of folders deep, made one descriptor at a time.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io::Write as _,
    os::fd::{AsRawFd as _, OwnedFd},
    path::Path,
};

use rustix::fs::{CWD, Mode, OFlags, linkat, mkdirat, openat, symlinkat};

/// Folders one in the other.
pub(crate) const DEPTH: usize = 3000;
/// Their names; with the slashes 33,000 bytes.
const NAME: &str = "ten bytes.";

/// Fills an empty folder with one path of [`DEPTH`] folders; each five hundredth holds files.
pub(crate) fn make(root: &Path) {
    let open = |at: &OwnedFd, name: &str| {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW;
        openat(at, name, flags, Mode::empty()).unwrap()
    };
    let mut at = openat(CWD, root, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).unwrap();
    let top = at.try_clone().unwrap();
    for depth in 1..=DEPTH {
        let mode = Mode::from_raw_mode(if depth % 2 == 0 { 0o755 } else { 0o710 });
        mkdirat(&at, NAME, mode).unwrap();
        let below = open(&at, NAME);
        if depth % 500 == 0 {
            fill(&below, &top, depth);
        }
        at = below;
    }
}

fn fill(folder: &OwnedFd, top: &OwnedFd, depth: usize) {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
    let file = openat(folder, "z file", flags, Mode::from_raw_mode(0o640)).unwrap();
    write!(File::from(file), "at depth {depth}").unwrap();
    symlinkat("z file", folder, "z link").unwrap();
    // One file, seen from both ends of the path.
    let here = format!("a name at {depth}");
    linkat(
        folder,
        "z file",
        top,
        here.as_str(),
        rustix::fs::AtFlags::empty(),
    )
    .unwrap();
    fs::create_dir(through(folder, "empty")).unwrap();
    let attributed = through(folder, "z file");
    crate::metadata::attribute(&attributed, "user.depth", &depth.to_string());
}

/// A path of an entry of an open folder, for what knows no descriptors; any process may use it.
fn through(folder: &OwnedFd, name: &str) -> std::path::PathBuf {
    let own = format!("/proc/{}/fd/{}", std::process::id(), folder.as_raw_fd());
    Path::new(&own).join(OsStr::new(name))
}
