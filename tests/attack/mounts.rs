//! File systems that appear below a source while it is read, and never answer: anybody may mount such
//! a one on a folder of his own (fusermount3(1)).

use std::{
    ffi::CString,
    fs,
    os::fd::AsRawFd as _,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use test_support::{Random, is_missing, skip, why_nothing_can_be_mounted};

use crate::lab::World;

/// How long the attack goes on.
const ATTACK: Duration = Duration::from_secs(8);
/// Folders on which something is mounted.
const FOLDERS: usize = 30;
/// Files in each of them.
const FILES: usize = 60;

/// A FUSE file system that nobody serves: whoever asks it anything waits for ever.
struct Silent {
    at: PathBuf,
    _device: fs::File,
}

impl Silent {
    /// Mounts it as fusermount3 does for a user who lets others look (`allow_other`).
    fn mount(at: &Path) -> Self {
        let device = fs::File::options()
            .read(true)
            .write(true)
            .open("/dev/fuse")
            .unwrap();
        let data = format!(
            "fd={},rootmode=40000,user_id=64102,group_id=64102,allow_other",
            device.as_raw_fd()
        );
        let data = CString::new(data).unwrap();
        let flags = MountFlags::NOSUID | MountFlags::NODEV;
        mount("silent", at, "fuse.silent", flags, data.as_c_str()).unwrap();
        Self {
            at: at.to_owned(),
            _device: device,
        }
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        let _ = unmount(&self.at, UnmountFlags::DETACH);
    }
}

#[test]
fn mounts_that_appear_and_never_answer_stop_nothing() {
    let name = "mounts_that_appear_and_never_answer_stop_nothing";
    if is_missing(name, &[], true) {
        return;
    }
    if let Some(because) = why_nothing_can_be_mounted() {
        return skip(&format!("{name} because {because}"));
    }
    if !Path::new("/dev/fuse").exists() {
        return skip(&format!("{name} because there is no /dev/fuse"));
    }
    attack(false);
    // rsync cannot be told not to ask.
    if !is_missing(name, &["rsync"], true) {
        attack(true);
    }
}

fn attack(use_rsync: bool) {
    let mut world = World::new(use_rsync);
    let folders: Vec<PathBuf> = (0..FOLDERS)
        .map(|number| {
            for file in 0..FILES {
                world.write(&format!("src/mallory/cloud {number}/file {file}"), "mine");
            }
            world.path(format!("src/mallory/cloud {number}"))
        })
        .collect();
    // So many that what is mounted over never looks like a source that went away.
    for file in 0..2 * FOLDERS * FILES {
        world.write(&format!("src/steady/file {file}"), "everybody's");
    }
    let mut random = Random::from_environment(5);
    let began = Instant::now();
    let (mut ids, mut mounted) = (Vec::new(), 0);
    while began.elapsed() < ATTACK || ids.len() < 2 {
        for folder in &folders {
            // Something to copy in each.
            fs::write(folder.join("file 7"), format!("mine {}", ids.len())).unwrap();
        }
        let wait = Duration::from_millis(random.below(250));
        let first = random.index_below(FOLDERS);
        let folders = &folders;
        let world = &mut world;
        let (id, mounts) = std::thread::scope(|scope| {
            let mounts = scope.spawn(move || {
                std::thread::sleep(wait);
                let turned = folders[first..].iter().chain(&folders[..first]);
                turned.map(|at| Silent::mount(at)).collect::<Vec<_>>()
            });
            // The mounts stay until the run has ended.
            let (id, _) = world.back_up();
            (id, mounts.join().unwrap())
        });
        mounted += mounts.len();
        drop(mounts);
        ids.push(id);
    }
    world.check_outside();
    world.check_snapshots(&ids);
    let engine = if use_rsync { "rsync" } else { "built-in" };
    let runs = ids.len();
    eprintln!("mounts, {engine}: {runs} runs, {mounted} silent mounts");
}
