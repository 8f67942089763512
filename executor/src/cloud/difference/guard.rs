//! Guards hold back an upload where the sources look damaged, or more goes than may go.
//!
//! A snapshot is judged beside the last upload that nothing was held back of, so that waiting is no
//! agreement and slow damage adds up.

use std::collections::{HashMap, HashSet};

use schema::{
    Digest, StoredPath,
    config::{AbsolutePath, MaxDelete},
    plan::CloudLimits,
    record::SnapshotRecord,
};

use super::{Difference, find, io, is_file};
use crate::{
    error::Result,
    manifest::{Cursor, Entry, Reader},
};

/// Below this many files half of them is no sign of anything.
const FEW: u64 = 20;

/// A snapshot beside an earlier upload, in regular files.
#[derive(Debug, Default)]
pub struct Judged {
    /// Files of the upload, in sources that the snapshot has too.
    had: u64,
    /// Files of the snapshot.
    total: u64,
    /// Files that are as the upload had them, under their name or another.
    unchanged: u64,
    /// Files by source, in the upload and in the snapshot.
    sources: Vec<(AbsolutePath, u64, u64)>,
    /// Both were made by the same exclude patterns.
    same_patterns: bool,
}

/// Compares a snapshot's manifest with that of an earlier upload.
///
/// # Errors
/// A damaged manifest.
pub fn compare_with_earlier(
    (record, new): (&SnapshotRecord, Reader),
    (earlier, reference): (&SnapshotRecord, Reader),
) -> Result<Judged> {
    let sources = record.sources.iter();
    let mut judged = Judged {
        sources: sources.map(|one| (one.path.clone(), 0, 0)).collect(),
        same_patterns: leaves_out_the_same(earlier, record),
        ..Judged::default()
    };
    let mut reference = Some(Cursor::new(reference));
    let mut gone: HashMap<Digest, u64> = HashMap::new();
    let mut come: HashSet<Digest> = HashSet::new();
    for entry in new {
        let entry = entry.map_err(io)?;
        if !is_file(&entry) {
            continue;
        }
        judged.total += 1;
        if let Some(at) = judged.source_of(&entry.path) {
            judged.sources[at].2 += 1;
        }
        let before = find(&mut reference, &entry.path, &mut |passed| {
            judged.pass(passed, &mut gone);
        })?;
        if before
            .as_ref()
            .is_some_and(|before| before.digest == entry.digest)
        {
            judged.unchanged += 1;
        } else {
            come.extend(entry.digest);
        }
        if let Some(before) = before {
            judged.count(&before);
        }
    }
    if let Some(reference) = reference {
        reference
            .finish(&mut |passed| judged.pass(passed, &mut gone))
            .map_err(io)?;
    }
    let moved = gone.iter().filter(|(digest, _)| come.contains(*digest));
    judged.unchanged += moved.map(|(_, count)| count).sum::<u64>();
    Ok(judged)
}

/// Whether two snapshots were made by the same rules of what is left out.
fn leaves_out_the_same(one: &SnapshotRecord, other: &SnapshotRecord) -> bool {
    one.exclude_patterns == other.exclude_patterns
        && one.exclude_caches == other.exclude_caches
        && one.exclude_if_present == other.exclude_if_present
}

impl Judged {
    fn source_of(&self, path: &StoredPath) -> Option<usize> {
        let mut sources = self.sources.iter();
        sources.position(|source| path.is_within(source.0.as_stored()))
    }

    /// Counts a file of the upload. One of a source that is no more asked for is no sign.
    fn count(&mut self, before: &Entry) -> bool {
        let Some(at) = self.source_of(&before.path) else {
            return false;
        };
        self.sources[at].1 += 1;
        self.had += 1;
        true
    }

    fn pass(&mut self, passed: &Entry, gone: &mut HashMap<Digest, u64>) {
        if is_file(passed)
            && self.count(passed)
            && let Some(digest) = passed.digest
        {
            *gone.entry(digest).or_default() += 1;
        }
    }

    /// Why the sources look damaged; none where they do not.
    #[must_use]
    pub fn suspicion(&self) -> Option<String> {
        let Self {
            had,
            total,
            unchanged,
            ..
        } = *self;
        if had > 0 && total == 0 {
            return Some("the snapshot has no files, and the last upload had".to_owned());
        }
        let emptied = self.sources.iter();
        let mut emptied = emptied.filter(|(_, before, now)| *before > 0 && *now == 0);
        if let Some((path, before, _)) = emptied.next() {
            return Some(format!(
                "{path} (local.sources) has no files, and had {before} at the last upload"
            ));
        }
        // Excluding more is no damage.
        if had < FEW || !self.same_patterns {
            return None;
        }
        if total * 2 < had {
            return Some(format!(
                "there are {total} files, less than half of the {had} of the last upload"
            ));
        }
        (unchanged * 2 < had).then(|| {
            format!(
                "of {had} files of the last upload only {unchanged} are as they were, as if they \
                 had been encrypted"
            )
        })
    }
}

impl Difference {
    /// Why more would go than `cloud.maxDelete` allows; none where it does not.
    #[must_use]
    pub fn too_many(&self, limits: &CloudLimits) -> Option<String> {
        let limit = limits.max_delete?;
        let most = match limit {
            MaxDelete::Count(count) => count,
            // Rounded up, so that one file may go from a small folder.
            MaxDelete::Percent(percent) => (self.listed * u64::from(percent)).div_ceil(100),
        };
        (self.lost_files > most).then(|| {
            format!(
                "{} of {} files on the remote would go, and {limit} (cloud.maxDelete) is {most}",
                self.lost_files, self.listed
            )
        })
    }
}
