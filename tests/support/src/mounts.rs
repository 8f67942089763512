//! What is mounted for a test and always unmounted again.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::run_tool;

/// Something that is mounted until this is dropped.
#[derive(Debug)]
pub struct Mounted(PathBuf);

impl Mounted {
    /// Mounts with these arguments of mount(8), the mount point after them.
    #[track_caller]
    pub fn new(arguments: &[&str], at: &Path) -> Self {
        fs::create_dir_all(at).unwrap();
        let mut all = arguments.to_vec();
        all.push(at.to_str().unwrap());
        run_tool("mount", all);
        Self(at.to_owned())
    }

    /// Mounts an image file.
    #[track_caller]
    pub fn image(image: &Path, options: &str, at: &Path) -> Self {
        let options = format!("loop,{options}");
        Self::new(&["-o", &options, image.to_str().unwrap()], at)
    }

    /// Another place for a folder.
    #[track_caller]
    pub fn bind(from: &Path, at: &Path) -> Self {
        Self::new(&["--bind", from.to_str().unwrap()], at)
    }

    /// The mount point.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Unmounts, which must succeed.
    #[track_caller]
    pub fn end(self) {
        run_tool("umount", [self.0.as_os_str()]);
    }

    /// Unmounts although it is in use.
    pub fn end_lazily(&self) {
        run_tool("umount", ["-l".as_ref(), self.0.as_os_str()]);
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        for option in ["-q", "-q", "-ql"] {
            let status = Command::new("umount")
                .arg(option)
                .arg(&self.0)
                .stderr(Stdio::null())
                .status();
            if status.is_ok_and(|status| status.success()) || !is_mounted(&self.0) {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(200));
        }
    }
}

/// Whether something is mounted at this very place.
#[must_use]
pub fn is_mounted(at: &Path) -> bool {
    let at = fs::canonicalize(at).unwrap_or_else(|_| at.to_owned());
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    mounts
        .lines()
        .any(|line| line.split(' ').nth(4).map(Path::new) == Some(at.as_path()))
}

/// Makes an ext4 image of this many MiB; gives its UUID.
#[track_caller]
pub fn make_ext4(image: &Path, mebibytes: u64, options: &[&str]) -> String {
    let file = fs::File::create(image).unwrap();
    file.set_len(mebibytes << 20).unwrap();
    let mut all = vec!["-q", "-F", "-m", "0"];
    all.extend(options);
    all.push(image.to_str().unwrap());
    run_tool("mkfs.ext4", all);
    run_tool(
        "blkid",
        ["-p", "-s", "UUID", "-o", "value", image.to_str().unwrap()],
    )
    .trim()
    .to_owned()
}

/// Why images cannot be mounted here, if they cannot.
#[must_use]
pub fn why_nothing_can_be_mounted() -> Option<String> {
    let folder = tempfile::tempdir().unwrap();
    let image = folder.path().join("image");
    fs::File::create(&image).unwrap().set_len(1 << 20).unwrap();
    let output = Command::new("losetup")
        .args(["--find", "--show"])
        .arg(&image)
        .output()
        .ok()?;
    let device = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if !output.status.success() || device.is_empty() {
        return Some("there are no loop devices".to_owned());
    }
    run_tool("losetup", ["--detach", &device]);
    let bound = Command::new("mount")
        .arg("--bind")
        .args([folder.path(), folder.path()])
        .stderr(Stdio::null())
        .status();
    if bound.is_ok_and(|status| status.success()) {
        run_tool("umount", [folder.path()]);
        return None;
    }
    Some("nothing can be mounted here".to_owned())
}
