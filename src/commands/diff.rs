//! `diff`: what changed between two snapshots, or between one and the sources as they are.

use std::os::unix::ffi::OsStrExt as _;

use anyhow::Result;
use chrono::Local;
use executor::{
    Error,
    clock::Clock,
    event::{Context, Silent},
    history,
};
use schema::{SnapshotId, StoredPath, inventory::DestinationState};

use crate::{
    cli::Diff,
    commands::list::present,
    exit,
    out::Out,
    render::diff::{NOW, diff_lines, live_diff, snapshot_diff},
    settings::Settings,
    snapshots, take, typed,
};

/// Shows what changed between two snapshots, or since one.
pub(crate) fn run(arguments: &Diff, settings: &Settings, out: &Out) -> Result<u8> {
    let config = settings.config(out)?;
    let destination = present(settings, &config)?;
    let before = with_manifest(&arguments.before, &destination, out)?;
    let store = take::store_present(&config)?;
    let context = Context {
        observer: &Silent,
        stop: &settings.stop,
        clock: Clock::default(),
        threads: settings.threads,
    };
    let path = arguments.path.as_deref();
    let path = path.map(|path| typed::meant(path, &config));
    let path = path.as_deref().map_or(StoredPath::root(), |path| {
        StoredPath::new(path.as_os_str().as_bytes())
    });
    let view = if arguments.after == NOW {
        let choice = (&config.local).into();
        let never = take::left_out(Some(&store));
        let now = history::diff_now(&store, before, &choice, never, path, context)?;
        live_diff(before, path, &now)
    } else {
        let after = with_manifest(&arguments.after, &destination, out)?;
        let diff = history::diff(&store, (before, after), path, context)?;
        snapshot_diff(before, after.to_string(), path, &diff)
    };
    if settings.json {
        out.data_json(&view);
    } else {
        for one in &view.not_compared {
            out.note(&format!(
                "warning: not compared: {}: {}",
                one.path, one.because
            ));
        }
        out.data(&diff_lines(&view, &settings.style));
    }
    Ok(if view.not_compared.is_empty() {
        exit::DONE
    } else {
        exit::INCOMPLETE
    })
}

fn with_manifest(name: &str, destination: &DestinationState, out: &Out) -> Result<SnapshotId> {
    let named = snapshots::find(name, destination, Local::now().fixed_offset())?;
    if let Some(warning) = snapshots::passed_over(name, &named, destination, None) {
        out.note(&warning);
    }
    match named.id.filter(|_| named.managed) {
        Some(id) => Ok(id),
        None => Err(Error::refused(format!(
            "{}/{} was not made by this program and has no manifest to compare",
            named.home, named.folder
        ))
        .hint("`backup adopt` makes a snapshot of it; `diff -r` compares folders")
        .into()),
    }
}
