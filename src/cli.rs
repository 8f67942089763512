//! The command line: verbs, options and their help. Nothing here does anything.

use std::{ffi::OsString, path::PathBuf};

use chrono::{DateTime, FixedOffset};
use clap::{Args, Parser, Subcommand, ValueEnum};

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
    /// How many files to work on at once [default: one for each processor, at most 8]
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
    Status(At),
    /// Show all snapshots
    List(At),
    /// Show all versions of a file or folder over all snapshots
    Find(Find),
    /// Show what changed between two snapshots
    Diff(Diff),
    /// Check whether the backup can be relied on, and read a share of what is stored
    Health(Health),
    /// Copy a file or folder out of a snapshot
    Restore(Restore),
    /// Compare snapshots with their manifests, and heal what is damaged
    Verify(Verify),
    /// Send a test message over every channel of notifications.*, and show what became of it
    #[command(
        after_help = "Exits with 0 if every channel took the message, with 1 if not. A \
healthcheck takes the test for a sign of life."
    )]
    NotifyTest,
    /// Keep a snapshot whatever the retention says
    Pin(One),
    /// Leave a snapshot to the retention again
    Unpin(One),
    /// Say that a suspect snapshot is as it should be
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
    Settle,
    /// Print the systemd units of the configuration, or write them to a folder
    SystemdUnits(SystemdUnits),
}

impl Verb {
    /// Whether it looks at destinations and sources.
    pub(crate) fn looks(&self) -> bool {
        !matches!(
            self,
            Self::Check(_)
                | Self::Schema(_)
                | Self::NotifyTest
                | Self::Simulate(_)
                | Self::SystemdUnits(_)
                | Self::Completions(_)
                | Self::Man(_)
        )
    }
}

#[derive(Debug, Args)]
#[command(
    after_help = "Then: systemctl daemon-reload, and systemctl enable --now backup.timer \
backup-retry.timer backup-health-check.timer. 60-backup.rules belongs into /etc/udev/rules.d."
)]
pub(crate) struct SystemdUnits {
    /// The folder, such as /etc/systemd/system; units of an earlier configuration that it has no
    /// more are removed from it
    #[arg(long, value_name = "DIR")]
    pub(crate) to: Option<PathBuf>,
    /// The program that the units start [default: this one]
    #[arg(long, value_name = "PATH")]
    pub(crate) program: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Try {
    /// What to back up [default: the first of your Documents, Pictures, Desktop and the current
    /// folder that holds anything]
    pub(crate) dir: Option<PathBuf>,
    /// Where to [default: backup/try in the XDG data folder, or below /var/tmp if that is in DIR]
    #[arg(long, value_name = "FOLDER")]
    pub(crate) to: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Check {
    /// The configuration [default: as --config]
    pub(crate) file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Schema {
    /// Which format
    #[arg(default_value = "config")]
    pub(crate) format: Format,
}

/// A format: of a file, or of what a verb prints with `--json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// config.json
    Config,
    /// A plan: plan.json, and what `plan` and `apply --dry-run` print
    Plan,
    /// An inventory: inventory.json
    Inventory,
    /// A report: report.json, and what each verb prints that changes something
    #[value(alias = "apply")]
    Report,
    /// What `verify` found
    #[value(alias = "verify")]
    Verification,
    /// What `health` found
    Health,
    /// What `status` prints
    Status,
    /// What `list` and `restore --list` print
    List,
    /// What `find` prints
    Find,
    /// What `diff` prints
    Diff,
    /// What `simulate` prints
    Simulate,
    /// What `check` prints, and every verb of a configuration with faults
    Check,
    /// What `restore --dry-run` prints
    Restore,
    /// What `adopt --dry-run` prints
    Adopt,
    /// What `notify-test` prints
    NotifyTest,
    /// What `systemd-units` prints
    SystemdUnits,
    /// What `restore --list --from cloud` prints
    CloudList,
    /// What `verify --cloud` prints
    CloudVerification,
    /// What is printed to standard error meanwhile, an object on each line
    Progress,
}

#[derive(Debug, Args)]
pub(crate) struct Plan {
    /// Promise that nothing at all is written, the state directory included; with --out too, the
    /// plan is not saved but refused
    #[arg(long, conflicts_with = "out")]
    pub(crate) dry_run: bool,
    /// Save the plan, to be run by `apply FILE`
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Show the steps of one part only, without scripts and notifications
    #[arg(long, value_name = "PART")]
    pub(crate) only: Option<Only>,
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

/// A part of a run that can be done by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Only {
    /// What works on the destination
    Local,
    /// What talks to the cloud
    Cloud,
}

impl From<Only> for schema::plan::Part {
    fn from(only: Only) -> Self {
        match only {
            Only::Local => Self::Local,
            Only::Cloud => Self::Cloud,
        }
    }
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
    /// Do the steps of one part only, without scripts and notifications; of the run that hands them
    /// over, if one does
    #[arg(long, value_name = "PART", conflicts_with_all = ["plan", "if_due", "by_units"])]
    pub(crate) only: Option<Only>,
    /// Let backup-local.service and backup-cloud.service do their steps of the run; for
    /// backup.service
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

#[derive(Debug, Args)]
pub(crate) struct At {
    /// Suppose that it is this time, such as 2025-01-16T02:00:00+01:00
    #[arg(long, value_name = "RFC3339", value_parser = DateTime::parse_from_rfc3339)]
    pub(crate) now: Option<DateTime<FixedOffset>>,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples: `backup find letter.txt` (that name in any folder), `backup find \
'*.jpg'`, `backup find ann/letter.txt` (the end of a path), `backup find '/home/ann/**'` (all \
below a folder). Reads the snapshots' manifests only, and a backup may run meanwhile."
)]
pub(crate) struct Find {
    /// A name at any depth; with a / within, the end of a path; with a / before it, the whole path.
    /// *, ? and [...] stop at /, ** does not; ./ and ../ are of the current folder
    pub(crate) pattern: OsString,
    /// Take *, ? and [ as they are
    #[arg(short = 'F', long)]
    pub(crate) fixed_string: bool,
    /// Take capitals and small letters as the same
    #[arg(short = 'i', long)]
    pub(crate) ignore_case: bool,
}

#[derive(Debug, Args)]
#[command(
    after_help = "A file that has the content of one that went is shown as renamed. The time \
of a folder, which moves with its content, is no difference. With `now` the sources are walked with \
today's patterns and no content is read: a file of another size or time is shown as changed, one \
that looks the same but was touched by something (another inode or change time) as touched, and \
what patterns leave out by now as removed. Exits with 3 if something could not be compared."
)]
pub(crate) struct Diff {
    /// The earlier snapshot: `latest`, `latest~1`, an id such as 2025-01-16_02-00-00 or its
    /// beginning
    pub(crate) before: String,
    /// The later one, or `now` for the sources as they are
    #[arg(default_value = "latest")]
    pub(crate) after: String,
    /// Only this path, as it was on the machine, and what is below it
    pub(crate) path: Option<PathBuf>,
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
    #[command(flatten)]
    pub(crate) at: At,
}

#[derive(Debug, Args)]
#[command(after_help = "For bash: backup completions bash > \
~/.local/share/bash-completion/completions/backup. The script completes backup-now, backup-status, \
backup-restore and backup-verify too.")]
pub(crate) struct Completions {
    /// Which shell
    pub(crate) shell: clap_complete::Shell,
}

#[derive(Debug, Args)]
pub(crate) struct Man {
    /// Write backup.1 and a page for each verb into this folder, which is made if need be
    #[arg(long, value_name = "DIR")]
    pub(crate) to: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(
    override_usage = "backup restore [OPTIONS] SNAPSHOT PATH TARGET\n       \
backup restore [OPTIONS] SNAPSHOT PATH... FOLDER\n       \
backup restore [OPTIONS] --in-place SNAPSHOT PATH...\n       \
backup restore [OPTIONS] --as-of WHEN PATH... TARGET\n       \
backup restore --list",
    after_help = "One PATH makes TARGET become that path's content: nothing nests. Several, or a \
pattern, come into the FOLDER under their own names. What is killed goes on when it is run again. \
WHEN is a day (2025-01-16: its end), a time ('2025-01-16 14:00'), or an age ('2 weeks ago', \
yesterday, 'last month')."
)]
pub(crate) struct Restore {
    /// `latest`, `latest~1` (the one before it), a day, an id such as 2025-01-16_02-00-00 or its
    /// beginning; left out with --as-of
    pub(crate) snapshot: Option<OsString>,
    /// Paths as they were on the machine, or patterns ('/home/ann/*.jpg'), and last what becomes
    /// their content; that is left out with --in-place
    #[arg(value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    /// From the newest good snapshot that is not younger than this
    #[arg(long, value_name = "WHEN")]
    pub(crate) as_of: Option<String>,
    /// To where it was: what differs is replaced, and the old ones are kept aside
    #[arg(long)]
    pub(crate) in_place: bool,
    /// With --in-place, do not ask
    #[arg(long, requires = "in_place")]
    pub(crate) yes: bool,
    /// Make everything yours, whoever owned it; without, owners are set as they were recorded,
    /// which only root can
    #[arg(long)]
    pub(crate) as_me: bool,
    /// Set owners by number; without, users and groups get what was theirs by name, where the name
    /// is known
    #[arg(long, conflicts_with = "as_me")]
    pub(crate) numeric_ids: bool,
    /// Show what would be restored, without doing it
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Replace files that are there and differ, keeping the old ones aside
    #[arg(long)]
    pub(crate) overwrite: bool,
    /// Restore from the copy in the cloud; needs no drive
    #[arg(long, value_name = "WHERE", conflicts_with = "as_of")]
    pub(crate) from: Option<Origin>,
    /// Folder for downloads, with room for them, until the restore has ended [default: the state
    /// folder]
    #[arg(long, value_name = "DIR", requires = "from")]
    pub(crate) staging: Option<PathBuf>,
    /// Do not read back what was written
    #[arg(long)]
    pub(crate) no_read_back: bool,
    /// Show the snapshots that can be restored from
    #[arg(long, conflicts_with_all = ["snapshot", "dry_run", "overwrite", "in_place", "as_of"])]
    pub(crate) list: bool,
}

/// Where a restore takes its files from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Origin {
    /// The copy on the rclone remote
    Cloud,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Exits with 0 if everything is whole, with 3 if anything is damaged. Nothing is \
written to sources and snapshots, except with --repair, and a backup may run meanwhile."
)]
pub(crate) struct Verify {
    /// `latest`, `latest~1`, a day, an id such as 2025-01-16_02-00-00 or its beginning [default:
    /// latest, and with --subset all]
    pub(crate) snapshot: Option<String>,
    /// All snapshots; what they share is read once
    #[arg(long, conflicts_with = "snapshot")]
    pub(crate) all: bool,
    /// Compare the copy in the cloud: all sizes, and the content by the remote's own hashes; of files
    /// without one a part in thirty is downloaded, another one each day. With --subset or --full as
    /// much is downloaded as is said, with --quick sizes only are compared
    #[arg(long, conflicts_with_all = ["snapshot", "all", "repair"])]
    pub(crate) cloud: bool,
    /// Compare records, entries and metadata only, and read no content
    #[arg(long)]
    pub(crate) quick: bool,
    /// Read the content of one part: runs of 1/7, 2/7 and so on to 7/7 read each stored file once
    #[arg(long, value_name = "N/T", value_parser = part, conflicts_with = "quick")]
    pub(crate) subset: Option<(u32, u32)>,
    /// Read all content [default]
    #[arg(long, conflicts_with_all = ["quick", "subset"])]
    pub(crate) full: bool,
    /// Make damaged files anew from their source, or from another stored file of the same content,
    /// in all snapshots that share them
    #[arg(long)]
    pub(crate) repair: bool,
}

/// A part such as 2/7.
fn part(text: &str) -> Result<(u32, u32), String> {
    let fault = || "not a part such as 2/7, from 1/7 to 7/7".to_owned();
    let (part, of) = text.split_once('/').ok_or_else(fault)?;
    let number = |text: &str| text.parse::<u32>().map_err(|_| fault());
    let (part, of) = (number(part)?, number(of)?);
    if part == 0 || part > of {
        return Err(fault());
    }
    Ok((part, of))
}

#[derive(Debug, Args)]
pub(crate) struct Init {
    /// Go on with what a machine of this host name left that is not there any more
    ///
    /// OLD-NAME is the host name that this machine had: its folder on the drive is renamed.
    #[arg(long, value_name = "OLD-NAME", num_args = 0..=1, default_missing_value = "")]
    pub(crate) take_over: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct One {
    /// `latest`, `latest~1`, a day, an id such as 2025-01-16_02-00-00 or its beginning
    pub(crate) snapshot: String,
}

#[derive(Debug, Args)]
pub(crate) struct Prune {
    /// Show what would go, without doing it
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Do not ask
    #[arg(long)]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) at: At,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Never deletes the newest good snapshot, nor a pinned one. What it deletes is gone."
)]
pub(crate) struct Delete {
    /// Ids such as 2025-01-16_02-00-00, their beginnings, days, latest~2
    #[arg(required = true)]
    pub(crate) snapshots: Vec<String>,
    /// Show what would go, without doing it
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Do not ask
    #[arg(long)]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) at: At,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Knows folders named by date (2025-01-16, 2025-01-16-020000 of rsync-time-backup, \
also in daily, weekly and monthly) and rsnapshot's (daily.0, alpha.3). Each is read once for its \
manifest, then renamed to where it belongs; nothing is copied or deleted. From then on retention \
decides about it, and the next backup is linked to the newest. Stop the other tool first."
)]
pub(crate) struct Adopt {
    /// The folder that holds them, on the drive of the backup [default: the tiers themselves]
    pub(crate) folder: Option<PathBuf>,
    /// Where their content was on the machine, such as /home if each of them holds what was in
    /// /home [default: /, if the configured sources are found so]
    #[arg(long, value_name = "PATH")]
    pub(crate) at: Option<PathBuf>,
    /// The folder in each of rsnapshot's that is meant [default: localhost, or the only one]
    #[arg(long, value_name = "NAME")]
    pub(crate) point: Option<String>,
    /// Show what would become what, without doing it
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Do not ask
    #[arg(long)]
    pub(crate) yes: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Simulate {
    /// How many days
    #[arg(long, value_name = "N", default_value_t = 40, value_parser = clap::value_parser!(u32).range(1..=3660))]
    pub(crate) days: u32,
    /// When backups run: daily, weekly or a systemd calendar expression [default:
    /// schedule.frequency at schedule.timeOfDay]
    #[arg(long, value_name = "EXPR")]
    pub(crate) schedule: Option<String>,
    #[command(flatten)]
    pub(crate) at: At,
}
