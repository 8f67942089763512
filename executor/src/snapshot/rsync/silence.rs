//! Noticing that rsync does nothing and never will.
//!
//! rsync opens what it saw as a regular file a moment before. If a FIFO took its name meanwhile,
//! the opening waits for a writer that may never come, and no option of rsync's ends it
//! (`--timeout` is looked at between files only).

use std::{
    fs,
    time::{Duration, Instant},
};

/// How often the processes are looked at; each look reads all of /proc.
const LOOK: Duration = Duration::from_secs(5);
/// Processor time that only waiting takes, in the kernel's ticks of 1/100 s.
const IDLE_TICKS: u64 = 20;

/// A process group that is watched.
pub(super) struct Silence {
    group: u32,
    patience: Duration,
    /// Its last sign of life.
    since: Instant,
    looked: Instant,
    /// Its processor time at that sign.
    ticks: u64,
}

impl Silence {
    /// Watches a group of processes that does something now.
    pub(super) fn new(group: u32, patience: Duration) -> Self {
        let now = Instant::now();
        Self {
            group,
            patience,
            since: now,
            looked: now,
            ticks: 0,
        }
    }

    /// It was heard.
    pub(super) fn broken(&mut self) {
        self.since = Instant::now();
    }

    /// Whether for all the patience nothing was heard, no process of the group had a processor or
    /// waited for a disk. What cannot be seen counts as busy.
    pub(super) fn is_for_ever(&mut self) -> bool {
        // A disk that wakes up, a server that is slow: no reason to look yet.
        if self.since.elapsed() < self.patience / 2
            || self.looked.elapsed() < LOOK.min(self.patience / 8)
        {
            return false;
        }
        self.looked = Instant::now();
        match ticks_if_waiting(self.group) {
            Some(ticks) if ticks.abs_diff(self.ticks) <= IDLE_TICKS => {
                self.since.elapsed() >= self.patience
            }
            seen => {
                self.ticks = seen.unwrap_or_default();
                self.broken();
                false
            }
        }
    }
}

/// The processor time of a group; none if one of it runs or waits for a disk, or none is seen.
fn ticks_if_waiting(group: u32) -> Option<u64> {
    let mut sum = None;
    for entry in fs::read_dir("/proc").ok()?.flatten() {
        let name = entry.file_name();
        if !name.as_encoded_bytes().iter().all(u8::is_ascii_digit) {
            continue;
        }
        // One that ended meanwhile is none of it.
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else {
            continue;
        };
        let Some((state, member_of, ticks)) = parse(&stat) else {
            continue;
        };
        if member_of == group {
            if !matches!(state, 'S' | 'Z') {
                return None;
            }
            sum = Some(sum.unwrap_or(0) + ticks);
        }
    }
    sum
}

/// State, process group and processor time (utime and stime) of a line of /proc/PID/stat, see
/// proc_pid_stat(5). The command's name is in brackets and may hold anything.
fn parse(stat: &str) -> Option<(char, u32, u64)> {
    let (_, rest) = stat.rsplit_once(')')?;
    let words: Vec<&str> = rest.split_whitespace().collect();
    let number = |at: usize| words.get(at)?.parse::<u64>().ok();
    let state = words.first()?.chars().next()?;
    Some((
        state,
        words.get(2)?.parse().ok()?,
        number(11)? + number(12)?,
    ))
}

#[cfg(test)]
mod tests {
    use std::{
        os::unix::process::CommandExt as _,
        process::{Child, Command},
    };

    use super::*;

    fn start(script: &str, folder: &std::path::Path) -> Child {
        let mut command = Command::new("sh");
        command
            .args(["-c", script])
            .current_dir(folder)
            .process_group(0);
        command.spawn().unwrap()
    }

    fn watch(child: &mut Child, patience: Duration, for_at_most: Duration) -> bool {
        let mut silence = Silence::new(child.id(), patience);
        let until = Instant::now() + for_at_most;
        let mut ended = false;
        while !ended && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(20));
            ended = silence.is_for_ever();
        }
        nix::sys::signal::killpg(
            nix::unistd::Pid::from_raw(child.id().cast_signed()),
            nix::sys::signal::Signal::SIGKILL,
        )
        .unwrap();
        child.wait().unwrap();
        ended
    }

    #[test]
    fn who_waits_for_the_writer_of_a_fifo_is_noticed_and_who_works_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let script = "mkfifo fifo && : < fifo";
        let mut waits = start(script, folder.path());
        let minute = Duration::from_secs(60);
        assert!(watch(&mut waits, Duration::from_millis(400), minute));
        let mut works = start("while :; do :; done", folder.path());
        let second = Duration::from_secs(1);
        assert!(!watch(&mut works, second, 3 * second));
    }

    #[test]
    fn a_name_with_brackets_and_spaces_does_not_confuse() {
        let line = "7 (a) S 1) D 1 5 5 0 -1 4194560 1 2 3 4 30 12 0 0 20 0 1 0 9 8 7";
        assert_eq!(parse(line), Some(('D', 5, 42)));
        assert_eq!(parse("7 (a) S"), None);
    }
}
