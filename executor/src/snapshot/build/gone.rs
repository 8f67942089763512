//! What a clone has from the basis and the sources do not have any more: counted, and taken away.

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt as _,
};

use schema::{StoredPath, StoredPathBuf};

use super::Builder;
use crate::{
    error::Result,
    manifest::Entry,
    snapshot::{
        build_context::{BuildContext, Reference},
        jobs::{BuildItem, ItemKind, Lost},
    },
    sys::Folder,
};

/// Names that are taken away together.
const NAMES: usize = 256;

/// Entries of the basis that nobody asked for.
pub(super) struct GoneEntries<'a> {
    build: &'a BuildContext<'a>,
    folder: &'a mut Option<(StoredPathBuf, Folder)>,
    gone: Gone,
}

/// What they come to.
#[derive(Default)]
pub(super) struct Gone {
    lost: Lost,
    /// Those of them that are in none of the others, with the folder that they are in: all are in the
    /// one at hand, or in what stood in the place of an entry of it.
    names: Vec<(StoredPathBuf, OsString)>,
    within: Option<StoredPathBuf>,
}

impl<'a> GoneEntries<'a> {
    pub(super) fn new(
        build: &'a BuildContext<'_>,
        folder: &'a mut Option<(StoredPathBuf, Folder)>,
    ) -> Self {
        Self {
            build,
            folder,
            gone: Gone::default(),
        }
    }

    /// Adds one, in the manifest's order.
    pub(super) fn add(&mut self, entry: &Entry) {
        // The tree's own folder is always there.
        if self.build.clone_of.is_none() || entry.tree != 0 || entry.path.is_empty() {
            return;
        }
        let above = entry.path.parent().unwrap_or_default();
        if self.build.counts_as_lost(entry)
            && let Some(by) = entry.stored
            && let Some(stored) = self.open(above)
            && let Ok(stat) = stored.open().and_then(|dir| dir.stat(entry.stored_name()))
        {
            self.gone.lost.count(by, stat.allocated);
        }
        let gone = &mut self.gone;
        let is_inner = |top: &StoredPathBuf| entry.path.is_below(top);
        if !gone.within.as_ref().is_some_and(is_inner) {
            gone.within = Some(entry.path.clone());
            gone.names
                .push((above.to_owned(), entry.stored_name().to_owned()));
        }
    }

    /// A folder of the basis; the last one is kept, for what is in it follows.
    fn open(&mut self, path: &StoredPath) -> Option<Folder> {
        if let Some((known, folder)) = &*self.folder
            && **known == *path
        {
            return Some(folder.clone());
        }
        // From the nearest folder above that is known: a deep tree is gone down once.
        let mut names = Vec::new();
        let mut at = path;
        let known = loop {
            match &*self.folder {
                Some((known, folder)) if **known == *at => break folder.clone(),
                _ if at.is_root() => break self.build.basis.clone()?,
                _ => {}
            }
            names.push(at.file_name());
            at = at.parent().unwrap_or_default();
        };
        let folder = names
            .iter()
            .rev()
            .fold(known, |folder, name| folder.child(OsStr::from_bytes(name)));
        *self.folder = Some((path.to_owned(), folder.clone()));
        Some(folder)
    }

    pub(super) fn end(self) -> Gone {
        self.gone
    }
}

impl Builder<'_> {
    /// Passes what the basis has in the folder at hand beyond what the sources have there. Only of a
    /// clone: else what is not there need not be taken away.
    pub(super) fn pass_what_is_gone(&mut self) -> Result<()> {
        let (Some(basis), Some(node)) = (&mut self.basis, self.nodes.last()) else {
            return Ok(());
        };
        if self.build.clone_of.is_none() {
            return Ok(());
        }
        let by_basis = matches!(self.build.reference, Reference::Basis);
        let compared = &mut self.compared;
        let mut passed = GoneEntries::new(self.build, &mut self.gone_in);
        basis
            .pass_content(&node.path, &mut |entry| {
                if by_basis && entry.tree == 0 {
                    compared.gone(entry);
                }
                passed.add(entry);
            })
            .map_err(|error| self.build.basis_fault(error))?;
        let passed = passed.end();
        self.take_away(passed)
    }

    /// Has these taken away from the folder at hand. What is in a folder that the basis has and the
    /// sources have something else for goes with it.
    pub(super) fn take_away(&mut self, gone: Gone) -> Result<()> {
        self.tally.lost.add(gone.lost);
        if gone.names.is_empty() {
            return Ok(());
        }
        let node = self.node()?;
        if !node.inherited {
            return Ok(());
        }
        let here = gone
            .names
            .into_iter()
            .filter(|(above, _)| **above == *node.path);
        let names: Vec<OsString> = here.map(|(_, name)| name).collect();
        for names in names.chunks(NAMES) {
            self.job.items.push(BuildItem {
                reference: None,
                fed: None,
                node: self.node()?,
                name: OsString::new(),
                path: Some(Box::new(node.path.clone())),
                from: None,
                basis: None,
                line: 0..0,
                what: ItemKind::Gone(names.to_vec()),
            });
        }
        Ok(())
    }
}
