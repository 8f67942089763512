//! Comparing the objects on the remote with what manifests say of them: that they are there, their sizes,
//! and the content of a share of them.
//!
//! A share is a range of digests, so that only its folders are listed. Where the remote tells SHA-256, that
//! is the object's name or it is damaged; everything else is downloaded, piece by piece, and so is what the
//! hash says is damaged, before that is believed.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    ffi::OsStr,
    ops::RangeInclusive,
};

use schema::{Digest, SnapshotId, output::cloud::CloudVerification};

use super::{
    HistoryRemote, KnownHistory,
    index::{self, KnownObject, parts_of_all},
    layout::{object_file, object_of},
};
use crate::{
    cloud::{
        hashes::{self, Hashing},
        published::{self, RemoteItem},
        verify::{Share, VerifyDepth, nothing_compared},
    },
    copy::{Copier, CopyError},
    error::{Error, Result},
    remove::remove_tree,
    sys::Dir,
};

/// Objects that are listed at once, about.
const OBJECTS_AT_ONCE: u64 = 1 << 16;
/// Objects that are downloaded at once, and their bytes.
const FILES: usize = 2000;
const BYTES: u64 = 1 << 30;
/// Where downloads come.
const PIECE: &str = "piece";
/// What is said of an object that was found damaged and was not looked at since.
pub(super) const FOUND_BEFORE: &str =
    "it was found damaged before, and was not uploaded again since";
/// What is said of an object whose content is another one.
pub(super) const NOT_WHAT_IT_WAS: &str = "its content is not what was uploaded";

/// Whose objects are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compared {
    /// Those of all snapshots that are there.
    All,
    /// Those of this one.
    Snapshot(SnapshotId),
}

impl HistoryRemote<'_> {
    /// Compares the objects of a share; `into` is an empty folder for downloads, with its path.
    ///
    /// # Errors
    /// When the remote cannot be asked, or has no such snapshot.
    pub fn verify(
        &self,
        what: Compared,
        into: (&Dir, &str),
        look: VerifyDepth,
    ) -> Result<CloudVerification> {
        self.verify_in(&range_of(look.share), what, into, look)
    }

    /// Compares objects of all shares, but of the share alone what only a download can tell.
    ///
    /// # Errors
    /// As [`Self::verify`].
    pub fn verify_all(
        &self,
        what: Compared,
        into: (&Dir, &str),
        look: VerifyDepth,
    ) -> Result<CloudVerification> {
        self.verify_in(&(0..=u16::MAX), what, into, look)
    }

    fn verify_in(
        &self,
        range: &RangeInclusive<u16>,
        what: Compared,
        into: (&Dir, &str),
        look: VerifyDepth,
    ) -> Result<CloudVerification> {
        let known = self.refresh()?;
        let (told, only) = match what {
            Compared::All => {
                let newest = known.newest().ok_or_else(|| {
                    Error::refused(format!("no snapshot that is whole is on {}", self.remote))
                        .hint("the next `backup apply` uploads one")
                })?;
                (newest.snapshot.id, None)
            }
            Compared::Snapshot(id) if known.records.contains_key(&id) => {
                let check = &mut || self.rclone.context.stop.check();
                let all = index::contents(self.manifest_of(id)?, &(0..=u8::MAX), check)?;
                (
                    id,
                    Some(all.into_iter().map(|(digest, _)| digest).collect()),
                )
            }
            Compared::Snapshot(id) => {
                return Err(
                    Error::refused(format!("snapshot {id} is not on {}", self.remote))
                        .hint("`backup list` says which are"),
                );
            }
        };
        let hashing = match look.share {
            Share::None => None,
            _ => self.own_hash()?,
        };
        let mut comparison = Comparison {
            hashing: hashing.as_ref(),
            ..Comparison::new(*self, range_of(look.share))
        };
        comparison.hashes_first = look.hashes_first;
        comparison.reads_contents = look.share != Share::None;
        comparison.only = only;
        let mut reading = Reading {
            into,
            found: nothing_compared(told, hashing.as_ref()),
            absent: 0,
        };
        comparison.each(range, &known, &mut |comparison| {
            if comparison.waiting.len() >= FILES || comparison.waiting_bytes >= BYTES {
                reading.read_waiting(comparison)?;
            }
            Ok(())
        })?;
        reading.read_waiting(&mut comparison)?;
        if reading.absent > 1 && reading.absent == reading.found.read_files {
            return Err(self.none_read(reading.absent));
        }
        self.remember_damage(
            &|digest| comparison.is_compared(digest, range),
            &comparison.damaged,
        )?;
        let found = comparison.counted(reading.found);
        match what {
            Compared::All => self.name_damage(comparison.damaged, found, &known),
            Compared::Snapshot(id) => self.name_damage_in(&[id], comparison.damaged, found),
        }
    }

    /// That not one of the contents that were asked for came: no damage does that, but a wrong password or a
    /// remote that refuses to give them.
    pub(super) fn none_read(&self, contents: u64) -> Error {
        let remote = self.remote;
        Error::failed(format!(
            "none of {contents} contents could be read at {remote}"
        ))
        .hint("the log has what rclone says; look at the remote, its password and its limits")
    }

    /// The remote's hash, if it is the one that objects are named by.
    pub(super) fn own_hash(&self) -> Result<Option<Hashing>> {
        let found = hashes::of_remote(self.rclone, self.cache, &self.objects())?;
        Ok(found.filter(Hashing::is_ours))
    }
}

/// The place of a digest among all.
pub(super) fn number_of(digest: Digest) -> u16 {
    u16::from_be_bytes([digest.0[0], digest.0[1]])
}

/// The places that are of a share.
pub(super) fn range_of(share: Share) -> RangeInclusive<u16> {
    let Share::Part { part, of } = share else {
        return 0..=u16::MAX;
    };
    let of = of.max(1);
    let first = |part: u32| u64::from(part) * 0x1_0000 / u64::from(of);
    let part = part.clamp(1, of);
    let last = first(part).saturating_sub(1);
    let place = |number: u64| u16::try_from(number).unwrap_or(u16::MAX);
    place(first(part - 1))..=place(last.max(first(part - 1)))
}

/// The folders of these places among so many objects, as many as are listed at once.
fn parts_of(range: &RangeInclusive<u16>, objects: u64) -> Vec<RangeInclusive<u8>> {
    let (first, last) = (range.start().to_be_bytes()[0], range.end().to_be_bytes()[0]);
    let parts = parts_of_all(objects, OBJECTS_AT_ONCE).into_iter();
    parts
        .map(|part| first.max(*part.start())..=last.min(*part.end()))
        .filter(|part| !part.is_empty())
        .collect()
}

/// What the remote says of an object.
#[derive(Debug, Default)]
struct ObjectThere {
    size: u64,
    hash: Option<String>,
}

/// A comparison that is under way.
pub(super) struct Comparison<'a> {
    remote: HistoryRemote<'a>,
    /// The objects that are downloaded where no hash tells what they are.
    share: RangeInclusive<u16>,
    /// The remote's hash, where it is the one that objects are named by and asked for.
    pub(super) hashing: Option<&'a Hashing>,
    /// Whether a hash that is as it should be is enough.
    hashes_first: bool,
    /// Whether anything but sizes is compared.
    reads_contents: bool,
    /// The objects that are compared, sorted, where that is not all.
    only: Option<Vec<Digest>>,
    /// What was found damaged before, and not put again since.
    pub(super) known: HashSet<Digest>,
    /// What is not as it should be, in words.
    pub(super) damaged: BTreeMap<Digest, String>,
    /// What is to be read.
    pub(super) waiting: Vec<(Digest, u64)>,
    waiting_bytes: u64,
    /// Objects, and those whose hash is as it should be, each with their bytes.
    all: (u64, u64),
    hashed: (u64, u64),
}

impl<'a> Comparison<'a> {
    /// One that downloads a share where no hash tells more.
    pub(super) fn new(remote: HistoryRemote<'a>, share: RangeInclusive<u16>) -> Self {
        let known = remote.cache.damaged();
        Self {
            remote,
            share,
            hashing: None,
            hashes_first: true,
            reads_contents: true,
            only: None,
            known: known.iter().filter_map(|name| object_of(name)).collect(),
            damaged: BTreeMap::new(),
            waiting: Vec::new(),
            waiting_bytes: 0,
            all: (0, 0),
            hashed: (0, 0),
        }
    }

    /// Compares what is listed in this range; `then` is called after each.
    pub(super) fn each(
        &mut self,
        range: &RangeInclusive<u16>,
        known: &KnownHistory,
        then: &mut dyn FnMut(&mut Self) -> Result<()>,
    ) -> Result<()> {
        let remote = self.remote;
        let mut index = remote.object_index(&known.records)?;
        let unread = |error| remote.io("read", "objects.idx", error);
        for part in parts_of(range, index.count()) {
            let there = self.list(&part)?;
            while let Some(object) = index.next_in(&part).map_err(unread)? {
                remote.rclone.context.stop.check()?;
                if self.is_compared(object.digest, range) {
                    self.compare(object, there.get(&object.digest));
                    then(self)?;
                }
            }
        }
        Ok(())
    }

    /// Whether an object is one of those that are compared.
    fn is_compared(&self, digest: Digest, range: &RangeInclusive<u16>) -> bool {
        let only = self.only.as_ref();
        range.contains(&number_of(digest))
            && only.is_none_or(|only| only.binary_search(&digest).is_ok())
    }

    /// What is in these folders.
    fn list(&self, part: &RangeInclusive<u8>) -> Result<HashMap<Digest, ObjectThere>> {
        let folders: Vec<String> = part.clone().map(|first| format!("{first:02x}")).collect();
        let filter = format!("/{{{}}}/**", folders.join(","));
        let filter = match part.len() {
            256 => &[][..],
            _ => &["--include", &filter],
        };
        let (remote, objects) = (self.remote, self.remote.objects());
        let mut there: HashMap<Digest, ObjectThere> = HashMap::new();
        let options = [&["-R", "--files-only"], filter].concat();
        published::list_remote(
            remote.rclone,
            remote.cache,
            &objects,
            &options,
            &mut |item: RemoteItem| {
                if let Some(digest) = object_of(&item.path) {
                    there.insert(
                        digest,
                        ObjectThere {
                            size: item.size,
                            hash: None,
                        },
                    );
                }
            },
        )?;
        if let Some(hashing) = self.hashing {
            let hashes =
                hashes::list_hashes_of(remote.rclone, remote.cache, &objects, hashing, filter)?;
            for (name, hash) in hashes {
                if let Some(object) = object_of(&name).and_then(|digest| there.get_mut(&digest)) {
                    object.hash = Some(hash);
                }
            }
        }
        Ok(there)
    }

    fn compare(&mut self, object: KnownObject, there: Option<&ObjectThere>) {
        let KnownObject { digest, size, .. } = object;
        count(&mut self.all, size);
        let Some(there) = there else {
            self.damaged.insert(digest, "missing".to_owned());
            return;
        };
        if there.size != size {
            let text = format!("{} bytes, and {size} were uploaded", there.size);
            self.damaged.insert(digest, text);
            return;
        }
        let told = there.hash.as_ref().map(|hash| *hash == digest.to_string());
        let is_read =
            self.reads_contents && (told == Some(false) || self.share.contains(&number_of(digest)));
        if self.reads_contents && told == Some(true) && self.hashes_first {
            count(&mut self.hashed, size);
        } else if is_read {
            self.waiting.push((digest, size));
            self.waiting_bytes = self.waiting_bytes.saturating_add(size);
        } else if self.known.contains(&digest) {
            self.damaged.insert(digest, FOUND_BEFORE.to_owned());
        }
    }

    /// What was compared without reading it, with what was read.
    pub(super) fn counted(&self, found: CloudVerification) -> CloudVerification {
        CloudVerification {
            files: self.all.0,
            bytes: self.all.1,
            hashed_files: found.hashed_files + self.hashed.0,
            hashed_bytes: found.hashed_bytes.saturating_add(self.hashed.1),
            ..found
        }
    }
}

/// Counts one more of this size.
pub(super) fn count((files, bytes): &mut (u64, u64), size: u64) {
    *files += 1;
    *bytes = bytes.saturating_add(size);
}

/// Reading what waits for it.
struct Reading<'a> {
    /// An empty folder for downloads, with its path.
    into: (&'a Dir, &'a str),
    found: CloudVerification,
    /// Objects that were asked for and did not come.
    absent: u64,
}

impl Reading<'_> {
    /// Downloads the objects that wait, compares them and throws them away.
    fn read_waiting(&mut self, comparison: &mut Comparison<'_>) -> Result<()> {
        let waiting = std::mem::take(&mut comparison.waiting);
        comparison.waiting_bytes = 0;
        if waiting.is_empty() {
            return Ok(());
        }
        let context = comparison.remote.rclone.context;
        let (dir, named) = self.into;
        let path = format!("{named}/{PIECE}");
        remove_tree(dir, OsStr::new(PIECE), &path, context)?;
        let piece = dir
            .folder_or_new(OsStr::new(PIECE), 0o700)
            .map_err(|error| Error::io("make", path.as_bytes(), error))?;
        comparison.remote.bring_objects(&waiting, &path)?;
        let mut copier = Copier::default();
        for (digest, size) in waiting {
            self.found.read_files += 1;
            self.found.read_bytes = self.found.read_bytes.saturating_add(size);
            let name = object_file(digest);
            let file = piece
                .descend(name.as_bytes())
                .and_then(|(dir, name)| dir.file(name));
            let read = file.map(|file| copier.digest(&file, false, &mut |_| context.stop.check()));
            match read {
                Ok(Ok(read)) if read.digest == digest => {}
                Ok(Err(CopyError::Ended(error))) => return Err(error),
                read => {
                    self.absent += u64::from(read.is_err());
                    comparison
                        .damaged
                        .insert(digest, NOT_WHAT_IT_WAS.to_owned());
                }
            }
        }
        remove_tree(dir, OsStr::new(PIECE), &path, context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_a_share_are_all_objects_each_once() {
        for of in [1, 2, 3, 30, 256, 1000] {
            let mut next = 0_u32;
            for part in 1..=of {
                let range = range_of(Share::Part { part, of });
                assert_eq!(u32::from(*range.start()), next, "{part}/{of}");
                next = u32::from(*range.end()) + 1;
            }
            assert_eq!(next, 0x1_0000, "{of}");
        }
        assert_eq!(range_of(Share::All), 0..=u16::MAX);
        assert_eq!(range_of(Share::None), 0..=u16::MAX);
    }

    #[test]
    fn the_folders_of_a_range_are_listed_in_parts() {
        let all: Vec<u8> = parts_of(&(0..=u16::MAX), 1 << 20)
            .into_iter()
            .flatten()
            .collect();
        assert_eq!(all, (0..=255).collect::<Vec<u8>>());
        assert_eq!(parts_of(&(0..=u16::MAX), 1 << 20).len(), 16);
        assert_eq!(
            parts_of(&(0x0180..=0x1210), 1 << 20),
            [1..=0xf, 0x10..=0x12]
        );
        // A few are listed with one request, and very many by each folder.
        assert_eq!(parts_of(&(0..=u16::MAX), 60_000), [0..=255]);
        assert_eq!(parts_of(&(0xfe00..=0xffff), 60_000), [0xfe..=0xff]);
        assert_eq!(parts_of(&(0..=u16::MAX), u64::MAX).len(), 256);
    }
}
