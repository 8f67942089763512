//! `systemd-units`: prints the units of the configuration, or writes them to a folder.

use std::path::Path;

use anyhow::Result;
use backup::engine::{ProgramDistrust, UnitChange, foretell_units, judge_program, write_units};
use executor::Error;
use planner::units::{self, Layout};
use schema::{
    Config, FailureCode,
    output::systemd_units::{FORMAT_VERSION, UnitFiles},
    shell,
};

use crate::{
    cli::SystemdUnits,
    commands::outcome,
    exit::{self, invalid_input},
    out::Out,
    settings::{Settings, setup_for_good},
    style::shown,
    typed,
};

/// Where a program belongs that did not come with a package, by the file system hierarchy (hier(7)).
pub(crate) const INSTALLED: &str = "/usr/local/bin/backup";

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
    refuse_trial(&config)?;
    let units = if arguments.user {
        units::render_user_units(&config, &layout)
    } else {
        trust_program(&program, settings, out)?;
        units::render_units(&config, &layout)
    };
    match &arguments.to {
        Some(folder) if arguments.dry_run => {
            let mut lines = Vec::new();
            foretell_units(folder, &units, &mut |change| {
                lines.push(match change {
                    UnitChange::Wrote(path) => format!("would write {}", shown(path)),
                    UnitChange::Removed(path) => format!("would remove {}", shown(path)),
                });
            })?;
            outcome::show_dry_run(&lines, out);
        }
        Some(folder) => write_units(folder, &units, &mut |change| match change {
            UnitChange::Wrote(path) => out.print_unless_quiet(&format!("wrote {}", shown(path))),
            UnitChange::Removed(path) => {
                out.print_unless_quiet(&format!("removed {}", shown(path)));
            }
        })?,
        None if settings.json => {
            let files = units.iter();
            let files = files.map(|unit| (unit.name.clone(), unit.text.clone()));
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

/// Refuses the configuration of a trial, which is not for good.
fn refuse_trial(config: &Config) -> Result<()> {
    match config.trial {
        None => Ok(()),
        Some(_) => Err(
            Error::refused("a trial has no units: its folder is no drive")
                .hint(format!(
                    "{} writes a configuration for good",
                    setup_for_good()
                ))
                .into(),
        ),
    }
}

/// Refuses a program that others could replace: whoever does is started by the units, as root.
fn trust_program(program: &Path, settings: &Settings, out: &Out) -> Result<()> {
    let program = std::path::absolute(program)?;
    let hint = install_hint(&program);
    match judge_program(&program)? {
        Some(ProgramDistrust::ByOthers(because)) => {
            let named = shown(&program);
            let message =
                format!("{named}, which the units start, is not to be trusted: {because}");
            let error = Error::refused(message).coded(FailureCode::Untrusted);
            Err(error.hint(hint).into())
        }
        Some(ProgramDistrust::ByCaller(because)) if !settings.quiet => {
            out.print_message(&format!(
                "warning: these units are for root, and {because}\n  hint: {hint}"
            ));
            Ok(())
        }
        _ => Ok(()),
    }
}

/// What makes of a program one that only root can replace.
fn install_hint(program: &Path) -> String {
    let word = shell::word(program.as_os_str().as_encoded_bytes());
    format!("`sudo install -m 755 {word} {INSTALLED}`, then the same with --program {INSTALLED}")
}

/// A path as a unit can name it: absolute, and text.
pub(crate) fn unit_path(path: &Path, option: &str) -> Result<String> {
    let path = typed::whole_path(path).unwrap_or_else(|_| path.to_owned());
    path.to_str().map(str::to_owned).ok_or_else(|| {
        invalid_input(
            format!("{} ({option}) is not UTF-8, and a unit is", shown(&path)),
            "move it to a path of plain characters",
        )
    })
}
