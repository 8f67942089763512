//! What the machine says that it keeps, and how each of it is backed up.

use std::{fs::Metadata, io, os::unix::fs::MetadataExt as _, path::Path};

use chrono::{DateTime, Local};
use executor::{
    bounded::LONGEST_CONFIG,
    error::{Error, Result},
    sys::{mounts, resolve::resolve},
    trust,
};
use planner::state::{StateFact, StateFacts, judge_state};
use schema::{
    FailureCode, escape,
    output::state::StateReport,
    state::{FORMAT_VERSION, StatePath, StateTable},
};

use super::Engine;

impl Engine {
    /// Judges what `file`, the `state.json` of this machine, says that it keeps.
    ///
    /// # Errors
    /// Refused if there is no such file, or if others could change it; fails if it is none.
    pub fn state_table(&self, file: &Path) -> Result<StateReport> {
        let named = escape::display(file.as_os_str().as_encoded_bytes());
        let table = read_table(file, &named)?;
        let facts: Vec<StateFact> = table.paths.iter().map(look_at).collect();
        let mounts = mounts::all_mounts().unwrap_or_default();
        let mounts: Vec<String> = mounts
            .into_iter()
            .filter_map(|mount| String::from_utf8(mount.mount_point).ok())
            .collect();
        Ok(judge_state(
            &table,
            self.config(),
            StateFacts {
                file: &named,
                paths: &facts,
                mounts: &mounts,
                now: self.now(),
            },
        ))
    }
}

fn read_table(file: &Path, named: &str) -> Result<StateTable> {
    let read = trust::read_file(file, "the list of what this machine keeps", LONGEST_CONFIG);
    let bytes = read.map_err(|error| match error.code {
        Some(FailureCode::NotFound) => Error::refused(format!(
            "nothing says what this machine keeps: {named} is not there"
        ))
        .hint(
            "on NixOS set services.backup.state.enable = true, or state.warn to be told alone; elsewhere \
             docs/state.md says what the file is",
        ),
        _ => error,
    })?;
    let hint = "write it anew: `nixos-rebuild switch` on NixOS";
    let table: StateTable = serde_json::from_slice(&bytes)
        .map_err(|error| Error::failed(format!("{named} says nothing: {error}")).hint(hint))?;
    if table.version != FORMAT_VERSION {
        return Err(Error::failed(format!(
            "{named} has format {}, and this program knows {FORMAT_VERSION}",
            table.version
        ))
        .hint("use a program and a module of one version"));
    }
    Ok(table)
}

/// What is found of a path. What a user may not look at is not known.
fn look_at(state: &StatePath) -> StateFact {
    let there = is_there(&ask(state.path.as_path()));
    let dump = state.database.as_ref().and_then(|one| one.dump.as_ref());
    let dump = dump.map(|dump| ask(dump.as_path()));
    let dump_there = dump.as_ref().and_then(is_there);
    let dump = dump.and_then(io::Result::ok);
    StateFact {
        there,
        dump_there,
        written_at: dump
            .as_ref()
            .and_then(|dump| DateTime::from_timestamp(dump.mtime(), 0))
            .map(|at| at.with_timezone(&Local).fixed_offset()),
        bytes: dump.map(|dump| dump.len()),
    }
}

/// What the kernel says of a path, unless it would have to wait for somebody who does not answer.
fn ask(path: &Path) -> io::Result<Metadata> {
    match resolve(path) {
        Err(error) if io::Error::from(error).kind() == io::ErrorKind::TimedOut => {
            Err(io::ErrorKind::TimedOut.into())
        }
        // The rest is judged by what stands there, which a user may ask of what he may not enter.
        _ => path.symlink_metadata(),
    }
}

fn is_there(found: &io::Result<Metadata>) -> Option<bool> {
    match found {
        Ok(_) => Some(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Some(false),
        Err(_) => None,
    }
}
