//! Whether a snapshot has anything that the newest on the remote does not have.
//!
//! Folders above the sources are not backed up themselves: the snapshot's own is another one each time, and
//! in the others there is much that no source has. Their times and inodes make no snapshot a new one.

use schema::{
    StoredPath,
    record::{SnapshotRecord, SourceRecord},
    remote_history::RemoteRecord,
};

use super::HistoryRemote;
use crate::{
    error::Result,
    manifest::{Entry, Reader},
    sys::Kind,
};

impl HistoryRemote<'_> {
    /// Whether a snapshot, whose manifest is about to travel, has nothing that one on the remote lacks.
    pub(super) fn is_like(&self, record: &SnapshotRecord, there: &RemoteRecord) -> Result<bool> {
        let newest = &there.snapshot;
        let about = |record: &SnapshotRecord| (record.totals.entries, record.totals.bytes);
        let is_about_the_same = about(record) == about(newest)
            && record.sources == newest.sources
            && record.exclude_patterns == newest.exclude_patterns;
        if !is_about_the_same {
            return Ok(false);
        }
        // One that cannot be read is put anew.
        let Ok(mut before) = self.manifest_of(newest.id) else {
            return Ok(false);
        };
        let mut now = self.carried()?;
        loop {
            self.rclone.context.stop.check()?;
            let next = |reader: &mut Reader| reader.next().transpose();
            let (Ok(before), Ok(now)) = (next(&mut before), next(&mut now)) else {
                return Ok(false);
            };
            match (before, now) {
                (None, None) => return Ok(true),
                (Some(before), Some(now)) if are_like(&before, &now, &record.sources) => {}
                _ => return Ok(false),
            }
        }
    }
}

/// Whether two entries say the same of what is backed up.
fn are_like(before: &Entry, now: &Entry, sources: &[SourceRecord]) -> bool {
    if before == now {
        return true;
    }
    if now.kind != Kind::Folder || !is_above(&now.path, sources) {
        return false;
    }
    let before = Entry {
        mtime: now.mtime,
        ctime: now.ctime,
        ino: now.ino,
        ..before.clone()
    };
    before == *now
}

/// Whether a folder is in the snapshot only because a source is in it.
fn is_above(path: &StoredPath, sources: &[SourceRecord]) -> bool {
    let mut is_in_it = false;
    for source in sources {
        let source = StoredPath::of_absolute(source.path.as_str());
        if path.is_within(source) {
            return false;
        }
        is_in_it |= source.is_below(path);
    }
    is_in_it
}

#[cfg(test)]
mod tests {
    use schema::config::AbsolutePath;

    use super::*;

    #[test]
    fn what_is_above_the_sources_and_in_none_is_not_backed_up() {
        let sources: Vec<SourceRecord> = ["/home", "/srv/data/web", "/srv"]
            .map(|path| SourceRecord {
                path: AbsolutePath::new(path),
                present: true,
                mounted: false,
                entries: 1,
                files: 0,
            })
            .into();
        let above = |path: &str, sources| is_above(StoredPath::new(path), sources);
        assert!(above("", &sources));
        for inside in [
            "home",
            "home/ann",
            "srv/data",
            "srv/data/web",
            "srv/other",
            "other",
        ] {
            assert!(!above(inside, &sources), "{inside}");
        }
        assert!(above("srv/data", &sources[..2]) && above("srv", &sources[..2]));
        let all = [SourceRecord {
            path: AbsolutePath::new("/"),
            ..sources[0].clone()
        }];
        assert!(!above("", &all) && !above("home", &all));
    }
}
