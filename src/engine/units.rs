//! Writing the systemd units of a configuration to a folder.

use std::{
    io::{self, Read as _},
    path::Path,
};

use executor::{Error, error::Result};
use planner::units::{HEADER, NAMES, Unit};

/// What became of a unit's file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnitChange<'a> {
    /// It was written.
    Wrote(&'a Path),
    /// It was of an earlier configuration, and was removed.
    Removed(&'a Path),
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
    std::fs::create_dir_all(folder).map_err(|error| io_error("make", folder, error))?;
    for unit in units {
        let path = folder.join(unit.name);
        if is_ours(&path) == Some(false) {
            return Err(Error::refused(format!(
                "{} is there and was not made by this program",
                schema::escape::display(path.as_os_str().as_encoded_bytes())
            ))
            .hint("move it away, or name another folder with --to"));
        }
        let new = folder.join(format!(".{}.new", unit.name));
        std::fs::write(&new, &unit.text)
            .and_then(|()| std::fs::rename(&new, &path))
            .map_err(|error| io_error("write", &path, error))?;
        each(UnitChange::Wrote(&path));
    }
    let is_gone = |name: &&&str| !units.iter().any(|unit| unit.name == **name);
    for name in NAMES.iter().filter(is_gone) {
        let path = folder.join(name);
        if is_ours(&path) == Some(true) {
            std::fs::remove_file(&path).map_err(|error| io_error("remove", &path, error))?;
            each(UnitChange::Removed(&path));
        }
    }
    Ok(())
}

/// Whether a file was made by this program; none if there is none.
fn is_ours(path: &Path) -> Option<bool> {
    let read = || -> io::Result<Vec<u8>> {
        let mut start = Vec::new();
        let file = std::fs::File::open(path)?;
        file.take(HEADER.len() as u64).read_to_end(&mut start)?;
        Ok(start)
    };
    match read() {
        Ok(start) => Some(start == HEADER.as_bytes()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(_) => Some(false),
    }
}
