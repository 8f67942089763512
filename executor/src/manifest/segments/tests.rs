//! Manifests in segments and in one file say the same, whatever happened between snapshots.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use super::*;
use crate::manifest::{Chunks, Entry, Reader, Writer};

/// Numbers that are the same each time.
struct Random(u64);

impl Random {
    fn below(&mut self, most: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % most
    }
}

/// What a snapshot holds: lines by path.
pub(super) type Model = BTreeMap<schema::StoredPathBuf, String>;

fn add(model: &mut Model, path: &str, words: &str) {
    let line = format!("./{path} {words}\n");
    let line = if path.is_empty() {
        format!(". {words}\n")
    } else {
        line
    };
    model.insert(path.as_bytes().to_vec().into(), line);
}

fn file(number: usize, time: usize) -> String {
    let digest = Digest::of(&number.to_le_bytes());
    format!(
        "type=file mode=0644 uid=1000 gid=100 size={number} time={}.000000000 sha256digest={digest} \
         inode={number} ctime={}.000000000 stored=2025-01-01_02-00-00",
        1_700_000_000 + time,
        1_700_000_000 + time
    )
}

pub(super) fn dir(path: &Path) -> Dir {
    Dir::from_fd(File::open(path).unwrap().into())
}

/// A folder of records.
pub(super) fn records(at: &Path, day: usize) -> PathBuf {
    let path = at.join(format!("day {day}"));
    fs::create_dir(&path).unwrap();
    path
}

pub(super) fn open(records: &Path) -> Arc<Segments> {
    Arc::new(Segments::open(&dir(records)).unwrap().kept())
}

/// Writes a model's manifest, in pieces as workers make them.
pub(super) fn write(records: &Path, model: &Model, basis: Option<&Path>, threads: usize) -> Digest {
    let basis = basis.map(open);
    let mut writer = SegmentWriter::new(&dir(records), FOLDER, basis, threads, false).unwrap();
    let lines: Vec<&String> = model.values().collect();
    for lines in lines.chunks(37) {
        let lines: String = lines.iter().map(|line| line.as_str()).collect();
        writer.write_lines(lines.as_bytes()).unwrap();
    }
    let digest = writer.finish().unwrap();
    assert_eq!(digest, open(records).digest());
    digest
}

/// Segments by inode number, with their sizes; the list is not among them.
fn inodes(records: &Path) -> BTreeMap<u64, u64> {
    let all = fs::read_dir(records.join(FOLDER))
        .unwrap()
        .map(Result::unwrap);
    all.filter(|one| one.file_name() != LIST)
        .map(|one| one.metadata().unwrap())
        .map(|of| (of.ino(), of.len()))
        .collect()
}

/// The segments that a snapshot does not share with the one before, and their bytes.
fn new_segments(before: &Path, after: &Path) -> (usize, u64) {
    let before = inodes(before);
    let new = inodes(after);
    let new = new.iter().filter(|(inode, _)| !before.contains_key(inode));
    new.fold((0, 0), |(count, bytes), (_, size)| {
        (count + 1, bytes + size)
    })
}

/// That segments and one file say the same.
fn check(records: &Path, model: &Model) {
    let whole = records.join("whole");
    let mut writer = Writer::new(File::create(&whole).unwrap()).unwrap();
    for line in model.values() {
        writer.write_lines(line.as_bytes()).unwrap();
    }
    writer.finish().unwrap();
    let all = |reader: Reader| reader.map(Result::unwrap).collect::<Vec<Entry>>();
    let expected = all(Reader::new(File::open(&whole).unwrap()).unwrap());
    assert_eq!(all(Reader::of_segments(open(records)).unwrap()), expected);
    assert_eq!(
        all(Reader::of_whole_segments(open(records)).unwrap()),
        expected
    );
    let mut chunks = Chunks::of_segments(open(records)).unwrap();
    let mut text = Vec::new();
    while let Some(lines) = chunks.next_lines().unwrap() {
        text.extend_from_slice(lines);
    }
    assert_eq!(text, model.values().cloned().collect::<String>().as_bytes());
    // As a person would read and check it.
    let list = fs::read_to_string(records.join(FOLDER).join(LIST)).unwrap();
    let mut packed = Vec::new();
    for line in list.lines() {
        let (digest, name) = line.split_once("  ").unwrap();
        let segment = fs::read(records.join(FOLDER).join(name)).unwrap();
        assert_eq!(Digest::of(&segment).to_string(), digest);
        packed.extend(segment);
    }
    let by_hand = zstd::decode_all(&packed[..]).unwrap();
    assert_eq!(
        by_hand,
        zstd::decode_all(&fs::read(&whole).unwrap()[..]).unwrap()
    );
    fs::remove_file(whole).unwrap();
}

pub(super) fn tree(folders: usize, files: usize) -> Model {
    let mut model = Model::new();
    add(&mut model, "", "type=dir mode=0755 time=0.000000000");
    for folder in 0..folders {
        add(
            &mut model,
            &format!("home/{folder:04}"),
            "type=dir mode=0755",
        );
        for number in 0..files {
            let path = format!("home/{folder:04}/file\\040{number:05}.txt");
            add(&mut model, &path, &file(folder * files + number, 0));
        }
    }
    model
}

#[test]
fn after_any_history_segments_say_what_one_file_would() {
    for seed in 0..6 {
        let temporary = tempfile::tempdir().unwrap();
        let mut random = Random(seed);
        let mut model = tree(1 + random.below(60), 1 + random.below(300));
        let mut before: Option<PathBuf> = None;
        for day in 1..6 {
            add(
                &mut model,
                "",
                &format!("type=dir mode=0755 time={day}.000000000"),
            );
            for _ in 0..random.below(8) {
                let folder = random.below(70);
                let path = format!("home/{folder:04}/file\\040{:05}.txt", random.below(400));
                match random.below(5) {
                    0 | 1 => add(&mut model, &path, &file(random.below(100), day)),
                    2 => drop(model.remove(schema::StoredPath::new(path.as_bytes()))),
                    3 => add(
                        &mut model,
                        &format!("home/{folder:04}-{day}"),
                        "type=dir mode=0700",
                    ),
                    _ => {
                        let prefix = format!("home/{folder:04}");
                        model.retain(|path, _| !path.starts_with(prefix.as_bytes()));
                    }
                }
            }
            let now = records(temporary.path(), day);
            let threads = 1 + random.below(2);
            write(&now, &model, before.as_deref(), threads);
            check(&now, &model);
            // Without a basis the same bytes are made.
            let alone = records(temporary.path(), 100 + day);
            write(&alone, &model, None, 1);
            assert_eq!(
                open(&now).digests(),
                open(&alone).digests(),
                "{seed}, {day}"
            );
            before = Some(now);
        }
    }
}

#[test]
fn what_comes_goes_or_changes_in_one_place_costs_a_few_segments() {
    let temporary = tempfile::tempdir().unwrap();
    // One giant folder, and many small ones.
    for (at, (folders, files)) in [(1, 60_000), (6_000, 9)].into_iter().enumerate() {
        let mut model = tree(folders, files);
        let first = records(temporary.path(), 10 * at);
        write(&first, &model, None, 2);
        let segments = open(&first).digests().len();
        assert!((40..130).contains(&segments), "{segments}");
        let in_middle = format!("home/{:04}/file\\040{:05}", folders / 2, files / 2);
        add(&mut model, &format!("{in_middle}.txt"), &file(1, 1));
        add(&mut model, "", "type=dir mode=0755 time=1.000000000");
        let changed = records(temporary.path(), 10 * at + 1);
        write(&changed, &model, Some(&first), 2);
        // The snapshot's own entry is a segment.
        let (count, bytes) = new_segments(&first, &changed);
        assert_eq!(count, 2);
        assert!(bytes < 200_000, "{bytes}");
        add(&mut model, &format!("{in_middle}-new.txt"), &file(2, 2));
        let inserted = records(temporary.path(), 10 * at + 2);
        write(&inserted, &model, Some(&changed), 1);
        assert!(new_segments(&changed, &inserted).0 <= 4);
        model.retain(|path, _| !path.starts_with(in_middle.as_bytes()));
        let removed = records(temporary.path(), 10 * at + 3);
        write(&removed, &model, Some(&inserted), 2);
        assert!(new_segments(&inserted, &removed).0 <= 5);
        check(&removed, &model);
        // Nothing at all.
        let same = records(temporary.path(), 10 * at + 4);
        let digest = write(&same, &model, Some(&removed), 2);
        assert_eq!(new_segments(&removed, &same).0, 0);
        assert_eq!(digest, open(&removed).digest());
    }
}

#[test]
fn a_damaged_segment_is_an_error_and_is_never_linked() {
    let temporary = tempfile::tempdir().unwrap();
    let model = tree(40, 100);
    let first = records(temporary.path(), 1);
    write(&first, &model, None, 1);
    let third = first.join(FOLDER).join("manifest.000003.zst");
    let sealed = fs::read(&third).unwrap();
    let second = fs::read(first.join(FOLDER).join("manifest.000002.zst")).unwrap();
    let mut flipped = sealed.clone();
    flipped[sealed.len() / 2] ^= 1;
    for damaged in [
        Some(flipped),
        Some(vec![]),
        Some(sealed[..99].to_vec()),
        Some(second),
        None,
    ] {
        match &damaged {
            Some(bytes) => fs::write(&third, bytes).unwrap(),
            None => fs::remove_file(&third).unwrap(),
        }
        let segments = open(&first);
        assert!(segments.text(2).is_err() && segments.fault(2).is_some());
        assert!(segments.text(3).is_ok());
        let mut reader = Reader::of_segments(Arc::clone(&segments)).unwrap();
        assert!(reader.any(|entry| entry.is_err()));
        // The rest is read by who asks for it.
        let rest: Vec<_> = Reader::of_whole_segments(Arc::clone(&segments))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        assert!(rest.len() < model.len() && rest.len() + cut::MOST >= model.len());
        let after = records(temporary.path(), 2);
        write(&after, &model, Some(&first), 1);
        assert_eq!(new_segments(&first, &after).0, 1);
        check(&after, &model);
        fs::remove_dir_all(after).unwrap();
    }
}

#[test]
fn the_first_segment_may_be_the_lost_one() {
    let temporary = tempfile::tempdir().unwrap();
    let model = tree(3, 5);
    let first = records(temporary.path(), 1);
    write(&first, &model, None, 1);
    fs::write(first.join(FOLDER).join("manifest.000001.zst"), "").unwrap();
    assert!(Reader::of_segments(open(&first)).is_err());
    let rest = Reader::of_whole_segments(open(&first)).unwrap();
    assert_eq!(rest.count(), model.len() - 1);
}

#[test]
fn where_links_are_refused_segments_are_copied() {
    let shared = Path::new("/dev/shm");
    let temporary = tempfile::tempdir().unwrap();
    let device = |path: &Path| fs::metadata(path).map(|of| of.dev()).ok();
    if device(shared).is_none() || device(shared) == device(temporary.path()) {
        return test_support::skip(
            "where_links_are_refused because /dev/shm is no other file system",
        );
    }
    let other = tempfile::tempdir_in(shared).unwrap();
    let model = tree(40, 100);
    let first = records(other.path(), 1);
    write(&first, &model, None, 1);
    let copied = records(temporary.path(), 1);
    let digest = write(&copied, &model, Some(&first), 2);
    assert_eq!(digest, open(&first).digest());
    check(&copied, &model);
}

#[test]
fn an_empty_manifest_has_a_segment_too() {
    let temporary = tempfile::tempdir().unwrap();
    let at = records(temporary.path(), 1);
    write(&at, &Model::new(), None, 1);
    check(&at, &Model::new());
}

#[test]
fn segments_that_are_read_ahead_are_the_same_and_so_is_what_is_wrong_with_them() {
    let temporary = tempfile::tempdir().unwrap();
    let records = records(temporary.path(), 1);
    let mut model = Model::new();
    add(&mut model, "", "type=dir mode=0755 uid=0 gid=0");
    for number in 0..9000 {
        add(&mut model, &format!("{number:05}"), &file(number, 1));
    }
    write(&records, &model, None, 1);
    let segments = Arc::new(Segments::open(&dir(&records)).unwrap());
    let count = segments.digests().len();
    assert!(count > 6, "{count}");
    let read = |ahead: bool, only_whole: bool| {
        let mut text = SegmentText::new(Arc::clone(&segments), only_whole);
        if ahead {
            text.read_ahead(0);
        }
        let mut all = String::new();
        let read = text.read_to_string(&mut all);
        (all, read.map_err(|error| error.to_string()))
    };
    assert_eq!(read(true, false), read(false, false));
    // Who reads no further waits for nobody.
    let mut text = SegmentText::new(Arc::clone(&segments), false);
    text.read_ahead(0);
    text.read_exact(&mut [0; 10]).unwrap();
    drop(text);

    for at in [2, count - 2] {
        fs::write(records.join(FOLDER).join(segment_name(at, false)), "other").unwrap();
    }
    for only_whole in [true, false] {
        assert_eq!(read(true, only_whole), read(false, only_whole));
    }
    assert!(read(true, false).1.unwrap_err().contains("was sealed"));
    let faults = segments.faults(&|| Ok::<_, ()>(())).unwrap();
    assert_eq!(
        faults.iter().map(|(at, _)| *at).collect::<Vec<_>>(),
        [2, count - 2]
    );
    let side_by_side = segments.faults_by(AT_ONCE, &|| Ok::<_, ()>(())).unwrap();
    assert_eq!(side_by_side, faults);
    assert_eq!(segments.faults_by(AT_ONCE, &|| Err(5)), Err(5));
}
