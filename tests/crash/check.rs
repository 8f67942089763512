//! What must be true of a destination.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::{ffi::OsStrExt as _, fs::FileTypeExt as _},
    path::Path,
    process::Command,
    sync::atomic::{AtomicUsize, Ordering},
};

use executor::{
    manifest,
    sys::{Dir, Kind},
};
use schema::{Digest, record::SnapshotRecord};
use test_support::check_with_example;

use crate::lab::{World, run_tool};

/// Where everything stands: what is in the host's folder, in the tiers, and in `.backup`, without
/// what is in a snapshot.
pub(crate) fn layout(host: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![String::new()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(host.join(&folder)) else {
            continue;
        };
        for entry in entries {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            let path = format!("{folder}{name}");
            let kind = entry.file_type().unwrap();
            let what = if kind.is_symlink() {
                format!("-> {}", fs::read_link(entry.path()).unwrap().display())
            } else if kind.is_dir() {
                "folder".to_owned()
            } else {
                "file".to_owned()
            };
            let is_tree = ["daily/", "weekly/", "monthly/"].contains(&folder.as_str());
            if kind.is_dir() && !is_tree {
                folders.push(format!("{path}/"));
            }
            found.insert(path, what);
        }
    }
    found
}

/// Ends the test unless the source and a snapshot of it are the same in all that rsync knows.
#[track_caller]
pub(crate) fn equal(world: &World, snapshot: &str) {
    let mut from = world.source().into_os_string();
    let mut to = world.in_snapshot(snapshot).into_os_string();
    from.push("/");
    to.push("/");
    let options = ["-aHAXnci", "--delete", "--numeric-ids"].map(Into::into);
    let differences = run_tool("rsync", options.into_iter().chain([from, to]));
    assert_eq!(differences, "", "{snapshot} is not as the source");
}

/// Ends the test unless each snapshot in a tier is as its record and manifest say; gives their
/// names with their tiers.
#[track_caller]
pub(crate) fn all_whole(host: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for tier in ["daily", "weekly", "monthly"] {
        let Ok(entries) = fs::read_dir(host.join(tier)) else {
            continue;
        };
        for entry in entries {
            let entry = entry.unwrap();
            let id = entry.file_name().into_string().unwrap();
            if entry.file_type().unwrap().is_dir() {
                whole(host, tier, &id);
                names.push(format!("{tier}/{id}"));
            } else {
                let to = fs::metadata(entry.path());
                assert!(to.is_ok_and(|to| to.is_dir()), "{tier}/{id} leads nowhere");
            }
        }
    }
    names.sort();
    names
}

/// Ends the test if a link for programs that show previous versions leads to no snapshot: none does, whatever
/// was cut short.
#[track_caller]
pub(crate) fn all_lead_somewhere(host: &Path) {
    for entry in fs::read_dir(host.join("by-time")).into_iter().flatten() {
        let link = entry.unwrap().path();
        let to = fs::metadata(&link);
        assert!(
            to.is_ok_and(|to| to.is_dir()),
            "{} leads nowhere",
            link.display()
        );
    }
}

#[track_caller]
fn whole(host: &Path, tier: &str, id: &str) {
    let at = format!("{tier}/{id}");
    let records = host.join(".backup/snapshots").join(id);
    let record = fs::read(records.join("snapshot.json"));
    let record = record.unwrap_or_else(|error| panic!("{at} has no record: {error}"));
    let record: SnapshotRecord = serde_json::from_slice(&record).unwrap();
    assert_eq!(record.id.to_string(), id);
    let manifest = records.join(&record.manifest);
    let digest = Digest::of(&fs::read(&manifest).unwrap());
    assert_eq!(digest, record.manifest_digest, "manifest of {at}");

    let tree = host.join(tier).join(id);
    let digests = digests(&tree);
    let (mut entries, mut absent) = (0, 0);
    let records = Dir::from_fd(fs::File::open(&records).unwrap().into());
    let reader = manifest::Reader::of_records(&records).unwrap();
    for entry in reader {
        let entry = entry.unwrap();
        let path = tree.join(std::ffi::OsStr::from_bytes(&entry.path));
        let named = format!("{at}: {}", path.display());
        if entry.absent {
            // These file systems hold all kinds of entries: it could not be made, which is told.
            assert!(!record.complete, "{named} is absent");
            absent += 1;
            continue;
        }
        let found = fs::symlink_metadata(&path).unwrap_or_else(|error| panic!("{named}: {error}"));
        let kind = found.file_type();
        match entry.kind {
            Kind::File => {
                assert!(kind.is_file(), "{named}");
                let found = digests.get(entry.path.as_bytes());
                assert_eq!(found, Some(&entry.digest.unwrap().to_string()), "{named}");
            }
            Kind::Folder => assert!(kind.is_dir(), "{named}"),
            Kind::Symlink => {
                let target = fs::read_link(&path).unwrap();
                assert_eq!(
                    Some(target.as_os_str().as_bytes()),
                    entry.target.as_deref(),
                    "{named}"
                );
            }
            Kind::Fifo => assert!(kind.is_fifo(), "{named}"),
            Kind::Socket => assert!(kind.is_socket(), "{named}"),
            Kind::CharDevice | Kind::BlockDevice => {}
        }
        entries += 1;
    }
    assert_eq!(entries + absent, record.totals.entries, "entries of {at}");
    let there = run_tool("find", [tree.as_os_str(), "-printf".as_ref(), "x".as_ref()]);
    assert_eq!(there.len() as u64, entries, "entries in {at}");
}

/// SHA-256 of all files below a folder, by path in it.
fn digests(tree: &Path) -> BTreeMap<Vec<u8>, String> {
    let output = Command::new("sh")
        .args([
            "-c",
            "cd \"$1\" && find . -type f -print0 | xargs -0r sha256sum -z",
            "sh",
        ])
        .arg(tree)
        .output()
        .unwrap();
    assert!(output.status.success());
    let lines = output.stdout.split(|byte| *byte == 0);
    lines
        .filter(|line| !line.is_empty())
        .map(|line| {
            let digest = String::from_utf8_lossy(&line[..64]).into_owned();
            // Two spaces and `./` between them.
            (line[68..].to_vec(), digest)
        })
        .collect()
}

/// All that can be known of the entries below a folder, inode numbers included, without what
/// another name of an inode changes. Paths that start with one of `without` do not count.
pub(crate) fn fingerprint(tree: &Path, without: &[&str]) -> Vec<String> {
    let listed = Command::new("find")
        .arg(tree)
        .args(["-printf", "%P\t%y %m %U %G %s %T@ %i %l\\0"])
        .output()
        .unwrap();
    let mut all: Vec<String> = listed
        .stdout
        .split(|byte| *byte == 0)
        .map(|line| String::from_utf8_lossy(line).into_owned())
        .collect();
    all.extend(digests(tree).into_iter().map(|(path, digest)| {
        let path = String::from_utf8_lossy(&path).into_owned();
        format!("{path}\t{digest}")
    }));
    all.retain(|line| !without.iter().any(|prefix| line.starts_with(prefix)));
    all.sort();
    all
}

/// Ends the test unless a finished run left the destination as it should be: these tiers and
/// nothing else, whole, the newest as the source.
#[track_caller]
pub(crate) fn finished(world: &World, expected: &BTreeMap<String, String>) {
    let found = layout(&world.host());
    let differences: Vec<_> = found
        .iter()
        .filter(|(path, what)| expected.get(*path) != Some(what))
        .map(|(path, what)| format!("unexpected {path}: {what}"))
        .chain(
            expected
                .keys()
                .filter(|path| !found.contains_key(*path))
                .map(|path| format!("missing {path}")),
        )
        .collect();
    assert_eq!(differences, Vec::<String>::new());
    all_whole(&world.host());
    equal(world, "latest");
    // By the page on formats alone as well, in another language; of so many one in eight.
    if FINISHED.fetch_add(1, Ordering::Relaxed).is_multiple_of(8)
        && let Some(read) = check_with_example("finished runs", &world.host(), None)
    {
        read.expect(0);
    }
}

/// How many finished runs were looked at.
static FINISHED: AtomicUsize = AtomicUsize::new(0);
