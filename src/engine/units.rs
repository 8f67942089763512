//! Writing the systemd units of a configuration to a folder.

use std::{
    io,
    path::{Path, PathBuf},
};

use executor::{
    Error,
    error::Result,
    trust::{self, NewFile},
};
use planner::units::{HEADER, NAMES, Unit, is_of_destination};

use super::own_file::begins_with;

/// What becomes of a unit's file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnitChange<'a> {
    /// It was written.
    Wrote(&'a Path),
    /// It was of an earlier configuration, and was removed.
    Removed(&'a Path),
}

/// Who, besides root, could replace the program that units start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProgramDistrust {
    /// Others than root and the user who runs this; the sentence says who and how.
    ByOthers(String),
    /// The user who runs this, although the units are root's.
    ByCaller(String),
}

/// Who could replace a program that root's units are to start; none where only root can, or where
/// there is none yet.
///
/// # Errors
/// Fails if it cannot be looked at.
pub fn judge_program(program: &Path) -> Result<Option<ProgramDistrust>> {
    if let Some(found) = trust::find_distrust(program)? {
        return Ok(Some(ProgramDistrust::ByOthers(found.because)));
    }
    Ok(trust::find_own_say(program).map(ProgramDistrust::ByCaller))
}

/// Makes a copy of a program that only root can replace.
///
/// # Errors
/// Refused if others could change it there, or if something that is no file of root's has its name;
/// fails if it cannot be read or written.
pub fn install_program(from: &Path, to: &Path) -> Result<()> {
    let place = NewFile::at(to, "the program")?;
    let read = std::fs::read(from);
    let bytes =
        read.map_err(|error| Error::io("read", from.as_os_str().as_encoded_bytes(), error))?;
    place.write_with_mode(&bytes, 0o755)
}

/// Writes each unit by a rename, so that systemd never reads half of one, and removes those of an
/// earlier configuration; `each` is told of every file.
///
/// # Errors
/// Refused if a file of that name was not made by this program; fails if the folder or a file cannot
/// be written.
pub fn write_units(
    folder: &Path,
    units: &[Unit],
    each: &mut dyn FnMut(UnitChange<'_>),
) -> Result<()> {
    let io_error = |doing: &str, path: &Path, error: io::Error| {
        Error::io(doing, path.as_os_str().as_encoded_bytes(), error)
            .hint("name another folder with --to, or run as root")
    };
    let gone = decide_units(folder, units)?;
    std::fs::create_dir_all(folder).map_err(|error| io_error("make", folder, error))?;
    for unit in units {
        let path = folder.join(&unit.name);
        // Whatever the caller's mask: others may read units, and never write them.
        NewFile::at(&path, "the unit")?.write_with_mode(unit.text.as_bytes(), 0o644)?;
        each(UnitChange::Wrote(&path));
    }
    for path in gone {
        std::fs::remove_file(&path).map_err(|error| io_error("remove", &path, error))?;
        each(UnitChange::Removed(&path));
    }
    Ok(())
}

/// Tells `each` of what [`write_units`] would do. Writes nothing.
///
/// # Errors
/// Refused as it would be.
pub fn foretell_units(
    folder: &Path,
    units: &[Unit],
    each: &mut dyn FnMut(UnitChange<'_>),
) -> Result<()> {
    let gone = decide_units(folder, units)?;
    for unit in units {
        each(UnitChange::Wrote(&folder.join(&unit.name)));
    }
    gone.iter().for_each(|path| each(UnitChange::Removed(path)));
    Ok(())
}

/// The files of an earlier configuration that go, where all of these may be written.
fn decide_units(folder: &Path, units: &[Unit]) -> Result<Vec<PathBuf>> {
    NewFile::check_folder(folder, "the units")?;
    for unit in units {
        let path = folder.join(&unit.name);
        if begins_with(&path, HEADER) == Some(false) {
            return Err(Error::refused(format!(
                "{} is there and was not made by this program",
                schema::escape::display(path.as_os_str().as_encoded_bytes())
            ))
            .hint("move it away, or name another folder with --to"));
        }
        if folder.is_dir() {
            NewFile::at(&path, "the unit")?;
        }
    }
    let is_gone = |name: &String| !units.iter().any(|unit| unit.name == *name);
    let known = NAMES.iter().map(|name| (*name).to_owned());
    let gone = known.chain(units_of_destinations(folder)).filter(is_gone);
    Ok(gone
        .map(|name| folder.join(name))
        .filter(|path| begins_with(path, HEADER) == Some(true))
        .collect())
}

/// The names in a folder that units of named destinations may have, of whatever configuration.
fn units_of_destinations(folder: &Path) -> Vec<String> {
    let found = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let names = found.filter_map(|entry| entry.file_name().into_string().ok());
    let mut names: Vec<String> = names.filter(|name| is_of_destination(name)).collect();
    names.sort_unstable();
    names
}
