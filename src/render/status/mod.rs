//! Where things stand, for people and programs.
//!
//! Owns what a status says; its wording is in `text`. It must not look for anything: what is late
//! or running is told to it.

mod text;

use std::collections::BTreeMap;

use chrono::{DateTime, FixedOffset};
use planner::{
    findings::code,
    schedule,
    standing::{self, Known},
};
use schema::{
    Config, Finding, RunResult, Severity, SnapshotId, clock,
    cloud::CloudMemory,
    health::{EndedRun, Health, HealthVerdict},
    output::list::ListedSnapshot,
    plan::Part,
    record::Capabilities,
    verify::DamagedFile,
};
use serde::Serialize;

pub(crate) use self::text::render;
use super::health;

/// How things stand, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Verdict {
    /// All is well.
    Ok,
    /// A person should look.
    Warning,
    /// There is no good snapshot.
    NoBackup,
}

/// Where things stand.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct StatusView {
    /// In one word.
    pub(crate) verdict: Verdict,
    /// In one line.
    pub(crate) summary: String,
    /// The host.
    pub(crate) host: String,
    /// The time that ages are counted from.
    pub(crate) now: DateTime<FixedOffset>,
    /// Where the snapshots are; none where local snapshots are not enabled.
    pub(crate) destination: Option<Destination>,
    /// The newest snapshot that counts; where local snapshots are not enabled, the newest copy in
    /// the cloud.
    pub(crate) last_good: Option<LastGood>,
    /// When the next run is due.
    pub(crate) next_run_at: Option<DateTime<FixedOffset>>,
    /// Whether the schedule is on and no timer starts it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) no_timer: bool,
    /// Since when a run is overdue.
    pub(crate) late_since: Option<DateTime<FixedOffset>>,
    /// Snapshots by the tier in which they appear; one may appear in several.
    pub(crate) by_tier: BTreeMap<String, u64>,
    /// All snapshots.
    pub(crate) snapshots: u64,
    /// Snapshots that nobody has accepted.
    pub(crate) suspect: Vec<Suspect>,
    /// Stored files that are known to be damaged.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) damaged: Vec<DamagedFile>,
    /// Snapshots whose record is damaged, as `tier/id`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) damaged_records: Vec<String>,
    /// What the last health check found; none if there was none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) health: Option<LastCheck>,
    /// The newest copy in the cloud, as this machine remembers it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cloud: Option<InTheCloud>,
    /// A run that was begun and not ended.
    pub(crate) unfinished: Option<Unfinished>,
    /// The last run that ended.
    pub(crate) last_run: Option<LastRun>,
    /// What the last run, or the last ones of its parts, left undone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) troubles: Vec<String>,
    /// Whether a run holds the lock.
    pub(crate) running: bool,
    /// What was noticed.
    pub(crate) findings: Vec<Finding>,
}

/// The newest copy in the cloud.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct InTheCloud {
    /// The snapshot.
    pub(crate) id: SnapshotId,
    /// When it was there.
    pub(crate) uploaded_at: DateTime<FixedOffset>,
    /// Seconds since then.
    pub(crate) age_seconds: i64,
    /// Its regular files there.
    pub(crate) files: u64,
    /// Their bytes.
    pub(crate) bytes: u64,
    /// Snapshots that can be restored from there.
    pub(crate) snapshots: u64,
}

/// The destination.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Destination {
    pub(crate) path: String,
    pub(crate) present: bool,
    pub(crate) mounted: bool,
    /// Present, and mounted where the configuration asks for it.
    pub(crate) ready: bool,
    /// Whether it is one that this machine backs up to, or may become its first.
    pub(crate) is_ours: bool,
    pub(crate) file_system: Option<String>,
    pub(crate) free_bytes: u64,
    pub(crate) total_bytes: u64,
    /// What it cannot hold, where that is less than a file system of Linux holds.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) lacks: Vec<String>,
}

impl Destination {
    fn lack(&self) -> &'static str {
        if self.present {
            "not mounted"
        } else {
            "not there"
        }
    }
}

/// The newest snapshot that counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct LastGood {
    /// Its id.
    pub(crate) id: SnapshotId,
    /// Seconds since it was started.
    pub(crate) age_seconds: i64,
    /// False when it was sealed with listed errors.
    pub(crate) complete: bool,
}

/// A suspect snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Suspect {
    pub(crate) id: SnapshotId,
    pub(crate) because: Vec<String>,
}

/// What the last health check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct LastCheck {
    pub(crate) checked_at: DateTime<FixedOffset>,
    pub(crate) verdict: HealthVerdict,
    /// In one line.
    pub(crate) summary: String,
    /// Whether the next one is overdue.
    pub(crate) overdue: bool,
    /// How many of its findings a later run disproved.
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) disproved: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// A run that was begun and not ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Unfinished {
    /// The run.
    pub(crate) run_id: String,
    /// The step that it was in, where that is known.
    pub(crate) step: Option<String>,
    /// How often in a row it was interrupted there.
    pub(crate) interruptions: u64,
}

/// A run that ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct LastRun {
    pub(crate) run_id: String,
    pub(crate) result: RunResult,
    pub(crate) ended_at: DateTime<FixedOffset>,
}

impl StatusView {
    /// Where things stand; what is scheduled and noticed may be added.
    pub(crate) fn new(
        host: &str,
        config: &Config,
        known: &Known<'_>,
        unfinished: Option<Unfinished>,
        running: bool,
        now: DateTime<FixedOffset>,
    ) -> Self {
        let destination = known.destination;
        let list = destination.map(|found| planner::list_snapshots(config, found, now));
        let listed: &[ListedSnapshot] = list.as_ref().map_or(&[], |list| &list.snapshots);
        let mut by_tier: BTreeMap<String, u64> = BTreeMap::new();
        for tier in listed.iter().flat_map(|one| &one.tiers) {
            *by_tier.entry(tier.to_string()).or_default() += 1;
        }
        let damaged = destination.map_or_else(Vec::new, |found| found.damaged.clone());
        let damaged_records = destination.map_or_else(Vec::new, |found| {
            let folders = found.unmanaged.iter();
            let damaged = folders.filter(|one| one.record_fault.is_some());
            damaged
                .map(|one| format!("{}/{}", one.tier, one.name))
                .collect()
        });
        let destination = destination.map(|found| Destination {
            path: found.mount_point.to_string(),
            present: found.present,
            mounted: found.mounted,
            ready: standing::is_ready(config, found),
            is_ours: known.is_ours,
            file_system: found.file_system.clone(),
            free_bytes: found.free_bytes,
            total_bytes: found.total_bytes,
            lacks: found.capabilities().map_or_else(Vec::new, lacks),
        });
        let last_good = standing::last_good(config, known, now).map(|good| LastGood {
            id: good.id,
            age_seconds: clock::age(good.started_at, now).num_seconds(),
            complete: good.complete,
        });
        let view = Self {
            verdict: Verdict::Ok,
            summary: String::new(),
            host: host.to_owned(),
            now,
            destination,
            last_good,
            next_run_at: None,
            no_timer: false,
            late_since: None,
            by_tier,
            snapshots: listed.len() as u64,
            suspect: listed
                .iter()
                .filter(|one| one.is_suspect())
                .map(|one| Suspect {
                    id: one.id,
                    because: one.suspect.clone(),
                })
                .collect(),
            damaged,
            damaged_records,
            health: None,
            cloud: None,
            unfinished: unfinished.filter(|_| !running),
            last_run: known.runs.last().map(|run| LastRun {
                run_id: run.run_id.clone(),
                result: run.result,
                ended_at: run.ended_at,
            }),
            troubles: standing::last_runs(config, known.runs)
                .into_iter()
                .filter_map(|run| Some(format!("{} {}", last_of(run), standing::trouble(run)?)))
                .collect(),
            running,
            findings: Vec::new(),
        };
        view.judged()
    }

    /// Adds when the next run is due, and since when one is overdue.
    pub(crate) fn schedule(
        mut self,
        next_run_at: Option<DateTime<FixedOffset>>,
        late_since: Option<DateTime<FixedOffset>>,
    ) -> Self {
        self.next_run_at = next_run_at;
        self.late_since = late_since;
        self.judged()
    }

    /// Adds what the last health check found and no later run has disproved.
    pub(crate) fn checked(
        mut self,
        config: &Config,
        health: Option<&Health>,
        known: &Known<'_>,
    ) -> Self {
        self.health = health.map(|health| {
            let all = health.findings.iter();
            let all = all.filter(|one| one.severity > Severity::Note).count();
            let left = standing::still_stands(health, known, config, self.now);
            let findings: Vec<Finding> = left.into_iter().cloned().collect();
            let disproved = (all - findings.len()) as u64;
            let left = Health {
                verdict: planner::health::verdict(&findings),
                findings,
                ..health.clone()
            };
            LastCheck {
                overdue: schedule::is_check_late(config, health.checked_at, self.now),
                checked_at: health.checked_at,
                verdict: left.verdict,
                summary: health::summary(&left),
                disproved,
            }
        });
        self.judged()
    }

    /// Adds whether a timer starts what is scheduled.
    pub(crate) fn started_by(mut self, timer: bool) -> Self {
        if !timer && self.next_run_at.take().is_some() {
            self.no_timer = true;
            let message = "schedule.enable is on, but no timer starts it";
            self.findings
                .push(Finding::new(Severity::Note, code::NO_TIMER, message).hint(
                    "`backup systemd-units` writes the timers and says how to enable them; \
                     `backup apply --if-due` is what they run",
                ));
        }
        self.judged()
    }

    /// Adds what is remembered of the copies in the cloud.
    pub(crate) fn in_the_cloud(mut self, memory: &CloudMemory) -> Self {
        self.cloud = memory.last.as_ref().map(|last| InTheCloud {
            id: last.id,
            uploaded_at: last.uploaded_at,
            age_seconds: clock::age(last.uploaded_at, self.now).num_seconds(),
            files: last.files,
            bytes: last.bytes,
            snapshots: memory.uploaded.len() as u64,
        });
        if self.destination.is_none() {
            self.last_good = memory.last.as_ref().map(|last| LastGood {
                id: last.id,
                age_seconds: clock::age(last.uploaded_at, self.now).num_seconds(),
                complete: last.not_uploaded.is_empty(),
            });
        }
        self.judged()
    }

    /// Adds what was noticed.
    pub(crate) fn noticed(mut self, findings: Vec<Finding>) -> Self {
        self.findings.extend(findings);
        self.judged()
    }

    fn judged(mut self) -> Self {
        (self.verdict, self.summary) = text::verdict(&self);
        self
    }
}

/// Which run it is, in words.
fn last_of(run: &EndedRun) -> &'static str {
    match run.only {
        None => "the last run",
        Some(Part::Cloud) => "the last run of the cloud steps",
        Some(Part::Local | Part::Coordinator) => "the last run of the local steps",
    }
}

/// What a destination cannot hold, in words; as root would see it, who makes the backups.
fn lacks(can: &Capabilities) -> Vec<String> {
    let links = (!can.hard_links).then_some("hard links");
    let gaps = links.into_iter().chain(can.gaps(true));
    gaps.map(str::to_owned).collect()
}

#[cfg(test)]
mod tests;
