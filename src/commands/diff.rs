//! `diff`: what changed between two snapshots, or between one and the sources as they are.

use anyhow::Result;
use backup::engine::{DiffAfter, DiffRequest};
use executor::history;
use planner::restore::likely_meaning;

use crate::{
    cli::Diff, exit, out::Out, render::diff::diff_lines, screen::Screen, settings::Settings, typed,
};

/// Shows what changed between two snapshots, or since one.
pub(crate) fn show_diff(arguments: &Diff, settings: &Settings, out: &Out) -> Result<u8> {
    let engine = settings.open_engine(out)?;
    let path = arguments.path.as_deref();
    let request = DiffRequest {
        before: arguments.before.clone(),
        after: match &arguments.after {
            Some(after) if after == history::NOW => DiffAfter::Now,
            Some(after) => DiffAfter::Snapshot(after.clone()),
            None => DiffAfter::Unsaid,
        },
        path: path.map(|path| likely_meaning(&typed::path_meanings(path), engine.config())),
    };
    let screen = Screen::new(settings, out);
    let view = engine.diff(&request, &screen)?;
    if settings.json {
        out.print_json(&view);
    } else {
        for one in &view.not_compared {
            out.print_line(&format!(
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
