//! Names on a remote of layout `history`, and what a list of `records` says. Pure.

use std::collections::{BTreeMap, BTreeSet};

use schema::{Digest, SnapshotId};

use crate::cloud::published::machine_of;

/// Name of a snapshot's record in `records`.
#[must_use]
pub fn record_file(id: SnapshotId) -> String {
    format!("{id}.json")
}

/// Name of the nth thing that was said of a snapshot since.
#[must_use]
pub fn marks_file(id: SnapshotId, number: u64) -> String {
    format!("{id}.marks-{number}.json")
}

/// Name of the file in `records` that says that a snapshot is let go.
#[must_use]
pub(super) fn tombstone_file(id: SnapshotId) -> String {
    format!("{id}.expired.json")
}

/// Name of a snapshot's manifest in `manifests`.
#[must_use]
pub fn manifest_file(id: SnapshotId) -> String {
    format!("{id}.mtree.zst")
}

/// Name of a content in `objects`. It has nothing that a remote could refuse or take for another.
#[must_use]
pub fn object_file(digest: Digest) -> String {
    let hex = digest.to_string();
    format!("{}/{hex}", &hex[..2])
}

/// The content that has this name in `objects`.
#[must_use]
pub fn object_of(name: &str) -> Option<Digest> {
    let (folder, hex) = name.split_once('/')?;
    let digest = Digest::from_hex(hex.as_bytes())?;
    (folder.len() == 2 && hex.starts_with(folder)).then_some(digest)
}

/// What a list of `records` says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RemoteListing {
    /// Whether there is such a folder.
    pub exists: bool,
    /// The records, with their sizes.
    pub records: BTreeMap<SnapshotId, u64>,
    /// The newest that was said of a snapshot since, by its number, with its size.
    pub marks: BTreeMap<SnapshotId, (u64, u64)>,
    /// Snapshots that were let go: nothing may rely on what they hold.
    pub expired: BTreeSet<SnapshotId>,
    /// Uploads that were begun: machine and number.
    pub uploads: Vec<(String, u64)>,
    /// Those of them that say that they have ended, since nobody could take their notes away.
    pub ended: Vec<(String, u64)>,
    /// Machines that take objects away.
    pub expiries: Vec<String>,
    /// Machines that say that the copies are theirs.
    pub owners: Vec<String>,
    /// The greatest version that is needed to read what is there; 0 where nothing says so.
    pub format: u64,
}

impl RemoteListing {
    /// Adds a file. What is not known is passed over.
    pub fn add(&mut self, name: &str, size: u64) {
        if let Some(machine) = machine_of(name) {
            self.owners.push(machine);
            return;
        }
        let Some(name) = name.strip_suffix(".json") else {
            return;
        };
        if let Some(number) = name.strip_prefix("format-") {
            // What has no number that is known is of a version that is not.
            self.format = self.format.max(number.parse().unwrap_or(u64::MAX));
        } else if let Some(upload) = name.strip_prefix("upload-") {
            match upload.strip_suffix(".done") {
                Some(ended) => self.ended.extend(upload_of(ended)),
                None => self.uploads.extend(upload_of(upload)),
            }
        } else if let Some(machine) = name.strip_prefix("expiry-") {
            self.expiries.push(machine.to_owned());
        } else {
            self.add_snapshot(name, size);
        }
    }

    fn add_snapshot(&mut self, name: &str, size: u64) {
        let (id, what) = name.split_once('.').unwrap_or((name, ""));
        let Ok(id) = id.parse::<SnapshotId>() else {
            return;
        };
        if what.is_empty() {
            self.records.insert(id, size);
        } else if what == "expired" {
            self.expired.insert(id);
        } else if let Some(number) = what.strip_prefix("marks-").and_then(|n| n.parse().ok()) {
            let newest = self.marks.entry(id).or_default();
            *newest = (*newest).max((number, size));
        }
    }

    /// Uploads under way: machine and number.
    pub fn under_way(&self) -> impl Iterator<Item = &(String, u64)> {
        let all = self.uploads.iter();
        all.filter(|one| !self.ended.contains(one))
    }

    /// The snapshots that are there.
    pub fn live(&self) -> impl Iterator<Item = (SnapshotId, u64)> + '_ {
        let records = self.records.iter().map(|(id, size)| (*id, *size));
        records.filter(|(id, _)| !self.expired.contains(id))
    }

    /// Whether a snapshot is there.
    #[must_use]
    pub fn has(&self, id: SnapshotId) -> bool {
        self.records.contains_key(&id) && !self.expired.contains(&id)
    }
}

/// Name of the file in `records` that says that a machine puts objects.
pub(super) fn upload_file(machine: &str, number: u64) -> String {
    format!("upload-{machine}-{number}.json")
}

/// Name of the file that says that this has ended.
pub(super) fn ended_file(machine: &str, number: u64) -> String {
    format!("upload-{machine}-{number}.done.json")
}

fn upload_of(text: &str) -> Option<(String, u64)> {
    let (machine, number) = text.rsplit_once('-')?;
    Some((machine.to_owned(), number.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(day: u32) -> SnapshotId {
        format!("2025-03-{day:02}_02-00-00").parse().unwrap()
    }

    #[test]
    fn a_list_says_what_is_there_and_what_is_being_done() {
        let mut listing = RemoteListing::default();
        for (name, size) in [
            ("2025-03-01_02-00-00.json", 7),
            ("2025-03-01_02-00-00.marks-9.json", 3),
            ("2025-03-01_02-00-00.marks-10.json", 4),
            ("2025-03-02_02-00-00.json", 8),
            ("2025-03-02_02-00-00.expired.json", 2),
            ("2025-03-03_02-00-00.expired.json", 2),
            ("format-1.json", 1),
            ("owner-0123.json", 1),
            ("upload-0123-4.json", 1),
            ("upload-0123-5.json", 1),
            ("upload-0123-4.done.json", 1),
            ("expiry-4567.json", 1),
            ("2025-03-04_02-00-00", 1),
            ("2025-03-04_02-00-00.json.partial", 1),
            ("2025-03-32_02-00-00.json", 1),
            ("2025-03-05_02-00-00.marks-x.json", 1),
            ("notes.txt", 1),
        ] {
            listing.add(name, size);
        }
        assert_eq!(listing.live().collect::<Vec<_>>(), [(id(1), 7)]);
        assert!(listing.has(id(1)) && !listing.has(id(2)) && !listing.has(id(4)));
        assert_eq!(listing.marks.get(&id(1)), Some(&(10, 4)));
        assert_eq!(listing.marks.get(&id(5)), None);
        assert_eq!(listing.expired, [id(2), id(3)].into());
        let numbers = |all: &[(String, u64)]| all.iter().map(|one| one.1).collect::<Vec<_>>();
        assert_eq!(numbers(&listing.uploads), [4, 5]);
        assert_eq!(numbers(&listing.ended), [4]);
        let under_way: Vec<_> = listing.under_way().cloned().collect();
        assert_eq!(under_way, [("0123".to_owned(), 5)]);
        assert_eq!(
            (listing.expiries, listing.owners),
            (vec!["4567".to_owned()], vec!["0123".to_owned()])
        );
        assert_eq!(listing.format, 1);
    }

    #[test]
    fn an_object_has_one_name() {
        let digest = Digest::of(b"abc");
        let name = object_file(digest);
        assert!(name.starts_with("ba/ba7816bf"), "{name}");
        assert_eq!(object_of(&name), Some(digest));
        let hex = digest.to_string();
        for other in [
            hex.clone(),
            format!("bb/{hex}"),
            format!("ba/{hex}/x"),
            format!("ba/{}", &hex[1..]),
            format!("b/{hex}"),
        ] {
            assert_eq!(object_of(&other), None, "{other}");
        }
    }
}
