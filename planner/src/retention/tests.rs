//! The rules one by one, each on the smallest set of snapshots that shows it.
//!
//! What holds for all histories is checked in `tests/retention_properties.rs`.

use super::*;

const DEFAULT: Policy = Policy {
    keep_last: 0,
    keep_hourly: 0,
    keep_daily: 7,
    keep_weekly: 4,
    keep_monthly: 6,
    keep_yearly: 0,
    week_starts_on: Weekday::Sun,
};

fn only(keep_daily: u32, keep_weekly: u32, keep_monthly: u32) -> Policy {
    Policy {
        keep_daily,
        keep_weekly,
        keep_monthly,
        ..DEFAULT
    }
}

/// A complete snapshot at this UTC time, such as `2025-01-12 02:00`.
fn at(time: &str) -> Candidate {
    let local = chrono::NaiveDateTime::parse_from_str(time, "%Y-%m-%d %H:%M").unwrap();
    Candidate {
        id: SnapshotId::from_local(local),
        started_at: local.and_utc(),
        hour: hour_of(local.and_utc().fixed_offset()),
        day: local.date(),
        complete: true,
        suspect: false,
        pinned: false,
        verified: false,
    }
}

fn with_errors(time: &str) -> Candidate {
    Candidate {
        complete: false,
        ..at(time)
    }
}

fn now(time: &str) -> DateTime<Utc> {
    at(time).started_at
}

/// What stays, as `01-12 02:00: daily of …; …`, oldest first.
fn kept(policy: &Policy, time: &str, found: &[Candidate]) -> Vec<String> {
    decide_retention(policy, now(time), found)
        .kept_by_time()
        .map(|(id, kept)| {
            let reasons: Vec<String> = kept.reasons.iter().map(ToString::to_string).collect();
            format!("{}: {}", id.local().format("%d %H:%M"), reasons.join("; "))
        })
        .collect()
}

/// What goes and why, oldest first.
fn gone(policy: &Policy, time: &str, found: &[Candidate]) -> Vec<String> {
    decide_retention(policy, now(time), found)
        .expired_by_time()
        .map(|(id, expired)| format!("{}: {}", id.local().format("%d %H:%M"), expired.reason))
        .collect()
}

#[test]
fn nothing_found_is_nothing_kept() {
    let decision = decide_retention(&DEFAULT, now("2025-01-16 02:00"), &[]);
    assert!(decision.keep.is_empty() && decision.expire.is_empty());
    assert_eq!(newest_good(&[], now("2025-01-16 02:00")), None);
}

#[test]
fn the_home_is_the_longest_lived_tier_and_all_reasons_are_said() {
    let found = [
        at("2025-01-01 02:00"),
        at("2025-01-05 02:00"),
        at("2025-01-07 02:00"),
    ];
    let decision = decide_retention(&DEFAULT, now("2025-01-07 03:00"), &found);
    let homes: Vec<Tier> = decision.kept_by_time().map(|(_, kept)| kept.home).collect();
    assert_eq!(homes, [Tier::Monthly, Tier::Weekly, Tier::Daily]);
    assert_eq!(
        decision.keep[&found[0].id].tiers,
        [Tier::Daily, Tier::Weekly, Tier::Monthly]
    );
    assert_eq!(
        kept(&DEFAULT, "2025-01-07 03:00", &found),
        [
            "01 02:00: daily of 2025-01-01; weekly of 2024-12-29; monthly of 2025-01",
            "05 02:00: daily of 2025-01-05; weekly of 2025-01-05",
            "07 02:00: daily of 2025-01-07; the newest snapshot",
        ]
    );
}

#[test]
fn the_newest_of_a_day_stands_for_it() {
    let found = [at("2025-01-16 02:00"), at("2025-01-16 14:00")];
    assert_eq!(
        gone(&DEFAULT, "2025-01-16 15:00", &found),
        ["16 02:00: superseded by 2025-01-16_14-00-00 on the same day (local.keepLast is 0)"]
    );
}

#[test]
fn errors_do_not_supersede_a_complete_snapshot_of_the_day() {
    let mut found = vec![at("2025-01-16 02:00"), with_errors("2025-01-16 14:00")];
    assert_eq!(
        kept(&only(7, 0, 0), "2025-01-16 15:00", &found),
        [
            "16 02:00: daily of 2025-01-16; the newest complete snapshot",
            "16 14:00: the newest snapshot",
        ]
    );
    found.push(at("2025-01-17 02:00"));
    assert_eq!(
        gone(&only(7, 0, 0), "2025-01-17 15:00", &found),
        ["16 14:00: superseded by 2025-01-16_02-00-00 on the same day (local.keepLast is 0)"]
    );
}

#[test]
fn a_complete_snapshot_stands_for_a_week_that_began_with_errors() {
    let mut found = vec![with_errors("2025-01-12 02:00")];
    assert_eq!(
        kept(&only(0, 4, 0), "2025-01-12 03:00", &found),
        ["12 02:00: weekly of 2025-01-12; the newest snapshot"]
    );
    found.extend([at("2025-01-14 02:00"), at("2025-01-15 02:00")]);
    assert_eq!(
        kept(&only(0, 4, 0), "2025-01-15 03:00", &found),
        [
            "14 02:00: weekly of 2025-01-12",
            "15 02:00: the newest snapshot",
        ]
    );
}

#[test]
fn days_with_errors_only_are_kept_but_use_up_no_place() {
    let found = [
        at("2025-01-10 02:00"),
        with_errors("2025-01-11 02:00"),
        at("2025-01-12 02:00"),
        with_errors("2025-01-13 02:00"),
        with_errors("2025-01-14 02:00"),
    ];
    assert_eq!(
        kept(&only(2, 0, 0), "2025-01-14 03:00", &found),
        [
            "10 02:00: daily of 2025-01-10",
            "12 02:00: daily of 2025-01-12; the newest complete snapshot",
            "13 02:00: daily of 2025-01-13",
            "14 02:00: daily of 2025-01-14; the newest snapshot",
        ]
    );
}

#[test]
fn without_dailies_errors_do_not_delete_the_newest_complete_snapshot() {
    let found = [
        at("2025-01-12 02:00"),
        at("2025-01-14 02:00"),
        with_errors("2025-01-15 02:00"),
    ];
    assert_eq!(
        gone(&only(0, 4, 6), "2025-01-15 03:00", &found),
        [""; 0],
        "the fourteenth is all that is good since the twelfth"
    );
}

#[test]
fn what_is_pinned_suspect_or_in_the_future_stays_and_takes_no_place() {
    let pinned = Candidate {
        pinned: true,
        ..at("2025-01-10 02:00")
    };
    let suspect = Candidate {
        suspect: true,
        ..at("2025-01-14 02:00")
    };
    let found = [
        pinned,
        at("2025-01-12 02:00"),
        at("2025-01-13 02:00"),
        suspect,
        at("2035-01-01 02:00"),
    ];
    assert_eq!(
        kept(&only(2, 0, 0), "2025-01-14 03:00", &found),
        [
            "10 02:00: pinned",
            "12 02:00: daily of 2025-01-12",
            "13 02:00: daily of 2025-01-13; the newest snapshot",
            "14 02:00: suspect and not yet accepted",
            "01 02:00: dated in the future",
        ]
    );
}

#[test]
fn five_minutes_ahead_is_not_the_future() {
    let found = [at("2025-01-14 02:05"), at("2025-01-14 02:06")];
    assert_eq!(
        kept(&DEFAULT, "2025-01-14 02:00", &found)[1],
        "14 02:06: dated in the future"
    );
    assert_eq!(
        newest_good(&found, now("2025-01-14 02:00")),
        Some(&found[0])
    );
    assert_eq!(
        newest_good(&found, now("2025-01-14 02:01")),
        Some(&found[1])
    );
}

#[test]
fn when_nothing_counts_everything_stays() {
    let found = [
        Candidate {
            suspect: true,
            ..at("2025-01-14 02:00")
        },
        at("2025-01-15 02:00"),
    ];
    assert_eq!(gone(&DEFAULT, "2020-01-01 00:00", &found), [""; 0]);
}

#[test]
fn the_newest_verified_stays_and_a_complete_one_goes_before_one_with_errors() {
    let verified = |one: Candidate| Candidate {
        verified: true,
        ..one
    };
    let found = [
        verified(at("2025-01-10 02:00")),
        verified(at("2025-01-11 02:00")),
        verified(with_errors("2025-01-12 02:00")),
        at("2025-01-13 02:00"),
    ];
    assert_eq!(
        kept(&only(1, 0, 0), "2025-01-13 03:00", &found),
        [
            "11 02:00: the newest verified snapshot",
            "13 02:00: daily of 2025-01-13; the newest snapshot",
        ]
    );
}

#[test]
fn after_a_flight_over_the_date_line_order_is_by_time_and_days_are_as_recorded() {
    // Auckland on the thirteenth, then Honolulu, where it is still the twelfth.
    let auckland = Candidate {
        started_at: now("2025-01-12 12:00"),
        ..at("2025-01-13 01:00")
    };
    let honolulu = Candidate {
        started_at: now("2025-01-12 20:00"),
        ..at("2025-01-12 10:00")
    };
    let found = [honolulu.clone(), auckland];
    assert_eq!(
        kept(&only(1, 0, 0), "2025-01-12 21:00", &found),
        [
            "13 01:00: daily of 2025-01-13",
            "12 10:00: the newest snapshot",
        ]
    );
    assert_eq!(
        newest_good(&found, now("2025-01-12 21:00")),
        Some(&honolulu)
    );
}

#[test]
fn of_two_with_one_start_the_greater_id_is_the_newer() {
    let first = at("2025-01-12 02:00");
    let second = Candidate {
        id: first.id.first_free(|id| id == first.id),
        ..first.clone()
    };
    let decision = decide_retention(&DEFAULT, first.started_at, &[second.clone(), first.clone()]);
    assert!(decision.keep.contains_key(&second.id));
    assert!(decision.expire.contains_key(&first.id));
}

#[test]
fn a_reason_never_names_a_snapshot_that_goes_as_well() {
    let found = [
        at("2025-01-07 02:00"),
        at("2025-01-07 14:00"),
        at("2025-01-08 02:00"),
    ];
    let limits = "not of the last day (local.keepDaily is 1)";
    assert_eq!(
        gone(&only(1, 0, 0), "2025-01-08 03:00", &found),
        [format!("07 02:00: {limits}"), format!("07 14:00: {limits}")]
    );
}

fn last(keep_last: u32) -> Policy {
    Policy {
        keep_last,
        ..only(1, 0, 0)
    }
}

#[test]
fn the_last_stay_whatever_their_day() {
    let found = [
        at("2025-01-16 01:00"),
        at("2025-01-16 02:00"),
        at("2025-01-16 03:00"),
        at("2025-01-16 04:00"),
    ];
    assert_eq!(
        kept(&last(3), "2025-01-16 05:00", &found),
        [
            "16 02:00: one of the last 3",
            "16 03:00: one of the last 3",
            "16 04:00: daily of 2025-01-16; one of the last 3; the newest snapshot",
        ]
    );
    assert_eq!(
        gone(&last(3), "2025-01-16 05:00", &found),
        ["16 01:00: superseded by 2025-01-16_04-00-00 on the same day (local.keepLast is 3)"]
    );
}

#[test]
fn errors_do_not_push_complete_ones_out_of_the_last() {
    let found = [
        at("2025-01-10 02:00"),
        at("2025-01-11 02:00"),
        with_errors("2025-01-12 02:00"),
        with_errors("2025-01-13 02:00"),
        with_errors("2025-01-14 02:00"),
    ];
    let days = |lines: Vec<String>| -> Vec<String> {
        lines.iter().map(|line| line[..2].to_owned()).collect()
    };
    assert_eq!(
        days(kept(&last(2), "2025-01-14 03:00", &found)),
        ["10", "11", "13", "14"]
    );
}

#[test]
fn a_reason_names_the_longest_lived_rule_that_let_it_go() {
    let found: Vec<Candidate> = [
        "2023-06-01",
        "2024-02-01",
        "2025-01-05",
        "2025-01-12",
        "2025-01-14",
    ]
    .iter()
    .map(|day| at(&format!("{day} 02:00")))
    .chain([at("2025-01-14 14:00")])
    .collect();
    let policy = Policy {
        keep_last: 1,
        keep_daily: 1,
        keep_weekly: 1,
        keep_monthly: 1,
        keep_yearly: 1,
        ..DEFAULT
    };
    assert_eq!(
        gone(&policy, "2025-01-14 15:00", &found),
        [
            "01 02:00: not of the last year (local.keepYearly is 1)",
            "01 02:00: not of the last year (local.keepYearly is 1)",
            "14 02:00: superseded by 2025-01-14_14-00-00 on the same day (local.keepLast is 1)",
        ]
    );
}

#[test]
fn rules_in_force_are_those_that_keep_something() {
    assert_eq!(DEFAULT.rules_in_force(), 3);
    assert_eq!(last(3).rules_in_force(), 2);
    let all = Policy {
        keep_last: 3,
        keep_hourly: 2,
        keep_yearly: 1,
        ..DEFAULT
    };
    assert_eq!(all.rules_in_force(), 6);
    assert_eq!(
        only(0, 4, 0).rules_in_force(),
        2,
        "the newest stays as such"
    );
}

#[test]
fn where_only_the_last_ones_are_kept_that_rule_is_named() {
    let found = [
        at("2025-01-12 02:00"),
        at("2025-01-13 02:00"),
        at("2025-01-14 02:00"),
    ];
    let policy = Policy {
        keep_last: 2,
        ..only(0, 0, 0)
    };
    assert_eq!(
        gone(&policy, "2025-01-14 15:00", &found),
        ["12 02:00: not of the last 2 snapshots (local.keepLast)"]
    );
    assert_eq!(
        gone(&only(0, 0, 0), "2025-01-14 15:00", &found[1..]),
        ["13 02:00: not the newest (local.keepDaily is 0)"]
    );
}
