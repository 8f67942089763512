//! Databases among the files of a source, known by names alone: nothing is opened for that.
//!
//! What counts is what is written while it is copied: a file of SQLite only where a log or a journal
//! stands beside it. Keeps one name for each open folder, however large the folder is.

use std::{ffi::OsStr, os::unix::ffi::OsStrExt as _};

use schema::{
    StoredPath, escape,
    inventory::{DatabaseKind, Databases},
};

use crate::sys::{Dir, Kind};

/// What SQLite puts behind the name of a file for its write-ahead log and its rollback journal.
const BESIDE: [&[u8]; 2] = [b"-wal", b"-journal"];
/// A file in the folder of each cluster of PostgreSQL, and a folder beside it.
const PG_VERSION: &[u8] = b"PG_VERSION";
const PG_GLOBAL: &[u8] = b"global";
/// The first file of InnoDB's system tablespace.
const INNODB: &[u8] = b"ibdata1";

/// The names that were met in each open folder, in the manifest's order.
pub(super) struct Names(Vec<FolderLevel>);

impl Default for Names {
    fn default() -> Self {
        Self(vec![FolderLevel::default()])
    }
}

/// The names that were met in one folder, as far as one to come may be of the same database.
#[derive(Default)]
struct FolderLevel {
    /// The last name that was met.
    last: Vec<u8>,
    /// How long those of its beginnings are that are names of files, and whether such a file was
    /// counted. Names come in the order of their bytes, so no other file can be what a later name
    /// begins with.
    files: Vec<(usize, bool)>,
    has_pg_version: bool,
}

impl Names {
    /// Something other than a folder was met, or something that a pattern leaves out. Gives the
    /// database that is known now, and how many bytes less than this entry's its path has.
    pub(super) fn leaf(&mut self, name: &[u8], is_file: bool) -> Option<(DatabaseKind, usize)> {
        let level = self.0.last_mut()?;
        let same = level.last.iter().zip(name).take_while(|(a, b)| a == b);
        let same = same.count();
        while level.files.pop_if(|(length, _)| *length > same).is_some() {}
        level.last.truncate(same);
        level.last.extend_from_slice(&name[same..]);
        let mut found = None;
        for end in BESIDE.iter().filter(|end| name.ends_with(end)) {
            let length = name.len() - end.len();
            let mut files = level.files.iter_mut();
            if let Some((_, counted)) = files.find(|(file, counted)| *file == length && !counted) {
                *counted = true;
                found = Some((DatabaseKind::Sqlite, end.len()));
            }
        }
        if is_file {
            level.files.push((name.len(), false));
            level.has_pg_version |= name == PG_VERSION;
            if name == INNODB {
                found = Some((DatabaseKind::Mysql, name.len()));
            }
        }
        found
    }

    /// A folder was met; gives as `leaf` does.
    pub(super) fn folder(&mut self, name: &[u8]) -> Option<(DatabaseKind, usize)> {
        let level = self.0.last()?;
        (level.has_pg_version && name == PG_GLOBAL)
            .then_some((DatabaseKind::Postgresql, name.len()))
    }

    /// Goes into a folder.
    pub(super) fn enter(&mut self) {
        self.0.push(FolderLevel::default());
    }

    /// Goes out of it.
    pub(super) fn leave(&mut self) {
        self.0.pop();
    }
}

/// Counts one more database, which is at this path relative to its source.
pub(super) fn add_database(all: &mut Vec<Databases>, kind: DatabaseKind, path: &StoredPath) {
    match all.iter_mut().find(|one| one.kind == kind) {
        Some(known) => known.count += 1,
        None => {
            let first = Databases {
                kind,
                count: 1,
                example: escape::display(path),
            };
            all.insert(all.partition_point(|one| one.kind < kind), first);
        }
    }
}

/// Whether a source that is a file itself is one of SQLite's, of which the log beside it is in no
/// backup.
pub(super) fn is_open_database(parent: &Dir, name: &OsStr) -> bool {
    BESIDE.iter().any(|end| {
        let mut beside = name.to_owned();
        beside.push(OsStr::from_bytes(end));
        let stat = parent.stat(&beside);
        stat.is_ok_and(|stat| stat.kind == Kind::File)
    })
}

#[cfg(test)]
mod tests {
    use DatabaseKind::{Mysql, Postgresql, Sqlite};

    use super::*;

    type Found = Vec<(DatabaseKind, String)>;

    /// What is found in folders whose entries come in this order: `name/` goes into a folder, `..`
    /// goes out of it, `(name)` is no regular file or left out.
    fn found(entries: &[&str]) -> Found {
        let mut names = Names::default();
        let mut folders: Vec<String> = Vec::new();
        let mut all = Vec::new();
        for entry in entries {
            if *entry == ".." {
                names.leave();
                folders.pop();
                continue;
            }
            let folder = entry.strip_suffix('/');
            let other = entry
                .strip_prefix('(')
                .and_then(|name| name.strip_suffix(')'));
            let name = folder.or(other).unwrap_or(entry);
            let told = match folder {
                Some(_) => names.folder(name.as_bytes()),
                None => names.leaf(name.as_bytes(), other.is_none()),
            };
            if let Some((kind, less)) = told {
                let path = [folders.concat().as_str(), name].concat();
                all.push((kind, path[..path.len() - less].to_owned()));
            }
            if folder.is_some() {
                names.enter();
                folders.push((*entry).to_owned());
            }
        }
        all
    }

    #[test]
    fn databases_are_told_by_what_stands_beside_them() {
        let sqlite = |path: &str| vec![(Sqlite, path.to_owned())];
        let cases: [(&[&str], Found); 11] = [
            (&["a.db", "a.db-shm", "a.db-wal"], sqlite("a.db")),
            (&["a.db", "a.db-journal", "a.db-wal"], sqlite("a.db")),
            // Other names come between, and folders.
            (
                &["a", "a-1", "a-2", "a-folder/", "a", "..", "a-journal"],
                sqlite("a"),
            ),
            (&["d/", "a.db", "a.db-wal", "..", "a.db"], sqlite("d/a.db")),
            // The log alone is left out.
            (&["a.db", "(a.db-wal)"], sqlite("a.db")),
            // Nothing beside it, or only in another folder, or no file.
            (&["a.db", "b.db-wal", "c-journal", "d.wal"], vec![]),
            (&["a.db", "d/", "a.db-wal", ".."], vec![]),
            (&["(a.db)", "a.db-wal", "-wal"], vec![]),
            (
                &[
                    "main/",
                    "PG_VERSION",
                    "base/",
                    "1/",
                    "PG_VERSION",
                    "..",
                    "..",
                    "global/",
                    "..",
                    "..",
                ],
                vec![(Postgresql, "main/".to_owned())],
            ),
            (&["PG_VERSION", "d/", "global/", "..", ".."], vec![]),
            (
                &["mysql/", "ibdata1", "..", "(ibdata1)"],
                vec![(Mysql, "mysql/".to_owned())],
            ),
        ];
        for (entries, expected) in cases {
            assert_eq!(found(entries), expected, "{entries:?}");
        }
    }

    #[test]
    fn of_each_kind_the_first_is_named_and_all_are_counted() {
        let mut all = Vec::new();
        add_database(&mut all, Mysql, StoredPath::new(b"mysql"));
        add_database(&mut all, Sqlite, StoredPath::new(b"a\n.db"));
        add_database(&mut all, Sqlite, StoredPath::new(b"b.db"));
        let all: Vec<_> = all
            .iter()
            .map(|one| (one.kind, one.count, one.example.as_str()))
            .collect();
        assert_eq!(all, [(Sqlite, 2, "a\\012.db"), (Mysql, 1, "mysql")]);
    }
}
