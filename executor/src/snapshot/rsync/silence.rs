//! Noticing that rsync does nothing and never will.
//!
//! rsync opens what it saw as a regular file a moment before. If a FIFO took its name meanwhile,
//! the opening waits for a writer that may never come, and no option of rsync's ends it
//! (`--timeout` is looked at between files only).

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

/// How long one may wait for the other side of a FIFO.
const AT_A_FIFO: Duration = Duration::from_secs(3);
/// How long one may wait for a file to be opened, where the kernel does not say what for. A disk that
/// wakes up counts as busy.
const OPENING: Duration = Duration::from_secs(15);
/// How long one may do nothing at all. Whoever goes on then opens no FIFO.
const AT_ALL: Duration = Duration::from_secs(60);
/// How often the processes are looked at; each look reads all of /proc.
const LOOK: Duration = Duration::from_secs(1);
/// Processor time that only waiting takes, in the kernel's ticks of 1/100 s.
const IDLE_TICKS: u64 = 20;

/// A process group that is watched.
pub(super) struct Silence {
    group: u32,
    /// Its last sign of life.
    since: Instant,
    looked: Instant,
    /// Its processor time at that sign.
    ticks: u64,
}

impl Silence {
    /// Watches a group of processes that does something now.
    pub(super) fn new(group: u32) -> Self {
        let now = Instant::now();
        Self {
            group,
            since: now,
            looked: now,
            ticks: 0,
        }
    }

    /// It was heard.
    pub(super) fn broken(&mut self) {
        self.since = Instant::now();
    }

    /// How long it lasts.
    pub(super) fn length(&self) -> Duration {
        self.since.elapsed()
    }

    /// Whether for too long nothing was heard, no process of the group had a processor or waited for
    /// a disk. What cannot be seen counts as busy.
    pub(super) fn is_for_ever(&mut self) -> bool {
        // Most silences end before anyone need look.
        if self.length() < AT_A_FIFO || self.looked.elapsed() < LOOK {
            return false;
        }
        self.looked = Instant::now();
        match waiting(self.group) {
            Some(waiting) if waiting.ticks.abs_diff(self.ticks) <= IDLE_TICKS => {
                self.length() >= waiting.patience
            }
            seen => {
                self.ticks = seen.map(|waiting| waiting.ticks).unwrap_or_default();
                self.broken();
                false
            }
        }
    }
}

/// A group of processes all of which wait.
struct Waiting {
    /// Their processor time.
    ticks: u64,
    /// How long they may.
    patience: Duration,
}

/// What a group waits for; none if one of it runs or waits for a disk, or none is seen.
fn waiting(group: u32) -> Option<Waiting> {
    let mut sum: Option<Waiting> = None;
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
            let sum = sum.get_or_insert(Waiting {
                ticks: 0,
                patience: AT_ALL,
            });
            sum.ticks += ticks;
            sum.patience = sum.patience.min(patience(&entry.path()));
        }
    }
    sum
}

/// How long a process that waits may do so, by what the kernel says of it.
fn patience(process: &Path) -> Duration {
    let read = |name: &str| fs::read_to_string(process.join(name)).unwrap_or_default();
    let place = read("wchan");
    if place.contains("wait_for_partner") || place.contains("fifo_open") {
        return AT_A_FIFO;
    }
    let call = read("syscall");
    let call = call.split(' ').next().and_then(|call| call.parse().ok());
    let opens = [nix::libc::SYS_openat, nix::libc::SYS_openat2];
    if call.is_some_and(|call: i64| opens.contains(&call)) {
        return OPENING;
    }
    AT_ALL
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

    fn start(script: &str, folder: &Path) -> Child {
        let mut command = Command::new("sh");
        command
            .args(["-c", script])
            .current_dir(folder)
            .process_group(0);
        command.spawn().unwrap()
    }

    fn watch(child: &mut Child, for_at_most: Duration) -> bool {
        let mut silence = Silence::new(child.id());
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
        // Long before one that does nothing at all.
        assert!(watch(&mut waits, AT_ALL / 2));
        let mut works = start("while :; do :; done", folder.path());
        assert!(!watch(&mut works, 2 * AT_A_FIFO));
        let mut sleeps = start("sleep 60", folder.path());
        assert!(!watch(&mut sleeps, 2 * AT_A_FIFO));
    }

    #[test]
    fn a_name_with_brackets_and_spaces_does_not_confuse() {
        let line = "7 (a) S 1) D 1 5 5 0 -1 4194560 1 2 3 4 30 12 0 0 20 0 1 0 9 8 7";
        assert_eq!(parse(line), Some(('D', 5, 42)));
        assert_eq!(parse("7 (a) S"), None);
    }
}
