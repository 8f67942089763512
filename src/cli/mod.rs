//! The command line: verbs, options and their help. Nothing here does anything.

mod runs;
mod setup;
mod snapshots;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use schema::config::DestinationName;

pub(crate) use self::runs::{
    Apply, At, Deletions, Graph, Health, List, Now, OnDestination, OnNearest, Plan, Report, Status,
};
pub(crate) use self::setup::{
    Check, Completions, CopyEngine, Format, Init, Man, NotifyTest, Schema, Settle, Setup, Simulate,
    State, SystemdUnits, Try, View,
};
pub(crate) use self::snapshots::{
    Adopt, Browse, BrowsePlace, Delete, Diff, Drill, Find, One, Origin, Prune, Restore, Verify,
};

/// Verbs that are also programs of their own: `backup-now` is `backup now`.
pub(crate) const PROGRAMS: [(&str, &str); 4] = [
    ("backup-now", "now"),
    ("backup-status", "status"),
    ("backup-restore", "restore"),
    ("backup-verify", "verify"),
];

/// Hard-link snapshots with a plan you can read before anything is deleted.
#[derive(Debug, Parser)]
#[command(
    name = "backup",
    version,
    propagate_version = false,
    arg_required_else_help = true,
    max_term_width = 80,
    after_help = "Exit codes: 0 done, 1 failed, 2 usage or invalid config, 3 done but \
incomplete, suspect or damaged, 4 refused and nothing changed, 75 locked or deferred, 130/143 \
interrupted and resumable."
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// Options of every verb.
#[derive(Debug, Args)]
pub(crate) struct Global {
    /// The configuration [default: /etc/backup/config.json, or for a normal user
    /// backup/config.json in the XDG configuration folder]
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "BACKUP_CONFIG",
        help_heading = "Global options"
    )]
    pub(crate) config: Option<PathBuf>,
    /// What this machine remembers between runs [default: /var/lib/backup, or backup in the XDG
    /// state folder]
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        help_heading = "Global options"
    )]
    pub(crate) state_dir: Option<PathBuf>,
    /// Folder of the log files [default: monitoring.logPath, or backup/log in the XDG state
    /// folder]
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        help_heading = "Global options"
    )]
    pub(crate) log_dir: Option<PathBuf>,
    /// How many files to work on at once [default: one for each processor, at most 8; on a network
    /// as many as its distance asks for]
    #[arg(
        long,
        global = true,
        value_name = "N",
        env = "BACKUP_THREADS",
        value_parser = clap::value_parser!(u8).range(1..=64),
        help_heading = "Global options"
    )]
    pub(crate) threads: Option<u8>,
    /// Print JSON on standard output, and progress as JSON lines on standard error
    #[arg(long, global = true, help_heading = "Global options")]
    pub(crate) json: bool,
    /// Tell more
    #[arg(short, long, global = true, help_heading = "Global options")]
    pub(crate) verbose: bool,
    /// Tell errors only
    #[arg(
        short,
        long,
        global = true,
        conflicts_with = "verbose",
        help_heading = "Global options"
    )]
    pub(crate) quiet: bool,
    /// When to use colour
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        default_value = "auto",
        help_heading = "Global options"
    )]
    pub(crate) color: Color,
    /// For the units that `systemd-units` makes: end with codes that systemd has the right names
    /// for, tell what repeats itself in one line, and let schedule.onlyOnAC count for a part
    #[arg(long, global = true, hide = true)]
    pub(crate) as_unit: bool,
}

/// When to use colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// In a terminal, unless NO_COLOR is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Back a folder up twice and restore a file, without any configuration
    Try(Try),
    /// Make a first configuration: ask, write it, check it, and enable its timers
    Setup(Setup),
    /// Validate a configuration and show every fault at once
    Check(Check),
    /// Print the JSON Schema of a file format
    Schema(Schema),
    /// Show what a run would do, without doing it
    Plan(Plan),
    /// Run a saved plan, continue an unfinished run, or plan and run
    Apply(Apply),
    /// Show the plan, then run it
    Now(Now),
    /// Show how old and how healthy the backup is
    Status(Status),
    /// Show all snapshots
    List(List),
    /// Show what this machine keeps, and what of it is in no backup
    State(State),
    /// Look around in the snapshots, and restore from them, in the terminal
    Browse(Browse),
    /// Show all versions of a file or folder over all snapshots
    Find(Find),
    /// Show what changed between two snapshots
    Diff(Diff),
    /// Check whether the backup can be relied on, and read a share of what is stored
    Health(Health),
    /// Show how the backups went over a period, or write it as a page with charts
    Report(Report),
    /// Copy a file or folder out of a snapshot
    Restore(Restore),
    /// Try a restore: put a snapshot where its files belong, in a room of its own, and run checks
    Drill(Drill),
    /// Compare snapshots with their manifests, and heal what is damaged
    Verify(Verify),
    /// Send a test message over every channel of notifications.*, and show what became of it
    #[command(
        after_help = "Exits with 0 if every channel took the message, with 1 if not. A \
healthcheck takes the test for a sign of life."
    )]
    NotifyTest(NotifyTest),
    /// Keep a snapshot whatever the retention says
    Pin(One),
    /// Leave a snapshot to the retention again
    Unpin(One),
    /// Say that a suspect snapshot, or one that was changed on the disk, is as it should be
    Accept(One),
    /// Delete what the retention lets go, now and without a backup
    Prune(Prune),
    /// Delete these snapshots
    Delete(Delete),
    /// Make snapshots of what another tool backed up, without copying it
    Adopt(Adopt),
    /// Add the mounted drive to the ones this machine backs up to
    Init(Init),
    /// Show the retention policy over time
    Simulate(Simulate),
    /// Print a script that completes command lines in a shell
    Completions(Completions),
    /// Print the manual, or write it as one page for each verb
    Man(Man),
    /// Run the post-script and the notification of a run that was killed
    #[command(
        after_help = "For ExecStopPost= of backup.service. Does nothing after a run that ended, \
while another is at work, or a second time. The run stays as it is: `apply` continues it."
    )]
    Settle(Settle),
    /// Show the snapshots to users, read-only, or take that away
    #[command(
        after_help = "As local.readableByUsers says: where it is on, users see the snapshots below \
/run/backup, followed by the path of the host's folder, and cannot write to them. Each run does the same. \
Before a drive is detached, `backup view --remove` ends it."
    )]
    View(View),
    /// Print the systemd units of the configuration, or write them to a folder
    SystemdUnits(SystemdUnits),
}

/// The verbs of which [`Verb::only_looks`] is true, by name.
pub(crate) const LOOKING: [&str; 11] = [
    "browse", "check", "diff", "find", "health", "list", "report", "restore", "state", "status",
    "verify",
];

impl Verb {
    /// Whether it shows what there is, or takes one's own files from it: a user does that with the
    /// machine's configuration as well.
    pub(crate) fn only_looks(&self) -> bool {
        matches!(
            self,
            Self::Status(_)
                | Self::List(_)
                | Self::State(_)
                | Self::Browse(_)
                | Self::Find(_)
                | Self::Diff(_)
                | Self::Restore(_)
                | Self::Verify(_)
                | Self::Health(_)
                | Self::Report(_)
                | Self::Check(_)
        )
    }

    /// The destination that it is to work on, where one was named.
    pub(crate) fn destination(&self) -> Option<&DestinationName> {
        let on = match self {
            Self::List(list) => return list.destination.as_ref(),
            Self::Browse(browse) => {
                return match &browse.destination {
                    Some(BrowsePlace::Named(name)) => Some(name),
                    _ => None,
                };
            }
            Self::Find(find) => return find.on.destination.as_ref(),
            Self::Diff(diff) => return diff.on.destination.as_ref(),
            Self::Restore(restore) => return restore.on.destination.as_ref(),
            Self::Verify(verify) => &verify.on,
            Self::Pin(one) | Self::Unpin(one) | Self::Accept(one) => &one.on,
            Self::Prune(prune) => &prune.on,
            Self::Delete(delete) => &delete.on,
            Self::Adopt(adopt) => &adopt.on,
            Self::Init(init) => &init.on,
            Self::Drill(drill) => &drill.on,
            Self::Simulate(simulate) => &simulate.on,
            Self::View(view) => &view.on,
            _ => return None,
        };
        on.destination.as_ref()
    }

    /// Whether it works on one destination, also where none is named.
    pub(crate) fn is_of_one(&self) -> bool {
        match self {
            Self::Restore(restore) => restore.from.is_none() && !restore.list,
            Self::Verify(verify) => !verify.cloud,
            Self::Init(init) => init.take_over.is_none(),
            Self::Drill(drill) => !drill.all,
            Self::Browse(_)
            | Self::Find(_)
            | Self::Diff(_)
            | Self::Simulate(_)
            | Self::View(_)
            | Self::Pin(_)
            | Self::Unpin(_)
            | Self::Accept(_)
            | Self::Prune(_)
            | Self::Delete(_)
            | Self::Adopt(_) => true,
            _ => false,
        }
    }

    /// What it asks of the copies in the cloud, which no destination that is named has.
    pub(crate) fn asks_cloud(&self) -> Option<&'static str> {
        match self {
            Self::Restore(restore) if restore.from.is_some() => Some("--from cloud"),
            Self::Verify(verify) if verify.cloud => Some("--cloud"),
            _ => None,
        }
    }

    /// Whether it looks at destinations and sources.
    pub(crate) fn looks_at_files(&self) -> bool {
        !matches!(
            self,
            Self::Check(_)
                | Self::Schema(_)
                | Self::NotifyTest(_)
                | Self::Simulate(_)
                | Self::SystemdUnits(_)
                | Self::Completions(_)
                | Self::Man(_)
        )
    }
}

#[cfg(test)]
#[path = "pages_tests.rs"]
mod tests;
