//! The plan linter against plans that were good until one thing in them was changed: each rule fires,
//! names the step, and says nothing of a plan that keeps the laws.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

#[path = "lint/deletions.rs"]
mod deletions;
#[path = "lint/lawful.rs"]
mod lawful;
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
        special: false,
        overwrite: false,
        aside_suffix: ".before".to_owned(),
        creates: 1,
        already_there: 0,
        bytes: 1,
        conflicts: vec![],
        conflict_count: 0,
        put_right: vec![],
        put_right_count: 0,
        unlisted: vec![],
        unlisted_count: 0,
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
