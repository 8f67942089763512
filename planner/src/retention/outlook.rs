//! How long each snapshot stays that is held now, if a backup is made at each of the times to come.
//!
//! Owns the replay only, as [`super::simulate`] does: each verdict is [`decide_retention`]'s.

use std::collections::BTreeMap;

use chrono::{DateTime, FixedOffset};
use schema::{
    Config, KeepReason, SnapshotId, inventory::DestinationState, output::period_report::Stay,
};

use super::{Candidate, KeptSnapshot, Policy, decide_retention, hour_of};
use crate::{calendar::schedule_expression, facts, schedule::elapses_within};

/// How far is looked ahead.
const DAYS: u32 = 2 * 366;
/// Most backups that are replayed: more than two years of days, some months of hours.
const MOST_RUNS: usize = 3000;

/// How long the snapshots of a destination stay.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outlook {
    /// Each that is held now.
    pub stays: BTreeMap<SnapshotId, Stay>,
    /// The times of the calendar that are taken for those of backups.
    pub calendar: String,
}

/// Foretells how long the snapshots of a destination stay, if a backup is made whenever `schedule.frequency`
/// says so, whether or not a timer does; none where that is never.
#[must_use]
pub fn foretell_stays(
    config: &Config,
    destination: &DestinationState,
    now: DateTime<FixedOffset>,
) -> Option<Outlook> {
    let schedule = &config.schedule;
    let frequency = schedule.frequency.as_str();
    let calendar = schedule_expression(frequency, schedule.time_of_day.time()).ok()?;
    let mut days = DAYS;
    let runs = loop {
        match elapses_within(&calendar, now.naive_local(), days, MOST_RUNS) {
            Ok(runs) => break runs,
            Err(_) => days /= 2,
        }
    };
    let runs = runs.into_iter();
    let runs = runs.filter_map(|at| at.and_local_timezone(*now.offset()).single());
    let found: Vec<_> = destination.snapshots.iter().map(facts::candidate).collect();
    let stays = replay(&Policy::of(&config.local), &found, runs);
    (!stays.is_empty()).then(|| Outlook {
        stays,
        calendar: match frequency {
            "daily" | "weekly" => format!("{frequency} at {}", schedule.time_of_day),
            other => other.to_owned(),
        },
    })
}

/// Replays runs that all seal a complete snapshot, and notes which of them lets go of which of those found.
fn replay(
    policy: &Policy,
    found: &[Candidate],
    runs: impl Iterator<Item = DateTime<FixedOffset>>,
) -> BTreeMap<SnapshotId, Stay> {
    let mut stays = BTreeMap::new();
    let mut held = found.to_vec();
    let mut last = None;
    for at in runs {
        let id = SnapshotId::from_local(at.naive_local())
            .first_free(|id| held.iter().any(|one| one.id == id));
        held.push(Candidate {
            id,
            started_at: at.to_utc(),
            hour: hour_of(at),
            day: at.date_naive(),
            complete: true,
            suspect: false,
            pinned: false,
            verified: false,
        });
        let decision = decide_retention(policy, at.to_utc(), &held);
        held.retain(|one| decision.keep.contains_key(&one.id));
        for (id, gone) in &decision.expire {
            if found.iter().any(|one| one.id == *id) {
                let because = gone.reason;
                stays.insert(*id, Stay::Until { at, because });
            }
        }
        let mut kept = found.iter().filter_map(|one| decision.keep.get(&one.id));
        let all_held = kept.all(|kept| holder(kept).is_some());
        last = Some((at, decision));
        if all_held {
            break;
        }
    }
    let Some((at, decision)) = last else {
        return stays;
    };
    for one in found {
        if let Some(kept) = decision.keep.get(&one.id) {
            let stay = match holder(kept) {
                Some(because) => Stay::Held { because },
                None => Stay::Beyond { at },
            };
            stays.insert(one.id, stay);
        }
    }
    stays
}

/// What keeps a snapshot that no new one will push out.
fn holder(kept: &KeptSnapshot) -> Option<KeepReason> {
    let by_person = |reason: &&KeepReason| {
        matches!(
            reason,
            KeepReason::Pinned | KeepReason::Suspect | KeepReason::Future
        )
    };
    let mut reasons = kept.reasons.iter();
    let only_verified = kept.reasons == [KeepReason::NewestVerified];
    let of_person = reasons.find(by_person).copied();
    of_person.or(only_verified.then_some(KeepReason::NewestVerified))
}

#[cfg(test)]
mod tests {
    use schema::{ExpireReason, KeepRule};
    use serde_json::{Value, json};

    use super::*;
    use crate::test_support::{destination, snapshot};

    const NOW: &str = "2025-01-08T12:00:00+00:00";

    fn config(json: &Value) -> Config {
        serde_json::from_value(json.clone()).unwrap()
    }

    fn nights(days: &[&str]) -> Vec<Value> {
        days.iter().map(|day| snapshot(day, false)).collect()
    }

    fn foretell(config: &Config, snapshots: Vec<Value>) -> Outlook {
        let found = destination(true, &Value::Array(snapshots));
        foretell_stays(config, &found, NOW.parse().unwrap()).unwrap()
    }

    /// The day until which a snapshot of a day stays, or what keeps it.
    fn until(outlook: &Outlook, day: &str) -> String {
        let id: SnapshotId = format!("{day}_02-00-00").parse().unwrap();
        match outlook.stays[&id] {
            Stay::Until { at, .. } => at.format("%Y-%m-%d").to_string(),
            Stay::Beyond { .. } => "beyond".to_owned(),
            Stay::Held { because } => because.to_string(),
        }
    }

    /// By hand from the calendar: 2025-01-05 is a Sunday. Each daily goes with the seventh night after
    /// it, the Sunday's after four more Sundays, the month's first after six more months.
    #[test]
    fn each_tier_holds_a_snapshot_as_long_as_the_simulation_says() {
        let policy = config(&json!({"local": {"enable": true, "keepLast": 0}}));
        let days = ["2025-01-01", "2025-01-05", "2025-01-07", "2025-01-08"];
        let outlook = foretell(&policy, nights(&days));
        assert_eq!(until(&outlook, "2025-01-01"), "2025-07-01");
        assert_eq!(until(&outlook, "2025-01-05"), "2025-02-02");
        assert_eq!(until(&outlook, "2025-01-07"), "2025-01-14");
        assert_eq!(until(&outlook, "2025-01-08"), "2025-01-15");
        assert_eq!(outlook.calendar, "daily at 02:00");
        let id: SnapshotId = "2025-01-05_02-00-00".parse().unwrap();
        let Stay::Until { because, .. } = outlook.stays[&id] else {
            panic!("{outlook:?}");
        };
        let ExpireReason::PastLimits { rule, .. } = because else {
            panic!("{because}");
        };
        assert_eq!(rule, Some(KeepRule::Weekly));
    }

    #[test]
    fn what_a_person_holds_stays_until_a_person_says_so() {
        let policy = config(&json!({"local": {"enable": true, "keepLast": 0}}));
        let mut pinned = snapshot("2025-01-06", false);
        pinned["marks"]["pinned"] = json!(true);
        let mut verified = snapshot("2025-01-07", false);
        verified["marks"]["verified_at"] = json!("2025-01-07T12:00:00Z");
        let suspect = snapshot("2025-01-08", true);
        let outlook = foretell(&policy, vec![pinned, verified, suspect]);
        assert_eq!(until(&outlook, "2025-01-06"), "pinned");
        assert_eq!(
            until(&outlook, "2025-01-07"),
            "the newest verified snapshot"
        );
        assert_eq!(
            until(&outlook, "2025-01-08"),
            "suspect and not yet accepted"
        );
    }

    #[test]
    fn what_stays_longer_than_is_looked_ahead_is_said_to() {
        let policy = config(&json!({"local": {"enable": true, "keepYearly": 9}}));
        let outlook = foretell(&policy, nights(&["2025-01-01"]));
        assert_eq!(until(&outlook, "2025-01-01"), "beyond");
        let hourly = config(&json!({
            "local": {"enable": true},
            "schedule": {"frequency": "hourly"},
        }));
        // Of so many runs only as many are replayed as there is time for.
        let outlook = foretell(&hourly, nights(&["2025-01-01"]));
        assert_eq!(until(&outlook, "2025-01-01"), "beyond");
    }

    #[test]
    fn where_no_backup_will_ever_be_made_nothing_is_foretold() {
        let never = config(&json!({
            "local": {"enable": true},
            "schedule": {"frequency": "2020-01-01"},
        }));
        let found = destination(true, &Value::Array(nights(&["2025-01-01"])));
        assert_eq!(foretell_stays(&never, &found, NOW.parse().unwrap()), None);
    }
}
