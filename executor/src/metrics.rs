//! The metrics file: replaced in one step, so that whoever collects it never sees half of it.
//!
//! Its name while it is written does not end in `.prom`: the collector of text files reads all that
//! do (node_exporter, `--collector.textfile.directory`).

use std::{ffi::OsStr, io::Write as _, path::Path};

use rustix::io::Errno;

use crate::{
    error::{Error, Result},
    sys::{open::set_mode, resolve::resolve},
};

/// Readable by the collector, which is not root.
const MODE: u32 = 0o644;

/// Replaces the file at an absolute path.
///
/// # Errors
/// Fails if the file cannot be written, also where the folder is not there: it is the collector's and not ours to
/// make.
pub fn replace_metrics_file(path: &Path, text: &str) -> Result<()> {
    let io = |error: std::io::Error| {
        let named = path.as_os_str().as_encoded_bytes();
        Error::io("write", named, error)
            .hint("correct monitoring.prometheusFile, or make its folder")
    };
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io(Errno::ISDIR.into()));
    };
    let dir = resolve(folder)
        .and_then(|found| found.folder())
        .map_err(|error| io(error.into()))?;
    // A run and a health check may write at once: each its own, and the later one stays.
    let beside = format!(".{}.{}.new", name.to_string_lossy(), std::process::id());
    let beside = OsStr::new(&beside);
    match dir.remove_file(beside) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(error) => return Err(io(error.into())),
    }
    let mut file = dir
        .new_file(beside, 0o600)
        .map_err(|error| io(error.into()))?;
    let written = file
        .write_all(text.as_bytes())
        .and_then(|()| Ok(set_mode(&file, MODE)?))
        .and_then(|()| Ok(dir.rename_over(beside, name)?));
    written.map_err(|error| {
        let _ = dir.remove_file(beside);
        io(error)
    })
}
