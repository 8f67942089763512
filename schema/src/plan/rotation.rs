//! Deletions, moves and links: by the policy, to make room, or because a person says so.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::SnapshotId;
use crate::Tier;
use crate::amount;
use crate::finding::Finding;
use crate::reason::ExpireReason;
use crate::reason::KeepReason;

/// Brings the tiers to the wanted layout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RotateStep {
    /// What to do after a complete snapshot.
    pub on_complete: Rotation,
    /// What to do instead after one with listed errors; none where that is the same but for the
    /// reasons to keep a snapshot.
    pub on_incomplete: Option<Box<Rotation>>,
}

/// Deletes snapshots without making one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeleteStep {
    /// What for.
    pub purpose: DeletePurpose,
    /// What goes, and what changes with it.
    pub rotation: Rotation,
}

/// What snapshots are deleted for, besides a rotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DeletePurpose {
    /// To make room for the snapshot that follows.
    MakeRoom,
    /// The policy alone, because a person asks for it.
    Prune,
    /// These, because a person names them.
    Delete,
}

impl DeletePurpose {
    /// Its name, as users read it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::MakeRoom => "make-room",
            Self::Prune => "prune",
            Self::Delete => "delete",
        }
    }
}

/// The difference between the found and the wanted layout, in the order in which it is made up.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rotation {
    /// What stays, and why.
    pub keep: Vec<Keep>,
    /// Symlinks that go, first of all: a snapshot may move to where one stands.
    pub unlinks: Vec<Unlink>,
    /// Snapshots that move to another tier.
    pub moves: Vec<Move>,
    /// Symlinks that come.
    pub links: Vec<Link>,
    /// Where `latest` points afterwards; none leaves it out.
    pub latest: Option<String>,
    /// Snapshots that go, last of all.
    pub deletions: Vec<Deletion>,
    /// Snapshots that would go but stay for now.
    pub withheld: Vec<Deletion>,
    /// Why they stay.
    pub withheld_because: Option<Finding>,
    /// Snapshots that only a person's approval lets go, now and in later runs: waiting is none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unapproved: Vec<SnapshotId>,
}

/// A snapshot that stays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Keep {
    /// Its id.
    pub id: SnapshotId,
    /// The tier whose folder holds it afterwards.
    pub home: Tier,
    /// Why it stays.
    pub reasons: Vec<KeepReason>,
}

/// A snapshot that moves to another tier.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Move {
    /// Its id.
    pub id: SnapshotId,
    /// Where it is.
    pub from: Tier,
    /// Where it goes.
    pub to: Tier,
}

/// A symlink that goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Unlink {
    /// The tier it stands in.
    pub tier: Tier,
    /// Its name.
    pub id: SnapshotId,
    /// Why it goes.
    pub reason: String,
}

/// A symlink that comes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Link {
    /// The tier it stands in.
    pub tier: Tier,
    /// Its name.
    pub id: SnapshotId,
    /// What it points to, relative to the tier's folder.
    pub target: String,
}

/// A snapshot that goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Deletion {
    /// Its id.
    pub id: SnapshotId,
    /// The tier whose folder holds it.
    pub home: Tier,
    /// Why it goes.
    pub reason: ExpireReason,
    /// Bytes that no other snapshot shares, once the deletions before this one are done.
    pub frees: u64,
    /// What no other snapshot will have then; none in plans of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost: Option<Lost>,
}

/// What goes for good with a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Lost {
    /// Files whose content no other snapshot has; none where older versions did not count them.
    pub files: Option<u64>,
    /// Bytes on disk of that content.
    pub bytes: u64,
    /// Both may be more: the snapshots do not follow one from the other.
    pub at_least: bool,
}

impl Lost {
    /// Nothing is lost.
    pub const NOTHING: Self = Self {
        files: Some(0),
        bytes: 0,
        at_least: false,
    };
    /// What is lost is not known.
    pub const UNKNOWN: Self = Self {
        files: None,
        bytes: 0,
        at_least: true,
    };

    /// What goes for good with all of these; each says what goes once those before it are gone.
    #[must_use]
    pub fn with(deletions: &[Deletion]) -> Self {
        Self::sum(deletions.iter().map(|deletion| {
            deletion.lost.unwrap_or(Self {
                bytes: deletion.frees,
                ..Self::UNKNOWN
            })
        }))
    }

    /// All of these together.
    #[must_use]
    pub fn sum(all: impl IntoIterator<Item = Self>) -> Self {
        let all = all.into_iter();
        all.fold(Self::NOTHING, |sum, one| Self {
            files: sum
                .files
                .zip(one.files)
                .map(|(sum, files)| sum.saturating_add(files)),
            bytes: sum.bytes.saturating_add(one.bytes),
            at_least: sum.at_least || one.at_least,
        })
    }
}

/// As in `at least 3 files (2.0 MiB) that no other snapshot has`.
impl std::fmt::Display for Lost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let bytes = amount::bytes(self.bytes);
        let least = if self.at_least { "at least " } else { "" };
        match self.files {
            Some(0) if !self.at_least && self.bytes == 0 => {
                f.write_str("nothing that no other snapshot has")
            }
            Some(files) => {
                let files = amount::plural(files, "file", "files");
                write!(f, "{least}{files} ({bytes}) that no other snapshot has")
            }
            None => write!(f, "{least}{bytes} that no other snapshot has"),
        }
    }
}
