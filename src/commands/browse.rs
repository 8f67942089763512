//! `browse`: snapshots, files and their versions in the terminal.

mod actions;
mod place;
mod source;

use std::{io::IsTerminal as _, path::Path, sync::Arc};

use anyhow::Result;
use browse::{End, Options};
use executor::Error;
use planner::restore::likely_meaning;
use schema::StoredPathBuf;

use self::{actions::Actions, source::SnapshotSource};
use crate::{
    cli::{Browse, BrowsePlace},
    exit,
    out::Out,
    settings::Settings,
    style::shown,
    typed,
};

/// The exit code of whose terminal went.
const HUNG_UP: u8 = 129;

/// Lets a person look around in the snapshots, and restore from them.
pub(crate) fn browse_snapshots(arguments: &Browse, settings: &Settings, out: &Out) -> Result<u8> {
    require_terminal(settings)?;
    let of_folder;
    let settings = match &arguments.destination {
        Some(BrowsePlace::Folder(folder)) => {
            of_folder = settings.instead_of_file(place::config_of_folder(folder)?);
            &of_folder
        }
        _ => settings,
    };
    let engine = settings.open_engine(out)?;
    if engine.is_of_mirror() {
        return Err(
            Error::refused("a mirror has one snapshot, whose files are there as they are")
                .hint("`backup list` shows which, and `backup restore` takes them from there")
                .into(),
        );
    }
    let start = arguments.path.as_deref();
    let start = start.map(|path| likely_meaning(&typed::path_meanings(path), engine.config()));
    let start = start.map(|path| StoredPathBuf::of_typed(path.as_os_str().as_encoded_bytes()));
    let source = Arc::new(SnapshotSource::new(engine));
    let actions = Actions::new(Arc::clone(&source), settings, out);
    let here = std::env::current_dir();
    let options = Options {
        color: settings.style.color,
        start,
        here: here.map_or_else(|_| String::from("/"), |here| shown(&here)),
        stop: settings.stop.signal_cell(),
        end_process: || std::process::exit(HUNG_UP.into()),
    };
    let source: Arc<dyn browse::Source> = source;
    let ended = browse::run(&source, options, &mut |action| actions.act(action));
    match ended {
        Ok(End::Left) => Ok(exit::DONE),
        Ok(End::Stopped(signal)) => Ok(u8::try_from(128 + signal).unwrap_or(exit::FAILED)),
        Err(error) => Err(
            Error::failed(format!("the terminal cannot be used: {error}"))
                .hint("`backup list` and `backup find` show the same in lines")
                .into(),
        ),
    }
}

/// Refuses where there is no terminal that could be drawn on.
fn require_terminal(settings: &Settings) -> Result<()> {
    let is_dumb = std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
    let because = match settings.json {
        true => "--json: browse is for people",
        false if !std::io::stdout().is_terminal() || !std::io::stdin().is_terminal() => {
            "browse needs a terminal, and this is none"
        }
        false if is_dumb => {
            "browse needs a terminal that can be drawn on: TERM says that this is none"
        }
        false => return Ok(()),
    };
    Err(Error::refused(because)
        .hint(
            "`backup list` shows the snapshots, `backup find PATTERN` the versions of a path, `backup diff` what \
             changed",
        )
        .into())
}

/// A folder that a person typed: `~/` is of the home folder.
fn typed_folder(typed: &str) -> std::path::PathBuf {
    let typed = typed.trim();
    match typed.strip_prefix("~/") {
        Some(rest) => crate::settings::home_folder().join(rest),
        None if typed == "~" => crate::settings::home_folder(),
        None => Path::new(typed).to_owned(),
    }
}
