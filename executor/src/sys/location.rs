//! Where an opened path really is.

use schema::{escape, inventory::ResolvedLocation};

use super::{
    Stat,
    mounts::{self, Mount},
    resolve::Resolved,
};

/// Where an opened path really is, symlinks and bind mounts resolved.
pub(crate) fn locate(resolved: &Resolved, stat: &Stat, all: &[Mount]) -> ResolvedLocation {
    // /proc names what a descriptor leads to; the mount's own root makes of it a path within the
    // file system, which is the same through every bind mount.
    let named = resolved
        .parent
        .proc_name(&resolved.name)
        .unwrap_or_default();
    let mut subvolume = None;
    let (device, within) = match mounts::mount_of(all, stat) {
        Some(mount) => {
            let own = stat.device_text();
            subvolume = (own != mount.device).then_some(own);
            let below = named
                .strip_prefix(mount.mount_point.as_slice())
                .unwrap_or_default();
            let mut within = mount.root.clone();
            while within.last() == Some(&b'/') {
                within.pop();
            }
            if !below.is_empty() && !below.starts_with(b"/") {
                within.push(b'/');
            }
            within.extend_from_slice(below);
            while within.last() == Some(&b'/') {
                within.pop();
            }
            (mount.device.clone(), within)
        }
        None => (stat.device_text(), named),
    };
    ResolvedLocation {
        device,
        inode: stat.ino,
        within: if within.is_empty() {
            "/".to_owned()
        } else {
            escape::display(&within)
        },
        subvolume,
    }
}
