//! The manifest as it travels: with the values of all extended attributes, ACLs among them.
//!
//! On a destination the values are on the files and the manifest has their digest; a remote keeps
//! none of them. Reads the snapshot only, by descriptors.

use std::{ffi::OsStr, io};

use schema::Digest;

use super::memory::RemoteCache;
use crate::{
    error::{Error, Result},
    event::Context,
    manifest::{self, Entry, Reader, Writer, xattrs_digest},
    sys::{Dir, attributes, attributes::Attributes},
};

/// Name of the manifest in the cache, of which nothing is kept in memory.
pub const CARRIED: &str = "carried.mtree.zst";

/// Makes the manifest that goes to the remote, in the cache; gives its digest.
///
/// # Errors
/// A damaged manifest, or a cache that cannot be written.
pub fn write_carried_manifest(
    cache: &RemoteCache,
    tree: &Dir,
    from: Reader,
    context: Context<'_>,
) -> Result<Digest> {
    let io = |error: io::Error| Error::io("write", cache.named(CARRIED).as_bytes(), error);
    let mut writer = Writer::new(cache.new_file(CARRIED)?).map_err(io)?;
    for entry in from {
        context.stop.check()?;
        let mut entry =
            entry.map_err(|error| Error::io("read", manifest::FILE_NAME.as_bytes(), error))?;
        if entry.xattrs_digest.is_some() && xattrs_digest(&entry.xattrs_kept) != entry.xattrs_digest
        {
            complete_attributes(tree, &mut entry);
        }
        writer.write(&entry).map_err(io)?;
    }
    writer.finish().map_err(io)
}

/// Adds the attributes that the stored entry has; what the destination could not hold is in the
/// manifest already, and goes before.
fn complete_attributes(tree: &Dir, entry: &mut Entry) {
    let stored: Attributes = match entry.path.is_root() {
        true => attributes::of_entry(tree, OsStr::new(".")),
        false => tree
            .descend(entry.stored_path())
            .and_then(|(dir, name)| attributes::of_entry(&dir, name)),
    }
    .unwrap_or_default();
    for (name, value) in stored {
        if !entry.xattrs_kept.iter().any(|(kept, _)| *kept == name) {
            entry.xattrs_kept.push((name, value));
        }
    }
    entry.xattrs_kept.sort();
}
