//! What an upload writes to the remote besides files: that it begins, that it ended well; and what
//! goes with it: marks of uploads that are in doubt no more.

use std::{ffi::OsStr, io::Write as _};

use schema::{
    Digest, SnapshotId,
    cloud::{FORMAT_VERSION, HistoryFolder, MANIFESTS, UploadRecord},
    journal::Problem,
};

use super::{
    super::{
        carried::CARRIED,
        difference::Difference,
        published::{self, KEPT, uploaded_name},
    },
    context::Upload,
};
use crate::{
    error::{Error, Result},
    manifest,
    store::{LONGEST_MANIFEST, SNAPSHOT_FILE, write_record},
};

impl Upload<'_> {
    /// Says on the remote what is going to be uploaded, before anything changes there.
    pub(super) fn begin(&mut self) -> Result<()> {
        let id = self.id();
        self.mend()?;
        self.memory.attempt = self.attempt;
        self.cache.remember(&self.memory)?;
        let on_remote = self.manifests_there.get(&id).cloned().unwrap_or_default();
        if on_remote.uploaded.is_none() {
            self.cache.clear_cached_snapshot(id, self.rclone.context)?;
        }
        let (dir, path) = self.cache.cached_snapshot_or_new(id)?;
        let put = |name: &str, bytes: &[u8]| {
            dir.write_whole(name, bytes)
                .map_err(|error| Error::io("write", format!("{path}/{name}").as_bytes(), error))
        };
        dir.copy_whole(
            manifest::FILE_NAME,
            self.cache.file(CARRIED)?,
            LONGEST_MANIFEST,
        )
        .map_err(|error| Error::io("write", path.as_bytes(), error))?;
        write_record(&dir, SNAPSHOT_FILE, &path, &self.source.record)?;
        let attempt = format!("attempt-{}.json", self.attempt);
        let begun = serde_json::json!({
            "format_version": FORMAT_VERSION,
            "attempt": self.attempt,
            "begun_at": self.rclone.context.clock.now(),
        });
        put(&attempt, begun.to_string().as_bytes())?;
        // What is whole on the remote is not written again: a kill would leave it short.
        let mut list = String::new();
        for name in [manifest::FILE_NAME, SNAPSHOT_FILE, &attempt] {
            let size = dir
                .stat(OsStr::new(name))
                .map_err(|error| Error::io("look at", path.as_bytes(), error))?
                .size;
            if on_remote.files.get(name) != Some(&size) {
                list.push_str(name);
                list.push('\n');
            }
        }
        self.bring(&path, &id.to_string(), &list)
    }

    /// Brings again what is cut short on the remote of the newest upload's record and manifest, and
    /// whole in the cache.
    fn mend(&self) -> Result<()> {
        let newest = published::newest_first(&self.manifests_there);
        let Some((id, _)) = newest.first().filter(|(id, _)| *id != self.id()) else {
            return Ok(());
        };
        let Some(dir) = self.cache.cached_snapshot(*id) else {
            return Ok(());
        };
        let mut list = String::new();
        for name in dir.names().unwrap_or_default() {
            let (Ok(stat), Some(name)) = (dir.stat(&name), name.to_str()) else {
                continue;
            };
            let there = self.manifests_there[id].files.get(name);
            if there != Some(&stat.size) && !name.starts_with('.') {
                list.push_str(name);
                list.push('\n');
            }
        }
        if list.is_empty() {
            return Ok(());
        }
        let (_, path) = self.cache.cached_snapshot_or_new(*id)?;
        self.bring(&path, &id.to_string(), &list)
    }

    /// Writes the list of files that stay on the remote although the snapshot does not have them.
    fn keep_list(&self, dir: &crate::sys::Dir, found: &mut Difference) -> Result<Option<Digest>> {
        const NEW: &str = "kept.new";
        if found.kept.is_empty() {
            return Ok(None);
        }
        let io =
            |error: std::io::Error| Error::io("write", self.cache.named(NEW).as_bytes(), error);
        let mut writer = manifest::Writer::new(self.cache.new_file(NEW)?).map_err(io)?;
        for entry in std::mem::take(&mut found.kept) {
            writer.write(&entry).map_err(io)?;
        }
        let digest = writer.finish().map_err(io)?;
        dir.copy_whole(KEPT, self.cache.file(NEW)?, LONGEST_MANIFEST)
            .map_err(io)?;
        Ok(Some(digest))
    }

    /// Copies files of the cached snapshot to the remote.
    fn bring(&self, from: &str, id: &str, list: &str) -> Result<()> {
        const FILES: &str = "shelf.list";
        self.cache
            .new_file(FILES)?
            .write_all(list.as_bytes())
            .map_err(|error| Error::io("write", self.cache.named(FILES).as_bytes(), error))?;
        let to = format!("{}/{id}", self.at(MANIFESTS));
        let list = self.cache.named(FILES);
        let arguments = [
            "copy",
            from,
            &to,
            "--files-from-raw",
            &list,
            "--no-traverse",
            "--ignore-times",
        ];
        if self.rclone.must(&arguments, &|| Ok(None))? {
            return Ok(());
        }
        Err(Error::failed(format!(
            "cloud copy failed: {} could not write to {to}",
            self.step.program
        )))
    }

    /// Says on the remote that the snapshot is there, and takes away what is in doubt no more.
    pub(super) fn publish(
        &mut self,
        found: &mut Difference,
        faults: u64,
        problems: &[Problem],
    ) -> Result<()> {
        let id = self.id();
        let (dir, path) = self.cache.cached_snapshot_or_new(id)?;
        let kept_digest = self.keep_list(&dir, found)?;
        let record = UploadRecord {
            format_version: FORMAT_VERSION,
            id,
            attempt: self.attempt,
            uploaded_at: self.rclone.context.clock.now(),
            files: found.files.saturating_sub(faults),
            bytes: found.bytes,
            manifest_digest: self.source.record.manifest_digest,
            made_by: format!("backup {}", env!("CARGO_PKG_VERSION")),
            not_uploaded: problems.to_vec(),
            withheld: self.withheld.clone(),
            kept_digest,
            sealed_digest: self.source.sealed_digest,
        };
        let name = uploaded_name(self.attempt);
        write_record(&dir, &name, &path, &record)?;
        let kept = kept_digest.map_or_else(String::new, |_| format!("{KEPT}\n"));
        self.bring(&path, &id.to_string(), &format!("{kept}{name}\n"))?;
        let since = record.uploaded_at;
        self.memory.last = Some(record);
        self.memory.history.retain(|one| one.id != id);
        self.memory.history.push(HistoryFolder {
            id,
            since,
            seen: vec![since],
        });
        let others = self.manifests_there.iter();
        let ended: Vec<SnapshotId> = others
            .filter(|(other, on_remote)| {
                **other != id && on_remote.uploaded.is_none() && !on_remote.damaged
            })
            .map(|(other, _)| *other)
            .collect();
        for other in ended {
            self.purge(MANIFESTS, other)?;
            self.manifests_there.remove(&other);
        }
        let on_remote = self.manifests_there.entry(id).or_default();
        on_remote.uploaded = Some(self.attempt);
        on_remote.attempt = self.attempt;
        on_remote.damaged = false;
        let reference = self.withheld.as_ref().and_then(|one| one.reference);
        let keep: Vec<SnapshotId> = [id].into_iter().chain(reference).collect();
        self.cache.settle(&keep, self.rclone.context)
    }

    /// Removes a snapshot's folder in one of the remote's.
    pub(super) fn purge(&self, area: &str, id: SnapshotId) -> Result<()> {
        let folder = format!("{}/{id}", self.at(area));
        self.rclone
            .must(&["purge", &folder], &|| Ok(None))
            .map(|_| ())
    }
}
