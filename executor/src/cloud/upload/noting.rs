//! Noting the remote's own hashes of what was uploaded, for `verify` to compare with later.
//!
//! rclone has compared each transfer by a hash where both sides have one, so what the remote tells
//! now is the hash of the uploaded content.

use std::{
    collections::HashMap,
    io::{BufWriter, Write as _},
};

use schema::cloud::CURRENT;

use super::{
    super::{
        difference::Difference,
        hashes::{self, NewNotes, Notes},
        memory::UploadProgress,
        names,
    },
    context::Upload,
};
use crate::{
    error::{Error, ErrorKind, Result},
    manifest,
    sys::Kind,
};

/// Names of the files whose hash is asked for.
const LIST: &str = "brought.list";

impl Upload<'_> {
    /// Notes the hashes of the files that this snapshot's attempts have brought. The snapshot is on
    /// the remote already: that they cannot be had makes the next `verify` download more, and is no
    /// failure.
    ///
    /// # Errors
    /// An interruption.
    pub(super) fn note_hashes(&self, done: &UploadProgress, found: &Difference) -> Result<()> {
        match self.try_note(done, found) {
            Err(error) if error.kind == ErrorKind::Failed => Ok(()),
            other => other,
        }
    }

    fn try_note(&self, done: &UploadProgress, found: &Difference) -> Result<()> {
        let brought = &done.brought;
        if brought.is_empty() && found.moves.is_empty() {
            return Ok(());
        }
        // What moved has the hash that was noted of it under its old name, and none where it may
        // have rotted there since.
        let moved: HashMap<&str, &str> = found
            .moves
            .iter()
            .map(|one| (one.to.as_str(), one.from.as_str()))
            .collect();
        let current = self.at(CURRENT);
        let Some(hashing) = hashes::of_remote(&self.rclone, &self.cache, &current)? else {
            return Ok(());
        };
        if hashing.is_ours() {
            return Ok(());
        }
        // One list of all is less to ask for than each file by itself, unless the remote would have
        // to read all of them.
        let only = if hashing.slow {
            let unwritten = |error| Error::io("write", self.cache.named(LIST).as_bytes(), error);
            let mut list = BufWriter::new(self.cache.new_file(LIST)?);
            for name in brought {
                writeln!(list, "{name}").map_err(unwritten)?;
            }
            list.flush().map_err(unwritten)?;
            Some(LIST)
        } else {
            None
        };
        let now = hashes::list_hashes(&self.rclone, &self.cache, &current, &hashing, only)?;
        let before = Notes::read(&self.cache, &hashing);
        let mut new = NewNotes::new(&self.cache, &hashing)?;
        for entry in self.manifest()? {
            let entry =
                entry.map_err(|error| Error::io("read", manifest::FILE_NAME.as_bytes(), error))?;
            let (Kind::File, Some(name), Some(digest)) =
                (entry.kind, names::remote_name(&entry), entry.digest)
            else {
                continue;
            };
            let hash = if brought.contains(&name) {
                now.get(&name).map(String::as_str)
            } else {
                let name = moved.get(name.as_str()).copied().unwrap_or(&name);
                before.known(name, Some(digest))
            };
            if let Some(hash) = hash {
                new.add(&name, hash, digest)?;
            }
        }
        new.finish()
    }
}
