//! Where walks begin, and what lies below that is not simply a source's own: mounts, and other
//! sources.
//!
//! Sources may contain each other. Such a source is walked as a part of the one around it, so that
//! each folder has one entry, in its place in the manifest; its patterns are anchored at it all the
//! same, and what it has is counted as its own.

use std::collections::{HashMap, HashSet};

use rustix::io::Errno;
use schema::{StoredPath, StoredPathBuf, config::AbsolutePath, path::rest_below};

use crate::sys::{
    Kind, Stat,
    mounts::{self, Mount},
    resolve::{Resolved, resolve},
};

/// A source that a walk begins at.
#[derive(Debug)]
pub(crate) struct Root<'a> {
    /// The configured path.
    pub(crate) path: &'a AbsolutePath,
    /// Where it leads, or why it cannot be looked at.
    pub(crate) found: Result<Resolved, Errno>,
    /// What lies below it.
    pub(crate) below: Below<'a>,
}

/// What lies below a source.
#[derive(Debug, Default)]
pub(crate) struct Below<'a> {
    /// Its place in a snapshot.
    pub(crate) at: StoredPathBuf,
    /// Other file systems, by the path of their mount points relative to the source.
    mounts: HashMap<StoredPathBuf, Mount>,
    /// Mounts that only show the same again.
    same: HashSet<u64>,
    /// The sources that are walked with this one, in the manifest's order.
    pub(crate) inner: Vec<Inner<'a>>,
}

/// A source that is walked as a part of another.
#[derive(Debug)]
pub(crate) struct Inner<'a> {
    /// The configured path.
    pub(crate) path: &'a AbsolutePath,
    /// Its path relative to the source around it.
    pub(crate) below: StoredPathBuf,
    /// Where it leads.
    pub(crate) resolved: Resolved,
}

impl Below<'_> {
    /// The other file system that is mounted at a path.
    pub(crate) fn mount(&self, path: &StoredPath) -> Option<&Mount> {
        if self.mounts.is_empty() {
            return None;
        }
        self.mounts.get(path)
    }

    /// Whether a mount only shows the same again.
    pub(crate) fn is_same(&self, mount: u64) -> bool {
        self.same.contains(&mount)
    }

    /// The source that begins at a path.
    pub(crate) fn source_at(&self, path: &StoredPath) -> Option<&Inner<'_>> {
        self.inner.iter().find(|inner| *inner.below == *path)
    }

    /// The innermost source that a path belongs to, as its place among those within; none for the
    /// source itself.
    pub(crate) fn owner(&self, path: &StoredPath) -> Option<usize> {
        // Those within others come later.
        let mut owners = self.inner.iter();
        owners.rposition(|inner| path.is_within(&inner.below))
    }

    /// Whether a path leads to a source further below.
    pub(crate) fn leads(&self, path: &StoredPath) -> bool {
        let mut inner = self.inner.iter();
        inner.any(|inner| inner.below.is_below(path))
    }

    /// The names in a folder that lead to sources further below, in byte order.
    pub(crate) fn leading(&self, path: &StoredPath) -> Vec<&[u8]> {
        let below = self
            .inner
            .iter()
            .filter_map(|inner| inner.below.rest_below(path));
        let mut names: Vec<&[u8]> = below.filter_map(|rest| rest.names().next()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

/// Where the walks of these sources begin, which stand in the manifest's order.
pub(crate) fn survey_roots<'a>(order: &[&'a AbsolutePath]) -> Vec<Root<'a>> {
    let all = mounts::all_mounts().unwrap_or_default();
    let mut roots: Vec<Root<'a>> = Vec::new();
    for path in order {
        let mut found = resolve(path.as_path());
        let around = roots.iter_mut().rev().find_map(|root| {
            let is_folder = matches!(&root.found, Ok(outer) if outer.stat.kind == Kind::Folder);
            let below = path.as_stored().rest_below(root.path.as_stored());
            Some((below.filter(|_| is_folder)?.to_owned(), root))
        });
        if let Some((below, root)) = around {
            match found {
                Ok(resolved) if leads_there(root, &below, &resolved) => {
                    root.below.inner.push(Inner {
                        path,
                        below,
                        resolved,
                    });
                    continue;
                }
                // Its place in a snapshot has a symlink of the other source.
                Ok(_) => found = Err(Errno::LOOP),
                Err(_) => {}
            }
        }
        let mut below = Below {
            at: path.as_stored().to_owned(),
            ..Below::default()
        };
        if let Ok(resolved) = &found
            && let Ok(folder) = resolved.parent.proc_name(&resolved.name)
        {
            let mounts::Below { others, same } = mounts::mounts_below(&all, &folder);
            (below.mounts, below.same) = (others, same);
        }
        roots.push(Root { path, found, below });
    }
    roots
}

/// Whether one comes to what a source within another leads to without any symlink.
fn leads_there(around: &Root<'_>, below: &StoredPath, inner: &Resolved) -> bool {
    let Ok(outer) = &around.found else {
        return false;
    };
    let names = [
        outer.parent.proc_name(&outer.name),
        inner.parent.proc_name(&inner.name),
    ];
    let [Ok(outer), Ok(inner)] = names else {
        return false;
    };
    rest_below(&inner, &outer) == Some(below)
}

/// The file system that an entry must be on to belong to a source.
#[derive(Debug, Clone, Copy)]
pub(super) struct Base {
    pub(super) mount: u64,
    pub(super) dev: u64,
    /// Bytes of a path that are not compared with patterns: they lead to the source.
    pub(super) anchor: usize,
}

impl Base {
    pub(super) fn of(source: &Stat, below: &StoredPath) -> Self {
        Self {
            mount: source.mount,
            dev: source.dev,
            anchor: match below.len() {
                0 => 0,
                length => length + 1,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> AbsolutePath {
        text.parse().unwrap()
    }

    #[test]
    fn a_source_within_another_is_walked_with_it_and_a_symlink_on_the_way_is_refused() {
        let temporary = tempfile::tempdir().unwrap();
        let top = temporary.path().canonicalize().unwrap();
        for folder in ["home/ann/mail", "home/bob", "homes"] {
            std::fs::create_dir_all(top.join(folder)).unwrap();
        }
        std::os::unix::fs::symlink("bob", top.join("home/link")).unwrap();
        let at = |name: &str| path(top.join(name).to_str().unwrap());
        let sources = [
            "home",
            "home/ann",
            "home/ann/mail",
            "home/link",
            "homes",
            "none",
        ]
        .map(at);
        let order: Vec<&AbsolutePath> = sources.iter().collect();
        let roots = survey_roots(&order);
        let tops: Vec<_> = roots.iter().map(|root| root.path).collect();
        assert_eq!(tops, [&sources[0], &sources[3], &sources[4], &sources[5]]);
        assert_eq!(roots[1].found.as_ref().unwrap_err(), &Errno::LOOP);
        assert_eq!(roots[3].found.as_ref().unwrap_err(), &Errno::NOENT);
        let below = &roots[0].below;
        assert_eq!(below.owner(StoredPath::new(b"ann/mail/x")), Some(1));
        assert_eq!(below.owner(StoredPath::new(b"ann")), Some(0));
        assert_eq!(below.owner(StoredPath::new(b"anna")), None);
        assert!(
            below.leads(StoredPath::new(b"ann"))
                && !below.leads(StoredPath::new(b"ann/mail"))
                && !below.leads(StoredPath::new(b"bob"))
        );
        assert_eq!(below.leading(StoredPath::new(b"")), [b"ann"]);
        assert_eq!(below.leading(StoredPath::new(b"ann")), [b"mail"]);
        assert!(below.source_at(StoredPath::new(b"ann/mail")).is_some());
    }
}
