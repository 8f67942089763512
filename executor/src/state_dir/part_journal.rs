//! The journal of the part that faces the network, beside the run's and apart from it.
//!
//! `backup-cloud.service` may write to nothing that another unit trusts, so it cannot write to the run's
//! journal. What it did stands in a journal of its own in the folder of what is known of remotes. Whoever
//! opens the run's journal next takes over what such a part can say, and nothing else: that its own steps
//! began and how they ended, and why it was interrupted.

use std::ffi::OsStr;

use rustix::io::Errno;
use schema::{
    Plan,
    journal::JournalEvent,
    plan::{Part, chain::split_id},
};

use super::{
    files::PLAN,
    open::StateDir,
    remotes::{AREA, PARTS},
};
use crate::{
    error::{Error, Result},
    journal::{self, Journal, Replay},
    store::read_json,
    sys::Dir,
};

/// The part whose process writes a journal of its own.
const APART: Part = Part::Cloud;

/// Whether what was handed over has a journal of its own.
fn is_apart(replay: &Replay) -> bool {
    replay.handed_to().is_some_and(|share| share.part == APART)
}

impl StateDir {
    /// Opens the journal that the process of a part writes to: the run's, or the part's own; with what
    /// both say.
    ///
    /// # Errors
    /// Fails if a journal cannot be read, or this one not be written.
    pub fn part_journal(&self, run_id: &str) -> Result<(Journal, Replay)> {
        let run = self.run(run_id)?;
        let replay = self.read_whole_journal(&run, run_id)?.unwrap_or_default();
        if !is_apart(&replay) {
            return self.journal(run_id);
        }
        let (area, _) = self.area(AREA)?;
        let make = || area.folder_or_new(OsStr::new(PARTS), 0o700);
        let made = match make() {
            Err(Errno::NOTDIR | Errno::LOOP) => {
                area.set_aside(OsStr::new(PARTS)).and_then(|()| make())
            }
            made => made,
        };
        let io = |error: Errno| Error::io("make", self.parts_path().as_bytes(), error);
        let parts = made.map_err(io)?;
        let path = self.part_path(run_id);
        let (journal, _) = Journal::open_named(&parts, &file_name(run_id), &path)?;
        Ok((journal, replay))
    }

    /// What a run's journal says, with what the part that has a journal of its own says besides. Writes
    /// nothing.
    ///
    /// # Errors
    /// Fails if a journal cannot be read.
    pub(super) fn read_whole_journal(&self, run: &Dir, run_id: &str) -> Result<Option<Replay>> {
        let path = self.journal_path(run_id);
        let Some(mut replay) = journal::read_journal(run, journal::FILE_NAME, &path)? else {
            return Ok(None);
        };
        let told = self.told_by_part(run, run_id, &replay)?;
        replay.events.extend(told);
        Ok(Some(replay))
    }

    /// Takes over into the run's journal what the part's own says, and removes that.
    ///
    /// # Errors
    /// Fails if the one cannot be read or the other not be written.
    pub(super) fn take_over_from_part(
        &self,
        run: &Dir,
        run_id: &str,
        journal: &mut Journal,
        replay: &mut Replay,
    ) -> Result<()> {
        for event in self.told_by_part(run, run_id, replay)? {
            journal.append(&event)?;
            replay.events.push(event);
        }
        self.forget_part_journal(run_id)
    }

    /// Removes the part's own journal, of which nothing is wanted any more.
    ///
    /// # Errors
    /// Fails if it cannot be removed.
    pub(crate) fn forget_part_journal(&self, run_id: &str) -> Result<()> {
        let Some(parts) = self.parts()? else {
            return Ok(());
        };
        match parts.remove_file(OsStr::new(&file_name(run_id))) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            // Something that no part makes.
            Err(Errno::ISDIR | Errno::PERM) => parts.set_aside(OsStr::new(&file_name(run_id))),
            Err(error) => Err(error),
        }
        .map_err(|error| Error::io("remove", self.part_path(run_id).as_bytes(), error))
    }

    /// What the part's own journal says and the run's does not.
    fn told_by_part(&self, run: &Dir, run_id: &str, replay: &Replay) -> Result<Vec<JournalEvent>> {
        if !is_apart(replay) {
            return Ok(Vec::new());
        }
        let Some(parts) = self.parts()? else {
            return Ok(Vec::new());
        };
        let path = self.part_path(run_id);
        // What cannot be read says nothing, and its steps are done again, which each can be.
        let said = journal::read_journal(&parts, &file_name(run_id), &path).unwrap_or_default();
        let said = said.unwrap_or_default();
        if said.events.is_empty() {
            return Ok(Vec::new());
        }
        let at = format!("{}/{PLAN}", self.run_path(run_id));
        let plan: Option<Plan> = read_json(run, PLAN, &at)?;
        let steps = plan.map_or_else(Vec::new, |plan| plan.steps);
        let share = replay.handed_to();
        let is_own = |id: &str| {
            let mut own = steps.iter().filter(|step| Some(step.share()) == share);
            own.any(|step| step.id == id)
        };
        let told = said
            .events
            .into_iter()
            .filter_map(|event| event_of_part(event, &is_own));
        Ok(beyond_known(told.collect(), replay))
    }

    fn parts(&self) -> Result<Option<Dir>> {
        let Some((area, _)) = self.existing_area(AREA)? else {
            return Ok(None);
        };
        match area.folder(OsStr::new(PARTS)) {
            Ok(parts) => Ok(Some(parts)),
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(None),
            Err(error) => Err(Error::io("open", self.parts_path().as_bytes(), error)),
        }
    }

    fn parts_path(&self) -> String {
        self.named(&format!("{AREA}/{PARTS}"))
    }

    fn part_path(&self, run_id: &str) -> String {
        format!("{}/{}", self.parts_path(), file_name(run_id))
    }
}

/// Name of the part's own journal.
fn file_name(run_id: &str) -> String {
    format!("{run_id}.jsonl")
}

/// An event as the part may tell it; none where it may not.
fn event_of_part(event: JournalEvent, is_own: &dyn Fn(&str) -> bool) -> Option<JournalEvent> {
    match event {
        JournalEvent::StepFinished {
            step,
            at,
            mut outcome,
        } if is_own(&step) => {
            // It makes no snapshot of `local`'s; what is on a remote of another name is that one's own.
            if split_id(&step).1.is_none() {
                outcome.sealed = None;
            }
            Some(JournalEvent::StepFinished { step, at, outcome })
        }
        JournalEvent::StepStarted { ref step, .. } if is_own(step) => Some(event),
        JournalEvent::Interrupted { .. } => Some(event),
        _ => None,
    }
}

/// What of a part's events the run's journal does not have since it handed the part over. A kill while
/// they are taken over leaves some of them in both.
fn beyond_known(told: Vec<JournalEvent>, replay: &Replay) -> Vec<JournalEvent> {
    let handed_over = |event: &&JournalEvent| !matches!(event, JournalEvent::HandedOver { .. });
    let since = replay.events.iter().rev().take_while(handed_over).count();
    let known = &replay.events[replay.events.len() - since..];
    if !told.starts_with(known) {
        return Vec::new();
    }
    told.into_iter().skip(since).collect()
}

#[cfg(test)]
mod tests {
    use schema::journal::Outcome;

    use super::*;

    fn at(minute: u32) -> chrono::DateTime<chrono::FixedOffset> {
        format!("2025-01-16T02:{minute:02}:00+01:00")
            .parse()
            .unwrap()
    }

    fn started(step: &str, minute: u32) -> JournalEvent {
        JournalEvent::StepStarted {
            step: step.to_owned(),
            at: at(minute),
        }
    }

    #[test]
    fn a_part_tells_of_its_own_steps_and_of_nothing_else() {
        let is_own = |step: &str| step == "cloud-sync";
        let event_of_part = |event| event_of_part(event, &is_own);
        let finished = |step: &str| JournalEvent::StepFinished {
            step: step.to_owned(),
            at: at(1),
            outcome: Outcome::success("done"),
        };
        for event in [started("cloud-sync", 0), finished("cloud-sync")] {
            assert_eq!(event_of_part(event.clone()), Some(event));
        }
        for event in [
            started("rotate", 0),
            finished("rotate"),
            JournalEvent::HandedOver {
                part: Part::Local,
                of: None,
                at: at(0),
            },
            JournalEvent::RunEnded {
                at: at(0),
                result: schema::RunResult::Success,
            },
        ] {
            assert_eq!(event_of_part(event), None);
        }
    }

    #[test]
    fn a_part_without_snapshots_tells_of_none() {
        let mut outcome = Outcome::success("done");
        outcome.sealed = serde_json::from_value(serde_json::json!({
            "id": "2025-01-16_02-00-00", "complete": true, "suspect": [], "totals": {},
        }))
        .ok();
        let event = JournalEvent::StepFinished {
            step: "cloud-sync".to_owned(),
            at: at(1),
            outcome,
        };
        let told = event_of_part(event, &|_| true);
        assert!(matches!(
            told,
            Some(JournalEvent::StepFinished { outcome, .. }) if outcome.sealed.is_none()
        ));
    }

    #[test]
    fn what_was_taken_over_before_a_kill_is_not_taken_over_again() {
        let handed = JournalEvent::HandedOver {
            part: APART,
            of: None,
            at: at(0),
        };
        let told = vec![started("a", 1), started("b", 2)];
        for known in 0..=2 {
            let events = [vec![handed.clone()], told[..known].to_vec()].concat();
            let replay = Replay { events };
            assert_eq!(beyond_known(told.clone(), &replay), told[known..]);
        }
        // Of another time: the run's journal says otherwise.
        let events = vec![handed, started("c", 3)];
        assert_eq!(beyond_known(told, &Replay { events }), []);
    }
}
