//! What planning costs, with few snapshots on the destination and with many.

#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "benches end at the first surprise"
)]

#[path = "../../tests/plans/world.rs"]
#[allow(dead_code, reason = "fixtures use more of it")]
mod world;

use std::hint::black_box;

use chrono::{TimeDelta, TimeZone as _, Utc, Weekday};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use planner::retention::{Candidate, Policy, decide_retention, hour_of};
use schema::SnapshotId;
use serde_json::json;

use world::World;

/// Snapshots on the destination.
const MANY: [u64; 2] = [20, 400];

fn plan(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("plan");
    for snapshots in MANY {
        let mut world =
            World::new("2024-01-01T02:00:00+01:00").set("local.keepDaily", json!(snapshots));
        for _ in 0..snapshots {
            world.run();
            world.next_night();
        }
        let config = world.config();
        let id = BenchmarkId::from_parameter(snapshots);
        group.bench_function(id, |bencher| {
            bencher.iter(|| planner::plan(&config, black_box(&world.inventory), &world.options));
        });
    }
    group.finish();
}

fn retention(criterion: &mut Criterion) {
    let policy = Policy {
        keep_last: 3,
        keep_hourly: 0,
        keep_daily: 7,
        keep_weekly: 4,
        keep_monthly: 6,
        keep_yearly: 0,
        week_starts_on: Weekday::Sun,
    };
    let mut group = criterion.benchmark_group("retention");
    for snapshots in MANY {
        let first = Utc.with_ymd_and_hms(2024, 1, 1, 2, 0, 0).unwrap();
        let found: Vec<Candidate> = (0..i64::try_from(snapshots).unwrap())
            .map(|day| first + TimeDelta::days(day))
            .map(|started_at| Candidate {
                id: SnapshotId::from_local(started_at.naive_utc()),
                started_at,
                hour: hour_of(started_at.fixed_offset()),
                day: started_at.date_naive(),
                complete: true,
                suspect: false,
                pinned: false,
                verified: false,
            })
            .collect();
        let now = found.last().unwrap().started_at + TimeDelta::days(1);
        let id = BenchmarkId::from_parameter(snapshots);
        group.bench_function(id, |bencher| {
            bencher.iter(|| decide_retention(&policy, now, black_box(&found)));
        });
    }
    group.finish();
}

criterion_group!(benches, plan, retention);
criterion_main!(benches);
