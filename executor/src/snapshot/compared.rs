//! Says what a new snapshot lacks of its reference, and why that makes it suspect.
//!
//! Like is compared with like: what is not backed up any more, because a source was taken out of the
//! configuration or a pattern was added, is left out on both sides.

use schema::{
    SnapshotId, StoredPath, StoredPathBuf,
    amount::{count, plural},
    config::AbsolutePath,
    pattern::Excludes,
    plan::{LikeBefore, SnapshotStep, SuspectWhen},
    record::SourceRecord,
};

use crate::{manifest::Entry, survey::LeftOutFolders, sys::Kind};

/// Below this many entries or files half of them is no sign of anything.
const FEW: u64 = 20;
/// Sources that are named.
const NAMED: usize = 3;

/// What became of the reference's files.
pub(super) struct Compared {
    excludes: Option<Excludes>,
    sources: Vec<ComparedSource>,
    /// Entries and files of the reference that are not backed up any more.
    left_out: (u64, u64),
    /// The folders that tags leave out now.
    tagged: LeftOutFolders,
    /// Other tags count than for the reference.
    other_tags: bool,
    /// A folder of the reference that is excluded now.
    excluded: Option<StoredPathBuf>,
}

/// What became of one source's files.
struct ComparedSource {
    path: AbsolutePath,
    /// Its path in the snapshot.
    prefix: StoredPathBuf,
    missing: Files,
    changed: Files,
    /// Something that is not there is left out because of a tag.
    has_tagged: bool,
    /// Files that are missing because a tag came into a folder.
    tagged: Files,
}

/// Some files, and one of them.
#[derive(Default)]
struct Files {
    files: u64,
    such_as: Option<StoredPathBuf>,
}

impl Files {
    fn add(&mut self, files: u64, path: &StoredPath) {
        self.files += files;
        self.such_as.get_or_insert_with(|| path.to_owned());
    }
}

impl Compared {
    pub(super) fn new(step: &SnapshotStep, tagged: LeftOutFolders) -> Self {
        let sources = step.sources.iter().map(|source| ComparedSource {
            path: source.path.clone(),
            prefix: source.path.as_stored().to_owned(),
            missing: Files::default(),
            changed: Files::default(),
            has_tagged: false,
            tagged: Files::default(),
        });
        Self {
            excludes: Excludes::new(&step.exclude_patterns).ok(),
            sources: sources.collect(),
            left_out: (0, 0),
            tagged,
            other_tags: step.suspect_when.other_tags,
            excluded: None,
        }
    }

    /// An entry of the reference that is not in the new snapshot. They come in the manifest's order.
    pub(super) fn gone(&mut self, entry: &Entry) {
        if entry.path.is_empty() {
            return;
        }
        let is_file = entry.kind == Kind::File;
        let excluded = self.excluded.as_deref();
        let mut left_out = excluded.is_some_and(|above| entry.path.is_within(above));
        let within = innermost_source(&mut self.sources, &entry.path);
        if let Some((source, _)) = within
            && self.tagged.covers(&entry.path, &source.prefix)
        {
            source.has_tagged = true;
            if self.other_tags {
                self.left_out.0 += 1;
                self.left_out.1 += u64::from(is_file);
            } else if is_file {
                source.missing.add(1, &entry.path);
                source.tagged.add(1, &entry.path);
            }
            return;
        }
        let within = innermost_source(&mut self.sources, &entry.path);
        if !left_out {
            left_out = within.as_ref().is_none_or(|(source, rest)| {
                let is_folder = entry.kind == Kind::Folder;
                let excludes = self.excludes.as_ref();
                excludes.is_some_and(|all| {
                    let found = all.matches_placed(&source.prefix, rest, 0, is_folder);
                    found.is_some()
                })
            });
            if left_out && entry.kind == Kind::Folder && within.is_some() {
                self.excluded = Some(entry.path.clone());
            }
        }
        if left_out {
            self.left_out.0 += 1;
            self.left_out.1 += u64::from(is_file);
        } else if is_file && let Some((source, _)) = within {
            source.missing.add(1, &entry.path);
        }
    }

    /// Files that are not as the reference has them, one of which is this.
    pub(super) fn changed(&mut self, files: u64, path: &StoredPath) {
        if let Some((source, _)) = innermost_source(&mut self.sources, path) {
            source.changed.add(files, path);
        }
    }

    /// Why the new snapshot is suspect; empty if it is not. `as_before` are the files that are as the
    /// reference has them.
    pub(super) fn suspect(
        &self,
        when: &SuspectWhen,
        entries: u64,
        as_before: u64,
        sources: &[SourceRecord],
    ) -> Vec<String> {
        let mut reasons = Vec::new();
        let limit = |limit: Option<u64>, left_out: u64| {
            let limit = limit?.saturating_sub(left_out.div_ceil(2));
            (limit >= FEW / 2).then_some(limit)
        };
        if let Some(limit) = limit(when.entries_below, self.left_out.0)
            && entries < limit
        {
            reasons.push(format!(
                "it has {}, less than half of the {} or more before{}",
                plural(entries, "entry", "entries"),
                count(limit.saturating_mul(2).saturating_sub(1)),
                self.named(|source| &source.missing, "missing from")
            ));
        }
        if let Some(limit) = limit(when.unchanged_files_below, self.left_out.1)
            && as_before < limit
        {
            reasons.push(format!(
                "most content changed at once: {} as before, fewer than {}{}",
                match as_before {
                    1 => "1 file is".to_owned(),
                    _ => format!("{} files are", count(as_before)),
                },
                count(limit),
                match self.named(|source| &source.changed, "with other content in") {
                    none if none.is_empty() => self.named(|source| &source.missing, "missing from"),
                    changed => changed,
                }
            ));
        }
        for path in self.emptied_sources(&when.had_files, sources) {
            let missing = self.sources.iter().find(|source| source.path == *path);
            let missing = missing.map(|source| &source.missing);
            let had = match missing {
                Some(missing) if missing.files > 0 => format!(
                    "had {}{}",
                    plural(missing.files, "file", "files"),
                    such_as(missing)
                ),
                _ => "had files".to_owned(),
            };
            let there = sources.iter().any(|one| one.path == *path && one.present);
            let is = if there { "empty" } else { "missing" };
            reasons.push(format!("source {path} {had} and is {is} now"));
        }
        if !reasons.is_empty() {
            let tagged = self.sources.iter().map(|source| &source.tagged);
            let files = tagged.clone().map(|some| some.files).sum();
            if let Some(most) = tagged.max_by_key(|some| some.files).filter(|_| files > 0) {
                reasons.push(format!(
                    "a tag that came into their folders leaves out {} of them{}",
                    plural(files, "file", "files"),
                    such_as(most)
                ));
            }
        }
        reasons
    }

    /// Since which snapshot it is suspect for the same reasons as its basis; none if it is another event.
    pub(super) fn like_before(
        &self,
        like: Option<&LikeBefore>,
        entries: u64,
        unchanged_files: u64,
        sources: &[SourceRecord],
    ) -> Option<SnapshotId> {
        let like = like?;
        let fewer = |limit: Option<u64>, count: u64| limit.is_some_and(|limit| count < limit);
        let mut emptied = self.emptied_sources(&like.had_files, sources);
        let other = fewer(like.entries_below, entries)
            || fewer(like.unchanged_files_below, unchanged_files)
            || emptied.next().is_some();
        (!other).then_some(like.since)
    }

    /// Sources that had files and have none now. One that is a folder counts itself, and one of which all is
    /// left out is not empty.
    fn emptied_sources<'s>(
        &'s self,
        had_files: &'s [AbsolutePath],
        sources: &'s [SourceRecord],
    ) -> impl Iterator<Item = &'s AbsolutePath> {
        had_files.iter().filter(|path| {
            let source = sources.iter().find(|source| source.path == **path);
            let mut compared = self.sources.iter();
            let is_left_out =
                compared.any(|one| one.path == **path && one.has_tagged && one.missing.files == 0);
            source.is_none_or(|source| !source.present || (source.entries <= 1 && !is_left_out))
        })
    }

    /// The sources that something is true of, the one with the most files first.
    fn named(&self, of: impl Fn(&ComparedSource) -> &Files, what: &str) -> String {
        let mut sources: Vec<&ComparedSource> = self.sources.iter().collect();
        sources.retain(|source| of(source).files > 0);
        sources.sort_by_key(|source| std::cmp::Reverse(of(source).files));
        let named: Vec<String> = sources
            .iter()
            .take(NAMED)
            .map(|source| {
                let some = of(source);
                let files = plural(some.files, "file", "files");
                format!("{files} {what} {}{}", source.path, such_as(some))
            })
            .collect();
        match sources.len().saturating_sub(NAMED) {
            _ if named.is_empty() => String::new(),
            0 => format!(": {}", named.join(", ")),
            more => format!(": {} and in {more} more", named.join(", ")),
        }
    }
}

fn such_as(some: &Files) -> String {
    let Some(path) = &some.such_as else {
        return String::new();
    };
    format!(" (such as {})", path.shown())
}

/// The innermost source that a path of a snapshot is in, and its path in it.
fn innermost_source<'a, 'p>(
    sources: &'a mut [ComparedSource],
    path: &'p StoredPath,
) -> Option<(&'a mut ComparedSource, &'p StoredPath)> {
    let within = sources.iter_mut().filter_map(|source| {
        let rest = path.rest_below(&source.prefix)?;
        Some((source, rest))
    });
    within.max_by_key(|(source, _)| source.prefix.len())
}

#[cfg(test)]
mod tests {
    use schema::LeftOut;

    use super::*;

    fn compared(sources: &[&str], patterns: &[&str]) -> Compared {
        let step = serde_json::json!({
            "id": "2026-03-02_02-00-00", "started_at": "2026-03-02T02:00:00Z",
            "day": "2026-03-02", "engine": "built-in", "basis": null, "continue_from": null,
            "sources": sources.iter().map(|path| serde_json::json!({"path": path, "present": true}))
                .collect::<Vec<_>>(),
            "exclude_patterns": patterns, "one_file_system": true, "min_free_bytes": 0,
            "expected": {"entries": 0, "files": 0, "bytes": 0, "new_files": 0, "new_bytes": 0},
            "suspect_when": {"entries_below": null, "unchanged_files_below": null, "had_files": []},
        });
        Compared::new(
            &serde_json::from_value(step).unwrap(),
            LeftOutFolders::default(),
        )
    }

    fn gone(compared: &mut Compared, lines: &[&str]) {
        for line in lines {
            compared.gone(&Entry::from_line(line).unwrap());
        }
    }

    fn record(path: &str, present: bool, entries: u64) -> SourceRecord {
        SourceRecord {
            path: AbsolutePath::new(path),
            present,
            mounted: false,
            entries,
            files: entries.saturating_sub(1),
        }
    }

    #[test]
    fn what_is_not_backed_up_any_more_is_not_missing() {
        let mut compared = compared(&["/home"], &["cache", "*.tmp"]);
        gone(
            &mut compared,
            &[
                ". type=dir",
                "./home/cache type=dir",
                "./home/cache/a type=file",
                "./home/cache/b type=dir",
                "./home/cache/b/c type=file",
                "./home/x.tmp type=file",
                "./home/y type=file",
                "./srv type=dir",
                "./srv/z type=file",
            ],
        );
        assert_eq!(compared.left_out, (7, 4));
        assert_eq!(compared.sources[0].missing.files, 1);
    }

    #[test]
    fn what_other_tags_leave_out_is_neither_missing_nor_does_it_empty_a_source() {
        let when = SuspectWhen {
            had_files: vec![AbsolutePath::new("/home")],
            ..SuspectWhen::default()
        };
        let sources = [record("/home", true, 1)];
        let mut compared = compared(&["/home"], &[]);
        compared.other_tags = true;
        for name in ["home/ann", "home/bob"] {
            let one = LeftOut::default();
            compared.tagged.add(StoredPath::new(name).to_owned(), &one);
        }
        let all: Vec<String> = (0..18)
            .map(|number| format!("./home/ann/{number} type=file"))
            .chain([
                "./home/bob type=dir".to_owned(),
                "./home/bob/x type=file".to_owned(),
            ])
            .collect();
        gone(
            &mut compared,
            &all.iter().map(String::as_str).collect::<Vec<_>>(),
        );
        assert_eq!(compared.left_out, (20, 19));
        assert_eq!(compared.suspect(&when, 1, 0, &sources), [""; 0]);
        gone(&mut compared, &["./home/carl type=file"]);
        assert_eq!(compared.suspect(&when, 1, 0, &sources).len(), 1);
    }

    #[test]
    fn a_limit_is_of_what_is_still_backed_up() {
        let when = SuspectWhen {
            entries_below: Some(50),
            unchanged_files_below: Some(50),
            ..SuspectWhen::default()
        };
        let mut compared = compared(&["/home"], &[]);
        assert_eq!(compared.suspect(&when, 30, 60, &[]).len(), 1);
        compared.left_out = (40, 40);
        assert_eq!(compared.suspect(&when, 30, 30, &[]), [""; 0]);
        assert_eq!(compared.suspect(&when, 29, 30, &[]).len(), 1);
        // Of a handful nothing follows.
        compared.left_out = (82, 82);
        assert_eq!(compared.suspect(&when, 0, 0, &[]), [""; 0]);
    }

    #[test]
    fn the_reasons_name_source_number_and_example() {
        let mut compared = compared(&["/home", "/photos"], &[]);
        gone(
            &mut compared,
            &["./photos/a.jpg type=file", "./photos/b.jpg type=file"],
        );
        compared.changed(3, StoredPath::new(b"home/ann/x"));
        let when = SuspectWhen {
            entries_below: Some(50),
            unchanged_files_below: Some(50),
            had_files: vec![AbsolutePath::new("/photos"), AbsolutePath::new("/home")],
            ..SuspectWhen::default()
        };
        let sources = [record("/home", true, 9), record("/photos", true, 1)];
        assert_eq!(
            compared.suspect(&when, 10, 1, &sources),
            [
                "it has 10 entries, less than half of the 99 or more before: 2 files missing from \
                 /photos (such as /photos/a.jpg)",
                "most content changed at once: 1 file is as before, fewer than 50: 3 files with other \
                 content in /home (such as /home/ann/x)",
                "source /photos had 2 files (such as /photos/a.jpg) and is empty now",
            ]
        );
    }

    #[test]
    fn what_looks_like_the_suspect_basis_is_the_same_event() {
        let compared = compared(&["/home"], &[]);
        let since = "2026-03-02_02-00-00".parse().unwrap();
        let like = LikeBefore {
            since,
            entries_below: Some(10),
            unchanged_files_below: Some(10),
            had_files: vec![AbsolutePath::new("/home")],
        };
        let sources = [record("/home", true, 12)];
        assert_eq!(
            compared.like_before(Some(&like), 12, 11, &sources),
            Some(since)
        );
        assert_eq!(compared.like_before(Some(&like), 9, 11, &sources), None);
        assert_eq!(compared.like_before(Some(&like), 12, 9, &sources), None);
        let emptied = [record("/home", false, 0)];
        assert_eq!(compared.like_before(Some(&like), 12, 11, &emptied), None);
        assert_eq!(compared.like_before(None, 12, 11, &sources), None);
    }
}
