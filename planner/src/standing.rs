//! How things stand: the last good backup, how old it may be, which runs still say something, and
//! which findings of an earlier check were disproved since.
//!
//! Owns what each of these means. Status, health, notifications and metrics ask here, so that none of
//! them says "all is well" where another one warns.

use chrono::{DateTime, FixedOffset, TimeDelta};
use schema::{
    Config, Finding, Inventory, RunResult, Severity, clock,
    health::{EndedRun, Health, LastGood},
    inventory::DestinationState,
    plan::Part,
};

use crate::{
    Options,
    facts::{self, Facts},
    findings::{code, destination},
    pipeline::sorted,
    schedule,
};

type Time = DateTime<FixedOffset>;

/// What the last good backup is known from.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// The destination, where local snapshots are enabled.
    pub destination: Option<&'a DestinationState>,
    /// Whether what is mounted there is a destination of this machine; see [`is_ours`].
    pub is_ours: bool,
    /// Whether others take turns with it.
    pub has_others: bool,
    /// Backups that ended, in the order in which they were begun.
    pub runs: &'a [EndedRun],
}

/// Whether the destination is there, and mounted where that is asked for.
#[must_use]
pub fn is_ready(config: &Config, found: &DestinationState) -> bool {
    destination::destination_absence(config, found).is_none()
}

/// Whether what is mounted is a destination of this machine, or may become its first.
#[must_use]
pub fn is_ours(config: &Config, inventory: &Inventory) -> bool {
    let inventory = &sorted(inventory);
    let options = Options::default();
    let facts = Facts::new(config, inventory, &options);
    let Some(found) = facts.destination else {
        return true;
    };
    let mut refusals = Vec::new();
    destination::check_destination(&facts, found, &mut refusals);
    !refusals.iter().any(|one| {
        matches!(
            one.code.as_str(),
            code::DESTINATION_UNKNOWN | code::DESTINATION_OF_ANOTHER_HOST | code::WRONG_FILE_SYSTEM
        )
    })
}

/// The last good backup: the newest that is no unresolved suspect and not of a clock that was ahead,
/// complete or with listed errors. Of a destination that is away, of another one that is mounted
/// instead, and of those that take turns, only what runs reported is known.
#[must_use]
pub fn last_good(config: &Config, known: &Known<'_>, now: Time) -> Option<LastGood> {
    if !config.local.enable {
        return None;
    }
    let there = known
        .destination
        .filter(|found| known.is_ours && is_ready(config, found));
    let newest = there.and_then(|found| facts::reference(found, now.to_utc()));
    let on_disk = newest.map(|newest| LastGood {
        id: newest.record.id,
        started_at: newest.record.started_at,
        complete: newest.record.complete,
    });
    let reported = (there.is_none() || known.has_others)
        .then(|| credible(known.runs, now).find_map(|run| run.good))
        .flatten();
    on_disk
        .into_iter()
        .chain(reported)
        .max_by_key(|good| good.started_at)
}

/// When a copy was last brought to the cloud, as far as runs reported it.
#[must_use]
pub fn copied_at(runs: &[EndedRun], now: Time) -> Option<Time> {
    credible(runs, now).find_map(|run| run.copied_at)
}

/// By how much a backup is older than it may be: its age and the limit; none where it is not, or
/// nothing says how old it may be.
#[must_use]
pub fn too_old(config: &Config, started_at: Time, now: Time) -> Option<(TimeDelta, TimeDelta)> {
    let limit = schedule::oldest_acceptable(config, now)?;
    let age = clock::age(started_at, now);
    (age > limit).then_some((age, limit))
}

/// The runs that say how things stand: the last one of each part that is wanted, the newest first. A
/// part that ran alone since says nothing of the other one.
#[must_use]
pub fn last_runs<'a>(config: &Config, runs: &'a [EndedRun]) -> Vec<&'a EndedRun> {
    let of = |part: Part, wanted: bool| {
        if !wanted {
            return None;
        }
        let mut runs = runs.iter().enumerate().rev();
        runs.find(|(_, run)| run.only.is_none_or(|only| only == part))
            .map(|(at, _)| at)
    };
    let local = of(Part::Local, config.local.enable);
    let cloud = of(Part::Cloud, config.cloud.enable);
    let mut last: Vec<usize> = local.into_iter().chain(cloud).collect();
    last.sort_unstable_by(|one, other| other.cmp(one));
    last.dedup();
    last.into_iter().map(|at| &runs[at]).collect()
}

/// What a run left undone that nobody has made good since, in words for a sentence; none if nothing.
#[must_use]
pub fn trouble(run: &EndedRun) -> Option<String> {
    let how = match run.result {
        RunResult::Failed => "failed",
        RunResult::Refused => "was refused",
        RunResult::Interrupted => "was interrupted",
        // Errors and suspicions are the snapshot's, which is looked at itself.
        RunResult::Incomplete if run.undone.is_some() => "was incomplete",
        RunResult::Incomplete | RunResult::Success | RunResult::Deferred => return None,
    };
    Some(match &run.undone {
        Some(undone) => format!("{how}: {undone}"),
        None => how.to_owned(),
    })
}

/// The findings of an earlier check that still say something: what a later run disproved, and what is
/// looked at anew whenever it is asked for, is left out.
#[must_use]
pub fn still_stands<'a>(
    health: &'a Health,
    known: &Known<'_>,
    config: &Config,
    now: Time,
) -> Vec<&'a Finding> {
    let since = Since::look_back(health, known, config, now);
    let findings = health.findings.iter();
    findings
        .filter(|finding| finding.severity > Severity::Note)
        .filter(|finding| since.leaves_standing(&finding.code))
        .collect()
}

/// What came about since an earlier check.
#[derive(Debug, Clone, Copy)]
struct Since {
    /// Whether a backup was made.
    backed_up: bool,
    /// Whether a copy was brought to the cloud.
    copied: bool,
    /// Whether any run ended.
    has_run: bool,
    /// Whether the destination is there now, so that it is looked at anew.
    there: bool,
}

impl Since {
    fn look_back(health: &Health, known: &Known<'_>, config: &Config, now: Time) -> Self {
        let since = health.checked_at;
        let ahead = clock::is_ahead(since, now);
        let later = |at: Option<Time>| at.is_some_and(|at| at > since || ahead);
        Self {
            backed_up: later(
                credible(known.runs, now)
                    .find(|run| run.good.is_some())
                    .map(|run| run.ended_at),
            ),
            copied: later(copied_at(known.runs, now)),
            has_run: later(known.runs.last().map(|run| run.ended_at)),
            there: known
                .destination
                .is_some_and(|found| known.is_ours && is_ready(config, found)),
        }
    }

    /// Whether nothing of it disproves a finding with this code.
    fn leaves_standing(self, code: &str) -> bool {
        match code {
            // Asked anew each time.
            code::NO_GOOD_BACKUP
            | code::BACKUP_TOO_OLD
            | code::LAST_BACKUP_INCOMPLETE
            | code::LAST_RUN_FAILED
            | code::RUN_UNFINISHED
            | code::CLOCK_WENT_BACK
            | code::SNAPSHOT_IN_THE_FUTURE => false,
            // Looked at anew while the destination is there.
            code::SUSPECT_SNAPSHOT
            | code::DAMAGED_FILES
            | code::SNAPSHOT_RECORD_DAMAGED
            | code::SNAPSHOT_MANIFEST_DAMAGED
            | code::SNAPSHOT_MANIFEST_CHANGED
            | code::SNAPSHOT_MARKS_DAMAGED
            | code::ROTATION_RECORD_DAMAGED => !self.there,
            // Without these there is no backup.
            code::DESTINATION_NOT_MOUNTED
            | code::DESTINATION_UNREADABLE
            | code::DESTINATION_READ_ONLY
            | code::DESTINATION_RECORD_UNREADABLE
            | code::DESTINATION_TOO_NEW
            | code::DESTINATION_OF_ANOTHER_HOST
            | code::DESTINATION_UNKNOWN
            | code::WRONG_FILE_SYSTEM
            | code::NO_HARD_LINKS
            | code::INSUFFICIENT_SPACE
            | code::INSUFFICIENT_INODES
            | code::SPACE_LOW
            | code::RSYNC_MISSING
            | code::RSYNC_TOO_OLD
            | code::NOTHING_ENABLED
            | code::SNAPSHOT_LOST
            | code::LAYOUT_NOT_AS_WANTED => !self.backed_up,
            code::CLOUD_COPY_TOO_OLD
            | code::CLOUD_NEVER_COPIED
            | code::CLOUD_UNREACHABLE
            | code::RCLONE_MISSING
            | code::RCLONE_TOO_OLD => !self.copied,
            code::NOBODY_WAS_TOLD => !self.has_run,
            _ => true,
        }
    }
}

/// The runs whose time is credible now, the newest first.
fn credible(runs: &[EndedRun], now: Time) -> impl Iterator<Item = &EndedRun> {
    let times = runs.iter().rev().map(|run| run.started_at);
    let credible = clock::credible_times(times, now);
    runs.iter()
        .rev()
        .zip(credible)
        .filter_map(|(run, credible)| credible.then_some(run))
}

#[cfg(test)]
mod tests {
    use schema::{SnapshotId, health::HealthVerdict};

    use super::*;

    fn at(text: &str) -> Time {
        text.parse().unwrap()
    }

    fn run(started_at: &str, result: RunResult) -> EndedRun {
        let started_at = at(started_at);
        let good = matches!(result, RunResult::Success).then(|| LastGood {
            id: SnapshotId::from_local(started_at.naive_local()),
            started_at,
            complete: true,
        });
        EndedRun {
            run_id: "r".to_owned(),
            started_at,
            ended_at: started_at + TimeDelta::minutes(5),
            result,
            only: None,
            good,
            undone: None,
            cloud: None,
            copied_at: good.map(|good| good.started_at),
            not_notified: None,
            standing: None,
        }
    }

    fn config() -> Config {
        serde_json::from_str(r#"{"local": {"enable": true}, "schedule": {"enable": true}}"#)
            .unwrap()
    }

    fn away(runs: &[EndedRun]) -> Known<'_> {
        Known {
            destination: None,
            is_ours: true,
            has_others: false,
            runs,
        }
    }

    #[test]
    fn a_backup_of_a_clock_that_was_ahead_is_not_the_last_good_one() {
        let now = at("2025-01-20T12:00:00Z");
        let night = run("2025-01-16T02:00:00Z", RunResult::Success);
        for ahead in ["2026-01-16T02:00:00Z", "2025-01-19T02:00:00Z"] {
            let runs = [
                night.clone(),
                run(ahead, RunResult::Success),
                run("2025-01-17T02:00:00Z", RunResult::Failed),
            ];
            let good = last_good(&config(), &away(&runs), now).unwrap();
            assert_eq!(Some(good), night.good, "{ahead}");
            assert_eq!(copied_at(&runs, now), night.copied_at);
        }
    }

    #[test]
    fn a_backup_is_too_old_after_twice_the_interval_and_never_by_a_clock_ahead() {
        let now = at("2025-01-20T12:00:00Z");
        let old = |then: &str| too_old(&config(), at(then), now).is_some();
        assert!(!old("2025-01-18T13:00:00Z"));
        assert!(old("2025-01-18T11:00:00Z"));
        assert!(!old("2026-01-18T11:00:00Z"));
    }

    #[test]
    fn a_part_that_ran_alone_says_nothing_of_the_other() {
        let mut failed = run("2025-01-16T02:00:00Z", RunResult::Failed);
        failed.undone = Some("connection failed".to_owned());
        let mut local = run("2025-01-16T09:00:00Z", RunResult::Success);
        local.only = Some(Part::Local);
        let runs = [failed.clone(), local.clone()];
        let mut config = config();
        assert_eq!(last_runs(&config, &runs), [&local]);
        config.cloud.enable = true;
        assert_eq!(last_runs(&config, &runs), [&local, &failed]);
        assert_eq!(
            trouble(&failed).as_deref(),
            Some("failed: connection failed")
        );
        let whole = run("2025-01-17T02:00:00Z", RunResult::Success);
        let runs = [failed, local, whole.clone()];
        assert_eq!(last_runs(&config, &runs), [&whole]);
        assert_eq!(trouble(&whole), None);
    }

    #[test]
    fn an_incomplete_run_is_trouble_only_where_a_step_left_something_undone() {
        let mut run = run("2025-01-16T02:00:00Z", RunResult::Incomplete);
        assert_eq!(trouble(&run), None);
        run.undone = Some("4 deletions wait for approval".to_owned());
        assert_eq!(
            trouble(&run).as_deref(),
            Some("was incomplete: 4 deletions wait for approval")
        );
    }

    #[test]
    fn a_later_run_disproves_what_would_have_stopped_it() {
        let now = at("2025-01-20T12:00:00Z");
        let health = |checked_at: &str, codes: &[&str]| Health {
            format_version: 1,
            host: "ash".to_owned(),
            checked_at: at(checked_at),
            verdict: HealthVerdict::Error,
            last_good: None,
            space: None,
            verified: None,
            cloud: None,
            findings: codes
                .iter()
                .map(|code| Finding::new(Severity::Error, code, "m"))
                .collect(),
            told_at: None,
            destinations: std::collections::BTreeMap::new(),
        };
        let stands = |health: &Health, runs: &[EndedRun]| -> Vec<String> {
            let left = still_stands(health, &away(runs), &config(), now);
            left.iter().map(|one| one.code.clone()).collect()
        };
        let evening = [
            code::DESTINATION_NOT_MOUNTED,
            code::NO_GOOD_BACKUP,
            code::VERIFY_FOUND_DAMAGE,
            code::CLOUD_UNREACHABLE,
        ];
        let checked = health("2025-01-19T20:00:00Z", &evening);
        let before = [run("2025-01-19T02:00:00Z", RunResult::Success)];
        assert_eq!(
            stands(&checked, &before),
            [
                code::DESTINATION_NOT_MOUNTED,
                code::VERIFY_FOUND_DAMAGE,
                code::CLOUD_UNREACHABLE
            ]
        );
        let mut after = [run("2025-01-20T02:00:00Z", RunResult::Success)];
        assert_eq!(stands(&checked, &after), [code::VERIFY_FOUND_DAMAGE]);
        // A backup alone does not show that the remote is there.
        after[0].copied_at = None;
        assert_eq!(
            stands(&checked, &after),
            [code::VERIFY_FOUND_DAMAGE, code::CLOUD_UNREACHABLE]
        );
        let ahead = health("2026-01-19T20:00:00Z", &evening);
        assert_eq!(
            stands(&ahead, &before),
            [code::VERIFY_FOUND_DAMAGE],
            "a check of the future is older than any run"
        );
    }
}
