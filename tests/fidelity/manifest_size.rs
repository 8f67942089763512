//! A manifest costs little: not over 80 bytes on disk for each file.

use std::{fs, path::Path};
use test_support::Random;

use crate::{
    lab::{DAYS, ENGINES, World},
    metadata::set_time,
};

const FILES: usize = 20_000;
/// Bytes per file that the manifest may take.
const MOST: u64 = 80;

/// Folders and names as people and programs give them, times over years, owners of one user.
fn make(root: &Path) {
    const WORDS: [&str; 24] = [
        "invoice",
        "holiday",
        "IMG",
        "index",
        "main",
        "README",
        "report",
        "draft",
        "node_modules",
        "src",
        "photos",
        "2023",
        "2024",
        "music",
        "lib",
        "test",
        "component",
        "letter",
        "notes",
        "backup",
        "scan",
        "track",
        "utils",
        "config",
    ];
    const ENDS: [&str; 10] = [
        "jpg", "pdf", "txt", "js", "rs", "md", "mp3", "json", "png", "odt",
    ];
    let mut random = Random::new(5);
    let mut folders = vec![root.to_owned()];
    for number in 0..FILES / 9 {
        let above = folders[random.index_below(folders.len())].clone();
        let above = if above.components().count() > 14 {
            root.to_owned()
        } else {
            above
        };
        let folder = above.join(format!(
            "{}-{number}",
            WORDS[random.index_below(WORDS.len())]
        ));
        fs::create_dir(&folder).unwrap();
        folders.push(folder);
    }
    for number in 0..FILES {
        let word = WORDS[random.index_below(WORDS.len())];
        let end = ENDS[random.index_below(ENDS.len())];
        let path =
            folders[random.index_below(folders.len())].join(format!("{word}_{number:05}.{end}"));
        let size = 1 + random.index_below(300);
        fs::write(&path, random.bytes(size)).unwrap();
        let seconds = 1_500_000_000 + i64::try_from(random.index_below(200_000_000)).unwrap();
        set_time(
            &path,
            seconds,
            i64::try_from(random.index_below(1_000_000_000)).unwrap(),
        );
    }
}

#[test]
fn a_manifest_takes_at_most_eighty_bytes_for_each_file() {
    for engine in ENGINES {
        let world = World::new(engine, &["src"]);
        make(&world.path("src"));
        // The second snapshot is the usual one: its content was stored by the first.
        for day in &DAYS[..2] {
            let id = world.apply(day, 0);
            let folder = world
                .records(&id)
                .join(executor::manifest::segments::FOLDER);
            let files = fs::read_dir(folder).unwrap().map(Result::unwrap);
            let sizes = files.map(|file| file.metadata().unwrap().len());
            let each = sizes.sum::<u64>() / FILES as u64;
            eprintln!("{engine:?}, {id}: {each} bytes for each file");
            assert!(each <= MOST, "{engine:?}, {id}: {each} bytes for each file");
            assert_eq!(world.snapshot_record(&id).totals.files, FILES as u64);
        }
    }
}
