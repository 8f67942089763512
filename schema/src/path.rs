//! Paths in a snapshot, as manifests list them: relative bytes, names separated by `/`.
//!
//! Owns what a path is made of, which paths are below which, their order and how they are shown.
//! Absolute paths of the machine are asked the same question by [`rest_below`].

use std::{borrow::Borrow, cmp::Ordering, fmt, ops::Deref};

use ref_cast::RefCast;

use crate::escape;

const SLASH: u8 = b'/';

/// A path in a snapshot: relative, without a slash at either end; empty for the snapshot itself.
///
/// What [`std::path::Path`] is to a machine's paths: a borrowed view that costs nothing. Its order is
/// the manifest's, in which a folder's content follows the folder directly.
#[derive(RefCast, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct StoredPath([u8]);

impl StoredPath {
    /// Bytes as a path; they are taken as they are.
    #[must_use]
    pub fn new<B: AsRef<[u8]> + ?Sized>(bytes: &B) -> &Self {
        Self::ref_cast(bytes.as_ref())
    }

    /// The path of something that stands at this absolute path of the machine.
    #[must_use]
    pub fn of_absolute<B: AsRef<[u8]> + ?Sized>(path: &B) -> &Self {
        let path = path.as_ref();
        Self::new(path.strip_prefix(b"/").unwrap_or(path))
    }

    /// The path of the snapshot itself.
    #[must_use]
    pub fn root() -> &'static Self {
        Self::new(b"")
    }

    /// Whether it is the snapshot itself.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The path as bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The folder that holds it and its name there; none for the snapshot itself.
    #[must_use]
    pub fn split_name(&self) -> Option<(&Self, &[u8])> {
        if self.is_root() {
            return None;
        }
        Some(match self.0.iter().rposition(|byte| *byte == SLASH) {
            Some(at) => (Self::new(&self.0[..at]), &self.0[at + 1..]),
            None => (Self::root(), &self.0),
        })
    }

    /// The folder that holds it; none for the snapshot itself.
    #[must_use]
    pub fn parent(&self) -> Option<&Self> {
        self.split_name().map(|(folder, _)| folder)
    }

    /// Its name in its folder; empty for the snapshot itself.
    #[must_use]
    pub fn file_name(&self) -> &[u8] {
        self.split_name().map_or(&[], |(_, name)| name)
    }

    /// The names along it, from the top; none for the snapshot itself.
    pub fn names(&self) -> impl DoubleEndedIterator<Item = &[u8]> {
        let names = self.0.split(|byte| *byte == SLASH);
        names.filter(|name| !name.is_empty())
    }

    /// Itself and the folders around it, from the top down to itself, less the snapshot itself.
    pub fn ancestors_from_top(&self) -> impl Iterator<Item = &Self> {
        let bytes = self.0.iter().enumerate();
        let slashes = bytes.filter_map(|(at, byte)| (*byte == SLASH).then_some(at));
        let ends = slashes.chain((!self.is_root()).then_some(self.0.len()));
        ends.map(|end| Self::new(&self.0[..end]))
    }

    /// The folders around it, from the snapshot itself down; none for the snapshot itself.
    pub fn folders_above(&self) -> impl Iterator<Item = &Self> {
        let own = self.0.len();
        let root = (!self.is_root()).then_some(Self::root());
        let along = self.ancestors_from_top();
        root.into_iter()
            .chain(along.filter(move |path| path.0.len() < own))
    }

    /// The rest of the path below a folder, or below that path: empty where it is the folder itself,
    /// none where it is not in it.
    #[must_use]
    pub fn rest_below(&self, folder: &Self) -> Option<&Self> {
        rest_below(&self.0, &folder.0).map(Self::new)
    }

    /// Whether it is this folder or something in it, however deep.
    #[must_use]
    pub fn is_within(&self, folder: &Self) -> bool {
        self.rest_below(folder).is_some()
    }

    /// Whether it is something in this folder, however deep, and not the folder itself.
    #[must_use]
    pub fn is_below(&self, folder: &Self) -> bool {
        self.rest_below(folder).is_some_and(|rest| !rest.is_root())
    }

    /// The path of what is in it under this name, or at this path.
    #[must_use]
    pub fn join<B: AsRef<[u8]> + ?Sized>(&self, name: &B) -> StoredPathBuf {
        let name = name.as_ref();
        let mut joined = StoredPathBuf(Vec::with_capacity(self.0.len() + 1 + name.len()));
        joined.0.extend_from_slice(&self.0);
        joined.push(name);
        joined
    }

    /// The absolute path that it has on the machine, or would have.
    #[must_use]
    pub fn to_absolute(&self) -> Vec<u8> {
        [b"/", &self.0].concat()
    }

    /// The path without what could break a line, as manifests and JSON have it.
    #[must_use]
    pub fn escaped(&self) -> String {
        escape::escape(&self.0)
    }

    /// The absolute path for people.
    #[must_use]
    pub fn shown(&self) -> String {
        escape::display(&self.to_absolute())
    }
}

/// The rest of a path below a folder: empty where it is the folder itself, none where it is not in it.
///
/// Both are relative, or both absolute; a slash at the folder's end says nothing.
#[must_use]
pub fn rest_below<'a>(path: &'a [u8], folder: &[u8]) -> Option<&'a [u8]> {
    let folder = folder.strip_suffix(b"/").unwrap_or(folder);
    match path.strip_prefix(folder)? {
        [SLASH, rest @ ..] => Some(rest),
        rest if rest.is_empty() || folder.is_empty() => Some(rest),
        _ => None,
    }
}

impl Ord for StoredPath {
    /// Name by name, each by bytes: `a`, `a/z`, `a.b`. A walk that visits each folder's names in the
    /// order of their bytes meets paths in this order.
    fn cmp(&self, other: &Self) -> Ordering {
        // With `/` as the least byte a folder's content comes before its longer-named siblings.
        let key = |byte: &u8| match *byte {
            SLASH => 0,
            byte => u16::from(byte) + 1,
        };
        let (one, other) = (&self.0, &other.0);
        let same = one.iter().zip(other).take_while(|(x, y)| x == y).count();
        let next = |path: &[u8]| path[same..].first().map(key);
        next(one).cmp(&next(other))
    }
}

impl PartialOrd for StoredPath {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Default for &StoredPath {
    fn default() -> Self {
        StoredPath::root()
    }
}

impl fmt::Debug for StoredPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.escaped())
    }
}

impl Deref for StoredPath {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl AsRef<[u8]> for StoredPath {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl ToOwned for StoredPath {
    type Owned = StoredPathBuf;

    fn to_owned(&self) -> StoredPathBuf {
        StoredPathBuf(self.0.to_vec())
    }
}

/// A [`StoredPath`] that is owned and can grow, as a walk needs it.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct StoredPathBuf(Vec<u8>);

impl StoredPathBuf {
    /// The path of the snapshot itself.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts names in a row; none for the snapshot itself.
    #[must_use]
    pub fn of_names<B: AsRef<[u8]>>(names: impl IntoIterator<Item = B>) -> Self {
        let mut path = Self::new();
        for name in names {
            path.push(name.as_ref());
        }
        path
    }

    /// The path that a person means who typed this: without slashes around it, empty names and `.`.
    #[must_use]
    pub fn of_typed<B: AsRef<[u8]> + ?Sized>(typed: &B) -> Self {
        let names = StoredPath::new(typed).names();
        Self::of_names(names.filter(|name| *name != b"."))
    }

    /// Goes on to what is there under this name, or at this path; nothing changes for an empty one.
    pub fn push<B: AsRef<[u8]> + ?Sized>(&mut self, name: &B) {
        let name = name.as_ref();
        if !self.0.is_empty() && !name.is_empty() {
            self.0.push(SLASH);
        }
        self.0.extend_from_slice(name);
    }

    /// Goes back to the folder that holds it; false where there is none.
    pub fn pop(&mut self) -> bool {
        match self.parent().map(|parent| parent.len()) {
            Some(length) => {
                self.0.truncate(length);
                true
            }
            None => false,
        }
    }

    /// Goes back to a path that it had, by its length in bytes.
    pub fn truncate(&mut self, length: usize) {
        self.0.truncate(length);
    }

    /// The path as bytes.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

impl Ord for StoredPathBuf {
    fn cmp(&self, other: &Self) -> Ordering {
        (**self).cmp(other)
    }
}

impl PartialOrd for StoredPathBuf {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Debug for StoredPathBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl Deref for StoredPathBuf {
    type Target = StoredPath;

    fn deref(&self) -> &StoredPath {
        StoredPath::new(&self.0)
    }
}

impl Borrow<StoredPath> for StoredPathBuf {
    fn borrow(&self) -> &StoredPath {
        self
    }
}

impl AsRef<StoredPath> for StoredPathBuf {
    fn as_ref(&self) -> &StoredPath {
        self
    }
}

impl AsRef<[u8]> for StoredPathBuf {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl From<Vec<u8>> for StoredPathBuf {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl From<&[u8]> for StoredPathBuf {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }
}

impl From<&StoredPath> for StoredPathBuf {
    fn from(path: &StoredPath) -> Self {
        path.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn path(text: &str) -> &StoredPath {
        StoredPath::new(text)
    }

    #[test]
    fn a_folders_content_comes_before_its_longer_named_siblings() {
        let mut paths = ["a.b", "a", "a/z", "a/b/c", "b", "a/b", ""].map(path);
        paths.sort();
        assert_eq!(
            paths,
            ["", "a", "a/b", "a/b/c", "a/z", "a.b", "b"].map(path)
        );
    }

    #[test]
    fn only_whole_names_make_a_path_one_below_another() {
        assert_eq!(path("a/b").rest_below(path("a")), Some(path("b")));
        assert_eq!(path("a").rest_below(path("a")), Some(path("")));
        assert_eq!(path("ab").rest_below(path("a")), None);
        assert_eq!(path("a").rest_below(path("a/b")), None);
        assert_eq!(path("a/b").rest_below(path("")), Some(path("a/b")));
        assert!(path("a").is_within(path("a")) && !path("a").is_below(path("a")));
        assert!(path("a/b").is_below(path("a")));
        assert!(!path("").is_below(path("")));
    }

    #[test]
    fn absolute_paths_are_below_folders_with_and_without_a_slash_at_the_end() {
        assert_eq!(rest_below(b"/home/ann", b"/home"), Some(&b"ann"[..]));
        assert_eq!(rest_below(b"/home/ann", b"/home/"), Some(&b"ann"[..]));
        assert_eq!(rest_below(b"/home", b"/home"), Some(&b""[..]));
        assert_eq!(rest_below(b"/home", b"/"), Some(&b"home"[..]));
        assert_eq!(rest_below(b"/", b"/"), Some(&b""[..]));
        assert_eq!(rest_below(b"/homes", b"/home"), None);
    }

    #[test]
    fn the_snapshot_itself_has_no_name_and_no_folder() {
        let root = StoredPath::root();
        assert_eq!(root.split_name(), None);
        assert_eq!((root.parent(), root.file_name()), (None, &b""[..]));
        assert_eq!(root.names().count(), 0);
        assert_eq!(root.shown(), "/");
        assert!(!StoredPathBuf::new().pop());
    }

    #[test]
    fn a_typed_path_loses_what_says_nothing() {
        for typed in ["/home//ann/./x/", "home/ann/x", "./home/ann/x"] {
            assert_eq!(*StoredPathBuf::of_typed(typed), *path("home/ann/x"));
        }
        assert!(StoredPathBuf::of_typed("/").is_root());
        assert!(StoredPathBuf::of_typed(".").is_root());
    }

    #[test]
    fn a_path_is_shown_as_that_of_the_machine() {
        assert_eq!(path("home/a b\n").shown(), "/home/a b\\012");
        assert_eq!(path("home/a b").escaped(), "home/a\\040b");
        assert_eq!(StoredPath::of_absolute("/home/ann"), path("home/ann"));
        assert_eq!(path("home/ann").to_absolute(), b"/home/ann");
        let along: Vec<_> = path("a/b/c").ancestors_from_top().collect();
        assert_eq!(along, ["a", "a/b", "a/b/c"].map(path));
        let above: Vec<_> = path("a/b/c").folders_above().collect();
        assert_eq!(above, ["", "a", "a/b"].map(path));
        assert_eq!(path("").folders_above().count(), 0);
    }

    /// Names as file systems have them: any bytes but `/` and NUL.
    fn some_path() -> impl Strategy<Value = StoredPathBuf> {
        let name = prop::collection::vec(prop_oneof![Just(b'a'), Just(b'.'), 1..=255_u8], 1..4);
        let name = name.prop_filter("a slash", |name| !name.contains(&SLASH));
        prop::collection::vec(name, 0..5).prop_map(StoredPathBuf::of_names)
    }

    proptest! {
        #[test]
        fn names_make_the_path_that_they_are_of(path in some_path()) {
            prop_assert_eq!(&StoredPathBuf::of_names(path.names()), &path);
            if let Some((folder, name)) = path.split_name() {
                prop_assert_eq!(&folder.join(name), &path);
                prop_assert!(path.is_below(folder) && *folder < *path);
                let mut popped = path.clone();
                prop_assert!(popped.pop());
                prop_assert_eq!(&*popped, folder);
            }
        }

        #[test]
        fn what_is_joined_is_below_and_leaves_the_rest(one in some_path(), other in some_path()) {
            let joined = one.join(&*other);
            prop_assert!(joined.is_within(&one));
            prop_assert_eq!(joined.rest_below(&one), Some(&*other));
            prop_assert_eq!(joined.is_below(&one), !other.is_root());
        }

        #[test]
        fn the_order_is_that_of_the_names(one in some_path(), other in some_path()) {
            let names = |path: &StoredPathBuf| path.names().map(<[u8]>::to_vec).collect::<Vec<_>>();
            prop_assert_eq!(one.cmp(&other), names(&one).cmp(&names(&other)));
        }

        #[test]
        fn a_folders_content_follows_it_directly(
            folder in some_path(), inside in some_path(), other in some_path(),
        ) {
            let inside = folder.join(&*inside);
            if !other.is_within(&folder) {
                prop_assert_eq!(other.cmp(&folder), other.cmp(&inside));
            }
        }

        #[test]
        fn an_escaped_path_comes_back(path in some_path()) {
            prop_assert_eq!(escape::unescape(path.escaped()), Some(path.into_bytes()));
        }
    }
}
