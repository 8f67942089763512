//! `list`: shows all snapshots.

use anyhow::Result;
use backup::{Engine, engine::Listing};
use schema::output::list::SnapshotList;

use crate::{cli::At, exit, out::Out, render, settings::Settings};

/// Shows all snapshots, of each destination.
pub(crate) fn list_snapshots(arguments: &At, settings: &Settings, out: &Out) -> Result<u8> {
    let engine = settings.open_engine_at(arguments.now, out)?;
    if engine.named().is_empty() {
        let listing = engine.list()?;
        match settings.json {
            true => out.print_json(&listing.list),
            false => show_listing(&listing, settings, out),
        }
        return Ok(exit::DONE);
    }
    list_several(&engine, settings, out)
}

/// Shows the snapshots of several destinations; refused where none of them can be looked at.
fn list_several(engine: &Engine, settings: &Settings, out: &Out) -> Result<u8> {
    let mut listed: Vec<SnapshotList> = Vec::new();
    let mut fault = None;
    let mut is_first = true;
    for (name, listing) in engine.list_all()? {
        match listing {
            Ok(listing) if settings.json => listed.push(listing.list),
            Ok(listing) => {
                let blank = if is_first { "" } else { "\n" };
                is_first = false;
                let name = settings.style.bold(name.as_str());
                out.print_data(&format!("{blank}{name}\n"));
                show_listing(&listing, settings, out);
                listed.push(listing.list);
            }
            Err(error) => {
                let message = format!("{name}: {}", error.message);
                let hint = error.hint.as_deref();
                out.print_message(&render::report::warning_lines(
                    &message,
                    hint,
                    &settings.error_style,
                ));
                fault = Some(error);
            }
        }
    }
    if settings.json {
        out.print_json(&listed);
    }
    match fault.filter(|_| listed.is_empty()) {
        Some(fault) => Ok(exit::code_of_error(&fault, None)),
        None => Ok(exit::DONE),
    }
}

fn show_listing(listing: &Listing, settings: &Settings, out: &Out) {
    out.print_data(&render::list::snapshot_list(&listing.list, &settings.style));
    for finding in &listing.refusals {
        out.print_unless_quiet(&render::report::finding_lines(
            finding,
            &settings.error_style,
        ));
    }
}
