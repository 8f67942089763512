//! The versions of a path: as the document that `--json` prints, and as lines.
//!
//! Owns how each version is put. Which there are is found elsewhere.

use chrono::{DateTime, FixedOffset, Offset as _, TimeZone};
use executor::{
    history::{Found, Unread, Version},
    manifest::Entry,
    sys::Kind,
};
use schema::{
    SnapshotId, escape,
    inventory::DestinationState,
    output::{
        EntryKind,
        find::{FORMAT_VERSION, FoundPath, FoundPaths, NotSearched, PathVersion},
    },
};

use super::{
    amount,
    page::{Page, readable_path, unbroken},
};
use crate::style::{Style, printable};

/// The document of a search that has found nothing yet.
pub(crate) fn begin_search(
    pattern: &str,
    searched: &[SnapshotId],
    destination: &DestinationState,
) -> FoundPaths {
    let unmanaged = destination.unmanaged.iter().map(|folder| NotSearched {
        snapshot: format!("{}/{}", folder.tier, folder.name),
        because: folder
            .record_fault
            .as_ref()
            .or(destination.record_fault.as_ref())
            .cloned()
            .unwrap_or_else(|| "it has no manifest; `backup adopt` makes one".to_owned()),
    });
    FoundPaths {
        format_version: FORMAT_VERSION,
        pattern: pattern.to_owned(),
        searched: searched.to_vec(),
        not_searched: unmanaged.collect(),
        paths: Vec::new(),
    }
}

/// Adds the snapshots that could not be read.
pub(crate) fn add_unread(found: &mut FoundPaths, unread: &[Unread]) {
    let unread = unread.iter().map(|unread| NotSearched {
        snapshot: unread.id.to_string(),
        because: unread.because.clone(),
    });
    found.not_searched.extend(unread);
}

/// A path and its versions; `ids` are the snapshots that were searched, times are of this zone.
pub(crate) fn found_path(found: Found, ids: &[SnapshotId], zone: &impl TimeZone) -> FoundPath {
    let versions = found.versions.iter();
    FoundPath {
        path: format!("/{}", escape::escape(&found.path)),
        versions: versions
            .filter_map(|version| path_version(version, ids, zone))
            .collect(),
    }
}

/// A line for the path and one for each version.
pub(crate) fn path_lines(found: &FoundPath, style: &Style) -> String {
    let mut page = Page::default();
    page.line(0, &style.bold(readable_path(&found.path)));
    for version in &found.versions {
        let span = if version.first == version.last {
            version.first.to_string()
        } else {
            format!("{}..{}", version.first, version.last)
        };
        let label = format!("{span:<40}  ");
        let said = match (version.kind, version.size, &version.target) {
            (EntryKind::Absent, _, _) => style.yellow("not there"),
            (_, Some(size), _) => {
                let time = version.mtime.map(|time| time.format("%Y-%m-%d %H:%M:%S"));
                let time = time.map(|time| time.to_string()).unwrap_or_default();
                format!(
                    "{:>10}  {}",
                    unbroken(&amount::bytes(size)),
                    unbroken(&time)
                )
            }
            (kind, _, Some(target)) => format!("{} to {}", kind.word(), readable_path(target)),
            (kind, _, None) => kind.word().to_owned(),
        };
        // The amount stands in a column, so its blanks must not be taken for a break.
        page.entry(2, &label, 42, &unbroken(&said));
    }
    page.into_string()
}

fn path_version(
    version: &Version,
    ids: &[SnapshotId],
    zone: &impl TimeZone,
) -> Option<PathVersion> {
    let entry = version.entry.as_ref();
    Some(PathVersion {
        first: *ids.get(version.first)?,
        last: *ids.get(version.last)?,
        snapshots: version.snapshots as u64,
        kind: entry.map_or(EntryKind::Absent, |entry| entry_kind(entry.kind)),
        size: entry
            .filter(|entry| entry.kind == Kind::File)
            .map(|entry| entry.size),
        mtime: entry.and_then(|entry| time_in_zone(entry, zone)),
        sha256: entry.and_then(|entry| entry.digest),
        target: entry.and_then(|entry| Some(escape::escape(entry.target.as_ref()?))),
    })
}

/// An entry's time in a zone; none if that cannot be said in years.
fn time_in_zone(entry: &Entry, zone: &impl TimeZone) -> Option<DateTime<FixedOffset>> {
    const SECOND: i128 = 1_000_000_000;
    let mtime = entry.mtime;
    let seconds = i64::try_from(mtime.div_euclid(SECOND)).ok()?;
    let nanos = u32::try_from(mtime.rem_euclid(SECOND)).ok()?;
    let time = DateTime::from_timestamp(seconds, nanos)?;
    let time = time.with_timezone(zone);
    Some(time.with_timezone(&time.offset().fix()))
}

/// An entry's kind as documents have it.
pub(crate) fn entry_kind(kind: Kind) -> EntryKind {
    match kind {
        Kind::File => EntryKind::File,
        Kind::Folder => EntryKind::Folder,
        Kind::Symlink => EntryKind::Symlink,
        Kind::Fifo => EntryKind::Fifo,
        Kind::Socket => EntryKind::Socket,
        Kind::CharDevice => EntryKind::CharacterDevice,
        Kind::BlockDevice => EntryKind::BlockDevice,
    }
}

/// A path as a word of a shell's command line.
pub(crate) fn quote_for_shell(path: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+,:@%".contains(&byte);
    if !path.is_empty() && path.bytes().all(plain) {
        return path.to_owned();
    }
    format!("'{}'", path.replace('\'', r"'\''"))
}

/// What is counted on the way, for the last lines.
#[derive(Debug, Default)]
pub(crate) struct Footer {
    paths: u64,
    /// The last path that can be restored, and from where.
    example: Option<(SnapshotId, String)>,
}

impl Footer {
    /// Counts a path.
    pub(crate) fn count(&mut self, found: &FoundPath) {
        self.paths += 1;
        if self.example.is_none()
            && let Some(newest) = found.newest()
        {
            let path = escape::unescape(&found.path).and_then(|path| String::from_utf8(path).ok());
            self.example = path.map(|path| (newest.last, path));
        }
    }

    /// How many there are and how one comes back.
    pub(crate) fn text(&self, found: &FoundPaths) -> String {
        let mut page = Page::default();
        let snapshots = amount::plural(found.searched.len() as u64, "snapshot", "snapshots");
        if self.paths == 0 {
            page.line(
                0,
                &format!(
                    "no path in {snapshots} matches {}",
                    unbroken(&printable(&quote_for_shell(&found.pattern)))
                ),
            );
            let hint = if found.pattern.contains('*') {
                "* stops at /, ** does not; names are told apart by case"
            } else {
                "a part of a name needs stars, as in '*letter*'; names are told apart by case"
            };
            page.line(0, &format!("hint: {hint}"));
            return page.into_string();
        }
        let paths = amount::plural(self.paths, "path", "paths");
        page.line(0, &format!("{paths} in {snapshots}"));
        if let Some((id, path)) = &self.example {
            let name = path.rsplit('/').next().unwrap_or_default();
            // On one line, to be copied.
            page.raw(&format!(
                "hint: backup restore {id} {} {}\n",
                printable(&quote_for_shell(path)),
                printable(&quote_for_shell(&format!("{name}.restored")))
            ));
        }
        page.into_string()
    }
}

#[cfg(test)]
#[path = "find_tests.rs"]
mod tests;
