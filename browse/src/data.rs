//! What is shown, and where it comes from.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use schema::{StoredPath, StoredPathBuf, output::EntryKind};

/// Why something cannot be shown, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// A sentence.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

/// What was asked for, or why it cannot be had.
pub type Read<T> = Result<T, Fault>;

/// A request to give something up: nobody waits for it any more.
#[derive(Debug, Clone, Default)]
pub struct Cancel(Arc<AtomicUsize>);

impl Cancel {
    /// Asks; the number is that of a signal, for who takes [`Self::cell`] for one's.
    pub(crate) fn ask(&self) {
        self.0.store(15, Ordering::Relaxed);
    }

    /// Whether it was asked.
    #[must_use]
    pub fn is_asked(&self) -> bool {
        self.0.load(Ordering::Relaxed) != 0
    }

    /// 0 until it was asked.
    #[must_use]
    pub fn cell(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.0)
    }
}

/// Where all that is shown comes from. It is asked by threads, and may take its time.
pub trait Source: Send + Sync {
    /// The snapshots.
    ///
    /// # Errors
    /// Why there is nothing to be seen.
    fn overview(&self) -> Read<Overview>;

    /// What is in a folder of the snapshot of this name.
    ///
    /// # Errors
    /// Why that cannot be read.
    fn folder(&self, snapshot: &str, path: &StoredPath, cancel: &Cancel) -> Read<Folder>;

    /// What a path was in all snapshots.
    ///
    /// # Errors
    /// Why that cannot be read.
    fn versions(&self, path: &StoredPath, cancel: &Cancel) -> Read<Versions>;

    /// Finds a text in the names of all snapshots, whatever its case; `each` gets the paths as they are
    /// found and says whether it wants more. Gives what could not be searched.
    ///
    /// # Errors
    /// Why nothing can be searched.
    fn find(
        &self,
        text: &str,
        cancel: &Cancel,
        each: &mut dyn FnMut(FoundPath) -> bool,
    ) -> Read<Option<String>>;

    /// What changed at and below a path from one snapshot to another, in lines.
    ///
    /// # Errors
    /// Why that cannot be read.
    fn changes(
        &self,
        before: &str,
        after: &str,
        path: &StoredPath,
        cancel: &Cancel,
    ) -> Read<Vec<String>>;

    /// The content of a file of a snapshot; none where it is longer than `most` bytes.
    ///
    /// # Errors
    /// Why that cannot be read.
    fn content(
        &self,
        snapshot: &str,
        path: &StoredPath,
        most: u64,
        cancel: &Cancel,
    ) -> Read<Option<Vec<u8>>>;

    /// A time in seconds since 1970, as people read it.
    fn time(&self, seconds: i64) -> String;
}

/// A destination that can be browsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub place: String,
}

/// All snapshots of a place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overview {
    /// What the place is called.
    pub place: String,
    /// The name of the destination, where there are several.
    pub destination: Option<String>,
    /// Its snapshots, the newest first.
    pub snapshots: Vec<Snapshot>,
    /// What a person should know besides.
    pub notes: Vec<Fault>,
}

/// How a snapshot stands, for its colour.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Standing {
    /// Whole, as far as anybody knows.
    #[default]
    Good,
    /// A person should look.
    Doubtful,
    /// Nothing is known of it but its files.
    Unknown,
}

/// A snapshot in the time line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// What commands call it.
    pub name: String,
    /// When it was made.
    pub time: String,
    /// The letters of its tiers.
    pub tiers: String,
    /// The bytes that it holds alone; empty where nobody knows.
    pub alone: String,
    /// Files and bytes of all that is in it; empty where nobody knows.
    pub holds: String,
    /// How it stands, in words.
    pub state: String,
    /// Why it is kept or goes.
    pub why: String,
    /// How it stands.
    pub standing: Standing,
    /// Whether it is kept whatever the retention says.
    pub pinned: bool,
    /// Whether it has a record, so that it can be pinned, deleted and verified.
    pub has_record: bool,
}

impl Snapshot {
    /// How it stands, in one letter.
    pub(crate) fn sign(&self) -> char {
        match (self.standing, self.pinned) {
            (Standing::Doubtful, _) => '!',
            (Standing::Unknown, _) => '?',
            (Standing::Good, true) => '*',
            (Standing::Good, false) => ' ',
        }
    }
}

/// An entry of a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Its name.
    pub name: Box<[u8]>,
    /// What it is.
    pub kind: EntryKind,
    /// Size in bytes; of regular files only.
    pub size: u64,
    /// Seconds since 1970 of the last change of content.
    pub mtime: Option<i64>,
}

/// What is in a folder of a snapshot.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Folder {
    /// Whether the snapshot has such a folder.
    pub is_there: bool,
    /// By name.
    pub items: Vec<Item>,
    /// Why not all of it is there.
    pub fault: Option<String>,
}

/// What a path was in the snapshots.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Versions {
    /// The newest first.
    pub versions: Vec<Version>,
    /// Why not all of them are known.
    pub fault: Option<String>,
}

/// A run of snapshots in which a path has the same content, or is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// The first of them.
    pub first: String,
    /// The last of them.
    pub last: String,
    /// How many they are.
    pub snapshots: u64,
    /// What it is; none where it is not there.
    pub kind: Option<EntryKind>,
    /// Size in bytes; of regular files only.
    pub size: u64,
    /// Seconds since 1970 of the last change of content.
    pub mtime: Option<i64>,
    /// Owner, mode and the like, each in a few words.
    pub about: Vec<(&'static str, String)>,
}

/// A path that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundPath {
    /// The path.
    pub path: StoredPathBuf,
    /// What it is in the newest snapshot that has it.
    pub kind: EntryKind,
    /// That snapshot.
    pub newest: String,
    /// Whether it is the newest of all.
    pub is_current: bool,
    /// How many different contents there are.
    pub versions: usize,
}
