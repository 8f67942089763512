//! Live files that changed while they were uploaded: found out, and taken out of `current`.
//!
//! What came through of such a file may be of two moments. It stays in the upload's history folder,
//! beside the numbered ones, where no restore takes it for a version that it knows.

use std::{
    collections::{BTreeMap, HashMap},
    io::{BufReader, Write as _},
};

use super::{
    super::{names, roots::SeenFile},
    context::{UPLOAD, Upload},
};
use crate::{
    bounded::{BoundedLines, LONGEST_LISTED_LINE},
    error::{Error, Result},
    sys::Kind,
};

/// Names of what is taken out of `current`.
const LIST: &str = "changed.list";

impl Upload<'_> {
    /// How the files that are to be uploaded were when the manifest was made, by their names in
    /// rclone; of live sources only.
    pub(super) fn seen(&self) -> Result<HashMap<String, SeenFile>> {
        let mut seen = HashMap::new();
        if self.source.live.is_none() {
            return Ok(seen);
        }
        let read = |error| Error::io("read", self.cache.named(UPLOAD).as_bytes(), error);
        // Both are in the manifest's order.
        let mut lines = BoundedLines::new(
            BufReader::new(self.cache.file(UPLOAD)?),
            LONGEST_LISTED_LINE,
        );
        let mut wanted = lines.next().transpose().map_err(read)?;
        for entry in self.manifest()? {
            let entry = entry.map_err(read)?;
            if entry.kind == Kind::File
                && let Some(name) = &wanted
                && names::remote_name(&entry).as_ref() == Some(name)
            {
                seen.insert(name.clone(), SeenFile::of(&entry));
                wanted = lines.next().transpose().map_err(read)?;
            }
        }
        Ok(seen)
    }

    /// Moves live files that did not come through as they were out of `current`.
    pub(super) fn take_changed_aside(&self, faults: &BTreeMap<String, String>) -> Result<()> {
        if self.source.live.is_none() || faults.is_empty() {
            return Ok(());
        }
        let mut list = self.cache.new_file(LIST)?;
        for name in faults.keys() {
            writeln!(list, "{name}")
                .map_err(|error| Error::io("write", self.cache.named(LIST).as_bytes(), error))?;
        }
        self.move_aside(LIST, &format!("changed-{}", self.attempt))
    }
}
