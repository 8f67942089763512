//! What must be restorable: the content of every snapshot, and which must still be there.
//!
//! Knows nothing of the program: it reads folders and keeps the rules of retention in its own words.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use chrono::NaiveDate;
use test_support::must_be_kept;

use crate::home::Tree;

/// A snapshot that was made.
pub(crate) struct Made {
    /// What it must hold.
    pub(crate) holds: Tree,
    /// The day it stands for.
    pub(crate) day: NaiveDate,
    /// Whether nothing was missing in it.
    pub(crate) complete: bool,
    /// Whether it counts in retention: not suspect, not dated in the future.
    pub(crate) counts: bool,
}

/// All that was ever made on a destination and not taken away by the user, and what its rules keep.
pub(crate) struct Model {
    pub(crate) made: BTreeMap<String, Made>,
    keep: (usize, usize, usize),
    last: usize,
}

impl Default for Model {
    fn default() -> Self {
        Self::keeping(KEEP, LAST)
    }
}

/// Folders in which snapshots stand.
const TIERS: [&str; 5] = ["hourly", "daily", "weekly", "monthly", "yearly"];

/// How many of each the policy keeps.
pub(crate) const KEEP: (usize, usize, usize) = (7, 4, 6);

/// How many stay whatever their day.
const LAST: usize = 3;

impl Model {
    /// A destination that keeps so many days, weeks and months, and so many whatever their day.
    pub(crate) fn keeping(keep: (usize, usize, usize), last: usize) -> Self {
        Self {
            made: BTreeMap::new(),
            keep,
            last,
        }
    }

    /// The newest that counts.
    pub(crate) fn newest_good(&self) -> Option<&String> {
        let mut good = self.made.iter().filter(|(_, one)| one.counts);
        good.next_back().map(|(id, _)| id)
    }

    /// Snapshots that the policy must not have let go: of each of the last days, weeks and months
    /// that have a snapshot, one; and the last three whatever their day.
    pub(crate) fn must_be_there(&self) -> Vec<BTreeSet<&str>> {
        let all = self.made.iter();
        let good = all.filter(|(_, one)| one.counts && one.complete);
        let good: Vec<_> = good.map(|(id, one)| (id.as_str(), one.day)).collect();
        must_be_kept(&good, self.keep, self.last)
    }

    /// Fails if more of these are there than the policy has places, and one for the newest that was
    /// verified: for a night in which nothing is held back.
    pub(crate) fn none_too_many(&self, found: &BTreeMap<String, PathBuf>) {
        let (daily, weekly, monthly) = self.keep;
        let all = found.keys().map(|id| &self.made[id]);
        let count = all.filter(|one| one.complete && one.counts).count();
        let most = daily + weekly + monthly + self.last + 1;
        assert!(count <= most, "{count} and not {most}: {:?}", found.keys());
    }
}

/// Where each snapshot stands, by id: folders in the tiers, not links.
pub(crate) fn found(host: &Path) -> BTreeMap<String, PathBuf> {
    let mut all = BTreeMap::new();
    for tier in TIERS {
        let Ok(entries) = fs::read_dir(host.join(tier)) else {
            continue;
        };
        for entry in entries {
            let path = entry.unwrap().path();
            let meta = path.symlink_metadata().unwrap();
            if meta.is_dir() {
                let id = path.file_name().unwrap().to_str().unwrap().to_owned();
                let twice = all.insert(id, path);
                assert_eq!(twice, None, "one snapshot stands in two tiers");
            }
        }
    }
    all
}

/// Links in the tiers that lead nowhere, and `latest` where it does.
pub(crate) fn dangling(host: &Path) -> Vec<PathBuf> {
    let in_tiers = TIERS
        .iter()
        .filter_map(|tier| fs::read_dir(host.join(tier)).ok());
    in_tiers
        .flatten()
        .map(|entry| entry.unwrap().path())
        .chain([host.join("latest")])
        .filter(|path| path.is_symlink() && !path.exists())
        .collect()
}

/// The files below a folder with their content.
pub(crate) fn read(folder: &Path) -> Tree {
    walkdir::WalkDir::new(folder)
        .into_iter()
        .map(Result::unwrap)
        .filter(|entry| entry.file_type().is_file())
        .map(|entry| {
            let path = entry.path().strip_prefix(folder).unwrap();
            let content = fs::read(entry.path()).unwrap();
            (path.to_str().unwrap().to_owned(), content.into())
        })
        .collect()
}

/// The first difference between two trees, in words.
pub(crate) fn difference(wanted: &Tree, found: &Tree) -> Option<String> {
    for (path, content) in wanted {
        match found.get(path) {
            None => return Some(format!("{path} is missing")),
            Some(other) if other != content => return Some(format!("{path} has another content")),
            Some(_) => {}
        }
    }
    let more = found.keys().find(|path| !wanted.contains_key(*path))?;
    Some(format!("{more} is too much"))
}
