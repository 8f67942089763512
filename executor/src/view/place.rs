//! Where the view of a destination is, and what stands there.

use std::path::Path;

use schema::inventory::USER_VIEWS;

use crate::sys::{Dir, Kind, resolve::resolve};

/// Where views are: below it the path of the host's folder is repeated.
pub(super) const VIEWS: &str = USER_VIEWS;

/// Where users see what a host's folder has.
#[must_use]
pub fn view_path(host_folder: &str) -> String {
    format!("{VIEWS}/{}", host_folder.trim_start_matches('/'))
}

/// Whether something is mounted for a view.
#[must_use]
pub fn is_view(mount_point: &[u8]) -> bool {
    let rest = mount_point.strip_prefix(VIEWS.as_bytes());
    rest.is_some_and(|rest| rest.starts_with(b"/"))
}

/// Opens the view of a host's folder, for users who may not open that folder itself; none where there
/// is none.
#[must_use]
pub(crate) fn open_view(host_folder: &str) -> Option<(Dir, String)> {
    let path = view_path(host_folder);
    let found = resolve(Path::new(&path)).ok()?;
    // What stands below /run is root's; anything else is not ours.
    (found.stat.kind == Kind::Folder && found.stat.uid == 0).then_some(())?;
    Some((found.folder().ok()?, path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_repeats_the_path_of_the_hosts_folder() {
        assert_eq!(view_path("/mnt/backup/ash"), "/run/backup/mnt/backup/ash");
        assert!(is_view(b"/run/backup/mnt/backup/ash/daily"));
        assert!(!is_view(b"/run/backups/daily") && !is_view(b"/run/backup"));
    }
}
