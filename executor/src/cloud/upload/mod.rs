//! One upload: look, decide what may go, keep aside, move, upload, say that it is there, expire.
//!
//! Invariants: nothing on the remote changes before the attempt is written there; a guard that
//! trips holds back what would only go, and never what comes; a file is moved to the attempt's own
//! history folder before another takes its name; the record that makes the snapshot restorable is
//! written last. Can be interrupted anywhere and run
//! again: that is another attempt, which uploads what is missing or in doubt.

mod changed;
mod context;
mod expire;
mod heal;
mod inspect_remote;
mod moving;
mod noting;
mod outcome;
mod publish_manifest;

use std::{
    collections::{BTreeMap, HashMap},
    fs::File,
    io::Write as _,
    time::Instant,
};

use schema::{
    SnapshotId,
    cloud::{CURRENT, HISTORY, MANIFESTS},
    journal::{Outcome, Problem, ProblemKind},
    plan::CloudSyncStep,
    record::{FORMAT_VERSION, SnapshotRecord},
};

use self::context::{ASIDE, Carried, UPLOAD, Upload};
use super::{
    carried,
    difference::Difference,
    memory::RemoteCache,
    owner,
    published::{self, RemoteItem, RemoteManifests, RemoteSnapshot},
    rclone::{self, CopyPlace, Credentials, FileFaults, Rclone, RcloneExit},
    roots::{Roots, SeenFile},
};
use crate::{
    bounded::{BoundedLines, LONGEST_LISTED_LINE},
    error::{Error, Result},
    event::Context,
    manifest::{FILE_NAME, Reader},
    state_dir::StateDir,
    sys::Dir,
};

/// Why a live file is not recorded as good.
const CHANGED: &str = "it changed or vanished while it was uploaded";
/// Problems that are listed one by one.
const LISTED: usize = 1000;

/// What is uploaded.
pub struct UploadSource<'a> {
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
    /// The snapshot's name there.
    pub id: SnapshotId,
    /// For the report.
    pub outcome: Outcome,
    /// Snapshots that are on the remote as a whole, where `rclone check` agreed that this one is;
    /// looked at only if local snapshots are to go.
    pub checked: Vec<SnapshotId>,
}

/// Files that rclone says it copied.
#[derive(Default)]
struct CopiedFiles {
    count: u64,
    /// Live ones that are not as they were when the manifest was made, with the reason.
    changed: BTreeMap<String, String>,
}

/// Uploads a snapshot as a step says.
///
/// # Errors
/// An interruption; or a failure, after which the next run goes on.
pub fn upload_snapshot(
    state: &StateDir,
    name: &str,
    step: &CloudSyncStep,
    source: UploadSource<'_>,
    context: Context<'_>,
) -> Result<Uploaded> {
    let hinted = |error| {
        rclone::with_rclone_hint(
            error,
            &step.program,
            step.config_file.as_ref(),
            &step.remote,
        )
    };
    if let Some(file) = &step.config_file {
        rclone::check_config(file)?;
    }
    let cache = RemoteCache::open_or_new(state, &step.remote)?;
    let config_file = step.config_file.as_ref();
    let place = CopyPlace::Cache;
    let credentials = Credentials::prepare(&step.program, config_file, &cache, place)?;
    // What cannot be read is not known: the remote tells.
    let memory = cache.memory().unwrap_or_default();
    let UploadSource {
        folder,
        record,
        tree,
        manifest,
        accepted,
        live,
    } = source;
    let host = record.host.clone();
    let digest = carried::write_carried_manifest(&cache, tree, manifest, context)?;
    let sealed_digest = live.is_none().then_some(record.manifest_digest);
    // There it is one file, as older releases read it.
    let record = SnapshotRecord {
        format_version: FORMAT_VERSION,
        manifest: FILE_NAME.to_owned(),
        manifest_digest: digest,
        ..record.clone()
    };
    // What is there is of the last upload, or comes with this one.
    let last = memory.last.as_ref().map_or(0, |last| last.files);
    let entries = last.saturating_add(record.totals.entries);
    let upload = Upload {
        step,
        rclone: rclone_of(step, &credentials, (name, entries), context),
        cache,
        source: Carried {
            folder,
            record,
            sealed_digest,
            accepted,
            live,
        },
        memory,
        manifests_there: BTreeMap::new(),
        attempt: 0,
        host: &host,
        vanished: Vec::new(),
        damaged: Vec::new(),
        withheld: None,
        rotten: std::collections::HashSet::new(),
    };
    let done = upload.do_upload();
    credentials.keep(name, context);
    done.map_err(hinted)
}

/// How rclone is called for a step.
fn rclone_of<'a>(
    step: &'a CloudSyncStep,
    credentials: &'a Credentials,
    (name, entries): (&'a str, u64),
    context: Context<'a>,
) -> Rclone<'a> {
    let limit = step.timeout.as_duration();
    Rclone {
        program: &step.program,
        options: &step.options,
        credentials,
        step: name,
        until: Instant::now()
            .checked_add(limit)
            .map(|until| (until, step.timeout.to_string())),
        stall: rclone::longest_stall(Some(limit)),
        most_listed: rclone::listing_limit(entries),
        context,
    }
}

impl Upload<'_> {
    fn do_upload(mut self) -> Result<Uploaded> {
        let there = published::list_remote_manifests(&self.rclone, &self.cache, &self.step.remote)?;
        let claim = self.check_claim(&there)?;
        self.number_attempt(there.of)?;
        self.rotten = self.cache.damaged();
        let found = self.compare()?;
        self.claim_remote(&claim, &there.owners)?;
        if self.is_up_to_date(&found) {
            return Ok(self.uploaded(self.nothing_to_do(), Vec::new()));
        }
        self.carry_out(found)
    }

    /// Whose the remote is; an error if it is another machine's, unless it is to be taken over.
    fn check_claim(&self, there: &RemoteManifests) -> Result<owner::Claim> {
        let claim = owner::claim_of(&there.owners, owner::this_machine().as_deref());
        if let owner::Claim::Other(other) = &claim
            && !self.memory.take_over
        {
            return Err(owner::refuse_other_owner(
                &self.rclone,
                &self.cache,
                (&self.step.remote, MANIFESTS),
                other,
            )?);
        }
        if there.has_history && there.of.is_empty() {
            return Err(Error::refused(format!(
                "{} has copies of layout \"history\", and those of layout \"mirror\" cannot stand beside them",
                self.step.remote
            ))
            .hint("give them a cloud.remotePath of their own"));
        }
        Ok(claim)
    }

    /// Notes what is on the remote, and gives the attempt its number and what it uploads its name there.
    fn number_attempt(
        &mut self,
        manifests_there: BTreeMap<SnapshotId, RemoteSnapshot>,
    ) -> Result<()> {
        self.manifests_there = manifests_there;
        let had = self.memory.uploaded.iter();
        self.vanished = had
            .filter(|id| !self.manifests_there.contains_key(id))
            .copied()
            .collect();
        if self.source.live.is_some() {
            // What an attempt before found is not what is there now: it keeps its own manifest.
            let id = self
                .id()
                .first_free(|id| self.manifests_there.contains_key(&id));
            self.source.record.id = id;
        } else if !self.step.from.is_empty() {
            self.source.record.id = self.name_there()?;
        }
        let attempts = self
            .manifests_there
            .values()
            .map(|on_remote| on_remote.attempt);
        let newest = attempts.max().unwrap_or(0);
        self.attempt = newest.max(self.memory.attempt) + 1;
        Ok(())
    }

    /// Makes the remote this machine's, if it is not yet.
    fn claim_remote(&mut self, claim: &owner::Claim, owners: &[String]) -> Result<()> {
        if *claim != owner::Claim::Ours {
            let now = self.rclone.context.clock.now();
            let folder = self.at(MANIFESTS);
            owner::write_owner(&self.rclone, &self.cache, &folder, self.host, now)?;
            owner::remove_other_owners(&self.rclone, &folder, owners)?;
        }
        self.memory.take_over = false;
        Ok(())
    }

    /// Whether the snapshot is on the remote as a whole, and all earlier ones that should be.
    fn is_up_to_date(&self, found: &Difference) -> bool {
        let on_remote = self.manifests_there.get(&self.id());
        let published =
            on_remote.is_some_and(|on_remote| on_remote.uploaded.is_some() && !on_remote.damaged);
        found.is_empty() && published && self.vanished.is_empty()
    }

    /// Changes the remote as was decided.
    fn carry_out(mut self, mut found: Difference) -> Result<Uploaded> {
        self.begin()?;
        self.tell_moves(&found)?;
        self.keep_aside(&found)?;
        let mut added = self.carry(&found)?;
        let mut faults = self.upload(found.change.upload_files + added)?;
        let mut healed = 0;
        let gives_back =
            !self.step.give_back.is_empty() && self.source.record.complete && faults.is_empty();
        if gives_back && found.nameless_count == 0 {
            // What is compared before local space is given back is healed at once.
            (healed, faults) = self.heal(found.change.upload_files + added)?;
            added += healed;
        }
        let problems = list_problems(&found, &faults);
        self.take_changed_aside(&faults)?;
        let done = self.cache.done(self.id())?;
        self.publish(&mut found, faults.len() as u64, &problems)?;
        self.settle_damage(&faults)?;
        let mut expired = 0;
        let whole = faults.is_empty() && self.withheld.is_none() && self.vanished.is_empty();
        if whole {
            expired = self.expire()?;
        }
        self.remember(if whole { &self.step.expire } else { &[] })?;
        self.note_hashes(&done, &found)?;
        let ended = outcome::UploadResult {
            faults: faults.len() as u64,
            added,
            healed,
            expired,
            problems,
        };
        let outcome = self.outcome(&found, ended);
        let whole = whole && found.nameless_count == 0;
        if !(gives_back && whole) {
            return Ok(self.uploaded(outcome, Vec::new()));
        }
        let checked = self.restorable()?;
        Ok(self.uploaded(outcome, checked))
    }

    fn uploaded(&self, outcome: Outcome, checked: Vec<SnapshotId>) -> Uploaded {
        Uploaded {
            id: self.id(),
            outcome,
            checked,
        }
    }

    /// Moves what is replaced, moved or goes to the attempt's history folder, and takes empty
    /// folders away that stand where files come.
    fn keep_aside(&self, found: &Difference) -> Result<()> {
        if found.aside() + found.moves.len() as u64 > 0 {
            self.move_aside(ASIDE, &self.attempt.to_string())?;
        }
        for name in &found.in_the_way {
            let folder = format!("{}/{name}", self.at(CURRENT));
            // One that is not empty, or not there, is told when the file does not come through.
            let (mut told, ignore) = (FileFaults::quiet(), &mut |_: &str| Ok(()));
            self.rclone
                .call(&["rmdirs", &folder], None, &mut told, ignore)?;
        }
        Ok(())
    }

    /// Moves the files of `current` that the cache's list names to a folder of this upload's history.
    fn move_aside(&self, list: &str, folder: &str) -> Result<()> {
        let (from, list) = (self.at(CURRENT), self.cache.named(list));
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
    fn upload(&self, files: u64) -> Result<BTreeMap<String, String>> {
        if files == 0 {
            return Ok(BTreeMap::new());
        }
        let doing = self.cache.doing(self.id())?;
        let to = self.at(CURRENT);
        let seen = self.seen()?;
        let mut told = FileFaults::default();
        let mut copied = CopiedFiles::default();
        let ended = self.copy_files(doing, &seen, &mut told, &mut copied)?;
        match ended {
            RcloneExit::Well if copied.count == files => return Ok(copied.changed),
            RcloneExit::Badly {
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
                    copied.changed.insert(name.clone(), CHANGED.to_owned());
                }
                holds
            });
        }
        let unexplained = missing.keys().find(|name| !told.faults.contains_key(*name));
        if let Some(name) = unexplained {
            let how = match ended {
                RcloneExit::Badly { message, .. } => message,
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
            .chain(copied.changed)
            .collect())
    }

    /// Copies the files of the list to `current`, and writes to `doing` which came through.
    fn copy_files(
        &self,
        mut doing: File,
        seen: &HashMap<String, SeenFile>,
        told: &mut FileFaults,
        copied: &mut CopiedFiles,
    ) -> Result<RcloneExit> {
        let path = self.cache.named("done");
        let list = self.cache.named(UPLOAD);
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
        self.rclone.call(&arguments, None, told, &mut |name| {
            copied.count += 1;
            if let Some(roots) = self.source.live
                && seen.get(name).is_none_or(|seen| !seen.holds(roots))
            {
                copied.changed.insert(name.to_owned(), CHANGED.to_owned());
                return Ok(());
            }
            doing
                .write_all(format!("{name}\n").as_bytes())
                .map_err(|error| Error::io("write", path.as_bytes(), error))
        })
    }

    /// Files that should be on the remote and are not.
    fn missing(&self) -> Result<BTreeMap<String, ()>> {
        use std::io::BufReader;
        let mut missing: BTreeMap<String, ()> = BTreeMap::new();
        for line in BoundedLines::new(
            BufReader::new(self.cache.file(UPLOAD)?),
            LONGEST_LISTED_LINE,
        ) {
            let line = line
                .map_err(|error| Error::io("read", self.cache.named(UPLOAD).as_bytes(), error))?;
            missing.insert(line, ());
        }
        let options = ["-R", "--files-only"];
        let current = self.at(CURRENT);
        published::list_remote(
            &self.rclone,
            &self.cache,
            &current,
            &options,
            &mut |RemoteItem { path, .. }| {
                missing.remove(&path);
            },
        )?;
        Ok(missing)
    }
}

/// What was not uploaded, as far as it is listed.
fn list_problems(found: &Difference, faults: &BTreeMap<String, String>) -> Vec<Problem> {
    let mut problems = found.nameless.clone();
    problems.extend(faults.iter().take(LISTED).map(|(name, because)| Problem {
        path: format!("/{name}"),
        kind: ProblemKind::NotStored,
        message: format!("not uploaded: {because}"),
    }));
    problems.truncate(LISTED);
    problems
}
