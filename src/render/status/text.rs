//! A status in words: the verdict, then the facts beside it.
//!
//! Nothing here may look for anything or judge by what is not in the view.

use chrono::TimeDelta;
use planner::{
    assessment::{self, Assessment, Concern, DestinationStanding, Situation},
    findings::code,
};
use schema::{Finding, health::HealthVerdict};

use super::{Destination, StatusView, Verdict};
use crate::{
    render::{
        amount,
        page::{Page, firm, first_few, path},
        report,
    },
    style::{Style, printable},
};

/// What the situation comes to, in one word and in one line.
pub(super) fn verdict(view: &StatusView) -> (Verdict, String) {
    let situation = situation(view);
    let last = view
        .last_good
        .as_ref()
        .map(|good| format!("last backup {}", ago(good.age_seconds)));
    let running = match view.running {
        true => "a backup is running",
        false => "",
    };
    match assessment::assess(&situation) {
        Assessment::NoBackup => {
            let now = match view.running {
                true => ", one is running now",
                false => "",
            };
            (Verdict::NoBackup, format!("no backup yet{now}"))
        }
        Assessment::Concern(concern) => (
            Verdict::Warning,
            joined(&[
                &concern_text(view, concern),
                last.as_deref().unwrap_or_default(),
            ]),
        ),
        Assessment::Well => (
            Verdict::Ok,
            joined(&[running, last.as_deref().unwrap_or_default()]),
        ),
    }
}

/// The parts of a line that are not empty.
fn joined(parts: &[&str]) -> String {
    let parts = parts.iter().filter(|part| !part.is_empty());
    parts.copied().collect::<Vec<_>>().join("; ")
}

/// What the verdict depends on.
fn situation(view: &StatusView) -> Situation<'_> {
    let destination = view.destination.as_ref();
    Situation {
        destination: destination.map(|found| DestinationStanding {
            is_ready: found.ready,
            is_ours: found.is_ours,
        }),
        last_good_is_complete: view.last_good.as_ref().map(|good| good.complete),
        is_late: view.late_since.is_some(),
        is_unfinished: view.unfinished.is_some(),
        troubles: &view.troubles,
        suspect_snapshots: view.suspect.len() as u64,
        damaged_files: view.damaged.len() as u64,
        damaged_records: view.damaged_records.len() as u64,
        findings: &view.findings,
        last_check: view.health.as_ref().map(|last| last.verdict),
    }
}

/// What a person should look at first, in words.
fn concern_text(view: &StatusView, concern: Concern<'_>) -> String {
    match concern {
        Concern::ForeignDestination(finding)
        | Concern::Refusal(finding)
        | Concern::Warning(finding) => printable(&finding.message),
        Concern::Overdue => "a backup is overdue".to_owned(),
        Concern::Undone(trouble) => printable(trouble),
        Concern::SuspectSnapshots(count) => {
            amount::plural(count, "suspect snapshot", "suspect snapshots")
        }
        Concern::DamagedFiles(count) => damaged(count),
        Concern::DamagedRecords(count) => match count {
            1 => "the record of 1 snapshot is damaged".to_owned(),
            count => format!(
                "the records of {} snapshots are damaged",
                amount::count(count)
            ),
        },
        Concern::DamagedManifests(count) => match count {
            1 => "the manifest of 1 snapshot is damaged".to_owned(),
            count => format!(
                "the manifests of {} snapshots are damaged",
                amount::count(count)
            ),
        },
        Concern::UnfinishedRun => "a run is unfinished".to_owned(),
        Concern::AbsentDestination => {
            let absent = view.destination.as_ref();
            absent.map_or_else(String::new, |found| {
                format!("{} is {}", path(&found.path), found.lack())
            })
        }
        Concern::IncompleteBackup => "the last backup has errors".to_owned(),
        Concern::HealthCheck => {
            let last = view.health.as_ref();
            last.map_or_else(String::new, |last| {
                let age = amount::age(view.now - last.checked_at);
                format!("the health check {age} found {}", last.summary)
            })
        }
    }
}

/// How many stored files are known to be damaged.
fn damaged(count: u64) -> String {
    let are = if count == 1 { "is" } else { "are" };
    let files = amount::plural(count, "stored file", "stored files");
    format!("{files} {are} damaged")
}

fn of_code<'a>(view: &'a StatusView, code: &'static str) -> impl Iterator<Item = &'a Finding> {
    view.findings.iter().filter(move |one| one.code == code)
}

fn ago(seconds: i64) -> String {
    amount::age(TimeDelta::seconds(seconds))
}

/// A summary for people; its first line is the verdict.
pub(crate) fn render(view: &StatusView, style: &Style) -> String {
    let mut page = Page::default();
    page.line(
        0,
        &match view.verdict {
            Verdict::Ok => format!("{} {}", style.green(style.bold("ok:")), view.summary),
            Verdict::Warning => {
                format!("{} {}", style.yellow(style.bold("warning:")), view.summary)
            }
            Verdict::NoBackup => style.red(style.bold(&view.summary)),
        },
    );
    page.blank();
    let mut fact = |name: &str, text: &str| page.entry(0, &style.dim(name), 14, text);
    fact("Host", &printable(&view.host));
    if let Some(found) = &view.destination {
        fact("Destination", &place(found));
        if found.ready && !found.lacks.is_empty() {
            let lacks = found.lacks.join(", ");
            fact(
                "Cannot hold",
                &format!("{lacks}; `backup plan` says what that means"),
            );
        }
        let tiers: Vec<String> = schema::Tier::ALL
            .iter()
            .filter_map(|tier| {
                let count = view.by_tier.get(tier.folder())?;
                Some(format!("{} {tier}", amount::count(*count)))
            })
            .collect();
        let all = amount::count(view.snapshots);
        match tiers.as_slice() {
            _ if !found.ready => {}
            [] => fact("Snapshots", "none"),
            tiers => fact("Snapshots", &format!("{all}: {}", tiers.join(", "))),
        }
    }
    if let Some(good) = &view.last_good {
        let errors = if good.complete { "" } else { ", with errors" };
        fact(
            "Last good",
            &format!("{}, {}{errors}", good.id, ago(good.age_seconds)),
        );
    }
    if let Some(cloud) = &view.cloud {
        let text = format!(
            "{}, {}; {}, {}",
            cloud.id,
            ago(cloud.age_seconds),
            amount::plural(cloud.files, "file", "files"),
            amount::bytes(cloud.bytes)
        );
        fact("Cloud", &text);
    }
    if let Some(run) = &view.last_run {
        let age = amount::age(view.now - run.ended_at);
        fact(
            "Last run",
            &format!("{}, {age} ({})", run.result.word(), run.run_id),
        );
    }
    if view.running {
        fact("Running", "a run holds the lock now");
    }
    if let Some(run) = &view.unfinished {
        let step = run
            .step
            .as_ref()
            .map_or_else(String::new, |step| format!(", in step {step}"));
        let often = match run.interruptions {
            0 | 1 => String::new(),
            many => format!(", interrupted {}", amount::times(many)),
        };
        let text = format!(
            "run {}{step}{often}; `backup apply` continues it",
            run.run_id
        );
        fact("Unfinished", &text);
    }
    if let Some(at) = view.late_since {
        fact("Overdue", &format!("since {}", at.format("%Y-%m-%d %H:%M")));
    }
    if let Some(at) = view.next_run_at {
        let when = amount::age(view.now - at);
        fact(
            "Next run",
            &format!("{}, {when}", at.format("%Y-%m-%d %H:%M")),
        );
    }
    if view.no_timer {
        fact("Next run", "none: no timer starts what schedule.* asks for");
    }
    if !view.damaged.is_empty() {
        let text = format!(
            "{}; `backup verify --repair` heals what it can",
            damaged(view.damaged.len() as u64)
        );
        fact("Damaged", &text);
    }
    if !view.damaged_records.is_empty() {
        let names: Vec<String> = view.damaged_records.iter().map(|one| path(one)).collect();
        let names = first_few(&names, 3);
        fact(
            "Record",
            &format!("damaged of {names}; see `backup health`"),
        );
    }
    for (label, code) in [
        ("Manifest", code::SNAPSHOT_MANIFEST_DAMAGED),
        ("In the way", code::IN_THE_WAY),
        ("State", code::STATE_FILE_DAMAGED),
    ] {
        for found in of_code(view, code).take(3) {
            let hint = found.hint.as_deref().unwrap_or_default();
            fact(label, &format!("{}; {hint}", printable(&found.message)));
        }
    }
    if let Some(last) = &view.health {
        let age = amount::age(view.now - last.checked_at);
        let mut text = match last.verdict {
            HealthVerdict::Ok => format!("ok, checked {age}"),
            _ => format!(
                "{}, checked {age}; `backup health` tells more",
                last.summary
            ),
        };
        if last.disproved > 0 {
            text += &format!(
                "; a later run disproved {}",
                amount::plural(last.disproved, "finding", "findings")
            );
        }
        if last.overdue {
            text += "; the next check is overdue";
        }
        fact("Health", &text);
    }
    for one in &view.suspect {
        let why = printable(&one.because.join("; "));
        fact("Suspect", &format!("{}: {why}", one.id));
    }
    page.blank();
    for told in &view.findings {
        page.raw(&report::finding(told, style));
    }
    let text = page.into_string();
    format!("{}\n", text.trim_end())
}

fn place(found: &Destination) -> String {
    let path = path(&found.path);
    if !found.ready {
        return format!("{path}, {}", found.lack());
    }
    let mounted = if found.mounted {
        ""
    } else {
        ", not a mount point"
    };
    format!(
        "{path} ({}{mounted}), {} free of {}",
        found
            .file_system
            .as_deref()
            .unwrap_or("unknown file system"),
        firm(&amount::bytes(found.free_bytes)),
        firm(&amount::bytes(found.total_bytes)),
    )
}
