//! `diff`: what changed between two snapshots, or between one and the sources as they are.

use std::os::unix::ffi::OsStrExt as _;

use anyhow::Result;
use backup::engine::{DiffRequest, DiffResult};
use executor::history;
use planner::restore::likely_meaning;
use schema::StoredPath;

use crate::{
    cli::Diff, exit, out::Out, render::diff::diff_lines, screen::Screen, settings::Settings, typed,
};

/// Shows what changed between two snapshots, or since one.
pub(crate) fn show_diff(arguments: &Diff, settings: &Settings, out: &Out) -> Result<u8> {
    let engine = settings.open_engine(out)?;
    let path = arguments.path.as_deref();
    let request = DiffRequest {
        before: arguments.before.clone(),
        after: Some(arguments.after.clone()).filter(|after| after != history::NOW),
        path: path.map(|path| likely_meaning(&typed::path_meanings(path), engine.config())),
    };
    let screen = Screen::new(settings, out);
    let outcome = engine.diff(&request, &screen)?;
    let path = request.path.as_deref();
    let path = path.map_or(StoredPath::root(), |path| {
        StoredPath::new(path.as_os_str().as_bytes())
    });
    let view = match &outcome.result {
        DiffResult::SinceThen(now) => history::live_diff(outcome.before, path, now),
        DiffResult::Between { after, diff } => {
            history::snapshot_diff(outcome.before, after.to_string(), path, diff)
        }
    };
    if settings.json {
        out.print_json(&view);
    } else {
        for one in &view.not_compared {
            out.print_message(&format!(
                "warning: not compared: {}: {}",
                one.path, one.because
            ));
        }
        out.print_data(&diff_lines(&view, &settings.style));
    }
    Ok(if view.not_compared.is_empty() {
        exit::DONE
    } else {
        exit::INCOMPLETE
    })
}
