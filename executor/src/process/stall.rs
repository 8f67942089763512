//! Stall detection: noticing that a program does nothing and never will.
//!
//! rclone's own `--timeout` is of one request, and its retries are nested: a frozen WebDAV server
//! costs eleven of them (seen with 1.75.2), and SFTP knows no such limit. rsync opens what it saw as
//! a regular file a moment before. If a FIFO took its name meanwhile, the opening waits for a writer
//! that may never come, and no option of rsync's ends it (`--timeout` is looked at between files
//! only). So programs are watched from outside: by what they say, by what they read, by what they
//! wait for.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use super::proc::{self, ProcessStat};

/// Bytes read that are more than the few by which the threads of a program wake each other.
const STIR: u64 = 16 << 10;
/// How long one may wait for the other side of a FIFO.
const AT_A_FIFO: Duration = Duration::from_secs(3);
/// How long one may wait for a lease of another program on a file to be given up. Who copies the
/// file after it waits longer, and for no more than that file.
const AT_A_LEASE: Duration = Duration::from_secs(3);
/// How long one may wait for a program that serves a file system which was not there before.
const AT_A_SERVER: Duration = Duration::from_secs(3);
/// How long one may wait for a file to be opened, where the kernel does not say what for. A disk that
/// wakes up counts as busy.
const OPENING: Duration = Duration::from_secs(15);
/// How long one may do nothing at all. Whoever goes on then opens no FIFO.
const AT_ALL: Duration = Duration::from_secs(60);
/// How often the processes are looked at; each look reads all of /proc.
const LOOK: Duration = Duration::from_secs(1);
/// Processor time that only waiting takes, in the kernel's ticks of 1/100 s.
const IDLE_TICKS: u64 = 20;

/// Tells whether a program will ever go on.
pub(crate) trait StallDetector {
    /// The program was heard to get on.
    fn got_on(&mut self);

    /// For how long the program, of this number, has done nothing, once that is for ever.
    fn stalled_for(&mut self, process: u32) -> Option<Duration>;
}

/// A program has stalled that has said and read nothing for too long. It reads from files and
/// connections also while it hashes a large file or lists a large remote.
pub(crate) struct ReadingStall {
    longest: Duration,
    read: u64,
    since: Instant,
}

impl ReadingStall {
    /// Watches a program that may do nothing for so long.
    pub(crate) fn new(longest: Duration) -> Self {
        Self {
            longest,
            read: 0,
            since: Instant::now(),
        }
    }
}

impl StallDetector for ReadingStall {
    fn got_on(&mut self) {
        self.since = Instant::now();
    }

    /// Where the kernel does not tell what a process reads, a stall cannot be told from work, and the
    /// time of the whole step is the only limit.
    fn stalled_for(&mut self, process: u32) -> Option<Duration> {
        let length = self.since.elapsed();
        if length < self.longest / 4 {
            return None;
        }
        let (read, _) = proc::io_bytes(Path::new(&format!("/proc/{process}")))?;
        if read < self.read.saturating_add(STIR) {
            return (length >= self.longest).then_some(self.longest);
        }
        self.read = read;
        self.got_on();
        None
    }
}

/// A group of processes has stalled once for too long nothing was heard and none of them had a
/// processor or waited for a disk. What cannot be seen counts as busy.
pub(crate) struct WaitingStall {
    /// Nothing that it works on is served by a program, as FUSE has it: who waits for such a one has
    /// met what somebody mounted meanwhile.
    is_local: bool,
    /// Its last sign of life.
    since: Instant,
    looked: Instant,
    /// Its processor time at that sign.
    ticks: u64,
    /// Whether it takes hours to read what one of the processes has open.
    is_endless: fn(&Path) -> bool,
}

impl WaitingStall {
    /// Watches a group of processes that does something now. One that is silent while it has something
    /// open of which `is_endless` says so, by its path below `/proc`, has stalled as well.
    pub(crate) fn new(is_local: bool, is_endless: fn(&Path) -> bool) -> Self {
        let now = Instant::now();
        Self {
            is_local,
            since: now,
            looked: now,
            ticks: 0,
            is_endless,
        }
    }
}

impl StallDetector for WaitingStall {
    fn got_on(&mut self) {
        self.since = Instant::now();
    }

    fn stalled_for(&mut self, group: u32) -> Option<Duration> {
        let length = self.since.elapsed();
        // Most silences end before anyone need look.
        if length < AT_A_FIFO || self.looked.elapsed() < LOOK {
            return None;
        }
        self.looked = Instant::now();
        match waiting_group(group, self.is_local) {
            Some(waiting) if waiting.ticks.abs_diff(self.ticks) <= IDLE_TICKS => {
                (length >= waiting.patience).then_some(length)
            }
            seen => {
                if has_open(group, self.is_endless) {
                    return Some(length);
                }
                self.ticks = seen.map(|waiting| waiting.ticks).unwrap_or_default();
                self.got_on();
                None
            }
        }
    }
}

/// Whether one of a group of processes has something open of which that holds.
fn has_open(group: u32, holds: fn(&Path) -> bool) -> bool {
    let processes = proc::all_processes().into_iter().flatten();
    let of_group = |process: &u32| ProcessStat::of(*process).is_some_and(|it| it.group == group);
    processes.filter(of_group).any(|process| {
        let files = fs::read_dir(format!("/proc/{process}/fd"));
        let mut files = files.into_iter().flatten().flatten();
        files.any(|file| holds(&file.path()))
    })
}

/// A group of processes all of which wait.
struct Waiting {
    /// Their processor time.
    ticks: u64,
    /// How long they may.
    patience: Duration,
}

/// What a group waits for; none if one of it runs or waits for a disk, or none is seen.
fn waiting_group(group: u32, is_local: bool) -> Option<Waiting> {
    let mut sum: Option<Waiting> = None;
    for process in proc::all_processes()? {
        // One that ended meanwhile is none of it.
        let stat = ProcessStat::of(process).filter(|stat| stat.group == group);
        let Some(stat) = stat else {
            continue;
        };
        // Who waits for a program that serves a file system looks as if it waited for a disk.
        let at_server = is_local && matches!(stat.state, 'S' | 'D') && waits_for_server(process);
        if !at_server && !matches!(stat.state, 'S' | 'Z') {
            return None;
        }
        let sum = sum.get_or_insert(Waiting {
            ticks: 0,
            patience: AT_ALL,
        });
        sum.ticks += stat.ticks;
        sum.patience = sum.patience.min(match at_server {
            true => AT_A_SERVER,
            false => patience_with(process),
        });
    }
    sum
}

/// Whether a process waits for the program behind a FUSE file system (fs/fuse/dev.c).
fn waits_for_server(process: u32) -> bool {
    let place = fs::read_to_string(format!("/proc/{process}/wchan")).unwrap_or_default();
    place.contains("fuse") || place.contains("request_wait_answer")
}

/// How long a process that waits may do so, by what the kernel says of it.
fn patience_with(process: u32) -> Duration {
    let read =
        |name: &str| fs::read_to_string(format!("/proc/{process}/{name}")).unwrap_or_default();
    let place = read("wchan");
    if place.contains("wait_for_partner") || place.contains("fifo_open") {
        return AT_A_FIFO;
    }
    if place.contains("break_lease") {
        return AT_A_LEASE;
    }
    let call = read("syscall");
    let call = call.split(' ').next().and_then(|call| call.parse().ok());
    let opens = [nix::libc::SYS_openat, nix::libc::SYS_openat2];
    if call.is_some_and(|call: i64| opens.contains(&call)) {
        return OPENING;
    }
    AT_ALL
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::process::ChildGroup;

    fn start(script: &str, folder: &Path) -> ChildGroup {
        let mut command = Command::new("sh");
        command.args(["-c", script]).current_dir(folder);
        ChildGroup::start(&mut command).unwrap()
    }

    fn stalls(child: &mut ChildGroup, for_at_most: Duration) -> bool {
        let is_endless = |open: &Path| {
            fs::read_link(open).is_ok_and(|to| to.file_name() == Some("endless".as_ref()))
        };
        let mut stall = WaitingStall::new(true, is_endless);
        let until = Instant::now() + for_at_most;
        let mut ended = false;
        while !ended && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(20));
            ended = stall.stalled_for(child.id()).is_some();
        }
        child.end(Duration::ZERO);
        ended
    }

    #[test]
    fn who_waits_for_the_writer_of_a_fifo_is_noticed_and_who_works_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let script = "mkfifo fifo && : < fifo";
        let mut waits = start(script, folder.path());
        // Long before one that does nothing at all.
        assert!(stalls(&mut waits, AT_ALL / 2));
        let mut works = start("while :; do :; done", folder.path());
        assert!(!stalls(&mut works, 2 * AT_A_FIFO));
        // What it works on would take hours.
        let script = "exec 3> endless; while :; do :; done";
        let mut reads = start(script, folder.path());
        assert!(stalls(&mut reads, AT_ALL / 2));
        let mut sleeps = start("sleep 60", folder.path());
        assert!(!stalls(&mut sleeps, 2 * AT_A_FIFO));
    }

    #[test]
    fn a_process_that_reads_has_not_stalled_and_one_that_sleeps_has() {
        let mut sleeper = start("exec sleep 600", Path::new("/"));
        let mut stall = ReadingStall::new(Duration::from_millis(400));
        let begun = Instant::now();
        while stall.stalled_for(sleeper.id()).is_none() {
            assert!(begun.elapsed() < Duration::from_secs(60), "never stalled");
            std::thread::sleep(Duration::from_millis(10));
        }
        sleeper.end(Duration::ZERO);
        let stalled = |process| ReadingStall::new(Duration::ZERO).stalled_for(process);
        assert_eq!(stalled(std::process::id()), None, "it has read this much");
        assert_eq!(stalled(u32::MAX), None, "not told");
    }
}
