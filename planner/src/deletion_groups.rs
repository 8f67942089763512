//! Many deletions told in few lines: those of one reason together.
//!
//! Owns what is one reason, and from how many deletions on they are grouped. None is left out: what the
//! groups count is all of them.

use schema::{
    ExpireReason, SnapshotId,
    plan::{Deletion, Lost},
};

/// So many deletions are told one by one.
pub const TOLD_ONE_BY_ONE: usize = 10;

/// Deletions of one reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeletionGroup {
    /// Why they are made, in words.
    pub because: String,
    /// How many.
    pub count: u64,
    /// The oldest and the newest of them.
    pub between: (SnapshotId, SnapshotId),
    /// Bytes that they free.
    pub frees: u64,
    /// What no other snapshot will have.
    pub lost: Lost,
}

/// The deletions by their reasons, in the order in which the reasons come first; none where there are so
/// few that each is told by itself.
#[must_use]
pub fn group_deletions(deletions: &[Deletion]) -> Option<Vec<DeletionGroup>> {
    if deletions.len() <= TOLD_ONE_BY_ONE {
        return None;
    }
    let mut groups: Vec<(String, Vec<Deletion>)> = Vec::new();
    for deletion in deletions {
        let because = describe_reason(&deletion.reason);
        match groups.iter_mut().find(|(known, _)| *known == because) {
            Some((_, group)) => group.push(deletion.clone()),
            None => groups.push((because, vec![deletion.clone()])),
        }
    }
    Some(groups.into_iter().filter_map(sum_up).collect())
}

fn sum_up((because, group): (String, Vec<Deletion>)) -> Option<DeletionGroup> {
    let ids = || group.iter().map(|one| one.id);
    Some(DeletionGroup {
        because,
        count: group.len() as u64,
        between: (ids().min()?, ids().max()?),
        frees: group
            .iter()
            .fold(0, |sum: u64, one| sum.saturating_add(one.frees)),
        lost: Lost::with(&group),
    })
}

/// A reason without what differs from one deletion to the next.
fn describe_reason(reason: &ExpireReason) -> String {
    match reason {
        ExpireReason::Superseded { keep_last, .. } => {
            let keep =
                keep_last.map_or_else(String::new, |keep| format!(" (local.keepLast is {keep})"));
            format!("superseded by others on the same days{keep}")
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use schema::Tier;

    use super::*;

    fn deletion(day: u32, reason: ExpireReason, frees: u64, files: Option<u64>) -> Deletion {
        Deletion {
            id: format!("2025-01-{day:02}_02-00-00").parse().unwrap(),
            home: Tier::Daily,
            reason,
            frees,
            lost: Some(Lost {
                files,
                bytes: frees,
                at_least: day == 5,
            }),
        }
    }

    fn superseded(day: u32) -> ExpireReason {
        let date = format!("2025-01-{day:02}");
        ExpireReason::Superseded {
            day: date.parse().unwrap(),
            by: format!("{date}_14-00-00").parse().unwrap(),
            keep_last: Some(3),
        }
    }

    fn past_limits(keep_daily: u32) -> ExpireReason {
        serde_json::from_value(serde_json::json!({
            "kind": "past-limits", "rule": "daily",
            "keep_daily": keep_daily, "keep_weekly": 4, "keep_monthly": 6,
        }))
        .unwrap()
    }

    #[test]
    fn a_few_are_told_one_by_one() {
        let few: Vec<Deletion> = (1..=10)
            .map(|day| deletion(day, superseded(day), 1, Some(1)))
            .collect();
        assert_eq!(group_deletions(&few), None);
        assert_eq!(group_deletions(&[]), None);
    }

    #[test]
    fn many_are_grouped_by_their_reason_and_none_is_left_out() {
        let all: Vec<Deletion> = (1..=20)
            .rev()
            .map(|day| match day % 3 {
                0 => deletion(day, superseded(day), 10, Some(1)),
                1 => deletion(day, past_limits(7), 100, Some(2)),
                _ => deletion(day, past_limits(8), 1000, None),
            })
            .collect();
        let groups = group_deletions(&all).unwrap();
        let told: Vec<(&str, u64, u64)> = groups
            .iter()
            .map(|one| (one.because.as_str(), one.count, one.frees))
            .collect();
        assert_eq!(
            told,
            [
                ("not of the last 8 days (local.keepDaily)", 7, 7000),
                ("not of the last 7 days (local.keepDaily)", 7, 700),
                (
                    "superseded by others on the same days (local.keepLast is 3)",
                    6,
                    60
                ),
            ]
        );
        assert_eq!(groups.iter().map(|one| one.count).sum::<u64>(), 20);
        let between = |at: usize| {
            let (first, last) = groups[at].between;
            format!("{first} {last}")
        };
        assert_eq!(between(0), "2025-01-02_02-00-00 2025-01-20_02-00-00");
        assert_eq!(between(2), "2025-01-03_02-00-00 2025-01-18_02-00-00");
        let lost: Vec<(Option<u64>, u64, bool)> = groups
            .iter()
            .map(|one| (one.lost.files, one.lost.bytes, one.lost.at_least))
            .collect();
        assert_eq!(
            lost,
            [
                (None, 7000, true),
                (Some(14), 700, false),
                (Some(6), 60, false)
            ]
        );
    }
}
