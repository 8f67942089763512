//! Copying files and giving them their names: what the threads of a restore do.
//!
//! Each job is whole in itself; nothing here knows where the restore stands.

use std::{
    ffi::OsString,
    os::unix::ffi::OsStrExt as _,
    sync::{Arc, Mutex, PoisonError, atomic::AtomicUsize},
};

use schema::escape::display;

use super::{
    item::RestoreItem,
    job::RestoreJob,
    make::{self, Made, RestoreFault, Spot},
    metadata::Faults,
    naming,
};
use crate::{
    copy::Copier,
    event::{Context, Stop},
    flush::Flusher,
    sys::Dir,
};

/// Files that one job copies, and their bytes.
pub(super) const FILES: usize = 64;
pub(super) const BYTES: u64 = 4 << 20;

/// What is known of a folder while threads fill it.
#[derive(Default)]
pub(super) struct FolderCount {
    /// Files that are on their way into it.
    pub(super) under_way: AtomicUsize,
    /// Entries that are in it now as the snapshot has them.
    pub(super) complete: AtomicUsize,
}

/// A file to copy.
pub(super) struct Copy {
    /// The snapshot's folder that holds it.
    pub(super) parent: Arc<Dir>,
    pub(super) item: RestoreItem,
    /// The target's folder, and the file's name there.
    pub(super) dir: Arc<Dir>,
    pub(super) name: OsString,
    pub(super) inherits: bool,
    pub(super) is_private: bool,
    pub(super) aside: bool,
    pub(super) count: Option<Arc<FolderCount>>,
}

/// A file that was copied, or was not.
pub(super) struct Copied {
    pub(super) item: RestoreItem,
    pub(super) result: Result<Made, RestoreFault>,
    pub(super) aside: bool,
    pub(super) faults: Faults,
    pub(super) count: Option<Arc<FolderCount>>,
}

/// Copies files and gives them their names: a thread's work.
pub(super) fn copy_files(
    job: &RestoreJob<'_>,
    suffix: &str,
    files: Vec<Copy>,
    copiers: &Mutex<Vec<Copier>>,
    flusher: &Flusher,
    context: &Context<'_>,
) -> Vec<Copied> {
    let lock = || copiers.lock().unwrap_or_else(PoisonError::into_inner);
    let kept = lock().pop();
    let mut copier = kept.unwrap_or_else(|| Copier::reading_from(&job.found.parent));
    let copied = files.into_iter();
    let copied = copied.map(|file| copy_one(job, suffix, file, &mut copier, context));
    let copied: Vec<_> = copied.collect();
    lock().push(copier);
    let made = copied.iter().filter_map(|one| one.result.as_ref().ok());
    flusher.wrote(copied.len() as u64, made.map(|made| made.bytes).sum());
    copied
}

fn copy_one(
    job: &RestoreJob<'_>,
    suffix: &str,
    file: Copy,
    copier: &mut Copier,
    context: &Context<'_>,
) -> Copied {
    let Copy {
        parent,
        item,
        dir,
        name,
        inherits,
        is_private,
        aside,
        count,
    } = file;
    let shown = job.shown_path(&item.path);
    let spot = Spot {
        dir: &dir,
        name: &name,
        inherits,
        is_private,
        holds: job.place.holds,
        shown,
    };
    let mut faults = Faults::default();
    let stop = context.stop;
    let result = stop
        .check()
        .map_err(RestoreFault::All)
        .and_then(|()| {
            let from = (&*parent, &job.leases);
            make::make_file(from, &item, spot, copier, stop, &mut faults)
        })
        .and_then(|made| place_copy(spot, made, aside.then_some(suffix), stop));
    Copied {
        item,
        result,
        aside,
        faults,
        count,
    }
}

/// Gives what was made its name, or keeps it beside where it is damaged.
pub(super) fn place_copy(
    spot: Spot<'_>,
    made: Made,
    aside: Option<&str>,
    stop: &Stop,
) -> Result<Made, RestoreFault> {
    let Spot {
        dir, name, shown, ..
    } = spot;
    if made.damaged {
        let kept = naming::keep_damaged(dir, &made.temporary, name, stop)
            .map_err(RestoreFault::All)?
            .map_err(|error| RestoreFault::of(error, shown))?;
        return Err(RestoreFault::Damaged(format!(
            "damaged: its content is not what the manifest recorded; what there is was put beside it as {}",
            display(kept.as_bytes())
        )));
    }
    if !made.is_placed {
        naming::place_entry(spot, &made.temporary, aside)?;
    }
    Ok(made)
}
