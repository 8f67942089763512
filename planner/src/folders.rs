//! Which folders are told of the many that a snapshot has: those that matter most, each without what is told of
//! by itself, so that no byte is told twice.
//!
//! This is what is known as hierarchical heavy hitters: from the deepest folders up, one that has a share worth
//! telling is told, and taken away from those around it.

use std::{cmp::Reverse, collections::HashMap};

use schema::{
    SnapshotId,
    escape::{display, unescape},
    output::period_report::{FolderArea, FolderReport},
};

/// A folder is told that has this share of all bytes: one of so many.
const OF_SIZE: u64 = 40;
/// The same of what grew, or was written.
const OF_CHANGE: u64 = 25;

/// Tells of folders, each of which is tallied with all that is below it; the first one is all of it. `snapshots`
/// are those that were compared, the oldest first.
#[must_use]
pub fn report_folders(tallied: &[FolderArea], snapshots: &[SnapshotId]) -> FolderReport {
    let all = tallied.first().cloned().unwrap_or_default();
    let most_grown = tallied.iter().map(|one| one.grown_bytes.unsigned_abs());
    let most_grown = most_grown.max().unwrap_or(0);
    let mut largest = choose(tallied, all.bytes / OF_SIZE, |one| one.bytes);
    largest.sort_by_key(|one| Reverse(one.bytes));
    let grown = |one: &FolderArea| one.grown_bytes.unsigned_abs();
    let mut growing = choose(tallied, most_grown / OF_CHANGE, grown);
    growing.sort_by_key(|one| Reverse(one.grown_bytes));
    let mut changing = choose(tallied, all.changed_bytes / OF_CHANGE, |one| {
        one.changed_bytes
    });
    changing.sort_by_key(|one| Reverse(one.changed_bytes));
    FolderReport {
        newest: snapshots.last().copied(),
        before: snapshots.first().copied().filter(|_| snapshots.len() > 1),
        compared: snapshots.len() as u64,
        all,
        largest,
        growing,
        changing,
    }
}

/// The folders in which at least `worth` is measured, without those in them that are; and what is in none.
fn choose(
    tallied: &[FolderArea],
    worth: u64,
    measure: impl Fn(&FolderArea) -> u64,
) -> Vec<FolderArea> {
    let places: HashMap<&str, usize> = tallied
        .iter()
        .enumerate()
        .map(|(at, one)| (one.path.as_str(), at))
        .collect();
    let mut rest = tallied.to_vec();
    let mut order: Vec<usize> = (1..tallied.len()).collect();
    let depth = |at: &usize| tallied[*at].path.matches('/').count();
    order.sort_by_key(|at| (Reverse(depth(at)), &tallied[*at].path));
    let mut told = Vec::new();
    for at in order {
        let area = rest[at].clone();
        if measure(&area) < worth.max(1) {
            continue;
        }
        let mut path = tallied[at].path.as_str();
        while let Some(end) = path.rfind('/') {
            path = &path[..end];
            if let Some(around) = places.get(path) {
                rest[*around].take(&area);
            }
        }
        rest[0].take(&area);
        told.push(FolderArea {
            path: shown(&area.path),
            ..area
        });
    }
    told.extend(rest.first().filter(|one| measure(one) > 0).cloned());
    told
}

/// A path of a manifest as one of the machine.
fn shown(path: &str) -> String {
    match unescape(path) {
        Some(path) => format!("/{}", display(&path)),
        None => format!("/{path}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn area(path: &str, bytes: u64, grown_bytes: i64) -> FolderArea {
        FolderArea {
            path: path.to_owned(),
            bytes,
            files: 1,
            grown_bytes,
            changed_files: 1,
            changed_bytes: grown_bytes.unsigned_abs(),
        }
    }

    /// A home with films, of which one folder is much, and many small things.
    fn tallied() -> Vec<FolderArea> {
        vec![
            area("", 1000, 190),
            area("home", 990, 200),
            area("home/ann", 900, 250),
            area("home/ann/films", 800, 260),
            area("home/ann/films/new\\040ones", 500, 260),
            area("home/bob", 90, -50),
            area("etc", 10, -10),
        ]
    }

    fn told(areas: &[FolderArea], measure: impl Fn(&FolderArea) -> i64) -> Vec<(&str, i64)> {
        let areas = areas.iter();
        areas.map(|one| (one.path.as_str(), measure(one))).collect()
    }

    #[test]
    fn each_byte_is_told_once_in_the_folder_that_says_most_of_it() {
        let report = report_folders(&tallied(), &[]);
        let bytes = |one: &FolderArea| i64::try_from(one.bytes).unwrap();
        assert_eq!(
            told(&report.largest, bytes),
            [
                ("/home/ann/films/new ones", 500),
                ("/home/ann/films", 300),
                ("/home/ann", 100),
                ("/home/bob", 90),
                ("", 10),
            ]
        );
        let sum: u64 = report.largest.iter().map(|one| one.bytes).sum();
        assert_eq!(sum, report.all.bytes);
    }

    #[test]
    fn what_grows_is_told_without_the_folders_that_only_hold_it() {
        let report = report_folders(&tallied(), &[]);
        assert_eq!(
            told(&report.growing, |one| one.grown_bytes),
            [
                ("/home/ann/films/new ones", 260),
                ("/home/ann", -10),
                ("/etc", -10),
                ("/home/bob", -50),
            ]
        );
        assert_eq!(report.before, None);
    }

    #[test]
    fn an_empty_snapshot_has_no_folder_to_tell_of() {
        let report = report_folders(&[FolderArea::default()], &[]);
        assert_eq!(report.largest, []);
        assert_eq!(report.growing, []);
        assert_eq!(report.changing, []);
    }
}
