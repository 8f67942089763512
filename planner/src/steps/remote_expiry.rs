//! Decides which snapshots are let go on a remote with history, and of which all is taken away.
//!
//! What is let go is decided by the rules of disks, on what the remote was last known to have: the snapshot
//! that this run uploads is not among it, so that the rules are a run behind, and never ahead. What was let go
//! is taken away when three clocks say that it was long enough ago.

use std::collections::BTreeSet;

use schema::{
    Config, ExpireReason, Finding, Inventory, SnapshotId,
    config::{Expire, MaxDelete},
    plan::{Action, ExpireStep, Lost, RemoteExpiry, RemoteSweep},
    remote_history::RemoteContent,
};

use super::{Draft, upload};
use crate::{
    Options,
    facts::{self, Facts},
    findings::{
        cloud::clocks_agree,
        code,
        finding::{counted, first_few, warning},
    },
    retention::{self, Candidate, Policy},
};

/// The step, where something is to go.
pub(crate) fn decide_remote_expiry(
    facts: &Facts<'_>,
    findings: &mut Vec<Finding>,
) -> Option<Draft> {
    let remote = facts.remote.filter(|remote| !remote.is_mirror())?;
    let uploads = facts.is_live() || !remote.from.is_empty();
    if !facts.config.cloud.enable || !uploads || remote.options.expire == Expire::Never {
        return None;
    }
    let content = content_of(facts)?;
    if let Some(suspect) = suspect_finding(content) {
        findings.push(suspect);
        return None;
    }
    let due = all_expired(facts, content);
    let unapproved = needs_approval(facts, content, &due);
    let (expire, withheld) = match unapproved {
        None => (due, Vec::new()),
        Some(finding) => {
            findings.push(finding);
            (Vec::new(), due)
        }
    };
    let step = ExpireStep {
        withheld,
        ..expire_step(facts, expire, all_swept(facts, content))
    };
    let has_any = !step.expire.is_empty() || !step.withheld.is_empty() || !step.sweep.is_empty();
    has_any.then(|| Draft::needing(&["upload"], Action::Expire(step)))
}

/// That nothing is let go or deleted there, because of a suspect snapshot that nobody has accepted: it may be
/// all that is left of what older ones hold.
pub(crate) fn suspect_finding(content: &RemoteContent) -> Option<Finding> {
    let suspect = content.snapshots.iter();
    let suspect = suspect.filter(|one| facts::candidate(one).suspect);
    let newest = suspect.max_by_key(|one| one.record.id)?;
    let (id, since) = (newest.record.id, facts::suspect_since(newest));
    let because = newest.record.suspect.join("; ");
    let message = format!(
        "snapshot {id} there is suspect, and nothing is let go until a person has looked: {because}"
    );
    let hint = format!("look at what changed; if it is as it should be: `backup accept {since}`");
    Some(warning(code::SUSPECT_SNAPSHOT, message).hint(hint))
}

/// Whether nothing there is to be let go now.
pub(crate) fn is_settled(facts: &Facts<'_>) -> bool {
    let content = content_of(facts);
    content.is_some_and(|content| all_expired(facts, content).is_empty())
}

/// What this machine knows of the remote.
pub(crate) fn content_of<'a>(facts: &Facts<'a>) -> Option<&'a RemoteContent> {
    facts.inventory.cloud.as_ref()?.history.as_ref()
}

/// The step that lets these go and takes away what those had.
pub(crate) fn expire_step(
    facts: &Facts<'_>,
    expire: Vec<RemoteExpiry>,
    sweep: Vec<RemoteSweep>,
) -> ExpireStep {
    ExpireStep {
        call: upload::remote_call(facts),
        asked: None,
        expire,
        withheld: Vec::new(),
        keep_days: facts.config.cloud.keep_history_days,
        sweep,
    }
}

/// All that the rules let go, oldest first. A snapshot of which one that was the same is kept stays with it.
pub(crate) fn all_expired(facts: &Facts<'_>, content: &RemoteContent) -> Vec<RemoteExpiry> {
    let found: Vec<Candidate> = content.snapshots.iter().map(facts::candidate).collect();
    let newest_good = retention::newest_good(&found, facts.now).map(|newest| newest.id);
    let last_made = last_made(content);
    let mut all = found;
    let of = |id: SnapshotId, all: &[Candidate]| all.iter().find(|one| one.id == id).cloned();
    for same in &content.same {
        if let (None, Some(like)) = (of(same.id, &all), of(same.like, &all)) {
            all.push(Candidate {
                id: same.id,
                started_at: same.started_at.to_utc(),
                hour: retention::hour_of(same.started_at),
                day: same.day,
                ..like
            });
        }
    }
    let policy = Policy::of(&facts.config.local);
    let decision = retention::decide_retention(&policy, facts.now, &all);
    let expired: Vec<(SnapshotId, ExpireReason)> = decision
        .expired_by_time()
        .map(|(id, expired)| (id, expired.reason))
        .collect();
    let goes: BTreeSet<SnapshotId> = expired.iter().map(|(id, _)| *id).collect();
    let there: BTreeSet<SnapshotId> = content.snapshots.iter().map(|one| one.record.id).collect();
    let is_wanted = |id: SnapshotId| {
        let mut same = content.same.iter().filter(|same| same.like == id);
        same.any(|same| !goes.contains(&same.id))
    };
    expired
        .into_iter()
        .filter(|(id, _)| {
            let stays = [newest_good, last_made].contains(&Some(*id));
            there.contains(id) && !stays && !is_wanted(*id)
        })
        .map(|(id, reason)| expiry_of(content, id, reason))
        .collect()
}

/// The snapshot that was made last: uploads rely on it.
pub(crate) fn last_made(content: &RemoteContent) -> Option<SnapshotId> {
    let last = content.snapshots.iter().max_by_key(|one| {
        let record = &one.record;
        (record.sequence, record.sealed_at, record.id)
    });
    last.map(|one| one.record.id)
}

/// A snapshot that is let go, with what goes with it.
pub(crate) fn expiry_of(
    content: &RemoteContent,
    id: SnapshotId,
    reason: ExpireReason,
) -> RemoteExpiry {
    RemoteExpiry {
        id,
        reason,
        lost: lost_with(content, id),
    }
}

fn lost_with(content: &RemoteContent, id: SnapshotId) -> Option<Lost> {
    let mut all = content.lost.iter();
    all.find(|one| one.id == id).map(|one| one.lost)
}

/// What a run would let go on the remote whose view the configuration is, and what it would take away there:
/// of these it is to be found out what goes with them.
#[must_use]
pub fn going_on_remote(
    config: &Config,
    inventory: &Inventory,
) -> (Vec<SnapshotId>, Vec<SnapshotId>) {
    let options = Options::default();
    let facts = Facts::new(config, inventory, &options);
    let Some(content) = content_of(&facts) else {
        return (Vec::new(), Vec::new());
    };
    let let_go = all_expired(&facts, content);
    let taken = all_swept(&facts, content);
    (
        let_go.iter().map(|one| one.id).collect(),
        taken.iter().map(|one| one.id).collect(),
    )
}

/// What was let go so long ago that it is taken away.
pub(crate) fn all_swept(facts: &Facts<'_>, content: &RemoteContent) -> Vec<RemoteSweep> {
    let state = facts.inventory.cloud.as_ref();
    let runs = state.map_or(&[][..], |state| &state.memory.runs);
    let keep_days = facts.config.cloud.keep_history_days;
    let now = facts.started_at;
    let is_old = |one: &&schema::remote_history::ExpiredSnapshot| {
        clocks_agree(&one.seen, keep_days, runs, now)
    };
    let old = content.expired.iter().filter(is_old);
    old.map(|one| RemoteSweep {
        id: one.id,
        lost: lost_with(content, one.id),
    })
    .collect()
}

/// That more would go at once than a person is to be surprised by.
fn needs_approval(
    facts: &Facts<'_>,
    content: &RemoteContent,
    expire: &[RemoteExpiry],
) -> Option<Finding> {
    let all = content.snapshots.len();
    let share = match facts.config.cloud.max_delete {
        MaxDelete::Count(count) => usize::try_from(count).unwrap_or(usize::MAX),
        MaxDelete::Percent(percent) => (all * usize::from(percent)).div_ceil(100),
    };
    // A night makes one, and each rule may let one go for it.
    let is_new = |one: &&schema::inventory::SnapshotState| {
        content
            .settled_at
            .is_some_and(|at| one.record.sealed_at >= at)
    };
    let new = content.snapshots.iter().filter(is_new).count().max(1);
    let each = Policy::of(&facts.config.local).rules_in_force() * new;
    if expire.len() <= share.max(each) || facts.options.approve_deletions {
        return None;
    }
    let count = expire.len() as u64;
    Some(
        warning(
            code::DELETIONS_NEED_APPROVAL,
            format!(
                "{} at once on the remote need approval, more than cloud.maxDelete ({}) of {}: {}",
                counted(count, "deletion"),
                facts.config.cloud.max_delete,
                counted(all as u64, "snapshot"),
                first_few(expire.iter().map(|one| one.id.to_string()), count)
            ),
        )
        .hint(
            "if the keep numbers (local.keepLast to keepYearly) are as you want them, run `backup prune`, or \
             `backup apply --approve-deletions`; else raise them",
        ),
    )
}

#[cfg(test)]
mod tests;
