//! Reading the next share of a remote's objects, beside whatever else works there.
//!
//! A share may take hours, and no run is to wait for it. So the remote is looked at under the lock, which
//! takes no longer than its lists; what is to be read is read without it, in a folder of its own; and what
//! looks damaged then is looked at once more under the lock, because a run may have taken it away meanwhile.
//!
//! What is read is not kept: rclone computes the SHA-256 of what it downloads, so that no room is needed,
//! however large an object is. Where the remote can tell the SHA-256 itself, that is asked for first.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    ffi::OsStr,
    io::Write as _,
    ops::RangeInclusive,
};

use schema::{Digest, SnapshotId, output::cloud::CloudVerification};

use super::{
    HistoryRemote,
    layout::object_file,
    verify::{Comparison, FOUND_BEFORE, NOT_WHAT_IT_WAS, count, number_of, range_of},
};
use crate::{
    cloud::{
        hashes::{self, Hashing},
        memory::RemoteCache,
        verify::{Share, nothing_compared},
    },
    error::{Error, ErrorKind, Result},
    lock::Lock,
};

/// Where a reading that holds no run up keeps its lists.
const AREA: &str = "reading";
/// Objects that are read at once, and their bytes: what a reading that is ended does again.
const FILES: usize = 1000;
const BYTES: u64 = 256 << 20;
/// The largest object of which a remote is asked for a hash that it must compute: it says nothing meanwhile.
const LARGEST_HASHED: u64 = 4 << 30;

/// A share that is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WantedShare {
    /// Which part, from 1 on.
    pub part: u32,
    /// Of how many.
    pub of: u32,
    /// The place among all digests where an earlier reading of it ended.
    pub from: Option<u16>,
}

impl WantedShare {
    fn range(self) -> RangeInclusive<u16> {
        let Self { part, of, from } = self;
        let whole = range_of(Share::Part { part, of });
        let from = from.filter(|from| whole.contains(from));
        from.unwrap_or(*whole.start())..=*whole.end()
    }
}

/// A share that was looked at, and is yet to be read.
pub struct ShareReading {
    range: RangeInclusive<u16>,
    found: CloudVerification,
    /// What is not as it should be, in words.
    damaged: BTreeMap<Digest, String>,
    /// What only reading can tell, in the order of digests.
    waiting: Vec<(Digest, u64)>,
    /// The remote's own SHA-256, where it reads the file to tell it.
    hashing: Option<Hashing>,
    /// What was found damaged before, and not put again since.
    known: HashSet<Digest>,
    /// Where reading ended, where that was before its end.
    read_before: Option<u16>,
    unread: Unread,
}

/// What a reading did not come to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unread {
    /// The place where it ended before its end, and why.
    pub ended: Option<(u16, String)>,
    /// Snapshots there whose record or manifest is damaged.
    pub records: Vec<SnapshotId>,
}

/// A share that was read.
#[derive(Debug, Clone)]
pub struct ReadShare {
    /// What was compared, and what is damaged.
    pub found: CloudVerification,
    /// What was not.
    pub unread: Unread,
    /// How much of the share was read, in percent.
    pub percent: u8,
}

/// A folder for a reading, which no other reading uses meanwhile.
pub struct ReadingArea {
    /// In place of what is kept of the remote.
    pub cache: RemoteCache,
    _lock: Lock,
}

impl ReadingArea {
    /// Opens it beside what is kept of a remote.
    ///
    /// # Errors
    /// Busy if another reading is at work; fails if it cannot be made.
    pub fn open(cache: &RemoteCache) -> Result<Self> {
        let path = cache.named(AREA);
        let made = cache.dir().folder_or_new(OsStr::new(AREA), 0o700);
        let dir = made.map_err(|error| Error::io("make", path.as_bytes(), error))?;
        let lock = Lock::take(&dir, "lock", &format!("{path}/lock"))?;
        Ok(Self {
            cache: RemoteCache::of(dir, path),
            _lock: lock,
        })
    }
}

impl HistoryRemote<'_> {
    /// Looks at all objects, and at what of a share is to be read; none where nothing was ever uploaded.
    ///
    /// # Errors
    /// When the remote cannot be asked, or the cache cannot be written.
    pub fn look_at_share(&self, wanted: WantedShare) -> Result<Option<ShareReading>> {
        let known = self.refresh()?;
        let newest = known.newest().map(|newest| newest.snapshot.id);
        let Some(id) = newest.or(known.damaged.last().copied()) else {
            return Ok(None);
        };
        let range = wanted.range();
        let hashing = self.own_hash()?;
        let mut comparison = Comparison::new(*self, range.clone());
        // Hashes that cost nothing tell of all objects.
        comparison.hashing = hashing.as_ref().filter(|hashing| !hashing.slow);
        comparison.each(&(0..=u16::MAX), &known, &mut |_| Ok(()))?;
        Ok(Some(ShareReading {
            range,
            found: comparison.counted(nothing_compared(id, hashing.as_ref())),
            damaged: std::mem::take(&mut comparison.damaged),
            waiting: std::mem::take(&mut comparison.waiting),
            known: std::mem::take(&mut comparison.known),
            read_before: None,
            unread: Unread {
                ended: None,
                records: known.damaged,
            },
            hashing: hashing.filter(|hashing| hashing.slow),
        }))
    }

    /// Ends a reading: what looks damaged and is still wanted is damaged, and remembered for the next upload
    /// to put it again.
    ///
    /// # Errors
    /// As [`Self::look_at_share`].
    pub fn settle_share(&self, reading: ShareReading) -> Result<ReadShare> {
        let known = self.refresh()?;
        let range = reading.read_range();
        let (mut share, mut damaged) = reading.into_share();
        let mut unread = None;
        let mut index = self.object_index(&known.records)?;
        damaged.retain(|digest, _| {
            index.has(*digest).unwrap_or_else(|error| {
                unread = Some(error);
                true
            })
        });
        if let Some(error) = unread {
            return Err(self.io("read", "objects.idx", error));
        }
        self.remember_damage(&|digest| range.contains(&number_of(digest)), &damaged)?;
        share.found = self.name_damage(damaged, share.found, &known)?;
        Ok(share)
    }

    /// The SHA-256 of objects, by their names: as the remote tells it, or of what is downloaded.
    fn sums(&self, objects: &[(Digest, u64)], told: Option<&Hashing>) -> Result<Told> {
        const LIST: &str = "read.list";
        if objects.is_empty() {
            return Ok((Sums::new(), None));
        }
        let names = objects
            .iter()
            .map(|(digest, _)| object_file(*digest) + "\n");
        let list: String = names.collect();
        self.cache
            .new_file(LIST)?
            .write_all(list.as_bytes())
            .map_err(|error| self.io("write", LIST, error))?;
        let list = self.cache.named(LIST);
        let ours = Hashing::ours();
        let options = ["--files-from-raw", &list, "--no-traverse", "--download"];
        let options = match told {
            Some(_) => &options[..3],
            None => &options[..],
        };
        let hashing = told.unwrap_or(&ours);
        hashes::list_hashes_told(self.rclone, self.cache, &self.objects(), hashing, options)
    }
}

type Sums = HashMap<String, String>;
/// What was told, and what is said where a connection failed.
type Told = (Sums, Option<String>);

/// Those of the objects whose digest is not told.
fn not_told(objects: &[(Digest, u64)], sums: &Sums) -> Vec<(Digest, u64)> {
    let is_told = |digest: Digest| {
        let sum = sums.get(&object_file(digest));
        sum.is_some_and(|sum| *sum == digest.to_string())
    };
    let all = objects.iter().copied();
    all.filter(|(digest, _)| !is_told(*digest)).collect()
}

/// The smallest of the objects that are in no doubt.
fn control_of(all: &[(Digest, u64)], doubtful: &[(Digest, u64)]) -> Option<(Digest, u64)> {
    let sure = all.iter().filter(|one| !doubtful.contains(one));
    sure.min_by_key(|(_, size)| *size).copied()
}

/// As many of the objects as are read at once.
fn piece_of(objects: &[(Digest, u64)]) -> usize {
    let mut bytes = 0_u64;
    let fits = objects.iter().take(FILES).take_while(|(_, size)| {
        bytes = bytes.saturating_add(*size);
        bytes <= BYTES
    });
    fits.count().max(1)
}

impl ShareReading {
    /// Reads what waits for it, without the lock: `remote` has a folder of its own ([`ReadingArea`]). What its
    /// time, or the remote, keeps it from is left for the next reading.
    ///
    /// # Errors
    /// When nothing could be read; an interruption.
    pub fn read(&mut self, remote: &HistoryRemote<'_>) -> Result<()> {
        let waiting = std::mem::take(&mut self.waiting);
        let mut at = 0;
        let mut unreadable = Vec::new();
        while at < waiting.len() {
            let piece = &waiting[at..at + piece_of(&waiting[at..])];
            match self.read_piece(remote, piece, &waiting) {
                Ok(more) => unreadable.extend(more),
                Err(error) if error.kind == ErrorKind::Failed => {
                    let begun = number_of(piece[0].0);
                    if at == 0 && !remote.rclone.is_over() {
                        return Err(error);
                    }
                    // One that is never read in time holds up no others.
                    let place = match begun > *self.range.start() {
                        true => begun,
                        false => begun.saturating_add(1),
                    };
                    self.read_before = Some(begun);
                    self.unread.ended = Some((place, error.message));
                    break;
                }
                Err(error) => return Err(error),
            }
            at += piece.len();
        }
        let is_none_read = self.found.read_files + self.found.hashed_files == 0;
        if !unreadable.is_empty() && is_none_read {
            return Err(remote.none_read(unreadable.len() as u64));
        }
        let told = "it cannot be read there";
        let unreadable = unreadable.into_iter();
        self.damaged
            .extend(unreadable.map(|digest| (digest, told.to_owned())));
        let left = waiting[at..].iter().map(|(digest, _)| *digest);
        let left = left.filter(|digest| self.known.contains(digest));
        self.damaged
            .extend(left.map(|digest| (digest, FOUND_BEFORE.to_owned())));
        Ok(())
    }

    /// Whether [`HistoryRemote::settle_share`] is needed to end it.
    #[must_use]
    pub fn wants_settling(&self) -> bool {
        !self.known.is_empty() || !self.damaged.is_empty()
    }

    /// Ends a reading in which nothing was found.
    #[must_use]
    pub fn end(self) -> ReadShare {
        self.into_share().0
    }

    /// Reads some objects of all that are to be read; gives those that could not be.
    fn read_piece(
        &mut self,
        remote: &HistoryRemote<'_>,
        piece: &[(Digest, u64)],
        all: &[(Digest, u64)],
    ) -> Result<Vec<Digest>> {
        let (mut hashed, mut read) = ((0, 0), (0, 0));
        let mut left = piece.to_vec();
        if let Some(hashing) = &self.hashing {
            let small = |(_, size): &(Digest, u64)| *size <= LARGEST_HASHED;
            let (asked, large): (Vec<_>, Vec<_>) = left.into_iter().partition(small);
            left = not_told(&asked, &remote.sums(&asked, Some(hashing))?.0);
            let is_left = |digest: &Digest| left.iter().any(|(other, _)| other == digest);
            let told = asked.iter().filter(|(digest, _)| !is_left(digest));
            told.for_each(|(_, size)| count(&mut hashed, *size));
            left.extend(large);
        }
        let (sums, _) = remote.sums(&left, None)?;
        let doubtful = not_told(&left, &sums);
        // What a connection did to it once it does not do again. That another one comes with them tells a
        // connection that is lost from contents that are.
        let control = control_of(all, &doubtful);
        let asked: Vec<_> = match doubtful.is_empty() {
            true => Vec::new(),
            false => doubtful.iter().copied().chain(control).collect(),
        };
        let (again, failed) = remote.sums(&asked, None)?;
        let comes = control.is_some_and(|control| not_told(&[control], &again).is_empty());
        if let Some(message) = failed.filter(|_| !comes) {
            return Err(remote.rclone.failed(true, &message));
        }
        let mut unreadable = Vec::new();
        for (digest, _) in not_told(&doubtful, &again) {
            match again.contains_key(&object_file(digest)) {
                true => {
                    self.damaged.insert(digest, NOT_WHAT_IT_WAS.to_owned());
                }
                false => unreadable.push(digest),
            }
        }
        let is_read = |digest: &Digest| !unreadable.contains(digest);
        let came = left.iter().filter(|(digest, _)| is_read(digest));
        came.for_each(|(_, size)| count(&mut read, *size));
        let found = &mut self.found;
        for (to, by) in [
            (&mut found.hashed_files, hashed.0),
            (&mut found.hashed_bytes, hashed.1),
            (&mut found.read_files, read.0),
            (&mut found.read_bytes, read.1),
        ] {
            *to = to.saturating_add(by);
        }
        Ok(unreadable)
    }

    /// The places whose objects were read.
    fn read_range(&self) -> RangeInclusive<u16> {
        let (start, end) = (*self.range.start(), *self.range.end());
        match self.read_before {
            None => start..=end,
            Some(before) if before > start => start..=(before - 1).min(end),
            // None were.
            Some(_) => RangeInclusive::new(1, 0),
        }
    }

    fn into_share(self) -> (ReadShare, BTreeMap<Digest, String>) {
        let percent = self.read_range().len() * 100 / self.range.len().max(1);
        let share = ReadShare {
            found: self.found,
            unread: self.unread,
            percent: u8::try_from(percent.min(100)).unwrap_or(100),
        };
        (share, self.damaged)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(range: RangeInclusive<u16>, ended: Option<u16>) -> ShareReading {
        ShareReading {
            range,
            found: nothing_compared("2025-03-05_02-00-00".parse().unwrap(), None),
            damaged: BTreeMap::new(),
            waiting: Vec::new(),
            hashing: None,
            known: HashSet::new(),
            read_before: ended,
            unread: Unread::default(),
        }
    }

    #[test]
    fn a_share_that_was_begun_goes_on_where_it_ended() {
        let wanted = |from| WantedShare {
            part: 2,
            of: 4,
            from,
        };
        assert_eq!(wanted(None).range(), 0x4000..=0x7fff);
        assert_eq!(wanted(Some(0x5000)).range(), 0x5000..=0x7fff);
        // A place of another share says nothing of this one.
        assert_eq!(wanted(Some(0x9000)).range(), 0x4000..=0x7fff);
        let ended = reading(0x4000..=0x7fff, Some(0x5000));
        assert_eq!(ended.read_range(), 0x4000..=0x4fff);
        assert_eq!(ended.end().percent, 25);
        assert_eq!(reading(0x4000..=0x7fff, None).end().percent, 100);
        assert!(reading(0..=0x7fff, Some(0)).read_range().is_empty());
        assert_eq!(reading(0..=0x7fff, Some(0)).end().percent, 0);
    }

    #[test]
    fn what_is_read_at_once_is_bounded_and_one_object_is_read_whatever_its_size() {
        let one = |size| (Digest::of(b"one"), size);
        assert_eq!(piece_of(&[one(BYTES + 1), one(1)]), 1);
        assert_eq!(piece_of(&[one(BYTES - 1), one(1), one(1)]), 2);
        assert_eq!(piece_of(&vec![one(0); FILES + 1]), FILES);
    }

    #[test]
    fn what_is_not_told_or_told_otherwise_is_looked_at() {
        let (good, bad, silent) = (Digest::of(b"a"), Digest::of(b"b"), Digest::of(b"c"));
        let sums = Sums::from([
            (object_file(good), good.to_string()),
            (object_file(bad), good.to_string()),
        ]);
        let all = [(good, 1), (bad, 1), (silent, 1)];
        let doubtful = not_told(&all, &sums);
        assert_eq!(doubtful, [(bad, 1), (silent, 1)]);
        assert_eq!(control_of(&all, &doubtful), Some((good, 1)));
        assert_eq!(control_of(&doubtful, &doubtful), None);
    }
}
