//! Random lives of a machine: whatever happens, each plan keeps the laws.

use chrono::TimeDelta;
use proptest::{collection::vec, prelude::*, sample::Index};
use schema::inventory::{Presence, SnapshotState};
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
    /// The config keeps other numbers.
    Keep(u32, u32, u32),
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
        1 => (0_u32..5, 0_u32..3, 0_u32..3).prop_map(|(d, w, m)| Event::Keep(d, w, m)),
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
        Event::Keep(daily, weekly, monthly) => {
            let local = &mut world.config["local"];
            for (key, keep) in [
                ("keepDaily", daily),
                ("keepWeekly", weekly),
                ("keepMonthly", monthly),
            ] {
                local[key] = json!(keep);
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
        for event in &events {
            happen(&mut world, event);
            let plan = world.plan();
            holds_of_every_plan(&plan, &world.inventory);
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
