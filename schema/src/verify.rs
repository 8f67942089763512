//! What comparing snapshots with their manifests found, and what is remembered of it.
//!
//! Paths stand escaped, without a leading slash, as in plans.

use chrono::{DateTime, FixedOffset};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Report, SnapshotId, Tier, digest::Digest};

/// Version of the document's format.
pub const FORMAT_VERSION: u32 = 1;

/// A name that an inode has in a snapshot.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(deny_unknown_fields)]
pub struct StoredName {
    /// The snapshot.
    pub snapshot: SnapshotId,
    /// The path in it; empty for the snapshot itself.
    pub path: String,
}

/// A stored file that is known to be damaged: no new snapshot is linked to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DamagedFile {
    /// Its inode number on the destination.
    pub inode: u64,
    /// Its names, sorted.
    pub names: Vec<StoredName>,
    /// The digest that its content should have; of regular files only.
    pub expected: Option<Digest>,
    /// When the damage was found.
    pub found_at: DateTime<FixedOffset>,
}

/// How much is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Depth {
    /// Records, entries and metadata; no content is read.
    Quick,
    /// The same, and the content of one part of all stored inodes.
    Subset {
        /// Which part, from 1 on.
        part: u32,
        /// Of how many.
        of: u32,
    },
    /// The same, and all content.
    Full,
}

impl Depth {
    /// Whether the content of an inode belongs to what is read. Each inode belongs to exactly one
    /// part.
    #[must_use]
    pub fn reads(self, inode: u64) -> bool {
        match self {
            Self::Quick => false,
            // Inode numbers come in steps on some file systems: a multiplication (Knuth, by the
            // golden ratio) spreads them over all parts.
            Self::Subset { part, of } => {
                let spread = inode.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
                spread % u64::from(of.max(1)) + 1 == u64::from(part)
            }
            Self::Full => true,
        }
    }
}

/// What comparing snapshots with their manifests found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Verification {
    /// Format of this document.
    pub format_version: u32,
    /// The host whose snapshots these are.
    pub host: String,
    /// The host's folder on the destination.
    pub folder: String,
    /// The destination's id, where its record can be read.
    pub destination_id: Option<String>,
    /// How much was compared.
    pub depth: Depth,
    /// When it began.
    pub started_at: DateTime<FixedOffset>,
    /// When it ended.
    pub ended_at: DateTime<FixedOffset>,
    /// The snapshots that were compared.
    pub snapshots: Vec<VerifiedSnapshot>,
    /// Where snapshots may stand that nobody could look at, each with the reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_looked_at: Vec<String>,
    /// Entries of manifests that were compared.
    pub entries: u64,
    /// Files whose content was read; each inode is read once.
    pub files_read: u64,
    /// Bytes that were read of them.
    pub bytes_read: u64,
    /// How many damages were found.
    pub damage_count: u64,
    /// The damages, the first ten thousand.
    pub damage: Vec<Damage>,
    /// What the digests tell that are kept in the state directory; none where that was not asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub against_state: Option<AgainstState>,
    /// What a repair came to; none where none was asked for or there was nothing to repair.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repair: Option<Report>,
    /// How making manifests and records anew ended, after which all was compared again; none where
    /// there was none to make.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rebuilt: Option<Report>,
}

/// How the manifests of all snapshots compare with the digests that this machine keeps of those that
/// it sealed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AgainstState {
    /// Snapshots whose manifest is the one that was sealed here.
    pub same: u64,
    /// Snapshots that were found on the destination once, and are as they were then.
    pub taken_over: Vec<SnapshotId>,
    /// Snapshots whose record names another manifest; each is among the damages, too.
    pub changed: Vec<SnapshotId>,
    /// Snapshots of which nothing is kept.
    pub unknown: Vec<SnapshotId>,
    /// Snapshots of which a digest is kept, and which are gone although no run deleted them.
    pub gone: Vec<SnapshotId>,
    /// Snapshots of which no sealed manifest was known here, and the copy in the cloud tells its
    /// digest; what came of them is told above.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub from_cloud: Vec<SnapshotId>,
}

impl AgainstState {
    /// Whether everything is there as it was, and nothing else.
    #[must_use]
    pub fn agrees(&self) -> bool {
        self.changed.is_empty() && self.unknown.is_empty() && self.gone.is_empty()
    }
}

/// A snapshot that was compared with its manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VerifiedSnapshot {
    /// Its id.
    pub id: SnapshotId,
    /// The tier whose folder holds it.
    pub home: Tier,
    /// Entries that were compared.
    pub entries: u64,
    /// What was found.
    pub verdict: Verdict,
}

/// What was found of a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// All that was compared is as it should be.
    Whole,
    /// Something is not.
    Damaged,
    /// A run removed it meanwhile.
    Removed,
}

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Damage {
    /// What kind of damage it is; of several at once the gravest.
    pub kind: DamageKind,
    /// In a sentence.
    pub message: String,
    /// Everything that shares it: each path in each snapshot.
    pub names: Vec<StoredName>,
    /// The inode, where the damage is one of a file and not of a folder or of a name.
    pub inode: Option<u64>,
    /// The digest that the content should have; of regular files only.
    pub expected: Option<Digest>,
    /// The digest that it has, where it was read.
    pub found: Option<Digest>,
    /// Why it is not repaired; none where that was not asked or where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_repaired: Option<String>,
}

/// What kind of damage it is, the gravest first.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum DamageKind {
    /// A record cannot be read, or does not belong to its snapshot.
    Record,
    /// The manifest is not the one that was sealed.
    Manifest,
    /// Manifest and record are not those that this machine sealed: somebody changed both.
    Changed,
    /// The manifest has it and the snapshot does not.
    Missing,
    /// It is something else: a folder instead of a file, say.
    WrongKind,
    /// Size or content differ.
    Content,
    /// It cannot be read.
    Unreadable,
    /// The symlink or device leads elsewhere.
    Target,
    /// Mode, owner, time or attributes differ.
    Metadata,
    /// The snapshot has it and the manifest does not.
    Extra,
}

impl DamageKind {
    /// The kind's name, as users read it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Record => "record",
            Self::Manifest => "manifest",
            Self::Changed => "changed",
            Self::Missing => "missing",
            Self::WrongKind => "wrong kind",
            Self::Content => "content",
            Self::Unreadable => "unreadable",
            Self::Target => "target",
            Self::Metadata => "metadata",
            Self::Extra => "extra",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_inode_belongs_to_one_part_and_the_parts_are_alike() {
        for step in [1, 8, 64, 256] {
            let mut counts = [0; 7];
            for number in 0..7000 {
                let inode = 12 + number * step;
                let parts: Vec<u32> = (1..=7)
                    .filter(|part| Depth::Subset { part: *part, of: 7 }.reads(inode))
                    .collect();
                assert_eq!(parts.len(), 1);
                counts[parts[0] as usize - 1] += 1;
            }
            assert!(counts.iter().all(|count| (700..1300).contains(count)));
        }
        assert!(!Depth::Quick.reads(1));
        assert!(Depth::Full.reads(1));
    }
}
