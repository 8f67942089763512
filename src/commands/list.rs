//! `list`: shows all snapshots.

use std::collections::BTreeMap;

use anyhow::Result;
use backup::{Engine, engine::Listing};
use schema::{
    config::DestinationName,
    output::list::{FORMAT_VERSION, SnapshotList},
};

use crate::{cli::List, exit, out::Out, render, screen::Screen, settings::Settings};

/// Shows all snapshots, of each destination.
pub(crate) fn list_snapshots(arguments: &List, settings: &Settings, out: &Out) -> Result<u8> {
    let engine = settings.open_engine_at(arguments.at.now, out)?;
    if engine.named().is_empty() {
        let listing = engine.list(&Screen::new(settings, out))?;
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
    let mut listed: BTreeMap<DestinationName, SnapshotList> = BTreeMap::new();
    let mut fault = None;
    for (name, listing) in engine.list_all(&Screen::new(settings, out))? {
        match listing {
            Ok(listing) => {
                if !settings.json {
                    let blank = if listed.is_empty() { "" } else { "\n" };
                    let title = settings.style.bold(name.as_str());
                    out.print_data(&format!("{blank}{title}\n"));
                    show_listing(&listing, settings, out);
                }
                listed.insert(name, listing.list);
            }
            Err(error) => {
                let words = |text: &str| engine.config().in_words_of(&name, text);
                let message = format!("{name}: {}", words(&error.message));
                let hint = error.hint.as_deref().map(words);
                out.print_message(&render::report::warning_lines(
                    &message,
                    hint.as_deref(),
                    &settings.error_style,
                ));
                fault = Some(error);
            }
        }
    }
    if let Some(fault) = fault.filter(|_| listed.is_empty()) {
        return Ok(exit::code_of_error(&fault, None));
    }
    if settings.json {
        let local = listed.remove(&DestinationName::new(DestinationName::LOCAL));
        let mut whole = local.unwrap_or_else(|| SnapshotList {
            format_version: FORMAT_VERSION,
            mount_point: engine.config().local.mount_point.to_string(),
            snapshots: Vec::new(),
            record_fault: None,
            unmanaged: Vec::new(),
            unfinished: Vec::new(),
            being_removed: Vec::new(),
            destinations: BTreeMap::new(),
        });
        whole.destinations = listed;
        out.print_json(&whole);
    }
    Ok(exit::DONE)
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
