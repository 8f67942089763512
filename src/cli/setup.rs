//! Options of the verbs that set a backup up, or tell of it.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{At, OnDestination};

#[derive(Debug, Args)]
#[command(
    after_help = "`backup setup --enable` does this and all that follows. By hand, then: systemctl \
daemon-reload, and systemctl enable --now backup.timer \
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
    /// Print those of your own systemd, which does the whole run in one service without a sandbox; their
    /// folder is ~/.config/systemd/user
    #[arg(long)]
    pub(crate) user: bool,
    /// With --to, show which files would be written and removed, without doing it
    #[arg(long, requires = "to")]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct View {
    /// Take it away, whatever the configuration says, until the next run or `backup view`
    #[arg(long)]
    pub(crate) remove: bool,
    /// Show what users would see, without doing it
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) on: OnDestination,
}

#[derive(Debug, Args)]
pub(crate) struct NotifyTest {
    /// Show over which channels a message would go, and send none
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Settle {
    /// Show whether a run owes anything, without doing it
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Try {
    /// What to back up [default: the first of your Documents, Pictures, Desktop and the current
    /// folder that holds anything]
    pub(crate) dir: Option<PathBuf>,
    /// Where to [default: backup/try in the XDG data folder, or below /var/tmp if that is in DIR]
    #[arg(long, value_name = "FOLDER")]
    pub(crate) to: Option<PathBuf>,
    /// Show what would be backed up to where, and write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
#[command(
    after_help = "In a terminal it asks for what is not said and shows what it found: drives that are \
mounted or could be, home folders, rsync. Elsewhere it needs --mount-point or --cloud, --source and \
--schedule, or --yes. As \
root it is for the machine, else for your own files. A README of all keys is written beside the \
configuration. With --enable alone it makes the units of the configuration that is there.\n\n\
Examples:\n  sudo backup setup\n  sudo backup setup --mount-point /mnt/backup --source /home --source /etc \
--schedule daily --enable\n  backup setup --cloud nas: --source ~ --schedule daily\n  backup setup --dry-run --yes"
)]
pub(crate) struct Setup {
    /// Where the drive for the backups is mounted (local.mountPoint)
    #[arg(long, value_name = "DIR")]
    pub(crate) mount_point: Option<PathBuf>,
    /// Copy to this remote of rclone, `name:` or `name:folder` (cloud.remote): without --mount-point to
    /// nothing else, so that no drive is needed
    #[arg(long, value_name = "REMOTE")]
    pub(crate) cloud: Option<String>,
    /// rclone's configuration (cloud.configFile) [default: the one that rclone takes by itself]
    #[arg(long, value_name = "FILE", requires = "cloud")]
    pub(crate) rclone_config: Option<PathBuf>,
    /// A folder or file to back up; once for each (local.sources)
    #[arg(long = "source", value_name = "PATH")]
    pub(crate) sources: Vec<PathBuf>,
    /// When: daily, weekly, a calendar expression of systemd, or none for backups by hand
    /// (schedule.frequency)
    #[arg(long, value_name = "WHEN")]
    pub(crate) schedule: Option<String>,
    /// What copies: both make the same snapshots [default: rsync where it is installed]
    #[arg(long)]
    pub(crate) engine: Option<CopyEngine>,
    /// Each snapshot may be a whole copy, on a drive without hard links such as exFAT
    /// (local.allowFullCopies)
    #[arg(long)]
    pub(crate) allow_full_copies: bool,
    /// Set the mounted drive up for this machine, as `backup init` does
    #[arg(long)]
    pub(crate) init: bool,
    /// Write the systemd units and have them start backups from now on
    #[arg(long)]
    pub(crate) enable: bool,
    /// Install this program as /usr/local/bin/backup, where only root can replace it
    #[arg(long)]
    pub(crate) install: bool,
    /// Take what is proposed for all that is not said, set the drive up, and ask nothing
    #[arg(short, long)]
    pub(crate) yes: bool,
    /// Write a new configuration although there is one, which is kept beside it
    #[arg(long)]
    pub(crate) replace: bool,
    /// Show what would be written, and write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// What copies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum CopyEngine {
    /// The program rsync, version 3.2 or newer
    Rsync,
    /// This program itself, which is faster
    Builtin,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Reads state.json beside the configuration, which the NixOS module writes with \
state.enable or state.warn: what services, databases, users, containers and the machine itself keep. With -v \
the options that say so stand below each path. Exits with 3 if something is in no backup and not in state.ignore."
)]
pub(crate) struct State {
    /// Only what is in no backup
    #[arg(long)]
    pub(crate) missing: bool,
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
    /// A plan: plan.json, and what `plan` prints, and `--dry-run` of the verbs that run one
    Plan,
    /// An inventory: inventory.json
    Inventory,
    /// A report: report.json, and what each verb prints that changes something,
    /// or was refused to
    #[value(aliases = [
        "accept", "apply", "delete", "init", "now", "pin", "prune", "unpin",
    ])]
    Report,
    /// What `verify` found
    #[value(alias = "verify")]
    Verification,
    /// What `health` found
    Health,
    /// What `drill` prints; with `--dry-run` a drill-plan
    Drill,
    /// What `drill --dry-run` prints
    DrillPlan,
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
    /// What the verb `report` prints; a report is what became of one run
    PeriodReport,
    /// What `state` prints
    State,
    /// What this machine keeps: state.json
    StateTable,
    /// What `check` prints, and every verb of a configuration with faults
    Check,
    /// What `restore --dry-run` prints; without it a report
    Restore,
    /// What `adopt --dry-run` prints; without it a report
    Adopt,
    /// What `notify-test` prints
    NotifyTest,
    /// What `setup` has written, or with `--dry-run` would write
    Setup,
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
#[command(after_help = "For bash: backup completions bash > \
~/.local/share/bash-completion/completions/backup; for zsh into a file _backup in a folder of $fpath; for fish \
into ~/.config/fish/completions/backup.fish. In these three, TAB also offers the snapshots that a verb can work \
on, and after `restore ID` and `diff A B` the paths in them, as far as you may read them, by the --config of \
the line if it has one; a drive that does not answer offers nothing. The script completes backup-now, \
backup-status, backup-restore and backup-verify too.")]
pub(crate) struct Completions {
    /// Which shell
    pub(crate) shell: clap_complete::Shell,
}

#[derive(Debug, Args)]
pub(crate) struct Man {
    /// Write backup.1, backup.json.5 and a page for each verb into this folder, which is made if need be
    #[arg(long, value_name = "DIR")]
    pub(crate) to: Option<PathBuf>,
    /// With --to, show which files would be written, and write none
    #[arg(long, requires = "to")]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Init {
    /// Go on with what a machine of this host name left that is not there any more
    ///
    /// OLD-NAME is the host name that this machine had: its folder on the drive is renamed.
    #[arg(long, value_name = "OLD-NAME", num_args = 0..=1, default_missing_value = "")]
    pub(crate) take_over: Option<String>,
    /// Show what would become of the drive, without doing it
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) on: OnDestination,
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
    #[command(flatten)]
    pub(crate) on: OnDestination,
}
