//! The rsync engine: real rsync moves bytes into the tree in `partial`, and does nothing else.
//!
//! It is given the files whose content is new by the survey, and is not started where there are
//! none. Invariant: rsync never touches an entry that is there already (`--ignore-existing`), because
//! that may share its inode with a published snapshot. It decides nothing: links, metadata and all
//! else is done by the same pass that the built-in engine consists of, which lists every entry of the
//! survey and copies what is missing or not as it should be.

mod adopter;
mod call;
mod give_way;
mod list;
mod listener;
mod outcome;
mod output;
mod own;
mod reader;
mod readers;

use std::{
    ffi::{OsStr, OsString},
    io::{BufWriter, Write as _},
    os::unix::ffi::OsStrExt as _,
};

use rustix::io::Errno;
use schema::{
    StoredPath,
    plan::SnapshotStep,
    rsync::{DESTINATION, RsyncCall, SOURCE, is_of_list},
};

use self::outcome::RsyncComplaints;
use self::{
    adopter::Adopter,
    call::{Call, RsyncExit},
    list::{Choice, ToCopy},
    listener::{Tally, say_left_to_engine},
    reader::Sides,
};
use super::{feed::Feed, resume_journal::Taken, start::Started};
use crate::{
    error::{Error, Result},
    event::Context,
    manifest,
    process::orphans::end_marked,
    remove::remove_tree,
    store::Store,
    survey::{FoundSource, Survey, nanos_of},
    sys::{Dir, Kind, distance::round_trip},
};

/// What rsync did.
#[derive(Default)]
pub(super) struct Filled {
    /// What it complained of.
    pub(super) heard: RsyncComplaints,
    /// What it copied and was read for its digest by this process.
    pub(super) fresh: Taken,
}

/// Has rsync copy the files whose content is new; none where there are no such files.
///
/// # Errors
/// An interruption, too little space, or an rsync that failed. What was copied stays.
pub(super) fn fill_by_rsync(
    store: &Store,
    step: &SnapshotStep,
    started: &Started,
    (survey, feed): (&Survey, Option<&Feed>),
    context: Context<'_>,
) -> Result<Option<Filled>> {
    let rsync = step
        .rsync
        .as_ref()
        .ok_or_else(|| Error::failed("the plan does not say how to call rsync"))?;
    let record = store.destination()?.ok_or_else(|| {
        Error::failed(format!("{} has no destination.json", store.path))
            .hint("run `backup apply` again: it sets the destination up")
    })?;
    let can = &record.capabilities;
    // Where two names may be one, entries are made one after the other, by who asks before each.
    if can.folds_names() {
        return Ok(None);
    }
    // rsync writes a changed file whole.
    let is_local = round_trip(&started.tree).is_none();
    let shares = step.basis.is_some() && is_local && started.tree.shares_blocks();
    let choice = Choice { can, shares };
    let (jobs, to_copy) = write_lists(store, &rsync.calls, started, (survey, feed), choice)?;
    if jobs.is_empty() {
        return Ok(None);
    }
    give_way::clear_changed_files(store, step, started, &jobs, survey, choice)?;
    let mut tally = Tally::default();
    tally.files += to_copy.files;
    tally.expected_bytes += to_copy.bytes;
    let call = Call {
        store,
        step,
        rsync,
        destination_id: &record.id,
        can,
        context,
    };
    // Its inode is needed when rsync has filled the disk, to go on at all.
    let manifest = started
        .records
        .file_or_new(OsStr::new(manifest::FILE_NAME), 0o600);
    manifest.map_err(|error| store.io("write", "the manifest", error))?;
    let mut adopter = Adopter::new(store, started, nanos_of(survey.from))?;
    let mut heard = RsyncComplaints::default();
    for job in jobs {
        let one = job.call;
        match copy_source(&call, &job, started, &mut adopter, &mut tally) {
            Ok(Some(ended)) => {
                if let Some(because) = heard
                    .judge(one, &ended)
                    .map_err(|error| adopter.stop(error))?
                {
                    say_left_to_engine(context, &because);
                }
            }
            Ok(None) => {}
            Err(error) => return Err(adopter.stop(error)),
        }
        remove_list(store, one, started)?;
    }
    let fresh = adopter.finish()?;
    Ok(Some(Filled { heard, fresh }))
}

/// A call for which there is something to copy.
pub(super) struct Job<'a> {
    call: &'a RsyncCall,
    found: &'a FoundSource,
    /// All that is in the source is to be copied.
    is_all: bool,
}

/// Writes the lists of all calls; gives the calls for which there is something to copy, and how much
/// there is.
fn write_lists<'a>(
    store: &Store,
    calls: &'a [RsyncCall],
    started: &Started,
    (survey, feed): (&'a Survey, Option<&Feed>),
    choice: Choice<'_>,
) -> Result<(Vec<Job<'a>>, ToCopy)> {
    let mut all = ToCopy::default();
    let mut jobs = Vec::new();
    for one in calls {
        let mut sources = survey.sources.iter();
        let found = sources.find(|source| source.path == one.source);
        // One that is not there, or not what it was when the plan was made, is told of or copied by
        // whoever makes the tree equal to the sources.
        let Some(Ok(found)) = found.map(|source| &source.found) else {
            continue;
        };
        if (found.stat.kind == Kind::Folder) != one.folder || found.other_files == 0 {
            continue;
        }
        // What another destination was given comes from there, and no rsync reads its source.
        if feed.is_some_and(|feed| feed.is_nearer_than(found)) {
            continue;
        }
        let to_copy = write_list(store, one, started, found, survey, choice)?;
        if to_copy.files > 0 {
            all.files += to_copy.files;
            all.bytes = all.bytes.saturating_add(to_copy.bytes);
            jobs.push(Job {
                call: one,
                found,
                is_all: to_copy.is_all,
            });
        }
    }
    Ok((jobs, all))
}

/// The name of a call's list in the snapshot's records folder; none for a single file, and for a
/// plan of an earlier version, which had no lists.
fn list_name(one: &RsyncCall) -> Option<&OsStr> {
    let name = one.list.as_deref()?;
    (!name.is_empty() && !name.contains('/') && name != "." && name != "..")
        .then(|| OsStr::new(name))
}

/// Writes what a call is to copy; gives how much it is.
fn write_list(
    store: &Store,
    one: &RsyncCall,
    started: &Started,
    found: &FoundSource,
    survey: &Survey,
    choice: Choice<'_>,
) -> Result<ToCopy> {
    let fault = |error: std::io::Error| store.io("write", "the list of what rsync copies", error);
    let record = found.record.look_through();
    if !one.folder {
        return list::write_file_list(record, &survey.moves, choice, one, &mut std::io::sink())
            .map_err(fault);
    }
    let Some(name) = list_name(one) else {
        return Ok(ToCopy::default());
    };
    remove_list(store, one, started)?;
    let file = started.records.new_file(name, 0o600);
    let mut file = BufWriter::new(file.map_err(|error| fault(error.into()))?);
    let to_copy =
        list::write_file_list(record, &survey.moves, choice, one, &mut file).map_err(fault)?;
    file.flush().map_err(fault)?;
    if to_copy.files == 0 {
        remove_list(store, one, started)?;
    }
    Ok(to_copy)
}

fn remove_list(store: &Store, one: &RsyncCall, started: &Started) -> Result<()> {
    let Some(name) = list_name(one) else {
        return Ok(());
    };
    match started.records.remove_file(name) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(store.io("remove", "the list of what rsync copies", error)),
    }
}

/// Ends what an interrupted run may have left running in a tree that is continued.
///
/// # Errors
/// A process that does not end.
pub(super) fn end_orphans(store: &Store) -> Result<()> {
    match store.destination()? {
        Some(record) => end_marked(&record.id),
        None => Ok(()),
    }
}

/// Has rsync copy from one source; none where it cannot be started for now, which is said, or the
/// source is another one meanwhile.
fn copy_source(
    call: &Call<'_>,
    job: &Job<'_>,
    started: &Started,
    adopter: &mut Adopter<'_>,
    tally: &mut Tally,
) -> Result<Option<RsyncExit>> {
    let Job {
        call: one,
        found,
        is_all,
    } = job;
    let path = one.source.as_stored();
    let opened = if one.folder {
        found.parent.folder(&found.name)
    } else {
        found.parent.again()
    };
    // One that cannot be opened is told of by whoever looks into it next.
    let Ok(from) = opened else {
        return Ok(None);
    };
    if one.folder
        && !from
            .stat_self()
            .is_ok_and(|stat| stat.same_inode(&found.stat))
    {
        return Ok(None);
    }
    let folder = match one.folder {
        true => path,
        false => path.parent().unwrap_or_default(),
    };
    let into = make_folders(call, &started.tree, folder)?;
    let mut place = output::SOURCE.as_bytes().to_vec();
    place.push(b'/');
    let single = (!one.folder).then(|| {
        let name = found.name.as_bytes().to_vec();
        place.extend_from_slice(&name);
        (name, path.file_name().to_vec())
    });
    let mut arguments: Vec<OsString> = Vec::new();
    for argument in &one.arguments {
        match argument.as_str() {
            SOURCE => arguments.push(OsStr::from_bytes(&place).to_owned()),
            DESTINATION => {
                let own = own::own_excludes(call.store, &from);
                arguments.extend(own.into_iter().map(OsString::from));
            }
            // With a list each path is opened part by part, even where the list is all that there is.
            listed if *is_all && is_of_list(listed) => {}
            _ => arguments.push(argument.into()),
        }
    }
    let crosses_none = call.step.one_file_system;
    let sides = Sides::new((from, into), folder, single, crosses_none, call.can.clone());
    call.run(&arguments, &sides, adopter, tally)
}

/// Makes the folders in the new tree that rsync is to fill, with no other's permission to enter;
/// their metadata comes when they are full.
fn make_folders(call: &Call<'_>, tree: &Dir, folder: &StoredPath) -> Result<Dir> {
    let mut dir = tree
        .again()
        .map_err(|error| call.store.io("open", "partial", error))?;
    for path in folder.ancestors_from_top() {
        let named = path.to_absolute();
        let name = OsStr::from_bytes(path.file_name());
        let there = dir.look(name);
        let there = there.map_err(|error| Error::io("look at", &named, error))?;
        if there.is_some_and(|there| there.kind != Kind::Folder) {
            remove_tree(&dir, name, &path.shown(), call.context)?;
        }
        if there.is_some_and(|there| there.kind == Kind::Folder) {
            let _ = dir.set_mode_of(name, 0o700);
        }
        dir = dir
            .folder_or_new(name, 0o700)
            .map_err(|error| Error::io("make", &named, error))?;
    }
    Ok(dir)
}
