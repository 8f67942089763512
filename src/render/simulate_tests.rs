//! How a simulation looks.

use chrono::{Days, NaiveDateTime};

use super::*;
use crate::render::page::assert_fits;

const DEFAULT: Policy = Policy {
    keep_last: 3,
    keep_hourly: 0,
    keep_daily: 7,
    keep_weekly: 4,
    keep_monthly: 6,
    keep_yearly: 0,
    week_starts_on: Weekday::Sun,
};

fn nights(count: u64) -> impl Iterator<Item = NaiveDateTime> {
    let first: NaiveDate = "2025-01-01".parse().unwrap();
    (0..count).map(move |later| (first + Days::new(later)).and_hms_opt(2, 0, 0).unwrap())
}

fn shown(policy: &Policy, runs: impl Iterator<Item = NaiveDateTime>) -> String {
    let days = planner::retention::simulate::simulate(policy, runs).0;
    let text = simulation_page(&days, policy, &Style::PLAIN);
    assert_fits(&text);
    text
}

#[test]
fn forty_nights() {
    insta::assert_snapshot!(shown(&DEFAULT, nights(40)));
}

#[test]
fn a_year_and_more_repeats_the_rulers_and_shows_months() {
    let text = shown(&DEFAULT, nights(400));
    assert_eq!(text.matches("days ago").count(), 10);
    let first = text.find("2025-12-20").unwrap();
    insta::assert_snapshot!(&text[first..]);
}

#[test]
fn a_long_policy_still_fits() {
    let policy = Policy {
        keep_last: 0,
        keep_hourly: 0,
        keep_daily: 60,
        keep_weekly: 60,
        keep_monthly: 40,
        keep_yearly: 0,
        week_starts_on: Weekday::Mon,
    };
    let text = shown(&policy, nights(1500).step_by(3));
    assert!(text.contains('+') || text.contains('5'), "{text}");
}

#[test]
fn without_dailies_the_newest_is_marked_and_without_runs_it_says_so() {
    let policy = Policy {
        keep_last: 0,
        keep_daily: 0,
        ..DEFAULT
    };
    let text = shown(&policy, nights(3));
    assert!(text.contains("2025-01-03 Fri  *·M"), "{text}");
    assert!(shown(&policy, nights(0)).ends_with("No runs.\n"));
}
