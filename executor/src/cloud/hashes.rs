//! Reads the remote's own hashes: which it has, and what they were when a file was known to be good.
//!
//! Manifests have SHA-256, most remotes MD5 or SHA-1. So the remote's hash of a file is noted beside
//! our digest when the file was uploaded, or downloaded and found whole; a hash that is still the
//! noted one stands for the content. `hashes.zst` in the remote's folder of the state directory has a
//! line for each file: the remote's hash, our digest, the name in rclone. It can be lost: what is
//! not noted is downloaded.

use std::{
    collections::HashMap,
    ffi::OsStr,
    fs::File,
    io::{BufReader, Write as _},
};

use schema::Digest;
use serde::Deserialize;

use super::{
    memory::RemoteCache,
    rclone::{FileFaults, Rclone, RcloneExit},
};
use crate::{
    bounded::{BoundedLines, LONGEST_LISTED_LINE, read_bounded},
    error::{Error, ErrorKind, Result},
    manifest::new_decoder,
};

/// The notes, and their name while they are made.
const NOTES: &str = "hashes.zst";
const NEW: &str = "hashes.new";
/// zstd's fastest regular level: hashes do not get smaller.
const LEVEL: i32 = 1;
/// Longest answer that is read of what a remote can do, in bytes: rclone's has some thousand.
const LONGEST_FEATURES: u64 = 1 << 20;
/// rclone's name of the hash that manifests have.
const OURS: &str = "sha256";
/// Which hash is asked for where a remote has several: the one that needs no notes, and then those
/// that nearly all tools can compute. Any other is better than none.
const PREFERRED: [&str; 3] = [OURS, "sha1", "md5"];

/// The hash of a remote that is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hashing {
    /// Its name in rclone, such as `md5`.
    pub name: String,
    /// Whether the remote reads the whole file to tell it.
    pub slow: bool,
}

/// What `rclone backend features` says (<https://rclone.org/commands/rclone_backend/>).
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Backend {
    hashes: Vec<String>,
    features: Features,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Features {
    slow_hash: bool,
    #[serde(rename = "Move")]
    moves: bool,
    #[serde(rename = "Copy")]
    copies: bool,
}

/// Whether a remote moves files by itself; else rclone would download and upload them.
///
/// # Errors
/// An interruption, or the end of the time.
pub fn can_move(rclone: &Rclone<'_>, cache: &RemoteCache, folder: &str) -> Result<bool> {
    let told = remote_features(rclone, cache, folder)?;
    Ok(told.is_some_and(|told| told.features.moves || told.features.copies))
}

/// Which hash a remote has; none where it has none (WebDAV, all below `crypt`), or does not say.
///
/// # Errors
/// An interruption, or the end of the time.
pub fn of_remote(
    rclone: &Rclone<'_>,
    cache: &RemoteCache,
    folder: &str,
) -> Result<Option<Hashing>> {
    Ok(remote_features(rclone, cache, folder)?.and_then(choose_hash))
}

fn remote_features(
    rclone: &Rclone<'_>,
    cache: &RemoteCache,
    folder: &str,
) -> Result<Option<Backend>> {
    const FEATURES: &str = "features.json";
    let asked = rclone.must(&["backend", "features", folder], &|| {
        cache.new_file(FEATURES).map(Some)
    });
    match asked {
        Ok(true) => {}
        Ok(false) => return Ok(None),
        // Whether the remote can be reached at all is for those to say who need it.
        Err(error) if error.kind == ErrorKind::Failed => return Ok(None),
        Err(error) => return Err(error),
    }
    let told = read_bounded(cache.file(FEATURES)?, LONGEST_FEATURES).ok();
    Ok(told.and_then(|told| serde_json::from_slice(&told).ok()))
}

fn choose_hash(told: Backend) -> Option<Hashing> {
    let preferred = PREFERRED.iter().find(|name| {
        let name: &str = name;
        told.hashes.iter().any(|there| there == name)
    });
    let name = match preferred {
        Some(name) => (*name).to_owned(),
        None => told.hashes.first()?.clone(),
    };
    Some(Hashing {
        name,
        slow: told.features.slow_hash,
    })
}

impl Hashing {
    /// The hash that manifests have, of what is downloaded.
    #[must_use]
    pub(super) fn ours() -> Self {
        Self {
            name: OURS.to_owned(),
            slow: false,
        }
    }

    /// Whether this hash is the one that manifests have.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        self.name == OURS
    }
}

/// What is noted of a remote's files, by their names in rclone.
#[derive(Debug, Default)]
pub struct Notes(HashMap<String, (String, Digest)>);

impl Notes {
    /// Reads the notes that are of this hash. What cannot be read is not known.
    #[must_use]
    pub fn read(cache: &RemoteCache, hashing: &Hashing) -> Self {
        let mut notes = Self::default();
        if let Ok(file) = cache.file(NOTES) {
            let _ = notes.add(file, hashing);
        }
        notes
    }

    fn add(&mut self, file: File, hashing: &Hashing) -> std::io::Result<()> {
        let mut lines = BoundedLines::new(BufReader::new(new_decoder(file)?), LONGEST_LISTED_LINE);
        if lines.next().transpose()?.as_deref() != Some(&hashing.name) {
            return Ok(());
        }
        for line in lines {
            let line = line?;
            let mut parts = line.splitn(3, ' ');
            if let (Some(hash), Some(digest), Some(name)) =
                (parts.next(), parts.next(), parts.next())
                && let Some(digest) = Digest::from_hex(digest.as_bytes())
            {
                self.0.insert(name.to_owned(), (hash.to_owned(), digest));
            }
        }
        Ok(())
    }

    /// The remote's hash of a file when it was known to have this content.
    #[must_use]
    pub fn known(&self, name: &str, digest: Option<Digest>) -> Option<&str> {
        let (hash, noted) = self.0.get(name)?;
        (Some(*noted) == digest).then_some(hash)
    }
}

/// Notes in the making, which take the place of all that were there.
pub struct NewNotes<'a> {
    cache: &'a RemoteCache,
    out: zstd::Encoder<'static, File>,
}

impl<'a> NewNotes<'a> {
    /// Begins notes of a hash.
    ///
    /// # Errors
    /// Fails if the cache cannot be written.
    pub fn new(cache: &'a RemoteCache, hashing: &Hashing) -> Result<Self> {
        let out = zstd::Encoder::new(cache.new_file(NEW)?, LEVEL);
        let mut this = Self {
            cache,
            out: out.map_err(|error| cannot_write_notes(cache, error))?,
        };
        this.line(&hashing.name)?;
        Ok(this)
    }

    /// Notes that the remote's hash of a file is that of this content.
    ///
    /// # Errors
    /// Fails if the cache cannot be written.
    pub fn add(&mut self, name: &str, hash: &str, digest: Digest) -> Result<()> {
        self.line(&format!("{hash} {digest} {name}"))
    }

    fn line(&mut self, text: &str) -> Result<()> {
        writeln!(self.out, "{text}").map_err(|error| cannot_write_notes(self.cache, error))
    }

    /// Puts them in the place of the old ones.
    ///
    /// # Errors
    /// Fails if the cache cannot be written.
    pub fn finish(self) -> Result<()> {
        let cache = self.cache;
        let done = self.out.finish().and_then(|file| file.sync_all());
        done.map_err(|error| cannot_write_notes(cache, error))?;
        cache.replace(OsStr::new(NEW), OsStr::new(NOTES))
    }
}

fn cannot_write_notes(cache: &RemoteCache, error: std::io::Error) -> Error {
    Error::io("write", cache.named(NEW).as_bytes(), error)
}

/// The hashes of files below a folder, by their names in rclone; without `only` of all, else of those
/// that this list of the cache names. Files of which the remote knows none, as of some that were
/// uploaded in parts, are not among them.
///
/// # Errors
/// Fails if the remote cannot be asked.
pub fn list_hashes(
    rclone: &Rclone<'_>,
    cache: &RemoteCache,
    folder: &str,
    hashing: &Hashing,
    only: Option<&str>,
) -> Result<HashMap<String, String>> {
    let named = only.map(|name| cache.named(name));
    match &named {
        Some(list) => list_hashes_of(rclone, cache, folder, hashing, &["--files-from-raw", list]),
        None => list_hashes_of(rclone, cache, folder, hashing, &[]),
    }
}

/// The same of the files that these options choose.
pub(super) fn list_hashes_of(
    rclone: &Rclone<'_>,
    cache: &RemoteCache,
    folder: &str,
    hashing: &Hashing,
    options: &[&str],
) -> Result<HashMap<String, String>> {
    match list_hashes_told(rclone, cache, folder, hashing, options)? {
        (hashes, None) => Ok(hashes),
        (_, Some(message)) => Err(rclone.failed(true, &message)),
    }
}

/// The same, as many as were told, and what is said where a connection failed.
pub(super) fn list_hashes_told(
    rclone: &Rclone<'_>,
    cache: &RemoteCache,
    folder: &str,
    hashing: &Hashing,
    options: &[&str],
) -> Result<(HashMap<String, String>, Option<String>)> {
    const SUMS: &str = "hashes.list";
    // Unlike a list with hashes, this asks for several at once.
    let arguments = ["hashsum", &hashing.name, folder];
    let arguments = [&arguments[..], options].concat();
    let output = cache.new_file(SUMS)?;
    let ended = rclone.call(
        &arguments,
        Some(output),
        &mut FileFaults::default(),
        &mut |_| Ok(()),
    )?;
    let failed = match ended {
        RcloneExit::Badly {
            connection: true,
            message,
        } => Some(message),
        _ => None,
    };
    // Single files whose hash could not be had are no hindrance.
    let mut hashes = HashMap::new();
    let mut room = rclone.most_listed;
    for line in BoundedLines::new(BufReader::new(cache.file(SUMS)?), LONGEST_LISTED_LINE) {
        let line = line.map_err(|error| Error::io("read", cache.named(SUMS).as_bytes(), error))?;
        room = rclone.take_room(room, &line, folder)?;
        if let Some((hash, name)) = hash_sum(&line) {
            hashes.insert(name.to_owned(), hash.to_owned());
        }
    }
    Ok((hashes, failed))
}

/// Hash and name of a line; none where `ERROR`, `UNSUPPORTED` or blanks stand for the hash.
fn hash_sum(line: &str) -> Option<(&str, &str)> {
    let (hash, name) = line.split_once("  ")?;
    let is_hash = !hash.is_empty() && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hash.then_some((hash, name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::{Dir, resolve::resolve};

    fn cache(folder: &std::path::Path) -> RemoteCache {
        let dir: Dir = resolve(folder).unwrap().folder().unwrap();
        RemoteCache::of(dir, folder.to_str().unwrap().to_owned())
    }

    #[test]
    fn the_hash_that_needs_no_notes_goes_before_and_an_odd_one_is_better_than_none() {
        let of = |text: &str| serde_json::from_str(text).ok().and_then(choose_hash);
        let name = |text: &str| of(text).map(|hashing: Hashing| hashing.name);
        let hashes = |list: &str| name(&format!(r#"{{"Name":"x","Hashes":{list}}}"#));
        assert_eq!(hashes(r#"["md5","sha1","sha256"]"#).unwrap(), "sha256");
        assert_eq!(hashes(r#"["crc32","md5"]"#).unwrap(), "md5");
        assert_eq!(hashes(r#"["quickxor"]"#).unwrap(), "quickxor");
        assert_eq!(hashes("[]"), None);
        assert_eq!(name("no JSON"), None);
        let slow = r#"{"Hashes":["md5"],"Features":{"SlowHash":true,"About":false}}"#;
        assert!(of(slow).unwrap().slow);
    }

    #[test]
    fn what_stands_in_place_of_a_hash_is_none() {
        assert_eq!(hash_sum("0aF9  a  b"), Some(("0aF9", "a  b")));
        assert_eq!(hash_sum("                           ERROR  a"), None);
        assert_eq!(hash_sum("UNSUPPORTED  a"), None);
        assert_eq!(hash_sum("        a"), None);
        assert_eq!(hash_sum("a"), None);
    }

    #[test]
    fn a_note_holds_for_its_content_and_its_kind_of_hash_only() {
        let folder = tempfile::tempdir().unwrap();
        let cache = cache(folder.path());
        let md5 = Hashing {
            name: "md5".to_owned(),
            slow: false,
        };
        let (one, other) = (Digest::of(b"one"), Digest::of(b"other"));
        let mut new = NewNotes::new(&cache, &md5).unwrap();
        new.add("home/a b", "abcd", one).unwrap();
        assert_eq!(Notes::read(&cache, &md5).known("home/a b", Some(one)), None);
        new.finish().unwrap();
        let notes = Notes::read(&cache, &md5);
        assert_eq!(notes.known("home/a b", Some(one)), Some("abcd"));
        assert_eq!(notes.known("home/a b", Some(other)), None);
        assert_eq!(notes.known("home/a", Some(one)), None);
        let sha1 = Hashing {
            name: "sha1".to_owned(),
            ..md5.clone()
        };
        let notes = Notes::read(&cache, &sha1);
        assert_eq!(notes.known("home/a b", Some(one)), None);
        // What is damaged is not known, and hinders nothing.
        std::fs::write(folder.path().join(NOTES), "no zstd").unwrap();
        assert_eq!(Notes::read(&cache, &md5).known("home/a b", Some(one)), None);
    }
}
