//! Several paths and patterns to restore: which entries they mean, by the folder that holds them.
//!
//! Only looks. What a pattern means is found in the manifest, or in the tree where there is none.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    os::unix::ffi::{OsStrExt as _, OsStringExt as _},
    path::{Path, PathBuf},
};

use schema::{SnapshotId, StoredPathBuf, escape::display, pattern::Excludes};

use super::{lookup, recorded::RecordedSnapshot};
use crate::{
    error::{Error, Result},
    event::Context,
    history::Search,
    survey::Bounds,
    sys::Dir,
    walk::{Visit, Walk},
};

/// Folders that a pattern may lead to; more are better restored as a whole.
const FOLDERS: usize = 100;

/// Entries of one folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// The folder's path, without a leading slash.
    pub folder: PathBuf,
    /// Names in it, sorted.
    pub names: Vec<Vec<u8>>,
}

/// Finds what several paths mean, each of which may be a pattern as exclude patterns are.
///
/// A path that is there as it is written is no pattern. What lies below another path that is
/// meant too is left out.
///
/// # Errors
/// A refusal if one of them means nothing, if two would get the same name in one target, or if
/// there are too many folders.
pub fn select_paths(
    from: &RecordedSnapshot<'_>,
    home_folder: &str,
    tree: &Dir,
    paths: &[PathBuf],
    into_one: bool,
    context: &Context<'_>,
) -> Result<Vec<Selection>> {
    let searched = Searched {
        from,
        home_folder,
        tree,
        context,
    };
    let meant = searched.find_meant(paths)?;
    let folders = group_by_folder(&meant, into_one)?;
    if folders.len() > FOLDERS {
        return Err(Error::refused(format!(
            "that is in {} folders, and at most {FOLDERS} are restored at once",
            folders.len()
        ))
        .hint("restore the folder that holds them, or name fewer"));
    }
    Ok(folders
        .into_iter()
        .map(|(folder, names)| Selection {
            folder: PathBuf::from(OsString::from_vec(folder.to_absolute())),
            names,
        })
        .collect())
}

/// The names of paths by the folders that hold them, without what lies below another of the paths;
/// refused if two would get the same name in one target.
fn group_by_folder(
    meant: &BTreeSet<StoredPathBuf>,
    into_one: bool,
) -> Result<BTreeMap<StoredPathBuf, Vec<Vec<u8>>>> {
    let mut folders: BTreeMap<StoredPathBuf, Vec<Vec<u8>>> = BTreeMap::new();
    let mut taken: BTreeMap<Vec<u8>, StoredPathBuf> = BTreeMap::new();
    for path in meant {
        if path.folders_above().any(|above| meant.contains(above)) {
            continue;
        }
        let (folder, name) = path.split_name().unwrap_or_default();
        if into_one && let Some(other) = taken.insert(name.to_vec(), path.clone()) {
            return Err(Error::refused(format!(
                "{} and {} would both become {} in the target",
                other.shown(),
                path.shown(),
                display(name)
            ))
            .hint("restore them one after the other, to different targets"));
        }
        folders
            .entry(folder.to_owned())
            .or_default()
            .push(name.to_vec());
    }
    Ok(folders)
}

fn is_pattern(path: &Path) -> bool {
    path.as_os_str()
        .as_bytes()
        .iter()
        .any(|byte| b"*?[".contains(byte))
}

/// A snapshot in which paths are looked for.
struct Searched<'a> {
    from: &'a RecordedSnapshot<'a>,
    home_folder: &'a str,
    tree: &'a Dir,
    context: &'a Context<'a>,
}

impl Searched<'_> {
    /// All that paths and patterns mean.
    fn find_meant(&self, paths: &[PathBuf]) -> Result<BTreeSet<StoredPathBuf>> {
        let home_folder = self.home_folder;
        let names = self.from.names()?;
        let mut meant: BTreeSet<StoredPathBuf> = BTreeSet::new();
        for path in paths {
            let clean = lookup::clean_path(path)?;
            let found = lookup::find(self.tree, clean.clone(), home_folder, &names, || {
                self.from.manifest()
            });
            match found {
                Ok(_) if clean.is_empty() => {
                    return Err(
                        Error::refused("/ is everything, and cannot go with other paths")
                            .hint("restore / alone"),
                    );
                }
                Ok(_) => drop(meant.insert(clean)),
                Err(_) if is_pattern(path) => {
                    let matched = self.matching_names(path)?;
                    if matched.is_empty() {
                        return Err(Error::refused(format!(
                            "nothing in snapshot {home_folder} matches {}",
                            display(path.as_os_str().as_bytes())
                        ))
                        .hint("`backup find` searches all snapshots; quote patterns, or the shell takes them"));
                    }
                    meant.extend(matched);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(meant)
    }

    /// All paths of the snapshot that a pattern means, which is from its root.
    fn matching_names(&self, pattern: &Path) -> Result<Vec<StoredPathBuf>> {
        let refused = |because: &str| {
            let pattern = display(pattern.as_os_str().as_bytes());
            Error::refused(format!("{pattern} is no pattern: {because}"))
                .hint("name the path itself, or the folder that holds it")
        };
        let pattern = pattern.as_os_str().as_bytes();
        let start = pattern.iter().position(|byte| *byte != b'/');
        let anchored = [b"/", &pattern[start.unwrap_or(pattern.len())..]].concat();
        let search = Search::pattern(&anchored).map_err(|fault| refused(&fault.to_string()))?;
        if self.from.manifest()?.is_some()
            && let Some(id) = self.from.id
        {
            return self.match_manifest(id, &search);
        }
        self.match_tree(&search)
    }

    /// All paths of a manifest that a pattern means.
    fn match_manifest(&self, id: SnapshotId, search: &Search) -> Result<Vec<StoredPathBuf>> {
        let store = self.from.store;
        let mut found = Vec::new();
        let mut chunks = store.manifest_text(id)?;
        let mut fault = None;
        while let Some(lines) = chunks
            .next_lines()
            .map_err(|error| store.io("read", &format!("the manifest of {id}"), error))?
        {
            self.context.stop.check()?;
            search.lines(
                lines,
                &mut |line| match crate::manifest::Entry::from_line(line) {
                    Ok(entry) => {
                        found.push(entry.path);
                        true
                    }
                    Err(invalid) => {
                        fault = Some(invalid.because);
                        false
                    }
                },
            );
        }
        match fault {
            None => Ok(found),
            Some(because) => Err(Error::failed(format!(
                "the manifest of {id} is damaged: {because}"
            ))
            .hint("name the paths instead of a pattern: they are found without it")),
        }
    }

    /// All paths of the tree that a pattern means, without what is in folders that it means.
    fn match_tree(&self, search: &Search) -> Result<Vec<StoredPathBuf>> {
        let io =
            |error: rustix::io::Errno| Error::io("look at", self.home_folder.as_bytes(), error);
        let bounds = Bounds {
            excludes: &Excludes::default(),
            one_file_system: false,
            never: &[],
        };
        let mut found = Vec::new();
        let stat = self.tree.stat_self().map_err(io)?;
        let mut walk = Walk::new(self.tree.again().map_err(io)?, ".".into(), &stat, bounds);
        while let Some(visit) = walk.next() {
            self.context.stop.check()?;
            let is_folder = match visit {
                Visit::Enter(_) => true,
                Visit::Leaf(_) => false,
                _ => continue,
            };
            if search.matches(walk.path(), is_folder) {
                found.push(walk.path().to_owned());
                if is_folder {
                    walk.skip_content();
                }
            }
        }
        Ok(found)
    }
}
