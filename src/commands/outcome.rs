//! What became of a run, as it is shown, and the exit code that it means.

use backup::{
    Engine,
    engine::{ForetoldRun, NotBegun, RunOutcome},
};
use executor::{
    clock::Clock,
    logs::{Journald, Kind, Level, Record},
};
use schema::{
    Finding, Report, RunResult, Severity,
    journal::{Outcome, Status, StepReport},
};

use crate::{
    exit,
    out::Out,
    render::{self, report::Told},
    settings::Settings,
    style::{Style, shown},
};

/// Shows the outcome of a backup; gives the exit code.
pub(crate) fn show_backup(
    outcome: &RunOutcome,
    told: Option<&Told>,
    engine: &Engine,
    settings: &Settings,
    out: &Out,
) -> u8 {
    let RunOutcome::Ended(report) = outcome else {
        let told = told.map_or(&[][..], |told| &told.findings);
        return show_not_begun_after(outcome, told, settings, out);
    };
    let telling = render::report::Telling {
        is_whole: settings.verbose,
        told,
    };
    let folder = engine.run_folder(&report.run_id);
    let folder = shown(&folder);
    let code = exit::code_of_result(report.result);
    if settings.json {
        out.print_json(report);
    } else if settings.as_unit && !settings.verbose && record_end(report) {
        // Every step has its record there.
    } else if !settings.quiet {
        out.print_data(&render::report::report_page(
            report,
            &folder,
            telling,
            &settings.style,
        ));
    } else if code != exit::DONE {
        let style = &settings.error_style;
        let page = render::report::report_page(report, &folder, telling, style);
        out.print_message(&page);
    }
    code
}

/// Says why nothing was done, if so; gives the exit code that the outcome means.
pub(crate) fn show_not_begun(outcome: &RunOutcome, settings: &Settings, out: &Out) -> u8 {
    show_not_begun_after(outcome, &[], settings, out)
}

/// The same, after a plan that told these findings.
fn show_not_begun_after(
    outcome: &RunOutcome,
    told: &[Finding],
    settings: &Settings,
    out: &Out,
) -> u8 {
    let code = exit::code_of_result(outcome.report().result);
    let RunOutcome::NotBegun { cause, report } = outcome else {
        return code;
    };
    // A unit that ends so fails once in a period, and not at every asking after that.
    let code = match cause {
        NotBegun::RefusedAsBefore if settings.as_unit => exit::DEFERRED,
        _ => code,
    };
    if settings.json {
        out.print_json(report);
        return code;
    }
    if record_not_begun(*cause, report) {
        return code;
    }
    let what = describe_cause(*cause);
    out.print_message(&format!("{what}: nothing was changed"));
    for (name, finding) in report.all_findings() {
        if told.contains(finding) {
            continue;
        }
        let named = name.map(|name| finding.clone().named(name));
        let finding = named.as_ref().unwrap_or(finding);
        out.print_message(&render::messages::finding_lines(
            finding,
            &settings.error_style,
        ));
    }
    code
}

/// Says in one record of the journal of systemd how a run ended, where standard error goes there;
/// whether it does.
fn record_end(report: &Report) -> bool {
    let Some(journal) = Journald::of_stderr() else {
        return false;
    };
    let end = render::report::describe_end(report, &Style::default());
    let text = format!("run {} ended: {end}", report.run_id);
    let level = match report.result {
        RunResult::Success | RunResult::Deferred | RunResult::Interrupted => Level::Info,
        RunResult::Incomplete => Level::Warning,
        RunResult::Refused | RunResult::Failed => Level::Error,
    };
    let now = Clock::default().now();
    journal.write(&Record {
        run_id: Some(&report.run_id),
        ..Record::new(now, level, Kind::Run, &text)
    });
    true
}

fn describe_cause(cause: NotBegun) -> &'static str {
    match cause {
        NotBegun::Deferred => "deferred",
        NotBegun::Refused => "refused",
        NotBegun::RefusedAsBefore => "refused as before",
        NotBegun::StalePlan => "the saved plan is stale",
        NotBegun::UnlawfulPlan => "the plan breaks a law",
    }
}

/// Says in one record of the journal of systemd why nothing was done, where standard error goes there;
/// whether it does.
fn record_not_begun(cause: NotBegun, report: &Report) -> bool {
    let Some(journal) = Journald::of_stderr() else {
        return false;
    };
    let refuses = |finding: &Finding| finding.severity == Severity::Refusal;
    // Where something is refused, notes and warnings are not why.
    let is_refused = report.all_findings().any(|(_, one)| refuses(one));
    let because: Vec<String> = report
        .all_findings()
        .filter(|(_, finding)| !is_refused || refuses(finding))
        .map(|(name, finding)| match name {
            Some(name) => finding.clone().named(name).message,
            None => finding.message.clone(),
        })
        .collect();
    let text = format!("{}: {}", describe_cause(cause), because.join("; "));
    let level = match cause {
        NotBegun::Deferred | NotBegun::RefusedAsBefore => Level::Info,
        NotBegun::Refused | NotBegun::StalePlan | NotBegun::UnlawfulPlan => Level::Error,
    };
    let now = Clock::default().now();
    journal.write(&Record::new(now, level, Kind::Run, &text));
    true
}

/// Shows what a verb would do that marks or adds something, and says that nothing was done; `more` is
/// what it says besides its steps. Gives the exit code that it would be refused with.
pub(crate) fn show_foretold(
    foretold: &ForetoldRun,
    more: &[&str],
    settings: &Settings,
    out: &Out,
) -> u8 {
    if settings.json {
        out.print_json(&foretold.plan);
    } else if let Some(refused) = &foretold.refused {
        return show_not_begun(refused, settings, out);
    } else {
        // The check that begins each of them is told of where it is all there is.
        let steps = &foretold.steps[usize::from(foretold.steps.len() > 1)..];
        let steps = steps.iter().map(|step| step.message.as_str());
        let lines = steps.chain(more.iter().copied()).map(str::to_owned);
        show_dry_run(&lines.collect::<Vec<_>>(), out);
    }
    match &foretold.refused {
        Some(refused) => exit::code_of_result(refused.report().result),
        None => exit::DONE,
    }
}

/// Shows what would be done, in a line for each thing, and that nothing was.
pub(crate) fn show_dry_run(lines: &[String], out: &Out) {
    let lines = lines.iter().map(|line| render::messages::done_lines(line));
    let end = ["Nothing was changed (--dry-run).".to_owned()];
    out.print_data(&lines.chain(end).collect::<String>());
}

/// Shows what the last step of a maintenance plan came to; gives the exit code.
pub(crate) fn show_last_step(outcome: &RunOutcome, settings: &Settings, out: &Out) -> u8 {
    let RunOutcome::Ended(report) = outcome else {
        return show_not_begun(outcome, settings, out);
    };
    if settings.json {
        out.print_json(report);
    } else {
        let mut steps = report.steps.iter().rev();
        let last = steps.find(|done| !done.outcome.message.is_empty());
        last.iter()
            .for_each(|last| show_end(&last.outcome, &last.outcome.message, settings, out));
    }
    exit::code_of_result(report.result)
}

/// What a step says that did what it was to: all that it has to say.
pub(crate) fn said(_: usize, outcome: &Outcome) -> String {
    outcome.message.clone()
}

/// Shows how each step of this kind ended, and what went wrong; gives the exit code. `said` is what the
/// first, the second and so on says where it did what it was to: what was shown before need not be said
/// again.
pub(crate) fn show_steps(
    outcome: &RunOutcome,
    kind: &str,
    said: &dyn Fn(usize, &Outcome) -> String,
    settings: &Settings,
    out: &Out,
) -> u8 {
    let RunOutcome::Ended(report) = outcome else {
        return show_not_begun(outcome, settings, out);
    };
    if settings.json {
        out.print_json(report);
    } else {
        let is_told = |done: &&StepReport| !done.outcome.message.is_empty();
        let mut number = 0;
        for done in report.steps.iter().filter(is_told) {
            let outcome = &done.outcome;
            let is_of_it = done.step.starts_with(kind);
            if is_of_it && outcome.status == Status::Succeeded {
                show_end(outcome, &said(number, outcome), settings, out);
            } else if outcome.status != Status::Succeeded {
                show_end(outcome, &outcome.message, settings, out);
            }
            number += usize::from(is_of_it);
        }
    }
    exit::code_of_result(report.result)
}

/// Shows how a step ended: with this where it did what it was to, which may say nothing.
fn show_end(outcome: &Outcome, said: &str, settings: &Settings, out: &Out) {
    let style = &settings.error_style;
    if outcome.status != Status::Succeeded {
        out.print_message(&render::messages::failure_lines(outcome, style));
    } else if !said.is_empty() {
        out.print_unless_quiet(&render::messages::done_lines(said));
    }
}
