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
    hashes::{self, NewNotes, Notes},
    history::HistoryPlace,
    memory::RemoteCache,
    names, published,
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
/// Fails if the remote cannot be asked, or has no snapshot.
pub fn verify_upload(
    rclone: &Rclone<'_>,
    cache: &RemoteCache,
    into: (&Dir, &str),
    remote: &str,
    look: VerifyDepth,
) -> Result<CloudVerification> {
    let manifests_there = fetch::uploaded_snapshots(rclone, cache, remote)?;
    let wanted = WantedFiles {
        remote,
        host: "",
        id: None,
        paths: &[],
    };
    let id: SnapshotId = fetch::choose_snapshot(&manifests_there, &wanted)?;
    let published = published::fetch_published(rclone, cache, remote, id, &manifests_there[&id])?;
    let published = published.ok_or_else(|| {
        Error::failed(format!("the manifest of {id} on {remote} is damaged"))
            .hint("the next `backup apply` writes another")
    })?;
    let current = format!("{remote}/{CURRENT}");
    let hashing = match look.share {
        Share::None => None,
        _ => hashes::of_remote(rclone, cache, &current)?,
    };
    let mut listing: HashMap<String, RemoteFile> = HashMap::new();
    let options = ["-R", "--files-only"];
    published::list_remote(rclone, cache, &current, &options, &mut |item| {
        let size = item.size;
        listing.insert(item.path, RemoteFile { size, hash: None });
    })?;
    if let Some(hashing) = &hashing {
        for (path, hash) in hashes::list_hashes(rclone, cache, &current, hashing, None)? {
            if let Some(there) = listing.get_mut(&path) {
                there.hash = Some(hash);
            }
        }
    }
    let mut noting = match hashing.as_ref().filter(|hashing| !hashing.is_ours()) {
        Some(hashing) => Some(Noting {
            known: Notes::read(cache, hashing),
            new: NewNotes::new(cache, hashing)?,
        }),
        None => None,
    };
    let mut found = CloudVerification {
        format_version: FORMAT_VERSION,
        id,
        files: 0,
        bytes: 0,
        hash: hashing.as_ref().map(|hashing| hashing.name.clone()),
        hashed_files: 0,
        hashed_bytes: 0,
        read_files: 0,
        read_bytes: 0,
        damage: Vec::new(),
        damage_count: 0,
    };
    // What is known to be damaged is looked at again; what is not uploaded any more is forgotten.
    let known = cache.damaged();
    let mut rotten: HashSet<String> = HashSet::new();
    let upload = published.upload.iter();
    let refused: HashMap<&str, &str> = upload
        .flat_map(|upload| &upload.not_uploaded)
        .filter_map(|one| Some((one.path.strip_prefix('/')?, one.message.as_str())))
        .collect();
    let mut waiting = Vec::new();
    let mut bytes = 0;
    for entry in published.reader()? {
        let entry =
            entry.map_err(|error| Error::io("read", manifest::FILE_NAME.as_bytes(), error))?;
        if entry.kind != Kind::File {
            continue;
        }
        rclone.context.stop.check()?;
        found.files += 1;
        found.bytes = found.bytes.saturating_add(entry.size);
        let Some(key) = names::remote_name(&entry) else {
            add_damage(
                &mut found,
                &entry,
                format!("missing: {}", names::why_not(entry.stored_path())),
            );
            continue;
        };
        let there = match listing.get(&key) {
            None => {
                let text = refused.get(key.as_str()).copied().unwrap_or("missing");
                add_damage(&mut found, &entry, text.to_owned());
                continue;
            }
            Some(there) if there.size != entry.size => {
                let text = format!("{} bytes, and {} were uploaded", there.size, entry.size);
                add_damage(&mut found, &entry, text);
                continue;
            }
            Some(there) => there,
        };
        let told = there.tells(&key, &entry, noting.as_ref());
        let wanted = match told {
            // What it was known to have is noted again, whatever the download finds now.
            Some(same) => {
                if let (Some(noting), Some(digest)) = (&mut noting, entry.digest)
                    && let Some(hash) = noting.known.known(&key, entry.digest)
                {
                    noting.new.add(&key, hash, digest)?;
                }
                !same || (!look.hashes_first && look.share.has(&entry))
            }
            None => look.share.has(&entry),
        };
        let known = known.contains(&key);
        if known {
            rotten.insert(key.clone());
        }
        if wanted || (known && look.share != Share::None) {
            bytes += entry.size;
            waiting.push(MissingFile {
                entry,
                places: vec![HistoryPlace {
                    folder: CURRENT.to_owned(),
                    name: key,
                }],
            });
        } else if told == Some(true) {
            found.hashed_files += 1;
            found.hashed_bytes = found.hashed_bytes.saturating_add(entry.size);
        }
        if waiting.len() >= FILES || bytes >= BYTES {
            let waiting = std::mem::take(&mut waiting);
            let work = (&mut found, &mut rotten);
            let whole = read_back_files(rclone, cache, into, remote, waiting, work)?;
            note_hashes(&mut noting, &listing, &whole)?;
            bytes = 0;
        }
    }
    let work = (&mut found, &mut rotten);
    let whole = read_back_files(rclone, cache, into, remote, waiting, work)?;
    note_hashes(&mut noting, &listing, &whole)?;
    if rotten != known {
        cache.remember_damaged(&rotten)?;
    }
    if let Some(noting) = noting {
        noting.new.finish()?;
    }
    Ok(found)
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

/// Notes the hashes of files that were downloaded and found whole. They were listed before that, so
/// a file that is damaged in between has another hash the next time.
fn note_hashes(
    noting: &mut Option<Noting<'_>>,
    listing: &HashMap<String, RemoteFile>,
    whole: &[Entry],
) -> Result<()> {
    let Some(noting) = noting else {
        return Ok(());
    };
    for entry in whole {
        if let (Some(key), Some(digest)) = (names::remote_name(entry), entry.digest)
            && let Some(hash) = listing.get(&key).and_then(|there| there.hash.as_ref())
        {
            noting.new.add(&key, hash, digest)?;
        }
    }
    Ok(())
}

fn add_damage(found: &mut CloudVerification, entry: &Entry, message: String) {
    found.damage_count += 1;
    if found.damage.len() < LISTED {
        found.damage.push(Problem {
            path: entry.path.shown(),
            kind: ProblemKind::Unreadable,
            message,
        });
    }
}

/// Downloads files, compares them and throws them away; gives those that are whole, and notes which
/// are not, for the next upload to bring them again.
fn read_back_files(
    rclone: &Rclone<'_>,
    cache: &RemoteCache,
    into: (&Dir, &str),
    remote: &str,
    waiting: Vec<MissingFile>,
    (found, rotten): (&mut CloudVerification, &mut HashSet<String>),
) -> Result<Vec<Entry>> {
    const PIECE: &str = "piece";
    let mut whole = Vec::new();
    if waiting.is_empty() {
        return Ok(whole);
    }
    let (dir, named) = into;
    let path = format!("{named}/{PIECE}");
    remove_tree(dir, OsStr::new(PIECE), &path, rclone.context)?;
    let tree = dir
        .folder_or_new(OsStr::new(PIECE), 0o700)
        .map_err(|error| Error::io("make", path.as_bytes(), error))?;
    for missing in fetch::download_files(rclone, cache, remote, &path, waiting)? {
        found.read_files += 1;
        found.read_bytes = found.read_bytes.saturating_add(missing.entry.size);
        let key = names::remote_name(&missing.entry);
        if fetch::is_whole(&tree, &missing.entry, rclone.context)? {
            key.map(|key| rotten.remove(&key));
            whole.push(missing.entry);
        } else {
            rotten.extend(key);
            let text = "its content is not what was uploaded".to_owned();
            add_damage(found, &missing.entry, text);
        }
    }
    remove_tree(dir, OsStr::new(PIECE), &path, rclone.context)?;
    Ok(whole)
}
