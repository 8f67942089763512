//! The state directory: what this machine remembers between runs.
//!
//! `runs/<run-id>/` explains each run by itself; `destinations.json` lists the disks that were
//! used; `verified.json` what was found of each; `health.json` what the last health check came to;
//! `deferrals.json` since when runs are deferred; `tries.json` how often timers tried; `lock` lets one run at a time, `work.lock` one
//! process of it.

mod history;
pub(crate) mod kept;
mod told;

use std::{collections::BTreeMap, ffi::OsStr, os::unix::fs::DirBuilderExt as _, path::Path};

use chrono::{DateTime, FixedOffset};
use rustix::io::Errno;
use schema::{
    Config, FailureCode, Inventory, Plan, Report, SnapshotId,
    plan::{Action, DeletePurpose, DeleteStep},
    verify::DamagedFile,
};
use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, Result},
    event::Context,
    health::Shares,
    journal::{self, Journal, Replay},
    lock::{Lock, RunLock},
    remove::remove_tree,
    store::{Store, read_json, write_json},
    sys::{Dir, resolve::resolve},
};

const RUNS: &str = "runs";
const DESTINATIONS: &str = "destinations.json";
const VERIFIED: &str = "verified.json";
const LOCK: &str = "lock";
const WORK_LOCK: &str = "work.lock";
const CONFIG: &str = "config.json";
const INVENTORY: &str = "inventory.json";
const PLAN: &str = "plan.json";
const REPORT: &str = "report.json";
const NUMBER: &str = "number.json";
/// Runs whose folders are kept.
const KEEP_RUNS: usize = 100;

/// An open state directory.
#[derive(Debug)]
pub struct StateDir {
    dir: Dir,
    path: String,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Destinations {
    known: Vec<String>,
}

/// What comparing snapshots with their manifests found, by destination.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Verified {
    destinations: BTreeMap<String, Remembered>,
}

/// What is remembered of a destination's snapshots.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Remembered {
    /// Stored files that are known to be damaged, sorted by inode.
    pub damaged: Vec<DamagedFile>,
    /// When each snapshot was last compared in full and found whole.
    pub verified: BTreeMap<SnapshotId, DateTime<FixedOffset>>,
    /// Which shares of the data health checks have read.
    pub shares: Shares,
    /// Manifests that were found damaged.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub manifests: BTreeMap<SnapshotId, ManifestFault>,
    /// How many entries of a snapshot are damaged otherwise than in a stored file: missing, say.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub elsewhere: BTreeMap<SnapshotId, u64>,
}

/// A manifest that was found damaged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestFault {
    /// What is wrong with it.
    pub because: String,
    /// The same as a code, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<FailureCode>,
    /// Inode, size in bytes and time of the file that it was found of; none where there was none.
    /// Another file may be whole.
    pub file: Option<(u64, u64, String)>,
}

impl ManifestFault {
    /// What was found of a snapshot's manifest.
    #[must_use]
    pub fn of(store: &Store, id: SnapshotId, because: String, code: Option<FailureCode>) -> Self {
        let file = store.manifest_stat(id);
        let file = file.map(|stat| (stat.ino, stat.size, stat.mtime.to_string()));
        Self {
            because,
            code,
            file,
        }
    }

    /// Whether the file is still the one that it was found of.
    #[must_use]
    pub fn holds(&self, store: &Store, id: SnapshotId) -> bool {
        *self == Self::of(store, id, self.because.clone(), self.code)
    }
}

/// A run that was begun and not ended.
#[derive(Debug)]
pub struct Unfinished {
    /// Its plan.
    pub plan: Plan,
    /// The configuration it was made from.
    pub config: Config,
    /// The step it was in when it was interrupted, if it was in one.
    pub step: Option<String>,
    /// How often in a row it was interrupted in that step; at least once, unless it is at work.
    pub interruptions: u64,
    /// Those that the run had been interrupted that it took the place of, for the same reason.
    pub inherited: u64,
}

impl Unfinished {
    /// How often in a row it was interrupted, with the runs that it took the place of.
    #[must_use]
    pub fn all(&self) -> u64 {
        self.interruptions.saturating_add(self.inherited)
    }
}

impl StateDir {
    /// Opens a state directory; `None` if there is none.
    ///
    /// # Errors
    /// When it is there and cannot be opened.
    pub fn open(path: &Path) -> Result<Option<Self>> {
        let named = path.to_string_lossy().into_owned();
        match resolve(path).and_then(|resolved| resolved.folder()) {
            Ok(dir) => Ok(Some(Self { dir, path: named })),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(Error::io("open", named.as_bytes(), error).hint(format!(
                "name another with --state-dir, run as the user that owns it, or allow it: \
                     `chmod u+rwX {named}`"
            ))),
        }
    }

    /// Opens a state directory, making it where it is missing.
    ///
    /// # Errors
    /// The system's reason.
    pub fn open_or_new(path: &Path) -> Result<Self> {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(|error| {
                let in_the_way = path.symlink_metadata().is_ok_and(|there| !there.is_dir());
                let named = path.display();
                Error::io("make", path.as_os_str().as_encoded_bytes(), error).hint(if in_the_way {
                    format!("something else stands there; move it away: `mv {named} {named}.saved`")
                } else {
                    "name another with --state-dir, or run as root".to_owned()
                })
            })?;
        Self::open(path)?.ok_or_else(|| Error::failed("the state directory vanished"))
    }

    /// Takes the locks, so that no other run works from this state directory.
    ///
    /// # Errors
    /// As [`Lock::take`]; also while a part of a run whose own process has died is still at work.
    pub fn lock(&self) -> Result<RunLock> {
        let owner = Lock::take(&self.dir, LOCK, &self.named(LOCK))?;
        let work = self.work_lock()?;
        Ok(RunLock::new(owner, work))
    }

    /// Takes the lock of whoever writes to a run's journal: the run's own process, except while it
    /// waits for a part.
    ///
    /// # Errors
    /// As [`Lock::take`].
    pub fn work_lock(&self) -> Result<Lock> {
        Lock::take(&self.dir, WORK_LOCK, &self.named(WORK_LOCK))
    }

    /// Whether a process owns a run here, at work itself or waiting for a part.
    #[must_use]
    pub fn is_owned(&self) -> bool {
        Lock::is_held(&self.dir, LOCK)
    }

    /// Whether a run works from this state directory now.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.is_owned() || Lock::is_held(&self.dir, WORK_LOCK)
    }

    /// Reads the journal of a run that was begun, without changing it.
    ///
    /// # Errors
    /// The system's reason.
    pub fn replay(&self, run_id: &str) -> Result<Replay> {
        let run = self.run(run_id)?;
        let path = self.named(&format!("{RUNS}/{run_id}/{}", journal::FILE_NAME));
        Ok(journal::read(&run, &path)?.unwrap_or_default())
    }

    /// Ids of the destinations that were used; where the list of them is damaged, those that the
    /// runs still tell of.
    ///
    /// # Errors
    /// When the folders of runs cannot be listed.
    pub fn known_destinations(&self) -> Result<Vec<String>> {
        match self.known() {
            Ok(known) => Ok(known.unwrap_or_default().known),
            // No disk becomes a known one because the list of them is lost.
            Err(_) => self.used_destinations(),
        }
    }

    fn known(&self) -> Result<Option<Destinations>> {
        read_json(&self.dir, DESTINATIONS, &self.named(DESTINATIONS))
    }

    /// Remembers a destination.
    ///
    /// # Errors
    /// The system's reason.
    pub fn remember_destination(&self, id: &str) -> Result<()> {
        let mut known = self.known_destinations()?;
        if known.iter().any(|other| other == id) {
            return Ok(());
        }
        known.push(id.to_owned());
        known.sort();
        self.keep(DESTINATIONS, &Destinations { known })
    }

    /// What is remembered of a destination's snapshots.
    ///
    /// Nothing where that is damaged: it only spares work that is done again then.
    #[must_use]
    pub fn remembered(&self, destination: &str) -> Remembered {
        let mut verified = self.verified();
        verified
            .destinations
            .remove(destination)
            .unwrap_or_default()
    }

    /// Remembers this of a destination's snapshots, instead of what was remembered.
    ///
    /// # Errors
    /// The system's reason.
    pub fn remember(&self, destination: &str, found: Remembered) -> Result<()> {
        let mut verified = self.verified();
        verified.destinations.insert(destination.to_owned(), found);
        self.keep(VERIFIED, &verified)
    }

    fn verified(&self) -> Verified {
        self.recall(VERIFIED).unwrap_or_default()
    }

    /// Makes the folder of a run, with what it is made from, and an empty journal.
    ///
    /// # Errors
    /// The system's reason.
    pub fn begin(&self, config: &Config, inventory: &Inventory, plan: &Plan) -> Result<Journal> {
        self.written_down(config, inventory, plan).map_err(|error| {
            // Whoever restores onto a broken machine cannot mend it first.
            error.also("a restore does not need this one: name any folder with --state-dir")
        })
    }

    fn written_down(&self, config: &Config, inventory: &Inventory, plan: &Plan) -> Result<Journal> {
        self.mend()?;
        let runs = self.runs()?;
        let name = plan.run_id.as_str();
        let at = |file: &str| self.named(&format!("{RUNS}/{name}/{file}"));
        let run = runs
            .folder_or_new(OsStr::new(name), 0o700)
            .map_err(|error| Error::io("make", at("").as_bytes(), error))?;
        let number = self.numbers()?.last().map_or(0, |(number, ..)| *number) + 1;
        write_json(&run, NUMBER, &at(NUMBER), &number)?;
        write_json(&run, CONFIG, &at(CONFIG), config)?;
        write_json(&run, INVENTORY, &at(INVENTORY), inventory)?;
        // A run of this name that ended, in a moment that someone supposes to be the same again.
        for old in [REPORT, journal::FILE_NAME] {
            match run.remove_file(OsStr::new(old)) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(error) => return Err(Error::io("remove", at(old).as_bytes(), error)),
            }
        }
        // The plan last: a folder without one is not a run that could be continued.
        write_json(&run, PLAN, &at(PLAN), plan)?;
        runs.sync()
            .map_err(|error| Error::io("sync", at("").as_bytes(), error))?;
        Journal::open(&run, &at(journal::FILE_NAME)).map(|(journal, _)| journal)
    }

    /// Opens the journal of a run that was begun.
    ///
    /// # Errors
    /// The system's reason.
    pub fn journal(&self, run_id: &str) -> Result<(Journal, Replay)> {
        let run = self.run(run_id)?;
        let path = self.named(&format!("{RUNS}/{run_id}/{}", journal::FILE_NAME));
        Journal::open(&run, &path)
    }

    /// The newest backup run, if it was begun and not ended. A restore is not one: whoever wants
    /// it continued says so again.
    ///
    /// # Errors
    /// When the folders of runs cannot be read.
    pub fn unfinished(&self) -> Result<Option<Unfinished>> {
        let mut newest: Option<Unfinished> = None;
        for name in self.run_names()?.into_iter().rev() {
            let Ok(run) = self.run(&name) else {
                continue;
            };
            let at = |file: &str| self.named(&format!("{RUNS}/{name}/{file}"));
            let plan: Option<Plan> = read_json(&run, PLAN, &at(PLAN)).unwrap_or_default();
            let Some(plan) = plan.filter(backs_up) else {
                continue;
            };
            if let Some(newest) = newest {
                let before = journal::read(&run, &at(journal::FILE_NAME)).unwrap_or_default();
                let inherited = before.map_or(0, |before| before.handed_on());
                return Ok(Some(Unfinished {
                    inherited,
                    ..newest
                }));
            }
            let config: Option<Config> = read_json(&run, CONFIG, &at(CONFIG)).unwrap_or_default();
            let reported = run
                .look(OsStr::new(REPORT))
                .is_ok_and(|there| there.is_some());
            // What cannot be read cannot be gone on with: it is planned anew.
            let replay = journal::read(&run, &at(journal::FILE_NAME)).unwrap_or_default();
            let whole = !reported && plan.digest == plan.expected_digest();
            let (Some(config), Some(replay), true) = (config, replay, whole) else {
                return Ok(None);
            };
            if replay.abandoned() {
                return Ok(None);
            }
            newest = Some(Unfinished {
                plan,
                config,
                step: replay.running().map(str::to_owned),
                interruptions: replay.interruptions(),
                inherited: 0,
            });
        }
        Ok(newest)
    }

    /// Writes the report that ends a run.
    ///
    /// # Errors
    /// The system's reason.
    pub fn end(&self, report: &Report) -> Result<()> {
        let run = self.run(&report.run_id)?;
        let path = self.named(&format!("{RUNS}/{}/{REPORT}", report.run_id));
        write_json(&run, REPORT, &path, report)
    }

    /// The report of the newest run that ended, not counting restores and the like.
    ///
    /// # Errors
    /// When the folders of runs cannot be read.
    pub fn last_report(&self) -> Result<Option<Report>> {
        for name in self.run_names()?.into_iter().rev() {
            let Ok(run) = self.run(&name) else {
                continue;
            };
            let at = |file: &str| self.named(&format!("{RUNS}/{name}/{file}"));
            let plan: Option<Plan> = read_json(&run, PLAN, &at(PLAN)).unwrap_or_default();
            if plan.is_none_or(|plan| is_small(&plan)) {
                continue;
            }
            if let Ok(Some(report)) = read_json(&run, REPORT, &at(REPORT)) {
                return Ok(Some(report));
            }
        }
        Ok(None)
    }

    /// The reports of backup runs that ended, the last one that was begun first.
    ///
    /// # Errors
    /// When the folders of runs cannot be read.
    pub fn reports(&self) -> Result<Vec<Report>> {
        let mut reports = Vec::new();
        for name in self.run_names()?.into_iter().rev() {
            let Ok(run) = self.run(&name) else {
                continue;
            };
            let at = |file: &str| self.named(&format!("{RUNS}/{name}/{file}"));
            let Ok(Some(report)) = read_json::<Report>(&run, REPORT, &at(REPORT)) else {
                continue;
            };
            let plan: Option<Plan> = read_json(&run, PLAN, &at(PLAN)).unwrap_or_default();
            if plan.is_none_or(|plan| is_small(&plan)) {
                continue;
            }
            reports.push(report);
        }
        Ok(reports)
    }

    /// Removes the folders of runs that ended long ago.
    ///
    /// # Errors
    /// The system's reason, or an interruption.
    pub fn forget_old_runs(&self, context: Context<'_>) -> Result<()> {
        let names = self.run_names()?;
        let runs = self.runs()?;
        for name in names.iter().rev().skip(KEEP_RUNS) {
            let named = self.named(&format!("{RUNS}/{name}"));
            remove_tree(&runs, OsStr::new(name), &named, context)?;
        }
        Ok(())
    }

    /// Path of a run's folder, for messages.
    #[must_use]
    pub fn run_path(&self, run_id: &str) -> String {
        self.named(&format!("{RUNS}/{run_id}"))
    }

    /// Names of the runs in the order in which they were begun.
    fn run_names(&self) -> Result<Vec<String>> {
        let runs = self.numbers()?;
        Ok(runs.into_iter().map(|(.., name)| name).collect())
    }

    /// The runs in the order in which they were begun: by their number, for clocks are put forward
    /// and back now and then. Those of earlier versions have none, and stand before all others by
    /// when their plan was written.
    fn numbers(&self) -> Result<Vec<(u64, i128, String)>> {
        let runs = match self.dir.folder(OsStr::new(RUNS)) {
            Ok(runs) => runs,
            // Something else of that name is told, and set aside by the next run.
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(Vec::new()),
            Err(error) => return Err(Error::io("open", self.named(RUNS).as_bytes(), error)),
        };
        let names = runs
            .names()
            .map_err(|error| Error::io("list", self.named(RUNS).as_bytes(), error))?;
        let mut runs: Vec<_> = names
            .into_iter()
            .filter_map(|name| {
                let run = runs.folder(&name).ok()?;
                let plan = run.stat(OsStr::new(PLAN)).ok()?;
                let name = name.into_string().ok()?;
                let at = self.named(&format!("{RUNS}/{name}/{NUMBER}"));
                let number: Option<u64> = read_json(&run, NUMBER, &at).unwrap_or_default();
                Some((number.unwrap_or(0), plan.mtime, name))
            })
            .collect();
        runs.sort();
        Ok(runs)
    }

    fn runs(&self) -> Result<Dir> {
        self.dir
            .folder_or_new(OsStr::new(RUNS), 0o700)
            .map_err(|error| Error::io("make", self.named(RUNS).as_bytes(), error))
    }

    fn run(&self, run_id: &str) -> Result<Dir> {
        self.runs()?
            .folder(OsStr::new(run_id))
            .map_err(|error| Error::io("open", self.run_path(run_id).as_bytes(), error))
    }

    /// Opens a folder of its own for something else that is remembered, making it where it is
    /// missing; with its path.
    ///
    /// # Errors
    /// The system's reason.
    pub fn area(&self, name: &str) -> Result<(Dir, String)> {
        let path = self.named(name);
        let make = || self.dir.folder_or_new(OsStr::new(name), 0o700);
        let made = match make() {
            Err(Errno::NOTDIR | Errno::LOOP) => {
                self.dir.set_aside(OsStr::new(name)).and_then(|()| make())
            }
            made => made,
        };
        let dir = made.map_err(|error| Error::io("make", path.as_bytes(), error))?;
        Ok((dir, path))
    }

    /// As [`Self::area`], but `None` if it is missing. Writes nothing.
    ///
    /// # Errors
    /// When it is there and cannot be opened.
    pub fn existing_area(&self, name: &str) -> Result<Option<(Dir, String)>> {
        let path = self.named(name);
        match self.dir.folder(OsStr::new(name)) {
            Ok(dir) => Ok(Some((dir, path))),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(Error::io("open", path.as_bytes(), error)),
        }
    }

    fn named(&self, relative: &str) -> String {
        format!("{}/{relative}", self.path.trim_end_matches('/'))
    }
}

/// Whether a plan is of something else than a backup: a restore, a mark, a new destination.
fn is_small(plan: &Plan) -> bool {
    let by_hand = |step: &DeleteStep| step.purpose != DeletePurpose::MakeRoom;
    plan.steps.iter().any(|step| {
        matches!(
            step.action,
            Action::Restore(_) | Action::Mark(_) | Action::Repair(_) | Action::Adopt(_)
        ) || matches!(&step.action, Action::Delete(step) if by_hand(step))
            || (plan.steps.len() == 1 && matches!(step.action, Action::DestinationCheck(_)))
    })
}

/// Whether a plan makes, moves or deletes snapshots.
fn backs_up(plan: &Plan) -> bool {
    plan.steps.iter().any(|step| {
        matches!(
            step.action,
            Action::Snapshot(_) | Action::Rotate(_) | Action::Delete(_) | Action::CloudSync(_)
        )
    })
}
