//! Plans for named remotes that are mirrors: which snapshot they get, and that none sets them back.

use planner::mirrors_live;
use schema::{
    Plan, SnapshotId,
    cloud::UploadRecord,
    config::DestinationName,
    plan::{Action, CloudSyncStep},
};
use serde_json::json;

use super::{
    uploads::{away, name, planned, with_sources},
    world::{World, id},
};

/// `local` with two snapshots, a disk with one that is older, and a mirror.
fn world() -> World {
    World::nightly("2025-01-14", 2)
        .add_disk("usb", json!({}), World::nightly("2025-01-14", 1))
        .add_remote("b2", json!({ "layout": "mirror" }), &[])
}

/// The mirror has this as its newest.
fn has(world: World, newest: &str) -> World {
    let newest: SnapshotId = id(newest);
    let record = json!({
        "format_version": 1, "id": newest, "attempt": 1, "uploaded_at": "2025-01-15T03:00:00+01:00",
        "files": 10, "bytes": 100, "manifest_digest": "0".repeat(64), "made_by": "backup",
        "not_uploaded": [],
    });
    let record: UploadRecord = serde_json::from_value(record).unwrap();
    world.other("b2", |b2| {
        let memory = &mut b2.cloud.as_mut().unwrap().memory;
        memory.uploaded = vec![newest];
        memory.last = Some(record);
    })
}

#[track_caller]
fn sync_of(plan: &Plan) -> &CloudSyncStep {
    let mut syncs = plan.steps.iter().filter_map(|step| match &step.action {
        Action::CloudSync(sync) => Some(sync),
        _ => None,
    });
    syncs.next().unwrap()
}

fn feeds(plan: &Plan) -> Vec<(&str, Option<String>, Option<String>)> {
    let all = sync_of(plan).from.iter();
    all.map(|feed| {
        let text = |id: Option<SnapshotId>| id.map(|id| id.to_string());
        (feed.of.as_str(), text(feed.snapshot), text(feed.last))
    })
    .collect()
}

fn goes_live(world: &World, wanted: &[&str]) -> bool {
    let wanted = wanted.iter().map(|name| DestinationName::new(name));
    let wanted = planner::Wanted::only(wanted.collect());
    let memory = world.inventory.others[&name("b2")].cloud.as_ref().unwrap();
    let mirror = (&memory.memory, &wanted);
    mirrors_live(&world.config(), &world.inventory, &name("b2"), mirror)
}

#[test]
fn a_mirror_gets_what_disks_make_after_them_and_needs_none_of_them() {
    let plan = planned(&world());
    let step = plan.steps.last().unwrap();
    assert_eq!(step.id, "cloud-sync:b2");
    assert!(step.needs.is_empty());
    assert_eq!(
        step.after,
        ["snapshot", "rotate", "snapshot:usb", "rotate:usb"]
    );
    let sync = sync_of(&plan);
    assert_eq!(sync.snapshot, id("2025-01-16_02-00-00"));
    assert!(sync.destination.is_none() && sync.live.is_none() && sync.give_back.is_empty());
    assert_eq!(sync.limits.max_delete.unwrap().to_string(), "5%");
    let files = world().inventory.sources[0].scan.files;
    assert_eq!(sync.expected.upload_files, files);
    assert_eq!(feeds(&plan)[0].0, "local");
    let agreed = planned(&world().set("destinations.b2.maxDelete", json!("100")));
    assert_eq!(
        sync_of(&agreed).limits.max_delete.unwrap().to_string(),
        "100"
    );
}

#[test]
fn the_disk_with_the_newest_snapshot_is_asked_first_and_one_that_is_older_gives_only_what_is_new() {
    // Alone it gets what there is: the newest of all.
    let alone = |world: World| world.choose(&["b2"], true);
    let newer = |world: World| {
        let newer = World::nightly("2025-01-14", 2).inventory.destination;
        let mut older = World::nightly("2025-01-14", 1)
            .inventory
            .destination
            .unwrap();
        older
            .snapshots
            .retain(|one| one.record.id == id("2025-01-14_02-00-00"));
        world
            .other("usb", |usb| {
                usb.destination.as_mut().unwrap().snapshots = newer.unwrap().snapshots;
            })
            .destination(|found| found.snapshots = older.snapshots)
    };
    let plan = planned(&alone(newer(world())));
    assert_eq!(feeds(&plan)[0].0, "usb");
    assert_eq!(sync_of(&plan).snapshot, id("2025-01-15_02-00-00"));
    // What the mirror has already it may get again, and nothing that is older.
    let plan = planned(&alone(has(world(), "2025-01-15_02-00-00")));
    let local = ("local", None, Some("2025-01-15_02-00-00".to_owned()));
    assert_eq!(feeds(&plan), [local]);
    let plan = planned(&has(world(), "2025-01-15_02-00-00"));
    let new = Some("2025-01-16_02-00-00".to_owned());
    assert_eq!(feeds(&plan)[1], ("usb", new, None));
}

#[test]
fn where_only_an_older_disk_is_there_the_sources_are_mirrored() {
    let only_usb = || with_sources(away(has(world(), "2025-01-15_02-00-00"), "local"));
    let alone = only_usb().choose(&["b2"], true);
    assert!(goes_live(&alone, &["b2"]));
    let plan = planned(&alone);
    assert!(sync_of(&plan).live.is_some() && sync_of(&plan).from.is_empty());
    // In a run that makes a snapshot there it comes from there.
    assert!(!goes_live(&only_usb(), &[]));
    let plan = planned(&only_usb());
    let new = Some("2025-01-16_02-00-00".to_owned());
    assert_eq!(feeds(&plan), [("usb", new, None)]);
    // A copy of the future, which a clock made that was ahead, holds nothing up.
    let ahead = has(world(), "2031-01-01_02-00-00").choose(&["b2"], true);
    assert!(!goes_live(&ahead, &["b2"]));
    assert_eq!(feeds(&planned(&ahead))[0].0, "local");
    // A snapshot of the same run that stands there under the next name is no newer one.
    let twin = has(world(), "2025-01-15_02-00-01").other("b2", |b2| {
        let memory = &mut b2.cloud.as_mut().unwrap().memory;
        memory.uploaded.insert(0, id("2025-01-15_02-00-00"));
    });
    assert_eq!(feeds(&planned(&twin.choose(&["b2"], true))).len(), 1);
}

#[test]
fn what_a_person_accepted_on_a_disk_lifts_the_guards_and_what_is_suspect_holds_history() {
    let last = "2025-01-14_02-00-00";
    assert!(sync_of(&planned(&has(world(), last))).limits.guard);
    let accepted = |at: &str| {
        let world = has(world(), last).snapshot(at, |one| one.marks.accepted = true);
        sync_of(&planned(&world)).limits.guard
    };
    assert!(!accepted("2025-01-15_02-00-00"));
    assert!(accepted(last));
    let old = || {
        has(world(), last)
            .set("destinations.b2.keepHistoryDays", json!(0))
            .other("b2", |b2| {
                let memory = &mut b2.cloud.as_mut().unwrap().memory;
                let folder = json!({ "id": last, "since": "2025-01-01T02:00:00+01:00" });
                memory.history = vec![serde_json::from_value(folder).unwrap()];
                memory.runs = ["2025-01-14T02:00:00+01:00", "2025-01-15T02:00:00+01:00"]
                    .map(|at| at.parse().unwrap())
                    .to_vec();
            })
    };
    assert_eq!(sync_of(&planned(&old())).expire, [id(last)]);
    let suspect = old().snapshot("2025-01-15_02-00-00", |one| {
        one.record.suspect = vec!["half of it is gone".to_owned()];
    });
    assert!(sync_of(&planned(&suspect)).expire.is_empty());
}
