//! How far away a file system is: how long whoever answers for it takes for one question.
//!
//! Asked once for each file system, and only where an answer does not come from this machine's kernel.

use std::{
    collections::HashMap,
    os::fd::AsFd,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use rustix::fs::{Advice, fadvise, fstatfs};

use super::{
    mounts::{Mount, all_mounts, mount_of},
    stat::Stat,
};

/// Questions that are asked: the first may wait for something else.
const TIMES: usize = 3;

/// A file system that somebody far away answers for.
#[derive(Debug, Clone, Copy)]
struct Distant {
    round_trip: Duration,
    /// A program asks, as sshfs.
    is_fuse: bool,
}

/// What was found out, by device number; nothing of a disk of this machine.
static KNOWN: Mutex<Option<HashMap<u64, Option<Distant>>>> = Mutex::new(None);

/// The round trip to whoever answers for the file system of an open file or folder; none for a disk of
/// this machine, and where nothing can be told.
pub(crate) fn round_trip(on: impl AsFd) -> Option<Duration> {
    distant(on).map(|found| found.round_trip)
}

/// Whether whoever answers for the file system of one open file or folder is farther away than who answers for
/// another one's, and not by a little that may be chance.
pub(crate) fn is_farther(one: impl AsFd, than: impl AsFd) -> bool {
    match (round_trip(one), round_trip(than)) {
        (Some(_), None) => true,
        (Some(one), Some(than)) => one > 2 * than,
        (None, _) => false,
    }
}

/// Whether somebody far away answers for the file system of an open file or folder; nobody is asked for that.
pub(crate) fn is_distant(on: impl AsFd) -> bool {
    let Ok(stat) = Stat::of_fd_unasked(&on) else {
        return false;
    };
    let mounts = all_mounts().unwrap_or_default();
    mount_of(&mounts, &stat).is_some_and(Mount::is_distant)
}

fn distant(on: impl AsFd) -> Option<Distant> {
    let stat = Stat::of_fd_unasked(&on).ok()?;
    let known = || KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(found) = known().as_ref().and_then(|all| all.get(&stat.dev)) {
        return *found;
    }
    let mounts = all_mounts().unwrap_or_default();
    let mount = mount_of(&mounts, &stat).filter(|mount| mount.is_distant());
    let found = mount.and_then(|mount| {
        Some(Distant {
            round_trip: measure(&on)?,
            is_fuse: mount.file_system.starts_with("fuse"),
        })
    });
    known().get_or_insert_default().insert(stat.dev, found);
    found
}

/// Whether small files on a file system are better read by asking for just what is wanted
/// ([`read_as_asked`]): a distant one that a program answers for, as sshfs. While many of its requests are
/// under way the kernel leaves out what it would read ahead of them, and then asks for each page of it
/// alone: of 2,000 small files, read by twenty threads, for a tenth more. What it reads ahead of a file
/// that takes many requests is worth more than that.
pub(crate) fn is_read_as_asked(on: impl AsFd) -> bool {
    distant(on).is_some_and(|found| found.is_fuse)
}

/// Has each read of a file ask for what it wants and nothing else.
pub(crate) fn read_as_asked(file: impl AsFd) {
    // It only spares requests.
    let _ = fadvise(file, 0, None, Advice::Random);
}

/// The shortest of a few answers. No cache of the kernel answers how much room there is.
fn measure(on: impl AsFd) -> Option<Duration> {
    let mut shortest = None;
    for _ in 0..TIMES {
        let asked = Instant::now();
        fstatfs(&on).ok()?;
        let passed = asked.elapsed();
        shortest = Some(shortest.map_or(passed, |before: Duration| before.min(passed)));
    }
    shortest
}
