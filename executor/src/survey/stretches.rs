//! Stretches: entries that follow each other in the sources as in the basis' manifest, and to all of which
//! nothing was done since.
//!
//! A clone of the basis has them as they are, so their lines are taken over unread. A stretch is of whole
//! folders and of leaves that are in one folder; what was met and what the manifest has are the same in
//! number and order, from its first entry to its last. What that is worth, and what else may forbid to take
//! them over, is the builder's affair.

use schema::{Digest, SnapshotId, record::SnapshotRecord};

use super::Since;
use crate::{
    manifest::{FoundLooks, NamesHere},
    sys::{Kind, Stat},
};

/// Fewer entries are made one by one.
const FEWEST: u64 = 4;

/// Some entries, as the record of the walk and the manifest have them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stretch {
    /// What was met before it, and in it; a folder is met twice.
    pub(crate) met_before: u64,
    pub(crate) met: u64,
    /// The place of its first line in the manifest, counted from zero.
    pub(crate) line: u64,
    /// Its lines, which are as many entries.
    pub(crate) lines: u64,
    /// The folders among them.
    pub(crate) folders: u64,
    /// The files among them, and their bytes.
    pub(crate) files: u64,
    pub(crate) bytes: u64,
}

impl Stretch {
    fn of(met_before: u64, line: u64, stat: &Stat) -> Self {
        let is_file = stat.kind == Kind::File;
        Self {
            met_before,
            met: 1,
            line,
            lines: 1,
            folders: u64::from(stat.kind == Kind::Folder),
            files: u64::from(is_file),
            bytes: if is_file { stat.size } else { 0 },
        }
    }

    pub(crate) fn line_end(&self) -> u64 {
        self.line + self.lines
    }

    fn met_end(&self) -> u64 {
        self.met_before + self.met
    }

    fn is_followed_by(&self, next: &Self) -> bool {
        self.line_end() == next.line && self.met_end() == next.met_before
    }

    fn extend(&mut self, next: &Self) {
        self.met += next.met;
        self.lines += next.lines;
        self.folders += next.folders;
        self.files += next.files;
        self.bytes += next.bytes;
    }
}

/// The manifest that stretches are of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StretchedManifest {
    pub(crate) basis: SnapshotId,
    pub(crate) digest: Digest,
    /// How many lines each of its segments has.
    pub(crate) lines: Vec<u64>,
}

/// Which entries were not touched since a basis that is alone.
pub(crate) struct Untouched<'a> {
    basis: &'a SnapshotRecord,
    since: Since,
    names: NamesHere,
}

impl<'a> Untouched<'a> {
    pub(crate) fn since(basis: &'a SnapshotRecord) -> Self {
        Self {
            basis,
            since: Since::of(basis),
            names: NamesHere::default(),
        }
    }

    /// The place of an entry's line, if the entry's own line now is this line again.
    ///
    /// Invariant: what is said of so many lines here is what is said of one where an entry is made by itself.
    pub(crate) fn line_of(&mut self, found: &FoundLooks<'_>, stat: &Stat) -> Option<u64> {
        let (place, line) = found.line.as_ref()?;
        let is_file = stat.kind == Kind::File;
        let has_content = is_file && line.looks.has_digest;
        let is_simple = line.is_plain
            && line.looks.is_stored == is_file
            && has_content == is_file
            // Attributes of what is no file are read and compared where there are any.
            && (is_file || !line.has_attributes)
            && (stat.kind == Kind::Folder || stat.nlink == 1)
            && !stat.immutable
            && !stat.append_only;
        let is_same = is_simple
            && self.since.untouched(line.looks, stat)
            && self.names.are((stat.uid, stat.gid), line.names);
        is_same.then_some(*place)
    }

    pub(crate) fn manifest(&self, lines: Vec<u64>) -> StretchedManifest {
        StretchedManifest {
            basis: self.basis.id,
            digest: self.basis.manifest_digest,
            lines,
        }
    }
}

/// Finds stretches in one source while it is walked through.
#[derive(Default)]
pub(crate) struct StretchSearch {
    met: u64,
    /// The folders that were entered and not left.
    open: Vec<OpenFolder>,
    found: Vec<Stretch>,
}

/// A folder that is being walked through.
#[derive(Default)]
struct OpenFolder {
    /// Its own line, if that is taken over.
    own: Option<Stretch>,
    /// What was met last in it is the end of this.
    last: Option<Stretch>,
    /// Those before that.
    before: Vec<Stretch>,
    /// Not all that was met in it is in a stretch.
    is_mixed: bool,
}

impl OpenFolder {
    fn add(&mut self, next: Stretch) {
        match &mut self.last {
            Some(last) if last.is_followed_by(&next) => last.extend(&next),
            last => self.before.extend(last.replace(next)),
        }
    }

    fn mix(&mut self) {
        self.before.extend(self.last.take());
        self.is_mixed = true;
    }
}

impl StretchSearch {
    /// What is no folder was met; `line` is the place of its line, if that is taken over.
    pub(crate) fn leaf(&mut self, line: Option<u64>, stat: &Stat) {
        let next = line.map(|line| Stretch::of(self.met, line, stat));
        self.met += 1;
        let Some(folder) = self.open.last_mut() else {
            return;
        };
        match next {
            Some(next) => folder.add(next),
            None => folder.mix(),
        }
    }

    /// Something else was met.
    pub(crate) fn other(&mut self) {
        self.met += 1;
        self.mix();
    }

    /// Something is not as it was in the folder at hand.
    pub(crate) fn mix(&mut self) {
        if let Some(folder) = self.open.last_mut() {
            folder.mix();
        }
    }

    /// A folder was entered; `line` is the place of its line, if that is taken over.
    pub(crate) fn enter(&mut self, line: Option<u64>, stat: &Stat) {
        // A source's own folder is entered by itself: what is around it is made with it.
        let own = line.filter(|_| !self.open.is_empty());
        self.open.push(OpenFolder {
            own: own.map(|line| Stretch::of(self.met, line, stat)),
            ..OpenFolder::default()
        });
        self.met += 1;
    }

    /// Whether the folder at hand may be taken over as a whole, if the manifest has nothing more in it.
    pub(crate) fn may_be_whole(&self) -> bool {
        self.open.last().is_some_and(|folder| {
            folder.own.is_some() && !folder.is_mixed && folder.before.is_empty()
        })
    }

    /// The folder at hand is left; `next` is the place of the manifest's next line where that is in no folder
    /// that is left with it.
    pub(crate) fn leave(&mut self, next: Option<u64>) {
        let is_whole = self.may_be_whole();
        self.met += 1;
        let Some(folder) = self.open.pop() else {
            return;
        };
        if let Some(mut own) = folder.own.filter(|_| is_whole) {
            let follows = folder.last.is_none_or(|last| own.is_followed_by(&last));
            if let Some(last) = folder.last.filter(|_| follows) {
                own.extend(&last);
            }
            // The walk leaves it right after what is in it, and nothing of the manifest was passed.
            if follows && next == Some(own.line_end()) && own.met_end() + 1 == self.met {
                own.met += 1;
                if let Some(around) = self.open.last_mut() {
                    around.add(own);
                }
                return;
            }
        }
        self.found.extend(folder.before);
        self.found.extend(folder.last);
        self.mix();
    }

    /// All of some size, in their order.
    pub(crate) fn finish(mut self) -> Vec<Stretch> {
        self.found.retain(|stretch| stretch.lines >= FEWEST);
        self.found
            .sort_unstable_by_key(|stretch| stretch.met_before);
        self.found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is walked through: a line that is taken over, one that is not, a folder's end.
    enum Step {
        File(Option<u64>),
        Enter(Option<u64>),
        /// With the place of the next line, where that is not in the folder.
        Leave(Option<u64>),
        Other,
    }
    use Step::{Enter, File, Leave, Other};

    /// What was met before each stretch and in it, its first line and its lines.
    fn found(steps: Vec<Step>) -> Vec<(u64, u64, u64, u64)> {
        let stat = Stat::of(rustix::fs::CWD, "/proc/self/exe").unwrap();
        let of_kind = |kind| Stat {
            kind,
            size: 3,
            ..stat
        };
        let mut search = StretchSearch::default();
        for step in steps {
            match step {
                File(line) => search.leaf(line, &of_kind(Kind::File)),
                Enter(line) => search.enter(line, &of_kind(Kind::Folder)),
                Leave(next) => search.leave(next),
                Other => search.other(),
            }
        }
        let all = search.finish();
        for one in &all {
            assert_eq!(one.files + one.folders, one.lines);
            assert_eq!(one.bytes, 3 * one.files);
        }
        all.iter()
            .map(|one| (one.met_before, one.met, one.line, one.lines))
            .collect()
    }

    fn files(lines: std::ops::Range<u64>) -> Vec<Step> {
        lines.map(|line| File(Some(line))).collect()
    }

    fn around(steps: Vec<Vec<Step>>) -> Vec<Step> {
        let mut all = vec![Enter(Some(1))];
        all.extend(steps.into_iter().flatten());
        all.push(Leave(None));
        all
    }

    #[test]
    fn folders_that_are_as_they_were_join_what_is_around_them_and_a_source_itself_does_not() {
        let all = around(vec![
            files(2..4),
            vec![Enter(Some(4))],
            files(5..7),
            vec![Enter(Some(7)), Leave(Some(8)), Leave(Some(8))],
            files(8..9),
        ]);
        assert_eq!(found(all), [(1, 9, 2, 7)]);
    }

    #[test]
    fn what_is_not_as_it_was_parts_its_folder_and_all_around_it() {
        for other in [|| vec![File(None)], || vec![Other]] {
            let all = around(vec![
                files(2..6),
                vec![Enter(Some(6))],
                files(7..12),
                other(),
                files(13..17),
                vec![Leave(Some(17))],
                files(17..21),
            ]);
            let expected = [(1, 4, 2, 4), (6, 5, 7, 5), (12, 4, 13, 4), (17, 4, 17, 4)];
            assert_eq!(found(all), expected);
        }
    }

    #[test]
    fn a_line_that_nothing_was_met_for_parts_what_is_before_it_from_what_follows() {
        assert_eq!(
            found(around(vec![files(2..8), files(9..13)])),
            [(1, 6, 2, 6), (7, 4, 9, 4)]
        );
        // At a folder's beginning, at its end, and after it was passed over at its end.
        for (inner, next) in [(8..12, Some(12)), (7..11, None), (7..11, Some(12))] {
            let (from, lines) = (inner.start, inner.end - inner.start);
            let all = around(vec![
                vec![Enter(Some(6))],
                files(inner),
                vec![Leave(next)],
                files(20..25),
            ]);
            assert_eq!(found(all), [(2, lines, from, lines), (7, 5, 20, 5)]);
        }
    }

    #[test]
    fn a_folder_whose_own_line_is_another_keeps_what_is_in_it() {
        let all = around(vec![vec![Enter(None)], files(3..8), vec![Leave(Some(8))]]);
        assert_eq!(found(all), [(2, 5, 3, 5)]);
    }

    #[test]
    fn a_few_are_made_one_by_one() {
        assert_eq!(found(around(vec![files(2..5)])), []);
    }
}
