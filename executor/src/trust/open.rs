//! Files and folders that are opened only where they are trusted.

use std::{
    fs::File,
    io::Read as _,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use nix::unistd::geteuid;
use rustix::fs::fgetxattr;
use schema::escape;

use super::{
    distrust::distrust_of,
    judge::{ACL, End, WRITE_OF_OTHERS, has_acl, judge},
    walk::walk,
};
use crate::{
    error::{Error, Result},
    sys::{Dir, Kind, Stat, resolve::Resolved},
};

/// Opens a file that is trusted; `what` it is stands in the error.
///
/// # Errors
/// Refused if others could change it, with what ends that; fails if it is not there, is no regular
/// file or cannot be opened.
pub fn open_file(path: &Path, what: &str) -> Result<File> {
    let named = path.as_os_str().as_bytes();
    let what = format!("{what} {}", escape::display(named));
    let opened = if is_of_caller(path) {
        File::open(path)
    } else {
        let (distrust, found) = walk(&absolute(path)?, End::Own);
        if let Some(distrust) = distrust {
            return Err(distrust.refuse(&what));
        }
        let opened = found.and_then(|found| found.parent.file(&found.name));
        opened.map_err(Into::into)
    };
    let file = opened.map_err(|error| Error::io("read", named, error))?;
    // What was opened is judged, and not what the name stands for now.
    let stat = Stat::of_fd(&file).map_err(|error| Error::io("look at", named, error))?;
    match stat.kind {
        Kind::File => {}
        // Whoever calls this has opened it.
        Kind::Fifo | Kind::CharDevice if is_of_caller(path) => return Ok(file),
        _ => return Err(Error::failed(format!("{what} is no regular file"))),
    }
    let mut faults = Vec::new();
    let acl = || has_acl(fgetxattr(&file, ACL, &mut [0_u8; 0]));
    judge(named, &stat, End::Own, &acl, &mut faults);
    match distrust_of(&faults) {
        Some(distrust) => Err(distrust.refuse(&what)),
        None => Ok(file),
    }
}

/// Reads a file that is trusted.
///
/// # Errors
/// As [`open_file`]; also for one of more than `limit` bytes.
pub fn read_file(path: &Path, what: &str, limit: u64) -> Result<Vec<u8>> {
    let named = path.as_os_str().as_bytes();
    let file = open_file(path, what)?;
    let mut bytes = Vec::new();
    let mut file = file.take(limit.saturating_add(1));
    file.read_to_end(&mut bytes)
        .map_err(|error| Error::io("read", named, error))?;
    if bytes.len() as u64 > limit {
        let limit = schema::amount::bytes(limit);
        return Err(Error::failed(format!(
            "{what} {} is longer than {limit}",
            escape::display(named)
        )));
    }
    Ok(bytes)
}

/// Opens a folder that is trusted, and to which nobody else may write.
///
/// # Errors
/// As [`open_file`], for a folder. What is not there is [`FailureCode::NotFound`](schema::FailureCode::NotFound).
pub fn open_folder(path: &Path, what: &str) -> Result<Dir> {
    let found = resolve_folder(path, what, End::Own)?;
    found
        .folder()
        .map_err(|error| Error::io("open", path.as_os_str().as_bytes(), error))
}

/// Opens a folder in which things of one's own are safe: one that is trusted, or shared as `/tmp` is; and
/// whether others may write to it.
///
/// # Errors
/// As [`open_folder`].
pub fn open_shared_folder(path: &Path, what: &str) -> Result<(Dir, bool)> {
    let found = resolve_folder(path, what, End::Shared)?;
    let shared = found.stat.mode & WRITE_OF_OTHERS != 0;
    let opened = found.folder();
    let opened = opened.map_err(|error| Error::io("open", path.as_os_str().as_bytes(), error));
    Ok((opened?, shared))
}

pub(super) fn resolve_folder(path: &Path, what: &str, end: End) -> Result<Resolved> {
    let named = path.as_os_str().as_bytes();
    let (distrust, found) = walk(&absolute(path)?, end);
    if let Some(distrust) = distrust {
        return Err(distrust.refuse(&format!("{what} {}", escape::display(named))));
    }
    found.map_err(|error| Error::io("open", named, error))
}

/// Whether a folder belongs to the user who runs this and is for that user alone, as one that was made
/// for secrets is.
#[must_use]
pub fn is_private(stat: &Stat) -> bool {
    stat.kind == Kind::Folder && stat.uid == geteuid().as_raw() && stat.mode & 0o077 == 0
}

/// Whether a path stands for a file that whoever calls this has opened already.
fn is_of_caller(path: &Path) -> bool {
    let path = path.as_os_str().as_bytes();
    let number = |prefix: &[u8]| {
        let rest = path.strip_prefix(prefix);
        rest.is_some_and(|rest| !rest.is_empty() && rest.iter().all(u8::is_ascii_digit))
    };
    path == b"/dev/stdin" || number(b"/dev/fd/") || number(b"/proc/self/fd/")
}

pub(super) fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path)
        .map_err(|error| Error::io("look at", path.as_os_str().as_bytes(), error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trust::test_support::{nest, set_mode};

    #[test]
    fn a_shared_folder_is_no_folder_of_ones_own() {
        let (_keep, root) = nest();
        set_mode(&root.join("a"), 0o1777);
        assert!(open_folder(&root.join("a"), "the folder").is_err());
        assert!(open_shared_folder(&root.join("a"), "the folder").unwrap().1);
        assert!(
            !open_shared_folder(&root.join("a/b"), "the folder")
                .unwrap()
                .1
        );
        set_mode(&root.join("a"), 0o777);
        assert!(open_shared_folder(&root.join("a"), "the folder").is_err());
    }
}
