//! What is missing together in the wild: SMB shares, root-squashed NFS exports, exFAT drives.

use std::fs;

use serde_json::json;
use test_support::{entry_names, id_of};

use crate::{
    fuse::Lacks,
    nas::{FIRST, Nas, SECOND, THIRD, same_inode, skipped, without_odd_names},
};

/// Two runs with nothing changed and one with a change; all of it comes back.
fn goes_on_linking(nas: &mut Nas) {
    nas.apply(FIRST, 0);
    nas.restores_all(FIRST);
    nas.mount_again();
    nas.apply(SECOND, 0);
    nas.all_linked(SECOND);
    let (old, new) = (nas.stored(FIRST, "small/5"), nas.stored(SECOND, "small/5"));
    assert!(same_inode(&old, &new));
    fs::write(nas.source("small/5"), "changed").unwrap();
    nas.apply(THIRD, 0);
    let totals = nas.record(THIRD).totals;
    assert_eq!(totals.files_copied, 1, "{totals:?}");
    assert!(!same_inode(&old, &nas.stored(THIRD, "small/5")));
    assert!(same_inode(
        &nas.stored(FIRST, "small/6"),
        &nas.stored(THIRD, "small/6")
    ));
    nas.restores_all(THIRD);
    nas.tidy();
}

#[test]
fn what_lacks_nothing_is_a_plain_destination() {
    if skipped("what_lacks_nothing_is_a_plain_destination") {
        return;
    }
    let mut nas = Nas::full(Lacks::default(), &json!({}));
    goes_on_linking(&mut nas);
    let can = nas.destination().capabilities;
    assert_eq!(can, schema::record::Capabilities::all());
}

#[test]
fn an_smb_share_links_and_gives_everything_back() {
    if skipped("an_smb_share_links_and_gives_everything_back") {
        return;
    }
    let mut nas = Nas::full(Lacks::smb(), &json!({}));
    without_odd_names(&nas);
    goes_on_linking(&mut nas);
    let can = nas.destination().capabilities;
    assert!(can.hard_links && !can.symlinks && !can.modes && !can.owners);
    assert!(!can.case_sensitive && !can.xattrs && !can.fifos && can.times);
    assert_eq!(
        (can.time_step_ns, can.names.refused.as_str()),
        (100, "\"*:<>?\\|")
    );
    assert!(can.names.no_control && can.names.only_utf8);
    // Neither `latest` nor links between tiers can be there; ids do their work.
    assert!(!entry_names(&nas.world.host()).contains(&"latest".to_owned()));
    let source = nas.source("links/one");
    let target = nas.world.path("one");
    let [from, to] = [&source, &target].map(|path| path.to_str().unwrap());
    nas.world.run(&["restore", "latest", from, to]).expect(0);
    assert_eq!(fs::read_to_string(&target).unwrap(), "three names");
}

#[test]
fn a_root_squashed_export_links_and_gives_everything_back() {
    if skipped("a_root_squashed_export_links_and_gives_everything_back") {
        return;
    }
    let mut nas = Nas::full(Lacks::squashed_nfs(), &json!({}));
    goes_on_linking(&mut nas);
    // What root cannot do there is found out by trying it out, and not with each entry.
    let (tried, entries) = (nas.faults().take_owners(), nas.record(THIRD).totals.entries);
    assert!((1..=4).contains(&tried), "{tried} for {entries} entries");
    assert!(entries > 20);
    let can = nas.destination().capabilities;
    assert!(can.hard_links && can.symlinks && can.modes && can.fifos);
    assert!(!can.owners && !can.acls && !can.devices && can.tried_as_root);
    assert!(can.names.is_none() && can.case_sensitive);
    // Everybody's files lie there with their modes, as nobody's.
    nas.world.run(&["status"]).expect(0);
}

#[test]
fn an_exfat_drive_is_refused_unless_whole_copies_are_allowed() {
    if skipped("an_exfat_drive_is_refused_unless_whole_copies_are_allowed") {
        return;
    }
    let mut nas = Nas::full(Lacks::exfat(), &json!({}));
    without_odd_names(&nas);
    nas.apply(FIRST, 4).says("has no hard links").says("hint");
    assert_eq!(entry_names(&nas.world.path("dst")), Vec::<String>::new());

    nas.world.configure(&json!({ "allowFullCopies": true }));
    nas.apply(FIRST, 0);
    nas.restores_all(FIRST);
    nas.mount_again();
    let done = nas.apply(SECOND, 0);
    let done = done.all().contains("suspect");
    assert!(!done, "a whole copy is nothing to be suspicious of");
    let totals = nas.record(SECOND).totals;
    assert_eq!(
        (totals.files_linked, totals.files_copied),
        (0, totals.files)
    );
    let (one, other) = (
        nas.stored(SECOND, "links/one"),
        nas.stored(SECOND, "links/two"),
    );
    assert!(!same_inode(&one, &other));
    nas.restores_all(SECOND);
    let can = nas.destination().capabilities;
    assert!(!can.hard_links && can.time_step_ns == 10_000_000);
    nas.tidy();
    let plan = nas.plan(THIRD);
    for said in [
        "cannot hold symlinks, modes, owners, extended attributes, access control lists, fifos \
         and sockets, devices: the manifest does, and a restore puts them back",
        "has no hard links: each snapshot is a whole copy",
        "link nothing: the destination has no hard links",
        "cannot hold names with `\"`, `*`, `:`, `<`, `>`, `?`, `\\`, `|`, control characters,",
        "takes names that differ only in case for one",
    ] {
        assert!(plan.contains(said), "no `{said}` in {plan}");
    }
    assert!(!plan.contains(&format!("link {}", id_of(FIRST))));
}
