//! What stands in a destination's `.backup` folder: the destination's and the snapshots' records.
//!
//! A record is written once, before its snapshot is published, and never changed; what a person
//! or a check says later stands in the marks beside it.
//!
//! Those of snapshots and of rotation end with their own digest, under [`DIGEST_KEY`]: a flipped bit
//! may leave valid JSON with another number in it, or take a pin away with the word. Files of older
//! versions have none. The destination's has none either: whatever of it is another's is refused.

use std::{borrow::Cow, collections::BTreeMap};

use chrono::{DateTime, FixedOffset, NaiveDate};
use schemars::JsonSchema;
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{SeqAccess, Visitor},
};

pub use crate::capabilities::{Capabilities, NameLimits};
use crate::{Gone, SnapshotId, config::AbsolutePath, digest::Digest, problem::Problem};

/// The last key of a record: the SHA-256 of all bytes of the file before the comma in front of it.
pub const DIGEST_KEY: &str = "record_digest";

/// What stands between a record and its digest.
const BEFORE_DIGEST: &[u8] = b",\n  \"record_digest\": \"";
/// What stands after it.
const AFTER_DIGEST: &[u8] = b"\"\n}\n";

/// An object's pretty JSON with its digest as last key; anything else as it is.
#[must_use]
pub fn append_digest(json: Vec<u8>) -> Vec<u8> {
    let Some(body) = json.strip_suffix(b"\n}\n").filter(|body| body.len() > 1) else {
        return json;
    };
    let digest = Digest::of(body);
    [body, BEFORE_DIGEST, &digest.hex(), AFTER_DIGEST].concat()
}

/// The JSON without its digest.
///
/// # Errors
/// In words, if it has one and that is another's.
pub fn strip_digest(file: &[u8]) -> Result<Cow<'_, [u8]>, String> {
    match strip_parts(file) {
        None => Ok(Cow::Borrowed(file)),
        Some((body, digest)) if Digest::from_hex(digest) == Some(Digest::of(body)) => {
            Ok(Cow::Owned([body, b"\n}\n"].concat()))
        }
        Some(_) => Err(other_digest()),
    }
}

/// The same of a file that is not needed any more, without a copy of it.
///
/// # Errors
/// As [`strip_digest`].
pub fn without_digest(mut file: Vec<u8>) -> Result<Vec<u8>, String> {
    let kept = match strip_parts(&file) {
        None => return Ok(file),
        Some((body, digest)) if Digest::from_hex(digest) == Some(Digest::of(body)) => body.len(),
        Some(_) => return Err(other_digest()),
    };
    file.truncate(kept);
    file.extend_from_slice(b"\n}\n");
    Ok(file)
}

/// A record's text and the digest that it ends with, if it ends with one.
fn strip_parts(file: &[u8]) -> Option<(&[u8], &[u8])> {
    let rest = file.strip_suffix(AFTER_DIGEST)?;
    let (rest, digest) = rest.split_at_checked(rest.len().checked_sub(64)?)?;
    Some((rest.strip_suffix(BEFORE_DIGEST)?, digest))
}

fn other_digest() -> String {
    format!("its content is not what its {DIGEST_KEY} says")
}

/// Version of the records' format, but for those of snapshots whose manifest is in segments.
pub const FORMAT_VERSION: u32 = 1;

/// Version of the records of snapshots whose manifest is in segments, and the greatest that is read of
/// snapshots: an older release, which would not find the manifest, tells that it does not know it.
pub const SNAPSHOT_FORMAT_VERSION: u32 = 2;

/// `destination.json`: which destination this is and what it can hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DestinationRecord {
    /// Format of this file.
    pub format_version: u32,
    /// This destination's id, a UUID.
    pub id: String,
    /// The host whose snapshots are here.
    pub host: String,
    /// When the destination was first used.
    pub created_at: DateTime<FixedOffset>,
    /// A digest of the id of the machine that it belongs to; none in what was made before this was
    /// recorded, and by a machine without an id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<Digest>,
    /// What the file system can hold, tried out when the destination was first used. What it seemed
    /// not to hold is tried again by later runs.
    pub capabilities: Capabilities,
}

/// `snapshot.json`: how a snapshot was made and what it holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SnapshotRecord {
    /// Format of this file.
    pub format_version: u32,
    /// The snapshot's name.
    pub id: SnapshotId,
    /// The host it is of.
    pub host: String,
    /// The run that made it.
    pub run_id: String,
    /// When the run started, with the local offset of that time.
    #[serde(with = "crate::time_text")]
    #[schemars(with = "DateTime<FixedOffset>")]
    pub started_at: DateTime<FixedOffset>,
    /// When data and manifest were on disk.
    #[serde(with = "crate::time_text")]
    #[schemars(with = "DateTime<FixedOffset>")]
    pub sealed_at: DateTime<FixedOffset>,
    /// The day it counts for in retention: the local date of its start.
    pub day: NaiveDate,
    /// One more than that of the snapshot it was hard-linked to: the order in which snapshots were
    /// made, whatever clocks said. An adopted one has that of the one before it; 0 in older records.
    #[serde(default, skip_serializing_if = "crate::is_zero")]
    pub sequence: u64,
    /// When the sources were read; none in older records, and where nothing tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read: Option<ReadSpan>,
    /// False when it was sealed with listed errors.
    pub complete: bool,
    /// Why it is suspect; empty for a good snapshot.
    #[serde(deserialize_with = "few_texts")]
    pub suspect: Vec<String>,
    /// The first of the suspect snapshots in a row that are like this one, which may be itself:
    /// accepting one of them accepts all. None for a good snapshot and in older records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspect_since: Option<SnapshotId>,
    /// The snapshot it was hard-linked to.
    pub basis: Option<SnapshotId>,
    /// The last snapshot among it, its basis, the basis' basis and so on that was linked to others
    /// than its basis as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line_from: Option<SnapshotId>,
    /// Which engine made it.
    pub engine: Engine,
    /// The program that made it, with its version.
    pub made_by: String,
    /// Each configured source and what of it is here.
    pub sources: Vec<SourceRecord>,
    /// The exclude patterns in force.
    #[serde(deserialize_with = "few_texts")]
    pub exclude_patterns: Vec<String>,
    /// Whether what is in caches was left out.
    #[serde(default, skip_serializing_if = "crate::is_no")]
    pub exclude_caches: bool,
    /// Names of entries whose folders were left out.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "few_texts"
    )]
    pub exclude_if_present: Vec<String>,
    /// What the snapshot holds.
    pub totals: SnapshotTotals,
    /// Bytes on disk by the snapshot that first stored them: its own id for what it copied,
    /// earlier ones for what it links. From these the bytes that a deletion frees are computed
    /// without walking any tree.
    pub stored_by: BTreeMap<SnapshotId, u64>,
    /// Regular files by the snapshot that first stored their content, counted as `stored_by` is;
    /// missing in records of older versions.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub files_stored_by: BTreeMap<SnapshotId, u64>,
    /// Name of the manifest beside this record: of its file, or of the list of its segments.
    pub manifest: String,
    /// Digest of that file as it is on disk.
    pub manifest_digest: Digest,
    /// What was gone from the sources since its basis; none where nothing was, and in records of older
    /// versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gone: Option<Gone>,
    /// Paths that did not go as they should, the first thousand.
    pub problems: Vec<Problem>,
    /// Its tree is a subvolume of btrfs: what is as in the basis is not hard-linked to it, but the same in a
    /// clone of it.
    #[serde(default, skip_serializing_if = "crate::is_no")]
    pub subvolume: bool,
    /// When its manifest was made anew from its tree, because the one that was sealed was
    /// damaged: the digests are those of that day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest_rebuilt_at: Option<DateTime<FixedOffset>>,
    /// When this record was made anew, because the one that was sealed was damaged: it says what
    /// could still be known then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record_rebuilt_at: Option<DateTime<FixedOffset>>,
}

impl SnapshotRecord {
    /// Leaves out what it shares with which snapshot: of one that has files it is then not known.
    pub fn forget_shares(&mut self) {
        self.stored_by.clear();
        self.files_stored_by.clear();
    }

    /// Whether it says what it shares with which snapshot.
    #[must_use]
    pub fn tells_shares(&self) -> bool {
        self.totals.files == 0 || !self.stored_by.is_empty()
    }
}

/// Texts of a list that are read at most: an empty one takes three bytes of a file, and eight times as
/// much memory.
const MOST_TEXTS: usize = 100_000;

/// A list of texts, but for one that is longer than any that is written.
fn few_texts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    struct Few;
    impl<'de> Visitor<'de> for Few {
        type Value = Vec<String>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            write!(f, "at most {MOST_TEXTS} texts")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut texts: A) -> Result<Vec<String>, A::Error> {
            let mut all = Vec::new();
            while let Some(text) = texts.next_element()? {
                if all.len() == MOST_TEXTS {
                    return Err(serde::de::Error::invalid_length(all.len() + 1, &self));
                }
                all.push(text);
            }
            Ok(all)
        }
    }
    deserializer.deserialize_seq(Few)
}

/// When sources were read, by the machine's clock, which no option changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReadSpan {
    /// Before their file systems were synced and the first folder was listed.
    #[serde(with = "crate::time_text")]
    #[schemars(with = "DateTime<FixedOffset>")]
    pub from: DateTime<FixedOffset>,
    /// After the last of them was read.
    #[serde(with = "crate::time_text")]
    #[schemars(with = "DateTime<FixedOffset>")]
    pub until: DateTime<FixedOffset>,
}

/// Which engine made a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Engine {
    /// The built-in engine.
    BuiltIn,
    /// rsync.
    Rsync,
    /// Another tool made the tree, and it was adopted.
    Adopted,
}

/// A source as it was when a snapshot was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SourceRecord {
    /// The configured path.
    pub path: AbsolutePath,
    /// False when it was missing or unreadable.
    pub present: bool,
    /// Whether something was mounted there.
    pub mounted: bool,
    /// Entries of it in the snapshot, itself included.
    pub entries: u64,
    /// Regular files of it in the snapshot; 0 in older records.
    #[serde(default, skip_serializing_if = "crate::is_zero")]
    pub files: u64,
}

/// What a snapshot holds, counted while it was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SnapshotTotals {
    /// Files, folders, links and all else.
    pub entries: u64,
    /// Regular files; several names of one file count each.
    pub files: u64,
    /// Folders.
    pub folders: u64,
    /// Sum of the sizes of regular files, in bytes.
    pub bytes: u64,
    /// Regular files whose content was copied.
    pub files_copied: u64,
    /// Bytes read and written for them.
    pub bytes_copied: u64,
    /// Regular files hard-linked to the basis.
    pub files_linked: u64,
    /// Bytes that the hard links saved.
    pub bytes_linked: u64,
    /// Entries that could not be read or stored.
    pub errors: u64,
    /// Entries that vanished while the run looked at them.
    pub vanished: u64,
    /// Files that kept changing while they were read.
    pub torn: u64,
    /// Entries that stand under another name than their own, which the destination cannot hold;
    /// the manifest has both.
    #[serde(default, skip_serializing_if = "crate::is_zero")]
    pub renamed: u64,
}

impl SnapshotTotals {
    /// Counts a regular file of this size in bytes, which was copied or is linked to an earlier one.
    pub fn add_file(&mut self, size: u64, is_copied: bool) {
        self.files += 1;
        self.bytes += size;
        if is_copied {
            self.files_copied += 1;
            self.bytes_copied += size;
        } else {
            self.files_linked += 1;
            self.bytes_linked += size;
        }
    }
}

/// `marks.json`: what is known of a snapshot since it was sealed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct SnapshotMarks {
    /// Kept whatever the retention says.
    pub pinned: bool,
    /// A person said that a suspect snapshot is as it should be.
    pub accepted: bool,
    /// When its content was last compared with the manifest and found whole.
    pub verified_at: Option<DateTime<FixedOffset>>,
}

impl SnapshotMarks {
    /// What is assumed where the marks cannot be read: a person may have pinned it.
    #[must_use]
    pub fn unknown() -> Self {
        Self {
            pinned: true,
            ..Self::default()
        }
    }
}

/// `rotation.json`: when retention was last applied to a destination.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RotationRecord {
    /// When the last rotation ended.
    pub rotated_at: DateTime<FixedOffset>,
    /// The run that did it.
    pub run_id: String,
    /// Snapshots whose deletion was withheld since, for want of a person's approval.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unapproved: Vec<SnapshotId>,
    /// Snapshots that stood there though they were sealed later than that by a clock that was ahead.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ahead: Vec<SnapshotId>,
}

impl RotationRecord {
    /// Whether a snapshot stood there already, so that it is no reason for another deletion.
    #[must_use]
    pub fn has_seen(&self, snapshot: &SnapshotRecord) -> bool {
        snapshot.sealed_at <= self.rotated_at || self.ahead.contains(&snapshot.id)
    }
}

/// The newest snapshot that counts: one that people can rely on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LastGood {
    /// Its id.
    pub id: SnapshotId,
    /// When its run started.
    pub started_at: DateTime<FixedOffset>,
    /// False when it was sealed with listed errors.
    #[serde(default = "complete")]
    pub complete: bool,
}

/// What is taken of a plan from before it said so.
fn complete() -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_with_any_bit_flipped_is_read_as_it_was_or_not_at_all() {
        let marks = SnapshotMarks {
            pinned: true,
            ..SnapshotMarks::default()
        };
        let mut json = serde_json::to_vec_pretty(&marks).unwrap();
        json.push(b'\n');
        let file = append_digest(json.clone());
        assert_eq!(strip_digest(&file).unwrap(), json);
        assert!(String::from_utf8_lossy(&file).contains(DIGEST_KEY));
        let read = |file: &[u8]| -> Option<SnapshotMarks> {
            serde_json::from_slice(&strip_digest(file).ok()?).ok()
        };
        for at in 0..file.len() * 8 {
            let mut flipped = file.clone();
            flipped[at / 8] ^= 1 << (at % 8);
            let found = read(&flipped);
            assert!(
                found.is_none() || found.as_ref() == Some(&marks),
                "bit {at}"
            );
        }
        // What older versions wrote, and what a person wrote by hand.
        assert_eq!(read(&json), Some(marks));
        assert_eq!(append_digest(b"{}\n".to_vec()), b"{}\n");
        assert_eq!(append_digest(b"7\n".to_vec()), b"7\n");
    }
}
