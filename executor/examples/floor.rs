//! The least that a file system must be asked for to copy a tree, to link it, or to read it: a floor that
//! `bench/` compares with.
//!
//! `floor copy FROM TO` makes a folder, opens, reads, hashes, creates, writes, and sets the times for each
//! file; `floor link FROM BASIS TO` looks at each file on both sides and makes a link; `floor read FROM`
//! hashes each. On as many threads as there are processors, each of which takes one folder after the
//! other. No plan, no manifest, no owners, no attributes, no check of anything, nothing is repeatable:
//! it is no way to back anything up.

#![allow(clippy::print_stderr, reason = "this is a program for the bench")]

use std::{
    collections::VecDeque,
    ffi::{CStr, OsStr},
    io::{Error, ErrorKind, Result},
    os::{fd::OwnedFd, unix::ffi::OsStrExt as _},
    path::{Path, PathBuf},
    sync::{Condvar, Mutex, PoisonError},
};

use rustix::{
    fs::{
        AtFlags, CWD, FileType, Mode, OFlags, RawDir, Statx, StatxFlags, Timespec, Timestamps,
        fchmod, futimens, linkat, mkdirat, openat, statx, syncfs,
    },
    io::{read, write},
};
use sha2::{Digest as _, Sha256};

/// Bytes that are read at once.
const BLOCK: usize = 1 << 20;

const FOLDER: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// What is done with each file.
#[derive(Clone, Copy)]
enum Deed<'a> {
    /// Copy it to this tree.
    Copy(&'a Path),
    /// Give it a name in the second tree, of an inode of the first.
    Link(&'a Path, &'a Path),
    /// Read it.
    Read,
}

/// Folders that wait, and how many are at work: at the end there is neither.
#[derive(Default)]
struct Queue {
    folders: Mutex<(VecDeque<PathBuf>, usize)>,
    more: Condvar,
}

impl Queue {
    fn push(&self, folder: PathBuf) {
        let mut all = self.folders.lock().unwrap_or_else(PoisonError::into_inner);
        all.0.push_back(folder);
        self.more.notify_one();
    }

    fn next(&self) -> Option<PathBuf> {
        let mut all = self.folders.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(folder) = all.0.pop_back() {
                all.1 += 1;
                return Some(folder);
            }
            if all.1 == 0 {
                return None;
            }
            all = self.more.wait(all).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn done(&self) {
        let mut all = self.folders.lock().unwrap_or_else(PoisonError::into_inner);
        all.1 -= 1;
        self.more.notify_all();
    }
}

fn open_folder(path: &Path) -> rustix::io::Result<OwnedFd> {
    openat(CWD, path, FOLDER, Mode::empty())
}

fn look(dir: &OwnedFd, name: &CStr) -> rustix::io::Result<Statx> {
    let flags = AtFlags::SYMLINK_NOFOLLOW;
    statx(dir, name, flags, StatxFlags::BASIC_STATS)
}

fn times(stat: &Statx) -> Timestamps {
    let last_modification = Timespec {
        tv_sec: stat.stx_mtime.tv_sec,
        tv_nsec: stat.stx_mtime.tv_nsec.into(),
    };
    Timestamps {
        last_access: last_modification,
        last_modification,
    }
}

fn mode(stat: &Statx) -> Mode {
    Mode::from_raw_mode(u32::from(stat.stx_mode) & 0o7777)
}

/// One thread's work.
struct Hand<'a> {
    from: &'a Path,
    deed: Deed<'a>,
    queue: &'a Queue,
    block: Vec<u8>,
}

impl Hand<'_> {
    /// Goes on until no folder is left.
    fn work(&mut self) -> Result<()> {
        while let Some(folder) = self.queue.next() {
            let result = self.folder(&folder);
            self.queue.done();
            result?;
        }
        Ok(())
    }

    fn folder(&mut self, path: &Path) -> Result<()> {
        let from = open_folder(&self.from.join(path))?;
        let (basis, to) = match self.deed {
            Deed::Copy(to) => (None, Some(to)),
            Deed::Link(basis, to) => (Some(open_folder(&basis.join(path))?), Some(to)),
            Deed::Read => (None, None),
        };
        let to = to.map(|to| open_folder(&to.join(path))).transpose()?;
        let mut buffer = Vec::with_capacity(32 << 10);
        let mut entries = RawDir::new(&from, buffer.spare_capacity_mut());
        while let Some(entry) = entries.next() {
            let entry = entry?;
            let name = entry.file_name();
            match entry.file_type() {
                FileType::Directory if name != c"." && name != c".." => {
                    if let Some(to) = &to {
                        mkdirat(to, name, Mode::from_raw_mode(0o700))?;
                    }
                    let below = path.join(OsStr::from_bytes(name.to_bytes()));
                    self.queue.push(below);
                }
                FileType::RegularFile => self.file(&from, basis.as_ref(), to.as_ref(), name)?,
                _ => {}
            }
        }
        if let Some(to) = &to {
            let stat = statx(&from, c"", AtFlags::EMPTY_PATH, StatxFlags::BASIC_STATS)?;
            fchmod(to, mode(&stat))?;
            futimens(to, &times(&stat))?;
        }
        Ok(())
    }

    fn file(
        &mut self,
        from: &OwnedFd,
        basis: Option<&OwnedFd>,
        to: Option<&OwnedFd>,
        name: &CStr,
    ) -> Result<()> {
        let stat = look(from, name)?;
        if let (Some(basis), Some(to)) = (basis, to) {
            look(basis, name)?;
            return Ok(linkat(basis, name, to, name, AtFlags::empty())?);
        }
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NOATIME;
        let file = openat(from, name, flags, Mode::empty())?;
        let new = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let copy = to
            .map(|to| openat(to, name, new, mode(&stat)))
            .transpose()?;
        let mut hasher = Sha256::new();
        let mut left = stat.stx_size;
        while left > 0 {
            let length = read(&file, &mut self.block)?;
            let block = &self.block[..length];
            if block.is_empty() {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            hasher.update(block);
            if let Some(copy) = &copy
                && write(copy, block)? != length
            {
                return Err(ErrorKind::WriteZero.into());
            }
            left = left.saturating_sub(length as u64);
        }
        // The digest is what a manifest would have.
        std::hint::black_box(hasher.finalize());
        if let Some(copy) = &copy {
            futimens(copy, &times(&stat))?;
        }
        Ok(())
    }
}

/// Does it with all files of a tree, until they are on the disk.
#[expect(
    clippy::disallowed_methods,
    reason = "where no thread can be started there is nothing to compare"
)]
fn run(from: &Path, deed: Deed<'_>) -> Result<()> {
    let to = match deed {
        Deed::Copy(to) | Deed::Link(_, to) => Some(to),
        Deed::Read => None,
    };
    if let Some(to) = to {
        mkdirat(CWD, to, Mode::from_raw_mode(0o700))?;
    }
    let queue = Queue::default();
    queue.push(PathBuf::new());
    let threads = std::thread::available_parallelism()?.get();
    std::thread::scope(|scope| {
        let start = |_| {
            let mut hand = Hand {
                from,
                deed,
                queue: &queue,
                block: vec![0; BLOCK],
            };
            scope.spawn(move || hand.work())
        };
        let all: Vec<_> = (0..threads).map(start).collect();
        all.into_iter().try_for_each(|thread| {
            let ended = thread.join();
            ended.map_err(|_| Error::other("a thread ended early"))?
        })
    })?;
    if let Some(to) = to {
        syncfs(open_folder(to)?)?;
    }
    Ok(())
}

fn main() -> Result<()> {
    let words: Vec<_> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let words: Vec<&Path> = words.iter().map(PathBuf::as_path).collect();
    match words.as_slice() {
        [deed, from, to] if *deed == "copy" => run(from, Deed::Copy(to)),
        [deed, from, basis, to] if *deed == "link" => run(from, Deed::Link(basis, to)),
        [deed, from] if *deed == "read" => run(from, Deed::Read),
        _ => {
            eprintln!("usage: floor copy FROM TO | link FROM BASIS TO | read FROM");
            std::process::exit(2);
        }
    }
}
