//! Which snapshot of a disk a person means.

use anyhow::Result;
use chrono::{DateTime, FixedOffset, TimeDelta, Utc};
use executor::{Error, verify::snapshots::Found};
use planner::naming::{self, Candidate};
use schema::{SnapshotId, Tier, inventory::DestinationState};

/// A snapshot that a person named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Named {
    /// Its id; none for a folder that this program did not make and whose name is no id.
    pub(crate) id: Option<SnapshotId>,
    /// The tier whose folder holds it.
    pub(crate) home: Tier,
    /// Name of the folder.
    pub(crate) folder: String,
    /// Whether it has a record.
    pub(crate) managed: bool,
}

/// Finds the snapshot that a person named.
///
/// # Errors
/// A refusal that says which snapshots there are.
pub(crate) fn find(
    name: &str,
    destination: &DestinationState,
    now: DateTime<FixedOffset>,
) -> Result<Named> {
    let all = all(destination, now);
    let candidates: Vec<Candidate> = all.iter().map(|(one, _)| one.clone()).collect();
    let at = resolve(name, &candidates, now)?;
    Ok(all[at].1.clone())
}

/// The place in the list of the one that a person named.
///
/// # Errors
/// A refusal that says which there are.
pub(crate) fn resolve(
    name: &str,
    among: &[Candidate],
    now: DateTime<FixedOffset>,
) -> Result<usize> {
    naming::named(name, among, now.to_utc()).map_err(refused)
}

/// The same among what a verification finds, whose records may be damaged.
///
/// # Errors
/// A refusal that says which there are.
pub(crate) fn find_found(name: &str, among: &[Found], now: DateTime<FixedOffset>) -> Result<usize> {
    let candidates: Vec<Candidate> = among
        .iter()
        .map(|one| Candidate {
            name: one.id.to_string(),
            tiers: vec![one.home],
            started_at: Some(one.started_at(*now.offset())),
            good: one.counts(),
        })
        .collect();
    resolve(name, &candidates, now)
}

/// All that a name may mean.
fn all(destination: &DestinationState, now: DateTime<FixedOffset>) -> Vec<(Candidate, Named)> {
    let managed = destination.snapshots.iter().map(|snapshot| {
        let id = snapshot.record.id;
        let links = destination.links.iter().filter(|link| link.id == id);
        let candidate = Candidate {
            name: id.to_string(),
            tiers: std::iter::once(snapshot.home)
                .chain(links.map(|link| link.tier))
                .collect(),
            started_at: Some(snapshot.record.started_at.to_utc()),
            good: snapshot.record.suspect.is_empty() || snapshot.marks.accepted,
        };
        (candidate, managed(id, snapshot.home))
    });
    // To whom records are closed, ids tell the order and the link says which is the newest.
    let newest = destination
        .latest
        .as_deref()
        .filter(|_| destination.snapshots.is_empty());
    let newest = newest.and_then(|target| target.rsplit('/').next());
    let unmanaged = destination.unmanaged.iter().map(|folder| {
        let id: Option<SnapshotId> = folder.name.parse().ok();
        let candidate = Candidate {
            name: folder.name.clone(),
            tiers: vec![folder.tier],
            started_at: id.map(|id| by_name(id, *now.offset())),
            good: newest.is_some_and(|newest| folder.name.as_str() <= newest) && id.is_some(),
        };
        let named = Named {
            id,
            home: folder.tier,
            folder: folder.name.clone(),
            managed: false,
        };
        (candidate, named)
    });
    managed.chain(unmanaged).collect()
}

/// When a snapshot was started, by its name alone.
pub(crate) fn by_name(id: SnapshotId, offset: FixedOffset) -> DateTime<Utc> {
    (id.local() - TimeDelta::seconds(offset.local_minus_utc().into())).and_utc()
}

/// What a person should know who named a snapshot otherwise than by its whole name, as with
/// `latest`: newer ones that cannot be used, because their records are damaged or missing, or only
/// the record is left; none that is as new as `until` or newer.
pub(crate) fn passed_over(
    name: &str,
    named: &Named,
    destination: &DestinationState,
    until: Option<DateTime<FixedOffset>>,
) -> Option<String> {
    let name = name.trim_end_matches('/');
    if name.rsplit('/').next() == Some(named.folder.as_str()) || !named.managed {
        return None;
    }
    let is_between = |id: SnapshotId| {
        named.id.is_some_and(|than| id > than)
            && until.is_none_or(|until| by_name(id, *until.offset()) <= until)
    };
    let used = format!("{}/{} is used instead", named.home, named.folder);
    let tier = |path: &str| Tier::ALL.iter().any(|tier| tier.folder() == path);
    let mut closed = destination.in_the_way.iter().filter(|one| tier(&one.path));
    if let Some(one) = closed.next() {
        return Some(format!(
            "warning: {} is {}, so that newer snapshots may be there: {used}\n\
             hint: `backup status` says how it is mended",
            one.path, one.what
        ));
    }
    let unmanaged = destination.unmanaged.iter();
    let newest = unmanaged
        .filter_map(|one| Some((one.name.parse::<SnapshotId>().ok()?, one)))
        .filter(|(id, _)| is_between(*id))
        .max_by_key(|(id, _)| *id);
    let lost = destination.lost.iter().copied();
    let lost = lost.filter(|id| is_between(*id)).max();
    match (newest, lost) {
        (Some((id, one)), lost) if lost.is_none_or(|lost| lost < id) => {
            let tier = one.tier;
            let (because, then) = match &one.record_fault {
                Some(fault) => (
                    format!("its record is damaged ({fault})"),
                    "`backup health` says how it gets a new record",
                ),
                None => ("it has no record".to_owned(), "`backup adopt` gives it one"),
            };
            Some(format!(
                "warning: {tier}/{id} is newer, and {because}: {used}\n\
                 hint: {tier}/{id} names it all the same; {then}"
            ))
        }
        (_, Some(lost)) => Some(format!(
            "warning: {lost} is newer, and its folder is in no tier: {used}\n\
             hint: was a folder such as daily moved away or replaced? put it back"
        )),
        (..) => None,
    }
}

/// Finds the newest good snapshot that was started at this time or before.
///
/// # Errors
/// A refusal that says what the oldest one is.
pub(crate) fn as_of(when: DateTime<FixedOffset>, destination: &DestinationState) -> Result<Named> {
    let good = || {
        let all = destination.snapshots.iter();
        all.filter(|one| one.record.suspect.is_empty() || one.marks.accepted)
    };
    let found = good()
        // A second lasts until the next begins.
        .filter(|one| one.record.started_at.timestamp() <= when.timestamp())
        .max_by_key(|one| (one.record.started_at, one.record.id));
    if let Some(found) = found {
        return Ok(managed(found.record.id, found.home));
    }
    let when = when.format("%Y-%m-%d %H:%M:%S");
    let oldest = good().min_by_key(|one| one.record.started_at);
    Err(match oldest {
        None => refused("there is no good snapshot yet".to_owned()),
        Some(oldest) => refused(format!(
            "there is no good snapshot of {when} or before; the oldest is {}",
            oldest.record.id
        )),
    })
}

fn managed(id: SnapshotId, home: Tier) -> Named {
    Named {
        id: Some(id),
        home,
        folder: id.to_string(),
        managed: true,
    }
}

fn refused(message: String) -> anyhow::Error {
    Error::refused(message)
        .hint("`backup list` shows all snapshots")
        .into()
}
