//! What a law protects is not deleted, by no step and for no reason.

use super::*;

#[test]
fn what_a_law_protects_is_not_deleted() {
    let plain = nights();
    let old = "2025-01-14_02-00-00";
    never_deleted(&plain, "2025-01-17_02-00-00", "which the same run makes");
    never_deleted(&plain, "2025-01-17_02-00-00", "the newest good snapshot");
    never_deleted(&plain, "2020-01-01_02-00-00", "which is no snapshot");
    let with =
        |change: fn(&mut schema::inventory::SnapshotState)| plain.clone().snapshot(old, change);
    never_deleted(&with(|one| one.marks.pinned = true), old, "which is pinned");
    let ahead = with(|one| one.record.started_at += TimeDelta::days(900));
    never_deleted(&ahead, old, "which is dated in the future");
    let verified = with(|one| one.marks.verified_at = Some(time("2025-01-15T00:00:00Z")));
    never_deleted(&verified, old, "the newest verified snapshot");
    let suspect = with(|one| one.record.suspect = vec!["half of it is gone".to_owned()]);
    never_deleted(&suspect, old, "which is suspect and not yet accepted");
    // While one is suspect, no other one goes either.
    never_deleted(
        &suspect,
        "2025-01-15_02-00-00",
        "while 2025-01-14_02-00-00 is suspect",
    );
    let others = plain.clone().unmanaged(Tier::Daily, "2025-01-01_02-00-00");
    never_deleted(&others, "2025-01-01_02-00-00", "did not make");
    let damaged = plain
        .clone()
        .record_damaged(Tier::Daily, "2025-01-01_02-00-00");
    never_deleted(&damaged, "2025-01-01_02-00-00", "cannot read");
}

#[test]
fn after_a_snapshot_with_errors_the_last_whole_one_stays() {
    let world = nights();
    let newest = "2025-01-16_02-00-00";
    let change = |plan: &mut Plan| {
        let mut other = rotation(plan).clone();
        other.deletions = vec![deletion(newest)];
        match &mut step(plan, "rotate").action {
            Action::Rotate(rotate) => rotate.on_incomplete = Some(Box::new(other)),
            other => panic!("{other:?}"),
        }
    };
    fires(
        &world,
        change,
        TOUCHES_PROTECTED,
        "the newest snapshot without errors",
    );
    // The same deletion may follow a whole one.
    let mut plan = world.plan();
    rotation(&mut plan).deletions = vec![deletion(newest)];
    rotation(&mut plan)
        .keep
        .retain(|kept| kept.id != id(newest));
    rotation(&mut plan)
        .links
        .retain(|link| link.id != id(newest));
    let found = lint::check(&plan, &world.inventory);
    assert!(
        found
            .iter()
            .all(|one| one.message.contains("without errors")),
        "{found:#?}"
    );
}

#[test]
fn a_deletion_stands_where_it_says_and_agrees_with_the_rest() {
    let world = nights();
    let old = "2025-01-14_02-00-00";
    let weekly = |plan: &mut Plan| {
        rotation(plan).deletions = vec![Deletion {
            home: Tier::Weekly,
            ..deletion(old)
        }];
    };
    fires(&world, weekly, TOUCHES_PROTECTED, "which stands in daily");
    let twice = |plan: &mut Plan| rotation(plan).deletions = vec![deletion(old), deletion(old)];
    fires(&world, twice, TOUCHES_PROTECTED, "which is deleted already");
    let kept = |plan: &mut Plan| {
        rotation(plan).deletions = vec![deletion(old)];
        rotation(plan).keep.push(Keep {
            id: id(old),
            home: Tier::Daily,
            reasons: vec![],
        });
    };
    fires(&world, kept, TOUCHES_PROTECTED, "which it says is kept");
    let withheld = |plan: &mut Plan| {
        let because = schema::Finding::new(Severity::Warning, "deletions-withheld", "wait");
        rotation(plan).deletions = vec![deletion(old)];
        rotation(plan).withheld_because = Some(because);
    };
    fires(
        &world,
        withheld,
        TOUCHES_PROTECTED,
        "deletions are withheld",
    );
}

#[test]
fn nothing_goes_after_a_snapshot_that_is_sure_to_be_suspect() {
    let gone = |world: World| world.source(|source| source.scan.entries = 1);
    let with_files = |found: &mut schema::inventory::DestinationState| {
        for one in &mut found.snapshots {
            one.record.sources[0].entries = 1000;
        }
    };
    let world = gone(nights().destination(with_files));
    let words = "while a source that had files has none";
    never_deleted(&world, "2025-01-14_02-00-00", words);
    // The new one does not count, so the last one is still the newest good one.
    never_deleted(&world, "2025-01-16_02-00-00", "the newest good snapshot");
}

#[test]
fn what_makes_room_is_nothing_that_the_new_snapshot_needs() {
    let world = full();
    let room = |plan: &mut Plan, name: &str| match &mut step(plan, "make-room").action {
        Action::Delete(delete) => delete.rotation.deletions = vec![deletion(name)],
        other => panic!("{other:?}"),
    };
    let newest = "2025-01-16_02-00-00";
    for words in [
        "which the new snapshot is linked to",
        "which the new snapshot is judged by",
        "the newest good snapshot",
    ] {
        fires(&world, |plan| room(plan, newest), TOUCHES_PROTECTED, words);
    }
    let all = |plan: &mut Plan| match &mut step(plan, "make-room").action {
        Action::Delete(delete) => {
            let found = world.inventory.destination.as_ref().unwrap();
            let names = found.snapshots.iter().map(|one| one.record.id.to_string());
            delete.rotation.deletions = names.map(|name| deletion(&name)).collect();
        }
        other => panic!("{other:?}"),
    };
    fires(
        &world,
        all,
        TOUCHES_PROTECTED,
        "every snapshot that there is",
    );
    let no_snapshot = |plan: &mut Plan| {
        plan.steps
            .retain(|step| !matches!(step.action, Action::Snapshot(_)));
    };
    fires(
        &world,
        no_snapshot,
        OUT_OF_ORDER,
        "makes room, and no snapshot follows",
    );
}

#[test]
fn a_person_may_delete_by_name_what_the_policy_may_not() {
    let old = "2025-01-14_02-00-00";
    let plan_of = |world: &World, name: &str| {
        let rotation = Rotation {
            deletions: vec![deletion(name)],
            ..Rotation::default()
        };
        let action = Action::Delete(schema::plan::DeleteStep {
            purpose: schema::plan::DeletePurpose::Delete,
            rotation,
        });
        planner::plan_maintenance(&world.config(), &world.inventory, Some(action))
    };
    let suspect = nights().snapshot(old, |one| one.record.suspect = vec!["odd".to_owned()]);
    let damaged = nights().record_damaged(Tier::Daily, "2025-01-01_02-00-00");
    for (world, name) in [
        (&nights(), old),
        (&suspect, old),
        (&damaged, "2025-01-01_02-00-00"),
    ] {
        assert_eq!(lint::check(&plan_of(world, name), &world.inventory), []);
    }
    let newest = "2025-01-16_02-00-00";
    let world = nights();
    refused(
        &world,
        &plan_of(&world, newest),
        TOUCHES_PROTECTED,
        "the newest good snapshot",
    );
    let pinned = nights().snapshot(old, |one| one.marks.pinned = true);
    refused(
        &pinned,
        &plan_of(&pinned, old),
        TOUCHES_PROTECTED,
        "which is pinned",
    );
    let others = nights().unmanaged(Tier::Daily, "2025-01-01_02-00-00");
    let plan = plan_of(&others, "2025-01-01_02-00-00");
    refused(&others, &plan, TOUCHES_PROTECTED, "did not make");
}

#[test]
fn what_the_cloud_step_takes_away_is_known_and_given_back() {
    let mut world = nights().set("cloud.enable", json!(true));
    world.inventory.cloud = Some(schema::cloud::CloudState::default());
    let old = "2025-01-14_02-00-00";
    let sync = |plan: &mut Plan, change: &dyn Fn(&mut schema::plan::CloudSyncStep)| match &mut step(
        plan,
        "cloud-sync",
    )
    .action
    {
        Action::CloudSync(sync) => change(sync),
        other => panic!("{other:?}"),
    };
    let expire = |plan: &mut Plan| sync(plan, &|one| one.expire = vec![id(old)]);
    let words =
        "would delete history/2025-01-14_02-00-00 of the remote, which this machine does not";
    fires(&world, expire, TOUCHES_PROTECTED, words);
    let remote = |plan: &mut Plan| sync(plan, &|one| one.remote = "proton:Backups".to_owned());
    fires(&world, remote, PATH_OUTSIDE, "the remote's folder of atlas");
    let unmet = |plan: &mut Plan| step(plan, "cloud-sync").needs.clear();
    fires(&world, unmet, OUT_OF_ORDER, "which it is to copy");
    let pinned = world.clone().snapshot(old, |one| one.marks.pinned = true);
    let back = |plan: &mut Plan| sync(plan, &|one| one.give_back = vec![deletion(old)]);
    fires(&pinned, back, TOUCHES_PROTECTED, "which is pinned");
    let suspect = world.snapshot(old, |one| one.record.suspect = vec!["odd".to_owned()]);
    let back = |plan: &mut Plan| {
        sync(plan, &|one| {
            one.give_back = vec![deletion("2025-01-15_02-00-00")]
        });
    };
    fires(
        &suspect,
        back,
        TOUCHES_PROTECTED,
        "while 2025-01-14_02-00-00 is suspect",
    );
}

#[test]
fn a_continued_plan_may_find_its_own_work_done_and_nothing_pinned_meanwhile() {
    let mut world = nights();
    let plan = world.plan();
    let gone: Vec<SnapshotId> = {
        let mut plan = plan.clone();
        rotation(&mut plan)
            .deletions
            .iter()
            .map(|one| one.id)
            .collect()
    };
    assert!(!gone.is_empty());
    let pinned = world
        .clone()
        .snapshot(&gone[0].to_string(), |one| one.marks.pinned = true);
    let destination = |world: &World| world.inventory.destination.clone().unwrap();
    assert_eq!(lint::check_continued(&plan, &destination(&world)), []);
    let found = lint::check_continued(&plan, &destination(&pinned));
    assert!(
        found
            .iter()
            .any(|one| one.message.ends_with("which is pinned")),
        "{found:#?}"
    );
    world.run();
    assert_eq!(lint::check_continued(&plan, &destination(&world)), []);
    // As a new plan it would be one that deletes what is not there.
    refused(&world, &plan, TOUCHES_PROTECTED, "which is no snapshot");
}
