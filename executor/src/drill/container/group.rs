//! The control group of a container: a folder in the one that the drill runs in, which is removed with all that
//! the container made in it. So nothing of systemd's own groups is touched, and no unit of the machine is made.
//!
//! The kernel does not take such folders away by itself. Those of a drill that was killed are empty, and go with
//! the next one, or with the unit that it ran in.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use super::super::room::no_room;
use crate::error::Result;

/// What their names begin with.
const NAME: &str = "backup-drill-";
/// Where hierarchies are mounted.
const MOUNTED: &str = "/sys/fs/cgroup";
/// How long the kernel may take to see that all processes of a group are gone.
const PATIENCE: Duration = Duration::from_secs(5);

/// The group of a container in each hierarchy that systemd uses.
#[derive(Debug)]
pub(super) struct Group {
    /// The folder above it, and its own.
    places: Vec<(PathBuf, PathBuf)>,
}

impl Group {
    /// Removes what a killed drill left, makes a group and enters it.
    ///
    /// # Errors
    /// There is no such hierarchy, or it cannot be written to.
    pub(super) fn enter(number: u32) -> Result<Self> {
        Self::make(number).map_err(|error| no_room("make a control group", error))
    }

    fn make(number: u32) -> io::Result<Self> {
        let own = fs::read_to_string("/proc/self/cgroup")?;
        let is_unified = Path::new(MOUNTED).join("cgroup.controllers").exists();
        let above = folders_of(&own, is_unified);
        let mut places = Vec::new();
        for above in above.into_iter().filter(|above| above.is_dir()) {
            remove_abandoned(&above);
            let folder = above.join(format!("{NAME}{number}"));
            fs::create_dir(&folder)?;
            join(&folder)?;
            places.push((above, folder));
        }
        match places.is_empty() {
            true => Err(io::ErrorKind::NotFound.into()),
            false => Ok(Self { places }),
        }
    }

    /// Leaves it and removes it. All other processes in it must have ended.
    pub(super) fn leave(self) {
        let until = Instant::now() + PATIENCE;
        for (above, folder) in self.places {
            // Where this fails the next drill removes it.
            let _ = join(&above);
            while remove_tree(&folder).is_err() && Instant::now() < until {
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    }
}

/// The folders of the groups that a process is in, as its `/proc/self/cgroup` says, of the hierarchies that
/// systemd uses.
fn folders_of(own: &str, is_unified: bool) -> Vec<PathBuf> {
    let folder_of = |line: &str| {
        let mut parts = line.splitn(3, ':');
        let (_, hierarchy, path) = (parts.next()?, parts.next()?, parts.next()?);
        let top = match hierarchy {
            "" if is_unified => MOUNTED.to_owned(),
            "" => format!("{MOUNTED}/unified"),
            "name=systemd" => format!("{MOUNTED}/systemd"),
            _ => return None,
        };
        Some(PathBuf::from(format!("{top}{path}")))
    };
    own.lines().filter_map(folder_of).collect()
}

/// Puts this process in a group.
fn join(folder: &Path) -> io::Result<()> {
    fs::write(folder.join("cgroup.procs"), "0")
}

/// Removes groups of drills in which no process is any more.
fn remove_abandoned(above: &Path) {
    let names = fs::read_dir(above).into_iter().flatten().flatten();
    let names = names.filter(|one| one.file_name().to_string_lossy().starts_with(NAME));
    for one in names {
        if is_empty(&one.path()) {
            // Somebody else may be at it.
            let _ = remove_tree(&one.path());
        }
    }
}

/// Whether no process is in a group or below it.
fn is_empty(folder: &Path) -> bool {
    let has_none = fs::read_to_string(folder.join("cgroup.procs")).is_ok_and(|all| all.is_empty());
    has_none && folders_in(folder).iter().all(|inner| is_empty(inner))
}

/// Removes a group and those below it, which the kernel allows where no process is in them.
fn remove_tree(folder: &Path) -> io::Result<()> {
    for inner in folders_in(folder) {
        remove_tree(&inner)?;
    }
    match fs::remove_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

fn folders_in(folder: &Path) -> Vec<PathBuf> {
    let all = fs::read_dir(folder).into_iter().flatten().flatten();
    all.filter(|one| one.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|one| one.path())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_found_in_either_form() {
        let unified = folders_of("0::/system.slice/backup-drill.service\n", true);
        let expected = "/sys/fs/cgroup/system.slice/backup-drill.service";
        assert_eq!(unified, [PathBuf::from(expected)]);
        let both = "5:memory:/a\n2:name=systemd:/b:c\n0::/d\n";
        let expected = ["/sys/fs/cgroup/systemd/b:c", "/sys/fs/cgroup/unified/d"];
        assert_eq!(folders_of(both, false), expected.map(PathBuf::from));
    }

    #[test]
    fn only_what_nobody_is_in_is_removed() {
        let scratch = tempfile::tempdir().unwrap();
        let at = |name: &str| scratch.path().join(name);
        for (name, inner, processes) in [
            ("backup-drill-1", "payload", ""),
            ("backup-drill-2", "payload", "17\n"),
            ("another", "payload", ""),
        ] {
            fs::create_dir_all(at(name).join(inner)).unwrap();
            // Not as the kernel's, this file keeps its folder from being removed.
            fs::write(at(name).join(inner).join("cgroup.procs"), processes).unwrap();
            fs::write(at(name).join("cgroup.procs"), "").unwrap();
        }
        assert!(is_empty(&at("backup-drill-1")));
        assert!(!is_empty(&at("backup-drill-2")));
    }
}
