//! How far the run is that works from this state directory, for whoever looks on.
//!
//! It is written every half second and never synced, and gone when the process ends that writes it. Nothing
//! is decided by it: the journal says what was done.

use std::ffi::OsStr;

use schema::{Report, output::progress::Phase};
use serde::{Deserialize, Serialize};

use super::{
    files::{PROGRESS, REPORT},
    open::StateDir,
    remotes::{AREA, PARTS},
};
use crate::{error::Result, event::Progress, store::read_json, sys::Dir};

/// How far a run is, as its process says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotedProgress {
    /// The run; none while it is planned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_id: Option<String>,
    /// The step that is at work; none between steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// What the work is.
    phase: Phase,
    entries: u64,
    entries_total: u64,
    bytes: u64,
    bytes_total: u64,
    /// The path in the snapshot of the file at hand, escaped as in manifests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

impl NotedProgress {
    /// How far the work is.
    #[must_use]
    pub fn progress(&self) -> Progress {
        Progress {
            phase: self.phase,
            entries: self.entries,
            entries_total: self.entries_total,
            bytes: self.bytes,
            bytes_total: self.bytes_total,
        }
    }

    /// Takes in how far the work is.
    pub fn advance(&mut self, progress: &Progress) {
        self.phase = progress.phase;
        self.entries = progress.entries;
        self.entries_total = progress.entries_total;
        self.bytes = progress.bytes;
        self.bytes_total = progress.bytes_total;
    }
}

impl StateDir {
    /// Replaces what is noted. It is no failure where it cannot be: nobody sees it then.
    pub fn note_progress(&self, noted: &NotedProgress) {
        let Ok(mut bytes) = serde_json::to_vec(noted) else {
            return;
        };
        bytes.push(b'\n');
        // The part that faces the network may write to a folder of its own alone.
        let places = self.progress_places().into_iter();
        let _ = { places }.any(|place| place.write_unsynced(PROGRESS, &bytes).is_ok());
    }

    /// Removes what is noted.
    pub fn forget_progress(&self) {
        for place in self.progress_places() {
            let _ = place.remove_file(OsStr::new(PROGRESS));
        }
    }

    /// How far the run is, of which the journal says that it is in this step; none where that is not known.
    #[must_use]
    pub fn noted_progress(
        &self,
        run_id: Option<&str>,
        step: Option<&str>,
    ) -> Option<NotedProgress> {
        let noted = self.progress_places().into_iter().filter_map(|place| {
            let noted: Result<Option<NotedProgress>> =
                read_json(&place, PROGRESS, &self.named(PROGRESS));
            noted.unwrap_or_default()
        });
        let is_of_it = |noted: &NotedProgress| {
            noted.run_id.as_deref() == run_id && noted.step.as_deref() == step
        };
        { noted }.find(is_of_it)
    }

    /// Where it may be noted, the usual place first.
    fn progress_places(&self) -> Vec<Dir> {
        let area = self.dir.folder(OsStr::new(AREA));
        let parts = area.and_then(|area| area.folder(OsStr::new(PARTS)));
        [self.dir.again(), parts].into_iter().flatten().collect()
    }

    /// The run that was begun last, of whatever kind.
    ///
    /// # Errors
    /// Fails if the folders of runs cannot be read.
    pub fn newest_run(&self) -> Result<Option<String>> {
        Ok(self.run_names()?.pop())
    }

    /// The report of a run; none where it has none yet.
    #[must_use]
    pub fn report_of(&self, run_id: &str) -> Option<Report> {
        let run = self.run(run_id).ok()?;
        let path = format!("{}/{REPORT}", self.run_path(run_id));
        read_json(&run, REPORT, &path).unwrap_or_default()
    }
}
