//! Backups: a saved plan is run, an unfinished run continued, or a new one planned and run.

mod basis;
mod continuation;
mod due;
mod part;
mod run;
mod saved;

pub(super) use run::of_destination;

use executor::error::Result;
use planner::{Options, notices::TimerCall};
use schema::{
    Report,
    plan::{Part, SavedPlan},
};

use self::due::Due;
use super::{Engine, Observer, Wanted, logs::LogKind, operation::Operation};

/// A backup that is asked for.
#[derive(Debug, Clone, Default)]
pub struct ApplyRequest {
    /// Which one.
    pub kind: BackupKind,
    /// Do not continue an unfinished run.
    pub fresh: bool,
    /// Allow more deletions at once than the retention brings about by itself.
    pub approve_deletions: bool,
    /// Let units of their own do the parts of the run.
    pub by_units: bool,
    /// Whether a unit asks for it: then schedule.onlyOnAC counts for a part that nobody waits for.
    pub as_unit: bool,
}

/// Which backup is asked for.
#[derive(Debug, Clone, Default)]
pub enum BackupKind {
    /// An unfinished run, or a new one.
    #[default]
    Whole,
    /// The same, if the schedule asks for one now; by a timer.
    IfDue(TimerCall),
    /// The steps of one part only: of the run that hands them over, if one does.
    Part(Part),
    /// The steps of these destinations only.
    Only(Wanted),
    /// Exactly this plan, if the state that it was made from is still there.
    Saved(Box<SavedPlan>),
}

/// What became of a backup that was asked for.
#[derive(Debug, Clone)]
pub enum ApplyOutcome {
    /// Nothing is due.
    NothingDue {
        /// Why.
        because: String,
    },
    /// A run was begun, or not.
    Run(RunOutcome),
}

/// What became of a run.
#[derive(Debug, Clone)]
pub enum RunOutcome {
    /// It ended.
    Ended(Box<Report>),
    /// It was not begun, and nothing was changed.
    NotBegun {
        /// What kept it from it.
        cause: NotBegun,
        /// The findings that say why.
        report: Box<Report>,
    },
}

impl RunOutcome {
    /// Its report.
    #[must_use]
    pub fn report(&self) -> &Report {
        match self {
            Self::Ended(report) | Self::NotBegun { report, .. } => report,
        }
    }
}

/// What kept a run from being begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotBegun {
    /// It waits for something.
    Deferred,
    /// It was refused.
    Refused,
    /// It was refused again for what people were told of.
    RefusedAsBefore,
    /// The saved plan was made from another state.
    StalePlan,
    /// The plan breaks a law, such as that the newest good snapshot is never deleted.
    UnlawfulPlan,
}

impl Engine {
    /// Backs up. People are told of an error that no run could tell of (`notifications.*`).
    ///
    /// # Errors
    /// Fails on an interruption, if another run is at work, or if the destination, the sources or the
    /// state directory cannot be used. What goes wrong in a run that was begun is in its report.
    pub fn apply(&self, request: &ApplyRequest, observer: &dyn Observer) -> Result<ApplyOutcome> {
        self.logged(LogKind::Backups, observer, |operation| {
            let outcome = operation.apply(request);
            if let Err(error) = &outcome {
                let timer = match request.kind {
                    BackupKind::IfDue(timer) => Some(timer),
                    _ => None,
                };
                // A part is told of by the run that it belongs to. `settle`, which the unit runs
                // after this process, tells of a run that began.
                let is_part = matches!(request.kind, BackupKind::Part(_) | BackupKind::Only(_));
                let is_told_later = is_part || (request.by_units && operation.owes_end());
                if !is_told_later {
                    operation.notify_of_error(error, timer);
                }
            }
            let is_whole = matches!(
                request.kind,
                BackupKind::Whole | BackupKind::IfDue(_) | BackupKind::Saved(_)
            );
            if let (Ok(ApplyOutcome::Run(_)), true) = (&outcome, is_whole) {
                operation.mail_report_if_due();
            }
            outcome
        })
    }
}

impl Operation<'_> {
    fn apply(&self, request: &ApplyRequest) -> Result<ApplyOutcome> {
        let mut options = Options {
            approve_deletions: request.approve_deletions,
            ..Options::default()
        };
        let mut wanted = Wanted::default();
        match &request.kind {
            BackupKind::Whole => {}
            BackupKind::Saved(saved) => return self.run_saved(saved).map(ApplyOutcome::Run),
            BackupKind::Part(part) => {
                if let Some(outcome) = self.run_waiting_part(*part, request)? {
                    return Ok(ApplyOutcome::Run(outcome));
                }
                wanted = Wanted::of_part(*part);
            }
            BackupKind::Only(only) => {
                if let Some(outcome) = self.run_waiting_destination(only, request)? {
                    return Ok(ApplyOutcome::Run(outcome));
                }
                wanted = only.clone();
            }
            BackupKind::IfDue(timer) => {
                options.scheduled = true;
                wanted = match self.ask_due(*timer)? {
                    Due::Nothing(because) => return Ok(ApplyOutcome::NothingDue { because }),
                    Due::HeldUp(held) => return self.hold_up(held).map(ApplyOutcome::Run),
                    Due::Run(wanted) => wanted,
                };
                return self.count_timer_run(&wanted, || {
                    let outcome = self.continue_or_plan(request, &options, &wanted);
                    outcome.map(ApplyOutcome::Run)
                });
            }
        }
        let outcome = self.continue_or_plan(request, &options, &wanted);
        outcome.map(ApplyOutcome::Run)
    }
}
