//! Decides what is uploaded to a remote with history: the newest good snapshot of a disk that has the same
//! sources, or the live sources where no disk gives a new one.
//!
//! What of it is missing there is found by the executor, which lists the remote before it puts anything.

use schema::{
    Finding, SnapshotId,
    config::{Expire, OnPreBackupFailure},
    plan::{Action, RemoteCall, UploadStep},
};

use super::{After, Draft, cloud_sync, remote_expiry};
use crate::{facts::Facts, feeds::RemoteFacts};

/// The upload, where there is something to upload.
pub(crate) fn decide_upload(facts: &Facts<'_>, _: &mut Vec<Finding>) -> Option<Draft> {
    let remote = facts.remote.filter(|remote| !remote.is_mirror())?;
    let live = facts.is_live();
    if !facts.config.cloud.enable || (!live && remote.from.is_empty()) {
        return None;
    }
    let state = facts.inventory.cloud.as_ref();
    let taken = state.map_or(&[][..], |state| &state.memory.uploaded);
    // What the disks get in this run may still come.
    let planned = |id: SnapshotId| remote.from.iter().any(|feed| feed.snapshot == Some(id));
    let snapshot = facts.id.first_free(|id| taken.contains(&id) || planned(id));
    let (needs, after) = waits(facts);
    Some(Draft {
        action: Action::Upload(UploadStep {
            settles: remote_expiry::is_settled(facts),
            ..upload_step(facts, remote, snapshot)
        }),
        needs,
        after,
    })
}

/// What comes before something goes to a named remote: what is needed, and what must have ended.
pub(super) fn waits(facts: &Facts<'_>) -> (&'static [&'static str], After) {
    let aborts = facts.config.on_pre_backup_failure == OnPreBackupFailure::Abort;
    match facts.is_live() || aborts {
        true => (&["pre-script"], After::Kinds(&[])),
        false => (&[], After::Kinds(&["pre-script"])),
    }
}

/// What is uploaded, live sources under the name of this snapshot.
pub(crate) fn upload_step(
    facts: &Facts<'_>,
    remote: &RemoteFacts,
    snapshot: SnapshotId,
) -> UploadStep {
    UploadStep {
        call: remote_call(facts),
        from: remote.from.clone(),
        live: remote
            .may_be_live()
            .then(|| cloud_sync::live_sources(facts)),
        snapshot,
        settles: false,
        may_delete: remote.options.expire == Expire::Here,
    }
}

/// How the remote is called whose view the configuration is.
pub(crate) fn remote_call(facts: &Facts<'_>) -> RemoteCall {
    let cloud = &facts.config.cloud;
    RemoteCall {
        program: "rclone".to_owned(),
        options: cloud_sync::options(cloud),
        remote: cloud_sync::remote(cloud, facts.host),
        folder: facts.host.to_owned(),
        config_file: cloud.config_file.clone(),
        timeout: cloud.timeout.clone(),
    }
}
