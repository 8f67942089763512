//! A status in words: the verdict, then the facts beside it.
//!
//! Nothing here may look for anything or judge by what is not in the status.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use planner::{copies::copies_lines, findings::code, status::Day};
use schema::{
    Finding, RunResult, Severity, SnapshotId, Tier,
    config::DestinationName,
    health::HealthVerdict,
    output::status::{BackupStatus, DestinationStatus, LastHealthCheck, StatusVerdict},
};

use super::{
    amount,
    days::describe_days,
    hint, messages,
    page::{Page, first_few, readable_path, unbroken},
};
use crate::style::{Style, printable};

/// Columns of the labels.
const LABEL: usize = 14;

/// How the last days of each destination went; of the only one without a name.
pub(crate) type LastDays = BTreeMap<Option<DestinationName>, Vec<Day>>;

/// A summary for people; its first line is the verdict, and with it stands what ends what is wrong. Below it
/// stands what differs from what is usual, or all of it, and a mark for each of the last days.
pub(crate) fn status_page(
    status: &BackupStatus,
    days: &LastDays,
    is_whole: bool,
    style: &Style,
) -> String {
    let mut page = Page::default();
    page.line(0, &headline(status, style));
    if let Some(remedy) = &status.remedy {
        hint::add(&mut page, 2, remedy);
    }
    page.blank();
    let mut facts = Facts { page, style };
    let is_one = status.destinations.is_empty();
    match (is_one, is_whole) {
        (true, true) => add_all(&mut facts, status),
        (true, false) => add_unusual(&mut facts, status),
        (false, _) => add_machine(&mut facts, status, is_whole),
    }
    let add_days = |facts: &mut Facts<'_>, of: Option<&DestinationName>| {
        let days = days.get(&of.cloned());
        if let Some(text) = days.and_then(|days| describe_days(days, style)) {
            let label = style.dim("Last days");
            facts.page.entry(0, &label, LABEL, &text);
        }
    };
    add_days(&mut facts, None);
    for (name, one) in &status.destinations {
        add_one(&mut facts, (name, one), status, is_whole);
        add_days(&mut facts, Some(name));
    }
    let Facts { mut page, .. } = facts;
    page.blank();
    let unsaid = status.findings.iter().filter(|told| !is_said(status, told));
    for told in unsaid {
        let mut told = told.clone();
        if told.hint == status.remedy {
            told.hint = None;
        }
        page.raw(&messages::finding_lines(&told, style));
    }
    let text = page.into_string();
    format!("{}\n", text.trim_end())
}

/// What is of the machine and its runs, where there are several destinations.
fn add_machine(facts: &mut Facts<'_>, status: &BackupStatus, is_whole: bool) {
    if is_whole {
        facts.add("Host", &printable(&status.host));
    }
    if status.running {
        facts.add("Running", "a run holds the lock now");
    }
    add_unfinished(facts, status);
    if is_whole {
        add_copies(facts, status);
    }
}

/// How one of several destinations stands: what the first line says is not said again.
fn add_one(
    facts: &mut Facts<'_>,
    (name, one): (&DestinationName, &BackupStatus),
    whole: &BackupStatus,
    is_whole: bool,
) {
    let style = facts.style;
    let is_said_above = one.verdict > StatusVerdict::Ok && whole.summary.contains(&one.summary);
    let head = match is_said_above {
        true => "as above".to_owned(),
        false => headline(one, style),
    };
    facts.page.blank();
    let label = style.bold(format!("{name}:"));
    facts.page.line(0, &format!("{label} {head}"));
    let remedy = one.remedy.as_ref();
    if let Some(remedy) = remedy.filter(|one| whole.remedy.as_ref() != Some(*one)) {
        hint::add(&mut facts.page, 2, remedy);
    }
    match is_whole {
        true => add_all_of_one(facts, one),
        false => add_unusual(facts, one),
    }
    // The summary has it, and with its hint.
    let is_absence = |told: &Finding| {
        let found = one.destination.as_ref().filter(|found| !found.ready);
        told.code == code::DESTINATION_NOT_MOUNTED
            && found.is_some_and(|found| one.summary.contains(&found.path))
    };
    let unsaid = one.findings.iter();
    let unsaid = unsaid.filter(|told| !is_said(one, told) && !is_absence(told));
    for told in unsaid {
        facts.page.raw(&messages::finding_lines(told, style));
    }
}

/// Everything that is known.
fn add_all(facts: &mut Facts<'_>, status: &BackupStatus) {
    facts.add("Host", &printable(&status.host));
    add_all_of_one(facts, status);
}

/// The same of one destination.
fn add_all_of_one(facts: &mut Facts<'_>, status: &BackupStatus) {
    match &status.destination {
        Some(found) => add_destination(facts, status, found),
        // On a remote, as far as they are known.
        None if status.snapshots > 0 => add_snapshots(facts, status),
        None => {}
    }
    add_last_good(facts, status);
    add_cloud(facts, status);
    add_last_run(facts, status);
    if status.running {
        facts.add("Running", "a run holds the lock now");
    }
    add_unfinished(facts, status);
    add_overdue(facts, status);
    add_next_run(facts, status);
    add_damage(facts, status);
    add_noticed(facts, status);
    add_health(facts, status);
    add_drill(facts, status);
    add_suspect(facts, status);
    add_copies(facts, status);
}

/// How many copies there are, of what and where.
fn add_copies(facts: &mut Facts<'_>, status: &BackupStatus) {
    for line in copies_lines(&status.copies, status.now) {
        facts.add("Copies", &printable(&line));
    }
}

/// The last trial restore; of one that failed a finding tells.
fn add_drill(facts: &mut Facts<'_>, status: &BackupStatus) {
    if let Some(last) = &status.drill {
        let age = amount::age(status.now - last.ended_at);
        let text = format!(
            "{} {age}: {}",
            last.verdict.word(),
            printable(&last.summary)
        );
        facts.add("Drill", &text);
    }
}

/// What is not as it usually is, and is told by neither the verdict nor a finding.
fn add_unusual(facts: &mut Facts<'_>, status: &BackupStatus) {
    let destination = status.destination.as_ref();
    let is_said = |found: &DestinationStatus| status.summary.contains(&found.path);
    if let Some(found) = destination.filter(|found| !found.ready && !is_said(found)) {
        facts.add("Destination", &destination_text(found));
    }
    let last_good = status.last_good.as_ref();
    if last_good.is_some_and(|good| !good.complete) {
        add_last_good(facts, status);
    }
    let behind = |copied: SnapshotId| last_good.is_some_and(|good| good.id > copied);
    if status.cloud.as_ref().is_some_and(|cloud| behind(cloud.id)) {
        add_cloud(facts, status);
    }
    let last_run = status.last_run.as_ref();
    if last_run.is_some_and(|run| run.result != RunResult::Success) {
        add_last_run(facts, status);
    }
    if status.running && !status.summary.contains("running") {
        facts.add("Running", "a run holds the lock now");
    }
    add_unfinished(facts, status);
    add_overdue(facts, status);
    add_damage(facts, status);
    let is_well = |last: &LastHealthCheck| {
        last.verdict == HealthVerdict::Ok && !last.overdue && last.disproved == 0
    };
    if status.health.as_ref().is_some_and(|last| !is_well(last)) {
        add_health(facts, status);
    }
    add_suspect(facts, status);
}

/// The lines below the verdict, each with its label.
struct Facts<'a> {
    page: Page,
    style: &'a Style,
}

impl Facts<'_> {
    fn add(&mut self, label: &str, text: &str) {
        self.page
            .entry(0, &self.style.dim(label), LABEL, &hint::pasted(text));
    }
}

/// Whether the verdict says what was noticed.
fn is_said(status: &BackupStatus, told: &Finding) -> bool {
    status.summary.starts_with(told.message.as_str())
}

fn headline(status: &BackupStatus, style: &Style) -> String {
    let summary = printable(&status.summary);
    match status.verdict {
        StatusVerdict::Ok => {
            let next = status.next_run_at.map_or_else(String::new, |at| {
                format!(", next {}", amount::age(status.now - at))
            });
            format!("{} {summary}{next}", style.green(style.bold("ok:")))
        }
        StatusVerdict::Warning => {
            let refuses =
                |told: &Finding| told.severity == Severity::Refusal && is_said(status, told);
            let refused = match status.findings.iter().any(refuses) {
                true => "the next run is refused: ",
                false => "",
            };
            let warning = style.yellow(style.bold("warning:"));
            format!("{warning} {refused}{summary}")
        }
        StatusVerdict::NoBackup => style.red(style.bold(summary)),
    }
}

fn ago(seconds: i64) -> String {
    amount::age(TimeDelta::seconds(seconds))
}

fn add_destination(facts: &mut Facts<'_>, status: &BackupStatus, found: &DestinationStatus) {
    facts.add("Destination", &destination_text(found));
    if !found.ready {
        return;
    }
    if !found.lacks.is_empty() {
        let lacks = found.lacks.join(", ");
        let text = format!("{lacks}; `backup plan` says what that means");
        facts.add("Cannot hold", &text);
    }
    add_snapshots(facts, status);
}

/// The snapshots by their tiers.
fn add_snapshots(facts: &mut Facts<'_>, status: &BackupStatus) {
    let tiers: Vec<String> = Tier::ALL
        .iter()
        .filter_map(|tier| {
            let count = status.by_tier.get(tier.folder())?;
            Some(format!("{} {tier}", amount::count(*count)))
        })
        .collect();
    let all = amount::count(status.snapshots);
    match tiers.as_slice() {
        [] => facts.add("Snapshots", "none"),
        tiers => facts.add("Snapshots", &format!("{all}: {}", tiers.join(", "))),
    }
}

/// The last good snapshot.
fn add_last_good(facts: &mut Facts<'_>, status: &BackupStatus) {
    if let Some(good) = &status.last_good {
        let errors = if good.complete { "" } else { ", with errors" };
        let text = format!("{}, {}{errors}", good.id, ago(good.age_seconds));
        facts.add("Last good", &text);
    }
}

/// The newest copy in the cloud.
fn add_cloud(facts: &mut Facts<'_>, status: &BackupStatus) {
    if let Some(cloud) = &status.cloud {
        let text = format!(
            "{}, {}; {}, {}",
            cloud.id,
            ago(cloud.age_seconds),
            amount::plural(cloud.files, "file", "files"),
            amount::bytes(cloud.bytes)
        );
        facts.add("Cloud", &text);
    }
}

/// The last run that ended.
fn add_last_run(facts: &mut Facts<'_>, status: &BackupStatus) {
    if let Some(run) = &status.last_run {
        let age = amount::age(status.now - run.ended_at);
        let text = format!("{}, {age} ({})", run.result.word(), run.run_id);
        facts.add("Last run", &text);
    }
}

/// A run that was begun and not ended.
fn add_unfinished(facts: &mut Facts<'_>, status: &BackupStatus) {
    if let Some(run) = &status.unfinished {
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
        facts.add("Unfinished", &text);
    }
}

/// Since when a run is overdue.
fn add_overdue(facts: &mut Facts<'_>, status: &BackupStatus) {
    if let Some(at) = status.late_since {
        facts.add("Overdue", &format!("since {}", at.format("%Y-%m-%d %H:%M")));
    }
}

/// When the next run is due.
fn add_next_run(facts: &mut Facts<'_>, status: &BackupStatus) {
    if let Some(at) = status.next_run_at {
        let when = amount::age(status.now - at);
        let text = format!("{}, {when}", at.format("%Y-%m-%d %H:%M"));
        facts.add("Next run", &text);
    }
    if status.no_timer {
        let text = "none: no timer starts what schedule.* asks for";
        facts.add("Next run", text);
    }
}

fn add_damage(facts: &mut Facts<'_>, status: &BackupStatus) {
    if !status.damaged.is_empty() {
        facts.add("Damaged", &damaged_text(status));
    }
    if !status.damaged_records.is_empty() {
        let names: Vec<String> = status
            .damaged_records
            .iter()
            .map(|one| readable_path(one))
            .collect();
        let names = first_few(&names, 3);
        let text = format!("damaged of {names}; see `backup health`");
        facts.add("Record", &text);
    }
}

/// Which stored files are damaged; how many, and what heals them, only where the verdict does not say so.
fn damaged_text(status: &BackupStatus) -> String {
    let names = status.damaged.iter().filter_map(|one| one.names.first());
    let names: Vec<String> = names
        .map(|name| readable_path(&format!("/{}", name.path)))
        .collect();
    let mut text = first_few(&names, 3);
    let damaged = planner::status::damaged_files(status.damaged.len() as u64);
    if !status.summary.contains(&damaged) {
        text = format!("{damaged}: {text}");
    }
    let command = planner::status::repair_command(&status.damaged);
    let remedy = status.remedy.as_ref();
    if !remedy.is_some_and(|remedy| remedy.contains(&command)) {
        text = format!("{text}; {command} heals what it can");
    }
    text
}

/// What of the findings is damage, or in the way.
fn add_noticed(facts: &mut Facts<'_>, status: &BackupStatus) {
    for (label, code) in [
        ("Manifest", code::SNAPSHOT_MANIFEST_DAMAGED),
        ("Changed", code::SNAPSHOT_MANIFEST_CHANGED),
        ("In the way", code::IN_THE_WAY),
        ("State", code::STATE_FILE_DAMAGED),
    ] {
        let found = status.findings.iter().filter(|one| one.code == code);
        for finding in found.take(3) {
            let hint = finding.hint.as_deref().unwrap_or_default();
            facts.add(label, &format!("{}; {hint}", printable(&finding.message)));
        }
    }
}

fn add_health(facts: &mut Facts<'_>, status: &BackupStatus) {
    if let Some(last) = &status.health {
        let age = amount::age(status.now - last.checked_at);
        facts.add("Health", &health_text(last, &age));
    }
}

fn add_suspect(facts: &mut Facts<'_>, status: &BackupStatus) {
    for one in &status.suspect {
        let why = printable(&one.because.join("; "));
        facts.add("Suspect", &format!("{}: {why}", one.id));
    }
}

fn health_text(last: &LastHealthCheck, age: &str) -> String {
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
    text
}

fn destination_text(found: &DestinationStatus) -> String {
    let path = readable_path(&found.path);
    if !found.ready {
        return format!("{path}, {}", found.absence());
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
        unbroken(&amount::bytes(found.free_bytes)),
        unbroken(&amount::bytes(found.total_bytes)),
    )
}

#[cfg(test)]
#[path = "status_tests.rs"]
mod tests;
