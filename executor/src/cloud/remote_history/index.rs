//! Which objects the remote has: those that a manifest with a record lists.
//!
//! `objects.idx` in the cache is sorted by digest, with each object's size and in how many manifests it is.
//! It begins with a digest of what it was made from, and is made anew where that is another one: so it can
//! be lost. Read from front to back, whatever is asked of it.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs::File,
    io::{self, BufReader, BufWriter, Read, Seek as _, SeekFrom, Write as _},
    ops::RangeInclusive,
};

use schema::{Digest, SnapshotId, remote_history::RemoteRecord};

use super::HistoryRemote;
use crate::{
    cloud::memory::RemoteCache,
    error::Result,
    manifest::{FILE_NAME, Reader},
    sys::Kind,
};

const INDEX: &str = "objects.idx";
const NEW: &str = "objects.new";
const MAGIC: &[u8; 8] = b"objects1";
/// Before the objects: the magic and a digest.
const HEAD: u64 = 8 + 32;
/// Of each object: its digest, its size, and in how many manifests it is.
const ENTRY: usize = 32 + 8 + 4;
/// Objects that are in memory at once, at most.
const AT_ONCE: u64 = 1 << 20;

/// An object that the remote has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct KnownObject {
    pub(super) digest: Digest,
    pub(super) size: u64,
    /// In how many manifests it is.
    pub(super) count: u32,
}

impl KnownObject {
    fn read(from: &mut impl Read) -> io::Result<Option<Self>> {
        let mut bytes = [0; ENTRY];
        match from.read_exact(&mut bytes) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(error) => return Err(error),
        }
        let (digest, rest) = bytes.split_at(32);
        let (size, count) = rest.split_at(8);
        let mut own = Self {
            digest: Digest([0; 32]),
            size: u64::from_le_bytes(size.try_into().unwrap_or_default()),
            count: u32::from_le_bytes(count.try_into().unwrap_or_default()),
        };
        own.digest.0.copy_from_slice(digest);
        Ok(Some(own))
    }

    fn write(&self, to: &mut impl io::Write) -> io::Result<()> {
        to.write_all(&self.digest.0)?;
        to.write_all(&self.size.to_le_bytes())?;
        to.write_all(&self.count.to_le_bytes())
    }
}

/// The parts of all digests, by their first byte, of which each is in memory where there are so many files.
pub(super) fn passes(files: u64) -> Vec<RangeInclusive<u8>> {
    parts_of_all(files, AT_ONCE)
}

/// All digests by their first byte, in as few parts as have about so many each.
pub(super) fn parts_of_all(files: u64, at_once: u64) -> Vec<RangeInclusive<u8>> {
    let mut parts = 1_u16;
    while parts < 256 && files / u64::from(parts) > at_once {
        parts *= 2;
    }
    let each = 256 / parts;
    let first = |part: u16| u8::try_from(part * each).unwrap_or(u8::MAX);
    let last = |part: u16| u8::try_from(part * each + each - 1).unwrap_or(u8::MAX);
    (0..parts).map(|part| first(part)..=last(part)).collect()
}

/// The contents of a manifest in one part of all digests, sorted, each once.
pub(super) fn contents(
    manifest: Reader,
    part: &RangeInclusive<u8>,
    each: &mut dyn FnMut() -> Result<()>,
) -> Result<Vec<(Digest, u64)>> {
    let mut found = Vec::new();
    for entry in manifest.without_names() {
        each()?;
        let entry = entry.map_err(|error| crate::Error::io("read", FILE_NAME.as_bytes(), error))?;
        if let (Kind::File, Some(digest)) = (entry.kind, entry.digest)
            && part.contains(&digest.0[0])
        {
            found.push((digest, entry.size));
        }
    }
    found.sort_unstable();
    found.dedup_by_key(|(digest, _)| *digest);
    Ok(found)
}

/// A digest of which manifests an index is of.
fn key_of<'a>(records: impl Iterator<Item = &'a RemoteRecord>) -> Digest {
    let lines = records.map(|record| {
        format!(
            "{} {}\n",
            record.snapshot.id, record.snapshot.manifest_digest
        )
    });
    Digest::of(lines.collect::<String>().as_bytes())
}

/// An index, read from front to back.
pub(super) struct ObjectIndex {
    from: BufReader<File>,
    key: Digest,
    /// How many objects it has.
    count: u64,
    next: Option<KnownObject>,
}

impl ObjectIndex {
    /// Opens the index; none where there is none that can be used.
    fn open(cache: &RemoteCache) -> Option<Self> {
        let mut file = cache.dir().file(OsStr::new(INDEX)).ok()?;
        let length = file.seek(SeekFrom::End(0)).ok()?;
        let entries = length.checked_sub(HEAD)?;
        file.rewind().ok()?;
        let mut from = BufReader::with_capacity(ENTRY << 10, file);
        let (mut magic, mut key) = ([0; 8], [0; 32]);
        from.read_exact(&mut magic).ok()?;
        from.read_exact(&mut key).ok()?;
        if magic != *MAGIC || entries % ENTRY as u64 != 0 {
            return None;
        }
        let next = KnownObject::read(&mut from).ok()?;
        Some(Self {
            from,
            key: Digest(key),
            count: entries / ENTRY as u64,
            next,
        })
    }

    /// How many objects it has.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// The next object, if its digest is in this part; those before the part are passed.
    pub(super) fn next_in(&mut self, part: &RangeInclusive<u8>) -> io::Result<Option<KnownObject>> {
        while let Some(next) = self.next {
            if next.digest.0[0] > *part.end() {
                return Ok(None);
            }
            self.advance()?;
            if part.contains(&next.digest.0[0]) {
                return Ok(Some(next));
            }
        }
        Ok(None)
    }

    /// Whether an object is there. Invariant: asked for in the order of digests.
    pub(super) fn has(&mut self, digest: Digest) -> io::Result<bool> {
        while let Some(next) = self.next
            && next.digest < digest
        {
            self.advance()?;
        }
        Ok(self.next.is_some_and(|next| next.digest == digest))
    }

    fn advance(&mut self) -> io::Result<()> {
        let last = self.next;
        self.next = KnownObject::read(&mut self.from)?;
        if last.is_some()
            && self
                .next
                .is_some_and(|next| Some(next.digest) <= last.map(|last| last.digest))
        {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "it is not in order",
            ));
        }
        Ok(())
    }
}

/// Objects of two sorted lists; what is in both is counted together.
fn merge(one: Vec<KnownObject>, other: Vec<(Digest, u64)>) -> Vec<KnownObject> {
    let mut merged = Vec::with_capacity(one.len().max(other.len()));
    let mut one = one.into_iter().peekable();
    for (digest, size) in other {
        while let Some(before) = one.next_if(|before| before.digest < digest) {
            merged.push(before);
        }
        let same = one.next_if(|same| same.digest == digest);
        let count = same.map_or(0, |same| same.count).saturating_add(1);
        merged.push(KnownObject {
            digest,
            size,
            count,
        });
    }
    merged.extend(one);
    merged
}

impl HistoryRemote<'_> {
    /// The index of what these manifests list, made or completed where it is of others.
    pub(super) fn object_index(
        &self,
        records: &BTreeMap<SnapshotId, RemoteRecord>,
    ) -> Result<ObjectIndex> {
        let key = key_of(records.values());
        let there = ObjectIndex::open(self.cache);
        if let Some(index) = there.filter(|index| index.key == key) {
            return Ok(index);
        }
        let (old, new) = self.what_is_new(records);
        if self.write_index(key, old, &new).is_err() {
            self.rclone.context.stop.check()?;
            // What is damaged is made from the manifests alone, and these are brought once more.
            let all: Vec<&RemoteRecord> = records.values().collect();
            let made = self.write_index(key, None, &all);
            if made.is_err() && self.forget_damaged(&|_| true)? {
                self.refresh()?;
                self.write_index(key, None, &all)?;
            } else {
                made?;
            }
        }
        let damaged = || self.io("read", INDEX, io::Error::from(io::ErrorKind::InvalidData));
        ObjectIndex::open(self.cache)
            .filter(|index| index.key == key)
            .ok_or_else(damaged)
    }

    /// The index that is there, if only one manifest is not in it, and the manifests that are not.
    fn what_is_new<'r>(
        &self,
        records: &'r BTreeMap<SnapshotId, RemoteRecord>,
    ) -> (Option<ObjectIndex>, Vec<&'r RemoteRecord>) {
        let all: Vec<&RemoteRecord> = records.values().collect();
        let Some(old) = ObjectIndex::open(self.cache) else {
            return (None, all);
        };
        // The newest is the likeliest.
        for new in all.iter().rev() {
            let without = records
                .values()
                .filter(|record| record.snapshot.id != new.snapshot.id);
            if key_of(without) == old.key {
                return (Some(old), vec![*new]);
            }
        }
        (None, all)
    }

    fn write_index(
        &self,
        key: Digest,
        mut old: Option<ObjectIndex>,
        new: &[&RemoteRecord],
    ) -> Result<()> {
        let io = |error: io::Error| self.io("write", NEW, error);
        let mut out = BufWriter::with_capacity(ENTRY << 10, self.cache.new_file(NEW)?);
        out.write_all(MAGIC).map_err(io)?;
        out.write_all(&key.0).map_err(io)?;
        let most = new
            .iter()
            .map(|record| record.snapshot.totals.files)
            .max()
            .unwrap_or(0);
        // What others have alone comes to it: twice as many are expected.
        for part in passes(most.saturating_mul(2)) {
            let mut all = Vec::new();
            if let Some(old) = &mut old {
                while let Some(object) = old
                    .next_in(&part)
                    .map_err(|error| self.io("read", INDEX, error))?
                {
                    all.push(object);
                }
            }
            for record in new {
                let manifest = self.manifest_of(record.snapshot.id)?;
                let own = contents(manifest, &part, &mut || self.rclone.context.stop.check())?;
                all = merge(all, own);
            }
            for object in all {
                object.write(&mut out).map_err(io)?;
            }
        }
        let file = out.into_inner().map_err(|error| io(error.into_error()))?;
        file.sync_all().map_err(io)?;
        self.cache.replace(OsStr::new(NEW), OsStr::new(INDEX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_many_files_are_all_digests_each_once() {
        assert_eq!(passes(0), [0..=255]);
        assert_eq!(passes(AT_ONCE), [0..=255]);
        for files in [AT_ONCE + 1, 9 * AT_ONCE, u64::MAX] {
            let parts = passes(files);
            assert!(parts.len() > 1);
            let all: Vec<u8> = parts.into_iter().flatten().collect();
            assert_eq!(all, (0..=255).collect::<Vec<u8>>());
        }
    }

    #[test]
    fn what_is_in_both_lists_is_counted_together() {
        let of = |name: &str| Digest::of(name.as_bytes());
        let list = |names: &[&str]| {
            let mut list: Vec<(Digest, u64)> = names.iter().map(|name| (of(name), 1)).collect();
            list.sort_unstable();
            list
        };
        let all = merge(merge(Vec::new(), list(&["a", "b"])), list(&["b", "c"]));
        assert!(all.is_sorted_by(|a, b| a.digest < b.digest));
        let count = |name: &str| {
            all.iter()
                .find(|one| one.digest == of(name))
                .map(|one| one.count)
        };
        assert_eq!(
            [count("a"), count("b"), count("c")],
            [Some(1), Some(2), Some(1)]
        );
        assert_eq!(all.len(), 3);
    }
}
