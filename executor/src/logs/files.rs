//! Log files: appended to line by line, turned over at a size, never anyone else's.
//!
//! Several programs may write at once, and any may be killed at any instant: a line is one write to
//! a file that is opened for appending, and turning over is a row of renames, oldest first, under a
//! lock that goes away with whoever holds it. A gap that a kill left is filled by the next turn, so
//! nothing is lost. The folder may be one that a user can write to: no symlink, no hard link and no
//! file of another user is written to.

use std::{
    collections::HashMap,
    ffi::OsStr,
    fs::{DirBuilder, File},
    io::{self, Write as _},
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    sync::{Mutex, OnceLock, PoisonError},
};

use rustix::{
    fs::{FlockOperation, flock},
    process::geteuid,
};

use super::Record;
use crate::sys::{Dir, Kind, Stat, resolve::resolve};

/// Bytes at which a file is turned over.
const LIMIT: u64 = 2 * 1024 * 1024;
/// Older files that are kept: `NAME.1` is the newest of them.
const KEPT: u32 = 5;

/// The log files of a folder.
#[derive(Debug)]
pub struct Files {
    folder: PathBuf,
    /// The folder; none before it is made, which is when there is something to write.
    dir: OnceLock<Dir>,
    limit: u64,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    files: HashMap<&'static str, File>,
    fault: Option<io::Error>,
}

impl Files {
    /// Opens a folder of log files. One that is not there is made with the first record, and those above it
    /// as well, for their owner only.
    ///
    /// # Errors
    /// Fails if the folder is there and cannot be opened.
    pub fn open(folder: &Path) -> io::Result<Self> {
        let files = Self {
            folder: folder.to_owned(),
            dir: OnceLock::new(),
            limit: LIMIT,
            open: Mutex::default(),
        };
        let is_there = match folder.symlink_metadata() {
            Err(error) => error.kind() != io::ErrorKind::NotFound,
            Ok(_) => true,
        };
        if is_there {
            files.dir()?;
        }
        Ok(files)
    }

    /// The folder, which is made where it is not there.
    fn dir(&self) -> io::Result<&Dir> {
        if let Some(dir) = self.dir.get() {
            return Ok(dir);
        }
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.folder)?;
        let dir = resolve(&self.folder)?.folder()?;
        Ok(self.dir.get_or_init(|| dir))
    }

    /// Appends a record to the file of this name. What cannot be written is dropped, and the first
    /// reason is kept for [`Self::fault`].
    pub fn write(&self, name: &'static str, record: &Record<'_>) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = self.append(name, &record.line(), &mut open.files) {
            // Opened anew the next time: the disk may have been remounted.
            open.files.remove(name);
            open.fault.get_or_insert(error);
        }
    }

    /// Why something could not be written, if that happened.
    #[must_use]
    pub fn fault(&self) -> Option<io::Error> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.fault.take()
    }

    fn append(
        &self,
        name: &'static str,
        line: &str,
        files: &mut HashMap<&'static str, File>,
    ) -> io::Result<()> {
        let current = match files.get(name) {
            Some(file) => {
                let found = self.dir()?.look(OsStr::new(name))?;
                let ours = Stat::of_fd(file)?;
                found.is_some_and(|found| found.same_inode(&ours))
            }
            None => false,
        };
        if !current {
            files.insert(name, self.file(name)?);
        }
        let Some(mut file) = files.get(name) else {
            return Ok(());
        };
        file.write_all(line.as_bytes())?;
        if Stat::of_fd(file)?.size >= self.limit {
            self.turn(name)?;
            files.remove(name);
        }
        Ok(())
    }

    fn file(&self, name: &str) -> io::Result<File> {
        let file = self.dir()?.append_or_new(OsStr::new(name), 0o600)?;
        let stat = Stat::of_fd(&file)?;
        let ours = stat.uid == 0 || stat.uid == geteuid().as_raw();
        if stat.kind != Kind::File || stat.nlink != 1 || !ours {
            return Err(io::Error::other(format!(
                "{name} is not a plain file of the user that runs the backup"
            )));
        }
        Ok(file)
    }

    /// Turns a file over, unless someone else did or does.
    fn turn(&self, name: &str) -> io::Result<()> {
        // A description of its own, which the lock belongs to.
        let dir = self.dir()?;
        let lock = dir.again()?;
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
            return Ok(());
        }
        let numbered = |number: u32| format!("{name}.{number}");
        let there = |name: &str| dir.look(OsStr::new(name));
        if there(name)?.is_none_or(|found| found.size < self.limit) {
            return Ok(());
        }
        let mut free = 1;
        while free < KEPT && there(&numbered(free))?.is_some() {
            free += 1;
        }
        for number in (1..free).rev() {
            let (from, to) = (numbered(number), numbered(number + 1));
            dir.rename_over(OsStr::new(&from), OsStr::new(&to))?;
        }
        let first = numbered(1);
        Ok(dir.rename_over(OsStr::new(name), OsStr::new(&first))?)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::{super::Level, *};

    const NAME: &str = "backup-local.log";

    fn small(folder: &Path) -> Files {
        let mut files = Files::open(folder).unwrap();
        files.limit = 4096;
        files
    }

    fn write(files: &Files, text: &str) {
        let at = "2025-01-16T02:00:00+01:00".parse().unwrap();
        let kind = super::super::Kind::Output;
        files.write(NAME, &Record::new(at, Level::Info, kind, text));
    }

    /// Words of all lines, from the oldest file to the newest.
    fn words(folder: &Path) -> Vec<String> {
        let mut words = Vec::new();
        let older = (1..=KEPT).rev().map(|number| format!("{NAME}.{number}"));
        for name in older.chain([NAME.to_owned()]) {
            let text = std::fs::read_to_string(folder.join(name)).unwrap_or_default();
            assert!(text.is_empty() || text.ends_with('\n'));
            words.extend(
                text.lines()
                    .map(|line| line.rsplit(' ').next().unwrap().to_owned()),
            );
        }
        words
    }

    #[test]
    fn files_are_turned_over_and_the_oldest_goes() {
        let folder = tempfile::tempdir().unwrap();
        let files = small(folder.path());
        for number in 0..1000 {
            write(&files, &number.to_string());
        }
        assert!(files.fault().is_none());
        let words = words(folder.path());
        assert_eq!(words.last().unwrap(), "999");
        let first: usize = words[0].parse().unwrap();
        assert!(first > 0);
        let expected: Vec<String> = (first..1000).map(|number| number.to_string()).collect();
        assert_eq!(words, expected);
        for entry in std::fs::read_dir(folder.path()).unwrap() {
            let found = entry.unwrap().metadata().unwrap();
            assert!(found.len() < 4096 + 100);
            assert_eq!(found.permissions().mode() & 0o7777, 0o600);
        }
    }

    #[test]
    fn writers_at_once_lose_no_line() {
        let folder = tempfile::tempdir().unwrap();
        let of_one = 30;
        std::thread::scope(|scope| {
            for writer in 0..8 {
                let folder = folder.path();
                let writes = move || {
                    let files = small(folder);
                    for number in 0..of_one {
                        write(&files, &format!("{writer}-{number}"));
                    }
                    assert!(files.fault().is_none());
                };
                crate::threads::start_scoped_thread(scope, "writer", writes).unwrap();
            }
        });
        let mut found = words(folder.path());
        found.sort();
        let mut expected: Vec<String> = (0..8)
            .flat_map(|writer| (0..of_one).map(move |number| format!("{writer}-{number}")))
            .collect();
        expected.sort();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_turn_that_was_killed_loses_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at(&format!("{NAME}.1")), "x 1\n").unwrap();
        // As a kill between two renames leaves it.
        std::fs::write(at(&format!("{NAME}.3")), "x 3\n").unwrap();
        std::fs::write(at(NAME), format!("{}\n", "x".repeat(5000))).unwrap();
        write(&small(folder.path()), "last");
        let read = |number: u32| std::fs::read_to_string(at(&format!("{NAME}.{number}")));
        assert_eq!(read(2).unwrap(), "x 1\n");
        assert_eq!(read(3).unwrap(), "x 3\n");
        assert!(read(1).unwrap().ends_with("last\n"));
    }

    #[test]
    fn what_is_not_a_plain_file_of_ours_is_not_written_to() {
        let folder = tempfile::tempdir().unwrap();
        let (log, other) = (folder.path().join(NAME), folder.path().join("other"));
        let refused = |how: &str| {
            let files = small(folder.path());
            write(&files, "secret");
            assert!(files.fault().is_some(), "{how}");
            assert_eq!(
                std::fs::read_to_string(&other).unwrap(),
                "theirs\n",
                "{how}"
            );
            std::fs::remove_file(&log).unwrap();
        };
        std::fs::write(&other, "theirs\n").unwrap();
        symlink(&other, &log).unwrap();
        refused("a symlink");
        std::fs::hard_link(&other, &log).unwrap();
        refused("a hard link");
        let fifo = std::process::Command::new("mkfifo").arg(&log).status();
        assert!(fifo.unwrap().success());
        refused("a fifo that nobody reads");
        if geteuid().is_root() {
            std::fs::write(&log, "").unwrap();
            std::os::unix::fs::chown(&log, Some(65534), None).unwrap();
            refused("a file of another user");
        }
        let files = small(folder.path());
        write(&files, "again");
        assert!(files.fault().is_none());
        assert!(log.exists());
    }

    #[test]
    fn a_file_that_was_taken_away_is_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        let files = small(folder.path());
        write(&files, "one");
        std::fs::remove_file(folder.path().join(NAME)).unwrap();
        write(&files, "two");
        assert_eq!(words(folder.path()), ["two"]);
    }
}
