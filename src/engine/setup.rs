//! Setting a backup up for the first time: looking around, writing the configuration, enabling its units.

use std::{
    ffi::OsString,
    fs::DirBuilder,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

use chrono::Local;
use executor::{
    Error,
    cloud::rclone,
    error::Result,
    scan,
    service_manager::{self, ServiceManager},
    sys::resolve::{resolve, same_file_system},
    trust::NewFile,
};
use nix::unistd::geteuid;
use planner::{
    check::{self, nested},
    units::{POWER_RULE, Unit, enabled_units},
};
use schema::{Config, config::AbsolutePath, setup::Surroundings};

use super::{ConfigFault, UnitChange, own_file::begins_with, write_units};

/// The first line of each README that is written beside a configuration.
pub const README_HEADER: &str = "<!-- Made by `backup setup`, which makes it anew. -->";
/// Its name.
const README: &str = "README.md";
/// The program that copies to remotes.
const RCLONE: &str = "rclone";
/// Where root's units are.
const SYSTEM_UNITS: &str = "/etc/systemd/system";
/// Where rules of udev are.
const UDEV_RULES: &str = "/etc/udev/rules.d";

/// What there is that a first configuration can be made of; `home` is the home folder of whoever asks.
#[must_use]
pub fn look_around(home: &Path) -> Surroundings {
    scan::scan_surroundings(home)
}

/// Whether something is there that could be backed up.
///
/// # Errors
/// Fails with why it cannot be looked at.
pub fn look_at_source(path: &Path) -> Result<()> {
    let found = resolve(path);
    found
        .map(|_| ())
        .map_err(|error| Error::io("look at", path.as_os_str().as_encoded_bytes(), error))
}

/// The configuration of rclone that has a remote: this one, or the one that rclone takes by itself; none where it
/// has the remote from elsewhere. The remote itself is not asked.
///
/// # Errors
/// Refused if rclone is not there, if its configuration has no such remote, or if others could read it.
pub fn look_at_remote(remote: &str, config: Option<&AbsolutePath>) -> Result<Option<AbsolutePath>> {
    if let Some(fault) = rclone::find_rclone(RCLONE).fault {
        return Err(
            Error::refused(format!("rclone cannot be run (cloud.remote): {fault}")).hint(
                "install rclone (https://rclone.org/install), make the remote with `rclone config`, then do \
                 this again",
            ),
        );
    }
    let file = config.cloned().or_else(|| rclone::default_config(RCLONE));
    if let Some(file) = &file {
        rclone::check_config(file)?;
    }
    if rclone::has_remote(RCLONE, file.as_ref(), remote) != Some(false) {
        return Ok(file);
    }
    let name = remote.split(':').next().unwrap_or_default();
    let there = rclone::list_remotes(RCLONE, file.as_ref()).unwrap_or_default();
    let with = config.map_or_else(String::new, |file| {
        format!(" --config={}", schema::shell::word(file.as_str()))
    });
    let makes = format!("`rclone{with} config` makes it");
    let hint = match there.as_slice() {
        [] => format!("{makes}; there is none yet"),
        there => format!("{makes}; there is {}", there.join(", ")),
    };
    Err(Error::refused(format!("rclone has no remote `{name}:` (cloud.remote)")).hint(hint))
}

/// The remotes that rclone has by itself, such as `nas:`; none where it is not there.
#[must_use]
pub fn list_remotes() -> Vec<String> {
    let file = rclone::default_config(RCLONE);
    let remotes = file.and_then(|file| rclone::list_remotes(RCLONE, Some(&file)));
    remotes.unwrap_or_default()
}

/// Checks a configuration that is not written yet, on the machine that it is for.
///
/// # Errors
/// Fails with all that is wrong with it.
pub fn check_new_config(text: &str) -> std::result::Result<Config, ConfigFault> {
    let checked = check::check_config(text.as_bytes()).map_err(ConfigFault::Invalid)?;
    let same =
        |one: &AbsolutePath, other: &AbsolutePath| same_file_system(one.as_path(), other.as_path());
    let nested = nested(&checked.config, &same);
    if nested.is_empty() {
        Ok(checked.config)
    } else {
        Err(ConfigFault::Invalid(nested))
    }
}

/// What was written, and what was kept of what was there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenConfig {
    /// The README; none where somebody else's is there, which is left as it is.
    pub readme: Option<PathBuf>,
    /// The configuration that was there before, under its new name.
    pub kept: Option<PathBuf>,
}

/// Writes a configuration and the README beside it. One that is there is kept under another name.
///
/// Root's can be read by everybody, as it holds no secret and users look at their backups with it; a
/// user's own by nobody else.
///
/// # Errors
/// Refused if others could change it there, or if something that is no file of one's own has its name;
/// fails if it cannot be written.
pub fn write_new_config(path: &Path, text: &str, readme: &str) -> Result<WrittenConfig> {
    let is_root = geteuid().is_root();
    let (folder_mode, mode) = if is_root {
        (0o755, 0o644)
    } else {
        (0o700, 0o600)
    };
    let path = std::path::absolute(path)
        .map_err(|error| Error::io("look at", path.as_os_str().as_encoded_bytes(), error))?;
    let folder = path.parent().unwrap_or(Path::new("/"));
    // Before it is made: what is refused leaves nothing behind.
    NewFile::check_folder(folder, "the configuration")?;
    DirBuilder::new()
        .recursive(true)
        .mode(folder_mode)
        .create(folder)
        .map_err(|error| Error::io("make", folder.as_os_str().as_encoded_bytes(), error))?;
    let place = NewFile::at(&path, "the configuration")?;
    let kept = match path
        .file_name()
        .filter(|_| matches!(place.is_there(), Ok(true)))
    {
        None => None,
        Some(name) => {
            let mut kept = OsString::from(name);
            kept.push(Local::now().format(".before-%Y-%m-%d_%H-%M-%S").to_string());
            place.keep_as(&kept)?;
            Some(folder.join(kept))
        }
    };
    let readme_path = folder.join(README);
    let written = may_write_readme(&readme_path);
    if written {
        NewFile::at(&readme_path, "the README")?.write_with_mode(readme.as_bytes(), mode)?;
    }
    // Last, so that whoever finds it finds all.
    place.write_with_mode(text.as_bytes(), mode)?;
    Ok(WrittenConfig {
        readme: written.then_some(readme_path),
        kept,
    })
}

/// Whether the README beside a configuration is this program's, or not there.
#[must_use]
pub fn may_write_readme(path: &Path) -> bool {
    begins_with(path, README_HEADER).unwrap_or(true)
}

/// Where the README of a configuration is.
#[must_use]
pub fn readme_path(config: &Path) -> PathBuf {
    config.with_file_name(README)
}

/// Whose units are to be enabled, and where they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitPlace {
    manager: ServiceManager,
    units: PathBuf,
    rules: Option<PathBuf>,
}

impl UnitPlace {
    /// Root's, which is the machine's.
    #[must_use]
    pub fn of_system() -> Self {
        Self {
            manager: ServiceManager::OfSystem,
            units: SYSTEM_UNITS.into(),
            rules: Some(UDEV_RULES.into()),
        }
    }

    /// A user's own, whose configuration folder this is (`$XDG_CONFIG_HOME`, systemd.unit(5)).
    #[must_use]
    pub fn of_user(config_home: &Path) -> Self {
        Self {
            manager: ServiceManager::OfUser,
            units: config_home.join("systemd/user"),
            rules: None,
        }
    }

    /// Where a unit or a rule belongs; none for a rule, which only root has.
    #[must_use]
    pub fn path_of(&self, unit: &Unit) -> Option<PathBuf> {
        let folder = if unit.name == POWER_RULE {
            self.rules.as_ref()?
        } else {
            &self.units
        };
        Some(folder.join(&unit.name))
    }

    /// Writes the units and the rule, each where it belongs, and has systemd start them from now on;
    /// `each` is told of every file. Gives the names of those that are enabled.
    ///
    /// # Errors
    /// As [`write_units`]; fails with what systemd says.
    pub fn enable_units(
        &self,
        units: &[Unit],
        each: &mut dyn FnMut(UnitChange<'_>),
    ) -> Result<Vec<String>> {
        let (rules, units): (Vec<Unit>, Vec<Unit>) = units
            .iter()
            .cloned()
            .partition(|unit| unit.name == POWER_RULE);
        write_units(&self.units, &units, each)?;
        if let Some(folder) = &self.rules
            && (!rules.is_empty() || folder.is_dir())
        {
            write_units(folder, &rules, each)?;
        }
        self.manager.reload()?;
        if !rules.is_empty() {
            service_manager::reload_udev_rules()?;
        }
        let wanted = enabled_units(&units);
        let of = |started: bool| {
            let some = wanted.iter().filter(|(_, starts)| *starts == started);
            some.map(|(name, _)| *name).collect::<Vec<_>>()
        };
        let (now, later) = (of(true), of(false));
        if !later.is_empty() {
            self.manager.enable(&later)?;
        }
        if !now.is_empty() {
            self.manager.enable_now(&now)?;
        }
        let all = [now, later].concat();
        Ok(all.into_iter().map(str::to_owned).collect())
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use super::*;

    #[test]
    fn a_configuration_is_written_with_its_readme_and_what_was_there_is_kept() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = temporary.path().canonicalize().unwrap().join("a/backup");
        let path = folder.join("config.json");
        let readme = format!("{README_HEADER}\n1\n");
        let written = write_new_config(&path, "one", &readme).unwrap();
        assert_eq!(written.readme, Some(folder.join(README)));
        assert_eq!(written.kept, None);
        let wanted = if geteuid().is_root() { 0o644 } else { 0o600 };
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, wanted);

        let written = write_new_config(&path, "two", &readme).unwrap();
        assert_eq!(fs::read_to_string(written.kept.unwrap()).unwrap(), "one");
        assert_eq!(fs::read_to_string(&path).unwrap(), "two");

        fs::write(
            folder.join(README),
            "my own notes, of some length, as people have them\n",
        )
        .unwrap();
        let other = folder.join("other.json");
        let written = write_new_config(&other, "three", &readme).unwrap();
        assert_eq!((written.readme, written.kept), (None, None));
        assert!(
            fs::read_to_string(folder.join(README))
                .unwrap()
                .starts_with("my own")
        );
    }
}
