//! What a person lets go on a remote with history: what the rules let go, or snapshots by name.
//!
//! To be let go is all that happens to them: what they hold stays there for `keepHistoryDays`, as if the rules
//! had let them go. Another machine may be about to rely on it, and a person may want it back.

use schema::{
    Config, ExpireReason, Finding, Inventory, Plan, Severity, SnapshotId,
    config::{DestinationName, Expire, RemoteOptions},
    plan::{DeletePurpose, EXPIRE, ExpireStep, RemoteExpiry, RemoteSweep, Step, Totals},
    remote_history::RemoteContent,
};

use crate::{
    Options,
    by_hand::check_what_stays,
    facts::{self, Facts},
    findings::{code, refusal},
    pipeline::frame,
    retention::{self, Candidate},
    steps::remote_expiry::{
        all_expired, all_swept, content_of, expire_step, expiry_of, last_made, suspect_finding,
    },
};

/// A plan that lets go what the rules let go now on the remote whose view the configuration is, and takes away
/// what was let go for long enough; that a person asks is approval. It has no step where that is nothing.
///
/// # Errors
/// A refusal where this machine's key may not delete there, or while a snapshot there is suspect and nobody has
/// accepted it.
pub fn plan_remote_prune(
    config: &Config,
    inventory: &Inventory,
    remote: (&DestinationName, RemoteOptions),
) -> Result<Plan, Box<Finding>> {
    plan_with(config, inventory, remote, |facts, content| {
        if let Some(suspect) = suspect_finding(content) {
            return Err(Box::new(Finding {
                severity: Severity::Refusal,
                ..suspect
            }));
        }
        let (expire, sweep) = (all_expired(facts, content), all_swept(facts, content));
        Ok((DeletePurpose::Prune, expire, sweep))
    })
}

/// A plan that lets these snapshots go.
///
/// # Errors
/// A refusal that names the one that must stay, or where this machine's key may not delete there.
pub fn plan_remote_deletion(
    config: &Config,
    inventory: &Inventory,
    remote: (&DestinationName, RemoteOptions),
    ids: &[SnapshotId],
) -> Result<Plan, Box<Finding>> {
    plan_with(config, inventory, remote, |facts, content| {
        let found: Vec<Candidate> = content.snapshots.iter().map(facts::candidate).collect();
        let good = retention::newest_good(&found, facts.now).map(|newest| newest.id);
        check_what_stays(good, &content.snapshots, &found, ids)?;
        if let Some(last) = last_made(content).filter(|last| ids.contains(last)) {
            let message = format!("snapshot {last} stays: it was made last of all that are there");
            let hint = "make a new one first with `backup now`";
            return Err(Box::new(refusal(code::SNAPSHOT_STAYS, message).hint(hint)));
        }
        let named = ids
            .iter()
            .filter(|id| found.iter().any(|one| one.id == **id));
        let expire = named.map(|id| expiry_of(content, *id, ExpireReason::ByHand));
        Ok((DeletePurpose::Delete, expire.collect(), Vec::new()))
    })
}

/// What is let go and what is taken away, and for what a person asks it.
type Going = (DeletePurpose, Vec<RemoteExpiry>, Vec<RemoteSweep>);

/// A plan of what is decided by what is known of the remote.
fn plan_with(
    config: &Config,
    inventory: &Inventory,
    remote: (&DestinationName, RemoteOptions),
    decide: impl FnOnce(&Facts<'_>, &RemoteContent) -> Result<Going, Box<Finding>>,
) -> Result<Plan, Box<Finding>> {
    may_delete(remote)?;
    let options = Options::default();
    let facts = Facts::new(config, inventory, &options);
    let nothing = RemoteContent::default();
    let content = content_of(&facts).unwrap_or(&nothing);
    let going = decide(&facts, content)?;
    Ok(plan_of(&facts, content, going))
}

fn may_delete((name, options): (&DestinationName, RemoteOptions)) -> Result<(), Box<Finding>> {
    if options.expire == Expire::Here {
        return Ok(());
    }
    let message = format!(
        "nothing is let go on {name}: this machine's key may not delete there \
         (destinations.{name}.expire is \"never\")"
    );
    Err(Box::new(refusal(code::SNAPSHOT_STAYS, message).hint(
        "do it from a machine whose key may, with expire = \"here\" for this remote",
    )))
}

fn plan_of(facts: &Facts<'_>, content: &RemoteContent, (purpose, expire, sweep): Going) -> Plan {
    let kept = content.snapshots.len().saturating_sub(expire.len()) as u64;
    let step = ExpireStep {
        asked: Some(purpose),
        ..expire_step(facts, expire, sweep)
    };
    let totals = Totals {
        deletions: step.sweep.len() as u64,
        freed_bytes: step.swept().bytes,
        kept,
        ..Totals::default()
    };
    let does_something = !step.expire.is_empty() || !step.sweep.is_empty();
    let step = does_something.then(|| Step {
        id: EXPIRE.to_owned(),
        needs: Vec::new(),
        after: Vec::new(),
        action: schema::plan::Action::Expire(step),
        of: None,
    });
    frame(facts, Vec::new(), step.into_iter().collect(), totals)
}
