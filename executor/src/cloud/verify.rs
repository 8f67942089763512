//! Comparing the remote with an upload's manifest: every file's size, and the content of all files
//! whose hash the remote tells, and of a share of the others.
//!
//! A hash on the remote is compared with the manifest's, or with what it was when the file was known
//! to be good. Everything else is downloaded and compared with the manifest's SHA-256, piece by
//! piece; so is what the hash says is damaged, before that is believed.

use std::{
    collections::{HashMap, HashSet},
    ffi::OsStr,
};

use schema::{
    Digest, SnapshotId,
    cloud::CURRENT,
    journal::{Problem, ProblemKind},
    output::cloud::{CloudVerification, FORMAT_VERSION},
};

use super::{
    fetch::{self, MissingFile, WantedFiles},
    hashes::{self, Hashing, NewNotes, Notes},
    history::HistoryPlace,
    memory::RemoteCache,
    names,
    published::{self, Published},
    rclone::Rclone,
};
use crate::{
    error::{Error, Result},
    manifest::{self, Entry},
    remove::remove_tree,
    sys::{Dir, Kind},
};

/// Files that are downloaded at once, and their bytes.
const FILES: usize = 2000;
const BYTES: u64 = 1 << 30;
/// Problems that are listed one by one.
const LISTED: usize = 1000;

/// What is compared besides the sizes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VerifyDepth {
    /// Which files are downloaded.
    pub share: Share,
    /// Whether only those are whose content no hash tells.
    pub hashes_first: bool,
}

/// Which files' content is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Share {
    /// None.
    None,
    /// One part of several.
    Part {
        /// Which, from 1.
        part: u32,
        /// Of how many.
        of: u32,
    },
    /// All.
    All,
}

impl Share {
    fn has(self, entry: &Entry) -> bool {
        match self {
            Self::None => false,
            Self::All => true,
            Self::Part { part, of } => {
                let Digest(digest) = Digest::of(&entry.path);
                let number = u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]);
                number % of.max(1) == part.saturating_sub(1)
            }
        }
    }
}

/// Compares the newest upload with its manifest. `into` is an empty folder, for downloads, with its
/// path.
///
/// # Errors
/// When the remote cannot be asked, or has no snapshot.
pub fn verify_upload(
    rclone: &Rclone<'_>,
    cache: &RemoteCache,
    into: (&Dir, &str),
    remote: &str,
    look: VerifyDepth,
) -> Result<CloudVerification> {
    let published = newest_upload(rclone, cache, remote)?;
    let current = format!("{remote}/{CURRENT}");
    let hashing = match look.share {
        Share::None => None,
        _ => hashes::of_remote(rclone, cache, &current)?,
    };
    let listing = list_files(rclone, cache, &current, hashing.as_ref())?;
    let noting = match hashing.as_ref().filter(|hashing| !hashing.is_ours()) {
        Some(hashing) => Some(Noting {
            known: Notes::read(cache, hashing),
            new: NewNotes::new(cache, hashing)?,
        }),
        None => None,
    };
    let upload = published.upload.iter();
    let refused = upload
        .flat_map(|upload| &upload.not_uploaded)
        .filter_map(|one| Some((one.path.strip_prefix('/')?, one.message.as_str())))
        .collect();
    let mut comparison = Comparison {
        rclone,
        cache,
        into,
        remote,
        look,
        listing,
        refused,
        known: cache.damaged(),
        noting,
        rotten: HashSet::new(),
        waiting: Vec::new(),
        waiting_bytes: 0,
        found: nothing_compared(published.record.id, hashing.as_ref()),
    };
    for entry in published.reader()? {
        let entry =
            entry.map_err(|error| Error::io("read", manifest::FILE_NAME.as_bytes(), error))?;
        if entry.kind == Kind::File {
            rclone.context.stop.check()?;
            comparison.compare_file(entry)?;
        }
    }
    comparison.finish()
}

/// The newest upload, whose manifest must be whole.
fn newest_upload(rclone: &Rclone<'_>, cache: &RemoteCache, remote: &str) -> Result<Published> {
    let manifests_there = fetch::uploaded_snapshots(rclone, cache, remote)?;
    let wanted = WantedFiles {
        remote,
        host: "",
        id: None,
        paths: &[],
    };
    let id = fetch::choose_snapshot(&manifests_there, &wanted)?;
    published::fetch_published(rclone, cache, remote, id, &manifests_there[&id])?.ok_or_else(|| {
        Error::failed(format!("the manifest of {id} on {remote} is damaged"))
            .hint("the next `backup apply` writes another")
    })
}

/// The remote's files by their names in rclone, with their hashes where it tells them.
fn list_files(
    rclone: &Rclone<'_>,
    cache: &RemoteCache,
    current: &str,
    hashing: Option<&Hashing>,
) -> Result<HashMap<String, RemoteFile>> {
    let mut listing: HashMap<String, RemoteFile> = HashMap::new();
    let options = ["-R", "--files-only"];
    published::list_remote(rclone, cache, current, &options, &mut |item| {
        let size = item.size;
        listing.insert(item.path, RemoteFile { size, hash: None });
    })?;
    if let Some(hashing) = hashing {
        for (path, hash) in hashes::list_hashes(rclone, cache, current, hashing, None)? {
            if let Some(there) = listing.get_mut(&path) {
                there.hash = Some(hash);
            }
        }
    }
    Ok(listing)
}

/// The result of a comparison that has not begun.
pub(super) fn nothing_compared(id: SnapshotId, hashing: Option<&Hashing>) -> CloudVerification {
    CloudVerification {
        format_version: FORMAT_VERSION,
        id,
        files: 0,
        bytes: 0,
        hash: hashing.map(|hashing| hashing.name.clone()),
        hashed_files: 0,
        hashed_bytes: 0,
        read_files: 0,
        read_bytes: 0,
        damage: Vec::new(),
        damage_count: 0,
    }
}

/// A comparison that is under way.
struct Comparison<'a> {
    rclone: &'a Rclone<'a>,
    cache: &'a RemoteCache,
    /// An empty folder for downloads, with its path.
    into: (&'a Dir, &'a str),
    remote: &'a str,
    look: VerifyDepth,
    listing: HashMap<String, RemoteFile>,
    /// What the remote did not take, and why.
    refused: HashMap<&'a str, &'a str>,
    /// What is known to be damaged: it is looked at again.
    known: HashSet<String>,
    noting: Option<Noting<'a>>,
    /// What is damaged now; what is not uploaded any more is not among it.
    rotten: HashSet<String>,
    /// Files to download, and their bytes.
    waiting: Vec<MissingFile>,
    waiting_bytes: u64,
    found: CloudVerification,
}

impl Comparison<'_> {
    /// Compares one file of the manifest by size and hash, or puts it to those that are downloaded.
    fn compare_file(&mut self, entry: Entry) -> Result<()> {
        self.found.files += 1;
        self.found.bytes = self.found.bytes.saturating_add(entry.size);
        let Some(key) = names::remote_name(&entry) else {
            let text = format!("missing: {}", names::why_not(entry.stored_path()));
            self.add_damage(&entry, text);
            return Ok(());
        };
        let told = match self.listing.get(&key) {
            None => {
                let text = self.refused.get(key.as_str()).copied();
                self.add_damage(&entry, text.unwrap_or("missing").to_owned());
                return Ok(());
            }
            Some(there) if there.size != entry.size => {
                let text = format!("{} bytes, and {} were uploaded", there.size, entry.size);
                self.add_damage(&entry, text);
                return Ok(());
            }
            Some(there) => there.tells(&key, &entry, self.noting.as_ref()),
        };
        let is_wanted = self.is_wanted(&key, &entry, told)?;
        let is_known = self.known.contains(&key);
        if is_known {
            self.rotten.insert(key.clone());
        }
        if is_wanted || (is_known && self.look.share != Share::None) {
            self.waiting_bytes += entry.size;
            self.waiting.push(MissingFile {
                entry,
                places: vec![HistoryPlace {
                    folder: CURRENT.to_owned(),
                    name: key,
                }],
            });
        } else if told == Some(true) {
            self.found.hashed_files += 1;
            self.found.hashed_bytes = self.found.hashed_bytes.saturating_add(entry.size);
        }
        if self.waiting.len() >= FILES || self.waiting_bytes >= BYTES {
            self.read_waiting_files()?;
        }
        Ok(())
    }

    /// Whether a file is downloaded, of which its hash told this.
    fn is_wanted(&mut self, key: &str, entry: &Entry, told: Option<bool>) -> Result<bool> {
        let Some(same) = told else {
            return Ok(self.look.share.has(entry));
        };
        // What it was known to have is noted again, whatever the download finds now.
        if let (Some(noting), Some(digest)) = (&mut self.noting, entry.digest)
            && let Some(hash) = noting.known.known(key, entry.digest)
        {
            noting.new.add(key, hash, digest)?;
        }
        Ok(!same || (!self.look.hashes_first && self.look.share.has(entry)))
    }

    /// Downloads the files that wait, compares them and throws them away; notes the hashes of those
    /// that are whole, and which are not, for the next upload to bring them again.
    fn read_waiting_files(&mut self) -> Result<()> {
        const PIECE: &str = "piece";
        let waiting = std::mem::take(&mut self.waiting);
        self.waiting_bytes = 0;
        if waiting.is_empty() {
            return Ok(());
        }
        let (rclone, cache) = (self.rclone, self.cache);
        let (dir, named) = self.into;
        let path = format!("{named}/{PIECE}");
        remove_tree(dir, OsStr::new(PIECE), &path, rclone.context)?;
        let tree = dir
            .folder_or_new(OsStr::new(PIECE), 0o700)
            .map_err(|error| Error::io("make", path.as_bytes(), error))?;
        for missing in fetch::download_files(rclone, cache, self.remote, &path, waiting)? {
            let entry = missing.entry;
            self.found.read_files += 1;
            self.found.read_bytes = self.found.read_bytes.saturating_add(entry.size);
            let key = names::remote_name(&entry);
            if fetch::is_whole(&tree, &entry, rclone.context)? {
                if let Some(key) = key {
                    self.rotten.remove(&key);
                    self.note_hash(&key, &entry)?;
                }
            } else {
                self.rotten.extend(key);
                let text = "its content is not what was uploaded".to_owned();
                self.add_damage(&entry, text);
            }
        }
        remove_tree(dir, OsStr::new(PIECE), &path, rclone.context)
    }

    /// Notes the hash of a file that was downloaded and found whole. It was listed before that, so a
    /// file that is damaged in between has another hash the next time.
    fn note_hash(&mut self, key: &str, entry: &Entry) -> Result<()> {
        if let (Some(noting), Some(digest)) = (&mut self.noting, entry.digest)
            && let Some(hash) = self.listing.get(key).and_then(|there| there.hash.as_ref())
        {
            noting.new.add(key, hash, digest)?;
        }
        Ok(())
    }

    fn add_damage(&mut self, entry: &Entry, message: String) {
        self.found.damage_count += 1;
        if self.found.damage.len() < LISTED {
            self.found.damage.push(Problem {
                path: entry.path.shown(),
                kind: ProblemKind::Unreadable,
                message,
            });
        }
    }

    /// Reads what still waits, and remembers what is damaged and what the hashes were.
    fn finish(mut self) -> Result<CloudVerification> {
        self.read_waiting_files()?;
        if self.rotten != self.known {
            self.cache.remember_damaged(&self.rotten)?;
        }
        if let Some(noting) = self.noting {
            noting.new.finish()?;
        }
        Ok(self.found)
    }
}

/// What the remote has of a file.
struct RemoteFile {
    size: u64,
    hash: Option<String>,
}

impl RemoteFile {
    /// Whether the hash says that the content is the entry's; none where it says nothing.
    fn tells(&self, key: &str, entry: &Entry, noting: Option<&Noting<'_>>) -> Option<bool> {
        let hash = self.hash.as_deref()?;
        match noting {
            None => entry.digest.map(|digest| hash == digest.to_string()),
            Some(noting) => {
                let known = noting.known.known(key, entry.digest)?;
                Some(hash == known)
            }
        }
    }
}

/// What was noted, and what will be: of files that are in the manifest.
struct Noting<'a> {
    known: Notes,
    new: NewNotes<'a>,
}
