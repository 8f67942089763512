//! `browse`: snapshots, files and their versions in the terminal.

mod actions;
mod place;
mod source;

use std::{
    io::IsTerminal as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Result;
use backup::Engine;
use browse::{Destination, End, Options};
use executor::Error;
use planner::restore::likely_meaning;
use schema::{StoredPathBuf, config::DestinationName};

use self::{actions::Actions, source::SnapshotSource};
use crate::{
    cli::{Browse, BrowsePlace},
    exit,
    out::Out,
    settings::Settings,
    typed,
};

/// The exit code of whose terminal went.
const HUNG_UP: u8 = 129;

/// Lets a person look around in the snapshots, and restore from them.
pub(crate) fn browse_snapshots(arguments: &Browse, settings: &Settings, out: &Out) -> Result<u8> {
    require_terminal(settings)?;
    let mut settings = match &arguments.destination {
        Some(BrowsePlace::Folder(folder)) => {
            settings.instead_of_file(place::config_of_folder(folder)?)
        }
        _ => settings.clone(),
    };
    let mut engine = settings.open_engine(out)?;
    let start = arguments.path.as_deref();
    let start = start.map(|path| likely_meaning(&typed::path_meanings(path), engine.config()));
    let mut start = start.map(|path| StoredPathBuf::of_typed(path.as_os_str().as_encoded_bytes()));
    loop {
        match browse_one(engine, start, &settings, out)? {
            End::Left => return Ok(exit::DONE),
            End::Stopped(signal) => return Ok(u8::try_from(128 + signal).unwrap_or(exit::FAILED)),
            End::Elsewhere { destination, at } => {
                settings = settings.on_destination(DestinationName::new(&destination));
                engine = settings.open_engine(out)?;
                start = at;
            }
        }
    }
}

/// The same in one destination, until the person leaves it.
fn browse_one(
    engine: Engine,
    start: Option<StoredPathBuf>,
    settings: &Settings,
    out: &Out,
) -> Result<End> {
    if engine.is_of_mirror() {
        return Err(
            Error::refused("a mirror has one snapshot, whose files are there as they are")
                .hint("`backup list` shows which, and `backup restore` takes them from there")
                .into(),
        );
    }
    let destinations = engine.browsable().into_iter();
    let destinations = destinations.map(|(name, place)| Destination {
        name: name.to_string(),
        place,
    });
    let destinations = destinations.collect();
    let source = Arc::new(SnapshotSource::new(engine));
    let actions = Actions::new(Arc::clone(&source), settings, out);
    let options = Options {
        color: settings.style.color,
        start,
        destinations,
        here: here(std::env::current_dir().ok()),
        stop: settings.stop.signal_cell(),
        end_process: || std::process::exit(HUNG_UP.into()),
    };
    let source: Arc<dyn browse::Source> = source;
    let ended = browse::run(&source, options, &mut |action| actions.act(action));
    ended.map_err(|error| {
        Error::failed(format!("the terminal cannot be used: {error}"))
            .hint("`backup list` and `backup find` show the same in lines")
            .into()
    })
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

/// The working folder as a person could type it: what is no text, or would be read otherwise, is `.`.
fn here(folder: Option<PathBuf>) -> String {
    let text = folder.and_then(|folder| folder.into_os_string().into_string().ok());
    text.filter(|text| typed_folder(text) == Path::new(text))
        .unwrap_or_else(|| ".".to_owned())
}

/// A folder that a person typed: `~/` is of the home folder, and none is an option.
fn typed_folder(typed: &str) -> PathBuf {
    let typed = typed.trim();
    match typed.strip_prefix("~/") {
        Some(rest) => crate::settings::home_folder().join(rest),
        None if typed == "~" => crate::settings::home_folder(),
        None if typed.starts_with('-') => Path::new(".").join(typed),
        None => PathBuf::from(typed),
    }
}

#[cfg(test)]
mod tests {
    use std::{ffi::OsString, os::unix::ffi::OsStringExt as _};

    use super::*;

    #[test]
    fn what_is_offered_as_the_folder_to_restore_to_is_the_one_that_it_says() {
        let offered = |bytes: &[u8]| {
            let folder = OsString::from_vec(bytes.to_vec());
            here(Some(folder.into()))
        };
        assert_eq!(
            offered("/home/ann/größe a\\b".as_bytes()),
            "/home/ann/größe a\\b"
        );
        for other in [&b"/home/caf\xe9"[..], b"/home/ann/blank "] {
            assert_eq!(offered(other), ".", "{}", other.escape_ascii());
        }
        assert_eq!(here(None), ".");
    }
}
