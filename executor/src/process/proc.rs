//! Reads what the kernel tells of a process in `/proc` (proc(5)); none where it does not tell.
//!
//! Read here and not by a crate, since what is wanted is a number or two of each file, for every
//! process of the machine, and a file that cannot be understood is to count as not told.

use std::{fs, path::Path};

/// Bytes that went through read(2) and write(2), as proc_pid_io(5) counts them, from and to
/// connections too. `folder` is that of a process or of a thread.
pub(crate) fn io_bytes(folder: &Path) -> Option<(u64, u64)> {
    let text = fs::read_to_string(folder.join("io")).ok()?;
    let value = |key: &str| {
        let mut lines = text.lines();
        lines.find_map(|line| line.strip_prefix(key)?.trim().parse().ok())
    };
    Some((value("rchar:")?, value("wchar:")?))
}

/// The processes that a thread has started.
pub(crate) fn child_processes(task: &Path) -> Vec<u32> {
    let text = fs::read_to_string(task.join("children")).unwrap_or_default();
    text.split_whitespace().flat_map(str::parse).collect()
}

/// The numbers of all processes.
pub(crate) fn all_processes() -> Option<impl Iterator<Item = u32>> {
    let entries = fs::read_dir("/proc").ok()?.flatten();
    Some(entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()))
}

/// State, process group and processor time of a process, see proc_pid_stat(5).
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ProcessStat {
    /// What it does: `R` runs, `S` sleeps, `D` waits for a disk, `Z` has ended.
    pub(crate) state: char,
    /// Its process group.
    pub(crate) group: u32,
    /// Its processor time, in the kernel's ticks of 1/100 s.
    pub(crate) ticks: u64,
}

impl ProcessStat {
    /// Of this process.
    pub(crate) fn of(process: u32) -> Option<Self> {
        Self::parse(&fs::read_to_string(format!("/proc/{process}/stat")).ok()?)
    }

    /// Reads a line of `stat`. The command's name is in brackets and may hold anything.
    fn parse(stat: &str) -> Option<Self> {
        let (_, rest) = stat.rsplit_once(')')?;
        let words: Vec<&str> = rest.split_whitespace().collect();
        let number = |at: usize| words.get(at)?.parse::<u64>().ok();
        Some(Self {
            state: words.first()?.chars().next()?,
            group: words.get(2)?.parse().ok()?,
            ticks: number(11)? + number(12)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_and_spaces_does_not_confuse() {
        let line = "7 (a) S 1) D 1 5 5 0 -1 4194560 1 2 3 4 30 12 0 0 20 0 1 0 9 8 7";
        let read = ProcessStat {
            state: 'D',
            group: 5,
            ticks: 42,
        };
        assert_eq!(ProcessStat::parse(line), Some(read));
        assert_eq!(ProcessStat::parse("7 (a) S"), None);
    }

    #[test]
    fn this_process_reads_and_one_that_is_not_there_tells_nothing() {
        let (read, _) = io_bytes(Path::new("/proc/self")).unwrap();
        assert!(read > 0);
        assert_eq!(io_bytes(Path::new("/proc/none")), None);
        assert!(
            all_processes()
                .unwrap()
                .any(|process| process == std::process::id())
        );
    }
}
