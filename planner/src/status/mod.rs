//! Where things stand, as `backup status --json` prints it.
//!
//! Owns what a status says and its verdict; the line that says it is in [`summary`]. Nothing here
//! looks for anything: what is running and what was noticed is told to it.

mod days;
mod several;
mod summary;
#[cfg(test)]
mod tests;

pub use self::{
    days::{Day, DayMark, mark_days},
    several::join_status,
    summary::damaged_files,
};
pub use crate::findings::notices::repair_command;

use std::collections::BTreeMap;

use chrono::{DateTime, FixedOffset, TimeDelta};
use schema::{
    Config, Finding, Severity, clock,
    cloud::CloudMemory,
    health::{EndedRun, Health},
    inventory::DestinationState,
    output::{
        list::{ListedSnapshot, SnapshotList},
        status::{
            BackupStatus, CloudStatus, DestinationStatus, FORMAT_VERSION, LastGoodSnapshot,
            LastHealthCheck, LastRun, StatusVerdict, SuspectSnapshot, UnfinishedRun,
        },
    },
    plan::Part,
    record::Capabilities,
};

use crate::{
    findings::code,
    health, list_snapshots, schedule,
    standing::{self, Known},
};

/// What a status is made from.
#[derive(Debug, Clone)]
pub struct StatusFacts<'a> {
    /// The host.
    pub host: &'a str,
    /// The time that ages are counted from.
    pub now: DateTime<FixedOffset>,
    /// The destination and the runs.
    pub known: Known<'a>,
    /// A run that was begun and not ended.
    pub unfinished: Option<UnfinishedRun>,
    /// Whether a run holds the lock.
    pub running: bool,
    /// Whether a timer starts what is scheduled; asked only where there is a schedule.
    pub timer_is_active: bool,
    /// What is remembered of the copies in the cloud, where they are enabled.
    pub cloud: Option<&'a CloudMemory>,
    /// What the last health check found.
    pub health: Option<&'a Health>,
    /// What was noticed.
    pub findings: Vec<Finding>,
}

/// Says where things stand. The same facts give the same status.
#[must_use]
pub fn build_status(config: &Config, facts: StatusFacts<'_>) -> BackupStatus {
    let StatusFacts {
        host, now, known, ..
    } = facts;
    let list = known
        .destination
        .map(|found| list_snapshots(config, found, now));
    let listed: &[ListedSnapshot] = list.as_ref().map_or(&[], |list| &list.snapshots);
    let last_good = last_good(config, &known, facts.cloud, now);
    let scheduled = schedule::next_run(config, now);
    let no_timer = scheduled.is_some() && !facts.timer_is_active;
    let mut findings = Vec::new();
    findings.extend(no_timer.then(unstarted_schedule));
    findings.extend(facts.findings);
    let mut status = BackupStatus {
        format_version: FORMAT_VERSION,
        verdict: StatusVerdict::Ok,
        summary: String::new(),
        remedy: None,
        host: host.to_owned(),
        now,
        destination: known
            .destination
            .map(|found| destination_status(config, found, known.is_ours)),
        next_run_at: scheduled.filter(|_| !no_timer),
        no_timer,
        late_since: late_since(config, last_good.as_ref(), now),
        last_good,
        by_tier: count_by_tier(listed),
        snapshots: listed.len() as u64,
        suspect: suspect_snapshots(listed),
        damaged: known
            .destination
            .map_or_else(Vec::new, |found| found.damaged.clone()),
        damaged_records: list.as_ref().map_or_else(Vec::new, damaged_records),
        health: facts
            .health
            .map(|health| last_health_check(config, health, &known, now)),
        drill: None,
        cloud: facts.cloud.and_then(|memory| cloud_status(memory, now)),
        unfinished: facts.unfinished.filter(|_| !facts.running),
        last_run: known.runs.last().map(|run| LastRun {
            run_id: run.run_id.clone(),
            result: run.result,
            ended_at: run.ended_at,
        }),
        troubles: troubles(config, known.runs),
        running: facts.running,
        findings,
        copies: Vec::new(),
        destinations: BTreeMap::new(),
    };
    (status.verdict, status.summary, status.remedy) = summary::summarize(&status);
    status
}

/// The same with the snapshots of a remote, as far as they are known: it has no destination that was looked at.
#[must_use]
pub fn with_listed(status: BackupStatus, list: &SnapshotList) -> BackupStatus {
    let mut status = BackupStatus {
        by_tier: count_by_tier(&list.snapshots),
        snapshots: list.snapshots.len() as u64,
        suspect: suspect_snapshots(&list.snapshots),
        ..status
    };
    (status.verdict, status.summary, status.remedy) = summary::summarize(&status);
    status
}

/// The status of a destination that cannot be looked at, as the first of the findings says: whatever the runs
/// tell of it, that is what a person should look at.
#[must_use]
pub fn build_unseen_status(config: &Config, facts: StatusFacts<'_>) -> BackupStatus {
    let fault = facts.findings.first().cloned();
    let mut status = build_status(config, facts);
    if let Some(fault) = fault {
        status.verdict = status.verdict.max(StatusVerdict::Warning);
        let age = status.last_good.as_ref().map(|good| good.age_seconds);
        let age = age.map_or_else(String::new, |age| {
            let age = schema::amount::age(TimeDelta::seconds(age));
            format!("; last backup {age}")
        });
        status.summary = format!("{}{age}", fault.message);
        status.remedy = fault.hint;
    }
    status
}

/// The newest backup that counts: where local snapshots are not enabled, the newest copy in the cloud.
fn last_good(
    config: &Config,
    known: &Known<'_>,
    cloud: Option<&CloudMemory>,
    now: DateTime<FixedOffset>,
) -> Option<LastGoodSnapshot> {
    if let (None, Some(memory)) = (known.destination, cloud) {
        return memory.last.as_ref().map(|last| LastGoodSnapshot {
            id: last.id,
            age_seconds: clock::age(last.uploaded_at, now).num_seconds(),
            complete: last.not_uploaded.is_empty(),
        });
    }
    standing::last_good(config, known, now).map(|good| LastGoodSnapshot {
        id: good.id,
        age_seconds: clock::age(good.started_at, now).num_seconds(),
        complete: good.complete,
    })
}

fn destination_status(
    config: &Config,
    found: &DestinationState,
    is_ours: bool,
) -> DestinationStatus {
    DestinationStatus {
        path: found.mount_point.to_string(),
        present: found.present,
        mounted: found.mounted,
        ready: standing::is_ready(config, found),
        is_ours,
        file_system: found.file_system.clone(),
        free_bytes: found.free_bytes,
        total_bytes: found.total_bytes,
        lacks: found.capabilities().map_or_else(Vec::new, name_gaps),
    }
}

/// What a destination cannot hold, in words; as root would see it, who makes the backups.
fn name_gaps(can: &Capabilities) -> Vec<String> {
    let links = (!can.hard_links).then_some("hard links");
    let gaps = links.into_iter().chain(can.gaps(true));
    gaps.map(str::to_owned).collect()
}

/// Since when a backup is overdue.
fn late_since(
    config: &Config,
    last_good: Option<&LastGoodSnapshot>,
    now: DateTime<FixedOffset>,
) -> Option<DateTime<FixedOffset>> {
    let last_good = last_good.map(|good| now - TimeDelta::seconds(good.age_seconds));
    schedule::late_since(config, last_good, now)
}

/// Suspect snapshots that nobody has accepted.
fn suspect_snapshots(listed: &[ListedSnapshot]) -> Vec<SuspectSnapshot> {
    let suspect = listed.iter().filter(|one| one.is_suspect());
    suspect
        .map(|one| SuspectSnapshot {
            id: one.id,
            because: one.suspect.clone(),
        })
        .collect()
}

/// What the last runs left undone, each with which run it is.
fn troubles(config: &Config, runs: &[EndedRun]) -> Vec<String> {
    let last = standing::last_runs(config, runs).into_iter();
    last.filter_map(|run| Some(format!("{} {}", name_run(run), standing::trouble(run)?)))
        .collect()
}

fn count_by_tier(listed: &[ListedSnapshot]) -> BTreeMap<String, u64> {
    let mut by_tier = BTreeMap::new();
    for tier in listed.iter().flat_map(|one| &one.tiers) {
        *by_tier.entry(tier.to_string()).or_default() += 1;
    }
    by_tier
}

/// Snapshots whose record is damaged, as `tier/id`.
fn damaged_records(list: &SnapshotList) -> Vec<String> {
    let folders = list.unmanaged.iter();
    let damaged = folders.filter(|one| one.record_fault.is_some());
    damaged
        .map(|one| format!("{}/{}", one.tier, one.name))
        .collect()
}

fn cloud_status(memory: &CloudMemory, now: DateTime<FixedOffset>) -> Option<CloudStatus> {
    let last = memory.last.as_ref()?;
    Some(CloudStatus {
        id: last.id,
        uploaded_at: last.uploaded_at,
        age_seconds: clock::age(last.uploaded_at, now).num_seconds(),
        files: last.files,
        bytes: last.bytes,
        snapshots: memory.uploaded.len() as u64,
    })
}

/// What the last health check found and no later run has disproved.
fn last_health_check(
    config: &Config,
    health: &Health,
    known: &Known<'_>,
    now: DateTime<FixedOffset>,
) -> LastHealthCheck {
    let all = health.findings.iter();
    let all = all.filter(|one| one.severity > Severity::Note).count();
    let left = standing::still_stands(health, known, config, now);
    let findings: Vec<Finding> = left.into_iter().cloned().collect();
    let disproved = (all - findings.len()) as u64;
    let left = Health {
        verdict: health::verdict(&findings),
        findings,
        ..health.clone()
    };
    LastHealthCheck {
        overdue: schedule::is_check_late(config, health.checked_at, now),
        checked_at: health.checked_at,
        verdict: left.verdict,
        summary: health::summary(&left),
        disproved,
    }
}

/// That nothing starts what is scheduled.
fn unstarted_schedule() -> Finding {
    let message = "schedule.enable is on, but no timer starts it";
    Finding::new(Severity::Note, code::NO_TIMER, message).hint(
        "`backup setup --enable` makes and starts the timers; `backup apply --if-due` is what they \
         run",
    )
}

/// Which run it is, in words.
fn name_run(run: &EndedRun) -> &'static str {
    match run.only {
        None => "the last run",
        Some(Part::Cloud) => "the last run of the cloud steps",
        Some(Part::Local | Part::Coordinator) => "the last run of the local steps",
    }
}
