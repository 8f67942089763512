//! The folders of destinations that walks through sources never enter.

use schema::{Config, config::Local};

use crate::sys::{mounts, resolve::resolve};

/// The inodes of the folders that the disks of a configuration have of a host, as far as they are there.
#[must_use]
pub fn host_inodes(config: &Config, host_folder: &str) -> Vec<(u64, u64)> {
    let named = config.chains();
    let views = named.iter().filter_map(|name| config.view(name));
    let views = views.chain([config.base()]);
    let disks = views.map(|view| view.local).filter(|local| local.enable);
    disks
        .filter_map(|local| host_inode(&local, host_folder))
        .collect()
}

fn host_inode(local: &Local, host_folder: &str) -> Option<(u64, u64)> {
    let dir = resolve(local.mount_point.as_path()).ok()?.folder().ok()?;
    // What stands there while the drive is away belongs to the machine.
    if local.require_mount && !mounts::is_mounted(&dir.stat_self().ok()?) {
        return None;
    }
    let stat = dir.folder(host_folder.as_ref()).ok()?.stat_self().ok()?;
    Some((stat.dev, stat.ino))
}
