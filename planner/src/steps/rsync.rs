//! Decides how rsync is called: one call for each source, every argument of it.
//!
//! rsync moves bytes and nothing else: it gets the files whose content is new, as the survey found
//! them, and is not started for a source without such files. Nothing that is there already is ever
//! overwritten, because it may share its inode with a published snapshot. Links, folders, owners,
//! modes and attributes are made by whoever makes the snapshot equal to the sources.

use schema::{
    escape,
    inventory::{Presence, SourceState},
    pattern::Excludes,
    rsync::{
        DESTINATION, LIST, LIST_FORM, LISTED_AT_ONCE, RsyncCall, RsyncPlan, SOURCE, SPARSE,
        exclude_argument,
    },
};

use crate::facts::Facts;

/// Entries of a source that rsync may list at once: it keeps some hundred bytes of each.
const MOST_LISTED_AT_ONCE: u64 = 500_000;

/// How rsync is called for all sources that were found.
pub(super) fn calls(facts: &Facts<'_>) -> RsyncPlan {
    let version = facts.inventory.rsync.as_ref();
    RsyncPlan {
        program: "rsync".to_owned(),
        version: version
            .and_then(|found| found.version.clone())
            .unwrap_or_default(),
        calls: facts
            .sources()
            .filter(|source| source.presence == Presence::Present)
            .enumerate()
            .map(|(at, source)| call(facts, source, at + 1))
            .collect(),
    }
}

fn call(facts: &Facts<'_>, source: &SourceState, number: usize) -> RsyncCall {
    let folder = source.scan.folders > 0;
    let mut arguments = how(facts, source, folder);
    let list = folder.then(|| format!("rsync-{number}.list"));
    if let Some(list) = &list {
        // Up through the folders of the source, the snapshot's own and `partial` to `.backup`.
        let parts = source.path.as_str().split('/');
        let up = "../".repeat(parts.filter(|part| !part.is_empty()).count() + 2);
        let id = facts.id;
        arguments.extend([
            "--recursive".to_owned(),
            format!("{LIST}{up}snapshots/{id}/{list}"),
            LIST_FORM.to_owned(),
        ]);
        // Folder by folder its processes wait for each other's lists, a tenth of its time.
        if source.scan.entries <= MOST_LISTED_AT_ONCE {
            arguments.push(LISTED_AT_ONCE.to_owned());
        }
        arguments.extend(excludes(facts, source));
    }
    // The source's own name is never a pattern's business, nor can it be taken for an option.
    arguments.extend(["--".to_owned(), SOURCE.to_owned()]);
    arguments.push(if folder {
        "./".to_owned()
    } else {
        let name = source.path.as_str().rsplit('/').next();
        format!("./{}", name.unwrap_or_default())
    });
    RsyncCall {
        source: source.path.clone(),
        folder,
        list,
        arguments,
    }
}

/// How content is copied.
fn how(facts: &Facts<'_>, source: &SourceState, folder: bool) -> Vec<String> {
    let can = facts.capabilities();
    let mut arguments: Vec<String> = Vec::new();
    let mut add = |all: &[&str]| arguments.extend(all.iter().map(|one| (*one).to_owned()));
    // The time tells a copy that is finished from one whose source changed meanwhile.
    if can.is_none_or(|can| can.times) {
        add(&["--times", "--omit-dir-times"]);
    }
    // Looking for zeros costs a sixth of rsync's time. A file that gets holes later is not rsync's.
    if source.scan.sparse != Some(0) {
        add(&[SPARSE]);
    }
    add(&["--whole-file"]);
    // Only root may read the files of others without moving their access time.
    if facts.inventory.privileged {
        add(&["--open-noatime"]);
    }
    if folder && facts.config.local.one_file_system {
        add(&["--one-file-system"]);
    }
    // No `--fsync`: it would wait for the disk once for each file and promise nothing. What counts
    // is on disk before the snapshot is published, by one sync of the whole file system, and what
    // an interrupted run left is trusted only as far as such a sync went.
    add(&[
        "--ignore-existing",
        "--outbuf=L",
        "--no-human-readable",
        "--info=progress2,nonreg0",
        "--out-format=|%i|%n",
    ]);
    arguments
}

/// What is left out: the configured patterns, what is mounted below the source, and the destination
/// itself, should it be mounted there too. The survey left all of it out of the list; this is for what
/// comes up in a listed folder afterwards.
fn excludes(facts: &Facts<'_>, source: &SourceState) -> Vec<String> {
    let local = &facts.config.local;
    let mounted = source
        .mounts_passed_over
        .iter()
        // The folder itself belongs to the source; rsync alone would enter a bind mount.
        .filter_map(|path| exclude_argument(&escape::unescape(path)?, "/*"));
    // A configuration with a faulty one has been refused.
    let patterns = Excludes::new(&local.exclude_patterns).unwrap_or_default();
    let patterns = patterns.to_rsync_patterns(source.path.as_stored());
    patterns
        .into_iter()
        .map(|pattern| format!("--exclude={pattern}"))
        .chain(mounted)
        .chain([DESTINATION.to_owned()])
        .collect()
}
