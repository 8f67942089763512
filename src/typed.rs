//! Paths as people type them: relative ones are of the folder that they stand in, and one in a snapshot's
//! own folder is the one in the snapshot.

use std::{
    ffi::OsStr,
    os::unix::{ffi::OsStrExt as _, fs::MetadataExt as _},
    path::{Component, Path, PathBuf},
};

use schema::{SnapshotId, Tier};

/// What a typed path may mean, from the root and the likeliest first: of this folder by the name that
/// the shell has for it, by its real name, or from the root, as manifests have it.
pub(crate) fn path_meanings(path: &Path) -> Vec<PathBuf> {
    if path.is_absolute() {
        let folded = fold_dots(path);
        let in_snapshot = path_in_snapshot(&folded).or_else(|| path_in_latest(&folded));
        return std::iter::once(path.to_owned())
            .chain(in_snapshot)
            .collect();
    }
    let bases = folder_of_shell()
        .into_iter()
        .chain(std::env::current_dir().ok());
    let from_root = Path::new("/").join(path);
    let mut meanings: Vec<PathBuf> = Vec::new();
    let climbs = path.components().any(|part| part == Component::ParentDir);
    let is_here = fold_dots(path) == Path::new("/");
    for base in bases {
        let meaning = fold_dots(&quote_for_pattern(path, &base).join(path));
        if !meanings.contains(&meaning) {
            meanings.push(meaning);
        }
    }
    let in_snapshot = meanings.iter().find_map(|path| path_in_snapshot(path));
    meanings.extend(in_snapshot);
    if !climbs && !is_here && !meanings.contains(&from_root) {
        meanings.push(from_root);
    }
    meanings
}

/// What a path is in the snapshot whose folder it leads through, as `daily/2025-01-16_02-00-00/home`; none
/// where it leads through none.
fn path_in_snapshot(path: &Path) -> Option<PathBuf> {
    let names: Vec<&OsStr> = path.iter().collect();
    let is_snapshot = |at: &usize| {
        let text = |at: usize| names[at].to_str().unwrap_or_default();
        let in_tier = text(*at).parse::<Tier>().is_ok();
        in_tier && text(*at + 1).parse::<SnapshotId>().is_ok()
    };
    let at = (0..names.len().saturating_sub(1)).find(is_snapshot)?;
    Some(Path::new("/").join(names[at + 2..].iter().collect::<PathBuf>()))
}

/// What a path is in the snapshot that `latest` leads to on it.
fn path_in_latest(path: &Path) -> Option<PathBuf> {
    let of_link = |above: &&Path| above.file_name() == Some(OsStr::new("latest"));
    let link = path.ancestors().find(of_link)?;
    let rest = path.strip_prefix(link).ok()?;
    path_in_snapshot(&link.canonicalize().ok()?.join(rest))
}

/// A path from the root and without `.` and `..`, as a configuration or a unit has it. What `..` is of is where
/// symlinks lead to; where nothing is there, the name before it is left out.
///
/// # Errors
/// Fails if the current folder is not there any more.
pub(crate) fn whole_path(path: &Path) -> std::io::Result<PathBuf> {
    let whole = std::path::absolute(path)?;
    let mut plain = PathBuf::new();
    for part in whole.components() {
        match part {
            Component::ParentDir => {
                plain = plain.canonicalize().unwrap_or(plain);
                plain.pop();
            }
            part => plain.push(part),
        }
    }
    Ok(plain)
}

/// The current folder as the shell calls it, where symlinks led to it.
fn folder_of_shell() -> Option<PathBuf> {
    let told = PathBuf::from(std::env::var_os("PWD")?);
    let inode = |path: &Path| path.metadata().ok().map(|found| (found.dev(), found.ino()));
    let is_it =
        told.is_absolute() && inode(&told).is_some() && inode(&told) == inode(Path::new("."));
    is_it.then_some(told)
}

/// A folder before a path: as part of a pattern it must not become one.
fn quote_for_pattern(path: &Path, base: &Path) -> PathBuf {
    let special = |byte: &u8| b"*?[\\".contains(byte);
    if !path
        .as_os_str()
        .as_bytes()
        .iter()
        .any(|byte| b"*?[".contains(byte))
    {
        return base.to_owned();
    }
    let mut quoted = Vec::new();
    for byte in base.as_os_str().as_bytes() {
        if special(byte) {
            quoted.push(b'\\');
        }
        quoted.push(*byte);
    }
    PathBuf::from(OsStr::from_bytes(&quoted))
}

/// A path without `.` and `..`: what it starts with is a current folder, so no symlink is skipped.
fn fold_dots(path: &Path) -> PathBuf {
    let mut folded = PathBuf::from("/");
    for part in path.components() {
        match part {
            Component::ParentDir => drop(folded.pop()),
            Component::Normal(name) => folded.push(name),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    folded
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_whole_path_goes_where_symlinks_lead_before_it_goes_up() {
        let temporary = tempfile::tempdir().unwrap();
        let top = temporary.path().canonicalize().unwrap();
        std::fs::create_dir_all(top.join("a/b")).unwrap();
        symlink("a/b", top.join("link")).unwrap();
        let whole = |path: &str| whole_path(&top.join(path)).unwrap();
        assert_eq!(whole("link/../c"), top.join("a/c"));
        assert_eq!(whole("./none/../c"), top.join("c"));
        assert_eq!(whole("link/c"), top.join("link/c"));
        assert_eq!(whole_path(Path::new("/../x")).unwrap(), Path::new("/x"));
    }

    #[test]
    fn a_path_through_a_snapshot_is_the_one_in_it() {
        let of = |path: &str| path_in_snapshot(Path::new(path));
        let stored = "/mnt/b/atlas/weekly/2025-01-16_02-00-00";
        let inside = of(&format!("{stored}/home/ann"));
        assert_eq!(inside.as_deref(), Some(Path::new("/home/ann")));
        assert_eq!(of(stored).as_deref(), Some(Path::new("/")));
        for none in [
            "/home/ann",
            "/a/daily",
            "/a/daily/x",
            "/2025-01-16_02-00-00/x",
        ] {
            assert_eq!(of(none), None, "{none}");
        }
        let found = path_meanings(Path::new(&format!("{stored}/etc")));
        assert_eq!(found.len(), 2);
        assert_eq!(found[1], Path::new("/etc"));
    }

    #[test]
    fn a_relative_path_is_of_this_folder_and_else_from_the_root() {
        let here = std::env::current_dir().unwrap();
        let meanings_of = |path: &str| path_meanings(Path::new(path));
        assert_eq!(meanings_of("/a/b"), [Path::new("/a/b")]);
        let found = meanings_of("./a//b");
        assert!(found.contains(&here.join("a/b")));
        assert_eq!(found.last().unwrap(), Path::new("/a/b"));
        let above = here.parent().unwrap().join("x");
        assert!(meanings_of("../x").contains(&above));
        assert!(!meanings_of("../x").contains(&PathBuf::from("/x")));
        assert!(!meanings_of(".").contains(&PathBuf::from("/")));
    }

    #[test]
    fn a_folder_with_stars_in_its_name_is_no_pattern() {
        let base = Path::new("/home/a*b[c]");
        assert_eq!(
            quote_for_pattern(Path::new("*.jpg"), base),
            Path::new("/home/a\\*b\\[c]")
        );
        assert_eq!(quote_for_pattern(Path::new("plain"), base), base);
    }
}
