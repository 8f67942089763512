//! Decides how the newest good snapshot is copied to the cloud, and what would stop it.
//!
//! The amounts come from what this machine remembers of the last upload and from the scan; the exact
//! difference is that of two manifests, which the executor takes before it changes anything.

use chrono::TimeDelta;
use schema::{
    Finding, SnapshotId, clock,
    cloud::{CloudChange, CloudState},
    config::{Cloud, Provider, SyncMode},
    inventory::SnapshotState,
    plan::{Action, CloudLimits, CloudSyncStep, Deletion, DestinationCheckStep, LiveSources, Part},
    reason::ExpireReason,
};

use super::{Draft, destination_check, expiry, upload};
use crate::{
    facts::{self, Facts},
    feeds::{RemoteFacts, only_read},
    findings, sharing,
};

/// A time between runs after which a clock may have jumped.
const LONG_GAP: TimeDelta = TimeDelta::days(31);

/// The copy, where one is asked for: of local snapshots, or of the live sources without them.
pub(crate) fn decide_cloud_sync(facts: &Facts<'_>, _: &mut Vec<Finding>) -> Option<Draft> {
    let cloud = &facts.config.cloud;
    let live = facts.is_live();
    let is_mirror = facts.remote.is_none_or(RemoteFacts::is_mirror);
    (cloud.enable && is_mirror).then_some(())?;
    if let (Some(remote), false) = (facts.remote, live) {
        let (needs, after) = upload::waits(facts);
        return Some(Draft {
            action: Action::CloudSync(cloud_step(facts, remote.likely_snapshot()?)),
            needs,
            after,
        });
    }
    (live || facts.destination.is_some()).then_some(())?;
    let snapshot = if live {
        let state = facts.inventory.cloud.as_ref();
        let taken = state.map_or(&[][..], |state| &state.memory.uploaded);
        facts.id.first_free(|id| taken.contains(&id))
    } else if facts.options.only == Some(Part::Cloud) {
        // What there is, for this run makes none.
        facts.reference?.record.id
    } else {
        facts.id
    };
    // After the rotation, which moves the snapshot to where it stays.
    Some(Draft {
        action: Action::CloudSync(cloud_step(facts, snapshot)),
        needs: if live { &["pre-script"] } else { &["snapshot"] },
        after: super::After::Kinds(&["rotate"]),
    })
}

/// How this snapshot is copied, or the live sources under its name.
pub(crate) fn cloud_step(facts: &Facts<'_>, snapshot: SnapshotId) -> CloudSyncStep {
    let cloud = &facts.config.cloud;
    let live = facts.is_live();
    let none = CloudState::default();
    let state = facts.inventory.cloud.as_ref().unwrap_or(&none);
    let from = facts.remote.map_or(&[][..], |remote| &remote.from);
    let alone = facts.options.only == Some(Part::Cloud) && facts.remote.is_none();
    let removes = cloud.sync_mode != SyncMode::Copy;
    let agreed = facts.options.approve_deletions;
    CloudSyncStep {
        program: "rclone".to_owned(),
        options: options(cloud),
        remote: remote(cloud, facts.host),
        config_file: cloud.config_file.clone(),
        timeout: cloud.timeout.clone(),
        mode: cloud.sync_mode,
        snapshot,
        live: live.then(|| live_sources(facts)),
        destination: (alone && !live).then(|| read_only(facts)).flatten(),
        from: from.to_vec(),
        last: state.memory.last.as_ref().map(|last| last.id),
        expected: match facts.remote.and_then(RemoteFacts::expected) {
            Some(of_disk) => of_disk,
            None => expected(facts, state),
        },
        limits: CloudLimits {
            max_delete: (removes && !agreed).then_some(cloud.max_delete),
            guard: !agreed && !accepted(facts, state),
        },
        expire: expire(facts, state),
        give_back: if cloud.sync_mode == SyncMode::Move && !live {
            give_back(facts, state, snapshot)
        } else {
            Vec::new()
        },
    }
}

/// The live sources as they are copied.
pub(super) fn live_sources(facts: &Facts<'_>) -> LiveSources {
    let local = &facts.config.local;
    LiveSources {
        sources: facts.sources().map(|one| one.path.clone()).collect(),
        exclude_patterns: local.exclude_patterns.clone(),
        exclude_caches: local.exclude_caches,
        exclude_if_present: local.exclude_if_present.clone(),
        one_file_system: local.one_file_system,
        max_hole_bytes: local.max_hole_bytes(),
    }
}

/// The destination as it is checked before it is read, where no step before does so.
pub(crate) fn read_only(facts: &Facts<'_>) -> Option<DestinationCheckStep> {
    match destination_check::decide_destination_check(facts, &mut Vec::new())?.action {
        Action::DestinationCheck(check) => Some(only_read(check)),
        _ => None,
    }
}

/// Options of every call of rclone.
#[must_use]
pub fn options(cloud: &Cloud) -> Vec<String> {
    let mut options = Vec::new();
    if let Some(file) = &cloud.config_file {
        options.extend(["--config".to_owned(), file.to_string()]);
    }
    if let Some(limit) = &cloud.bandwidth_limit {
        options.extend(["--bwlimit".to_owned(), limit.clone()]);
    }
    options
}

/// What there is to do at most: what the newest good snapshot has and the remote has not, and what
/// the sources have that the snapshot has not.
pub(crate) fn expected(facts: &Facts<'_>, state: &CloudState) -> CloudChange {
    let mut sum = CloudChange::default();
    let mut files = 0_u64;
    let known = state.memory.last.as_ref().and(state.pending);
    for scan in facts.sources().map(|source| &source.scan) {
        files = files.saturating_add(scan.files);
        let (count, bytes) = match known {
            // What moved is linked on the destination and uploaded again.
            Some(_) => (scan.new_files + scan.moved_files, scan.new_bytes),
            None => (scan.files, scan.bytes),
        };
        sum.upload_files = sum.upload_files.saturating_add(count);
        sum.upload_bytes = sum.upload_bytes.saturating_add(bytes);
    }
    let live = state.memory.last.as_ref().filter(|_| facts.is_live());
    // Live sources were compared with the last upload itself.
    let had = live.map(|last| last.files);
    let had = had.or_else(|| facts.newest.map(|basis| basis.record.totals.files));
    let (Some(pending), Some(had)) = (known, had) else {
        return sum;
    };
    // What of the snapshot before is not as it was, replaced or gone.
    let unchanged = files.saturating_sub(sum.upload_files);
    let gone = had.saturating_sub(files);
    CloudChange {
        upload_files: sum.upload_files + pending.upload_files,
        upload_bytes: sum.upload_bytes + pending.upload_bytes,
        replaced_files: had.saturating_sub(unchanged).saturating_sub(gone) + pending.replaced_files,
        gone_files: gone + pending.gone_files,
    }
}

/// The same of a snapshot that is there already, where nobody looked at the sources.
pub(crate) fn expected_of(snapshot: &SnapshotState, state: &CloudState) -> CloudChange {
    let known = state.memory.last.as_ref().and(state.pending);
    known.unwrap_or(CloudChange {
        upload_files: snapshot.record.totals.files,
        upload_bytes: snapshot.record.totals.bytes,
        ..CloudChange::default()
    })
}

/// Whether a person accepted a snapshot since the last upload: what it is like is as it should be.
fn accepted(facts: &Facts<'_>, state: &CloudState) -> bool {
    let last = state.memory.last.as_ref().map(|last| last.id);
    let newest = match facts.remote {
        Some(remote) => remote.newest_accepted(),
        None => newest_accepted(facts),
    };
    newest.is_some_and(|newest| last.is_none_or(|last| newest > last))
}

/// The newest snapshot here that a person accepted.
pub(crate) fn newest_accepted(facts: &Facts<'_>) -> Option<SnapshotId> {
    let snapshots = facts.destination.iter().flat_map(|found| &found.snapshots);
    let accepted = snapshots.filter(|one| one.marks.accepted);
    accepted.map(|one| one.record.id).max()
}

/// Whether a snapshot here is suspect, and nobody has accepted it.
pub(crate) fn has_suspect(facts: &Facts<'_>) -> bool {
    let mut snapshots = facts.destination.iter().flat_map(|found| &found.snapshots);
    snapshots.any(|one| facts::candidate(one).suspect)
}

/// History folders that this machine knows and that are old enough.
fn expire(facts: &Facts<'_>, state: &CloudState) -> Vec<SnapshotId> {
    // What is suspect may have replaced what the history holds, until a person has looked.
    let fed_by_suspect = facts.remote.is_some_and(RemoteFacts::has_suspect);
    if fed_by_suspect || has_suspect(facts) {
        return Vec::new();
    }
    // Neither may what was held back, until a person agrees.
    let last = state.memory.last.as_ref();
    if last.is_some_and(|last| last.withheld.is_some()) && !facts.options.approve_deletions {
        return Vec::new();
    }
    let now = facts.inventory.taken_at;
    let (cloud, memory) = (&facts.config.cloud, &state.memory);
    let mut ids: Vec<SnapshotId> = memory
        .history
        .iter()
        .filter(|one| findings::cloud::is_old(one, cloud, memory, now))
        .map(|one| one.id)
        .collect();
    ids.sort();
    ids
}

/// Local snapshots that the remote has and that are older than the `copied` one, except what a person or
/// the rules hold on to.
///
/// After a gap that a clock may have made, the last good one stays this time: what is made under a
/// clock that is ahead counts for nothing once it is right again.
fn give_back(facts: &Facts<'_>, state: &CloudState, copied: SnapshotId) -> Vec<Deletion> {
    let Some(destination) = facts.destination else {
        return Vec::new();
    };
    if has_suspect(facts) {
        return Vec::new();
    }
    let last_good = facts.last_good.as_ref();
    let gap = last_good.is_some_and(|good| clock::age(good.started_at, facts.now) > LONG_GAP);
    let snapshots = destination.snapshots.iter();
    let gone: Vec<SnapshotId> = snapshots
        .filter(|one| state.memory.uploaded.contains(&one.record.id) && one.record.id < copied)
        .filter(|one| {
            let candidate = facts::candidate(one);
            let stays = gap && last_good.is_some_and(|good| good.id == one.record.id);
            candidate.counts(facts.now) && !candidate.pinned && !stays
        })
        .map(|one| one.record.id)
        .collect();
    let lost = sharing::losses(&expiry::snapshot_holdings(facts, destination, true), &gone);
    gone.iter()
        .zip(lost)
        .filter_map(|(id, lost)| {
            let mut all = destination.snapshots.iter();
            let home = all.find(|one| one.record.id == *id)?.home;
            Some(Deletion {
                id: *id,
                home,
                reason: ExpireReason::InTheCloud,
                frees: lost.bytes,
                lost: Some(lost),
            })
        })
        .collect()
}

/// The host's folder on the remote, as rclone names it.
#[must_use]
pub fn remote(cloud: &Cloud, host: &str) -> String {
    let remote = match cloud.provider {
        Provider::ProtonDrive => "proton:",
        Provider::Custom => cloud.remote.as_deref().unwrap_or("proton:"),
    };
    let path = cloud.remote_path.trim_matches('/');
    let between = if remote.ends_with([':', '/']) {
        ""
    } else {
        "/"
    };
    let below = if path.is_empty() { "" } else { "/" };
    format!("{remote}{between}{path}{below}{host}")
}
