//! The plan: an explicit graph of steps that leaves no choice to whoever runs it.
//!
//! Names, paths, arguments, deletions and their reasons are all in it. One payload per step kind;
//! adding a kind adds a payload and a variant here, and exhaustive matches list the rest.

mod adopt;
mod part;
mod repair;

pub use crate::{
    channel::{Channel, host_of},
    record::LastGood,
};
pub use adopt::{AdoptCandidate, AdoptStep, AdoptTree, MadeBy};
pub use part::Part;
pub use repair::{
    RepairFile, RepairFolder, RepairFrom, RepairName, RepairRecords, RepairStep, StoredMetadata,
    StoredTime,
};

use chrono::{DateTime, FixedOffset, NaiveDate};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Config, SnapshotId, Tier, amount,
    cloud::CloudChange,
    config::{AbsolutePath, MaxDelete, OnPreBackupFailure, SyncMode},
    digest::Digest,
    duration::Span,
    finding::{Finding, Severity},
    reason::{ExpireReason, KeepReason},
    record::Engine,
    rsync::RsyncPlan,
};

/// Version of the plan's format.
pub const FORMAT_VERSION: u32 = 1;

/// What a run will do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Format of this file.
    pub format_version: u32,
    /// Name of the run.
    pub run_id: String,
    /// The inventory's time; the plan's only "now".
    pub created_at: DateTime<FixedOffset>,
    /// The host that the plan is for.
    pub host: String,
    /// The part whose steps alone it has; none where it is a whole run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub only: Option<Part>,
    /// What the plan was made from; another state refuses it.
    pub bound_to: Binding,
    /// What was noticed. A refusal or a deferral leaves only the steps that always run.
    pub findings: Vec<Finding>,
    /// The steps, each after all that it needs or waits for.
    pub steps: Vec<Step>,
    /// What the steps come to.
    pub totals: Totals,
    /// Digest of everything above, so that an altered plan is known.
    pub digest: Digest,
}

impl Plan {
    /// The digest that an unaltered plan carries.
    #[must_use]
    pub fn expected_digest(&self) -> Digest {
        let mut bare = self.clone();
        bare.digest = Digest([0; 32]);
        Digest::of_json(&bare)
    }

    /// The gravest severity among the findings.
    #[must_use]
    pub fn severity(&self) -> Option<Severity> {
        self.findings.iter().map(|finding| finding.severity).max()
    }

    /// Whether any step but the ones that always run is in it.
    #[must_use]
    pub fn does_something(&self) -> bool {
        self.steps.iter().any(|step| !step.action.is_about_others())
    }

    /// The snapshot that the plan makes, if it makes one.
    #[must_use]
    pub fn snapshot(&self) -> Option<&SnapshotStep> {
        self.steps.iter().find_map(|step| match &step.action {
            Action::Snapshot(snapshot) => Some(snapshot),
            _ => None,
        })
    }
}

/// What a plan was made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Binding {
    /// Digest of the configuration.
    pub config: Digest,
    /// Digest of the destination's state: id, snapshots, marks, links, leftovers.
    pub destination: Digest,
    /// The destination's id, where it has one yet.
    pub destination_id: Option<String>,
    /// The snapshots that were there, as `tier/id`.
    pub snapshots: Vec<String>,
}

/// A saved plan: the plan with the configuration it was made from, so that whoever is refused
/// can be told which option changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SavedPlan {
    /// The configuration.
    pub config: Config,
    /// The plan.
    pub plan: Plan,
}

/// One step of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Name of the step, unique in the plan.
    pub id: String,
    /// Steps that must have succeeded.
    pub needs: Vec<String>,
    /// Steps that must have ended, well or not.
    pub after: Vec<String>,
    /// What it does.
    pub action: Action,
}

/// What a step does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Action {
    /// Tells a dead man's switch that a run starts.
    Announce(AnnounceStep),
    /// Runs the pre-backup script.
    PreScript(ScriptStep),
    /// Makes sure that the right destination is there, and sets it up when it is new.
    DestinationCheck(DestinationCheckStep),
    /// Reclaims leftovers and makes sure that there is room.
    SpaceCheck(SpaceCheckStep),
    /// Makes a snapshot.
    Snapshot(SnapshotStep),
    /// Brings the tiers to the wanted layout.
    Rotate(RotateStep),
    /// Deletes snapshots without making one: to make room for it, or by hand.
    Delete(DeleteStep),
    /// Copies the newest good snapshot to the cloud.
    CloudSync(CloudSyncStep),
    /// Runs the post-backup script.
    PostScript(ScriptStep),
    /// Tells people of the result.
    Notify(NotifyStep),
    /// Copies a file or folder out of a snapshot.
    Restore(RestoreStep),
    /// Records what a person says of a snapshot or a destination.
    Mark(MarkStep),
    /// Heals what is damaged in snapshots.
    Repair(RepairStep),
    /// Makes snapshots of folders that another tool made.
    Adopt(AdoptStep),
}

/// Id of the step that tells of the start.
pub const ANNOUNCE: &str = "announce";

/// Id of the step that tells of the result.
pub const NOTIFY: &str = "notify";

/// Whether a step only tells people, so that how it ends is no part of a run's result.
#[must_use]
pub fn only_tells(step: &str) -> bool {
    [ANNOUNCE, NOTIFY].contains(&step)
}

impl Action {
    /// Whether it does nothing to snapshots: it runs a script afterwards or tells people.
    #[must_use]
    pub fn is_about_others(&self) -> bool {
        matches!(
            self,
            Self::PostScript(_) | Self::Notify(_) | Self::Announce(_)
        )
    }

    /// The kind's name, as users read it.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Announce(_) => ANNOUNCE,
            Self::PreScript(_) => "pre-script",
            Self::DestinationCheck(_) => "destination-check",
            Self::SpaceCheck(_) => "space-check",
            Self::Snapshot(_) => "snapshot",
            Self::Rotate(_) => "rotate",
            Self::Delete(step) => step.purpose.word(),
            Self::CloudSync(_) => "cloud-sync",
            Self::PostScript(_) => "post-script",
            Self::Notify(_) => NOTIFY,
            Self::Restore(_) => "restore",
            Self::Mark(_) => "mark",
            Self::Repair(_) => "repair",
            Self::Adopt(_) => "adopt",
        }
    }
}

/// Runs a script.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScriptStep {
    /// The executable; it gets no arguments and no shell.
    pub program: AbsolutePath,
    /// Time after which its process group is ended and the step failed.
    pub timeout: Span,
    /// Whether a failure fails the step or is only reported.
    pub on_failure: OnPreBackupFailure,
}

/// Makes sure that the right destination is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DestinationCheckStep {
    /// `local.mountPoint`.
    pub mount_point: AbsolutePath,
    /// The host's folder below it.
    pub folder: String,
    /// Refuse unless something is mounted there.
    pub require_mount: bool,
    /// Refuse any other file system.
    pub file_system_uuid: Option<String>,
    /// The id that the destination must have, or gets if `create` is set.
    pub destination_id: String,
    /// Set the folder up, because it was never used.
    pub create: bool,
    /// Remember the id as one of this machine's destinations.
    pub remember: bool,
    /// The machine to record as the one that it belongs to, because none is or another was taken
    /// over; none where that is not to be changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<Digest>,
    /// What it is taken over from: a folder that gets this host's name, or the machine that had the
    /// same name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub take_over: Option<TakeOver>,
    /// Only read from it: a restore takes any destination that has the snapshot, even one whose
    /// own record is damaged.
    #[serde(default)]
    pub read_only: bool,
    /// Refuse a file system without hard links.
    pub need_hard_links: bool,
    /// Let users reach the snapshots.
    pub readable_by_users: bool,
}

/// What a destination is taken over from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TakeOver {
    /// The folder that is renamed to the host's; none for the host's own.
    pub folder: Option<String>,
}

/// Reclaims leftovers and makes sure that there is room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SpaceCheckStep {
    /// Snapshots whose removal an earlier run began: it is ended now.
    pub empty_trash: Vec<SnapshotId>,
    /// Unfinished snapshots that no run will continue.
    pub discard_partial: Vec<DiscardPartial>,
    /// Snapshots that somebody removed from the tiers: their records go as well.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub clear_records: Vec<SnapshotId>,
    /// Bytes that the snapshot needs at most.
    pub needed_bytes: u64,
    /// Inodes that the snapshot needs at most; none where the file system does not count them.
    pub needed_inodes: Option<u64>,
    /// Bytes that must stay free besides.
    pub min_free_bytes: u64,
}

/// An unfinished snapshot that is thrown away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DiscardPartial {
    /// Its id.
    pub id: SnapshotId,
    /// Bytes that this frees.
    pub frees: u64,
    /// Why it is not continued.
    pub reason: String,
}

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
    /// The tier that it is published to: `daily`, unless something else has that name.
    #[serde(default = "daily", skip_serializing_if = "is_daily")]
    pub home: Tier,
    /// An unfinished snapshot whose tree is taken over.
    pub continue_from: Option<SnapshotId>,
    /// What is backed up.
    pub sources: Vec<SourceStep>,
    /// What is left out.
    pub exclude_patterns: Vec<String>,
    /// Do not cross mount points below a source.
    pub one_file_system: bool,
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
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
    /// Bytes on disk that new entries need at most.
    pub new_bytes: u64,
    /// Files that the basis has at another path; they are hard-linked like unchanged ones.
    #[serde(default, skip_serializing_if = "crate::is_zero")]
    pub moved_files: u64,
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
    /// What goes for good with all of these; each says what goes once those before it are gone.
    #[must_use]
    pub fn with(deletions: &[Deletion]) -> Self {
        let none = Self {
            files: Some(0),
            bytes: 0,
            at_least: false,
        };
        deletions.iter().fold(none, |sum, deletion| {
            let one = deletion.lost.unwrap_or(Self {
                files: None,
                bytes: deletion.frees,
                at_least: true,
            });
            Self {
                files: sum
                    .files
                    .zip(one.files)
                    .map(|(sum, files)| sum.saturating_add(files)),
                bytes: sum.bytes.saturating_add(one.bytes),
                at_least: sum.at_least || one.at_least,
            }
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

/// Copies the newest good snapshot to the cloud.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CloudSyncStep {
    /// The program, found on the PATH.
    pub program: String,
    /// Options of each of its calls.
    pub options: Vec<String>,
    /// The host's folder on the remote, as rclone names it; `current`, `history` and `manifests`
    /// are below it.
    pub remote: String,
    /// The rclone configuration; refused if others can read it.
    pub config_file: Option<AbsolutePath>,
    /// Time after which it is ended and the step failed.
    pub timeout: Span,
    /// What happens to files that are on the remote only.
    pub mode: SyncMode,
    /// The snapshot that is copied, if it is good.
    pub snapshot: SnapshotId,
    /// The destination that holds it, where no other step of the plan checks it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination: Option<DestinationCheckStep>,
    /// The live sources that are copied under that name, where there are no local snapshots.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live: Option<LiveSources>,
    /// The last upload, as far as this machine knows.
    pub last: Option<SnapshotId>,
    /// What there will be to do, at most.
    pub expected: CloudChange,
    /// When it is refused before anything on the remote changes.
    pub limits: CloudLimits,
    /// History folders that go once the upload ended well: they are older than
    /// `cloud.keepHistoryDays`.
    pub expire: Vec<SnapshotId>,
    /// Local snapshots that go once the remote was checked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub give_back: Vec<Deletion>,
}

/// What is copied to the cloud where there are no local snapshots.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LiveSources {
    /// The sources.
    pub sources: Vec<AbsolutePath>,
    /// Patterns of what is left out.
    pub exclude_patterns: Vec<String>,
    /// Do not cross mount points below a source.
    pub one_file_system: bool,
}

/// When a cloud copy is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CloudLimits {
    /// More files than this would go from `current`; none where nothing goes.
    pub max_delete: Option<MaxDelete>,
    /// Refuse a source without files, with less than half of the uploaded files, or with more than
    /// half of them rewritten; false where a person has agreed.
    pub guard: bool,
}

/// Tells a dead man's switch that a run starts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AnnounceStep {
    /// Address of the switch; `/start` is added to its path.
    pub url: String,
}

/// Tells people of the result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NotifyStep {
    /// Tell of complete backups.
    pub on_success: bool,
    /// Tell of failed, refused and incomplete ones.
    pub on_failure: bool,
    /// Whom to tell. A dead man's switch is told of every result.
    pub channels: Vec<Channel>,
    /// The newest good snapshot before this run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_good: Option<LastGood>,
}

/// Copies a file or folder out of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RestoreStep {
    /// The snapshot; none for a folder that this program did not make.
    pub snapshot: Option<SnapshotId>,
    /// The folder that holds it, relative to the host's folder.
    pub folder: String,
    /// The path in the snapshot, escaped, without a leading slash; empty for all of it.
    pub path: String,
    /// Only these entries of the path, which is a folder then: their names, escaped and sorted;
    /// empty for all of it. A target that is there keeps its own metadata then.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub only: Vec<String>,
    /// What becomes the path's content, escaped.
    pub target: String,
    /// Whose everything is to be; none for whoever it was recorded for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
    /// Whom it was recorded for is told by numbers, whatever the recorded names mean here.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub numeric_ids: bool,
    /// Read back what was written and compare it with the manifest.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub read_back: bool,
    /// Replace what is there, keeping the old aside.
    pub overwrite: bool,
    /// Suffix of what is kept aside.
    pub aside_suffix: String,
    /// Entries to create.
    pub creates: u64,
    /// Entries that are there already, as the snapshot has them.
    pub already_there: u64,
    /// Bytes to write.
    pub bytes: u64,
    /// Entries that are there and differ, escaped, relative to the target; the first hundred.
    pub conflicts: Vec<String>,
    /// How many there are.
    pub conflict_count: u64,
    /// Entries that are there with the snapshot's content and another mode, owner, time or other
    /// attributes; with `overwrite` they are put right where they are. The first hundred.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub put_right: Vec<PutRight>,
    /// How many there are.
    #[serde(default, skip_serializing_if = "crate::is_zero")]
    pub put_right_count: u64,
    /// Paths relative to the target, escaped, where a symlink leads to the folder that the snapshot
    /// has there: what was backed up through it is restored through it. Sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub through: Vec<String>,
}

/// An entry that has the snapshot's content and other metadata.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PutRight {
    /// Its path relative to the target, escaped.
    pub path: String,
    /// What differs, in words.
    pub what: String,
}

/// A user and a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Owner {
    /// The user.
    pub uid: u32,
    /// The group.
    pub gid: u32,
}

/// Records what a person says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "say", rename_all = "kebab-case")]
pub enum MarkStep {
    /// Keep this snapshot whatever the retention says.
    Pin {
        /// The snapshot.
        id: SnapshotId,
    },
    /// Let the retention decide again.
    Unpin {
        /// The snapshot.
        id: SnapshotId,
    },
    /// This suspect snapshot is as it should be.
    Accept {
        /// The snapshot.
        id: SnapshotId,
    },
}

/// What the steps come to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Totals {
    /// Regular files to copy.
    pub copy_files: u64,
    /// Bytes on disk that they need at most.
    pub copy_bytes: u64,
    /// Regular files to hard-link.
    pub link_files: u64,
    /// Snapshots to delete.
    pub deletions: u64,
    /// Bytes that the deletions free.
    pub freed_bytes: u64,
    /// Snapshots kept after the run.
    pub kept: u64,
}
