//! Knows where copies on remotes are remembered, and finds what of that cannot be used.

use std::ffi::OsStr;

use rustix::io::Errno;
use schema::cloud::CloudMemory;

use super::aside::SET_ASIDE;
use crate::{error::Result, store::read_json, sys::Dir};

/// The area in the state directory.
pub(crate) const AREA: &str = "cloud";
/// File in which it is remembered what was uploaded to a remote.
pub(crate) const MEMORY: &str = "memory.json";
/// Folder of the journals of parts that keep their own.
pub(crate) const PARTS: &str = "parts";
/// Folder of the manifests.
pub(crate) const CACHED_SNAPSHOTS: &str = "shelf";
/// What of all that is remembered of remotes cannot be used, by its path in the state directory, each
/// with the reason: all of it can be found out anew. `named` gives a path for messages. Writes nothing.
#[must_use]
pub(super) fn damaged_remotes(
    state: &Dir,
    named: &dyn Fn(&str) -> String,
) -> Vec<(String, String)> {
    const MOST: usize = 100;
    let no_folder = |path: String| {
        let because = format!("{} is not a folder", named(&path));
        (path, because)
    };
    let is_other = |error: Errno| !matches!(error, Errno::NOENT | Errno::ACCESS);
    let area = match state.folder(OsStr::new(AREA)) {
        Ok(area) => area,
        Err(error) if is_other(error) => return vec![no_folder(AREA.to_owned())],
        Err(_) => return Vec::new(),
    };
    let mut found = Vec::new();
    for name in area.names().unwrap_or_default().iter().take(MOST) {
        let Some(name) = name.to_str().filter(|name| !name.contains(SET_ASIDE)) else {
            continue;
        };
        let path = format!("{AREA}/{name}");
        match area.folder(OsStr::new(name)) {
            Ok(cache) => {
                let file = format!("{path}/{MEMORY}");
                let read: Result<Option<CloudMemory>> = read_json(&cache, MEMORY, &named(&file));
                found.extend(read.err().map(|error| (file, error.message)));
                let cached = cache.folder(OsStr::new(CACHED_SNAPSHOTS));
                if cached.err().is_some_and(is_other) {
                    found.push(no_folder(format!("{path}/{CACHED_SNAPSHOTS}")));
                }
            }
            Err(error) if is_other(error) => found.push(no_folder(path)),
            Err(_) => {}
        }
    }
    found
}
