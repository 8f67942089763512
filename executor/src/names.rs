//! Names that a destination cannot hold: the safe names that stand for them, and the way back.
//!
//! An entry whose name the destination refuses, or takes for another one's, is stored beside the
//! others under a safe name; the manifest has both (`as=`). Which name is chosen follows from the
//! names of the folder alone, so that a run that continues another one chooses the same.

use std::{
    collections::{HashMap, HashSet},
    ffi::{OsStr, OsString},
    io,
    os::unix::ffi::{OsStrExt as _, OsStringExt as _},
};

use schema::{Digest, StoredPath, StoredPathBuf, record::Capabilities};

use crate::{
    manifest::{Entry, Reader},
    sys::bytes,
};

/// The longest ending that a safe name keeps, so that a click still opens a document.
const LONGEST_ENDING: usize = 8;

/// Chooses the names of one folder's entries, which must come in the manifest's order.
#[derive(Debug, Default)]
pub(crate) struct Namer {
    given: HashSet<Vec<u8>>,
}

impl Namer {
    /// The name that stands for an entry's own in this folder; none where its own does.
    pub(crate) fn stored_as(&mut self, can: &Capabilities, name: &OsStr) -> Option<OsString> {
        if !can.limits_names() {
            return None;
        }
        let key = |name: &[u8]| can.folded(name).unwrap_or_else(|| name.to_vec());
        let name = bytes(name);
        if can.refuses_name(name).is_none() && self.given.insert(key(name)) {
            return None;
        }
        let mut turns = (0_u64..).map(|turn| safe_name(can, name, turn));
        turns
            .find(|safe| self.given.insert(key(safe)))
            .map(OsString::from_vec)
    }
}

/// A name that the destination can hold: what can be kept of the true one, and a mark that
/// follows from all of it.
fn safe_name(can: &Capabilities, name: &[u8], turn: u64) -> Vec<u8> {
    let mut marked = name.to_vec();
    if turn > 0 {
        marked.push(0);
        marked.extend_from_slice(&turn.to_le_bytes());
    }
    let mark = &Digest::of(&marked).to_string()[..8];
    let text = String::from_utf8_lossy(name);
    let is_safe = |letter: char| {
        !letter.is_control()
            && letter != char::REPLACEMENT_CHARACTER
            && !can.names.refused.contains(letter)
            && (letter.is_ascii() || !can.names.one_unicode_form)
    };
    let safe: String = text
        .chars()
        .map(|letter| if is_safe(letter) { letter } else { '_' })
        .collect();
    let (stem, ending) = match safe.rsplit_once('.') {
        Some((stem, ending))
            if !stem.is_empty()
                && (1..=LONGEST_ENDING).contains(&ending.len())
                && ending.bytes().all(|byte| byte.is_ascii_alphanumeric()) =>
        {
            (stem, format!(".{ending}"))
        }
        _ => (safe.as_str(), String::new()),
    };
    let rest = format!("~{mark}{ending}");
    let room = (can.name_max as usize).saturating_sub(rest.len());
    let mut end = stem.len().min(room);
    while !stem.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{rest}", &stem[..end]).into_bytes()
}

/// The safe names of one snapshot, or of what is below one path of it.
#[derive(Debug, Default)]
pub struct StoredNames {
    /// By true path the stored name.
    stored: HashMap<StoredPathBuf, OsString>,
    /// By folder (its true path) and stored name the true name.
    own: HashMap<(StoredPathBuf, OsString), OsString>,
}

impl StoredNames {
    /// Collects them from a manifest.
    ///
    /// # Errors
    /// Fails if the manifest cannot be read or is damaged.
    pub fn read(manifest: Reader) -> io::Result<Self> {
        let mut names = Self::default();
        for entry in manifest {
            names.add(&entry?);
        }
        Ok(names)
    }

    pub(crate) fn add(&mut self, entry: &Entry) {
        let Some(stored) = &entry.stored_as else {
            return;
        };
        let (folder, own) = entry.path.split_name().unwrap_or_default();
        let own = OsStr::from_bytes(own).to_owned();
        self.stored.insert(entry.path.clone(), stored.clone());
        self.own.insert((folder.to_owned(), stored.clone()), own);
    }

    /// Whether every entry stands under its own name.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.stored.is_empty()
    }

    /// Those below a path, whose paths then begin there.
    #[must_use]
    pub fn below(&self, top: &StoredPath) -> Self {
        let rest = |path: &StoredPath| path.rest_below(top).map(ToOwned::to_owned);
        let stored = self.stored.iter();
        let own = self.own.iter();
        Self {
            stored: stored
                .filter_map(|(path, name)| Some((rest(path)?, name.clone())))
                .filter(|(path, _)| !path.is_empty())
                .collect(),
            own: own
                .filter_map(|((folder, stored), own)| {
                    Some(((rest(folder)?, stored.clone()), own.clone()))
                })
                .collect(),
        }
    }

    /// The name under which the entry of this path stands in its folder.
    #[must_use]
    pub fn stored_name<'a>(&'a self, path: &'a StoredPath) -> &'a OsStr {
        match self.stored.get(path) {
            Some(stored) => stored,
            None => OsStr::from_bytes(path.file_name()),
        }
    }

    /// The path at which the entry of this path stands.
    #[must_use]
    pub fn stored_path(&self, path: &StoredPath) -> StoredPathBuf {
        if self.is_empty() {
            return path.to_owned();
        }
        let along = path.ancestors_from_top();
        StoredPathBuf::of_names(along.map(|path| bytes(self.stored_name(path))))
    }

    /// The true name of what stands under a name in the folder of this true path.
    #[must_use]
    pub fn own_name(&self, folder: &StoredPath, stored: OsString) -> OsString {
        if self.own.is_empty() {
            return stored;
        }
        let key = (folder.to_owned(), stored);
        self.own.get(&key).cloned().unwrap_or(key.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fat() -> Capabilities {
        Capabilities::of_type("vfat").unwrap()
    }

    fn stored(namer: &mut Namer, can: &Capabilities, name: &[u8]) -> Option<String> {
        let stored = namer.stored_as(can, OsStr::from_bytes(name))?;
        assert_eq!(can.refuses_name(bytes(&stored)), None, "{stored:?}");
        Some(stored.into_string().unwrap())
    }

    #[test]
    fn what_can_be_held_keeps_its_name_and_all_else_gets_one_that_can() {
        let can = fat();
        let mut namer = Namer::default();
        for name in ["README", "10 30.txt", "\u{e9}t\u{e9}"] {
            assert_eq!(stored(&mut namer, &can, name.as_bytes()), None);
        }
        let long = [b'n'; 300];
        for (name, begins, ends) in [
            (&b"10:30.txt"[..], "10_30~", ".txt"),
            (b"readme", "readme~", ""),
            (b"what?", "what_~", ""),
            (b"two\nlines", "two_lines~", ""),
            (b"\xff\xfe.jpg", "__~", ".jpg"),
            (b"dot.", "dot.~", ""),
            (b".?", "._~", ""),
            (&long, "nnn", ""),
        ] {
            let found = stored(&mut namer, &can, name).unwrap();
            assert!(
                found.starts_with(begins) && found.ends_with(ends),
                "{found}"
            );
            assert!(found.len() <= 255, "{found}");
        }
    }

    #[test]
    fn no_two_entries_of_a_folder_get_one_name() {
        let can = fat();
        let mut namer = Namer::default();
        // A file that is really called what another one would be stored as.
        let first = stored(&mut namer, &can, b"a:b").unwrap();
        let second = stored(&mut namer, &can, first.as_bytes()).unwrap();
        assert_ne!(first, second);
        let mut namer = Namer::default();
        assert_eq!(stored(&mut namer, &can, first.as_bytes()), None);
        assert_ne!(stored(&mut namer, &can, b"a:b").unwrap(), first);
        // The same folder gets the same names each time.
        let mut again = Namer::default();
        assert_eq!(stored(&mut again, &can, b"a:b"), Some(first));
    }

    #[test]
    fn a_name_that_differs_in_its_unicode_form_only_is_a_twin_where_both_are_one() {
        let can = Capabilities {
            names: schema::record::NameLimits {
                one_unicode_form: true,
                ..Default::default()
            },
            ..Capabilities::all()
        };
        let mut namer = Namer::default();
        assert_eq!(stored(&mut namer, &can, "e\u{301}".as_bytes()), None);
        let twin = stored(&mut namer, &can, "\u{e9}".as_bytes()).unwrap();
        assert!(twin.starts_with("_~"), "{twin}");
        assert_eq!(stored(&mut namer, &can, b"E"), None);
    }

    #[test]
    fn a_file_system_that_holds_every_name_is_asked_for_nothing() {
        let mut namer = Namer::default();
        let all = Capabilities::all();
        for name in [&b"a:b"[..], b"A:B", b"\xff", b"two\nlines"] {
            assert_eq!(namer.stored_as(&all, OsStr::from_bytes(name)), None);
        }
        assert!(namer.given.is_empty());
    }

    #[test]
    fn paths_are_found_in_both_directions() {
        let mut names = StoredNames::default();
        for line in [
            "./home/a:b type=dir as=a_b~1",
            "./home/a:b/c type=file",
            "./home/a:b/why? type=file as=why_~2",
        ] {
            names.add(&Entry::from_line(line).unwrap());
        }
        let stored = |path: &str| names.stored_path(StoredPath::new(path)).escaped();
        assert_eq!(stored("home/a:b/why?"), "home/a_b~1/why_~2");
        assert_eq!(stored("home/a:b/c"), "home/a_b~1/c");
        assert_eq!(stored("home"), "home");
        let below = names.below(StoredPath::new("home/a:b"));
        assert_eq!(
            *below.stored_path(StoredPath::new("why?")),
            *StoredPath::new("why_~2")
        );
        assert_eq!(below.own_name(StoredPath::root(), "why_~2".into()), "why?");
        assert_eq!(
            names.own_name(StoredPath::new("home"), "other".into()),
            "other"
        );
        assert!(names.below(StoredPath::new("home/other")).is_empty());
    }
}
