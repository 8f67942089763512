//! Which deletions wait for a person, night after night.

use schema::plan::Action;
use serde_json::json;

use super::{
    random::{deleted, waits_for_approval},
    world::World,
};

/// A machine that kept ten nights and was to keep two, which a person has taken back: what waited for
/// approval since the twentieth night goes from now on as the nights go by. Besides, so many of the first
/// nights were pinned until now.
fn mended(unpinned: usize) -> World {
    let mut world = World::nightly("2025-01-01", 10)
        .set("local.keepDaily", json!(10))
        .set("local.keepWeekly", json!(0))
        .set("local.keepMonthly", json!(0));
    let pin = |world: &mut World, pinned: bool| {
        let found = world.inventory.destination.as_mut().unwrap();
        let first = found.snapshots.iter_mut().take(unpinned);
        first.for_each(|one| one.marks.pinned = pinned);
    };
    pin(&mut world, true);
    for _ in 10..20 {
        world.run();
        world.next_night();
    }
    world.config["local"]["keepDaily"] = json!(2);
    assert_eq!(waits_for_approval(&world.plan()).len(), 9);
    world.run();
    world.next_night();
    world.config["local"]["keepDaily"] = json!(10);
    pin(&mut world, false);
    world
}

#[test]
fn what_another_word_lets_go_at_once_waits_although_the_numbers_are_mended() {
    // One rule is in force: one more that goes is as any night.
    for (unpinned, waits) in [(0, 0), (1, 0), (2, 4), (4, 6)] {
        let plan = mended(unpinned).plan();
        assert_eq!(waits_for_approval(&plan).len(), waits, "{unpinned}");
        let gone = if waits == 0 { 2 + unpinned } else { 0 };
        assert_eq!(deleted(&plan).len(), gone, "{unpinned}");
    }
}

#[test]
fn what_made_room_is_counted_with_what_goes_after_it() {
    let mut world = mended(1);
    let plan = world.plan();
    let needs = plan.steps.iter().find_map(|step| match &step.action {
        Action::SpaceCheck(check) => Some(check.needed_bytes + check.min_free_bytes),
        _ => None,
    });
    world.inventory.destination.as_mut().unwrap().free_bytes = needs.unwrap() - 1;
    let made = world.plan();
    let room = made.steps.iter().find_map(|step| match &step.action {
        Action::Delete(step) => Some(step.rotation.deletions.len()),
        _ => None,
    });
    assert_eq!(room, Some(1));
    assert_eq!(waits_for_approval(&made), []);
    assert_eq!(deleted(&made), deleted(&plan));
}
