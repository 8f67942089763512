//! The rsync engine: real rsync fills the tree in `partial`, one call for each source.
//!
//! Invariant: rsync never touches an entry that is there already (`--ignore-existing`), because
//! that may share its inode with a published snapshot. It decides nothing: what it leaves is made
//! equal to the sources by the same pass that the built-in engine consists of, which lists every
//! entry and copies what is missing or not as it should be.

mod adopter;
mod call;
mod orphans;
mod outcome;
mod output;
mod own;
mod silence;

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt as _,
    process::Command,
};

use rustix::io::Errno;
use schema::{
    plan::SnapshotStep,
    rsync::{DESTINATION, RsyncCall, SOURCE},
};

pub(super) use self::outcome::Heard;
use self::{
    adopter::{Adopter, Sides},
    call::{Call, Tally},
};
use super::start::Started;
use crate::{
    error::{Error, Result},
    event::Context,
    manifest,
    remove::remove_tree,
    store::Store,
    sys::{
        Dir, Kind,
        resolve::{Resolved, resolve},
    },
};

/// Gives rsync an environment in which nothing but the plan says what it does: none of its own
/// variables, no aliases from a home folder, and messages in one language.
pub(crate) fn environment(command: &mut Command) {
    command.env_clear().env("LC_ALL", "C");
    if let Some(path) = std::env::var_os("PATH") {
        command.env("PATH", path);
    }
}

/// Fills the tree with what the sources hold, as far as rsync can; gives what it complained of.
///
/// # Errors
/// An interruption, too little space, or an rsync that failed. What was copied stays.
pub(super) fn fill(
    store: &Store,
    step: &SnapshotStep,
    started: &Started,
    context: Context<'_>,
) -> Result<Heard> {
    let rsync = step
        .rsync
        .as_ref()
        .ok_or_else(|| Error::failed("the plan does not say how to call rsync"))?;
    let record = store.destination()?.ok_or_else(|| {
        Error::failed(format!("{} has no destination.json", store.path))
            .hint("run `backup apply` again: it sets the destination up")
    })?;
    let call = Call {
        store,
        step,
        rsync,
        destination_id: &record.id,
        context,
    };
    // Its inode is needed when rsync has filled the disk, to go on at all.
    let manifest = started
        .records
        .file_or_new(OsStr::new(manifest::FILE_NAME), 0o600);
    manifest.map_err(|error| store.io("write", "the manifest", error))?;
    let mut adopter = Adopter::new(store, started, record.capabilities)?;
    let mut heard = Heard::default();
    let mut tally = Tally::default();
    for one in &rsync.calls {
        let copied = source(&call, one, started, &mut adopter, &mut tally, &mut heard);
        if let Err(error) = copied {
            return Err(adopter.give_up(error));
        }
    }
    super::build::report_sync(context);
    adopter.finish()?;
    Ok(heard)
}

/// Ends what an interrupted run may have left running in a tree that is continued.
///
/// # Errors
/// A process that does not end.
pub(super) fn end_orphans(store: &Store) -> Result<()> {
    match store.destination()? {
        Some(record) => orphans::end(&record.id),
        None => Ok(()),
    }
}

/// Copies one source; a second time if entries vanished meanwhile.
fn source(
    call: &Call<'_>,
    one: &RsyncCall,
    started: &Started,
    adopter: &mut Adopter<'_>,
    tally: &mut Tally,
    heard: &mut Heard,
) -> Result<()> {
    // One that is not there, or not what it was when the plan was made, is told of or copied by
    // whoever makes the tree equal to the sources.
    let Ok(resolved) = resolve(one.source.as_path()) else {
        return Ok(());
    };
    if (resolved.stat.kind == Kind::Folder) != one.folder {
        return Ok(());
    }
    let path = one.source.as_str().as_bytes();
    let parts: Vec<&[u8]> = path
        .split(|byte| *byte == b'/')
        .filter(|part| !part.is_empty())
        .collect();
    let folders = parts.len() - usize::from(!one.folder).min(parts.len());
    let into = make_folders(call, &started.tree, &parts[..folders])?;
    let opened = |error: Errno| Error::io("open", path, error);
    let Resolved {
        parent,
        name,
        stat: _,
    } = resolved;
    let (from, single) = if one.folder {
        (parent.folder(&name).map_err(opened)?, None)
    } else {
        let own = parts.last().copied().unwrap_or_default().to_vec();
        (parent, Some((name.as_bytes().to_vec(), own)))
    };
    let mut place = output::SOURCE.as_bytes().to_vec();
    place.push(b'/');
    if let Some((name, _)) = &single {
        place.extend_from_slice(name);
    }
    let mut arguments: Vec<OsString> = Vec::new();
    for argument in &one.arguments {
        match argument.as_str() {
            SOURCE => arguments.push(OsStr::from_bytes(&place).to_owned()),
            DESTINATION => {
                let own = own::excludes(call.store, &from);
                arguments.extend(own.into_iter().map(OsString::from));
            }
            _ => arguments.push(argument.into()),
        }
    }
    let mut sides = Sides::new(from, into, single);
    let mut ended = call.run(&arguments, &mut sides, adopter, tally)?;
    if ended.code == Some(outcome::VANISHED) {
        sides.again();
        ended = call.run(&arguments, &mut sides, adopter, tally)?;
    }
    heard.judge(one, &ended)
}

/// Makes the folders in the new tree that rsync is to fill, with no other's permission to enter;
/// their metadata comes when they are full.
fn make_folders(call: &Call<'_>, tree: &Dir, parts: &[&[u8]]) -> Result<Dir> {
    let mut dir = tree
        .again()
        .map_err(|error| call.store.io("open", "partial", error))?;
    for (depth, part) in parts.iter().enumerate() {
        let named = [b"/".as_slice(), &parts[..=depth].join(&b'/')].concat();
        let name = OsStr::from_bytes(part);
        let there = dir.look(name);
        let there = there.map_err(|error| Error::io("look at", &named, error))?;
        if there.is_some_and(|there| there.kind != Kind::Folder) {
            let shown = schema::escape::display(&named);
            remove_tree(&dir, name, &shown, call.context)?;
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
