//! Holes in what comes from a remote, which knows of none: long runs of zeros take no room here, as they
//! took none where they came from, or need not.

use std::{fs::File, os::unix::fs::FileExt as _};

use rustix::fs::{FallocateFlags, fallocate};

use crate::{error::Result, event::Stop, sys::Stat};

/// Shorter files are left as they are.
const SHORTEST_FILE: u64 = 1 << 20;
/// Zeros are looked for in pieces of this size, at multiples of it: many blocks of any file system.
const PIECE: usize = 256 << 10;

/// Gives a file holes where it has nothing but zeros. Its content stays what it was; where holes cannot be
/// made it is left as it is.
pub(super) fn dig(file: &File, stat: &Stat, stop: &Stop) -> Result<()> {
    if stat.size < SHORTEST_FILE || stat.allocated < stat.size {
        return Ok(());
    }
    let mut piece = vec![0; PIECE];
    let mut at = 0;
    while at + PIECE as u64 <= stat.size {
        stop.check()?;
        if file.read_exact_at(&mut piece, at).is_err() {
            return Ok(());
        }
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        let is_zero = piece.iter().all(|byte| *byte == 0);
        if is_zero && fallocate(file, flags, at, PIECE as u64).is_err() {
            return Ok(());
        }
        at += PIECE as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{ffi::OsStr, io::Write as _, os::unix::fs::MetadataExt as _};

    use super::*;
    use crate::sys::Dir;

    #[test]
    fn runs_of_zeros_become_holes_and_the_content_stays() {
        let temporary = tempfile::tempdir().unwrap();
        let path = temporary.path().join("file");
        let mut content = vec![0; 4 << 20];
        content[PIECE + 5] = 1;
        content.extend(b"end");
        File::create(&path).unwrap().write_all(&content).unwrap();
        let dir = Dir::from_fd(File::open(temporary.path()).unwrap().into());
        let stat = dir.stat(OsStr::new("file")).unwrap();
        let file = File::options().read(true).write(true).open(&path).unwrap();
        dig(&file, &stat, &Stop::default()).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), content);
        let allocated = std::fs::metadata(&path).unwrap().blocks() * 512;
        assert!(allocated < 1 << 20, "{allocated}");
    }
}
