//! What was read of the records of a destination's snapshots, so that where there are many of them each
//! run need not read and parse all of them again.
//!
//! It is only a cache, and holds of a file with exactly the inode, size and times that it had when it was
//! read, if it had been at rest then. So does what it says of what stood beside the record: of a folder
//! with exactly the inode and times of then, and a manifest and marks with those that they had. Whoever can forge these on a disk makes this machine go on with what
//! it once read there itself; so it serves to list snapshots, while what a snapshot is linked to, and
//! whatever is verified, restored or checked by `health`, is read from the disk each time.
//!
//! Missing, damaged, another user's or of another format, it is as if there were none. It is written anew
//! once it lacks more than a few, so that most runs only read it.

use std::{
    collections::{HashMap, HashSet},
    ffi::OsStr,
    fmt::{self, Write as _},
    ops::Range,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use chrono::DateTime;
use schema::{
    Digest, SnapshotId,
    record::{SnapshotMarks, SnapshotRecord},
};

use super::open::StateDir;
use crate::{
    error::Result,
    manifest::{self, segments},
    store::MARKS_FILE,
    sys::{Dir, Kind, Stat, stat::Nanos},
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

/// What the kernel says of a file, by which it is known again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FileFacts {
    ino: u64,
    size: u64,
    mtime: Nanos,
    ctime: Nanos,
}

impl FileFacts {
    pub(super) fn of(stat: &Stat) -> Self {
        Self {
            ino: stat.ino,
            size: stat.size,
            mtime: stat.mtime,
            ctime: stat.ctime,
        }
    }

    /// Whether a file was last changed before a time, so that another change has another time.
    pub(super) fn is_at_rest(stat: &Stat, latest: Nanos) -> bool {
        stat.mtime.max(stat.ctime) < latest
    }

    /// Reads what [`fmt::Display`] wrote, whose first word was taken already.
    fn parse<'t>(ino: &str, words: &mut impl Iterator<Item = &'t str>) -> Option<Self> {
        Some(Self {
            ino: ino.parse().ok()?,
            size: words.next()?.parse().ok()?,
            mtime: words.next()?.parse().ok()?,
            ctime: words.next()?.parse().ok()?,
        })
    }
}

impl fmt::Display for FileFacts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            ino,
            size,
            mtime,
            ctime,
        } = self;
        write!(f, "{ino} {size} {mtime} {ctime}")
    }
}

/// What stands beside a snapshot's record, in the folder that this is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beside {
    /// The folder: another one has other files, and so has one in which a file was made, removed or
    /// replaced since.
    folder: FileFacts,
    /// Its manifest, or the list of the manifest's segments, which has something in it.
    manifest: (&'static str, FileFacts),
    /// What was said of the snapshot since, where anything was.
    marks: Option<(FileFacts, SnapshotMarks)>,
}

impl Beside {
    /// What was found, in this order; none where it may have changed meanwhile without another time.
    pub(crate) fn new(
        folder: &Stat,
        marks: Option<&(Stat, SnapshotMarks)>,
        manifest: (&'static str, &Stat),
        index: &RecordIndex,
    ) -> Option<Self> {
        let marked = marks.map(|(stat, _)| stat);
        // A time that could not be read back would cost the whole index.
        let verified = marks.and_then(|(_, marks)| marks.verified_at);
        if verified.is_some_and(|at| DateTime::parse_from_rfc3339(&at.to_rfc3339()).is_err()) {
            return None;
        }
        let mut all = [Some(folder), marked, Some(manifest.1)].into_iter();
        let at_rest = all.all(|one| one.is_none_or(|one| index.is_at_rest(one)));
        at_rest.then(|| Self {
            folder: FileFacts::of(folder),
            manifest: (manifest.0, FileFacts::of(manifest.1)),
            marks: marks.map(|(stat, marks)| (FileFacts::of(stat), marks.clone())),
        })
    }

    /// Whether the kernel says the same of all of it now; `look` asks it of a path below the folder of all
    /// snapshots' records, without following a symlink at its end. The folder is asked for first: as long as it
    /// is the same, no symlink took the place of anything in it.
    pub(crate) fn is_unchanged(&self, id: &str, look: &dyn Fn(&str) -> Option<Stat>) -> bool {
        let is_same = |path: &str, facts: &FileFacts, kind: Kind| {
            look(path).is_some_and(|stat| stat.kind == kind && FileFacts::of(&stat) == *facts)
        };
        let marks = self.marks.as_ref();
        is_same(id, &self.folder, Kind::Folder)
            && is_same(
                &format!("{id}/{}", self.manifest.0),
                &self.manifest.1,
                Kind::File,
            )
            && match marks {
                Some((facts, _)) => is_same(&format!("{id}/{MARKS_FILE}"), facts, Kind::File),
                // Where several disks are shown as one, a folder has the time of one of them.
                None => look(&format!("{id}/{MARKS_FILE}")).is_none(),
            }
    }

    /// What was said of the snapshot.
    pub(crate) fn marks(&self) -> SnapshotMarks {
        self.marks
            .as_ref()
            .map(|(_, marks)| marks.clone())
            .unwrap_or_default()
    }

    /// The words of a line that tell of it.
    fn to_words(beside: Option<&Self>) -> String {
        let Some(Self {
            folder,
            manifest,
            marks,
        }) = beside
        else {
            return "-".to_owned();
        };
        let marks = marks.as_ref().map_or_else(
            || "-".to_owned(),
            |(facts, marks)| {
                let verified = marks.verified_at.map(|at| at.to_rfc3339());
                let verified = verified.as_deref().unwrap_or("-");
                format!("{facts} {} {} {verified}", marks.pinned, marks.accepted)
            },
        );
        format!("{folder} {} {} {marks}", manifest.0, manifest.1)
    }

    /// Reads them; the outer one is none where they are not as they are written.
    fn parse<'t>(words: &mut impl Iterator<Item = &'t str>) -> Option<Option<Self>> {
        let first = words.next()?;
        if first == "-" {
            return Some(None);
        }
        let folder = FileFacts::parse(first, words)?;
        let name = words.next()?;
        let mut names = [segments::LIST_PATH, manifest::FILE_NAME].into_iter();
        let name = names.find(|known| *known == name)?;
        let facts = FileFacts::parse(words.next()?, words)?;
        let marks = match words.next()? {
            "-" => None,
            ino => Some((
                FileFacts::parse(ino, words)?,
                SnapshotMarks {
                    pinned: words.next()?.parse().ok()?,
                    accepted: words.next()?.parse().ok()?,
                    verified_at: match words.next()? {
                        "-" => None,
                        at => Some(DateTime::parse_from_rfc3339(at).ok()?),
                    },
                },
            )),
        };
        Some(Some(Self {
            folder,
            manifest: (name, facts),
            marks,
        }))
    }
}

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
        let mut known = HashMap::new();
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
    let latest = SystemTime::now().checked_sub(AT_REST);
    let since = latest.and_then(|latest| latest.duration_since(UNIX_EPOCH).ok());
    // A clock before all files says of none that it was at rest.
    since.map_or(0, |since| Nanos::try_from(since.as_nanos()).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const JSON: &str = "{\n  \"made_by\": \"backup 0\",\n  \"suspect\": []\n}\n";

    fn stat(ino: u64) -> Stat {
        Stat {
            ino,
            size: 7,
            ..Stat::of_nothing()
        }
    }

    fn id(at: usize) -> SnapshotId {
        format!("2025-01-01_00-00-{at:02}").parse().unwrap()
    }

    fn noting(text: Option<String>) -> RecordIndex {
        let found = text.and_then(|text| RecordIndex::parse("disk", text));
        RecordIndex {
            destination: "disk".to_owned(),
            read: Some(Vec::new()),
            at_rest: 1,
            ..found.unwrap_or_default()
        }
    }

    #[test]
    fn what_is_written_is_read_and_written_the_same_again() {
        let mut index = noting(None);
        for at in 0..3 {
            index.note(id(at), &stat(at as u64), JSON.as_bytes());
        }
        let first = index.to_text().unwrap();
        let mut again = noting(Some(first.clone()));
        // What is not recalled is forgotten.
        again.recalled = (0..2).map(id).collect();
        again.note(id(3), &stat(3), JSON.as_bytes());
        let second = again.to_text().unwrap();
        let third = noting(Some(second));
        assert_eq!(third.known.len(), 3);
        for at in [0, 1, 3] {
            let known = &third.known[&id(at)];
            assert_eq!(known.facts, FileFacts::of(&stat(at as u64)));
            assert_eq!(
                &third.text[known.json.clone()],
                "{\"made_by\": \"backup 0\",\"suspect\": []}"
            );
        }
        assert!(RecordIndex::parse("other", first.clone()).is_none());
        let cut = first[..first.len() - 1].to_owned();
        assert!(RecordIndex::parse("disk", cut).is_none());
    }

    #[test]
    fn what_stands_beside_a_record_is_read_as_it_was_written() {
        let mut index = noting(None);
        let marks = SnapshotMarks {
            pinned: true,
            accepted: false,
            verified_at: DateTime::parse_from_rfc3339("2025-01-01T02:03:04.5+01:00").ok(),
        };
        let besides = [
            Beside::new(&stat(1), None, (segments::LIST_PATH, &stat(2)), &index),
            Beside::new(
                &stat(3),
                Some(&(stat(4), marks)),
                (manifest::FILE_NAME, &stat(5)),
                &index,
            ),
            None,
        ];
        assert!(besides[0].is_some() && besides[1].is_some());
        for (at, beside) in besides.iter().enumerate() {
            index.note(id(at), &stat(at as u64), JSON.as_bytes());
            index.note_beside(id(at), beside.clone());
        }
        let again = noting(index.to_text());
        for (at, beside) in besides.iter().enumerate() {
            assert_eq!(again.beside(id(at)), beside.as_ref());
        }
        let young = Stat {
            mtime: 1,
            ..stat(1)
        };
        let old = stat(2);
        for (folder, manifest) in [(&young, &old), (&old, &young)] {
            let manifest = (segments::LIST_PATH, manifest);
            assert_eq!(Beside::new(folder, None, manifest, &again), None);
        }
    }

    #[test]
    fn what_stands_beside_a_record_is_the_same_only_as_a_whole() {
        let index = noting(None);
        let of = |ino, kind| Stat { kind, ..stat(ino) };
        let marks = SnapshotMarks::default();
        let beside = Beside::new(
            &stat(1),
            Some(&(stat(2), marks)),
            (segments::LIST_PATH, &stat(3)),
            &index,
        );
        let beside = beside.unwrap();
        let places = [
            ("a", of(1, Kind::Folder)),
            ("a/marks.json", of(2, Kind::File)),
            ("a/manifest/SHA256SUMS", of(3, Kind::File)),
        ];
        let same = |but: Option<(usize, Stat)>| {
            beside.is_unchanged("a", &|path| {
                let at = places.iter().position(|(known, _)| *known == path)?;
                Some(match but {
                    Some((changed, stat)) if changed == at => stat,
                    _ => places[at].1,
                })
            })
        };
        assert!(same(None));
        for (at, (_, was)) in places.iter().enumerate() {
            for stat in [
                Stat { ino: 9, ..*was },
                Stat { size: 9, ..*was },
                Stat { ctime: 9, ..*was },
                Stat { mtime: 9, ..*was },
                of(was.ino, Kind::Symlink),
            ] {
                assert!(!same(Some((at, stat))), "{at} {stat:?}");
            }
        }
        assert!(!beside.is_unchanged("a", &|_| None));

        // Marks that came since are noticed by themselves, whatever time the folder has.
        let manifest = (segments::LIST_PATH, &stat(3));
        let unmarked = Beside::new(&stat(1), None, manifest, &index).unwrap();
        let same = |marked: bool| {
            unmarked.is_unchanged("a", &|path| {
                let found = places.iter().find(|(known, _)| *known == path);
                found
                    .filter(|_| marked || path != "a/marks.json")
                    .map(|(_, stat)| *stat)
            })
        };
        assert!(same(false) && !same(true));
    }

    #[test]
    fn what_was_changed_a_moment_ago_is_not_noted() {
        let mut index = noting(None);
        let young = Stat {
            ctime: 1,
            ..stat(1)
        };
        index.note(id(1), &young, JSON.as_bytes());
        assert!(index.read.as_ref().unwrap().is_empty());
    }

    #[test]
    fn a_few_more_are_no_reason_to_write_it_anew() {
        let mut index = noting(None);
        for at in 0..=FEW {
            assert!(!index.is_outdated(), "{at}");
            index.note(id(at), &stat(at as u64), JSON.as_bytes());
        }
        assert!(index.is_outdated());
    }

    #[test]
    fn it_has_as_many_as_there_is_room_for() {
        let mut index = noting(None);
        let json = format!("{{\n\"problems\": \"{}\"\n}}\n", "x".repeat(5 << 20));
        for at in 0..5 {
            index.note(id(at), &stat(at as u64), json.as_bytes());
        }
        let text = index.to_text().unwrap();
        assert!(text.len() <= LONGEST_INDEX);
        assert_eq!(noting(Some(text)).known.len(), 3);
    }

    #[test]
    fn a_destination_chooses_no_path() {
        assert!(is_file_name("ee51c351-76ad-8197-8f16-51e5525f3301"));
        for id in ["", ".", "..", "a/b", "a\n", &"a".repeat(65)] {
            assert!(!is_file_name(id), "{id:?}");
        }
    }
}
