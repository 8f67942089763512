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

use schema::{
    Digest,
    journal::{Problem, ProblemKind},
    output::cloud::CloudVerification,
};

use super::{
    HistoryRemote, KnownHistory,
    index::KnownObject,
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
    manifest::FILE_NAME,
    remove::remove_tree,
    sys::{Dir, Kind},
};

/// Folders of `objects` that are listed at once: a sixteenth of all objects.
const FOLDERS: u8 = 16;
/// Objects that are downloaded at once, and their bytes.
const FILES: usize = 2000;
const BYTES: u64 = 1 << 30;
/// Problems that are listed one by one.
const LISTED: usize = 1000;
/// Where downloads come.
const PIECE: &str = "piece";

impl HistoryRemote<'_> {
    /// Compares the objects of a share, of all snapshots that are there; `into` is an empty folder for
    /// downloads, with its path.
    ///
    /// # Errors
    /// When the remote cannot be asked, or has no snapshot.
    pub fn verify(&self, into: (&Dir, &str), look: VerifyDepth) -> Result<CloudVerification> {
        self.verify_in(&range_of(look.share), into, look)
    }

    /// Compares all objects, but of the share alone what only a download can tell.
    ///
    /// # Errors
    /// As [`Self::verify`].
    pub fn verify_all(&self, into: (&Dir, &str), look: VerifyDepth) -> Result<CloudVerification> {
        self.verify_in(&(0..=u16::MAX), into, look)
    }

    fn verify_in(
        &self,
        range: &RangeInclusive<u16>,
        into: (&Dir, &str),
        look: VerifyDepth,
    ) -> Result<CloudVerification> {
        let known = self.refresh()?;
        let Some(newest) = known.newest() else {
            return Err(
                Error::refused(format!("no snapshot that is whole is on {}", self.remote))
                    .hint("the next `backup apply` uploads one"),
            );
        };
        let hashing = match look.share {
            Share::None => None,
            _ => hashes::of_remote(self.rclone, self.cache, &self.objects())?,
        };
        let hashing = hashing.filter(Hashing::is_ours);
        let mut comparison = Comparison {
            remote: *self,
            into,
            look,
            share: range_of(look.share),
            found: nothing_compared(newest.snapshot.id, hashing.as_ref()),
            hashing,
            damaged: BTreeMap::new(),
            waiting: Vec::new(),
            waiting_bytes: 0,
        };
        let mut index = self.object_index(&known.records)?;
        let unread = |error| self.io("read", "objects.idx", error);
        for part in parts_of(range) {
            let there = comparison.list(&part)?;
            while let Some(object) = index.next_in(&part).map_err(unread)? {
                self.rclone.context.stop.check()?;
                if range.contains(&number_of(object.digest)) {
                    comparison.compare(object, there.get(&object.digest))?;
                }
            }
        }
        comparison.read_waiting()?;
        self.remember_damage(range, &comparison.damaged)?;
        comparison.name_damage(&known)
    }

    /// Remembers what is damaged, for the next upload to put it again; what was not looked at stays so.
    fn remember_damage(
        &self,
        range: &RangeInclusive<u16>,
        damaged: &BTreeMap<Digest, String>,
    ) -> Result<()> {
        let before = self.cache.damaged();
        let is_elsewhere = |name: &&String| {
            object_of(name).is_some_and(|digest| !range.contains(&number_of(digest)))
        };
        let mut now: HashSet<String> = before.iter().filter(is_elsewhere).cloned().collect();
        now.extend(damaged.keys().map(|digest| object_file(*digest)));
        if now != before {
            self.cache.remember_damaged(&now)?;
        }
        self.unput(&damaged.keys().copied().collect())
    }
}

/// The place of a digest among all.
fn number_of(digest: Digest) -> u16 {
    u16::from_be_bytes([digest.0[0], digest.0[1]])
}

/// The places that are of a share.
fn range_of(share: Share) -> RangeInclusive<u16> {
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

/// The folders of these places, as many as are listed at once.
fn parts_of(range: &RangeInclusive<u16>) -> Vec<RangeInclusive<u8>> {
    let (first, last) = (range.start().to_be_bytes()[0], range.end().to_be_bytes()[0]);
    let starts = (first..=last).step_by(usize::from(FOLDERS));
    starts
        .map(|start| start..=last.min(start.saturating_add(FOLDERS - 1)))
        .collect()
}

/// What the remote says of an object.
#[derive(Debug, Default)]
struct ObjectThere {
    size: u64,
    hash: Option<String>,
}

/// A comparison that is under way.
struct Comparison<'a> {
    remote: HistoryRemote<'a>,
    /// An empty folder for downloads, with its path.
    into: (&'a Dir, &'a str),
    look: VerifyDepth,
    /// The objects that are downloaded where no hash tells what they are.
    share: RangeInclusive<u16>,
    /// The remote's hash, if it is the one that objects are named by.
    hashing: Option<Hashing>,
    /// What is not as it should be, in words.
    damaged: BTreeMap<Digest, String>,
    waiting: Vec<(Digest, u64)>,
    waiting_bytes: u64,
    found: CloudVerification,
}

impl Comparison<'_> {
    /// What is in these folders.
    fn list(&self, part: &RangeInclusive<u8>) -> Result<HashMap<Digest, ObjectThere>> {
        let folders: Vec<String> = part.clone().map(|first| format!("{first:02x}")).collect();
        let filter = format!("/{{{}}}/**", folders.join(","));
        let (remote, objects) = (self.remote, self.remote.objects());
        let mut there: HashMap<Digest, ObjectThere> = HashMap::new();
        let options = ["-R", "--files-only", "--include", &filter];
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
        if let Some(hashing) = &self.hashing {
            let options = ["--include", &filter];
            let hashes =
                hashes::list_hashes_of(remote.rclone, remote.cache, &objects, hashing, &options)?;
            for (name, hash) in hashes {
                if let Some(object) = object_of(&name).and_then(|digest| there.get_mut(&digest)) {
                    object.hash = Some(hash);
                }
            }
        }
        Ok(there)
    }

    fn compare(&mut self, object: KnownObject, there: Option<&ObjectThere>) -> Result<()> {
        let KnownObject { digest, size, .. } = object;
        self.found.files += 1;
        self.found.bytes = self.found.bytes.saturating_add(size);
        let Some(there) = there else {
            self.damaged.insert(digest, "missing".to_owned());
            return Ok(());
        };
        if there.size != size {
            let text = format!("{} bytes, and {size} were uploaded", there.size);
            self.damaged.insert(digest, text);
            return Ok(());
        }
        if self.look.share == Share::None {
            return Ok(());
        }
        let told = there.hash.as_ref().map(|hash| *hash == digest.to_string());
        if told == Some(true) && self.look.hashes_first {
            self.found.hashed_files += 1;
            self.found.hashed_bytes = self.found.hashed_bytes.saturating_add(size);
            return Ok(());
        }
        if told != Some(false) && !self.share.contains(&number_of(digest)) {
            return Ok(());
        }
        self.waiting.push((digest, size));
        self.waiting_bytes = self.waiting_bytes.saturating_add(size);
        if self.waiting.len() >= FILES || self.waiting_bytes >= BYTES {
            self.read_waiting()?;
        }
        Ok(())
    }

    /// Downloads the objects that wait, compares them and throws them away.
    fn read_waiting(&mut self) -> Result<()> {
        let waiting = std::mem::take(&mut self.waiting);
        self.waiting_bytes = 0;
        if waiting.is_empty() {
            return Ok(());
        }
        let context = self.remote.rclone.context;
        let (dir, named) = self.into;
        let path = format!("{named}/{PIECE}");
        remove_tree(dir, OsStr::new(PIECE), &path, context)?;
        let piece = dir
            .folder_or_new(OsStr::new(PIECE), 0o700)
            .map_err(|error| Error::io("make", path.as_bytes(), error))?;
        self.remote.bring_objects(&waiting, &path)?;
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
                _ => {
                    self.damaged
                        .insert(digest, "its content is not what was uploaded".to_owned());
                }
            }
        }
        remove_tree(dir, OsStr::new(PIECE), &path, context)
    }

    /// Finds a file of each damaged object, in the newest snapshot that has one, for people.
    fn name_damage(mut self, known: &KnownHistory) -> Result<CloudVerification> {
        self.found.damage_count = self.damaged.len() as u64;
        for id in known.records.keys().rev() {
            if self.damaged.is_empty() || self.found.damage.len() >= LISTED {
                break;
            }
            for entry in self.remote.manifest_of(*id)?.without_names() {
                self.remote.rclone.context.stop.check()?;
                let entry =
                    entry.map_err(|error| Error::io("read", FILE_NAME.as_bytes(), error))?;
                let damaged = entry.digest.filter(|_| entry.kind == Kind::File);
                let Some(because) = damaged.and_then(|digest| self.damaged.remove(&digest)) else {
                    continue;
                };
                if self.found.damage.len() < LISTED {
                    self.found.damage.push(Problem {
                        path: entry.path.shown(),
                        kind: ProblemKind::Unreadable,
                        message: format!("{because} (in {id})"),
                    });
                }
            }
        }
        self.found.damage.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(self.found)
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
        let all: Vec<u8> = parts_of(&(0..=u16::MAX)).into_iter().flatten().collect();
        assert_eq!(all, (0..=255).collect::<Vec<u8>>());
        assert_eq!(parts_of(&(0x0180..=0x0210)), [1..=2]);
        assert_eq!(parts_of(&(0xfe00..=0xffff)), [0xfe..=0xff]);
    }
}
