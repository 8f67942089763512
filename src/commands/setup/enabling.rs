//! The units of a configuration, where they belong, started by systemd from now on.

use std::path::{Path, PathBuf};

use anyhow::Result;
use backup::engine::{ProgramDistrust, UnitChange, UnitPlace, install_program, judge_program};
use executor::Error;
use planner::units::{Layout, Unit, render_units, render_user_units};
use schema::{Config, FailureCode, setup::Surroundings};

use super::unit_place;
use crate::{commands::units, settings::Settings, style::shown};

/// Units that can be enabled.
pub(super) struct Enabling {
    units: Vec<Unit>,
    place: UnitPlace,
    /// This program and where it is to be installed.
    install: Option<(PathBuf, PathBuf)>,
}

impl Enabling {
    /// The units of a configuration, if they can be enabled here; nothing is written.
    ///
    /// # Errors
    /// Refused without systemd, on NixOS, and where others could replace the program.
    pub(super) fn prepare(
        installs: bool,
        config: &Config,
        found: &Surroundings,
        settings: &Settings,
    ) -> Result<Self> {
        if is_nix_made(found) {
            return Err(Error::refused(
                "on NixOS the units are made from the system's configuration",
            )
            .hint("import nixos/default.nix and set `hwc.system.services.backup.schedule.enable`")
            .into());
        }
        if !found.has_systemd {
            return Err(Error::refused("systemd does not run here (--enable)")
                .hint(
                    "leave --enable out, and have cron or the like run `backup apply --if-due` each hour",
                )
                .into());
        }
        let program = std::env::current_exe()?;
        let install = (installs && program != Path::new(units::INSTALLED))
            .then(|| (program.clone(), PathBuf::from(units::INSTALLED)));
        let started = match &install {
            Some((_, installed)) => installed.clone(),
            None => {
                trust(&program, found)?;
                program
            }
        };
        let layout = Layout {
            program: units::unit_path(&started, "the program")?,
            config: units::unit_path(&settings.config_path, "--config")?,
            state_dir: units::unit_path(&settings.state_dir, "--state-dir")?,
        };
        let units = if found.is_root {
            render_units(config, &layout)
        } else {
            render_user_units(config, &layout)
        };
        Ok(Self {
            units,
            place: unit_place(),
            install,
        })
    }

    /// Where this program is to be installed, if so.
    pub(super) fn installed(&self) -> Option<&Path> {
        self.install.as_ref().map(|(_, to)| to.as_path())
    }

    /// Where the units and rules belong.
    pub(super) fn paths(&self) -> Vec<String> {
        let units = self.units.iter();
        let paths = units.filter_map(|unit| self.place.path_of(unit));
        paths.map(|path| shown(&path)).collect()
    }

    /// Does it, and says so; gives the names of the units that are enabled.
    pub(super) fn enable(&self, say: &dyn Fn(&str)) -> Result<Vec<String>> {
        if let Some((from, to)) = &self.install {
            install_program(from, to)?;
            say(&format!("installed {}", shown(to)));
        }
        let enabled = self
            .place
            .enable_units(&self.units, &mut |change| match change {
                UnitChange::Wrote(path) => say(&format!("wrote {}", shown(path))),
                UnitChange::Removed(path) => say(&format!("removed {}", shown(path))),
            })?;
        Ok(enabled)
    }
}

/// Whether a system makes its units itself.
pub(super) fn is_nix_made(found: &Surroundings) -> bool {
    found.is_root && found.is_nixos
}

/// Why the units should not start this program; none where they may.
pub(super) fn why_untrusted(found: &Surroundings) -> Result<Option<String>> {
    let program = std::env::current_exe()?;
    Ok(match judge_program(&program)? {
        Some(ProgramDistrust::ByOthers(because)) if found.is_root => Some(because),
        _ => None,
    })
}

/// Refuses a program that others could replace.
fn trust(program: &Path, found: &Surroundings) -> Result<()> {
    let Some(ProgramDistrust::ByOthers(because)) = judge_program(program)? else {
        return Ok(());
    };
    let hint = if found.is_root {
        "add --install, which makes a copy as /usr/local/bin/backup for the units"
    } else {
        "move it to a folder that only you can write to, such as ~/.local/bin"
    };
    let named = shown(program);
    let message = format!("{named}, which the units start, is not to be trusted: {because}");
    Err(Error::refused(message)
        .coded(FailureCode::Untrusted)
        .hint(hint)
        .into())
}
