//! Digests over a manifest file and over the extended attributes of an entry.

use std::{
    fs::File,
    io::{self, Read as _, Seek as _},
};

use schema::Digest;
use sha2::{Digest as _, Sha256};

use crate::{event::Stop, sys::attributes::Attributes};

/// The digest of a manifest file, which is read from where it stands and left at its beginning.
///
/// # Errors
/// Fails if the file cannot be read, or on an interruption.
pub fn digest_of_file(file: &mut File, stop: &Stop) -> io::Result<Digest> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 128 << 10];
    loop {
        if stop.check().is_err() {
            return Err(io::ErrorKind::Interrupted.into());
        }
        match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => hasher.update(&buffer[..length]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    file.rewind()?;
    Ok(Digest(hasher.finalize().into()))
}

/// The digest over extended attributes; none where there are none.
#[must_use]
pub fn xattrs_digest(attributes: &Attributes) -> Option<Digest> {
    if attributes.is_empty() {
        return None;
    }
    let mut bytes = Vec::new();
    for (name, value) in attributes {
        bytes.extend_from_slice(name);
        bytes.push(0);
        bytes.extend_from_slice(&(value.len() as u64).to_le_bytes());
        bytes.extend_from_slice(value);
    }
    Some(Digest::of(&bytes))
}
