//! The policy over time: what exists after each run, as if every run sealed a complete snapshot.
//!
//! Owns the replay only. It must not decide anything itself: each day's verdict is `decide`'s, so
//! what the simulation shows is what a machine does.

use chrono::NaiveDateTime;
use schema::{
    SnapshotId, Tier,
    output::simulate::{FORMAT_VERSION, SimulatedExpiry, SimulatedRun, Simulation},
};

use super::{Candidate, Policy, decide_retention, hour_of};

/// Replays these runs in their order, pruning after each.
#[must_use]
pub fn simulate(policy: &Policy, runs: impl Iterator<Item = NaiveDateTime>) -> Simulation {
    let mut held: Vec<Candidate> = Vec::new();
    let simulated = runs.map(|at| {
        let now = at.and_utc();
        let id = SnapshotId::from_local(at).first_free(|id| held.iter().any(|one| one.id == id));
        held.push(Candidate {
            id,
            started_at: now,
            hour: hour_of(now.fixed_offset()),
            day: at.date(),
            complete: true,
            suspect: false,
            pinned: false,
            verified: false,
        });
        let decision = decide_retention(policy, now, &held);
        held.retain(|one| decision.keep.contains_key(&one.id));
        SimulatedRun {
            format_version: FORMAT_VERSION,
            at,
            id,
            hourly: decision.in_tier(Tier::Hourly).collect(),
            daily: decision.in_tier(Tier::Daily).collect(),
            weekly: decision.in_tier(Tier::Weekly).collect(),
            monthly: decision.in_tier(Tier::Monthly).collect(),
            yearly: decision.in_tier(Tier::Yearly).collect(),
            other: decision
                .kept_by_time()
                .filter(|(_, kept)| kept.tiers.is_empty())
                .map(|(id, _)| id)
                .collect(),
            expired: decision
                .expired_by_time()
                .map(|(id, expired)| SimulatedExpiry {
                    id,
                    reason: expired.reason,
                })
                .collect(),
        }
    });
    Simulation(simulated.collect())
}

#[cfg(test)]
mod tests {
    use chrono::{Datelike, Days, NaiveDate, Weekday};

    use super::*;

    const DEFAULT: Policy = Policy {
        keep_last: 3,
        keep_hourly: 0,
        keep_daily: 7,
        keep_weekly: 4,
        keep_monthly: 6,
        keep_yearly: 0,
        week_starts_on: Weekday::Sun,
    };

    /// A run at two in the morning of each of these days.
    fn nights(first: &str, days: u64, on: impl Fn(NaiveDate) -> bool) -> Vec<NaiveDateTime> {
        let first: NaiveDate = first.parse().unwrap();
        (0..days)
            .map(|later| first + Days::new(later))
            .filter(|day| on(*day))
            .map(|day| day.and_hms_opt(2, 0, 0).unwrap())
            .collect()
    }

    /// Month and day of each id, as `01-26`.
    fn days(ids: &[SnapshotId]) -> Vec<String> {
        ids.iter()
            .map(|id| id.local().format("%m-%d").to_string())
            .collect()
    }

    fn expired(day: &SimulatedRun) -> Vec<String> {
        let ids: Vec<SnapshotId> = day.expired.iter().map(|gone| gone.id).collect();
        days(&ids)
    }

    /// Derived by hand from the calendar: 2025-01-01 is a Wednesday; Sundays are 5, 12, 19 and 26
    /// January, 2 and 9 February. Each day from the ninth on, the eighth-last leaves the dailies,
    /// and goes unless it is a Sunday's or the first of a month.
    #[test]
    fn forty_days_under_the_default_policy() {
        let gone = [
            // 1 to 8 January: seven dailies, and the first is the month's.
            ("01-08", ""),
            ("01-09", "01-02"),
            ("01-10", "01-03"),
            ("01-11", "01-04"),
            ("01-12", ""),
            ("01-13", "01-06"),
            ("01-14", "01-07"),
            ("01-15", "01-08"),
            ("01-16", "01-09"),
            ("01-17", "01-10"),
            ("01-18", "01-11"),
            ("01-19", ""),
            ("01-20", "01-13"),
            ("01-21", "01-14"),
            ("01-22", "01-15"),
            ("01-23", "01-16"),
            ("01-24", "01-17"),
            ("01-25", "01-18"),
            // The fifth week: the first, 1 January's, stays as the month's.
            ("01-26", ""),
            ("01-27", "01-20"),
            ("01-28", "01-21"),
            ("01-29", "01-22"),
            ("01-30", "01-23"),
            ("01-31", "01-24"),
            ("02-01", "01-25"),
            // From here on each Sunday lets go of the fifth-last Sunday's.
            ("02-02", "01-05"),
            ("02-03", "01-27"),
            ("02-04", "01-28"),
            ("02-05", "01-29"),
            ("02-06", "01-30"),
            ("02-07", "01-31"),
            ("02-08", ""),
            ("02-09", "01-12"),
        ];
        let simulated = simulate(&DEFAULT, nights("2025-01-01", 40, |_| true).into_iter()).0;
        assert_eq!(simulated.len(), 40);
        let (quiet, busy) = simulated.split_at(7);
        assert!(quiet.iter().all(|day| day.expired.is_empty()));
        assert_eq!(busy.len(), gone.len());
        for (day, (on, wanted)) in busy.iter().zip(gone) {
            assert_eq!(days(&[day.id]), [on]);
            assert_eq!(expired(day).join(" "), wanted, "on {on}");
        }

        let after_31 = &simulated[30];
        assert_eq!(
            days(&after_31.daily),
            [
                "01-25", "01-26", "01-27", "01-28", "01-29", "01-30", "01-31"
            ]
        );
        assert_eq!(days(&after_31.weekly), ["01-05", "01-12", "01-19", "01-26"]);
        assert_eq!(days(&after_31.monthly), ["01-01"]);

        let last = &simulated[39];
        assert_eq!(
            days(&last.daily),
            [
                "02-03", "02-04", "02-05", "02-06", "02-07", "02-08", "02-09"
            ]
        );
        assert_eq!(days(&last.weekly), ["01-19", "01-26", "02-02", "02-09"]);
        assert_eq!(days(&last.monthly), ["01-01", "02-01"]);
        assert_eq!(days(&last.other), [""; 0]);
        assert_eq!(
            last.expired[0].reason.to_string(),
            "not of the last 4 weeks (local.keepWeekly)"
        );
    }

    #[test]
    fn a_year_of_nights_ends_with_seven_four_and_six() {
        let simulated = simulate(&DEFAULT, nights("2024-01-01", 366, |_| true).into_iter()).0;
        let last = &simulated[365];
        assert_eq!(days(&last.weekly), ["12-08", "12-15", "12-22", "12-29"]);
        assert_eq!(
            days(&last.monthly),
            ["07-01", "08-01", "09-01", "10-01", "11-01", "12-01"]
        );
        assert_eq!(last.daily.len(), 7);
        assert!(simulated.iter().all(|day| day.expired.len() <= 3));
    }

    #[test]
    fn a_machine_that_is_off_on_weekends_keeps_mondays_as_weeklies() {
        let work = |day: NaiveDate| !matches!(day.weekday(), Weekday::Sat | Weekday::Sun);
        let simulated = simulate(&DEFAULT, nights("2025-01-01", 60, work).into_iter()).0;
        let last = simulated.last().unwrap();
        assert_eq!(days(&[last.id]), ["02-28"]);
        assert_eq!(days(&last.weekly), ["02-03", "02-10", "02-17", "02-24"]);
        // 1 February 2025 is a Saturday: the month's first is the Monday after it.
        assert_eq!(days(&last.monthly), ["01-01", "02-03"]);
        // Seven days with a snapshot, not seven days of the calendar.
        assert_eq!(
            days(&last.daily),
            [
                "02-20", "02-21", "02-24", "02-25", "02-26", "02-27", "02-28"
            ]
        );
    }

    #[test]
    fn a_machine_that_was_off_for_months_deletes_nothing_for_its_age() {
        let mut runs = nights("2025-01-01", 10, |_| true);
        runs.extend(nights("2025-06-15", 1, |_| true));
        let simulated = simulate(&DEFAULT, runs.into_iter()).0;
        let last = simulated.last().unwrap();
        assert_eq!(expired(last), ["01-04"]);
        assert_eq!(
            days(&last.daily),
            [
                "01-05", "01-06", "01-07", "01-08", "01-09", "01-10", "06-15"
            ]
        );
        assert_eq!(days(&last.weekly), ["01-01", "01-05", "06-15"]);
        assert_eq!(days(&last.monthly), ["01-01", "06-15"]);
    }

    #[test]
    fn without_dailies_the_newest_stays_until_the_next() {
        let policy = Policy {
            keep_last: 0,
            keep_daily: 0,
            ..DEFAULT
        };
        let simulated = simulate(&policy, nights("2025-01-05", 3, |_| true).into_iter()).0;
        assert_eq!(days(&simulated[1].other), ["01-06"]);
        assert_eq!(days(&simulated[2].other), ["01-07"]);
        assert_eq!(expired(&simulated[2]), ["01-06"]);
        assert_eq!(
            simulated[2].expired[0].reason.to_string(),
            "not the newest (local.keepDaily is 0)"
        );
    }

    #[test]
    fn two_runs_in_one_second_have_two_ids_and_the_later_stands_for_the_day() {
        let run = nights("2025-01-05", 1, |_| true)[0];
        let policy = Policy {
            keep_last: 0,
            ..DEFAULT
        };
        let simulated = simulate(&policy, [run, run].into_iter()).0;
        assert_eq!(simulated[1].id.to_string(), "2025-01-05_02-00-01");
        assert_eq!(simulated[1].daily, [simulated[1].id]);
        assert_eq!(
            simulated[1].expired[0].reason.to_string(),
            "superseded by 2025-01-05_02-00-01 on the same day (local.keepLast is 0)"
        );
        let both = simulate(&DEFAULT, [run, run].into_iter()).0;
        assert_eq!(both[1].other, [both[0].id]);
    }

    #[test]
    fn hours_and_years_have_tiers_of_their_own() {
        let policy = Policy {
            keep_hourly: 6,
            keep_yearly: 2,
            ..DEFAULT
        };
        let first = nights("2024-12-31", 1, |_| true)[0];
        let every_half_hour = (0..48).map(|half| first + chrono::TimeDelta::minutes(30 * half));
        let simulated = simulate(&policy, every_half_hour).0;
        let last = simulated.last().unwrap();
        let hours: Vec<String> = last.hourly.iter().map(ToString::to_string).collect();
        assert_eq!(hours.first().unwrap(), "2024-12-31_20-30-00");
        assert_eq!(hours.last().unwrap(), "2025-01-01_01-30-00");
        assert_eq!(hours.len(), 6);
        assert_eq!(days(&last.daily), ["12-31", "01-01"]);
        assert_eq!(days(&last.yearly), ["12-31", "01-01"]);
        assert_eq!(last.other.len(), 1, "the last three");
    }
}
