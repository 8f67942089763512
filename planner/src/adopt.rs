//! Which folder of another tool becomes which snapshot.
//!
//! Owns names and days. What there is was found by the executor; whether a person wants it is asked
//! elsewhere.

use std::collections::BTreeSet;

use schema::{
    Config, SnapshotId, Tier,
    inventory::DestinationState,
    plan::{AdoptCandidate, AdoptStep, AdoptTree},
};

use crate::facts::taken_names;

/// Plans an adoption. `at` is where the folders' content was on the machine, escaped, without a
/// leading slash; `begun` are trees that an interrupted adoption has moved already.
#[must_use]
pub fn plan_adoption(
    config: &Config,
    destination: &DestinationState,
    root: String,
    candidates: &[AdoptCandidate],
    begun: &[AdoptTree],
    at: &str,
) -> AdoptStep {
    let mut taken: BTreeSet<String> = taken_names(destination);
    taken.extend(begun.iter().map(|tree| tree.id.to_string()));
    // One date in two tiers: the second one gets the next second, for records go by the id.
    let mut given: BTreeSet<SnapshotId> = begun.iter().map(|tree| tree.id).collect();
    given.extend(destination.snapshots.iter().map(|one| one.record.id));
    let mut sorted: Vec<&AdoptCandidate> = candidates.iter().collect();
    sorted.sort_by(|a, b| (a.made_at, &a.from).cmp(&(b.made_at, &b.from)));
    let trees = sorted.into_iter().map(|one| {
        let own = one.tier.map(|tier| (tier, one.from.rsplit('/').next()));
        let wanted = SnapshotId::from_local(one.made_at.naive_local());
        // One that stands in a tier under the name that it gets is in nobody's way.
        let is_own = |id: SnapshotId| {
            own.is_some_and(|(_, name)| name == Some(&id.to_string()) && id == wanted)
        };
        let is_taken = |id: SnapshotId| {
            given.contains(&id) || (!is_own(id) && taken.contains(&id.to_string()))
        };
        let id = wanted.first_free(is_taken);
        taken.insert(id.to_string());
        given.insert(id);
        AdoptTree {
            from: one.from.clone(),
            inode: one.inode,
            at: at.to_owned(),
            id,
            home: one.tier.unwrap_or(Tier::Daily),
            started_at: one.made_at,
            day: one.made_at.date_naive(),
            made_by: one.made_by,
            with_errors: one.with_errors,
        }
    });
    let mut trees: Vec<AdoptTree> = begun.iter().cloned().chain(trees).collect();
    trees.sort_by_key(|tree| (tree.started_at, tree.id));
    AdoptStep {
        root,
        trees,
        sources: config.local.sources.clone(),
    }
}

/// Whether a folder's content looks as if it began at `/`: the first name of a configured source
/// stands in it.
#[must_use]
pub fn begins_at_root(config: &Config, candidate: &AdoptCandidate) -> bool {
    config.local.sources.iter().any(|source| {
        let first = source.as_str().split('/').find(|part| !part.is_empty());
        first.is_none_or(|first| {
            let first = schema::escape::escape(first.as_bytes());
            candidate.names.contains(&first)
        })
    })
}

#[cfg(test)]
mod tests {
    use schema::plan::MadeBy;

    use super::*;

    fn candidate(from: &str, made_at: &str, tier: Option<Tier>) -> AdoptCandidate {
        AdoptCandidate {
            from: from.to_owned(),
            inode: 7,
            made_at: made_at.parse().unwrap(),
            made_by: MadeBy::Dated,
            tier,
            names: vec!["etc".to_owned(), "home".to_owned()],
            with_errors: false,
        }
    }

    fn destination() -> DestinationState {
        serde_json::from_value(serde_json::json!({
            "mount_point": "/mnt/backup", "present": true, "absent_because": null,
            "mounted": true, "read_only": false, "place": null, "file_system": null,
            "file_system_uuid": null, "free_bytes": 0, "total_bytes": 0, "free_inodes": null,
            "record": null, "record_fault": null, "expected_capabilities": null, "snapshots": [],
            "unmanaged": [
                {"tier": "weekly", "name": "2025-01-05_02-00-00"},
                {"tier": "daily", "name": "2025-01-06_00-00-00"},
            ],
            "links": [], "latest": null, "partial": [], "trash": [], "rotation": null,
        }))
        .unwrap()
    }

    #[test]
    fn each_gets_a_free_name_and_those_that_have_one_keep_it() {
        let candidates = [
            candidate("daily.0/localhost", "2025-01-07T02:00:00+01:00", None),
            candidate("b", "2025-01-06T00:00:00+01:00", None),
            candidate("a", "2025-01-07T02:00:00+01:00", None),
            candidate(
                "weekly/2025-01-05_02-00-00",
                "2025-01-05T02:00:00+01:00",
                Some(Tier::Weekly),
            ),
        ];
        let config = Config::default();
        let root = "/mnt/old".to_owned();
        let step = plan_adoption(&config, &destination(), root, &candidates, &[], "home");
        let told: Vec<String> = step
            .trees
            .iter()
            .map(|tree| format!("{} {}/{} {}", tree.from, tree.home, tree.id, tree.day))
            .collect();
        assert_eq!(
            told,
            [
                "weekly/2025-01-05_02-00-00 weekly/2025-01-05_02-00-00 2025-01-05",
                // What stands there is not taken over, nor are two given one name.
                "b daily/2025-01-06_00-00-01 2025-01-06",
                "a daily/2025-01-07_02-00-00 2025-01-07",
                "daily.0/localhost daily/2025-01-07_02-00-01 2025-01-07",
            ]
        );
        assert!(begins_at_root(&config, &candidates[0]));
        let mut other = candidates[0].clone();
        other.names = vec!["ann".to_owned()];
        assert!(!begins_at_root(&config, &other));
    }
}
