//! What is found and what differs is the same, whether manifests are in segments that snapshots share or
//! each in one file.

use std::{collections::BTreeMap, fs, path::Path, sync::Arc};

use schema::{SnapshotId, StoredPath, StoredPathBuf};

use super::*;
use crate::{
    clock::Clock,
    event::{Context, Silent, Stop},
    manifest::{Entry, FILE_NAME, SegmentWriter, Segments, Writer, segments},
    store::Store,
    sys::{Dir, Kind, resolve::resolve},
};

/// Numbers that are the same each time.
struct Random(u64);

impl Random {
    fn below(&mut self, most: u64) -> u64 {
        const FACTOR: u64 = 6_364_136_223_846_793_005;
        self.0 = self
            .0
            .wrapping_mul(FACTOR)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % most
    }
}

type Model = BTreeMap<StoredPathBuf, Entry>;

fn add(model: &mut Model, path: &str, words: &str) {
    let mut entry = Entry::from_line(format!("./x {words}")).unwrap();
    entry.path = path.as_bytes().to_vec().into();
    model.insert(entry.path.clone(), entry);
}

fn file(number: u64) -> String {
    let digest = schema::Digest::of(&number.to_le_bytes());
    format!(
        "type=file mode=0644 size={} time={number}.000000000 sha256digest={digest}",
        number + 1
    )
}

fn dir(path: &Path) -> Dir {
    Dir::from_fd(fs::File::open(path).unwrap().into())
}

/// Writes a model's manifest in both forms.
fn write(top: &Path, model: &Model, (id, before): (SnapshotId, Option<SnapshotId>)) {
    let records = |form: &str, id| top.join(format!("{form}/host/.backup/snapshots/{id}"));
    for form in ["whole", "shared"] {
        fs::create_dir_all(records(form, id)).unwrap();
    }
    let whole = fs::File::create(records("whole", id).join(FILE_NAME)).unwrap();
    let mut whole = Writer::new(whole).unwrap();
    let basis = before.map(|id| Arc::new(Segments::open(&dir(&records("shared", id))).unwrap()));
    let at = dir(&records("shared", id));
    let mut shared = SegmentWriter::new(&at, segments::FOLDER, basis, 1, false).unwrap();
    for entry in model.values() {
        whole.write(entry).unwrap();
        shared.write(entry).unwrap();
    }
    whole.finish().unwrap();
    shared.finish().unwrap();
}

fn open(top: &Path, form: &str) -> Store {
    let path = top.join(form);
    let mount = resolve(&path).unwrap().folder().unwrap();
    Store::open(&mount, path.to_str().unwrap(), "host")
        .unwrap()
        .unwrap()
}

fn context(stop: &Stop, threads: usize) -> Context<'_> {
    Context {
        observer: &Silent,
        stop,
        clock: Clock::default(),
        widens: false,
        threads,
    }
}

fn found(store: &Store, ids: &[SnapshotId], search: &Search, threads: usize) -> Vec<FoundVersions> {
    let stop = Stop::default();
    let context = context(&stop, threads);
    let mut all = Vec::new();
    let unread = find_versions(store, ids, search, context, &mut |one| {
        all.push(one);
        Ok(())
    });
    assert_eq!(unread.unwrap(), []);
    all
}

/// Each folder has what is directly in it, and nothing else is one.
fn check_folders(store: &Store, id: SnapshotId, model: &Model) {
    let (starts, stop) = (SegmentStarts::default(), Stop::default());
    let list = |path: &StoredPath| list_folder(store, id, path, &starts, &stop).unwrap();
    for (path, entry) in model.iter().step_by(7).chain(model.iter().take(3)) {
        assert_eq!(find_entry(store, id, path).unwrap().as_ref(), Some(entry));
        let found = list(path);
        assert_eq!(found.is_there, entry.kind == Kind::Folder, "{path:?}");
        let names = found.entries.iter().map(|one| path.join(&*one.name));
        let expected = model.keys().filter(|one| one.parent() == Some(path));
        assert!(names.eq(expected.cloned()), "{path:?}: {found:?}");
        assert_eq!(found.unread, None);
    }
    for none in ["none", "home/0", "home/59/zzz", "zzz"] {
        let none = StoredPath::new(none.as_bytes());
        assert_eq!(list(none), FolderContent::default());
        assert_eq!(find_entry(store, id, none).unwrap(), None);
    }
}

#[test]
fn what_is_damaged_is_told_and_the_rest_of_a_folder_is_there() {
    let temporary = tempfile::tempdir().unwrap();
    let top = temporary.path();
    let mut model = Model::new();
    add(&mut model, "", "type=dir mode=0755");
    for number in 0..40_000 {
        add(&mut model, &format!("f{number:05}"), &file(number));
    }
    let id: SnapshotId = "2025-01-01_02-00-00".parse().unwrap();
    write(top, &model, (id, None));
    let folder = top.join(format!("shared/host/.backup/snapshots/{id}/manifest"));
    let segments = Segments::open(&dir(folder.parent().unwrap())).unwrap();
    assert!(segments.digests().len() > 3);
    fs::write(folder.join("manifest.000002.zst"), "damaged").unwrap();
    let starts = SegmentStarts::default();
    let store = open(top, "shared");
    let found = list_folder(&store, id, StoredPath::root(), &starts, &Stop::default()).unwrap();
    assert!(found.unread.unwrap().contains("manifest.000002.zst"));
    assert!(found.is_there && found.entries.len() > 20_000);
    assert_eq!(*found.entries.last().unwrap().name, *b"f39999");
}

#[test]
fn shared_segments_tell_what_whole_manifests_tell() {
    let temporary = tempfile::tempdir().unwrap();
    let top = temporary.path();
    let mut random = Random(7);
    let mut model = Model::new();
    for folder in 0..60 {
        add(
            &mut model,
            &format!("home/{folder:02}"),
            "type=dir mode=0755",
        );
        for number in 0..50 {
            add(
                &mut model,
                &format!("home/{folder:02}/a b {number:03}"),
                &file(folder * 50 + number),
            );
        }
    }
    add(&mut model, "home", "type=dir mode=0755");
    let mut ids: Vec<SnapshotId> = Vec::new();
    for day in 1..=5 {
        add(
            &mut model,
            "",
            &format!("type=dir mode=0755 time={day}.000000000"),
        );
        for _ in 0..random.below(6) {
            let path = format!("home/{:02}/a b {:03}", random.below(60), random.below(60));
            match random.below(3) {
                0 => drop(model.remove(StoredPath::new(path.as_bytes()))),
                _ => add(&mut model, &path, &file(random.below(9000))),
            }
        }
        let id: SnapshotId = format!("2025-01-0{day}_02-00-00").parse().unwrap();
        write(top, &model, (id, ids.last().copied()));
        ids.push(id);
    }
    let (whole, shared) = (open(top, "whole"), open(top, "shared"));
    let last = *ids.last().unwrap();
    for store in [&whole, &shared] {
        check_folders(store, last, &model);
    }
    for pattern in [
        "**",
        "a b 01*",
        "/home/07/a b 013",
        "/home/07",
        "/",
        "/home/07/",
        "/none",
        "/home/59/a b 049",
        "07/a b 013",
        "*7/*9",
    ] {
        let search = Search::pattern(pattern).unwrap();
        for threads in [1, 3] {
            let expected = found(&whole, &ids, &search, threads);
            assert_eq!(
                found(&shared, &ids, &search, threads),
                expected,
                "{pattern}"
            );
        }
    }
    for text in ["/home/07/a b 013", "/home/*"] {
        let search = Search::fixed(text).unwrap();
        assert_eq!(
            found(&shared, &ids, &search, 2),
            found(&whole, &ids, &search, 2),
            "{text}"
        );
    }
    let stop = Stop::default();
    let context = context(&stop, 1);
    for (before, after) in [(0, 4), (3, 4), (4, 0), (2, 2)] {
        for path in [
            "",
            "home",
            "home/07",
            "home/59/a b 049",
            "none",
            "home/07/none",
        ] {
            let sides = (ids[before], ids[after]);
            let path = StoredPath::new(path.as_bytes());
            let expected = diff_snapshots(&whole, sides, path, context).unwrap();
            let diff = diff_snapshots(&shared, sides, path, context).unwrap();
            assert_eq!(diff, expected, "{sides:?} {}", path.shown());
        }
    }
}
