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

use super::{
    job::{manifest_of, names_of},
    lookup,
};
use crate::{
    error::{Error, Result},
    event::Context,
    history::Search,
    store::Store,
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
    store: &Store,
    snapshot: Option<SnapshotId>,
    home_folder: &str,
    tree: &Dir,
    paths: &[PathBuf],
    into_one: bool,
    context: &Context<'_>,
) -> Result<Vec<Selection>> {
    let names = names_of(store, snapshot)?;
    let mut meant: BTreeSet<StoredPathBuf> = BTreeSet::new();
    for path in paths {
        let clean = lookup::clean_path(path)?;
        let found = lookup::find(tree, clean.clone(), home_folder, &names, || {
            manifest_of(store, snapshot)
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
                let matched = matching_names(store, snapshot, home_folder, tree, path, context)?;
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
    let mut folders: BTreeMap<StoredPathBuf, Vec<Vec<u8>>> = BTreeMap::new();
    let mut taken: BTreeMap<Vec<u8>, StoredPathBuf> = BTreeMap::new();
    for path in &meant {
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

fn is_pattern(path: &Path) -> bool {
    path.as_os_str()
        .as_bytes()
        .iter()
        .any(|byte| b"*?[".contains(byte))
}

/// All paths of a snapshot that a pattern means, which is from its root.
fn matching_names(
    store: &Store,
    snapshot: Option<SnapshotId>,
    home_folder: &str,
    tree: &Dir,
    pattern: &Path,
    context: &Context<'_>,
) -> Result<Vec<StoredPathBuf>> {
    let refused = |because: &str| {
        let pattern = display(pattern.as_os_str().as_bytes());
        Error::refused(format!("{pattern} is no pattern: {because}"))
            .hint("name the path itself, or the folder that holds it")
    };
    let pattern = pattern.as_os_str().as_bytes();
    let start = pattern.iter().position(|byte| *byte != b'/');
    let anchored = [b"/", &pattern[start.unwrap_or(pattern.len())..]].concat();
    let search = Search::pattern(&anchored).map_err(|fault| refused(&fault.to_string()))?;
    let mut found = Vec::new();
    if manifest_of(store, snapshot)?.is_some()
        && let Some(id) = snapshot
    {
        let mut chunks = store.manifest_text(id)?;
        let mut fault = None;
        while let Some(lines) = chunks
            .next_lines()
            .map_err(|error| store.io("read", &format!("the manifest of {id}"), error))?
        {
            context.stop.check()?;
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
        return match fault {
            None => Ok(found),
            Some(because) => Err(Error::failed(format!(
                "the manifest of {id} is damaged: {because}"
            ))
            .hint("name the paths instead of a pattern: they are found without it")),
        };
    }
    let io = |error: rustix::io::Errno| Error::io("look at", home_folder.as_bytes(), error);
    let bounds = Bounds {
        excludes: &Excludes::default(),
        one_file_system: false,
        never: None,
    };
    let stat = tree.stat_self().map_err(io)?;
    let mut walk = Walk::new(tree.again().map_err(io)?, ".".into(), &stat, bounds);
    while let Some(visit) = walk.next() {
        context.stop.check()?;
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
