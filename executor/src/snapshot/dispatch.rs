//! Doing the jobs that a build is cut into: which room makes an entry of which kind.

use std::sync::{Arc, PoisonError};

use schema::journal::ProblemKind;

use super::{
    as_before,
    build_context::BuildContext,
    file, folder, inherit,
    jobs::{BuildItem, BuildJob, BuildJobResult, DirectoryNode, ItemKind},
    other,
    worker::Worker,
};
use crate::{
    error::{Result, system_reason},
    survey::left_out_reason,
    sys::Kind,
};

/// Bytes that a line of the manifest usually has at most.
const USUAL_LINE: usize = 320;

impl BuildContext<'_> {
    /// Does a job.
    pub(super) fn do_job(&self, job: BuildJob) -> BuildJobResult {
        let copier = {
            let mut copiers = self.copiers.lock().unwrap_or_else(PoisonError::into_inner);
            copiers.pop().unwrap_or_default()
        };
        let BuildJob {
            source,
            items,
            full,
            leaves,
            lines,
            bytes: _,
        } = job;
        let mut worker = Worker::new(self, copier);
        worker.tally.lines.reserve(items.len() * USUAL_LINE);
        let result = worker.make_all(full, items, &lines);
        let Worker { copier, tally, .. } = worker;
        let mut copiers = self.copiers.lock().unwrap_or_else(PoisonError::into_inner);
        copiers.push(copier);
        BuildJobResult {
            source,
            leaves,
            tally,
            result,
        }
    }
}

/// Tells the folders of a job how many of their entries in the basis will be looked at.
fn expect_looks(items: &[BuildItem]) {
    let is_looked_at = |item: &BuildItem| {
        let basis = item.basis.as_ref().filter(|basis| basis.tree == 0);
        let is_either = basis.is_some_and(|basis| matches!(basis.kind, Kind::File | Kind::Folder));
        is_either || (!item.line.is_empty() && matches!(item.what, ItemKind::File(..)))
    };
    let mut folders: Vec<(&Arc<DirectoryNode>, usize)> = Vec::new();
    for item in items.iter().filter(|item| is_looked_at(item)) {
        let known = folders
            .iter_mut()
            .find(|known| Arc::ptr_eq(known.0, &item.node));
        match known {
            Some((_, entries)) => *entries += 1,
            None => folders.push((&item.node, 1)),
        }
    }
    for (folder, entries) in folders {
        folder.expect_looks(entries);
    }
}

impl Worker<'_> {
    /// Finishes the folders that are full, and makes the entries of a job.
    fn make_all(
        &mut self,
        full: Vec<Arc<DirectoryNode>>,
        items: Vec<BuildItem>,
        lines: &[u8],
    ) -> Result<()> {
        for node in full {
            self.build.check()?;
            folder::finish_folder(self, &node)?;
        }
        if self.build.is_distant {
            expect_looks(&items);
        }
        for item in items {
            self.build.check()?;
            self.make_entry(item, lines)?;
        }
        Ok(())
    }

    /// Makes one entry, whatever its kind.
    fn make_entry(&mut self, mut item: BuildItem, lines: &[u8]) -> Result<()> {
        // All that is in a folder that the destination cannot hold was listed with it.
        if item.node.is_lost() {
            if let ItemKind::Folder(_, child) = &item.what {
                child.lose();
            }
            return Ok(());
        }
        self.take_up(&item);
        if !item.line.is_empty() {
            let line = &lines[item.line.clone()];
            if as_before::keep(self, &item, line)? {
                return Ok(());
            }
            item.basis = Some(Box::new(as_before::entry_of(self, line)?));
        }
        let inherited = item.node.inherited;
        if inherited && inherit::take_over(self, &mut item)? {
            return Ok(());
        }
        if self.build.clone_of.is_some()
            && let Some(entry) = item.basis.as_deref()
        {
            inherit::count_lost(self, entry);
        }
        if !inherited {
            return self.make_kind(&item);
        }
        let listed = self.tally.totals.entries;
        self.make_kind(&item)?;
        if item.basis.is_some() && self.tally.totals.entries == listed {
            inherit::clear_unlisted(self, &item)?;
        }
        Ok(())
    }

    fn make_kind(&mut self, item: &BuildItem) -> Result<()> {
        match &item.what {
            ItemKind::Stretch(stretch) => {
                inherit::take_over_stretch(self, stretch);
                Ok(())
            }
            ItemKind::Gone(names) => inherit::take_away(self, names),
            ItemKind::Folder(stat, child) => folder::enter_folder(self, item, stat, child),
            ItemKind::File(stat, group) => file::make_file(self, item, stat, group.as_deref()),
            ItemKind::Other(stat, group) => {
                other::make_special_entry(self, item, stat, group.as_deref())
            }
            ItemKind::Root(stat) => {
                folder::take_root_metadata(self, item, stat);
                Ok(())
            }
            ItemKind::Unreadable(error) => {
                self.problem(ProblemKind::Unreadable, system_reason(&(*error).into()));
                Ok(())
            }
            ItemKind::Hollow(stat) => {
                self.problem(ProblemKind::Unreadable, left_out_reason(stat));
                Ok(())
            }
            ItemKind::NoSource(error) => {
                let because = system_reason(&(*error).into());
                self.problem(
                    ProblemKind::Unreadable,
                    format!("the source is not there or cannot be read: {because}"),
                );
                Ok(())
            }
            ItemKind::Vanished => {
                self.vanished();
                Ok(())
            }
        }
    }
}
