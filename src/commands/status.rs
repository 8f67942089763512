//! `status`: how old and how healthy the backup is.

use anyhow::Result;

use crate::{cli::At, exit, out::Out, render::status::status_page, settings::Settings};

/// Shows the state of the backup. An absent destination is part of the answer, not an error.
pub(crate) fn show_status(arguments: &At, settings: &Settings, out: &Out) -> Result<u8> {
    let engine = settings.open_engine_at(arguments.now, out)?;
    let (status, fault) = engine.look_at_status()?;
    if settings.json {
        out.print_json(&status);
    } else {
        out.print_data(&status_page(&status, settings.verbose, &settings.style));
    }
    // What is known of the others is told all the same.
    Ok(fault.map_or(exit::DONE, |fault| exit::code_of_error(&fault, None)))
}
