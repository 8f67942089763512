//! Copying a file's content: holes stay holes, and the digest comes for free.
//!
//! Owns the reading and writing of data only; names, metadata and syncing are the caller's.

use std::{fs::File, io, os::unix::fs::FileExt as _};

use rustix::{
    fs::{SeekFrom, seek},
    io::Errno,
};
use schema::Digest;
use sha2::{Digest as _, Sha256};

use crate::event::Stop;

const BUFFER: usize = 256 << 10;
static ZEROS: [u8; BUFFER] = [0; BUFFER];

/// Copies the first `size` bytes of a file into an empty one and gives their number and digest.
///
/// The number is smaller than `size` if the file is shorter. `allocated` is what the file takes
/// on disk: only one that takes less than its size can have holes, and only those are asked for.
/// Works at explicit places, so the files' own positions mean nothing before and after.
///
/// # Errors
/// The system's reason; [`io::ErrorKind::Interrupted`] if it was asked to stop.
pub fn copy_data(
    from: &File,
    to: &File,
    size: u64,
    allocated: u64,
    stop: &Stop,
) -> io::Result<(u64, Digest)> {
    pass(from, Some(to), size, allocated, stop)
}

/// The number and digest of the first `size` bytes of a file, as [`copy_data`] gives them.
///
/// # Errors
/// As [`copy_data`].
pub fn digest_data(
    from: &File,
    size: u64,
    allocated: u64,
    stop: &Stop,
) -> io::Result<(u64, Digest)> {
    pass(from, None, size, allocated, stop)
}

/// How many of the first `size` bytes of a file are not in holes.
///
/// # Errors
/// The system's reason.
pub fn data_bytes(from: &File, size: u64) -> io::Result<u64> {
    let (mut at, mut bytes) = (0, 0);
    while at < size {
        let Some((start, end)) = next_data(from, at, size)? else {
            break;
        };
        bytes += end - start;
        at = end;
    }
    Ok(bytes)
}

fn pass(
    from: &File,
    to: Option<&File>,
    size: u64,
    allocated: u64,
    stop: &Stop,
) -> io::Result<(u64, Digest)> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; BUFFER];
    let mut at = 0;
    let mut written_to = 0;
    let may_have_holes = allocated < size;
    while at < size {
        let (start, end) = if may_have_holes {
            match next_data(from, at, size)? {
                Some(range) => range,
                // A hole up to the end, or the file is shorter by now.
                None => {
                    let end = from.metadata()?.len().min(size);
                    zeros(&mut hasher, end.saturating_sub(at), stop)?;
                    at = at.max(end);
                    break;
                }
            }
        } else {
            (at, size)
        };
        zeros(&mut hasher, start - at, stop)?;
        at = start;
        while at < end {
            check(stop)?;
            let wanted = usize::try_from(end - at).map_or(BUFFER, |rest| rest.min(BUFFER));
            let read = read_at(from, &mut buffer[..wanted], at)?;
            if read == 0 {
                return finish(to, at, written_to, hasher);
            }
            let bytes = &buffer[..read];
            hasher.update(bytes);
            if let Some(to) = to {
                to.write_all_at(bytes, at)?;
            }
            at += read as u64;
            written_to = at;
        }
    }
    finish(to, at, written_to, hasher)
}

/// A hole at the end is made by setting the length.
fn finish(
    to: Option<&File>,
    length: u64,
    written_to: u64,
    hasher: Sha256,
) -> io::Result<(u64, Digest)> {
    if let Some(to) = to
        && written_to < length
    {
        to.set_len(length)?;
    }
    Ok((length, Digest(hasher.finalize().into())))
}

/// The next range at or after `at` that is not a hole; `None` if there is none before the end.
fn next_data(file: &File, at: u64, size: u64) -> io::Result<Option<(u64, u64)>> {
    let start = match seek(file, SeekFrom::Data(at)) {
        Ok(start) => start,
        Err(Errno::NXIO) => return Ok(None),
        // The file system knows no holes.
        Err(Errno::INVAL | Errno::OPNOTSUPP | Errno::NOSYS | Errno::NOTTY) => {
            return Ok(Some((at, size)));
        }
        Err(error) => return Err(error.into()),
    };
    if start >= size {
        return Ok(None);
    }
    // Without a hole to find, an old kernel says the end of the file; a race may say less.
    let end = match seek(file, SeekFrom::Hole(start)) {
        Ok(end) if end > start => end.min(size),
        Ok(_) | Err(Errno::NXIO) => size,
        Err(error) => return Err(error.into()),
    };
    Ok(Some((start, end)))
}

fn read_at(file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    loop {
        match file.read_at(buffer, at) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

fn zeros(hasher: &mut Sha256, mut count: u64, stop: &Stop) -> io::Result<()> {
    while count > 0 {
        check(stop)?;
        let part = usize::try_from(count).map_or(BUFFER, |rest| rest.min(BUFFER));
        hasher.update(&ZEROS[..part]);
        count -= part as u64;
    }
    Ok(())
}

fn check(stop: &Stop) -> io::Result<()> {
    if stop.is_asked() {
        return Err(io::Error::new(io::ErrorKind::Interrupted, "interrupted"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    /// Copies a file that holds `parts` at their places and is `size` long; gives both files.
    fn copied(parts: &[(u64, &[u8])], size: u64, whole: bool) -> (File, File, Digest) {
        let (from, to) = (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
        for (at, bytes) in parts {
            from.write_all_at(bytes, *at).unwrap();
        }
        from.set_len(size).unwrap();
        let allocated = if whole {
            size
        } else {
            from.metadata().unwrap().blocks() * 512
        };
        let stop = Stop::default();
        let (length, digest) = copy_data(&from, &to, size, allocated, &stop).unwrap();
        assert_eq!(length, size);
        assert_eq!(digest_data(&from, size, 0, &stop).unwrap(), (size, digest));
        (from, to, digest)
    }

    fn content(file: &File) -> Vec<u8> {
        let mut bytes = vec![0; usize::try_from(file.metadata().unwrap().len()).unwrap()];
        file.read_exact_at(&mut bytes, 0).unwrap();
        bytes
    }

    #[test]
    fn content_and_digest_are_the_same_wherever_the_holes_are() {
        let block = vec![7; 300_000];
        let size = 4 << 20;
        let cases: [&[(u64, &[u8])]; 5] = [
            &[],
            &[(0, &block)],
            &[(1 << 20, &block)],
            &[(size - 5, b"tail!")],
            &[(0, b"head"), (2 << 20, &block), (size - 5, b"tail!")],
        ];
        for parts in cases {
            for whole in [false, true] {
                let (from, to, digest) = copied(parts, size, whole);
                assert!(content(&from) == content(&to));
                assert_eq!(digest, Digest::of(&content(&from)));
            }
        }
        let (_, to, digest) = copied(&[], 0, false);
        assert_eq!(content(&to), b"");
        assert_eq!(digest, Digest::of(b""));
    }

    #[test]
    fn holes_take_no_space_in_the_copy() {
        let size = 64 << 20;
        let (from, to, _) = copied(&[(32 << 20, b"in the middle")], size, false);
        let room = to.metadata().unwrap().blocks() * 512;
        assert!(room < 1 << 20, "{room}");
        assert!(data_bytes(&from, size).unwrap() < 1 << 20);
    }

    #[test]
    fn a_file_that_got_shorter_gives_what_is_left() {
        for allocated in [0, u64::MAX] {
            let (from, to) = (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
            from.write_all_at(b"short", 0).unwrap();
            let (length, digest) =
                copy_data(&from, &to, 1 << 20, allocated, &Stop::default()).unwrap();
            assert_eq!(length, 5);
            assert_eq!(digest, Digest::of(b"short"));
            assert_eq!(content(&to), b"short");
        }
    }

    #[test]
    fn a_file_that_got_longer_is_copied_up_to_the_size_asked_for() {
        let (from, to) = (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
        from.write_all_at(b"longer than before", 0).unwrap();
        let (length, _) = copy_data(&from, &to, 6, 4096, &Stop::default()).unwrap();
        assert_eq!(length, 6);
        assert_eq!(content(&to), b"longer");
    }

    #[test]
    fn a_request_to_stop_ends_it() {
        let (from, to) = (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
        from.set_len(1 << 40).unwrap();
        let stop = Stop::default();
        stop.ask(15);
        let error = copy_data(&from, &to, 1 << 40, 0, &stop).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::Interrupted);
    }
}
