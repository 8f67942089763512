//! One folder of the new tree: made or taken over, and given its metadata once it is full.

use std::sync::Arc;

use rustix::io::Errno;
use schema::journal::ProblemKind;

use super::{
    capability_checks,
    jobs::{BuildItem, DirectoryNode, FolderMetadata},
    limits::{SET_ID, ends_everything, explain_refusal},
    worker::Worker,
};
use crate::{
    error::{Error, Result, system_reason},
    manifest::{Entry, xattrs_digest},
    sys::{
        Dir, Kind, Stat,
        attributes::{self, Attributes},
        open,
    },
};

/// Makes or takes over a folder in the new tree.
pub(super) fn enter_folder(
    worker: &mut Worker<'_>,
    item: &BuildItem,
    stat: &Stat,
    child: &Arc<DirectoryNode>,
) -> Result<()> {
    // One that the clone has is opened when something in it is to become another.
    if !child.inherited && !make_folder(worker, item, child)? {
        return Ok(());
    }
    let basis = item.basis.as_deref();
    // The kernel moves the change time with any change of an attribute.
    let untouched = basis.filter(|basis| worker.build.since(basis).untouched(*basis, stat));
    let attributes = match untouched {
        Some(basis) if basis.xattrs_digest.is_none() => Some(Attributes::new()),
        _ => attributes_of(worker, child),
    };
    let mut entry = Entry::of(worker.path(), stat);
    entry.unread = attributes.is_none();
    let attributes = attributes.unwrap_or_default();
    entry.xattrs_digest = xattrs_digest(&attributes);
    // What may not be held stands in the manifest.
    entry.xattrs_kept.clone_from(&attributes);
    entry
        .xattrs_kept
        .retain(|(name, _)| !worker.build.surely_holds(name));
    let mut end = child.end();
    if child.is_lost() {
        drop(end);
        return lose_folder(worker, child, "cannot make the folder");
    }
    let as_in_basis = |basis: &Entry| {
        (basis.mode, basis.uid, basis.gid, basis.mtime)
            == (entry.mode, entry.uid, entry.gid, entry.mtime)
            && basis.xattrs_digest == entry.xattrs_digest
            && basis.xattrs_kept == entry.xattrs_kept
    };
    *end = FolderMetadata {
        as_in_basis: child.inherited && basis.is_some_and(as_in_basis),
        entry: Some(entry.clone()),
        attributes,
    };
    drop(end);
    worker.tally.totals.folders += 1;
    worker.list(&item.name, &entry)
}

/// Makes or takes over a folder; says whether it did, else it is listed.
fn make_folder(
    worker: &mut Worker<'_>,
    item: &BuildItem,
    child: &Arc<DirectoryNode>,
) -> Result<bool> {
    let Some(new) = worker.new_dir()? else {
        return Ok(false);
    };
    item.node.touch();
    if let Some(because) = capability_checks::why_refused(worker, &new, &item.name)? {
        lose_folder(worker, child, &because)?;
        return Ok(false);
    }
    let Err(error) = child.new.open_or_make() else {
        return Ok(true);
    };
    if ends_everything(error) {
        worker.not_stored("make the folder", error)?;
        return Ok(false);
    }
    let because = explain_refusal("make", error).map_or_else(
        || format!("cannot make the folder: {}", system_reason(&error.into())),
        |because| format!("cannot make the folder: {because}"),
    );
    // What is in no manifest is not to stand in the tree either.
    child.new.unmake(&new);
    lose_folder(worker, child, &because)?;
    Ok(false)
}

/// Lists a folder that the destination cannot hold, for all that is in it.
fn lose_folder(worker: &mut Worker<'_>, child: &DirectoryNode, because: &str) -> Result<()> {
    child.lose();
    let message = format!("{because}; it is left out with all that is in it");
    worker.problem(ProblemKind::NotStored, message);
    Ok(())
}

/// Takes over the metadata of `/` for the tree's own folder.
pub(super) fn take_root_metadata(worker: &mut Worker<'_>, item: &BuildItem, stat: &Stat) {
    let attributes = attributes_of(worker, &item.node).unwrap_or_default();
    let mut end = item.node.end();
    end.attributes = attributes;
    if let Some(entry) = &mut end.entry {
        entry.mtime = stat.mtime;
    }
}

/// The attributes of the source's folder; none where they could not be read.
fn attributes_of(worker: &mut Worker<'_>, node: &DirectoryNode) -> Option<Attributes> {
    let Some(source) = &node.source else {
        return Some(Attributes::new());
    };
    match source.open().and_then(attributes::of_fd) {
        Ok(attributes) => Some(attributes),
        // Its content will tell; or it was listed as unreadable, or is a mount point that is not
        // entered.
        Err(Errno::NOENT | Errno::STALE | Errno::NOTDIR | Errno::LOOP | Errno::ACCESS) => None,
        Err(error) => {
            worker.attributes_not_read(error);
            None
        }
    }
}

/// What a full folder looks like; where each look is a question to somebody far away, as it was made:
/// nobody else gets to it.
fn look_at(worker: &Worker<'_>, node: &DirectoryNode, dir: &Dir) -> Result<Stat> {
    if worker.build.is_distant
        && let Some(looks) = node.new.looks()
    {
        return Ok(*looks);
    }
    dir.stat_self()
        .map_err(|error| Error::io("look at", &worker.here(), error))
}

/// Gives a full folder its metadata.
pub(super) fn finish_folder(worker: &mut Worker<'_>, node: &Arc<DirectoryNode>) -> Result<()> {
    worker.turn_to(node);
    let FolderMetadata {
        entry,
        attributes,
        as_in_basis,
    } = std::mem::take(&mut *node.end());
    // Without an entry it could not be made, which is listed.
    let Some(entry) = entry else {
        return Ok(());
    };
    if as_in_basis && node.is_untouched() {
        return Ok(());
    }
    // One of a clone is opened as one to be changed: with a right to, and without its old attributes.
    let opened = match node.inherited {
        true => node.new.open_or_make(),
        false => node.new.open(),
    };
    let dir = opened.map_err(|error| Error::io("open", &worker.here(), error))?;
    if node.is_continued() {
        worker.remove_others(node, &dir)?;
    }
    let build = worker.build;
    let is_root = entry.path.is_empty();
    let found = look_at(worker, node, &dir)?;
    if build.sets_owners()
        && !is_root
        && (found.uid, found.gid) != (entry.uid, entry.gid)
        && let Err(error) = open::set_owner(&dir, entry.uid, entry.gid)
        && build.capabilities.owners
    {
        worker.not_stored("set the owner", error)?;
    }
    for (name, value) in &attributes {
        // What may not be held stands in the manifest already.
        let set = attributes::set_fd(&dir, name, value);
        if let (Err(error), true) = (set, build.surely_holds(name)) {
            worker.problem(
                ProblemKind::Metadata,
                format!(
                    "cannot store attribute {}: {}",
                    schema::escape::display(name),
                    system_reason(&error.into())
                ),
            );
        }
    }
    let mode = build.mode_there(Kind::Folder, entry.mode);
    // A list of rights has a part in the mode, and a change of owner may take set-id bits away.
    let own = (found.uid, found.gid) == (entry.uid, entry.gid);
    let is_right = found.mode == mode && attributes.is_empty() && (own || mode & SET_ID == 0);
    if !is_right
        && let Err(error) = open::set_mode(&dir, mode)
        && build.capabilities.modes
    {
        worker.not_stored("set the mode", error)?;
    }
    worker.time_set(open::set_mtime(&dir, entry.mtime))?;
    worker.sync_one(|| Ok(dir.sync()?))?;
    worker.stores(build.step.id, &found);
    Ok(())
}
