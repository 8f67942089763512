//! Copying a file's content: holes stay holes, and the digest is computed on the way.

mod update;

use std::{fs::File, io, os::unix::fs::FileExt as _};

use rustix::{
    fs::{SeekFrom, seek},
    io::Errno,
};
use schema::Digest;
use sha2::{Digest as _, Sha256};

pub use self::update::{Passed, Shared};
use crate::{
    error::Error,
    sys::{
        Dir,
        distance::{is_read_as_asked, read_as_asked},
    },
};

/// Bytes read at a time: large enough for a disk to stream, small enough for the cache.
const BUFFER: usize = 256 << 10;

/// Smaller files that have changed are written whole: to read what was there takes as long.
pub const WORTH_COMPARING: u64 = 128 << 10;

/// Why a content could not be copied.
#[derive(Debug)]
pub enum CopyError {
    /// The source could not be read.
    Read(io::Error),
    /// The copy could not be written.
    Write(io::Error),
    /// The work was told to end.
    Ended(Error),
}

/// What was copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Copied {
    /// Bytes of content, holes included.
    pub bytes: u64,
    /// Their digest.
    pub digest: Digest,
}

/// Copies contents, with one buffer for all of them.
pub struct Copier {
    buffer: Vec<u8>,
    /// For what is there already, once there is any.
    old: Vec<u8>,
    /// What is read is on a file system that is asked for just that.
    as_asked: bool,
}

impl Default for Copier {
    fn default() -> Self {
        Self {
            buffer: vec![0; BUFFER],
            old: Vec::new(),
            as_asked: false,
        }
    }
}

impl Copier {
    /// One for what is read from the file system that a folder is on.
    #[must_use]
    pub fn reading_from(on: &Dir) -> Self {
        Self {
            as_asked: is_read_as_asked(on),
            ..Self::default()
        }
    }

    /// Copies all that `from` holds to the empty file `to`.
    ///
    /// `size` is what the kernel said of it a moment ago. `sparse` says that fewer bytes are allocated than the size, so that holes are looked for.
    /// `tick` hears of every piece, of one in a hole as no bytes, and can end the work. Of a file that grows meanwhile about as
    /// much is copied as it had at the start, so that the work always ends.
    ///
    /// # Errors
    /// Which side failed, with the system's reason.
    pub fn copy(
        &mut self,
        from: &File,
        to: &File,
        sparse: bool,
        size: u64,
        tick: &mut dyn FnMut(u64) -> Result<(), Error>,
    ) -> Result<Copied, CopyError> {
        self.each(from, sparse, size, tick, |at, data| {
            to.write_all_at(data, at)
        })
        .and_then(|copied| {
            // A hole at the end leaves nothing behind but the size.
            if sparse {
                to.set_len(copied.bytes).map_err(CopyError::Write)?;
            }
            Ok(copied)
        })
    }

    /// The digest of all that `from` holds.
    ///
    /// # Errors
    /// As [`Self::copy`].
    pub fn digest(
        &mut self,
        from: &File,
        sparse: bool,
        tick: &mut dyn FnMut(u64) -> Result<(), Error>,
    ) -> Result<Copied, CopyError> {
        let size = end_of(from).map_err(CopyError::Read)?;
        self.digest_of_size(from, sparse, size, tick)
    }

    /// The same of a file of which the kernel said a moment ago that it has this size.
    ///
    /// # Errors
    /// As [`Self::copy`].
    pub fn digest_of_size(
        &mut self,
        from: &File,
        sparse: bool,
        size: u64,
        tick: &mut dyn FnMut(u64) -> Result<(), Error>,
    ) -> Result<Copied, CopyError> {
        self.each(from, sparse, size, tick, |_, _| Ok(()))
    }

    fn each(
        &mut self,
        from: &File,
        sparse: bool,
        enough: u64,
        tick: &mut dyn FnMut(u64) -> Result<(), Error>,
        mut put: impl FnMut(u64, &[u8]) -> io::Result<()>,
    ) -> Result<Copied, CopyError> {
        if self.as_asked && enough <= BUFFER as u64 {
            read_as_asked(from);
        }
        let mut hasher = Sha256::new();
        let mut at = 0;
        let mut data_end = 0;
        // A file may grow faster than it is read: what it had at the start is enough.
        loop {
            if sparse && at >= data_end {
                let size = end_of(from).map_err(CopyError::Read)?.min(enough);
                let next = next_data(from, at, size).map_err(CopyError::Read)?;
                // Without another piece of data a hole reaches up to the end.
                let start = next.map_or(size.max(at), |(start, _)| start);
                hash_zeros(&mut hasher, start - at, tick)?;
                at = start;
                let Some((_, end)) = next else { break };
                data_end = end;
            }
            let room = if sparse {
                usize::try_from(data_end - at)
                    .unwrap_or(usize::MAX)
                    .min(BUFFER)
            } else {
                BUFFER
            };
            let length = match from.read_at(&mut self.buffer[..room], at) {
                Ok(0) => break,
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(CopyError::Read(error)),
            };
            // Files whose size says nothing, as in /proc, are read to their end.
            if at >= enough && end_of(from).map_err(CopyError::Read)? > enough {
                break;
            }
            let data = &self.buffer[..length];
            hasher.update(data);
            put(at, data).map_err(CopyError::Write)?;
            at += length as u64;
            tick(length as u64).map_err(CopyError::Ended)?;
            // The end was in sight: a regular file gives less than was asked for only there.
            // Asking once more would cost as much as reading a small file does.
            if length < room && at == enough && !sparse {
                break;
            }
        }
        Ok(Copied {
            bytes: at,
            digest: Digest(hasher.finalize().into()),
        })
    }
}

/// How many of the first `size` bytes of a file are not in holes.
///
/// # Errors
/// Fails if the file cannot be searched for holes.
pub fn data_bytes(from: &File, size: u64) -> io::Result<u64> {
    let (mut at, mut bytes) = (0, 0);
    while let Some((start, end)) = next_data(from, at, size)? {
        bytes += end - start;
        at = end;
    }
    Ok(bytes)
}

/// The next piece of data of a file from a place on, within its first `size` bytes.
fn next_data(file: &File, at: u64, size: u64) -> io::Result<Option<(u64, u64)>> {
    if at >= size {
        return Ok(None);
    }
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
    // A file that shrinks meanwhile may say less than where it was asked.
    let end = match seek(file, SeekFrom::Hole(start)) {
        Ok(end) if end > start => end.min(size),
        Ok(_) | Err(Errno::NXIO) => size,
        Err(error) => return Err(error.into()),
    };
    Ok(Some((start, end)))
}

fn end_of(file: &File) -> io::Result<u64> {
    Ok(file.metadata()?.len())
}

fn hash_zeros(
    hasher: &mut Sha256,
    mut length: u64,
    tick: &mut dyn FnMut(u64) -> Result<(), Error>,
) -> Result<(), CopyError> {
    static ZEROS: [u8; 64 << 10] = [0; 64 << 10];
    while length > 0 {
        let piece = length.min(ZEROS.len() as u64);
        hasher.update(&ZEROS[..usize::try_from(piece).unwrap_or(ZEROS.len())]);
        length -= piece;
        // Nothing was read or written.
        tick(0).map_err(CopyError::Ended)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    #[test]
    fn holes_stay_holes_and_the_digest_is_that_of_the_content() {
        let temporary = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        let path = temporary.path().join("sparse");
        let file = File::create_new(&path).unwrap();
        file.write_all_at(b"start", 0).unwrap();
        file.write_all_at(b"middle", 4 << 20).unwrap();
        file.set_len(9 << 20).unwrap();
        drop(file);
        let from = File::open(&path).unwrap();
        let to_path = temporary.path().join("copy");
        let to = File::create_new(&to_path).unwrap();
        let mut copier = Copier::default();
        let copied = copier
            .copy(&from, &to, true, 9 << 20, &mut |_| Ok(()))
            .unwrap();
        let content = std::fs::read(&path).unwrap();
        assert_eq!(copied.bytes, 9 << 20);
        assert_eq!(copied.digest, Digest::of(&content));
        assert_eq!(std::fs::read(&to_path).unwrap(), content);
        to.sync_all().unwrap();
        assert!(to_path.metadata().unwrap().blocks() * 512 < 1 << 20);
        let again = copier.digest(&from, false, &mut |_| Ok(())).unwrap();
        assert_eq!(again, copied);
    }

    #[test]
    fn a_file_that_grows_as_fast_as_it_is_read_is_read_once_and_no_further() {
        for sparse in [false, true] {
            let temporary = tempfile::tempdir().unwrap();
            let path = temporary.path().join("file");
            std::fs::write(&path, vec![b'x'; 3 * BUFFER]).unwrap();
            let grows = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
            let from = File::open(&path).unwrap();
            let to = File::create_new(temporary.path().join("copy")).unwrap();
            let mut pieces = 0;
            let copied =
                Copier::default().copy(&from, &to, sparse, 3 * BUFFER as u64, &mut |length| {
                    pieces += 1;
                    assert!(pieces < 20, "does not end");
                    let end = from.metadata().unwrap().len();
                    grows
                        .write_all_at(&vec![b'y'; length as usize], end)
                        .unwrap();
                    Ok(())
                });
            let copied = copied.unwrap();
            assert!(copied.bytes < 5 * BUFFER as u64);
            assert_eq!(to.metadata().unwrap().len(), copied.bytes);
        }
    }

    #[test]
    fn an_empty_file_and_a_request_to_end_are_no_surprise() {
        let temporary = tempfile::tempdir().unwrap();
        let path = temporary.path().join("file");
        std::fs::write(&path, "").unwrap();
        let from = File::open(&path).unwrap();
        let to = File::create_new(temporary.path().join("copy")).unwrap();
        let mut copier = Copier::default();
        let copied = copier.copy(&from, &to, false, 0, &mut |_| Ok(())).unwrap();
        assert_eq!((copied.bytes, copied.digest), (0, Digest::of(b"")));
        std::fs::write(&path, "x").unwrap();
        let ended = copier.digest(&from, false, &mut |_| Err(Error::interrupted()));
        assert!(matches!(ended, Err(CopyError::Ended(_))));
    }
}
