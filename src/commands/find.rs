//! `find`: all versions of a path over all snapshots.

use std::{
    ffi::OsStr,
    os::unix::ffi::OsStrExt as _,
    path::{Component, Path},
};

use anyhow::Result;
use executor::history;
use planner::restore::likely_meaning;
use schema::{Config, escape::display, output::find::FoundPaths};

use crate::{
    cli::Find,
    exit::{self, invalid_input},
    out::Out,
    render::find::{Footer, path_lines},
    screen::Screen,
    settings::Settings,
    typed,
};

/// Shows all versions of a path over all snapshots, the oldest first.
pub(crate) fn find_versions(arguments: &Find, settings: &Settings, out: &Out) -> Result<u8> {
    let compile = match (arguments.fixed_string, arguments.ignore_case) {
        (false, false) => history::Search::pattern,
        (false, true) => history::Search::pattern_any_case,
        (true, false) => history::Search::fixed,
        (true, true) => history::Search::fixed_any_case,
    };
    let engine = settings.open_engine(out)?;
    let pattern = meant_pattern(&arguments.pattern, engine.config());
    let shown = display(&pattern);
    let search = compile(&pattern).map_err(|_| {
        invalid_input(
            format!("`{shown}` is no pattern"),
            "give a name, such as letter.txt, or a path, such as /home/ann/letter.txt",
        )
    })?;
    let mut paths = Vec::new();
    let mut footer = Footer::default();
    let screen = Screen::new(settings, out);
    let outcome = engine.find(&shown, &search, &screen, &mut |found| {
        footer.count(&found);
        // As text the paths are shown as they come; as JSON there is one document.
        if settings.json {
            paths.push(found);
        } else {
            out.print_data(&path_lines(&found, &settings.style));
        }
    })?;
    let view = FoundPaths {
        paths,
        ..outcome.searched
    };
    if settings.json {
        out.print_json(&view);
    } else {
        for folder in &view.not_searched {
            out.print_line(&format!(
                "warning: not searched: {}: {}",
                folder.snapshot, folder.because
            ));
        }
        out.print_unless_quiet(&footer.lines(&view));
    }
    Ok(if outcome.is_complete {
        exit::DONE
    } else {
        exit::INCOMPLETE
    })
}

/// The pattern that is meant: one that begins with the current folder is a whole path.
fn meant_pattern(typed: &OsStr, config: &Config) -> Vec<u8> {
    let path = Path::new(typed);
    let is_of_here = matches!(
        path.components().next(),
        Some(Component::CurDir | Component::ParentDir)
    );
    if !is_of_here {
        return typed.as_bytes().to_vec();
    }
    let mut meant = likely_meaning(&typed::path_meanings(path), config).into_os_string();
    // Only folders, as it was asked for.
    if typed.as_bytes().ends_with(b"/") {
        meant.push("/");
    }
    meant.as_bytes().to_vec()
}
