//! What people were told, and what can be told them: the last good snapshot that is known of, and
//! runs that were deferred.

use std::ffi::OsStr;

use chrono::{DateTime, FixedOffset};
use rustix::io::Errno;
use schema::{
    clock::is_ahead,
    notified::{Deferrals, MailedReport, NotifiedError},
    plan::LastGood,
    tries::Tries,
};
use serde::{Serialize, de::DeserializeOwned};

use super::open::StateDir;
use crate::{
    error::{Error, Result},
    lock::Lock,
};

pub(super) const DEFERRALS: &str = "deferrals.json";
pub(super) const TOLD_ERROR: &str = "told-error.json";
pub(super) const TRIES: &str = "tries.json";
pub(super) const MAILED_REPORT: &str = "mailed-report.json";
const MAIL_LOCK: &str = "mail.lock";

impl StateDir {
    /// The last good snapshot that a run of this machine sealed, whatever became of it since; none
    /// that was sealed under a clock that was ahead.
    ///
    /// # Errors
    /// Fails if the folders of runs cannot be read.
    pub fn last_good(&self, now: DateTime<FixedOffset>) -> Result<Option<LastGood>> {
        Ok(self.reports()?.iter().find_map(|report| {
            let sealed = report.snapshot.as_ref()?;
            (sealed.suspect.is_empty() && !is_ahead(report.started_at, now)).then_some(LastGood {
                id: sealed.id,
                started_at: report.started_at,
                complete: sealed.complete,
            })
        }))
    }

    /// How often timers began a run in the last period in which they did; nothing where that is
    /// damaged.
    #[must_use]
    pub fn tries(&self) -> Option<Tries> {
        self.recall(TRIES)
    }

    /// Remembers this of what timers began, instead of what was remembered.
    ///
    /// # Errors
    /// Fails if the state directory cannot be written.
    pub fn remember_tries(&self, tries: Option<Tries>) -> Result<()> {
        self.keep_or_remove(TRIES, tries.as_ref())
    }

    /// The last error that was told without a run to tell of it; nothing where that is damaged.
    #[must_use]
    pub fn told_error(&self) -> Option<NotifiedError> {
        self.recall(TOLD_ERROR)
    }

    /// Remembers this error instead.
    ///
    /// # Errors
    /// Fails if the state directory cannot be written.
    pub fn remember_told_error(&self, told: &NotifiedError) -> Result<()> {
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
    /// Fails if the state directory cannot be written.
    pub fn remember_deferrals(&self, deferrals: Option<Deferrals>) -> Result<()> {
        self.keep_or_remove(DEFERRALS, deferrals.as_ref())
    }

    /// What became of the reports that come by mail; nothing where that is damaged, or there was none.
    #[must_use]
    pub fn mailed_report(&self) -> Option<MailedReport> {
        self.recall(MAILED_REPORT)
    }

    /// Remembers this of them instead.
    ///
    /// # Errors
    /// Fails if the state directory cannot be written.
    pub fn remember_mailed_report(&self, mailed: &MailedReport) -> Result<()> {
        self.keep(MAILED_REPORT, mailed)
    }

    /// Takes the lock of whoever mails a report, so that no two do at once.
    ///
    /// # Errors
    /// As [`Lock::take`].
    pub fn lock_report_mail(&self) -> Result<Lock> {
        Lock::take(&self.dir, MAIL_LOCK, &self.named(MAIL_LOCK))
    }

    fn keep_or_remove<T: Serialize + DeserializeOwned>(
        &self,
        name: &str,
        value: Option<&T>,
    ) -> Result<()> {
        match value {
            Some(value) => self.keep(name, value),
            None => match self.remove_own(name) {
                // A folder of that name says nothing.
                Ok(()) | Err(Errno::NOENT | Errno::ISDIR) => Ok(()),
                Err(error) => {
                    let path = self.named(&self.own_path(name));
                    Err(Error::io("remove", path.as_bytes(), error))
                }
            },
        }
    }

    fn remove_own(&self, name: &str) -> std::result::Result<(), Errno> {
        match (&self.of, self.own_folder()) {
            (None, _) => self.dir.remove_file(OsStr::new(name)),
            (Some(_), Ok(Some(own))) => own.remove_file(OsStr::new(name)),
            (Some(_), _) => Err(Errno::NOENT),
        }
    }
}
