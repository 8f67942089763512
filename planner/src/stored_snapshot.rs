//! Which snapshot of a disk a person means, and whether what they want can be done with it.
//!
//! Owns what names mean among the folders of a destination, those included that this program did not
//! make. The grammar of names is [`crate::naming`]'s.

use chrono::{DateTime, FixedOffset, TimeDelta, Utc};
use schema::{SnapshotId, Tier, inventory::DestinationState};

use crate::naming::{self, Candidate};

type Time = DateTime<FixedOffset>;

/// A snapshot that a person named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSnapshot {
    /// Its id; none for a folder that this program did not make and whose name is no id.
    pub id: Option<SnapshotId>,
    /// The tier whose folder holds it.
    pub home: Tier,
    /// Name of the folder.
    pub folder: String,
    /// Whether it has a record.
    pub is_managed: bool,
}

/// Why a snapshot is not what is asked for, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamingRefusal {
    /// A sentence.
    pub message: String,
    /// What to do about it.
    pub hint: &'static str,
}

impl NamingRefusal {
    fn new(message: impl Into<String>, hint: &'static str) -> Self {
        Self {
            message: message.into(),
            hint,
        }
    }

    /// The refusal of a name, with the command that shows which there are.
    #[must_use]
    pub fn of_name(message: String) -> Self {
        let hint = match message == naming::NO_SNAPSHOT {
            true => "`backup now` makes the first one",
            false => "`backup list` shows all snapshots",
        };
        Self::new(message, hint)
    }
}

impl StoredSnapshot {
    fn managed(id: SnapshotId, home: Tier) -> Self {
        Self {
            id: Some(id),
            home,
            folder: id.to_string(),
            is_managed: true,
        }
    }

    /// Its folder, relative to the host's folder, such as `daily/2025-01-16_02-00-00`.
    #[must_use]
    pub fn home_folder(&self) -> String {
        format!("{}/{}", self.home, self.folder)
    }

    /// Why its record cannot be read; none if it can, or if it has none.
    fn record_fault<'a>(&self, destination: &'a DestinationState) -> Option<&'a str> {
        let mut unmanaged = destination.unmanaged.iter();
        let found = unmanaged.find(|one| one.tier == self.home && one.name == self.folder)?;
        found.record_fault.as_deref()
    }

    /// Its id, for whoever compares it with another.
    ///
    /// # Errors
    /// It has no manifest.
    pub fn to_compare(&self) -> Result<SnapshotId, NamingRefusal> {
        self.id.filter(|_| self.is_managed).ok_or_else(|| {
            NamingRefusal::new(
                format!(
                    "{} was not made by this program and has no manifest to compare",
                    self.home_folder()
                ),
                "`backup adopt` makes a snapshot of it; `diff -r` compares folders",
            )
        })
    }

    /// Its id, for whoever marks it.
    ///
    /// # Errors
    /// Its record is damaged, or it has none.
    pub fn to_mark(&self, destination: &DestinationState) -> Result<SnapshotId, NamingRefusal> {
        let folder = self.home_folder();
        if let Some(fault) = self.record_fault(destination) {
            return Err(NamingRefusal::new(
                format!("the record of {folder} is damaged: {fault}"),
                "it is kept whatever the retention says; `backup health` says how to mend it",
            ));
        }
        self.id.filter(|_| self.is_managed).ok_or_else(|| {
            NamingRefusal::new(
                format!("{folder} was not made by this program"),
                "unmanaged folders are never deleted",
            )
        })
    }

    /// Its id, for whoever deletes it.
    ///
    /// # Errors
    /// This program did not make it.
    pub fn to_delete(&self, destination: &DestinationState) -> Result<SnapshotId, NamingRefusal> {
        let is_ours = self.is_managed || self.record_fault(destination).is_some();
        self.id.filter(|_| is_ours).ok_or_else(|| {
            NamingRefusal::new(
                format!(
                    "{} was not made by this program and is never deleted by it",
                    self.home_folder()
                ),
                "remove the folder yourself if it is not needed, or `backup adopt` it",
            )
        })
    }
}

/// Finds the snapshot that a person named.
///
/// # Errors
/// None is meant, or several: the refusal says which there are.
pub fn find_stored(
    name: &str,
    destination: &DestinationState,
    now: Time,
) -> Result<StoredSnapshot, NamingRefusal> {
    let (candidates, snapshots): (Vec<Candidate>, Vec<StoredSnapshot>) =
        all_stored(destination, now).into_iter().unzip();
    let found = naming::named(name, &candidates, now.to_utc());
    let at = found.map_err(NamingRefusal::of_name)?;
    Ok(snapshots[at].clone())
}

/// All that a name may mean.
fn all_stored(destination: &DestinationState, now: Time) -> Vec<(Candidate, StoredSnapshot)> {
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
        (candidate, StoredSnapshot::managed(id, snapshot.home))
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
            started_at: id.map(|id| started_by_name(id, *now.offset())),
            good: newest.is_some_and(|newest| folder.name.as_str() <= newest) && id.is_some(),
        };
        let stored = StoredSnapshot {
            id,
            home: folder.tier,
            folder: folder.name.clone(),
            is_managed: false,
        };
        (candidate, stored)
    });
    managed.chain(unmanaged).collect()
}

/// When a snapshot was started, by its name alone.
#[must_use]
pub fn started_by_name(id: SnapshotId, offset: FixedOffset) -> DateTime<Utc> {
    (id.local() - TimeDelta::seconds(offset.local_minus_utc().into())).and_utc()
}

/// Snapshots of a remote as names are looked up among them. Only good ones are uploaded.
#[must_use]
pub fn uploaded_candidates(uploaded: &[SnapshotId], now: Time) -> Vec<Candidate> {
    uploaded
        .iter()
        .map(|id| Candidate {
            name: id.to_string(),
            tiers: Vec::new(),
            started_at: Some(started_by_name(*id, *now.offset())),
            good: true,
        })
        .collect()
}

/// The uploaded snapshot that is meant: by its name, or the newest that was started at the time
/// `as_of` or before.
///
/// # Errors
/// None is meant, or several: a sentence without a hint.
pub fn find_uploaded(
    name: &str,
    as_of: Option<Time>,
    uploaded: &[SnapshotId],
    now: Time,
) -> Result<SnapshotId, String> {
    let candidates = uploaded_candidates(uploaded, now);
    let Some(as_of) = as_of else {
        let at = naming::named(name, &candidates, now.to_utc())?;
        return Ok(uploaded[at]);
    };
    let before = candidates.iter().zip(uploaded);
    before
        .filter(|(one, _)| one.started_at.is_some_and(|at| at <= as_of.to_utc()))
        .max_by_key(|(one, _)| one.started_at)
        .map(|(_, id)| *id)
        .ok_or_else(|| "there is no snapshot of that time or before".to_owned())
}

/// The name of an uploaded snapshot that is named otherwise than as the newest.
#[must_use]
pub fn find_only_uploaded(name: &str, uploaded: &[SnapshotId], now: Time) -> Option<SnapshotId> {
    if name.starts_with("latest") {
        return None;
    }
    find_uploaded(name, None, uploaded, now).ok()
}

/// What a person should know who named a snapshot otherwise than by its whole name, as with
/// `latest`: newer ones that cannot be used, because their records are damaged or missing, or only
/// the record is left; none that is as new as `until` or newer.
#[must_use]
pub fn warn_of_newer(
    name: &str,
    stored: &StoredSnapshot,
    destination: &DestinationState,
    until: Option<Time>,
) -> Option<String> {
    let name = name.trim_end_matches('/');
    if name.rsplit('/').next() == Some(stored.folder.as_str()) || !stored.is_managed {
        return None;
    }
    let is_between = |id: SnapshotId| {
        stored.id.is_some_and(|than| id > than)
            && until.is_none_or(|until| started_by_name(id, *until.offset()) <= until)
    };
    let used = format!("{} is used instead", stored.home_folder());
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
/// There is none: the refusal says what the oldest one is.
pub fn find_as_of(
    time: Time,
    destination: &DestinationState,
) -> Result<StoredSnapshot, NamingRefusal> {
    let good = || {
        let all = destination.snapshots.iter();
        all.filter(|one| one.record.suspect.is_empty() || one.marks.accepted)
    };
    let found = good()
        // A second lasts until the next begins.
        .filter(|one| one.record.started_at.timestamp() <= time.timestamp())
        .max_by_key(|one| (one.record.started_at, one.record.id));
    if let Some(found) = found {
        return Ok(StoredSnapshot::managed(found.record.id, found.home));
    }
    let time = time.format("%Y-%m-%d %H:%M:%S");
    let oldest = good().min_by_key(|one| one.record.started_at);
    Err(NamingRefusal::of_name(oldest.map_or_else(
        || "there is no good snapshot yet".to_owned(),
        |oldest| {
            format!(
                "there is no good snapshot of {time} or before; the oldest is {}",
                oldest.record.id
            )
        },
    )))
}

/// The suspect snapshot that `latest` means to whoever accepts one: `latest` is never a suspect one;
/// here it is the last one that was made.
#[must_use]
pub fn snapshot_to_accept(
    name: &str,
    found: SnapshotId,
    destination: &DestinationState,
) -> SnapshotId {
    let newest = destination.snapshots.last();
    let newest = newest.filter(|newest| {
        name == "latest" && !newest.record.suspect.is_empty() && !newest.marks.accepted
    });
    newest.map_or(found, |newest| newest.record.id)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::test_support::{destination, snapshot};

    fn now() -> Time {
        "2025-01-20T12:00:00Z".parse().unwrap()
    }

    fn few() -> DestinationState {
        let mut found = destination(
            true,
            &json!([
                snapshot("2025-01-14", false),
                snapshot("2025-01-15", false),
                snapshot("2025-01-16", true),
            ]),
        );
        found.unmanaged = serde_json::from_value(json!([
            {"tier": "daily", "name": "2025-01-17_02-00-00", "record_fault": "cut off"},
            {"tier": "weekly", "name": "mine"},
        ]))
        .unwrap();
        found
    }

    fn find(name: &str) -> StoredSnapshot {
        find_stored(name, &few(), now()).unwrap()
    }

    #[test]
    fn names_mean_snapshots_and_the_folders_of_others() {
        assert_eq!(find("latest").folder, "2025-01-15_02-00-00");
        assert_eq!(
            find("2025-01-16").home_folder(),
            "daily/2025-01-16_02-00-00"
        );
        let mine = find("mine");
        assert_eq!((mine.id, mine.is_managed), (None, false));
        let refused = find_stored("2024", &few(), now()).unwrap_err();
        assert!(refused.message.contains("there is no snapshot `2024`"));
    }

    #[test]
    fn what_this_program_did_not_make_is_neither_compared_nor_marked_nor_deleted() {
        let (found, mine, damaged) = (few(), find("mine"), find("2025-01-17"));
        for refused in [
            mine.to_compare(),
            mine.to_mark(&found),
            mine.to_delete(&found),
        ] {
            let refused = refused.unwrap_err();
            assert!(refused.message.contains("was not made by this program"));
        }
        assert!(damaged.to_compare().is_err());
        let refused = damaged.to_mark(&found).unwrap_err();
        assert!(refused.message.contains("is damaged: cut off"));
        assert_eq!(damaged.to_delete(&found).ok(), damaged.id);
        assert_eq!(find("latest").to_mark(&found).ok(), find("latest").id);
    }

    #[test]
    fn whoever_names_the_latest_hears_of_newer_ones_that_cannot_be_used() {
        let found = few();
        let latest = find("latest");
        let warned = warn_of_newer("latest", &latest, &found, None).unwrap();
        assert!(
            warned.contains("daily/2025-01-17_02-00-00 is newer"),
            "{warned}"
        );
        let whole = warn_of_newer("2025-01-15_02-00-00", &latest, &found, None);
        assert_eq!(whole, None);
        let until = Some("2025-01-16T12:00:00Z".parse().unwrap());
        assert_eq!(warn_of_newer("", &latest, &found, until), None);
    }

    #[test]
    fn as_of_a_time_is_the_newest_good_one_before_it() {
        let at = |time: &str| find_as_of(time.parse().unwrap(), &few());
        assert_eq!(at("2025-01-14T02:00:00Z").unwrap(), find("2025-01-14"));
        assert_eq!(at("2025-01-19T02:00:00Z").unwrap(), find("2025-01-15"));
        let refused = at("2025-01-01T02:00:00Z").unwrap_err();
        assert!(
            refused
                .message
                .ends_with("the oldest is 2025-01-14_02-00-00")
        );
    }

    #[test]
    fn the_latest_to_accept_is_the_suspect_one() {
        let found = few();
        let id = |name: &str| find(name).id.unwrap();
        let latest = snapshot_to_accept("latest", id("latest"), &found);
        assert_eq!(latest, id("2025-01-16"));
        let named = snapshot_to_accept("2025-01-14", id("2025-01-14"), &found);
        assert_eq!(named, id("2025-01-14"));
    }

    #[test]
    fn uploaded_snapshots_are_found_by_name_and_by_time() {
        let uploaded: Vec<SnapshotId> = ["2025-01-14_02-00-00", "2025-01-15_02-00-00"]
            .map(|id| id.parse().unwrap())
            .to_vec();
        let found = find_uploaded("latest~1", None, &uploaded, now());
        assert_eq!(found, Ok(uploaded[0]));
        let noon = Some("2025-01-14T12:00:00Z".parse().unwrap());
        assert_eq!(find_uploaded("", noon, &uploaded, now()), Ok(uploaded[0]));
        let early = Some("2025-01-13T12:00:00Z".parse().unwrap());
        assert!(find_uploaded("", early, &uploaded, now()).is_err());
        assert_eq!(
            find_only_uploaded("2025-01-15", &uploaded, now()),
            Some(uploaded[1])
        );
        assert_eq!(find_only_uploaded("latest", &uploaded, now()), None);
    }
}
