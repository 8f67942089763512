//! Random lives of a machine: whatever happens, each plan keeps the laws.

use chrono::TimeDelta;
use planner::findings::code;
use proptest::{collection::vec, prelude::*, sample::Index};
use schema::{
    ExpireReason, Plan, SnapshotId,
    inventory::{Presence, SnapshotState},
    plan::{Action, Deletion},
};
use serde_json::json;

use super::{
    holds_of_every_plan, reversed,
    world::{World, time},
};

/// Something that happens between two runs.
#[derive(Debug, Clone)]
enum Event {
    /// Hours pass, and a run follows.
    Run(i64),
    /// A person or a check says something of a snapshot.
    Say(Index, Word),
    /// The config keeps other numbers: last, hours, days, weeks, months, years.
    Keep([u32; 6]),
    /// The disk has so many MiB beyond what must stay free, and may make room or not.
    Room(u64, &'static str),
    /// A link is gone or leads elsewhere.
    Link(Index, bool),
    /// The source is there or not.
    Source(bool),
}

#[derive(Debug, Clone, Copy)]
enum Word {
    Pinned,
    Unpinned,
    Suspect,
    Accepted,
    WithErrors,
    Verified,
}

fn event() -> impl Strategy<Value = Event> {
    use Word::{Accepted, Pinned, Suspect, Unpinned, Verified, WithErrors};
    let words = [Pinned, Unpinned, Suspect, Accepted, WithErrors, Verified];
    prop_oneof![
        8 => (1_i64..100).prop_map(Event::Run),
        1 => (600_i64..3000).prop_map(Event::Run),
        3 => (any::<Index>(), prop::sample::select(words.to_vec()))
            .prop_map(|(at, word)| Event::Say(at, word)),
        1 => [0_u32..4, 0_u32..4, 0_u32..5, 0_u32..3, 0_u32..3, 0_u32..2].prop_map(Event::Keep),
        1 => (900_u64..1100, prop::sample::select(vec!["expired", "oldest", "never"]))
            .prop_map(|(free, may)| Event::Room(free, may)),
        1 => (any::<Index>(), any::<bool>()).prop_map(|(at, gone)| Event::Link(at, gone)),
        1 => any::<bool>().prop_map(Event::Source),
    ]
}

fn say(snapshot: &mut SnapshotState, word: Word) {
    match word {
        Word::Pinned => snapshot.marks.pinned = true,
        Word::Unpinned => snapshot.marks.pinned = false,
        Word::Suspect => snapshot.record.suspect = vec!["half of it is gone".to_owned()],
        Word::Accepted => snapshot.marks.accepted = true,
        Word::WithErrors => snapshot.record.complete = false,
        Word::Verified => snapshot.marks.verified_at = Some(time("2025-01-01T00:00:00Z")),
    }
}

fn happen(world: &mut World, event: &Event) {
    let found = world.inventory.destination.as_mut().unwrap();
    match event {
        Event::Run(hours) => {
            if world.inventory.sources[0].presence == Presence::Present {
                world.run();
            }
            world.inventory.taken_at += TimeDelta::hours(*hours);
        }
        Event::Say(at, word) => {
            if !found.snapshots.is_empty() {
                let at = at.index(found.snapshots.len());
                say(&mut found.snapshots[at], *word);
            }
        }
        Event::Keep(numbers) => {
            let local = &mut world.config["local"];
            let keys = ["Last", "Hourly", "Daily", "Weekly", "Monthly", "Yearly"];
            for (key, keep) in keys.iter().zip(numbers) {
                local[format!("keep{key}")] = json!(keep);
            }
        }
        Event::Room(free, may) => {
            found.free_bytes = (10 << 30) + (free << 20);
            world.config["local"]["makeRoom"] = json!(may);
        }
        Event::Link(at, gone) => {
            if !found.links.is_empty() {
                let at = at.index(found.links.len());
                if *gone {
                    found.links.remove(at);
                } else {
                    found.links[at].target = "../nowhere".to_owned();
                }
            }
        }
        Event::Source(there) => {
            world.inventory.sources[0].presence = match there {
                true => Presence::Present,
                false => Presence::Missing,
            };
        }
    }
}

/// What makes room: the oldest first, or no one that is not needed; never without leave, never one
/// of the last two, and never more than what is lacking.
fn room_keeps_the_laws(world: &World, plan: &Plan) {
    let gone = plan.steps.iter().find_map(|step| match &step.action {
        Action::Delete(step) => Some(&step.rotation.deletions),
        _ => None,
    });
    let Some(gone) = gone else { return };
    let may = world.config["local"]["makeRoom"].as_str();
    let may = may.unwrap_or("expired");
    assert_ne!(may, "never");
    let check = plan.steps.iter().find_map(|step| match &step.action {
        Action::SpaceCheck(check) => Some(check),
        _ => None,
    });
    let check = check.unwrap();
    let found = world.inventory.destination.as_ref().unwrap();
    let lacking = (check.needed_bytes + check.min_free_bytes).saturating_sub(found.free_bytes);
    let freed = |of: &[Deletion]| of.iter().map(|one| one.frees).sum::<u64>();
    assert!(lacking > 0 && freed(gone) >= lacking, "{gone:?} {lacking}");
    let without_last = freed(&gone[..gone.len() - 1]);
    assert!(without_last < lacking, "{gone:?} {lacking}");
    let begun = |one: &Deletion| {
        let mut all = found.snapshots.iter();
        all.position(|other| other.record.id == one.id).unwrap()
    };
    assert!(gone.iter().all(|one| !one.reason.to_string().is_empty()));
    let mut by_need = gone.iter().filter(|one| one.reason == ExpireReason::Oldest);
    if may == "oldest" {
        let last_two = found.snapshots.len().saturating_sub(2);
        assert!(by_need.all(|one| begun(one) < last_two), "{gone:?}");
    } else {
        assert_eq!(by_need.next(), None);
    }
}

/// What a run withheld until a person approves.
pub(crate) fn waits_for_approval(plan: &Plan) -> Vec<SnapshotId> {
    let rotations = plan.steps.iter().filter_map(|step| match &step.action {
        Action::Rotate(step) => Some(&step.on_complete),
        _ => None,
    });
    let asked = rotations.filter(|rotation| {
        let because = rotation.withheld_because.as_ref();
        because.is_some_and(|because| because.code == code::DELETIONS_NEED_APPROVAL)
    });
    asked
        .flat_map(|rotation| rotation.withheld.iter().map(|one| one.id))
        .collect()
}

/// All that a plan deletes.
pub(crate) fn deleted(plan: &Plan) -> Vec<SnapshotId> {
    let rotations = plan.steps.iter().flat_map(|step| match &step.action {
        Action::Rotate(step) => vec![&step.on_complete],
        Action::Delete(step) => vec![&step.rotation],
        _ => vec![],
    });
    rotations
        .flat_map(|rotation| rotation.deletions.iter().map(|one| one.id))
        .collect()
}

/// The layout after a run is what was wanted: a link where one is, and no other.
fn links_are_whole(world: &World) {
    let found = world.inventory.destination.as_ref().unwrap();
    let homes = found.snapshots.iter();
    let homes: Vec<_> = homes.map(|one| (one.home, one.record.id)).collect();
    for link in &found.links {
        let leads = |(home, id): &_| link.target == format!("../{home}/{id}") && *id == link.id;
        assert!(homes.iter().any(leads), "{link:?}");
        assert!(!homes.contains(&(link.tier, link.id)), "{link:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_each_plan_keeps_the_laws(
        events in vec(event(), 1..40), approve in any::<bool>(),
    ) {
        let mut world = World::new("2024-12-20T02:00:00+01:00");
        world.options.approve_deletions = approve;
        let mut withheld = Vec::new();
        for event in &events {
            if matches!(event, Event::Run(_)) {
                withheld = waits_for_approval(&world.plan());
            } else if !matches!(event, Event::Link(..)) {
                // A person or the machine made another case of it.
                withheld.clear();
            }
            happen(&mut world, event);
            let plan = world.plan();
            holds_of_every_plan(&plan, &world.inventory);
            room_keeps_the_laws(&world, &plan);
            // Waiting is no approval.
            prop_assert!(approve || deleted(&plan).iter().all(|id| !withheld.contains(id)));
            let again = planner::plan(
                &world.config(),
                &reversed(world.inventory.clone()),
                &world.options,
            );
            prop_assert_eq!(plan, again);
        }
        if world.inventory.sources[0].presence == Presence::Present {
            world.inventory.destination.as_mut().unwrap().free_bytes = 1 << 40;
            world.run();
            links_are_whole(&world);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    /// However many nights pass after the numbers were lowered, and whatever falls due meanwhile.
    #[test]
    fn what_waits_for_approval_waits_until_it_comes(
        nights in 8_i64..30, lowered in [0_u32..3, 0_u32..4, 0_u32..2, 0_u32..2], gaps in vec(10_i64..80, 1..25),
    ) {
        let mut world = World::new("2024-12-20T02:00:00+01:00");
        happen(&mut world, &Event::Keep([0, 0, 60, 2, 2, 0]));
        for _ in 0..nights {
            happen(&mut world, &Event::Run(24));
        }
        let [last, daily, weekly, monthly] = lowered;
        happen(&mut world, &Event::Keep([last, 0, daily.max(1), weekly, monthly, 0]));
        let waiting = waits_for_approval(&world.plan());
        // Of eight nights of a few days, weeks and months more go than rules are in force.
        prop_assume!(!waiting.is_empty());
        for gap in gaps {
            happen(&mut world, &Event::Run(gap));
            let plan = world.plan();
            prop_assert!(deleted(&plan).iter().all(|id| !waiting.contains(id)));
            let still = waits_for_approval(&plan);
            prop_assert!(waiting.iter().all(|id| still.contains(id)), "{waiting:?} {still:?}");
        }
        world.options.approve_deletions = true;
        let gone = deleted(&world.plan());
        prop_assert!(waiting.iter().all(|id| gone.contains(id)));
    }
}

/// Guards the generator: a quiet one would let every law hold.
#[test]
fn lives_reach_the_corners() {
    use proptest::{strategy::ValueTree as _, test_runner::TestRunner};
    let mut runner = TestRunner::deterministic();
    let (mut rooms, mut oldest, mut waits) = (0, 0, 0);
    for _ in 0..128 {
        let events = vec(event(), 1..40).new_tree(&mut runner).unwrap().current();
        let mut world = World::new("2024-12-20T02:00:00+01:00");
        for event in &events {
            happen(&mut world, event);
            let plan = world.plan();
            waits += usize::from(!waits_for_approval(&plan).is_empty());
            for step in &plan.steps {
                if let Action::Delete(step) = &step.action {
                    rooms += 1;
                    let mut gone = step.rotation.deletions.iter();
                    oldest += usize::from(gone.any(|one| one.reason == ExpireReason::Oldest));
                }
            }
        }
    }
    assert!(
        rooms >= 20 && oldest >= 10 && waits >= 2,
        "{rooms} {oldest} {waits}"
    );
}
