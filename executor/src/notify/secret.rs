//! Files that hold secrets: read when they are needed, and refused if others could read them too.

use std::io::Read as _;

use schema::config::AbsolutePath;

use super::attempt::Failure;
use crate::{
    error::system_reason,
    sys::{Kind, Stat, resolve::resolve},
};

/// Most bytes that such a file may have.
const MOST: u64 = 64 * 1024;

/// The text of a secret file; `option` names it in errors, which never hold any of the text.
pub(super) fn read_secret(path: &AbsolutePath, option: &str) -> Result<String, Failure> {
    let system = |error: std::io::Error| {
        Failure::lasting(
            format!("cannot read {path} ({option}): {}", system_reason(&error)),
            format!("make {path}, readable by the user that runs the backup alone"),
        )
    };
    let found = resolve(path.as_path()).map_err(|error| system(error.into()))?;
    let file = found
        .parent
        .file(&found.name)
        .map_err(|error| system(error.into()))?;
    // What was opened is looked at, not what the name stands for now.
    let stat = Stat::of_fd(&file).map_err(|error| system(error.into()))?;
    if stat.kind != Kind::File {
        let because = format!("has no secret: {path} ({option}) is not a file");
        return Err(Failure::lasting(
            because,
            format!("name a file in {option}"),
        ));
    }
    if stat.mode & 0o077 != 0 {
        let because =
            format!("is not told: {path} ({option}) can be read by others, and it holds a secret");
        return Err(Failure::lasting(
            because,
            format!("`chmod 600 {}`", schema::shell::word(path.as_str())),
        ));
    }
    let mut text = String::new();
    file.take(MOST).read_to_string(&mut text).map_err(system)?;
    Ok(text)
}
