//! Whether something was done to an entry since the basis was made: the one place that says what
//! *unchanged* means, for both engines.
//!
//! The kernel moves `ctime` with any change, so an entry with the inode, the looks and the `ctime`
//! that the basis' manifest recorded is untouched. That does not hold for what may have been touched
//! while the basis' sources were read: within one step of the clock, or through a mapping that was
//! dirty then, content changes and `ctime` does not. Such entries are compared once more ("racily
//! clean", as git calls it). Nothing here reads a file.

use std::{collections::HashSet, sync::Arc};

use chrono::{DateTime, FixedOffset};
use schema::record::SnapshotRecord;

use crate::{
    manifest::Looks,
    sys::{
        Stat,
        mounts::{self, Mount},
        stat::Nanos,
    },
};

const SECOND: Nanos = 1_000_000_000;
/// The coarsest tick of the kernel's clock that stamps files (`HZ=100`), twice.
const TICK: Nanos = 20_000_000;
/// How far a server's clock may be behind this machine's for its stamps to be believed.
const SERVER: Nanos = 3600 * SECOND;

/// What can be said of a source without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Nothing was done to it.
    Untouched,
    /// It looks the same: reading tells.
    Perhaps,
    /// It is another one.
    Surely,
}

/// When the sources were read that a manifest describes, by this machine's clock.
#[derive(Debug, Clone)]
pub struct Since {
    from: Nanos,
    until: Nanos,
    /// Mounts whose files another machine stamps.
    foreign: Arc<HashSet<u64>>,
}

impl Since {
    /// As a snapshot's record says it. An older one says when its run began and ended.
    #[must_use]
    pub fn of(record: &SnapshotRecord) -> Self {
        let (from, until) = match &record.read {
            Some(read) => (read.from, read.until),
            None => (record.started_at, record.sealed_at),
        };
        Self::between(
            nanos_of(from),
            nanos_of(until),
            &mounts::all_mounts().unwrap_or_default(),
        )
    }

    /// Where nothing tells: whatever looks the same is compared.
    #[must_use]
    pub fn never() -> Self {
        Self {
            from: Nanos::MIN,
            until: Nanos::MAX / 2,
            foreign: Arc::default(),
        }
    }

    fn between(from: Nanos, until: Nanos, mounts: &[Mount]) -> Self {
        let foreign = mounts.iter().filter(|mount| is_foreign(&mount.file_system));
        Self {
            // A clock that was set meanwhile says of both only that it was between them.
            from: from.min(until),
            until: from.max(until),
            foreign: Arc::new(foreign.map(|mount| mount.id).collect()),
        }
    }

    /// What was done to the source of an entry, as far as its looks tell.
    #[must_use]
    pub fn change(&self, entry: impl Into<Looks>, stat: &Stat) -> Change {
        let looks = entry.into();
        if looks.torn || looks.absent || !looks.looks_like(stat) {
            return Change::Surely;
        }
        let same = looks.ino == stat.ino && looks.ctime == stat.ctime;
        if same && !looks.unread && !self.is_doubtful(stat) {
            return Change::Untouched;
        }
        Change::Perhaps
    }

    /// Whether nothing was done to the source of an entry.
    #[must_use]
    pub fn untouched(&self, entry: impl Into<Looks>, stat: &Stat) -> bool {
        self.change(entry, stat) == Change::Untouched
    }

    /// Whether a file that moved surely is the one that an entry of the same inode number describes.
    /// Where inode numbers do not last, others have them too: whole seconds are no proof.
    #[must_use]
    pub fn moved_untouched(&self, entry: impl Into<Looks>, stat: &Stat) -> bool {
        self.untouched(entry, stat) && stat.ctime % SECOND != 0
    }

    /// Whether it may have been touched while the basis' sources were read.
    pub(crate) fn is_doubtful(&self, stat: &Stat) -> bool {
        let ctime = stat.ctime;
        let step = clock_step(ctime);
        if stat.mount == 0 || self.foreign.contains(&stat.mount) {
            return ctime + SERVER.max(step) > self.from;
        }
        // What this machine stamped after the basis was made cannot be in it: a time after that is
        // one of a clock that was ahead.
        ctime + step > self.from && ctime <= self.until + step
    }
}

/// Whether a file may have been touched after sources began to be read at a time, although its
/// change time is earlier by the roundness of clocks.
#[must_use]
pub fn is_recent(stat: &Stat, from: Nanos) -> bool {
    stat.ctime + clock_step(stat.ctime) > from
}

/// A time as nanoseconds.
#[must_use]
pub fn nanos_of(time: DateTime<FixedOffset>) -> Nanos {
    Nanos::from(time.timestamp()) * SECOND + Nanos::from(time.timestamp_subsec_nanos())
}

/// The step of the clock that a time was taken from, judged by its roundness: 2 s on FAT, 1 s on
/// ext4 with small inodes, HFS+ and some servers. Taken for too coarse a file is read once in vain.
fn clock_step(time: Nanos) -> Nanos {
    match time {
        time if time % (2 * SECOND) == 0 => 2 * SECOND,
        time if time % SECOND == 0 => SECOND,
        _ => TICK,
    }
}

/// Whether another machine, or a program, stamps the files of a file system of this type.
fn is_foreign(file_system: &str) -> bool {
    const TYPES: [&str; 14] = [
        "nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "coda", "gfs2", "lustre",
        "ocfs2", "vboxsf", "virtiofs",
    ];
    TYPES.contains(&file_system) || file_system == "fuse" || file_system.starts_with("fuse.")
}

#[cfg(test)]
mod tests {
    use schema::StoredPath;

    use super::*;
    use crate::{manifest::Entry, sys::Kind};

    const FROM: Nanos = 1_700_000_000 * SECOND + 500_000_000;
    const UNTIL: Nanos = FROM + 60 * SECOND;

    fn since(file_system: &str) -> (Since, Stat) {
        let stat = Stat::of(rustix::fs::CWD, "/proc/self/exe").unwrap();
        let stat = Stat {
            kind: Kind::File,
            mount: 7,
            mtime: FROM - SECOND,
            ..stat
        };
        let mount = Mount {
            id: 7,
            parent: 1,
            device: "0:7".to_owned(),
            root: b"/".to_vec(),
            mount_point: b"/data".to_vec(),
            read_only: false,
            file_system: file_system.to_owned(),
            source: b"data".to_vec(),
        };
        (Since::between(FROM, UNTIL, &[mount]), stat)
    }

    /// What is said of a file that has this change time in the basis and in the source.
    fn said(file_system: &str, ctime: Nanos) -> Change {
        let (since, stat) = since(file_system);
        let stat = Stat { ctime, ..stat };
        since.change(&Entry::of(StoredPath::new("a"), &stat), &stat)
    }

    #[test]
    fn what_was_touched_while_the_basis_was_read_is_compared() {
        for (ctime, expected) in [
            (FROM - SECOND, Change::Untouched),
            (FROM - 5_000_000, Change::Perhaps),
            (FROM + SECOND, Change::Perhaps),
            (UNTIL, Change::Perhaps),
            // The clock was ahead when it was touched.
            (UNTIL + 3600 * SECOND + 1, Change::Untouched),
        ] {
            assert_eq!(said("ext4", ctime), expected, "{}", ctime - FROM);
        }
    }

    #[test]
    fn whole_seconds_are_as_coarse_as_they_look() {
        let second = FROM - FROM % SECOND;
        let even = second - second % (2 * SECOND);
        // 1.7e9 is even: half a second before `FROM`, and two and a half.
        assert_eq!(said("ext4", even), Change::Perhaps);
        assert_eq!(said("vfat", even - 2 * SECOND), Change::Untouched);
        assert_eq!(said("ext4", even - SECOND), Change::Untouched);
        assert_eq!(said("ext4", even + SECOND), Change::Perhaps);
    }

    #[test]
    fn another_machines_clock_is_believed_within_an_hour_only() {
        for file_system in ["nfs4", "cifs", "fuse.sshfs"] {
            assert_eq!(said(file_system, FROM - 1800 * SECOND), Change::Perhaps);
            assert_eq!(said(file_system, UNTIL + 7200 * SECOND), Change::Perhaps);
            assert_eq!(said(file_system, FROM - 7200 * SECOND), Change::Untouched);
        }
        assert_eq!(said("fuseblk", FROM - 1800 * SECOND), Change::Untouched);
    }

    #[test]
    fn another_inode_or_change_time_asks_for_reading_and_other_looks_do_not() {
        let (since, stat) = since("ext4");
        let stat = Stat {
            ctime: FROM - 10 * SECOND - 1,
            ..stat
        };
        let entry = Entry::of(StoredPath::new("a"), &stat);
        let with = |change: fn(&mut Stat)| {
            let mut other = stat;
            change(&mut other);
            since.change(&entry, &other)
        };
        assert_eq!(with(|_| ()), Change::Untouched);
        assert_eq!(with(|stat| stat.ino += 1), Change::Perhaps);
        assert_eq!(with(|stat| stat.ctime += 1), Change::Perhaps);
        assert_eq!(with(|stat| stat.mtime += 1), Change::Surely);
        assert_eq!(with(|stat| stat.mode ^= 1), Change::Surely);
        let marked = |change: fn(&mut Entry)| {
            let mut other = entry.clone();
            change(&mut other);
            since.change(&other, &stat)
        };
        assert_eq!(marked(|entry| entry.unread = true), Change::Perhaps);
        assert_eq!(marked(|entry| entry.torn = true), Change::Surely);
        assert_eq!(marked(|entry| entry.absent = true), Change::Surely);
    }

    #[test]
    fn a_moved_file_of_whole_seconds_is_read() {
        let (since, stat) = since("ext4");
        let moved = |ctime| {
            let stat = Stat { ctime, ..stat };
            since.moved_untouched(&Entry::of(StoredPath::new("a"), &stat), &stat)
        };
        assert!(moved(FROM - 10 * SECOND));
        assert!(!moved(FROM - FROM % SECOND - 10 * SECOND));
    }

    #[test]
    fn a_clock_that_was_set_meanwhile_makes_a_wide_doubt() {
        let (_, stat) = since("ext4");
        let set_back = Since::between(UNTIL, FROM, &[]);
        let stat = Stat {
            ctime: FROM + SECOND,
            mount: 9,
            ..stat
        };
        let entry = Entry::of(StoredPath::new("a"), &stat);
        assert_eq!(set_back.change(&entry, &stat), Change::Perhaps);
    }
}
