//! Finds which file of the remote becomes which, and how few calls that takes.
//!
//! A call of rclone moves any number of files from one folder to another under the same names, or
//! one file under another name.

use std::collections::{BTreeMap, HashMap};

use schema::Digest;

/// A file of the remote that gets another name, by names in rclone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Move {
    /// What it was called.
    pub from: String,
    /// What it is called.
    pub to: String,
    /// Its size in bytes.
    pub size: u64,
}

/// Files that go from one folder to another with what their paths have in common at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MoveGroup {
    /// The folder that they leave; of a file that is called otherwise afterwards, its whole name.
    pub from: String,
    /// The folder that they come to, or the whole new name.
    pub to: String,
    /// Their names in both folders; none for one file that is called otherwise.
    pub names: Vec<String>,
}

/// Which file becomes which: as many as there are of the same content, those that keep their own
/// name first.
#[must_use]
pub fn pair_moves(had: Vec<(String, Digest, u64)>, come: Vec<(Digest, String, u64)>) -> Vec<Move> {
    let mut by_digest: HashMap<Digest, Vec<String>> = HashMap::new();
    for (key, digest, _) in had {
        by_digest.entry(digest).or_default().push(key);
    }
    for keys in by_digest.values_mut() {
        keys.sort_unstable_by(|one, other| other.cmp(one));
    }
    let mut pairs = Vec::new();
    let mut later = Vec::new();
    for (digest, to, size) in come {
        // Nothing is gained by moving what has no content.
        let Some(keys) = by_digest.get_mut(&digest).filter(|_| size > 0) else {
            continue;
        };
        match keys
            .iter()
            .rposition(|from| file_name_of(from) == file_name_of(&to))
        {
            Some(at) => {
                let from = keys.remove(at);
                pairs.push(Move { from, to, size });
            }
            None => later.push((digest, to, size)),
        }
    }
    for (digest, to, size) in later {
        if let Some(from) = by_digest.get_mut(&digest).and_then(Vec::pop) {
            pairs.push(Move { from, to, size });
        }
    }
    pairs.sort_unstable();
    pairs
}

fn file_name_of(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// The calls that bring files to their new names.
#[must_use]
pub fn group_moves<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Vec<MoveGroup> {
    let mut folders: BTreeMap<(&str, &str), Vec<String>> = BTreeMap::new();
    let mut alone = Vec::new();
    for (from, to) in pairs {
        match in_common(from, to) {
            0 => alone.push(MoveGroup {
                from: from.to_owned(),
                to: to.to_owned(),
                names: Vec::new(),
            }),
            length => {
                let folder = |path: &'a str| path[..path.len() - length].trim_end_matches('/');
                let names = folders.entry((folder(from), folder(to))).or_default();
                names.push(from[from.len() - length..].to_owned());
            }
        }
    }
    let folders = folders.into_iter().map(|((from, to), names)| MoveGroup {
        from: from.to_owned(),
        to: to.to_owned(),
        names,
    });
    folders.chain(alone).collect()
}

/// Length of what two paths have in common at their end, in whole names.
fn in_common(one: &str, other: &str) -> usize {
    let mut length = 0;
    for (a, b) in one.rsplit('/').zip(other.rsplit('/')) {
        if a != b {
            break;
        }
        length += a.len() + 1;
    }
    // Without the slash before the first of them.
    length.saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_was_renamed_is_one_call_and_a_file_that_was_renamed_another() {
        let found = group_moves([
            ("home/ann/a", "home/anna/a"),
            ("home/ann/x/b", "home/anna/x/b"),
            ("old.txt", "new.txt"),
            ("top", "below/top"),
        ]);
        let shown: Vec<(&str, &str, usize)> = found
            .iter()
            .map(|one| (&*one.from, &*one.to, one.names.len()))
            .collect();
        assert_eq!(
            shown,
            [
                ("", "below", 1),
                ("home/ann", "home/anna", 2),
                ("old.txt", "new.txt", 0)
            ]
        );
        assert_eq!(found[1].names, ["a", "x/b"]);
    }

    #[test]
    fn each_file_moves_once_and_rather_under_its_own_name() {
        let (one, other) = (Digest::of(b"one"), Digest::of(b"other"));
        let had = vec![
            ("a/x".to_owned(), one, 3),
            ("a/y".to_owned(), one, 3),
            ("a/z".to_owned(), other, 5),
        ];
        let come = vec![
            (one, "b/other".to_owned(), 3),
            (one, "b/y".to_owned(), 3),
            (one, "b/third".to_owned(), 3),
            (other, "b/z".to_owned(), 5),
        ];
        let moved = pair_moves(had, come);
        let shown: Vec<(&str, &str)> = moved.iter().map(|one| (&*one.from, &*one.to)).collect();
        assert_eq!(shown, [("a/x", "b/other"), ("a/y", "b/y"), ("a/z", "b/z")]);
        assert!(pair_moves(vec![("a".into(), one, 0)], vec![(one, "b".into(), 0)]).is_empty());
    }
}
