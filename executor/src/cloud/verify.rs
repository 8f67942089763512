//! Comparing the remote with an upload's manifest: every file's size, and the content of a share.
//!
//! Content is downloaded and compared with the manifest's SHA-256, piece by piece, because hashes
//! that a remote tells are of what it was given and not of what it has, and many tell none.

use std::{collections::HashMap, ffi::OsStr};

use schema::{
    Digest, SnapshotId,
    cloud::{CURRENT, CloudVerification},
    escape::display,
    journal::{Problem, ProblemKind},
};

use super::{
    fetch::{self, Missing, Wanted},
    memory::Desk,
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
pub fn verify(
    rclone: &Rclone<'_>,
    desk: &Desk,
    into: (&Dir, &str),
    remote: &str,
    share: Share,
) -> Result<CloudVerification> {
    let shelves = fetch::uploaded(rclone, desk, remote)?;
    let wanted = Wanted {
        remote,
        host: "",
        id: None,
        paths: &[],
    };
    let id: SnapshotId = fetch::chosen(&shelves, &wanted)?;
    let published = published::fetch(rclone, desk, remote, id, &shelves[&id])?;
    let published = published.ok_or_else(|| {
        Error::failed(format!("the manifest of {id} on {remote} is damaged"))
            .hint("the next `backup apply` writes another")
    })?;
    let mut listing: HashMap<String, u64> = HashMap::new();
    let current = format!("{remote}/{CURRENT}");
    let options = ["-R", "--files-only"];
    published::list(rclone, desk, &current, &options, &mut |path, size| {
        listing.insert(path, size);
    })?;
    let mut found = CloudVerification {
        id,
        files: 0,
        bytes: 0,
        read_files: 0,
        read_bytes: 0,
        damage: Vec::new(),
        damage_count: 0,
    };
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
        let Some(key) = names::standard(&entry.path) else {
            damaged(
                &mut found,
                &entry,
                format!("missing: {}", names::why_not(&entry.path)),
            );
            continue;
        };
        match listing.get(&key) {
            None => damaged(&mut found, &entry, "missing".to_owned()),
            Some(size) if *size != entry.size => {
                let text = format!("{size} bytes, and {} were uploaded", entry.size);
                damaged(&mut found, &entry, text);
            }
            Some(_) if share.has(&entry) => {
                bytes += entry.size;
                waiting.push(Missing {
                    entry,
                    places: vec![CURRENT.to_owned()],
                });
            }
            Some(_) => {}
        }
        if waiting.len() >= FILES || bytes >= BYTES {
            read(
                rclone,
                desk,
                into,
                remote,
                std::mem::take(&mut waiting),
                &mut found,
            )?;
            bytes = 0;
        }
    }
    read(rclone, desk, into, remote, waiting, &mut found)?;
    Ok(found)
}

fn damaged(found: &mut CloudVerification, entry: &Entry, message: String) {
    found.damage_count += 1;
    if found.damage.len() < LISTED {
        found.damage.push(Problem {
            path: display(&[b"/", entry.path.as_slice()].concat()),
            kind: ProblemKind::Unreadable,
            message,
        });
    }
}

/// Downloads files, compares them and throws them away.
fn read(
    rclone: &Rclone<'_>,
    desk: &Desk,
    into: (&Dir, &str),
    remote: &str,
    waiting: Vec<Missing>,
    found: &mut CloudVerification,
) -> Result<()> {
    const PIECE: &str = "piece";
    if waiting.is_empty() {
        return Ok(());
    }
    let (dir, named) = into;
    let path = format!("{named}/{PIECE}");
    remove_tree(dir, OsStr::new(PIECE), &path, rclone.context)?;
    let tree = dir
        .folder_or_new(OsStr::new(PIECE), 0o700)
        .map_err(|error| Error::io("make", path.as_bytes(), error))?;
    for missing in fetch::bring(rclone, desk, remote, &path, waiting)? {
        found.read_files += 1;
        found.read_bytes = found.read_bytes.saturating_add(missing.entry.size);
        if !fetch::is_whole(&tree, &missing.entry, rclone.context)? {
            let text = "its content is not what was uploaded".to_owned();
            damaged(found, &missing.entry, text);
        }
    }
    remove_tree(dir, OsStr::new(PIECE), &path, rclone.context)
}
