//! What the engine tells while it works.

use std::path::Path;

use executor::{
    Error,
    event::{self, Silent},
};
use schema::{Inventory, Plan, Report, SnapshotId, verify::Verification};

/// Gets what happens while a verb works: the steps of a run by [`event::Observer`], and here what
/// concerns the verb as a whole.
pub trait Observer: event::Observer {
    /// Something a person may want to know. Must return soon: the work waits for it.
    fn notice(&self, notice: &Notice<'_>) {
        let _ = notice;
    }
}

impl Observer for Silent {}

/// Something a person may want to know before the verb has its outcome.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Notice<'a> {
    /// A plan was made that is run next.
    Planned {
        /// The plan.
        plan: &'a Plan,
        /// What it was made from.
        inventory: &'a Inventory,
    },
    /// An unfinished run is given up, and another one takes its place.
    NotContinued {
        /// The run.
        run_id: &'a str,
        /// Why.
        because: &'a str,
    },
    /// An unfinished run had failed before it was interrupted; another one takes its place.
    HadFailed {
        /// The run.
        run_id: &'a str,
    },
    /// A run ended early, as the snapshot that it was to be linked to cannot be read; another one,
    /// which does without, takes its place.
    UnreadableBasis {
        /// The run.
        run_id: &'a str,
        /// The snapshot.
        basis: SnapshotId,
    },
    /// What happens from now on is logged, until the log is closed.
    LogOpened {
        /// Whether standard error goes to the journal of systemd, which has every record already.
        in_journal: bool,
    },
    /// Nothing is logged any more.
    LogClosed,
    /// Not everything can be logged.
    NotLogged {
        /// The folder of the log files.
        folder: &'a Path,
        /// Why.
        because: &'a str,
    },
    /// What was found cannot be remembered.
    NotRemembered {
        /// Why.
        because: &'a str,
    },
    /// The report that is to come by mail could not be made or remembered.
    ReportNotMailed {
        /// Why.
        error: &'a Error,
    },
    /// The metrics cannot be written.
    NoMetrics {
        /// Why.
        error: &'a Error,
    },
    /// A snapshot is restored from, as it was asked for.
    RestoringFrom {
        /// Its folder, such as `daily/2025-01-16_02-00-00`.
        folder: &'a str,
        /// When it was made, and whether its manifest is damaged; none of what has no record.
        made: Option<(chrono::DateTime<chrono::FixedOffset>, bool)>,
    },
    /// Newer snapshots are passed over that cannot be used: a sentence and what to do.
    NewerPassedOver(&'a str),
    /// Another destination than the first is used, as none was named: which and why.
    OtherTaken(&'a str),
    /// A remote could not be asked what it has: what this machine knows of it is used.
    NotAsked {
        /// The remote.
        remote: &'a str,
        /// Why.
        because: &'a str,
    },
    /// Snapshots on a remote cannot be used, as their record or manifest is damaged there.
    DamagedThere {
        /// The remote.
        remote: &'a str,
        /// The snapshots.
        damaged: &'a [SnapshotId],
    },
    /// Files were brought from the cloud.
    Downloaded {
        /// How many.
        files: u64,
        /// Of which snapshot.
        id: SnapshotId,
        /// From where.
        remote: &'a str,
        /// Newer snapshots there that cannot be restored, as their record or manifest is damaged.
        damaged: &'a [SnapshotId],
    },
    /// The next upload makes what is on a remote this machine's.
    CopiesTakenOver {
        /// The remote.
        remote: &'a str,
    },
    /// Snapshots were compared; a repair follows, whose outcome is another notice.
    Verified(&'a Verification),
    /// A repair ended.
    Repaired {
        /// How.
        report: &'a Report,
        /// Damages that it was not planned for.
        remaining: u64,
    },
}
