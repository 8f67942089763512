//! Whether rclone still gets anywhere: a server that is frozen is told from one that is slow.
//!
//! rclone's own `--timeout` is of one request, and its retries are nested: a frozen WebDAV server
//! costs eleven of them (seen with 1.75.2), and SFTP knows no such limit. So it is watched from
//! outside: by the counts in its statistics, and by what it reads from files and connections, which
//! goes on while it hashes a large file or lists a large remote.

use std::{
    fs,
    time::{Duration, Instant},
};

/// Longest silence, rclone's own default: some servers put a large file together before they answer.
const MOST: Duration = Duration::from_secs(300);
/// Shortest that is told from the second between two statistics on a busy machine.
const LEAST: Duration = Duration::from_secs(5);
/// Part of `cloud.timeout`: a call has three attempts, all of which end before that time is over.
const PART: u32 = 8;
/// Bytes read that are more than the few by which rclone's threads wake each other.
const STIR: u64 = 16 << 10;

/// The longest silence of a remote, for a step that may take `limit`.
#[must_use]
pub fn longest(limit: Option<Duration>) -> Duration {
    limit.map_or(MOST, |limit| (limit / PART).clamp(LEAST, MOST))
}

/// A watch over one process.
pub struct Watch {
    longest: Duration,
    read: u64,
    moved: Instant,
}

impl Watch {
    /// Begins to watch.
    pub fn new(longest: Duration) -> Self {
        Self {
            longest,
            read: 0,
            moved: Instant::now(),
        }
    }

    /// It got on.
    pub fn stir(&mut self) {
        self.moved = Instant::now();
    }

    /// Whether it was silent for too long. Where the kernel does not tell what a process reads,
    /// silence cannot be told from work, and the time of the whole step is the only limit.
    pub fn is_over(&mut self, process: u32) -> bool {
        if self.moved.elapsed() < self.longest / 4 {
            return false;
        }
        match read_by(process) {
            Some(read) if read < self.read.saturating_add(STIR) => {
                self.moved.elapsed() >= self.longest
            }
            Some(read) => {
                self.read = read;
                self.stir();
                false
            }
            None => false,
        }
    }
}

/// Bytes a process has read, from connections too (proc(5), `rchar`).
fn read_by(process: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{process}/io")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("rchar:"))?;
    line.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_attempts_of_a_silent_call_end_before_the_step_must() {
        let hour = Duration::from_secs(3600);
        assert_eq!(longest(None), MOST);
        assert_eq!(longest(Some(hour * 6)), MOST);
        assert!(longest(Some(hour / 6)) * 3 < hour / 6);
        assert_eq!(longest(Some(Duration::from_secs(1))), LEAST);
    }

    #[test]
    fn a_process_that_reads_is_not_silent_and_one_that_sleeps_is() {
        let mut sleeper = std::process::Command::new("sleep")
            .arg("600")
            .spawn()
            .expect("sleep runs");
        let mut watch = Watch::new(Duration::from_millis(400));
        let begun = Instant::now();
        while !watch.is_over(sleeper.id()) {
            assert!(begun.elapsed() < Duration::from_secs(60), "never silent");
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = sleeper.kill();
        let _ = sleeper.wait();
        let mut watch = Watch::new(Duration::ZERO);
        assert!(!watch.is_over(std::process::id()), "it has read this much");
        assert!(!Watch::new(Duration::ZERO).is_over(u32::MAX), "not told");
    }
}
