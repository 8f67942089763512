//! What a clone has of its basis is taken over many entries at once: what is listed of it is what hard links
//! list, wherever in it something changed.

use std::{fs, os::unix::fs::MetadataExt as _, path::Path};

use executor::{manifest::Segments, sys::Dir};

use crate::{
    clones::{day, on_btrfs},
    compare::same,
    lab::{Engine, World},
    metadata::set_mode,
};

const FOLDERS: usize = 60;
const FILES: usize = 32;

/// A source whose manifest has several segments.
fn make(source: &Path) {
    for folder in 0..FOLDERS {
        let at = source.join(format!("{folder:02}"));
        fs::create_dir_all(at.join("m")).unwrap();
        for file in 0..FILES {
            fs::write(at.join(format!("{file:02}")), format!("{folder} {file}")).unwrap();
            fs::write(at.join(format!("m/{file:02}")), "inner").unwrap();
        }
    }
}

/// Changes something; the last one leaves the times of the folders that entries go from as they were.
fn change(world: &mut World, step: usize) {
    let source = world.path("src");
    let at = |path: &str| source.join(path);
    match step {
        0..3 => {}
        3 => fs::write(at("07/m/10"), "changed").unwrap(),
        4 => fs::remove_file(at("11/31")).unwrap(),
        5 => fs::write(at("11/zz"), "new").unwrap(),
        6 => fs::remove_dir_all(at("20")).unwrap(),
        7 => fs::rename(at("30"), at("30a")).unwrap(),
        8 => set_mode(&at("40"), 0o700),
        9 => {
            fs::hard_link(at("50/00"), at("59/other name")).unwrap();
            fs::create_dir(at("59/zz")).unwrap();
        }
        10 => world.exclude(&["m/31", "00"]),
        // One of the names of a file comes back, then the other one goes, and comes back.
        11 | 13 => world.exclude(&[]),
        12 => world.exclude(&["other name"]),
        _ => {}
    }
}

const STEPS: usize = 14;

/// The inode of each segment of a snapshot's manifest, and its lines.
fn segments(world: &World, id: &str) -> Vec<(u64, usize)> {
    let records = fs::File::open(world.records(id)).unwrap();
    let all = Segments::open(&Dir::from_fd(records.into())).unwrap();
    let folder = world.records(id).join("manifest");
    let names = fs::read_dir(folder).unwrap();
    let names = names.map(|entry| entry.unwrap().path());
    let mut names: Vec<_> = names.filter(|path| path.extension().is_some()).collect();
    names.sort();
    assert_eq!(names.len(), all.digests().len());
    let lines = |at| {
        all.text(at)
            .unwrap()
            .iter()
            .filter(|byte| **byte == b'\n')
            .count()
    };
    let inodes = names.iter().map(|path| fs::metadata(path).unwrap().ino());
    inodes
        .enumerate()
        .map(|(at, inode)| (inode, lines(at)))
        .collect()
}

/// What was listed of each step.
fn run_history(world: &mut World) -> Vec<Vec<String>> {
    let source = world.path("src");
    make(&source);
    let mut told = Vec::new();
    let mut before = Vec::new();
    let mut shared = 0;
    for step in 0..STEPS {
        change(world, step);
        let id = world.apply(&day(step), 0);
        if step != 10 && step != 12 {
            same(&source, &world.in_snapshot(&id, "src"));
        }
        let prefix = source
            .strip_prefix("/")
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned();
        let entries = world.manifest(&id).into_iter().filter_map(|entry| {
            let path = String::from_utf8(entry.path.as_bytes().to_vec()).unwrap();
            let below = path.strip_prefix(&prefix)?.to_owned();
            let (kind, mode, size) = (entry.kind, entry.mode, entry.size);
            let (digest, stored, group) = (entry.digest, entry.stored, entry.group);
            Some(format!(
                "{below} {kind:?} {mode:o} {size} {digest:?} {stored:?} {group:?}"
            ))
        });
        let record = world.snapshot_record(&id);
        let (totals, sources) = (record.totals, record.sources);
        let mut listed: Vec<String> = entries.collect();
        listed.push(format!("{totals:?} {:?}", record.files_stored_by));
        listed.push(format!("{:?}", (sources[0].entries, sources[0].files)));
        let now = segments(world, &id);
        assert!(now.len() > 2, "step {step}: {now:?}");
        shared += now.iter().filter(|one| before.contains(*one)).count();
        told.push(listed);
        before = now;
    }
    // Where borders are, and so in which segment a change is, follows from the times of the files.
    assert!(shared > 0);
    // The other name of it was there, and so was its content.
    let id = test_support::id_of(&day(11));
    let mut entries = world.manifest(&id).into_iter();
    let back = entries.find(|entry| entry.path.as_bytes().ends_with(b"50/00"));
    let stored = back.unwrap().stored;
    assert!(stored.is_some_and(|by| by.to_string() != id), "{stored:?}");
    world.run(&["verify", "--full", "--all"]).expect(0);
    told
}

#[test]
fn stretches_of_a_clone_are_listed_as_what_is_linked_one_by_one() {
    let name = "stretches_of_a_clone_are_listed_as_what_is_linked_one_by_one";
    let Some(mut world) = on_btrfs(name, Engine::BuiltIn) else {
        return;
    };
    let clones = run_history(&mut world);
    let record = world.snapshot_record(&test_support::id_of(&day(STEPS - 1)));
    assert!(record.subvolume);
    let links = run_history(&mut World::new(Engine::BuiltIn, &["src"]));
    for (step, (one, other)) in clones.iter().zip(&links).enumerate() {
        for (line, there) in one.iter().zip(other) {
            assert_eq!(line, there, "step {step}");
        }
        assert_eq!(one.len(), other.len(), "step {step}");
    }
}
