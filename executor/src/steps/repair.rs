//! Heals damaged files: a new inode takes over each name that shared the damaged one.
//!
//! Invariant (law 5): no stored file is written to. The new one is made in `.backup/repair`, read
//! while it is copied, on disk before it gets a name, and takes each name by one rename. What was
//! taken over before an interruption is left as it is. A snapshot that is a subvolume is healed as a clone
//! that takes its place by one exchange ([`super::repaired_clones`]).

use std::{ffi::OsStr, fs::File, os::unix::ffi::OsStrExt as _};

use rustix::io::Errno;
use schema::{
    SnapshotId, amount,
    escape::{display, unescape},
    journal::{Outcome, Problem, ProblemKind, Status},
    plan::{RepairFile, RepairFolder, RepairName, RepairStep, StoredMetadata, StoredTime},
    verify::StoredName,
};

use super::repaired_clones::{RepairedClones, remove_clones};
use crate::{
    copy::{Copier, CopyError},
    error::{Error, ErrorKind, Result, system_reason},
    event::{Context, Event, Phase, Progress},
    rebuild,
    remove::remove_tree,
    store::{BACKUP, Store},
    sys::{
        Dir, Kind, Stat,
        attributes::{self, Attributes},
        open,
        stat::Nanos,
    },
    verify::repair_source::{open_repair_source, snapshot_tree},
};

/// Folder of files that are being made anew.
const AREA: &str = "repair";
/// The new file in it, and another name of it on its way.
const NEW: &str = "new";
const ON_ITS_WAY: &str = "name";

/// Heals what the step says; what cannot be healed is listed and left. `made_anew` is told of each snapshot
/// whose records were.
///
/// # Errors
/// An interruption, or a destination that cannot be written.
pub fn run_repair_step(
    store: &Store,
    run_id: &str,
    step: &RepairStep,
    made_anew: &dyn Fn(SnapshotId),
    context: Context<'_>,
) -> Result<Outcome> {
    repair_everything(store, run_id, step, made_anew, context).map_err(|error| match error.kind {
        ErrorKind::Interrupted => {
            error.with_hint("what was repaired stays; run the same again for the rest")
        }
        _ => error,
    })
}

fn repair_everything(
    store: &Store,
    run_id: &str,
    step: &RepairStep,
    made_anew: &dyn Fn(SnapshotId),
    context: Context<'_>,
) -> Result<Outcome> {
    remove_repair_area(store, context)?;
    let (anew, told) = repair_records(store, run_id, step, made_anew, context)?;
    let mut repair = Repair {
        store,
        context,
        area: store.area(AREA)?,
        clones: RepairedClones::default(),
        copier: Copier::default(),
        problems: told,
        names: 0,
    };
    let mut files = 0;
    for file in &step.files {
        context.stop.check()?;
        files += u64::from(repair.file(file)?);
        context.observer.event(Event::Progress(Progress {
            phase: Phase::Copy,
            entries: files,
            entries_total: step.files.len() as u64,
            ..Progress::default()
        }));
    }
    let mut folders = 0;
    for folder in &step.folders {
        context.stop.check()?;
        folders += u64::from(repair.folder(folder)?);
    }
    let Repair {
        problems,
        names,
        clones,
        area,
        ..
    } = repair;
    clones.publish_all(store, &area, context)?;
    remove_repair_area(store, context)?;
    let mut done = Vec::new();
    if !step.records.is_empty() {
        let anew = amount::plural(anew, "snapshot", "snapshots");
        done.push(format!("the records of {anew} made anew"));
    }
    if !step.files.is_empty() || !step.folders.is_empty() || done.is_empty() {
        done.push(format!(
            "{} repaired under {}",
            amount::plural(files, "file", "files"),
            amount::plural(names, "name", "names"),
        ));
    }
    if folders > 0 {
        let folders = amount::plural(folders, "folder", "folders");
        done.push(format!("and the metadata of {folders}"));
    }
    let message = done.join(", ");
    let status = match problems.is_empty() {
        true => Status::Succeeded,
        false => Status::Incomplete,
    };
    Ok(Outcome {
        status,
        message,
        problems,
        ..Outcome::default()
    })
}

/// Makes damaged manifests and records anew; how many, and what could not be.
fn repair_records(
    store: &Store,
    run_id: &str,
    step: &RepairStep,
    made_anew: &dyn Fn(SnapshotId),
    context: Context<'_>,
) -> Result<(u64, Vec<Problem>)> {
    let (mut done, mut problems) = (0, Vec::new());
    for one in &step.records {
        match rebuild::rebuild_records(store, run_id, one, context) {
            Ok(rebuilt) => {
                done += 1;
                made_anew(one.id);
                problems.extend(rebuilt.problems);
            }
            Err(error) if error.kind == ErrorKind::Interrupted => return Err(error),
            Err(error) => problems.push(Problem {
                path: one.id.to_string(),
                kind: ProblemKind::NotStored,
                message: error.message,
            }),
        }
    }
    problems.truncate(1000);
    Ok((done, problems))
}

/// Removes what an interrupted repair left.
///
/// # Errors
/// Fails if the destination cannot be written, or on an interruption.
pub fn remove_repair_area(store: &Store, context: Context<'_>) -> Result<()> {
    let named = store.named(&format!("{BACKUP}/{AREA}"));
    if let Ok(area) = store.backup.folder(OsStr::new(AREA)) {
        remove_clones(&area, &named, context)?;
    }
    remove_tree(&store.backup, OsStr::new(AREA), &named, context)
}

struct Repair<'a> {
    store: &'a Store,
    context: Context<'a>,
    area: Dir,
    clones: RepairedClones,
    copier: Copier,
    problems: Vec<Problem>,
    names: u64,
}

/// A name that is to be taken over.
struct RepairPlace<'a> {
    dir: Dir,
    name: Vec<u8>,
    wanted: &'a RepairName,
    /// Nothing stands there.
    missing: bool,
    /// It is in a clone that is to take its snapshot's place.
    in_clone: bool,
}

impl Repair<'_> {
    fn problem(&mut self, name: &StoredName, kind: ProblemKind, message: impl Into<String>) {
        let path = unescape(&name.path).unwrap_or_default();
        let problem = Problem {
            path: format!("{}:/{}", name.snapshot, display(&path)),
            kind,
            message: message.into(),
        };
        // For a clone a file is made once more.
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }

    /// Makes a file anew; says whether it was.
    fn file(&mut self, file: &RepairFile) -> Result<bool> {
        let mut places = Vec::new();
        for wanted in &file.names {
            match self.place(file, wanted) {
                Ok(place) => places.extend(place),
                Err(because) => self.problem(&wanted.name, ProblemKind::NotStored, because),
            }
        }
        let Some(first) = places.first() else {
            return Ok(false);
        };
        let shown = first.wanted.name.clone();
        if !self.make(file, &shown)? {
            return Ok(false);
        }
        // Clones first: the last of the others takes the file itself.
        let (clones, places): (Vec<_>, Vec<_>) = places.iter().partition(|place| place.in_clone);
        self.names += (clones.len() + places.len()) as u64;
        let mut firsts: Vec<&RepairPlace<'_>> = Vec::new();
        for place in clones {
            let snapshot = place.wanted.name.snapshot;
            let mut made = firsts.iter();
            let first = made.find(|first| first.wanted.name.snapshot == snapshot);
            self.take_over_in_clone(file, place, first.copied())?;
            firsts.push(place);
        }
        for (at, place) in places.iter().enumerate() {
            self.take_over(place, at + 1 == places.len())?;
        }
        Ok(true)
    }

    /// Where a name stands; none if the new file has it already.
    fn place<'n>(
        &mut self,
        file: &RepairFile,
        wanted: &'n RepairName,
    ) -> std::result::Result<Option<RepairPlace<'n>>, String> {
        let because = |error: Errno| system_reason(&error.into());
        let path = unescape(&wanted.name.path).unwrap_or_default();
        let (tree, in_clone) = self.tree(&wanted.name).map_err(|error| error.message)?;
        let (dir, name) = tree.descend(&path).map_err(because)?;
        let there = dir.look(name).map_err(because)?;
        let missing = there.is_none();
        let as_planned = match (there, file.inode) {
            (Some(stat), Some(inode)) => stat.ino == inode && stat.kind == Kind::File,
            (None, None) => true,
            _ => false,
        };
        if !as_planned {
            if self.is_done(file, &dir, name) {
                // A clone took its snapshot's place as a whole.
                if !in_clone {
                    put_time_back(&dir, wanted.folder_time).map_err(because)?;
                }
                return Ok(None);
            }
            return Err("it has changed since the plan was made".to_owned());
        }
        Ok(Some(RepairPlace {
            name: name.as_bytes().to_vec(),
            dir,
            wanted,
            missing,
            in_clone,
        }))
    }

    /// The tree in which a name is repaired, and whether that is a clone of its snapshot's.
    fn tree(&mut self, name: &StoredName) -> Result<(Dir, bool)> {
        let tree = snapshot_tree(self.store, name)?;
        if !tree.is_subvolume() {
            return Ok((tree, false));
        }
        let clone = self.clones.tree_of(&self.area, name.snapshot, &tree);
        let at = || format!("{BACKUP}/{AREA}/{}", name.snapshot);
        clone
            .map(|clone| (clone, true))
            .map_err(|error| self.store.io("clone to", &at(), error))
    }

    /// Whether a name has the right content, as after a repair that was interrupted.
    fn is_done(&mut self, file: &RepairFile, dir: &Dir, name: &OsStr) -> bool {
        let Ok(there) = dir.file(name) else {
            return false;
        };
        let stat = Stat::of_fd(&there);
        if !stat.is_ok_and(|stat| stat.kind == Kind::File && stat.size == file.size) {
            return false;
        }
        let stop = self.context.stop;
        let read = self.copier.digest(&there, false, &mut |_| stop.check());
        read.is_ok_and(|read| read.digest == file.digest)
    }

    /// Makes the new file with all its metadata; says whether its content is right.
    fn make(&mut self, file: &RepairFile, shown: &StoredName) -> Result<bool> {
        let from = match open_repair_source(self.store, &file.from) {
            Ok(from) => from,
            Err(error) => {
                let because = format!("its content cannot be read: {}", system_reason(&error));
                self.problem(shown, ProblemKind::Unreadable, because);
                return Ok(false);
            }
        };
        let at = format!("{BACKUP}/{AREA}/{NEW}");
        let io = |doing: &str, error: std::io::Error| self.store.io(doing, &at, error);
        for name in [NEW, ON_ITS_WAY] {
            match self.area.remove_file(OsStr::new(name)) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(error) => return Err(io("remove", error.into())),
            }
        }
        let new = self
            .area
            .new_file(OsStr::new(NEW), 0o600)
            .map_err(|error| io("make", error.into()))?;
        let stat = Stat::of_fd(&from).map_err(|error| io("look at", error.into()))?;
        let sparse = stat.allocated < stat.size;
        let stop = self.context.stop;
        let copied = self
            .copier
            .copy(&from, &new, sparse, stat.size, &mut |_| stop.check());
        match copied {
            Ok(copied) if copied.digest == file.digest => {}
            Ok(_) => {
                let because = "what its content is taken from has changed since the plan was made";
                self.problem(shown, ProblemKind::NotStored, because);
                return Ok(false);
            }
            Err(CopyError::Ended(error)) => return Err(error),
            Err(CopyError::Write(error)) => return Err(io("write", error)),
            Err(CopyError::Read(error)) => {
                let because = format!("its content cannot be read: {}", system_reason(&error));
                self.problem(shown, ProblemKind::Unreadable, because);
                return Ok(false);
            }
        }
        let faults = set_metadata(&new, file)?;
        new.sync_all().map_err(|error| io("sync", error))?;
        self.tell_of(&faults, shown);
        Ok(true)
    }

    fn tell_of(&mut self, faults: &[(&'static str, Errno)], name: &StoredName) {
        for (doing, error) in faults {
            let because = format!("cannot {doing}: {}", system_reason(&(*error).into()));
            self.problem(name, ProblemKind::Metadata, because);
        }
    }

    /// Makes a file like the new one in a clone, with the same blocks where that can be; further names
    /// of it lead to the first.
    fn take_over_in_clone(
        &mut self,
        file: &RepairFile,
        place: &RepairPlace<'_>,
        first: Option<&RepairPlace<'_>>,
    ) -> Result<()> {
        let wanted = &place.wanted.name;
        let at = format!("{BACKUP}/{AREA}/{}/{}", wanted.snapshot, wanted.path);
        let store = self.store;
        let io = |error: std::io::Error| store.io("replace", &at, error);
        let name = OsStr::from_bytes(&place.name);
        match place.dir.remove_file(name) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => return Err(io(error.into())),
        }
        if let Some(first) = first {
            let first_name = OsStr::from_bytes(&first.name);
            let linked = place.dir.link_from(&first.dir, first_name, name);
            linked.map_err(|error| io(error.into()))?;
        } else {
            let from = self.area.file(OsStr::new(NEW));
            let from = from.map_err(|error| io(error.into()))?;
            let new = place.dir.new_file(name, 0o600);
            let new = new.map_err(|error| io(error.into()))?;
            if file.size > 0 && rustix::fs::ioctl_ficlone(&new, &from).is_err() {
                let stop = self.context.stop;
                let copied = self
                    .copier
                    .copy(&from, &new, false, file.size, &mut |_| stop.check());
                match copied {
                    Ok(_) => {}
                    Err(CopyError::Ended(error)) => return Err(error),
                    Err(CopyError::Read(error) | CopyError::Write(error)) => {
                        return Err(io(error));
                    }
                }
            }
            let faults = set_metadata(&new, file)?;
            self.tell_of(&faults, wanted);
        }
        put_time_back(&place.dir, place.wanted.folder_time).map_err(|error| io(error.into()))?;
        self.clones.change(wanted.snapshot);
        Ok(())
    }

    /// Gives the new file a name; the last one takes the file itself.
    fn take_over(&self, place: &RepairPlace<'_>, is_last: bool) -> Result<()> {
        let name = OsStr::from_bytes(&place.name);
        let new = OsStr::new(NEW);
        let on_its_way = OsStr::new(if is_last { NEW } else { ON_ITS_WAY });
        let linked = match is_last {
            true => Ok(()),
            false => self.area.link_from(&self.area, new, on_its_way),
        };
        linked
            .and_then(|()| match place.missing {
                true => self.area.rename_new(on_its_way, &place.dir, name),
                false => self.area.rename_to(on_its_way, &place.dir, name),
            })
            .and_then(|()| put_time_back(&place.dir, place.wanted.folder_time))
            .and_then(|()| place.dir.sync())
            .map_err(|error| {
                let wanted = &place.wanted.name;
                let at = format!("{}/{}", wanted.snapshot, wanted.path);
                self.store.io("replace", &at, error)
            })
    }

    /// Gives a folder its metadata back; says whether it could.
    fn folder(&mut self, folder: &RepairFolder) -> Result<bool> {
        let path = unescape(&folder.name.path).unwrap_or_default();
        let (tree, in_clone) = self.tree(&folder.name)?;
        let set = tree.descend(&path).and_then(|(dir, name)| {
            let dir = dir.folder(name)?;
            set_stored_owner(&dir, &folder.metadata)?;
            open::set_mode(&dir, folder.metadata.mode)?;
            open::set_mtime(&dir, stored_nanos(folder.metadata.time))?;
            dir.sync()
        });
        if let Err(error) = set {
            let because = system_reason(&error.into());
            self.problem(&folder.name, ProblemKind::Metadata, because);
        } else if in_clone {
            self.clones.change(folder.name.snapshot);
        }
        Ok(set.is_ok())
    }
}

/// Gives a new file all its metadata; what could not be set.
fn set_metadata(new: &File, file: &RepairFile) -> Result<Vec<(&'static str, Errno)>> {
    let mut faults = Vec::new();
    let owned = set_stored_owner(new, &file.metadata);
    faults.extend(owned.err().map(|error| ("set the owner", error)));
    for (name, value) in attributes_of(file)? {
        let set = attributes::set_fd(new, &name, &value);
        faults.extend(set.err().map(|error| ("set an attribute", error)));
    }
    let moded = open::set_mode(new, file.metadata.mode);
    faults.extend(moded.err().map(|error| ("set the mode", error)));
    let timed = open::set_mtime(new, stored_nanos(file.metadata.time));
    faults.extend(timed.err().map(|error| ("set the time", error)));
    Ok(faults)
}

/// Only root can give files away.
fn set_stored_owner(
    fd: impl std::os::fd::AsFd,
    metadata: &StoredMetadata,
) -> std::result::Result<(), Errno> {
    if !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    open::set_owner(fd, metadata.uid, metadata.gid)
}

/// A new name in a folder moves the folder's time, which the manifest has.
fn put_time_back(dir: &Dir, time: StoredTime) -> std::result::Result<(), Errno> {
    let time = stored_nanos(time);
    if dir.stat_self()?.mtime == time {
        return Ok(());
    }
    open::set_mtime(dir, time)
}

fn stored_nanos(time: StoredTime) -> Nanos {
    Nanos::from(time.seconds) * 1_000_000_000 + Nanos::from(time.nanos)
}

fn attributes_of(file: &RepairFile) -> Result<Attributes> {
    let parsed = file.attributes.iter().map(|(name, value)| {
        let value = value.as_bytes().chunks(2).map(|pair| {
            let pair = std::str::from_utf8(pair).ok()?;
            u8::from_str_radix(pair, 16).ok()
        });
        Some((unescape(name)?, value.collect::<Option<Vec<u8>>>()?))
    });
    parsed
        .collect::<Option<Attributes>>()
        .ok_or_else(|| Error::failed("the step has an attribute that is no name with a value"))
}
