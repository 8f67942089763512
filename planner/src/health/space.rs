//! Room on the destination, and when it will be gone.
//!
//! Owns the trend: the median of the slopes between all pairs of samples (Theil 1950, Sen 1968),
//! which neither a month's deletions nor one large film can turn. Where earlier runs are not
//! remembered, what the snapshots stored is all that is known.

use chrono::{DateTime, FixedOffset, TimeDelta};
use schema::{
    Finding,
    amount::bytes,
    config::MakeRoom,
    health::{Space, SpaceSample, Trend, TrendBasis},
    inventory::DestinationState,
};

use super::{Checkup, error, note, warning};
use crate::{
    facts::Facts,
    findings::space::way_out,
    findings::{code, counted},
    space::Lack,
    steps::room,
};

/// How long samples say something of today.
const LOOK_BACK: TimeDelta = TimeDelta::days(90);
/// The shortest time, and the fewest samples or snapshots, from which anything is concluded.
const SHORTEST: TimeDelta = TimeDelta::days(5);
const FEWEST: usize = 4;
/// Samples that are closer together say nothing about days.
const APART: TimeDelta = TimeDelta::hours(6);
/// Days that are left when a person is told.
const SOON: u64 = 30;
/// Days beyond which nothing is foretold.
const OUT_OF_SIGHT: u64 = 3650;

/// Judges the room and says what it is.
pub(super) fn check_space(checkup: &Checkup<'_>, findings: &mut Vec<Finding>) -> Option<Space> {
    let destination = checkup.facts.destination.filter(|_| checkup.ready)?;
    let reserve = checkup.facts.config.local.min_space_bytes();
    let path = &destination.mount_point;
    // An interrupted removal is ended first.
    let reclaimed: u64 = destination.trash.iter().map(|left| left.bytes).sum();
    let free = destination.free_bytes.saturating_add(reclaimed);
    let usable = free.saturating_sub(reserve);
    let usable = usable.saturating_add(room::at_most(checkup.facts, destination));
    let mut space = Space {
        free_bytes: destination.free_bytes,
        total_bytes: destination.total_bytes,
        trend: trend(checkup, destination, usable),
    };
    if let Some(trend) = &mut space.trend {
        // What a night stores goes with the oldest one day, so a full disk stays as full as it is.
        let a_day = u64::try_from(trend.used_bytes_a_day).unwrap_or(0);
        let once_more = usual(destination).max(a_day).saturating_mul(2);
        trend.oldest_make_room =
            checkup.facts.config.local.make_room == MakeRoom::Oldest && once_more <= usable;
        if trend.oldest_make_room {
            trend.days_left = None;
        }
    }
    if free < reserve {
        findings.extend(full(checkup.facts, destination, free));
        return Some(space);
    }
    if let Some(trend) = &space.trend
        && let Some(days) = trend.days_left.filter(|days| *days <= SOON)
    {
        findings.push(
            warning(
                code::SPACE_ENDS_SOON,
                format!(
                    "{path} (local.mountPoint) has {} free and loses {} a day ({}): in {days} \
                     days less than {} are left (local.minSpaceGB) and runs are refused",
                    bytes(free),
                    bytes(trend.used_bytes_a_day.unsigned_abs()),
                    basis(trend),
                    bytes(reserve)
                ),
            )
            .hint(format!(
                "keep fewer with local.keepDaily, keepWeekly and keepMonthly, leave more out with \
                 local.excludePatterns, or use a larger drive{}",
                match checkup.facts.config.local.make_room {
                    // Even the oldest are not enough for long.
                    MakeRoom::Oldest => "",
                    MakeRoom::Expired | MakeRoom::Never =>
                        "; local.makeRoom = \"oldest\" lets the oldest snapshots go for new ones",
                }
            )),
        );
    }
    Some(space)
}

/// What a destination that is full comes to: the next run makes room for its snapshot, or there will
/// be none.
fn full(facts: &Facts<'_>, destination: &DestinationState, free: u64) -> Option<Finding> {
    let path = &destination.mount_point;
    let reserve = facts.config.local.min_space_bytes();
    let lack = Lack {
        bytes: reserve
            .saturating_sub(free)
            .saturating_add(usual(destination)),
        inodes: 0,
    };
    let room = room::for_lack(facts, destination, lack);
    let first = room.deletions.first();
    if let (Some(first), true) = (first, room.lack.is_none()) {
        let last = room.deletions.last().map_or(first.id, |last| last.id);
        let which = match room.deletions.len() as u64 {
            1 => format!("snapshot {} goes", first.id),
            count => format!("{} go, {} to {last}", counted(count, "snapshot"), first.id),
        };
        return Some(note(
            code::SPACE_LOW,
            format!(
                "{path} (local.mountPoint) has {} free, less than the {} that must stay free \
                 (local.minSpaceGB): the next run makes room for its snapshot (local.makeRoom): {which}",
                bytes(free),
                bytes(reserve)
            ),
        ));
    }
    Some(
        error(
            code::SPACE_LOW,
            format!(
                "insufficient space: {path} (local.mountPoint) has {} free, less than the {} that \
                 must stay free (local.minSpaceGB): the next run is refused",
                bytes(free),
                bytes(reserve)
            ),
        )
        .hint(way_out(facts, &room)),
    )
}

/// What a run stores, judged by the last ones: the middle of what they did.
fn usual(destination: &DestinationState) -> u64 {
    const LAST: usize = 7;
    let records = destination.snapshots.iter().rev().map(|one| &one.record);
    let mut stored: Vec<u64> = records
        .filter(|record| record.basis.is_some())
        .take(LAST)
        .map(|record| record.stored_by.get(&record.id).copied().unwrap_or(0))
        .collect();
    stored.sort_unstable();
    stored.get(stored.len() / 2).copied().unwrap_or(0)
}

/// What a trend is computed from, in words.
fn basis(trend: &Trend) -> String {
    let since = trend.since.format("%Y-%m-%d");
    match trend.basis {
        TrendBasis::FreeSpace { runs } => format!("by what {runs} runs found since {since}"),
        TrendBasis::Snapshots { snapshots } => {
            format!("by what {snapshots} snapshots stored since {since}")
        }
    }
}

fn trend(checkup: &Checkup<'_>, destination: &DestinationState, usable: u64) -> Option<Trend> {
    let now = checkup.facts.inventory.taken_at;
    let (since, used_bytes_a_day, basis) =
        by_free_space(&checkup.measured.space, now, destination.free_bytes)
            .or_else(|| by_snapshots(destination, now))?;
    let days_left = u64::try_from(used_bytes_a_day)
        .ok()
        .and_then(|used| usable.checked_div(used))
        .filter(|days| *days <= OUT_OF_SIGHT);
    Some(Trend {
        used_bytes_a_day,
        days_left,
        oldest_make_room: false,
        basis,
        since,
    })
}

type TrendPoint = (DateTime<FixedOffset>, i64, TrendBasis);

fn by_free_space(
    samples: &[SpaceSample],
    now: DateTime<FixedOffset>,
    free_bytes: u64,
) -> Option<TrendPoint> {
    let mut samples: Vec<SpaceSample> = samples
        .iter()
        .filter(|one| one.at < now && now - one.at <= LOOK_BACK)
        .copied()
        .collect();
    let runs = samples.len() as u64;
    samples.push(SpaceSample {
        at: now,
        free_bytes,
    });
    samples.sort_by_key(|one| one.at);
    let since = samples.first()?.at;
    if now - since < SHORTEST || samples.len() <= FEWEST {
        return None;
    }
    let mut slopes = Vec::new();
    for (at, one) in samples.iter().enumerate() {
        for later in &samples[at + 1..] {
            let seconds = (later.at - one.at).num_seconds();
            if seconds >= APART.num_seconds() {
                let used = i128::from(one.free_bytes) - i128::from(later.free_bytes);
                slopes.push(used * 86_400 / i128::from(seconds));
            }
        }
    }
    slopes.sort_unstable();
    let median = *slopes.get(slopes.len() / 2)?;
    Some((
        since,
        i64::try_from(median).ok()?,
        TrendBasis::FreeSpace { runs },
    ))
}

fn by_snapshots(destination: &DestinationState, now: DateTime<FixedOffset>) -> Option<TrendPoint> {
    let records: Vec<_> = destination
        .snapshots
        .iter()
        .map(|snapshot| &snapshot.record)
        .filter(|record| record.started_at < now && now - record.started_at <= LOOK_BACK)
        .filter(|record| record.tells_shares())
        .collect();
    // What the first one stored is not growth.
    let (first, later) = records.split_first()?;
    let last = later.last()?;
    let time = last.started_at - first.started_at;
    if records.len() < FEWEST || time < SHORTEST {
        return None;
    }
    let stored = later.iter().filter_map(|one| one.stored_by.get(&one.id));
    let stored: u64 = stored.fold(0, |sum, bytes| sum.saturating_add(*bytes));
    let a_day = u128::from(stored) * 86_400 / u128::try_from(time.num_seconds()).ok()?;
    Some((
        first.started_at,
        i64::try_from(a_day).ok()?,
        TrendBasis::Snapshots {
            snapshots: records.len() as u64,
        },
    ))
}
