//! What a tag leaves out: how much, and most of it where.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::amount;

/// What is left out because of a tag in its folder: a valid `CACHEDIR.TAG`, or an entry that
/// `local.excludeIfPresent` names.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LeftOut {
    /// Folders of which all but the tag itself is left out, because they are caches.
    pub caches: u64,
    /// Folders that are left out as a whole.
    pub folders: u64,
    /// What is in all of them: files, folders, links and all else.
    pub entries: u64,
    /// Bytes on disk of that.
    pub bytes: u64,
    /// There is more: only so many entries are counted.
    #[serde(default, skip_serializing_if = "crate::is_no")]
    pub at_least: bool,
    /// The folder that has most of it, as people read it.
    pub most: String,
    /// Bytes on disk in that one.
    pub most_bytes: u64,
}

impl LeftOut {
    /// Adds what another source has.
    pub fn add(&mut self, other: &Self) {
        self.caches = self.caches.saturating_add(other.caches);
        self.folders = self.folders.saturating_add(other.folders);
        self.entries = self.entries.saturating_add(other.entries);
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.at_least |= other.at_least;
        if self.most.is_empty() || other.most_bytes > self.most_bytes {
            self.most.clone_from(&other.most);
            self.most_bytes = other.most_bytes;
        }
    }

    /// How many folders, such as `3 caches and 1 tagged folder`.
    #[must_use]
    pub fn folders_text(&self) -> String {
        let caches = amount::plural(self.caches, "cache", "caches");
        let folders = amount::plural(self.folders, "tagged folder", "tagged folders");
        match (self.caches, self.folders) {
            (_, 0) => caches,
            (0, _) => folders,
            _ => format!("{caches} and {folders}"),
        }
    }

    /// How much, such as `at least 2.1 GiB`.
    #[must_use]
    pub fn bytes_text(&self) -> String {
        let bytes = amount::bytes(self.bytes);
        match self.at_least {
            true => format!("at least {bytes}"),
            false => bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_sources_leave_out_adds_up() {
        let mut all = LeftOut::default();
        all.add(&LeftOut {
            caches: 2,
            entries: 5,
            bytes: 4096,
            most: "a/target".to_owned(),
            most_bytes: 4096,
            ..LeftOut::default()
        });
        assert_eq!(all.folders_text(), "2 caches");
        assert_eq!(all.bytes_text(), "4.0 KiB");
        all.add(&LeftOut {
            folders: 1,
            entries: 1,
            bytes: 8192,
            at_least: true,
            most: "b".to_owned(),
            most_bytes: 8192,
            ..LeftOut::default()
        });
        assert_eq!(all.folders_text(), "2 caches and 1 tagged folder");
        assert_eq!(all.bytes_text(), "at least 12.0 KiB");
        assert_eq!((all.most.as_str(), all.entries), ("b", 6));
    }
}
