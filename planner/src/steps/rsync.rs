//! Decides how rsync is called: one call for each source, every argument of it.
//!
//! rsync only fills the unfinished snapshot. What it leaves is then compared with the sources and
//! made equal to them. Nothing there is ever overwritten or given other metadata, because an entry
//! that is there already may share its inode with a published snapshot.

use schema::{
    config::AbsolutePath,
    escape,
    inventory::{Presence, SnapshotState, SourceState},
    rsync::{DESTINATION, RsyncCall, RsyncPlan, SOURCE, exclude},
};

use super::facts::Facts;

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
            .map(|source| call(facts, source))
            .collect(),
    }
}

fn call(facts: &Facts<'_>, source: &SourceState) -> RsyncCall {
    let folder = source.scan.folders > 0;
    let mut arguments = what(facts);
    let basis = facts.basis();
    arguments.extend(basis.and_then(|basis| link_dest(basis, &source.path, folder)));
    if folder {
        // What an interrupted run left and the source has no more makes room first.
        arguments.push("--delete-during".to_owned());
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
        arguments,
    }
}

/// What is kept of each entry, as far as the destination can hold it: what it cannot would make
/// rsync take unchanged files for changed ones. The manifest keeps it in any case.
fn what(facts: &Facts<'_>) -> Vec<String> {
    let can = facts.capabilities();
    let has = |of: fn(&schema::record::Capabilities) -> bool| can.is_none_or(of);
    let root = facts.inventory.privileged;
    let mut letters = "-a".to_owned();
    if has(|can| can.hard_links) {
        letters.push('H');
    }
    // ACLs include modes.
    if has(|can| can.acls && can.modes) {
        letters.push('A');
    }
    if has(|can| can.xattrs) {
        letters.push('X');
    }
    let mut arguments = vec![letters];
    let mut add = |all: &[&str]| arguments.extend(all.iter().map(|one| (*one).to_owned()));
    match (has(|can| can.fifos), root) {
        (true, true) => add(&["--specials", "--devices"]),
        (true, false) => add(&["--specials", "--no-devices"]),
        (false, _) => add(&["--no-specials", "--no-devices"]),
    }
    add(&["--numeric-ids", "--sparse", "--whole-file"]);
    if !has(|can| can.modes) {
        add(&["--no-perms"]);
    }
    if !root || !has(|can| can.owners) {
        add(&["--no-owner", "--no-group"]);
    }
    if !has(|can| can.symlinks) {
        add(&["--no-links"]);
    }
    match can.map(|can| can.time_step_ns) {
        // By default rsync compares whole seconds.
        Some(1) => add(&["--modify-window=-1"]),
        Some(step) if step > 1_000_000_000 => add(&["--modify-window=1"]),
        _ => {}
    }
    // Only root may read the files of others without moving their access time.
    if root {
        add(&["--open-noatime"]);
    }
    if facts.config.local.one_file_system {
        add(&["--one-file-system"]);
    }
    // No `--fsync`: it would wait for the disk once for each file and promise nothing. What counts
    // is on disk before the snapshot is published, by one sync of the whole file system, and what
    // an interrupted run left is trusted only as far as such a sync went.
    add(&[
        "--ignore-existing",
        "--outbuf=L",
        "--no-human-readable",
        "--info=progress2",
        "-ii",
        "--out-format=|%i|%n",
    ]);
    arguments
}

/// The same folder in the basis, seen from the folder that rsync runs in.
///
/// Nothing where the basis has no such source: then nothing can be linked.
fn link_dest(basis: &SnapshotState, source: &AbsolutePath, folder: bool) -> Option<String> {
    let mut had = basis.record.sources.iter();
    had.find(|had| is_within(&had.path, source) || is_within(source, &had.path))?;
    let mut parts: Vec<&str> = source
        .as_str()
        .split('/')
        .filter(|part| !part.is_empty())
        .collect();
    if !folder {
        parts.pop();
    }
    // Up through the snapshot's own folder, `partial` and `.backup` to the host's folder.
    let up = "../".repeat(parts.len() + 3);
    let mut path = format!("{up}{}/{}", basis.home, basis.record.id);
    for part in parts {
        path.push('/');
        path.push_str(part);
    }
    Some(format!("--link-dest={path}"))
}

/// Whether a path is another one or below it.
fn is_within(path: &AbsolutePath, above: &AbsolutePath) -> bool {
    let above = above.as_str().trim_end_matches('/');
    let rest = path.as_str().strip_prefix(above);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// What is left out: the configured patterns, what is mounted below the source, and the
/// destination itself, should it be mounted there too.
fn excludes(facts: &Facts<'_>, source: &SourceState) -> Vec<String> {
    let local = &facts.config.local;
    let mounted = source
        .mounts_passed_over
        .iter()
        // The folder itself belongs to the source; rsync alone would enter a bind mount.
        .filter_map(|path| exclude(&escape::unescape(path)?, "/*"));
    let patterns = local.exclude_patterns.iter();
    patterns
        .map(|pattern| format!("--exclude={pattern}"))
        .chain(mounted)
        .chain([DESTINATION.to_owned()])
        .collect()
}
