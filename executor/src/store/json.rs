//! Small JSON files, read within a limit and replaced in one step.

use schema::record;
use serde::{Serialize, de::DeserializeOwned};

use super::LONGEST_JSON;
use crate::{
    error::{Error, Result},
    sys::Dir,
};

/// Reads a JSON file; `None` if it is not there.
///
/// # Errors
/// Fails if it cannot be read, is not what it should be, or does not have the digest that it says.
pub fn read_json<T: DeserializeOwned>(dir: &Dir, name: &str, path: &str) -> Result<Option<T>> {
    let bytes = dir
        .read_whole(name, LONGEST_JSON)
        .map_err(|error| Error::io("read", path.as_bytes(), error))?;
    bytes
        .map(|bytes| Ok(parse_json(bytes, path)?.0))
        .transpose()
}

/// What a JSON file says whose content was read, and its JSON without a digest.
pub(super) fn parse_json<T: DeserializeOwned>(bytes: Vec<u8>, path: &str) -> Result<(T, Vec<u8>)> {
    record::without_digest(bytes)
        .and_then(|json| {
            let value = serde_json::from_slice(&json).map_err(|error| error.to_string())?;
            Ok((value, json))
        })
        .map_err(|because| Error::failed(format!("cannot read {path}: {because}")))
}

/// Replaces a JSON file in one step by one that ends with its own digest, so that a flipped bit is
/// known for what it is.
///
/// # Errors
/// Fails if the file cannot be written.
pub fn write_record(dir: &Dir, name: &str, path: &str, value: &impl Serialize) -> Result<()> {
    let bytes = pretty_json(path, value)?;
    dir.write_whole(name, &record::append_digest(bytes))
        .map_err(|error| Error::io("write", path.as_bytes(), error))
}

/// Longest JSON that is indented for people, in bytes: of a longer one half would be blanks.
const LONGEST_TO_READ: usize = 64 << 10;

/// Replaces a JSON file in one step. A long one stands on one line.
///
/// # Errors
/// Fails if the file cannot be written.
pub fn write_json(dir: &Dir, name: &str, path: &str, value: &impl Serialize) -> Result<()> {
    let cannot = |error| Error::failed(format!("cannot write {path}: {error}"));
    let mut bytes = serde_json::to_vec(value).map_err(cannot)?;
    if bytes.len() <= LONGEST_TO_READ {
        bytes = serde_json::to_vec_pretty(value).map_err(cannot)?;
    }
    bytes.push(b'\n');
    dir.write_whole(name, &bytes)
        .map_err(|error| Error::io("write", path.as_bytes(), error))
}

fn pretty_json(path: &str, value: &impl Serialize) -> Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec_pretty(value)
        .map_err(|error| Error::failed(format!("cannot write {path}: {error}")))?;
    bytes.push(b'\n');
    Ok(bytes)
}
