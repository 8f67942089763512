//! What a run came to, as people read it.
//!
//! Owns the wording of ends: which step ended how, what is not in the snapshot, what to do. It must
//! not judge: the result is the report's.

use schema::{
    Finding, Gone, Plan, Report, RunResult, Severity,
    config::DestinationName,
    journal::{Outcome, Problem, Sealed, Status, StepReport},
    plan::{
        Action, Deletion,
        chain::{plain_id, split_id},
        only_tells,
    },
};

use super::{
    amount,
    deletion::{describe_deletion, describe_group},
    hint,
    left_out::describe_left_out,
    messages,
    page::{self, Page},
    problems, several,
};
use crate::style::{Style, left, printable, right};

/// Less than this to copy is nobody's burden.
const WORTH_TELLING: u64 = 1 << 20;
/// Problems that are shown; the rest is in the run's folder.
const SHOWN_PROBLEMS: usize = 10;

/// How much of a report is told.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Telling<'a> {
    /// Each step, also what is told otherwise.
    pub(crate) is_whole: bool,
    /// What was told before, with the plan; none where no plan was shown.
    pub(crate) told: Option<&'a Told>,
}

/// What a plan told that was shown.
#[derive(Debug, Clone, Default)]
pub(crate) struct Told {
    /// What was noticed.
    pub(crate) findings: Vec<Finding>,
    /// What is deleted after a complete snapshot, or to make room for it.
    deletions: Vec<Deletion>,
    /// What is gone from the sources.
    gone: Option<Gone>,
}

impl Told {
    /// Adds what this plan tells.
    pub(crate) fn add(&mut self, plan: &Plan) {
        let findings = plan.all_findings().map(|(_, finding)| finding.clone());
        self.findings.extend(findings);
        for step in &plan.steps {
            match &step.action {
                Action::Rotate(step) => self
                    .deletions
                    .extend_from_slice(&step.on_complete.deletions),
                Action::Delete(step) => self.deletions.extend_from_slice(&step.rotation.deletions),
                Action::Snapshot(step) => self.gone.clone_from(&step.expected.gone),
                _ => {}
            }
        }
    }
}

impl Telling<'_> {
    /// Whether a finding was told with the plan.
    fn is_told(&self, finding: &Finding) -> bool {
        let told = self.told;
        told.is_some_and(|told| told.findings.contains(finding))
    }

    /// Whether the plan said in short what was to be done, and these are deletions that it told.
    fn follows_plan(&self, deleted: &[Deletion]) -> bool {
        let told = self.told.filter(|_| !self.is_whole);
        told.is_some_and(|told| deleted.iter().all(|one| told.deletions.contains(one)))
    }

    /// Whether the plan said in short that just this is gone from the sources.
    fn told_gone(&self, gone: &Gone) -> bool {
        let told = self.told.filter(|_| !self.is_whole);
        told.is_some_and(|told| told.gone.as_ref() == Some(gone))
    }

    /// Whether a step is told that ended well: what nobody was told of before, and what is to be known.
    fn is_news(&self, step: &StepReport) -> bool {
        let outcome = &step.outcome;
        // A plan says that it would be.
        let is_set_up =
            plain_id(&step.step) == "destination-check" && outcome.message.starts_with("set up ");
        let is_new = is_set_up && self.told.is_none();
        let is_usual = TOLD_ELSEWHERE.contains(&plain_id(&step.step))
            || (outcome.message.is_empty() && outcome.problems.is_empty());
        self.is_whole || is_new || outcome.hint.is_some() || !is_usual
    }

    /// All of it, of which nothing was told.
    pub(crate) const WHOLE: Self = Self {
        is_whole: true,
        told: None,
    };
}

/// Steps that ended well and of which all is told elsewhere: what they made by the lines of the snapshot and
/// of the deletions, the rest by the end. One with a hint is told all the same.
const TOLD_ELSEWHERE: [&str; 9] = [
    "announce",
    "delete",
    "destination-check",
    "make-room",
    "notify",
    "plan-again",
    "rotate",
    "snapshot",
    "space-check",
];

/// What a run came to; `run_folder` is where all of it is told.
pub(crate) fn report_page(
    report: &Report,
    run_folder: &str,
    telling: Telling<'_>,
    style: &Style,
) -> String {
    let mut page = Page::default();
    let took = report.ended_at - report.started_at;
    let head = format!(
        "{} of {}, {} {}, took {}",
        style.bold(format!("Run {}", report.run_id)),
        report.host,
        report.started_at.format("%Y-%m-%d %H:%M"),
        report.started_at.format("%:z"),
        page::unbroken(&amount::between(took))
    );
    page.line(0, &head);
    if telling.is_whole {
        page.blank();
    }
    let has_steps = add_steps(&mut page, report, telling, style);
    let mut sealed = report.all_sealed().peekable();
    if has_steps && sealed.peek().is_some() {
        page.blank();
    }
    for (name, sealed) in sealed {
        add_snapshot(&mut page, name, sealed, telling);
    }
    add_deletions(&mut page, report, telling, style);
    add_problems(&mut page, report, run_folder, style);
    let grave = |finding: &&Finding| finding.severity > Severity::Note && !telling.is_told(finding);
    page.blank();
    for told in report.findings.iter().filter(grave) {
        page.raw(&messages::finding_lines(told, style));
    }
    for (name, chain) in &report.destinations {
        for told in chain.findings.iter().filter(grave) {
            page.raw(&messages::finding_lines(&told.clone().named(name), style));
        }
    }
    page.blank();
    several::add_ends(&mut page, report, style);
    page.line(0, &describe_end(report, style));
    for hint in collect_hints(report) {
        hint::add(&mut page, 2, hint);
    }
    page.into_string()
}

/// How a step ended, in a coloured word.
pub(crate) fn status_mark(status: Status, style: &Style) -> String {
    let word = status.word();
    match status {
        Status::Succeeded => style.green(word),
        Status::Skipped => style.dim(word),
        Status::Incomplete | Status::Deferred => style.yellow(word),
        Status::Refused | Status::Failed => style.red(word),
    }
}

/// The steps and how they ended, or those of which that is told nowhere else; says whether there are any.
fn add_steps(page: &mut Page, report: &Report, telling: Telling<'_>, style: &Style) -> bool {
    let is_told =
        |step: &&StepReport| step.outcome.status != Status::Succeeded || telling.is_news(step);
    let told: Vec<&StepReport> = report.steps.iter().filter(is_told).collect();
    let names = told.iter().map(|step| step.step.len()).max();
    let names = names.unwrap_or(0).min(24);
    for step in &told {
        let took = step
            .started_at
            .map_or_else(String::new, |at| amount::between(step.ended_at - at));
        let label = format!(
            "{}  {}  {}  ",
            left(&status_mark(step.outcome.status, style), 10),
            left(&step.step, names),
            style.dim(right(&took, 11)),
        );
        page.entry(
            0,
            &label,
            10 + 2 + names + 2 + 11 + 2,
            &printable(&step.outcome.message),
        );
    }
    !told.is_empty()
}

fn add_snapshot(
    page: &mut Page,
    name: Option<&DestinationName>,
    sealed: &Sealed,
    telling: Telling<'_>,
) {
    let totals = &sealed.totals;
    let what = format!(
        "{}: {} ({}); copied {} ({}), linked {} ({})",
        sealed.id,
        page::unbroken(&amount::plural(totals.files, "file", "files")),
        page::unbroken(&amount::bytes(totals.bytes)),
        amount::count(totals.files_copied),
        page::unbroken(&amount::bytes(totals.bytes_copied)),
        amount::count(totals.files_linked),
        page::unbroken(&amount::bytes(totals.bytes_linked)),
    );
    let on = name.map_or_else(String::new, |name| format!(" on {name}"));
    page.line(0, &format!("Snapshot{on} {what}"));
    if let Some(cost) = &sealed.costs_most
        && cost.bytes >= WORTH_TELLING
    {
        let most = format!(
            "most of it {} (user {}), up to {}",
            printable(&cost.path),
            printable(&cost.user),
            page::unbroken(&amount::bytes(cost.bytes))
        );
        page.line(2, &most);
    }
    let gone = sealed.gone.as_ref();
    if let Some(gone) = gone.filter(|gone| !telling.told_gone(gone)) {
        page.line(
            2,
            &format!("gone from the sources: {}", printable(&gone.to_string())),
        );
    }
    if let Some(left_out) = &sealed.left_out {
        page.line(2, &format!("left out: {}", describe_left_out(left_out)));
    }
    // Else the step that was incomplete for it says so.
    let suspect = sealed.suspect.iter().filter(|_| telling.is_whole);
    for why in suspect {
        page.line(2, &format!("suspect: {}", printable(why)));
    }
}

/// What was deleted, of several destinations for each by its name.
fn add_deletions(page: &mut Page, report: &Report, telling: Telling<'_>, style: &Style) {
    let several = report.is_of_several();
    let mut of_each: Vec<(Option<DestinationName>, Vec<Deletion>)> = Vec::new();
    for step in &report.steps {
        let name = split_id(&step.step).1.unwrap_or(DestinationName::LOCAL);
        let name = several.then(|| DestinationName::new(name));
        let deleted = step.outcome.deleted.iter().cloned();
        match of_each.iter_mut().find(|(known, _)| *known == name) {
            Some((_, all)) => all.extend(deleted),
            None => of_each.push((name, deleted.collect())),
        }
    }
    of_each.retain(|(_, all)| !all.is_empty());
    for (name, all) in &of_each {
        page.tell_of(name.as_ref());
        add_deletions_of(page, name.as_ref(), all, telling, style);
        page.tell_of(None);
    }
}

/// Each deletion on its own line, or many by their reasons, as in the plan: with what no other snapshot has,
/// and why it went.
fn add_deletions_of(
    page: &mut Page,
    name: Option<&DestinationName>,
    all: &[Deletion],
    telling: Telling<'_>,
    style: &Style,
) {
    let on = name.map_or_else(String::new, |name| format!("on {name}: "));
    let word = left(&style.red("deleted"), 8);
    if telling.follows_plan(all) {
        let count = amount::plural(all.len() as u64, "snapshot", "snapshots");
        page.entry(0, &word, 9, &format!("{on}{count}, as planned"));
        return;
    }
    page.blank();
    if !telling.is_whole
        && let Some(groups) = planner::group_deletions(all)
    {
        for group in &groups {
            let count = amount::plural(group.count, "snapshot", "snapshots");
            let text = format!("{on}{count} {}", describe_group(group));
            page.entry(0, &word, 10, &text);
        }
        return;
    }
    for deletion in all {
        let label = format!("{word}  {}  {}", deletion.id, deletion.home);
        page.entry(
            0,
            &label,
            40,
            &format!("{on}{}", describe_deletion(deletion)),
        );
    }
}

/// The first problems, gravest first, and how many more there are.
fn add_problems(page: &mut Page, report: &Report, run_folder: &str, style: &Style) {
    let mut listed: Vec<&Problem> = report
        .steps
        .iter()
        .flat_map(|step| &step.outcome.problems)
        .collect();
    if listed.is_empty() {
        return;
    }
    listed.sort_by_key(|problem| problems::rank(problem.kind));
    let counted = report
        .all_sealed()
        .map(|(_, sealed)| sealed.totals.errors + sealed.totals.vanished + sealed.totals.torn);
    let counted: u64 = counted.sum();
    let all = counted.max(listed.len() as u64);
    page.blank();
    page.line(
        0,
        &format!("{}:", amount::plural(all, "problem", "problems")),
    );
    for problem in listed.iter().take(SHOWN_PROBLEMS) {
        let what = format!(
            "{}: {}",
            page::readable_path(&problem.path),
            printable(&problem.message)
        );
        page.entry(2, &style.yellow(problems::word(problem.kind)), 13, &what);
    }
    let more = all.saturating_sub(SHOWN_PROBLEMS as u64);
    if more > 0 {
        let file = page::unbroken(&format!("{run_folder}/report.json"));
        page.line(2, &format!("and {} more: see {file}", amount::count(more)));
    }
}

/// The step that decided the end, where one did; a notification never does.
fn decisive_step(report: &Report) -> Option<(&str, &Outcome)> {
    let deciding = || report.steps.iter().filter(|step| !only_tells(&step.step));
    let gravest = deciding().map(|step| step.outcome.status).max()?;
    deciding()
        .map(|step| (step.step.as_str(), &step.outcome))
        .find(|(_, outcome)| outcome.status == gravest)
        .filter(|(_, outcome)| outcome.status > Status::Skipped)
}

/// How a run ended, in a sentence.
pub(crate) fn describe_end(report: &Report, style: &Style) -> String {
    if report.is_of_several() {
        return several::describe_whole(report, style);
    }
    // The step's own message stands beside it above; here it is named only.
    let step =
        decisive_step(report).map_or_else(String::new, |(step, _)| format!(" in step {step}"));
    let sealed = report.snapshot.as_ref();
    match report.result {
        RunResult::Success => {
            let what = sealed.map_or_else(String::new, |sealed| {
                format!(" Snapshot {} is complete.", sealed.id)
            });
            format!("{}{what}", style.green(style.bold("Done.")))
        }
        RunResult::Incomplete => {
            let what = describe_incomplete(sealed, &step);
            format!("{} {what}", style.yellow(style.bold("Done, but")))
        }
        RunResult::Failed => {
            let kept = match sealed {
                Some(sealed) => format!(" Snapshot {} was sealed before that.", sealed.id),
                None => " Earlier snapshots are as they were.".to_owned(),
            };
            format!("{}{step}.{kept}", style.red(style.bold("Failed")))
        }
        RunResult::Refused => {
            let deleted = report
                .steps
                .iter()
                .any(|step| !step.outcome.deleted.is_empty());
            let changed = if deleted {
                "Nothing changed but what was deleted to make room."
            } else {
                "Nothing changed."
            };
            format!("{} {changed}", style.red(style.bold("Refused.")))
        }
        RunResult::Deferred => format!(
            "{} Nothing changed; the next run tries again.",
            style.yellow(style.bold("Deferred."))
        ),
        RunResult::Interrupted => format!(
            "{} What was done stays; the next run continues it.",
            style.yellow(style.bold("Interrupted."))
        ),
    }
}

/// What is not as it should be after a run that went on to its end.
fn describe_incomplete(sealed: Option<&Sealed>, step: &str) -> String {
    match sealed {
        Some(sealed) if !sealed.suspect.is_empty() => format!(
            "snapshot {} is suspect. It is kept, and nothing is deleted until a person has looked.",
            sealed.id
        ),
        Some(sealed) if !sealed.complete => format!(
            "snapshot {} does not hold everything: see the problems above.",
            sealed.id
        ),
        Some(sealed) if step.is_empty() => format!(
            "something waits for a person: see above. Snapshot {} is complete.",
            sealed.id
        ),
        _ if step.is_empty() => "incomplete.".to_owned(),
        _ => format!("incomplete{step}."),
    }
}

/// What to do, each once.
fn collect_hints(report: &Report) -> Vec<&str> {
    let mut hints: Vec<&str> = Vec::new();
    let told = |hint: &str| {
        let chains = report.destinations.values();
        let mut findings = report
            .findings
            .iter()
            .chain(chains.flat_map(|chain| &chain.findings));
        findings.any(|finding| finding.hint.as_deref() == Some(hint))
    };
    for step in &report.steps {
        if let Some(hint) = step.outcome.hint.as_deref()
            && !hints.contains(&hint)
            && !told(hint)
        {
            hints.push(hint);
        }
    }
    hints
}

#[cfg(test)]
#[path = "report_tests.rs"]
mod tests;
