//! Which entries of a source the destination cannot hold, judged folder by folder.
//!
//! A prediction by what was found out about the destination; the snapshot asks the file system
//! itself. An entry that is no file or folder is never lost: the manifest holds it.

use std::{
    collections::HashMap,
    ffi::{OsStr, OsString},
};

use schema::{escape, record::Capabilities};

use crate::sys::{Kind, bytes};

/// The judge, who must see each folder's entries between its enter and its leave.
pub(super) struct Held<'a> {
    can: Option<&'a Capabilities>,
    /// By folded name the names met in each open folder; none in one that is itself not held.
    levels: Vec<Option<HashMap<Vec<u8>, OsString>>>,
}

impl<'a> Held<'a> {
    pub(super) fn new(can: Option<&'a Capabilities>) -> Self {
        Self {
            can,
            levels: vec![Some(HashMap::new())],
        }
    }

    /// Why an entry cannot be held; none where it can, or where a folder above it is not.
    pub(super) fn judge(&mut self, name: &OsStr, kind: Kind, size: u64) -> Option<String> {
        let can = self.can?;
        let names = self.levels.last_mut()?.as_mut()?;
        let because = can.refuses_name(bytes(name)).or_else(|| {
            let folded = can.folded(bytes(name))?;
            if !kind.is_held(can) {
                return None;
            }
            let other = names.entry(folded).or_insert_with(|| name.to_owned());
            (other != name).then(|| {
                let other = escape::display(bytes(other));
                format!("its name differs from {other} only in case")
            })
        });
        match kind {
            Kind::File => because.or_else(|| can.refuses_size(size)),
            Kind::Folder => because,
            _ => None,
        }
    }

    /// Goes into a folder that was judged.
    pub(super) fn enter(&mut self, is_held: bool) {
        let lost = matches!(self.levels.last(), Some(None)) || !is_held;
        self.levels.push((!lost).then(HashMap::new));
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
    fn the_second_of_two_spellings_is_not_held_and_what_is_in_it_is_not_told_apart() {
        let fat = Capabilities::of_type("exfat").unwrap();
        let mut held = Held::new(Some(&fat));
        let mut judge = |name: &str, kind| held.judge(OsStr::new(name), kind, 1);
        assert_eq!(judge("README", Kind::File), None);
        // Not stored as an entry, so it is in nobody's way.
        assert_eq!(judge("ReadMe", Kind::Symlink), None);
        let why = judge("readme", Kind::Folder).unwrap();
        assert_eq!(why, "its name differs from README only in case");
        held.enter(false);
        assert_eq!(held.judge(OsStr::new("a:b"), Kind::File, 1), None);
        held.leave();
        let why = held.judge(OsStr::new("a:b"), Kind::File, 1).unwrap();
        assert_eq!(why, "its name has `:`");
        assert_eq!(held.judge(OsStr::new("a:b"), Kind::Symlink, 1), None);
        let mut unknown = Held::new(None);
        assert_eq!(unknown.judge(OsStr::new("a:b"), Kind::File, 1), None);
    }
}
