use schema::{StoredPath, escape::unescape};

use super::*;
use crate::render::page::assert_fits;
use executor::{
    history::{Change, Diff, Difference, Side, snapshot_diff},
    manifest::Entry,
};

fn side(line: &str) -> Option<Side> {
    Entry::from_line(line).ok().map(Side::from)
}

fn one(path: &str, change: Change, before: Option<Side>, after: Option<Side>) -> Difference {
    Difference {
        path: unescape(path).unwrap().into(),
        change,
        before,
        after,
    }
}

#[test]
fn changes_are_lines_and_come_to_a_sum() {
    let file = side("./x type=file mode=0644 uid=0 gid=0 size=2048 time=1.000000000");
    let other = side("./x type=file mode=0600 uid=5 gid=5 size=2048 time=2.000000000");
    let folder = side("./x type=dir mode=0755");
    let from = b"home/ann/old name".to_vec().into();
    let diff = Diff {
        differences: vec![
            one("a", Change::Added, None, file.clone()),
            one("b", Change::Removed, folder.clone(), None),
            one("c", Change::Content, folder, file.clone()),
            one("d", Change::Metadata, file.clone(), other.clone()),
            one("e\\012f", Change::Renamed { from }, file, other),
        ],
        same: 1234,
    };
    let id = |text: &str| text.parse().unwrap();
    let before = id("2025-01-01_02-00-00");
    let after = "2025-01-02_02-00-00".to_owned();
    let view = snapshot_diff(before, after, StoredPath::new("/"), &diff);
    let text = diff_lines(&view, &Style::PLAIN);
    assert_fits(&text);
    insta::assert_snapshot!(text, @r"
    added     /a (2.0 KiB)
    removed   /b (folder)
    changed   /c (folder -> 2.0 KiB)
    metadata  /d (mode 0644 -> 0600, owner 0:0 -> 5:5, time)
    renamed   /home/ann/old name -> /e\012f (2.0 KiB)

    From 2025-01-01_02-00-00 to 2025-01-02_02-00-00: 1 added (2.0 KiB),
      1 removed (0 B), 1 changed (2.0 KiB), 1 renamed (2.0 KiB),
      1 with other metadata (2.0 KiB); 1,234 entries the same
    ");
    assert_eq!(view.path, "/");
}

#[test]
fn a_folder_that_moved_is_one_line() {
    let file = side("./x type=file mode=0644 uid=0 gid=0 size=2048 time=1.000000000");
    let folder = side("./x type=dir mode=0755");
    let moved = |from: &str, to: &str| {
        let from = from.as_bytes().to_vec().into();
        one(to, Change::Renamed { from }, file.clone(), file.clone())
    };
    let gone = |path: &str| one(path, Change::Removed, folder.clone(), None);
    let come = |path: &str| one(path, Change::Added, None, folder.clone());
    let diff = Diff {
        differences: vec![
            gone("home/old"),
            gone("home/old/deep"),
            one("home/old/lost", Change::Removed, file.clone(), None),
            come("home/new"),
            moved("home/old/a", "home/new/a"),
            moved("home/old/b", "home/new/c"),
            come("home/new/deep"),
            moved("home/old/deep/d", "home/new/deep/d"),
            // Only a file moved: its folder is another one.
            moved("home/x", "home/y"),
            come("srv"),
        ],
        same: 1,
    };
    let before = "2025-01-01_02-00-00".parse().unwrap();
    let after = "2025-01-02_02-00-00".to_owned();
    let view = snapshot_diff(before, after, StoredPath::new("/"), &diff);
    let text = diff_lines(&view, &Style::PLAIN);
    let lines: Vec<&str> = text.lines().take_while(|line| !line.is_empty()).collect();
    assert_eq!(
        lines,
        [
            "removed   /home/old/lost (2.0 KiB)",
            "moved     /home/old -> /home/new (folder, 2 files, 4.0 KiB)",
            "renamed   /home/old/b -> /home/new/c (2.0 KiB)",
            "renamed   /home/x -> /home/y (2.0 KiB)",
            "added     /srv (folder)",
        ]
    );
}
