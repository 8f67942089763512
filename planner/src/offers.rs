//! The snapshots that a person may mean whose command line is not finished, for a shell to offer.
//!
//! Owns which serve for what, and what is said of each in a few words. What a name means is
//! [`crate::stored_snapshot`]'s; whether a verb then does it is the verb's.

use std::cmp::Reverse;

use chrono::{DateTime, FixedOffset};
use schema::{
    SnapshotId, Tier, amount,
    inventory::{DestinationState, SnapshotState},
};

use crate::stored_snapshot::{find_stored, started_by_name};

type Time = DateTime<FixedOffset>;

/// What a snapshot is named for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To be read: restored from, verified, tried.
    Read,
    /// To be compared with another one.
    Compare,
    /// To be pinned.
    Pin,
    /// To be left to the retention again.
    Unpin,
    /// To be declared as it should be.
    Accept,
    /// To be deleted.
    Delete,
}

/// A word that a shell may offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// The word.
    pub word: String,
    /// What it is, in a few words.
    pub about: String,
}

/// The names of snapshots that begin as it was `typed` and serve the purpose, the newest first.
///
/// Where nothing is known of them but their folders, all of them are offered.
#[must_use]
pub fn offer_snapshots(
    purpose: Purpose,
    typed: &str,
    destination: &DestinationState,
    now: Time,
) -> Vec<Offer> {
    let mut offers = offer_latest(purpose, destination, now);
    let by_tier = typed.contains('/');
    for one in named(purpose, destination, now) {
        let about = one.about(now);
        if by_tier {
            let in_tier = |tier: &Tier| format!("{tier}/{}", one.name);
            let words = one.tiers.iter().map(in_tier);
            offers.extend(words.map(|word| Offer {
                word,
                about: about.clone(),
            }));
        } else {
            offers.push(Offer {
                word: one.name,
                about,
            });
        }
    }
    offers.retain(|offer| offer.word.starts_with(typed));
    offers
}

/// `latest`, and where two are compared or an older one is read the one before it.
fn offer_latest(purpose: Purpose, destination: &DestinationState, now: Time) -> Vec<Offer> {
    let words: &[&str] = match purpose {
        Purpose::Read | Purpose::Compare => &["latest", "latest~1"],
        Purpose::Pin => &["latest"],
        Purpose::Unpin | Purpose::Accept | Purpose::Delete => &[],
    };
    let offers = words.iter().filter_map(|word| {
        let meant = find_stored(word, destination, now).ok()?;
        Some(Offer {
            word: (*word).to_owned(),
            about: meant.folder,
        })
    });
    offers.collect()
}

/// A snapshot that can be named.
struct Named {
    name: String,
    tiers: Vec<Tier>,
    started_at: Option<Time>,
    words: Vec<&'static str>,
}

impl Named {
    fn about(&self, now: Time) -> String {
        let tiers = self.tiers.iter().map(|tier| tier.folder().to_owned());
        let age = self.started_at.map(|at| amount::age(now - at));
        let words = self.words.iter().map(|word| (*word).to_owned());
        let all: Vec<String> = tiers.chain(age).chain(words).collect();
        all.join(", ")
    }
}

/// All that serve the purpose, the newest first.
fn named(purpose: Purpose, destination: &DestinationState, now: Time) -> Vec<Named> {
    let newest_good = find_stored("latest", destination, now).ok();
    let newest_good = newest_good.and_then(|one| one.id);
    let serving = destination.snapshots.iter();
    let serving = serving.filter(|one| serves(purpose, one, newest_good));
    let mut all: Vec<Named> = serving
        .map(|one| named_by_record(one, destination))
        .collect();
    let is_unknown = destination.snapshots.is_empty();
    if is_unknown || purpose == Purpose::Read {
        let folders = destination.unmanaged.iter().map(|folder| Named {
            name: folder.name.clone(),
            tiers: vec![folder.tier],
            started_at: folder.name.parse::<SnapshotId>().ok().map(|id| {
                let started = started_by_name(id, *now.offset());
                started.with_timezone(now.offset())
            }),
            words: Vec::new(),
        });
        // Only by their ids can they be marked or compared.
        let is_wanted =
            |one: &Named| purpose == Purpose::Read || one.name.parse::<SnapshotId>().is_ok();
        all.extend(folders.filter(is_wanted));
    }
    all.sort_by_key(|one| (Reverse(one.started_at), Reverse(one.name.clone())));
    all
}

fn serves(purpose: Purpose, one: &SnapshotState, newest_good: Option<SnapshotId>) -> bool {
    let is_doubtful = !one.record.suspect.is_empty() && !one.marks.accepted;
    match purpose {
        Purpose::Read | Purpose::Compare => true,
        Purpose::Pin => !one.marks.pinned,
        Purpose::Unpin => one.marks.pinned,
        // One that was changed on the disk is told from others only where its manifest is read.
        Purpose::Accept => is_doubtful || one.manifest_fault.is_some(),
        Purpose::Delete => !one.marks.pinned && Some(one.record.id) != newest_good,
    }
}

fn named_by_record(one: &SnapshotState, destination: &DestinationState) -> Named {
    let id = one.record.id;
    let is_linked = |tier: Tier| {
        let mut links = destination.links.iter();
        links.any(|link| link.tier == tier && link.id == id)
    };
    let tiers = Tier::ALL.into_iter();
    let words = [
        ("incomplete", !one.record.complete),
        (
            "suspect",
            !one.record.suspect.is_empty() && !one.marks.accepted,
        ),
        ("pinned", one.marks.pinned),
    ];
    Named {
        name: id.to_string(),
        tiers: tiers
            .filter(|tier| *tier == one.home || is_linked(*tier))
            .collect(),
        started_at: Some(one.record.started_at),
        words: words
            .iter()
            .filter(|(_, is_so)| *is_so)
            .map(|(word, _)| *word)
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::test_support::{destination, snapshot};

    fn now() -> Time {
        "2025-01-20T02:00:00Z".parse().unwrap()
    }

    /// Three snapshots, the first pinned and the last suspect, and a folder of another tool.
    fn few() -> DestinationState {
        let mut found = destination(
            true,
            &json!([
                snapshot("2025-01-14", false),
                snapshot("2025-01-15", false),
                snapshot("2025-01-16", true),
            ]),
        );
        found.snapshots[0].marks.pinned = true;
        found.unmanaged =
            serde_json::from_value(json!([{"tier": "weekly", "name": "mine"}])).unwrap();
        found
    }

    fn words(purpose: Purpose, typed: &str, found: &DestinationState) -> Vec<String> {
        let offers = offer_snapshots(purpose, typed, found, now());
        offers.into_iter().map(|offer| offer.word).collect()
    }

    #[test]
    fn each_purpose_is_offered_what_serves_it() {
        let found = few();
        let (pinned, good, suspect) = (
            "2025-01-14_02-00-00",
            "2025-01-15_02-00-00",
            "2025-01-16_02-00-00",
        );
        for (purpose, expected) in [
            (
                Purpose::Read,
                &["latest", "latest~1", suspect, good, pinned, "mine"][..],
            ),
            (
                Purpose::Compare,
                &["latest", "latest~1", suspect, good, pinned],
            ),
            (Purpose::Pin, &["latest", suspect, good]),
            (Purpose::Unpin, &[pinned]),
            (Purpose::Accept, &[suspect]),
            (Purpose::Delete, &[suspect]),
        ] {
            assert_eq!(words(purpose, "", &found), expected, "{purpose:?}");
        }
        assert_eq!(words(Purpose::Read, "2025-01-15", &found), [good]);
        assert_eq!(words(Purpose::Read, "la", &found), ["latest", "latest~1"]);
        assert_eq!(
            words(Purpose::Read, "daily/2025-01-14", &found),
            ["daily/2025-01-14_02-00-00"]
        );
        assert!(words(Purpose::Read, "x", &found).is_empty());
    }

    #[test]
    fn something_is_said_of_each() {
        let offers = offer_snapshots(Purpose::Read, "2", &few(), now());
        let about: Vec<&str> = offers.iter().map(|offer| &*offer.about).collect();
        assert_eq!(
            about,
            [
                "daily, 4 days ago, suspect",
                "daily, 5 days ago",
                "daily, 6 days ago, pinned"
            ]
        );
    }

    #[test]
    fn where_only_folders_are_seen_all_of_them_are_offered() {
        let mut found = few();
        found.snapshots.clear();
        found.unmanaged = serde_json::from_value(json!([
            {"tier": "daily", "name": "2025-01-14_02-00-00"},
            {"tier": "daily", "name": "2025-01-15_02-00-00"},
            {"tier": "weekly", "name": "mine"},
        ]))
        .unwrap();
        found.latest = Some("daily/2025-01-15_02-00-00".to_owned());
        let both = ["2025-01-15_02-00-00", "2025-01-14_02-00-00"];
        assert_eq!(words(Purpose::Unpin, "", &found), both);
        assert_eq!(
            words(Purpose::Read, "", &found),
            ["latest", "latest~1", both[0], both[1], "mine"]
        );
        found.unmanaged.clear();
        assert!(words(Purpose::Read, "", &found).is_empty());
    }
}
