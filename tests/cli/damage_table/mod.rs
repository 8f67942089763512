//! Every helper file and folder, with every fault that can come to it, met by every verb: nothing
//! panics, nothing that was sealed is lost, nothing is called done that was not done, and the next
//! backup is made, at once or after the one command that is named.
//!
//! `KILLS=200` lets everything meet everything; otherwise each file meets a third of the faults, and
//! each fault a fourth of the verbs, in turn.

mod table;

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

pub(crate) use self::table::has_turn;
use self::table::{Table, mode, night};
use crate::{
    lab::{entry_names, id_of},
    manifests::{FAULTS, Fault},
};

/// What can come to a folder.
const OF_FOLDERS: [Fault; 4] = [
    ("missing", |path| fs::rename(path, aside(path)).unwrap()),
    ("emptied", |path| {
        fs::rename(path, aside(path)).unwrap();
        fs::create_dir(path).unwrap();
    }),
    ("a file", |path| {
        fs::rename(path, aside(path)).unwrap();
        fs::write(path, "a note\n").unwrap();
    }),
    ("a symlink", |path| {
        fs::rename(path, aside(path)).unwrap();
        symlink(aside(path), path).unwrap();
    }),
];

/// What only a user meets who is not root.
const OF_USERS: [Fault; 2] = [
    ("closed", |path| mode(path, 0)),
    ("read-only", |path| {
        mode(path, if path.is_dir() { 0o555 } else { 0o444 });
    }),
];

/// Where a folder is put that is replaced: out of everybody's way.
fn aside(path: &Path) -> PathBuf {
    let lab = path
        .ancestors()
        .find(|at| at.join("config.json").is_file() && at.join("home").is_dir());
    lab.unwrap().join("aside")
}

/// The files of the newest run.
fn of_run(table: &Table) -> Vec<String> {
    let runs = entry_names(&table.lab.path("state/runs"));
    let newest = runs.iter().rev().find(|run| run.starts_with("2025-03-07"));
    let run = format!("state/runs/{}", newest.unwrap());
    let files = entry_names(&table.lab.path(&run));
    files.iter().map(|file| format!("{run}/{file}")).collect()
}

fn records(day: u32, file: &str) -> String {
    format!("mnt/atlas/.backup/snapshots/{}/{file}", id_of(&night(day)))
}

/// Each of these files with the faults that have their turn.
pub(crate) fn in_turn<'a>(files: &'a [&str]) -> impl Iterator<Item = (&'a str, Fault)> {
    // One place more for each file, as there are nine faults.
    let place = |file: usize, fault: usize| file * (FAULTS.len() + 1) + fault;
    files.iter().enumerate().flat_map(move |(at, file)| {
        let faults = FAULTS.into_iter().enumerate();
        faults
            .filter(move |(number, _)| has_turn(place(at, *number)))
            .map(move |(_, fault)| (*file, fault))
    })
}

/// Faults of files; a flipped byte that leaves a file what it was is none.
fn meet_all(table: &mut Table, files: &[String]) {
    for file in files {
        // One more, as there are nine faults.
        table.offered += 1;
        for fault in FAULTS {
            let kept = table.lab.path(format!("kept.{file}"));
            let is_empty = fs::metadata(kept).is_ok_and(|of| of.len() == 0);
            if is_empty && ["flipped", "truncated"].contains(&fault.0) {
                continue;
            }
            table.meets(file, fault);
        }
    }
}

#[test]
fn records_of_snapshots() {
    let mut table = Table::new(false, false);
    let files = [
        records(5, "manifest/SHA256SUMS"),
        records(5, "snapshot.json"),
        records(6, "marks.json"),
        records(7, "manifest/SHA256SUMS"),
        records(7, "snapshot.json"),
    ];
    meet_all(&mut table, &files);
    table.ended(45);
}

#[test]
fn files_of_the_destination_itself() {
    let mut table = Table::new(true, false);
    let files = ["destination.json", "rotation.json", "lock"];
    let files = files.map(|file| format!("mnt/atlas/.backup/{file}"));
    meet_all(&mut table, &files);
    let links = [
        "mnt/atlas/latest".to_owned(),
        format!("mnt/atlas/weekly/{}", id_of(&night(5))),
    ];
    for link in links {
        for fault in FAULTS {
            // What is done to a link is done to the link.
            if ["missing", "a folder", "a fifo"].contains(&fault.0) {
                table.meets(&link, fault);
            }
        }
        table.meets(
            &link,
            ("a file", |path| {
                fs::remove_file(path).unwrap();
                fs::write(path, "a note\n").unwrap();
            }),
        );
        table.meets(
            &link,
            ("dangling", |path| {
                fs::remove_file(path).unwrap();
                symlink("nowhere", path).unwrap();
            }),
        );
    }
    table.ended(30);
}

#[test]
fn files_of_the_state_directory() {
    let mut table = Table::new(false, false);
    let state = entry_names(&table.lab.path("state"));
    let is_file = |name: &String| table.lab.path("state").join(name).is_file();
    let mut files: Vec<String> = state.into_iter().filter(is_file).collect();
    for file in &mut files {
        file.insert_str(0, "state/");
    }
    assert!(files.len() >= 4, "{files:?}");
    files.extend(of_run(&table));
    assert!(files.len() >= 10, "{files:?}");
    meet_all(&mut table, &files);
}

#[test]
fn folders() {
    let mut table = Table::new(false, false);
    let newest = id_of(&night(7));
    let folders = [
        "mnt/atlas".to_owned(),
        "mnt/atlas/.backup".to_owned(),
        "mnt/atlas/.backup/snapshots".to_owned(),
        format!("mnt/atlas/.backup/snapshots/{newest}"),
        "mnt/atlas/.backup/partial".to_owned(),
        "mnt/atlas/.backup/moving".to_owned(),
        "mnt/atlas/daily".to_owned(),
        "mnt/atlas/monthly".to_owned(),
        format!("mnt/atlas/daily/{newest}"),
        "state".to_owned(),
        "state/runs".to_owned(),
    ];
    for folder in &folders {
        for fault in OF_FOLDERS {
            table.meets(folder, fault);
        }
    }
    table.ended(44);
}

#[test]
fn what_an_ordinary_user_may_not_read_or_write() {
    let mut table = Table::new(false, true);
    if !table.user {
        return crate::lab::skip("what_an_ordinary_user_may_not: this is not root");
    }
    let newest = id_of(&night(7));
    let mut all = vec![
        records(7, "manifest/SHA256SUMS"),
        records(7, "snapshot.json"),
        format!("mnt/atlas/daily/{newest}"),
    ];
    for name in [
        "destination.json",
        "rotation.json",
        "lock",
        "partial",
        "snapshots",
        "trash",
    ] {
        all.push(format!("mnt/atlas/.backup/{name}"));
    }
    for name in [
        "mnt/atlas",
        "mnt/atlas/.backup",
        "mnt/atlas/daily",
        "mnt/atlas/weekly",
    ] {
        all.push(name.to_owned());
    }
    for name in [
        "state",
        "state/runs",
        "state/lock",
        "state/verified.json",
        "state/destinations.json",
    ] {
        all.push(name.to_owned());
    }
    for one in &all {
        for fault in OF_USERS {
            table.meets(one, fault);
        }
    }
    table.ended(36);
}
