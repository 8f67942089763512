//! Looking for what can be adopted: folders named by date, rsnapshot's numbered ones, and those of Back In
//! Time.
//!
//! Looks at names and times only, and follows no symlink below the folder that it is given.

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt as _,
    path::Path,
};

use chrono::{DateTime, FixedOffset, Local, NaiveDate, NaiveDateTime, Offset as _, TimeZone as _};
use rustix::io::Errno;
use schema::{
    Tier,
    escape::{display, escape},
    inventory::DestinationState,
    plan::{AdoptCandidate, MadeBy},
};

use super::back_in_time;
use crate::{
    error::{Error, Result, system_reason},
    store::Store,
    sys::{Dir, Kind, Stat, bytes, resolve::resolve, stat::Nanos},
};

/// Names of a folder that are told.
const LISTED: usize = 100;

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Looked {
    /// The folder that was looked into, escaped.
    pub root: String,
    /// What can be adopted.
    pub candidates: Vec<AdoptCandidate>,
    /// What cannot, and why.
    pub passed_over: Vec<(String, String)>,
    /// How many of these could not be read.
    pub unread: usize,
}

/// The host's folder on the destination, whether or not it was ever set up.
#[derive(Debug)]
pub struct HostFolder {
    /// The folder; where it is not there yet the mount point.
    dir: Dir,
    is_there: bool,
    /// Its path as configured.
    path: String,
}

impl HostFolder {
    /// The one of a destination that was set up.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn of(store: &Store) -> std::result::Result<Self, Errno> {
        Ok(Self {
            dir: store.root.again()?,
            is_there: true,
            path: store.path.clone(),
        })
    }

    /// The one below a mount point, of a destination that was never set up.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn below(mount_point: &Path, folder: &str) -> std::result::Result<Self, Errno> {
        let mount = resolve(mount_point)?.folder()?;
        let path = mount_point.join(folder).to_string_lossy().into_owned();
        let (dir, is_there) = match mount.folder(OsStr::new(folder)) {
            Ok(dir) => (dir, true),
            Err(Errno::NOENT) => (mount, false),
            Err(error) => return Err(error),
        };
        Ok(Self {
            dir,
            is_there,
            path,
        })
    }
}

/// Looks into a folder, or into the tiers of the destination.
///
/// `point` is the name in each of rsnapshot's folders that is meant.
///
/// # Errors
/// A refusal if the folder is on another file system or is `.backup`; failed if it cannot be read.
pub fn find_adoptable(
    host: &HostFolder,
    destination: &DestinationState,
    folder: Option<&Path>,
    point: Option<&str>,
) -> Result<Looked> {
    let Some(folder) = folder else {
        return adoptable_tiers(host, destination);
    };
    let shown = display(bytes(folder.as_os_str()));
    let io = |error: Errno| Error::io("look at", bytes(folder.as_os_str()), error);
    let root = resolve(folder).map_err(io)?.folder().map_err(io)?;
    let stat = root.stat_self().map_err(io)?;
    let own = host.dir.stat_self().map_err(io)?;
    if host.is_there && stat.same_inode(&own) {
        return adoptable_tiers(host, destination);
    }
    if stat.dev != own.dev {
        return Err(Error::refused(format!(
            "{shown} is on another file system than {}, and an adoption copies nothing",
            host.path
        ))
        .hint(
            "set local.mountPoint to the drive that it is on, or copy it there with `cp -a` first",
        ));
    }
    if host.is_there {
        refuse_own(&root, host, &shown)?;
    }
    let mut looked = Looked {
        root: escape(bytes(folder.as_os_str())),
        candidates: Vec::new(),
        passed_over: Vec::new(),
        unread: 0,
    };
    let in_progress = root
        .look(OsStr::new("backup.inprogress"))
        .map_err(io)?
        .is_some();
    looked.folder(&root, "", point, io)?;
    for tier in Tier::ALL {
        match root.folder(OsStr::new(tier.folder())) {
            Ok(dir) => looked.folder(&dir, &format!("{tier}/"), point, io)?,
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {}
            Err(error) => return Err(io(error)),
        }
    }
    if looked.candidates.is_empty() && looked.passed_over.is_empty() {
        return back_in_time::look_for_profile(root, looked);
    }
    // rsync-time-backup leaves this beside a folder that is not whole, which is its newest.
    if in_progress {
        let dated = |one: &&AdoptCandidate| one.made_by == MadeBy::Dated;
        let newest = looked.candidates.iter().filter(dated);
        let newest = newest
            .max_by_key(|one| one.made_at)
            .map(|one| one.from.clone());
        if let Some(newest) = newest {
            looked.candidates.retain(|one| one.from != newest);
            let because = "backup.inprogress says that it was never finished".to_owned();
            looked.passed_over.push((newest, because));
        }
    }
    Ok(looked)
}

/// The folders in the tiers that have no record.
fn adoptable_tiers(host: &HostFolder, destination: &DestinationState) -> Result<Looked> {
    let mut looked = Looked {
        root: escape(host.path.as_bytes()),
        candidates: Vec::new(),
        passed_over: Vec::new(),
        unread: 0,
    };
    for one in &destination.unmanaged {
        let from = format!("{}/{}", one.tier, one.name);
        let name = schema::escape::unescape(&one.name).unwrap_or_default();
        let name = OsString::from(OsStr::from_bytes(&name));
        let Ok(dir) = host.dir.folder(OsStr::new(one.tier.folder())) else {
            continue;
        };
        if one.record_fault.is_some() {
            let because = "this program made it and its record is damaged: see `backup health`";
            looked.passed_over.push((from, because.to_owned()));
            continue;
        }
        match named_by_date(&name) {
            Some(made_at) => {
                let escaped = format!("{}/{}", one.tier, escape(bytes(&name)));
                let made_by = MadeBy::Dated;
                let found = candidate_tree(&dir, &name, escaped, made_at, made_by);
                looked.take(
                    &from,
                    found.map(|found| AdoptCandidate {
                        tier: Some(one.tier),
                        ..found
                    }),
                );
            }
            None => looked
                .passed_over
                .push((from, "its name is no date".to_owned())),
        }
    }
    Ok(looked)
}

/// Refuses what is this program's own.
fn refuse_own(folder: &Dir, host: &HostFolder, shown: &str) -> Result<()> {
    let io = |error: Errno| Error::io("look at", shown.as_bytes(), error);
    let own = host.dir.stat_self().map_err(io)?;
    let mut dir = folder.again().map_err(io)?;
    let mut stat = dir.stat_self().map_err(io)?;
    loop {
        if stat.same_inode(&own) {
            return Err(Error::refused(format!("{shown} is in {}", host.path))
                .hint("without a folder, `backup adopt` adopts what stands in the tiers"));
        }
        let up = dir.folder(OsStr::new("..")).map_err(io)?;
        let above = up.stat_self().map_err(io)?;
        if above.same_inode(&stat) && above.mount == stat.mount {
            return Ok(());
        }
        (dir, stat) = (up, above);
    }
}

impl Looked {
    /// Notes a folder that can be adopted, or why this one cannot: the others still can.
    fn take(&mut self, from: &str, found: std::result::Result<AdoptCandidate, Errno>) {
        match found {
            Ok(found) if found.names.is_empty() => {
                self.passed_over
                    .push((from.to_owned(), "it is empty".to_owned()));
            }
            Ok(found) => self.candidates.push(found),
            Err(error) => {
                self.unread += 1;
                let because = format!("it cannot be read: {}", system_reason(&error.into()));
                self.passed_over.push((from.to_owned(), because));
            }
        }
    }

    /// Looks at the names in one folder.
    pub(super) fn folder(
        &mut self,
        dir: &Dir,
        prefix: &str,
        point: Option<&str>,
        io: impl Fn(Errno) -> Error,
    ) -> Result<()> {
        for name in dir.names().map_err(&io)? {
            let Some(stat) = dir.look(&name).map_err(&io)? else {
                continue;
            };
            if stat.kind != Kind::Folder {
                continue;
            }
            let from = format!("{prefix}{}", escape(bytes(&name)));
            if let Some(made_at) = named_by_date(&name) {
                let found = candidate_tree(dir, &name, from.clone(), made_at, MadeBy::Dated);
                self.take(&from, found);
            } else if let Some(made_at) = back_in_time::named_by_it(&name) {
                let found = back_in_time::tree_of(dir, &name, &from, made_at);
                match found {
                    Ok(None) => {
                        let because = "it holds no folder `backup`".to_owned();
                        self.passed_over.push((from, because));
                    }
                    Ok(Some(found)) => self.take(&found.from.clone(), Ok(found)),
                    Err(error) => self.take(&from, Err(error)),
                }
            } else if is_numbered(&name) {
                let inner = match dir.folder(&name) {
                    Ok(inner) => inner,
                    Err(error) => {
                        self.take(&from, Err(error));
                        continue;
                    }
                };
                let Some(made_at) = local_time(stat.mtime) else {
                    self.passed_over
                        .push((from, "its time is in no year".to_owned()));
                    continue;
                };
                match the_point(&inner, point) {
                    Ok(Ok(below)) => {
                        let from = format!("{from}/{}", escape(bytes(&below)));
                        let made_by = MadeBy::Rsnapshot;
                        let found = candidate_tree(&inner, &below, from.clone(), made_at, made_by);
                        self.take(&from, found);
                    }
                    Ok(Err(because)) => self.passed_over.push((from, because)),
                    Err(error) => self.take(&from, Err(error)),
                }
            }
        }
        Ok(())
    }
}

pub(super) fn candidate_tree(
    dir: &Dir,
    name: &OsStr,
    from: String,
    made_at: DateTime<FixedOffset>,
    made_by: MadeBy,
) -> std::result::Result<AdoptCandidate, Errno> {
    let folder = dir.folder(name)?;
    let stat: Stat = folder.stat_self()?;
    let names = folder.names()?;
    Ok(AdoptCandidate {
        from,
        inode: stat.ino,
        made_at,
        made_by,
        tier: None,
        names: names
            .iter()
            .take(LISTED)
            .map(|name| escape(bytes(name)))
            .collect(),
        with_errors: false,
    })
}

/// The folder in one of rsnapshot's that is meant, or why none is.
fn the_point(
    dir: &Dir,
    point: Option<&str>,
) -> std::result::Result<std::result::Result<OsString, String>, Errno> {
    let mut folders = Vec::new();
    for name in dir.names()? {
        if dir
            .look(&name)?
            .is_some_and(|stat| stat.kind == Kind::Folder)
        {
            folders.push(name);
        }
    }
    let wanted = point.unwrap_or("localhost");
    if let Some(found) = folders.iter().find(|name| *name == wanted) {
        return Ok(Ok(found.clone()));
    }
    Ok(match (folders.as_slice(), point) {
        ([], _) => Err("it is empty".to_owned()),
        ([only], None) => Ok(only.clone()),
        (folders, _) => {
            let names: Vec<String> = folders.iter().map(|name| display(bytes(name))).collect();
            Err(format!(
                "it holds {}: name the one that is meant with --point",
                names.join(", ")
            ))
        }
    })
}

/// rsnapshot's names: a word, a point, a number.
fn is_numbered(name: &OsStr) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let word = |text: &str| {
        let mut bytes = text.bytes();
        !text.is_empty() && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    name.to_str()
        .and_then(|name| name.rsplit_once('.'))
        .is_some_and(|(interval, number)| {
            word(interval) && !interval.starts_with('_') && digits(number)
        })
}

/// The local time that a folder's name says.
pub(super) fn named_by_date(name: &OsStr) -> Option<DateTime<FixedOffset>> {
    let time = date_of(name.to_str()?)?;
    let found = Local.from_local_datetime(&time).latest().or_else(|| {
        let later = time + chrono::TimeDelta::hours(1);
        Local.from_local_datetime(&later).latest()
    })?;
    Some(found.with_timezone(&found.offset().fix()))
}

/// `2025-01-16`, `20250116`, and either with a time: `-020000`, `_02-00-00`, `T02:00`, ` 0200`.
fn date_of(name: &str) -> Option<NaiveDateTime> {
    let mut rest = name;
    let mut digits = |count: usize, separators: &str| -> Option<u32> {
        rest = rest
            .strip_prefix(|first: char| separators.contains(first))
            .unwrap_or(rest);
        let (number, after) = rest.split_at_checked(count)?;
        rest = after;
        number
            .bytes()
            .all(|byte| byte.is_ascii_digit())
            .then(|| number.parse().ok())?
    };
    let (year, month, day) = (digits(4, "")?, digits(2, "-")?, digits(2, "-")?);
    let date = NaiveDate::from_ymd_opt(year.try_into().ok()?, month, day)?;
    let (Some(hour), Some(minute)) = (digits(2, "-_T "), digits(2, "-:")) else {
        return (name.len() <= 10).then(|| date.and_hms_opt(0, 0, 0))?;
    };
    let second = digits(2, "-:").unwrap_or(0);
    let time = date.and_hms_opt(hour, minute, second)?;
    rest.is_empty().then_some(time)
}

/// A file's time in the local zone.
fn local_time(time: Nanos) -> Option<DateTime<FixedOffset>> {
    let seconds = i64::try_from(time.div_euclid(1_000_000_000)).ok()?;
    let time = DateTime::from_timestamp(seconds, 0)?.with_timezone(&Local);
    Some(time.with_timezone(&time.offset().fix()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_known_in_the_forms_that_tools_write() {
        for (name, time) in [
            ("2025-01-16", "2025-01-16 00:00:00"),
            ("20250116", "2025-01-16 00:00:00"),
            ("2025-01-16-020304", "2025-01-16 02:03:04"),
            ("2025-01-16_02-03-04", "2025-01-16 02:03:04"),
            ("2025-01-16T02:03:04", "2025-01-16 02:03:04"),
            ("2025-01-16_0203", "2025-01-16 02:03:00"),
            ("2025-01-16 02:03", "2025-01-16 02:03:00"),
            ("20250116-020304", "2025-01-16 02:03:04"),
        ] {
            let found = date_of(name).map(|time| time.to_string());
            assert_eq!(found.as_deref(), Some(time), "{name}");
        }
        for name in [
            "",
            "2025",
            "2025-01",
            "2025-02-30",
            "2025-01-16x",
            "2025-01-16-02030",
            "2025-01-16-020304x",
            "2025-01-16-250000",
            "before 2025-01-16",
            "latest",
            "é025-01-16",
        ] {
            assert_eq!(date_of(name), None, "{name}");
        }
    }

    #[test]
    fn rsnapshots_names_are_known() {
        for name in ["daily.0", "alpha.12", "my_own.3"] {
            assert!(is_numbered(OsStr::new(name)), "{name}");
        }
        for name in [
            "daily",
            "daily.",
            ".sync",
            "_delete.123",
            "photo.jpg",
            "a b.1",
            ".5",
        ] {
            assert!(!is_numbered(OsStr::new(name)), "{name}");
        }
    }
}
