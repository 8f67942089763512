//! `systemd-units`: prints the units of the configuration, or writes them to a folder.

use std::path::Path;

use anyhow::Result;
use backup::engine::{UnitChange, write_units};
use planner::units::{self, Layout};
use schema::output::systemd_units::{FORMAT_VERSION, UnitFiles};

use crate::{
    cli::SystemdUnits,
    exit::{self, invalid_input},
    out::Out,
    settings::Settings,
    style::shown,
};

/// Prints the units, or writes them.
pub(crate) fn print_units(arguments: &SystemdUnits, settings: &Settings, out: &Out) -> Result<u8> {
    let config = settings.read_config(out)?;
    let program = match &arguments.program {
        Some(program) => program.clone(),
        None => std::env::current_exe()?,
    };
    let layout = Layout {
        program: unit_path(&program, "--program")?,
        config: unit_path(&settings.config_path, "--config")?,
        state_dir: unit_path(&settings.state_dir, "--state-dir")?,
    };
    let units = units::render_units(&config, &layout);
    match &arguments.to {
        Some(folder) => write_units(folder, &units, &mut |change| match change {
            UnitChange::Wrote(path) => out.print_unless_quiet(&format!("wrote {}", shown(path))),
            UnitChange::Removed(path) => {
                out.print_unless_quiet(&format!("removed {}", shown(path)));
            }
        })?,
        None if settings.json => {
            let files = units.iter();
            let files = files.map(|unit| (unit.name.to_owned(), unit.text.clone()));
            out.print_json(&UnitFiles {
                format_version: FORMAT_VERSION,
                units: files.collect(),
            });
        }
        None => {
            for unit in &units {
                out.print_document(&format!("# --- {}\n{}\n", unit.name, unit.text));
            }
        }
    }
    Ok(exit::DONE)
}

/// A path as a unit can name it: absolute, and text.
fn unit_path(path: &Path, option: &str) -> Result<String> {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    path.to_str().map(str::to_owned).ok_or_else(|| {
        invalid_input(
            format!("{} ({option}) is not UTF-8, and a unit is", shown(&path)),
            "move it to a path of plain characters",
        )
    })
}
