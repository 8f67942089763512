//! Remotes of layout `history`: each content once under its digest, a manifest and a record for each
//! snapshot, and no name that a remote could refuse.
//!
//! An upload puts the objects that no manifest there lists, then the manifest, then the record. Nothing is
//! overwritten but what is known to be damaged or cut short, and nothing is removed. So a snapshot with a
//! record is there as a whole, wherever an upload was interrupted; what such a one has put already is
//! remembered here and not put again.
//!
//! What is there is known from one list of `records`. Bodies of records and manifests are kept in the
//! form of a destination (`cached.rs`), so that whatever works on a disk works on what is known of a remote.

mod cached;
mod claim;
mod damage;
mod expire;
mod fetch;
mod holes;
mod index;
mod judge;
mod layout;
mod listing;
mod lost;
mod marks;
mod publish;
mod put;
mod put_list;
mod same;
mod share;
mod staging;
mod upload;
mod verify;
mod work;

use chrono::{DateTime, FixedOffset};
use schema::remote_history::{HistoryMemory, OBJECTS, RECORDS};

pub use self::{
    cached::{id_of_remote, known_content, known_destination, known_records},
    layout::{RemoteListing, manifest_file, marks_file, object_file, object_of, record_file},
    listing::KnownHistory,
    lost::find_lost,
    share::{ReadShare, ReadingArea, ShareReading, Unread, WantedShare},
    upload::{HistoryOptions, HistorySource, UploadedHistory},
    verify::Compared,
};
use super::{memory::RemoteCache, rclone::Rclone};
use crate::{
    error::{Error, Result},
    state_dir::StateDir,
    store::{read_json, write_json},
};

/// What is remembered, in the remote's folder of the state directory.
const MEMORY: &str = "history.json";

/// A remote of layout `history`, with what is kept of it here.
#[derive(Clone, Copy)]
pub struct HistoryRemote<'a> {
    /// How rclone is called.
    pub rclone: &'a Rclone<'a>,
    /// What is kept of the remote.
    pub cache: &'a RemoteCache,
    /// The host's folder on the remote, as rclone names it.
    pub remote: &'a str,
    /// The name of the host's folder, there and in what is kept here.
    pub host: &'a str,
}

/// What this machine remembers of a remote. Writes nothing.
///
/// # Errors
/// Fails if it is there and cannot be read.
pub fn recall_history(state: &StateDir, remote: &str) -> Result<HistoryMemory> {
    let Some(cache) = RemoteCache::open(state, remote)? else {
        return Ok(HistoryMemory::default());
    };
    Ok(read_json(cache.dir(), MEMORY, &cache.named(MEMORY))?.unwrap_or_default())
}

impl HistoryRemote<'_> {
    /// What is remembered; what cannot be read is not known.
    #[must_use]
    pub fn memory(&self) -> HistoryMemory {
        let read = read_json(self.cache.dir(), MEMORY, &self.cache.named(MEMORY));
        read.unwrap_or_default().unwrap_or_default()
    }

    fn remember(&self, memory: &HistoryMemory) -> Result<()> {
        write_json(self.cache.dir(), MEMORY, &self.cache.named(MEMORY), memory)
    }

    /// Remembers that all was let go that was due when a run was planned.
    ///
    /// # Errors
    /// Fails if the cache cannot be written.
    pub fn settle(&self, planned_at: DateTime<FixedOffset>) -> Result<()> {
        let mut memory = self.memory();
        memory.settled_at = Some(planned_at);
        self.remember(&memory)
    }

    /// A folder below the host's, as rclone names it.
    fn at(&self, folder: &str) -> String {
        format!("{}/{folder}", self.remote)
    }

    fn objects(&self) -> String {
        self.at(OBJECTS)
    }

    fn records(&self) -> String {
        self.at(RECORDS)
    }

    /// The error of a call on something in the cache.
    fn io(&self, doing: &str, relative: &str, error: impl Into<std::io::Error>) -> Error {
        Error::io(doing, self.cache.named(relative).as_bytes(), error)
            .hint("see to the state directory, and to the space where it is")
    }
}
