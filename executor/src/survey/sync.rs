//! Syncing what is about to be surveyed.
//!
//! A store through a mapping moves the change time only where the page was clean: after the sync each
//! is. It is a help, not a condition: what does not answer is looked at all the same.

use std::{
    path::PathBuf,
    sync::mpsc::{RecvTimeoutError, channel},
    thread,
    time::{Duration, Instant},
};

use crate::{
    error::Result,
    event::Context,
    sys::{Kind, resolve::resolve},
};

/// How long is waited for all of them.
const LONGEST: Duration = Duration::from_secs(30);
/// How often it is asked meanwhile whether to stop.
const ASK: Duration = Duration::from_millis(100);

/// Has the file systems of these paths written to their disks, each by a thread of its own, and waits
/// for half a minute at most.
///
/// # Errors
/// An interruption.
pub(crate) fn sync_file_systems(paths: Vec<PathBuf>, context: Context<'_>) -> Result<()> {
    let (done, ended) = channel::<()>();
    for path in paths {
        let done = done.clone();
        // Without a thread there is no limit to how long it may take.
        let _ = thread::Builder::new().spawn(move || {
            if let Ok(found) = resolve(&path) {
                let folder = match found.stat.kind {
                    Kind::Folder => found.folder(),
                    _ => Ok(found.parent),
                };
                // What cannot be written there is the source's fault, and read as it is.
                let _ = folder.and_then(|folder| folder.sync_file_system());
            }
            drop(done);
        });
    }
    drop(done);
    let until = Instant::now() + LONGEST;
    while Instant::now() < until {
        context.stop.check()?;
        if ended.recv_timeout(ASK) == Err(RecvTimeoutError::Disconnected) {
            break;
        }
    }
    Ok(())
}
