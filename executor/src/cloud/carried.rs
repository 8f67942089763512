//! The manifest as it travels: with the values of all extended attributes, ACLs among them.
//!
//! On a destination the values are on the files and the manifest has their digest; a remote keeps
//! none of them. Reads the snapshot only, by descriptors.

use std::{ffi::OsStr, io};

use schema::Digest;

use super::memory::Desk;
use crate::{
    error::{Error, Result},
    event::Context,
    manifest::{self, Entry, Reader, Writer, xattrs_digest},
    sys::{Dir, attributes, attributes::Attributes},
};

/// Name of the manifest while it is made.
const NEW: &str = "carried.new";

/// Makes the manifest that goes to the remote; gives it with its digest.
///
/// # Errors
/// A damaged manifest, or a desk that cannot be written.
pub fn manifest(
    desk: &Desk,
    tree: &Dir,
    from: Reader,
    context: Context<'_>,
) -> Result<(Vec<u8>, Digest)> {
    let io = |error: io::Error| Error::io("write", desk.named(NEW).as_bytes(), error);
    let mut writer = Writer::new(desk.new_file(NEW)?).map_err(io)?;
    for entry in from {
        context.stop.check()?;
        let mut entry =
            entry.map_err(|error| Error::io("read", manifest::FILE_NAME.as_bytes(), error))?;
        if entry.xattrs_digest.is_some() && xattrs_digest(&entry.xattrs_kept) != entry.xattrs_digest
        {
            complete(tree, &mut entry);
        }
        writer.write(&entry).map_err(io)?;
    }
    let digest = writer.finish().map_err(io)?;
    let mut bytes = Vec::new();
    io::Read::read_to_end(&mut desk.file(NEW)?, &mut bytes).map_err(io)?;
    Ok((bytes, digest))
}

/// Adds the attributes that the stored entry has; what the destination could not hold is in the
/// manifest already, and goes before.
fn complete(tree: &Dir, entry: &mut Entry) {
    let stored: Attributes = match entry.path.as_slice() {
        b"" => attributes::of_entry(tree, OsStr::new(".")),
        _ => tree
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
