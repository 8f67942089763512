//! Comparing again gives what a fresh walk gives, whatever the basis, the destination and the tree are.

use std::{
    ffi::OsStr,
    fs::{self, File},
    os::unix::{
        ffi::OsStrExt as _,
        fs::{PermissionsExt, symlink},
        net::UnixListener,
    },
    path::{Path, PathBuf},
};

use nix::{
    sched::{CloneFlags, unshare},
    sys::stat::Mode,
    unistd::{Uid, mkfifo, setfsuid},
};
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};
use schema::{Digest, SnapshotId, StoredPath, config::AbsolutePath};

use super::*;
use crate::{
    event::Stop,
    manifest::{Entry, Writer},
    scan::scan_sources,
    survey::{SourceChoice, Tags},
    sys::Kind,
};

const MIB: u64 = 1 << 20;
/// Holes that are read of each owner's files.
const MAX_HOLES: u64 = 150 * MIB;

/// A tree of all that is odd. Without a destination's own folder, which is in it.
fn make_tree(top: &Path) {
    let at = |path: &str| top.join(path);
    let file = |path: &str, content: &str| fs::write(at(path), content).unwrap();
    for folder in [
        "one/a",
        "one/b/deep",
        "one/cache/kept",
        "one/cache/x",
        "one/closed/in",
        "one/host/daily",
        "one/inner/build/sub",
        "one/inner/deep/c",
        "one/mounted",
        "one/pg/global",
        "one/tagged",
        "one/other",
        "two",
        "many",
        "aside",
    ] {
        fs::create_dir_all(at(folder)).unwrap();
    }
    for number in 0..1050 {
        file(&format!("many/{number:04}"), "");
    }
    for path in [
        "one/a/x",
        "one/a/y",
        "one/a/z.o",
        "one/b/a.o",
        "one/b/deep/f",
        "one/b/m",
        "one/b/z",
        "one/cache/x/1",
        "one/cache/kept/1",
        "one/closed/in/f",
        "one/closed/f",
        "one/host/daily/file",
        "one/inner/build/sub/f",
        "one/inner/deep/c/f",
        "one/inner/f",
        "one/inner/deep/last",
        "one/tagged/.nobackup",
        "one/tagged/f",
        "one/README",
        "one/readme",
        "one/ReadMe",
        "one/pg/PG_VERSION",
        "one/pg/global/1",
        "one/ibdata1",
        "one/mail.db",
        "one/mail.db-wal",
        "one/a:b",
        "one/dot.",
        "two/b",
        "two/c",
        "two/only.db",
        "two/only.db-wal",
        "two/z.o",
        "aside/single",
        "aside/single-wal",
        "one/zz",
    ] {
        file(path, path);
    }
    file(
        "one/cache/CACHEDIR.TAG",
        "Signature: 8a477f597d28d172789f06886806bc55\n",
    );
    fs::write(top.join(OsStr::from_bytes(b"one/\xff\xfe")), "bytes").unwrap();
    fs::write(top.join(OsStr::from_bytes(b"one/a/new\nline")), "line").unwrap();
    // Names of one file on both sides of each border.
    for name in [
        "one/b/name",
        "one/inner/name",
        "one/inner/deep/name",
        "two/name",
    ] {
        fs::hard_link(at("one/a/x"), at(name)).unwrap();
    }
    for (path, size) in [
        ("one/holes", 100),
        ("one/inner/holes", 90),
        ("two/holes", 60),
        ("two/huge", 5 << 10),
    ] {
        File::create(at(path)).unwrap().set_len(size * MIB).unwrap();
    }
    fs::hard_link(at("one/inner/holes"), at("two/holes-name")).unwrap();
    fs::write(at("one/large"), vec![7; 300 << 10]).unwrap();
    symlink("a/x", at("one/link")).unwrap();
    symlink("nowhere", at("two/dangling")).unwrap();
    symlink("one", at("through")).unwrap();
    mkfifo(&at("one/fifo"), Mode::S_IRWXU).unwrap();
    drop(UnixListener::bind(at("one/socket")).unwrap());
    fs::set_permissions(at("one/closed"), PermissionsExt::from_mode(0o000)).unwrap();
}

fn sources(top: &Path) -> Vec<AbsolutePath> {
    let names = [
        "two",
        "one/inner",
        "one",
        "none",
        "one/inner/deep",
        "many",
        "aside/single",
        "one/inner/gone",
        "through/a",
        "one/closed/in",
    ];
    let paths = names.iter().map(|name| top.join(name));
    paths
        .map(|path| path.to_str().unwrap().parse().unwrap())
        .collect()
}

/// Entries for all that is in a tree, whatever of it is backed up, in the manifest's order.
fn entries_of(top: &Path) -> Vec<Entry> {
    let mut all: Vec<Entry> = walkdir::WalkDir::new(top)
        .into_iter()
        .map(|found| found.unwrap().into_path())
        .map(|path: PathBuf| {
            let stat = Stat::of(rustix::fs::CWD, &path).unwrap();
            let stored = StoredPath::new(&path.as_os_str().as_bytes()[1..]);
            let is_file = stat.kind == Kind::File;
            Entry {
                digest: is_file.then_some(Digest([3; 32])),
                stored: is_file.then(|| "2025-01-01_02-00-00".parse::<SnapshotId>().unwrap()),
                target: (stat.kind == Kind::Symlink).then(|| b"x".to_vec()),
                ..Entry::of(stored, &stat)
            }
        })
        .collect();
    all.sort_by(|a, b| a.path.cmp(&b.path));
    all
}

/// What of a tree a basis has, and how, by a number for each entry.
fn changed(entries: &[Entry], salt: u64) -> Vec<Entry> {
    let mut state = salt | 1;
    let mut next = move || {
        // Marsaglia's xorshift: the same numbers for the same salt.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut all = Vec::new();
    for entry in entries {
        let mut entry = entry.clone();
        let is_file = entry.kind == Kind::File;
        match next() % 24 {
            0 | 1 => continue,
            2 => entry.mtime -= 1,
            3 => entry.ctime -= 1,
            4 => entry.ino += 100_000,
            5 => entry.mode ^= 0o100,
            6 if is_file => entry.size += 1,
            7 => entry.torn = is_file,
            8 => entry.unread = true,
            9 => entry.absent = true,
            10 => entry.digest = None,
            11 => entry.uid += 1,
            // It stood under another name.
            12 | 13 if is_file => {
                let mut name = entry.path.clone().into_bytes();
                name.push(b'0');
                entry.path = name.into();
            }
            14 => {
                // Something that is gone, and has things in it.
                let mut name = entry.path.clone().into_bytes();
                name.extend_from_slice(b"!gone");
                let gone = Entry {
                    path: name.into(),
                    ino: entry.ino + 1_000_000,
                    size: 77 * u64::from(is_file),
                    ..entry.clone()
                };
                all.push(gone);
            }
            _ => {}
        }
        all.push(entry);
    }
    all.sort_by(|a, b| a.path.cmp(&b.path));
    all.dedup_by(|a, b| a.path == b.path);
    all
}

fn write_manifest(path: &Path, entries: &[Entry]) {
    let mut writer = Writer::new(File::create(path).unwrap()).unwrap();
    for entry in entries {
        writer.write(entry).unwrap();
    }
    writer.finish().unwrap();
}

fn capabilities(number: usize) -> Option<Capabilities> {
    match number {
        0 => None,
        1 => Some(Capabilities::all()),
        2 => Capabilities::of_type("vfat"),
        _ => Capabilities::of_type("exfat"),
    }
}

/// Runs in a thread of its own: as a user to whom folders may be closed, with something mounted where that
/// can be had.
fn with_mount_as_user(top: &Path, run: impl FnOnce() + Send) {
    std::thread::scope(|scope| {
        let run = || {
            if nix::unistd::geteuid().is_root() {
                let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
                if unshare(CloneFlags::CLONE_NEWNS).is_ok() && mount_change("/", private).is_ok() {
                    let at = top.join("one/mounted");
                    mount("tmpfs", &at, "tmpfs", MountFlags::empty(), None).unwrap();
                    fs::write(at.join("in it"), "not of the source").unwrap();
                }
                // Of this thread alone, and with it its power over files.
                setfsuid(Uid::from_raw(65_534));
            }
            run();
        };
        let started = crate::threads::start_scoped_thread(scope, "a user", run);
        started.unwrap().join().unwrap();
    });
}

/// All that was found, in a form that is compared.
fn shown(survey: &Survey) -> String {
    let sources = survey.sources.iter().map(|source| {
        let found = source.found.as_ref().map(|found| {
            (
                (&found.name, found.stat, found.record.encoded()),
                (&found.cost, found.other_files, &found.inner),
            )
        });
        format!("{}: {found:?}\n", source.path)
    });
    let sources: String = sources.collect();
    format!(
        "{sources}{:?}\n{:?}\n{:?}\n{:?}",
        survey.unmatched_patterns,
        survey.left_out.total(),
        survey.gone,
        survey.moves.entries()
    )
}

#[test]
fn comparing_again_gives_what_a_fresh_walk_gives_without_a_look_at_the_sources() {
    let temporary = tempfile::tempdir().unwrap();
    fs::set_permissions(temporary.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let base = temporary.path().canonicalize().unwrap();
    let (top, away) = (base.join("top"), base.join("away"));
    make_tree(&top);
    let entries = entries_of(&top);
    let paths = sources(&top);
    let patterns = [
        "*.o",
        "/b/deep/",
        "build/",
        "!keep.o",
        "never-there",
        "/inner/deep/last",
    ];
    let patterns: Vec<String> = patterns.map(str::to_owned).into();
    let tags = [".nobackup".to_owned()];
    let choice = SourceChoice {
        sources: paths.iter().collect(),
        exclude_patterns: &patterns,
        tags: Tags {
            caches: true,
            names: &tags,
        },
        one_file_system: true,
        sync: false,
        max_hole_bytes: MAX_HOLES,
    };
    let host = Stat::of(rustix::fs::CWD, top.join("one/host")).unwrap();
    let never = [(1, 1), (host.dev, host.ino)];
    let stop = Stop::default();
    let context = Context::silent(&stop);
    let manifests: Vec<Option<PathBuf>> = (0..16)
        .map(|number: u64| {
            let path = base.join(format!("manifest-{number}"));
            match number {
                0 => return None,
                1 => write_manifest(&path, &entries),
                2 => write_manifest(&path, &[]),
                number => write_manifest(&path, &changed(&entries, number * 0x9e37_79b9)),
            }
            Some(path)
        })
        .collect();
    with_mount_as_user(&top, || {
        let open = |number: usize| {
            let path = manifests[number].as_ref();
            path.map(|path| move || Ok(Reader::new(File::open(path).unwrap()).unwrap()))
        };
        let can: Vec<_> = (0..4).map(capabilities).collect();
        let walk = |number: usize| {
            let open = open(number);
            let open = open
                .as_ref()
                .map(|open| open as &dyn Fn() -> Result<Reader>);
            scan_sources(
                &choice,
                open.map(alone),
                can[number % 4].as_ref(),
                &never,
                context,
            )
            .unwrap()
        };
        let fresh: Vec<_> = (0..manifests.len()).map(walk).collect();
        let firsts: Vec<_> = [0, 1, 2, 7].map(walk).into();
        // What is not there any more cannot be looked at.
        setfsuid(nix::unistd::geteuid());
        fs::rename(&top, &away).unwrap();
        for (states, survey) in &firsts {
            for (number, (fresh_states, fresh)) in fresh.iter().enumerate() {
                let open = open(number);
                let open = open
                    .as_ref()
                    .map(|open| open as &dyn Fn() -> Result<Reader>);
                let can = can[number % 4].as_ref();
                let first = (states.as_slice(), survey);
                let (again_states, again) =
                    compare_again(first, MAX_HOLES, open, can, context).unwrap();
                assert_eq!(&again_states, fresh_states, "basis {number}");
                assert!(shown(&again) == shown(fresh), "basis {number}");
                assert_eq!(again.from, survey.from);
            }
        }
        check_hostile(&fresh);
    });
}

/// That the tree has what the test is for.
fn check_hostile(fresh: &[(Vec<SourceState>, Survey)]) {
    let sum = |of: &dyn Fn(&SourceState) -> u64| -> u64 {
        fresh.iter().flat_map(|(states, _)| states).map(of).sum()
    };
    let count: [(&str, u64); 12] = [
        ("moved", sum(&|state| state.scan.moved_files)),
        ("changed", sum(&|state| state.scan.changed_files)),
        ("not held", sum(&|state| state.scan.not_held)),
        ("renamed", sum(&|state| state.scan.renamed)),
        ("hollow", sum(&|state| state.scan.hollow)),
        ("unreadable", sum(&|state| state.scan.unreadable)),
        ("excluded", sum(&|state| state.scan.excluded)),
        ("databases", sum(&|state| state.databases.len() as u64)),
        (
            "left out",
            sum(&|state| u64::from(state.left_out.is_some())),
        ),
        ("cost", sum(&|state| u64::from(state.costs_most.is_some()))),
        (
            "inner",
            fresh[0]
                .1
                .sources
                .iter()
                .flat_map(|source| &source.found)
                .map(|found| found.inner.len() as u64)
                .sum(),
        ),
        (
            "gone",
            fresh
                .iter()
                .map(|(_, survey)| u64::from(survey.gone.is_some()))
                .sum(),
        ),
    ];
    for (what, count) in count {
        assert!(count > 0, "nothing is {what}");
    }
    if nix::unistd::geteuid().is_root() {
        let mounts = sum(&|state| state.mounts_passed_over.len() as u64);
        assert!(mounts > 0, "nothing is passed over");
    }
    let states = |at: usize| &fresh[at].0;
    assert_ne!(states(0), states(1));
}

/// A basis of which nothing is taken over in stretches.
fn alone<'a>(manifest: &'a dyn Fn() -> Result<Reader>) -> ComparedBasis<'a> {
    ComparedBasis {
        manifest,
        stretched: None,
    }
}
