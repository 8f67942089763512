//! One thing missing at a time: it is found out, nothing is copied twice, and all comes back.

use std::{fs, os::unix::fs::MetadataExt as _};

use schema::record::Capabilities;
use serde_json::json;
use test_support::{entry_names, id_of};

use crate::{
    fuse::{How, Lacks},
    nas::{FIRST, Nas, SECOND, THIRD, different, same_inode, skipped},
};

const BOTH: [How; 2] = [How::Refused, How::Ignored];

/// Two runs on a destination that lacks something; gives what was found out.
#[track_caller]
fn lacking(lacks: Lacks) -> (Nas, Capabilities) {
    let mut nas = Nas::full(lacks, &json!({}));
    nas.apply(FIRST, 0);
    nas.mount_again();
    nas.apply(SECOND, 0);
    nas.all_linked(SECOND);
    nas.restores_all(SECOND);
    nas.tidy();
    let can = nas.destination().capabilities;
    (nas, can)
}

#[test]
fn modes_that_are_refused_or_ignored_come_back() {
    if skipped("modes_that_are_refused_or_ignored_come_back") {
        return;
    }
    for modes in BOTH {
        let (nas, can) = lacking(Lacks {
            modes,
            ..Lacks::default()
        });
        let expected = Capabilities {
            modes: false,
            ..Capabilities::all()
        };
        assert_eq!(can, expected, "{modes:?}");
        let stored = fs::metadata(nas.stored(SECOND, "modes/4755")).unwrap();
        assert_eq!(stored.mode() & 0o7777, 0o755);
        assert_eq!(nas.entry(SECOND, "modes/4755").unwrap().mode, 0o4755);
    }
}

#[test]
fn owners_that_are_refused_or_ignored_come_back() {
    if skipped("owners_that_are_refused_or_ignored_come_back") {
        return;
    }
    for owners in BOTH {
        let (nas, can) = lacking(Lacks {
            owners,
            ..Lacks::default()
        });
        let expected = Capabilities {
            owners: false,
            ..Capabilities::all()
        };
        assert_eq!(can, expected, "{owners:?}");
        assert_eq!(nas.entry(SECOND, "modes/777").unwrap().uid, 1234);
    }
}

#[test]
fn modes_and_owners_that_a_server_gives_what_is_made_are_put_right() {
    if skipped("modes_and_owners_that_a_server_gives_what_is_made_are_put_right") {
        return;
    }
    // As a share does that has a mask, or a user, for all that is made in it.
    for makes_as in [0, 4321] {
        let (nas, can) = lacking(Lacks {
            makes_as: Some(makes_as),
            ..Lacks::default()
        });
        assert_eq!(can, Capabilities::all());
        for now in [FIRST, SECOND] {
            nas.verify(now, 0);
            let stored = nas.stored(now, "");
            assert_eq!(different(&nas.world.source(), &stored), "", "{now}");
        }
    }
}

#[test]
fn attributes_and_access_lists_that_are_refused_or_dropped_come_back() {
    if skipped("attributes_and_access_lists_that_are_refused_or_dropped_come_back") {
        return;
    }
    for how in BOTH {
        let (nas, can) = lacking(Lacks {
            xattrs: how,
            ..Lacks::default()
        });
        assert!(!can.xattrs && can.acls, "{how:?}: {can:?}");
        let kept = nas.entry(SECOND, "special/ping").unwrap().xattrs_kept;
        assert_eq!(kept[0].0, b"security.capability", "{how:?}");
        let (nas, can) = lacking(Lacks {
            acls: how,
            ..Lacks::default()
        });
        assert!(can.xattrs && !can.acls, "{how:?}: {can:?}");
        for (path, name) in [
            ("special", &b"system.posix_acl_default"[..]),
            ("special/listed", b"system.posix_acl_access"),
        ] {
            let kept = nas.entry(SECOND, path).unwrap().xattrs_kept;
            assert!(kept.iter().any(|one| one.0 == name), "{how:?} {path}");
        }
    }
}

#[test]
fn symlinks_that_cannot_be_there_come_back_and_tiers_have_no_links() {
    if skipped("symlinks_that_cannot_be_there_come_back_and_tiers_have_no_links") {
        return;
    }
    let (nas, can) = lacking(Lacks {
        symlinks: true,
        ..Lacks::default()
    });
    assert!(!can.symlinks && can.fifos);
    assert!(nas.entry(SECOND, "links/dangling").unwrap().absent);
    for link in ["latest", "by-time"] {
        assert!(!entry_names(&nas.world.host()).contains(&link.to_owned()));
    }
    assert_eq!(
        entry_names(&nas.world.host().join("daily")),
        [id_of(SECOND)]
    );
    nas.apply(THIRD, 0)
        .says("has no symlinks, so `latest` and the links between tiers are left out");
}

#[test]
fn what_symlinks_point_to_is_not_changed_where_the_destination_follows_them() {
    if skipped("what_symlinks_point_to_is_not_changed_where_the_destination_follows_them") {
        return;
    }
    // As sshfs does: the owner and time of a symlink become those of a file of the server.
    let (nas, can) = lacking(Lacks {
        symlink_metadata: true,
        ..Lacks::default()
    });
    let expected = Capabilities {
        symlink_metadata: false,
        ..Capabilities::all()
    };
    assert_eq!(can, expected);
    assert!(
        nas.plan("2025-02-09T02:00:00+00:00")
            .contains("owners and times of symlinks")
    );
    assert!(nas.stored(SECOND, "links/dangling").is_symlink());
}

#[test]
fn special_files_that_are_refused_or_become_plain_ones_come_back() {
    if skipped("special_files_that_are_refused_or_become_plain_ones_come_back") {
        return;
    }
    for how in BOTH {
        let (nas, can) = lacking(Lacks {
            fifos: how,
            devices: how,
            ..Lacks::default()
        });
        assert!(!can.fifos && !can.devices && can.symlinks, "{how:?}");
        for name in ["fifo", "s", "null", "disk"] {
            let name = format!("special/{name}");
            assert!(nas.entry(SECOND, &name).unwrap().absent, "{how:?} {name}");
            let stored = fs::symlink_metadata(nas.stored(SECOND, &name));
            assert!(stored.is_err(), "{how:?} {name}");
        }
    }
}

#[test]
fn links_that_are_refused_or_become_copies_are_found_out_and_refused() {
    if skipped("links_that_are_refused_or_become_copies_are_found_out_and_refused") {
        return;
    }
    for hard_links in BOTH {
        let lacks = Lacks {
            hard_links,
            ..Lacks::default()
        };
        let mut nas = Nas::full(lacks, &json!({}));
        nas.apply(FIRST, 4).says("has no hard links").says("hint");
        assert_eq!(entry_names(&nas.world.path("dst")), Vec::<String>::new());
        nas.world.configure(&json!({ "allowFullCopies": true }));
        for now in [FIRST, SECOND] {
            nas.apply(now, 0);
            nas.restores_all(now);
            assert_eq!(nas.record(now).totals.files_linked, 0);
        }
        let expected = Capabilities {
            hard_links: false,
            ..Capabilities::all()
        };
        assert_eq!(nas.destination().capabilities, expected, "{hard_links:?}");
        nas.tidy();
    }
}

#[test]
fn links_whose_names_look_like_files_of_their_own_are_links_all_the_same() {
    if skipped("links_whose_names_look_like_files_of_their_own_are_links_all_the_same") {
        return;
    }
    // As sshfs shows them.
    let (nas, can) = lacking(Lacks {
        apart: true,
        ..Lacks::default()
    });
    assert_eq!(can, Capabilities::all());
    let below = |now| {
        let stored = nas.stored(now, "small/5");
        let relative = stored.strip_prefix(nas.world.path("dst")).unwrap();
        nas.world.path("below").join(relative)
    };
    assert!(same_inode(&below(FIRST), &below(SECOND)));
    assert!(!same_inode(
        &nas.stored(FIRST, "small/5"),
        &nas.stored(SECOND, "small/5")
    ));
}

#[test]
fn coarse_times_still_link_and_come_back_exactly() {
    if skipped("coarse_times_still_link_and_come_back_exactly") {
        return;
    }
    for time_step in [100, 10_000_000, 1_000_000_000, 2_000_000_000] {
        let (_nas, can) = lacking(Lacks {
            time_step,
            ..Lacks::default()
        });
        let expected = Capabilities {
            time_step_ns: u32::try_from(time_step).unwrap(),
            ..Capabilities::all()
        };
        assert_eq!(can, expected);
    }
}

#[test]
fn times_that_are_refused_or_ignored_still_link_and_come_back() {
    if skipped("times_that_are_refused_or_ignored_still_link_and_come_back") {
        return;
    }
    for times in BOTH {
        let (_nas, can) = lacking(Lacks {
            times,
            ..Lacks::default()
        });
        assert!(!can.times, "{times:?}");
    }
}

#[test]
fn times_that_are_coarser_after_the_next_mount_still_link() {
    if skipped("times_that_are_coarser_after_the_next_mount_still_link") {
        return;
    }
    let mut nas = Nas::full(Lacks::default(), &json!({}));
    nas.apply(FIRST, 0);
    assert_eq!(nas.destination().capabilities.time_step_ns, 1);
    nas.mount_with(Lacks {
        time_step: 1_000_000_000,
        ..Lacks::default()
    });
    nas.apply(SECOND, 0);
    nas.all_linked(SECOND);
    nas.restores_all(SECOND);
}

#[test]
fn renames_without_flags_and_uncounted_inodes_are_no_obstacle() {
    if skipped("renames_without_flags_and_uncounted_inodes_are_no_obstacle") {
        return;
    }
    let (nas, can) = lacking(Lacks {
        rename_flags: true,
        inode_count: true,
        ..Lacks::default()
    });
    assert_eq!(can, Capabilities::all());
    // Publishing looks before it renames: a name that is taken is not written over.
    let taken = nas
        .world
        .host()
        .join("daily")
        .join(id_of("2025-02-09T02:00:00+00:00"));
    fs::create_dir(&taken).unwrap();
    fs::write(taken.join("mine"), "not yours").unwrap();
    nas.apply("2025-02-09T02:00:00+00:00", 0);
    assert_eq!(fs::read_to_string(taken.join("mine")).unwrap(), "not yours");
}
