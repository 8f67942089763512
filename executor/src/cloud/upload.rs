//! One upload: look, refuse or go on, keep aside, upload, say that it is there, expire.
//!
//! Invariants: nothing on the remote changes before the guards agreed and the attempt is written
//! there; a file is moved to the attempt's own history folder before another takes its name; the
//! record that makes the snapshot restorable is written last. Can be interrupted anywhere and run
//! again: that is another attempt, which uploads what is missing or in doubt.

use std::{
    collections::{BTreeMap, HashMap},
    ffi::OsStr,
    io::{BufWriter, Write as _},
    time::Instant,
};

use schema::{
    SnapshotId, amount,
    cloud::{
        CURRENT, CloudMemory, FORMAT_VERSION, HISTORY, HistoryFolder, MANIFESTS, UploadRecord,
    },
    config::SyncMode,
    journal::{Outcome, Problem, ProblemKind, Status},
    plan::{CloudLimits, CloudSyncStep},
    record::SnapshotRecord,
};

use super::{
    carried,
    difference::{self, Difference, Doubt, Lists, Remote},
    memory::Desk,
    published::{self, Published, Shelf, uploaded_name},
    rclone::{self, Ended, Rclone, Told},
};
use crate::{
    error::{Error, Result},
    event::Context,
    manifest::{self, Reader},
    state_dir::StateDir,
    store::{SNAPSHOT_FILE, write_json},
    sys::Dir,
};

const UPLOAD: &str = "upload.list";
const ASIDE: &str = "aside.list";
const ALL: &str = "all.list";
/// Problems that are listed one by one.
const LISTED: usize = 1000;

/// What is uploaded.
pub struct Source<'a> {
    /// The folder that holds the files, for rclone.
    pub folder: &'a str,
    /// The record.
    pub record: &'a SnapshotRecord,
    /// The same folder, open.
    pub tree: &'a Dir,
    /// The manifest.
    pub manifest: Reader,
    /// A person said that it is as it should be.
    pub accepted: bool,
}

/// How an upload ended.
pub struct Uploaded {
    /// For the report.
    pub outcome: Outcome,
    /// Snapshots that are on the remote as a whole, where `rclone check` agreed that this one is;
    /// looked at only if local snapshots are to go.
    pub checked: Vec<SnapshotId>,
}

impl From<Outcome> for Uploaded {
    fn from(outcome: Outcome) -> Self {
        Self {
            outcome,
            checked: Vec::new(),
        }
    }
}

/// What is uploaded, with the manifest that travels.
struct Carried<'a> {
    folder: &'a str,
    record: SnapshotRecord,
    manifest: Vec<u8>,
    accepted: bool,
}

/// An upload that is under way.
struct Upload<'a> {
    step: &'a CloudSyncStep,
    rclone: Rclone<'a>,
    desk: Desk,
    source: Carried<'a>,
    memory: CloudMemory,
    shelves: BTreeMap<SnapshotId, Shelf>,
    attempt: u64,
}

/// Uploads a snapshot as a step says.
///
/// # Errors
/// An interruption; or a failure, after which the next run goes on.
pub fn run(
    state: &StateDir,
    name: &str,
    step: &CloudSyncStep,
    source: Source<'_>,
    context: Context<'_>,
) -> Result<Uploaded> {
    let hinted = |error| {
        rclone::hinted(
            error,
            &step.program,
            step.config_file.as_ref(),
            &step.remote,
        )
    };
    if let Some(file) = &step.config_file {
        rclone::check_config(file)?;
    }
    let desk = Desk::open_or_new(state, &step.remote)?;
    // What cannot be read is not known: the remote tells.
    let memory = desk.memory().unwrap_or_default();
    let Source {
        folder,
        record,
        tree,
        manifest,
        accepted,
    } = source;
    let (manifest, digest) = carried::manifest(&desk, tree, manifest, context)?;
    let record = SnapshotRecord {
        manifest_digest: digest,
        ..record.clone()
    };
    let limit = step.timeout.as_duration();
    let upload = Upload {
        step,
        rclone: Rclone {
            program: &step.program,
            options: &step.options,
            step: name,
            until: Instant::now()
                .checked_add(limit)
                .map(|until| (until, step.timeout.to_string())),
            context,
        },
        desk,
        source: Carried {
            folder,
            record,
            manifest,
            accepted,
        },
        memory,
        shelves: BTreeMap::new(),
        attempt: 0,
    };
    upload.run().map_err(hinted)
}

impl Upload<'_> {
    fn id(&self) -> SnapshotId {
        self.source.record.id
    }

    fn at(&self, folder: &str) -> String {
        format!("{}/{folder}", self.step.remote)
    }

    fn run(mut self) -> Result<Uploaded> {
        self.shelves = published::shelves(&self.rclone, &self.desk, &self.step.remote)?;
        let attempts = self.shelves.values().map(|shelf| shelf.attempt);
        let newest = attempts.max().unwrap_or(0);
        self.attempt = newest.max(self.memory.attempt) + 1;
        let found = self.compare()?;
        let limits = CloudLimits {
            guard: self.step.limits.guard && !self.source.accepted,
            ..self.step.limits.clone()
        };
        if let Some((message, hint)) = found.refusal(&limits) {
            return Ok(Outcome::not(Status::Incomplete, message, hint).into());
        }
        let published = self
            .shelves
            .get(&self.id())
            .and_then(|shelf| shelf.uploaded);
        if found.is_empty() && published.is_some() {
            return Ok(Outcome::success(format!(
                "{} is at {} already",
                self.id(),
                self.step.remote
            ))
            .into());
        }
        self.begin()?;
        self.keep_aside(&found)?;
        let faults = self.upload(&found)?;
        let mut problems = found.nameless.clone();
        problems.extend(faults.iter().take(LISTED).map(|(name, because)| Problem {
            path: format!("/{name}"),
            kind: ProblemKind::NotStored,
            message: format!("not uploaded: {because}"),
        }));
        problems.truncate(LISTED);
        self.publish(&found, faults.len() as u64, &problems)?;
        let expired = if faults.is_empty() { self.expire()? } else { 0 };
        self.remember()?;
        let outcome = self.outcome(&found, faults.len() as u64, expired, problems);
        let whole = outcome.status == Status::Succeeded && self.source.record.complete;
        if self.step.give_back.is_empty() || !whole {
            return Ok(outcome.into());
        }
        self.check()?;
        Ok(Uploaded {
            outcome,
            checked: self.memory.uploaded,
        })
    }

    /// Has rclone compare all that was uploaded with the snapshot.
    fn check(&self) -> Result<()> {
        let list = self.desk.named(ALL);
        let current = self.at(CURRENT);
        let from = self.source.folder;
        let arguments = [
            "check",
            from,
            &current,
            "--one-way",
            "--files-from-raw",
            &list,
        ];
        if self.rclone.must(&arguments, &|| Ok(None))? {
            return Ok(());
        }
        Err(Error::failed(format!(
            "cloud copy failed: {} could not compare {current}",
            self.step.program
        )))
    }

    /// Compares the snapshot with the remote, and writes the lists.
    fn compare(&self) -> Result<Difference> {
        let mut listing = HashMap::new();
        let current = self.at(CURRENT);
        let options = ["-R", "--files-only"];
        published::list(
            &self.rclone,
            &self.desk,
            &current,
            &options,
            &mut |path, size| {
                listing.insert(path, size);
            },
        )?;
        let base = match published::newest(&self.shelves) {
            Some((id, _)) => {
                let base = self.fetch(id)?;
                Some(base.ok_or_else(|| {
                    Error::failed(format!(
                        "cloud copy failed: the manifest of {id} at {} is damaged",
                        self.at(MANIFESTS)
                    ))
                    .hint(format!(
                        "take {}/{id} away with `rclone moveto`; the next run compares with the \
                         upload before it",
                        self.at(MANIFESTS)
                    ))
                })?)
            }
            None => None,
        };
        let mut begun: Vec<(u64, SnapshotId)> = self
            .shelves
            .iter()
            .filter(|(_, shelf)| shelf.uploaded.is_none_or(|ended| ended < shelf.attempt))
            .map(|(id, shelf)| (shelf.attempt, *id))
            .collect();
        begun.sort_unstable();
        let mut doubts = Vec::new();
        for (_, id) in begun {
            // What is not whole was cut off before its first file.
            if let Some(doubt) = self.fetch(id)? {
                doubts.push(Doubt {
                    reader: doubt.reader()?,
                    done: self.desk.done(id)?,
                });
            }
        }
        let record = &self.source.record;
        let sources: Vec<_> = record.sources.iter().map(|one| one.path.clone()).collect();
        let mut files = Vec::new();
        for name in [UPLOAD, ASIDE, ALL] {
            files.push(BufWriter::new(self.desk.new_file(name)?));
        }
        let [upload, aside, all] = &mut files[..] else {
            return Err(Error::failed("three lists are needed"));
        };
        let found = difference::compare(
            self.manifest()?,
            &sources,
            Remote {
                listing,
                base: base.as_ref().map(Published::reader).transpose()?,
                doubts,
            },
            self.step.mode != SyncMode::Copy,
            Lists { upload, aside, all },
        )?;
        for file in &mut files {
            file.flush()
                .map_err(|error| Error::io("write", self.desk.named(UPLOAD).as_bytes(), error))?;
        }
        Ok(found)
    }

    fn fetch(&self, id: SnapshotId) -> Result<Option<Published>> {
        let shelf = &self.shelves[&id];
        published::fetch(&self.rclone, &self.desk, &self.step.remote, id, shelf)
    }

    /// The manifest that travels, from its start.
    fn manifest(&self) -> Result<Reader> {
        const NEW: &str = "manifest.new";
        let write = |error| Error::io("write", self.desk.named(NEW).as_bytes(), error);
        let mut file = self.desk.new_file(NEW)?;
        file.write_all(&self.source.manifest).map_err(write)?;
        Reader::new(self.desk.file(NEW)?).map_err(write)
    }

    /// Says on the remote what is going to be uploaded, before anything changes there.
    fn begin(&mut self) -> Result<()> {
        let id = self.id();
        self.memory.attempt = self.attempt;
        self.desk.remember(&self.memory)?;
        let shelf = self.shelves.get(&id).cloned().unwrap_or_default();
        if shelf.uploaded.is_none() {
            self.desk.clear_shelf(id, self.rclone.context)?;
        }
        let (dir, path) = self.desk.shelf(id)?;
        let put = |name: &str, bytes: &[u8]| {
            dir.write_whole(name, bytes)
                .map_err(|error| Error::io("write", format!("{path}/{name}").as_bytes(), error))
        };
        put(manifest::FILE_NAME, &self.source.manifest)?;
        write_json(&dir, SNAPSHOT_FILE, &path, &self.source.record)?;
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
            if shelf.files.get(name) != Some(&size) {
                list.push_str(name);
                list.push('\n');
            }
        }
        self.bring(&path, &id.to_string(), &list)
    }

    /// Copies files of the desk's shelf to the remote's.
    fn bring(&self, from: &str, id: &str, list: &str) -> Result<()> {
        const SHELF: &str = "shelf.list";
        self.desk
            .new_file(SHELF)?
            .write_all(list.as_bytes())
            .map_err(|error| Error::io("write", self.desk.named(SHELF).as_bytes(), error))?;
        let to = format!("{}/{id}", self.at(MANIFESTS));
        let list = self.desk.named(SHELF);
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

    /// Moves what is replaced or goes to the attempt's history folder.
    fn keep_aside(&self, found: &Difference) -> Result<()> {
        if found.change.replaced_files + found.change.gone_files == 0 {
            return Ok(());
        }
        let to = format!("{}/{}/{}", self.at(HISTORY), self.id(), self.attempt);
        let list = self.desk.named(ASIDE);
        let from = self.at(CURRENT);
        let arguments = [
            "move",
            &from,
            &to,
            "--files-from-raw",
            &list,
            "--no-traverse",
        ];
        if self.rclone.must(&arguments, &|| Ok(None))? {
            return Ok(());
        }
        Err(Error::failed(format!(
            "cloud copy failed: {} could not move to {to}",
            self.step.program
        )))
    }

    /// Uploads; gives the files that the remote did not take, with the reason.
    fn upload(&self, found: &Difference) -> Result<BTreeMap<String, String>> {
        if found.change.upload_files == 0 {
            return Ok(BTreeMap::new());
        }
        let mut doing = self.desk.doing(self.id())?;
        let path = self.desk.named("done");
        let list = self.desk.named(UPLOAD);
        let to = self.at(CURRENT);
        // What had one of these names was moved away, so the remote need not be asked of each.
        let arguments = [
            "copy",
            self.source.folder,
            &to,
            "--files-from-raw",
            &list,
            "--no-traverse",
            "--no-check-dest",
        ];
        let mut told = Told::default();
        let mut copied = 0_u64;
        let ended = self.rclone.call(&arguments, None, &mut told, &mut |name| {
            copied += 1;
            doing
                .write_all(format!("{name}\n").as_bytes())
                .map_err(|error| Error::io("write", path.as_bytes(), error))
        })?;
        match ended {
            Ended::Well if copied == found.change.upload_files => return Ok(BTreeMap::new()),
            Ended::Badly {
                connection: true,
                message,
            } => return Err(self.rclone.failed(true, &message)),
            _ => {}
        }
        let missing = self.missing()?;
        let unexplained = missing.keys().find(|name| !told.faults.contains_key(*name));
        if let Some(name) = unexplained {
            let how = match ended {
                Ended::Badly { message, .. } => message,
                _ => format!("{} ended without a complaint", self.step.program),
            };
            return Err(Error::failed(format!(
                "cloud copy failed: {} files are not at {to}, such as {}: {how}",
                missing.len(),
                schema::escape::display(name.as_bytes())
            )));
        }
        Ok(missing
            .into_keys()
            .filter_map(|name| told.faults.remove_entry(&name))
            .collect())
    }

    /// Files that should be on the remote and are not.
    fn missing(&self) -> Result<BTreeMap<String, ()>> {
        use std::io::{BufRead as _, BufReader};
        let mut missing: BTreeMap<String, ()> = BTreeMap::new();
        for line in BufReader::new(self.desk.file(UPLOAD)?).lines() {
            let line =
                line.map_err(|error| Error::io("read", self.desk.named(UPLOAD).as_bytes(), error))?;
            missing.insert(line, ());
        }
        let options = ["-R", "--files-only"];
        let current = self.at(CURRENT);
        published::list(
            &self.rclone,
            &self.desk,
            &current,
            &options,
            &mut |path, _| {
                missing.remove(&path);
            },
        )?;
        Ok(missing)
    }

    /// Says on the remote that the snapshot is there, and takes away what is in doubt no more.
    fn publish(&mut self, found: &Difference, faults: u64, problems: &[Problem]) -> Result<()> {
        let id = self.id();
        let (dir, path) = self.desk.shelf(id)?;
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
        };
        let name = uploaded_name(self.attempt);
        write_json(&dir, &name, &path, &record)?;
        self.bring(&path, &id.to_string(), &format!("{name}\n"))?;
        let since = record.uploaded_at;
        self.memory.last = Some(record);
        self.memory.history.retain(|one| one.id != id);
        self.memory.history.push(HistoryFolder { id, since });
        let others = self.shelves.iter();
        let ended: Vec<SnapshotId> = others
            .filter(|(other, shelf)| **other != id && shelf.uploaded.is_none())
            .map(|(other, _)| *other)
            .collect();
        for other in ended {
            self.purge(MANIFESTS, other)?;
            self.shelves.remove(&other);
        }
        let shelf = self.shelves.entry(id).or_default();
        shelf.uploaded = Some(self.attempt);
        self.desk.settle(id, self.rclone.context)
    }

    /// Removes a snapshot's folder in one of the remote's.
    fn purge(&self, area: &str, id: SnapshotId) -> Result<()> {
        let folder = format!("{}/{id}", self.at(area));
        self.rclone
            .must(&["purge", &folder], &|| Ok(None))
            .map(|_| ())
    }

    /// Removes history that is old enough, and manifests that cannot be restored without it; gives
    /// how many folders went.
    fn expire(&mut self) -> Result<u64> {
        let expire = &self.step.expire;
        let Some(last) = expire.iter().max().copied() else {
            return Ok(0);
        };
        let mut there = Vec::new();
        let history = self.at(HISTORY);
        published::list(
            &self.rclone,
            &self.desk,
            &history,
            &["--dirs-only"],
            &mut |name, _| {
                there.extend(name.parse::<SnapshotId>().ok());
            },
        )?;
        let mut gone = 0;
        for id in there.iter().filter(|id| expire.contains(*id)) {
            self.purge(HISTORY, *id)?;
            gone += 1;
        }
        let id = self.id();
        let without: Vec<SnapshotId> = self.shelves.keys().copied().collect();
        for other in without
            .into_iter()
            .filter(|other| *other < last && *other != id)
        {
            self.purge(MANIFESTS, other)?;
            self.shelves.remove(&other);
        }
        Ok(gone)
    }

    fn remember(&mut self) -> Result<()> {
        let now = self.rclone.context.clock.now();
        let uploaded = self
            .shelves
            .iter()
            .filter(|(_, shelf)| shelf.uploaded.is_some());
        self.memory.uploaded = uploaded.map(|(id, _)| *id).collect();
        let expired = &self.step.expire;
        self.memory.history.retain(|one| !expired.contains(&one.id));
        for id in &self.memory.uploaded {
            if !expired.contains(id) && !self.memory.history.iter().any(|one| one.id == *id) {
                self.memory.history.push(HistoryFolder {
                    id: *id,
                    since: now,
                });
            }
        }
        self.memory.history.sort_by_key(|one| one.id);
        self.desk.remember(&self.memory)
    }

    fn outcome(
        &self,
        found: &Difference,
        faults: u64,
        expired: u64,
        problems: Vec<Problem>,
    ) -> Outcome {
        let change = &found.change;
        let aside = change.replaced_files + change.gone_files;
        let mut message = format!(
            "{} is at {}: {} ({}) uploaded",
            self.id(),
            self.step.remote,
            amount::plural(change.upload_files - faults, "file", "files"),
            amount::bytes(change.upload_bytes)
        );
        if aside > 0 {
            message.push_str(&format!(
                ", {} kept in {HISTORY}/{}/{}",
                amount::plural(aside, "old one", "old ones"),
                self.id(),
                self.attempt
            ));
        }
        if expired > 0 {
            message.push_str(&format!(
                ", history of {} expired",
                amount::plural(expired, "upload", "uploads")
            ));
        }
        let left = faults + found.nameless_count;
        if left == 0 {
            return Outcome::success(message);
        }
        Outcome {
            problems,
            ..Outcome::not(
                Status::Incomplete,
                format!(
                    "{message}; {} not uploaded",
                    amount::plural(left, "file is", "files are")
                ),
                "rename what the remote cannot hold, or exclude it with local.excludePatterns",
            )
        }
    }
}
