use chrono::DateTime;
use schema::record::SnapshotMarks;

use super::*;
use crate::{
    manifest::{self, segments},
    sys::Kind,
};

const JSON: &str = "{\n  \"made_by\": \"backup 0\",\n  \"suspect\": []\n}\n";

fn stat(ino: u64) -> Stat {
    Stat {
        ino,
        size: 7,
        ..Stat::of_nothing()
    }
}

fn id(at: usize) -> SnapshotId {
    format!("2025-01-01_00-00-{at:02}").parse().unwrap()
}

fn noting(text: Option<String>) -> RecordIndex {
    let found = text.and_then(|text| RecordIndex::parse("disk", text));
    RecordIndex {
        destination: "disk".to_owned(),
        read: Some(Vec::new()),
        at_rest: 1,
        ..found.unwrap_or_default()
    }
}

#[test]
fn what_is_written_is_read_and_written_the_same_again() {
    let mut index = noting(None);
    for at in 0..3 {
        index.note(id(at), &stat(at as u64), JSON.as_bytes());
    }
    let first = index.to_text().unwrap();
    let mut again = noting(Some(first.clone()));
    // What is not recalled is forgotten.
    again.recalled = (0..2).map(id).collect();
    again.note(id(3), &stat(3), JSON.as_bytes());
    let second = again.to_text().unwrap();
    let third = noting(Some(second));
    assert_eq!(third.known.len(), 3);
    for at in [0, 1, 3] {
        let known = &third.known[&id(at)];
        assert_eq!(known.facts, FileFacts::of(&stat(at as u64)));
        assert_eq!(
            &third.text[known.json.clone()],
            "{\"made_by\": \"backup 0\",\"suspect\": []}"
        );
    }
    assert!(RecordIndex::parse("other", first.clone()).is_none());
    let cut = first[..first.len() - 1].to_owned();
    assert!(RecordIndex::parse("disk", cut).is_none());
}

#[test]
fn what_stands_beside_a_record_is_read_as_it_was_written() {
    let mut index = noting(None);
    let marks = SnapshotMarks {
        pinned: true,
        accepted: false,
        verified_at: DateTime::parse_from_rfc3339("2025-01-01T02:03:04.5+01:00").ok(),
    };
    let besides = [
        Beside::new(&stat(1), None, (segments::LIST_PATH, &stat(2)), &index),
        Beside::new(
            &stat(3),
            Some(&(stat(4), marks)),
            (manifest::FILE_NAME, &stat(5)),
            &index,
        ),
        None,
    ];
    assert!(besides[0].is_some() && besides[1].is_some());
    for (at, beside) in besides.iter().enumerate() {
        index.note(id(at), &stat(at as u64), JSON.as_bytes());
        index.note_beside(id(at), beside.clone());
    }
    let again = noting(index.to_text());
    for (at, beside) in besides.iter().enumerate() {
        assert_eq!(again.beside(id(at)), beside.as_ref());
    }
    let young = Stat {
        mtime: 1,
        ..stat(1)
    };
    let old = stat(2);
    for (folder, manifest) in [(&young, &old), (&old, &young)] {
        let manifest = (segments::LIST_PATH, manifest);
        assert_eq!(Beside::new(folder, None, manifest, &again), None);
    }
}

#[test]
fn what_stands_beside_a_record_is_the_same_only_as_a_whole() {
    let index = noting(None);
    let of = |ino, kind| Stat { kind, ..stat(ino) };
    let marks = SnapshotMarks::default();
    let beside = Beside::new(
        &stat(1),
        Some(&(stat(2), marks)),
        (segments::LIST_PATH, &stat(3)),
        &index,
    );
    let beside = beside.unwrap();
    let places = [
        ("a", of(1, Kind::Folder)),
        ("a/marks.json", of(2, Kind::File)),
        ("a/manifest/SHA256SUMS", of(3, Kind::File)),
    ];
    let same = |but: Option<(usize, Stat)>| {
        beside.is_unchanged("a", &|path| {
            let at = places.iter().position(|(known, _)| *known == path)?;
            Some(match but {
                Some((changed, stat)) if changed == at => stat,
                _ => places[at].1,
            })
        })
    };
    assert!(same(None));
    for (at, (_, was)) in places.iter().enumerate() {
        for stat in [
            Stat { ino: 9, ..*was },
            Stat { size: 9, ..*was },
            Stat { ctime: 9, ..*was },
            Stat { mtime: 9, ..*was },
            of(was.ino, Kind::Symlink),
        ] {
            assert!(!same(Some((at, stat))), "{at} {stat:?}");
        }
    }
    assert!(!beside.is_unchanged("a", &|_| None));

    // Marks that came since are noticed by themselves, whatever time the folder has.
    let manifest = (segments::LIST_PATH, &stat(3));
    let unmarked = Beside::new(&stat(1), None, manifest, &index).unwrap();
    let same = |marked: bool| {
        unmarked.is_unchanged("a", &|path| {
            let found = places.iter().find(|(known, _)| *known == path);
            found
                .filter(|_| marked || path != "a/marks.json")
                .map(|(_, stat)| *stat)
        })
    };
    assert!(same(false) && !same(true));
}

#[test]
fn what_was_changed_a_moment_ago_is_not_noted() {
    let mut index = noting(None);
    let young = Stat {
        ctime: 1,
        ..stat(1)
    };
    index.note(id(1), &young, JSON.as_bytes());
    assert!(index.read.as_ref().unwrap().is_empty());
}

#[test]
fn a_few_more_are_no_reason_to_write_it_anew() {
    let mut index = noting(None);
    for at in 0..=FEW {
        assert!(!index.is_outdated(), "{at}");
        index.note(id(at), &stat(at as u64), JSON.as_bytes());
    }
    assert!(index.is_outdated());
}

#[test]
fn it_has_as_many_as_there_is_room_for() {
    let mut index = noting(None);
    let json = format!("{{\n\"problems\": \"{}\"\n}}\n", "x".repeat(5 << 20));
    for at in 0..5 {
        index.note(id(at), &stat(at as u64), json.as_bytes());
    }
    let text = index.to_text().unwrap();
    assert!(text.len() <= LONGEST_INDEX);
    assert_eq!(noting(Some(text)).known.len(), 3);
}

#[test]
fn a_destination_chooses_no_path() {
    assert!(is_file_name("ee51c351-76ad-8197-8f16-51e5525f3301"));
    for id in ["", ".", "..", "a/b", "a\n", &"a".repeat(65)] {
        assert!(!is_file_name(id), "{id:?}");
    }
}
