//! The versions of a path, as lines and as JSON.
//!
//! Owns what is said of each version. Which there are is found elsewhere.

use chrono::{DateTime, FixedOffset, Offset as _, TimeZone};
use executor::{
    history::{Found, Unread, Version},
    manifest::Entry,
    sys::Kind,
};
use schema::{Digest, SnapshotId, escape, inventory::DestinationState};
use serde::Serialize;

use super::{
    amount,
    page::{Page, firm},
};
use crate::style::{Style, printable};

/// What was searched for and what was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct FindView {
    /// The pattern.
    pub(crate) pattern: String,
    /// The snapshots that were searched, oldest first.
    pub(crate) searched: Vec<SnapshotId>,
    /// What was not, or not to its end.
    pub(crate) not_searched: Vec<NotSearched>,
    /// Paths that are meant, each with its versions.
    pub(crate) paths: Vec<FoundView>,
}

/// A folder that was not searched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct NotSearched {
    /// Its id, or tier and name.
    pub(crate) snapshot: String,
    /// Why.
    pub(crate) because: String,
}

/// A path and its versions, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct FoundView {
    /// The path as it was on the machine, escaped where it is not printable.
    pub(crate) path: String,
    /// From the first snapshot that has it to the newest.
    pub(crate) versions: Vec<VersionView>,
}

/// A run of snapshots in which the path has the same content, or is not there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct VersionView {
    /// The first of them.
    pub(crate) first: SnapshotId,
    /// The last of them.
    pub(crate) last: SnapshotId,
    /// How many they are.
    pub(crate) snapshots: usize,
    /// What it is; `absent` where it is not there.
    pub(crate) kind: &'static str,
    /// Size of a regular file in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) size: Option<u64>,
    /// Time of the last change of content, as the last of them has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) mtime: Option<DateTime<FixedOffset>>,
    /// Digest of the content.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sha256: Option<Digest>,
    /// What a symlink points to, escaped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) target: Option<String>,
}

impl FindView {
    /// A view of nothing yet.
    pub(crate) fn new(
        pattern: &str,
        searched: &[SnapshotId],
        destination: &DestinationState,
    ) -> Self {
        let unmanaged = destination.unmanaged.iter().map(|folder| NotSearched {
            snapshot: format!("{}/{}", folder.tier, folder.name),
            because: folder
                .record_fault
                .as_ref()
                .or(destination.record_fault.as_ref())
                .cloned()
                .unwrap_or_else(|| "it has no manifest; `backup adopt` makes one".to_owned()),
        });
        Self {
            pattern: pattern.to_owned(),
            searched: searched.to_vec(),
            not_searched: unmanaged.collect(),
            paths: Vec::new(),
        }
    }

    /// Adds what could not be read.
    pub(crate) fn not_searched(&mut self, unread: &[Unread]) {
        self.not_searched
            .extend(unread.iter().map(|unread| NotSearched {
                snapshot: unread.id.to_string(),
                because: unread.because.clone(),
            }));
    }
}

impl FoundView {
    /// The view of a path; `ids` are the snapshots that were searched, times are of this zone.
    pub(crate) fn new(found: Found, ids: &[SnapshotId], zone: &impl TimeZone) -> Self {
        let versions = found.versions.iter();
        Self {
            path: format!("/{}", escape::escape(&found.path)),
            versions: versions
                .filter_map(|version| VersionView::new(version, ids, zone))
                .collect(),
        }
    }

    /// The newest version that is one.
    fn newest(&self) -> Option<&VersionView> {
        let mut versions = self.versions.iter().rev();
        versions.find(|version| version.kind != ABSENT)
    }

    /// A line for the path and one for each version.
    pub(crate) fn text(&self, style: &Style) -> String {
        let mut page = Page::default();
        page.line(0, &style.bold(shown(&self.path)));
        for version in &self.versions {
            let span = if version.first == version.last {
                version.first.to_string()
            } else {
                format!("{}..{}", version.first, version.last)
            };
            let label = format!("{span:<40}  ");
            let said = match (version.kind, version.size, &version.target) {
                (ABSENT, _, _) => style.yellow("not there"),
                (_, Some(size), _) => {
                    let time = version.mtime.map(|time| time.format("%Y-%m-%d %H:%M:%S"));
                    let time = time.map(|time| time.to_string()).unwrap_or_default();
                    format!("{:>10}  {}", firm(&amount::bytes(size)), firm(&time))
                }
                (kind, _, Some(target)) => format!("{kind} to {}", shown(target)),
                (kind, _, None) => kind.to_owned(),
            };
            // The amount stands in a column, so its blanks must not be taken for a break.
            page.entry(2, &label, 42, &firm(&said));
        }
        page.into_string()
    }
}

const ABSENT: &str = "absent";

impl VersionView {
    fn new(version: &Version, ids: &[SnapshotId], zone: &impl TimeZone) -> Option<Self> {
        let entry = version.entry.as_ref();
        Some(Self {
            first: *ids.get(version.first)?,
            last: *ids.get(version.last)?,
            snapshots: version.snapshots,
            kind: entry.map_or(ABSENT, |entry| kind(entry.kind)),
            size: entry
                .filter(|entry| entry.kind == Kind::File)
                .map(|entry| entry.size),
            mtime: entry.and_then(|entry| time(entry, zone)),
            sha256: entry.and_then(|entry| entry.digest),
            target: entry.and_then(|entry| Some(escape::escape(entry.target.as_ref()?))),
        })
    }
}

/// An entry's time in a zone; none if that cannot be said in years.
fn time(entry: &Entry, zone: &impl TimeZone) -> Option<DateTime<FixedOffset>> {
    const SECOND: i128 = 1_000_000_000;
    let mtime = entry.mtime;
    let seconds = i64::try_from(mtime.div_euclid(SECOND)).ok()?;
    let nanos = u32::try_from(mtime.rem_euclid(SECOND)).ok()?;
    let time = DateTime::from_timestamp(seconds, nanos)?;
    let time = time.with_timezone(zone);
    Some(time.with_timezone(&time.offset().fix()))
}

/// A kind in a word.
pub(crate) fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::File => "file",
        Kind::Folder => "folder",
        Kind::Symlink => "symlink",
        Kind::Fifo => "fifo",
        Kind::Socket => "socket",
        Kind::CharDevice => "character-device",
        Kind::BlockDevice => "block-device",
    }
}

/// An escaped path as people read it.
pub(crate) fn shown(escaped: &str) -> String {
    super::page::path(escaped)
}

/// A path as a word of a shell's command line.
pub(crate) fn quoted(path: &str) -> String {
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
    pub(crate) fn count(&mut self, found: &FoundView) {
        self.paths += 1;
        if self.example.is_none()
            && let Some(newest) = found.newest()
        {
            let path = escape::unescape(&found.path).and_then(|path| String::from_utf8(path).ok());
            self.example = path.map(|path| (newest.last, path));
        }
    }

    /// How many there are and how one comes back.
    pub(crate) fn text(&self, view: &FindView) -> String {
        let mut page = Page::default();
        let snapshots = amount::plural(view.searched.len() as u64, "snapshot", "snapshots");
        if self.paths == 0 {
            page.line(
                0,
                &format!(
                    "no path in {snapshots} matches {}",
                    firm(&printable(&quoted(&view.pattern)))
                ),
            );
            let hint = if view.pattern.contains('*') {
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
                printable(&quoted(path)),
                printable(&quoted(&format!("{name}.restored")))
            ));
        }
        page.into_string()
    }
}

#[cfg(test)]
#[path = "find_tests.rs"]
mod tests;
