//! Law 5: no inode of a published snapshot is ever written to.

use std::{
    collections::{BTreeMap, HashSet},
    os::unix::fs::MetadataExt as _,
};

use serde_json::json;

use crate::{
    check::all_whole,
    kills::reference,
    lab::{HOST, NOW, World, is_missing, with_history},
};

/// Calls that change an inode, its metadata included.
const CHANGING: &str = "trace=open,openat,openat2,creat,write,pwrite64,writev,pwritev,ftruncate,\
    fallocate,copy_file_range,sendfile,fchmod,fchmodat,?fchmodat2,chmod,chown,fchown,fchownat,\
    lchown,utimensat,futimesat,utime,setxattr,fsetxattr,lsetxattr,removexattr,fremovexattr,\
    lremovexattr,truncate,link,linkat,symlink,symlinkat,mkdir,mkdirat,mknod,mknodat,rename,\
    renameat,renameat2,unlink,unlinkat,rmdir";

#[test]
fn no_inode_of_a_published_snapshot_is_written_to() {
    let name = "no_inode_of_a_published_snapshot_is_written_to";
    if is_missing(name, &["rsync", "setfattr", "strace"], false) {
        return;
    }
    let reference = reference(false);
    let world = &reference.world;
    world.traced(NOW, &["-y", "-e", CHANGING]).expect(0);
    let linked_from = not_below_tiers(world);
    assert!(linked_from > 50, "{linked_from}");
    let changed = only_what_is_new(world);
    assert!(changed > 50, "{changed}");

    // A run that is continued finds names in the new tree that are links to published inodes.
    world.bring_back();
    world.kill_at_sync();
    world.traced(NOW, &["-y", "-e", CHANGING]).expect(0);
    not_below_tiers(world);
    only_what_is_new(world);
}

/// rsync opens each part of a path by itself, so that its calls do not tell what they change: what
/// it changed is told by the inodes, and what it opened to write by the paths behind descriptors.
#[test]
fn rsync_changes_no_inode_of_a_published_snapshot() {
    let name = "rsync_changes_no_inode_of_a_published_snapshot";
    if is_missing(name, &["rsync", "setfattr", "strace"], false) {
        return;
    }
    let mut world = with_history(false);
    // What retention removes takes names from inodes as well.
    world.configure(&json!({ "useRsync": true, "keepDaily": 30 }));
    let before = published(&world);
    assert!(before.len() > 100, "{}", before.len());
    // Once in one go, once continued where the new tree is full of links.
    let opened = ["-y", "-e", "trace=open,openat,openat2,creat"];
    world.traced(NOW, &opened).expect(0);
    let tiers = ["daily", "weekly", "monthly"];
    let tiers = tiers.map(|tier| format!("<{}/2025-", world.host().join(tier).display()));
    let mut read = 0;
    for line in world.trace().lines() {
        let result = line.rsplit_once(" = ").map_or("", |(_, result)| result);
        if tiers.iter().any(|tier| result.contains(tier)) {
            let writes = ["O_WRONLY", "O_RDWR", "O_TRUNC", "O_APPEND"];
            assert!(!writes.iter().any(|flag| line.contains(flag)), "{line}");
            read += 1;
        }
    }
    // The folders of the basis are opened by our own pass alone.
    assert!(read > 5, "{read}");
    let linked = unchanged(&before, &published(&world));
    assert!(linked > 20, "{linked}");

    world.bring_back();
    let before = published(&world);
    world.kill_at_sync();
    world.apply(NOW).expect(0);
    let linked = unchanged(&before, &published(&world));
    assert!(linked > 20, "{linked}");
}

/// What a published inode is.
#[derive(PartialEq, Eq, Debug)]
struct Inode {
    path: String,
    /// Content, mode, owner, times, attributes.
    is: String,
    names: u64,
}

/// All inodes of the published snapshots but those of the snapshots' own folders, which are moved.
fn published(world: &World) -> BTreeMap<u64, Inode> {
    let mut found = BTreeMap::new();
    for snapshot in all_whole(&world.host()) {
        let top = world.host().join(snapshot);
        for entry in walkdir::WalkDir::new(&top).min_depth(1) {
            let entry = entry.unwrap();
            let is = entry.metadata().unwrap();
            let path = entry.path().display();
            let content = if is.is_file() {
                format!("{:?}", std::fs::read(entry.path()).unwrap())
            } else {
                String::new()
            };
            let attributes = crate::lab::run_tool(
                "getfattr",
                ["-hd".as_ref(), "-m-".as_ref(), entry.path().as_os_str()],
            );
            let attributes: Vec<&str> = attributes.lines().skip(1).collect();
            let (owner, times) = ((is.uid(), is.gid()), (is.mtime(), is.mtime_nsec()));
            let inode = Inode {
                path: path.to_string(),
                is: format!(
                    "{:o} {owner:?} {times:?} {attributes:?} {content}",
                    is.mode()
                ),
                names: is.nlink(),
            };
            found.insert(is.ino(), inode);
        }
    }
    found
}

/// Ends the test if an inode is not as it was; gives how many got another name.
#[track_caller]
fn unchanged(before: &BTreeMap<u64, Inode>, after: &BTreeMap<u64, Inode>) -> usize {
    let mut linked = 0;
    for (number, was) in before {
        let now = after
            .get(number)
            .unwrap_or_else(|| panic!("inode {number} is gone"));
        assert_eq!(was.is, now.is, "{}", was.path);
        if now.names != was.names {
            linked += 1;
        }
    }
    linked
}

/// Ends the test if anything below a published snapshot was changed by its path there; gives how
/// many names were linked from there.
#[track_caller]
fn not_below_tiers(world: &World) -> usize {
    let host = world.path("dst").join(HOST);
    let tiers = ["daily", "weekly", "monthly"].map(|tier| {
        // A descriptor of a snapshot's folder, or of something in it.
        format!("{}/2025-", host.join(tier).display())
    });
    let mut linked_from = 0;
    for line in world.trace().lines() {
        let Some((call, arguments)) = line.split_once('(') else {
            continue;
        };
        let Some(at) = tiers.iter().filter_map(|tier| arguments.find(tier)).min() else {
            continue;
        };
        let reads = !["O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC", "O_APPEND"]
            .iter()
            .any(|flag| arguments.contains(flag));
        let allowed = match call.rsplit(' ').next().unwrap() {
            "open" | "openat" | "openat2" => reads,
            // From a published snapshot into a new one: the second folder is what changes.
            "linkat" => {
                linked_from += 1;
                let partial = format!("{}/.backup/partial/", host.display());
                arguments[at..].contains(&partial)
            }
            _ => false,
        };
        assert!(allowed, "{line}");
    }
    linked_from
}

/// Ends the test if anything in the new tree was changed that is neither a folder nor made by
/// this very run: it might be a link to a published inode. Gives how many changes there were.
#[track_caller]
fn only_what_is_new(world: &World) -> usize {
    let partial = format!(
        "{}/.backup/partial/",
        world.path("dst").join(HOST).display()
    );
    let trace = world.trace();
    // Paths that were opened as folders or newly made, and names that were newly made.
    let mut ours: HashSet<String> = HashSet::new();
    let mut changes = 0;
    // A folder that an interrupted run left is made usable before it is opened.
    for line in trace.lines().filter(|line| line.contains("O_DIRECTORY")) {
        if let Some((_, path)) = line
            .rsplit_once(" = ")
            .and_then(|(_, fd)| fd.split_once('<'))
        {
            ours.insert(path.trim_end_matches('>').to_owned());
        }
    }
    for line in trace.lines() {
        let Some((call, arguments)) = line.split_once('(') else {
            continue;
        };
        if !arguments.contains(&partial) {
            continue;
        }
        // `3</path>, "name"` of a folder and a name in it, and `</path>` of what is open.
        let named = |text: &str| {
            let (folder, rest) = text.split_once('<')?.1.split_once(">, \"")?;
            Some(format!("{folder}/{}", rest.split_once('"')?.0))
        };
        let opened = |text: &str| Some(text.split_once('<')?.1.split_once('>')?.0.to_owned());
        let writes = ["O_WRONLY", "O_RDWR", "O_TRUNC", "O_APPEND"]
            .iter()
            .any(|flag| arguments.contains(flag));
        let target = match call.rsplit(' ').next().unwrap() {
            "openat" if arguments.contains("O_EXCL") || arguments.contains("O_DIRECTORY") => {
                let result = arguments.rsplit_once(" = ").and_then(|(_, fd)| opened(fd));
                ours.extend(result);
                continue;
            }
            "openat" => {
                assert!(!writes, "{line}");
                continue;
            }
            "mknodat" => {
                ours.extend(named(arguments));
                continue;
            }
            "symlinkat" => {
                let at = arguments.find("\", ").unwrap();
                ours.extend(named(&arguments[at + 3..]));
                continue;
            }
            // What changes folders only.
            "mkdirat" | "linkat" | "unlinkat" | "renameat" | "renameat2" => continue,
            "fchownat" | "fchmodat" | "fchmodat2" => named(arguments),
            "utimensat" if !arguments.contains("NULL") => named(arguments),
            _ => opened(arguments),
        };
        changes += 1;
        let target = target.unwrap_or_else(|| panic!("{line}"));
        assert!(ours.contains(&target), "{target}: {line}");
    }
    changes
}
