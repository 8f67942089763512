//! The verdict of a status, and the line that says it.
//!
//! Owns the words. What goes before what is [`assessment`]'s.

use chrono::TimeDelta;
use schema::{
    RunResult, Severity, SnapshotId, amount, escape,
    output::status::{BackupStatus, StatusVerdict},
};

use crate::{
    assessment::{self, Assessment, Concern, DestinationStanding, Situation},
    findings::{
        code,
        notices::{HOLDS_BACK, repair_command},
    },
};

/// What the situation comes to, in one word and in one line, and what ends it where it is not well.
pub(super) fn summarize(status: &BackupStatus) -> (StatusVerdict, String, Option<String>) {
    let last = status.last_good.as_ref().map(|good| {
        let age = TimeDelta::seconds(good.age_seconds);
        format!("last backup {}", amount::age(age))
    });
    let joined = |first: Option<String>| {
        let parts: Vec<String> = first.into_iter().chain(last.clone()).collect();
        parts.join("; ")
    };
    match assessment::assess(&situation(status)) {
        Assessment::NoBackup => {
            let more = match status.troubles.first() {
                _ if status.running => ", one is running now".to_owned(),
                // A refusal of this moment is shown by itself.
                Some(trouble) if !refused_now(status) => format!(": {trouble}"),
                _ => String::new(),
            };
            (
                StatusVerdict::NoBackup,
                format!("no backup yet{more}"),
                first_backup(status),
            )
        }
        Assessment::Concern(concern) => {
            let remedy = describe_remedy(status, concern);
            let concern = describe_concern(status, concern);
            (StatusVerdict::Warning, joined(Some(concern)), remedy)
        }
        Assessment::Well => {
            let running = status.running.then(|| "a backup is running".to_owned());
            (StatusVerdict::Ok, joined(running), None)
        }
    }
}

/// How the first backup is made, where nothing that is told by itself stands in its way.
fn first_backup(status: &BackupStatus) -> Option<String> {
    if status.running || refused_now(status) {
        return None;
    }
    let is_absent = status
        .destination
        .as_ref()
        .is_some_and(|found| !found.ready);
    let ended = status.last_run.as_ref().map(|run| run.result);
    // A run that failed once would fail again.
    let mut grave = status.findings.iter();
    let in_the_way = grave
        .find(|one| one.severity >= Severity::Warning && one.hint.is_some())
        .filter(|_| ended == Some(RunResult::Failed));
    let first = match in_the_way.and_then(|one| one.hint.as_deref()) {
        _ if is_absent => "mount it (local.mountPoint)",
        Some(hint) => hint,
        None if ended == Some(RunResult::Refused) => {
            "`backup plan` says what is in the way and what ends it"
        }
        None => return Some("`backup now` makes the first one".to_owned()),
    };
    Some(format!("{first}; `backup now` then makes the first one"))
}

/// What ends a concern, in a sentence.
fn describe_remedy(status: &BackupStatus, concern: Concern<'_>) -> Option<String> {
    let of_code = |code: &str| {
        let mut findings = status.findings.iter();
        findings.find(|one| one.code == code)?.hint.clone()
    };
    let is_absent = status
        .destination
        .as_ref()
        .is_some_and(|found| !found.ready);
    // What refuses a run stands in the way of any that is started.
    let mut refusals = status.findings.iter();
    let refusal = refusals.find(|one| one.severity == Severity::Refusal);
    let again = match refusal.and_then(|refusal| refusal.hint.as_deref()) {
        Some(hint) => hint,
        None if is_absent => "mount the drive (local.mountPoint); `backup now` then makes a backup",
        None => "`backup now` makes one",
    };
    let is_incomplete = status
        .last_run
        .as_ref()
        .is_some_and(|run| run.result == RunResult::Incomplete);
    let remedy = match concern {
        Concern::ForeignDestination(finding)
        | Concern::Refusal(finding)
        | Concern::Warning(finding) => return finding.hint.clone(),
        Concern::ChangedSnapshots(_) => return of_code(code::SNAPSHOT_MANIFEST_CHANGED),
        Concern::DamagedManifests(_) => return of_code(code::SNAPSHOT_MANIFEST_DAMAGED),
        Concern::Overdue | Concern::AbsentDestination => again,
        Concern::Undone(_) if is_absent || refusal.is_some() => again,
        // The run came to its end; another one of it would wait for the same.
        Concern::Undone(trouble) if is_incomplete => {
            let accept = accept_suspect(status).filter(|_| is_of_suspect(status, trouble));
            return Some(accept.unwrap_or_else(|| {
                "`backup plan` says what waits for a person, and the command that ends it; `backup \
                 now` tries the rest again"
                    .to_owned()
            }));
        }
        Concern::Undone(_) => "`backup now` tries again, and says what is in the way",
        Concern::SuspectSnapshots(_) => return accept_suspect(status),
        Concern::DamagedFiles(_) => {
            let command = repair_command(&status.damaged);
            return Some(format!("{command} heals what it can"));
        }
        Concern::DamagedRecords(_) | Concern::HealthCheck => "`backup health` tells more",
        Concern::UnfinishedRun => "`backup apply` continues it",
        Concern::IncompleteBackup => {
            "`backup now` makes another, and lists what cannot be read; leave out what need not be \
             backed up (local.excludePatterns)"
        }
    };
    Some(remedy.to_owned())
}

/// How the newest suspect snapshot is accepted; none where none is suspect.
fn accept_suspect(status: &BackupStatus) -> Option<String> {
    let id = status.suspect.first()?.id;
    Some(format!(
        "look at what changed; if it is as it should be: `backup accept {id}`"
    ))
}

/// Whether what a run left undone waits for a suspect snapshot: an older one, or the run's own.
fn is_of_suspect(status: &BackupStatus, trouble: &str) -> bool {
    let made = |id: SnapshotId| {
        let run = status.last_run.as_ref();
        run.is_some_and(|run| run.run_id.starts_with(&id.to_string()))
    };
    trouble.contains(HOLDS_BACK) || status.suspect.iter().any(|one| made(one.id))
}

fn refused_now(status: &BackupStatus) -> bool {
    let mut findings = status.findings.iter();
    findings.any(|finding| finding.severity == Severity::Refusal)
}

/// What the verdict depends on.
fn situation(status: &BackupStatus) -> Situation<'_> {
    let destination = status.destination.as_ref();
    Situation {
        destination: destination.map(|found| DestinationStanding {
            is_ready: found.ready,
            is_ours: found.is_ours,
        }),
        last_good_is_complete: status.last_good.as_ref().map(|good| good.complete),
        is_late: status.late_since.is_some(),
        is_unfinished: status.unfinished.is_some(),
        troubles: &status.troubles,
        suspect_snapshots: status.suspect.len() as u64,
        damaged_files: status.damaged.len() as u64,
        damaged_records: status.damaged_records.len() as u64,
        findings: &status.findings,
        last_check: status.health.as_ref().map(|last| last.verdict),
    }
}

/// What a person should look at first, in words.
fn describe_concern(status: &BackupStatus, concern: Concern<'_>) -> String {
    match concern {
        Concern::ForeignDestination(finding)
        | Concern::Refusal(finding)
        | Concern::Warning(finding) => finding.message.clone(),
        Concern::Overdue => "a backup is overdue".to_owned(),
        Concern::Undone(trouble) => trouble.to_owned(),
        Concern::SuspectSnapshots(count) => {
            amount::plural(count, "suspect snapshot", "suspect snapshots")
        }
        Concern::DamagedFiles(count) => damaged_files(count),
        Concern::DamagedRecords(count) => match count {
            1 => "the record of 1 snapshot is damaged".to_owned(),
            count => format!(
                "the records of {} snapshots are damaged",
                amount::count(count)
            ),
        },
        Concern::ChangedSnapshots(count) => match count {
            1 => "somebody changed 1 snapshot".to_owned(),
            count => format!("somebody changed {} snapshots", amount::count(count)),
        },
        Concern::DamagedManifests(count) => match count {
            1 => "the manifest of 1 snapshot is damaged".to_owned(),
            count => format!(
                "the manifests of {} snapshots are damaged",
                amount::count(count)
            ),
        },
        Concern::UnfinishedRun => "a run is unfinished".to_owned(),
        Concern::AbsentDestination => describe_absence(status),
        Concern::IncompleteBackup => "the last backup has errors".to_owned(),
        Concern::HealthCheck => {
            let last = status.health.as_ref();
            last.map_or_else(String::new, |last| {
                let age = amount::age(status.now - last.checked_at);
                format!("the health check {age} found {}", last.summary)
            })
        }
    }
}

/// How many stored files are known to be damaged, in words.
#[must_use]
pub fn damaged_files(count: u64) -> String {
    let are = if count == 1 { "is" } else { "are" };
    let files = amount::plural(count, "stored file", "stored files");
    format!("{files} {are} damaged")
}

/// That the destination is not there, or not mounted.
fn describe_absence(status: &BackupStatus) -> String {
    let Some(found) = &status.destination else {
        return String::new();
    };
    let path = escape::unescape(&found.path);
    let path = path.map_or_else(|| found.path.clone(), |path| escape::display(&path));
    format!("{path} is {}", found.absence())
}
