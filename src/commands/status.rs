//! `status`: how old and how healthy the backup is.

use anyhow::Result;

use crate::{cli::At, exit, out::Out, render::status::status_page, settings::Settings};

/// Shows the state of the backup. An absent destination is part of the answer, not an error.
pub(crate) fn show_status(arguments: &At, settings: &Settings, out: &Out) -> Result<u8> {
    let engine = settings.open_engine_at(arguments.now, out)?;
    let status = engine.status()?;
    if settings.json {
        out.print_json(&status);
    } else {
        out.print_data(&status_page(&status, settings.verbose, &settings.style));
    }
    Ok(exit::DONE)
}
