//! Which snapshot a person means: `latest`, an id, or `tier/id`.

use anyhow::Result;
use chrono::{DateTime, FixedOffset};
use executor::Error;
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
    let name = name.trim_end_matches('/');
    let (tier, name) = match name.split_once('/') {
        Some((tier, id)) => (
            Some(tier.parse::<Tier>().map_err(|()| {
                refused(format!("`{tier}` is not a tier: daily, weekly or monthly"))
            })?),
            id,
        ),
        None => (None, name),
    };
    if name == "latest" {
        return latest(destination, now);
    }
    // In a tier a snapshot may stand as a link; it is the same snapshot.
    let in_tier = |id: SnapshotId, home: Tier| {
        tier.is_none_or(|tier| {
            tier == home
                || destination
                    .links
                    .iter()
                    .any(|link| link.tier == tier && link.id == id)
        })
    };
    if let Ok(id) = name.parse::<SnapshotId>()
        && let Some(found) = destination
            .snapshots
            .iter()
            .find(|snapshot| snapshot.record.id == id && in_tier(id, snapshot.home))
    {
        return Ok(managed(found.record.id, found.home));
    }
    if let Some(found) = destination
        .unmanaged
        .iter()
        .find(|folder| folder.name == name && tier.is_none_or(|tier| tier == folder.tier))
    {
        return Ok(Named {
            id: name.parse().ok(),
            home: found.tier,
            folder: found.name.clone(),
            managed: false,
        });
    }
    Err(refused(format!("there is no snapshot `{name}`")))
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
        .filter(|one| one.record.started_at <= when)
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

fn latest(destination: &DestinationState, now: DateTime<FixedOffset>) -> Result<Named> {
    let good = planner::basis(destination, now).map(|basis| (basis.id, basis.home));
    // Newest by what counts, an incomplete one included.
    let newest = destination
        .snapshots
        .iter()
        .rev()
        .find(|snapshot| snapshot.record.suspect.is_empty() || snapshot.marks.accepted)
        .map(|snapshot| (snapshot.record.id, snapshot.home));
    // Whose records are closed to us: the link says it.
    if destination.snapshots.is_empty()
        && let Some((tier, name)) = destination
            .latest
            .as_deref()
            .and_then(|target| target.split_once('/'))
        && let Some(folder) = destination
            .unmanaged
            .iter()
            .find(|folder| folder.tier.folder() == tier && folder.name == name)
    {
        return Ok(Named {
            id: name.parse().ok(),
            home: folder.tier,
            folder: folder.name.clone(),
            managed: false,
        });
    }
    let (id, home) = newest
        .or(good)
        .ok_or_else(|| refused("there is no snapshot yet".to_owned()))?;
    Ok(managed(id, home))
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
