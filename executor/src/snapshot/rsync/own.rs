//! Finds where the destination can be seen from within a source: rsync must not copy it into itself.
//!
//! That it lies in a source as such was refused before. What is left are mounts: the drive mounted
//! a second time, or a part of it. The survey knows it where it sees it; a folder that is listed as a
//! whole may have got it only since, as in a first run, which makes it after the survey.

use std::ffi::OsString;

use schema::{StoredPath, StoredPathBuf, escape, path::rest_below, rsync::exclude_argument};

use crate::{
    store::Store,
    sys::{
        Dir,
        location::locate,
        mounts::{self, Mount},
        resolve::Resolved,
    },
};

/// The arguments that exclude the host's folder wherever it is below the source.
pub(super) fn own_excludes(store: &Store, source: &Dir) -> Vec<String> {
    let (Ok(all), Ok(named), Ok(parent), Ok(stat)) = (
        mounts::all_mounts(),
        source.proc_name(".".as_ref()),
        store.root.again(),
        store.root.stat_self(),
    ) else {
        return Vec::new();
    };
    let name = OsString::from(".");
    let own = locate(&Resolved { parent, name, stat }, &stat, &all);
    let within = escape::unescape(&own.within).unwrap_or_default();
    seen_at(&all, &own.device, &within, &named)
        .iter()
        .filter_map(|path| exclude_argument(path, ""))
        .collect()
}

/// The paths, relative to a folder, at which a path of a file system is mounted.
fn seen_at(all: &[Mount], device: &str, within: &[u8], folder: &[u8]) -> Vec<StoredPathBuf> {
    let mounts = all.iter().filter(|mount| mount.device == device);
    mounts
        .filter_map(|mount| {
            let below = rest_below(within, &mount.root)?;
            let path = StoredPath::of_absolute(&mount.mount_point).join(below);
            let path = path.rest_below(StoredPath::of_absolute(folder))?;
            (!path.is_root()).then(|| path.to_owned())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_destination_is_found_through_every_mount_that_shows_it() {
        let mount = |device: &str, root: &str, mount_point: &str| Mount {
            parent: 0,
            id: 0,
            device: device.to_owned(),
            root: root.into(),
            mount_point: mount_point.into(),
            read_only: false,
            file_system: String::new(),
            source: Vec::new(),
        };
        let all = [
            mount("8:1", "/", "/"),
            mount("8:2", "/", "/mnt/backup"),
            mount("8:2", "/", "/home/ann/drive"),
            mount("8:2", "/atlas", "/home/own"),
            mount("8:2", "/other", "/home/other"),
            mount("8:2", "/atlas/daily", "/home/part"),
        ];
        let seen = |folder: &str| -> Vec<String> {
            let all = seen_at(&all, "8:2", b"/atlas", folder.as_bytes());
            let text = |path: StoredPathBuf| path.escaped();
            all.into_iter().map(text).collect()
        };
        assert_eq!(seen("/home"), ["ann/drive/atlas", "own"]);
        assert_eq!(
            seen("/"),
            ["mnt/backup/atlas", "home/ann/drive/atlas", "home/own"]
        );
        assert_eq!(seen("/srv"), [""; 0]);
        assert_eq!(seen("/home/annex"), [""; 0]);
    }
}
