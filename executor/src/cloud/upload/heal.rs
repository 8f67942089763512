//! Whether the remote has everything, before local space is given back; and what is found damaged
//! there is brought again.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    io::{BufReader, BufWriter, Write as _},
};

use schema::{SnapshotId, cloud::CURRENT};

use super::{
    super::{
        published,
        rclone::{FileFaults, RcloneExit},
    },
    context::{ALL, UPLOAD, Upload},
};
use crate::{
    bounded::{BoundedLines, LONGEST_LISTED_LINE},
    error::{Error, Result},
};

/// What rclone found when it compared.
const COMPARED: &str = "compared.list";
/// Names of what is brought again.
const AGAIN: &str = "again.list";

impl Upload<'_> {
    /// Has rclone compare all that is there with the snapshot, by sizes and by the hashes that both
    /// sides have, and brings again what differs. What this attempt uploaded is read back, since
    /// many remotes have no hashes (WebDAV, everything below `crypt`) and the local copy is about
    /// to go. Gives how many files were brought again, and what is still not there.
    pub(super) fn heal(&self, uploaded: u64) -> Result<(u64, BTreeMap<String, String>)> {
        let mut differing = self.differing(ALL, &[])?;
        if uploaded > 0 {
            differing.extend(self.differing(UPLOAD, &["--download"])?);
        }
        if differing.is_empty() {
            return Ok((0, BTreeMap::new()));
        }
        for name in [AGAIN, UPLOAD] {
            let write = |error| Error::io("write", self.cache.named(name).as_bytes(), error);
            let mut list = BufWriter::new(self.cache.new_file(name)?);
            for file in &differing {
                writeln!(list, "{file}").map_err(write)?;
            }
            list.flush().map_err(write)?;
        }
        // Not to the history: it is no version of anything.
        self.move_aside(AGAIN, &format!("damaged-{}", self.attempt))?;
        let mut faults = self.upload(differing.len() as u64)?;
        for name in self.differing(UPLOAD, &["--download"])? {
            faults
                .entry(name)
                .or_insert_with(|| "what came through is not what was uploaded".to_owned());
        }
        let healed = differing.len() as u64 - faults.len() as u64;
        Ok((healed, faults))
    }

    /// The files of a list that are not on the remote as they are here.
    fn differing(&self, list: &str, options: &[&str]) -> Result<BTreeSet<String>> {
        let (list, current) = (self.cache.named(list), self.at(CURRENT));
        drop(self.cache.new_file(COMPARED)?);
        let compared = self.cache.named(COMPARED);
        let mut arguments = vec![
            "check",
            self.source.folder,
            &current,
            "--one-way",
            "--files-from-raw",
            &list,
            "--combined",
            &compared,
        ];
        arguments.extend(options);
        let ended =
            self.rclone
                .call(&arguments, None, &mut FileFaults::quiet(), &mut |_| Ok(()))?;
        let (connection, message) = match ended {
            RcloneExit::Well => return Ok(BTreeSet::new()),
            RcloneExit::Badly {
                connection,
                message,
            } => (connection, message),
            RcloneExit::NotThere => (false, format!("{current} is not there")),
        };
        let mut differing = BTreeSet::new();
        let read = |error| Error::io("read", compared.as_bytes(), error);
        for line in BoundedLines::new(
            BufReader::new(self.cache.file(COMPARED)?),
            LONGEST_LISTED_LINE,
        ) {
            let line = line.map_err(read)?;
            if let Some((sign, name)) = line.split_once(' ')
                && matches!(sign, "*" | "+" | "!")
            {
                differing.insert(name.to_owned());
            }
        }
        // A comparison that did not come to its end says nothing.
        if connection || differing.is_empty() {
            return Err(self.rclone.failed(connection, &message));
        }
        Ok(differing)
    }

    /// Of the snapshots that are to go here, those whose record and manifest are whole on the
    /// remote.
    pub(super) fn restorable(&self) -> Result<Vec<SnapshotId>> {
        let mut whole = Vec::new();
        for deletion in &self.step.give_back {
            let id = deletion.id;
            let Some(on_remote) = self.manifests_there.get(&id) else {
                continue;
            };
            if on_remote.uploaded.is_none() || on_remote.damaged {
                continue;
            }
            let (rclone, cache, remote) = (&self.rclone, &self.cache, &self.step.remote);
            if published::fetch_anew(rclone, cache, remote, id, on_remote)?.is_some() {
                whole.push(id);
            }
        }
        Ok(whole)
    }

    /// Forgets what was damaged there and is not any more.
    pub(super) fn settle_damage(&self, faults: &BTreeMap<String, String>) -> Result<()> {
        let before = self.cache.damaged();
        if before.is_empty() {
            return Ok(());
        }
        // All that was known when this upload began was brought again, or gone from `current`.
        let still: HashSet<String> = before
            .into_iter()
            .filter(|name| !self.rotten.contains(name) || faults.contains_key(name))
            .collect();
        self.cache.remember_damaged(&still)
    }
}
