//! The drive: a small ext4 image that is mounted and unmounted.

use std::{
    fs,
    path::{Path, PathBuf},
};

use test_support::{
    Mounted, flip_byte_unseen, is_installed, make_ext4, why_nothing_can_be_mounted,
};
pub(crate) use test_support::{flip_byte, run_tool};

/// Tools that a year cannot do without.
const TOOLS: [&str; 6] = ["mkfs.ext4", "mount", "umount", "chattr", "unshare", "rsync"];

/// The drive, mounted or not.
pub(crate) struct Disk {
    image: PathBuf,
    at: PathBuf,
    mounted: Option<Mounted>,
}

impl Disk {
    /// A new drive of this many MiB, mounted.
    pub(crate) fn new(image: PathBuf, mebibytes: u64, at: PathBuf) -> Self {
        make_ext4(&image, mebibytes, &[]);
        let mut disk = Self {
            image,
            at,
            mounted: None,
        };
        disk.attach();
        disk
    }

    /// Mounts the drive where another one belongs, until that is dropped.
    pub(crate) fn in_place_of(&self, other: &Self) -> Mounted {
        assert!(!self.is_mounted() && !other.is_mounted());
        Mounted::image(&self.image, "noatime", &other.at)
    }

    /// Mounts the drive.
    pub(crate) fn attach(&mut self) {
        if self.mounted.is_none() {
            self.mounted = Some(Mounted::image(&self.image, "noatime", &self.at));
        }
    }

    /// Unmounts the drive.
    #[track_caller]
    pub(crate) fn detach(&mut self) {
        if let Some(mounted) = self.mounted.take() {
            mounted.end();
        }
    }

    /// Whether it is mounted.
    pub(crate) fn is_mounted(&self) -> bool {
        self.mounted.is_some()
    }
}

/// A file system in memory, on which a year of nights waits for no real disk.
pub(crate) struct Memory {
    _mounted: Mounted,
}

impl Memory {
    /// Mounts one of this many MiB over this folder.
    pub(crate) fn at(folder: &Path, mebibytes: u64) -> Self {
        let options = format!("size={mebibytes}m,mode=755");
        let arguments = ["-t", "tmpfs", "-o", &options, "tmpfs"];
        Self {
            _mounted: Mounted::new(&arguments, folder),
        }
    }
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

/// One of the photographs below a folder is another from now on, without a word.
pub(crate) fn rot_a_photograph(folder: &Path) {
    let photo = walkdir::WalkDir::new(folder)
        .sort_by_file_name()
        .into_iter()
        .map(Result::unwrap)
        .find(|entry| entry.path().extension().is_some_and(|kind| kind == "jpg"))
        .unwrap();
    flip_byte_unseen(photo.path());
}

/// Why a year cannot be tried here.
pub(crate) fn missing() -> Option<String> {
    if !nix::unistd::geteuid().is_root() {
        return Some("this is not root".to_owned());
    }
    if let Some(tool) = TOOLS.into_iter().find(|tool| !is_installed(tool)) {
        return Some(format!("{tool} is not installed"));
    }
    if !Path::new("/etc/machine-id").exists() {
        return Some("there is no /etc/machine-id that another can stand for".to_owned());
    }
    why_nothing_can_be_mounted()
}
