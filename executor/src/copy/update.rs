//! Turning a file that shares its blocks with an older content into a newer one: what is the same stays
//! shared, and only what differs is written.
//!
//! The digest is that of the newer content as it was read. What is compared with it is read from the very
//! file that is changed, which nobody else has: so whatever the older content was, the file ends as what was
//! read.

use std::{
    cell::Cell,
    fs::File,
    io::{self, ErrorKind},
    os::unix::fs::FileExt as _,
};

use rustix::fs::{FallocateFlags, fallocate};

use super::{Copied, Copier, CopyError, next_data};
use crate::error::Error;

/// What is compared at once, and shared or not: the least that file systems share.
const BLOCK: u64 = 4096;
/// Bytes in a row without anything the same after which some are written unseen: something was inserted,
/// or all is new, and to read what was there would cost as much again.
const VAIN: u64 = 1 << 20;
/// The most that is written unseen before it is looked again.
const MOST_UNSEEN: u64 = 64 << 20;

/// The file to change.
pub struct Shared<'a> {
    /// It, to be written.
    pub to: &'a File,
    /// It, to be read.
    pub there: &'a File,
    /// Its size.
    pub size: u64,
}

/// What was passed of a file: bytes that were read, and bytes of those that were written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Passed {
    /// Bytes read.
    pub read: u64,
    /// Bytes written.
    pub written: u64,
}

/// How far a file was changed.
struct Update<'a> {
    shared: Shared<'a>,
    old: Vec<u8>,
    /// Up to where it is as it should be.
    done: u64,
    /// Bytes in a row without anything the same.
    vain: u64,
    /// Up to where it is written unseen, and how much the next time.
    unseen_until: u64,
    unseen: u64,
    /// It could not be read, or not be given holes.
    is_faulty: bool,
}

impl Copier {
    /// Changes a file that has an older content into what `from` holds. `size` and `sparse` are as for
    /// [`Self::copy`], `tick` hears of every piece. None where it cannot be read or given holes: then nothing
    /// is to be made of it.
    ///
    /// # Errors
    /// As [`Self::copy`].
    pub fn update(
        &mut self,
        from: &File,
        shared: Shared<'_>,
        (sparse, size): (bool, u64),
        tick: &mut dyn FnMut(Passed) -> Result<(), Error>,
    ) -> Result<Option<Copied>, CopyError> {
        let to = shared.to;
        let mut update = Update {
            shared,
            old: std::mem::take(&mut self.old),
            done: 0,
            vain: 0,
            unseen_until: 0,
            unseen: VAIN,
            is_faulty: false,
        };
        let written = Cell::new(0);
        let result = self.each(
            from,
            sparse,
            size,
            &mut |read| {
                let written = written.take();
                tick(Passed { read, written })
            },
            |at, data| {
                written.set(update.put(at, data)?);
                Ok(())
            },
        );
        let ended = match &result {
            Ok(copied) => update.clear_until(copied.bytes),
            Err(_) => Ok(()),
        };
        let is_faulty = update.is_faulty || ended.is_err();
        self.old = update.old;
        match result {
            Ok(_) | Err(CopyError::Write(_)) if is_faulty => Ok(None),
            Ok(copied) => {
                to.set_len(copied.bytes).map_err(CopyError::Write)?;
                Ok(Some(copied))
            }
            Err(error) => Err(error),
        }
    }
}

impl Update<'_> {
    /// Makes a piece be as it should, and what was passed over before it a hole; gives the bytes that
    /// were written.
    fn put(&mut self, at: u64, data: &[u8]) -> io::Result<u64> {
        let cleared = self.clear_until(at);
        self.is_faulty |= cleared.is_err();
        cleared?;
        let end = at + data.len() as u64;
        self.done = end;
        if at >= self.shared.size || at < self.unseen_until {
            self.shared.to.write_all_at(data, at)?;
            return Ok(data.len() as u64);
        }
        let read = self.read_old(at, data.len());
        self.is_faulty |= read.is_err();
        let known = read?;
        let mut written = 0;
        let mut is_vain = true;
        // Blocks that differ and follow each other are written at once.
        let mut differs_from = None;
        let mut start = 0;
        while start < data.len() {
            let block_end = (at + start as u64) / BLOCK * BLOCK + BLOCK;
            let next =
                usize::try_from(block_end - at).map_or(data.len(), |next| next.min(data.len()));
            let is_same = next <= known && self.old[start..next] == data[start..next];
            if is_same {
                is_vain = false;
                if let Some(from) = differs_from.take() {
                    written += self.write(at, data, from, start)?;
                }
            } else {
                differs_from.get_or_insert(start);
            }
            start = next;
        }
        if let Some(from) = differs_from {
            written += self.write(at, data, from, data.len())?;
        }
        self.judge(is_vain, data.len() as u64);
        Ok(written)
    }

    fn write(&self, at: u64, data: &[u8], from: usize, to: usize) -> io::Result<u64> {
        self.shared
            .to
            .write_all_at(&data[from..to], at + from as u64)?;
        Ok((to - from) as u64)
    }

    /// Where nothing is the same for a while, the next piece is not looked at, and each time a longer one.
    fn judge(&mut self, is_vain: bool, length: u64) {
        if !is_vain {
            (self.vain, self.unseen) = (0, VAIN);
            return;
        }
        self.vain += length;
        if self.vain >= VAIN {
            self.unseen_until = self.done + self.unseen;
            self.unseen = (self.unseen * 2).min(MOST_UNSEEN);
        }
    }

    /// Reads what is there; gives how much.
    fn read_old(&mut self, at: u64, length: usize) -> io::Result<usize> {
        if self.old.len() < length {
            self.old.resize(length, 0);
        }
        let mut known = 0;
        while known < length {
            match self
                .shared
                .there
                .read_at(&mut self.old[known..length], at + known as u64)
            {
                Ok(0) => break,
                Ok(more) => known += more,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(known)
    }

    /// Makes holes of what is there from where it is done up to a place.
    fn clear_until(&mut self, until: u64) -> io::Result<()> {
        let end = until.min(self.shared.size);
        // What is a hole already costs a look.
        while self.done < end
            && let Some((from, to)) = next_data(self.shared.there, self.done, end)?
        {
            let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
            fallocate(self.shared.to, flags, from, to - from)?;
            self.done = to;
        }
        self.done = until;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use schema::Digest;

    use super::*;

    const SEED: u64 = 0x9e37_79b9_7f4a_7c15;

    fn bytes(seed: u64, length: usize) -> Vec<u8> {
        let mut state = seed.wrapping_mul(SEED) | 1;
        let next = |_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[3]
        };
        (0..length).map(next).collect()
    }

    /// What becomes of `old` when it is to be `new`, where these ranges of `new` are holes; gives the bytes
    /// that were written.
    fn updated(folder: &Path, old: &[u8], new: &[u8], holes: &[std::ops::Range<usize>]) -> u64 {
        let (from_path, to_path) = (folder.join("from"), folder.join("to"));
        let from = File::create(&from_path).unwrap();
        let mut at = 0;
        let mut expected = new.to_vec();
        for hole in holes
            .iter()
            .cloned()
            .chain(std::iter::once(new.len()..new.len()))
        {
            from.write_all_at(&new[at..hole.start], at as u64).unwrap();
            at = hole.end;
            expected[hole].fill(0);
        }
        from.set_len(new.len() as u64).unwrap();
        std::fs::write(&to_path, old).unwrap();
        let to = File::options().write(true).open(&to_path).unwrap();
        let (from, there) = (
            File::open(&from_path).unwrap(),
            File::open(&to_path).unwrap(),
        );
        let shared = Shared {
            to: &to,
            there: &there,
            size: old.len() as u64,
        };
        let mut passed = (0, 0);
        let copied = Copier::default()
            .update(
                &from,
                shared,
                (!holes.is_empty(), new.len() as u64),
                &mut |piece| {
                    passed = (passed.0 + piece.read, passed.1 + piece.written);
                    Ok(())
                },
            )
            .unwrap()
            .unwrap();
        assert_eq!(copied.bytes, new.len() as u64);
        assert_eq!(copied.digest, Digest::of(&expected));
        assert!(
            std::fs::read(&to_path).unwrap() == expected,
            "other content"
        );
        passed.1
    }

    #[test]
    fn a_file_becomes_another_and_only_what_differs_is_written() {
        let temporary = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        let folder = temporary.path();
        let old = bytes(1, 700_001);
        assert_eq!(updated(folder, &old, &old, &[]), 0);
        let mut new = old.clone();
        for at in [0, 4095, 4096, 300_000, 699_999] {
            new[at] ^= 1;
        }
        // Two blocks at the start, one further on, and the last one, which is no whole one.
        assert_eq!(updated(folder, &old, &new, &[]), 3 * 4096 + 700_001 % 4096);
        // Shorter, longer, empty, and from nothing.
        assert_eq!(updated(folder, &old, &new[..300_000], &[]), 2 * 4096);
        assert_eq!(updated(folder, &old, &old[..5], &[]), 0);
        assert_eq!(updated(folder, &old, &[], &[]), 0);
        let longer = [&old[..], &bytes(2, 100_000)].concat();
        let from = 700_001 / 4096 * 4096;
        assert_eq!(updated(folder, &old, &longer, &[]), 800_001 - from);
        assert_eq!(updated(folder, &[], &old, &[]), 700_001);
    }

    #[test]
    fn holes_are_those_of_the_newer_content() {
        let temporary = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        let folder = temporary.path();
        let old = bytes(3, 3 << 20);
        let length = |path: &str| {
            use std::os::unix::fs::MetadataExt as _;
            let file = File::open(folder.join(path)).unwrap();
            file.sync_all().unwrap();
            file.metadata().unwrap().blocks() * 512
        };
        let holes = [65_536..131_072, 1 << 20..2 << 20, (3 << 20) - 8192..3 << 20];
        assert_eq!(updated(folder, &old, &old, &holes), 0);
        assert!(
            length("to") <= length("from"),
            "{} {}",
            length("to"),
            length("from")
        );
        // Beyond the end of what was there, too.
        let longer = bytes(3, 5 << 20);
        updated(
            folder,
            &old,
            &longer,
            &[2 << 20..4 << 20, (5 << 20) - 4096..5 << 20],
        );
        assert!(
            length("to") <= length("from"),
            "{} {}",
            length("to"),
            length("from")
        );
    }

    #[test]
    fn what_is_all_new_is_not_looked_at_for_long_and_what_comes_after_it_is_found() {
        let temporary = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        let old = bytes(4, 7 << 20);
        let mut new = bytes(5, 7 << 20);
        new[3 << 20..].copy_from_slice(&old[3 << 20..]);
        let written = updated(temporary.path(), &old, &new, &[]);
        assert!(((3 << 20)..(5 << 20)).contains(&written), "{written}");
    }

    #[test]
    fn what_cannot_be_read_is_told_apart_from_what_cannot_be_written() {
        let temporary = tempfile::tempdir().unwrap();
        let path = temporary.path().join("file");
        std::fs::write(&path, bytes(6, 300_000)).unwrap();
        let from = File::open(&path).unwrap();
        let to = File::options().write(true).open(&path).unwrap();
        let tick = &mut |_: Passed| Ok(());
        let mut copier = Copier::default();
        let mut update = |to: &File, there: &File| {
            let shared = Shared {
                to,
                there,
                size: 300_000,
            };
            copier.update(&from, shared, (false, 300_000), tick)
        };
        assert!(
            matches!(update(&to, &to), Ok(None)),
            "it is not open to be read"
        );
        let other = temporary.path().join("other");
        std::fs::write(&other, bytes(7, 300_000)).unwrap();
        let there = File::open(&other).unwrap();
        assert!(matches!(update(&there, &there), Err(CopyError::Write(_))));
        let ended = Copier::default().update(
            &from,
            Shared {
                to: &to,
                there: &from,
                size: 300_000,
            },
            (false, 300_000),
            &mut |_| Err(Error::interrupted()),
        );
        assert!(matches!(ended, Err(CopyError::Ended(_))));
    }
}
