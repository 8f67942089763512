//! What people were told, and what can be told them: the last good snapshot that is known of, and
//! runs that were deferred.

use std::ffi::OsStr;

use rustix::io::Errno;
use schema::{Report, plan::LastGood};

use super::StateDir;
use crate::{
    deferrals::{Deferrals, ToldError},
    error::{Error, Result},
    store::{read_json, write_json},
};

const DEFERRALS: &str = "deferrals.json";
const TOLD_ERROR: &str = "told-error.json";

impl StateDir {
    /// The newest good snapshot that a run of this machine sealed, whatever became of it since.
    ///
    /// # Errors
    /// When the folders of runs cannot be read.
    pub fn last_good(&self) -> Result<Option<LastGood>> {
        let is_good = |report: &Report| {
            let sealed = report.snapshot.as_ref();
            sealed.is_some_and(|sealed| sealed.complete && sealed.suspect.is_empty())
        };
        // Up to the first good one.
        let since = std::cell::Cell::new(false);
        let reports = self.reports(|report| !since.replace(since.get() || is_good(report)))?;
        Ok(reports.iter().rev().find_map(|report| {
            let sealed = report.snapshot.as_ref().filter(|_| is_good(report))?;
            Some(LastGood {
                id: sealed.id,
                started_at: report.started_at,
            })
        }))
    }

    /// The last error that was told without a run to tell of it.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn told_error(&self) -> Result<Option<ToldError>> {
        read_json(&self.dir, TOLD_ERROR, &self.named(TOLD_ERROR))
    }

    /// Remembers this error instead.
    ///
    /// # Errors
    /// The system's reason.
    pub fn remember_told_error(&self, told: &ToldError) -> Result<()> {
        write_json(&self.dir, TOLD_ERROR, &self.named(TOLD_ERROR), told)
    }

    /// Runs that were deferred since the last one that was not.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn deferrals(&self) -> Result<Option<Deferrals>> {
        read_json(&self.dir, DEFERRALS, &self.named(DEFERRALS))
    }

    /// Remembers this of deferred runs, instead of what was remembered.
    ///
    /// # Errors
    /// The system's reason.
    pub fn remember_deferrals(&self, deferrals: Option<Deferrals>) -> Result<()> {
        let path = self.named(DEFERRALS);
        match deferrals {
            Some(deferrals) => write_json(&self.dir, DEFERRALS, &path, &deferrals),
            None => match self.dir.remove_file(OsStr::new(DEFERRALS)) {
                Ok(()) | Err(Errno::NOENT) => Ok(()),
                Err(error) => Err(Error::io("remove", path.as_bytes(), error)),
            },
        }
    }
}
