//! Setting damaged files aside, under names that say when.

use std::ffi::OsStr;

use rustix::io::Errno;

use crate::{clock::Clock, sys::Dir};

/// Damaged files of one name that are kept.
const ASIDE: usize = 3;
/// What follows the name of a file that was set aside.
pub(crate) const SET_ASIDE: &str = ".damaged-";

/// Sets a file, or whatever has its name, aside under one that says when; of the earlier ones the last
/// few stay.
pub(crate) fn set_aside(dir: &Dir, name: &str) -> Result<(), Errno> {
    let prefix = format!("{name}{SET_ASIDE}");
    let names = dir.names()?.into_iter();
    let mut before: Vec<_> = names
        .filter(|one| one.to_str().is_some_and(|one| one.starts_with(&prefix)))
        .collect();
    before.sort();
    // A folder of that name is a person's, and stays.
    for old in before.iter().rev().skip(ASIDE - 1) {
        let _ = dir.remove_file(old);
    }
    let now = Clock::default().now();
    let aside = format!("{prefix}{}", now.format("%Y-%m-%d_%H-%M-%S"));
    match dir.rename_new(OsStr::new(name), dir, OsStr::new(&aside)) {
        // It is not there, and could not be read for want of something else.
        Err(Errno::NOENT) => Ok(()),
        // In the same second, which is a clock's that stands still.
        Err(Errno::EXIST) => dir.rename_over(OsStr::new(name), OsStr::new(&aside)),
        done => done,
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    #[test]
    fn what_is_not_there_needs_no_setting_aside() {
        let temp = tempfile::tempdir().unwrap();
        let dir = Dir::from_fd(File::open(temp.path()).unwrap().into());
        set_aside(&dir, "health.json").unwrap();
        std::fs::write(temp.path().join("health.json"), "{").unwrap();
        set_aside(&dir, "health.json").unwrap();
        let left = dir.names().unwrap();
        assert_eq!(left.len(), 1);
        assert!(
            left[0]
                .to_str()
                .is_some_and(|name| name.starts_with("health.json.damaged-"))
        );
    }
}
