//! Attackers: threads that have given up root and do one thing to a folder of theirs, again and again,
//! at no regular pace.

use std::{
    os::fd::OwnedFd,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use rustix::{
    fs::{
        AtFlags, CWD, FileType, Gid, Mode, OFlags, RenameFlags, Uid, chmodat, ftruncate, mkdirat,
        mknodat, openat, renameat, renameat_with, symlinkat, unlinkat,
    },
    io::{Errno, pwrite},
    thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid},
};
use test_support::Random;

/// What an attacker does once to his folder; whatever fails has been done by another.
type Act = fn(&OwnedFd, &mut Random, &Aims) -> Result<(), Errno>;

/// What symlinks of an attacker point to.
#[derive(Clone)]
pub(crate) struct Aims {
    /// A file that he may not read.
    pub(crate) file: String,
    /// The folder that it is in.
    pub(crate) folder: String,
}

/// An attacker, at work until this is dropped.
pub(crate) struct Racer {
    what: &'static str,
    count: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Racer {
    /// Has this user do something in a folder of his.
    pub(crate) fn start(
        what: &'static str,
        folder: &Path,
        user: u32,
        aims: &Aims,
        act: Act,
    ) -> Self {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        // Opened by root, since the folders around it may be closed to others.
        let folder = openat(CWD, folder, flags, Mode::empty()).unwrap();
        let (count, stop) = (
            Arc::new(AtomicU64::new(0)),
            Arc::new(AtomicBool::new(false)),
        );
        let thread = std::thread::spawn({
            let (count, stop, aims) = (Arc::clone(&count), Arc::clone(&stop), aims.clone());
            move || {
                give_up_root(user, &aims);
                let mut random = Random::from_environment(what.len() as u64);
                while !stop.load(Ordering::Relaxed) {
                    let done = act(&folder, &mut random, &aims);
                    count.fetch_add(u64::from(done.is_ok()), Ordering::Relaxed);
                    match random.below(8) {
                        0 => std::thread::sleep(Duration::from_micros(random.below(2000))),
                        1..4 => std::thread::yield_now(),
                        _ => {}
                    }
                }
            }
        });
        Self {
            what,
            count,
            stop,
            thread: Some(thread),
        }
    }

    /// Ends it; gives what it did and how often that went through.
    pub(crate) fn end(mut self) -> (&'static str, u64) {
        self.join();
        (self.what, self.count.load(Ordering::Relaxed))
    }

    fn join(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(
                ended.is_ok() || std::thread::panicking(),
                "{} failed",
                self.what
            );
        }
    }
}

impl Drop for Racer {
    fn drop(&mut self) {
        self.join();
    }
}

/// Makes this thread a user's, without a way back.
fn give_up_root(user: u32, aims: &Aims) {
    set_thread_groups(&[]).unwrap();
    let group = Gid::from_raw(user);
    set_thread_res_gid(group, group, group).unwrap();
    let uid = Uid::from_raw(user);
    set_thread_res_uid(uid, uid, uid).unwrap();
    let secret = openat(CWD, aims.file.as_str(), OFlags::RDONLY, Mode::empty());
    assert!(secret.is_err(), "this attacker could read it anyway");
}

fn name(kind: &str, random: &mut Random) -> String {
    format!("{kind} {}", random.below(12))
}

fn write_file(folder: &OwnedFd, name: &str, length: u64) -> Result<OwnedFd, Errno> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = openat(folder, name, flags, Mode::from_raw_mode(0o644))?;
    let bytes = vec![b'm'; usize::try_from(length).unwrap_or_default()];
    pwrite(&file, &bytes, 0)?;
    Ok(file)
}

/// A file and a symlink to root's secret exchange their names.
pub(crate) fn swap_symlinks(
    folder: &OwnedFd,
    random: &mut Random,
    aims: &Aims,
) -> Result<(), Errno> {
    let name = name("swapped", random);
    let decoy = format!("{name} decoy");
    match renameat_with(folder, &name, folder, &decoy, RenameFlags::EXCHANGE) {
        Err(Errno::NOENT) => {
            write_file(folder, &name, 3000)?;
            symlinkat(&aims.file, folder, &decoy)
        }
        done => done,
    }
}

/// A file becomes a FIFO that nobody writes to, and a file again.
pub(crate) fn swap_fifos(folder: &OwnedFd, random: &mut Random, _: &Aims) -> Result<(), Errno> {
    let name = name("pipe", random);
    let _ = unlinkat(folder, &name, AtFlags::empty());
    if random.below(2) == 0 {
        let mode = Mode::from_raw_mode(0o644);
        return mknodat(folder, &name, FileType::Fifo, mode, 0);
    }
    write_file(folder, &name, 100).map(drop)
}

/// Folders with files in them exchange their names with symlinks to root's folder, and move into each
/// other.
pub(crate) fn move_folders(
    folder: &OwnedFd,
    random: &mut Random,
    aims: &Aims,
) -> Result<(), Errno> {
    let one = name("folder", random);
    let other = name("folder", random);
    match random.below(3) {
        0 => {
            let lower = format!("{other}/lower");
            renameat_with(folder, &one, folder, &lower, RenameFlags::EXCHANGE)
        }
        1 => renameat_with(
            folder,
            &one,
            folder,
            format!("{other} link"),
            RenameFlags::EXCHANGE,
        ),
        _ => {
            let all = Mode::from_raw_mode(0o755);
            let _ = mkdirat(folder, &one, all);
            let _ = mkdirat(folder, format!("{one}/lower"), all);
            let _ = symlinkat(&aims.folder, folder, format!("{one} link"));
            // The name of what is in root's folder.
            write_file(folder, &format!("{one}/secret"), 50).map(drop)
        }
    }
}

/// Files of all modes come and go, and folders that nobody may enter.
pub(crate) fn plant(folder: &OwnedFd, random: &mut Random, aims: &Aims) -> Result<(), Errno> {
    let name = name("planted", random);
    let mode = Mode::from_raw_mode([0o4755, 0o2755, 0o000, 0o1777][random.index_below(4)]);
    match random.below(5) {
        0 => unlinkat(folder, &name, AtFlags::empty()),
        1 => unlinkat(folder, &name, AtFlags::REMOVEDIR),
        2 => {
            mkdirat(folder, &name, Mode::from_raw_mode(0o700))?;
            chmodat(folder, &name, mode, AtFlags::empty())
        }
        3 => symlinkat(&aims.folder, folder, &name),
        _ => {
            let file = write_file(folder, &name, random.below(9000))?;
            rustix::fs::fchmod(&file, mode)
        }
    }
}

/// Files grow and shrink.
pub(crate) fn resize(folder: &OwnedFd, random: &mut Random, _: &Aims) -> Result<(), Errno> {
    let name = name("restless", random);
    let length = random.below(200_000);
    let file = write_file(folder, &name, length)?;
    ftruncate(&file, random.below(400_000))
}

/// A file is a hundred bytes at one instant and tebibytes of holes at the next.
pub(crate) fn swell(folder: &OwnedFd, random: &mut Random, _: &Aims) -> Result<(), Errno> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let file = openat(folder, "swelling", flags, Mode::from_raw_mode(0o600))?;
    ftruncate(&file, 100)?;
    std::thread::sleep(Duration::from_millis(random.below(20)));
    ftruncate(&file, 8 << 40)?;
    std::thread::sleep(Duration::from_millis(random.below(20)));
    Ok(())
}

/// A name that a restore makes is taken away, or exchanged with a symlink to root's folder.
pub(crate) fn steal_target(
    folder: &OwnedFd,
    random: &mut Random,
    aims: &Aims,
) -> Result<(), Errno> {
    let below = ["back", "back/mallory", "back/ann", "back/mallory/deep"][random.index_below(4)];
    match random.below(4) {
        0 => {
            let _ = symlinkat(&aims.folder, folder, "bait");
            renameat_with(folder, below, folder, "bait", RenameFlags::EXCHANGE)
        }
        1 => renameat(
            folder,
            below,
            folder,
            format!("stolen {}", random.below(1000)),
        ),
        2 => symlinkat(&aims.folder, folder, below),
        _ => {
            mkdirat(folder, below, Mode::from_raw_mode(0o777))?;
            symlinkat(&aims.file, folder, format!("{below}/secret"))
        }
    }
}

/// Everything below what a restore makes is opened to be read. What can be read stands in a file of
/// the attacker's.
pub(crate) fn read_target(folder: &OwnedFd, random: &mut Random, _: &Aims) -> Result<(), Errno> {
    let letter = random.below(40);
    let place = ["back/ann", "bait/ann"][random.index_below(2)];
    let path = format!("{place}/letter {letter:02}");
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = match openat(folder, path, flags, Mode::empty()) {
        Ok(file) => file,
        // It is there, and closed to him: an attempt that failed.
        Err(Errno::ACCESS) => return Ok(()),
        Err(error) => return Err(error),
    };
    let mut read = [0; 200];
    let length = rustix::io::read(&file, &mut read)?;
    if read[..length] == *crate::lab::LETTER {
        write_file(folder, "what was read", length as u64)?;
    }
    Ok(())
}
