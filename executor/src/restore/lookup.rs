//! Finding the path to restore in a snapshot, and saying what is there instead if it is not.
//!
//! Descends by descriptor; a symlink in a snapshot is never followed.

use std::{
    ffi::{OsStr, OsString},
    path::Path,
};

use rustix::io::Errno;
use schema::{StoredPath, StoredPathBuf, escape::display};

use crate::{
    error::{Error, Result},
    manifest::{Cursor, Entry, Reader},
    names::StoredNames,
    sys::{Dir, Kind, Stat, bytes},
};

/// The entry to restore.
#[derive(Debug)]
pub(super) struct FoundEntry {
    /// The folder of the snapshot that holds it.
    pub(super) parent: Dir,
    /// Its name there; `.` for the whole snapshot.
    pub(super) name: OsString,
    /// Its path in the snapshot, without a leading slash.
    pub(super) path: StoredPathBuf,
    /// What the kernel says of it; none if only the manifest knows it.
    pub(super) stat: Option<Stat>,
    /// What it is.
    pub(super) kind: Kind,
}

/// The path as it is in a snapshot: no leading slash, no `.`; empty for the whole snapshot.
pub(super) fn clean_path(path: &Path) -> Result<StoredPathBuf> {
    let clean = StoredPathBuf::of_typed(bytes(path.as_os_str()));
    if clean.names().any(|name| name == b"..") {
        return Err(Error::refused(format!(
            "{} has `..` in it",
            display(bytes(path.as_os_str()))
        ))
        .hint("write the path as it was on the source, from the root"));
    }
    Ok(clean)
}

/// Finds a cleaned path in a snapshot's tree, or else in its manifest.
pub(super) fn find(
    tree: &Dir,
    path: StoredPathBuf,
    snapshot: &str,
    names: &StoredNames,
    manifest: impl Fn() -> Result<Option<Reader>>,
) -> Result<FoundEntry> {
    let mut dir = look_up_again(tree, snapshot)?;
    let mut at = 0;
    loop {
        let end = path[at..]
            .iter()
            .position(|byte| *byte == b'/')
            .map_or(path.len(), |length| at + length);
        let part = PathPart {
            path: &path,
            at,
            end,
            snapshot,
        };
        let name = match &path[at..end] {
            b"" => OsStr::new("."),
            _ => names.stored_name(part.here()),
        };
        let Some(stat) = dir.look(name).map_err(|error| part.io(error))? else {
            let kind = part.listed_kind(&dir, &manifest)?;
            return Ok(FoundEntry {
                parent: dir,
                name: name.to_owned(),
                stat: None,
                kind,
                path,
            });
        };
        if part.is_last() {
            return Ok(FoundEntry {
                parent: dir,
                name: name.to_owned(),
                stat: Some(stat),
                kind: stat.kind,
                path,
            });
        }
        dir = part.enter_folder(&dir, name, stat.kind)?;
        at = end + 1;
    }
}

/// One name of a path that is looked up: what stands from `at` to `end`.
struct PathPart<'a> {
    path: &'a StoredPath,
    at: usize,
    end: usize,
    snapshot: &'a str,
}

impl PathPart<'_> {
    /// The path up to this name.
    fn here(&self) -> &StoredPath {
        StoredPath::new(&self.path[..self.end])
    }

    fn is_last(&self) -> bool {
        self.end == self.path.len()
    }

    fn io(&self, error: Errno) -> Error {
        let path = StoredPath::new(self.snapshot).join(self.here());
        Error::io("look at", &path, error)
    }

    /// What the manifest says that the path means, where the tree has no such name; an error if it
    /// says nothing of it.
    fn listed_kind(
        &self,
        dir: &Dir,
        manifest: impl Fn() -> Result<Option<Reader>>,
    ) -> Result<Kind> {
        match listed_entry(self.here(), manifest)? {
            Some(entry) if self.is_last() => Ok(entry.kind),
            Some(entry) if entry.kind == Kind::Symlink => Err(through_symlink(
                self.here(),
                self.snapshot,
                &entry.target.unwrap_or_default(),
            )),
            _ => Err(self.missing_error(dir)),
        }
    }

    /// Goes into the folder that leads on; an error if it is none.
    fn enter_folder(&self, dir: &Dir, name: &OsStr, kind: Kind) -> Result<Dir> {
        let (here, snapshot) = (self.here(), self.snapshot);
        let io = |error| self.io(error);
        match kind {
            Kind::Folder => dir.folder(name).map_err(io),
            Kind::Symlink => {
                let target = dir.read_symlink(name).map_err(io)?;
                Err(through_symlink(here, snapshot, bytes(&target)))
            }
            _ => Err(Error::refused(format!(
                "{} is not a folder in snapshot {snapshot}, so {} is not there",
                here.shown(),
                self.path.shown()
            ))
            .hint(format!("restore {} itself", here.shown()))),
        }
    }

    /// The error that `dir` does not have this name.
    fn missing_error(&self, dir: &Dir) -> Error {
        let Self {
            path, at, snapshot, ..
        } = *self;
        let parent = StoredPath::new(&path[..at.saturating_sub(1)]).shown();
        let error = Error::refused(format!("{} is not in snapshot {snapshot}", path.shown()));
        let similar = similar_names(&dir.names().unwrap_or_default(), &path[at..self.end]);
        if similar.is_empty() {
            return error.hint(format!(
                "{parent} is there; `backup list` shows other snapshots that may have it"
            ));
        }
        let prefix = if parent == "/" { "" } else { &parent };
        let similar: Vec<String> = similar
            .iter()
            .map(|name| format!("{prefix}/{}", display(bytes(name))))
            .collect();
        error.hint(format!(
            "{parent} is there; did you mean {}?",
            similar.join(" or ")
        ))
    }
}

fn look_up_again(tree: &Dir, snapshot: &str) -> Result<Dir> {
    tree.again()
        .map_err(|error| Error::io("open", snapshot.as_bytes(), error))
}

/// What the manifest says of a path; nothing if it cannot be read.
fn listed_entry(
    path: &StoredPath,
    manifest: impl Fn() -> Result<Option<Reader>>,
) -> Result<Option<Entry>> {
    let Some(reader) = manifest()? else {
        return Ok(None);
    };
    Ok(Cursor::new(reader).find(path).unwrap_or_default())
}

fn through_symlink(here: &StoredPath, snapshot: &str, target: &[u8]) -> Error {
    let real = if target.starts_with(b"/") {
        display(target)
    } else {
        here.parent().unwrap_or_default().join(target).shown()
    };
    Error::refused(format!(
        "{} is a symlink to {} in snapshot {snapshot}, and a restore follows none",
        here.shown(),
        display(target)
    ))
    .hint(format!("name the path below {real} instead"))
}

/// Up to three names that start or end as this one does, or differ only in case.
fn similar_names(names: &[OsString], wanted: &[u8]) -> Vec<OsString> {
    let wanted = wanted.to_ascii_lowercase();
    let mut scored: Vec<(usize, &OsString)> = names
        .iter()
        .filter_map(|name| {
            let lower = bytes(name).to_ascii_lowercase();
            let same = |pairs: &mut dyn Iterator<Item = (&u8, &u8)>| {
                pairs.take_while(|(a, b)| a == b).count()
            };
            let head = same(&mut lower.iter().zip(&wanted));
            let tail = same(&mut lower.iter().rev().zip(wanted.iter().rev()));
            let longest = lower.len().max(wanted.len());
            let shared = (head + tail).min(longest);
            (shared * 3 >= longest * 2).then_some((longest - shared, name))
        })
        .collect();
    scored.sort();
    scored
        .into_iter()
        .take(3)
        .map(|(_, name)| name.clone())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_cleaned_and_never_climbs() {
        assert_eq!(
            clean_path(Path::new("/home//ann/./x/")).unwrap().as_bytes(),
            b"home/ann/x"
        );
        assert_eq!(clean_path(Path::new("/")).unwrap().as_bytes(), b"");
        assert_eq!(clean_path(Path::new(".")).unwrap().as_bytes(), b"");
        assert!(clean_path(Path::new("home/../x")).is_err());
    }

    #[test]
    fn names_alike_are_offered_and_strangers_are_not() {
        let names: Vec<OsString> = ["Documents", "Downloads", "music"].map(Into::into).into();
        assert_eq!(similar_names(&names, b"documents"), ["Documents"]);
        assert_eq!(similar_names(&names, b"Docments"), ["Documents"]);
        assert!(similar_names(&names, b"x").is_empty());
    }
}
