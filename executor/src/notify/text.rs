//! Composes what people are told: a title and a body for each result.
//!
//! Pure: the same news give the same words. The body says what failed, what is safe, what was deleted and
//! what to do, in this order, in plain lines that are safe to show anywhere, however a file is named.

use chrono::{DateTime, FixedOffset, TimeDelta};
use schema::{
    ExpireReason, Finding, Report, RunResult, Severity, amount,
    config::DestinationName,
    journal::{Sealed, Status},
    outside,
    plan::{Deletion, LastGood, Lost, chain::split_id, only_tells},
};

/// Longest line, in characters: names and reasons may be of any length.
const LINE: usize = 300;
/// Lines of one kind that are shown.
const SHOWN: usize = 5;

/// What there is to tell.
#[derive(Debug, Clone, Copy)]
pub struct News<'a> {
    /// What the run came to.
    pub report: &'a Report,
    /// The newest good snapshot that was there before the run.
    pub last_good: Option<LastGood>,
    /// When it is told.
    pub now: DateTime<FixedOffset>,
    /// Why it is told.
    pub occasion: Occasion,
}

/// Why something is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Occasion {
    /// A run ended.
    Result,
    /// Runs were deferred for so long that the last good backup is too old.
    Late,
    /// Health was checked, and the report has what was found.
    Health,
    /// A trial restore failed, and the report has why.
    Drill,
    /// Someone wants to see whether messages arrive.
    Test,
}

/// How bad the news are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotificationPriority {
    /// All is well.
    Good,
    /// A person should look.
    Doubtful,
    /// There is no new backup.
    Bad,
}

/// What people are told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// In one line.
    pub title: String,
    /// In several lines.
    pub body: String,
    /// How bad it is.
    pub priority: NotificationPriority,
}

/// The words for these news.
#[must_use]
pub fn compose_message(news: &News<'_>) -> Message {
    let report = news.report;
    let (end, priority) = match (news.occasion, report.result) {
        (Occasion::Test, _) => ("test message", NotificationPriority::Good),
        (Occasion::Late, _) => ("late", NotificationPriority::Doubtful),
        (Occasion::Health, RunResult::Failed) => ("NOT healthy", NotificationPriority::Bad),
        (Occasion::Health, _) => ("health needs a look", NotificationPriority::Doubtful),
        (Occasion::Drill, _) => ("trial restore FAILED", NotificationPriority::Bad),
        (Occasion::Result, RunResult::Success) => ("done", NotificationPriority::Good),
        (Occasion::Result, RunResult::Incomplete) => {
            let is_suspect = |sealed: &Sealed| !sealed.suspect.is_empty();
            match report.all_sealed().any(|(_, sealed)| is_suspect(sealed)) {
                true => ("suspect", NotificationPriority::Doubtful),
                false => ("incomplete", NotificationPriority::Doubtful),
            }
        }
        (Occasion::Result, RunResult::Failed) => ("FAILED", NotificationPriority::Bad),
        (Occasion::Result, RunResult::Refused) => ("refused", NotificationPriority::Bad),
        (Occasion::Result, RunResult::Deferred) => ("deferred", NotificationPriority::Doubtful),
        (Occasion::Result, RunResult::Interrupted) => {
            ("interrupted", NotificationPriority::Doubtful)
        }
    };
    let mut page = Page::default();
    if news.occasion == Occasion::Test {
        page.paragraph(vec![format!(
            "This is a test, sent by `backup notify-test` on {}. Nothing is wrong: whoever reads \
             it is told of backups.",
            report.host
        )]);
    } else {
        page.paragraph(what_happened(news));
        page.paragraph(safe_lines(news));
        page.paragraph(deletion_lines(news));
        page.paragraph(what_to_do(report));
        page.paragraph(vec![match news.occasion {
            Occasion::Health => format!(
                "Health was checked {}. `backup health` says more.",
                format_time(report.ended_at)
            ),
            Occasion::Drill => format!(
                "A restore was tried {}. `backup drill` tries it again and says more.",
                format_time(report.ended_at)
            ),
            _ => format!(
                "Run {}, {} to {}. `backup status` says more.",
                report.run_id,
                format_time(report.started_at),
                format_time(report.ended_at)
            ),
        }]);
    }
    let on = match news.occasion {
        Occasion::Late => late_on(report),
        _ => String::new(),
    };
    Message {
        title: one_line(&format!("Backup of {}: {end}{on}", report.host)),
        body: page.0,
        priority,
    }
}

/// The first part of a text, cut between lines where that is possible; `most` is in bytes.
#[must_use]
pub fn shorten_text(text: &str, most: usize) -> String {
    const MORE: &str = "\n...";
    if text.len() <= most {
        return text.to_owned();
    }
    let part = outside::first_bytes(text, most.saturating_sub(MORE.len()));
    let end = part.rfind('\n').filter(|end| *end >= part.len() / 2);
    format!("{}{MORE}", part[..end.unwrap_or(part.len())].trim_end())
}

#[derive(Default)]
struct Page(String);

impl Page {
    fn paragraph(&mut self, lines: Vec<String>) {
        if lines.is_empty() {
            return;
        }
        if !self.0.is_empty() {
            self.0.push('\n');
        }
        for text in lines {
            self.0.push_str(&one_line(&text));
            self.0.push('\n');
        }
    }
}

/// A text of unknown origin as one harmless line that is not endless.
fn one_line(text: &str) -> String {
    outside::brief_line(text, LINE)
}

fn what_happened(news: &News<'_>) -> Vec<String> {
    let report = news.report;
    let mut lines = Vec::new();
    match news.occasion {
        Occasion::Late => {
            let on = late_on(report);
            lines.push(format!(
                "There is no new backup{on}: runs are deferred again and again."
            ));
        }
        _ if report.result == RunResult::Interrupted => {
            lines.push(
                "The run was ended before it was done. What it copied stays, and the next run \
                 continues it."
                    .to_owned(),
            );
        }
        _ => {}
    }
    lines.extend(destination_lines(report));
    let is_told = |finding: &&Finding| finding.severity > Severity::Note;
    let findings = report.findings.iter().filter(is_told);
    lines.extend(findings.map(|finding| capitalize(&finding.message)));
    for (name, chain) in &report.destinations {
        let findings = chain.findings.iter().filter(is_told);
        lines.extend(findings.map(|finding| format!("{name}: {}", finding.message)));
    }
    for step in report.steps.iter().filter(|step| !only_tells(&step.step)) {
        let how = match step.outcome.status {
            Status::Failed => "failed",
            Status::Refused => "was refused",
            Status::Deferred => "was deferred",
            // A snapshot says what it lacks path by path; a sentence about that follows.
            Status::Incomplete => "is incomplete",
            Status::Skipped | Status::Succeeded => continue,
        };
        let (name, message) = (&step.step, &step.outcome.message);
        lines.push(if message.starts_with(name.as_str()) {
            capitalize(message)
        } else {
            format!("Step {name} {how}: {message}")
        });
    }
    for (name, sealed) in report.all_sealed() {
        let on = on(name);
        let suspect = sealed.suspect.iter();
        lines.extend(suspect.map(|why| format!("Suspect{on}: {why}")));
    }
    lines.truncate(SHOWN * 2);
    lines.extend(problem_lines(report));
    lines
}

fn problem_lines(report: &Report) -> Vec<String> {
    // What vanished while it was read is usual, and the snapshot counts as complete.
    let vanished = schema::journal::ProblemKind::Vanished;
    let listed = || {
        let steps = report.steps.iter().flat_map(|step| &step.outcome.problems);
        steps.filter(|problem| problem.kind != vanished)
    };
    let mut lines: Vec<String> = listed()
        .take(SHOWN)
        .map(|problem| format!("  {}: {}", problem.path, problem.message))
        .collect();
    let more = listed().count().saturating_sub(SHOWN);
    if more > 0 {
        lines.push(format!("  and {} more", amount::count(more as u64)));
    }
    lines
}

/// How a run for several destinations ended for each of them, in one line.
fn destination_lines(report: &Report) -> Option<String> {
    let ends = report.destinations.iter();
    let ends = ends.map(|(name, chain)| format!("{name}: {}", chain.result.word()));
    let ends: Vec<String> = ends.collect();
    (!ends.is_empty()).then(|| format!("Destinations: {}.", ends.join(", ")))
}

/// Which of several destinations is late.
fn late_on(report: &Report) -> String {
    let names = report.destinations.keys().map(DestinationName::as_str);
    let names: Vec<&str> = names.collect();
    match names.as_slice() {
        [] => String::new(),
        names => format!(" on {}", names.join(" and ")),
    }
}

fn on(name: Option<&DestinationName>) -> String {
    name.map_or_else(String::new, |name| format!(" on {name}"))
}

fn safe_lines(news: &News<'_>) -> Vec<String> {
    let mut lines = Vec::new();
    for (name, sealed) in news.report.all_sealed() {
        let totals = &sealed.totals;
        let how = match (is_good(sealed), sealed.suspect.is_empty()) {
            (true, _) => "",
            (false, true) => "without what is listed, ",
            (false, false) => "kept until a person has looked, ",
        };
        lines.push(format!(
            "{} snapshot{} {}, {how}{}, {}; {} copied, {} linked.",
            if is_good(sealed) { "Safe:" } else { "Made:" },
            on(name),
            sealed.id,
            amount::plural(totals.files, "file", "files"),
            amount::bytes(totals.bytes),
            amount::count(totals.files_copied),
            amount::count(totals.files_linked),
        ));
    }
    if !news.report.all_sealed().any(|(_, sealed)| is_good(sealed)) {
        lines.push(match news.last_good {
            Some(good) => format!(
                "Safe: the newest good snapshot is {}, {} old.",
                good.id,
                format_age(news.now - good.started_at)
            ),
            None => "No good snapshot is known of on this machine.".to_owned(),
        });
    }
    lines
}

/// What went, with what no other snapshot has: the first of them.
fn deletion_lines(news: &News<'_>) -> Vec<String> {
    let steps = news.report.steps.iter();
    let steps = steps.filter(|_| news.occasion == Occasion::Result);
    // What the cloud has is not lost: the cloud's step says that it was given back.
    let several = news.report.is_of_several();
    let gone = steps.flat_map(|step| {
        let name = split_id(&step.step).1.unwrap_or(DestinationName::LOCAL);
        let on = if several {
            format!(" on {name}")
        } else {
            String::new()
        };
        let deleted = step.outcome.deleted.iter();
        deleted.map(move |one| (on.clone(), one.clone()))
    });
    let gone = gone.filter(|(_, one)| one.reason != ExpireReason::InTheCloud);
    let (on, all): (Vec<String>, Vec<Deletion>) = gone.unzip();
    if all.is_empty() {
        return Vec::new();
    }
    let count = all.len() as u64;
    let mut lines = vec![format!(
        "Deleted: {}, and with {} went {}.",
        amount::plural(count, "snapshot", "snapshots"),
        if count == 1 { "it" } else { "them" },
        Lost::with(&all)
    )];
    lines.extend(on.iter().zip(&all).take(SHOWN).map(|(on, one)| {
        let lost = Lost::with(std::slice::from_ref(one));
        format!("  {}{on}: {lost}; {}", one.id, one.reason)
    }));
    let more = count.saturating_sub(SHOWN as u64);
    if more > 0 {
        lines.push(format!("  and {} more", amount::count(more)));
    }
    lines
}

fn is_good(sealed: &Sealed) -> bool {
    sealed.complete && sealed.suspect.is_empty()
}

/// The hints, each once.
fn what_to_do(report: &Report) -> Vec<String> {
    let chains = report.destinations.values();
    let findings = report
        .findings
        .iter()
        .chain(chains.flat_map(|chain| &chain.findings))
        .filter(|finding| finding.severity > Severity::Note)
        .filter_map(|finding| finding.hint.as_deref());
    let steps = report
        .steps
        .iter()
        .filter(|step| !only_tells(&step.step))
        .filter_map(|step| step.outcome.hint.as_deref());
    let mut hints: Vec<&str> = Vec::new();
    for hint in findings.chain(steps) {
        if !hints.contains(&hint) {
            hints.push(hint);
        }
    }
    hints.truncate(SHOWN);
    hints
        .into_iter()
        .map(|hint| format!("What to do: {hint}"))
        .collect()
}

fn capitalize(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(chars).collect()
    })
}

fn format_time(time: DateTime<FixedOffset>) -> String {
    time.format("%Y-%m-%d %H:%M %:z").to_string()
}

/// An age in the unit that says enough.
fn format_age(age: TimeDelta) -> String {
    let number = |count: i64| u64::try_from(count).unwrap_or(0);
    let (minutes, hours, days) = (age.num_minutes(), age.num_hours(), age.num_days());
    if days >= 2 {
        amount::plural(number(days), "day", "days")
    } else if hours >= 2 {
        amount::plural(number(hours), "hour", "hours")
    } else {
        amount::plural(number(minutes), "minute", "minutes")
    }
}

#[cfg(test)]
#[path = "text_tests.rs"]
mod tests;
