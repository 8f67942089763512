use super::tests::{Case, NOW};

/// Samples of `free` GiB, one each day, the last of them yesterday.
fn samples(free: &[u64]) -> Vec<schema::health::SpaceSample> {
    let now: chrono::DateTime<chrono::FixedOffset> = NOW.parse().unwrap();
    let days = i64::try_from(free.len()).unwrap();
    let at = |index: i64| now - chrono::TimeDelta::days(days - index);
    let samples = (0..).zip(free);
    samples
        .map(|(index, free)| schema::health::SpaceSample {
            at: at(index),
            free_bytes: free << 30,
        })
        .collect()
}

#[test]
fn the_trend_foretells_when_room_ends_and_one_large_file_does_not_turn_it() {
    // Two GiB a day, a film of 100 GiB, and a deletion of 60.
    let mut free: Vec<u64> = (0..30).map(|day| 160 - 2 * day).collect();
    for later in &mut free[20..] {
        *later += 60;
    }
    for earlier in &mut free[..10] {
        *earlier += 100;
    }
    let free_now = free[29] - 2;
    let case = Case::nightly()
        .destination("free_bytes", free_now << 30)
        .measured(|of| of.space = samples(&free));
    let trend = case.assess().space.unwrap().trend.unwrap();
    let gib = trend.used_bytes_a_day >> 30;
    assert!((1..=3).contains(&gib), "{trend:?}");

    let steady: Vec<u64> = (0..30).map(|day| 100 - 2 * day).collect();
    let case = Case::nightly()
        .destination("free_bytes", 40_u64 << 30)
        .measured(|of| of.space = samples(&steady));
    let health = case.assess();
    let trend = health.space.unwrap().trend.unwrap();
    assert_eq!(trend.used_bytes_a_day, 2 << 30);
    // Thirty GiB above local.minSpaceGB.
    assert_eq!(trend.days_left, Some(15));
    assert_eq!(case.codes(), ["w space-ends-soon"]);
    assert!(health.findings[0].message.contains("30 runs"));

    // Room that becomes more ends never.
    let more: Vec<u64> = (0..30).map(|day| 10 + day).collect();
    let case = Case::nightly()
        .destination("free_bytes", 40_u64 << 30)
        .measured(|of| of.space = samples(&more));
    assert_eq!(case.assess().space.unwrap().trend.unwrap().days_left, None);
    assert_eq!(case.codes(), [""; 0]);
}

#[test]
fn without_earlier_runs_the_snapshots_tell_the_trend() {
    let health = Case::nightly().assess();
    let trend = health.space.unwrap().trend.unwrap();
    // Eight snapshots of 1 GiB in nine days; what the first one stored is not growth.
    assert_eq!(trend.used_bytes_a_day, (8 << 30) / 9);
    assert_eq!(
        trend.basis,
        schema::health::TrendBasis::Snapshots { snapshots: 9 }
    );
    let few = Case::nightly().at("2025-02-03T12:00:00+01:00");
    assert_eq!(few.assess().space.unwrap().trend, None);
    let full = Case::nightly().destination("free_bytes", 9_u64 << 30);
    assert_eq!(full.codes(), ["e space-low"]);
}

#[test]
fn a_full_disk_that_makes_room_by_itself_is_no_alarm() {
    // The next night lets the oldest daily go, with 1 GiB.
    let night = "2025-02-11T01:00:00+01:00";
    let full = |free: u64| {
        Case::nightly()
            .at(night)
            .destination("free_bytes", free << 30)
    };
    let told = full(9).assess();
    assert_eq!(full(9).codes(), ["n space-low"]);
    let message = &told.findings[0].message;
    assert!(
        message.ends_with("snapshot 2025-02-04_02-00-00 goes"),
        "{message}"
    );
    // Not enough, or not for what a run usually stores, or not allowed.
    assert_eq!(full(8).codes(), ["e space-low"]);
    let mut usual = full(9);
    let snapshots = usual.inventory["destination"]["snapshots"].as_array_mut();
    for at in snapshots.unwrap() {
        at["record"]["basis"] = "2025-01-01_02-00-00".into();
    }
    assert_eq!(usual.codes(), ["e space-low"]);
    let never = full(9).set("local.makeRoom", "never");
    assert_eq!(never.codes(), ["e space-low"]);
    let hint = never.assess().findings[0].hint.clone().unwrap();
    assert!(hint.contains("`backup prune`"), "{hint}");
    // What the oldest hold may go as well.
    let oldest = full(6).set("local.makeRoom", "oldest");
    assert_eq!(oldest.codes(), ["n space-low"]);
    let message = &oldest.assess().findings[0].message;
    assert!(message.contains("4 snapshots go, 2025-02-"), "{message}");
    let too_full = full(1).set("local.makeRoom", "oldest");
    assert_eq!(too_full.codes(), ["e space-low"]);
}

#[test]
fn where_the_oldest_make_room_runs_are_not_refused_one_day() {
    let steady: Vec<u64> = (0..30).map(|day| 100 - 2 * day).collect();
    let case = |room: &str| {
        Case::nightly()
            .destination("free_bytes", 40_u64 << 30)
            .measured(|of| of.space = samples(&steady))
            .set("local.makeRoom", room)
    };
    let trend = |case: &Case| case.assess().space.unwrap().trend.unwrap();
    assert_eq!(trend(&case("never")).days_left, Some(15));
    let oldest = case("oldest");
    assert_eq!(trend(&oldest).days_left, None);
    assert!(trend(&oldest).oldest_make_room);
    assert_eq!(oldest.codes(), [""; 0]);
    // Too little for two more nights with all of them gone.
    let steep: Vec<u64> = (0..30).map(|day| 200 - 6 * day).collect();
    let last = case("oldest")
        .measured(|of| of.space = samples(&steep))
        .set("local.minSpaceGB", 39);
    assert!(!trend(&last).oldest_make_room);
    assert_eq!(last.codes(), ["w space-ends-soon"]);
    let hint = last.assess().findings[0].hint.clone().unwrap();
    assert!(!hint.contains("makeRoom"), "{hint}");
}
