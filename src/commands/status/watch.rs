//! `status --watch`: what goes on in a run that another process is at, then the status.

use std::io::IsTerminal as _;

use anyhow::Result;
use backup::{
    Engine,
    engine::{UnitAtWork, WatchedRun},
};
use schema::{
    RunResult,
    output::progress::{ProgressEvent, ProgressLine},
};

use super::show;
use crate::{
    out::Out,
    progress::{Bar, Mode},
    render::report::{Telling, report_page},
    settings::Settings,
    style::shown,
};

/// Tells what goes on until it ends, or that nothing does, and shows the status; the exit code is that of the
/// status.
pub(super) fn watch_run(settings: &Settings, out: &Out) -> Result<u8> {
    let engine = settings.open_engine(out)?;
    let bar = Bar::watching(mode_of(settings), settings.error_style);
    let is_on = match settings.sees_machines() {
        // Its state directory is closed to users; what its units are at systemd tells everybody.
        true => {
            let told = |unit: &UnitAtWork| bar.say_of_unit(&unit.name, &unit.says);
            let ended = engine.watch_units(&told)?;
            bar.clear();
            ended.map(|ended| say_end(None, ended.result, "the run has ended", settings, out))
        }
        false => {
            let watched = engine.watch_run(&bar)?;
            bar.clear();
            watched.map(|watched| show_end(&watched, &engine, settings, out))
        }
    };
    if is_on.is_none() {
        out.print_unless_quiet("no run is at work");
    }
    show(&engine, settings, out, |status| {
        print_line(&ProgressLine::from(ProgressEvent::Status { status }), out);
    })
}

/// How it is shown: what was asked for goes to standard output, a bar to standard error.
fn mode_of(settings: &Settings) -> Mode {
    if settings.json {
        Mode::Json
    } else if settings.quiet {
        Mode::Quiet
    } else if std::io::stderr().is_terminal() {
        Mode::Terminal
    } else {
        Mode::Lines
    }
}

/// Shows how a run ended.
fn show_end(watched: &WatchedRun, engine: &Engine, settings: &Settings, out: &Out) {
    let Some(report) = &watched.report else {
        let run_id = watched.run_id.as_deref();
        let text = match run_id {
            Some(run) => format!("run {run} was ended from outside"),
            None => "nothing is at work any more, and no run was begun".to_owned(),
        };
        return say_end(run_id, None, &text, settings, out);
    };
    if settings.json {
        let (run_id, result) = (Some(&*report.run_id), Some(report.result));
        return say_end(run_id, result, "", settings, out);
    }
    if !settings.quiet {
        let telling = Telling {
            is_whole: settings.verbose,
            told: None,
        };
        let folder = engine.run_folder(&report.run_id);
        let page = report_page(report, &shown(&folder), telling, &settings.style);
        out.print_data(&format!("{page}\n"));
    }
}

/// Says how a run ended of which no report is shown; `unknown` where that is not known.
fn say_end(
    run_id: Option<&str>,
    result: Option<RunResult>,
    unknown: &str,
    settings: &Settings,
    out: &Out,
) {
    if settings.json {
        let event = ProgressEvent::RunEnded { run_id, result };
        return print_line(&ProgressLine::from(event), out);
    }
    out.print_unless_quiet(&match result {
        Some(result) => format!("the run ended: {}", result.word()),
        None => unknown.to_owned(),
    });
}

/// An object on a line of standard output.
fn print_line(line: &ProgressLine<'_>, out: &Out) {
    match serde_json::to_string(line) {
        Ok(text) => out.print_document(&schema::outside::visible_json(&text)),
        Err(error) => out.keep_fault(Err(error.into())),
    }
}
