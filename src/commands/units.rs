//! `systemd-units`: prints the units of the configuration, or writes them to a folder.

use std::path::{Path, PathBuf};

use anyhow::Result;
use planner::units::{self, Layout, Unit};
use schema::output::systemd_units::UnitFiles;

use crate::{
    cli::SystemdUnits,
    exit::{self, invalid},
    out::Out,
    settings::Settings,
};

/// Prints the units, or writes them.
pub(crate) fn print_units(arguments: &SystemdUnits, settings: &Settings, out: &Out) -> Result<u8> {
    let config = settings.read_config(out)?;
    let program = match &arguments.program {
        Some(program) => program.clone(),
        None => std::env::current_exe()?,
    };
    let layout = Layout {
        program: text(&program, "--program")?,
        config: text(&settings.config_path, "--config")?,
        state_dir: text(&settings.state_dir, "--state-dir")?,
    };
    let units = units::render_units(&config, &layout);
    match &arguments.to {
        Some(folder) => write(folder, &units, out)?,
        None if settings.json => {
            let files = units.iter();
            let files = files.map(|unit| (unit.name.to_owned(), unit.text.clone()));
            out.data_json(&UnitFiles(files.collect()));
        }
        None => {
            for unit in &units {
                out.data(&format!("# --- {}\n{}\n", unit.name, unit.text));
            }
        }
    }
    Ok(exit::DONE)
}

/// A path as a unit can name it: absolute, and text.
fn text(path: &Path, option: &str) -> Result<String> {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    path.to_str().map(str::to_owned).ok_or_else(|| {
        invalid(
            format!("{} ({option}) is not UTF-8, and a unit is", path.display()),
            "move it to a path of plain characters",
        )
    })
}

/// Writes each unit by a rename, so that systemd never reads half of one, and removes those of an
/// earlier configuration.
fn write(folder: &Path, units: &[Unit], out: &Out) -> Result<()> {
    let io = |doing: &str, path: &Path, error: std::io::Error| {
        executor::Error::io(doing, path.as_os_str().as_encoded_bytes(), error)
            .hint("name another folder with --to, or run as root")
    };
    std::fs::create_dir_all(folder).map_err(|error| io("make", folder, error))?;
    for unit in units {
        let path = folder.join(unit.name);
        if is_ours(&path) == Some(false) {
            return Err(executor::Error::refused(format!(
                "{} is there and was not made by this program",
                path.display()
            ))
            .hint("move it away, or name another folder with --to")
            .into());
        }
        let new = folder.join(format!(".{}.new", unit.name));
        std::fs::write(&new, &unit.text)
            .and_then(|()| std::fs::rename(&new, &path))
            .map_err(|error| io("write", &path, error))?;
        out.say(&format!("wrote {}", path.display()));
    }
    let gone = |name: &&&str| !units.iter().any(|unit| unit.name == **name);
    for name in units::NAMES.iter().filter(gone) {
        let path: PathBuf = folder.join(name);
        if is_ours(&path) == Some(true) {
            std::fs::remove_file(&path).map_err(|error| io("remove", &path, error))?;
            out.say(&format!("removed {}", path.display()));
        }
    }
    Ok(())
}

/// Whether a file was made by this program; none if there is none.
fn is_ours(path: &Path) -> Option<bool> {
    match std::fs::read_to_string(path) {
        Ok(text) => Some(text.starts_with(units::HEADER)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(_) => Some(false),
    }
}
