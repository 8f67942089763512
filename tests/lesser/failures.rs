//! A destination that fails: told with what to do, nothing is published, and the next run goes on.

use std::fs;

use serde_json::json;
use test_support::{entry_names, id_of};

use crate::{
    fuse::{Errno, Lacks},
    nas::{FIRST, Nas, SECOND, THIRD, skipped},
};

/// Names of the snapshots in all tiers.
fn published(nas: &Nas) -> Vec<String> {
    let tiers = ["daily", "weekly", "monthly"].map(|tier| nas.world.host().join(tier));
    let there = tiers.iter().filter(|tier| tier.exists());
    there.flat_map(|tier| entry_names(tier)).collect()
}

fn change(nas: &Nas) {
    for number in 0..8 {
        let text = format!("changed {number}").repeat(1000);
        fs::write(nas.source(&format!("small/{number}")), text).unwrap();
    }
}

#[test]
fn a_destination_that_fails_after_some_changes_is_told_and_the_next_run_completes() {
    if skipped("a_destination_that_fails_after_some_changes_is_told_and_the_next_run_completes") {
        return;
    }
    for (error, said) in [
        (Errno::ENOSPC, "insufficient space"),
        (Errno::EDQUOT, "quota"),
        (Errno::EIO, "input/output error"),
        (Errno::ESTALE, "stale"),
        (Errno::EROFS, "read-only"),
    ] {
        for changes in [5, 60, 150] {
            let nas = Nas::full(Lacks::default(), &json!({}));
            nas.apply(FIRST, 0);
            change(&nas);
            let before = published(&nas);
            nas.faults().fail_after(changes, error);
            let done = nas.apply(SECOND, 1).says("hint");
            assert!(
                done.all().to_lowercase().contains(said),
                "{error:?}: {}",
                done.all()
            );
            assert!(!done.all().contains("panicked"), "{}", done.all());
            assert_eq!(published(&nas), before, "{error:?} after {changes}");
            nas.faults().heal();
            nas.apply(THIRD, 0);
            let newest = entry_names(&nas.world.host().join(".backup/snapshots"));
            let newest = newest.last().unwrap();
            assert!(*newest > id_of(FIRST));
            // A run of the same day is continued, another day's is planned anew.
            nas.restores_all(if *newest == id_of(SECOND) {
                SECOND
            } else {
                THIRD
            });
            nas.tidy();
        }
    }
}

#[test]
fn a_sync_that_fails_publishes_nothing() {
    if skipped("a_sync_that_fails_publishes_nothing") {
        return;
    }
    let nas = Nas::full(Lacks::default(), &json!({}));
    nas.apply(FIRST, 0);
    change(&nas);
    let before = published(&nas);
    nas.faults().fail_syncing(Errno::EIO);
    nas.apply(SECOND, 1).says("hint");
    assert_eq!(published(&nas), before);
    nas.faults().heal();
    nas.apply(THIRD, 0);
    nas.restores_all(THIRD);
    nas.tidy();
}

#[test]
fn what_a_server_loses_when_it_is_to_store_it_is_in_no_snapshot_and_copied_again() {
    if skipped("what_a_server_loses_when_it_is_to_store_it_is_in_no_snapshot_and_copied_again") {
        return;
    }
    // As a share does that takes what is written and finds its disk full later.
    for (error, said) in [
        (Errno::ENOSPC, "insufficient space"),
        (Errno::EIO, "input/output error"),
    ] {
        for files in [0, 7] {
            let nas = Nas::full(Lacks::default(), &json!({}));
            nas.apply(FIRST, 0);
            change(&nas);
            let before = published(&nas);
            nas.faults().lose_content_after(files, error);
            let done = nas.apply(SECOND, 1).says("hint");
            assert!(done.all().to_lowercase().contains(said), "{}", done.all());
            assert!(!nas.faults().heal(), "nothing was lost: {}", done.all());
            assert_eq!(published(&nas), before, "{error:?} after {files}");
            nas.apply(THIRD, 0);
            nas.verify(THIRD, 0);
            nas.restores_all(THIRD);
            nas.tidy();
        }
    }
}

#[test]
fn each_copy_is_on_disk_where_one_sync_for_all_reaches_nobody() {
    if skipped("each_copy_is_on_disk_where_one_sync_for_all_reaches_nobody") {
        return;
    }
    // The kernel passes syncfs on to no FUSE file system.
    let nas = Nas::full(Lacks::default(), &json!({}));
    nas.apply(FIRST, 0);
    let unsynced: Vec<_> = nas.faults().unsynced();
    let of_snapshot = unsynced.iter().filter(|path| {
        let path = path.to_str().unwrap();
        path.contains("/partial/") || path.contains("/daily/") || path.ends_with(".zst")
    });
    assert_eq!(
        of_snapshot.collect::<Vec<_>>(),
        Vec::<&std::path::PathBuf>::new()
    );
}

#[test]
fn a_probe_that_fails_on_the_way_leaves_nothing_and_learns_nothing_wrong() {
    if skipped("a_probe_that_fails_on_the_way_leaves_nothing_and_learns_nothing_wrong") {
        return;
    }
    let mut failed = 0;
    for changes in 0..60 {
        let nas = Nas::empty(Lacks::default(), &json!({}));
        fs::write(nas.source("file"), "content").unwrap();
        nas.faults().fail_once_after(changes, Errno::EIO);
        let done = nas.world.apply(FIRST);
        if nas.faults().heal() {
            break;
        }
        // Either it ends with a word, or it was tried again and goes on.
        assert!(
            matches!(done.code, 0 | 1 | 3),
            "after {changes}: {}",
            done.all()
        );
        failed += 1;
        nas.apply(SECOND, 0);
        let can = nas.destination().capabilities;
        assert_eq!(can, schema::record::Capabilities::all(), "after {changes}");
        nas.tidy();
    }
    assert!(failed > 30, "only {failed} changes of a probe failed");
}
