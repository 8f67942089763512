//! Which metrics there are, for the collector of text files.
//!
//! Owns the names: base units, `_seconds` and `_bytes` at the end, no `_total` or `_count` since
//! all are gauges. What is not known is left out, so that `absent()` tells it.

use std::collections::BTreeMap;

use chrono::{DateTime, FixedOffset};
use schema::{
    Report, RunResult, Severity, Tier,
    drill::{Drill, DrillVerdict},
    health::{EndedRun, Health, LastGood, ReadBack},
    inventory::DestinationState,
};

use super::exposition::Page;

/// What the metrics are made from.
pub(super) struct MetricsFacts<'a> {
    /// The host.
    pub(super) host: &'a str,
    /// The time.
    pub(super) now: DateTime<FixedOffset>,
    /// The report of the last run, for all destinations.
    pub(super) last: Option<&'a Report>,
    /// What is known of each destination; with its name where there are several.
    pub(super) views: Vec<(Option<&'a str>, DestinationFacts<'a>)>,
}

/// What is known of one destination.
pub(super) struct DestinationFacts<'a> {
    /// Where it is mounted, where local snapshots are enabled.
    pub(super) path: Option<&'a str>,
    /// What was found there.
    pub(super) destination: Option<&'a DestinationState>,
    /// Whether it is there, and mounted where that is asked for.
    pub(super) ready: bool,
    /// The last good backup.
    pub(super) good: Option<LastGood>,
    /// Backups that ended, oldest first.
    pub(super) runs: &'a [EndedRun],
    /// The report of the last one, as of a run for it alone.
    pub(super) last: Option<&'a Report>,
    /// What the last health check found.
    pub(super) health: Option<&'a Health>,
    /// What the last drill came to.
    pub(super) drill: Option<&'a Drill>,
    /// When what is stored was last read back.
    pub(super) read_back: ReadBack,
}

/// All metrics.
pub(super) fn metrics_text(known: &MetricsFacts<'_>) -> String {
    let mut page = Page::default();
    page.add_metric(
        "backup_info",
        "The program and the host whose backups these are.",
        &[("host", known.host), ("version", env!("CARGO_PKG_VERSION"))],
        "1",
    );
    page.add_each(known, |page, view| {
        add_destination(page, view, known.now);
        add_last_success(page, view);
    });
    add_last_run(&mut page, known.last);
    page.add_each(known, |page, view| {
        add_last_run_of_one(page, view);
        add_sealed(page, view);
    });
    page.add_each(known, |page, view| {
        let copied = planner::standing::copied_at(view.runs, known.now);
        page.add_time(
            "backup_cloud_last_success_timestamp_seconds",
            "When a copy was last brought to the cloud.",
            copied,
        );
        add_health(page, view);
        add_read_back(page, view);
        add_drill(page, view);
    });
    page.into_text()
}

fn add_destination(page: &mut Page, known: &DestinationFacts<'_>, now: DateTime<FixedOffset>) {
    let Some(path) = known.path else {
        return;
    };
    let path = [("path", path)];
    page.add_metric(
        "backup_destination_present",
        "Whether the destination is there, and mounted where that is asked for.",
        &path,
        if known.ready { "1" } else { "0" },
    );
    let Some(found) = known.destination.filter(|_| known.ready) else {
        return;
    };
    page.add_amounts(
        &path,
        &[
            (
                "backup_destination_free_bytes",
                "Free bytes on the destination that backups may use.",
                found.free_bytes,
            ),
            (
                "backup_destination_size_bytes",
                "Size of the destination's file system.",
                found.total_bytes,
            ),
        ],
    );
    add_snapshots(page, found, now);
}

fn add_snapshots(page: &mut Page, found: &DestinationState, now: DateTime<FixedOffset>) {
    // Only where they stand and when they were made is told, which no option changes.
    let list = planner::list_snapshots(&schema::Config::default(), found, now);
    let mut by_tier: BTreeMap<Tier, u64> = Tier::ALL.into_iter().map(|tier| (tier, 0)).collect();
    for tier in list.snapshots.iter().flat_map(|one| &one.tiers) {
        *by_tier.entry(*tier).or_default() += 1;
    }
    page.add_header(
        "backup_snapshots",
        "Snapshots by the tier in which they appear; one may appear in several.",
    );
    for (tier, count) in by_tier {
        let count = count.to_string();
        page.add_sample("backup_snapshots", &[("tier", tier.folder())], &count);
    }
    let suspect = list.snapshots.iter().filter(|one| one.is_suspect());
    let faults = found.unmanaged.iter();
    let faults = faults.filter(|one| one.record_fault.is_some());
    page.add_amounts(
        &[],
        &[
            (
                "backup_suspect_snapshots",
                "Snapshots that are suspect and not accepted.",
                suspect.count() as u64,
            ),
            (
                "backup_damaged_records",
                "Snapshots whose record is damaged.",
                faults.count() as u64,
            ),
            (
                "backup_damaged_files",
                "Stored files that are known to be damaged.",
                found.damaged.len() as u64,
            ),
        ],
    );
    if let Some(newest) = list.snapshots.first() {
        page.add_amounts(
            &[],
            &[
                (
                    "backup_snapshot_files",
                    "Regular files in the newest snapshot.",
                    newest.files,
                ),
                (
                    "backup_snapshot_size_bytes",
                    "Sum of the sizes of the files in the newest snapshot.",
                    newest.bytes,
                ),
            ],
        );
    }
}

fn add_last_success(page: &mut Page, known: &DestinationFacts<'_>) {
    let at = known.good.and_then(|good| {
        let stands = known.destination.filter(|_| known.ready);
        let mut snapshots = stands.iter().flat_map(|found| &found.snapshots);
        let sealed = snapshots.find(|one| one.record.id == good.id);
        let of_it = |run: &&EndedRun| run.good.is_some_and(|one| one.id == good.id);
        let run = || known.runs.iter().rev().find(of_it);
        sealed
            .map(|one| one.record.sealed_at)
            .or_else(|| run().map(|run| run.ended_at))
    });
    page.add_time(
        "backup_last_success_timestamp_seconds",
        "When the last good backup was sealed.",
        at,
    );
}

fn add_last_run(page: &mut Page, last: Option<&Report>) {
    let Some(last) = last else {
        return;
    };
    page.add_time(
        "backup_last_run_timestamp_seconds",
        "When the last run ended.",
        Some(last.ended_at),
    );
    add_result(
        page,
        "backup_last_run_result",
        "1 for the word that tells how the last run ended, 0 for the others.",
        last.result,
    );
    page.add_metric(
        "backup_run_duration_seconds",
        "How long the last run took.",
        &[],
        &seconds_between(last.started_at, last.ended_at),
    );
    add_steps(page, last);
}

/// A sample for each way in which a run may end.
fn add_result(page: &mut Page, name: &str, help: &str, ended: RunResult) {
    page.add_header(name, help);
    for result in [
        RunResult::Success,
        RunResult::Incomplete,
        RunResult::Failed,
        RunResult::Refused,
        RunResult::Deferred,
        RunResult::Interrupted,
    ] {
        let is = if result == ended { "1" } else { "0" };
        page.add_sample(name, &[("result", result.word())], is);
    }
}

/// How the last run ended that was for a destination among several.
fn add_last_run_of_one(page: &mut Page, known: &DestinationFacts<'_>) {
    let Some(last) = known.last.filter(|_| page.destination.is_some()) else {
        return;
    };
    page.add_time(
        "backup_destination_last_run_timestamp_seconds",
        "When the last run ended that was for this destination.",
        Some(last.ended_at),
    );
    add_result(
        page,
        "backup_destination_last_run_result",
        "1 for the word that tells how the last run ended for this destination, 0 for the others.",
        last.result,
    );
}

fn add_sealed(page: &mut Page, known: &DestinationFacts<'_>) {
    let last = known.last.and_then(|last| last.snapshot.as_ref());
    if let Some(sealed) = last {
        page.add_amounts(
            &[],
            &[
                (
                    "backup_run_copied_files",
                    "Files whose content the last run copied.",
                    sealed.totals.files_copied,
                ),
                (
                    "backup_run_copied_bytes",
                    "Bytes that the last run copied.",
                    sealed.totals.bytes_copied,
                ),
                (
                    "backup_run_error_files",
                    "Entries that the last run could not read or store.",
                    sealed.totals.errors,
                ),
            ],
        );
    }
}

fn add_steps(page: &mut Page, last: &Report) {
    let steps = last.steps.iter();
    let steps = steps.filter_map(|step| Some((&step.step, step.started_at?, step.ended_at)));
    let steps: Vec<_> = steps.collect();
    if !steps.is_empty() {
        page.add_header(
            "backup_run_step_duration_seconds",
            "How long each step of the last run took.",
        );
    }
    for (step, started_at, ended_at) in steps {
        page.add_sample(
            "backup_run_step_duration_seconds",
            &[("step", step)],
            &seconds_between(started_at, ended_at),
        );
    }
}

fn add_health(page: &mut Page, known: &DestinationFacts<'_>) {
    let Some(health) = known.health else {
        return;
    };
    page.add_time(
        "backup_health_check_timestamp_seconds",
        "When health was last checked.",
        Some(health.checked_at),
    );
    page.add_header(
        "backup_health_findings",
        "What the last health check found, by severity.",
    );
    for (severity, word) in [
        (Severity::Note, "note"),
        (Severity::Warning, "warning"),
        (Severity::Error, "error"),
    ] {
        let count = health.count(severity).to_string();
        page.add_sample("backup_health_findings", &[("severity", word)], &count);
    }
    let trend = health.space.as_ref().and_then(|space| space.trend.as_ref());
    if let Some(days) = trend.and_then(|trend| trend.days_left) {
        page.add_metric(
            "backup_destination_left_seconds",
            "Time until only local.minSpaceGB are free, as the last health check foretold it.",
            &[],
            &(days * 86_400).to_string(),
        );
    }
    if let Some(share) = &health.verified {
        let ratio = f64::from(share.parts_read) / f64::from(share.of.max(1));
        page.add_metric(
            "backup_verified_ratio",
            "Share of the stored data that health checks have read at one time or another.",
            &[],
            &ratio.to_string(),
        );
        page.add_time(
            "backup_verified_oldest_timestamp_seconds",
            "When the share that was read longest ago was read.",
            Some(share.oldest_at),
        );
    }
}

fn add_read_back(page: &mut Page, known: &DestinationFacts<'_>) {
    let ReadBack { disk_at, remote_at } = known.read_back;
    // A view of `local` has that of `cloud` beside it.
    let (own, cloud) = match known.path {
        Some(_) => (disk_at, remote_at),
        None => (remote_at, None),
    };
    page.add_time(
        "backup_verified_timestamp_seconds",
        "When a share of the stored data was last read and compared.",
        own,
    );
    page.add_time(
        "backup_cloud_verified_timestamp_seconds",
        "When a share of the copy in the cloud was last read and compared.",
        cloud,
    );
}

fn add_drill(page: &mut Page, known: &DestinationFacts<'_>) {
    let Some(drill) = known.drill else {
        return;
    };
    page.add_time(
        "backup_drill_timestamp_seconds",
        "When the last trial restore ended.",
        Some(drill.ended_at),
    );
    page.add_metric(
        "backup_drill_success",
        "Whether all that the last trial restore read and ran was as it should be.",
        &[],
        match drill.verdict {
            DrillVerdict::Passed => "1",
            DrillVerdict::Failed => "0",
        },
    );
    page.add_metric(
        "backup_drill_duration_seconds",
        "How long the last trial restore took.",
        &[],
        &seconds_between(drill.started_at, drill.ended_at),
    );
    if let Some(millis) = drill.ready_millis {
        page.add_metric(
            "backup_drill_ready_seconds",
            "How long it took until the snapshot stood where its files belong.",
            &[],
            &seconds_of(millis),
        );
    }
}

/// The seconds between two times; none less than zero, if the clock was set back.
fn seconds_between(from: DateTime<FixedOffset>, to: DateTime<FixedOffset>) -> String {
    let millis = (to - from).num_milliseconds().max(0);
    seconds_of(u64::try_from(millis).unwrap_or(0))
}

fn seconds_of(millis: u64) -> String {
    format!("{}.{:03}", millis / 1000, millis % 1000)
}

impl Page {
    /// Adds what is known of each destination.
    fn add_each(
        &mut self,
        known: &MetricsFacts<'_>,
        add: impl Fn(&mut Self, &DestinationFacts<'_>),
    ) {
        for (name, view) in &known.views {
            self.destination = name.map(str::to_owned);
            add(self, view);
        }
        self.destination = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_was_set_back_gives_no_negative_duration() {
        let at = |text: &str| text.parse().unwrap();
        let (early, late) = (at("2025-01-16T02:00:00Z"), at("2025-01-16T02:01:00.25Z"));
        assert_eq!(seconds_between(early, late), "60.250");
        assert_eq!(seconds_between(late, early), "0.000");
    }
}
