//! Paths as people type them: relative ones are of the folder that they stand in.

use std::{
    ffi::OsStr,
    os::unix::{ffi::OsStrExt as _, fs::MetadataExt as _},
    path::{Component, Path, PathBuf},
};

/// What a typed path may mean, from the root and the likeliest first: of this folder by the name that
/// the shell has for it, by its real name, or from the root, as manifests have it.
pub(crate) fn path_meanings(path: &Path) -> Vec<PathBuf> {
    if path.is_absolute() {
        return vec![path.to_owned()];
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
    if !climbs && !is_here && !meanings.contains(&from_root) {
        meanings.push(from_root);
    }
    meanings
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
    use super::*;

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
