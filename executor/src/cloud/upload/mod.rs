//! One upload: look, refuse or go on, keep aside, upload, say that it is there, expire.
//!
//! Invariants: nothing on the remote changes before the guards agreed and the attempt is written
//! there; a file is moved to the attempt's own history folder before another takes its name; the
//! record that makes the snapshot restorable is written last. Can be interrupted anywhere and run
//! again: that is another attempt, which uploads what is missing or in doubt.

mod changed;
mod look;
mod noting;
mod shelve;

use std::{collections::BTreeMap, io::Write as _, time::Instant};

use schema::{
    SnapshotId, amount,
    cloud::{CURRENT, CloudMemory, HISTORY},
    journal::{Outcome, Problem, ProblemKind, Status},
    plan::{CloudLimits, CloudSyncStep},
    record::SnapshotRecord,
};

use super::{
    carried,
    difference::Difference,
    memory::Desk,
    published::{self, Shelf},
    rclone::{self, Ended, Rclone, Told},
    roots::Roots,
    silence,
};
use crate::{
    error::{Error, Result},
    event::Context,
    manifest::Reader,
    state_dir::StateDir,
    sys::Dir,
};

const UPLOAD: &str = "upload.list";
const ASIDE: &str = "aside.list";
const ALL: &str = "all.list";
/// Why a live file is not recorded as good.
const CHANGED: &str = "it changed or vanished while it was uploaded";
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
    /// Where the files are, if they can change meanwhile.
    pub live: Option<&'a Roots>,
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
    live: Option<&'a Roots>,
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
        live,
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
            silence: silence::longest(Some(limit)),
            context,
        },
        desk,
        source: Carried {
            folder,
            record,
            manifest,
            accepted,
            live,
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
        if self.source.live.is_some() {
            // What an attempt before found is not what is there now: it keeps its own manifest.
            let id = self.id().first_free(|id| self.shelves.contains_key(&id));
            self.source.record.id = id;
        }
        let attempts = self.shelves.values().map(|shelf| shelf.attempt);
        let newest = attempts.max().unwrap_or(0);
        self.attempt = newest.max(self.memory.attempt) + 1;
        let found = self.compare()?;
        let limits = CloudLimits {
            guard: self.step.limits.guard && !self.source.accepted,
            max_delete: self.step.limits.max_delete.filter(|_| self.removes()),
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
        self.take_changed_aside(&faults)?;
        let brought = self.desk.done(self.id())?;
        self.publish(&found, faults.len() as u64, &problems)?;
        let expired = if faults.is_empty() { self.expire()? } else { 0 };
        self.remember()?;
        self.note_hashes(&brought)?;
        let outcome = self.outcome(&found, faults.len() as u64, expired, problems);
        let whole = outcome.status == Status::Succeeded && self.source.record.complete;
        if self.step.give_back.is_empty() || !whole {
            return Ok(outcome.into());
        }
        self.check(&found)?;
        Ok(Uploaded {
            outcome,
            checked: self.memory.uploaded,
        })
    }

    /// Moves what is replaced or goes to the attempt's history folder.
    fn keep_aside(&self, found: &Difference) -> Result<()> {
        if found.change.replaced_files + found.change.gone_files == 0 {
            return Ok(());
        }
        self.move_aside(ASIDE, &self.attempt.to_string())
    }

    /// Moves the files of `current` that the desk's list names to a folder of this upload's history.
    fn move_aside(&self, list: &str, folder: &str) -> Result<()> {
        let (from, list) = (self.at(CURRENT), self.desk.named(list));
        let to = format!("{}/{}/{folder}", self.at(HISTORY), self.id());
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
        let seen = self.seen()?;
        let mut changed = BTreeMap::new();
        let ended = self.rclone.call(&arguments, None, &mut told, &mut |name| {
            copied += 1;
            if let Some(roots) = self.source.live
                && seen.get(name).is_none_or(|seen| !seen.holds(roots))
            {
                changed.insert(name.to_owned(), CHANGED.to_owned());
                return Ok(());
            }
            doing
                .write_all(format!("{name}\n").as_bytes())
                .map_err(|error| Error::io("write", path.as_bytes(), error))
        })?;
        match ended {
            Ended::Well if copied == found.change.upload_files => return Ok(changed),
            Ended::Badly {
                connection: true,
                message,
            } => return Err(self.rclone.failed(true, &message)),
            _ => {}
        }
        let mut missing = self.missing()?;
        if let Some(roots) = self.source.live {
            missing.retain(|name, ()| {
                let holds = seen.get(name).is_some_and(|seen| seen.holds(roots));
                if !holds {
                    changed.insert(name.clone(), CHANGED.to_owned());
                }
                holds
            });
        }
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
            .chain(changed)
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
                if self.source.live.is_some() {
                    "the next run uploads what changed meanwhile; rename what the remote cannot \
                     hold, or exclude it with local.excludePatterns"
                } else {
                    "rename what the remote cannot hold, or exclude it with local.excludePatterns"
                },
            )
        }
    }
}
