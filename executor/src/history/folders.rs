//! What each folder holds, and what was written in it from snapshot to snapshot.
//!
//! Memory goes with the folders that are told, which are bounded: what is in deeper ones, or in those beyond the
//! bound, is counted in those around them.

use std::collections::HashMap;

use schema::{SnapshotId, StoredPath, output::period_report::FolderArea};

use super::{
    diff::pass_differences,
    find::same_content,
    lines::{Lines, RecentTexts},
};
use crate::{
    error::Result,
    event::Context,
    manifest::{Entry, StoredLine},
    store::Store,
    sys::Kind,
};

/// How deep folders are that are told, and how many at most.
const DEEPEST: usize = 8;
const MOST: usize = 50_000;

/// What each folder of the last of these snapshots holds, and what was written in it from one of them to the
/// next: with all that is below it, by its path as [`schema::escape::escape`] writes it, without a leading slash.
/// The first one has no path, and is all of it.
///
/// # Errors
/// A manifest that cannot be read, or an interruption.
pub fn tally_folders(
    store: &Store,
    snapshots: &[SnapshotId],
    context: Context<'_>,
) -> Result<Vec<FolderArea>> {
    let mut tally = Tally::new();
    if let Some(newest) = snapshots.last() {
        tally.count_sizes(store, *newest, context)?;
    }
    for pair in snapshots.windows(2) {
        let pair = (pair[0], pair[1]);
        pass_differences(
            store,
            pair,
            StoredPath::root(),
            context,
            &mut |one, other| {
                tally.count_difference(one.as_ref(), other.as_ref());
            },
        )?;
    }
    Ok(tally.folders)
}

struct Tally {
    folders: Vec<FolderArea>,
    places: HashMap<Vec<u8>, usize>,
    /// The folder of the last entry, and the places of it and of those around it.
    last: Vec<u8>,
    around: Vec<usize>,
}

impl Tally {
    fn new() -> Self {
        Self {
            folders: vec![FolderArea::default()],
            places: HashMap::new(),
            last: Vec::new(),
            around: vec![0],
        }
    }

    fn count_sizes(&mut self, store: &Store, id: SnapshotId, context: Context<'_>) -> Result<()> {
        let texts = RecentTexts::default();
        let mut lines = Lines::open(store, id, StoredPath::root(), &texts)?;
        let mut steps = 0_u32;
        lines.advance()?;
        while let Some(path) = lines.path() {
            steps = steps.wrapping_add(1);
            if steps.is_multiple_of(4096) {
                context.stop.check()?;
            }
            let looks = match StoredLine::read(lines.line()) {
                Some(line) => line.looks,
                None => (&lines.entry()?).into(),
            };
            if looks.kind == Kind::File {
                self.add(
                    path,
                    &FolderArea {
                        bytes: looks.size,
                        files: 1,
                        ..FolderArea::default()
                    },
                );
            }
            lines.advance()?;
        }
        Ok(())
    }

    fn count_difference(&mut self, before: Option<&Entry>, after: Option<&Entry>) {
        let file = |side: Option<&Entry>| side.is_some_and(|entry| entry.kind == Kind::File);
        let size = |side: Option<&Entry>| {
            let file = side.filter(|entry| entry.kind == Kind::File);
            file.map_or(0, |entry| entry.size)
        };
        let is_same = match (before, after) {
            (Some(before), Some(after)) => same_content(before, after),
            _ => false,
        };
        let Some(entry) = before.or(after).filter(|_| !is_same) else {
            return;
        };
        if !file(before) && !file(after) {
            return;
        }
        let (was, is) = (size(before), size(after));
        let signed = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
        let written = file(after);
        let path = Lines::escaped(&entry.path);
        self.add(
            &path,
            &FolderArea {
                grown_bytes: signed(is).saturating_sub(signed(was)),
                changed_files: u64::from(written),
                changed_bytes: if written { is } else { 0 },
                ..FolderArea::default()
            },
        );
    }

    /// Counts this for the folders around an entry, whose path is as it stands in manifests.
    fn add(&mut self, path: &[u8], area: &FolderArea) {
        let end = path.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
        let folder = &path[..end];
        if folder != self.last {
            self.go_to(folder);
        }
        for place in &self.around {
            self.folders[*place].add(area);
        }
    }

    fn go_to(&mut self, folder: &[u8]) {
        self.last = folder.to_vec();
        self.around = vec![0];
        // All paths begin with a dot for the snapshot itself.
        let names = folder.strip_prefix(b"./").unwrap_or_default();
        let ends = names.iter().enumerate().filter(|(_, byte)| **byte == b'/');
        let ends = ends.map(|(at, _)| at).chain([names.len()]);
        for end in ends.take(DEEPEST).filter(|end| *end > 0) {
            let path = &names[..end];
            let place = match self.places.get(path) {
                Some(place) => *place,
                None if self.folders.len() == MOST => break,
                None => {
                    let place = self.folders.len();
                    self.places.insert(path.to_vec(), place);
                    self.folders.push(FolderArea {
                        path: String::from_utf8_lossy(path).into_owned(),
                        ..FolderArea::default()
                    });
                    place
                }
            };
            self.around.push(place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, size: u64, digest: u8) -> Entry {
        let line = format!(
            "./{path} type=file mode=0644 uid=0 gid=0 size={size} time=1.000000000 sha256digest={}",
            format!("{digest:02x}").repeat(32)
        );
        Entry::from_line(line.as_bytes()).unwrap()
    }

    fn told(tally: &Tally) -> Vec<(&str, i64, u64, u64)> {
        let folders = tally.folders.iter();
        folders
            .map(|one| {
                let path = one.path.as_str();
                (path, one.grown_bytes, one.changed_files, one.changed_bytes)
            })
            .collect()
    }

    #[test]
    fn what_comes_changes_and_goes_counts_for_each_folder_around_it() {
        let mut tally = Tally::new();
        tally.count_difference(None, Some(&file("home/ann/new", 100, 1)));
        let (one, other) = (
            file("home/ann/changed", 50, 1),
            file("home/ann/changed", 70, 2),
        );
        tally.count_difference(Some(&one), Some(&other));
        tally.count_difference(Some(&file("home/bob/gone", 30, 1)), None);
        // Only its time is another one.
        let mut touched = one.clone();
        touched.mtime += 1;
        tally.count_difference(Some(&one), Some(&touched));
        assert_eq!(
            told(&tally),
            [
                ("", 90, 2, 170),
                ("home", 90, 2, 170),
                ("home/ann", 120, 2, 170),
                ("home/bob", -30, 0, 0),
            ]
        );
    }

    #[test]
    fn what_is_deep_counts_for_the_deepest_folder_that_is_told() {
        let mut tally = Tally::new();
        let deep = "a/b/c/d/e/f/g/h/i/j/file";
        tally.count_difference(None, Some(&file(deep, 8, 1)));
        tally.count_difference(None, Some(&file("top", 2, 1)));
        let deepest = tally.folders.last().unwrap();
        assert_eq!(
            (deepest.path.as_str(), deepest.changed_bytes),
            ("a/b/c/d/e/f/g/h", 8)
        );
        assert_eq!(tally.folders[0].changed_bytes, 10);
        assert_eq!(tally.folders.len(), 1 + DEEPEST);
    }
}
