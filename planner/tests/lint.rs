//! The plan linter against plans that were good until one thing in them was changed: each rule fires,
//! names the step, and says nothing of a plan that keeps the laws.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

#[path = "lint/deletions.rs"]
mod deletions;
#[path = "lint/layout.rs"]
mod layout;
#[path = "lint/order.rs"]
mod order;
#[path = "lint/paths.rs"]
mod paths;
#[allow(dead_code)]
#[path = "../../tests/plans/world.rs"]
mod world;

use chrono::TimeDelta;
use planner::lint::{self, OUT_OF_ORDER, PATH_OUTSIDE, TOUCHES_PROTECTED};
use schema::{
    ExpireReason, Plan, Severity, SnapshotId, Tier,
    plan::{
        Action, Basis, Deletion, DiscardPartial, Keep, Link, MarkStep, Move, RestoreStep, Rotation,
        Step, Unlink,
    },
};
use serde_json::json;
use world::{World, id, time};

/// Five nights with one snapshot each; the next run keeps three of them and what weeks and months keep.
fn nights() -> World {
    World::nightly("2025-01-12", 5).numbered()
}

/// The same, with a disk that is full, so that old ones go first.
fn full() -> World {
    nights()
        .set("local.makeRoom", json!("oldest"))
        .destination(|found| found.free_bytes = (10 << 30) + (900 << 20))
}

fn step<'a>(plan: &'a mut Plan, kind: &str) -> &'a mut Step {
    let mut steps = plan.steps.iter_mut();
    steps.find(|step| step.action.kind() == kind).unwrap()
}

fn rotation(plan: &mut Plan) -> &mut Rotation {
    match &mut step(plan, "rotate").action {
        Action::Rotate(rotate) => &mut rotate.on_complete,
        other => panic!("{other:?}"),
    }
}

fn deletion(name: &str) -> Deletion {
    Deletion {
        id: id(name),
        home: Tier::Daily,
        reason: ExpireReason::ByHand,
        frees: 0,
        lost: None,
    }
}

fn restore() -> RestoreStep {
    RestoreStep {
        snapshot: Some(id("2025-01-16_02-00-00")),
        folder: "daily/2025-01-16_02-00-00".to_owned(),
        path: "home/ann".to_owned(),
        only: vec![],
        target: "/home/ann".to_owned(),
        owner: None,
        numeric_ids: false,
        read_back: true,
        overwrite: false,
        aside_suffix: ".before".to_owned(),
        creates: 1,
        already_there: 0,
        bytes: 1,
        conflicts: vec![],
        conflict_count: 0,
        put_right: vec![],
        put_right_count: 0,
        through: vec![],
    }
}

/// Asserts that a plan is refused with this code, and with a message that has these words.
#[track_caller]
fn refused(world: &World, plan: &Plan, code: &str, words: &str) {
    let found = lint::check(plan, &world.inventory);
    let hit = |one: &&schema::Finding| one.code == code && one.message.contains(words);
    let Some(finding) = found.iter().find(hit) else {
        panic!("no `{words}` among {found:#?}");
    };
    assert_eq!(finding.severity, Severity::Refusal);
    assert!(finding.hint.is_some());
}

/// Asserts that a plan keeps the laws, and that the same plan does not once it is changed.
#[track_caller]
fn fires(world: &World, change: impl FnOnce(&mut Plan), code: &str, words: &str) {
    let mut plan = world.plan();
    assert_eq!(lint::check(&plan, &world.inventory), []);
    change(&mut plan);
    refused(world, &plan, code, words);
}

/// Asserts that this deletion is refused after a snapshot.
#[track_caller]
fn never_deleted(world: &World, name: &str, words: &str) {
    let change = |plan: &mut Plan| rotation(plan).deletions = vec![deletion(name)];
    fires(world, change, TOUCHES_PROTECTED, words);
    refused_by_step(world, name);
}

/// The message names the step and the path.
#[track_caller]
fn refused_by_step(world: &World, name: &str) {
    let mut plan = world.plan();
    rotation(&mut plan).deletions = vec![deletion(name)];
    let words = format!("step `rotate` would delete daily/{name}");
    refused(world, &plan, TOUCHES_PROTECTED, &words);
}

#[test]
<<<<<<< HEAD
=======
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
fn nothing_moves_onto_or_links_over_what_is_not_ours() {
    let old = "2025-01-16_02-00-00";
    let world = nights().unmanaged(Tier::Weekly, old);
    let moves = |plan: &mut Plan| {
        rotation(plan).moves.push(Move {
            id: id(old),
            from: Tier::Daily,
            to: Tier::Weekly,
        });
    };
    fires(
        &world,
        moves,
        TOUCHES_PROTECTED,
        "to weekly, where something else stands",
    );
    let links = |plan: &mut Plan| {
        rotation(plan).links.push(Link {
            tier: Tier::Weekly,
            id: id(old),
            target: format!("../daily/{old}"),
        });
    };
    fires(
        &world,
        links,
        TOUCHES_PROTECTED,
        "would link weekly/2025-01-16_02-00-00, where",
    );
    let world = nights();
    let from_nowhere = |plan: &mut Plan| {
        rotation(plan).moves.push(Move {
            id: id("2020-01-01_02-00-00"),
            from: Tier::Daily,
            to: Tier::Weekly,
        });
    };
    fires(
        &world,
        from_nowhere,
        TOUCHES_PROTECTED,
        "which is no snapshot",
    );
    let unlink = |plan: &mut Plan| {
        rotation(plan).unlinks.push(Unlink {
            tier: Tier::Daily,
            id: id(old),
            reason: "not wanted".to_owned(),
        });
    };
    fires(&world, unlink, TOUCHES_PROTECTED, "which is no link");
    for target in [
        "/etc",
        "../../etc",
        "../weekly/2025-01-16_02-00-00",
        "daily/2025-01-16_02-00-00",
    ] {
        let link = |plan: &mut Plan| {
            rotation(plan).links.push(Link {
                tier: Tier::Yearly,
                id: id(old),
                target: target.to_owned(),
            });
        };
        fires(&world, link, PATH_OUTSIDE, "which it is not");
    }
    for latest in ["/", "../x/2025-01-16_02-00-00", "daily/2020-01-01_02-00-00"] {
        let point = |plan: &mut Plan| rotation(plan).latest = Some(latest.to_owned());
        fires(&world, point, PATH_OUTSIDE, "would point `latest`");
    }
}

#[test]
fn a_snapshot_gets_a_free_name_and_starts_from_what_can_be_read() {
    let world = nights();
    let old = "2025-01-16_02-00-00";
    let snapshot =
        |plan: &mut Plan, change: &dyn Fn(&mut schema::plan::SnapshotStep)| match &mut step(
            plan, "snapshot",
        )
        .action
        {
            Action::Snapshot(snapshot) => change(snapshot),
            other => panic!("{other:?}"),
        };
    let taken = |plan: &mut Plan| snapshot(plan, &|one| one.id = id(old));
    fires(&world, taken, TOUCHES_PROTECTED, "which is there already");
    let others = nights().unmanaged(Tier::Daily, "2025-01-01_02-00-00");
    let taken = |plan: &mut Plan| snapshot(plan, &|one| one.id = id("2025-01-01_02-00-00"));
    fires(
        &others,
        taken,
        TOUCHES_PROTECTED,
        "where something else stands",
    );
    let elsewhere = |plan: &mut Plan| {
        let home = Tier::Yearly;
        snapshot(plan, &|one| one.basis = Some(Basis { id: id(old), home }));
    };
    fires(
        &world,
        elsewhere,
        TOUCHES_PROTECTED,
        "which is no snapshot that can be read",
    );
    let continued = |plan: &mut Plan| snapshot(plan, &|one| one.continue_from = Some(id(old)));
    fires(
        &world,
        continued,
        TOUCHES_PROTECTED,
        "which is no unfinished snapshot",
    );
    let source = |plan: &mut Plan| {
        snapshot(plan, &|one| {
            one.sources[0].path = schema::config::AbsolutePath::new("/etc")
        });
    };
    fires(
        &world,
        source,
        PATH_OUTSIDE,
        "which is not a source that was surveyed",
    );
    let above = |plan: &mut Plan| {
        let path = schema::config::AbsolutePath::new("/home/../etc");
        snapshot(plan, &|one| one.sources[0].path = path.clone());
    };
    fires(
        &world,
        above,
        PATH_OUTSIDE,
        "which is not an absolute path of a source",
    );
}

#[test]
fn only_leftovers_are_reclaimed() {
    let (stands, continued) = ("2025-01-16_02-00-00", "2025-01-17_01-00-00");
    let world = nights().partial(continued, 1, 1);
    let check =
        |plan: &mut Plan, change: &dyn Fn(&mut schema::plan::SpaceCheckStep)| match &mut step(
            plan,
            "space-check",
        )
        .action
        {
            Action::SpaceCheck(check) => change(check),
            other => panic!("{other:?}"),
        };
    let discard = |name: &str| DiscardPartial {
        id: id(name),
        frees: 0,
        reason: "old".to_owned(),
    };
    let own = |plan: &mut Plan| check(plan, &|one| one.discard_partial = vec![discard(continued)]);
    fires(
        &world,
        own,
        TOUCHES_PROTECTED,
        "which the new snapshot continues",
    );
    let other = |plan: &mut Plan| check(plan, &|one| one.discard_partial = vec![discard(stands)]);
    fires(
        &world,
        other,
        TOUCHES_PROTECTED,
        "which is no unfinished snapshot",
    );
    let trash = |plan: &mut Plan| check(plan, &|one| one.empty_trash = vec![id(stands)]);
    fires(&world, trash, TOUCHES_PROTECTED, "which nothing began");
    let record = |plan: &mut Plan| check(plan, &|one| one.clear_records = vec![id(stands)]);
    fires(&world, record, TOUCHES_PROTECTED, "which is not lost");
}

#[test]
fn each_step_has_what_it_needs_before_it() {
    let world = nights().set("postBackupScript", json!("/run/after"));
    let unmet = |kind: &'static str| move |plan: &mut Plan| step(plan, kind).needs.clear();
    fires(
        &world,
        unmet("snapshot"),
        OUT_OF_ORDER,
        "`snapshot` does not need a space-check",
    );
    fires(
        &world,
        unmet("rotate"),
        OUT_OF_ORDER,
        "`rotate` does not need a snapshot",
    );
    fires(
        &world,
        unmet("space-check"),
        OUT_OF_ORDER,
        "need a destination-check",
    );
    let late = |plan: &mut Plan| step(plan, "post-script").after.clear();
    fires(&world, late, OUT_OF_ORDER, "whose result it tells");
    let unknown = |plan: &mut Plan| step(plan, "rotate").needs.push("nothing".to_owned());
    fires(
        &world,
        unknown,
        OUT_OF_ORDER,
        "`nothing`, which is no step of the plan",
    );
    let swapped = |plan: &mut Plan| plan.steps.swap(2, 3);
    fires(
        &world,
        swapped,
        OUT_OF_ORDER,
        "which does not stand before it",
    );
    let itself = |plan: &mut Plan| step(plan, "rotate").after.push("rotate".to_owned());
    fires(&world, itself, OUT_OF_ORDER, "`rotate` waits for `rotate`");
    let twins = |plan: &mut Plan| plan.steps[1].id = plan.steps[0].id.clone();
    fires(&world, twins, OUT_OF_ORDER, "has the name of another step");
    let part = |plan: &mut Plan| plan.only = Some(schema::plan::Part::Local);
    fires(
        &world,
        part,
        OUT_OF_ORDER,
        "`post-script` is no step of the part local",
    );
    let refusal = |plan: &mut Plan| {
        let finding = schema::Finding::new(Severity::Refusal, "no-tier", "no");
        plan.findings.push(finding);
    };
    fires(
        &world,
        refusal,
        OUT_OF_ORDER,
        "is in a plan that is refused",
    );
    let scripted = world.set("preBackupScript", json!("/run/before"));
    let unmet = |plan: &mut Plan| step(plan, "destination-check").needs.clear();
    fires(&scripted, unmet, OUT_OF_ORDER, "does not need a pre-script");
    let mark = Action::Mark(MarkStep::Pin {
        id: id("2025-01-16_02-00-00"),
    });
    let mut plan = planner::plan_maintenance(&scripted.config(), &scripted.inventory, Some(mark));
    assert_eq!(lint::check(&plan, &scripted.inventory), []);
    plan.steps.remove(0);
    refused(
        &scripted,
        &plan,
        OUT_OF_ORDER,
        "does not need a destination-check",
    );
}

#[test]
fn every_path_is_inside_its_root() {
    let world = nights();
    fires(
        &world,
        |plan| plan.run_id = "../x".to_owned(),
        PATH_OUTSIDE,
        "`../x` is no name",
    );
    fires(
        &world,
        |plan| plan.host = "..".to_owned(),
        PATH_OUTSIDE,
        "no name for the host",
    );
    let named = |plan: &mut Plan| step(plan, "rotate").id = "Rotate/..".to_owned();
    fires(&world, named, PATH_OUTSIDE, "which is not a step");
    let check = |plan: &mut Plan, folder: &str, mount_point: &str| match &mut step(
        plan,
        "destination-check",
    )
    .action
    {
        Action::DestinationCheck(check) => {
            check.folder = folder.to_owned();
            check.mount_point = schema::config::AbsolutePath::new(mount_point);
        }
        other => panic!("{other:?}"),
    };
    let folder = |plan: &mut Plan| check(plan, "hermes", "/mnt/backup");
    fires(
        &world,
        folder,
        PATH_OUTSIDE,
        "which is not the folder of atlas",
    );
    let elsewhere = |plan: &mut Plan| check(plan, "atlas", "/mnt");
    fires(
        &world,
        elsewhere,
        PATH_OUTSIDE,
        "which is not the destination",
    );
    for (change, words) in restores() {
        let mut step = restore();
        let action = Action::Restore(step.clone());
        let plan = planner::plan_maintenance(&world.config(), &world.inventory, Some(action));
        assert_eq!(lint::check(&plan, &world.inventory), []);
        change(&mut step);
        let action = Action::Restore(step);
        let plan = planner::plan_maintenance(&world.config(), &world.inventory, Some(action));
        refused(&world, &plan, PATH_OUTSIDE, words);
    }
}

type Change = fn(&mut RestoreStep);

fn restores() -> [(Change, &'static str); 9] {
    [
        (|step| step.folder = "../etc".to_owned(), "`../etc`"),
        (
            |step| step.folder = "daily/../..".to_owned(),
            "`daily/../..`",
        ),
        (
            |step| step.path = "home/../../etc".to_owned(),
            "a path below the snapshot",
        ),
        // The same path, escaped.
        (
            |step| step.path = r"home/\056\056/x".to_owned(),
            "a path below the snapshot",
        ),
        (
            |step| step.path = "/home".to_owned(),
            "a path below the snapshot",
        ),
        (
            |step| step.only = vec!["a/b".to_owned()],
            "an entry of the path",
        ),
        (|step| step.target = "here".to_owned(), "an absolute target"),
        (|step| step.aside_suffix = "/../x".to_owned(), "kept aside"),
        (
            |step| step.through = vec!["..".to_owned()],
            "a path below the target",
        ),
    ]
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
fn repairs_and_adoptions_stay_in_their_folders() {
    let world = nights();
    let repair = |snapshot: &str, path: &str| {
        let step: schema::plan::RepairStep = serde_json::from_value(json!({
            "files": [],
            "folders": [{
                "name": {"snapshot": snapshot, "path": path},
                "metadata": {"mode": 493, "uid": 0, "gid": 0, "time": {"seconds": 0, "nanos": 0}},
            }],
        }))
        .unwrap();
        planner::plan_maintenance(
            &world.config(),
            &world.inventory,
            Some(Action::Repair(step)),
        )
    };
    let newest = "2025-01-16_02-00-00";
    assert_eq!(lint::check(&repair(newest, "home"), &world.inventory), []);
    let plan = repair("2020-01-01_02-00-00", "home");
    refused(
        &world,
        &plan,
        TOUCHES_PROTECTED,
        "which is no snapshot of this program",
    );
    refused(
        &world,
        &repair(newest, "../x"),
        PATH_OUTSIDE,
        "a path below snapshot",
    );
    let adopt = |from: &str, at: &str| {
        let step: schema::plan::AdoptStep = serde_json::from_value(json!({
            "root": "/mnt/old", "sources": ["/home"],
            "trees": [{
                "from": from, "inode": 7, "at": at, "id": "2020-01-01_02-00-00", "home": "daily",
                "started_at": "2020-01-01T02:00:00Z", "day": "2020-01-01", "made_by": "dated",
            }],
        }))
        .unwrap();
        planner::plan_maintenance(&world.config(), &world.inventory, Some(Action::Adopt(step)))
    };
    assert_eq!(
        lint::check(&adopt("daily.0/localhost", ""), &world.inventory),
        []
    );
    for (from, at) in [("", "home"), ("../x", "home"), ("daily.0", "home/../..")] {
        let words = if at.contains("..") {
            "a path below a snapshot"
        } else {
            "adopted from"
        };
        refused(&world, &adopt(from, at), PATH_OUTSIDE, words);
    }
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

#[test]
>>>>>>> dd2100f (engine: searches, comparisons and lists are given as the documents they are; planner: maintenance plans)
fn the_linter_uses_nothing_of_the_planner() {
    for source in [
        include_str!("../src/lint/mod.rs"),
        include_str!("../src/lint/layout.rs"),
        include_str!("../src/lint/order.rs"),
        include_str!("../src/lint/paths.rs"),
        include_str!("../src/lint/protection.rs"),
        include_str!("../src/lint/standing.rs"),
    ] {
        assert!(!source.contains("crate::"), "{source}");
    }
}
