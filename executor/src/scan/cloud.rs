//! The cloud as far as it is known without asking it: rclone, and what this machine remembers.

use rustix::io::Errno;
use schema::{
    SnapshotId,
    cloud::{CloudChange, CloudState},
    config::AbsolutePath,
};

use crate::{
    cloud::{
        memory::RemoteCache,
        rclone,
        remote_history::{known_content, recall_history},
    },
    manifest::{Cursor, FILE_NAME, Reader},
    state_dir::StateDir,
    store::Store,
    sys::{Kind, resolve::resolve},
};

/// Looks at rclone and at what is remembered of a remote; `newest` is the newest good snapshot.
///
/// What cannot be read counts as not known: the upload asks the remote, and a local backup must not
/// wait for that.
#[must_use]
pub fn scan_cloud(
    state: Option<&StateDir>,
    newest: Option<(&Store, SnapshotId)>,
    remote: &str,
    config: Option<&AbsolutePath>,
) -> CloudState {
    let cache = state.and_then(|state| RemoteCache::open(state, remote).ok().flatten());
    let memory = cache.as_ref().and_then(|cache| cache.memory().ok());
    let memory = memory.unwrap_or_default();
    let pending = memory.last.as_ref().and_then(|last| {
        let (store, newest) = newest?;
        if last.id == newest {
            return Some(CloudChange::default());
        }
        let cached = cache.as_ref()?.cached_snapshot(last.id)?;
        let before = Reader::new(cached.file(FILE_NAME.as_ref()).ok()?).ok()?;
        describe_change(before, store.manifest(newest).ok()?).ok()
    });
    CloudState {
        rclone: rclone::find_rclone("rclone"),
        memory,
        pending,
        history: None,
        configured: is_configured(config, remote),
    }
}

/// The same of a named remote with history.
#[must_use]
pub fn scan_history(
    state: Option<&StateDir>,
    remote: &str,
    config: Option<&AbsolutePath>,
) -> CloudState {
    let memory = state.and_then(|state| recall_history(state, remote).ok());
    let memory = memory.unwrap_or_default();
    let cache = state.and_then(|state| RemoteCache::open(state, remote).ok().flatten());
    CloudState {
        rclone: rclone::find_rclone("rclone"),
        pending: None,
        history: cache.map(|cache| known_content(&cache, &memory)),
        memory: memory.as_cloud(),
        configured: is_configured(config, remote),
    }
}

/// Whether rclone's configuration has a remote; none where that cannot be told.
fn is_configured(config: Option<&AbsolutePath>, remote: &str) -> Option<bool> {
    match config {
        Some(file) if matches!(resolve(file.as_path()), Err(Errno::NOENT)) => Some(false),
        config => rclone::has_remote("rclone", config, remote),
    }
}

/// The difference between two manifests, in regular files.
fn describe_change(before: Reader, now: Reader) -> std::io::Result<CloudChange> {
    let mut before = Cursor::new(before);
    let mut sum = CloudChange::default();
    let mut gone = 0;
    let mut pass = |entry: &crate::manifest::Entry| gone += u64::from(entry.kind == Kind::File);
    for entry in now {
        let entry = entry?;
        let old = before.find_passing(&entry.path, &mut pass)?;
        if entry.kind != Kind::File {
            continue;
        }
        let old = old.filter(|old| old.kind == Kind::File);
        if old.as_ref().is_some_and(|old| old.digest == entry.digest) {
            continue;
        }
        sum.upload_files += 1;
        sum.upload_bytes = sum.upload_bytes.saturating_add(entry.size);
        sum.replaced_files += u64::from(old.is_some());
    }
    before.finish(&mut pass)?;
    sum.gone_files = gone;
    Ok(sum)
}
