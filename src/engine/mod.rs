//! The engine: all verbs of the backup system, without a command line.
//!
//! One file for each verb. A verb gathers what is to be known, has the planner decide, and has the
//! executor do it; it gives back all that is needed to show what happened.

mod adopt;
mod against_state;
mod apply;
mod browse;
mod check;
mod cloud;
mod containers;
mod copies;
mod delete;
mod destination;
mod diff;
mod drill;
mod drill_far;
mod find;
mod health;
mod init;
mod interrupted;
mod inventory;
mod list;
mod logs;
mod maintenance;
mod mark;
mod metrics;
mod names;
mod nearest;
mod notify;
mod observer;
mod operation;
mod own_file;
mod plan;
mod progress_notes;
mod reading;
mod remote;
mod remote_inventory;
mod report;
mod report_mail;
mod restore;
mod setup;
mod state;
mod status;
mod timer;
mod units;
mod user_view;
mod verify;
mod views;
mod watch;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use chrono::{DateTime, FixedOffset, Local};
use executor::{
    Error,
    error::Result,
    event::Stop,
    state_dir::{StateDir, Unfinished},
    sys::machine::machine_id,
};
use planner::accord::{self, Present};
use schema::{
    Config, Plan,
    config::{DestinationName, RemoteOptions},
    inventory::DestinationState,
};

pub use executor::history::{FolderContent, FolderEntry, FoundVersions, Search, Unread, Version};
pub use planner::{Wanted, notices::TimerCall};

pub use self::{
    adopt::{AdoptRequest, PreparedAdoption},
    apply::{ApplyOutcome, ApplyRequest, BackupKind, NotBegun, RunOutcome},
    browse::{BrowsedSnapshot, Browser},
    check::{
        CheckedConfig, ConfigFault, check_bytes, check_config, check_config_text, read_config,
    },
    cloud::CloudDepth,
    delete::PreparedDeletion,
    destination::host_name,
    diff::{DiffAfter, DiffRequest},
    drill::DrillRequest,
    find::FindOutcome,
    health::HealthRequest,
    init::InitRequest,
    interrupted::{FinishOutcome, ServiceEnd, StalledRun},
    list::Listing,
    maintenance::ForetoldRun,
    mark::Mark,
    observer::{Notice, Observer},
    plan::{PlanRequest, PlannedRun},
    restore::{PreparedRestore, RestoreFrom, RestoreRequest, RestoreSnapshot, TypedPath},
    setup::{
        README_HEADER, UnitPlace, WrittenConfig, check_new_config, list_remotes, look_around,
        look_at_remote, look_at_source, may_write_readme, readme_path, write_new_config,
    },
    units::{
        ProgramDistrust, UnitChange, foretell_units, install_program, judge_program, write_units,
    },
    user_view::UserViewChange,
    verify::{VerifyOutcome, VerifyRequest, damage_left},
    watch::{UnitAtWork, UnitsEnd, WatchedRun},
};

/// A backup as one configuration describes it, with what this machine remembers of it.
#[derive(Debug, Clone)]
pub struct Engine {
    config: Config,
    /// What is configured for all destinations; the same where this is nobody's view.
    whole: Arc<Config>,
    /// The named destination whose view this is.
    of: Option<DestinationName>,
    /// What its view does not say, where that is a remote.
    remote: Option<RemoteOptions>,
    /// The remote, as rclone names it, of which the destination is what this machine knows.
    known_of: Option<String>,
    state_dir: PathBuf,
    /// That directory, once it was opened: whether others could change what is in it, down to the files
    /// of each run, is asked once.
    opened: Arc<Mutex<Option<StateDir>>>,
    log_dir: Option<PathBuf>,
    threads: Option<usize>,
    stop: Stop,
    supposed_now: Option<DateTime<FixedOffset>>,
}

impl Engine {
    /// An engine for this configuration, which remembers things in `state_dir`. It writes no logs,
    /// works with as many threads as disks and distances ask for and cannot be asked to stop, unless that is changed.
    ///
    /// The directory is made when there is something to remember.
    #[must_use]
    pub fn open(config: Config, state_dir: impl Into<PathBuf>) -> Self {
        Self {
            whole: Arc::new(config.clone()),
            config,
            of: None,
            remote: None,
            known_of: None,
            state_dir: state_dir.into(),
            opened: Arc::default(),
            log_dir: None,
            threads: None,
            stop: Stop::default(),
            supposed_now: None,
        }
    }

    /// The same engine, which writes its log files into this folder, and to the journal of systemd
    /// where standard error goes there.
    #[must_use]
    pub fn with_log_dir(self, folder: impl Into<PathBuf>) -> Self {
        Self {
            log_dir: Some(folder.into()),
            ..self
        }
    }

    /// The same engine, which works with so many threads, however far away a destination is; with
    /// none said, with as many as disks and distances ask for.
    #[must_use]
    pub fn with_threads(self, threads: impl Into<Option<usize>>) -> Self {
        Self {
            threads: threads.into(),
            ..self
        }
    }

    /// The same engine, whose work ends soon when `stop` is asked.
    #[must_use]
    pub fn with_stop(self, stop: Stop) -> Self {
        Self { stop, ..self }
    }

    /// The same engine, which supposes that it is this time; none for the machine's clock.
    #[must_use]
    pub fn with_supposed_time(self, now: Option<DateTime<FixedOffset>>) -> Self {
        Self {
            supposed_now: now,
            ..self
        }
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The folder of the host's backups below the mount point.
    #[must_use]
    pub fn host_folder(&self) -> String {
        self.config.hostname.clone().unwrap_or_else(host_name)
    }

    /// Where everything about a run is written down.
    #[must_use]
    pub fn run_folder(&self, run_id: &str) -> PathBuf {
        self.state_dir.join("runs").join(run_id)
    }

    /// The time now, as it is supposed or by the machine's clock.
    #[must_use]
    pub fn now(&self) -> DateTime<FixedOffset> {
        self.supposed_now
            .unwrap_or_else(|| Local::now().fixed_offset())
    }

    /// Where the copies in the cloud are, as rclone names it.
    #[must_use]
    pub fn cloud_remote(&self) -> String {
        planner::cloud_remote(&self.config.cloud, &self.host_folder())
    }

    /// The state directory, if there is one.
    fn state(&self) -> Result<Option<StateDir>> {
        self.opened_once(|| StateDir::open(&self.state_dir))
    }

    /// The state directory, which is made where it is missing.
    fn state_or_new(&self) -> Result<StateDir> {
        let opened = self.opened_once(|| StateDir::open_or_new(&self.state_dir).map(Some))?;
        opened.ok_or_else(|| Error::failed("the state directory vanished"))
    }

    /// The state directory as it was opened before, or as this opens it.
    fn opened_once(
        &self,
        open: impl FnOnce() -> Result<Option<StateDir>>,
    ) -> Result<Option<StateDir>> {
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if opened.as_ref().is_none_or(|state| !state.is_there()) {
            *opened = open()?;
        }
        let of = self.of.as_ref();
        Ok(opened.as_ref().map(|state| state.of_destination(of)))
    }

    /// In what a plan from a file is not what the present configuration gives; none where it is.
    fn find_difference(&self, plan: &Plan) -> Option<String> {
        self.with_present(|present| accord::find_difference(plan, present, false))
    }

    /// What a plan from a file would delete although the present configuration keeps it.
    fn find_undue_deletion(&self, plan: &Plan, destination: &DestinationState) -> Option<String> {
        self.with_present(|present| accord::find_undue_deletion(plan, present, destination))
    }

    /// What plans from files are compared with.
    fn with_present<T>(&self, compare: impl FnOnce(&Present<'_>) -> T) -> T {
        compare(&Present {
            config: &self.config,
            host: &host_name(),
            machine: machine_id(),
            privileged: nix::unistd::geteuid().is_root(),
        })
    }

    /// The run that was begun and not ended, if it is one that the present configuration gives.
    fn unfinished_of_config(&self, state: &StateDir) -> Result<Option<Unfinished>> {
        let unfinished = state.unfinished()?;
        Ok(unfinished.filter(|run| self.find_difference(&run.plan).is_none()))
    }

    /// The folder of the log files, where there are any.
    fn log_dir(&self) -> Option<&Path> {
        self.log_dir.as_deref()
    }
}
