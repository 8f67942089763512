//! `adopt`: makes snapshots of what another tool backed up.

use std::{os::unix::ffi::OsStrExt as _, path::Path};

use anyhow::Result;
use backup::engine::{AdoptRequest, PreparedAdoption};
use schema::{StoredPathBuf, output::adopt::AdoptPreview};

use crate::{
    cli::Adopt,
    commands::{agree, outcome},
    exit,
    out::Out,
    render::{self, hint},
    screen::Screen,
    settings::Settings,
    typed,
};

/// Shows what becomes what, asks, and does it.
pub(crate) fn adopt_folders(arguments: &Adopt, settings: &Settings, out: &Out) -> Result<u8> {
    let engine = settings.open_engine(out)?;
    let (folder, at) = (arguments.folder.as_ref(), arguments.at.as_ref());
    let request = AdoptRequest {
        folder: folder.map(|folder| typed::whole_path(folder)).transpose()?,
        at: at.map(|at| path_in_snapshot(at)).transpose()?,
        point: arguments.point.clone(),
    };
    let prepared = engine.prepare_adopt(&request)?;
    if !settings.json && !prepared.found.passed_over.is_empty() {
        out.print_unless_quiet(&render::adopt::passed_over_lines(&prepared.found));
    }
    let unread = prepared.found.unread;
    let done = match unread {
        0 => exit::DONE,
        _ => exit::INCOMPLETE,
    };
    if prepared.step.trees.is_empty() {
        if settings.json && arguments.dry_run {
            out.print_json(&AdoptPreview::from(prepared.step.clone()));
        } else {
            out.print_message("nothing to adopt was found");
            if unread > 0 {
                out.print_message(&hint::line(0, UNREAD));
            }
        }
        return Ok(done);
    }
    if arguments.dry_run {
        show_dry_run(&prepared, settings, out);
        let refused = engine.foretell_adopt(&prepared)?.refused;
        return Ok(match refused {
            Some(refused) if settings.json => exit::code_of_result(refused.report().result),
            Some(refused) => outcome::show_not_begun(&refused, settings, out),
            None => done,
        });
    }
    if !settings.json {
        out.print_unless_quiet(&render::adopt::adoption_preview(&prepared.step));
    }
    if !arguments.yes {
        let question = "Stop the other tool first. Adopt these?";
        let alone = "folders of another tool are only taken if a person agrees";
        agree::ask_person(question, alone, settings, out)?;
    }
    let screen = Screen::new(settings, out).told_at_end();
    let adopted = engine.adopt(prepared, &screen);
    screen.clear();
    let code = outcome::show_steps(&adopted?, "adopt", &outcome::said, settings, out);
    if code == exit::DONE && unread > 0 {
        out.print_message(&hint::line(0, UNREAD));
        return Ok(done);
    }
    Ok(code)
}

/// What to do where a folder could not be read.
const UNREAD: &str =
    "look at `dmesg` and at who may read what was left alone, then run the same again";

fn show_dry_run(prepared: &PreparedAdoption, settings: &Settings, out: &Out) {
    if settings.json {
        out.print_json(&AdoptPreview::from(prepared.step.clone()));
    } else {
        out.print_data(&render::adopt::adoption_preview(&prepared.step));
    }
}

/// A path on the machine as a path in a snapshot, escaped.
fn path_in_snapshot(at: &Path) -> Result<String> {
    let whole = typed::whole_path(at)?;
    Ok(StoredPathBuf::of_typed(whole.as_os_str().as_bytes()).escaped())
}
