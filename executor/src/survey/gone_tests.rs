//! What counts as gone, of what a walk notes.

use schema::LeftOut;

use super::*;
use crate::manifest::Entry;

/// A time with nanoseconds of its own, and one of whole seconds.
const EXACT: &str = "1700000000.123456789";
const WHOLE: &str = "1700000000.000000000";

fn entry(path: &str, inode: u64, size: u64, time: &str) -> Entry {
    Entry::from_line(format!(
        "./{path} type=file inode={inode} size={size} time={time}"
    ))
    .unwrap()
}

fn stat(of: &Entry) -> Stat {
    Stat {
        kind: Kind::File,
        mode: 0o644,
        uid: 0,
        gid: 0,
        size: of.size,
        allocated: of.size,
        mtime: of.mtime,
        ctime: of.ctime,
        dev: 1,
        ino: of.ino,
        nlink: 1,
        device: (0, 0),
        mount: 0,
        mount_root: false,
        immutable: false,
        append_only: false,
    }
}

fn search(sources: &[&str]) -> GoneSearch {
    let sources: Vec<AbsolutePath> = sources.iter().map(|path| path.parse().unwrap()).collect();
    GoneSearch::new(sources.iter())
}

/// What is gone of these, after new files at these paths.
fn gone(sources: &[&str], missed: &[Entry], new: &[(&str, Stat)]) -> Option<Gone> {
    let mut search = search(sources);
    for one in missed {
        search.missed(&one.path, one.into());
    }
    for (path, stat) in new {
        search.new_file(StoredPath::new(path.as_bytes()).file_name(), stat);
    }
    search.finish(&LeftOutFolders::default(), |_| true)
}

fn told(gone: Option<Gone>) -> String {
    gone.map_or_else(String::new, |gone| gone.to_string())
}

#[test]
fn the_innermost_folder_with_most_of_it_is_named() {
    let at = |paths: &[&str]| {
        let inodes = 1..;
        let missed: Vec<Entry> = paths
            .iter()
            .zip(inodes)
            .map(|(path, inode)| entry(path, inode, 1024, EXACT))
            .collect();
        told(gone(&["/home", "/srv"], &missed, &[]))
    };
    assert_eq!(at(&[]), "");
    assert_eq!(at(&["home/ann/a"]), "1 file (1.0 KiB), in /home/ann");
    assert_eq!(
        at(&["home/ann/a", "home/ann/deep/b", "home/ann/deep/c"]),
        "3 files (3.0 KiB), most in /home/ann/deep"
    );
    assert_eq!(
        at(&["home/ann/x/a", "home/ann/y/b"]),
        "2 files (2.0 KiB), all in /home/ann"
    );
    // No folder has more than half of it: the source that has most.
    assert_eq!(
        at(&["home/a", "home/b", "srv/c", "srv/x/d"]),
        "4 files (4.0 KiB), most in /srv"
    );
    // What is in no source is not backed up any more.
    assert_eq!(at(&["opt/a", "homes/b"]), "");
    let root = gone(&["/"], &[entry("a", 1, 0, EXACT)], &[]);
    assert_eq!(told(root), "1 file (0 B), in /");
}

#[test]
fn what_moved_is_not_gone() {
    let old = entry("home/a", 7, 5, WHOLE);
    let other = entry("home/b", 8, 5, WHOLE);
    let both = [old.clone(), other.clone()];
    let count = |missed: &[Entry], new: &[(&str, Stat)]| {
        gone(&["/home"], missed, new).map_or(0, |gone| gone.files)
    };
    // The same inode, under any name; one inode may have had several.
    assert_eq!(count(&both, &[("home/new", stat(&old))]), 1);
    let second = entry("home/second", 7, 5, WHOLE);
    assert_eq!(
        count(&[old.clone(), second], &[("home/new", stat(&old))]),
        0
    );
    // Its number alone is another file's by now.
    let reused = Stat {
        size: 6,
        ..stat(&old)
    };
    assert_eq!(count(&both, &[("home/new", reused)]), 2);
    // Another inode, as on another file system: the name tells where the time does not.
    let copied = |of: &Entry| Stat {
        ino: 99,
        ..stat(of)
    };
    assert_eq!(count(&both, &[("home/there/a", copied(&old))]), 1);
    assert_eq!(count(&both, &[("home/there/c", copied(&old))]), 2);
    let exact = entry("home/a", 7, 5, EXACT);
    assert_eq!(
        count(std::slice::from_ref(&exact), &[("home/c", copied(&exact))]),
        0
    );
    // One that looks like two stands for one of them, and a moved one for none but itself.
    let twin = entry("home/twin", 8, 5, EXACT);
    let twins = [exact.clone(), twin];
    assert_eq!(count(&twins, &[("home/c", copied(&exact))]), 1);
    assert_eq!(count(&twins, &[("home/c", stat(&exact))]), 1);
    // Nothing is known by being empty.
    let empty = entry("home/a", 7, 0, EXACT);
    assert_eq!(
        count(std::slice::from_ref(&empty), &[("home/c", copied(&empty))]),
        1
    );
    assert_eq!(
        count(std::slice::from_ref(&empty), &[("home/c", stat(&empty))]),
        0
    );
}

#[test]
fn what_is_left_out_or_in_no_source_that_is_there_is_not_gone() {
    let path = |text: &'static str| StoredPath::new(text.as_bytes());
    let mut search = search(&["/home", "/home/ann/disk", "/home/note"]);
    for (at, name) in ["target/o", "disk/x", "a"].into_iter().enumerate() {
        let path = format!("home/ann/{name}");
        let one = entry(&path, at as u64, 1, EXACT);
        search.missed(&one.path, (&one).into());
    }
    let note = entry("home/note", 9, 1, EXACT);
    let folder = Entry::from_line("./home/ann/folder type=dir").unwrap();
    let older = Entry {
        tree: 1,
        ..entry("home/ann/older", 10, 1, EXACT)
    };
    for one in [&note, &folder, &older] {
        search.missed(&one.path, one.into());
    }
    let mut left_out = LeftOutFolders::default();
    left_out.add(path("home/ann/target").to_owned(), &LeftOut::default());
    let gone = search.finish(&left_out, |source| source != path("home/ann/disk"));
    assert_eq!(told(gone), "1 file (1 B), in /home/ann");
}

#[test]
fn of_more_folders_than_are_remembered_all_files_count() {
    let mut search = search(&["/home"]);
    let name = "x".repeat(180);
    for number in 0..100_000 {
        let path = format!("home/many/{number:06}{name}/f");
        let one = entry(&path, number, 1, EXACT);
        search.missed(&one.path, (&one).into());
    }
    assert!(search.weight < MOST + 1000, "{}", search.weight);
    let gone = search.finish(&LeftOutFolders::default(), |_| true).unwrap();
    assert_eq!(gone.files, 100_000);
    // The folder above them is not known by itself, but the source is.
    assert!(
        ["/home", "/home/many"].contains(&gone.most_in.as_str()),
        "{gone}"
    );
}

#[test]
fn what_is_deeper_than_any_usual_path_counts_as_in_a_folder_above() {
    let mut search = search(&["/home"]);
    let shallow = entry("home/ann/f", 1, 1, EXACT);
    search.missed(&shallow.path, (&shallow).into());
    for deep in 0..20 {
        let path = format!("home/ann/{}f", "a/".repeat(10_000 + deep));
        let one = entry(&path, 2 + deep as u64, 1, EXACT);
        search.missed(&one.path, (&one).into());
    }
    assert!(search.weight < 1000, "{}", search.weight);
    let gone = search.finish(&LeftOutFolders::default(), |_| true);
    assert_eq!(told(gone), "21 files (21 B), all in /home/ann");
}
