//! Looking at the remote: what it has and what is to be done, before anything changes there.

use std::{
    collections::{HashMap, HashSet},
    io::{BufWriter, Write as _},
};

use schema::{
    SnapshotId,
    cloud::{CURRENT, Withheld},
    config::SyncMode,
};

use super::{
    super::{
        carried::CARRIED,
        difference::{self, Difference, Doubt, Lists, Remote, going::Decision, guard},
        history::History,
        published::{self, Published},
    },
    context::{ALL, ASIDE, UPLOAD, Upload},
};
use crate::{
    error::{Error, Result},
    manifest::Reader,
};

impl Upload<'_> {
    /// Compares the snapshot with the remote, decides what may go, and writes the lists.
    pub(super) fn compare(&mut self) -> Result<Difference> {
        let (listing, folders) = self.list_current()?;
        let base = self.base()?;
        let distrusted =
            self.find_distrusted(base.as_ref().map_or(0, |(_, attempt, _)| *attempt))?;
        let base = base.map(|(id, _, base)| (id, base));
        let doubts = self.doubts()?;
        let refused = base.as_ref().map(|(_, base)| refused_files(base));
        let refused = refused.unwrap_or_default();
        let [mut upload, mut aside, mut all] = [
            BufWriter::new(self.cache.new_file(UPLOAD)?),
            BufWriter::new(self.cache.new_file(ASIDE)?),
            BufWriter::new(self.cache.new_file(ALL)?),
        ];
        let mut found = difference::compare(
            self.manifest()?,
            Remote {
                listing,
                folders,
                base: base.as_ref().map(|(_, base)| base.reader()).transpose()?,
                kept: match &base {
                    Some((_, base)) => base.kept()?,
                    None => None,
                },
                doubts,
                distrusted,
                refused,
            },
            Lists {
                upload: &mut upload,
                aside: &mut aside,
                all: &mut all,
            },
        )?;
        self.withheld = self.guarded(&found, base.as_ref())?;
        let decision = Decision {
            takes_away: self.removes() && self.withheld.is_none(),
            moves: self.removes() && found.could_move() && self.can_move()?,
        };
        found.decide(decision, &mut aside)?;
        if let Some(withheld) = &mut self.withheld {
            withheld.files = found.stays;
        }
        for file in [upload, aside, all].iter_mut() {
            file.flush()
                .map_err(|error| Error::io("write", self.cache.named(UPLOAD).as_bytes(), error))?;
        }
        self.without_moved(&found)?;
        Ok(found)
    }

    /// The name of a snapshot there, where several disks may each have another one of the same name: an upload
    /// keeps its own manifest, by which a later one knows what it brought.
    pub(super) fn name_there(&self) -> Result<SnapshotId> {
        let mut id = self.id();
        while self.manifests_there.contains_key(&id) {
            // What is damaged there is written anew.
            let Some(there) = self.fetch(id)? else {
                break;
            };
            let sealed = there.upload.and_then(|upload| upload.sealed_digest);
            let is_same = there.record.manifest_digest == self.source.record.manifest_digest;
            if is_same || (sealed.is_some() && sealed == self.source.sealed_digest) {
                break;
            }
            id = id.first_free(|taken| taken == id);
        }
        Ok(id)
    }

    /// The files of `current` with their sizes, and its folders.
    fn list_current(&self) -> Result<(HashMap<String, u64>, HashSet<String>)> {
        let mut listing = HashMap::new();
        let mut folders = HashSet::new();
        let current = self.at(CURRENT);
        published::list_remote(&self.rclone, &self.cache, &current, &["-R"], &mut |item| {
            if item.is_folder {
                folders.insert(item.path);
            } else {
                listing.insert(item.path, item.size);
            }
        })?;
        Ok((listing, folders))
    }

    /// Files whose content is not what the manifests say, or may not be, as uploads after an attempt
    /// are damaged.
    fn find_distrusted(&self, after: u64) -> Result<HashSet<String>> {
        let mut distrusted = self.rotten.clone();
        if !self.damaged.is_empty() {
            // What the uploads changed whose lists cannot be read.
            let remote = &self.step.remote;
            let history = History::read(&self.rclone, &self.cache, remote, after)?;
            distrusted.extend(history.touched());
        }
        Ok(distrusted)
    }

    /// The newest upload whose record and manifest can be read. The damaged ones after it are set
    /// aside: nothing can be restored by them, and nothing is lost but that.
    fn base(&mut self) -> Result<Option<(SnapshotId, u64, Published)>> {
        for (id, attempt) in published::newest_first(&self.manifests_there) {
            if let Some(base) = self.fetch(id)? {
                return Ok(Some((id, attempt, base)));
            }
            self.damaged.push(id);
            if let Some(on_remote) = self.manifests_there.get_mut(&id) {
                on_remote.damaged = true;
            }
        }
        Ok(None)
    }

    /// Uploads that were begun and did not end.
    fn doubts(&self) -> Result<Vec<Doubt>> {
        let mut begun: Vec<(u64, SnapshotId)> = self
            .manifests_there
            .iter()
            .filter(|(_, on_remote)| !on_remote.damaged)
            .filter(|(_, on_remote)| {
                on_remote
                    .uploaded
                    .is_none_or(|ended| ended < on_remote.attempt)
            })
            .map(|(id, on_remote)| (on_remote.attempt, *id))
            .collect();
        begun.sort_unstable();
        let mut doubts = Vec::new();
        for (_, id) in begun {
            // What is not whole was cut off before its first file.
            if let Some(doubt) = self.fetch(id)? {
                let mut done = self.cache.done(id)?;
                done.brought.extend(done.moved);
                doubts.push(Doubt {
                    reader: doubt.reader()?,
                    done: done.brought,
                });
            }
        }
        Ok(doubts)
    }

    /// Why nothing is taken away, if so.
    fn guarded(
        &self,
        found: &Difference,
        base: Option<&(SnapshotId, Published)>,
    ) -> Result<Option<Withheld>> {
        let limits = &self.step.limits;
        let withheld = |because, reference| Withheld {
            files: 0,
            because,
            reference,
        };
        if let Some((id, base)) = base
            && limits.guard
            && !self.source.accepted
        {
            // What an upload that looked damaged was judged by is what this one is judged by.
            let before = base.upload.as_ref();
            let before = before.and_then(|upload| upload.withheld.as_ref()?.reference);
            let before = before.filter(|id| self.manifests_there.contains_key(id));
            let other = match before {
                Some(before) => self.fetch(before)?.map(|other| (before, other)),
                None => None,
            };
            let (id, reference) = other.as_ref().map_or((*id, base), |(id, one)| (*id, one));
            let judged = guard::compare_with_earlier(
                (&self.source.record, self.manifest()?),
                (&reference.record, reference.reader()?),
            )?;
            if let Some(because) = judged.suspicion() {
                return Ok(Some(withheld(because, Some(id))));
            }
        }
        let many = found.too_many(limits).filter(|_| self.removes());
        Ok(many.map(|because| withheld(because, None)))
    }

    /// Whether what is on the remote only goes. Not because a live source could not be read: the
    /// remote may have the only copy then.
    pub(super) fn removes(&self) -> bool {
        let whole = self.source.live.is_none() || self.source.record.complete;
        self.step.mode != SyncMode::Copy && whole
    }

    pub(super) fn fetch(&self, id: SnapshotId) -> Result<Option<Published>> {
        let on_remote = &self.manifests_there[&id];
        published::fetch_published(&self.rclone, &self.cache, &self.step.remote, id, on_remote)
    }

    /// The manifest that travels, from its start.
    pub(super) fn manifest(&self) -> Result<Reader> {
        Reader::new(self.cache.file(CARRIED)?)
            .map_err(|error| Error::io("read", self.cache.named(CARRIED).as_bytes(), error))
    }
}

/// Files of an upload that the remote did not take.
fn refused_files(base: &Published) -> HashSet<String> {
    let refused = base.upload.iter().flat_map(|upload| &upload.not_uploaded);
    refused
        .filter_map(|one| one.path.strip_prefix('/'))
        .map(str::to_owned)
        .collect()
}
