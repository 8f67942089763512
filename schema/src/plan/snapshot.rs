//! The snapshot step: what it is made from, linked to and compared with.

use chrono::{DateTime, FixedOffset, NaiveDate};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Gone;
use crate::SnapshotId;
use crate::Tier;
use crate::config::{AbsolutePath, DestinationName};
use crate::record::Engine;
use crate::rsync::RsyncPlan;

/// Makes a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SnapshotStep {
    /// Its name.
    pub id: SnapshotId,
    /// The time that its record carries.
    pub started_at: DateTime<FixedOffset>,
    /// The day that it counts for.
    pub day: NaiveDate,
    /// Which engine copies.
    pub engine: Engine,
    /// How rsync is called, where it is the engine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rsync: Option<RsyncPlan>,
    /// The snapshot that unchanged files are linked to.
    pub basis: Option<Basis>,
    /// Older ones that unchanged files are linked to which the basis does not have: it lacks a source
    /// or a folder that could not be read then, or is suspect. Newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also_link: Vec<Basis>,
    /// Stored inodes that are known to be damaged, sorted: nothing is linked to them again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub never_link: Vec<u64>,
    /// Damage of the basis is known: what a clone of it has is compared with it entry by entry.
    #[serde(default, skip_serializing_if = "crate::is_no")]
    pub compare_basis: bool,
    /// The tier that it is published to: `daily`, unless something else has that name.
    #[serde(default = "daily", skip_serializing_if = "is_daily")]
    pub home: Tier,
    /// An unfinished snapshot whose tree is taken over.
    pub continue_from: Option<SnapshotId>,
    /// What is backed up.
    pub sources: Vec<SourceStep>,
    /// What is left out.
    pub exclude_patterns: Vec<String>,
    /// Leave out what is in caches, as their `CACHEDIR.TAG` says.
    #[serde(default = "crate::yes", skip_serializing_if = "crate::is_yes")]
    pub exclude_caches: bool,
    /// Leave out folders that hold an entry of one of these names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude_if_present: Vec<String>,
    /// Do not cross mount points below a source.
    pub one_file_system: bool,
    /// Bytes of holes that are read of the files of each owner; a file with more is left out.
    #[serde(
        default = "crate::config::default_max_hole_bytes",
        skip_serializing_if = "crate::config::is_default_max_hole_bytes"
    )]
    pub max_hole_bytes: u64,
    /// Other destinations that get a snapshot in the same run, before this one. What one of them was given of
    /// sources that take longer to read is taken from there, in this order, if it is what the sources were found
    /// to hold; all else comes from the sources.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub content_from: Vec<ContentFrom>,
    /// Bytes that must stay free while copying.
    pub min_free_bytes: u64,
    /// What the scan found, for progress.
    pub expected: Expected,
    /// When to call the result suspect.
    pub suspect_when: SuspectWhen,
}

fn daily() -> Tier {
    Tier::Daily
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_daily(tier: &Tier) -> bool {
    *tier == Tier::Daily
}

/// The snapshot that a new one starts from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Basis {
    /// Its id.
    pub id: SnapshotId,
    /// The tier whose folder holds it when the run starts.
    pub home: Tier,
}

/// A snapshot that content is taken from instead of the sources.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ContentFrom {
    /// The destination that it is on.
    pub of: DestinationName,
    /// Its name there.
    pub snapshot: SnapshotId,
}

/// A source to back up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SourceStep {
    /// The configured path; in the snapshot it stands at the same path.
    pub path: AbsolutePath,
    /// False when the scan did not find it or could not read it.
    pub present: bool,
}

/// What a scan says will be copied and linked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    /// Entries in all sources.
    pub entries: u64,
    /// Regular files.
    pub files: u64,
    /// Sum of their sizes, in bytes.
    pub bytes: u64,
    /// Files that are not as the basis has them.
    pub new_files: u64,
    /// Those of them whose path is in the basis.
    #[serde(default, skip_serializing_if = "crate::is_zero")]
    pub changed_files: u64,
    /// Bytes on disk that new entries need at most.
    pub new_bytes: u64,
    /// Files that the basis has at another path; they are hard-linked like unchanged ones.
    #[serde(default, skip_serializing_if = "crate::is_zero")]
    pub moved_files: u64,
    /// What is gone from the sources since the basis; none where nothing is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gone: Option<Gone>,
}

/// Limits beyond which a snapshot is suspect; none where there is nothing to compare with.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SuspectWhen {
    /// The snapshot that the new one is judged by; the basis where none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<SnapshotId>,
    /// Fewer entries than this: half of the reference's, less what is not backed up any more.
    pub entries_below: Option<u64>,
    /// Fewer regular files as the reference has them than this: half of the reference's, less what is
    /// not backed up any more.
    pub unchanged_files_below: Option<u64>,
    /// Sources that had files in the reference and must not be empty or missing.
    pub had_files: Vec<AbsolutePath>,
    /// Other tags count than for the reference: what they leave out is not backed up any more because a person
    /// said so. Otherwise what a tag leaves out that came since is missing.
    #[serde(default, skip_serializing_if = "crate::is_no")]
    pub other_tags: bool,
    /// What the basis is taken for, where nobody has accepted it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub like: Option<LikeBefore>,
}

/// When a suspect snapshot is suspect for the same event as its basis: these limits are not passed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LikeBefore {
    /// The first snapshot of the event, which is the one to be accepted.
    pub since: SnapshotId,
    /// Fewer entries than this: half of the basis'.
    pub entries_below: Option<u64>,
    /// Fewer regular files as the basis has them than this: half of the basis'.
    pub unchanged_files_below: Option<u64>,
    /// Sources that had files in the basis.
    pub had_files: Vec<AbsolutePath>,
}
