//! Files that stand under safe names: on the remote they have the same, whatever holds them next.

use std::fs::File;

use super::{going::Decision, *};
use crate::manifest::Writer;

/// A file in a folder whose name a drive cannot hold, as such a drive has it, and as any other.
const SAFE: [&str; 2] = ["home/a:b type=dir as=a_b~1", "home/a:b/c type=file"];
const OWN: [&str; 2] = ["home/a:b type=dir", "home/a:b/c type=file"];
const THERE: &str = "home/a_b~1/c";

fn manifest(lines: &[&str]) -> Reader {
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut writer = Writer::new(file.reopen().unwrap()).unwrap();
    for line in lines {
        let mut entry = Entry::from_line(format!("./{line} size=3")).unwrap();
        entry.digest = (entry.kind == Kind::File).then(|| Digest::of(b"abc"));
        writer.write(&entry).unwrap();
    }
    writer.finish().unwrap();
    Reader::new(File::open(file.path()).unwrap()).unwrap()
}

/// The difference, with the names that are to be uploaded.
fn difference(new: &[&str], base: &[&str], decision: Decision) -> (Difference, String) {
    let remote = Remote {
        listing: HashMap::from([(THERE.to_owned(), 3)]),
        base: Some(manifest(base)),
        ..Remote::default()
    };
    let (mut upload, mut aside, mut all) = (Vec::new(), Vec::new(), Vec::new());
    let lists = Lists {
        upload: &mut upload,
        aside: &mut aside,
        all: &mut all,
    };
    let mut found = compare(manifest(new), remote, lists).unwrap();
    found.decide(decision, &mut aside).unwrap();
    (found, String::from_utf8(upload).unwrap())
}

const MOVES: Decision = Decision {
    takes_away: true,
    moves: true,
};

#[test]
fn a_file_below_a_safe_folder_is_there_under_the_name_that_it_has_on_the_drive() {
    let (found, upload) = difference(&SAFE, &SAFE, MOVES);
    assert!(found.is_empty(), "{found:?}");
    assert_eq!((found.files, found.harmed, upload.as_str()), (1, 0, ""));
}

#[test]
fn a_drive_that_holds_the_true_name_moves_the_file_on_the_remote() {
    for (new, base, to) in [(OWN, SAFE, "home/a:b/c"), (SAFE, OWN, THERE)] {
        let there = if base == SAFE { THERE } else { "home/a:b/c" };
        let remote = Remote {
            listing: HashMap::from([(there.to_owned(), 3)]),
            base: Some(manifest(&base)),
            ..Remote::default()
        };
        let mut aside = Vec::new();
        let lists = Lists {
            upload: &mut Vec::new(),
            aside: &mut Vec::new(),
            all: &mut Vec::new(),
        };
        let mut found = compare(manifest(&new), remote, lists).unwrap();
        found.decide(MOVES, &mut aside).unwrap();
        assert_eq!(found.moves.len(), 1, "{found:?}");
        assert_eq!(
            (found.moves[0].from.as_str(), found.moves[0].to.as_str()),
            (there, to)
        );
        assert_eq!((found.lost_files, found.harmed), (0, 0));
        assert_eq!(found.change.upload_files, 0);
        assert_eq!((found.files, found.base_files), (1, 1));
    }
}

#[test]
fn what_stays_is_listed_where_it_stands() {
    let held_back = Decision {
        takes_away: false,
        moves: false,
    };
    let (found, _) = difference(&["home type=dir"], &SAFE, held_back);
    assert_eq!(found.stays, 1);
    assert_eq!(found.kept.len(), 1);
    assert_eq!(found.kept[0].path.as_bytes(), THERE.as_bytes());
    assert_eq!(found.kept[0].stored_as, None);
}
