//! `list`: shows all snapshots.

use std::collections::BTreeMap;

use anyhow::Result;
use backup::{Engine, engine::Listing};
use schema::{
    config::DestinationName,
    output::{
        cloud::{self, CloudSnapshot, CloudSnapshotList},
        list::{FORMAT_VERSION, SnapshotList},
    },
};

use crate::{cli::List, exit, out::Out, render, screen::Screen, settings::Settings};

/// Shows all snapshots, of each destination.
pub(crate) fn list_snapshots(arguments: &List, settings: &Settings, out: &Out) -> Result<u8> {
    let engine = settings.open_engine_at(arguments.at.now, out)?;
    if engine.is_of_mirror() {
        return list_copies(&engine, settings, out);
    }
    if engine.named().is_empty() {
        let listing = engine.list(&Screen::new(settings, out))?;
        match settings.json {
            true => out.print_json(&listing.list),
            false => show_listing(engine.of_named(), &listing, settings, out),
        }
        return Ok(exit::DONE);
    }
    list_several(&engine, settings, out)
}

/// Shows which snapshots can be restored from a copy: that in the cloud, or a named mirror.
pub(crate) fn list_copies(engine: &Engine, settings: &Settings, out: &Out) -> Result<u8> {
    let screen = Screen::new(settings, out);
    let uploaded = engine.list_cloud(&screen);
    screen.clear();
    let uploaded = uploaded?;
    if settings.json {
        let snapshots = uploaded.into_iter().map(|id| CloudSnapshot { id });
        out.print_json(&CloudSnapshotList {
            format_version: cloud::FORMAT_VERSION,
            snapshots: snapshots.collect(),
        });
    } else {
        let ids: Vec<String> = uploaded.iter().map(ToString::to_string).collect();
        out.print_data(&ids.join("\n"));
    }
    Ok(exit::DONE)
}

/// Shows the snapshots of several destinations; refused where none of them can be looked at.
fn list_several(engine: &Engine, settings: &Settings, out: &Out) -> Result<u8> {
    let mut listed: BTreeMap<DestinationName, SnapshotList> = BTreeMap::new();
    let mut fault = None;
    for (at, (name, listing)) in engine
        .list_all(&Screen::new(settings, out))?
        .into_iter()
        .enumerate()
    {
        if !settings.json {
            let blank = if at == 0 { "" } else { "\n" };
            let title = settings.style.bold(name.as_str());
            out.print_data(&format!("{blank}{title}\n"));
        }
        match listing {
            Ok(listing) => {
                if !settings.json {
                    show_listing(Some(&name), &listing, settings, out);
                }
                listed.insert(name, listing.list);
            }
            Err(error) => {
                let message = match settings.json {
                    true => format!("{name}: {}", error.message),
                    false => error.message.clone(),
                };
                let (hint, style) = (error.hint.as_deref(), &settings.error_style);
                out.print_message(&render::messages::warning_lines(&message, hint, style));
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

fn show_listing(of: Option<&DestinationName>, listing: &Listing, settings: &Settings, out: &Out) {
    let (list, style) = (&listing.list, &settings.style);
    out.print_data(&render::list::snapshot_list(of, list, style));
    for finding in &listing.refusals {
        out.print_unless_quiet(&render::messages::finding_lines(
            finding,
            &settings.error_style,
        ));
    }
}
