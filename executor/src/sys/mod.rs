//! The file-system primitives: everything goes by directory descriptor.
//!
//! Invariant: no function here resolves a path of more than one component, except
//! [`resolve::resolve`], which does so one component at a time.

pub mod answer;
pub mod attributes;
pub mod dir;
pub mod folder;
pub mod machine;
pub mod mounts;
pub mod owners;
pub mod resolve;
pub mod stat;
pub mod times;
pub mod uuid;

pub use dir::{Dir, Listed};
pub use folder::Folder;
pub use owners::Owners;
pub use stat::{Kind, Stat};

use std::{ffi::OsStr, os::unix::ffi::OsStrExt as _};

/// The bytes of a name.
#[must_use]
pub fn bytes(name: &OsStr) -> &[u8] {
    name.as_bytes()
}

/// The order of two relative paths in which a folder's content follows it directly.
///
/// Component by component, each by bytes: `a`, `a/z`, `a.b`. A walk that visits each folder's
/// names in byte order meets paths in this order.
#[must_use]
pub fn path_order(a: &[u8], b: &[u8]) -> std::cmp::Ordering {
    // No name holds NUL, so `/` as the least byte orders a folder's content before its siblings.
    let key = |byte: &u8| if *byte == b'/' { 0 } else { *byte };
    let same = a.iter().zip(b).take_while(|(x, y)| x == y).count();
    a[same..].first().map(key).cmp(&b[same..].first().map(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folders_content_comes_before_its_longer_named_siblings() {
        let mut paths: Vec<&[u8]> = vec![b"a.b", b"a", b"a/z", b"a/b/c", b"b", b"a/b", b""];
        paths.sort_by(|x, y| path_order(x, y));
        let expected: Vec<&[u8]> = vec![b"", b"a", b"a/b", b"a/b/c", b"a/z", b"a.b", b"b"];
        assert_eq!(paths, expected);
    }
}
