//! A disk that is named by a folder: that of another machine, or one that is in no configuration.

use std::path::Path;

use anyhow::Result;
use executor::{Error, store};
use planner::restore::config_of_downloads;
use schema::{Config, config::AbsolutePath, shell};

use crate::{exit::invalid_input, style::shown, typed};

/// The configuration of the snapshots in a folder: that of a host on a disk, or a disk that has one.
///
/// # Errors
/// There are none, or those of several hosts.
pub(super) fn config_of_folder(folder: &Path) -> Result<Config> {
    let whole = typed::whole_path(folder)
        .map_err(|error| Error::io("look at", folder.as_os_str().as_encoded_bytes(), error))?;
    if is_host_folder(&whole)
        && let (Some(mount), Some(host)) = (whole.parent(), whole.file_name())
    {
        return config_of(mount, &host.to_string_lossy());
    }
    let entries = std::fs::read_dir(&whole)
        .map_err(|error| Error::io("look at", whole.as_os_str().as_encoded_bytes(), error))?;
    let entries = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let mut hosts: Vec<_> = entries.filter(|path| is_host_folder(path)).collect();
    hosts.sort();
    match hosts.as_slice() {
        [host] => config_of(
            &whole,
            &host.file_name().unwrap_or_default().to_string_lossy(),
        ),
        [] => Err(
            Error::refused(format!("there are no snapshots in {}", shown(&whole)))
                .hint("name the folder where the disk is mounted, or the folder of a host on it")
                .into(),
        ),
        hosts => {
            let names = hosts.iter().filter_map(|host| host.file_name());
            let names: Vec<_> = names.map(|name| shown(Path::new(name))).collect();
            let first = shell::word(hosts[0].as_os_str().as_encoded_bytes());
            Err(invalid_input(
                format!("{} has snapshots of {}", shown(&whole), names.join(", ")),
                format!("name one of them: `backup browse --destination {first}`"),
            ))
        }
    }
}

/// Whether a folder is that of a host: where its records are may be closed to who asks.
fn is_host_folder(path: &Path) -> bool {
    path.join(store::BACKUP)
        .symlink_metadata()
        .is_ok_and(|found| found.is_dir())
}

fn config_of(mount: &Path, host: &str) -> Result<Config> {
    let place: AbsolutePath = mount.to_string_lossy().parse().map_err(|because| {
        invalid_input(
            format!("{} cannot be used: {because}", shown(mount)),
            "mount it somewhere else",
        )
    })?;
    Ok(config_of_downloads(&Config::default(), host, place))
}
