//! What searching costs: 20 manifests of 100,000 files each, made by the real writer, so that each has the
//! segments of the one before in which nothing changed.

#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "benches end at the first surprise"
)]

use std::{fs, hint::black_box, path::Path, sync::Arc};

use criterion::{Criterion, criterion_group, criterion_main};
use executor::{
    clock::Clock,
    event::{Context, Silent, Stop, default_threads},
    history::{Search, diff_snapshots, find_versions},
    manifest::{Entry, SegmentWriter, Segments, segments},
    store::Store,
    sys::{Dir, Kind, resolve::resolve},
};
use schema::{Digest, SnapshotId, StoredPath};

const SNAPSHOTS: u32 = 20;
const FOLDERS: u32 = 1000;
const FILES: u32 = 100;
/// Folders whose files are other ones on a day: a hundredth.
const FOLDERS_A_DAY: u32 = FOLDERS / 100;

fn entry(path: String, kind: Kind) -> Entry {
    let mut entry = Entry::from_line(match kind {
        Kind::Folder => "./x type=dir mode=0755 uid=1000 gid=100",
        _ => "./x type=file mode=0644 uid=1000 gid=100",
    })
    .unwrap();
    entry.path = path.into_bytes().into();
    entry
}

fn folder_at(path: &Path) -> Dir {
    resolve(path).unwrap().folder().unwrap()
}

/// Writes the manifest of the snapshot of a day, in which some files are of another day.
fn write_manifest(records: &Dir, basis: Option<Segments>, ids: &[SnapshotId], day: u32) {
    let basis = basis.map(Arc::new);
    let threads = default_threads();
    let mut writer = SegmentWriter::new(records, segments::FOLDER, basis, threads, false).unwrap();
    for folder in ["", "home", "home/ann"] {
        writer
            .write(&entry(folder.to_owned(), Kind::Folder))
            .unwrap();
    }
    for folder in 0..FOLDERS {
        let folder_path = format!("home/ann/folder {folder:04}");
        writer
            .write(&entry(folder_path.clone(), Kind::Folder))
            .unwrap();
        for file in 0..FILES {
            let number = folder * FILES + file;
            let changed = folder / FOLDERS_A_DAY;
            let stored = if changed <= day { changed } else { 0 };
            let name = format!("{folder_path}/document-{file:03}.odt");
            let content = Digest::of(&number.to_le_bytes());
            let content = Digest::of(&[&content.0[..], &stored.to_le_bytes()].concat());
            let time = i128::from(1_700_000_000 + u64::from(number) * 977) * 1_000_000_000;
            writer
                .write(&Entry {
                    size: u64::from(number) * 131 % 1_000_003,
                    mtime: time + i128::from(stored) * 86_400_000_000_000 + i128::from(number),
                    ctime: time + i128::from(number) * 3,
                    ino: 1_000_000 + u64::from(number) * 7 % 999_983,
                    digest: Some(content),
                    stored: Some(ids[stored as usize]),
                    ..entry(name, Kind::File)
                })
                .unwrap();
        }
    }
    writer.finish().unwrap();
}

fn history(criterion: &mut Criterion) {
    let temporary = tempfile::tempdir().unwrap();
    let ids: Vec<SnapshotId> = (0..SNAPSHOTS)
        .map(|day| format!("2025-01-{:02}_02-00-00", day + 1).parse().unwrap())
        .collect();
    let mut basis = None;
    for (day, id) in (0..).zip(&ids) {
        let records = temporary
            .path()
            .join(format!("host/.backup/snapshots/{id}"));
        fs::create_dir_all(&records).unwrap();
        let records = folder_at(&records);
        write_manifest(&records, basis, &ids, day);
        basis = Some(Segments::open(&records).unwrap());
    }
    let mount = folder_at(temporary.path());
    let path = temporary.path().to_str().unwrap();
    let store = Store::open(&mount, path, "host").unwrap().unwrap();
    let stop = Stop::default();
    let context = Context {
        observer: &Silent,
        stop: &stop,
        clock: Clock::default(),
        threads: default_threads(),
        widens: false,
    };
    let mut group = criterion.benchmark_group("find in 20 x 100,000");
    group.sample_size(10);
    for (name, pattern, paths) in [
        ("a path", "/home/ann/folder 0500/document-050.odt", 1),
        ("a name", "document-050.odt", 1000),
        ("a glob", "*-05?.odt", 10_000),
        ("a set", "document-[0-4]5*.od[a-z]", 10_000),
        ("everything", "**", 101_002),
    ] {
        let search = Search::pattern(pattern).unwrap();
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let mut found = 0;
                let unread = find_versions(&store, &ids, &search, context, &mut |one| {
                    found += 1;
                    black_box(one);
                    Ok(())
                });
                assert!(unread.unwrap().is_empty());
                assert_eq!(found, paths, "{pattern}");
            });
        });
    }
    group.finish();
    let mut group = criterion.benchmark_group("diff of 2 x 100,000");
    group.sample_size(10);
    for (name, before, after) in [("of a day", 18, 19), ("of all days", 0, 19)] {
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let sides = (ids[before], ids[after]);
                black_box(diff_snapshots(&store, sides, StoredPath::root(), context).unwrap())
            });
        });
    }
    group.finish();
}

criterion_group!(benches, history);
criterion_main!(benches);
