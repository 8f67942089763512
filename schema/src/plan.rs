//! The plan: an explicit graph of steps that leaves no choice to whoever runs it.
//!
//! Names, paths, arguments, deletions and their reasons are all in it. One payload per step kind;
//! adding a kind adds a payload and a variant here, and exhaustive matches list the rest.

mod adopt;
pub mod chain;
mod cloud;
mod destination;
mod part;
mod repair;
mod restore;
mod rotation;
mod snapshot;
mod upload;

pub use crate::{
    channel::{Channel, healthcheck_name},
    record::LastGood,
};
pub use adopt::{AdoptCandidate, AdoptStep, AdoptTree, MadeBy};
pub use chain::Chain;
pub use cloud::{CloudLimits, CloudSyncStep, LiveSources};
pub use destination::{DestinationCheckStep, DiscardPartial, SpaceCheckStep, TakeOver};
pub use part::{Part, Share};
pub use repair::{
    RepairFile, RepairFolder, RepairFrom, RepairName, RepairRecords, RepairStep, StoredMetadata,
    StoredTime,
};
pub use restore::{Owner, PutRight, RestoreStep};
pub use rotation::{
    DeletePurpose, DeleteStep, Deletion, Keep, Link, Lost, Move, RotateStep, Rotation, Unlink,
};
pub use snapshot::{
    Basis, ContentFrom, Expected, LikeBefore, SnapshotStep, SourceStep, SuspectWhen,
};
pub use upload::{
    ExpireStep, RemoteCall, RemoteExpiry, RemoteMarkStep, RemoteSweep, UploadFeed, UploadStep,
};

use std::collections::BTreeMap;

use chrono::{DateTime, FixedOffset};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Config, SnapshotId,
    config::{AbsolutePath, DestinationName, OnPreBackupFailure},
    digest::Digest,
    duration::Span,
    finding::{Finding, Severity},
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
    /// The destinations whose steps alone it has, where named ones are among them; empty for a whole run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub only_of: Vec<DestinationName>,
    /// What the plan was made from; another state refuses it.
    pub bound_to: Binding,
    /// What was noticed. A refusal or a deferral leaves only the steps that always run.
    pub findings: Vec<Finding>,
    /// The steps, each after all that it needs or waits for.
    pub steps: Vec<Step>,
    /// What the steps come to; those of `chains` not counted.
    pub totals: Totals,
    /// The named destinations that it is for, each with what it was made from.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub chains: BTreeMap<DestinationName, Chain>,
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

    /// Whether the rest of it is planned, or was planned, once its pre-backup script had run.
    #[must_use]
    pub fn is_made_in_two(&self) -> bool {
        let mut steps = self.steps.iter();
        steps.any(|step| matches!(step.action, Action::PlanAgain))
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
    /// Name of the step, unique in the plan; that of a named destination ends in its name.
    pub id: String,
    /// The named destination that it is about; none for those of `local`, `cloud` and the run itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<DestinationName>,
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
    /// Makes the plan of what follows: the pre-backup script may mount the destination.
    PlanAgain,
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
    /// Puts the newest good snapshot on a remote with history.
    Upload(UploadStep),
    /// Lets old snapshots go on a remote with history.
    Expire(ExpireStep),
    /// Runs the post-backup script.
    PostScript(ScriptStep),
    /// Tells people of the result.
    Notify(NotifyStep),
    /// Copies a file or folder out of a snapshot.
    Restore(RestoreStep),
    /// Records what a person says of a snapshot or a destination.
    Mark(MarkStep),
    /// The same on a remote with history.
    RemoteMark(RemoteMarkStep),
    /// Heals what is damaged in snapshots.
    Repair(RepairStep),
    /// Makes snapshots of folders that another tool made.
    Adopt(AdoptStep),
}

/// Id of the step that tells of the start.
pub const ANNOUNCE: &str = "announce";

/// Id of the step that runs the pre-backup script.
pub const PRE_SCRIPT: &str = "pre-script";

/// Id of the step after which the rest of a run is planned.
pub const PLAN_AGAIN: &str = "plan-again";

/// Id of the step that copies to the cloud.
pub const CLOUD_SYNC: &str = "cloud-sync";

/// Id of the step that puts a snapshot on a remote with history.
pub const UPLOAD: &str = "upload";

/// Id of the step that lets old snapshots go on a remote with history.
pub const EXPIRE: &str = "expire";

/// Whether a step of this id, without a destination's name, copies what there is to a remote.
#[must_use]
pub fn copies_away(step: &str) -> bool {
    [CLOUD_SYNC, UPLOAD].contains(&step)
}

/// Id of the step that tells of the result.
pub const NOTIFY: &str = "notify";

/// Whether a step only tells people, so that how it ends is no part of a run's result.
#[must_use]
pub fn only_tells(step: &str) -> bool {
    [ANNOUNCE, NOTIFY].contains(&step)
}

impl Action {
    /// The disks that a named remote may get a snapshot from.
    #[must_use]
    pub fn feeds(&self) -> &[UploadFeed] {
        match self {
            Self::Upload(upload) => &upload.from,
            Self::CloudSync(sync) => &sync.from,
            _ => &[],
        }
    }

    /// The live sources that go to a remote.
    #[must_use]
    pub fn live(&self) -> Option<&LiveSources> {
        match self {
            Self::Upload(upload) => upload.live.as_ref(),
            Self::CloudSync(sync) => sync.live.as_ref(),
            _ => None,
        }
    }

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
            Self::PreScript(_) => PRE_SCRIPT,
            Self::PlanAgain => PLAN_AGAIN,
            Self::DestinationCheck(_) => "destination-check",
            Self::SpaceCheck(_) => "space-check",
            Self::Snapshot(_) => "snapshot",
            Self::Rotate(_) => "rotate",
            Self::Delete(step) => step.purpose.word(),
            Self::CloudSync(_) => CLOUD_SYNC,
            Self::Upload(_) => UPLOAD,
            Self::Expire(_) => EXPIRE,
            Self::PostScript(_) => "post-script",
            Self::Notify(_) => NOTIFY,
            Self::Restore(_) => "restore",
            Self::Mark(_) => "mark",
            Self::RemoteMark(_) => "remote-mark",
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

/// Tells a dead man's switch that a run starts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AnnounceStep {
    /// Address of the switch; `/start` is added to its path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// File that holds the address instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url_file: Option<AbsolutePath>,
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
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        serialize_with = "name_and_time"
    )]
    pub last_good: Option<LastGood>,
}

/// Writes a last good snapshot as plans always had it, without whether it is complete: another key would
/// give the plans of older versions another digest, and their unfinished runs would be nobody's.
fn name_and_time<S: serde::Serializer>(
    last_good: &Option<LastGood>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct NameAndTime {
        id: SnapshotId,
        started_at: DateTime<FixedOffset>,
    }
    last_good
        .map(|good| NameAndTime {
            id: good.id,
            started_at: good.started_at,
        })
        .serialize(serializer)
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

impl MarkStep {
    /// The snapshot that something is said of.
    #[must_use]
    pub fn id(&self) -> SnapshotId {
        match self {
            Self::Pin { id } | Self::Unpin { id } | Self::Accept { id } => *id,
        }
    }
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
