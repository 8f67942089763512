//! A file system that passes everything through to a folder, except for what it is told to lack.
//!
//! Served by a thread of the test, mounted through `/dev/fuse` without any helper. What it lacks
//! stands in [`Lacks`], what fails at run time in [`Faults`]. Unmounted when dropped, also when a
//! test ends early.

mod below;
mod faults;
mod lacks;
mod nodes;
mod reads;
mod serve;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
};

use fuser::{BackgroundSession, Config, MountOption, SessionACL};

pub(crate) use faults::Faults;
pub(crate) use fuser::Errno;
pub(crate) use lacks::{How, Lacks};

/// The file system, mounted until this is dropped.
pub(crate) struct Mounted {
    at: PathBuf,
    session: Option<BackgroundSession>,
    faults: Arc<Faults>,
}

impl Mounted {
    /// What is to fail.
    pub(crate) fn faults(&self) -> &Faults {
        &self.faults
    }

    /// Mounts a folder's content at another.
    pub(crate) fn new(backing: &Path, at: &Path, lacks: Lacks) -> Self {
        fs::create_dir_all(backing).unwrap();
        fs::create_dir_all(at).unwrap();
        let faults = Arc::new(Faults::default());
        let mut config = Config::default();
        config.acl = SessionACL::All;
        config.mount_options = vec![
            MountOption::FSName("lesser".into()),
            MountOption::Subtype("lesser".into()),
            MountOption::Dev,
            MountOption::Suid,
        ];
        let served = below::Lesser::new(backing, lacks, Arc::clone(&faults));
        let session = fuser::spawn_mount(served, at, &config).unwrap();
        Self {
            at: at.to_owned(),
            session: Some(session),
            faults,
        }
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        self.faults.answer();
        for option in ["-q", "-q", "-ql"] {
            let status = Command::new("umount")
                .arg(option)
                .arg(&self.at)
                .stderr(Stdio::null())
                .status();
            if status.is_ok_and(|status| status.success()) {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(200));
        }
        // Without the mount the thread ends by itself.
        if let Some(session) = self.session.take() {
            let _ = session.umount_and_join();
        }
    }
}

/// Why it cannot be mounted here, if it cannot.
pub(crate) fn cannot_mount() -> Option<String> {
    if fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/fuse")
        .is_err()
    {
        return Some("/dev/fuse cannot be opened".to_owned());
    }
    let folder = tempfile::tempdir().unwrap();
    let paths = [folder.path(), folder.path()];
    let bound = Command::new("mount").arg("--bind").args(paths).status();
    if !bound.is_ok_and(|status| status.success()) {
        return Some("nothing can be mounted here".to_owned());
    }
    let _ = Command::new("umount").arg(folder.path()).status();
    None
}
