//! Law 5: no inode of a published snapshot is ever written to.

use std::collections::HashSet;

use crate::{
    kills::reference,
    lab::{HOST, NOW, World, skipped},
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
    if skipped(name, &["rsync", "setfattr", "strace"], false) {
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
    let kill = [
        "-e",
        "trace=syncfs",
        "-e",
        "inject=syncfs:signal=SIGKILL:when=1",
    ];
    assert_eq!(world.traced(NOW, &kill).signal, Some(9));
    world.traced(NOW, &["-y", "-e", CHANGING]).expect(0);
    not_below_tiers(world);
    only_what_is_new(world);
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
