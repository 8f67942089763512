//! Plans for remotes with history: which snapshot they get, and that nothing holds them or the disks up.

use planner::{
    accord::Present, feeds_of, findings::code, lint, needs_sources, refuse_unlawful,
    sources_of_feeds, staleness,
};
use schema::{
    Plan,
    config::DestinationName,
    plan::{Action, SavedPlan, UploadStep},
};
use serde_json::json;

use super::{find_difference, holds_of_every_plan, world::World};

const NIGHT: &str = "2025-01-16T02:00:00+01:00";

pub(crate) fn name(text: &str) -> DestinationName {
    DestinationName::new(text)
}

/// `local` with two snapshots, a disk with one, and a remote.
fn world() -> World {
    World::nightly("2025-01-14", 2)
        .add_disk("usb", json!({}), World::nightly("2025-01-15", 1))
        .add_remote("b2", json!({}), &[])
}

pub(crate) fn with_sources(world: World) -> World {
    world.other("b2", |b2| b2.sources = World::new(NIGHT).inventory.sources)
}

pub(crate) fn away(world: World, disk: &str) -> World {
    match disk {
        "local" => world.destination(|found| found.mounted = false),
        disk => world.other(disk, |found| {
            found.destination.as_mut().unwrap().mounted = false;
        }),
    }
}

/// The plan, after all that must hold of it.
#[track_caller]
pub(crate) fn planned(world: &World) -> Plan {
    let plan = world.plan();
    holds_of_every_plan(&plan, &world.inventory);
    let (config, inventory) = (world.config(), &world.inventory);
    let present = Present {
        config: &config,
        host: &inventory.host,
        machine: inventory.machine,
        privileged: inventory.privileged,
    };
    assert_eq!(find_difference(&plan, &present, true), None);
    assert_eq!(refuse_unlawful(plan.clone(), inventory), plan);
    let saved = SavedPlan {
        config: config.clone(),
        plan: plan.clone(),
    };
    assert_eq!(staleness(&saved, &config, inventory), []);
    plan
}

#[track_caller]
fn upload_of(plan: &Plan) -> &UploadStep {
    let steps = plan.steps.iter();
    let mut uploads = steps.filter_map(|step| match &step.action {
        Action::Upload(upload) => Some(upload),
        _ => None,
    });
    uploads.next().unwrap()
}

fn feeds(plan: &Plan) -> Vec<(&str, Option<String>, Option<String>)> {
    let all = upload_of(plan).from.iter();
    all.map(|feed| {
        let text = |id: Option<schema::SnapshotId>| id.map(|id| id.to_string());
        (feed.of.as_str(), text(feed.snapshot), text(feed.last))
    })
    .collect()
}

fn codes(plan: &Plan) -> Vec<&str> {
    let findings = plan.chains[&name("b2")].findings.iter();
    findings.map(|finding| finding.code.as_str()).collect()
}

#[test]
fn a_remote_gets_what_disks_with_the_same_sources_make_and_needs_none_of_them() {
    let plan = planned(&world());
    let new = Some("2025-01-16_02-00-00".to_owned());
    let last = Some("2025-01-15_02-00-00".to_owned());
    assert_eq!(
        feeds(&plan),
        [("local", new.clone(), last.clone()), ("usb", new, last)]
    );
    let step = plan
        .steps
        .iter()
        .find(|step| step.id == "upload:b2")
        .unwrap();
    assert!(step.needs.is_empty());
    assert_eq!(
        step.after,
        ["snapshot", "rotate", "snapshot:usb", "rotate:usb"]
    );
    assert_eq!(plan.steps.last().unwrap().id, "upload:b2");
    assert!(upload_of(&plan).live.is_none() && upload_of(&plan).may_delete);
    assert!(
        upload_of(&plan)
            .from
            .iter()
            .all(|feed| feed.destination.read_only)
    );
    assert_eq!(upload_of(&plan).call.remote, "b2:Backups/atlas");
    assert_eq!(plan.chains[&name("b2")].totals.deletions, 0);
    // Neither by other sources nor by other excludes.
    let other = world().set("destinations.usb.excludePatterns", json!(["*.iso"]));
    assert_eq!(feeds(&planned(&other)).len(), 1);
    assert_eq!(feeds_of(&other.config(), &name("b2")), [name("local")]);
}

#[test]
fn a_disk_that_is_away_or_suspect_is_passed_over() {
    let plan = planned(&away(world(), "local"));
    assert_eq!(feeds(&plan).len(), 1);
    assert_eq!(feeds(&plan)[0].0, "usb");
    let suspect = world().snapshot("2025-01-15_02-00-00", |one| {
        one.record.suspect = vec!["half of it is gone".to_owned()];
    });
    assert_eq!(
        feeds(&planned(&suspect))[0].2.as_deref(),
        Some("2025-01-14_02-00-00")
    );
    // One that is full makes no snapshot, and has one.
    let full = world().destination(|found| found.free_bytes = 0);
    let plan = planned(&full);
    let last = Some("2025-01-15_02-00-00".to_owned());
    assert_eq!(feeds(&plan)[0], ("local", None, last));
    // Another's disk gives nothing.
    let wrong = world().destination(|found| {
        found.record.as_mut().unwrap().id = "another".to_owned();
    });
    assert_eq!(feeds(&planned(&wrong))[0].0, "usb");
}

#[test]
fn the_sources_are_uploaded_where_no_disk_with_them_is_there() {
    let none = with_sources(away(away(world(), "local"), "usb"));
    let plan = planned(&none);
    let upload = upload_of(&plan);
    assert!(upload.from.is_empty());
    assert_eq!(upload.live.as_ref().unwrap().sources.len(), 1);
    assert_eq!(codes(&plan), [code::UPLOAD_FROM_SOURCES]);
    // Another's disk is as good as none, and says so.
    let wrong = with_sources(away(world(), "usb")).destination(|found| {
        found.record.as_mut().unwrap().id = "another".to_owned();
    });
    let plan = planned(&wrong);
    assert!(upload_of(&plan).from.is_empty() && upload_of(&plan).live.is_some());
    let finding = &plan.chains[&name("b2")].findings[0];
    assert_eq!(finding.code, code::UPLOAD_FROM_SOURCES);
    let said = "local, usb cannot give a snapshot";
    assert!(finding.message.starts_with(said), "{}", finding.message);
    // Its own sources no disk has.
    let own = with_sources(world()).set("destinations.b2.sources", json!(["/home"]));
    let own = own.set("destinations.b2.excludePatterns", json!(["*.iso"]));
    let plan = planned(&own);
    assert_eq!(
        upload_of(&plan).live.as_ref().unwrap().exclude_patterns,
        ["*.iso"]
    );
    assert!(codes(&plan).is_empty());
    // A name that is taken there is not taken again.
    let taken = with_sources(away(away(world(), "local"), "usb")).other("b2", |b2| {
        let memory = &mut b2.cloud.as_mut().unwrap().memory;
        memory.uploaded = vec!["2025-01-16_02-00-00".parse().unwrap()];
    });
    assert_eq!(
        upload_of(&planned(&taken)).snapshot.to_string(),
        "2025-01-16_02-00-01"
    );
}

#[test]
fn a_script_before_comes_before_it_and_what_it_may_mount_is_waited_for() {
    let script = json!("/run/before");
    let plan = planned(&world().set("preBackupScript", script.clone()));
    let step = plan
        .steps
        .iter()
        .find(|step| step.id == "upload:b2")
        .unwrap();
    assert_eq!(step.needs, ["pre-script"]);
    let waits = away(away(world(), "local"), "usb").set("preBackupScript", script);
    let plan = waits.plan();
    assert!(plan.is_made_in_two());
    assert!(codes(&plan).is_empty(), "{:?}", codes(&plan));
    assert!(plan.steps.iter().all(|step| step.id != "upload:b2"));
}

#[test]
fn a_remote_alone_gets_the_newest_there_is_and_says_where_there_is_none() {
    let alone = world().choose(&["b2"], true);
    let plan = planned(&alone);
    let ids: Vec<&str> = plan.steps.iter().map(|step| step.id.as_str()).collect();
    assert_eq!(ids, ["upload:b2"]);
    let last = Some("2025-01-15_02-00-00".to_owned());
    assert_eq!(feeds(&plan)[0], ("local", None, last));
    // Where there is none: the sources.
    let empty = World::new(NIGHT).add_remote("b2", json!({}), &[]);
    let plan = planned(&with_sources(empty).choose(&["b2"], true));
    assert_eq!(codes(&plan), [code::UPLOAD_FROM_SOURCES]);
    assert!(upload_of(&plan).live.is_some());
}

#[test]
fn a_disk_that_makes_no_new_snapshot_does_not_keep_the_sources_from_going_up() {
    // Under another name than that of the snapshots that the disks may still make.
    let plan = planned(&with_sources(world()));
    let upload = upload_of(&plan);
    assert_eq!((upload.from.len(), upload.live.is_some()), (2, true));
    assert_eq!(upload.snapshot.to_string(), "2025-01-16_02-00-01");
    let step = plan.steps.iter().find(|step| step.id == "upload:b2");
    assert!(step.unwrap().needs.is_empty());
    assert!(codes(&plan).is_empty());
    // What looks damaged on a disk is looked at by a person first.
    let suspect = with_sources(world()).snapshot("2025-01-15_02-00-00", |one| {
        one.record.suspect = vec!["half of it is gone".to_owned()];
    });
    assert!(upload_of(&planned(&suspect)).live.is_none());
}

#[test]
fn sources_are_looked_at_for_a_remote_only_where_no_disk_has_more_than_it_has() {
    let looked = |world: &World, known: &[&str]| {
        let mut cloud = world.inventory.others[&name("b2")].cloud.clone().unwrap();
        let snapshots = World::nightly("2025-01-15", 1).inventory.destination;
        let mut snapshots = snapshots.unwrap().snapshots;
        snapshots.retain(|one| known.contains(&one.record.id.to_string().as_str()));
        cloud.history = Some(schema::remote_history::RemoteContent {
            snapshots,
            ..Default::default()
        });
        needs_sources(&world.config(), &world.inventory, &name("b2"), Some(&cloud))
    };
    let world = world();
    let there = ["2025-01-15_02-00-00"];
    assert!(!looked(&world, &[]));
    assert!(looked(&world, &there));
    let none = away(away(world.clone(), "local"), "usb");
    assert!(looked(&none, &[]));
    let wrong = away(world.clone(), "usb").destination(|found| {
        found.record.as_mut().unwrap().id = "another".to_owned();
    });
    assert!(looked(&wrong, &[]));
    // What was found for a disk is known for the remote.
    let found = |world: &World| sources_of_feeds(&world.config(), &world.inventory, &name("b2"));
    assert_eq!(found(&world), Some(world.inventory.sources.clone()));
}

#[test]
fn an_upload_that_would_write_to_a_disk_or_holds_one_up_is_refused() {
    let world = world();
    let broken = |change: &dyn Fn(&mut Plan)| {
        let mut plan = planned(&world);
        change(&mut plan);
        plan.digest = plan.expected_digest();
        !lint::check(&plan, &world.inventory).is_empty()
    };
    fn upload(plan: &mut Plan) -> &mut UploadStep {
        let mut steps = plan.steps.iter_mut();
        steps
            .find_map(|step| match &mut step.action {
                Action::Upload(upload) => Some(upload),
                _ => None,
            })
            .unwrap()
    }
    assert!(!broken(&|_| {}));
    assert!(broken(
        &|plan| upload(plan).from[0].destination.read_only = false
    ));
    assert!(broken(&|plan| upload(plan).from.clear()));
    assert!(broken(&|plan| upload(plan).call.folder = "other".to_owned()));
    assert!(broken(
        &|plan| upload(plan).call.remote = "b2:elsewhere".to_owned()
    ));
    let step = |plan: &mut Plan, id: &str| plan.steps.iter().position(|one| one.id == id).unwrap();
    assert!(broken(&|plan| {
        let at = step(plan, "upload:b2");
        plan.steps[at].needs.push("snapshot:usb".to_owned());
    }));
    assert!(broken(&|plan| {
        let at = step(plan, "upload:b2");
        plan.steps[at].after.push("space-check:usb".to_owned());
    }));
    assert!(broken(&|plan| {
        let at = step(plan, "snapshot:usb");
        plan.steps[at].after.push("rotate".to_owned());
    }));
}

#[test]
fn a_saved_plan_whose_upload_goes_elsewhere_is_not_the_configurations() {
    let world = world();
    let (config, inventory) = (world.config(), &world.inventory);
    let present = Present {
        config: &config,
        host: &inventory.host,
        machine: inventory.machine,
        privileged: inventory.privileged,
    };
    let differs = |change: &dyn Fn(&mut UploadStep)| {
        let mut plan = planned(&world);
        for step in &mut plan.steps {
            if let Action::Upload(upload) = &mut step.action {
                change(upload);
            }
        }
        find_difference(&plan, &present, true)
    };
    assert_eq!(differs(&|_| {}), None);
    for change in [
        (&|upload: &mut UploadStep| upload.call.program = "/tmp/rclone".to_owned())
            as &dyn Fn(&mut UploadStep),
        &|upload| upload.call.remote = "evil:atlas".to_owned(),
        &|upload| upload.call.options.push("--dump=headers".to_owned()),
        &|upload| {
            upload.from[0].destination.mount_point = schema::config::AbsolutePath::new("/etc")
        },
        &|upload| upload.from[0].of = name("nas"),
        &|upload| upload.may_delete = false,
    ] {
        assert!(differs(change).is_some());
    }
}
