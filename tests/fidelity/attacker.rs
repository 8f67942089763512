//! Someone who may write to a source and swaps what is in it while it is being read, so that a
//! reader who trusts paths reads what stands outside.

use std::{
    fs, io,
    os::{
        fd::OwnedFd,
        unix::fs::{lchown, symlink},
    },
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, RenameFlags, Timespec, Timestamps, openat, renameat_with,
    utimensat,
};
use test_support::Random;

use crate::hostile::special;

/// What no reader of the source may ever see: content, names and owner of the outside.
pub(crate) const SECRET: &[u8] = b"the secret that stands outside of every source";
pub(crate) const SECRET_NAME: &str = "only-outside";
pub(crate) const SECRET_OWNER: u32 = 424_242;

const FILES: usize = 150;
/// Names that are now a file, now something else.
const SWAPPED: usize = 24;

/// The tree, and the outside that it must not show.
pub(crate) struct Bait {
    source: PathBuf,
    /// The folders that are swapped, wherever they are.
    folders: Vec<OwnedFd>,
}

impl Bait {
    /// Makes both; the source is an empty folder, the outside is not there yet.
    pub(crate) fn make(source: &Path, outside: &Path) -> Self {
        let secret = |folder: PathBuf| {
            fs::create_dir_all(&folder).unwrap();
            for number in 0..FILES {
                let path = folder.join(format!("file {number:03}"));
                fs::write(&path, SECRET).unwrap();
                lchown(&path, Some(SECRET_OWNER), None).unwrap();
            }
            fs::write(folder.join(SECRET_NAME), SECRET).unwrap();
            fs::create_dir(folder.join(format!("{SECRET_NAME} folder"))).unwrap();
        };
        secret(outside.join("near"));
        secret(outside.join("far/middle/lower"));
        let mut folders = Vec::new();
        for (name, decoy, outside) in [
            ("near", "near decoy", outside.join("near")),
            ("far/middle/lower", "far decoy", outside.join("far")),
        ] {
            let folder = source.join("folders").join(name);
            fs::create_dir_all(&folder).unwrap();
            for number in 0..FILES {
                fs::write(folder.join(format!("file {number:03}")), "harmless").unwrap();
            }
            symlink(outside, source.join("folders").join(decoy)).unwrap();
            let flags = OFlags::RDONLY | OFlags::DIRECTORY;
            folders.push(openat(CWD, &folder, flags, Mode::empty()).unwrap());
        }
        let files = source.join("files");
        fs::create_dir(&files).unwrap();
        for number in 0..SWAPPED {
            let decoy = files.join(format!("{number} decoy"));
            fs::write(files.join(number.to_string()), "harmless").unwrap();
            match number % 3 {
                0 => special(&decoy, FileType::Fifo, (0, 0)),
                1 => symlink(outside.join("near/file 000"), &decoy).unwrap(),
                // /dev/zero: it has no end.
                _ => special(&decoy, FileType::CharacterDevice, (1, 5)),
            }
        }
        Self {
            source: source.to_owned(),
            folders,
        }
    }

    /// Gives every second file a new time, so that the next run has to read it.
    pub(crate) fn touch(&self, seconds: i64) {
        let time = Timespec {
            tv_sec: 1_600_000_000 + seconds,
            tv_nsec: 0,
        };
        let times = Timestamps {
            last_access: time,
            last_modification: time,
        };
        for folder in &self.folders {
            for number in (0..FILES).step_by(2) {
                let name = format!("file {number:03}");
                utimensat(folder, name, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
            }
        }
    }

    /// Begins to swap, until what is given back is dropped.
    pub(crate) fn attack(&self) -> Attack {
        let stop = Arc::new(AtomicBool::new(false));
        let swaps = Arc::new(AtomicU64::new(0));
        let folders = ["near", "far"].map(|name| {
            let folder = self.source.join("folders");
            (folder.join(name), folder.join(format!("{name} decoy")))
        });
        let files = (0..SWAPPED).map(|number| {
            let folder = self.source.join("files");
            (
                folder.join(number.to_string()),
                folder.join(format!("{number} decoy")),
            )
        });
        let pairs = [folders.to_vec(), files.collect()];
        let threads = pairs.into_iter().map(|pairs| {
            let (stop, swaps) = (Arc::clone(&stop), Arc::clone(&swaps));
            std::thread::spawn(move || swap(&pairs, &stop, &swaps))
        });
        Attack {
            threads: threads.collect(),
            stop,
            swaps,
        }
    }
}

/// Swaps the two of each pair by one rename, again and again, at no regular pace.
fn swap(pairs: &[(PathBuf, PathBuf)], stop: &AtomicBool, swaps: &AtomicU64) {
    let mut random = Random::new(11);
    while !stop.load(Ordering::Relaxed) {
        for (one, other) in pairs {
            renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE).unwrap();
            swaps.fetch_add(1, Ordering::Relaxed);
        }
        match random.below(4) {
            0 => {}
            1 => std::thread::yield_now(),
            _ => std::thread::sleep(Duration::from_micros(random.below(400))),
        }
    }
}

/// An attack that goes on until this is dropped.
pub(crate) struct Attack {
    threads: Vec<JoinHandle<()>>,
    stop: Arc<AtomicBool>,
    swaps: Arc<AtomicU64>,
}

impl Attack {
    /// How often something was swapped.
    pub(crate) fn swaps(&self) -> u64 {
        self.swaps.load(Ordering::Relaxed)
    }
}

impl Drop for Attack {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let ended = thread.join();
            assert!(
                ended.is_ok() || std::thread::panicking(),
                "the attacker failed"
            );
        }
    }
}

/// What of the outside is found in a folder that holds copies, by name, owner or content.
pub(crate) fn leaks(folder: &Path) -> io::Result<Vec<String>> {
    use std::os::unix::fs::MetadataExt as _;
    let mut found = Vec::new();
    for entry in walkdir::WalkDir::new(folder) {
        let entry = entry.map_err(io::Error::from)?;
        let path = entry.path();
        let stat = path.symlink_metadata()?;
        let mut leak = |what: &str| found.push(format!("{what} of {}", path.display()));
        if entry.file_name().to_string_lossy().contains(SECRET_NAME) {
            leak("name");
        }
        if stat.uid() == SECRET_OWNER {
            leak("owner");
        }
        let length = SECRET_NAME.len();
        if stat.is_file() {
            let content = fs::read(path)?;
            if content.windows(SECRET.len()).any(|part| part == SECRET) {
                leak("content");
            }
            if content
                .windows(length)
                .any(|part| part == SECRET_NAME.as_bytes())
            {
                leak("mention");
            }
        }
    }
    Ok(found)
}
