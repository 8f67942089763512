//! Options of the verbs that plan, run and check a backup.

use std::path::PathBuf;

use chrono::{DateTime, FixedOffset};
use clap::{Args, ValueEnum};
use schema::config::DestinationName;

#[derive(Debug, Args)]
pub(crate) struct Plan {
    /// Promise that nothing at all is written, the state directory included; with --out too, the
    /// plan is not saved but refused
    #[arg(long, conflicts_with = "out")]
    pub(crate) dry_run: bool,
    /// Save the plan, to be run by `apply FILE`
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Show the steps for these destinations only, without scripts and notifications
    #[arg(long, value_name = "NAME", num_args = 1..)]
    pub(crate) only: Vec<DestinationName>,
    /// Print the steps as a graph
    #[arg(long, value_name = "FORM", conflicts_with = "json")]
    pub(crate) graph: Option<Graph>,
    /// Exit with 2 if there is anything to do, with 0 if not
    #[arg(long)]
    pub(crate) detailed_exitcode: bool,
    #[command(flatten)]
    pub(crate) deletions: Deletions,
    #[command(flatten)]
    pub(crate) at: At,
}

/// How to draw a graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Graph {
    /// Graphviz
    Dot,
    /// Mermaid
    Mermaid,
}

#[derive(Debug, Args)]
pub(crate) struct Apply {
    /// A plan saved by `plan --out`; refused if the state it was made from has changed
    pub(crate) plan: Option<PathBuf>,
    /// Do not continue an unfinished run, start a new one
    #[arg(long, conflicts_with = "plan")]
    pub(crate) fresh: bool,
    /// End at once if the last good backup is as new as the schedule asks for, and defer the run
    /// on battery if schedule.onlyOnAC is set; for timers
    #[arg(long, conflicts_with = "plan")]
    pub(crate) if_due: bool,
    /// Do the steps for these destinations only (local, cloud, or names of `destinations`), without
    /// scripts and notifications; of the run that hands them over, if one does
    #[arg(
        long,
        value_name = "NAME",
        num_args = 1..,
        conflicts_with_all = ["plan", "if_due", "by_units"]
    )]
    pub(crate) only: Vec<DestinationName>,
    /// Let backup-local.service, backup-cloud.service and backup-NAME.service of each named destination do
    /// their steps of the run; for backup.service
    #[arg(long, conflicts_with = "plan")]
    pub(crate) by_units: bool,
    /// Show what would be run, without doing it: what `plan --dry-run` shows
    #[arg(long, conflicts_with_all = ["plan", "if_due", "by_units"])]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) deletions: Deletions,
    #[command(flatten)]
    pub(crate) at: At,
}

#[derive(Debug, Args)]
pub(crate) struct Now {
    /// Show the plan only, without running it: what `plan --dry-run` shows
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) deletions: Deletions,
    #[command(flatten)]
    pub(crate) at: At,
}

#[derive(Debug, Args)]
pub(crate) struct Deletions {
    /// Allow more deletions at once than the retention brings about by itself
    #[arg(long)]
    pub(crate) approve_deletions: bool,
}

/// Which of several destinations is meant.
#[derive(Debug, Args, Default)]
pub(crate) struct OnDestination {
    /// On this named destination (destinations.<name>) [default: local, or without it the only disk]
    #[arg(long, value_name = "NAME")]
    pub(crate) destination: Option<DestinationName>,
}

/// The same, where any serves that has what is asked for.
#[derive(Debug, Args, Default)]
pub(crate) struct OnNearest {
    /// On this destination (local, or one of destinations.<name>) [default: the nearest that has it: local,
    /// then disks, then remotes]
    #[arg(long, value_name = "NAME")]
    pub(crate) destination: Option<DestinationName>,
}

#[derive(Debug, Args)]
#[command(
    after_help = "In a terminal a mark for each of the last fourteen days is shown as well. --watch \
writes nothing and holds nothing up; a run that systemd started is watched as any other. With --json \
each line is an object: what happens in the run, its end, and last the status."
)]
pub(crate) struct Status {
    /// Look on while a run is at work, until it ends: how far it is, how fast, the file at hand and the time
    /// that is left
    #[arg(long, conflicts_with = "now")]
    pub(crate) watch: bool,
    #[command(flatten)]
    pub(crate) at: At,
}

#[derive(Debug, Args)]
pub(crate) struct List {
    #[command(flatten)]
    pub(crate) at: At,
    /// Those on this destination only (local, or one of destinations.<name>) [default: on all]
    #[arg(long, value_name = "NAME")]
    pub(crate) destination: Option<DestinationName>,
}

#[derive(Debug, Args)]
pub(crate) struct At {
    /// Suppose that it is this time, such as 2025-01-16T02:00:00+01:00
    #[arg(long, value_name = "RFC3339", value_parser = DateTime::parse_from_rfc3339)]
    pub(crate) now: Option<DateTime<FixedOffset>>,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Exits with 0 if all is well, with 3 if a person should look, and with 1 if there \
is no backup to rely on or soon will be none. Nothing is written to sources and snapshots. The \
result is remembered for `backup status`, and people are told of errors once a day and of a new \
warning once (notifications.*); but not with --now, which reads no stored data either."
)]
pub(crate) struct Health {
    /// Read no stored data; else each check reads the next share of it (monitoring.verifySubset)
    #[arg(long)]
    pub(crate) quick: bool,
    /// Check by what can be seen, read no stored data, and write nothing: nothing is remembered and
    /// nobody is told
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) at: At,
}

#[derive(Debug, Args)]
#[command(
    after_help = "The page needs nothing from elsewhere and no script: it can be sent, printed and kept. It is \
written as a new file for its owner only, and has names of folders in it. Without --html the figures are shown \
as text, and with --json all of the data is. Nothing else is written, and no stored data is read but manifests. \
With notifications.report it comes by mail. Exits with 3 if something could not be looked at.\n\n\
Examples:\n  sudo backup report --html report.html\n  sudo backup report --since 'last month'"
)]
pub(crate) struct Report {
    /// Write it as a page with charts to this file
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
    /// When the period begins, such as `last month` or 2025-01-16 [default: 4 weeks ago]
    #[arg(long, value_name = "WHEN")]
    pub(crate) since: Option<String>,
    #[command(flatten)]
    pub(crate) at: At,
}
