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

/// `FUSE_SUPER_MAGIC` of `linux/magic.h`.
const FUSE: u64 = 0x6573_5546;

/// What was measured, by device number.
static KNOWN: Mutex<Option<HashMap<u64, Option<Duration>>>> = Mutex::new(None);

/// The round trip to whoever answers for the file system of an open file or folder; none for a disk of
/// this machine, and where nothing can be told.
pub(crate) fn round_trip(on: impl AsFd) -> Option<Duration> {
    let stat = Stat::of_fd_unasked(&on).ok()?;
    let known = || KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(found) = known().as_ref().and_then(|all| all.get(&stat.dev)) {
        return *found;
    }
    let mounts = all_mounts().unwrap_or_default();
    let is_far = mount_of(&mounts, &stat).is_some_and(Mount::is_distant);
    let found = is_far.then(|| measure(&on)).flatten();
    known().get_or_insert_default().insert(stat.dev, found);
    found
}

/// Whether files on a file system are better read by asking for just what is wanted ([`read_as_asked`]): a
/// distant one that a program answers for, as sshfs. While many of its requests are under way the kernel
/// leaves out what it would read ahead of them, and then asks for each page of it alone.
pub(crate) fn is_read_as_asked(on: impl AsFd) -> bool {
    let of = fstatfs(&on)
        .ok()
        .and_then(|found| u64::try_from(found.f_type).ok());
    of == Some(FUSE) && round_trip(on).is_some()
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
