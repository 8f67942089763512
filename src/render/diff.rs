//! What changed between two snapshots, or since one, as lines and as JSON.
//!
//! Owns the words. What differs is found elsewhere.

use executor::history::{Change, Diff, Difference, Now, Side};
use schema::{SnapshotId, escape};
use serde::Serialize;

use super::{
    amount,
    find::{kind, shown},
    page::{Page, firm},
};
use crate::style::Style;

/// The word for the sources as they are.
pub(crate) const NOW: &str = "now";

/// What changed between two snapshots.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct DiffView {
    /// The earlier snapshot.
    pub(crate) before: SnapshotId,
    /// The later one, or `now`.
    pub(crate) after: String,
    /// The path that was compared, escaped.
    pub(crate) path: String,
    /// By kind of change, how many there are and how many bytes of regular files they are.
    pub(crate) totals: Totals,
    /// Entries that are the same.
    pub(crate) same: u64,
    /// What differs, by path.
    pub(crate) differences: Vec<DifferenceView>,
    /// Sources and what is in them that could not be read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) not_compared: Vec<NotCompared>,
}

/// A path of which nothing is known, nor of what is below.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct NotCompared {
    /// The path as on the machine, escaped.
    pub(crate) path: String,
    /// Why.
    pub(crate) because: String,
}

/// How many paths changed in each way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Totals {
    /// Only in the later one; bytes as they are there.
    pub(crate) added: Total,
    /// Only in the earlier one; bytes as they were there.
    pub(crate) removed: Total,
    /// With other content; bytes as they are in the later one.
    pub(crate) changed: Total,
    /// With other metadata only.
    pub(crate) metadata: Total,
    /// At another path.
    pub(crate) renamed: Total,
    /// Of live files those that look the same and may not be.
    #[serde(skip_serializing_if = "Total::is_none")]
    pub(crate) touched: Total,
}

/// How many, and how many bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Total {
    /// Paths.
    pub(crate) count: u64,
    /// Sum of the sizes of regular files.
    pub(crate) bytes: u64,
}

impl Total {
    fn is_none(&self) -> bool {
        self.count == 0
    }
}

/// A path that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct DifferenceView {
    /// `added`, `removed`, `changed`, `metadata`, `renamed` or `touched`.
    pub(crate) change: &'static str,
    /// The path as on the machine, escaped.
    pub(crate) path: String,
    /// Of something renamed, its earlier path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) from: Option<String>,
    /// What the earlier snapshot has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) before: Option<SideView>,
    /// What the later one has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) after: Option<SideView>,
}

/// What one snapshot has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct SideView {
    /// What it is.
    pub(crate) kind: &'static str,
    /// Size in bytes; 0 for all but regular files.
    pub(crate) size: u64,
    /// Permission bits, octal.
    pub(crate) mode: String,
    /// Owner.
    pub(crate) uid: u32,
    /// Group.
    pub(crate) gid: u32,
    /// Time of the last change of content, in nanoseconds since 1970.
    pub(crate) mtime_ns: String,
    /// What a symlink points to, escaped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) target: Option<String>,
}

impl From<&Side> for SideView {
    fn from(side: &Side) -> Self {
        Self {
            kind: kind(side.kind),
            size: side.size,
            mode: format!("{:04o}", side.mode),
            uid: side.owner.0,
            gid: side.owner.1,
            mtime_ns: side.mtime.to_string(),
            target: side.target.as_deref().map(escape::escape),
        }
    }
}

impl DiffView {
    /// The view of a comparison.
    pub(crate) fn new(before: SnapshotId, after: String, path: &[u8], diff: &Diff) -> Self {
        let mut totals = Totals::default();
        for one in &diff.differences {
            totals.add(one);
        }
        let path: Vec<String> = path
            .split(|byte| *byte == b'/')
            .filter(|part| !part.is_empty())
            .map(escape::escape)
            .collect();
        Self {
            before,
            after,
            path: format!("/{}", path.join("/")),
            totals,
            same: diff.same,
            differences: diff.differences.iter().map(DifferenceView::new).collect(),
            not_compared: Vec::new(),
        }
    }

    /// The view of a comparison with the sources as they are.
    pub(crate) fn now(before: SnapshotId, path: &[u8], now: &Now) -> Self {
        let unread = now.unread.iter();
        Self {
            not_compared: unread
                .map(|(path, because)| NotCompared {
                    path: format!("/{}", escape::escape(path)),
                    because: because.clone(),
                })
                .collect(),
            ..Self::new(before, NOW.to_owned(), path, &now.diff)
        }
    }

    /// A line for each path, and what it comes to.
    pub(crate) fn text(&self, style: &Style) -> String {
        let mut page = Page::default();
        for one in &self.differences {
            one.line(&mut page, style);
        }
        page.blank();
        let totals = &self.totals;
        let parts: Vec<String> = [
            ("added", totals.added),
            ("removed", totals.removed),
            ("changed", totals.changed),
            ("renamed", totals.renamed),
            ("with other metadata", totals.metadata),
            ("touched", totals.touched),
        ]
        .into_iter()
        .filter(|(_, total)| total.count > 0)
        .map(|(word, total)| {
            firm(&format!(
                "{} {word} ({})",
                amount::count(total.count),
                amount::bytes(total.bytes)
            ))
        })
        .collect();
        let what = if parts.is_empty() {
            "nothing differs".to_owned()
        } else {
            parts.join(", ")
        };
        page.line(
            0,
            &format!(
                "From {} to {}: {what}; {} the same",
                self.before,
                self.after,
                amount::plural(self.same, "entry", "entries")
            ),
        );
        page.into_string()
    }
}

impl Totals {
    fn add(&mut self, one: &Difference) {
        let total = match one.change {
            Change::Added => &mut self.added,
            Change::Removed => &mut self.removed,
            Change::Content => &mut self.changed,
            Change::Metadata => &mut self.metadata,
            Change::Renamed { .. } => &mut self.renamed,
            Change::Touched => &mut self.touched,
        };
        let side = one.after.as_ref().or(one.before.as_ref());
        total.count += 1;
        total.bytes += side.map_or(0, |side| side.size);
    }
}

impl DifferenceView {
    fn new(one: &Difference) -> Self {
        let path = |path: &[u8]| format!("/{}", escape::escape(path));
        Self {
            change: match one.change {
                Change::Added => "added",
                Change::Removed => "removed",
                Change::Content => "changed",
                Change::Metadata => "metadata",
                Change::Renamed { .. } => "renamed",
                Change::Touched => "touched",
            },
            path: path(&one.path),
            from: match &one.change {
                Change::Renamed { from } => Some(path(from)),
                _ => None,
            },
            before: one.before.as_ref().map(SideView::from),
            after: one.after.as_ref().map(SideView::from),
        }
    }

    fn line(&self, page: &mut Page, style: &Style) {
        let word = match self.change {
            "added" => style.green("added"),
            "removed" => style.red("removed"),
            word => style.yellow(word),
        };
        let mut text = String::new();
        if let Some(from) = &self.from {
            text = format!("{} -> ", shown(from));
        }
        text += &shown(&self.path);
        if let Some(more) = self.more() {
            text += &format!(" ({})", firm(&more));
        }
        page.entry(0, &word, 10, &text);
    }

    /// What there is to say besides the path.
    fn more(&self) -> Option<String> {
        let size = |side: &SideView| match side.kind {
            "file" => amount::bytes(side.size),
            kind => kind.to_owned(),
        };
        match (self.change, &self.before, &self.after) {
            ("changed", Some(before), Some(after)) => match (&before.target, &after.target) {
                (Some(before), Some(after)) => Some(format!("{before} -> {after}")),
                _ => Some(format!("{} -> {}", size(before), size(after))),
            },
            ("metadata", Some(before), Some(after)) => Some(metadata(before, after)),
            (_, Some(side), None) | (_, _, Some(side)) => Some(size(side)),
            _ => None,
        }
    }
}

/// Which metadata differs.
fn metadata(before: &SideView, after: &SideView) -> String {
    let mut parts = Vec::new();
    if before.mode != after.mode {
        parts.push(format!("mode {} -> {}", before.mode, after.mode));
    }
    if (before.uid, before.gid) != (after.uid, after.gid) {
        parts.push(format!(
            "owner {}:{} -> {}:{}",
            before.uid, before.gid, after.uid, after.gid
        ));
    }
    if before.mtime_ns != after.mtime_ns && before.kind != "folder" {
        parts.push("time".to_owned());
    }
    if parts.is_empty() {
        parts.push("attributes".to_owned());
    }
    parts.join(", ")
}

#[cfg(test)]
#[path = "diff_tests.rs"]
mod tests;
