//! The folders of runs: each explains one run by itself.

use std::{borrow::Cow, ffi::OsStr, sync::PoisonError};

use rustix::io::Errno;
use schema::{
    Config, Inventory, Plan, Report,
    health::EndedRun,
    plan::{Action, DeletePurpose, DeleteStep},
};

use super::{
    files::{CONFIG, INVENTORY, NUMBER, PLAN, REPORT, RUNS, SUMMARY},
    open::StateDir,
};
use crate::{
    error::{Error, Result},
    event::Context,
    journal::{self, Journal, Replay},
    remove::remove_tree,
    store::{read_json, write_json},
    sys::Dir,
};

/// Runs whose folders are kept.
const KEEP_RUNS: usize = 100;

/// How much snapshots may share with others, counted by pairs of snapshots, where an inventory is kept as
/// it is: some five megabytes. It grows with the square of how many there are.
const MOST_SHARES: usize = 100_000;

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
    /// Reads the journal of a run that was begun, without changing it.
    ///
    /// # Errors
    /// Fails if the journal cannot be read.
    pub fn replay(&self, run_id: &str) -> Result<Replay> {
        let run = self.run(run_id)?;
        Ok(self.read_whole_journal(&run, run_id)?.unwrap_or_default())
    }

    /// Makes the folder of a run, with what it is made from, and an empty journal.
    ///
    /// # Errors
    /// Fails if the state directory cannot be written.
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
        self.forget_number(name);
        write_json(&run, NUMBER, &at(NUMBER), &number)?;
        write_json(&run, CONFIG, &at(CONFIG), config)?;
        write_json(&run, INVENTORY, &at(INVENTORY), &*kept_of(inventory))?;
        // A run of this name that ended, in a moment that someone supposes to be the same again.
        for old in [REPORT, SUMMARY, journal::FILE_NAME] {
            match run.remove_file(OsStr::new(old)) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(error) => return Err(Error::io("remove", at(old).as_bytes(), error)),
            }
        }
        self.summarize_run(&run, inventory, plan);
        // The plan last: a folder without one is not a run that could be continued.
        write_json(&run, PLAN, &at(PLAN), plan)?;
        runs.sync()
            .map_err(|error| Error::io("sync", at("").as_bytes(), error))?;
        Journal::open(&run, &at(journal::FILE_NAME)).map(|(journal, _)| journal)
    }

    /// Puts the plan of a whole run, and what it was made from, in the place of the plan of its beginning.
    ///
    /// # Errors
    /// Fails if the state directory cannot be written; the run is its beginning then.
    pub fn replace_plan(&self, inventory: &Inventory, plan: &Plan) -> Result<()> {
        let run = self.run(&plan.run_id)?;
        let at = |file: &str| self.named(&format!("{RUNS}/{}/{file}", plan.run_id));
        write_json(&run, INVENTORY, &at(INVENTORY), &*kept_of(inventory))?;
        self.summarize_run(&run, inventory, plan);
        write_json(&run, PLAN, &at(PLAN), plan)
    }

    /// Opens the journal of a run that was begun, once it has what the process of a part wrote apart.
    ///
    /// # Errors
    /// Fails if the journal cannot be opened or written.
    pub fn journal(&self, run_id: &str) -> Result<(Journal, Replay)> {
        let run = self.run(run_id)?;
        let (mut journal, mut replay) = Journal::open(&run, &self.journal_path(run_id))?;
        self.take_over_from_part(&run, run_id, &mut journal, &mut replay)?;
        Ok((journal, replay))
    }

    /// The configuration that a run was planned by; none where it cannot be read.
    pub(crate) fn config_of(&self, run_id: &str) -> Option<Config> {
        let run = self.run(run_id).ok()?;
        let path = self.named(&format!("{RUNS}/{run_id}/{CONFIG}"));
        read_json(&run, CONFIG, &path).unwrap_or_default()
    }

    /// The newest backup run, if it was begun and not ended. A restore is not one: whoever wants
    /// it continued says so again.
    ///
    /// # Errors
    /// Fails if the folders of runs cannot be read.
    pub fn unfinished(&self) -> Result<Option<Unfinished>> {
        let mut newest: Option<Unfinished> = None;
        for name in self.run_names()?.into_iter().rev() {
            let Ok(run) = self.run(&name) else {
                continue;
            };
            let at = |file: &str| self.named(&format!("{RUNS}/{name}/{file}"));
            let reported = run
                .look(OsStr::new(REPORT))
                .is_ok_and(|there| there.is_some());
            // The newest backup ended: its plan, which may be long, says nothing more.
            if newest.is_none()
                && reported
                && self
                    .run_summary(&run, &name)
                    .is_some_and(|one| one.backs_up)
            {
                return Ok(None);
            }
            let plan: Option<Plan> = read_json(&run, PLAN, &at(PLAN)).unwrap_or_default();
            // One of another name would be gone on with in another folder.
            let is_own = |plan: &Plan| plan.run_id == name && backs_up(plan);
            let Some(plan) = plan.filter(is_own) else {
                continue;
            };
            if let Some(newest) = newest {
                let before = self.read_whole_journal(&run, &name).unwrap_or_default();
                let inherited = before.map_or(0, |before| before.handed_on());
                return Ok(Some(Unfinished {
                    inherited,
                    ..newest
                }));
            }
            let config: Option<Config> = read_json(&run, CONFIG, &at(CONFIG)).unwrap_or_default();
            // What cannot be read cannot be gone on with: it is planned anew.
            let replay = self.read_whole_journal(&run, &name).unwrap_or_default();
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
    /// Fails if the report cannot be written.
    pub fn end(&self, report: &Report) -> Result<()> {
        let run = self.run(&report.run_id)?;
        let path = self.named(&format!("{RUNS}/{}/{REPORT}", report.run_id));
        write_json(&run, REPORT, &path, report)
    }

    /// The report of the newest run that ended, not counting restores and the like.
    ///
    /// # Errors
    /// Fails if the folders of runs cannot be read.
    pub fn last_report(&self) -> Result<Option<Report>> {
        self.find_last_report(|report| self.seen_in(report))
    }

    /// The same as it was written, for all destinations of the run.
    ///
    /// # Errors
    /// As [`Self::last_report`].
    pub fn last_whole_report(&self) -> Result<Option<Report>> {
        self.find_last_report(Some)
    }

    fn find_last_report(&self, seen: impl Fn(Report) -> Option<Report>) -> Result<Option<Report>> {
        for name in self.run_names()?.into_iter().rev() {
            let Ok(run) = self.run(&name) else {
                continue;
            };
            let at = |file: &str| self.named(&format!("{RUNS}/{name}/{file}"));
            if !self.is_backup(&run, &name) {
                continue;
            }
            let report: Option<Report> = read_json(&run, REPORT, &at(REPORT)).unwrap_or_default();
            let report = report.and_then(&seen);
            if report.is_some() {
                return Ok(report);
            }
        }
        Ok(None)
    }

    /// The reports of backup runs that ended, the last one that was begun first.
    ///
    /// # Errors
    /// Fails if the folders of runs cannot be read.
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
            if self.is_backup(&run, &name) {
                reports.extend(self.seen_in(report));
            }
        }
        Ok(reports)
    }

    /// Removes the folders of runs that ended long ago. While the destination is away nothing but the run that
    /// made it tells of the newest good snapshot, so that one stays however many have failed since, and so
    /// does the one that made the newest copy in the cloud.
    ///
    /// # Errors
    /// Fails if a folder cannot be removed, or on an interruption.
    pub fn forget_old_runs(&self, context: Context<'_>) -> Result<()> {
        let names = self.run_names()?;
        let runs = self.runs()?;
        for (at, name) in names.iter().enumerate().rev().skip(KEEP_RUNS) {
            if self.tells_of_the_newest(name, &names[at + 1..]) {
                continue;
            }
            let named = self.named(&format!("{RUNS}/{name}"));
            remove_tree(&runs, OsStr::new(name), &named, context)?;
        }
        Ok(())
    }

    /// Whether a run sealed a good snapshot or made a copy in the cloud, and none of those after it did; for
    /// any of the destinations.
    fn tells_of_the_newest(&self, name: &str, later: &[String]) -> bool {
        let named = self.named_destinations();
        let views = named.iter().map(Some).chain([None]);
        views
            .map(|of| self.of_destination(of))
            .any(|view| view.tells_of_own_newest(name, later))
    }

    fn tells_of_own_newest(&self, name: &str, later: &[String]) -> bool {
        let Some(run) = self.ended_run(name) else {
            return false;
        };
        let none_later = |has: &dyn Fn(&EndedRun) -> bool| {
            let mut later = later.iter().rev().filter_map(|name| self.ended_run(name));
            !later.any(|run| has(&run))
        };
        (run.good.is_some() && none_later(&|run| run.good.is_some()))
            || (run.copied_at.is_some() && none_later(&|run| run.copied_at.is_some()))
    }

    /// Path of a run's folder, for messages.
    #[must_use]
    pub fn run_path(&self, run_id: &str) -> String {
        self.named(&format!("{RUNS}/{run_id}"))
    }

    pub(super) fn journal_path(&self, run_id: &str) -> String {
        format!("{}/{}", self.run_path(run_id), journal::FILE_NAME)
    }

    /// Names of the runs in the order in which they were begun.
    pub(super) fn run_names(&self) -> Result<Vec<String>> {
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
        let mut known = self.numbers.lock().unwrap_or_else(PoisonError::into_inner);
        let mut runs: Vec<_> = names
            .into_iter()
            .filter_map(|name| {
                let name = name.into_string().ok()?;
                if let Some((number, written)) = known.get(&name) {
                    return Some((*number, *written, name));
                }
                let run = runs.folder(OsStr::new(&name)).ok()?;
                let plan = run.stat(OsStr::new(PLAN)).ok()?;
                let at = self.named(&format!("{RUNS}/{name}/{NUMBER}"));
                let number: Option<u64> = read_json(&run, NUMBER, &at).unwrap_or_default();
                if let Some(number) = number {
                    known.insert(name.clone(), (number, plan.mtime));
                }
                Some((number.unwrap_or(0), plan.mtime, name))
            })
            .collect();
        runs.sort();
        Ok(runs)
    }

    /// Has the number of a run read again, which is begun anew under a name that was there.
    fn forget_number(&self, name: &str) {
        let mut known = self.numbers.lock().unwrap_or_else(PoisonError::into_inner);
        known.remove(name);
    }

    fn runs(&self) -> Result<Dir> {
        self.dir
            .folder_or_new(OsStr::new(RUNS), 0o700)
            .map_err(|error| Error::io("make", self.named(RUNS).as_bytes(), error))
    }

    /// Opens the folder of a run.
    ///
    /// # Errors
    /// Fails if it cannot be opened.
    pub(crate) fn run(&self, run_id: &str) -> Result<Dir> {
        self.runs()?
            .folder(OsStr::new(run_id))
            .map_err(|error| Error::io("open", self.run_path(run_id).as_bytes(), error))
    }
}

/// An inventory as it is kept: a hundred are, so that of many snapshots it does not say what each shares
/// with which.
fn kept_of(inventory: &Inventory) -> Cow<'_, Inventory> {
    let others = inventory.others.values();
    let others = others.filter_map(|other| other.destination.as_ref());
    let found = inventory.destination.iter().chain(others);
    let records = found.flat_map(|found| found.snapshots.iter().map(|one| &one.record));
    let shares = records.map(|record| record.stored_by.len() + record.files_stored_by.len());
    if shares.sum::<usize>() <= MOST_SHARES {
        return Cow::Borrowed(inventory);
    }
    let mut kept = inventory.clone();
    let others = kept.others.values_mut();
    let others = others.filter_map(|other| other.destination.as_mut());
    for snapshot in kept
        .destination
        .iter_mut()
        .chain(others)
        .flat_map(|found| &mut found.snapshots)
    {
        snapshot.record.forget_shares();
    }
    Cow::Owned(kept)
}

/// Whether a plan is of something else than a backup: a restore, a mark, a new destination.
pub(super) fn is_maintenance(plan: &Plan) -> bool {
    let by_hand = |step: &DeleteStep| step.purpose != DeletePurpose::MakeRoom;
    plan.steps.iter().any(|step| {
        matches!(
            step.action,
            Action::Restore(_)
                | Action::Mark(_)
                | Action::RemoteMark(_)
                | Action::Repair(_)
                | Action::Adopt(_)
        ) || matches!(&step.action, Action::Delete(step) if by_hand(step))
            || matches!(&step.action, Action::Expire(step) if step.asked.is_some())
            || (plan.steps.len() == 1 && matches!(step.action, Action::DestinationCheck(_)))
    })
}

/// Whether a plan makes, moves or deletes snapshots, or begins a run that does.
pub(super) fn backs_up(plan: &Plan) -> bool {
    plan.steps.iter().any(|step| {
        matches!(
            step.action,
            Action::PreScript(_)
                | Action::Snapshot(_)
                | Action::Rotate(_)
                | Action::Delete(_)
                | Action::CloudSync(_)
                | Action::Upload(_)
                | Action::Expire(_)
        )
    })
}

#[cfg(test)]
mod tests {
    use schema::SnapshotId;
    use serde_json::json;

    use super::*;

    /// The inventory of a machine with so many snapshots, of which each has something of all before it.
    fn inventory(snapshots: usize) -> Inventory {
        let json =
            include_str!("../../../tests/plans/the-default-policy-after-a-year/inventory.json");
        let mut inventory: Inventory = serde_json::from_str(json).unwrap();
        let found = &mut inventory.destination.as_mut().unwrap().snapshots;
        let model = found[0].clone();
        let id = |at: usize| -> SnapshotId {
            let (day, hour) = (at / 24 % 28 + 1, at % 24);
            format!("2025-{:02}-{day:02}_{hour:02}-00-00", at / 24 / 28 + 1)
                .parse()
                .unwrap()
        };
        *found = (0..snapshots)
            .map(|at| {
                let mut one = model.clone();
                one.record.id = id(at);
                one.record.stored_by = (0..=at).map(|by| (id(by), 4096)).collect();
                one
            })
            .collect();
        inventory
    }

    #[test]
    fn what_many_snapshots_share_is_not_kept_with_each_run() {
        let few = inventory(100);
        assert_eq!(*kept_of(&few), few);
        let many = inventory(500);
        let kept = kept_of(&many);
        assert!(json!(*kept).to_string().len() < json!(many).to_string().len() / 4);
        let mut expected = many.clone();
        for one in &mut expected.destination.as_mut().unwrap().snapshots {
            one.record.stored_by.clear();
            one.record.files_stored_by.clear();
        }
        assert_eq!(*kept, expected);
    }
}
