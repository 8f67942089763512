//! Tags: what stands in a folder and says that it is left out.
//!
//! Owns the verdict on a folder, from its names as they were listed, so that no two walks can disagree:
//! it is a cache if it has a valid `CACHEDIR.TAG`, of which the folder and the tag are kept, and it is left
//! out as a whole if it has an entry that `local.excludeIfPresent` names. It also measures what is left
//! out, up to a limit: that is looked at for nothing else.

use std::{
    collections::HashSet,
    ffi::OsStr,
    io::Read as _,
    sync::atomic::{AtomicU64, Ordering},
};

use schema::StoredPath;

use crate::sys::{Dir, Folder, Kind, Listed, Stat, bytes};

/// The name of the tag of a cache.
const CACHE_TAG: &str = "CACHEDIR.TAG";
/// What the tag begins with (bford.info/cachedir, "Cache Directory Tagging Specification" 0.6).
const SIGNATURE: &[u8; 43] = b"Signature: 8a477f597d28d172789f06886806bc55";
/// Entries left out that are counted in one source: a build of some size has as many.
const COUNTED: u64 = 100_000;

/// Which tags count.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tags<'a> {
    /// The tag of caches.
    pub caches: bool,
    /// Names of entries whose folder is left out.
    pub names: &'a [String],
}

/// What a tag says of its folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tagged {
    /// All but the tag is left out.
    Cache,
    /// It is left out.
    Whole,
}

/// What is left out of one folder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Measured {
    pub(crate) entries: u64,
    /// On disk.
    pub(crate) bytes: u64,
    /// Not all was counted.
    pub(crate) at_least: bool,
}

impl Tags<'_> {
    /// What a folder's tags say of it; its names are sorted by their bytes.
    ///
    /// Only whom the folder belongs to has a say, and root: in a folder that others may write to, one of them
    /// could take away the backup of everybody else's files.
    pub(super) fn judge(&self, dir: &Dir, names: &[Listed]) -> Option<Tagged> {
        let has = |name: &str| {
            let found = names.binary_search_by(|listed| bytes(&listed.name).cmp(name.as_bytes()));
            found.is_ok() && has_a_say(dir, name)
        };
        if self.names.iter().any(|name| has(name)) {
            return Some(Tagged::Whole);
        }
        let is_cache = self.caches && has(CACHE_TAG) && is_valid_tag(dir);
        is_cache.then_some(Tagged::Cache)
    }
}

/// Whether an entry belongs to root, or to whom its folder belongs to.
fn has_a_say(dir: &Dir, name: &str) -> bool {
    let (Ok(tag), Ok(folder)) = (dir.stat_unasked(OsStr::new(name)), dir.stat_self()) else {
        return false;
    };
    tag.uid == 0 || tag.uid == folder.uid
}

/// Whether a name is that of the tag of a cache.
pub(super) fn is_cache_tag(name: &OsStr) -> bool {
    name == CACHE_TAG
}

/// Whether the tag of a cache is one. What cannot be read is none: its folder is backed up.
fn is_valid_tag(dir: &Dir) -> bool {
    let name = OsStr::new(CACHE_TAG);
    // Nothing but a file is opened, for a device may do something then.
    let is_file = |stat: &Stat| stat.kind == Kind::File && stat.size >= SIGNATURE.len() as u64;
    if !dir.stat_unasked(name).is_ok_and(|stat| is_file(&stat)) {
        return false;
    }
    let Ok(mut file) = dir.file_here(name) else {
        return false;
    };
    let mut begins = [0; SIGNATURE.len()];
    Stat::of_fd(&file).is_ok_and(|stat| is_file(&stat))
        && file.read_exact(&mut begins).is_ok()
        && begins == *SIGNATURE
}

/// Counts what is left out of one source, up to a limit.
#[derive(Debug, Default)]
pub(super) struct Meter {
    counted: AtomicU64,
}

impl Meter {
    /// Counts these entries of a folder with all that is in them. What `is_passed` names, by its path, is not
    /// looked at.
    pub(super) fn measure(
        &self,
        folder: &Folder,
        path: &StoredPath,
        names: Vec<Listed>,
        is_passed: &dyn Fn(&StoredPath) -> bool,
    ) -> Measured {
        let mut found = Measured::default();
        let mut files: HashSet<(u64, u64)> = HashSet::new();
        let mut waiting = vec![(folder.clone(), path.to_owned(), Some(names))];
        while let Some((folder, path, names)) = waiting.pop() {
            let Ok(dir) = folder.open() else {
                found.at_least = true;
                continue;
            };
            let Ok(names) = names.map_or_else(|| dir.list_once(), Ok) else {
                found.at_least = true;
                continue;
            };
            for Listed { name, .. } in names {
                let path = path.join(bytes(&name));
                if is_passed(&path) {
                    continue;
                }
                if self.counted.fetch_add(1, Ordering::Relaxed) >= COUNTED {
                    found.at_least = true;
                    return found;
                }
                found.entries += 1;
                let Ok(stat) = dir.stat_unasked(&name) else {
                    continue;
                };
                if stat.kind == Kind::Folder {
                    waiting.push((folder.child_here(&name), path, None));
                }
                // Builds have many names of one file.
                if stat.kind == Kind::Folder || stat.nlink < 2 || files.insert((stat.dev, stat.ino))
                {
                    found.bytes = found.bytes.saturating_add(stat.allocated);
                }
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink, path::Path};

    use super::*;

    fn judged(folder: &Path, tags: Tags<'_>) -> Option<Tagged> {
        let dir = Dir::root().unwrap();
        let dir = dir.folder_below(&bytes(folder.as_os_str())[1..]).unwrap();
        let mut names = dir.list().unwrap();
        names.sort_unstable_by(|a, b| bytes(&a.name).cmp(bytes(&b.name)));
        tags.judge(&dir, &names)
    }

    #[test]
    fn a_tag_is_a_file_that_begins_with_the_signature() {
        let temporary = tempfile::tempdir().unwrap();
        let top = temporary.path().canonicalize().unwrap();
        let caches = Tags {
            caches: true,
            names: &[],
        };
        let tag = top.join(CACHE_TAG);
        assert_eq!(judged(&top, caches), None);
        for (content, is_cache) in [
            (&b""[..], false),
            (b"no\n", false),
            (&SIGNATURE[..42], false),
            (b"Signature: 8a477f597d28d172789f06886806bc5X", false),
            (b" Signature: 8a477f597d28d172789f06886806bc55", false),
            (&SIGNATURE[..], true),
            (
                b"Signature: 8a477f597d28d172789f06886806bc55\n# by a build\n",
                true,
            ),
        ] {
            fs::write(&tag, content).unwrap();
            assert_eq!(
                judged(&top, caches),
                is_cache.then_some(Tagged::Cache),
                "{content:?}"
            );
        }
        assert_eq!(judged(&top, Tags::default()), None);
        fs::rename(&tag, top.join("true")).unwrap();
        symlink("true", &tag).unwrap();
        assert_eq!(judged(&top, caches), None, "a symlink");
        fs::remove_file(&tag).unwrap();
        fs::create_dir(&tag).unwrap();
        assert_eq!(judged(&top, caches), None, "a folder");
    }

    #[test]
    fn any_entry_of_a_name_leaves_its_folder_out_also_if_it_is_a_cache() {
        let temporary = tempfile::tempdir().unwrap();
        let top = temporary.path().canonicalize().unwrap();
        let names = ["x".to_owned(), ".nobackup".to_owned()];
        let tags = Tags {
            caches: true,
            names: &names,
        };
        fs::write(top.join(CACHE_TAG), SIGNATURE).unwrap();
        fs::write(top.join(".nobackup2"), "").unwrap();
        assert_eq!(judged(&top, tags), Some(Tagged::Cache));
        fs::create_dir(top.join(".nobackup")).unwrap();
        assert_eq!(judged(&top, tags), Some(Tagged::Whole));
    }
}
