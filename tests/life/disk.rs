//! The drive: a small ext4 image that is mounted and unmounted.

use std::{
    ffi::OsStr,
    fs,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// Tools that a year cannot do without.
const TOOLS: [&str; 6] = ["mkfs.ext4", "mount", "umount", "chattr", "unshare", "rsync"];

/// The drive, mounted or not.
pub(crate) struct Disk {
    image: PathBuf,
    at: PathBuf,
    mounted: bool,
}

impl Disk {
    /// A new drive of this many MiB, mounted.
    pub(crate) fn new(image: PathBuf, mebibytes: u64, at: PathBuf) -> Self {
        let file = fs::File::create(&image).unwrap();
        file.set_len(mebibytes << 20).unwrap();
        tool(
            "mkfs.ext4",
            [
                "-q".as_ref(),
                "-F".as_ref(),
                "-m0".as_ref(),
                image.as_os_str(),
            ],
        );
        fs::create_dir_all(&at).unwrap();
        let mut disk = Self {
            image,
            at,
            mounted: false,
        };
        disk.attach();
        disk
    }

    /// Mounts the drive.
    pub(crate) fn attach(&mut self) {
        if !self.mounted {
            let image = self.image.as_os_str();
            tool(
                "mount",
                [
                    "-o".as_ref(),
                    "loop,noatime".as_ref(),
                    image,
                    self.at.as_os_str(),
                ],
            );
            self.mounted = true;
        }
    }

    /// Unmounts the drive.
    pub(crate) fn detach(&mut self) {
        if self.mounted {
            tool("umount", [self.at.as_os_str()]);
            self.mounted = false;
        }
    }

    /// Whether it is mounted.
    pub(crate) fn is_mounted(&self) -> bool {
        self.mounted
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if self.mounted {
            unmount(&self.at);
        }
    }
}

/// A file system in memory, on which a year of nights waits for no real disk.
pub(crate) struct Memory {
    at: PathBuf,
}

impl Memory {
    /// Mounts one over this folder.
    pub(crate) fn at(folder: &Path) -> Self {
        tool(
            "mount",
            [
                "-t".as_ref(),
                "tmpfs".as_ref(),
                "-o".as_ref(),
                "size=400m,mode=755".as_ref(),
                "tmpfs".as_ref(),
                folder.as_os_str(),
            ],
        );
        Self {
            at: folder.to_owned(),
        }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        unmount(&self.at);
    }
}

/// Unmounts at the end of a test, which may have failed with files open there.
fn unmount(at: &Path) {
    let quiet = |arguments: &[&OsStr]| {
        let mut umount = Command::new("umount");
        umount.args(arguments).stderr(Stdio::null()).status()
    };
    let done = quiet(&[at.as_os_str()]);
    if !done.is_ok_and(|status| status.success()) {
        let _ = quiet(&["-l".as_ref(), at.as_os_str()]);
    }
}

/// Runs a tool that must succeed.
#[track_caller]
pub(crate) fn tool<S: AsRef<OsStr>>(name: &str, arguments: impl IntoIterator<Item = S>) {
    let output = Command::new(name).args(arguments).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}: {text}");
}

/// What is in a folder, by name; nothing if there is none.
pub(crate) fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().path())
        .collect();
    all.sort();
    all
}

/// The last part of a path.
pub(crate) fn name(path: &Path) -> &str {
    path.file_name().unwrap().to_str().unwrap()
}

/// One byte in the middle becomes another.
pub(crate) fn flip(path: &Path) {
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

/// Why a year cannot be tried here.
pub(crate) fn missing() -> Option<String> {
    if !nix::unistd::geteuid().is_root() {
        return Some("this is not root".to_owned());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let there = |tool: &str| std::env::split_paths(&path).any(|folder| folder.join(tool).exists());
    if let Some(tool) = TOOLS.into_iter().find(|tool| !there(tool)) {
        return Some(format!("{tool} is not installed"));
    }
    if !Path::new("/etc/machine-id").exists() {
        return Some("there is no /etc/machine-id that another can stand for".to_owned());
    }
    let folder = tempfile::tempdir().unwrap();
    let image = folder.path().join("image");
    fs::File::create(&image).unwrap().set_len(4 << 20).unwrap();
    let quiet = |name: &str, arguments: &[&OsStr]| {
        let mut command = Command::new(name);
        let status = command
            .args(arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        status.is_ok_and(|status| status.success())
    };
    let mounted = quiet(
        "mkfs.ext4",
        &["-q".as_ref(), "-F".as_ref(), image.as_os_str()],
    ) && quiet(
        "mount",
        &[
            "-o".as_ref(),
            "loop".as_ref(),
            image.as_os_str(),
            folder.path().as_os_str(),
        ],
    );
    if mounted {
        quiet("umount", &[folder.path().as_os_str()]);
        return None;
    }
    Some("loop devices cannot be mounted here".to_owned())
}
