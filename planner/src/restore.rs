//! What a person means who asks for a restore: which path, where it was, and what must not be
//! replaced unasked.

use std::{
    collections::BTreeSet,
    os::unix::ffi::OsStrExt as _,
    path::{Component, Path, PathBuf},
};

use schema::{Config, StoredPathBuf, config::AbsolutePath, plan::RestoreStep};

/// Whether a name or a path has characters of a pattern.
#[must_use]
pub fn is_pattern(path: &Path) -> bool {
    let bytes = path.as_os_str().as_bytes();
    bytes.iter().any(|byte| b"*?[".contains(byte))
}

/// The meaning of a typed path that a configuration makes likely: in a source, or above one; else
/// the first. `meanings` are paths from the root, the likeliest first, and at least one.
#[must_use]
pub fn likely_meaning(meanings: &[PathBuf], config: &Config) -> PathBuf {
    let is_known = |meaning: &&PathBuf| {
        let mut sources = config.local.sources.iter().map(|source| source.as_path());
        sources.any(|source| meaning.starts_with(source) || source.starts_with(meaning))
    };
    let known = meanings.iter().find(is_known).or(meanings.first());
    known.cloned().unwrap_or_else(|| PathBuf::from("/"))
}

/// Where a typed path is in a snapshot: as it is written where the snapshot has that, else as a
/// pattern below a folder that it has, else where a configuration makes it likely. `is_there` says
/// whether the snapshot has a path.
#[must_use]
pub fn locate_in_snapshot(
    meanings: &[PathBuf],
    config: &Config,
    is_there: impl Fn(&Path) -> bool,
) -> PathBuf {
    let found = meanings.iter().find(|meaning| is_there(meaning));
    let found = found.or_else(|| {
        let mut patterns = meanings.iter();
        patterns.find(|meaning| {
            let plain = before_pattern(meaning);
            plain != **meaning && is_there(&plain)
        })
    });
    found.map_or_else(|| likely_meaning(meanings, config), Clone::clone)
}

/// The part of a path before the first name that may be a pattern.
fn before_pattern(path: &Path) -> PathBuf {
    let special = |part: &Component<'_>| {
        let name = part.as_os_str().as_bytes();
        name.iter().any(|byte| b"*?[\\".contains(byte))
    };
    path.components()
        .take_while(|part| !special(part))
        .collect()
}

/// The same as a stored path: what of a remote has to be downloaded.
#[must_use]
pub fn folder_to_download(path: &Path) -> StoredPathBuf {
    let path = StoredPathBuf::of_typed(path.as_os_str().as_bytes());
    let may_be_pattern = |name: &[u8]| name.iter().any(|byte| b"*?[\\".contains(byte));
    StoredPathBuf::of_names(path.names().take_while(|name| !may_be_pattern(name)))
}

/// Where a path of a snapshot was on the machine.
#[must_use]
pub fn original_path(path: &Path) -> PathBuf {
    Path::new("/").join(path.strip_prefix("/").unwrap_or(path))
}

/// The folders on the way to sources, relative to a path that is restored to where it was: a symlink
/// that stands there now is what the source was read through.
#[must_use]
pub fn folders_to_sources(config: &Config, path: &Path, target: &Path) -> Vec<Vec<u8>> {
    let path: PathBuf = original_path(path).components().collect();
    if path != target {
        return Vec::new();
    }
    let mut through = BTreeSet::new();
    for source in &config.local.sources {
        let above = source.as_path().ancestors();
        let below = above.filter_map(|one| one.strip_prefix(&path).ok());
        through.extend(below.map(|one| one.as_os_str().as_bytes().to_vec()));
    }
    through.into_iter().collect()
}

/// Whether something is there that is not as the snapshot has it.
#[must_use]
pub fn would_replace(step: &RestoreStep) -> bool {
    step.conflict_count + step.put_right_count > 0
}

/// Why none of several restores is begun: what one of them would replace, and nobody allowed it. One
/// alone looks for itself.
#[must_use]
pub fn why_none_begins(steps: &[RestoreStep]) -> Option<String> {
    let mut steps = steps.iter().filter(|_| steps.len() > 1);
    let step = steps.find(|step| would_replace(step) && !step.overwrite)?;
    let put_right = step.put_right.iter();
    let put_right = put_right.map(|one| format!("{} ({})", one.path, one.what));
    let named: Vec<String> = step.conflicts.iter().cloned().chain(put_right).collect();
    Some(format!(
        "would replace what is there and differs from the snapshot: {} in {}",
        named.join(", "),
        step.target
    ))
}

/// The configuration of a destination that is a folder of downloads: it holds what was brought from
/// the cloud, of this host, and nothing of it is on a drive of its own.
#[must_use]
pub fn config_of_downloads(config: &Config, host: &str, folder: AbsolutePath) -> Config {
    let mut config = config.clone();
    config.hostname = Some(host.to_owned());
    config.local.enable = true;
    config.local.mount_point = folder;
    config.local.require_mount = false;
    config.local.file_system_uuid = None;
    config.local.allow_full_copies = true;
    config
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(sources: &[&str]) -> Config {
        serde_json::from_value(serde_json::json!({
            "local": {"enable": true, "sources": sources, "fileSystemUUID": "abc"},
        }))
        .unwrap()
    }

    fn paths(all: &[&str]) -> Vec<PathBuf> {
        all.iter().map(PathBuf::from).collect()
    }

    #[test]
    fn a_path_is_what_the_snapshot_has_then_a_pattern_then_what_sources_make_likely() {
        let config = config(&["/home/ann"]);
        let meanings = paths(&["/srv/x/*.jpg", "/home/ann/*.jpg", "/*.jpg"]);
        let locate = |there: &[&str]| {
            let there = paths(there);
            locate_in_snapshot(&meanings, &config, |path| {
                there.iter().any(|one| one == path)
            })
        };
        assert_eq!(locate(&["/*.jpg", "/srv/x"]), Path::new("/*.jpg"));
        assert_eq!(locate(&["/home/ann"]), Path::new("/home/ann/*.jpg"));
        assert_eq!(locate(&[]), Path::new("/home/ann/*.jpg"));
        let elsewhere = paths(&["/a", "/b"]);
        assert_eq!(likely_meaning(&elsewhere, &config), Path::new("/a"));
    }

    #[test]
    fn only_folders_before_a_pattern_are_downloaded() {
        let folder = |path: &str| folder_to_download(Path::new(path)).escaped();
        assert_eq!(folder("/home/./ann/*.jpg"), "home/ann");
        assert_eq!(folder("/home/ann"), "home/ann");
        assert_eq!(folder("/*"), "");
        assert!(is_pattern(Path::new("/a/[bc]")));
        assert!(!is_pattern(Path::new("/a/b\\c")));
    }

    #[test]
    fn symlinks_on_the_way_to_sources_count_where_a_path_was() {
        let config = config(&["/home/ann", "/home/bob/work"]);
        let through = |path: &str, target: &str| {
            folders_to_sources(&config, Path::new(path), Path::new(target))
        };
        assert_eq!(
            through("home", "/home"),
            [&b""[..], b"ann", b"bob", b"bob/work"]
        );
        assert!(through("/home", "/elsewhere").is_empty());
    }

    #[test]
    fn of_several_restores_none_begins_that_would_replace_something_unasked() {
        let step = |conflicts: &[&str], overwrite: bool| -> RestoreStep {
            serde_json::from_value(serde_json::json!({
                "snapshot": null,
                "folder": "daily/x",
                "path": "home",
                "target": "/home",
                "overwrite": overwrite,
                "aside_suffix": ".before",
                "creates": 0,
                "already_there": 0,
                "bytes": 0,
                "conflicts": conflicts,
                "conflict_count": conflicts.len(),
            }))
            .unwrap()
        };
        let (clean, conflicting) = (step(&[], false), step(&["letter"], false));
        assert_eq!(why_none_begins(std::slice::from_ref(&conflicting)), None);
        assert_eq!(why_none_begins(&[clean.clone(), clean.clone()]), None);
        let because = why_none_begins(&[clean.clone(), conflicting]).unwrap();
        assert!(because.ends_with("letter in /home"), "{because}");
        assert_eq!(why_none_begins(&[clean, step(&["letter"], true)]), None);
    }

    #[test]
    fn downloads_are_a_destination_that_needs_no_drive() {
        let config = config(&["/home/ann"]);
        let made = config_of_downloads(&config, "ash", AbsolutePath::new("/var/tmp/x"));
        assert_eq!(made.hostname.as_deref(), Some("ash"));
        assert_eq!(made.local.mount_point.as_str(), "/var/tmp/x");
        assert!(!made.local.require_mount && made.local.allow_full_copies);
        assert_eq!(made.local.file_system_uuid, None);
        assert_eq!(made.local.sources, config.local.sources);
    }
}
