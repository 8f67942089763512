//! The versions of a path, as lines.
//!
//! Owns the words. Which versions there are is found elsewhere.

use schema::{
    SnapshotId, escape,
    output::{
        EntryKind,
        find::{FoundPath, FoundPaths},
    },
    shell,
};

use super::{
    amount, hint,
    page::{Page, readable_path, unbroken},
};
use crate::style::Style;

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

/// What is counted on the way, for the last lines.
#[derive(Debug, Default)]
pub(crate) struct Footer {
    paths: u64,
    /// The last path that can be restored, and from where.
    example: Option<(SnapshotId, Vec<u8>)>,
}

impl Footer {
    /// Counts a path.
    pub(crate) fn count(&mut self, found: &FoundPath) {
        self.paths += 1;
        if self.example.is_none()
            && let Some(newest) = found.newest()
        {
            let path = escape::unescape(&found.path);
            self.example = path.map(|path| (newest.last, path));
        }
    }

    /// How many there are and how one comes back.
    pub(crate) fn lines(&self, found: &FoundPaths) -> String {
        let mut page = Page::default();
        let snapshots = amount::plural(found.searched.len() as u64, "snapshot", "snapshots");
        if self.paths == 0 {
            page.line(
                0,
                &format!(
                    "no path in {snapshots} matches {}",
                    unbroken(&shell::word_of_escaped(&found.pattern))
                ),
            );
            let advice = if found.pattern.contains('*') {
                "* stops at /, ** does not; names are told apart by case"
            } else {
                "a part of a name needs stars, as in '*letter*'; names are told apart by case"
            };
            page.line(0, &format!("hint: {advice}"));
            return page.into_string();
        }
        let paths = amount::plural(self.paths, "path", "paths");
        page.line(0, &format!("{paths} in {snapshots}"));
        if let Some((id, path)) = &self.example {
            let name = path.rsplit(|byte| *byte == b'/').next();
            let restored = [name.unwrap_or_default(), b".restored"].concat();
            // On one line, to be copied.
            let command = format!(
                "backup restore {id} {} {}",
                shell::word(path),
                shell::word(restored)
            );
            page.raw(&format!("hint: {}\n", hint::command(&command)));
        }
        page.into_string()
    }
}

#[cfg(test)]
#[path = "find_tests.rs"]
mod tests;
