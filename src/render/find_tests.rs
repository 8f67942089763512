use chrono::{FixedOffset, Utc};

use executor::{
    history::{FoundVersions, Version, found_path},
    manifest::Entry,
};
use schema::output::find::FORMAT_VERSION;

use super::*;
use crate::render::page::assert_fits;

fn ids() -> Vec<SnapshotId> {
    (1..=4)
        .map(|day| format!("2025-01-{day:02}_02-00-00").parse().unwrap())
        .collect()
}

fn version(first: usize, last: usize, line: Option<&str>) -> Version {
    Version {
        first,
        last,
        snapshots: last - first + 1,
        entry: line.map(|line| Entry::from_line(line).unwrap()),
    }
}

fn found() -> FoundPath {
    let found = FoundVersions {
        path: b"home/ann/my \x1b[2J \xff photo.jpg".to_vec().into(),
        versions: vec![
            version(
                0,
                1,
                Some("./x type=file size=123456789 time=1735689600.000000000"),
            ),
            version(2, 2, None),
            version(3, 3, Some("./x type=link link=other\\040place")),
        ],
    };
    let berlin = FixedOffset::east_opt(3600).unwrap();
    found_path(found, &ids(), &berlin)
}

#[test]
fn each_version_is_a_line_and_no_name_plays_tricks() {
    let text = path_lines(&found(), &Style::PLAIN);
    assert_fits(&text);
    insta::assert_snapshot!(text, @r"
    /home/ann/my \033[2J \377 photo.jpg
      2025-01-01_02-00-00..2025-01-02_02-00-00   117.7 MiB  2025-01-01 01:00:00
      2025-01-03_02-00-00                       not there
      2025-01-04_02-00-00                       symlink to other place
    ");
}

#[test]
fn the_hint_is_a_command_that_a_shell_takes() {
    let view = FoundPaths {
        format_version: FORMAT_VERSION,
        pattern: "it's".to_owned(),
        searched: ids(),
        not_searched: Vec::new(),
        paths: Vec::new(),
    };
    let mut footer = Footer::default();
    insta::assert_snapshot!(footer.lines(&view), @r"
    no path in 4 snapshots matches 'it'\''s'
    hint: a part of a name needs stars, as in '*letter*'; names are told apart by
      case
    ");
    let mut odd = Footer::default();
    odd.count(&found());
    insta::assert_snapshot!(odd.lines(&view), @r"
    1 path in 4 snapshots
    hint: backup restore 2025-01-04_02-00-00 $'/home/ann/my \033[2J \377 photo.jpg' $'my \033[2J \377 photo.jpg.restored'
    ");
    let plain = FoundVersions {
        path: b"home/ann/it's".to_vec().into(),
        versions: vec![version(0, 2, Some("./x type=dir")), version(3, 3, None)],
    };
    footer.count(&found_path(plain, &ids(), &Utc));
    insta::assert_snapshot!(footer.lines(&view), @r"
    1 path in 4 snapshots
    hint: backup restore 2025-01-03_02-00-00 '/home/ann/it'\''s' 'it'\''s.restored'
    ");
}
