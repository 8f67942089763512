//! Plans that keep the laws though they look odd: a refusal of one would be a night without a backup.

use schema::plan::{DeletePurpose, DeleteStep, Part};

use super::*;

#[track_caller]
fn lawful(world: &World, plan: &Plan) {
    assert_eq!(lint::check(plan, &world.inventory), []);
}

/// A run that moves to the cloud, which has these snapshots.
fn moving(uploaded: &[&str]) -> World {
    let mut world =
        World::nightly("2025-01-13", 3).set("cloud", json!({"enable": true, "syncMode": "move"}));
    let state = json!({"memory": {"uploaded": uploaded}});
    world.inventory.cloud = serde_json::from_value(state).unwrap();
    world
}

fn given_back(plan: &Plan) -> Vec<String> {
    let sync = plan.steps.iter().find_map(|step| match &step.action {
        Action::CloudSync(sync) => Some(sync),
        _ => None,
    });
    let ids = sync.unwrap().give_back.iter();
    ids.map(|one| one.id.to_string()).collect()
}

#[test]
fn the_cloud_steps_alone_give_back_what_is_older_than_what_they_copy() {
    let nights = [
        "2025-01-13_02-00-00",
        "2025-01-14_02-00-00",
        "2025-01-15_02-00-00",
    ];
    let mut world = moving(&nights);
    world.options.only = Some(Part::Cloud);
    let plan = world.plan();
    assert_eq!(given_back(&plan), nights[..2]);
    lawful(&world, &plan);
}

#[test]
fn after_a_clock_was_set_back_a_little_the_newest_is_not_given_back() {
    let world = moving(&["2025-01-14_02-00-00", "2025-01-15_02-00-00"]);
    let world = world.at("2025-01-15T01:57:00+01:00");
    let plan = world.plan();
    assert_eq!(given_back(&plan), ["2025-01-14_02-00-00"]);
    lawful(&world, &plan);
}

#[test]
fn a_host_name_may_have_a_colon() {
    for remote in ["proton:", "proton:here", ":local"] {
        let mut world = nights()
            .set("hostname", json!("lab:1"))
            .set("cloud.enable", json!(true))
            .set("cloud.provider", json!("custom"))
            .set("cloud.remote", json!(remote));
        world.inventory.cloud = Some(schema::cloud::CloudState::default());
        world.inventory.host = "lab:1".to_owned();
        let world = world.destination(|found| {
            found.record.as_mut().unwrap().host = "lab:1".to_owned();
        });
        let plan = world.plan();
        let copies = plan
            .steps
            .iter()
            .any(|one| one.action.kind() == "cloud-sync");
        assert!(copies, "{:#?}", plan.findings);
        lawful(&world, &plan);
    }
}

#[test]
fn a_part_alone_leaves_the_script_out_that_brings_a_source() {
    let with_files = |found: &mut schema::inventory::DestinationState| {
        for one in &mut found.snapshots {
            one.record.sources[0].entries = 1000;
        }
    };
    let mut world = nights()
        .set("preBackupScript", json!("/run/bring"))
        .destination(with_files)
        .source(|source| source.scan.entries = 1);
    world.options.only = Some(Part::Local);
    let mut plan = world.plan();
    assert!(!rotation(&mut plan).deletions.is_empty());
    lawful(&world, &plan);
}

#[test]
fn a_saved_plan_is_judged_by_what_it_was_made_of() {
    let with_files = |found: &mut schema::inventory::DestinationState| {
        for one in &mut found.snapshots {
            one.record.sources[0].entries = 1000;
        }
    };
    let world = nights().destination(with_files);
    let mut plan = world.plan();
    let goes = rotation(&mut plan).deletions[0].id.to_string();
    let world = world.source(|source| source.scan.entries = 1);
    refused(&world, &plan, TOUCHES_PROTECTED, "while a source");
    assert_eq!(lint::check_saved(&plan, &world.inventory), []);
    // What a person pinned meanwhile stays all the same.
    let pinned = world.snapshot(&goes, |one| one.marks.pinned = true);
    assert_ne!(lint::check_saved(&plan, &pinned.inventory), []);
}

#[test]
fn what_a_clock_that_was_ahead_left_may_be_deleted_by_name() {
    let ahead = "2025-01-16_02-00-00";
    // Made before the one of the day before, whose clock was right again.
    let world = nights().snapshot(ahead, |one| one.record.sequence = 4);
    let world = world.snapshot("2025-01-15_02-00-00", |one| one.record.sequence = 5);
    let delete = |name: &str| {
        let action = Action::Delete(DeleteStep {
            purpose: DeletePurpose::Delete,
            rotation: Rotation {
                deletions: vec![deletion(name)],
                ..Rotation::default()
            },
        });
        planner::plan_maintenance(&world.config(), &world.inventory, Some(action))
    };
    lawful(&world, &delete(ahead));
}

#[test]
fn a_host_is_taken_over_under_its_raw_name() {
    let world = nights();
    let mut plan = world.plan();
    if let Action::DestinationCheck(check) = &mut step(&mut plan, "destination-check").action {
        check.take_over = Some(schema::plan::TakeOver {
            folder: Some(r"a\b".to_owned()),
        });
    }
    lawful(&world, &plan);
}

#[test]
fn what_is_left_of_an_unlawful_plan_tells_of_it_and_is_lawful() {
    let world = nights()
        .set("postBackupScript", json!("/run/after"))
        .set("notifications", json!({"enable": true, "desktop": true}));
    let lawful_plan = world.plan();
    let same = planner::refuse_unlawful(lawful_plan.clone(), &world.inventory);
    assert_eq!(same, lawful_plan);

    let mut broken = lawful_plan;
    let goes = rotation(&mut broken).deletions[0].id.to_string();
    let world = world.snapshot(&goes, |one| one.marks.pinned = true);
    let left = planner::refuse_unlawful(broken, &world.inventory);
    assert_eq!(left.findings[0].code, TOUCHES_PROTECTED);
    assert_eq!(left.severity(), Some(Severity::Refusal));
    let kinds: Vec<_> = left.steps.iter().map(|one| one.action.kind()).collect();
    assert_eq!(kinds, ["post-script", "notify"]);
    assert_eq!(left.totals.deletions, 0);
    assert_eq!(left.digest, left.expected_digest());
    lawful(&world, &left);
}
