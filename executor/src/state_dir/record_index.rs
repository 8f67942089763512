//! What was read of the records of a destination's snapshots, so that where there are many of them each
//! run need not read and parse all of them again.
//!
//! It is only a cache, and holds of a file with exactly the inode, size and times that it had when it was
//! read, if it had been at rest then. So does what it says of what stood beside the record: of a folder
//! with exactly the inode and times of then, and a manifest and marks with those that they had. Whoever can
//! forge these on a disk makes this machine go on with what it once read there itself; so it serves to list
//! snapshots, while what a snapshot is linked to, and whatever is verified, restored or checked by `health`,
//! is read from the disk each time.
//!
//! Missing, damaged, another user's or of another format, it is as if there were none. It is written anew
//! once it lacks more than a few, so that most runs only read it.

mod beside;
mod facts;

use std::{
    collections::{HashMap, HashSet},
    ffi::OsStr,
    fmt::Write as _,
    ops::Range,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use schema::{Digest, SnapshotId, record::SnapshotRecord};

pub use self::beside::Beside;
pub(super) use self::facts::FileFacts;
use super::open::StateDir;
use crate::{
    error::Result,
    sys::{Dir, Stat, stat::Nanos},
};

/// The folder of the indexes, one file for each destination.
pub(super) const AREA: &str = "record-index";
/// First word of an index and version of its format.
const HEADER: &str = "record-index 2";
/// Longest index, in bytes: ten thousand records of few sources have as much. Of more it has as many as
/// there is room for, and the others are read each time: it is in memory beside what it says.
const LONGEST_INDEX: usize = 16 << 20;
/// Longest that the words of a line are that stand before a record.
const LONGEST_WORDS: usize = 700;
/// Bytes that a line usually has, of a snapshot of few sources.
const USUAL_LINE: usize = 1000;
/// Longest that its first two lines are.
const LONGEST_HEAD: usize = 200;
/// Destinations that have an index at most.
const MOST_INDEXES: usize = 16;
/// A file that was changed so shortly before it was read may be changed again without another time: no
/// file system cuts time more coarsely than to two seconds.
const AT_REST: Duration = Duration::from_secs(3);
/// An index that lacks no more than this, and one in [`FEW_OF`] of all, is left as it is.
const FEW: usize = 16;
const FEW_OF: usize = 50;

/// A record that an index has.
#[derive(Debug)]
struct Known {
    facts: FileFacts,
    beside: Option<Beside>,
    /// Where its JSON stands in the index.
    json: Range<usize>,
}

/// A record that was read beside an index.
#[derive(Debug)]
struct Read {
    id: SnapshotId,
    facts: FileFacts,
    beside: Option<Beside>,
    json: String,
}

/// The index of a destination's records, and what was read beside it.
#[derive(Debug, Default)]
pub struct RecordIndex {
    destination: String,
    text: String,
    known: HashMap<SnapshotId, Known>,
    recalled: HashSet<SnapshotId>,
    /// What was read; none where nothing is to be kept.
    read: Option<Vec<Read>>,
    /// Bytes of it.
    read_bytes: usize,
    /// Of how many recalled records something else was found beside them.
    changed_beside: usize,
    /// What was changed later than this was not at rest.
    at_rest: Nanos,
}

impl RecordIndex {
    /// One of which nothing is known, and which keeps nothing.
    #[must_use]
    pub fn empty() -> Self {
        Self::default()
    }

    /// The record of a snapshot whose file is the one that was read once.
    pub(crate) fn recall(&mut self, id: SnapshotId, stat: &Stat) -> Option<SnapshotRecord> {
        let known = self.known.get(&id)?;
        if known.facts != FileFacts::of(stat) {
            return None;
        }
        let json = self.text.get(known.json.clone())?;
        let record = serde_json::from_str(json).ok()?;
        self.recalled.insert(id);
        Some(record)
    }

    /// Whether the record of a snapshot, whose file is this one, was read once.
    pub(crate) fn has(&self, id: SnapshotId, stat: &Stat) -> bool {
        let known = self.known.get(&id);
        known.is_some_and(|known| known.facts == FileFacts::of(stat))
    }

    /// Whether there is anything to recall of a snapshot.
    pub(crate) fn knows(&self, id: SnapshotId) -> bool {
        self.known.contains_key(&id)
    }

    /// What stood beside a snapshot's record when all of it was at rest.
    pub(crate) fn beside(&self, id: SnapshotId) -> Option<&Beside> {
        self.known.get(&id)?.beside.as_ref()
    }

    /// Whether anything that is noted is kept.
    pub(crate) fn keeps(&self) -> bool {
        self.read.is_some()
    }

    fn is_at_rest(&self, stat: &Stat) -> bool {
        FileFacts::is_at_rest(stat, self.at_rest)
    }

    /// Notes a record that was read, by the JSON in its file and what the kernel said of that before.
    pub(crate) fn note(&mut self, id: SnapshotId, stat: &Stat, json: &[u8]) {
        let is_at_rest = self.is_at_rest(stat);
        let (Some(read), Ok(json), true) = (&mut self.read, std::str::from_utf8(json), is_at_rest)
        else {
            return;
        };
        // No string of JSON has a line end in it, so those that are there only part its tokens.
        let json: String = json.lines().map(str::trim).collect();
        let bytes = json.len() + LONGEST_WORDS;
        if self.text.len() + self.read_bytes + bytes <= LONGEST_INDEX - LONGEST_HEAD {
            self.read_bytes += bytes;
            read.push(Read {
                id,
                facts: FileFacts::of(stat),
                beside: None,
                json,
            });
        }
    }

    /// Notes what stood beside a record that was recalled or noted last.
    pub(crate) fn note_beside(&mut self, id: SnapshotId, beside: Option<Beside>) {
        if self.recalled.contains(&id) {
            let known = self.known.get_mut(&id);
            if let Some(known) = known.filter(|known| known.beside != beside) {
                known.beside = beside;
                self.changed_beside += 1;
            }
            return;
        }
        let last = self.read.as_mut().and_then(|read| read.last_mut());
        if let Some(last) = last.filter(|last| last.id == id) {
            last.beside = beside;
        }
    }

    /// Whether so much changed that it is worth to be written anew.
    fn is_outdated(&self) -> bool {
        let read = self.read.as_ref().map_or(0, Vec::len);
        let gone = self.known.len() - self.recalled.len();
        read + gone + self.changed_beside > FEW + (read + self.recalled.len()) / FEW_OF
    }

    /// The index as it is written; none if it does not have what it recalled.
    fn to_text(&self) -> Option<String> {
        let mut body = format!("{HEADER} {}\n", self.destination);
        for id in &self.recalled {
            let Known {
                facts,
                beside,
                json,
            } = self.known.get(id)?;
            let beside = Beside::to_words(beside.as_ref());
            let json = self.text.get(json.clone())?;
            writeln!(body, "{id} {facts} {beside} {json}").ok()?;
        }
        for read in self.read.iter().flatten() {
            let beside = Beside::to_words(read.beside.as_ref());
            writeln!(body, "{} {} {beside} {}", read.id, read.facts, read.json).ok()?;
        }
        Some(format!("{}\n{body}", Digest::of(body.as_bytes())))
    }

    /// Reads an index of this destination.
    fn parse(destination: &str, text: String) -> Option<Self> {
        let (digest, body) = text.split_once('\n')?;
        if Digest::from_hex(digest.as_bytes()) != Some(Digest::of(body.as_bytes())) {
            return None;
        }
        let mut at = text.len() - body.len();
        let mut lines = body.split_inclusive('\n');
        let header = lines.next()?;
        if header.trim_end().strip_prefix(HEADER)?.trim_start() != destination {
            return None;
        }
        at += header.len();
        let mut known = HashMap::with_capacity(body.len() / USUAL_LINE);
        for line in lines {
            // The first of JSON is a brace, and no word before it has one.
            let (words, _) = line.split_at(line.find('{')?);
            let end = at + line.strip_suffix('\n')?.len();
            let json = at + words.len()..end;
            let mut words = words.trim_end().split(' ');
            let id = words.next()?.parse().ok()?;
            let facts = FileFacts::parse(words.next()?, &mut words)?;
            let beside = Beside::parse(&mut words)?;
            known.insert(
                id,
                Known {
                    facts,
                    beside,
                    json,
                },
            );
            at += line.len();
        }
        Some(Self {
            destination: destination.to_owned(),
            text,
            known,
            ..Self::default()
        })
    }
}

impl StateDir {
    /// The index of a destination's records. What is read beside it is noted if `keeps` it is asked for.
    #[must_use]
    pub fn record_index(&self, destination: &str, keeps: bool) -> RecordIndex {
        let found = is_file_name(destination)
            .then(|| self.read_index(destination))
            .flatten();
        RecordIndex {
            destination: destination.to_owned(),
            read: (keeps && is_file_name(destination)).then(Vec::new),
            at_rest: latest_at_rest(),
            ..found.unwrap_or_default()
        }
    }

    fn read_index(&self, destination: &str) -> Option<RecordIndex> {
        let (area, _) = self.existing_area(AREA).ok()??;
        if !is_own(&area.stat_self().ok()?) {
            return None;
        }
        let file = area.open_whole(destination).ok()??;
        if !is_own(&file.stat) {
            return None;
        }
        let text = String::from_utf8(file.read(LONGEST_INDEX as u64).ok()?).ok()?;
        RecordIndex::parse(destination, text)
    }

    /// Keeps what was read beside an index, where that is more than a little.
    ///
    /// # Errors
    /// Fails if the state directory cannot be written.
    pub fn keep_record_index(&self, index: &RecordIndex) -> Result<()> {
        if index.read.is_none() || !index.is_outdated() {
            return Ok(());
        }
        let Some(text) = index.to_text() else {
            return Ok(());
        };
        let (area, path) = self.area(AREA)?;
        let io = |error: std::io::Error| crate::Error::io("write", path.as_bytes(), error);
        area.write_whole(&index.destination, text.as_bytes())
            .map_err(io)?;
        drop_surplus(&area, &index.destination);
        Ok(())
    }
}

/// Removes the indexes that were written longest ago, but for this one, where there are too many.
fn drop_surplus(area: &Dir, but: &str) {
    let names = area.names().unwrap_or_default();
    let mut others: Vec<_> = names
        .into_iter()
        .filter(|name| name != OsStr::new(but))
        .map(|name| (area.stat(&name).map_or(0, |stat| stat.mtime), name))
        .collect();
    others.sort_unstable();
    let surplus = (others.len() + 1).saturating_sub(MOST_INDEXES);
    for (_, name) in others.into_iter().take(surplus) {
        // What cannot be removed is not read either.
        let _ = area.remove_file(&name);
    }
}

/// Whether nobody but the user who runs this can have written it.
fn is_own(stat: &Stat) -> bool {
    stat.uid == rustix::process::geteuid().as_raw() && stat.mode & 0o022 == 0
}

/// Whether the id of a destination, which its disk says, can be the name of a file.
fn is_file_name(id: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    (1..=64).contains(&id.len()) && id.bytes().all(plain)
}

/// What was changed last before this was at rest.
pub(super) fn latest_at_rest() -> Nanos {
    latest_before(AT_REST)
}

/// So long before now.
pub(super) fn latest_before(span: Duration) -> Nanos {
    let latest = SystemTime::now().checked_sub(span);
    let since = latest.and_then(|latest| latest.duration_since(UNIX_EPOCH).ok());
    // A clock before all files says of none that it was at rest.
    since.map_or(0, |since| Nanos::try_from(since.as_nanos()).unwrap_or(0))
}

#[cfg(test)]
mod tests;
