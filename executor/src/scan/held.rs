//! Which entries of a source the destination cannot hold, or not under their own names, judged
//! folder by folder.
//!
//! A prediction by what was found out about the destination; the snapshot chooses the same names,
//! and asks the file system itself. An entry that is no file or folder is never lost: the manifest
//! holds it.

use std::ffi::{OsStr, OsString};

use schema::record::Capabilities;

use crate::{names::Namer, sys::Kind};

/// The judge, who must see each folder's entries between its enter and its leave.
pub(super) struct HeldNames<'a> {
    can: Option<&'a Capabilities>,
    /// What names the entries of each open folder get.
    levels: Vec<Namer>,
}

/// What becomes of an entry.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Judged {
    /// Why it cannot be held; none where it can.
    pub(super) refused: Option<String>,
    /// The name that it is stored under, where that is not its own.
    pub(super) stored_as: Option<OsString>,
}

impl<'a> HeldNames<'a> {
    pub(super) fn new(can: Option<&'a Capabilities>) -> Self {
        Self {
            can,
            levels: vec![Namer::default()],
        }
    }

    /// What becomes of an entry of the folder at hand.
    pub(super) fn judge(&mut self, name: &OsStr, kind: Kind, size: u64) -> Judged {
        let Some(can) = self.can.filter(|can| kind.is_held(can)) else {
            return Judged::default();
        };
        if kind == Kind::File
            && let Some(because) = can.refuses_size(size)
        {
            return Judged {
                refused: Some(because),
                stored_as: None,
            };
        }
        let namer = self.levels.last_mut();
        Judged {
            refused: None,
            stored_as: namer.and_then(|namer| namer.stored_as(can, name)),
        }
    }

    /// Goes into a folder that was judged.
    pub(super) fn enter(&mut self) {
        self.levels.push(Namer::default());
    }

    /// Goes out of it.
    pub(super) fn leave(&mut self) {
        self.levels.pop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_of_two_spellings_is_stored_otherwise_and_so_is_what_is_in_it() {
        let fat = Capabilities::of_type("exfat").unwrap();
        let mut held = HeldNames::new(Some(&fat));
        let mut judge = |name: &str, kind| held.judge(OsStr::new(name), kind, 1);
        assert_eq!(judge("README", Kind::File), Judged::default());
        // Not stored as an entry, so it is in nobody's way.
        assert_eq!(judge("ReadMe", Kind::Symlink), Judged::default());
        assert!(judge("readme", Kind::Folder).stored_as.is_some());
        held.enter();
        let inside = held.judge(OsStr::new("a:b"), Kind::File, 1);
        assert!(inside.stored_as.is_some() && inside.refused.is_none());
        held.leave();
        let mut unknown = HeldNames::new(None);
        let judged = unknown.judge(OsStr::new("a:b"), Kind::File, 1);
        assert_eq!(judged, Judged::default());
    }

    #[test]
    fn a_file_that_is_too_large_cannot_be_held_under_any_name() {
        let fat = Capabilities::of_type("vfat").unwrap();
        let mut held = HeldNames::new(Some(&fat));
        let judged = held.judge(OsStr::new("a:b"), Kind::File, 5 << 30);
        assert!(judged.refused.is_some() && judged.stored_as.is_none());
    }
}
