//! Options of the verbs that work on snapshots.

use std::{ffi::OsString, path::PathBuf};

use clap::{Args, ValueEnum};
use schema::config::DestinationName;

use super::{At, OnDestination, OnNearest};

#[derive(Debug, Args)]
#[command(
    after_help = "The snapshots stand on the left, a folder as it was in the middle, the versions of what is \
chosen there on the right; ? shows the keys. Nothing is changed but by a verb that is shown as it would be typed, and \
a deletion shows its plan and asks. Needs a terminal: `backup list`, `backup find` and `backup diff` show the same in \
lines."
)]
pub(crate) struct Browse {
    /// The file or folder to begin at, as it was on the machine
    pub(crate) path: Option<PathBuf>,
    /// On this destination (local, or one of destinations.<name>), or in this folder (with a / in it), such as
    /// where the disk of another machine is mounted [default: the nearest that has snapshots: local, then
    /// disks, then remotes]
    #[arg(long, value_name = "NAME|DIR", value_parser = parse_place)]
    pub(crate) destination: Option<BrowsePlace>,
}

/// What is browsed.
#[derive(Debug, Clone)]
pub(crate) enum BrowsePlace {
    /// A destination of the configuration.
    Named(DestinationName),
    /// A folder with the snapshots of a host, or a disk with such.
    Folder(PathBuf),
}

/// A name, or a folder, which has a slash in it.
fn parse_place(text: &str) -> Result<BrowsePlace, String> {
    if text.contains('/') || text == "." || text == ".." {
        return Ok(BrowsePlace::Folder(text.into()));
    }
    let name = text.parse::<DestinationName>();
    name.map(BrowsePlace::Named)
        .map_err(|fault| format!("{fault}; a folder has a / in it, as ./{text} has"))
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
    #[command(flatten)]
    pub(crate) on: OnNearest,
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
    /// The later one, or `now` for the sources as they are [default: latest, which alone is compared
    /// with the one before it]
    pub(crate) after: Option<String>,
    /// Only this path, as it was on the machine, and what is below it
    pub(crate) path: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) on: OnNearest,
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
    /// Folder for what is downloaded from a remote, with room for it, until the restore has ended [default:
    /// the state folder]
    #[arg(long, value_name = "DIR")]
    pub(crate) staging: Option<PathBuf>,
    /// Do not read back what was written
    #[arg(long)]
    pub(crate) no_read_back: bool,
    /// Where no sealed manifest vouches for them (adopted or damaged snapshots), restore devices, and
    /// set-id bits and capabilities of programs, all the same
    #[arg(long)]
    pub(crate) special: bool,
    /// Show the snapshots that can be restored from, of all destinations or of the one that is named
    #[arg(long, conflicts_with_all = ["snapshot", "dry_run", "overwrite", "in_place", "as_of"])]
    pub(crate) list: bool,
    #[command(flatten)]
    pub(crate) on: OnNearest,
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
written to sources and snapshots, except with --repair, and a backup may run meanwhile. With \
--destination on a remote its contents are compared, those of all snapshots at once where none is \
named, and as much of them as with --cloud; what is damaged there is uploaded again by the next backup."
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
    /// All snapshots, and before that their manifests with the digests that this machine keeps of
    /// those that it sealed: for a disk that comes back from elsewhere. With --cloud the copy in the
    /// cloud is asked for digests that this machine does not have, as after its state directory was lost
    #[arg(long, conflicts_with = "snapshot")]
    pub(crate) against_state: bool,
    /// Compare records, entries and metadata only, and read no content
    #[arg(long)]
    pub(crate) quick: bool,
    /// Read the content of one part: runs of 1/7, 2/7 and so on to 7/7 read each stored file once
    #[arg(long, value_name = "N/T", value_parser = parse_part, conflicts_with = "quick")]
    pub(crate) subset: Option<(u32, u32)>,
    /// Read all content [default]
    #[arg(long, conflicts_with_all = ["quick", "subset"])]
    pub(crate) full: bool,
    /// Make damaged files anew from their source, or from another stored file of the same content,
    /// in all snapshots that share them
    #[arg(long)]
    pub(crate) repair: bool,
    /// With --repair, show what could be made anew, and write nothing
    #[arg(long, requires = "repair", conflicts_with = "against_state")]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) on: OnDestination,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Nothing is copied, and nothing is written to sources and destination: what is written in the \
room is thrown away, and no network can be reached from there. A sample of files is read and compared with the \
manifest, then each of monitoring.drill.checks is run. Of a remote with history (--destination) a sample is \
downloaded, compared and restored into a folder that is removed again. Exits with 0 if all of it is as it should \
be, with 1 if not."
)]
pub(crate) struct Drill {
    /// `latest`, `latest~1`, a day, an id such as 2025-01-16_02-00-00 or its beginning [default:
    /// latest, the last good one]
    pub(crate) snapshot: Option<String>,
    /// Show what the room would show and what would be run, without doing it
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// `local`, or the only disk, and each remote with history, one after the other
    #[arg(long, conflicts_with_all = ["snapshot", "destination"])]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) on: OnDestination,
}

/// A part such as 2/7.
fn parse_part(text: &str) -> Result<(u32, u32), String> {
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
pub(crate) struct One {
    /// `latest`, `latest~1`, a day, an id such as 2025-01-16_02-00-00 or its beginning
    pub(crate) snapshot: String,
    /// Show what would change, without doing it
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) on: OnDestination,
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
    #[command(flatten)]
    pub(crate) on: OnDestination,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Never deletes the newest good snapshot, nor a pinned one. What it deletes is gone; \
what a remote lets go stays there for its keepHistoryDays."
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
    #[command(flatten)]
    pub(crate) on: OnDestination,
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
    /// /home; a relative path is of the current folder [default: /, if the configured sources are found so]
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
    #[command(flatten)]
    pub(crate) on: OnDestination,
}
