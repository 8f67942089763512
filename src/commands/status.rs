//! `status`: how old and how healthy the backup is.

mod watch;

use anyhow::Result;
use backup::Engine;
use schema::output::status::BackupStatus;

use crate::{
    cli::{At, Status},
    exit,
    out::Out,
    render::status::{LastDays, status_page},
    settings::Settings,
    style::Drawing,
};

/// Days that are shown as marks.
const DAYS: u64 = 14;

/// Shows the state of the backup, or what goes on first.
pub(crate) fn show_or_watch(arguments: &Status, settings: &Settings, out: &Out) -> Result<u8> {
    match arguments.watch {
        true => watch::watch_run(settings, out),
        false => show_status(&arguments.at, settings, out),
    }
}

/// Shows the state of the backup. An absent destination is part of the answer, not an error.
pub(crate) fn show_status(arguments: &At, settings: &Settings, out: &Out) -> Result<u8> {
    let engine = settings.open_engine_at(arguments.now, out)?;
    show(&engine, settings, out, |status| out.print_json(status))
}

/// Looks at the state of the backup and shows it; `print_json` does where JSON is wanted.
fn show(
    engine: &Engine,
    settings: &Settings,
    out: &Out,
    print_json: impl Fn(&BackupStatus),
) -> Result<u8> {
    let (status, fault) = engine.look_at_status()?;
    if settings.json {
        print_json(&status);
    } else {
        let style = &settings.style;
        let days = match style.drawing {
            Drawing::Nothing => LastDays::new(),
            Drawing::Letters | Drawing::Signs => engine.mark_days(DAYS)?,
        };
        out.print_data(&status_page(&status, &days, settings.verbose, style));
    }
    // What is known of the others is told all the same.
    Ok(fault.map_or(exit::DONE, |fault| exit::code_of_error(&fault, None)))
}
