//! `list`: shows all snapshots.

use anyhow::Result;

use crate::{cli::At, exit, out::Out, render, settings::Settings};

/// Shows all snapshots.
pub(crate) fn list_snapshots(arguments: &At, settings: &Settings, out: &Out) -> Result<u8> {
    let engine = settings.open_engine_at(arguments.now, out)?;
    let listing = engine.list()?;
    if settings.json {
        out.print_json(&listing.list);
        return Ok(exit::DONE);
    }
    out.print_data(&render::list::snapshot_list(&listing.list, &settings.style));
    for finding in &listing.refusals {
        out.print_unless_quiet(&render::report::finding_lines(
            finding,
            &settings.error_style,
        ));
    }
    Ok(exit::DONE)
}
