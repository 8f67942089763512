//! One file held against what is recorded of it.

use rustix::io::Errno;
use schema::Digest;

use crate::{
    copy::{Copier, CopyError},
    error::{Result, system_reason},
    sys::{Dir, Kind, Stat},
};

/// How many bytes of a file were read that is what it must be, by size and digest; none where `tick` ended it, and
/// else what is wrong.
///
/// # Errors
/// What is wrong with it.
pub fn compare_file(
    root: &Dir,
    path: &[u8],
    (size, digest): (u64, Digest),
    copier: &mut Copier,
    tick: &mut dyn FnMut(u64) -> Result<()>,
) -> std::result::Result<Option<u64>, String> {
    let because = |error: Errno| match error {
        Errno::NOENT => "is missing".to_owned(),
        error => format!("cannot be opened: {}", system_reason(&error.into())),
    };
    let (folder, name) = root.descend(path).map_err(because)?;
    let file = folder.file(name).map_err(because)?;
    let stat = Stat::of_fd(&file).map_err(because)?;
    if stat.kind != Kind::File {
        return Err("is no regular file".to_owned());
    }
    if stat.size != size {
        return Err(format!("has {} bytes instead of {size}", stat.size));
    }
    match copier.digest(&file, false, tick) {
        Ok(found) if found.digest == digest => Ok(Some(found.bytes)),
        Ok(_) => Err("has another content than the manifest says".to_owned()),
        Err(CopyError::Ended(_)) => Ok(None),
        Err(CopyError::Read(error) | CopyError::Write(error)) => {
            Err(format!("cannot be read: {}", system_reason(&error)))
        }
    }
}
