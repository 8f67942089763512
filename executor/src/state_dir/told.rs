//! What people were told, and what can be told them: the last good snapshot that is known of, and
//! runs that were deferred.

use std::ffi::OsStr;

use rustix::io::Errno;
use schema::{Report, plan::LastGood};

use super::StateDir;
use crate::{
    deferrals::{Deferrals, ToldError},
    error::{Error, Result},
};

pub(super) const DEFERRALS: &str = "deferrals.json";
pub(super) const TOLD_ERROR: &str = "told-error.json";

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

    /// The last error that was told without a run to tell of it; nothing where that is damaged.
    #[must_use]
    pub fn told_error(&self) -> Option<ToldError> {
        self.recall(TOLD_ERROR)
    }

    /// Remembers this error instead.
    ///
    /// # Errors
    /// The system's reason.
    pub fn remember_told_error(&self, told: &ToldError) -> Result<()> {
        self.keep(TOLD_ERROR, told)
    }

    /// Runs that were deferred since the last one that was not; nothing where that is damaged.
    #[must_use]
    pub fn deferrals(&self) -> Option<Deferrals> {
        self.recall(DEFERRALS)
    }

    /// Remembers this of deferred runs, instead of what was remembered.
    ///
    /// # Errors
    /// The system's reason.
    pub fn remember_deferrals(&self, deferrals: Option<Deferrals>) -> Result<()> {
        match deferrals {
            Some(deferrals) => self.keep(DEFERRALS, &deferrals),
            None => match self.dir.remove_file(OsStr::new(DEFERRALS)) {
                // A folder of that name says nothing.
                Ok(()) | Err(Errno::NOENT | Errno::ISDIR) => Ok(()),
                Err(error) => {
                    let path = self.named(DEFERRALS);
                    Err(Error::io("remove", path.as_bytes(), error))
                }
            },
        }
    }
}
