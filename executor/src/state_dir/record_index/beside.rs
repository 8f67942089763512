//! What stands beside a snapshot's record: its folder, its manifest and its marks.

use chrono::DateTime;
use schema::record::SnapshotMarks;

use super::{FileFacts, RecordIndex};
use crate::{
    manifest::{self, segments},
    store::MARKS_FILE,
    sys::{Kind, Stat},
};

/// Longest that the paths are which are looked at, each of a snapshot and one of its files.
const LONGEST_PATH: usize = 64;

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
        let mut path = String::with_capacity(LONGEST_PATH);
        let mut below = |name: &str, is_so: &dyn Fn(&str) -> bool| {
            path.clear();
            for part in [id, "/", name] {
                path.push_str(part);
            }
            is_so(&path)
        };
        let (manifest, manifest_facts) = &self.manifest;
        is_same(id, &self.folder, Kind::Folder)
            && below(manifest, &|path| is_same(path, manifest_facts, Kind::File))
            && below(MARKS_FILE, &|path| match &self.marks {
                Some((facts, _)) => is_same(path, facts, Kind::File),
                // Where several disks are shown as one, a folder has the time of one of them.
                None => look(path).is_none(),
            })
    }

    /// What was said of the snapshot.
    pub(crate) fn marks(&self) -> SnapshotMarks {
        self.marks
            .as_ref()
            .map(|(_, marks)| marks.clone())
            .unwrap_or_default()
    }

    /// The words of a line that tell of it.
    pub(super) fn to_words(beside: Option<&Self>) -> String {
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
    pub(super) fn parse<'t>(words: &mut impl Iterator<Item = &'t str>) -> Option<Option<Self>> {
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
