//! Law 5: no inode of a published snapshot is ever written to.

use crate::{
    kills::reference,
    lab::{HOST, NOW, skipped},
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
    let trace = world.trace();
    let host = world.path("dst").join(HOST);
    let tiers = ["daily", "weekly", "monthly"].map(|tier| {
        // A descriptor of a snapshot's folder, or of something in it.
        format!("{}/2025-", host.join(tier).display())
    });
    let (mut below, mut linked_from) = (0, 0);
    for line in trace.lines() {
        let Some((call, arguments)) = line.split_once('(') else {
            continue;
        };
        let call = call.rsplit(' ').next().unwrap();
        let Some(at) = tiers.iter().filter_map(|tier| arguments.find(tier)).min() else {
            continue;
        };
        below += 1;
        let reads = !["O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC", "O_APPEND"]
            .iter()
            .any(|flag| arguments.contains(flag));
        let allowed = match call {
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
    assert!(below > 100 && linked_from > 50, "{below} {linked_from}");
}
