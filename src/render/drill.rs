//! What a drill came to, and what one would do, as people read it.

use std::time::Duration;

use schema::drill::{
    CheckResult, CheckStatus, Drill, DrillPlan, DrillVerdict, DrilledSnapshot, PassedOver,
    SampleRead, Shown,
};

use super::{
    amount, hint,
    page::{Page, readable_path},
};
use crate::style::{Style, printable};

/// Columns of the labels, as in a status.
const LABEL: usize = 14;
/// Lines that are shown of what a check said that did not pass.
const MOST_LINES: usize = 10;

/// The verdict first, then what was done.
pub(crate) fn drill_page(drill: &Drill, style: &Style) -> String {
    let mut page = Page::default();
    let word = match drill.verdict {
        DrillVerdict::Passed => style.green(style.bold("passed:")),
        DrillVerdict::Failed => style.red(style.bold("failed:")),
    };
    page.line(0, &format!("{word} {}", printable(&drill.summary)));
    page.blank();
    let snapshot = snapshot_text(&drill.snapshot, drill.remote.as_deref());
    let mut facts = vec![("Snapshot", snapshot)];
    facts.extend(drill.passed_over.iter().map(passed_over_text));
    if let Some(millis) = drill.ready_millis {
        facts.push(("Ready", format!("after {}", span(millis))));
    }
    if let Some(read) = &drill.sample {
        facts.push(("Read", sample_text(read)));
    }
    for (label, text) in facts {
        page.entry(0, &style.dim(label), LABEL, &text);
    }
    for damage in drill.sample.iter().flat_map(|read| &read.damage) {
        let text = format!(
            "{} {}",
            readable_path(&damage.path),
            printable(&damage.message)
        );
        page.entry(0, &style.dim("Damaged"), LABEL, &text);
    }
    for check in &drill.checks {
        add_check(&mut page, check, style);
    }
    if drill.checks.is_empty() && drill.remote.is_none() {
        let text = "none is configured (monitoring.drill.checks): that files can be read does not say that \
                    programs can use them";
        page.entry(0, &style.dim("Checks"), LABEL, text);
    }
    for path in &drill.read_only {
        let text = format!(
            "{}, since the destination's file system allows no more",
            readable_path(path)
        );
        page.entry(0, &style.dim("Read-only"), LABEL, &text);
    }
    if drill.verdict == DrillVerdict::Failed {
        let hint = drill.hint.clone().unwrap_or_else(|| hint_of(drill));
        page.blank();
        page.line(0, &hint::line(0, &hint));
    }
    format!("{}\n", page.into_string().trim_end())
}

/// What to do about one that failed.
fn hint_of(drill: &Drill) -> String {
    let damage = drill
        .sample
        .as_ref()
        .is_some_and(|read| read.damage_count > 0);
    match damage {
        true => format!(
            "`backup verify --repair {}` heals what it can",
            drill.snapshot.id
        ),
        false => "mend the check, or what it found; `backup drill` tries again".to_owned(),
    }
}

fn add_check(page: &mut Page, check: &CheckResult, style: &Style) {
    let how = match check.status {
        CheckStatus::Passed => style.green("passed"),
        _ => style.red(printable(&check.message)),
    };
    let text = format!(
        "{} {how} ({})",
        readable_path(&check.check),
        span(check.millis)
    );
    page.entry(0, &style.dim("Check"), LABEL, &text);
    if check.status == CheckStatus::Passed {
        return;
    }
    let lines: Vec<&str> = check.output.lines().collect();
    for line in &lines[lines.len().saturating_sub(MOST_LINES)..] {
        page.line(4, &printable(line));
    }
}

fn snapshot_text(snapshot: &DrilledSnapshot, remote: Option<&str>) -> String {
    let errors = match snapshot.complete {
        true => "",
        false => ", sealed with errors",
    };
    match remote {
        Some(remote) => format!("{} at {}{errors}", snapshot.id, printable(remote)),
        None => format!("{}/{}{errors}", snapshot.home, snapshot.id),
    }
}

fn passed_over_text(one: &PassedOver) -> (&'static str, String) {
    let text = format!(
        "{} is newer, but {}",
        printable(&one.id),
        printable(&one.because)
    );
    ("Passed over", text)
}

fn sample_text(read: &SampleRead) -> String {
    let mut text = format!(
        "{} of {}, {}, in {}",
        amount::count(read.files),
        amount::plural(read.of_files, "file", "files"),
        amount::bytes(read.bytes),
        span(read.millis)
    );
    if read.left_out > 0 {
        let files = amount::plural(read.left_out, "file", "files");
        text += &format!("; the time was over before {files} more (monitoring.drill.timeout)");
    }
    text
}

fn span(millis: u64) -> String {
    amount::span(Duration::from_millis(millis))
}

/// What the room would show, and what would be run in it.
pub(crate) fn plan_page(plan: &DrillPlan, style: &Style) -> String {
    let mut page = Page::default();
    page.line(
        0,
        &style.bold(format!(
            "drill of {}",
            snapshot_text(&plan.snapshot, plan.remote.as_deref())
        )),
    );
    page.blank();
    for one in &plan.passed_over {
        let (label, text) = passed_over_text(one);
        page.entry(0, &style.dim(label), LABEL, &text);
    }
    for mount in &plan.mounts {
        let (label, text) = match &mount.shows {
            Shown::Restored { .. } => ("Restored", readable_path(&mount.at)),
            Shown::Machine { path } if *path == mount.at => (
                "Read-only",
                format!("{}, as this machine has it", readable_path(path)),
            ),
            Shown::Machine { path } => {
                let (at, path) = (readable_path(&mount.at), readable_path(path));
                (
                    "Read-only",
                    format!("{at}, which is {path} of this machine"),
                )
            }
            Shown::Hidden => (
                "Empty",
                format!(
                    "{}, which the snapshot does not hold",
                    readable_path(&mount.at)
                ),
            ),
            _ => continue,
        };
        page.entry(0, &style.dim(label), LABEL, &text);
    }
    for check in &plan.checks {
        let text = match &check.refused {
            Some(because) => format!(
                "{} is not run: {}",
                readable_path(&check.check),
                printable(because)
            ),
            None => readable_path(&check.check),
        };
        page.entry(0, &style.dim("Check"), LABEL, &text);
    }
    if plan.remote.is_some() {
        let text = "a sample of files, which are downloaded and compared, into a folder that is removed again";
        page.entry(0, &style.dim("Restored"), LABEL, text);
    } else if plan.checks.is_empty() {
        let text = "none (monitoring.drill.checks); a sample of files is read";
        page.entry(0, &style.dim("Checks"), LABEL, text);
    }
    format!("{}\n", page.into_string().trim_end())
}
