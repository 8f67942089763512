//! Folders that moved as a whole: what `diff` lists entry by entry, in one line.
//!
//! Owns which lines belong together; what moved is known before, by content.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use schema::output::{
    EntryKind,
    diff::{ChangeKind, PathDifference},
};

/// A folder that is at another path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct MovedFolder {
    pub(super) from: String,
    pub(super) to: String,
    /// Files that moved with it.
    pub(super) files: u64,
    pub(super) bytes: u64,
}

/// The folders that moved, by where they came from and where they are.
#[derive(Debug, Default)]
pub(super) struct MovedFolders {
    all: Vec<MovedFolder>,
    /// The place in the list, by each path that is told with it.
    by_path: HashMap<(&'static str, String), usize>,
}

/// How a difference is told.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place<'a> {
    /// By itself.
    Alone,
    /// As a folder that moved.
    Head(&'a MovedFolder),
    /// With the folder that moved.
    Within,
}

impl MovedFolders {
    /// How a difference is told.
    pub(super) fn of(&self, one: &PathDifference) -> Place<'_> {
        let Some(at) = self.by_path.get(&(one.change.word(), one.path.clone())) else {
            return Place::Alone;
        };
        let folder = &self.all[*at];
        match one.change == ChangeKind::Added && one.path == folder.to {
            true => Place::Head(folder),
            false => Place::Within,
        }
    }
}

/// Finds folders that went and came with the same files at the same paths in them. What is in one of them
/// and not in the other stays alone.
pub(super) fn find_moved_folders(differences: &[PathDifference]) -> MovedFolders {
    let folders = |change: ChangeKind| -> BTreeSet<&str> {
        let all = differences.iter().filter(|one| {
            let side = one.before.as_ref().or(one.after.as_ref());
            one.change == change && side.is_some_and(|side| side.kind == EntryKind::Folder)
        });
        all.map(|one| one.path.as_str()).collect()
    };
    let (gone, come) = (folders(ChangeKind::Removed), folders(ChangeKind::Added));
    if gone.is_empty() || come.is_empty() {
        return MovedFolders::default();
    }
    let mut moved = MovedFolders::default();
    let mut known: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for one in differences {
        let Some(from) = one.from.as_deref() else {
            continue;
        };
        let Some((old, new)) = topmost(from, &one.path, &gone, &come) else {
            continue;
        };
        let at = *known.entry((old, new)).or_insert_with(|| {
            moved.all.push(MovedFolder {
                from: old.to_owned(),
                to: new.to_owned(),
                files: 0,
                bytes: 0,
            });
            moved.all.len() - 1
        });
        moved.all[at].files += 1;
        moved.all[at].bytes += one.after.as_ref().map_or(0, |side| side.size);
        moved
            .by_path
            .insert((one.change.word(), one.path.clone()), at);
    }
    // The folder with the most files is told first where two came into one or of one.
    let mut order: Vec<usize> = (0..moved.all.len()).collect();
    order.sort_by_key(|at| std::cmp::Reverse(moved.all[*at].files));
    let [removed, added] = [ChangeKind::Removed, ChangeKind::Added].map(ChangeKind::word);
    let mut taken: BTreeSet<(&str, &str)> = BTreeSet::new();
    let mut whole = vec![false; moved.all.len()];
    for at in order {
        let (old, new) = (moved.all[at].from.clone(), moved.all[at].to.clone());
        let (Some(old), Some(new)) = (gone.get(old.as_str()), come.get(new.as_str())) else {
            continue;
        };
        let is_free = !taken.contains(&(removed, *old)) && !taken.contains(&(added, *new));
        if !is_free {
            continue;
        }
        whole[at] = true;
        let from_there_on = come.range(*new..).take_while(|path| path.starts_with(*new));
        for there in from_there_on.filter(|path| is_at_or_below(path, new)) {
            let here = format!("{old}{}", &there[new.len()..]);
            if let Some(here) = gone.get(here.as_str()) {
                for (change, path) in [(removed, *here), (added, *there)] {
                    taken.insert((change, path));
                    moved.by_path.insert((change, path.to_owned()), at);
                }
            }
        }
    }
    moved.by_path.retain(|_, at| whole[*at]);
    moved
}

/// The topmost folders that went and came around a file that moved, with the same path in both.
fn topmost<'a>(
    from: &'a str,
    to: &'a str,
    gone: &BTreeSet<&str>,
    come: &BTreeSet<&str>,
) -> Option<(&'a str, &'a str)> {
    let mut found = None;
    let (mut from, mut to) = (from, to);
    loop {
        let ((old, name), (new, other)) = (from.rsplit_once('/')?, to.rsplit_once('/')?);
        if name != other || !gone.contains(old) || !come.contains(new) {
            return found;
        }
        found = Some((old, new));
        (from, to) = (old, new);
    }
}

fn is_at_or_below(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
