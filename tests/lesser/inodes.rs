//! Inode numbers that do not last: nothing is taken for what only has the same number.

use std::fs;

use serde_json::json;
use test_support::{entry_names, id_of};

use crate::{
    fuse::{Errno, Lacks},
    nas::{FIRST, Nas, SECOND, THIRD, same_inode, skipped},
};

fn renumbering() -> Lacks {
    Lacks {
        lasting_inodes: true,
        ..Lacks::default()
    }
}

#[test]
fn numbers_that_change_with_each_mount_do_not_keep_files_from_being_linked() {
    if skipped("numbers_that_change_with_each_mount_do_not_keep_files_from_being_linked") {
        return;
    }
    let mut nas = Nas::full(renumbering(), &json!({}));
    nas.apply(FIRST, 0);
    for now in [SECOND, THIRD] {
        nas.mount_again();
        nas.apply(now, 0);
        nas.all_linked(now);
        nas.restores_all(now);
    }
    assert!(same_inode(
        &nas.stored(SECOND, "small/6"),
        &nas.stored(THIRD, "small/6")
    ));
    nas.tidy();
}

#[test]
fn a_run_that_continues_after_another_mount_trusts_no_number() {
    if skipped("a_run_that_continues_after_another_mount_trusts_no_number") {
        return;
    }
    let mut interrupted = 0;
    for changes in (100..600).step_by(40) {
        let mut nas = Nas::full(renumbering(), &json!({}));
        nas.faults().fail_after(changes, Errno::EIO);
        let failed = nas.world.apply(FIRST).code != 0;
        nas.faults().heal();
        interrupted += u32::from(failed);
        // Other files have the numbers that were recorded.
        for number in [3, 4, 5] {
            let path = nas.source(&format!("small/{number}"));
            let text = vec![b'n'; usize::try_from(fs::metadata(&path).unwrap().len()).unwrap()];
            fs::write(&path, text).unwrap();
        }
        nas.mount_again();
        nas.apply(SECOND, 0);
        let newest = entry_names(&nas.world.host().join(".backup/snapshots"));
        let now = if newest.contains(&id_of(SECOND)) {
            SECOND
        } else {
            FIRST
        };
        nas.restores_all(now);
        nas.tidy();
        if !failed {
            break;
        }
    }
    assert!(interrupted > 5, "only {interrupted} runs were interrupted");
}
